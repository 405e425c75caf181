package edge

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"greenhouse"
)

// TestClockVerdicts: what the clock is worth by everything that may vouch for it
// or speak against it, and that it is said in words.
func TestClockVerdicts(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) greenhouse.Millis { return greenhouse.MillisOf(now.Add(-d)) }
	board, rtc := MachineClock{Board: true}, func(ahead time.Duration) hardwareReading { return hardwareReading{true, ahead} }
	const day = 24 * time.Hour
	for _, c := range []struct {
		name    string
		facts   clockFacts
		state   greenhouse.ClockState
		trusted bool
		text    string
	}{
		{"1970", clockFacts{now: time.Unix(40, 0), machine: board, age: -1, synced: ago(day)}, greenhouse.ClockUnset, false, "1970-01-01 00:00 UTC, which cannot be; last synchronised 2026-11-25 12:00 UTC"},
		{"1970 with somebody's word for it", clockFacts{policy: TrustAlways, now: time.Unix(40, 0), age: -1}, greenhouse.ClockUnset, false, "which cannot be"},
		{"1970 and synchronised, as it says", clockFacts{now: time.Unix(40, 0), machine: MachineClock{Synced: true}, age: 0}, greenhouse.ClockUnset, false, "which cannot be"},
		{"a century ahead", clockFacts{now: now.AddDate(100, 0, 0), age: -1}, greenhouse.ClockUnset, false, "2126"},
		{"by configuration", clockFacts{policy: TrustAlways, now: now, machine: board, age: -1, good: ago(-day)}, greenhouse.ClockSynced, true, "clock.trust is always"},
		{"against by configuration", clockFacts{policy: TrustNever, now: now, machine: MachineClock{Synced: true}, age: 0}, greenhouse.ClockHoldover, false, "clock.trust is never"},
		{"synchronised", clockFacts{now: now, machine: MachineClock{Board: true, Synced: true}, age: 0}, greenhouse.ClockSynced, true, "the kernel says"},
		{"synchronised a year back, as it was wrong by one", clockFacts{now: now, machine: MachineClock{Board: true, Synced: true}, age: 0, good: ago(-365 * day)}, greenhouse.ClockSynced, true, "the kernel says"},
		{"a saved stamp", clockFacts{now: now, machine: board, age: -1, good: ago(time.Minute)}, greenhouse.ClockHoldover, false, "nothing kept the time while this machine was off; last known good time 2026-11-26 11:59 UTC"},
		{"a saved stamp of an hour ago", clockFacts{now: now, machine: board, age: -1, good: ago(-time.Hour)}, greenhouse.ClockUnset, false, "it was 2026-11-26 13:00 UTC already"},
		{"never set", clockFacts{now: now, machine: board, age: -1}, greenhouse.ClockHoldover, false, "never seen synchronised"},
		{"a clock module", clockFacts{now: now, machine: board, hardware: rtc(-time.Minute), age: -1, synced: ago(90 * day)}, greenhouse.ClockHoldover, true, "a hardware clock kept the time; last synchronised 2026-08-28"},
		{"a clock module without a battery", clockFacts{now: now, machine: board, hardware: rtc(time.Unix(90, 0).Sub(now)), age: -1}, greenhouse.ClockHoldover, false, "nothing kept the time"},
		{"a clock module that went back", clockFacts{now: now, machine: board, hardware: rtc(0), age: -1, good: ago(-3 * day)}, greenhouse.ClockUnset, false, "2026-11-29"},
		{"a slow clock module", clockFacts{now: now, machine: board, hardware: rtc(0), age: -1, good: ago(-2 * time.Minute)}, greenhouse.ClockHoldover, true, "hardware clock"},
		{"a PC", clockFacts{now: now, age: -1}, greenhouse.ClockHoldover, true, "or its host"},
		{"a PC with a flat battery", clockFacts{now: now, hardware: rtc(time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC).Sub(now)), age: -1}, greenhouse.ClockHoldover, false, "battery"},
		{"a PC that went back", clockFacts{now: now, age: -1, good: ago(-time.Hour)}, greenhouse.ClockUnset, false, "already"},
		{"the network is gone for hours", clockFacts{now: now, machine: board, age: 9 * time.Hour, good: ago(time.Minute)}, greenhouse.ClockHoldover, true, "not for 9 h: it may be out by 3 s; schedules follow it until 2026-12-26 03:00 UTC"},
		{"the network is gone for a month", clockFacts{now: now, machine: board, age: 30*day + time.Second}, greenhouse.ClockHoldover, false, "not synchronised for 30 days, longer than clock.holdover"},
		{"gone for a month with a clock module", clockFacts{now: now, machine: board, hardware: rtc(2 * time.Minute), age: 31 * day}, greenhouse.ClockHoldover, true, "hardware clock"},
		{"a shorter bound", clockFacts{bound: time.Hour, now: now, machine: board, age: 2 * time.Hour}, greenhouse.ClockHoldover, false, "longer than"},
	} {
		if c.facts.policy == "" {
			c.facts.policy = TrustAuto
		}
		if c.facts.bound == 0 {
			c.facts.bound = HoldoverBound
		}
		v := judgeClock(c.facts)
		if v.State != c.state || v.Trusted != c.trusted || !strings.Contains(v.Text, c.text) {
			t.Errorf("%s: %s, trusted %v, %q; want %s, %v, %q", c.name, v.State, v.Trusted, v.Text, c.state, c.trusted, c.text)
		}
	}
}

// bench is a machine whose clock a test sets and steps.
type bench struct {
	t     *testing.T
	begin time.Time
	after time.Duration // by the monotonic clock
	step  time.Duration // of the wall clock
	boot  string
	m     MachineClock
	trust ClockTrust
	w     *clockWatch
}

func newBench(t *testing.T, m MachineClock) *bench {
	b := &bench{t: t, begin: time.Now(), boot: "one", m: m, trust: TrustAuto}
	b.start(nil)
	return b
}

// now is in November 2026 but for steps, whenever the test runs.
func (b *bench) now() time.Time {
	base := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC).Sub(b.begin.Round(0)).Truncate(time.Second)
	return stepWall(b.t, b.begin.Add(b.after), base+b.step)
}

// start begins a run of the daemon with what an earlier one kept.
func (b *bench) start(kept []byte) {
	b.t.Helper()
	o := Options{ClockTrust: b.trust, ClockHoldover: HoldoverBound, Now: b.now, Faults: Faults{Machine: func() MachineClock { return b.m }}}
	b.w = newClockWatch(&o)
	b.w.uptime = func() (string, time.Duration) { return b.boot, time.Minute + b.after }
	if err := b.w.recall(kept, b.now()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) kept() []byte {
	b.t.Helper()
	raw, err := b.w.keep()
	if err != nil {
		b.t.Fatal(err)
	}
	return raw
}

func (b *bench) want(what string, state greenhouse.ClockState, trusted bool) {
	b.t.Helper()
	b.w.Look(b.now())
	if c := b.w.Clock(b.now()); c.State != state || c.Trusted != trusted {
		b.t.Errorf("%s: %s, trusted %v, want %s, %v: %s", what, c.State, c.Trusted, state, trusted, c.Text)
	}
}

// TestClockOfABoardOverItsLife: a board without a clock module boots at its saved
// stamp, hears of the time, loses the network, is restarted, loses its power.
func TestClockOfABoardOverItsLife(t *testing.T) {
	b := newBench(t, MachineClock{Board: true})
	b.want("at its saved stamp", greenhouse.ClockHoldover, false)
	b.after, b.step, b.m.Synced = time.Minute, 3*time.Hour, true
	b.want("set by NTP", greenhouse.ClockSynced, true)
	b.after, b.m.Synced = 2*time.Minute, false
	b.want("the network is gone", greenhouse.ClockHoldover, true)
	b.after += 10 * 24 * time.Hour
	b.want("and for ten days", greenhouse.ClockHoldover, true)

	kept := b.kept()
	b.start(kept)
	b.want("the daemon restarts", greenhouse.ClockHoldover, true)
	b.boot = "two"
	b.start(kept)
	b.want("the machine boots, its stamp is new", greenhouse.ClockHoldover, false)
	b.step -= time.Hour
	b.start(kept)
	b.want("the machine boots, its stamp is an hour old", greenhouse.ClockUnset, false)
	var was, is clockMemory
	if err := errors.Join(json.Unmarshal(kept, &was), json.Unmarshal(b.kept(), &is)); err != nil || is.Good != was.Good || is.Synced != was.Synced {
		t.Errorf("a time that is not believed is kept as good: %+v, was %+v, %v", is, was, err)
	}
	b.boot, b.step = "one", b.step+time.Hour
	b.start(kept)
	b.after += 20*24*time.Hour + 2*time.Minute
	b.want("a month without the network", greenhouse.ClockHoldover, false)
	b.m.Synced = true
	b.want("the network is back", greenhouse.ClockSynced, true)
}

// TestClockByConfiguration: that people answer for a clock is no word of the
// kernel's, and is none later; but it ends a wrong time in the future.
func TestClockByConfiguration(t *testing.T) {
	b := newBench(t, MachineClock{})
	b.step = 365 * 24 * time.Hour
	b.want("a year ahead", greenhouse.ClockHoldover, true)
	kept := b.kept()
	b.step = 0
	b.start(kept)
	b.want("right again", greenhouse.ClockUnset, false)
	b.trust = TrustAlways
	b.start(kept)
	b.want("by people's word", greenhouse.ClockSynced, true)
	kept = b.kept()
	b.trust = TrustAuto
	b.start(kept)
	b.want("without it", greenhouse.ClockHoldover, true)
	b.m.Board = true
	b.start(kept)
	b.want("a board, that nothing has set", greenhouse.ClockHoldover, false)
	if c := b.w.Clock(b.now()); c.LastSynced != 0 {
		t.Errorf("last synchronised %v, and it never was", c.LastSynced.Time())
	}
}

// TestClockThatLeaptAgesNothing: for a week after a leap of the clock, and after a
// start at another time than it could be, nothing is too old to be kept; restarts
// and small steps do not count.
func TestClockThatLeaptAgesNothing(t *testing.T) {
	const day = 24 * time.Hour
	b := newBench(t, MachineClock{Board: true, Synced: true})
	ages := func(what string, want bool) {
		t.Helper()
		b.w.Look(b.now())
		if got := b.w.Ages(b.now()); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	ages("installed", false)
	b.after += 7*day + time.Minute
	ages("a week later", true)
	b.step += 10 * time.Minute
	ages("set by ten minutes", true)
	b.start(b.kept())
	ages("restarted", true)
	b.step += 365 * day
	ages("a year on", false)
	b.after += 3 * day
	b.start(b.kept())
	ages("restarted three days after it", false)
	b.step -= 365 * day
	ages("set right", false)
	b.after += 7*day + time.Minute
	ages("a week after it was set right", true)
	kept := b.kept()
	b.step += 3 * 365 * day
	b.start(kept)
	ages("started years later", false)
	b.step -= 4 * 365 * day
	b.start(kept)
	ages("started a year before", false)
}

// TestClockThatIsStepped: what disciplines a clock may step it as far as it likes.
// A step by anything else ends holdover on a board, for nobody knows the time any
// more, and is an instruction to a machine that keeps time.
func TestClockThatIsStepped(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, by := range []time.Duration{5 * time.Hour, -5 * time.Hour, time.Hour, -time.Hour, year, -year / 4} {
		b := newBench(t, MachineClock{Board: true, Synced: true})
		b.after, b.step = time.Minute, by
		b.want("stepped by NTP", greenhouse.ClockSynced, true)
		b.m.Synced = false
		b.start(b.kept())
		b.want("restarted after it", greenhouse.ClockHoldover, true)
		b.after, b.step = 2*time.Minute, 0
		if n := b.w.Look(b.now()); n.step != -by || !n.changed {
			t.Errorf("stepped back from %v: told %v, changed %v", by, n.step, n.changed)
		}
		if b.w.Trusted() {
			t.Errorf("a board whose clock somebody stepped by %v in holdover is believed", -by)
		}

		pc := newBench(t, MachineClock{})
		pc.after, pc.step = time.Minute, by
		pc.want("a PC set by hand", greenhouse.ClockHoldover, true)
		pc.after += time.Minute
		pc.want("and a minute later", greenhouse.ClockHoldover, true)
		pc.start(pc.kept())
		pc.want("and after a restart", greenhouse.ClockHoldover, true)
	}
	slight := newBench(t, MachineClock{Board: true, Synced: true})
	slight.want("set by NTP", greenhouse.ClockSynced, true)
	slight.m.Synced = false
	slight.after, slight.step = time.Minute, time.Minute
	slight.want("stepped by a minute", greenhouse.ClockHoldover, true)
}
