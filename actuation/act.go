package actuation

import (
	"encoding/json"
	"math"
	"strings"
	"time"

	"greenhouse"
)

// same reports whether two levels are one to equipment.
func same(a, b float64) bool { return math.Abs(a-b) <= toleranceStep }

// act brings the order book of an actuator in line with its level.
func (c *Controller) act(a *actuator, now time.Time) {
	if a.stop != nil { // one that goes on: nothing else until it is answered
		c.tend(a.stop, now)
		return
	}
	if o := a.hold; o != nil && o.open() && !now.Before(o.deadline) {
		c.overdue(o, now)
	}
	if o := a.hold; o != nil && c.lapsed(o, now) {
		c.drop(o, now)
	}
	if o := a.hold; o != nil && o.cmd.Value == a.level {
		c.tend(o, now)
		return
	}
	c.begin(a, now)
}

// lapsed reports whether the node is safe again because the lease is over.
func (c *Controller) lapsed(o *order, now time.Time) bool {
	return !o.silent() && !now.Before(o.leaseEnd)
}

// drop forgets a level whose lease is over; the device is at its safe level.
func (c *Controller) drop(o *order, now time.Time) {
	a := o.a
	if o.open() {
		c.finish(o, greenhouse.CommandTimeout, "its lease ended before it was done", now)
	}
	a.hold, a.known, a.differs = nil, false, time.Time{}
	c.forget(o)
	a.eq.Drive(a.spec, a.spec.Safe, o.leaseEnd)
}

// begin orders the level, if it is time for that.
func (c *Controller) begin(a *actuator, now time.Time) {
	if !c.wanted(a) || !a.node.online || now.Before(a.retryAt) || now.Before(a.node.fenced) {
		return
	}
	safe := a.level == a.spec.Safe
	if safe && a.hold == nil && a.known { // it went on by itself, or never went off
		a.differ(now)
	}
	if safe && a.tryStop {
		c.beginStop(a, a.cause(), now)
		return
	}
	end, basis := c.lease(a, now)
	if end.Sub(now) < a.spec.Lease/3 {
		return // the decision is too old to act on; a fresh one comes or the zone goes safe
	}
	if !safe && now.Before(a.node.unsure) {
		return
	}
	if a.starts() {
		if now.Sub(a.node.started) < c.o.Stagger || a.inTurn(now) {
			return
		}
		if lamp(a) && !c.lampTurn(now) {
			return
		}
		a.node.started = now
	}
	o := c.order(a, greenhouse.OpSet, now)
	o.cmd.Value, o.cmd.Cause, o.cmd.LeaseS = a.level, a.cause(), wholeSeconds(end.Sub(now))
	o.leaseEnd, o.basis, o.deadline = end, basis, end
	o.cmd.ExpiresAt = greenhouse.MillisOf(now).Add(end.Sub(now))
	c.supersede(a.hold, now)
	a.hold = o
	c.issue(o, now)
}

// starts reports whether a new order starts the device, which draws its inrush: it
// was off, or a drive has to find its end, or nobody knows yet whether it has.
func (a *actuator) starts() bool {
	return a.level != a.spec.Safe && a.eq.Level == 0 || a.spec.Modulating && !a.known || a.position.seeking()
}

// inTurn reports whether the device waits for its turn among the nodes that booted
// together. Safety does not wait; a zone that is not decided yet is no danger.
func (a *actuator) inTurn(now time.Time) bool {
	return now.Before(a.node.spread) && (a.void || !a.safety())
}

// differ counts a correction of a device that is not at its level.
func (a *actuator) differ(now time.Time) {
	if a.differs.IsZero() {
		a.differs = now
	}
	a.corrected++
	a.tryStop = a.tryStop || a.corrected > 1
	a.retryAt = now.Add(correctEvery)
}

// wanted reports whether the level needs an order. The safe level needs one only
// if the device is not known to be there; a pulse that runs ends by itself, and
// dosing pumps are never held.
func (c *Controller) wanted(a *actuator) bool {
	if a.pulse != nil {
		return false
	}
	if a.level != a.spec.Safe {
		return true
	}
	if a.hold == nil && a.known && same(a.reported, a.level) {
		a.differs, a.corrected = time.Time{}, 0
		return false
	}
	return !a.spec.OneShot || a.known
}

// lease returns when a level ordered now ends, and the decision that rests on. It
// counts from the decision, so that one that stops coming costs one lease at most.
func (c *Controller) lease(a *actuator, now time.Time) (end, basis time.Time) {
	basis = now
	if a.zone != nil && a.level != a.spec.Safe {
		basis = a.decidedAt
	}
	return basis.Add(a.spec.Lease), basis
}

// wholeSeconds rounds down: a lease on the node must not outlast ours.
func wholeSeconds(d time.Duration) int { return int(d / time.Second) }

// order makes a command of an actuator; the caller completes it.
func (c *Controller) order(a *actuator, op greenhouse.Op, now time.Time) *order {
	return &order{a: a, by: "edged", cmd: greenhouse.Command{
		ID: c.o.NewID(now), Epoch: c.o.Epoch, Node: a.Node, Channel: a.Channel, Point: a.Point, Op: op}}
}

// issue takes an order into the book: to be saved, then published.
func (c *Controller) issue(o *order, now time.Time) {
	at := greenhouse.MillisOf(now)
	o.cmd.State, o.cmd.CreatedAt, o.cmd.UpdatedAt = greenhouse.CommandQueued, at, at
	o.since = now
	c.orders[o.cmd.ID] = o
	c.stats.Issued++
	c.mark(o)
	if !o.routine(now) {
		c.event(o, "command_issued", now)
	}
	if c.nodeOf(o.cmd.Node).online {
		c.post(o)
	}
}

// routine reports whether an order is one more of a kind that was told of lately: a
// loop that switches in proportion gives thousands a day, which would drive all
// else out of the journal. The record of the command is kept all the same, and what
// goes wrong with it is told.
func (o *order) routine(now time.Time) bool {
	a := o.a
	if a == nil || o.cmd.Op != greenhouse.OpSet || !strings.HasPrefix(o.cmd.Cause, causePrefix(greenhouse.PriorityLoop)) {
		return false
	}
	if at, ok := a.toldOf[o.cmd.Cause]; ok && now.Sub(at) < tellEvery {
		return true
	}
	if a.toldOf == nil {
		a.toldOf = map[string]time.Time{}
	}
	a.toldOf[o.cmd.Cause] = now
	return false
}

// supersede ends an order that another one replaces.
func (c *Controller) supersede(o *order, now time.Time) {
	if o == nil {
		return
	}
	if o.open() {
		c.finish(o, greenhouse.CommandSuperseded, "", now)
	}
	if o.a != nil && o.a.hold == o {
		o.a.hold = nil
	}
	c.forget(o)
}

// tend sees to an order that is under way: repeats it, ends it at its deadline,
// renews its lease, corrects a device that does not follow.
func (c *Controller) tend(o *order, now time.Time) {
	switch {
	case o.open() && !now.Before(o.deadline):
		c.overdue(o, now)
	case o.silent():
		if o.cmd.Op != greenhouse.OpPulse && o.a != nil && o.a.node.online && !now.Before(o.nextTry) {
			c.stats.Retried += min(uint64(o.tries), 1)
			c.post(o)
		}
	case o.cmd.Op != greenhouse.OpSet:
	case o.cmd.State == greenhouse.CommandAccepted:
		c.renew(o, now)
	case o.a.level == o.a.spec.Safe:
		c.rest(o)
	case c.follows(o.a, o.since, now):
		c.renew(o, now)
	}
}

// overdue ends an order at its deadline. One that never left has not been done;
// what became of any other is unknown.
func (c *Controller) overdue(o *order, now time.Time) {
	if o.published.IsZero() {
		c.finish(o, greenhouse.CommandExpired, "the node was not reachable in time", now)
		return
	}
	why := "no report in time"
	if o.cmd.Op == greenhouse.OpPulse {
		why = "no report in time: the outcome is unknown and counts as delivered"
	}
	c.finish(o, greenhouse.CommandTimeout, why, now)
}

// rest forgets an order for the safe level once it is done: it needs no lease.
// What the device reports is watched on.
func (c *Controller) rest(o *order) {
	o.a.hold = nil
	c.forget(o)
}

// renew prolongs the lease under the same id, a third of it after the last time,
// if a newer decision than that stands behind it. The safe level needs no lease
// once it is reached; until then it does, for a screen may take longer to close
// than its lease lasts.
func (c *Controller) renew(o *order, now time.Time) {
	a := o.a
	if a.level == a.spec.Safe && !o.open() || !a.node.online {
		return
	}
	end, basis := c.lease(a, now)
	if basis.Sub(o.basis) < a.spec.Lease/3 || end.Sub(now) < a.spec.Lease/3 || now.Before(o.nextTry) {
		return
	}
	expires := greenhouse.MillisOf(now).Add(end.Sub(now))
	if expires <= o.cmd.ExpiresAt { // the wall clock went back: the node would not take it for a renewal
		c.supersede(o, now)
		c.begin(a, now)
		return
	}
	o.nextTry = now.Add(time.Second)
	c.post(o)
}

// follows reports whether the device does what was done by its word. One that
// does not is told again by a new command, not too often.
func (c *Controller) follows(a *actuator, since, now time.Time) bool {
	if !a.known || same(a.reported, a.level) {
		a.differs, a.corrected = time.Time{}, 0
		return true
	}
	if a.differs.IsZero() {
		a.differs = now
	}
	if now.Sub(a.differs) < c.o.Follow || now.Sub(since) < c.o.Follow || now.Before(a.retryAt) {
		return true
	}
	c.stats.Corrections++
	c.supersede(a.hold, now)
	c.begin(a, now)
	a.differ(now)
	return false
}

// event notes what happened to an order; the flush that saves the order appends it.
func (c *Controller) event(o *order, code string, now time.Time) {
	source := greenhouse.NodeSource(o.cmd.Node)
	if o.cmd.Point != "" {
		source = greenhouse.PointSource(o.cmd.Point)
	}
	detail, err := json.Marshal(o.cmd)
	if err != nil { // a value that is not a number; those are refused before
		detail = nil
	}
	if len(c.book.events) >= maxEvents {
		c.book.events = c.book.events[1:]
		c.stats.EventsLost++
	}
	c.book.events = append(c.book.events, greenhouse.Event{TS: greenhouse.MillisOf(now), Code: code, Source: source, Actor: o.by, Detail: detail})
}
