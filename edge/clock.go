package edge

import (
	"crypto/rand"
	"math"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"greenhouse"
	"greenhouse/telemetry"
)

// ClockTrust says when the wall clock may drive schedules.
type ClockTrust string

// Until the clock is trusted, zones are controlled by their sensors alone;
// timers and leases run on the monotonic clock and never wait.
const (
	TrustAuto   ClockTrust = "auto"   // the date is sane and the machine knows the time
	TrustAlways ClockTrust = "always" // for sites without NTP whose clock people set
	TrustNever  ClockTrust = "never"
)

// buildYear is a year no honest clock can be before.
const buildYear = 2026

// stepBound is how far wall and monotonic time may part between two looks
// before it counts as a step rather than as slewing.
const stepBound = 2 * time.Second

// clockWatch judges the wall clock and notices steps. Trusted may be called
// from any goroutine; Look by one.
type clockWatch struct {
	policy  ClockTrust
	trusted atomic.Bool
	last    time.Time
	synced  func() bool // asks the machine; replaced in tests
}

func newClockWatch(policy ClockTrust, now time.Time) *clockWatch {
	w := &clockWatch{policy: policy, last: now, synced: machineSynced}
	w.judge(now)
	return w
}

// Trusted reports whether schedules may follow the wall clock.
func (w *clockWatch) Trusted() bool { return w.trusted.Load() }

// Look judges the clock again and returns by how much the wall clock was
// stepped since the last look, 0 if it was not.
func (w *clockWatch) Look(now time.Time) (step time.Duration) {
	mono := now.Sub(w.last)                   // monotonic readings
	wall := now.Round(0).Sub(w.last.Round(0)) // wall readings
	w.last = now
	w.judge(now)
	if d := wall - mono; d > stepBound || d < -stepBound {
		return d
	}
	return 0
}

func (w *clockWatch) judge(now time.Time) {
	switch w.policy {
	case TrustAlways:
		w.trusted.Store(true)
	case TrustNever:
		w.trusted.Store(false)
	default:
		w.trusted.Store(now.Year() >= buildYear && now.Year() < buildYear+50 && w.synced())
	}
}

// machineSynced reports whether something better than a guess set the clock.
// Only single-board computers (they have a device tree) boot without knowing
// the time: there it takes NTP, as the kernel or systemd-timesyncd says, or a
// hardware clock. Any other machine, or its host, keeps time while it is off.
func machineSynced() bool {
	if _, err := os.Stat("/proc/device-tree/model"); err != nil {
		return true
	}
	var tx unix.Timex
	if state, err := unix.Adjtimex(&tx); err == nil && state != unix.TIME_ERROR && tx.Status&unix.STA_UNSYNC == 0 {
		return true
	}
	for _, p := range []string{"/run/systemd/timesync/synchronized", "/dev/rtc0", "/dev/rtc"} {
		if _, err := os.Stat(p); err == nil {
			return true
		}
	}
	return false
}

// uptime returns what tells how long this boot of the machine lasts, which no
// step of the wall clock changes. Where the machine does not say, the boot
// begins now and ends with the process.
func uptime() func() (boot string, since time.Duration) {
	boot, before, began := rand.Text(), time.Duration(0), time.Now() // not Options.Now: that may be set, this may not
	var t unix.Timespec
	if id, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil && unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) == nil {
		boot, before = strings.TrimSpace(string(id)), time.Duration(t.Nano())
	}
	return func() (string, time.Duration) { return boot, before + time.Since(began) }
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
