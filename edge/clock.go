package edge

import (
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"greenhouse"
	"greenhouse/journal"
	"greenhouse/store"
	"greenhouse/telemetry"
)

// stepBound is how far wall and monotonic time may part between two looks
// before it counts as a step rather than as slewing.
const stepBound = 2 * time.Second

// clockWatch judges the wall clock and notices steps. Look is called by one
// goroutine, Read by one, all else by any.
type clockWatch struct {
	policy  ClockTrust
	bound   time.Duration // of holdover
	machine func() MachineClock
	uptime  func() (boot string, since time.Duration)

	shift    atomic.Int64 // ns by which what ends by the wall clock has to be moved, as that was stepped
	judged   atomic.Pointer[clockVerdict]
	hardware atomic.Pointer[hardwareReading]

	mu    sync.Mutex
	last  time.Time // of the last look
	since time.Time // of the state, by the monotonic clock
	doubt time.Time // since when schedules wait; zero: they do not
	known clockMemory
}

// clockMemory is what is kept of the clock over a restart, so that no clock that
// went back is believed, and a boot in which it was set is remembered as one.
type clockMemory struct {
	Good   greenhouse.Millis `json:"good,omitempty"`   // newest time that schedules followed
	Synced greenhouse.Millis `json:"synced,omitempty"` // newest time that was disciplined
	Boot   string            `json:"boot,omitempty"`   // of the machine, in which that was
	UpMs   int64             `json:"up_ms,omitempty"`  // how long that boot had lasted
	Steady greenhouse.Millis `json:"steady,omitempty"` // since when it has not leapt
}

// hardwareReading is how far the hardware clock was ahead of the wall clock.
type hardwareReading struct {
	there bool
	ahead time.Duration
}

// newClockWatch judges the clock for the first time. Before the registry is open
// nothing is remembered of it: see recall.
func newClockWatch(o *Options) *clockWatch {
	w := &clockWatch{policy: o.ClockTrust, bound: o.ClockHoldover, machine: o.Faults.Machine, uptime: uptime(), last: o.Now()}
	if w.machine == nil {
		w.machine = readMachine
	}
	w.Read(w.last)
	w.Look(w.last)
	return w
}

// Trusted reports whether schedules may follow the wall clock.
func (w *clockWatch) Trusted() bool { return w.judged.Load().Trusted }

// Clock returns what the wall clock is worth at an instant.
func (w *clockWatch) Clock(now time.Time) greenhouse.Clock {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.judged.Load()
	return greenhouse.Clock{State: v.State, Trusted: v.Trusted, Text: v.Text, LastSynced: w.known.Synced, For: max(0, math.Floor(now.Sub(w.since).Seconds()))}
}

// Read reads the hardware clock, which may take its time.
func (w *clockWatch) Read(now time.Time) {
	if m := w.machine(); m.Hardware != nil {
		at, ok := m.Hardware()
		w.hardware.Store(&hardwareReading{ok, at.Sub(now.Round(0))})
		return
	}
	w.hardware.Store(&hardwareReading{})
}

// clockNews is what a look found out.
type clockNews struct {
	step    time.Duration // of the wall clock since the last look; 0: none
	changed bool          // was and is differ in state, or in whether schedules follow
	was, is clockVerdict
}

// Look judges the clock again and tells what is new about it.
func (w *clockWatch) Look(now time.Time) clockNews {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := clockNews{step: parted(w.last, now)}
	w.last = now
	boot, up := w.uptime()
	machine := w.machine()
	if n.step != 0 && !machine.Synced {
		w.stepped(n.step)
	}
	if w.known.Steady == 0 || n.step.Abs() >= clockLeap {
		w.known.Steady = greenhouse.MillisOf(now)
	}
	n.is = judgeClock(w.facts(now, boot, up, machine))
	w.remember(now, boot, up, n.is)
	if was := w.judged.Swap(&n.is); was != nil {
		n.was, n.changed = *was, was.State != n.is.State || was.Trusted != n.is.Trusted
	}
	if n.was.State != n.is.State {
		w.since = now
	}
	switch {
	case n.is.Trusted:
		w.doubt = time.Time{}
	case w.doubt.IsZero():
		w.doubt = now
	}
	return n
}

// parted returns by how much wall time passed more than monotonic time between
// two looks, 0 where that is no step.
func parted(last, now time.Time) time.Duration {
	mono := now.Sub(last)                   // monotonic readings
	wall := now.Round(0).Sub(last.Round(0)) // wall readings
	if d := wall - mono; d > stepBound || d < -stepBound {
		return d
	}
	return 0
}

// stepped takes note of a step by somebody else than who disciplines the clock. It
// is meant, so the newest good time moves with it; but what vouched for the time
// before it vouches for nothing after it.
func (w *clockWatch) stepped(by time.Duration) {
	if w.known.Good != 0 && by < 0 {
		w.known.Good = w.known.Good.Add(by)
	}
	if by.Abs() > clockTolerance {
		w.known.Boot = ""
	}
	if h := w.hardware.Load(); h.there {
		w.hardware.Store(&hardwareReading{true, h.ahead - by})
	}
}

// facts gathers what the clock is judged by. The caller holds mu.
func (w *clockWatch) facts(now time.Time, boot string, up time.Duration, m MachineClock) clockFacts {
	f := clockFacts{policy: w.policy, bound: w.bound, now: now, machine: m, hardware: *w.hardware.Load(), good: w.known.Good, synced: w.known.Synced, age: -1}
	if w.known.Boot == boot {
		f.age = max(0, up-time.Duration(w.known.UpMs)*time.Millisecond)
	}
	if age := now.Sub(m.SetAt); !m.SetAt.IsZero() && age >= 0 && age < up && (f.age < 0 || age < f.age) {
		f.age = age
	}
	return f
}

// remember keeps in mind the newest good time. The caller holds mu.
func (w *clockWatch) remember(now time.Time, boot string, up time.Duration, v clockVerdict) {
	switch ms := greenhouse.MillisOf(now); {
	case w.policy == TrustAlways && v.Trusted: // people may also set it back; that they say so disciplines nothing
		w.known.Good = ms
	case v.State == greenhouse.ClockSynced: // as may who disciplines it
		w.known = clockMemory{Good: ms, Synced: ms, Boot: boot, UpMs: up.Milliseconds(), Steady: w.known.Steady}
	case v.Trusted && ms > w.known.Good:
		w.known.Good = ms
	}
}

// Ages reports whether the clock may say what is too old to be kept: it is trusted
// and has not leapt for a week.
func (w *clockWatch) Ages(now time.Time) bool { return w.steady(now, clockSteady) }

// Dates reports whether the clock may say which date it is, for what cannot be
// undone on another: it is trusted and has not leapt for an hour.
func (w *clockWatch) Dates(now time.Time) bool { return w.steady(now, clockSettles) }

// steady reports whether the clock is trusted and has not leapt for so long.
func (w *clockWatch) steady(now time.Time, long time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.judged.Load().Trusted && greenhouse.MillisOf(now).Sub(w.known.Steady) >= long
}

// waits returns for how long schedules have waited for the clock.
func (w *clockWatch) waits(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.doubt.IsZero() {
		return 0
	}
	return now.Sub(w.doubt)
}

// recall takes over what an earlier run knew, and judges by it. What cannot be
// understood is as good as nothing.
func (w *clockWatch) recall(raw []byte, now time.Time) error {
	var kept clockMemory
	if raw == nil {
		return nil
	}
	if err := json.Unmarshal(raw, &kept); err != nil {
		return fmt.Errorf("decode what was known of the clock: %w", err)
	}
	w.mu.Lock()
	if off := greenhouse.MillisOf(now).Sub(kept.Good); off >= -clockTolerance && off <= clockAway {
		w.known.Steady = kept.Steady
	}
	if w.judged.Load().State != greenhouse.ClockSynced {
		kept.Steady, w.known = w.known.Steady, kept
	}
	w.mu.Unlock()
	w.Look(now)
	return nil
}

// keep returns what has to be kept.
func (w *clockWatch) keep() ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return json.Marshal(w.known)
}

// recallClock reads what an earlier run knew of the clock.
func (d *Daemon) recallClock() error {
	return d.store.View(func(tx *store.Tx) error { return d.clock.recall(tx.Get(bucketWear, []byte("clock")), d.opts.Now()) })
}

// lookAtClock judges the clock and journals what is new about it.
func (d *Daemon) lookAtClock(now time.Time) {
	n := d.clock.Look(now)
	if n.step != 0 {
		d.log.Warn("the wall clock was stepped", "by", n.step)
		d.clock.shift.Add(int64(n.step))
		d.clerk.event(greenhouse.Event{TS: greenhouse.MillisOf(now), Code: "clock_stepped", Source: greenhouse.SiteSource, Detail: detail("by_s", n.step.Seconds())})
	}
	if n.changed {
		d.tellClock(n.is, n.was.State)
	}
}

// shiftEnds gives what ends by the wall clock the time back that a step of it took
// or gave.
func (d *Daemon) shiftEnds() {
	by := time.Duration(d.clock.shift.Swap(0))
	if by == 0 {
		return
	}
	err := d.store.Update(func(tx *store.Tx) error { _, err := tx.ShiftEnds(by); return err })
	if err != nil {
		d.clock.shift.Add(int64(by))
		d.log.Error("ends of overrides and adjustments not moved with the clock", "by", by, "error", err)
		return
	}
	was := greenhouse.MillisOf(d.opts.Now()).Add(-by)
	for _, a := range d.journal.Alarms(true) {
		if a.ShelvedUntil <= was {
			continue
		}
		if _, err := d.journal.ShelveAs(a.ID, a.ShelvedUntil.Add(by), journal.Deed{By: "edged", Reason: "the wall clock was stepped"}); err != nil {
			d.log.Error("the end of a shelved alarm not moved with the clock", "alarm", a.ID, "by", by, "error", err)
		}
	}
}

// tellClock journals a state of the clock.
func (d *Daemon) tellClock(v clockVerdict, from greenhouse.ClockState) {
	d.log.Info("the clock", "state", v.State, "trusted", v.Trusted, "why", v.Text)
	d.clerk.event(greenhouse.Event{TS: greenhouse.MillisOf(d.opts.Now()), Code: "clock_" + string(v.State), Source: greenhouse.SiteSource,
		Detail: detail("from", from, "trusted", v.Trusted, "why", v.Text)})
}

// clockConditions returns the alarms of the clock.
func (d *Daemon) clockConditions(now time.Time) []greenhouse.Condition {
	v := d.clock.judged.Load()
	return []greenhouse.Condition{
		{Source: greenhouse.SiteSource, Code: "clock_untrusted", Severity: greenhouse.Warning, Active: d.clock.waits(now) >= greenhouse.ClockWaits,
			Text: "schedules wait and zones are controlled by their sensors alone: " + v.Text},
		{Source: greenhouse.SiteSource, Code: "clock_holdover", Severity: greenhouse.Warning, Active: v.Trusted && v.Fades && v.Age >= holdoverTells,
			Text: "nothing has set the clock for a day: " + v.Text},
	}
}

// restamped journals what became of readings that came before the clock was
// known.
func (d *Daemon) restamped(r telemetry.Restamped) {
	code := "telemetry_restamped"
	if !r.Known {
		code = "telemetry_clock_unknown"
	}
	d.clerk.event(greenhouse.Event{TS: greenhouse.MillisOf(d.opts.Now()), Code: code, Source: greenhouse.SiteSource,
		Detail: detail("readings", r.Readings, "shift_s", math.Round(r.Shift.Seconds()), "from", r.From, "to", r.To)})
}
