package store

import (
	"encoding/json"
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
	// Missing are the points nobody holds now: the new node has no such channel
	// yet. Its first sample of one takes it over.
	Missing []greenhouse.PointID `json:"missing,omitempty"`
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
	if _, err := tx.Unassign(old, 0); err != nil {
		return Swap{}, err
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
	if onlyOne(to.Type) && to.Type != from.Type {
		err = tx.reg.ruleNodeTypeInZone(to, from.Zone)
	}
	return from, to, err
}

// takePlace gives n the zone, the points and the settings of the node before it.
func (tx *Tx) takePlace(n, before *greenhouse.Node, swap *Swap) error {
	n.Zone, n.State = swap.Zone, greenhouse.NodeAssigned
	for i := range n.Channels {
		c := &n.Channels[i]
		id, ok := swap.Points[c.Name]
		p := tx.reg.Points[id]
		if !ok || p == nil || p.Kind != c.Kind {
			if err := tx.bind(n, c); err != nil {
				return err
			}
			continue
		}
		if was, ok := before.Channel(c.Name); ok {
			c.MaxOnS, c.MinOffS = was.MaxOnS, was.MinOffS // those of the place; a calibration is the probe's own
		}
		if err := tx.hold(n, c, p); err != nil {
			return err
		}
		if c.Kind == greenhouse.Sensor {
			if err := tx.markUncalibrated(id); err != nil {
				return err
			}
		}
	}
	for _, c := range before.Channels {
		id := swap.Points[c.Name]
		if p := tx.reg.Points[id]; p != nil && p.Zone != "" && p.Node == "" {
			swap.Missing = append(swap.Missing, id)
		}
	}
	return tx.saveEdit(n)
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
	if err := firstError(tx.reg.ruleNodeTypeInZone(n, swap.Zone)); err != nil {
		return err
	}
	n.Zone, n.State = swap.Zone, greenhouse.NodeAssigned
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
		if tx.reg.Uncalibrated[p.ID] == swap.At {
			if err := tx.MarkCalibrated(p.ID); err != nil {
				return err
			}
		}
	}
	return tx.saveEdit(n)
}
