package store

import (
	"encoding/json"
	"errors"
	"fmt"

	"greenhouse"
)

// Swap is a replacement of hardware: what one node held, another holds now.
type Swap struct {
	Old    greenhouse.UID                                `json:"old"`
	New    greenhouse.UID                                `json:"new"`
	Zone   greenhouse.ZoneID                             `json:"zone"`
	Points map[greenhouse.ChannelName]greenhouse.PointID `json:"points"` // what the old one held
	At     greenhouse.Millis                             `json:"at"`
	// Moves say channel by channel what the swap does.
	Moves []SwapMove `json:"moves,omitempty"`
	// Missing are the points nobody holds now: the new node has no such channel
	// yet. Its first sample of one takes it over.
	Missing []greenhouse.PointID `json:"missing,omitempty"`
}

// What a swap does with a channel.
const (
	SwapMoves     = "moves"     // the new node feeds the point from now on
	SwapCalibrate = "calibrate" // so it does, and the point waits for a calibration
	SwapKind      = "kind"      // of another kind: the point stays empty, the channel gets one of its own
	SwapUnit      = "unit"      // in another unit: likewise
	SwapNew       = "new"       // the old node had no such channel: it gets a point of its own
	SwapMissing   = "missing"   // the new node has no such channel: the point stays empty
)

// SwapMove is what a swap does with one channel.
type SwapMove struct {
	Channel greenhouse.ChannelName `json:"channel"`
	Point   greenhouse.PointID     `json:"point"`
	Outcome string                 `json:"outcome"`
	Was     greenhouse.Unit        `json:"was,omitempty"` // unit of the old channel, where it differs
	Is      greenhouse.Unit        `json:"is,omitempty"`
}

// Swap puts the node next in the place of old, in one transaction: the same
// points, the same settings of its channels, and calibration required for the
// sensors. old leaves the zone. Rules: old is in a zone, next is in service and in
// no zone, and fits the rules of the zone once old has left. [Tx.UndoSwap] takes
// it back.
func (tx *Tx) Swap(old, next greenhouse.UID) (Swap, error) {
	from, to, err := tx.swapPair(old, next)
	if err != nil {
		return Swap{}, err
	}
	swap := Swap{Old: old, New: next, Zone: from.Zone, Points: map[greenhouse.ChannelName]greenhouse.PointID{}, At: greenhouse.MillisOf(tx.at)}
	for i := range from.Channels {
		swap.Points[from.Channels[i].Name] = from.Channels[i].Point
	}
	if err := tx.leavePlace(cloneNode(from), next); err != nil {
		return Swap{}, tx.spoil(err)
	}
	if err := tx.takePlace(cloneNode(to), from, &swap); err != nil {
		return Swap{}, tx.spoil(err)
	}
	return swap, tx.putJSON(bucketSwaps, string(next), swap)
}

// swapPair checks who may replace whom.
func (tx *Tx) swapPair(old, next greenhouse.UID) (from, to *greenhouse.Node, err error) {
	if from, err = tx.editable(old, 0); err != nil {
		return nil, nil, err
	}
	if to, err = tx.editable(next, 0); err != nil {
		return nil, nil, err
	}
	switch {
	case from.Zone == "":
		return nil, nil, greenhouse.Conflict("rule_swap_zone", "node %s is in no zone: there is nothing to take over", old).
			WithHint("assign %s instead", next)
	case to.Zone != "":
		return nil, nil, greenhouse.Conflict("rule_swap_zone", "node %s is in zone %s already", next, to.Zone).
			WithHint("unassign %s first", next)
	}
	if to.Type != from.Type { // else it takes the place in the count too
		z, err := tx.reg.ruleZoneKnown(from.Zone)
		return from, to, firstError(err, tx.reg.zoneRules(to, z))
	}
	return from, to, nil
}

// leavePlace takes the replaced node out of its zone and fences it: nothing it
// sends is kept and nothing is driven by it until somebody assigns it anew.
func (tx *Tx) leavePlace(n *greenhouse.Node, next greenhouse.UID) error {
	if err := tx.release(n); err != nil {
		return err
	}
	n.Zone, n.ReplacedBy = "", next
	if err := live(n, greenhouse.NodeRegistered); err != nil {
		return err
	}
	return tx.saveEdit(n)
}

// takePlace gives n the zone, the points and the settings of the node before it.
func (tx *Tx) takePlace(n, before *greenhouse.Node, swap *Swap) error {
	if err := live(n, greenhouse.NodeAssigned); err != nil {
		return err
	}
	n.Zone, n.ReplacedBy = swap.Zone, ""
	for i := range n.Channels {
		move, err := tx.takePoint(n, &n.Channels[i], before, swap)
		if err != nil {
			return err
		}
		swap.Moves = append(swap.Moves, move)
	}
	for _, c := range before.Channels {
		id := swap.Points[c.Name]
		p := tx.reg.Points[id]
		if p == nil || p.Zone == "" || p.Node != "" {
			continue
		}
		swap.Missing = append(swap.Missing, id)
		if _, has := n.Channel(c.Name); !has {
			swap.Moves = append(swap.Moves, SwapMove{Channel: c.Name, Point: id, Outcome: SwapMissing})
		}
	}
	return tx.saveEdit(n)
}

// takePoint gives a channel of the new node the point of its namesake, where kind
// and unit agree, else one of its own.
func (tx *Tx) takePoint(n *greenhouse.Node, c *greenhouse.Channel, before *greenhouse.Node, swap *Swap) (SwapMove, error) {
	id, had := swap.Points[c.Name]
	p, move := tx.reg.Points[id], SwapMove{Channel: c.Name, Point: id, Outcome: SwapMoves}
	was, _ := before.Channel(c.Name)
	switch {
	case !had || p == nil:
		move.Outcome = SwapNew
	case p.Kind != c.Kind:
		move.Outcome = SwapKind
	case !sameUnit(was.Name, was.Unit, c.Name, c.Unit):
		move.Outcome, move.Was, move.Is = SwapUnit, was.Unit, c.Unit
	}
	if move.Outcome != SwapMoves {
		err := tx.bind(n, c)
		if move.Outcome == SwapNew {
			move.Point = c.Point
		}
		return move, err
	}
	c.MaxOnHourS, c.MaxOnDayS = was.MaxOnHourS, was.MaxOnDayS
	c.MaxOnS, c.MinOffS = was.MaxOnS, was.MinOffS // those of the place; a calibration is the probe's own
	if err := errors.Join(tx.hold(n, c, p), tx.newProbe(c, id)); err != nil {
		return move, err
	}
	if _, waits := tx.reg.Uncalibrated[id]; waits {
		move.Outcome = SwapCalibrate
	}
	return move, nil
}

// UndoSwap takes the swap by which next replaced old back: old holds its points
// again, next is in no zone. It is refused if things moved on since.
func (tx *Tx) UndoSwap(old, next greenhouse.UID) (Swap, error) {
	swap, err := tx.swapOf(old, next)
	if err != nil {
		return Swap{}, err
	}
	from, err := tx.editable(old, 0)
	if err != nil {
		return Swap{}, err
	}
	if to := tx.reg.Nodes[next]; from.Zone != "" || to == nil || to.Zone != swap.Zone {
		return Swap{}, greenhouse.Conflict("rule_swap_moved", "node %s or %s was assigned anew since the swap", old, next).
			WithHint("assign them by hand")
	}
	if _, err := tx.Unassign(next, 0); err != nil {
		return Swap{}, err
	}
	if err := tx.giveBack(cloneNode(from), swap); err != nil {
		return Swap{}, tx.spoil(err)
	}
	return swap, tx.delete(bucketSwaps, []byte(next))
}

// swapOf returns the swap by which next replaced old.
func (tx *Tx) swapOf(old, next greenhouse.UID) (Swap, error) {
	var swap Swap
	if content := tx.get(bucketSwaps, []byte(next)); content != nil {
		if err := json.Unmarshal(content, &swap); err != nil {
			return Swap{}, fmt.Errorf("decode swap of %s: %w", next, err)
		}
	}
	if swap.Old != old || old == "" {
		return Swap{}, greenhouse.NotFound("swap", string(old)+" by "+string(next)).WithHint("`greenctl event list` shows the swaps there were")
	}
	return swap, nil
}

// giveBack binds the old node to the points it held.
func (tx *Tx) giveBack(n *greenhouse.Node, swap Swap) error {
	z, err := tx.reg.ruleZoneKnown(swap.Zone)
	if err != nil {
		return err
	}
	if err := tx.reg.zoneRules(n, z); err != nil {
		return err
	}
	if err := live(n, greenhouse.NodeAssigned); err != nil {
		return err
	}
	n.Zone, n.ReplacedBy = swap.Zone, ""
	for i := range n.Channels {
		c := &n.Channels[i]
		p := tx.reg.Points[swap.Points[c.Name]]
		if p == nil || p.Kind != c.Kind {
			if err := tx.bind(n, c); err != nil {
				return err
			}
			continue
		}
		if err := tx.hold(n, c, p); err != nil {
			return err
		}
		if tx.reg.Uncalibrated[p.ID] >= swap.At { // it waited for a probe that is gone again
			if err := tx.MarkCalibrated(p.ID); err != nil {
				return err
			}
		}
	}
	return tx.saveEdit(n)
}
