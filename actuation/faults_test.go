package actuation_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/actuation"
)

// latency is the most that the network of these tests holds a message back.
const latency = 5 * time.Second

// parcel is a message under way.
type parcel struct {
	at  time.Time
	cmd *greenhouse.Command // down
	uid greenhouse.UID
	rep actuation.Report // up
}

// storm is a world whose network drops, doubles, delays and reorders, whose nodes
// reboot and vanish, whose store fails, and whose loops die.
type storm struct {
	*world
	rnd      *rand.Rand
	drop     float64
	double   float64
	delay    float64
	parcels  []parcel
	decided  map[greenhouse.ZoneID]time.Time
	stopped  bool // by an emergency stop of everything
	stopTime time.Time
	pulses   map[greenhouse.CommandID]bool
	points   []greenhouse.PointID
	// forgetful nodes lose what they answered with a reboot; then the network may
	// not double what it carries to them, for the contract asks for one of the two.
	forgetful bool
	off       map[greenhouse.UID]time.Time // since when the link is cut
}

// Publish implements actuation.Publisher.
func (s *storm) Publish(c greenhouse.Command) error {
	if s.stopped && c.Op == greenhouse.OpSet && c.Value > 0 {
		s.t.Errorf("published %+v while everything is stopped", c)
	}
	if c.Op == greenhouse.OpPulse {
		if s.pulses[c.ID] {
			s.t.Errorf("pulse %s was published twice", c.ID)
		}
		s.pulses[c.ID] = true
		if saved, ok := s.store.get(c.ID); !ok || saved.Op != greenhouse.OpPulse {
			s.t.Errorf("pulse %s was published before its intent was saved", c.ID)
		}
	}
	if s.down[c.Node] {
		return errNoSession
	}
	if s.rnd.Float64() < 0.8 {
		s.ctl.Sent(c.ID)
	}
	s.post(parcel{cmd: &c, uid: c.Node}, s.forgetful)
	return nil
}

// post puts a message on the network.
func (s *storm) post(p parcel, once bool) {
	n := 1
	if !once && s.rnd.Float64() < s.double {
		n = 2
	}
	for range n {
		if s.rnd.Float64() < s.drop {
			continue
		}
		q := p
		q.at = s.clock.Now()
		if s.rnd.Float64() < s.delay {
			q.at = q.at.Add(time.Duration(s.rnd.Int64N(int64(latency))))
		}
		s.parcels = append(s.parcels, q)
	}
}

// deliver hands over what has arrived, in any order.
func (s *storm) deliver() {
	now := s.clock.Now()
	due := s.parcels
	s.parcels = nil
	s.rnd.Shuffle(len(due), func(i, j int) {
		if s.delay > 0 {
			due[i], due[j] = due[j], due[i]
		}
	})
	for _, p := range due {
		switch {
		case p.at.After(now):
			s.parcels = append(s.parcels, p)
		case s.down[p.uid]: // lost with its session
		case p.cmd != nil:
			if r, ok := s.devices[p.uid].take(*p.cmd, now); ok {
				s.post(parcel{uid: p.uid, rep: r}, false)
			}
		default:
			s.ctl.Report(p.uid, p.rep, nil)
		}
	}
}

// second lets one second pass.
func (s *storm) second(t *rapid.T) {
	if err := s.ctl.Cycle(); err != nil && s.store.fail == nil {
		t.Fatal(err)
	}
	s.deliver()
	s.clock.Add(time.Second)
	for uid, d := range s.devices {
		for _, r := range d.tick(s.clock.Now()) {
			if !s.down[uid] {
				s.post(parcel{uid: uid, rep: r}, false)
			}
		}
	}
	s.deliver()
	s.check(t)
}

// check is what must hold at any time.
func (s *storm) check(t *rapid.T) {
	now := s.clock.Now()
	for _, a := range s.plant.Actuators {
		d := s.devices[a.Node]
		out := d.out[a.Channel]
		for id, n := range d.runs {
			if n > 1 {
				t.Fatalf("pulse %s ran %d times", id, n)
			}
		}
		if out.level <= out.safe || out.pulse != "" {
			continue
		}
		lease := a.Class.Spec().Lease
		if age := now.Sub(s.decided[a.Zone]); age > lease+latency+2*time.Second {
			t.Fatalf("%s is on %s after the last decision of its zone, its lease is %s", a.Point, age, lease)
		}
		if s.stopped && now.Sub(s.stopTime) > lease+latency+2*time.Second {
			t.Fatalf("%s is on %s after the emergency stop", a.Point, now.Sub(s.stopTime))
		}
	}
}

// decideAll is one round of the loops that live.
func (s *storm) decideAll(t *rapid.T) {
	for _, p := range s.points {
		if rapid.IntRange(0, 5).Draw(t, "change") == 0 {
			s.want(p, float64(rapid.IntRange(0, 1).Draw(t, "level")))
		}
	}
	s.decide()
	for _, a := range s.plant.Actuators {
		if !s.silent[a.Zone] {
			s.decided[a.Zone] = s.clock.Now()
		}
	}
}

// mishap is one thing that goes wrong, or right again.
func (s *storm) mishap(t *rapid.T) {
	p := rapid.SampledFrom(s.points).Draw(t, "point")
	d := s.device(p)
	switch rapid.IntRange(0, 11).Draw(t, "mishap") {
	case 0:
		d.reboot()
		if s.forgetful {
			d.forget()
		}
		if !s.down[d.uid] {
			s.ctl.NodeOnline(d.uid, d.bootID())
		}
	case 1, 2:
		s.cut(p, !s.down[d.uid])
	case 3:
		z := p.Zone()
		s.silent[z] = !s.silent[z]
	case 4:
		s.store.fail = nil
		if rapid.Bool().Draw(t, "fails") {
			s.store.fail = errors.New("EIO")
		}
	case 5:
		d.mute = !d.mute
	case 6:
		s.ctl.Stop("")
		s.stopped, s.stopTime = true, s.clock.Now()
	case 7:
		s.resume()
	case 8, 9:
		if _, err := s.ctl.Command(context.Background(), greenhouse.Command{Node: s.device(acid).uid, Channel: acid.Name(), Op: greenhouse.OpPulse, DurMs: 3000, Cause: "loop:ph"}); err != nil &&
			!errors.Is(err, greenhouse.ErrForbidden) && !errors.Is(err, greenhouse.ErrUnavailable) {
			t.Fatal(err)
		}
	case 10:
		d.refuse = rapid.SampledFrom([]greenhouse.CommandState{"", "", greenhouse.CommandBusy, greenhouse.CommandError, greenhouse.CommandNoEffect}).Draw(t, "refuse")
	case 11:
		s.rebirth()
	}
}

// resume releases the stop, in the registry too.
func (s *storm) resume() {
	s.stopped, s.plant.StoppedAll = false, false
	s.ctl.Resume("")
}

// rebirth is the daemon killed and started again: what was not saved is lost.
func (s *storm) rebirth() {
	s.options.Open = nil
	for _, c := range s.store.commands {
		if !c.State.Terminal() {
			s.options.Open = append(s.options.Open, c)
		}
	}
	state := s.ctl.State()
	s.options.State, s.options.ClockTrusted = &state, true
	s.options.StoppedAll, s.plant.StoppedAll = s.stopped, s.stopped // the registry latched it
	s.options.Epoch++
	s.restart()
	for uid, d := range s.devices {
		if !s.down[uid] {
			s.ctl.NodeOnline(uid, d.bootID())
		}
	}
}

func newStorm(t *rapid.T, outer testing.TB) *storm {
	s := &storm{rnd: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), decided: map[greenhouse.ZoneID]time.Time{},
		pulses: map[greenhouse.CommandID]bool{}, off: map[greenhouse.UID]time.Time{}}
	s.drop, s.double, s.delay = rapid.Float64Range(0, 0.5).Draw(t, "drop"), rapid.Float64Range(0, 0.5).Draw(t, "double"), rapid.Float64Range(0, 0.5).Draw(t, "delay")
	s.forgetful = rapid.Bool().Draw(t, "forgetful")
	n := 0
	s.world = newWorld(outer, func(o *actuation.Options) {
		o.Publisher = s
		o.NewID = func(time.Time) greenhouse.CommandID { n++; return greenhouse.CommandID(fmt.Sprintf("C%06d", n)) }
	})
	for p, class := range map[greenhouse.PointID]greenhouse.Class{heater: greenhouse.ClassHeaterSSR, "north/vent": greenhouse.ClassVent,
		"south/fan": greenhouse.ClassFan, "south/heater": greenhouse.ClassHeaterContactor} {
		s.add(p, class)
	}
	s.add(acid, greenhouse.ClassDosingPump)
	s.points = []greenhouse.PointID{heater, "north/vent", "south/fan", "south/heater"}
	return s
}

func TestNothingStaysOnInAStorm(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newStorm(rt, t)
		for i := range 600 {
			if i%5 == 0 {
				s.decideAll(rt)
			}
			if rapid.IntRange(0, 9).Draw(rt, "calm") == 0 {
				s.mishap(rt)
			}
			s.second(rt)
		}
		s.calm(rt)
	})
}

// calm ends all faults and checks that everything comes right by itself, and that
// a stop is then confirmed by all.
func (s *storm) calm(t *rapid.T) {
	s.drop, s.double, s.delay, s.store.fail = 0, 0, 0, nil
	for _, a := range s.plant.Actuators {
		d := s.devices[a.Node]
		d.mute, d.refuse = false, ""
		if s.down[a.Node] {
			s.cut(a.Point, false)
		}
	}
	clear(s.silent)
	s.resume()
	for _, p := range s.points {
		s.want(p, 1)
	}
	for i := range 4000 { // an hour and more: budgets of starts refill
		if i%5 == 0 {
			s.decide()
			for _, a := range s.plant.Actuators {
				s.decided[a.Zone] = s.clock.Now()
			}
		}
		s.second(t)
	}
	for _, p := range s.points {
		if got := s.device(p).out[p.Name()].level; got != 1 {
			l, _ := s.ctl.Level(p)
			v, _ := s.ctl.Verdict(p)
			t.Fatalf("%s is at %v an hour after all faults ended, want 1: %+v, %+v", p, got, l, v)
		}
	}
	s.ctl.Stop("")
	s.stopped, s.stopTime = true, s.clock.Now()
	for range 10 {
		s.second(t)
	}
	for _, a := range s.plant.Actuators {
		if out := s.devices[a.Node].out[a.Channel]; out.level != out.safe {
			t.Fatalf("%s is at %v after a stop in calm", a.Point, out.level)
		}
	}
	for _, c := range s.ctl.Conditions(nil) {
		if c.Active {
			t.Fatalf("got %+v in calm", c)
		}
	}
	if open := s.ctl.Stats().Open; open != 0 {
		t.Fatalf("%d commands are open in calm", open)
	}
}
