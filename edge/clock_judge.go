package edge

import (
	"fmt"
	"time"

	"greenhouse"
)

// ClockTrust is who says whether the wall clock may drive schedules.
type ClockTrust string

// Until the clock is trusted, zones are controlled by their sensors alone;
// timers and leases run on the monotonic clock and never wait.
const (
	TrustAuto   ClockTrust = "auto"   // the machine knows the time, or knew it and has counted since
	TrustAlways ClockTrust = "always" // people, who set it: any date that can be is believed
	TrustNever  ClockTrust = "never"  // nobody
)

// HoldoverBound is how long schedules follow a clock that has counted on by
// itself since it was last set. An undisciplined clock is out by 100 millionths at
// worst, some four minutes in thirty days: less than schedules are written to.
const HoldoverBound = 30 * 24 * time.Hour

const (
	clockDrift     = 100e-6              // of an undisciplined clock, at worst
	clockTolerance = 5 * time.Minute     // by which a good clock may be behind the newest good time
	rtcTolerance   = 15 * time.Minute    // between hardware clock and wall clock; both drift while the machine is up
	clockLeap      = time.Hour           // a step by that much may be an error of a year
	clockSettles   = time.Hour           // after a leap, in which whoever disciplines the clock takes back an error
	clockSteady    = 7 * 24 * time.Hour  // without a leap, before anything is too old to be kept
	clockAway      = 30 * 24 * time.Hour // the daemon may be down, without that looking like a leap
	holdoverTells  = 24 * time.Hour      // of holdover that will end, before that is an alarm
	clockSpan      = 50                  // years for which a date can be
)

// clockOldest is a time that has passed for good: when this was written.
func clockOldest() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// clockFacts is everything that the wall clock is judged by.
type clockFacts struct {
	policy   ClockTrust
	bound    time.Duration // of holdover
	now      time.Time
	machine  MachineClock
	hardware hardwareReading
	age      time.Duration     // since the clock was last disciplined in this boot; negative: it was not
	good     greenhouse.Millis // newest time that schedules ever followed; 0: none is known
	synced   greenhouse.Millis // newest time that was disciplined; 0: none is known
}

// clockVerdict is what the clock is worth.
type clockVerdict struct {
	State   greenhouse.ClockState
	Trusted bool
	Text    string
	Fades   bool          // trust ends when holdover has lasted for too long
	Age     time.Duration // of holdover that fades
}

// judgeClock says what the clock is worth. What disciplines it outranks all that
// is remembered, for it may set right a clock that was wrong for a year; without
// it, a clock that went back behind what was known is not believed.
func judgeClock(f clockFacts) clockVerdict {
	oldest := clockOldest()
	behind := f.good != 0 && greenhouse.MillisOf(f.now) < f.good.Add(-clockTolerance)
	switch {
	case f.now.Before(oldest) || f.now.After(oldest.AddDate(clockSpan, 0, 0)):
		return clockVerdict{State: greenhouse.ClockUnset, Text: fmt.Sprintf("the clock says %s, which cannot be%s", stamp(f.now), f.lastKnown())}
	case f.policy == TrustAlways:
		return clockVerdict{State: greenhouse.ClockSynced, Trusted: true, Text: "by configuration: clock.trust is always"}
	case f.policy == TrustNever:
		return clockVerdict{State: greenhouse.ClockHoldover, Text: "by configuration: clock.trust is never"}
	case f.machine.Synced:
		return clockVerdict{State: greenhouse.ClockSynced, Trusted: true, Text: "the kernel says that it is synchronised"}
	case behind:
		return clockVerdict{State: greenhouse.ClockUnset, Text: fmt.Sprintf("the clock says %s, but it was %s already, and the kernel says that it is not synchronised", stamp(f.now), stamp(f.good.Time()))}
	}
	return f.holdover()
}

// holdover judges a plausible clock that nothing disciplines.
func (f *clockFacts) holdover() clockVerdict {
	v := clockVerdict{State: greenhouse.ClockHoldover, Trusted: true}
	switch {
	case !f.machine.Board && f.hardware.there && f.now.Add(f.hardware.ahead).Before(clockOldest()):
		v.Trusted = false
		v.Text = fmt.Sprintf("the kernel says not synchronised, and the hardware clock says %s: is its battery flat?%s", stamp(f.now.Add(f.hardware.ahead)), f.lastKnown())
	case !f.machine.Board:
		v.Text = "the kernel says not synchronised; this machine, or its host, keeps the time while it is off" + f.lastKnown()
	case f.hardware.there && f.hardware.ahead.Abs() <= rtcTolerance:
		v.Text = "the kernel says not synchronised; a hardware clock kept the time" + f.lastKnown()
	case f.age >= 0 && f.age <= f.bound:
		v.Fades, v.Age = true, f.age
		v.Text = fmt.Sprintf("synchronised in this boot, but not for %s: it may be out by %s; schedules follow it until %s", spanOf(f.age),
			spanOf(max(time.Second, time.Duration(float64(f.age)*clockDrift))), stamp(f.now.Add(f.bound-f.age)))
	case f.age >= 0:
		v.Trusted = false
		v.Text = fmt.Sprintf("not synchronised for %s, longer than clock.holdover allows", spanOf(f.age))
	default:
		v.Trusted = false
		v.Text = "the kernel says not synchronised, and nothing kept the time while this machine was off" + f.lastKnown()
	}
	return v
}

// lastKnown tells of the last time that is known to have been right.
func (f *clockFacts) lastKnown() string {
	switch {
	case f.synced != 0:
		return "; last synchronised " + stamp(f.synced.Time())
	case f.good != 0:
		return "; last known good time " + stamp(f.good.Time())
	}
	return "; it was never seen synchronised"
}

// stamp writes an instant for people.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// spanOf writes a length of time for people, in two units at most.
func spanOf(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}
