package edge

import (
	"errors"
	"testing"
	"time"

	"greenhouse"
)

// TestWarmthWaitsForTheHistory: while the history cannot be read no date is counted
// and none is lost; phases by days go on; a date that stays unreadable for a week
// counts as one on which nobody measured.
func TestWarmthWaitsForTheHistory(t *testing.T) {
	at := func(day int) time.Time { return time.Date(2026, 3, day, 0, 1, 0, 0, time.UTC) }
	target := map[greenhouse.Quantity]greenhouse.Target{greenhouse.Heating: {Day: 18, Night: 18}}
	r := &greenhouse.Recipe{ID: "basil", Phases: []greenhouse.Phase{{Name: "a", Days: 2, Targets: target}, {Name: "b", DegreeDays: 100, Targets: target}}}
	run, err := greenhouse.StartRecipe(r, "2026-03-01", 0, "2026-03-01", 1, "anna")
	if err != nil {
		t.Fatal(err)
	}
	z := &greenhouse.Zone{ID: "north", Run: run}
	stalled := errors.New("the disk stalls")
	broken := func(greenhouse.ZoneID, time.Time, time.Time) (map[greenhouse.Date]float64, error) {
		return nil, stalled
	}

	got, err := grownBy(z, at(5), broken)
	if got == nil || got.Last().Phase != 2 || got.Counted != "2026-03-02" || got.DegreeDays != 0 || !errors.Is(err, stalled) {
		t.Fatalf("on the fifth: %+v, %v, want the second phase with nothing counted", got, err)
	}
	z.Run = got
	if got, err := grownBy(z, at(6), broken); got != nil || !errors.Is(err, stalled) {
		t.Errorf("on the sixth: %+v, %v, want it to wait", got, err)
	}
	reads := 0
	got, err = grownBy(z, at(7), func(_ greenhouse.ZoneID, from, to time.Time) (map[greenhouse.Date]float64, error) {
		reads++
		if from != at(3).Truncate(24*time.Hour) || to != at(7).Truncate(24*time.Hour) {
			t.Errorf("read from %v to %v", from, to)
		}
		return map[greenhouse.Date]float64{"2026-03-03": 20, "2026-03-04": 10, "2026-03-06": 12}, nil
	})
	if err != nil || reads != 1 || got.DegreeDays != 57 || got.Counted != "2026-03-06" {
		t.Errorf("once it is read: %+v, %v, %d reads; want 20 + 10 + their mean + 12", got, err, reads)
	}
	got, err = grownBy(z, at(11), broken)
	if err != nil || got == nil || got.Counted != "2026-03-10" {
		t.Errorf("after a week: %+v, %v, want it to go on", got, err)
	}
}
