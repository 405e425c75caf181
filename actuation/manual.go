package actuation

import (
	"context"
	"strings"
	"time"

	"greenhouse"
)

// orderTTL is how long an order by hand waits for its node if it does not say.
const orderTTL = 30 * time.Second

// overrideTime is how long an order for a level holds where it does not say.
const overrideTime = 2 * time.Hour

// Command gives a one-time order: pulse, stop, calibrate, identify or reboot, by
// a person or by a function of automation that doses. Node, Op and what the op
// needs have to be set, Cause says who; ExpiresAt is how long it may wait for its
// node, 0 for 30 s. The order is saved when Command returns, and sent if its node
// is online; what becomes of it is told by Options.OnCommand and by the store.
//
// The envelope lies below it: a pulse needs everything that switching on needs,
// and is refused with ErrForbidden under an emergency stop, against a safety
// claim, without a fresh decision of the zone, or against the equipment's limits.
// A level is no one-time order: it is refused with the code "use_override", see
// [AsOverride].
//
// A stop ends what runs; afterwards decisions count again. Its channel may be ""
// for the whole node. It is sent before it is saved.
func (c *Controller) Command(ctx context.Context, cmd greenhouse.Command) (greenhouse.Command, error) {
	if err := ctx.Err(); err != nil {
		return greenhouse.Command{}, err
	}
	c.mu.Lock()
	o, err := c.admit(cmd, c.now())
	c.mu.Unlock()
	if err != nil {
		return greenhouse.Command{}, err
	}
	saveErr := c.flush()
	c.mu.Lock()
	defer c.mu.Unlock()
	if saveErr != nil && o.cmd.Op == greenhouse.OpPulse && !o.saved && o.open() { // no intent, no dose; nor one later, when nobody expects it
		c.finish(o, greenhouse.CommandCancelled, "its intent could not be saved in time, so it was not sent", c.now())
	}
	if saveErr != nil && !o.saved && o.cmd.State == greenhouse.CommandCancelled {
		return o.cmd, greenhouse.Unavailable("not_saved", "the order could not be stored, so it was not sent: %v", saveErr)
	}
	return o.cmd, nil
}

// AsOverride returns an order for a level as the override that it is: it lasts
// until the order expires, 2 h if it does not say, 24 h at most.
func AsOverride(cmd greenhouse.Command, now time.Time) (greenhouse.Override, error) {
	level, ok := levelOf(&cmd.Value)
	if cmd.Op != greenhouse.OpSet || cmd.Point == "" || !ok {
		return greenhouse.Override{}, greenhouse.Invalid("override_invalid", "a level from 0 to 1 of an actuator is needed")
	}
	at := greenhouse.MillisOf(now)
	end := cmd.ExpiresAt
	if end <= at {
		end = at.Add(overrideTime)
	}
	return greenhouse.Override{Point: cmd.Point, Value: level, By: cmd.Cause, Reason: "ordered by hand", CreatedAt: at,
		ExpiresAt: min(end, at.Add(longestOverride))}, nil
}

// admit checks an order against the envelope and takes it into the book.
func (c *Controller) admit(cmd greenhouse.Command, now time.Time) (*order, error) {
	if c.closing {
		return nil, errStopping()
	}
	if len(c.loose) >= MaxOrders {
		return nil, greenhouse.Unavailable("too_many_orders", "%d orders are open", len(c.loose))
	}
	o := &order{by: cmd.Cause, cmd: greenhouse.Command{ID: c.o.NewID(now), Epoch: c.o.Epoch, Node: cmd.Node, Channel: cmd.Channel,
		Op: cmd.Op, Value: cmd.Value, DurMs: cmd.DurMs, VolumeML: cmd.VolumeML, Cause: cmd.Cause}}
	wait := cmd.ExpiresAt.Sub(greenhouse.MillisOf(now))
	if cmd.ExpiresAt == 0 || wait > longestOverride {
		wait = orderTTL
	}
	if wait <= 0 {
		return nil, greenhouse.Invalid("command_expired", "the order expired before it was given")
	}
	o.deadline, o.cmd.ExpiresAt = now.Add(wait), greenhouse.MillisOf(now).Add(wait)
	a := c.outputOf(cmd.Node, cmd.Channel)
	switch cmd.Op {
	case greenhouse.OpIdentify, greenhouse.OpReboot, greenhouse.OpCalibrate:
		c.place(o, now)
		return o, nil
	case greenhouse.OpStop:
		return c.admitStop(o, a, now)
	case greenhouse.OpPulse:
		return c.admitPulse(o, a, now)
	case greenhouse.OpSet:
		return nil, greenhouse.Conflict("use_override", "a level is set by an override, which ends by itself").
			WithHint("greenctl zone override POINT VALUE --for 1h --reason TEXT")
	}
	return nil, greenhouse.Invalid("op_invalid", "operation %q is unknown: it is pulse, stop, calibrate, identify or reboot", cmd.Op)
}

// outputOf returns the actuator behind a channel of a node, nil for none.
func (c *Controller) outputOf(uid greenhouse.UID, ch greenhouse.ChannelName) *actuator {
	if n := c.nodes[uid]; n != nil && ch != "" {
		for _, a := range n.actuators {
			if a.Channel == ch {
				return a
			}
		}
	}
	return nil
}

// place takes an order into the book that only its deadline and its node end.
func (c *Controller) place(o *order, now time.Time) {
	c.loose = append(c.loose, o)
	c.issue(o, now)
}

// admitStop stops one actuator, or a whole node.
func (c *Controller) admitStop(o *order, a *actuator, now time.Time) (*order, error) {
	if a != nil {
		if !a.node.online {
			return nil, greenhouse.Unavailable("node_offline", "node %s is offline: its devices go safe by themselves when their lease ends", o.cmd.Node)
		}
		a.halting, a.haltedBy, a.confirmed, a.retryAt = true, o.by, false, time.Time{}
		c.step(a, now)
		return a.stop, nil
	}
	o.cmd.ExpiresAt = 0
	if o.cmd.Channel == "" {
		for _, b := range c.nodeOf(o.cmd.Node).actuators {
			b.halting = b.node.online
			b.haltedBy, b.confirmed, b.retryAt = o.by, false, time.Time{}
			c.step(b, now)
		}
	}
	c.place(o, now)
	return o, nil
}

// admitPulse admits a bounded run if switching on would be admitted.
func (c *Controller) admitPulse(o *order, a *actuator, now time.Time) (*order, error) {
	if a == nil {
		return nil, greenhouse.NotFound("actuator", string(o.cmd.Node)+"/"+string(o.cmd.Channel))
	}
	if err := c.checkPulse(o, a, now); err != nil {
		return nil, err
	}
	o.a, o.cmd.Point = a, a.Point
	o.dur = time.Duration(o.cmd.DurMs) * time.Millisecond
	if o.cmd.DurMs == 0 {
		o.dur = a.spec.MaxRun // how long a volume takes only the node knows
	}
	c.supersede(a.hold, now) // the safe level, perhaps not confirmed yet
	a.pulse = o
	c.place(o, now)
	return o, nil
}

func (c *Controller) checkPulse(o *order, a *actuator, now time.Time) error {
	dur := time.Duration(o.cmd.DurMs) * time.Millisecond
	switch {
	case o.cmd.DurMs < 0 || !(o.cmd.VolumeML >= 0) || (o.cmd.DurMs > 0) == (o.cmd.VolumeML > 0) || o.cmd.VolumeML > 1e6:
		return greenhouse.Invalid("pulse_invalid", "a pulse needs ms or ml, one of them and above 0")
	case a.spec.Modulating || a.spec.Safe > 0:
		return greenhouse.Invalid("pulse_invalid", "%s (%s) is held at a level and takes no pulses", a.Point, a.Class)
	case a.spec.MaxRun > 0 && dur > a.spec.MaxRun:
		return greenhouse.Forbidden("pulse_too_long", "%s is longer than %s may run (%s)", dur, a.Point, a.spec.MaxRun)
	case a.pulse != nil:
		return greenhouse.Forbidden("pulse_running", "a pulse of %s is under way (%s)", a.Point, a.pulse.cmd.ID)
	case c.stopping(a) || a.stop != nil:
		return greenhouse.Forbidden("stopped", "%s is stopped", a.Point).WithHint("greenctl resume")
	case a.zone != nil && !a.fresh(now, c.o.DecisionAge):
		return greenhouse.Forbidden("not_decided", "zone %s has no fresh decision, so nobody watches over %s", a.Zone, a.Point)
	case a.hold != nil && a.hold.cmd.Value > 0 || a.known && a.reported > toleranceStep:
		return greenhouse.Forbidden("already_on", "%s is on", a.Point)
	}
	return c.permitPulse(o, a, now)
}

// permitPulse arbitrates the pulse against the claims that hold, at the priority
// of a person or, for automation's own, of a loop.
func (c *Controller) permitPulse(o *order, a *actuator, now time.Time) error {
	p := greenhouse.PriorityManual
	if automatic(o.cmd.Cause) {
		p = greenhouse.PriorityLoop
	}
	a.gather(now, false, c.o.DecisionAge)
	claims := []greenhouse.Claim{{Priority: p, Owner: "pulse", Value: 1}}
	for _, claim := range a.all {
		if claim.Bound() || claim.Priority < p { // a level of its own rank or weaker is what the pulse departs from
			claims = append(claims, claim)
		}
	}
	out := Arbitrate(a.spec.Safe, false, claims)
	if out.Level < 1 {
		w := claims[out.Winner]
		return greenhouse.Forbidden("refused_by_envelope", "%s (%s) forbids it: %s", w.Priority, w.Owner, w.Reason)
	}
	dur := time.Duration(o.cmd.DurMs) * time.Millisecond
	if dur == 0 {
		dur = a.spec.MaxRun // how long a volume takes only the node knows
	}
	if r := a.eq.PermitPulse(a.spec, dur, now); r.Limit != LimitNone {
		return greenhouse.Forbidden("refused_by_envelope", "%s of %s forbids it: %s", r.Limit, a.Point, r.reason())
	}
	return nil
}

// automatic reports whether a cause is a function of automation.
func automatic(cause string) bool {
	return strings.HasPrefix(cause, "loop:") || strings.HasPrefix(cause, "schedule:")
}

// tendLoose sees to the orders that no actuator tends: it publishes those whose
// node came back in time, and ends those whose deadline is over.
func (c *Controller) tendLoose(now time.Time) {
	kept := c.loose[:0]
	for _, o := range c.loose {
		switch {
		case !o.open():
			continue
		case !now.Before(o.deadline):
			c.overdue(o, now)
			continue
		case o.published.IsZero() && !now.Before(o.nextTry) && c.nodeOf(o.cmd.Node).online:
			c.post(o)
		case o.cmd.Op == greenhouse.OpStop && o.silent() && !now.Before(o.nextTry) && c.nodeOf(o.cmd.Node).online:
			c.post(o)
		}
		kept = append(kept, o)
	}
	clear(c.loose[len(kept):])
	c.loose = kept
}
