package telemetry_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/telemetry"
)

const dayLong = 24 * time.Hour

// rolled returns all bins of a point.
func rolled(t fataler, e *telemetry.Engine, p greenhouse.PointID, step telemetry.Step, loc *time.Location) ([]telemetry.HistorySample, []greenhouse.Gap) {
	t.Helper()
	r, err := e.History(context.Background(), telemetry.Query{Point: p, Step: step, Location: loc, Integral: true})
	if err != nil {
		t.Fatal(err)
	}
	return r.Samples, r.Gaps
}

// near compares floats as sums in another order may differ.
func near() cmp.Option {
	return cmp.Comparer(func(a, b float64) bool {
		return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b), 1)
	})
}

// readingsOf returns how many usable readings the bins of a point stand for.
func readingsOf(t *testing.T, e *telemetry.Engine, p greenhouse.PointID) (n int) {
	t.Helper()
	samples, _ := rolled(t, e, p, telemetry.StepDay, nil)
	for _, s := range samples {
		n += s.Count
	}
	return n
}

func thinnedUntil(e *telemetry.Engine, p greenhouse.PointID) (to greenhouse.Millis) {
	for _, g := range e.Gaps(p, 0, 1<<50) {
		if g.Cause == telemetry.CauseThinned {
			to = g.To
		}
	}
	return to
}

// TestTotalsOutliveReadings: hours and days of any place say the same before and
// after the readings went, and so after a restart and after both checkpoints are lost.
func TestTotalsOutliveReadings(t *testing.T) {
	var zones []*time.Location
	for _, name := range []string{"UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"} {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Skip(err)
		}
		zones = append(zones, loc)
	}
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		c := newClock()
		c.t = rapid.SampledFrom([]time.Time{ // summer time begins, ends, a month ends
			time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 30, 0, 0, 0, 0, time.UTC),
		}).Draw(rt, "from")
		o := telemetry.Options{Dir: dir, Now: c.Now, Retention: 2 * dayLong, Maintain: -1, SegmentBytes: 64 << 10, MinFree: -1, Tests: within(-1000, 1000)}
		e, err := telemetry.Open(o)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { e.Close(context.Background()) }()
		send(t, rt, c, e)
		type answer struct{ Hours, Days []telemetry.HistorySample }
		ask := func() (all []answer) {
			for _, loc := range zones {
				var a answer
				a.Hours, _ = rolled(rt, e, "a/x", telemetry.StepHour, loc)
				a.Days, _ = rolled(rt, e, "a/x", telemetry.StepDay, loc)
				all = append(all, a)
			}
			return all
		}
		want := ask()
		check := func(when string) {
			if diff := cmp.Diff(want, ask(), near()); diff != "" {
				rt.Fatalf("%s (-before +now):\n%s", when, diff)
			}
		}
		for range 5 {
			mustSubmit(t, e, telemetry.Batch{Arrived: c.Now(), Readings: []greenhouse.Reading{reading("b/y", c.ms(), 1)}})
			if err := e.Seal(); err != nil {
				rt.Fatal(err)
			}
			c.add(dayLong)
			if err := e.Maintain(); err != nil {
				rt.Fatal(err)
			}
		}
		check("when it is thinned")
		if left := raw(rt, e, "a/x"); len(left) != 0 || thinnedUntil(e, "a/x") == 0 {
			rt.Fatalf("%d readings are left, gaps %+v", len(left), e.Gaps("a/x", 0, 1<<50))
		}
		shut(t, e)
		os.Remove(filepath.Join(dir, "state.a"))
		os.Remove(filepath.Join(dir, "state.b"))
		if e, err = telemetry.Open(o); err != nil {
			rt.Fatal(err)
		}
		check("without checkpoint")
	})
}

// send submits readings of two days, some of them bad, and some hours silent.
func send(t *testing.T, rt *rapid.T, c *clock, e *telemetry.Engine) {
	pause := rapid.SampledFrom([]time.Duration{3 * time.Minute, 7 * time.Minute, 9*time.Minute + 59*time.Second, 31 * time.Minute}).Draw(rt, "pause")
	end := c.Now().Add(2 * dayLong)
	var b telemetry.Batch
	for i := 0; c.Now().Before(end); i++ {
		v := float64(rapid.IntRange(-300, 300).Draw(rt, "v")) / 10
		switch {
		case i%17 == 3:
			v = 5000 // bad
		case i%29 == 0:
			v /= 3 // no decimal
		}
		b.Readings = append(b.Readings, reading("a/x", c.ms(), v))
		c.add(pause)
		if i%50 == 49 {
			c.add(5 * time.Hour)
		}
	}
	b.Arrived = c.Now()
	mustSubmit(t, e, b)
	if err := e.Seal(); err != nil {
		rt.Fatal(err)
	}
}

// TestWhatStaysOfHistory: by age, by the budget and of trends, readings leave their
// summaries behind, and these go in turn.
func TestWhatStaysOfHistory(t *testing.T) {
	for name, tc := range map[string]struct {
		o            telemetry.Options
		days         int
		control      int // readings that are told of, of as many as days; -1 for fewer than all
		trend        int
		monthsGone   bool
		what, reason string
	}{
		"age":           {telemetry.Options{Retention: 5 * dayLong}, 12, 12, 12, false, "readings", "age"},
		"budget":        {telemetry.Options{MaxBytes: 200_000}, 12, 12, 12, false, "readings", "disk budget"},
		"trends":        {telemetry.Options{TrendRetention: 8 * dayLong, Trend: isTrend}, 14, 14, 14, false, "trends", "age"},
		"old summaries": {telemetry.Options{Retention: 3 * dayLong, RollupRetention: 40 * dayLong}, 100, -1, -1, true, "summaries", "age"},
		"none wanted":   {telemetry.Options{Retention: 3 * dayLong, RollupRetention: dayLong}, 12, -1, -1, false, "readings", "age"},
		"tiny budget":   {telemetry.Options{MaxBytes: 50_000}, 100, -1, -1, true, "summaries", "disk budget"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			var dropped []telemetry.Dropped
			o := tc.o
			o.Dir, o.Now, o.OnDrop = t.TempDir(), c.Now, func(d telemetry.Dropped) { dropped = append(dropped, d) }
			e := open(t, o)
			daily(t, c, e, tc.days)
			for p, want := range map[greenhouse.PointID]int{"north/air_temp": tc.control, "@climate-aabb/rssi": tc.trend} {
				if got := readingsOf(t, e, p); want >= 0 && got != want || want < 0 && got >= tc.days {
					t.Errorf("%d readings of %s are told of, want %d", got, p, want)
				}
			}
			found := false
			for _, d := range dropped {
				found = found || d.What == tc.what && d.Why == tc.reason && d.Kept == (tc.what != "summaries" && name != "none wanted")
			}
			s := e.Stats()
			if !found || s.LevelsDropped > 0 != tc.monthsGone || s.Damaged != 0 {
				t.Errorf("told %+v; %+v", dropped, s)
			}
			if o.MaxBytes > 0 && s.DayBytes+s.LevelBytes > o.MaxBytes {
				t.Errorf("%d bytes of readings and %d of summaries against a budget of %d", s.DayBytes, s.LevelBytes, o.MaxBytes)
			}
			if tc.control > 0 && thinnedUntil(e, "@climate-aabb/rssi") == 0 {
				t.Error("nobody says that readings were thinned")
			}
		})
	}
}

// TestACrashBetweenSummaryAndReadings: where both are left, nothing counts twice,
// and thinning is done again.
func TestACrashBetweenSummaryAndReadings(t *testing.T) {
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now}
	e := open(t, o)
	daily(t, c, e, 10)
	shut(t, e)
	before := t.TempDir()
	copyDir(t, filepath.Join(o.Dir, "days"), before)
	o.Retention = 4 * dayLong
	e = open(t, o)
	for range 2 {
		if err := e.Maintain(); err != nil {
			t.Fatal(err)
		}
	}
	left := len(dayFiles(t, o))
	if got := readingsOf(t, e, "north/air_temp"); got != 10 || left > 5 {
		t.Fatalf("%d readings are told of, %d days are left", got, left)
	}
	shut(t, e)
	os.RemoveAll(filepath.Join(o.Dir, "days"))
	copyDir(t, before, filepath.Join(o.Dir, "days"))
	e = open(t, o)
	if got, all := readingsOf(t, e, "north/air_temp"), len(raw(t, e, "north/air_temp")); got != 10 || all != 10 || thinnedUntil(e, "north/air_temp") != 0 {
		t.Errorf("with both there %d readings are told of and %d are there", got, all)
	}
	for range 2 {
		if err := e.Maintain(); err != nil {
			t.Fatal(err)
		}
	}
	if got := readingsOf(t, e, "north/air_temp"); got != 10 || len(dayFiles(t, o)) != left {
		t.Errorf("done again %d readings are told of, files %v", got, dayFiles(t, o))
	}
}

// TestDamagedSummaries turns bits in a file of summaries, and overwrites it whole:
// what is told is right, what is missing is on record, and the next days find a place.
func TestDamagedSummaries(t *testing.T) {
	c := newClock()
	c.t = time.Date(2026, 5, 3, 12, 0, 0, 0, time.UTC)
	o := telemetry.Options{Dir: filepath.Join(t.TempDir(), "x"), Now: c.Now, Retention: 4 * dayLong}
	e := open(t, o)
	daily(t, c, e, 10)
	want, _ := rolled(t, e, "north/air_temp", telemetry.StepHour, nil)
	shut(t, e)
	base := o.Dir
	file := filepath.Join("levels", "2026-05.db")
	good, err := os.ReadFile(filepath.Join(base, file))
	if err != nil {
		t.Fatal(err)
	}
	used := 0
	for i, b := range good {
		if b != 0 {
			used = i
		}
	}
	told := 0
	for bit := 0; bit < used*8; bit += 2503 {
		bad := append([]byte(nil), good...)
		bad[bit/8] ^= 1 << (bit % 8)
		o.Dir = filepath.Join(t.TempDir(), "flipped")
		copyDir(t, base, o.Dir)
		os.WriteFile(filepath.Join(o.Dir, file), bad, 0o600)
		e := open(t, o)
		got, gaps := rolled(t, e, "north/air_temp", telemetry.StepHour, nil)
		if len(got) < len(want) {
			told++
			if len(gaps) == 0 || e.Stats().Damaged == 0 {
				t.Errorf("bit %d: %d of %d hours, and nobody says so", bit, len(got), len(want))
			}
		} else if diff := cmp.Diff(want, got, near()); diff != "" {
			t.Errorf("bit %d is served: %s", bit, diff)
		}
		shut(t, e)
		os.RemoveAll(o.Dir)
	}
	if told == 0 {
		t.Error("no bit did any harm")
	}
	o.Dir = base
	os.WriteFile(filepath.Join(base, file), make([]byte, len(good)), 0o600)
	e = open(t, o)
	daily(t, c, e, 3)
	aside, _ := filepath.Glob(filepath.Join(base, file+".corrupt-*"))
	got, gaps := rolled(t, e, "north/air_temp", telemetry.StepHour, nil)
	if len(aside) != 1 || len(gaps) == 0 || gaps[0].Cause != telemetry.CauseCorrupt || len(got) < 6 {
		t.Errorf("set aside %v, gaps %+v, %d hours", aside, gaps, len(got))
	}
}
