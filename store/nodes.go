package store

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"greenhouse"
)

// JoinRequest is what a device says of itself, or an installer of it.
type JoinRequest struct {
	HardwareID greenhouse.HardwareID // canonical
	Type       greenhouse.NodeType
	Name       string // "" takes the uid
	FW, HW     string
	Channels   []greenhouse.Channel
	Zone       greenhouse.ZoneID // Register only: assign it at once
}

// JoinResult is the answer to a join.
type JoinResult struct {
	Node     greenhouse.Node
	Secret   string // the new secret in plain, the only time it is; "" if there is none
	Created  bool   // the node was not known before
	Conflict bool   // a hello under the id of a node that already logged in: record identity_conflict
}

// saveNode derives the configuration, stores the node and puts it into the
// registry. The caller gives it up.
func (tx *Tx) saveNode(n *greenhouse.Node) error {
	tx.derive(n)
	n.UpdatedAt = greenhouse.MillisOf(tx.at)
	if old := tx.reg.Nodes[n.UID]; old == nil || old.Config.DesiredRev != n.Config.DesiredRev {
		if err := tx.keepRevision(n); err != nil {
			return err
		}
	}
	if err := tx.putJSON(bucketNodes, string(n.HardwareID), n); err != nil {
		return err
	}
	tx.setNode(n)
	return nil
}

// saveEdit stores a node that somebody changed.
func (tx *Tx) saveEdit(n *greenhouse.Node) error {
	n.Version++
	return tx.saveNode(n)
}

// edited is saveEdit that returns a copy of what is stored.
func (tx *Tx) edited(n *greenhouse.Node) (greenhouse.Node, error) {
	n.Version++
	return tx.noted(n)
}

// noted is saveNode that returns a copy of what is stored.
func (tx *Tx) noted(n *greenhouse.Node) (greenhouse.Node, error) {
	if err := tx.saveNode(n); err != nil {
		return greenhouse.Node{}, err
	}
	return *cloneNode(n), nil
}

// Join is the answer to a hello: get or create, in the transaction it runs in.
// An unknown device becomes a node while pairing is open (else ErrForbidden,
// code pairing_closed). A node that never logged in gets a fresh secret, and the
// secret before stays good for a minute, for a device may act on either of two
// answers. A node that has logged in gets none: Conflict is set and nothing
// changes. Another type than the registered one is a conflict.
func (tx *Tx) Join(req JoinRequest, now time.Time) (JoinResult, error) {
	n, known, err := tx.lookup(req)
	if err != nil {
		return JoinResult{}, err
	}
	if known && tx.loggedIn(n.UID) {
		return JoinResult{Node: *cloneNode(n), Conflict: true}, nil
	}
	if !tx.reg.pairing.openAt(now) {
		return JoinResult{}, greenhouse.Forbidden("pairing_closed", "pairing is closed").
			WithHint("open it with `greenctl node pair --for 10m`")
	}
	if known {
		n, err = tx.refreshHello(n, req)
	} else {
		n, err = tx.createNode(req)
	}
	if err != nil {
		return JoinResult{}, err
	}
	secret, err := tx.issueSecret(n.UID, now)
	return JoinResult{Node: *cloneNode(n), Secret: secret, Created: !known}, err
}

// Register makes a node known by hand: get or create. The first time it returns
// the node with its secret, and assigns it if a zone is given; later the same
// node without a secret, whatever name or zone is given then. Another type than
// the registered one is a conflict.
func (tx *Tx) Register(req JoinRequest) (JoinResult, error) {
	n, known, err := tx.lookup(req)
	if err != nil || known {
		if err != nil {
			return JoinResult{}, err
		}
		return JoinResult{Node: *cloneNode(n)}, nil
	}
	if err := tx.checkZoneOf(req); err != nil {
		return JoinResult{}, err
	}
	if n, err = tx.createNode(req); err != nil {
		return JoinResult{}, err
	}
	if req.Zone != "" {
		if _, err := tx.Assign(n.UID, req.Zone, 0); err != nil {
			return JoinResult{}, err
		}
	}
	secret, err := tx.issueSecret(n.UID, tx.at)
	return JoinResult{Node: *cloneNode(tx.reg.Nodes[n.UID]), Secret: secret, Created: true}, err
}

// lookup finds the node of a hardware id, and refuses a device that is not what
// was registered.
func (tx *Tx) lookup(req JoinRequest) (n *greenhouse.Node, known bool, err error) {
	if hw, err := greenhouse.ParseHardwareID(string(req.HardwareID)); err != nil || hw != req.HardwareID {
		return nil, false, cmp.Or(err, error(greenhouse.Invalid("hardware_id_invalid", "hardware id %q is not in canonical form", req.HardwareID)))
	}
	if _, err := greenhouse.ParseNodeType(string(req.Type)); err != nil {
		return nil, false, err
	}
	uid, known := tx.reg.ByHardware[req.HardwareID]
	if !known {
		return nil, false, tx.writable()
	}
	n = tx.reg.Nodes[uid]
	return n, true, firstError(ruleSameType(n, req.Type), ruleInService(n))
}

// checkZoneOf checks the zone of a registration before anything is written.
func (tx *Tx) checkZoneOf(req JoinRequest) error {
	if req.Zone == "" {
		return nil
	}
	z, err := tx.reg.ruleZoneKnown(req.Zone)
	if err != nil {
		return err
	}
	return tx.reg.zoneRules(&greenhouse.Node{UID: greenhouse.MakeUID(req.Type, req.HardwareID), Type: req.Type}, z)
}

// createNode makes a new node of a request.
func (tx *Tx) createNode(req JoinRequest) (*greenhouse.Node, error) {
	uid := greenhouse.MakeUID(req.Type, req.HardwareID)
	n := &greenhouse.Node{
		UID: uid, HardwareID: req.HardwareID, Type: req.Type, Name: cmp.Or(strings.TrimSpace(req.Name), string(uid)),
		State: greenhouse.NodeRegistered, FW: req.FW, HW: req.HW, Channels: slices.Clone(req.Channels),
		Meta: greenhouse.Meta{Version: 1, CreatedAt: greenhouse.MillisOf(tx.at)},
	}
	if n.Channels == nil {
		n.Channels = []greenhouse.Channel{}
	}
	if err := checkNode(n); err != nil {
		return nil, err
	}
	for i := range n.Channels {
		n.Channels[i].Point = greenhouse.NodePoint(uid, n.Channels[i].Name)
	}
	return n, tx.saveNode(n)
}

// refreshHello takes over what a node that never logged in says of itself now:
// firmware, revision and channels it did not name before.
func (tx *Tx) refreshHello(old *greenhouse.Node, req JoinRequest) (*greenhouse.Node, error) {
	n := cloneNode(old)
	n.FW, n.HW = cmp.Or(req.FW, n.FW), cmp.Or(req.HW, n.HW)
	added := false
	for _, c := range req.Channels {
		if _, has := n.Channel(c.Name); !has {
			n.Channels = append(n.Channels, c)
			added = true
		}
	}
	if !added && n.FW == old.FW && n.HW == old.HW {
		return old, nil
	}
	if err := checkNode(n); err != nil {
		return nil, err
	}
	if err := tx.bindNew(n); err != nil {
		return nil, err
	}
	return n, tx.saveEdit(n)
}

// Node returns a copy of a node.
func (tx *Tx) Node(uid greenhouse.UID) (greenhouse.Node, error) {
	n, err := tx.reg.ruleKnown(uid)
	if err != nil {
		return greenhouse.Node{}, err
	}
	return *cloneNode(n), nil
}

// Nodes returns copies of all nodes in the order of their uids.
func (tx *Tx) Nodes() []greenhouse.Node {
	nodes := make([]greenhouse.Node, 0, len(tx.reg.Nodes))
	for _, n := range tx.reg.Nodes {
		nodes = append(nodes, *cloneNode(n))
	}
	slices.SortFunc(nodes, func(a, b greenhouse.Node) int { return cmp.Compare(a.UID, b.UID) })
	return nodes
}

// Observe records what a node's status says of itself; empty strings say
// nothing. It reports whether anything was new. It is no edit: the version stays.
func (tx *Tx) Observe(uid greenhouse.UID, fw, hw, boot string) (greenhouse.Node, bool, error) {
	old, err := tx.reg.ruleKnown(uid)
	if err != nil {
		return greenhouse.Node{}, false, err
	}
	n := cloneNode(old)
	n.FW, n.HW, n.Boot = cmp.Or(clip(fw, 128), n.FW), cmp.Or(clip(hw, 128), n.HW), cmp.Or(clip(boot, 64), n.Boot)
	if n.FW == old.FW && n.HW == old.HW && n.Boot == old.Boot {
		return *n, false, nil
	}
	saved, err := tx.noted(n)
	return saved, true, err
}

// live takes a node one step further in its life, if that is one.
func live(n *greenhouse.Node, to greenhouse.NodeState) error {
	if err := ruleState(n, to); err != nil {
		return err
	}
	n.State = to
	return nil
}

// SetNodeState records how a node in a zone fares: active or degraded. It is no
// edit: the version stays. A node in maintenance stays there until a person
// takes it out with [Tx.EditNode]. It reports whether the state changed.
func (tx *Tx) SetNodeState(uid greenhouse.UID, state greenhouse.NodeState) (bool, error) {
	old, err := tx.reg.ruleKnown(uid)
	if err != nil {
		return false, err
	}
	if state != greenhouse.NodeActive && state != greenhouse.NodeDegraded {
		return false, greenhouse.Invalid("node_state_invalid", "a node is found active or degraded, not %s", state)
	}
	if old.State == state || old.Zone == "" || old.State == greenhouse.NodeMaintenance {
		return false, nil
	}
	n := cloneNode(old)
	if err := live(n, state); err != nil {
		return false, err
	}
	return true, tx.saveNode(n)
}

// EditNode changes a node by fn, which gets a copy. ifVersion is the version the
// caller read, 0 for no check; another stored version is a *greenhouse.StaleError.
// fn may change name, labels, intervals, channels and, of a node in a zone, the
// state to and from maintenance; what has a verb of its own (zone, identity,
// configuration state) is refused with the name of the verb. No change costs no version.
func (tx *Tx) EditNode(uid greenhouse.UID, ifVersion uint64, fn func(*greenhouse.Node) error) (greenhouse.Node, error) {
	old, err := tx.reg.ruleKnown(uid)
	if err != nil {
		return greenhouse.Node{}, err
	}
	if err := stale("node", string(uid), ifVersion, old.Version, *cloneNode(old)); err != nil {
		return greenhouse.Node{}, err
	}
	n := cloneNode(old)
	if err := fn(n); err != nil {
		return greenhouse.Node{}, err
	}
	if err := firstError(ruleInService(old), checkFixed(old, n), tx.checkStateEdit(old, n), checkNode(n)); err != nil {
		return greenhouse.Node{}, err
	}
	if n.Channels == nil {
		n.Channels = []greenhouse.Channel{}
	}
	if err := errors.Join(tx.rebind(old, n), tx.noteCal(old, n)); err != nil {
		return greenhouse.Node{}, err
	}
	if sameRecord(old, n) {
		return *n, nil
	}
	return tx.edited(n)
}

// checkFixed refuses an edit of what is fixed or has a verb of its own, and
// takes back what the caller had no say in.
func checkFixed(old, n *greenhouse.Node) error {
	switch {
	case n.UID != old.UID || n.HardwareID != old.HardwareID || n.Type != old.Type:
		return greenhouse.Invalid("node_identity_fixed", "uid, hardware id and type of node %s are fixed at its registration", old.UID)
	case n.Zone != old.Zone:
		return greenhouse.Invalid("node_zone_fixed", "the zone of node %s is not edited", old.UID).
			WithHint("use `greenctl node assign %s --zone …`, or unassign", old.UID)
	}
	n.Config, n.Meta, n.FW, n.HW, n.Boot, n.ReplacedBy = old.Config, old.Meta, old.FW, old.HW, old.Boot, old.ReplacedBy
	n.Name = cmp.Or(strings.TrimSpace(n.Name), string(n.UID))
	return nil
}

// checkStateEdit lets people put a node in maintenance and take it out.
func (tx *Tx) checkStateEdit(old, n *greenhouse.Node) error {
	if n.State == old.State {
		return nil
	}
	if n.State == greenhouse.NodeRegistered || n.State == greenhouse.NodeDecommissioned {
		return greenhouse.Invalid("node_state_fixed", "the state of node %s is not edited to %s", old.UID, n.State).
			WithHint("use `greenctl node unassign` or `greenctl node decommission`")
	}
	return ruleState(old, n.State)
}

// Decommission ends a node: its secret no longer works, its points are free, and
// it never comes back. Its points keep their history. Doing it again changes nothing.
func (tx *Tx) Decommission(uid greenhouse.UID) (greenhouse.Node, error) {
	old, err := tx.reg.ruleKnown(uid)
	if err != nil {
		return greenhouse.Node{}, err
	}
	if old.State == greenhouse.NodeDecommissioned {
		return *cloneNode(old), nil
	}
	n := cloneNode(old)
	if err := tx.release(n); err != nil {
		return greenhouse.Node{}, err
	}
	n.Zone = ""
	if err := live(n, greenhouse.NodeDecommissioned); err != nil {
		return greenhouse.Node{}, err
	}
	if err := tx.dropCredential(string(uid)); err != nil {
		return greenhouse.Node{}, err
	}
	return tx.edited(n)
}

// clip cuts text of a device to a length and takes out what cannot be printed.
func clip(s string, limit int) string {
	s = strings.Map(func(c rune) rune {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, s)
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
