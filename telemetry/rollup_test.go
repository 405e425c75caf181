package telemetry_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/telemetry"
)

// TestRollupsAgreeWithRaw computes every bin from the raw readings and compares,
// while they are in memory, sealed, packed, and packed with late ones merged in.
func TestRollupsAgreeWithRaw(t *testing.T) {
	for name, period := range map[string]time.Duration{"1s": time.Second, "10s": 10 * time.Second, "5m": 5 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			c.t = c.t.Truncate(24 * time.Hour).Add(18 * time.Hour)
			e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now, SegmentBytes: 1 << 20, Tests: within(0, 40)})
			rnd := rand.New(rand.NewPCG(2, 2))
			var b telemetry.Batch
			for range 12 * time.Hour / period {
				v := math.Round(2000+rnd.NormFloat64()*50) / 100
				if rnd.IntN(50) == 0 {
					v = []float64{math.NaN(), 85}[rnd.IntN(2)]
				}
				q := greenhouse.Quality(max(0, rnd.IntN(30)-27))
				b.Readings = append(b.Readings, greenhouse.Reading{Point: "a/x", At: c.ms(), Value: v, Quality: q})
				if len(b.Readings) == 1000 {
					mustSubmit(t, e, b)
					b.Readings = nil
				}
				c.add(period)
			}
			mustSubmit(t, e, b)
			compareRollups(t, e, "in memory")
			if err := e.Seal(); err != nil {
				t.Fatal(err)
			}
			compareRollups(t, e, "sealed")
			c.add(48 * time.Hour)
			if err := e.Maintain(); err != nil {
				t.Fatal(err)
			}
			compareRollups(t, e, "packed")
			mustSubmit(t, e, telemetry.Batch{Readings: []greenhouse.Reading{reading("a/x", c.ms()-52*3_600_000+1, 30), reading("a/x", c.ms()-58*3_600_000+1, 1)}})
			compareRollups(t, e, "late in memory")
			if err := e.Seal(); err != nil {
				t.Fatal(err)
			}
			compareRollups(t, e, "late merged")
		})
	}
}

func compareRollups(t *testing.T, e *telemetry.Engine, when string) {
	t.Helper()
	all := raw(t, e, "a/x")
	for step, width := range map[telemetry.Step]greenhouse.Millis{telemetry.StepMinute: 60_000, telemetry.StepHour: 3_600_000, telemetry.StepDay: 86_400_000} {
		want := map[greenhouse.Millis]*telemetry.HistorySample{}
		for _, s := range all {
			w := want[s.TS/width*width]
			if w == nil {
				w = &telemetry.HistorySample{Quality: greenhouse.Good, Min: math.Inf(1), Max: math.Inf(-1)}
				want[s.TS/width*width] = w
			}
			if s.Quality == greenhouse.Bad {
				w.Bad++
				continue
			}
			w.Count++
			w.Value += s.Value
			w.Min, w.Max, w.Last, w.Quality = min(w.Min, s.Value), max(w.Max, s.Value), s.Value, max(w.Quality, s.Quality)
		}
		r, err := e.History(context.Background(), telemetry.Query{Point: "a/x", Step: step})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Samples) != len(want) {
			t.Errorf("%s, %s: %d bins, want %d", when, step, len(r.Samples), len(want))
		}
		for _, got := range r.Samples {
			w := want[got.TS]
			if w == nil || w.Count != got.Count || w.Bad != got.Bad || w.Count > 0 && (w.Min != got.Min || w.Max != got.Max || w.Last != got.Last || w.Quality != got.Quality || math.Abs(w.Value/float64(w.Count)-got.Value) > 1e-9) {
				t.Errorf("%s, %s: bin %d is %+v, want %+v", when, step, got.TS, got, w)
				return
			}
		}
	}
}
