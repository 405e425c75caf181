package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"greenhouse"
)

// maxRevision bounds what a node may report as its revision; beyond it the
// number is a lie, and following it would exhaust ours.
const maxRevision = 1 << 53

// configHash is the default for Options.ConfigHash: it covers what a node needs
// to know of itself, without the points its channels are bound to.
func configHash(n *greenhouse.Node) string {
	bare := make([]greenhouse.Channel, len(n.Channels))
	for i, c := range n.Channels {
		c.Point = ""
		bare[i] = c
	}
	b, _ := json.Marshal(struct { // of plain numbers and strings: it cannot fail
		Interval, LinkLoss int
		Channels           []greenhouse.Channel
	}{n.IntervalS, n.LinkLossS, bare})
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// derive raises the desired revision if the configuration of the node changed.
func (tx *Tx) derive(n *greenhouse.Node) bool {
	hash := tx.s.opt.ConfigHash(n)
	if hash == n.Config.DesiredHash {
		return false
	}
	n.Config.DesiredRev++
	n.Config.DesiredHash = hash
	n.Config.Status = greenhouse.ConfigPending
	n.Config.Error = ""
	return true
}

// refreshConfigs derives all configurations anew: another version of the
// program may derive others from the same node.
func (tx *Tx) refreshConfigs() error {
	for uid, n := range tx.reg.Nodes {
		if n.State == greenhouse.NodeDecommissioned || tx.s.opt.ConfigHash(n) == n.Config.DesiredHash {
			continue
		}
		if err := tx.saveNode(cloneNode(tx.reg.Nodes[uid])); err != nil {
			return err
		}
	}
	return nil
}

// ReportConfig records what a node says of its configuration, status being
// applied or rejected, and returns the node. The state becomes applied only if
// revision and hash are the desired ones; the same revision with another hash is
// drift. A node that has a later revision than we desire (an older registry was
// restored) would refuse ours, so the desired revision rises above it. Saying
// the same again changes nothing.
func (tx *Tx) ReportConfig(uid greenhouse.UID, rev uint64, hash string, status greenhouse.ConfigStatus, errText string) (greenhouse.Node, error) {
	old, err := tx.reg.ruleKnown(uid)
	if err != nil {
		return greenhouse.Node{}, err
	}
	if err := firstError(checkText("hash", hash, 128), checkReportStatus(status)); err != nil {
		return greenhouse.Node{}, err
	}
	n := cloneNode(old)
	c := &n.Config
	c.ReportedRev, c.ReportedHash, c.Error = rev, hash, ""
	switch {
	case rev > c.DesiredRev && rev < maxRevision:
		c.DesiredRev, c.Status = rev+1, greenhouse.ConfigPending
	case rev < c.DesiredRev:
		c.Status = greenhouse.ConfigPending
	case rev != c.DesiredRev || hash != c.DesiredHash:
		c.Status = greenhouse.ConfigDrift
	default:
		c.Status = status
	}
	if status == greenhouse.ConfigRejected && rev == old.Config.DesiredRev {
		c.Status, c.Error = status, clip(errText, 256)
	}
	if err := tx.noteReport(n, rev, hash, status, clip(errText, 256)); err != nil {
		return greenhouse.Node{}, err
	}
	if n.Config == old.Config {
		return *n, nil
	}
	return tx.noted(n)
}

// checkReportStatus refuses what a node may not say.
func checkReportStatus(s greenhouse.ConfigStatus) error {
	if s == greenhouse.ConfigApplied || s == greenhouse.ConfigRejected {
		return nil
	}
	return greenhouse.Invalid("config_status_invalid", "a node reports its configuration as applied or rejected, not as %q", s)
}
