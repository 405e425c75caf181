package telemetry_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/telemetry"
)

// clock is a wall clock that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.UnixMilli(1_764_000_000_000).UTC()} } // 2025-11-24 16:00

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func (c *clock) ms() greenhouse.Millis { return greenhouse.MillisOf(c.Now()) }

// open opens an engine that is maintained only on request and closed with the test.
func open(t testing.TB, o telemetry.Options) *telemetry.Engine {
	t.Helper()
	if o.Maintain == 0 {
		o.Maintain = -1
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 64 << 10
	}
	e, err := telemetry.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(context.Background()) })
	return e
}

func shut(t testing.TB, e *telemetry.Engine) {
	t.Helper()
	if err := e.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// submit sends a batch and returns what Done said.
func submit(t testing.TB, e *telemetry.Engine, b telemetry.Batch) error {
	t.Helper()
	done := make(chan error, 1)
	b.Done = func(err error) { done <- err }
	if err := e.Submit(context.Background(), &b); err != nil {
		return err
	}
	return <-done
}

func mustSubmit(t testing.TB, e *telemetry.Engine, b telemetry.Batch) {
	t.Helper()
	if err := submit(t, e, b); err != nil {
		t.Fatal(err)
	}
}

func reading(p string, at greenhouse.Millis, v float64) greenhouse.Reading {
	return greenhouse.Reading{Point: greenhouse.PointID(p), At: at, Value: v}
}

// raw returns all readings of a point.
func raw(t fataler, e *telemetry.Engine, p greenhouse.PointID) []telemetry.HistorySample {
	t.Helper()
	var all []telemetry.HistorySample
	q := telemetry.Query{Point: p, Step: telemetry.StepRaw}
	for {
		r, err := e.History(context.Background(), q)
		if errors.Is(err, greenhouse.ErrNotFound) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r.Samples...)
		if q.Cursor = r.Next; q.Cursor == "" {
			return all
		}
	}
}

// fataler is a test or a case of a property.
type fataler interface {
	Helper()
	Fatal(...any)
}

// scratch returns an empty directory, in memory where the system offers that: for
// tests that open thousands of engines, and for whom nothing has to survive a cut.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "telemetry-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// within returns tests of a range alone.
func within(lo, hi float64) func(greenhouse.PointID) greenhouse.SensorTests {
	return func(greenhouse.PointID) greenhouse.SensorTests {
		t := greenhouse.AnyValue()
		t.Min, t.Max = lo, hi
		return t
	}
}
