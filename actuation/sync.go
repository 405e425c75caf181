package actuation

import (
	"fmt"
	"time"

	"greenhouse"
)

// Sync takes the plant as the registry has it now. An actuator that went away or
// got another node is stopped on the node it had; what its equipment went through
// stays with the point, and with the output of the node. Emergency stops that the
// registry holds are taken over, and one it released is released here.
func (c *Controller) Sync(p Plant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	old := c.points
	c.points = make(map[greenhouse.PointID]*actuator, len(p.Actuators))
	outputs := outputsOf(c.actuators)
	c.actuators = make([]*actuator, 0, len(p.Actuators))
	for _, n := range c.nodes {
		n.actuators = n.actuators[:0]
	}
	for _, spec := range p.Actuators {
		if c.points[spec.Point] != nil {
			continue
		}
		a := c.adopt(spec, old[spec.Point], outputs[output{spec.Node, spec.Channel}], now)
		a.setOverride(p.Overrides[spec.Point], now)
		c.points[spec.Point] = a
		c.actuators = append(c.actuators, a)
		a.node.actuators = append(a.node.actuators, a)
	}
	for id, a := range old {
		if c.points[id] != a {
			c.abandon(a, now)
		}
	}
	c.lamps = 0
	for _, a := range c.actuators {
		if lamp(a) {
			c.lamps++
		}
	}
	c.takeLatches(p)
	c.o.StateLost = false // equipment that comes later is new, or inherits
	c.Wake()
}

// output is one actuator channel of one node.
type output struct {
	node    greenhouse.UID
	channel greenhouse.ChannelName
}

func outputsOf(list []*actuator) map[output]*actuator {
	m := make(map[output]*actuator, len(list))
	for _, a := range list {
		m[output{a.Node, a.Channel}] = a
	}
	return m
}

// adopt returns the actuator of a point: the one it was, while its output is the
// same, else a new one that inherits the wear of the point and of the output.
func (c *Controller) adopt(spec Actuator, was, at *actuator, now time.Time) *actuator {
	if was != nil && was.Node == spec.Node && was.Channel == spec.Channel && was.Zone == spec.Zone {
		was.Actuator, was.spec = spec, spec.spec()
		return was
	}
	a := &actuator{Actuator: spec, spec: spec.spec(), node: c.nodeOf(spec.Node), level: spec.Safe}
	if spec.Zone != "" {
		a.zone = c.zone(spec.Zone)
	}
	a.eq.Reset(a.spec, now)
	if c.o.StateLost {
		a.eq.doubt(a.spec, now)
	}
	if s, ok := c.ghosts.Equipment[spec.Point]; ok {
		a.eq.restore(a.spec, s, now)
		delete(c.ghosts.Equipment, spec.Point)
	}
	if now.Before(c.o.SettledAt) {
		a.eq.Settle(c.o.SettledAt)
	}
	for _, b := range [...]*actuator{was, at} {
		if b != nil {
			a.eq.inherit(a.spec, &b.eq, now)
		}
	}
	return a
}

// abandon stops an output that is no longer the point's, unless it serves another
// point now, and lets its open orders end by themselves.
func (c *Controller) abandon(a *actuator, now time.Time) {
	a.dead = true
	c.supersede(a.hold, now)
	if p := a.pulse; p != nil && p.published.IsZero() {
		c.finish(p, greenhouse.CommandCancelled, "its actuator was taken away before it was sent", now)
	}
	if a.node.online && a.stop == nil {
		c.beginStop(a, "edged:unbound", now)
	}
	if a.stop != nil {
		c.loose = append(c.loose, a.stop)
	}
}

// takeLatches takes over the emergency stops of the registry. One that was there
// and is no more was resumed.
func (c *Controller) takeLatches(p Plant) {
	set := func(l *latch, on bool) {
		if l.registry && !on {
			l.here = false
		}
		l.registry = on
	}
	set(&c.stopAll, p.StoppedAll)
	for id, z := range c.zones {
		set(&z.stop, p.Stopped[id])
	}
	for id, on := range p.Stopped {
		if on {
			c.zone(id).stop.registry = true
		}
	}
}

// longestOverride is the longest a level may be held by hand.
const longestOverride = 24 * time.Hour

// setOverride takes an override of the registry. Its end is kept in monotonic
// time, so that a step of the wall clock neither prolongs nor ends it.
func (a *actuator) setOverride(o *greenhouse.Override, now time.Time) {
	switch {
	case o == nil:
		a.override = nil
		return
	case a.override != nil && *a.override == *o:
		return
	}
	kept := *o
	a.override = &kept
	left := min(o.ExpiresAt.Sub(greenhouse.MillisOf(now)), longestOverride)
	a.overrideEnd = now.Add(left)
	reason := o.Reason
	if reason == "" {
		reason = fmt.Sprintf("set by %s", o.By)
	}
	a.overrideClaim = greenhouse.Claim{Priority: greenhouse.PriorityManual, Owner: "override:" + o.By, Value: o.Value, Reason: reason}
}
