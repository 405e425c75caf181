package telemetry_test

import (
	"context"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/telemetry"
)

// air are the tests of air temperature, for every point.
func air(greenhouse.PointID) greenhouse.SensorTests { return greenhouse.SensorTestsOf("air_temp") }

// qualities returns the qualities of all readings of a point, in order.
func qualities(t fataler, e *telemetry.Engine, p greenhouse.PointID) (out []greenhouse.Quality) {
	t.Helper()
	for _, s := range raw(t, e, p) {
		out = append(out, s.Quality)
	}
	return out
}

// TestRawValuesAreKeptWithTheirQuality also seals them, which must change nothing.
func TestRawValuesAreKeptWithTheirQuality(t *testing.T) {
	c := newClock()
	e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now, Tests: air})
	values := []float64{20, math.NaN(), 20.1, 85, 20, 20, 20, 20, 20.2, 45, 20.3}
	want := []greenhouse.Quality{0, greenhouse.Bad, 0, greenhouse.Bad, greenhouse.Suspect, greenhouse.Suspect, greenhouse.Suspect, greenhouse.Suspect, 0, greenhouse.Suspect, 0}
	for i := 0; i < len(values); i += 3 { // several to a batch: each is judged after the one before
		b := telemetry.Batch{Node: "climate-aabb", Arrived: c.Now()}
		for k := i; k < min(i+3, len(values)); k++ {
			b.Readings = append(b.Readings, reading("a/air_temp", c.ms()+greenhouse.Millis(k)*10_000, values[k]))
		}
		mustSubmit(t, e, b)
	}
	for _, how := range []string{"in memory", "sealed"} {
		if got := qualities(t, e, "a/air_temp"); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", how, got, want)
		}
		for i, s := range raw(t, e, "a/air_temp") {
			if s.Value != values[i] && !math.IsNaN(values[i]) {
				t.Errorf("%s: reading %d is kept as %v, want %v", how, i, s.Value, values[i])
			}
		}
		if err := e.Seal(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestQualityAgainstModel compares the qualities with those of one judge who saw
// everything in its order, through reopening, sealing and checkpoints, and checks
// that a quality once given stays.
func TestQualityAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "telemetry-quality-")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		c := newClock()
		o := telemetry.Options{Dir: dir + "/x", Now: c.Now, Tests: air, Maintain: -1, SegmentBytes: 8 << 10, MinFree: -1}
		e, err := telemetry.Open(o)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { e.Close(context.Background()) }()
		tests := air("")
		var model greenhouse.SensorState
		want := map[greenhouse.Millis]greenhouse.Quality{}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			b := telemetry.Batch{Node: "climate-aabb", Arrived: c.Now()}
			for range rapid.IntRange(1, 4).Draw(rt, "readings") {
				c.add(rapid.SampledFrom([]time.Duration{10 * time.Second, 10 * time.Second, time.Minute, 70 * time.Minute}).Draw(rt, "every"))
				r := reading("a/air_temp", c.ms(), rapid.SampledFrom([]float64{18, 18, 18.1, 18.2, 45, 45.1, 85, 0, math.NaN()}).Draw(rt, "value"))
				if rapid.IntRange(0, 5).Draw(rt, "late") == 0 {
					r.At -= 3_600_005
				}
				if _, known := want[r.At]; known {
					continue
				}
				want[r.At] = tests.Judge(&model, r.At, r.Value, r.Quality)
				model.Note(r.At, r.Value, want[r.At])
				b.Readings = append(b.Readings, r)
			}
			b.Arrived = c.Now()
			mustSubmit(t, e, b)
			switch rapid.IntRange(0, 9).Draw(rt, "then") {
			case 0:
				if err := e.Close(context.Background()); err != nil {
					rt.Fatal(err)
				}
				if e, err = telemetry.Open(o); err != nil {
					rt.Fatal(err)
				}
			case 1:
				if err := e.Seal(); err != nil {
					rt.Fatal(err)
				}
			case 2: // killed: what the log says, on the last checkpoint
				copyDir(t, o.Dir, o.Dir+"x")
				if err := e.Close(context.Background()); err != nil {
					rt.Fatal(err)
				}
				o.Dir += "x"
				if e, err = telemetry.Open(o); err != nil {
					rt.Fatal(err)
				}
			}
		}
		got := raw(rt, e, "a/air_temp")
		if len(got) != len(want) {
			rt.Fatalf("%d readings, want %d", len(got), len(want))
		}
		for _, s := range got {
			if s.Quality != want[s.TS] {
				rt.Fatalf("%v at %d is %s, want %s", s.Value, s.TS, s.Quality, want[s.TS])
			}
		}
	})
}

func TestDoubtReachesTheHistoryUntilTakenBack(t *testing.T) {
	c := newClock()
	var heard []greenhouse.Quality
	e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now, Tests: air, OnCommit: func(l []greenhouse.Latest) { heard = append(heard, l[0].Quality) }})
	send := func() {
		mustSubmit(t, e, one(c, 18))
		c.add(10 * time.Second)
	}
	send()
	e.Doubt("zone", "a/x", "a/rh")
	e.Doubt("another", "a/x")
	e.Doubt("zone")
	send() // the other one still doubts
	e.Doubt("another", "b/x")
	send()
	e.Doubt("another")
	send()
	want := []greenhouse.Quality{greenhouse.Good, greenhouse.Suspect, greenhouse.Good, greenhouse.Good}
	if got := qualities(t, e, "a/x"); !slices.Equal(got, want) || !slices.Equal(heard, want) {
		t.Errorf("history has %v, control heard %v, want %v", got, heard, want)
	}
}
