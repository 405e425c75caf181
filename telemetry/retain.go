package telemetry

import (
	"fmt"
	"time"

	"greenhouse"
)

// dropsPerPass bounds how many days age away, or lose their trends, in one pass.
const dropsPerPass = 7

// ageWitnesses is how many days of data must lie before the clock is believed
// to be where it says when history is deleted by it. A clock that jumps years
// ahead makes one new day, and that is all the history may lose.
const ageWitnesses = 7

// Dropped tells of history that was deleted on purpose.
type Dropped struct {
	Day   greenhouse.Millis // where the UTC day begins
	Why   string            // "age", "disk budget", or "age of trends": then the rest of the day stays
	Bytes int64             // that it freed
}

// The reasons why history is deleted.
const (
	dropAge    = "age"
	dropBudget = "disk budget"
	dropTrends = "age of trends"
)

// trend is Options.Trend.
func (o *Options) trend(p greenhouse.PointID) bool { return o.Trend != nil && o.Trend(p) }

// kept returns how long a point's readings are kept.
func (o *Options) kept(p greenhouse.PointID) time.Duration {
	if o.TrendRetention < o.Retention && o.trend(p) {
		return o.TrendRetention
	}
	return o.Retention
}

// today returns the day by which history ages: that of the clock, but no later
// than the days of data before the newest say.
func today(all []*dayFile, now time.Time, retention time.Duration) int64 {
	witnesses := int(min(max(retention.Milliseconds()/dayMillis, 1), ageWitnesses))
	i := len(all) - 1 - witnesses
	if i < 0 {
		i, witnesses = 0, len(all)-1
	}
	return min(now.UnixMilli()/dayMillis, all[i].day+int64(witnesses)+1) // today may have no data yet
}

// retain drops days beyond the age, takes trends out of those beyond theirs, and
// drops the oldest beyond the disk budget. While the clock is not trusted nothing
// is deleted.
func (e *Engine) retain(now time.Time) error {
	all := e.days.all()
	if len(all) == 0 || !e.o.ClockTrusted() {
		return nil
	}
	day := today(all, now, e.o.Retention)
	oldest := day - e.o.Retention.Milliseconds()/dayMillis
	for n := 0; len(all) > 1 && all[0].day < oldest && n < dropsPerPass; n++ {
		if err := e.dropDay(all[0], dropAge); err != nil {
			return err
		}
		all = all[1:]
	}
	if err := e.thin(all, today(all, now, e.o.TrendRetention)-e.o.TrendRetention.Milliseconds()/dayMillis); err != nil {
		return err
	}
	all = e.days.all()
	for size, _ := e.days.size(); e.o.MaxBytes > 0 && size > e.o.MaxBytes && len(all) > 1; size, _ = e.days.size() {
		if err := e.dropDay(all[0], dropBudget); err != nil {
			return err
		}
		all = all[1:]
	}
	e.mu.Lock()
	if e.st.pen.rows == 0 { // else some may have got their times from a clock that is not put right yet
		e.st.gaps.dropBefore(greenhouse.Millis(oldest * dayMillis))
	}
	e.mu.Unlock()
	return nil
}

// thin takes the trends out of packed days before oldest.
func (e *Engine) thin(all []*dayFile, oldest int64) error {
	if e.o.Trend == nil || e.o.TrendRetention >= e.o.Retention {
		return nil
	}
	n := 0
	for _, f := range all {
		if f.day >= oldest || n == dropsPerPass {
			return nil
		}
		if f.thin || !f.packed {
			continue
		}
		n++
		before, _ := e.days.size()
		if err := e.rewrite(f, dayThin); err != nil {
			return err
		}
		after, _ := e.days.size()
		e.thinned.Add(1)
		e.dropped(Dropped{greenhouse.Millis(f.day * dayMillis), dropTrends, before - after})
	}
	return nil
}

// dropDay removes a day of history for good.
func (e *Engine) dropDay(f *dayFile, why string) error {
	before, _ := e.days.size()
	if err := e.days.drop(f); err != nil {
		return fmt.Errorf("drop day: %w", err)
	}
	if err := e.o.Disk.Remove(f.path); err != nil {
		return fmt.Errorf("drop day: %w", err)
	}
	after, _ := e.days.size()
	e.droppedDays.Add(1)
	if why == dropBudget {
		e.overBudget.Add(1)
	}
	e.dropped(Dropped{greenhouse.Millis(f.day * dayMillis), why, before - after})
	return nil
}

func (e *Engine) dropped(d Dropped) {
	e.o.Log.Info("history is dropped", "day", d.Day.Time().Format(time.DateOnly), "because", d.Why, "bytes", d.Bytes)
	if e.o.OnDrop != nil {
		e.o.OnDrop(d)
	}
}
