package store

import (
	"errors"

	"greenhouse"
)

// Rebind binds a point of a zone to another channel: of the node it has now, or of
// another node of the zone. What the channel fed before becomes free; with exchange
// it goes to the channel that held the point, as for two probes that were mixed
// up. The point keeps its history, range and class. Rules: the node is in the zone
// of the point, kind and unit agree, and without exchange nobody holds the point.
// ifVersion is that of the point.
func (tx *Tx) Rebind(id greenhouse.PointID, uid greenhouse.UID, channel greenhouse.ChannelName, exchange bool, ifVersion uint64) (greenhouse.Point, error) {
	p, ok := tx.reg.Points[id]
	if !ok || p.Zone == "" {
		return greenhouse.Point{}, noPoint(id)
	}
	if err := stale("point", string(id), ifVersion, p.Version, *clonePoint(p)); err != nil {
		return greenhouse.Point{}, err
	}
	old, err := tx.editable(uid, 0)
	if err != nil {
		return greenhouse.Point{}, err
	}
	n := cloneNode(old)
	c, ok := n.Channel(channel)
	switch {
	case !ok:
		return greenhouse.Point{}, greenhouse.NotFound("channel", string(channel)).WithHint("`greenctl node get %s` shows its channels", uid)
	case c.Point == id:
		return *clonePoint(p), nil
	case n.Zone != p.Zone:
		return greenhouse.Point{}, greenhouse.Conflict("rule_one_zone", "node %s is in zone %q and the point in %s", uid, n.Zone, p.Zone).
			WithHint("assign it first: `greenctl node assign %s --zone %s`", uid, p.Zone)
	}
	if err := ruleFits(p, c); err != nil {
		return greenhouse.Point{}, err
	}
	if !exchange {
		if err := ruleOneHolder(p, ""); err != nil {
			return greenhouse.Point{}, hintExchange(err)
		}
		if err := tx.releaseChannel(n, c); err != nil {
			return greenhouse.Point{}, err
		}
	}
	return tx.rebound(p, n, c, exchange)
}

// hintExchange says how to take a point that somebody holds.
func hintExchange(err error) error {
	if e := (*greenhouse.Error)(nil); errors.As(err, &e) {
		return e.WithHint("add --exchange, and the two channels change places")
	}
	return err
}

// rebound writes a rebinding: n, with c in it, is the caller's copy.
func (tx *Tx) rebound(p *greenhouse.Point, n *greenhouse.Node, c *greenhouse.Channel, exchange bool) (greenhouse.Point, error) {
	other := n // who held the point
	if exchange && p.Node != "" {
		q, ok := tx.reg.Points[c.Point]
		if p.Node != n.UID {
			other = cloneNode(tx.reg.Nodes[p.Node])
		}
		others, _ := other.Channel(p.Channel)
		if others == nil || !ok {
			return greenhouse.Point{}, greenhouse.Conflict("rule_exchange", "%s has no point to give in exchange", c.Name)
		}
		if err := ruleFits(q, others); err != nil {
			return greenhouse.Point{}, err
		}
		q = clonePoint(q)
		q.Node, q.Channel = "", ""
		if err := tx.hold(other, others, q); err != nil {
			return greenhouse.Point{}, tx.spoil(err)
		}
		if err := tx.newProbe(others, q.ID); err != nil {
			return greenhouse.Point{}, tx.spoil(err)
		}
	}
	free := clonePoint(p)
	free.Node, free.Channel = "", ""
	if err := tx.hold(n, c, free); err != nil {
		return greenhouse.Point{}, tx.spoil(err)
	}
	if err := tx.newProbe(c, p.ID); err != nil {
		return greenhouse.Point{}, tx.spoil(err)
	}
	if err := tx.saveEdit(n); err != nil {
		return greenhouse.Point{}, tx.spoil(err)
	}
	if other != n {
		if err := tx.saveEdit(other); err != nil {
			return greenhouse.Point{}, tx.spoil(err)
		}
	}
	return *clonePoint(tx.reg.Points[p.ID]), nil
}
