package automation_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/automation"
)

func scheduleAt(t *testing.T, from, until greenhouse.DayEdge) automation.Schedule {
	loc, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	z := &greenhouse.Zone{DayFrom: from, DayUntil: until}
	return automation.ScheduleOf(z, &greenhouse.Site{Latitude: 52.03, Longitude: 4.53}, loc)
}

func TestSetPointRamps(t *testing.T) {
	s := scheduleAt(t, "06:00", "20:00")
	target := greenhouse.Target{Day: 18, Night: 15}
	rampUp, rampDown := greenhouse.Heating.Ramps()
	for _, c := range []struct {
		clock string
		want  float64
	}{{"05:59", 15}, {"06:00", 15}, {"07:00", 16.5}, {"08:00", 18}, {"12:00", 18}, {"20:30", 16.5}, {"21:00", 15}, {"23:59", 15}} {
		at, err := time.ParseInLocation("2006-01-02 15:04", "2026-02-03 "+c.clock, s.Location)
		if err != nil {
			t.Fatal(err)
		}
		if got := automation.SetPoint(s, target, rampUp, rampDown, at); math.Abs(got-c.want) > 0.03 {
			t.Errorf("%s: got %.2f, want %.2f", c.clock, got, c.want)
		}
	}
	at := time.Date(2026, 2, 3, 6, 1, 0, 0, s.Location)
	if got := automation.SetPoint(s, target, 0, 0, at); got != 18 {
		t.Errorf("without a ramp: got %v, want 18", got)
	}
}

func TestSetPointOverMidnightAndClockChanges(t *testing.T) {
	s := scheduleAt(t, "20:00", "04:00") // lamps by night
	target := greenhouse.Target{Day: 20, Night: 10}
	at := func(date, clock string) float64 {
		when, err := time.ParseInLocation("2006-01-02 15:04", date+" "+clock, s.Location)
		if err != nil {
			t.Fatal(err)
		}
		return automation.SetPoint(s, target, 0, 0, when)
	}
	for _, c := range []struct {
		date, clock string
		want        float64
	}{{"2026-02-03", "00:30", 20}, {"2026-02-03", "03:59", 20}, {"2026-02-03", "04:01", 10}, {"2026-02-03", "19:59", 10}, {"2026-02-03", "20:01", 20}, {"2026-02-03", "23:59", 20}} {
		if got := at(c.date, c.clock); got != c.want {
			t.Errorf("%s: got %v, want %v", c.clock, got, c.want)
		}
	}
	s = scheduleAt(t, "02:30", "12:00") // skipped on 29 March, twice on 25 October
	for _, day := range []time.Time{time.Date(2026, 3, 29, 12, 0, 0, 0, s.Location), time.Date(2026, 10, 25, 12, 0, 0, 0, s.Location)} {
		from, until := s.On(day)
		if from.Day() != day.Day() || !from.Before(until) || from.Hour() < 2 || from.Hour() > 3 {
			t.Errorf("%s: day from %s until %s", day.Format("2 January"), from, until)
		}
		edges := 0
		was := automation.SetPoint(s, target, 0, 0, day.Add(-12*time.Hour))
		for at := day.Add(-12 * time.Hour); at.Day() == day.Day() || at.Before(day); at = at.Add(time.Minute) {
			if v := automation.SetPoint(s, target, 0, 0, at); v != was {
				edges, was = edges+1, v
			}
		}
		if edges != 2 {
			t.Errorf("%s: %d changes between day and night, want 2", day.Format("2 January"), edges)
		}
	}
}

func TestScheduleBeyondTheCircle(t *testing.T) {
	s := scheduleAt(t, "sunrise", "sunset")
	s.Latitude, s.Longitude = 68.97, 33.08
	from, until := s.On(time.Date(2025, 12, 22, 12, 0, 0, 0, s.Location))
	if from.Format("15:04") != "06:00" || until.Format("15:04") != "20:00" {
		t.Errorf("day from %s until %s, want the fallback", from, until)
	}
}

func TestHysteresisBlock(t *testing.T) {
	p := automation.Hysteresis{On: 0.3, Off: 0.2, MinOn: time.Minute, MinOff: time.Minute}
	var s automation.Switch
	for i, c := range []struct {
		err  float64
		dt   time.Duration
		on   bool
		hold automation.Hold
	}{
		{1, 0, false, automation.HoldOff}, {1, 59 * time.Second, false, automation.HoldOff}, {1, time.Second, true, automation.HoldNone},
		{-1, 30 * time.Second, true, automation.HoldOn}, {-0.1, 40 * time.Second, true, automation.HoldNone}, {math.NaN(), time.Second, true, automation.HoldNone},
		{-0.21, time.Second, false, automation.HoldNone}, {0.2, time.Hour, false, automation.HoldNone}, {0.31, time.Second, true, automation.HoldNone},
	} {
		var hold automation.Hold
		if s, hold = p.Step(s, c.err, c.dt); s.On != c.on || hold != c.hold {
			t.Errorf("step %d: got %v, %v, want %v, %v", i, s.On, hold, c.on, c.hold)
		}
	}
}

func TestPIDBlock(t *testing.T) {
	p := automation.PID{Kp: 0.25, Ti: 900 * time.Second, Max: 1}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	for _, bad := range []automation.PID{{Kp: -1, Max: 1}, {Kp: 1, Ti: 5 * time.Hour, Max: 1}, {Kp: 1}, {Kp: math.NaN(), Max: 1}} {
		if err := bad.Check(); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("%+v is not refused", bad)
		}
	}
	out, s := p.Step(automation.PIDState{}, 18, 16, 0, 0, 0)
	if math.Abs(out.U-0.5) > 1e-9 {
		t.Errorf("the first output is %v, want 0.5", out.U)
	}
	for range 100 { // saturated for long: nothing winds up
		out, s = p.Step(s, 18, 8, 0, 1, 5*time.Second)
	}
	if out.U != 1 || s.I > 4.5 {
		t.Errorf("output %v, integral %v", out.U, s.I)
	}
	for range 5 * 60 / 5 {
		out, s = p.Step(s, 18, 18.2, 0, min(out.U, 1), 5*time.Second)
	}
	if out.U > 0.9 {
		t.Errorf("output %v five minutes after the set-point was passed", out.U)
	}
	before, kept := p.Step(s, 18, math.NaN(), 0, 0, 5*time.Second)
	if kept != s || math.IsNaN(before.U) {
		t.Errorf("a lost measurement changes the state: %+v", kept)
	}
	manual := p.Manual(s, 18, 17, 0, 0.33)
	if out, _ = p.Step(manual, 18, 17, 0, 0.33, time.Nanosecond); math.Abs(out.U-0.33) > 1e-6 {
		t.Errorf("output %v after manual at 0.33", out.U)
	}
	to := automation.PID{Kp: 0.1, Ti: 300 * time.Second, Max: 1}
	a, sa := p.Step(manual, 18, 17, 0, 0.33, 0)
	if b, _ := to.Step(p.Retune(sa, to, 18, 17), 18, 17, 0, a.U, 0); math.Abs(a.U-b.U) > 1e-9 {
		t.Errorf("output jumps from %v to %v at new parameters", a.U, b.U)
	}
}

func TestPIDIsPerSecondNotPerSample(t *testing.T) {
	p := automation.PID{Kp: 0.1, Ti: 600 * time.Second, Max: 10}
	integral := func(dt time.Duration) float64 {
		_, s := p.Step(automation.PIDState{}, 20, 19, 0, 0, 0)
		for range int(10 * time.Minute / dt) {
			_, s = p.Step(s, 20, 19, 0, s.V, dt)
		}
		return s.I
	}
	if a, b := integral(time.Second), integral(15*time.Second); math.Abs(a-b) > 1e-6 {
		t.Errorf("integral %v at 1 s, %v at 15 s", a, b)
	}
}

func TestSigmaDeltaBlock(t *testing.T) {
	p := automation.SigmaDelta{MinOn: time.Minute, MinOff: time.Minute}
	for _, u := range []float64{0, 0.05, 0.2, 0.5, 0.8, 0.95, 1, math.NaN()} {
		var s automation.Pulses
		on, n, last, starts := 0, 8*3600/5, 0, 0
		for i := range n {
			was := s.On
			if s = p.Step(s, u, 5*time.Second); s.On {
				on++
			}
			if s.On == was {
				continue
			}
			if held := time.Duration(i-last) * 5 * time.Second; last > 0 && held < time.Minute {
				t.Fatalf("at %v: switched after %s", u, held)
			}
			if last = i; s.On {
				starts++
			}
		}
		want := u
		if math.IsNaN(u) {
			want = 0
		}
		if got := float64(on) / float64(n); math.Abs(got-want) > 0.01 {
			t.Errorf("at %v: on for %.3f of the time", u, got)
		}
		if starts > 8*30 {
			t.Errorf("at %v: %d starts in 8 h", u, starts)
		}
	}
}

func TestVoteBlock(t *testing.T) {
	for _, c := range []struct {
		in        []float64
		v, lo, hi float64
		agree     bool
	}{
		{[]float64{18}, 18, 18, 18, true}, {[]float64{18, 19}, 18.5, 18.5, 18.5, true}, {[]float64{24, 18}, 21, 18, 24, false},
		{[]float64{30, 18, 18.4}, 18.4, 18.4, 18.4, false}, {[]float64{17, 18, 18.4, 19}, 18.2, 18.2, 18.2, true},
	} {
		got := automation.Vote(c.in, 2)
		if got.Value != c.v || got.Lo != c.lo || got.Hi != c.hi || got.Agree != c.agree || got.N != len(c.in) {
			t.Errorf("%v: got %+v", c.in, got)
		}
	}
	if got := automation.Vote(nil, 2); !math.IsNaN(got.Value) || got.N != 0 {
		t.Errorf("nobody: %+v", got)
	}
}

func TestProbeBlock(t *testing.T) {
	p := automation.Probe{Stale: 90 * time.Second, Hold: 300 * time.Second}
	now := noon()
	var s automation.ProbeState
	read := func(v float64, q greenhouse.Quality) automation.Judged {
		now = now.Add(10 * time.Second)
		var j automation.Judged
		j, s = p.Step(s, greenhouse.Latest{Reading: greenhouse.Reading{At: greenhouse.MillisOf(now), Value: v, Quality: q}, Seen: now}, 0, 10*time.Second)
		return j
	}
	for i, c := range []struct {
		v       float64
		q       greenhouse.Quality
		value   float64
		quality greenhouse.Quality
	}{
		{18, greenhouse.Good, 18, greenhouse.Good}, {18.5, greenhouse.Good, 18.5, greenhouse.Good}, {85, greenhouse.Bad, 18.5, greenhouse.Held},
		{25, greenhouse.Suspect, 18.5, greenhouse.Held}, {18.4, greenhouse.Good, 18.4, greenhouse.Good}, {math.NaN(), greenhouse.Bad, 18.4, greenhouse.Held},
		{25.2, greenhouse.Good, 25.2, greenhouse.Good},
	} {
		if j := read(c.v, c.q); j.Value != c.value || j.Quality != c.quality {
			t.Errorf("reading %d (%v): got %+v, want %v %s", i, c.v, j, c.value, c.quality)
		}
	}
	for range 29 {
		if j := read(math.NaN(), greenhouse.Bad); j.Quality != greenhouse.Held {
			t.Fatalf("not held: %+v", j)
		}
	}
	read(math.NaN(), greenhouse.Bad)
	if j := read(math.NaN(), greenhouse.Bad); !math.IsNaN(j.Value) || j.Quality != greenhouse.Bad {
		t.Errorf("held for too long: %+v", j)
	}
	old := greenhouse.Latest{Reading: greenhouse.Reading{At: greenhouse.MillisOf(now), Value: 18}}
	if j, _ := p.Step(automation.ProbeState{}, old, 0, 0); j.Quality != greenhouse.Stale {
		t.Errorf("a reading from disk counts: %+v", j)
	}
}

func TestLimitBlock(t *testing.T) {
	frost := automation.Limit{At: 4, Ends: 5}
	active := false
	for i, c := range []struct {
		y    float64
		want bool
	}{{4.1, false}, {4, true}, {4.9, true}, {math.NaN(), true}, {5.1, false}, {math.NaN(), false}} {
		if active = frost.Step(active, c.y); active != c.want {
			t.Errorf("step %d at %v: got %v", i, c.y, active)
		}
	}
}

func TestVentBlock(t *testing.T) {
	for _, c := range []struct{ base, out, wind, want float64 }{{2, 20, 0, 2}, {2, 5, 0, 4.5}, {2, 15, 10, 3.5}, {0.1, 20, 0, 0.5}, {2, math.NaN(), math.NaN(), 2}} {
		if got := automation.VentBand(c.base, c.out, c.wind); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("band %v at %v °C and %v m/s: got %v, want %v", c.base, c.out, c.wind, got, c.want)
		}
	}
	p := automation.Vent{Band: 2, Ti: 1800 * time.Second, Decay: 600 * time.Second}
	if pos, _, after := p.Step(0.9, 30, 22, 0.1, time.Hour); pos != 1 || after != 0.9 {
		t.Errorf("at its limit: position %v, integral %v", pos, after)
	}
	if _, _, after := p.Step(0.5, 20, 22, 1, 10*time.Minute); after > 0.3 {
		t.Errorf("the integral stays at %v below the set-point", after)
	}
}

// TestPIDGolden compares ten steps, with other drivers and a pause between them,
// with what the ISA formulas give when they are worked out elsewhere.
func TestPIDGolden(t *testing.T) {
	p := automation.PID{Kp: 0.25, Ti: 900 * time.Second, Td: 60 * time.Second, Max: 1}
	var s automation.PIDState
	for k, c := range []struct{ r, y, ff, applied, h, p, i, d, u float64 }{
		{18, 16, 0.1, math.NaN(), 0, -0.850000000, 1.350000000, 0.000000000, 0.600000000},
		{18, 16.05, 0.1, math.NaN(), 5, -0.862500000, 1.352708333, -0.060000000, 0.530208333},
		{18, 16.2, 0.1, math.NaN(), 5, -0.900000000, 1.355208333, -0.216000000, 0.339208333},
		{18, 16.4, 0.1, 0.2, 15, -0.950000000, 1.352889141, -0.205333333, 0.297555807},
		{18.5, 16.7, 0.1, 0.2, 15, -0.937500000, 1.354091940, -0.268444444, 0.248147496},
		{18.5, 17.3, 0.05, math.NaN(), 15, -1.087500000, 1.359091940, -0.489481481, 0.000000000},
		{18.5, 18.1, 0.05, math.NaN(), 15, -1.287500000, 1.371595830, -0.696493827, 0.000000000},
		{18.5, 18.8, 0.05, 0.0, 60, -1.462500000, 1.511806369, -0.232943759, 0.000000000},
		{18.5, 19.2, 0, math.NaN(), 60, -1.562500000, 1.534644728, -0.114771529, 0.000000000},
		{17, 19, 0, math.NaN(), 5, -1.775000000, 1.534935790, 0.171137083, 0.000000000},
	} {
		applied := c.applied
		if math.IsNaN(applied) { // nothing else drives
			applied = min(max(s.V, 0), 1)
		}
		var out automation.PIDOut
		out, s = p.Step(s, c.r, c.y, c.ff, applied, time.Duration(c.h*float64(time.Second)))
		for _, v := range [...][2]float64{{out.P, c.p}, {out.I, c.i}, {out.D, c.d}, {out.U, c.u}} {
			if math.Abs(v[0]-v[1]) > 1e-8 {
				t.Errorf("step %d: got %+v, want p %v, i %v, d %v, u %v", k, out, c.p, c.i, c.d, c.u)
				break
			}
		}
	}
}

// TestFixedCycleBlock holds the promises of a fixed cycle: the mean is right
// though short runs are carried over and short pauses left out, no run and no
// pause is too short, and no hour has more starts than cycles.
func TestFixedCycleBlock(t *testing.T) {
	p := automation.FixedCycle{Cycle: 500 * time.Second, MinOn: time.Minute, MinOff: time.Minute}
	const dt = 5 * time.Second
	for _, u := range []float64{0, 0.01, 0.03, 0.1, 0.117, 0.2, 0.5, 0.8, 0.9, 0.95, 0.97, 1, math.NaN()} {
		var s automation.Pulses
		on, last, starts := 0, 0, 0
		n := int(24 * time.Hour / dt)
		for i := range n {
			was := s.On
			if s = p.Step(s, u, dt); s.On {
				on++
			}
			if s.On == was {
				continue
			}
			if held := time.Duration(i-last) * dt; last > 0 && held < time.Minute {
				t.Fatalf("at %v: switched after %s", u, held)
			}
			if last = i; s.On {
				starts++
			}
		}
		want := u
		if !(u >= 0.02) {
			want = 0
		}
		if got := float64(on) / float64(n); math.Abs(got-want) > 0.006 {
			t.Errorf("at %v: on for %.4f of the time", u, got)
		}
		if most := 24*3600/500 + 1; starts > most {
			t.Errorf("at %v: %d starts a day, %d cycles", u, starts, most)
		}
	}
	var s automation.Pulses
	for range 24 {
		s = p.Step(s, 0.5, dt)
	}
	if !s.On {
		t.Error("off in the first half of a cycle")
	}
	for range 12 {
		s = p.Step(s, 0, dt)
	}
	if s.On {
		t.Error("nothing is wanted, and it waits for the end of the cycle")
	}
}

// TestFixedCycleFollows compares what is given with what a changing fraction asks
// for: at no time do they differ by more than a cycle.
func TestFixedCycleFollows(t *testing.T) {
	p := automation.FixedCycle{Cycle: 300 * time.Second, MinOn: time.Minute, MinOff: time.Minute}
	var s automation.Pulses
	wanted, given := 0.0, 0.0
	for i := range 24 * 720 {
		u := 0.5 + 0.45*math.Sin(float64(i)/300)
		wanted += u * 5
		if s.On {
			given += 5
		}
		if s = p.Step(s, u, 5*time.Second); math.Abs(wanted-given) > 300 {
			t.Fatalf("after %d s: %.0f s wanted and %.0f s given", 5*i, wanted, given)
		}
	}
}
