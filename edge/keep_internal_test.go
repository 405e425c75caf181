package edge

import (
	"testing"
	"time"
	"unsafe"

	"greenhouse"
)

// stepWall moves the wall reading of t by whole seconds and leaves its monotonic
// one, as a step of the machine's clock does. No function of package time can: it
// reaches into the layout that the source of that package documents.
func stepWall(t *testing.T, at time.Time, by time.Duration) time.Time {
	const hasMonotonic, nsecShift = 1 << 63, 30
	wall := (*uint64)(unsafe.Pointer(&at))
	if *wall&hasMonotonic == 0 {
		t.Fatal("no monotonic reading to keep")
	}
	*wall += uint64(int64(by/time.Second)) << nsecShift
	return at
}

// TestOverrideEndsByMonotonicTime: a step of the wall clock neither ends an
// override early nor prolongs it.
func TestOverrideEndsByMonotonicTime(t *testing.T) {
	begin := time.Now()
	o := &greenhouse.Override{Point: "north/heater", Value: 1, ExpiresAt: greenhouse.MillisOf(begin.Add(10 * time.Minute))}
	all := map[greenhouse.PointID]*greenhouse.Override{o.Point: o}
	ends := overrideEnds{}
	for _, c := range []struct {
		after, step time.Duration
		due         int
	}{
		{0, 0, 0}, {time.Minute, time.Hour, 0}, {time.Minute, 24 * 365 * time.Hour, 0}, {9*time.Minute + 59*time.Second, 0, 0},
		{10*time.Minute + time.Second, -time.Hour, 1}, {10*time.Minute + time.Second, -24 * 365 * time.Hour, 1},
	} {
		if got := len(ends.due(all, stepWall(t, begin.Add(c.after), c.step))); got != c.due {
			t.Errorf("after %v with the clock stepped by %v: %d overrides due, want %d", c.after, c.step, got, c.due)
		}
	}
	longer := *o
	longer.ExpiresAt += 60_000
	all[o.Point] = &longer
	if got := len(ends.due(all, begin.Add(10*time.Minute+time.Second))); got != 0 {
		t.Error("an override that was replaced by a longer one ends with the first")
	}
	delete(all, o.Point)
	if ends.due(all, begin); len(ends) != 0 {
		t.Error("what was released is remembered")
	}
}

// TestClockSteps: a step is noticed either way, slewing is not.
func TestClockSteps(t *testing.T) {
	begin := time.Now()
	w := newClockWatch(&Options{ClockTrust: TrustAlways, Now: func() time.Time { return begin }})
	for _, c := range []struct{ after, step, want time.Duration }{
		{time.Second, 0, 0}, {2 * time.Second, time.Second, 0}, {3 * time.Second, time.Hour, time.Hour - time.Second}, {4 * time.Second, -time.Hour, -2 * time.Hour},
	} {
		if got := w.Look(stepWall(t, begin.Add(c.after), c.step)).step; got != c.want {
			t.Errorf("after %v: step %v, want %v", c.after, got, c.want)
		}
	}
}
