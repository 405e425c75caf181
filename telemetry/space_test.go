package telemetry_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/telemetry"
)

// smallDisk mounts a file system of so many MiB, or skips the test where that is
// not allowed.
func smallDisk(t *testing.T, mib int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves so much room on a file system, by a file that it returns.
func fill(t *testing.T, dir string, leave int64) (ballast string) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	ballast = filepath.Join(dir, fmt.Sprintf("ballast-%d", leave))
	if err := os.WriteFile(ballast, make([]byte, max(int64(st.Bavail)*st.Bsize-leave, 0)), 0o600); err != nil {
		t.Fatal(err)
	}
	return ballast
}

// isTrend says that rssi is looked at by people alone.
func isTrend(p greenhouse.PointID) bool { return greenhouse.Trend(p.Name()) }

// both is a message with a reading that control needs and one that it does not.
func both(c *clock, seq uint64) telemetry.Batch {
	return telemetry.Batch{Node: "climate-aabb", Boot: "a", Seq: seq, HasSeq: true, Arrived: c.Now(),
		Readings: []greenhouse.Reading{reading("north/air_temp", c.ms(), float64(seq)), reading("@climate-aabb/rssi", c.ms(), -float64(seq))}}
}

// TestWhatGivesWayOnAFullDisk fills a real file system: first trends are left
// out, each on record, then nothing is acknowledged, and all of it ends by itself
// when there is room again. Every sample is stored, on record as lost, or was
// never acknowledged.
func TestWhatGivesWayOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, 32)
	c := newClock()
	o := telemetry.Options{Dir: dir + "/x", Now: c.Now, MinFree: 2 << 20, Trend: isTrend}
	e := open(t, o)
	var seq uint64
	send := func() error {
		c.add(10 * time.Second)
		seq++
		return submit(t, e, both(c, seq))
	}
	maintain := func() {
		t.Helper()
		if err := e.Maintain(); err != nil {
			t.Fatal(err)
		}
		c.add(2 * time.Second)
	}
	ok := func() {
		t.Helper()
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	maintain()
	ok() // 1: both are stored
	tight := fill(t, dir, 3<<20)
	maintain()
	ok() // 2 and 3: the trend is left out
	ok()
	again := both(c, seq) // the PUBACK was lost
	if err := submit(t, e, again); err != nil {
		t.Fatal(err)
	}
	if l, _ := e.Latest("@climate-aabb/rssi"); l.Value != -3 {
		t.Errorf("people see %v, want what is not kept", l.Value)
	}
	if s := e.Stats(); !s.Shedding || s.Shed != 2 || s.Paused {
		t.Errorf("stats: %+v", s)
	}
	full := fill(t, dir, 1<<20)
	maintain()
	if err := send(); !errors.Is(err, greenhouse.ErrUnavailable) {
		t.Fatalf("with no room: %v", err)
	}
	if l, _ := e.Latest("north/air_temp"); l.Value != 4 {
		t.Errorf("control sees %v, want 4", l.Value)
	}
	seq-- // it is sent again, later
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	maintain()
	ok() // 4: there is room for control
	if err := os.Remove(tight); err != nil {
		t.Fatal(err)
	}
	maintain()
	ok() // 5: and for trends
	if s := e.Stats(); s.Shedding || s.Paused || s.Faults != 1 {
		t.Errorf("stats: %+v", s)
	}
	check := func() {
		t.Helper()
		var control, trend []float64
		for _, s := range raw(t, e, "north/air_temp") {
			control = append(control, s.Value)
		}
		for _, s := range raw(t, e, "@climate-aabb/rssi") {
			trend = append(trend, s.Value)
		}
		lost := tally(e)[telemetry.CauseDiskFull]
		if !slices.Equal(control, []float64{1, 2, 3, 4, 5}) || !slices.Equal(trend, []float64{-1, -5}) || lost != 3 {
			t.Errorf("stored %v and %v, %d on record as lost", control, trend, lost)
		}
		if g := told(e, "@climate-aabb/rssi", telemetry.CauseDiskFull); len(g) != 1 || g[0].Count != 3 {
			t.Errorf("told as %v", g)
		}
		if g := told(e, "north/air_temp", telemetry.CauseDiskFull); len(g) != 0 {
			t.Errorf("of what was kept: %v", g)
		}
	}
	check()
	if err := e.Seal(); err != nil {
		t.Fatal(err)
	}
	check()
	shut(t, e)
	e = open(t, o)
	check()
	shut(t, e)
}

// TestTheDiskIsFull lets somebody else fill a real file system to the last byte:
// nothing that was acknowledged is lost, and it goes on without a restart.
func TestTheDiskIsFull(t *testing.T) {
	dir := smallDisk(t, 16)
	c := newClock()
	o := telemetry.Options{Dir: dir + "/x", Now: c.Now, MinFree: -1, SegmentBytes: 64 << 10}
	e := open(t, o)
	acked := 0
	send := func() error {
		c.add(time.Minute)
		b := telemetry.Batch{Arrived: c.Now()}
		for i := range 200 {
			b.Readings = append(b.Readings, reading("a/x", c.ms()-greenhouse.Millis(i), float64(i)*1.0001))
		}
		err := submit(t, e, b)
		if err == nil {
			acked += 200
		}
		return err
	}
	ballast := fill(t, dir, 0)
	var err error
	for n := 0; n < 500 && err == nil; n++ {
		err = send()
	}
	if !errors.Is(err, greenhouse.ErrUnavailable) {
		t.Fatalf("a full disk answered %v after %d readings", err, acked)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	c.add(2 * time.Second)
	if err := send(); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	if err := e.Seal(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := len(raw(t, e, "a/x")); got != acked {
			t.Errorf("%d readings are there, %d were acknowledged", got, acked)
		}
		shut(t, e)
		e = open(t, o)
	}
	shut(t, e)
}
