package edge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"greenhouse"
	"greenhouse/actuation"
	"greenhouse/api"
	"greenhouse/server"
	"greenhouse/store"
	"greenhouse/wire"
)

// bucketWear is where the equipment counters are kept in the registry.
const bucketWear = "equipment"

// openActuation builds the controller of all equipment over the registry's
// commands. Everything is off until a fresh decision.
func (d *Daemon) openActuation() error {
	settled, err := d.noteBoot()
	if err = errors.Join(err, d.dropOverrides()); err != nil {
		d.log.Error("start not written down", "error", err)
	}
	d.teardown.push("boots", d.noteEnd)
	reg := d.store.Registry()
	o := actuation.Options{
		Store: commands{d}, Publisher: commands{d}, Epoch: d.epoch.Load(), ClockTrusted: d.clock.Trusted(), StoppedAll: reg.StopAll,
		Now: d.opts.Now, Log: d.log, OnVerdict: d.levelChanged, OnReason: d.journal.Explain, SettledAt: settled,
	}
	for z := range reg.Stopped {
		o.Stopped = append(o.Stopped, z)
	}
	var lost error
	err = d.store.View(func(tx *store.Tx) (err error) {
		if o.Open, err = tx.OpenCommands(); err != nil {
			return err
		}
		o.State, lost = wearOf(tx.Get(bucketWear, []byte("state")))
		return nil
	})
	if err != nil {
		return err
	}
	if lost != nil {
		o.StateLost = true
		d.log.Error("equipment counters not understood: every device counts as just switched off, with half of its starts and time on used", "error", lost)
		d.clerk.event(greenhouse.Event{TS: greenhouse.MillisOf(d.opts.Now()), Code: "equipment_counters_lost", Source: greenhouse.SiteSource, Detail: detail("why", clip(lost.Error()))})
	}
	if d.actuators, err = actuation.New(o); err != nil {
		return err
	}
	d.actuators.Sync(plantOf(reg))
	return nil
}

// wearOf reads the equipment counters of an earlier run, nil where none were kept.
// What says nothing of when it was kept is no record of them.
func wearOf(raw []byte) (*actuation.State, error) {
	if raw == nil {
		return nil, nil
	}
	var s actuation.State
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("decode equipment counters: %w", err)
	}
	if s.SavedAt == 0 || s.Equipment == nil {
		return nil, errors.New("equipment counters without content")
	}
	return &s, nil
}

// commands gives actuation the registry's transactions and the broker.
type commands struct{ d *Daemon }

// SaveCommands implements actuation.Store.
func (c commands) SaveCommands(cmds []greenhouse.Command, events []greenhouse.Event) error {
	return c.d.store.Update(func(tx *store.Tx) error {
		for _, cmd := range cmds {
			if err := tx.PutCommand(cmd); err != nil {
				return err
			}
		}
		for _, e := range events {
			if _, err := c.d.journal.Append(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// Publish implements actuation.Publisher.
func (c commands) Publish(cmd greenhouse.Command) error {
	payload, err := wire.CommandOf(cmd).Marshal()
	if err != nil {
		return err
	}
	id := cmd.ID
	return c.d.broker.PublishCommand(string(cmd.Node), wire.NodeTopic(wire.KindCmd, cmd.Node).String(), payload, func() { c.d.actuators.Sent(id) })
}

// plantOf returns everything that can be driven, as the registry has it.
func plantOf(reg *store.Registry) actuation.Plant {
	p := actuation.Plant{Overrides: reg.Overrides, Stopped: reg.Stopped, StoppedAll: reg.StopAll}
	for _, pt := range reg.Points {
		if pt.Kind != greenhouse.Actuator || pt.Node == "" {
			continue
		}
		n, ok := reg.Nodes[pt.Node]
		if !ok || n.ReplacedBy != "" { // what was replaced drives nothing
			continue
		}
		a := actuation.Actuator{Point: pt.ID, Zone: pt.Zone, Node: pt.Node, Channel: pt.Channel, Class: pt.Class, Safe: pt.Safe, LinkLoss: time.Duration(n.LinkLossS) * time.Second}
		if ch, ok := n.Channel(pt.Channel); ok {
			a.MaxOn, a.MinOff = time.Duration(ch.MaxOnS)*time.Second, time.Duration(ch.MinOffS)*time.Second
			a.MaxOnHour, a.MaxOnDay = time.Duration(ch.MaxOnHourS)*time.Second, time.Duration(ch.MaxOnDayS)*time.Second
		}
		p.Actuators = append(p.Actuators, a)
	}
	slices.SortFunc(p.Actuators, func(a, b actuation.Actuator) int { return cmp.Compare(a.Point, b.Point) })
	return p
}

// saveWear keeps the equipment counters, what the zones must not forget and what
// is known of the clock, so that budgets and the light sum of the day survive a
// restart.
func (d *Daemon) saveWear() error {
	state, err := json.Marshal(d.actuators.State())
	if err != nil {
		return err
	}
	zones, err := d.remembered.take(d.loop.Memories(), d.store.Registry())
	if err != nil {
		return err
	}
	clock, err := d.clock.keep()
	if err != nil {
		return err
	}
	return d.store.Update(func(tx *store.Tx) error {
		return errors.Join(tx.Put(bucketWear, []byte("state"), state), tx.Put(bucketWear, []byte("zones"), zones), tx.Put(bucketWear, []byte("clock"), clock))
	})
}

// levelChanged journals that an actuator took another level, and keeps the whole
// verdict: `zone why --at` reads it back.
func (d *Daemon) levelChanged(v greenhouse.Verdict) {
	if was, told := d.told[v.Point]; told && was.pulses(v) {
		return
	}
	d.told[v.Point] = tellingOf(v)
	d.clerk.decision(greenhouse.Event{TS: v.At, Code: "level_changed", Source: greenhouse.PointSource(v.Point), Actor: v.Winner.Owner,
		Detail: detail("level", v.Value, "reason", clip(v.Winner.Reason))}, v)
}

// pulse is how long nothing is told of a loop that goes on switching its actuator:
// an electronic relay takes thousands of pulses a day, and they would drive
// everything else out of the journal.
const pulse = 30 * time.Second

// telling is what was told last of an actuator. One flush after the other tells.
type telling struct {
	owner    string
	priority greenhouse.Priority
	at       greenhouse.Millis
}

func tellingOf(v greenhouse.Verdict) telling {
	return telling{v.Winner.Owner, v.Winner.Priority, v.At}
}

// pulses reports whether a verdict is merely the next pulse of the same loop.
func (t telling) pulses(v greenhouse.Verdict) bool {
	since := v.At.Sub(t.at)
	return v.Winner.Priority == greenhouse.PriorityLoop && v.Winner.Owner == t.owner && t.priority == v.Winner.Priority && since >= 0 && since < pulse
}

// drives is what the API may do with equipment.
type drives struct{ d *Daemon }

// Verdict implements server.Actuation.
func (a drives) Verdict(p greenhouse.PointID) (greenhouse.Verdict, bool) {
	return a.d.actuators.Verdict(p)
}

// Obstacles implements server.Actuation.
func (a drives) Obstacles(p greenhouse.PointID, level float64) ([]greenhouse.Obstacle, bool) {
	return a.d.actuators.Obstacles(p, level)
}

// Level implements server.Actuation.
func (a drives) Level(p greenhouse.PointID) server.Level {
	l, ok := a.d.actuators.Level(p)
	if !ok {
		return server.Level{}
	}
	out := server.Level{Online: l.Online, Motor: l.Motor, LeaseUntil: l.LeaseUntil, Command: l.State, Ran: l.Ran, Starts: l.Starts, StartsHour: l.StartsHour}
	if l.Decided {
		out.Desired = api.Num(l.Desired)
	}
	if l.Known {
		out.Reported = api.Num(l.Reported)
	}
	return out
}

// Stop implements server.Stopper.
func (a drives) Stop(z greenhouse.ZoneID) { a.d.actuators.Stop(z) }

// Resume implements server.Stopper.
func (a drives) Resume(z greenhouse.ZoneID) { a.d.actuators.Resume(z) }

// Halt implements server.Stopper.
func (a drives) Halt(z greenhouse.ZoneID) { a.d.actuators.Halt(z) }

// Command implements server.Actuation.
func (a drives) Command(ctx context.Context, c greenhouse.Command) (greenhouse.Command, error) {
	return a.d.actuators.Command(ctx, c)
}
