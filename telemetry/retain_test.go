package telemetry_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/telemetry"
)

// daily sends a reading of each class on so many days, and maintains the engine
// on each.
func daily(t *testing.T, c *clock, e *telemetry.Engine, days int) {
	t.Helper()
	for range days {
		mustSubmit(t, e, telemetry.Batch{Node: "climate-aabb", Arrived: c.Now(), Readings: []greenhouse.Reading{reading("north/air_temp", c.ms(), 1), reading("@climate-aabb/rssi", c.ms(), -60)}})
		if err := e.Seal(); err != nil {
			t.Fatal(err)
		}
		c.add(24 * time.Hour)
		if err := e.Maintain(); err != nil {
			t.Fatal(err)
		}
	}
}

func dayFiles(t *testing.T, o telemetry.Options) (names []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(o.Dir, "days", "*.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		names = append(names, filepath.Base(f))
	}
	return names
}

func TestRetentionDropsOldDays(t *testing.T) {
	c := newClock()
	var dropped []telemetry.Dropped
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, Retention: 5 * 24 * time.Hour, OnDrop: func(d telemetry.Dropped) { dropped = append(dropped, d) }}
	e := open(t, o)
	first := c.ms()
	daily(t, c, e, 10)
	files := dayFiles(t, o)
	if s := e.Stats(); s.DayFiles != len(files) || len(files) != 5 || s.DaysDropped != 5 || s.OverBudget != 0 {
		t.Errorf("%d day files are left, %d dropped: %v", s.DayFiles, s.DaysDropped, files)
	}
	if len(dropped) != 5 || dropped[0].Why != "age" || dropped[0].Day > first || dropped[0].Bytes <= 0 {
		t.Errorf("told as %+v", dropped)
	}
}

// TestAClockThatJumpsDeletesNothing: neither years ahead, with data that comes
// then, nor back, nor while it is not trusted.
func TestAClockThatJumpsDeletesNothing(t *testing.T) {
	c := newClock()
	trusted := true
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, Retention: 30 * 24 * time.Hour, ClockTrusted: func() bool { return trusted }}
	e := open(t, o)
	daily(t, c, e, 30)
	year := 365 * 24 * time.Hour
	jump := func(d time.Duration) {
		t.Helper()
		c.add(d)
		for range 20 {
			if err := e.Maintain(); err != nil {
				t.Fatal(err)
			}
		}
		mustSubmit(t, e, telemetry.Batch{Node: "climate-aabb", Arrived: c.Now(), Readings: []greenhouse.Reading{reading("north/air_temp", c.ms(), 2)}})
		if err := e.Seal(); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			c.add(15 * time.Second)
			if err := e.Maintain(); err != nil {
				t.Fatal(err)
			}
		}
		c.add(-d - 300*time.Second)
	}
	for _, d := range []time.Duration{year, 10 * year, -year} {
		jump(d)
		if s := e.Stats(); s.DaysDropped > 2 {
			t.Fatalf("a clock that jumped by %v took %d days", d, s.DaysDropped)
		}
	}
	before := e.Stats().DaysDropped
	trusted = false
	jump(50 * year)
	if got := e.Stats().DaysDropped - before; got != 0 {
		t.Errorf("a clock that is not trusted took %d days", got)
	}
}

// TestTrendsAgeSooner: a day loses its trends when they are too old, and keeps
// the rest; it is read the same, and a restart changes nothing.
func TestTrendsAgeSooner(t *testing.T) {
	c := newClock()
	var why []string
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, Retention: 100 * 24 * time.Hour, TrendRetention: 8 * 24 * time.Hour, Trend: isTrend,
		OnDrop: func(d telemetry.Dropped) { why = append(why, d.Why+" "+d.What) }}
	e := open(t, o)
	daily(t, c, e, 20)
	check := func() {
		t.Helper()
		control, trend := raw(t, e, "north/air_temp"), raw(t, e, "@climate-aabb/rssi")
		if len(control) != 20 || len(trend) < 8 || len(trend) > 10 {
			t.Errorf("%d readings for control and %d trends are left, want 20 and about 8", len(control), len(trend))
		}
		if got := c.ms().Sub(trend[0].TS); got > 10*24*time.Hour {
			t.Errorf("the oldest trend is from %v ago", got)
		}
	}
	check()
	thin := slices.DeleteFunc(dayFiles(t, o), func(n string) bool { return !strings.HasSuffix(n, ".control.db") })
	if s := e.Stats(); len(thin) < 10 || int(s.DaysThinned) != len(thin) || s.DaysDropped != 0 || len(why) != len(thin) || why[0] != "age trends" {
		t.Errorf("%d days are thin, %d told, %+v", len(thin), len(why), s)
	}
	// What comes too late for it is refused; the other reading of the message is kept.
	old := c.ms() - 15*86_400_000
	mustSubmit(t, e, telemetry.Batch{Node: "climate-aabb", Arrived: c.Now(), Readings: []greenhouse.Reading{reading("@climate-aabb/rssi", old, -1), reading("north/air_temp", c.ms(), 3)}})
	if got := tally(e)[telemetry.CauseRefused]; got != 1 {
		t.Errorf("%d readings refused, want 1", got)
	}
	shut(t, e)
	e = open(t, o)
	if got := len(raw(t, e, "north/air_temp")); got != 21 {
		t.Errorf("%d readings after a restart, want 21", got)
	}
	if s := e.Stats(); s.Damaged != 0 {
		t.Errorf("damage: %+v", s)
	}
}

func TestDiskBudget(t *testing.T) {
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, MaxBytes: 100_000}
	e := open(t, o)
	daily(t, c, e, 8)
	if s := e.Stats(); s.DayBytes > o.MaxBytes || s.DaysDropped == 0 || s.OverBudget != s.DaysDropped {
		t.Errorf("%d bytes in %d files against a budget of %d", s.DayBytes, s.DayFiles, o.MaxBytes)
	}
}
