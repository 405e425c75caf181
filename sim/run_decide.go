package sim

import (
	"fmt"
	"time"

	"greenhouse"
	"greenhouse/actuation"
	"greenhouse/automation"
)

// alive reports whether the daemon does anything.
func (d *stand) alive() bool { return d.running && !d.hung }

// decide decides the zone and hands the outcome to actuation. A decision that
// panics is a failed one: the zone is protected and otherwise safe.
func (d *stand) decide() {
	if !d.alive() {
		return
	}
	in := &d.decider
	in.Zone, in.Site, in.Now, in.Trusted = d.zone, &d.site, d.r.now, d.r.trusted
	in.Location = d.r.start.Location()
	in.Sensors, in.Devices = in.Sensors[:0], in.Devices[:0]
	for _, p := range d.points {
		if p.Kind == greenhouse.Actuator {
			l, known := d.ctl.Level(p.ID)
			in.Devices = append(in.Devices, automation.Device{Point: p, Applied: l.Applied(), Known: known && l.Known, Online: l.Online, Motor: l.Motor})
			continue
		}
		s := automation.Sensor{Point: p, Interval: time.Duration(d.r.s.Interval)}
		if l := d.latest[p.ID]; l != nil {
			s.Latest, s.Heard = *l, true
		}
		in.Sensors = append(in.Sensors, s)
	}
	in.Outside = in.Sensors
	dec := d.brain.Decide(in)
	d.climate, d.day = dec.Climate, dec.Day
	d.doubted = append(d.doubted[:0], dec.Doubted...)
	wants := make([]actuation.Want, len(dec.Wants))
	urgent := false
	for i := range dec.Wants {
		w := &dec.Wants[i]
		wants[i] = actuation.Want{Point: w.Point, Claims: w.Claims, Inputs: w.Inputs, Terms: w.Terms, Timers: w.Timers, Aim: w.Aim}
		for k := range w.Claims {
			urgent = urgent || w.Claims[k].Urgent
		}
	}
	d.ctl.Apply(dec.Zone, dec.At, wants)
	d.observe(dec.Conditions...)
	if urgent {
		d.cycle()
	}
}

// cycle has actuation bring everything one step on.
func (d *stand) cycle() {
	if !d.alive() {
		return
	}
	if d.ctl.Cycle() == nil && d.r.now.Sub(d.saved) >= time.Minute {
		d.saved, d.wear = d.r.now, d.ctl.State()
		if b, ok := d.brain.(rememberer); ok {
			d.memory = b.Memory()
		}
	}
}

// watch looks at nodes, alarms and overrides.
func (d *stand) watch() {
	if !d.alive() {
		return
	}
	d.grow()
	now := d.r.now
	for _, c := range d.presence.Changes(now) {
		state := "offline"
		if c.Online {
			state = "online"
		}
		d.r.tell(d.nick(string(c.UID)) + " is " + state)
	}
	d.conds = d.presence.Conditions(d.conds[:0], now)
	d.conds = d.ctl.Conditions(d.conds)
	if d.r.trusted || d.r.doubted.IsZero() {
		d.r.doubted = now
	}
	d.conds = append(d.conds, greenhouse.Condition{Source: greenhouse.SiteSource, Code: "clock_untrusted", Severity: greenhouse.Warning, Active: now.Sub(d.r.doubted) >= greenhouse.ClockWaits})
	d.observe(d.conds...)
	for id, o := range d.overrides {
		if o.ExpiresAt <= greenhouse.MillisOf(now) {
			delete(d.overrides, id)
			d.r.tell("override of " + string(id) + " expired")
			d.sync()
		}
	}
}

// node returns the node of a uid.
func (r *run) node(uid greenhouse.UID) *wired {
	for _, n := range r.nodes {
		if n.uid == uid {
			return n
		}
	}
	return nil
}

// target replaces the name of a node by its uid, and a bare channel by its point.
func (r *run) target(s string) string {
	for _, n := range r.nodes {
		if n.dev.plan.Name == s {
			return string(n.uid)
		}
	}
	for _, p := range r.daemon.points {
		if string(scenarioZone)+"/"+s == string(p.ID) {
			return string(p.ID)
		}
	}
	return s
}

// act carries out an entry of the timeline.
func (r *run) act(a *Action) {
	d, end := r.daemon, time.Duration(a.For)
	switch {
	case a.Fault.Verb != "":
		r.inject(a.Fault)
	case a.Override != "":
		id := greenhouse.PointID(r.target(a.Override))
		o := &greenhouse.Override{Point: id, Value: a.Level, Reason: "by the scenario", By: "grower", CreatedAt: greenhouse.MillisOf(r.now), ExpiresAt: greenhouse.MillisOf(r.now.Add(end))}
		d.overrides[id] = o
		r.tell(fmt.Sprintf("%s is set to %.0f %% by hand for %v", a.Override, 100*a.Level, end))
		d.sync()
	case a.Release != "":
		delete(d.overrides, greenhouse.PointID(r.target(a.Release)))
		d.sync()
	case a.Targets != nil, a.Mode != "":
		r.edit(a)
	case a.Advance != "":
		r.err = d.advance(a.Advance)
	case a.Stop:
		d.stopped = true
		r.tell("emergency stop")
		d.ctl.Stop("")
	case a.Resume:
		d.stopped = false
		r.tell("the emergency stop is released")
		d.ctl.Resume("")
	case a.Clock != "":
		r.trusted = a.Clock == "trusted"
		r.tell("the clock is " + a.Clock)
	default:
		r.breakDown(a, end)
	}
	for _, n := range r.nodes {
		n.tick()
	}
}

// edit changes what people want of the zone.
func (r *run) edit(a *Action) {
	z := *r.daemon.zone
	targets := make(map[greenhouse.Quantity]greenhouse.Target, len(z.Targets))
	for q, t := range z.Targets {
		targets[q] = t
	}
	z.Targets = targets
	if err := a.Targets.over(&z); err != nil {
		r.err = err
		return
	}
	if a.Mode != "" {
		z.Mode = greenhouse.Mode(a.Mode)
		r.tell("the zone is in mode " + a.Mode)
		if z.Mode != greenhouse.ModeAuto {
			r.daemon.ctl.Halt(z.ID)
		}
	} else {
		r.tell("new targets")
	}
	r.daemon.zone = &z
}

// inject makes something go wrong.
func (r *run) inject(f Fault) {
	f.Target, f.With = r.target(f.Target), r.target(f.With)
	if f, err := r.world.Inject(f); err != nil {
		r.err = err
	} else {
		r.tell("fault: " + r.daemon.nick(f.String()))
		if f.For > 0 {
			r.in(f.For, func() { r.tell("over: " + r.daemon.nick(f.String())) })
		}
	}
}

// breakDown takes something away for a while.
func (r *run) breakDown(a *Action, end time.Duration) {
	d := r.daemon
	switch {
	case a.Daemon == "hang":
		r.tell("the daemon hangs")
		d.hung = true
		r.in(noticed, func() {
			if d.hung {
				r.dropAll() // nodes get no answer to their pings
			}
		})
		r.in(end, func() { d.hung = false; r.tell("the daemon goes on") })
	case a.Daemon != "":
		r.tell("the daemon is killed")
		r.halt(max(end, time.Second))
	case a.Broker != "":
		r.tell("the network is down")
		r.broker = false
		r.dropAll()
		r.in(end, func() { r.broker = true; r.tell("the network is back") })
	case a.Power != "":
		r.tell("the power fails")
		r.inject(Fault{Verb: Silent, Target: "site", For: end})
		r.halt(end)
	case a.Disk != "":
		r.tell("the disk is full")
		d.diskBad = true
		r.in(end, func() { d.diskBad = false; r.tell("the disk has room") })
	}
}

// halt ends the daemon at once and starts it after a while.
func (r *run) halt(after time.Duration) {
	d := r.daemon
	d.running = false
	r.dropAll()
	r.in(after, func() {
		r.tell("the daemon starts")
		if err := d.boot(); err != nil {
			r.err = err
		}
	})
}

// dropAll ends every session.
func (r *run) dropAll() {
	for _, n := range r.nodes {
		if n.up {
			n.lose(false)
			n.follow()
		}
	}
}
