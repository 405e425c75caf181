package telemetry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/telemetry"
)

// dense sends n readings of each point, 1 ms apart from start, in batches of
// 500 with many under way, and waits until all are acknowledged.
func dense(t testing.TB, e *telemetry.Engine, points int, start greenhouse.Millis, offsets []int) {
	t.Helper()
	const perBatch = 500
	done := make(chan error, 64)
	flying := 0
	wait := func() {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		flying--
	}
	for p := range points {
		for i := 0; i < len(offsets); i += perBatch {
			b := &telemetry.Batch{Node: "multi-aabb", Done: func(err error) { done <- err }}
			for _, off := range offsets[i:min(i+perBatch, len(offsets))] {
				at := start + greenhouse.Millis(off)
				b.Readings = append(b.Readings, reading(fmt.Sprintf("a/p%d", p), at, float64(int64(at)%1000)/10))
			}
			if err := e.Submit(context.Background(), b); err != nil {
				t.Fatal(err)
			}
			if flying++; flying == cap(done) {
				wait()
			}
		}
	}
	for flying > 0 {
		wait()
	}
}

func ordered(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// wantDense checks that every point has exactly the readings sent.
func wantDense(t *testing.T, e *telemetry.Engine, points int, start greenhouse.Millis, n int) {
	t.Helper()
	for p := range points {
		next := start
		err := e.Scan(context.Background(), greenhouse.PointID(fmt.Sprintf("a/p%d", p)), 0, 0, func(r greenhouse.Reading) error {
			if want := float64(int64(next)%1000) / 10; r.At != next || r.Value != want || r.Quality != greenhouse.Good {
				return fmt.Errorf("got %+v, want %v at %d", r, want, next)
			}
			next++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := int(next - start); got != n {
			t.Fatalf("point %d: got %d readings, want %d", p, got, n)
		}
	}
}

// A load test sends a sample every millisecond: 600,000 of each of four points
// within ten minutes. None is refused, whatever lies in the hour already.
func TestAReadingEveryMillisecond(t *testing.T) {
	const points, n = 4, 600_000
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, HeadReadings: 500_000, SegmentBytes: 1 << 20}
	start := c.ms() - n
	e := open(t, o)
	dense(t, e, points, start, ordered(n))
	wantDense(t, e, points, start, n)
	if s := e.Stats(); s.Refused != 0 || s.Stored != points*n || s.Gaps != 0 {
		t.Errorf("live: got %d refused, %d stored, %d gaps; want 0, %d, 0", s.Refused, s.Stored, s.Gaps, points*n)
	}
	if err := e.Seal(); err != nil {
		t.Fatal(err)
	}
	wantDense(t, e, points, start, n)
	if got := e.Stats().HeadReadings; got != 0 {
		t.Errorf("sealed: got %d readings in memory, want 0", got)
	}
	shut(t, e)
	e = open(t, o)
	wantDense(t, e, points, start, n)
	// Sent once more after a restart, all are known.
	dense(t, e, 1, start, ordered(n))
	if err := e.Seal(); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.Stored != 0 || s.Deduplicated != n {
		t.Errorf("again: got %d stored and %d known, want 0 and %d", s.Stored, s.Deduplicated, n)
	}
	wantDense(t, e, points, start, n)
}

// A flood in disorder costs what one in order costs, within a small factor, and
// memory stays within its bound.
func TestADisorderedFlood(t *testing.T) {
	const n = 300_000
	c := newClock()
	start := c.ms() - 3_600_000
	start -= start % 3_600_000 // one window
	offsets := ordered(n)
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { offsets[i], offsets[j] = offsets[j], offsets[i] })
	e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now})
	begin := time.Now()
	dense(t, e, 1, start, ordered(n))
	straight := time.Since(begin)
	e2 := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now})
	begin = time.Now()
	dense(t, e2, 1, start, offsets)
	shuffled := time.Since(begin)
	t.Logf("%d readings in order %v, shuffled %v", n, straight, shuffled)
	if shuffled > 30*straight+5*time.Second {
		t.Errorf("shuffled readings took %v, in order %v", shuffled, straight)
	}
	wantDense(t, e2, 1, start, n)
	shut(t, e2)
}

// Memory holds at most twice HeadReadings and one commit: then senders wait.
func TestTheHeadIsBounded(t *testing.T) {
	const n, head = 200_000, 10_000
	c := newClock()
	e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now, HeadReadings: head})
	start := c.ms() - n
	most := 0
	for i := 0; i < n; i += 5000 {
		var offsets []int
		for k := i; k < i+5000; k++ {
			offsets = append(offsets, k)
		}
		dense(t, e, 1, start, offsets)
		most = max(most, e.Stats().HeadReadings)
	}
	if limit := 2*head + 16384; most > limit {
		t.Errorf("memory held %d readings, want at most %d", most, limit)
	}
	wantDense(t, e, 1, start, n)
}

// A day that was packed into long chunks takes a flood that comes late: the
// chunks are split.
func TestALateFloodIntoAPackedDay(t *testing.T) {
	const n = 100_000
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now}
	e := open(t, o)
	day := c.ms() - c.ms()%86_400_000
	quiet := []int{0, 3_600_000, 5 * 3_600_000, 13 * 3_600_000} // before the flood and after it
	dense(t, e, 1, day, quiet)
	c.add(48 * time.Hour)
	for range 3 {
		if err := e.Maintain(); err != nil {
			t.Fatal(err)
		}
	}
	flood := ordered(n)
	for i := range flood {
		flood[i] += 2*3_600_000 - n/2 // across two hours
	}
	dense(t, e, 1, day, flood)
	dense(t, e, 1, day, []int{6 * 3_600_000})
	if err := e.Seal(); err != nil {
		t.Fatal(err)
	}
	want := n + len(quiet) + 1
	for range 2 {
		if got := len(raw(t, e, "a/p0")); got != want {
			t.Fatalf("got %d readings, want %d", got, want)
		}
		hours, err := e.History(context.Background(), telemetry.Query{Point: "a/p0", From: day, To: day + 86_400_000, Step: telemetry.StepHour})
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, h := range hours.Samples {
			total += h.Count
		}
		if total != want || len(hours.Samples) != 6 {
			t.Errorf("rollup counts %d readings in %d hours, want %d in 6", total, len(hours.Samples), want)
		}
		if d := e.Stats().Damaged; d != 0 {
			t.Errorf("got %d damaged, want 0", d)
		}
		shut(t, e)
		e = open(t, o)
	}
}
