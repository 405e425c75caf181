package telemetry_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/telemetry"
)

func TestReadingsSurviveReopenSealAndPack(t *testing.T) {
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now}
	e := open(t, o)
	var want []telemetry.HistorySample
	for i := range 3 * 360 {
		at := c.ms()
		v := 20 + float64(i%70)/10
		mustSubmit(t, e, telemetry.Batch{Node: "climate-aabb", Boot: "a", Seq: uint64(i + 1), HasSeq: true, Arrived: c.Now(), Readings: []greenhouse.Reading{
			reading("north/air_temp", at, v), reading("north/air_rh", at, 60),
		}})
		want = append(want, telemetry.HistorySample{TS: at, Value: v})
		c.add(10 * time.Second)
	}
	check := func(when string) {
		t.Helper()
		if diff := cmp.Diff(want, raw(t, e, "north/air_temp")); diff != "" {
			t.Fatalf("%s: (-want +got)\n%s", when, diff[:min(len(diff), 2000)])
		}
		got, ok := e.Latest("north/air_temp")
		last := want[len(want)-1]
		if !ok || got.At != last.TS || got.Value != last.Value {
			t.Fatalf("%s: latest is %+v, want %+v", when, got, last)
		}
	}
	check("in the head")
	shut(t, e)
	e = open(t, o)
	check("reopened")
	if err := e.Maintain(); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.DayFiles != 1 || s.HeadReadings >= 2*len(want) {
		t.Fatalf("nothing was sealed: %+v", s)
	}
	check("sealed")
	shut(t, e)
	e = open(t, o)
	check("sealed and reopened")
	c.add(48 * time.Hour)
	if err := e.Maintain(); err != nil {
		t.Fatal(err)
	}
	check("packed")
	if s := e.Stats(); s.HeadReadings != 0 || s.DayFiles != 1 || s.Damaged != 0 || s.Gaps != 0 {
		t.Fatalf("after packing: %+v", s)
	}
	shut(t, e)
	e = open(t, o)
	check("packed and reopened")
	t.Logf("%+v", e.Stats())
}

func TestRollups(t *testing.T) {
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now}
	e := open(t, o)
	start := c.ms()
	bad := math.NaN()
	values := []float64{1, 2, 3, bad, 5, 6, 7, 8}
	for i, v := range values {
		mustSubmit(t, e, telemetry.Batch{Node: "climate-aabb", Readings: []greenhouse.Reading{reading("north/co2", start+greenhouse.Millis(i*20_000), v)}})
		c.add(20 * time.Second)
	}
	want := []telemetry.HistorySample{
		{TS: start, Value: 2, Min: 1, Max: 3, Last: 3, Count: 3},
		{TS: start + 60_000, Value: 5.5, Min: 5, Max: 6, Last: 6, Count: 2, Bad: 1},
		{TS: start + 120_000, Value: 7.5, Min: 7, Max: 8, Last: 8, Count: 2},
	}
	hour := []telemetry.HistorySample{{TS: start - start%3_600_000, Value: 32. / 7, Min: 1, Max: 8, Last: 8, Count: 7, Bad: 1}}
	day := []telemetry.HistorySample{{TS: start - start%86_400_000, Value: 32. / 7, Min: 1, Max: 8, Last: 8, Count: 7, Bad: 1}}
	check := func(when string) {
		t.Helper()
		for step, want := range map[telemetry.Step][]telemetry.HistorySample{telemetry.StepMinute: want, telemetry.StepHour: hour, telemetry.StepDay: day} {
			r, err := e.History(context.Background(), telemetry.Query{Point: "north/co2", From: start, To: start + 160_000, Step: step})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, r.Samples); diff != "" {
				t.Errorf("%s, %s: (-want +got)\n%s", when, step, diff)
			}
		}
	}
	check("head")
	if err := e.Seal(); err != nil {
		t.Fatal(err)
	}
	check("sealed")
	c.add(48 * time.Hour)
	if err := e.Maintain(); err != nil {
		t.Fatal(err)
	}
	check("packed")
}

// TestLargestBatches commits frames far larger than a segment: new points with
// the longest names.
func TestLargestBatches(t *testing.T) {
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, SegmentBytes: 4096, Linger: time.Hour}
	e := open(t, o)
	long := strings.Repeat("x", 240)
	done := make(chan error, 2)
	for n := range 2 {
		b := &telemetry.Batch{Node: "climate-aabb", Urgent: n == 1, Done: func(err error) { done <- err }}
		for i := range 1 << 14 {
			b.Readings = append(b.Readings, reading(fmt.Sprintf("%s/%d.%d", long, n, i), c.ms(), math.Sqrt(float64(i))))
		}
		if err := e.Submit(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	mustSubmit(t, e, telemetry.Batch{Urgent: true, Readings: []greenhouse.Reading{reading("a/x", c.ms(), 1)}})
	shut(t, e)
	e = open(t, o)
	got := map[greenhouse.PointID]greenhouse.Latest{}
	e.Snapshot(got)
	if len(got) != 1<<15+1 || e.Stats().Damaged != 0 {
		t.Errorf("%d points came back, want %d: %+v", len(got), 1<<15+1, e.Stats())
	}
}
