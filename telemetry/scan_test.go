package telemetry_test

import (
	"context"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/telemetry"
)

// TestASlowReaderHoldsUpNobody: while an export stands still in the middle of a
// day, readings are stored, windows sealed, days packed and dropped; and it goes
// on with what there was.
func TestASlowReaderHoldsUpNobody(t *testing.T) {
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, Retention: 20 * 24 * time.Hour}
	e := open(t, o)
	const n = 5
	for range n { // five days, the last in memory
		for range 24 {
			mustSubmit(t, e, one(c, 1))
			c.add(time.Hour)
		}
	}
	if err := e.Seal(); err != nil {
		t.Fatal(err)
	}
	mustSubmit(t, e, one(c, 1))
	seen := 0
	err := e.Scan(context.Background(), "a/x", 0, 0, func(r greenhouse.Reading) error {
		if r.Value != 1 {
			return nil // came meanwhile
		}
		if seen++; seen != 30 { // in the second day
			return nil
		}
		for range 3 {
			mustSubmit(t, e, one(c, 2))
			late := one(c, 3)
			late.Readings[0].At = r.At + 1 // into the day that is read
			mustSubmit(t, e, late)
			if err := e.Seal(); err != nil {
				return err
			}
			if err := e.Maintain(); err != nil { // packs
				return err
			}
			c.add(10 * time.Minute)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen != n*24+1 {
		t.Errorf("%d readings were exported, want the %d there were", seen, n*24+1)
	}
	if got := len(raw(t, e, "a/x")); got != n*24+1+3 { // three more, of the late ones the first stays
		t.Errorf("%d readings now", got)
	}
}
