package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"greenhouse"
)

// maxRevisions is how many configurations of a node are kept, the newest.
const maxRevisions = 20

// Revision is a configuration that a node was to have, under its number.
type Revision struct {
	Rev        uint64                  `json:"rev"`
	Hash       string                  `json:"hash"`
	At         greenhouse.Millis       `json:"at"`
	By         string                  `json:"by,omitempty"`          // whose change made it
	Of         uint64                  `json:"of,omitempty"`          // the revision it brought back
	Status     greenhouse.ConfigStatus `json:"status"`                // what the node said of it; pending: nothing
	Error      string                  `json:"error,omitempty"`       // the node's reason for rejecting it
	ReportedAt greenhouse.Millis       `json:"reported_at,omitempty"` // when it said so
	IntervalS  int                     `json:"interval_s"`
	LinkLossS  int                     `json:"link_loss_s"`
	Channels   []RevisionChannel       `json:"channels"`
}

// RevisionChannel is what a configuration says of one channel.
type RevisionChannel struct {
	Name    greenhouse.ChannelName `json:"name"`
	Kind    greenhouse.Kind        `json:"kind"`
	Safe    float64                `json:"safe,omitempty"`
	MaxOnS  int                    `json:"max_on_s,omitempty"`
	MinOffS int                    `json:"min_off_s,omitempty"`
	Cal     *greenhouse.Linear     `json:"cal,omitempty"`
}

// As says who makes the changes of this transaction, for the records that keep
// it; without it, the daemon does.
func (tx *Tx) As(actor string) { tx.actor = actor }

// revisionKey is the key of a revision; those of a node lie side by side, oldest
// first. A hardware id has no NUL.
func revisionKey(hw greenhouse.HardwareID, rev uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(hw), 0), rev)
}

// keepRevision keeps the configuration a node should have from now on, and drops
// the oldest beyond the bound.
func (tx *Tx) keepRevision(n *greenhouse.Node) error {
	r := Revision{Rev: n.Config.DesiredRev, Hash: n.Config.DesiredHash, At: greenhouse.MillisOf(tx.at), By: tx.actor, Of: tx.rollback,
		Status: greenhouse.ConfigPending, IntervalS: n.IntervalS, LinkLossS: n.LinkLossS, Channels: make([]RevisionChannel, 0, len(n.Channels))}
	for i := range n.Channels {
		c := &n.Channels[i]
		r.Channels = append(r.Channels, RevisionChannel{Name: c.Name, Kind: c.Kind, Safe: c.Safe, MaxOnS: c.MaxOnS, MinOffS: c.MinOffS, Cal: c.Cal})
	}
	if err := tx.putRevision(n.HardwareID, r); err != nil {
		return err
	}
	keys := tx.revisionKeys(n.HardwareID)
	for len(keys) > maxRevisions {
		if err := tx.delete(bucketRevisions, keys[0]); err != nil {
			return err
		}
		keys = keys[1:]
	}
	return nil
}

// putRevision stores a revision.
func (tx *Tx) putRevision(hw greenhouse.HardwareID, r Revision) error {
	content, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode revision %d of %s: %w", r.Rev, hw, err)
	}
	return tx.put(bucketRevisions, revisionKey(hw, r.Rev), content)
}

// revisionKeys returns the keys of a node's revisions, oldest first.
func (tx *Tx) revisionKeys(hw greenhouse.HardwareID) (keys [][]byte) {
	prefix := append([]byte(hw), 0)
	tx.scan(bucketRevisions, prefix, false, func(k, _ []byte) bool {
		if len(k) != len(prefix)+8 || string(k[:len(prefix)]) != string(prefix) {
			return false
		}
		keys = append(keys, slices.Clone(k))
		return true
	})
	return keys
}

// noteReport keeps with a revision what the node said of it.
func (tx *Tx) noteReport(n *greenhouse.Node, rev uint64, hash string, status greenhouse.ConfigStatus, errText string) error {
	r, err := tx.revision(n.HardwareID, rev)
	if err != nil || r == nil || r.Hash != hash && status == greenhouse.ConfigApplied || r.Status == status && r.Error == errText {
		return err
	}
	r.Status, r.Error, r.ReportedAt = status, errText, greenhouse.MillisOf(tx.at)
	return tx.putRevision(n.HardwareID, *r)
}

// revision returns one revision of a node, nil if it is not kept.
func (tx *Tx) revision(hw greenhouse.HardwareID, rev uint64) (*Revision, error) {
	content := tx.get(bucketRevisions, revisionKey(hw, rev))
	if content == nil {
		return nil, nil
	}
	r := new(Revision)
	if err := json.Unmarshal(content, r); err != nil {
		return nil, fmt.Errorf("decode revision %d of %s: %w", rev, hw, err)
	}
	return r, nil
}

// Revisions returns the configurations of a node that are kept, the newest first.
func (tx *Tx) Revisions(uid greenhouse.UID) ([]Revision, error) {
	n, err := tx.reg.ruleKnown(uid)
	if err != nil {
		return nil, err
	}
	list := []Revision{}
	for _, k := range slices.Backward(tx.revisionKeys(n.HardwareID)) {
		r := Revision{}
		if err := json.Unmarshal(tx.get(bucketRevisions, k), &r); err != nil {
			return nil, fmt.Errorf("decode revision of %s: %w", uid, err)
		}
		list = append(list, r)
	}
	return list, nil
}

// RollBack gives a node the configuration it had under an earlier revision, as a
// new revision: intervals, and of the channels that revision names safe level,
// times and calibration. Channels that came later stay as they are; one that went
// since is a conflict. ifVersion is as for [Tx.EditNode].
func (tx *Tx) RollBack(uid greenhouse.UID, rev, ifVersion uint64) (greenhouse.Node, error) {
	old, err := tx.editable(uid, ifVersion)
	if err != nil {
		return greenhouse.Node{}, err
	}
	r, err := tx.revision(old.HardwareID, rev)
	switch {
	case err != nil:
		return greenhouse.Node{}, err
	case r == nil:
		return greenhouse.Node{}, greenhouse.NotFound("revision", fmt.Sprint(rev)).WithHint("`greenctl node config %s --history` shows those that are kept", uid)
	case r.Hash == old.Config.DesiredHash:
		return greenhouse.Node{}, greenhouse.Conflict("rollback_nothing", "node %s is to have the configuration of revision %d already", uid, rev)
	}
	tx.rollback = rev
	defer func() { tx.rollback = 0 }()
	return tx.EditNode(uid, 0, func(n *greenhouse.Node) error { return r.apply(n) })
}

// apply writes a revision over a node.
func (r *Revision) apply(n *greenhouse.Node) error {
	n.IntervalS, n.LinkLossS = r.IntervalS, r.LinkLossS
	for _, was := range r.Channels {
		c, ok := n.Channel(was.Name)
		if !ok || c.Kind != was.Kind {
			return greenhouse.Conflict("rule_rollback_channel", "revision %d configures channel %s as %s, which node %s no longer has", r.Rev, was.Name, was.Kind, n.UID).
				WithHint("edit the node instead: `greenctl node edit %s`", n.UID)
		}
		c.Safe, c.MaxOnS, c.MinOffS, c.Cal = was.Safe, was.MaxOnS, was.MinOffS, was.Cal
	}
	return nil
}
