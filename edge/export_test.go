package edge

import (
	"context"
	"testing"
	"time"
	"unsafe"

	"greenhouse/actuation"
	"greenhouse/automation"
	"greenhouse/journal"
	"greenhouse/store"
	"greenhouse/telemetry"
)

// The rooms of a daemon, for tests that look behind the API.
func (d *Daemon) Store() *store.Store              { return d.store }
func (d *Daemon) Journal() *journal.Journal        { return d.journal }
func (d *Daemon) History() *telemetry.Engine       { return d.telemetry }
func (d *Daemon) Actuators() *actuation.Controller { return d.actuators }
func (d *Daemon) Loop() *automation.Loop           { return d.loop }
func (d *Daemon) Commits() uint64                  { return d.inbox.commits.Load() }

// StepWall moves the wall reading of a time and leaves its monotonic one. The times
// of a bubble have none: theirs counts from its beginning.
func StepWall(t *testing.T, at time.Time, by time.Duration) time.Time {
	if at.String() == at.Round(0).String() { // only a monotonic reading is written as m=…
		at = graftMonotonic(at)
	}
	return stepWall(t, at, by)
}

// graftMonotonic gives a time of a bubble a monotonic reading, in the layout that
// the source of package time documents: a flag, the seconds since 1885, the
// nanoseconds; then the reading.
func graftMonotonic(at time.Time) time.Time {
	const hasMonotonic, nsecShift = 1 << 63, 30
	year1885 := time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	raw := (*struct {
		wall uint64
		ext  int64
	})(unsafe.Pointer(&at))
	seconds, nanos := at.Unix(), at.Nanosecond()
	raw.wall = hasMonotonic | uint64(seconds-year1885)<<nsecShift | uint64(nanos)
	raw.ext = time.Unix(seconds, int64(nanos)).Sub(time.Unix(946684800, 0)).Nanoseconds() // since 2000, when bubbles begin
	return at
}

// Pressed is what the telemetry queue calls as it fills and empties.
func (d *Daemon) Pressed(p telemetry.Pressure) { d.pressed(p) }

// Die ends the daemon as a kill would, as far as that is possible within one
// process: nothing is told to any node, and what was not acknowledged is not
// written. The goroutines end and the files close, for the next one needs the locks.
func (d *Daemon) Die() {
	d.cancel()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for _, l := range d.opts.MQTTListeners {
		_ = l.Close()
	}
	_ = d.broker.Close(context.Background())
	_ = d.server.Close(gone)
	d.work.Wait()
	d.inbox.Close()
	_ = d.telemetry.Close(context.Background())
	d.clerk.Close()
	_ = d.store.Close()
	d.serving.Wait()
}
