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
	Day   greenhouse.Millis // where the UTC day, or the month of summaries, begins
	What  string            // "readings", "trends" or "summaries"
	Why   string            // "age" or "disk budget"
	Kept  bool              // summaries stay in place of the readings
	Bytes int64             // that it freed
}

// What is deleted of the history, and why.
const (
	dropReadings  = "readings"
	dropTrends    = "trends"
	dropSummaries = "summaries"

	dropAge    = "age"
	dropBudget = "disk budget"
)

// levelShare is the part of the disk budget that summaries may have before
// readings give way to them.
const levelShare = 10

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

// retain drops the readings of days beyond the age, and trends of those beyond
// theirs, and keeps their summaries; what is beyond the disk budget goes the same way.
// While the clock is not trusted nothing is deleted.
func (e *Engine) retain(now time.Time) error {
	all := e.days.all()
	if len(all) == 0 || !e.o.ClockTrusted() {
		return nil
	}
	day := today(all, now, e.o.Retention)
	oldest := day - e.o.Retention.Milliseconds()/dayMillis
	levels := day - e.o.RollupRetention.Milliseconds()/dayMillis // the oldest day of which summaries are kept
	for n := 0; len(all) > 1 && all[0].day < oldest && n < dropsPerPass; n++ {
		if err := e.dropDay(all[0], dropAge, levels); err != nil {
			return err
		}
		all = all[1:]
	}
	if err := e.thin(all, today(all, now, e.o.TrendRetention)-e.o.TrendRetention.Milliseconds()/dayMillis, levels); err != nil {
		return err
	}
	for _, f := range e.levels.all() {
		if monthEnd(f.day) > levels {
			break
		}
		if err := e.dropLevels(f, dropAge); err != nil {
			return err
		}
	}
	if err := e.economise(levels); err != nil {
		return err
	}
	if months := e.levels.all(); len(months) > 0 {
		oldest = min(oldest, months[0].day) // what is not known of their time is told as long
	}
	e.mu.Lock()
	if e.st.pen.rows == 0 { // else some may have got their times from a clock that is not put right yet
		e.st.gaps.dropBefore(greenhouse.Millis(oldest * dayMillis))
	}
	e.mu.Unlock()
	return nil
}

// economise keeps to the disk budget: summaries beyond their share go, then the
// oldest readings, and if only today's are left the oldest summaries.
func (e *Engine) economise(levels int64) error {
	if e.o.MaxBytes <= 0 {
		return nil
	}
	for {
		days, _ := e.days.size()
		summaries, _ := e.levels.size()
		all, months := e.days.all(), e.levels.all()
		var err error
		switch {
		case days+summaries <= e.o.MaxBytes:
			return nil
		case len(months) > 0 && (len(all) < 2 || len(months) > 1 && summaries > e.o.MaxBytes/levelShare):
			err = e.dropLevels(months[0], dropBudget)
		case len(all) > 1:
			err = e.dropDay(all[0], dropBudget, levels)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// thin takes the trends out of packed days before oldest.
func (e *Engine) thin(all []*dayFile, oldest, levels int64) error {
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
		if f.day >= levels {
			if err := e.keepLevels(f, e.o.trend); err != nil {
				return err
			}
		}
		if err := e.rewrite(f, dayThin); err != nil {
			return err
		}
		after, _ := e.days.size()
		e.thinned.Add(1)
		e.dropped(Dropped{greenhouse.Millis(f.day * dayMillis), dropTrends, dropAge, f.day >= levels, before - after})
	}
	return nil
}

// dropDay removes the readings of a day for good, when their summaries are safe.
func (e *Engine) dropDay(f *dayFile, why string, levels int64) error {
	if f.day >= levels {
		if err := e.keepLevels(f, func(greenhouse.PointID) bool { return true }); err != nil {
			return fmt.Errorf("drop day: %w", err)
		}
	}
	freed, err := e.remove(e.days, f)
	if err != nil {
		return fmt.Errorf("drop day: %w", err)
	}
	e.droppedDays.Add(1)
	if why == dropBudget {
		e.overBudget.Add(1)
	}
	e.dropped(Dropped{greenhouse.Millis(f.day * dayMillis), dropReadings, why, f.day >= levels, freed})
	return nil
}

// dropLevels removes a month of summaries for good.
func (e *Engine) dropLevels(f *dayFile, why string) error {
	freed, err := e.remove(e.levels, f)
	if err != nil {
		return fmt.Errorf("drop summaries: %w", err)
	}
	e.droppedLevels.Add(1)
	e.dropped(Dropped{greenhouse.Millis(f.day * dayMillis), dropSummaries, why, false, freed})
	return nil
}

// remove deletes a file of a set and returns how many bytes that freed.
func (e *Engine) remove(of *days, f *dayFile) (freed int64, err error) {
	before, _ := of.size()
	if err := of.retire(f, e.o.Disk.Remove); err != nil {
		return 0, err
	}
	after, _ := of.size()
	return before - after, nil
}

func (e *Engine) dropped(d Dropped) {
	e.o.Log.Info("history is dropped", "day", d.Day.Time().Format(time.DateOnly), "what", d.What, "because", d.Why, "summaries", d.Kept, "bytes", d.Bytes)
	if e.o.OnDrop != nil {
		e.o.OnDrop(d)
	}
}
