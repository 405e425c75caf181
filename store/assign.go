package store

import (
	"bytes"
	"encoding/json"

	"greenhouse"
)

// sameRecord compares two records as they are stored.
func sameRecord(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// Assign puts a node into a zone and binds each of its channels to a point
// there: the first free point of that name and kind, so that a replaced device
// continues the history, else a new one (zone/name, zone/name.2, …). A node that
// was in another zone leaves it. Rules: the zone exists, the node is in service,
// at most one ph and one ec node in a zone. Assigning where it already is
// changes nothing.
func (tx *Tx) Assign(uid greenhouse.UID, zone greenhouse.ZoneID, ifVersion uint64) (greenhouse.Node, error) {
	old, err := tx.editable(uid, ifVersion)
	if err != nil {
		return greenhouse.Node{}, err
	}
	z, err := tx.reg.ruleZoneKnown(zone)
	if err != nil {
		return greenhouse.Node{}, err
	}
	if err := tx.reg.zoneRules(old, z); err != nil {
		return greenhouse.Node{}, err
	}
	if old.Zone == zone {
		return *cloneNode(old), nil
	}
	n := cloneNode(old)
	if err := tx.release(n); err != nil {
		return greenhouse.Node{}, err
	}
	n.Zone, n.ReplacedBy = zone, ""
	if n.State != greenhouse.NodeMaintenance {
		if err := live(n, greenhouse.NodeAssigned); err != nil {
			return greenhouse.Node{}, err
		}
	}
	for i := range n.Channels {
		if err := tx.bind(n, &n.Channels[i]); err != nil {
			return greenhouse.Node{}, err
		}
	}
	return tx.edited(n)
}

// Unassign takes a node out of its zone. Its points stay there, without a node;
// its channels are points @uid/channel again. Out of no zone changes nothing.
func (tx *Tx) Unassign(uid greenhouse.UID, ifVersion uint64) (greenhouse.Node, error) {
	old, err := tx.editable(uid, ifVersion)
	if err != nil {
		return greenhouse.Node{}, err
	}
	if old.Zone == "" {
		return *cloneNode(old), nil
	}
	n := cloneNode(old)
	if err := tx.release(n); err != nil {
		return greenhouse.Node{}, err
	}
	n.Zone = ""
	if err := live(n, greenhouse.NodeRegistered); err != nil {
		return greenhouse.Node{}, err
	}
	return tx.edited(n)
}

// editable returns a node in service, if it is of the version the caller read.
func (tx *Tx) editable(uid greenhouse.UID, ifVersion uint64) (*greenhouse.Node, error) {
	n, err := tx.reg.ruleKnown(uid)
	if err != nil {
		return nil, err
	}
	return n, firstError(stale("node", string(uid), ifVersion, n.Version, *cloneNode(n)), ruleInService(n), tx.writable())
}

// EnsureChannel makes sure a node has a channel of a standard name, as its
// first sample does, and returns the point it feeds: bound to a point of the
// zone, or @uid/channel. It reports whether it was made now. spec is what
// [greenhouse.StandardChannel] says of the name.
func (tx *Tx) EnsureChannel(uid greenhouse.UID, channel greenhouse.ChannelName, spec greenhouse.ChannelSpec) (greenhouse.PointID, bool, error) {
	old, err := tx.editable(uid, 0)
	if err != nil {
		return "", false, err
	}
	if c, ok := old.Channel(channel); ok {
		return c.Point, false, nil
	}
	n := cloneNode(old)
	n.Channels = append(n.Channels, greenhouse.Channel{Name: channel, Kind: spec.Kind, Unit: spec.Unit})
	if err := checkNode(n); err != nil {
		return "", false, err
	}
	if err := tx.bindNew(n); err != nil {
		return "", false, err
	}
	c, _ := n.Channel(channel)
	point := c.Point
	return point, true, tx.saveEdit(n)
}

// bindNew gives a point to every channel of n that has none yet.
func (tx *Tx) bindNew(n *greenhouse.Node) error {
	for i := range n.Channels {
		c := &n.Channels[i]
		switch {
		case c.Point != "":
		case n.Zone == "":
			c.Point = greenhouse.NodePoint(n.UID, c.Name)
		default:
			if err := tx.bind(n, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// bind gives a channel of n the first free point of its name in n's zone, or a
// new one. A point that was there before keeps its class and safe level, and
// the channel takes them: they belong to the place.
func (tx *Tx) bind(n *greenhouse.Node, c *greenhouse.Channel) error {
	for i := 1; i <= maxOrdinal; i++ {
		id := greenhouse.ZonePoint(n.Zone, c.Name, i)
		p, exists := tx.reg.Points[id]
		if !exists {
			fresh := pointOf(n, c, n.Zone, id)
			fresh.Version, fresh.CreatedAt = 0, greenhouse.MillisOf(tx.at)
			c.Point = id
			return tx.savePoint(fresh)
		}
		if p.Node == "" && ruleFits(p, c) == nil {
			if err := tx.hold(n, c, p); err != nil {
				return err
			}
			return tx.newProbe(c, id)
		}
	}
	return tx.spoil(greenhouse.Conflict("rule_point_count", "zone %s already has %d points named %s", n.Zone, maxOrdinal, c.Name))
}

// hold binds a channel of n to a certain point.
func (tx *Tx) hold(n *greenhouse.Node, c *greenhouse.Channel, p *greenhouse.Point) error {
	if err := ruleOneHolder(p, n.UID); err != nil {
		return err
	}
	p = clonePoint(p)
	p.Node, p.Channel = n.UID, c.Name
	if c.Kind == greenhouse.Actuator {
		c.Class, c.Safe = p.Class, p.Safe
	}
	c.Point = p.ID
	return tx.savePoint(p)
}

// release frees the points of all channels of n, which point to @uid/channel afterwards.
func (tx *Tx) release(n *greenhouse.Node) error {
	for i := range n.Channels {
		if err := tx.releaseChannel(n, &n.Channels[i]); err != nil {
			return err
		}
	}
	return nil
}

// releaseChannel frees the point of one channel.
func (tx *Tx) releaseChannel(n *greenhouse.Node, c *greenhouse.Channel) error {
	held := c.Point
	c.Point = greenhouse.NodePoint(n.UID, c.Name)
	p, ok := tx.reg.Points[held]
	if !ok || p.Zone == "" || p.Node != n.UID {
		return nil
	}
	p = clonePoint(p)
	p.Node, p.Channel = "", ""
	return tx.savePoint(p)
}

// rebind follows an edit of a node's channels: points of channels that are gone
// become free, new channels get one, and what changed of an actuator's class and
// safe level goes to its point.
func (tx *Tx) rebind(old, n *greenhouse.Node) error {
	for i := range old.Channels {
		was := old.Channels[i]
		is, ok := n.Channel(was.Name)
		if !ok || is.Kind != was.Kind {
			if err := tx.releaseChannel(old, &was); err != nil {
				return err
			}
		}
		if ok {
			is.Point = was.Point
			if is.Kind != was.Kind {
				is.Point = ""
			}
		}
	}
	for i := range n.Channels {
		if _, ok := old.Channel(n.Channels[i].Name); !ok {
			n.Channels[i].Point = ""
		}
	}
	if err := tx.bindNew(n); err != nil {
		return err
	}
	return tx.pushToPoints(n)
}

// pushToPoints takes class and safe level of the actuators over to their points.
func (tx *Tx) pushToPoints(n *greenhouse.Node) error {
	for i := range n.Channels {
		c := &n.Channels[i]
		p, ok := tx.reg.Points[c.Point]
		if !ok || p.Zone == "" || c.Kind != greenhouse.Actuator || p.Class == c.Class && p.Safe == c.Safe {
			continue
		}
		p = clonePoint(p)
		p.Class, p.Safe = c.Class, c.Safe
		if err := tx.savePoint(p); err != nil {
			return err
		}
	}
	return nil
}
