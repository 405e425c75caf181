package actuation

import (
	"context"
	"fmt"
	"time"

	"greenhouse"
)

// Stop brings a zone, or with "" everything, to its safe levels at once and holds
// it there until [Controller.Resume]. The stops are with the broker when it
// returns; they are saved by the next cycle, as a disk that hangs must not hold
// them up. They are repeated until every node has confirmed.
func (c *Controller) Stop(id greenhouse.ZoneID) {
	c.mu.Lock()
	if id == "" {
		c.stopAll.here = true
	} else {
		c.zone(id).stop.here = true
	}
	c.stopNow(id, "operator")
	c.mu.Unlock()
	c.publishStops()
	c.Wake()
}

// Resume releases the emergency stop of a zone, or with "" that of everything.
// It does not touch the other of the two: a zone stopped by itself stays so.
func (c *Controller) Resume(id greenhouse.ZoneID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id == "" {
		c.stopAll = latch{}
	} else {
		c.zone(id).stop = latch{}
	}
	c.Wake()
}

// Halt brings a zone to its safe levels at once, as when its mode becomes manual
// or off, without holding it there: once its node has answered, or 30 s after it
// was told, decisions and overrides count again for an actuator. A node that is
// offline goes safe by its leases.
func (c *Controller) Halt(id greenhouse.ZoneID) {
	c.mu.Lock()
	for _, a := range c.actuators {
		if a.Zone == id && a.node.online {
			a.halting, a.haltedBy = true, "edged"
		}
	}
	c.stopNow(id, "edged")
	c.mu.Unlock()
	c.publishStops()
	c.Wake()
}

// stopNow orders a stop of every actuator of a zone, "" for all.
func (c *Controller) stopNow(id greenhouse.ZoneID, by string) {
	now := c.now()
	for _, a := range c.actuators {
		if id == "" || a.Zone == id {
			a.confirmed, a.haltedBy = false, by
			c.step(a, now)
		}
	}
}

// repeatStops repeats the stops that nobody confirmed every Period until ctx
// ends. It is a goroutine of its own because a cycle may hang with the disk.
func (c *Controller) repeatStops(ctx context.Context) {
	t := time.NewTicker(c.o.Period)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		c.mu.Lock()
		now := c.now()
		for _, a := range c.actuators {
			if a.stopping && !c.quiet(a) {
				c.step(a, now)
			}
		}
		c.mu.Unlock()
		c.publishStops()
	}
}

// actStop sees to it that a stop is ordered, repeated and confirmed.
func (c *Controller) actStop(a *actuator, now time.Time) {
	c.supersede(a.hold, now)
	if p := a.pulse; p != nil && p.published.IsZero() {
		c.finish(p, greenhouse.CommandCancelled, "stopped before it was sent", now)
	}
	if a.stop != nil {
		c.tend(a.stop, now)
	}
	if a.stop == nil && !c.quiet(a) && a.node.online && !now.Before(a.retryAt) {
		if a.confirmed {
			a.differ(now) // it went on again after it had stopped
		}
		c.beginStop(a, "stop:"+a.stoppedBy(), now)
	}
}

// quiet reports whether a stopped actuator is known to be at its safe level.
func (c *Controller) quiet(a *actuator) bool {
	return a.confirmed && (!a.known || same(a.reported, a.spec.Safe))
}

func (a *actuator) stoppedBy() string {
	if a.haltedBy == "" {
		return "edged"
	}
	return a.haltedBy
}

// beginStop orders a stop.
func (c *Controller) beginStop(a *actuator, cause string, now time.Time) {
	c.supersede(a.hold, now)
	o := c.order(a, greenhouse.OpStop, now)
	o.cmd.Value, o.cmd.Cause, o.deadline, o.by = a.spec.Safe, cause, now.Add(stopDeadline), a.stoppedBy()
	a.stop = o
	c.issue(o, now)
}

// stopped draws the consequences of a stop that ended.
func (c *Controller) stopped(o *order, now time.Time) {
	a := o.a
	a.halting = false
	switch o.cmd.State {
	case greenhouse.CommandDone, greenhouse.CommandNoEffect:
		a.confirmed, a.tryStop = o.cmd.State == greenhouse.CommandDone, false
		if !a.known {
			a.reported, a.known, a.reportedAt = a.spec.Safe, true, now
		}
		a.eq.Drive(a.spec, a.spec.Safe, now)
		if !a.confirmed {
			a.retryAt = now.Add(stopAgain)
		}
	case greenhouse.CommandTimeout:
	default:
		a.retryAt = now.Add(stopAgain)
	}
}

// Shutdown stops every actuator that is not known to be at its safe level and
// takes no more orders, for ever. It waits until all nodes that are online have
// confirmed, at most until ctx ends, and says how many have not. Run may go on
// meanwhile or have ended.
func (c *Controller) Shutdown(ctx context.Context) error {
	c.mu.Lock()
	c.closing = true
	now := c.now()
	for _, a := range c.actuators {
		a.confirmed = a.known && same(a.reported, a.spec.Safe) && (a.hold == nil || a.hold.cmd.Value == a.spec.Safe) && a.pulse == nil
		a.haltedBy = "edged"
		c.step(a, now)
	}
	wait := make(chan struct{}, 1)
	c.waiters = append(c.waiters, wait)
	c.mu.Unlock()
	c.publishStops()
	t := time.NewTicker(c.o.Period)
	defer t.Stop()
	saved := make(chan error, 1)
	var running bool
	var err error
	for {
		if !running {
			running = true
			go func() { saved <- c.Cycle() }() // it may hang with the disk; that must not keep the daemon
		}
		select {
		case err = <-saved:
			running = false
			if c.unconfirmed() == 0 && !c.unsavedLeft() {
				return err
			}
			select {
			case <-wait:
			case <-t.C:
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return c.leftOver(ctx, err)
		}
	}
}

// leftOver says what a shutdown that ran out of time did not reach.
func (c *Controller) leftOver(ctx context.Context, err error) error {
	if n := c.unconfirmed(); n > 0 {
		return fmt.Errorf("stop actuators: %d did not confirm: %w", n, context.Cause(ctx))
	}
	return err
}

// unsavedLeft reports whether something waits for a save that can work.
func (c *Controller) unsavedLeft() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.book.saving || len(c.book.dirty) > 0 && !c.book.failed
}

// unconfirmed returns how many actuators on nodes that are online have not
// confirmed that they stopped.
func (c *Controller) unconfirmed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, a := range c.actuators {
		if a.node.online && !a.confirmed {
			n++
		}
	}
	return n
}
