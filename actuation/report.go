package actuation

import (
	"math"
	"time"

	"greenhouse"
)

// Report is what a node says became of a command.
type Report struct {
	ID     greenhouse.CommandID
	Status greenhouse.CommandState
	Value  *float64 // the level the device has now; nil: not said
	Error  string
}

// Report takes a node's report. done hears when what it says is on disk, or why
// it is not; nil if nobody waits. A report that comes early, twice, late, for the
// command of another node or for none is counted and changes nothing; it is
// answered with nil, for sending it again would not help.
func (c *Controller) Report(uid greenhouse.UID, r Report, done func(error)) {
	if done == nil {
		done = func(error) {}
	}
	c.mu.Lock()
	c.stats.Reports++
	o := c.orders[r.ID]
	switch {
	case o == nil && !c.recent.has(r.ID):
		c.stats.Unknown++
	case o != nil && o.cmd.Node != uid:
		c.stats.Foreign++
	default:
		if o == nil {
			c.stats.Late++
		} else {
			c.reported(o, r, c.now())
		}
		c.book.acks = append(c.book.acks, done)
		c.mu.Unlock()
		poke(c.save)
		return
	}
	c.mu.Unlock()
	done(nil)
}

// reported applies a report to an order of the node that sent it.
func (c *Controller) reported(o *order, r Report, now time.Time) {
	if !reportable(r.Status) {
		c.stats.Malformed++
		return
	}
	if o.cmd.State.CanBecome(r.Status) {
		c.apply(o, r, now)
		return
	}
	c.stats.Repeated++
	if o.a == nil || o.a.hold != o || o.open() {
		return
	}
	// The level was done and is being renewed. A node that answers with anything
	// else than its first result no longer holds it.
	if r.Status != o.cmd.State && r.Status.Terminal() {
		a := o.a
		c.supersede(o, now)
		a.known, a.differs = false, time.Time{}
		a.failures++
		a.failed, a.retryAt = r.Status, now.Add(backoff(a.failures))
		if r.Status == greenhouse.CommandExpired {
			a.eq.Drive(a.spec, a.spec.Safe, now)
		}
		c.Wake()
	}
}

// apply brings an order to the state its node reports.
func (c *Controller) apply(o *order, r Report, now time.Time) {
	value, valued := levelOf(r.Value)
	if valued {
		o.cmd.Reported = &value
	}
	if a := o.a; a != nil && !a.dead {
		c.noteLevel(o, r.Status, value, valued, now)
	}
	if r.Status.Terminal() {
		c.finish(o, r.Status, r.Error, now)
		if o.a != nil {
			c.Wake()
		}
		return
	}
	c.enter(o, r.Status, now)
}

// noteLevel keeps what a report says about the level of a device. Where a node
// says "done" and no value, it has the one it was told.
func (c *Controller) noteLevel(o *order, status greenhouse.CommandState, value float64, valued bool, now time.Time) {
	a := o.a
	switch {
	case o != a.hold && o != a.stop && o != a.pulse:
		return
	case o == a.pulse && status == greenhouse.CommandDone:
		value, valued = a.spec.Safe, true // it ends at the safe level whatever it measured on the way
	case o == a.pulse:
		return
	case !valued && status == greenhouse.CommandDone:
		value, valued = o.cmd.Value, true
	}
	if !valued {
		return
	}
	a.reported, a.known, a.reportedAt = value, true, now
	switch status {
	case greenhouse.CommandDone:
		c.driven(a, value, now)
	case greenhouse.CommandNoEffect:
		a.eq.Stay(a.spec, value, now)
	}
}

// driven tells protection where the device really is. A level next to the one
// ordered is that one: a position sensor is not exact.
func (c *Controller) driven(a *actuator, value float64, now time.Time) {
	if !same(value, a.eq.Level) {
		a.eq.Drive(a.spec, value, now)
	}
}

// Observe takes the level of an actuator from telemetry. A level that stays away
// from the one ordered is corrected.
func (c *Controller) Observe(p greenhouse.PointID, level float64) {
	value, ok := levelOf(&level)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.points[p]
	if a == nil || !a.node.online {
		return
	}
	now := c.now()
	if o := a.hold; o != nil && (o.open() || now.Sub(o.since) < firstRetry) && !same(value, o.cmd.Value) {
		return // measured before the order was carried out, or on the way
	}
	if a.pulse != nil || a.stop != nil {
		return
	}
	a.reported, a.known, a.reportedAt = value, true, now
}

// levelOf returns a level that was reported, and whether it is one.
func levelOf(v *float64) (float64, bool) {
	if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) || *v < -toleranceStep || *v > 1+toleranceStep {
		return 0, false
	}
	return unit(*v), true
}

// reportable reports whether a node may say that of a command.
func reportable(s greenhouse.CommandState) bool {
	switch s {
	case greenhouse.CommandAccepted, greenhouse.CommandDone, greenhouse.CommandNoEffect, greenhouse.CommandInvalid,
		greenhouse.CommandBusy, greenhouse.CommandExpired, greenhouse.CommandFenced, greenhouse.CommandError:
		return true
	}
	return false
}
