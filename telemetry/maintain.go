package telemetry

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

const (
	// packDelay is how long after its end a day is packed, so that most of
	// what comes late is in.
	packDelay = 2 * time.Hour
)

// Maintain does what is due now: seal closed windows, pack finished days, drop
// days beyond retention, watch free space, prepare the next log segment. The
// engine calls it by itself; it is exported for tools and tests.
func (e *Engine) Maintain() error {
	e.maintain.Lock()
	defer e.maintain.Unlock()
	now := e.o.Now()
	e.checkSpace()
	if e.fault.Load() != nil {
		signal(e.queue.wake) // the committer tries to mend it
	}
	e.settleDue()
	err := e.sealDue(now)
	e.stuck.Store(nil)
	if err != nil {
		e.stuck.Store(&err)
		signal(e.eased)
	}
	if err == nil {
		err = e.packDue(now)
	}
	if err != nil {
		e.sealErr.Store(&err)
	} else {
		e.sealErr.Store(nil)
	}
	err = errors.Join(err, e.retain(now))
	if !e.low.Load() {
		if rerr := e.wal.ready(); rerr != nil {
			err = errors.Join(err, fmt.Errorf("prepare log segment: %w", rerr))
		}
	}
	e.days.trim()
	e.levels.trim()
	return errors.Join(err, e.days.tidy())
}

// checkSpace leaves trends out while the disk has less than twice the free space
// it should, and pauses telemetry altogether below that; either ends with a
// quarter to spare.
func (e *Engine) checkSpace() {
	if e.o.MinFree < 0 {
		return
	}
	free, err := e.o.Free(e.o.Dir)
	if err != nil {
		e.o.Log.Warn("free disk space is unknown", "error", err)
		return
	}
	least := uint64(e.o.MinFree)
	for _, x := range [...]struct {
		flag      *atomic.Bool
		least     uint64
		begin, ok string
	}{
		{&e.tight, 2 * least, "the disk is filling up: trends are not stored", "the disk has room for trends again"},
		{&e.low, least, "telemetry is paused: the disk is nearly full", "the disk has room again"},
	} {
		switch {
		case free < x.least && !x.flag.Swap(true):
			e.o.Log.Error(x.begin, "free", free, "least", x.least)
		case free >= x.least+x.least/4 && x.flag.Swap(false):
			e.o.Log.Info(x.ok, "free", free)
		}
	}
}

// sealDue seals what the clock has closed, or everything if memory or log grow
// beyond their bounds. What comes late for windows sealed before waits for the
// next window to close: merging it at once would wear out a card.
func (e *Engine) sealDue(now time.Time) error {
	limit := uint32(max(now.Add(-e.o.SealDelay).UnixMilli()/windowMillis, 0))
	e.mu.RLock()
	full := e.st.cells > e.o.HeadReadings || e.wal.bytes() > e.o.LogBytes
	e.mu.RUnlock()
	if full || e.sealAll.Load() {
		limit = math.MaxUint32
	}
	if limit <= e.sealer.limit && len(e.sealer.frozen) == 0 {
		return nil
	}
	if err := e.seal(limit); err != nil {
		return err
	}
	if limit == math.MaxUint32 {
		e.sealAll.Store(false)
	} else {
		e.sealer.limit = limit
	}
	return nil
}

// Seal seals all windows now, open ones too. Later readings are merged in.
func (e *Engine) Seal() error {
	e.maintain.Lock()
	defer e.maintain.Unlock()
	if err := e.seal(math.MaxUint32); err != nil { // what an earlier pass left
		return err
	}
	return e.seal(math.MaxUint32)
}

// packDue packs days that ended packDelay ago.
func (e *Engine) packDue(now time.Time) error {
	before := now.Add(-packDelay).UnixMilli() / dayMillis
	for _, f := range e.days.all() {
		if f.packed || f.day >= before {
			continue
		}
		if err := e.pack(f); err != nil {
			return err
		}
		select {
		case <-e.stop:
			return nil
		default:
		}
	}
	return nil
}

// rebuild reads names and latest values back from the day files, newest first.
// Damaged ones are left for the sealer to find.
func (e *Engine) rebuild() error {
	var c chunkCoder
	files := e.days.all()
	for i := len(files) - 1; i >= 0; i-- {
		f := files[i]
		err := f.view(&c, func(d *dayTx) error {
			return d.eachSeries(func(id uint32) error {
				e.recall(d, id)
				return nil
			})
		})
		if err != nil {
			e.damaged.Add(1)
			e.o.Log.Error("a day file cannot be read", "file", f.path, "error", err)
		}
	}
	e.days.trim()
	e.recallNames(&c)
	return nil
}

// recallNames takes the names of points of which only summaries are left: their
// numbers must not come to stand for others.
func (e *Engine) recallNames(c *chunkCoder) {
	files := e.levels.all()
	for i := len(files) - 1; i >= 0; i-- {
		err := files[i].view(c, func(d *dayTx) error {
			return d.eachSeries(func(id uint32) error {
				if r, err := d.record(id); err == nil && e.st.points[r.point] == nil {
					_ = e.st.defineSeries(id, r.point) // another has the number: the file is found damaged when it is read
				}
				return nil
			})
		})
		if err != nil {
			e.damaged.Add(1)
			e.o.Log.Error("summaries cannot be read", "file", files[i].path, "error", err)
		}
	}
	e.levels.trim()
}

// recall takes one series of a day into the state, unless a newer day had it.
func (e *Engine) recall(d *dayTx, id uint32) {
	r, err := d.record(id)
	if err != nil || !r.present {
		return
	}
	if e.st.defineSeries(id, r.point) != nil || e.st.series[id].latest.at != 0 {
		return
	}
	for h := dayWindows - 1; h >= 0; h-- {
		if r.starts&(1<<h) == 0 {
			continue
		}
		rows, err := d.rows(nil, uint32(d.f.day*dayWindows)+uint32(h), id)
		if err == nil && len(rows) > 0 {
			last := rows[len(rows)-1]
			e.st.series[id].latest = last
			e.st.series[id].sensor = e.st.series[id].usual()
			e.st.newest = max(e.st.newest, last.at)
			return
		}
	}
}
