package sim_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenhouse/sim"
)

// rig is a drive as it really is, for the block to be tried on: it moves at its own
// speeds, starts late, and has end switches.
type rig struct {
	at, opening, closing, dead float64 // 0 to 1; s
	run                        float64 // s since its relay was closed
	dir                        sim.Direction
	jammed                     bool
	crossed                    bool
	deadEnds                   bool
	welded                     bool // the closed switch stays made
}

// pass lets the drive run for dt seconds.
func (r *rig) pass(dt float64) {
	if r.dir == sim.Halt {
		r.run = 0
		return
	}
	was := math.Max(0, r.run-r.dead)
	r.run += dt
	moved := math.Max(0, r.run-r.dead) - was
	d, travel := r.dir, r.opening
	if r.crossed {
		d = -d
	}
	if d == sim.Closing {
		travel = r.closing
	}
	if !r.jammed {
		r.at = math.Min(math.Max(r.at+float64(d)*moved/travel, 0), 1)
	}
}

func (r *rig) in(target float64) sim.PositionIn {
	in := sim.PositionIn{Target: target, AtClosed: r.at <= 0.004 || r.welded, AtOpen: r.at >= 0.996}
	if r.deadEnds {
		in.AtClosed, in.AtOpen = r.welded, false
	}
	return in
}

// driveTo steps block and drive together for that long, each step when the block
// asks for it, and calls look after each.
func (r *rig) driveTo(p *sim.Position3pt, s sim.Position, target float64, d time.Duration, look func(before, after sim.Position, dt time.Duration)) sim.Position {
	for left := d; ; {
		before := s
		s = p.Step(s, r.in(target), 0)
		if s.Drive != r.dir {
			r.dir, r.run = s.Drive, 0
		}
		look(before, s, 0)
		next := p.Next(s, r.in(target))
		if next == 0 || next > left {
			next = left
		}
		if left <= 0 {
			return s
		}
		r.pass(next.Seconds())
		left -= next
		before = s
		s = p.Step(s, r.in(target), next)
		if s.Drive != r.dir {
			r.dir, r.run = s.Drive, 0
		}
		look(before, s, next)
	}
}

// watcher checks what the block promises of its relays.
type watcher struct {
	t     rapid.TB
	limit func(sim.Direction) time.Duration
	dead  time.Duration
	last  sim.Direction
	ran   time.Duration // moving in one direction
	run   time.Duration // since its relay was closed
	idle  time.Duration
}

func (w *watcher) look(before, after sim.Position, dt time.Duration) {
	if before.Drive != sim.Halt {
		moved := max(0, w.run-w.dead)
		w.run += dt
		w.ran += max(0, w.run-w.dead) - moved
		w.idle = 0
	} else {
		w.idle += dt
		if w.idle >= 10*time.Minute {
			w.ran = 0
		}
	}
	if most := w.limit(before.Drive) + time.Millisecond; before.Drive != sim.Halt && (w.ran > most || w.run > most) {
		w.t.Fatalf("it ran %v in direction %d, %v of it at once: over 1.25 travels", w.ran, before.Drive, w.run)
	}
	end := after.Known && (after.Level == 0 || after.Level == 1)
	switch {
	case after.Drive == before.Drive:
	case before.Drive == -after.Drive && after.Drive != sim.Halt:
		w.t.Fatalf("it turned from %d to %d at once", before.Drive, after.Drive)
	case after.Drive == sim.Halt:
		if w.run < 2*time.Second && !end && after.Why == "" {
			w.t.Fatalf("a run of %v: the shortest move is 2s; %+v, then %+v", w.run, before, after)
		}
		w.run = 0
	default:
		if w.last == -after.Drive && w.idle < 1500*time.Millisecond {
			w.t.Fatalf("it turned after a pause of %v", w.idle)
		}
		if w.last != after.Drive {
			w.ran = 0
		}
		w.last, w.idle = after.Drive, 0
	}
	if after.Drive == sim.Halt && end {
		w.ran = 0
	}
}

// TestPositionByTime sends drives of all kinds of speeds, dead times and switches
// from place to place for hours: the estimate is never off by more than it says, nor
// than a tenth and a little, and the relays keep every promise.
func TestPositionByTime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := sim.Position3pt{
			Opening: time.Duration(rapid.IntRange(20, 400).Draw(rt, "opening")) * time.Second,
			Dead:    time.Duration(rapid.IntRange(0, 600).Draw(rt, "dead_ms")) * time.Millisecond,
		}
		p.Closing = time.Duration(float64(p.Opening) * rapid.Float64Range(0.6, 1.6).Draw(rt, "asymmetry"))
		p.NoClosedEnd, p.NoOpenEnd = rapid.Bool().Draw(rt, "no_closed_end"), rapid.Bool().Draw(rt, "no_open_end")
		off := func(what string) float64 { return rapid.Float64Range(0.992, 1.008).Draw(rt, what) }
		r := &rig{at: rapid.Float64Range(0, 1).Draw(rt, "at"), opening: p.Opening.Seconds() * off("speed_up"), closing: p.Closing.Seconds() * off("speed_down"),
			dead: math.Max(0, p.Dead.Seconds()+rapid.Float64Range(-0.15, 0.15).Draw(rt, "late"))}
		w := &watcher{t: rt, dead: p.Dead, limit: func(d sim.Direction) time.Duration {
			if d == sim.Closing {
				return p.Closing * 5 / 4
			}
			return p.Opening * 5 / 4
		}}
		most := 0.07 + 0.01 + 0.01 + 1/math.Min(p.Opening.Seconds(), p.Closing.Seconds())
		var s sim.Position
		look := func(before, after sim.Position, dt time.Duration) {
			w.look(before, after, dt)
			if after.Suspect || after.Why != "" {
				rt.Fatalf("a sound drive is under suspicion: %+v, it stands at %.3f", after, r.at)
			}
			if !after.Known {
				return
			}
			if d := math.Abs(after.Level - r.at); d > after.Doubt+0.005 || d > most {
				rt.Fatalf("the estimate is %.3f, the drive at %.3f: off by %.3f, said %.3f", after.Level, r.at, d, after.Doubt)
			}
		}
		for range rapid.IntRange(1, 60).Draw(rt, "moves") {
			target := rapid.SampledFrom([]float64{0, 1, -1}).Draw(rt, "end")
			if target < 0 {
				target = rapid.Float64Range(0, 1).Draw(rt, "target")
			}
			s = r.driveTo(&p, s, target, time.Duration(rapid.IntRange(1, 900).Draw(rt, "for"))*time.Second, look)
		}
		s = r.driveTo(&p, s, 0, time.Hour, look)
		if !p.Done(s, r.in(0)) || r.at > 0.01 {
			rt.Fatalf("told to shut, it stands at %.3f: %+v", r.at, s)
		}
	})
}

// TestMotorFaults breaks drives in every way while they are sent about: the relays
// keep their promises all the same.
func TestMotorFaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := sim.Position3pt{Opening: time.Duration(rapid.IntRange(20, 300).Draw(rt, "opening")) * time.Second, Dead: 500 * time.Millisecond}
		r := &rig{at: rapid.Float64Range(0, 1).Draw(rt, "at"), opening: p.Opening.Seconds(), closing: p.Opening.Seconds(), dead: 0.5}
		w := &watcher{t: rt, dead: p.Dead, limit: func(sim.Direction) time.Duration { return p.Opening * 5 / 4 }}
		var s sim.Position
		for range rapid.IntRange(1, 40).Draw(rt, "moves") {
			slow := rapid.SampledFrom([]float64{1, 1, 1, 3}).Draw(rt, "slow")
			r.opening, r.closing = p.Opening.Seconds()*slow, p.Opening.Seconds()*slow
			r.jammed, r.crossed = rapid.Bool().Draw(rt, "jammed"), rapid.Bool().Draw(rt, "crossed")
			r.deadEnds, r.welded = rapid.Bool().Draw(rt, "dead_ends"), rapid.Bool().Draw(rt, "welded")
			target := rapid.SampledFrom([]float64{0, 0.3, 0.7, 1, math.NaN()}).Draw(rt, "target")
			s = r.driveTo(&p, s, target, time.Duration(rapid.IntRange(1, 1500).Draw(rt, "for"))*time.Second, w.look)
		}
	})
}

// TestMotorFaultsAreFound checks which fault each kind of damage turns out to be,
// and that a clean full travel ends the suspicion.
func TestMotorFaultsAreFound(t *testing.T) {
	const travel = 100 * time.Second
	p := sim.Position3pt{Opening: travel}
	fresh := func() *rig { return &rig{opening: travel.Seconds(), closing: travel.Seconds()} }
	quiet := func(sim.Position, sim.Position, time.Duration) {}
	for _, c := range []struct {
		name    string
		damage  func(*rig)
		target  float64
		why     sim.MotorFault
		within  time.Duration
		repair  func(*rig)
		reaches bool
	}{
		{"jammed at the end", func(r *rig) { r.jammed = true }, 1, sim.FaultStays, 15 * time.Second, func(r *rig) { r.jammed = false }, false},
		{"jammed half way", func(r *rig) { r.jammed = true }, 0, sim.FaultNoEnd, 126 * time.Second, func(r *rig) { r.jammed = false }, false},
		{"slow", func(r *rig) { r.opening, r.closing = 500, 500 }, 1, sim.FaultNoEnd, 126 * time.Second, func(r *rig) { r.opening, r.closing = 100, 100 }, false},
		{"wires crossed", func(r *rig) { r.crossed = true }, 0, sim.FaultWrongWay, 60 * time.Second, func(r *rig) { r.crossed = false }, false},
		{"dead switches", func(r *rig) { r.deadEnds = true }, 0, sim.FaultNoEnd, 126 * time.Second, func(r *rig) { r.deadEnds = false }, true},
		{"welded switch", func(r *rig) { r.welded = true }, 1, sim.FaultStays, 15 * time.Second, func(r *rig) { r.welded = false }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := fresh()
			s := r.driveTo(&p, sim.Position{}, 0, 10*time.Second, quiet)
			if c.target == 0 {
				s = r.driveTo(&p, s, 0.5, 2*time.Minute, quiet)
			}
			c.damage(r)
			s = r.driveTo(&p, s, c.target, c.within, quiet)
			if !s.Suspect || s.Why != c.why || !p.Failed(s, r.in(c.target)) {
				t.Fatalf("got %+v at %.2f, want a suspect that gave up as %s", s, r.at, c.why)
			}
			if s.Drive != sim.Halt {
				t.Fatalf("it goes on running")
			}
			c.repair(r)
			for _, target := range []float64{1 - c.target, c.target, 1 - c.target} {
				s = r.driveTo(&p, s, target, 20*time.Minute, quiet)
			}
			if s.Suspect || !s.Known || math.Abs(s.Level-r.at) > 0.01 {
				t.Errorf("repaired and sent from end to end it is %+v at %.2f", s, r.at)
			}
		})
	}
}

// TestEndSwitchDisagrees has the open switch slip by 30 % of the travel.
func TestEndSwitchDisagrees(t *testing.T) {
	p := sim.Position3pt{Opening: 100 * time.Second}
	s := sim.Position{}
	run := func(target float64, early bool, d time.Duration, at *float64) {
		for range int(d / time.Second) {
			in := sim.PositionIn{Target: target, AtClosed: *at <= 0, AtOpen: *at >= 1 || early && *at >= 0.7}
			s = p.Step(s, in, time.Second)
			*at = math.Min(math.Max(*at+float64(s.Drive)/100, 0), 1)
		}
	}
	at := 0.0
	run(0, true, 5*time.Second, &at)
	run(1, true, 3*time.Minute, &at)
	if !s.Suspect || math.Abs(s.Off-0.3) > 0.03 || s.State() != "suspect" {
		t.Fatalf("the switch came 30 %% too soon: got %+v", s)
	}
	run(0, false, 3*time.Minute, &at)
	if !s.Suspect {
		t.Fatal("a way home that came short ended the suspicion")
	}
	run(1, false, 3*time.Minute, &at)
	if s.Suspect || s.State() != "known" {
		t.Errorf("after a clean full travel: got %+v", s)
	}
}
