package telemetry_test

import (
	"context"
	"math"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/telemetry"
)

// dayBins computes the local days of raw readings the plain way.
func dayBins(t *testing.T, e *telemetry.Engine, loc *time.Location) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, s := range raw(t, e, "a/x") {
		out[s.TS.Time().In(loc).Format(time.DateOnly)]++
	}
	return out
}

// Days are those of the site, of 23, 24 and 25 hours, whether what they are
// made from is in memory, sealed or packed.
func TestDaysAreLocal(t *testing.T) {
	for _, place := range []struct{ zone, from string }{
		{"Europe/Amsterdam", "2025-10-24T12:00:00Z"},    // 25 hours on the 26th
		{"Europe/Amsterdam", "2026-03-27T12:00:00Z"},    // 23 hours on the 29th
		{"Asia/Kolkata", "2026-01-10T00:00:00Z"},        // +05:30
		{"America/Santiago", "2026-09-04T12:00:00Z"},    // the 6th begins at 01:00
		{"Australia/Lord_Howe", "2026-04-03T00:00:00Z"}, // half an hour of summer time
		{"UTC", "2026-01-10T03:00:00Z"},
	} {
		loc, err := time.LoadLocation(place.zone)
		if err != nil {
			t.Skip(err)
		}
		from, _ := time.Parse(time.RFC3339, place.from)
		c := &clock{t: from}
		e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now})
		b := telemetry.Batch{}
		for range 4 * 24 * 6 {
			b.Readings = append(b.Readings, reading("a/x", c.ms(), 1))
			c.add(10 * time.Minute)
		}
		mustSubmit(t, e, b)
		for _, when := range []string{"in memory", "sealed", "packed"} {
			want := dayBins(t, e, loc)
			r, err := e.History(context.Background(), telemetry.Query{Point: "a/x", Step: telemetry.StepDay, Location: loc})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Samples) != len(want) {
				t.Errorf("%s %s: got %d days, want %d", place.zone, when, len(r.Samples), len(want))
			}
			for _, s := range r.Samples {
				day := s.TS.Time().In(loc)
				if s.Count != want[day.Format(time.DateOnly)] {
					t.Errorf("%s %s: %v has %d readings, want %d", place.zone, when, day, s.Count, want[day.Format(time.DateOnly)])
				}
				if before := day.Add(-time.Millisecond); before.Day() == day.Day() {
					t.Errorf("%s %s: %v is no beginning of a day", place.zone, when, day)
				}
			}
			hours, err := e.History(context.Background(), telemetry.Query{Point: "a/x", Step: telemetry.StepHour, Location: loc})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range hours.Samples {
				if at := s.TS.Time().In(loc); place.zone != "Australia/Lord_Howe" && at.Minute() != 0 {
					t.Errorf("%s %s: an hour begins at %v", place.zone, when, at)
				}
			}
			if when == "in memory" {
				if err := e.Seal(); err != nil {
					t.Fatal(err)
				}
			} else {
				c.add(72 * time.Hour)
				if err := e.Maintain(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// A light sum is the same over any step, leaves out what nobody measured, and
// is what light times time makes.
func TestIntegral(t *testing.T) {
	c := &clock{t: time.Date(2026, 6, 1, 6, 0, 0, 0, time.UTC)}
	e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now})
	b := telemetry.Batch{}
	for i := range 12 * 360 { // twelve hours of 10 s, one of them missing, some failed
		at := c.ms()
		c.add(10 * time.Second)
		switch {
		case i >= 6*360 && i < 7*360:
			continue
		case i%100 == 99:
			b.Readings = append(b.Readings, greenhouse.Reading{Point: "a/ppfd", At: at, Value: math.NaN(), Quality: greenhouse.Bad})
		default:
			b.Readings = append(b.Readings, reading("a/ppfd", at, 500))
		}
	}
	mustSubmit(t, e, b)
	_, perSecond, ok := greenhouse.Integral("µmol/m²/s")
	if !ok {
		t.Fatal("light adds up to nothing")
	}
	for range 2 {
		for _, step := range []telemetry.Step{telemetry.StepMinute, telemetry.StepHour, telemetry.StepDay} {
			r, err := e.History(context.Background(), telemetry.Query{Point: "a/ppfd", Step: step, Integral: true})
			if err != nil {
				t.Fatal(err)
			}
			var sum float64
			for _, s := range r.Samples {
				sum += s.Integral * perSecond
			}
			if want := 500 * (11*3600 - 30) * 1e-6; math.Abs(sum-want) > 0.01 { // 30 s at the edges
				t.Errorf("step %s: got %.3f mol/m², want %.3f", step, sum, want)
			}
		}
		if err := e.Seal(); err != nil {
			t.Fatal(err)
		}
	}
}
