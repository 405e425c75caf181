package telemetry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"greenhouse"
)

// What stays of days whose readings were dropped lies in a file a month, which
// is laid out like that of a day: under 0|series the name and the days there
// are, a bit each, and under first hour of the day|series a value of this kind.
const (
	kindLevel   = "level"
	levelSuffix = ".db"
	monthLayout = "2006-01"
)

// month returns the first day of the UTC month that has day.
func month(day int64) int64 {
	t := time.UnixMilli(day * dayMillis).UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).UnixMilli() / dayMillis
}

// monthEnd returns the first day of the next month.
func monthEnd(first int64) int64 { return month(first + 31) }

func monthName(first int64) string {
	return time.UnixMilli(first*dayMillis).UTC().Format(monthLayout) + levelSuffix
}

// openLevels lists the files of summaries.
func openLevels(dir string, o *Options, wrote func(string, int64)) (*days, error) {
	ds := &days{dir: dir, disk: o.Disk, files: map[int64]*dayFile{}, wrote: wrote, name: monthName}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list summaries: %w", err)
	}
	for _, d := range entries {
		name := filepath.Join(dir, d.Name())
		base, is := strings.CutSuffix(d.Name(), levelSuffix)
		t, err := time.Parse(monthLayout, base)
		switch {
		case strings.HasSuffix(d.Name(), ".new"):
			_ = os.Remove(name) // left over by a crash; never used
		case is && err == nil:
			first := t.UnixMilli() / dayMillis
			ds.files[first] = &dayFile{day: first, path: name}
		}
	}
	return ds, nil
}

// levelled is what is to stay of a series of the day at hand.
type levelled struct {
	id    uint32
	point greenhouse.PointID
	level []byte
}

// keepLevels writes what shall stay of a day's readings of the points that are
// wanted, in one transaction, before these are dropped. Doing it twice changes
// nothing. What does not read back is recorded as a gap.
func (e *Engine) keepLevels(f *dayFile, wanted func(greenhouse.PointID) bool) error {
	list, late, err := e.levelsOf(f, wanted)
	if isDamage(err) {
		e.o.Log.Error("a day that is to go is damaged", "file", f.path, "error", err)
		e.damaged.Add(1)
		err = e.lostDays(f.day, f.day+1)
	}
	if err = errors.Join(err, e.tellHurt(), e.tellLate(late)); err != nil || len(list) == 0 {
		return err
	}
	first := month(f.day)
	err = e.writeLevels(first, f.day, list)
	if months := e.levels.get(first); isDamage(err) && months != nil {
		if err := e.loseLevels(months, err); err != nil {
			return err
		}
		err = e.writeLevels(first, f.day, list)
	}
	return err
}

// levelsOf sums up the series of a day, and says what comes too late for that.
func (e *Engine) levelsOf(f *dayFile, wanted func(greenhouse.PointID) bool) (list []levelled, late []greenhouse.Gap, err error) {
	s := &e.sealer
	err = f.view(&s.old, func(d *dayTx) error {
		if f.suspect {
			s.hurt = append(s.hurt, hurt{start: uint32(f.day * dayWindows), span: dayWindows})
		}
		return d.eachSeries(func(id uint32) error {
			rec, err := d.record(id)
			if err != nil || !wanted(rec.point) {
				return nil //nolint:nilerr // the file is suspect for it, which is told of above
			}
			l := e.levelOf(d, id, rec)
			if l == (level{rate: l.rate, tail: -1}) {
				return nil
			}
			list = append(list, levelled{id, rec.point, s.coder.appendLevel(nil, &l)})
			if !f.late && !(f.thin && e.o.trend(rec.point)) {
				return nil
			}
			gaps, err := e.tooLate(f.day, id, rec.point, &l)
			late = append(late, gaps...)
			return err
		})
	})
	return list, late, err
}

// levelOf sums up one series of a day.
func (e *Engine) levelOf(d *dayTx, id uint32, rec dayRecord) level {
	s := &e.sealer
	l, sum := level{tail: -1, rate: e.o.Rate == nil || e.o.Rate(rec.point)}, integral{}
	if l.rate {
		sum = e.endOf(d.f.day-1, id)
	}
	for h := range dayWindows {
		if rec.starts&(1<<h) == 0 {
			continue
		}
		window := uint32(d.f.day*dayWindows) + uint32(h)
		rows, err := d.rows(s.merged[:0], window, id)
		if err != nil {
			s.hurt = append(s.hurt, hurt{rec.point, window, rec.span})
			continue
		}
		s.merged = rows
		l.add(d.f.day*dayMillis, rows, &sum)
	}
	return l
}

// endOf returns where the integral of a series stands at the end of a day.
func (e *Engine) endOf(day int64, id uint32) (sum integral) {
	var c chunkCoder
	err := e.days.view(day, &c, func(d *dayTx) error {
		rec, err := d.record(id)
		if err != nil {
			return err
		}
		for h := dayWindows - 1; h >= 0; h-- {
			if rec.starts&(1<<h) == 0 {
				continue
			}
			rows, err := d.rows(nil, uint32(day*dayWindows)+uint32(h), id)
			for _, x := range rows {
				sum.add(x)
			}
			if err != nil || sum.has {
				return err
			}
		}
		return nil
	})
	if err != nil {
		sum = integral{} // damage is told of where it is asked for
	}
	if l, ok, err := e.readLevel(&c, day, id, ""); ok && err == nil && day*dayMillis+l.tail > sum.last.at {
		return l.end(day * dayMillis)
	}
	return sum
}

// writeLevels stores what stays of a day in the file of its month.
func (e *Engine) writeLevels(first, day int64, list []levelled) error {
	f, err := e.levels.ensure(first, false)
	if err != nil {
		return err
	}
	s := &e.sealer
	err = e.levels.update(f, &s.old, func(d *dayTx) error {
		for _, l := range list {
			if err := s.putLevel(d, day, l); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = e.levels.settle(f)
	}
	if err != nil {
		return fmt.Errorf("keep summaries: %w", err)
	}
	return nil
}

// putLevel stores one value, and in the record that it is there.
func (s *sealer) putLevel(d *dayTx, day int64, l levelled) error {
	rec, err := d.record(l.id)
	if err != nil { // its days are there all the same
		rec = dayRecord{}
		for i := range uint32(31) {
			if d.data.Get(windowKey(uint32(d.f.day+int64(i))*dayWindows, l.id)) != nil {
				rec.starts |= 1 << i
			}
		}
	}
	if rec.present && rec.point != l.point {
		return fmt.Errorf("%w: series %d is %s", errDamaged, l.id, rec.point)
	}
	key, bit := windowKey(uint32(day*dayWindows), l.id), uint32(1)<<(day-d.f.day)
	if rec.starts&bit == 0 {
		d.added++
	} else if l.level, err = s.preferLevel(d, key, l.level); err != nil {
		return err
	}
	rec.point, rec.span, rec.starts = l.point, 1, rec.starts|bit
	if err := d.data.Put(key, appendSum(l.level, kindLevel, key)); err != nil {
		return err
	}
	return d.putRecord(l.id, rec)
}

// preferLevel joins a new value with the one that is there. One that does not read
// back gives way.
func (s *sealer) preferLevel(d *dayTx, key, value []byte) ([]byte, error) {
	v, err := d.get(kindLevel, key)
	if err != nil || v == nil {
		return value, nil //nolint:nilerr // what it had is in the readings, or lost already
	}
	old, err := d.c.decodeLevel(v)
	if err != nil {
		return value, nil //nolint:nilerr // as above
	}
	l, err := s.coder.decodeLevel(value)
	if err != nil {
		return nil, err
	}
	l.prefer(&old)
	return s.coder.appendLevel(nil, &l), nil
}

// readLevel reads what stayed of a series and day. With a point it is damage if the
// file has another under its number.
func (e *Engine) readLevel(c *chunkCoder, day int64, id uint32, p greenhouse.PointID) (l level, ok bool, err error) {
	first := month(day)
	if e.levels.get(first) == nil {
		return l, false, nil
	}
	err = e.levels.view(first, c, func(d *dayTx) error {
		rec, err := d.levelRecord(id, p)
		if err != nil || rec.starts&(1<<(day-first)) == 0 {
			return err
		}
		v, err := d.get(kindLevel, windowKey(uint32(day*dayWindows), id))
		if err == nil && v == nil {
			err = fmt.Errorf("%w: a summary is missing", errDamaged)
		}
		if err != nil {
			return err
		}
		if l, err = c.decodeLevel(v); err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		ok = true
		return nil
	})
	return l, ok, err
}

// levelRecord returns which days of a month a series has.
func (d *dayTx) levelRecord(id uint32, p greenhouse.PointID) (dayRecord, error) {
	rec, err := d.record(id)
	switch {
	case err != nil:
		return rec, err
	case !rec.present:
		return rec, d.absent(id)
	case p != "" && rec.point != p:
		return rec, fmt.Errorf("%w: series %d is %s", errDamaged, id, rec.point)
	}
	return rec, nil
}

// levelDays calls fn with the days in [from, to) of which something of a series
// stayed, oldest first, and hurt with the months of which that is not known.
func (e *Engine) levelDays(id uint32, p greenhouse.PointID, from, to int64, fn func(day int64), hurt func(first int64, err error)) {
	var c chunkCoder
	for _, f := range e.levels.between(month(from/dayMillis), (to-1)/dayMillis) {
		var rec dayRecord
		err := e.levels.view(f.day, &c, func(d *dayTx) (err error) {
			rec, err = d.levelRecord(id, p)
			return err
		})
		if err != nil {
			hurt(f.day, err)
			continue
		}
		for i := range int64(31) {
			if day := f.day + i; rec.starts&(1<<i) != 0 && (day+1)*dayMillis > from && day*dayMillis < to {
				fn(day)
			}
		}
	}
}

// thinnedGaps tells on which days a point has summaries in place of readings.
func (e *Engine) thinnedGaps(p greenhouse.PointID, from, to greenhouse.Millis) (gaps []greenhouse.Gap) {
	e.mu.RLock()
	s := e.st.points[p]
	e.mu.RUnlock()
	if s == nil || e.levels.empty() || from >= to {
		return nil
	}
	add := func(first, end int64, cause string) {
		g := greenhouse.Gap{Point: p, From: greenhouse.Millis(first * dayMillis), To: greenhouse.Millis(end*dayMillis - 1), Cause: cause}
		if n := len(gaps) - 1; n >= 0 && gaps[n].Cause == cause && gaps[n].To+1 == g.From {
			gaps[n].To = g.To
			return
		}
		gaps = append(gaps, g)
	}
	var c chunkCoder
	e.levelDays(s.id, p, int64(max(from, 0)), int64(min(to, maxTime+1)), func(day int64) {
		raw := false
		if f := e.days.get(day); f != nil && f.thin && e.o.trend(p) {
			add(day, day+1, CauseThinned) // without opening years of files
			return
		}
		err := e.days.view(day, &c, func(d *dayTx) error {
			rec, err := d.record(s.id)
			raw = rec.present
			return err
		})
		if err == nil && !raw {
			add(day, day+1, CauseThinned)
		}
	}, func(first int64, err error) {
		e.damaged.Add(1)
		e.o.Log.Error("summaries do not read back", "point", p, "month", monthName(first), "error", err)
		add(first, monthEnd(first), CauseCorrupt)
	})
	return gaps
}

// levelled answers for a day of which there are summaries. Where there are
// readings too, left by a crash or late, each half hour is told from what has more.
func (r *reader) levelled(day int64, mem []row) (more bool, err error) {
	base := day * dayMillis
	old, ok, err := r.e.readLevel(&r.coder, day, r.id, r.q.Point)
	if isDamage(err) {
		r.damage(base, base+dayMillis-1, err)
	} else if err != nil {
		return false, err
	}
	r.rows = r.rows[:0]
	if err := r.load(day); err != nil {
		return false, err
	}
	rows := r.rows
	if len(mem) > 0 {
		rows = mergeRows(nil, rows, mem)
	}
	l := level{rate: true, tail: -1}
	l.add(base, rows, &r.sum)
	if ok {
		l.prefer(&old)
		if l.tail >= 0 {
			r.sum = l.end(base)
		}
	}
	for i := range l.bins {
		b, at := &l.bins[i], base+int64(i)*binMillis
		if !b.has() || at < r.from || at >= r.to {
			continue
		}
		if !r.turn(at) {
			return false, nil
		}
		r.bin.merge(b.summary)
		if r.q.Integral {
			r.total += b.total
		}
	}
	return true, nil
}
