package telemetry_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/telemetry"
)

// removeDisk asks before a file of the history is removed.
type removeDisk struct {
	telemetry.OSDisk
	ask func(name string) error
}

func (d *removeDisk) Remove(name string) error {
	if d.ask != nil && strings.HasSuffix(name, ".db") {
		if err := d.ask(name); err != nil {
			return err
		}
	}
	return d.OSDisk.Remove(name)
}

// TestLateForAThinnedDay: a reading that comes when its day has been thinned by
// the budget is there while that day has a file, and when this goes it either counts
// in a half hour that had none or is on record as lost, for history, and after a kill.
func TestLateForAThinnedDay(t *testing.T) {
	c := newClock()
	first := c.ms()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, MaxBytes: 100_000}
	e := open(t, o)
	daily(t, c, e, 6)
	if thinnedUntil(e, "north/air_temp") < first {
		t.Fatal("the first day was not thinned")
	}
	mustSubmit(t, e, telemetry.Batch{Node: "climate-aabb", Arrived: c.Now(), Readings: []greenhouse.Reading{
		reading("north/air_temp", first+1, 2), reading("north/air_temp", first+2, 3), reading("north/air_temp", first-3_600_000, 4)}})
	if err := e.Seal(); err != nil {
		t.Fatal(err)
	}
	if got := raw(t, e, "north/air_temp"); len(got) == 0 || got[0].TS != first-3_600_000 {
		t.Errorf("what came late is not there: %+v", got)
	}
	for range 2 {
		if err := e.Maintain(); err != nil {
			t.Fatal(err)
		}
	}
	// The half hour had one reading, two are more.
	from := first - first%1_800_000
	want := greenhouse.Gap{Point: "north/air_temp", From: from, To: from + 1_800_000 - 1, Cause: telemetry.CauseLate, Count: 1}
	for _, how := range []string{"", "after a restart"} {
		if got := told(e, "north/air_temp", telemetry.CauseLate); len(got) != 1 || got[0] != want {
			t.Errorf("%s: told as %+v, want %+v", how, got, want)
		}
		if got := told(e, "@climate-aabb/rssi", telemetry.CauseLate); len(got) != 0 {
			t.Errorf("%s: of another point is told %+v", how, got)
		}
		if got := readingsOf(t, e, "north/air_temp"); got != 8 {
			t.Errorf("%s: %d readings are told of, want 8", how, got)
		}
		r, err := e.History(context.Background(), telemetry.Query{Point: "north/air_temp", Step: telemetry.StepHour})
		if err != nil || len(r.Gaps) != 1 || r.Gaps[0] != want {
			t.Errorf("%s: history has the gaps %+v, %v", how, r.Gaps, err)
		}
		shut(t, e)
		e = open(t, o)
	}
	// One more is less than two.
	mustSubmit(t, e, telemetry.Batch{Node: "climate-aabb", Arrived: c.Now(), Readings: []greenhouse.Reading{reading("north/air_temp", first+7, 9)}})
	if err := errors.Join(e.Seal(), e.Maintain()); err != nil {
		t.Fatal(err)
	}
	if got := told(e, "north/air_temp", telemetry.CauseLate); len(got) != 2 || got[1].From != first+7 || got[1].To != first+7 || got[1].Count != 1 {
		t.Errorf("told as %+v", got)
	}
}

// TestNothingLateIsHidden sends readings late at random, to days thinned by the budget,
// through crashes before a file is removed and files that cannot be: what is summed
// up, what is there, and what is told as lost is what was sent.
func TestNothingLateIsHidden(t *testing.T) {
	lost := 0
	c, disk := newClock(), &removeDisk{}
	first := c.ms()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, MaxBytes: 100_000, Disk: disk}
	e := open(t, o)
	daily(t, c, e, 6)
	shut(t, e)
	base := o.Dir
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		o.Dir = dir + "/x"
		copyDir(t, base, o.Dir)
		e := open(t, o)
		defer func() { e.Close(context.Background()) }()
		sent := 6
		for range rapid.IntRange(1, 5).Draw(rt, "rounds") {
			b := telemetry.Batch{Node: "climate-aabb", Arrived: c.Now()}
			day := first + greenhouse.Millis(rapid.IntRange(0, 3).Draw(rt, "day"))*86_400_000
			for range rapid.IntRange(1, 4).Draw(rt, "n") {
				sent++
				b.Readings = append(b.Readings, reading("north/air_temp", day+greenhouse.Millis(rapid.IntRange(-2, 2).Draw(rt, "half")*1_800_000+sent), float64(sent)))
			}
			mustSubmit(t, e, b)
			if err := e.Seal(); err != nil {
				rt.Fatal(err)
			}
			before := ""
			switch rapid.SampledFrom([]string{"", "fails", "crash"}).Draw(rt, "remove") {
			case "fails":
				disk.ask = func(string) error { return syscall.EIO }
			case "crash":
				disk.ask = func(string) error {
					if before == "" {
						before = o.Dir + "x"
						copyDir(t, o.Dir, before)
					}
					return nil
				}
			}
			failed := e.Maintain() != nil
			disk.ask = nil
			if before != "" {
				shut(t, e)
				o.Dir = before
				e = open(t, o)
			}
			if failed || before != "" {
				for range 2 {
					if err := e.Maintain(); err != nil {
						rt.Fatal(err)
					}
				}
			}
		}
		shut(t, e)
		last := o
		last.Retention = dayLong // what came late goes too
		e = open(t, last)
		if err := e.Maintain(); err != nil {
			rt.Fatal(err)
		}
		told := int(tally(e)[telemetry.CauseLate])
		if got := readingsOf(t, e, "north/air_temp"); got+told != sent {
			rt.Fatalf("%d readings are told of and %d as lost, want the %d sent; %+v", got, told, sent, e.Gaps("north/air_temp", 0, 1<<50))
		}
		lost += told
	})
	if lost == 0 {
		t.Error("nothing came too late")
	}
}

// TestAFileThatCannotBeRemoved stays counted and is tried again: one that is dropped
// is read until then, one that was packed is not in the way of its successor.
func TestAFileThatCannotBeRemoved(t *testing.T) {
	c, disk := newClock(), &removeDisk{}
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, Retention: 4 * dayLong, Disk: disk}
	e := open(t, o)
	daily(t, c, e, 4)
	onDisk := func() int {
		all, _ := filepath.Glob(filepath.Join(o.Dir, "days", "*.db"))
		return len(all)
	}
	disk.ask = func(string) error { return syscall.EIO }
	mustSubmit(t, e, telemetry.Batch{Node: "climate-aabb", Arrived: c.Now(), Readings: []greenhouse.Reading{reading("north/air_temp", c.ms(), 1)}})
	if err := e.Seal(); err != nil {
		t.Fatal(err)
	}
	c.add(3 * dayLong)
	for range 2 { // a day is to be packed, others to be dropped
		if err := e.Maintain(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("maintenance says %v", err)
		}
		if s := e.Stats(); s.DayFiles != onDisk() || s.DaysDropped != 0 || len(raw(t, e, "north/air_temp")) != 5 {
			t.Errorf("%d files are counted, %d are there, %d dropped, %d readings", s.DayFiles, onDisk(), s.DaysDropped, len(raw(t, e, "north/air_temp")))
		}
	}
	had := onDisk()
	disk.ask = nil
	if err := e.Maintain(); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.DayFiles != onDisk() || onDisk() >= had || s.DaysDropped == 0 || readingsOf(t, e, "north/air_temp") != 5 {
		t.Errorf("%d files are counted, %d of %d are there, %d dropped", s.DayFiles, onDisk(), had, s.DaysDropped)
	}
}
