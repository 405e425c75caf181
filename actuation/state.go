package actuation

import (
	"time"

	"greenhouse"
)

// enter brings an order into a state that the law of commands allows.
func (c *Controller) enter(o *order, to greenhouse.CommandState, now time.Time) {
	o.cmd.State, o.cmd.UpdatedAt, o.since = to, greenhouse.MillisOf(now), now
	c.mark(o)
	if to == greenhouse.CommandAccepted {
		o.deadline = now.Add(c.workTime(o))
	}
}

// workTime returns how long a node may work on an order it accepted.
func (c *Controller) workTime(o *order) time.Duration {
	switch o.cmd.Op {
	case greenhouse.OpSet:
		if o.a != nil {
			return max(c.o.Travel, o.a.position.workTime())
		}
		return c.o.Travel
	case greenhouse.OpPulse:
		return o.dur + reportMargin
	}
	return stopDeadline
}

// finish ends an order. Nothing changes its state after that.
func (c *Controller) finish(o *order, to greenhouse.CommandState, why string, now time.Time) {
	if !o.cmd.State.CanBecome(to) {
		return
	}
	c.enter(o, to, now)
	if why != "" {
		o.cmd.Error = why
	}
	c.stats.count(to)
	if code := eventOf(to); code != "" {
		c.event(o, code, now)
	}
	if o.a != nil {
		c.finished(o, now)
	}
	if o.a == nil || o.a.hold != o {
		c.forget(o)
	}
	c.tell()
}

// eventOf returns the code of the event that the end of a command is, "" for
// the ordinary ends.
func eventOf(s greenhouse.CommandState) string {
	switch s {
	case greenhouse.CommandTimeout:
		return "command_timeout"
	case greenhouse.CommandFenced:
		return "command_fenced"
	case greenhouse.CommandNoEffect, greenhouse.CommandInvalid, greenhouse.CommandError:
		return "command_failed"
	case greenhouse.CommandExpired:
		return "command_expired"
	}
	return ""
}

// finished draws the consequences for the actuator.
func (c *Controller) finished(o *order, now time.Time) {
	a, state := o.a, o.cmd.State
	switch state {
	case greenhouse.CommandSuperseded, greenhouse.CommandCancelled:
	case greenhouse.CommandDone:
		if a.failed != greenhouse.CommandNoEffect || !same(o.cmd.Value, a.jammed) { // staying where it is stuck proves nothing
			a.failures, a.failed = 0, ""
		}
		a.timeouts = 0
		a.node.isFenced = a.node.isFenced && o.cmd.Op == greenhouse.OpStop
	default:
		a.failures++
		a.failed = state
		if state == greenhouse.CommandNoEffect {
			a.jammed = a.reported
		}
		if state == greenhouse.CommandTimeout {
			a.timeouts++
		}
		if state == greenhouse.CommandFenced {
			a.node.isFenced, a.node.fenced = true, now.Add(fencedPause)
		}
	}
	switch o {
	case a.hold:
		c.unheld(o, now)
	case a.pulse:
		a.pulse = nil
	case a.stop:
		a.stop = nil
		c.stopped(o, now)
	}
}

// unheld draws the consequences of the end of a level. One that is done is held
// from now on; one that failed is tried again by a new command after a while,
// the safe level by a stop, which no node may refuse.
func (c *Controller) unheld(o *order, now time.Time) {
	a := o.a
	switch o.cmd.State {
	case greenhouse.CommandDone:
		return
	case greenhouse.CommandSuperseded, greenhouse.CommandCancelled:
	case greenhouse.CommandFenced:
		a.retryAt = now.Add(backoff(a.failures))
	default:
		a.retryAt = now.Add(backoff(a.failures))
		if a.stuck() && (o.cmd.Value != a.spec.Safe || a.spec.Modulating) {
			a.retryAt = now.Add(stuckBackoff) // it is stuck, people know: no endless tries
		}
		a.tryStop = a.tryStop || o.cmd.Value == a.spec.Safe
	}
	a.hold = nil
}

// forget drops a finished order and remembers its id for a while, to tell a late
// report from a foreign one.
func (c *Controller) forget(o *order) {
	if _, ok := c.orders[o.cmd.ID]; ok {
		delete(c.orders, o.cmd.ID)
		c.recent.add(o.cmd.ID)
	}
}

// mark puts an order on the list of what has to be saved.
func (c *Controller) mark(o *order) {
	if !o.dirty {
		o.dirty = true
		c.book.dirty = append(c.book.dirty, o)
	}
}

// post puts an order on the list of what has to be published.
func (c *Controller) post(o *order) {
	if o.wanting {
		return
	}
	o.wanting = true
	if o.cmd.Op == greenhouse.OpStop {
		c.book.urgent = append(c.book.urgent, o)
		return
	}
	c.book.outbox = append(c.book.outbox, o)
}

// tell wakes whoever waits for orders to end.
func (c *Controller) tell() {
	for _, w := range c.waiters {
		poke(w)
	}
}

// recent remembers the ids of finished commands, the last rememberIDs of them.
type recent struct {
	ids  map[greenhouse.CommandID]struct{}
	ring []greenhouse.CommandID
	next int
}

func newRecent() recent { return recent{ids: map[greenhouse.CommandID]struct{}{}} }

func (r *recent) add(id greenhouse.CommandID) {
	if _, ok := r.ids[id]; ok {
		return
	}
	r.ids[id] = struct{}{}
	if len(r.ring) < rememberIDs {
		r.ring = append(r.ring, id)
		return
	}
	delete(r.ids, r.ring[r.next])
	r.ring[r.next] = id
	r.next = (r.next + 1) % rememberIDs
}

func (r *recent) has(id greenhouse.CommandID) bool {
	_, ok := r.ids[id]
	return ok
}
