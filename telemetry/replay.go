package telemetry

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"greenhouse"
)

// anySegment stands for a predecessor that a damaged header no longer names.
const anySegment = 1<<64 - 1

// openLog finds the chain of segments, replays it into the state and begins a
// place to go on. ck is what the state already covers.
func (e *Engine) openLog(ck checkpoint) error {
	w := &wal{disk: e.o.Disk, dir: e.logDir(), size: e.o.SegmentBytes, now: func() int64 { return e.o.Now().UnixMilli() }, next: 1}
	e.wal = w
	names, err := segmentFiles(e.logDir())
	if err != nil {
		return err
	}
	chain, limits, err := e.chain(names)
	if err != nil {
		return err
	}
	w.files.Add(int32(len(chain)))
	for i, s := range chain {
		if err := e.replay(s, limits[i], ck); err != nil {
			return err
		}
		w.segs = append(w.segs, s)
	}
	if n := len(chain); n > 0 {
		w.cur = chain[n-1]
		w.tip = position{w.cur.number, w.cur.end}
		e.applied = w.tip
	}
	w.next = max(w.next, w.tip.segment+1, ck.at.segment+1)
	return e.resume()
}

// resume goes on in the last segment, or in a new one.
func (e *Engine) resume() error {
	w := e.wal
	s := w.cur
	if s == nil || s.end+frameHeader >= s.size {
		w.opened = true
		return w.rotate(&e.mu, 0)
	}
	f, err := w.disk.Open(s.path, 0)
	if err != nil {
		return fmt.Errorf("open log segment: %w", err)
	}
	// What was replayed may only have been in memory: it is promised from now on.
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync log segment: %w", errors.Join(err, f.Close()))
	}
	w.file, w.opened = f, true
	return nil
}

// segmentFiles returns the numbers of the segment files, oldest first.
func segmentFiles(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read log directory: %w", err)
	}
	var numbers []uint64
	for _, d := range entries {
		if n, ok := segmentNumber(d.Name()); ok && d.Type().IsRegular() {
			numbers = append(numbers, n)
		} else if filepath.Ext(d.Name()) == ".new" {
			_ = os.Remove(filepath.Join(dir, d.Name())) // left over by a crash; never used
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// chain returns the segments that were used, oldest first, each with the
// offset up to which it counts, and removes files outside the chain.
func (e *Engine) chain(numbers []uint64) (chain []*segment, limits []int64, err error) {
	all := map[uint64]*segment{}
	for _, n := range numbers {
		s, err := e.probe(n)
		if err != nil {
			return nil, nil, err
		}
		if s != nil {
			all[n] = s
		}
	}
	slices.Reverse(numbers)
	want, limit := uint64(anySegment), int64(math.MaxInt64)
	for _, n := range numbers {
		e.wal.next = max(e.wal.next, n+1)
		s := all[n]
		switch {
		case s == nil && len(chain) == 0 && e.adopt(n): // the spare
			continue
		case s == nil || n > want || want == 0: // outside the chain
			if err := e.o.Disk.Remove(filepath.Join(e.logDir(), segmentName(n))); err != nil {
				return nil, nil, fmt.Errorf("remove unused segment: %w", err)
			}
			continue
		case n != want: // the one named is gone: take this one whole
			limit = math.MaxInt64
		}
		chain, limits = append(chain, s), append(limits, limit)
		want, limit = s.prev.segment, s.prev.offset
	}
	slices.Reverse(chain)
	slices.Reverse(limits)
	return chain, limits, nil
}

// adopt keeps an unused segment of the right size as the spare.
func (e *Engine) adopt(n uint64) bool {
	info, err := os.Stat(filepath.Join(e.logDir(), segmentName(n)))
	if err != nil || info.Size() != e.o.SegmentBytes || e.wal.spare != 0 {
		return false
	}
	e.wal.spare = n
	e.wal.files.Add(1)
	return true
}

// probe reads the head of a segment file; nil means it was never used.
func (e *Engine) probe(n uint64) (*segment, error) {
	path := filepath.Join(e.logDir(), segmentName(n))
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	data, err := readSegment(e.o.Disk, path, min(info.Size(), segmentHeader+maxFrame+frameHeader))
	if err != nil {
		return nil, fmt.Errorf("read log segment: %w", err)
	}
	s := &segment{number: n, path: path, size: info.Size(), pending: map[uint32]struct{}{}, leaving: map[uint32]struct{}{}}
	var ok bool
	if s.prev, ok = parseSegmentHeader(data, n); ok {
		return s, nil
	}
	if _, _, ok := frameAt(data, n, segmentHeader); ok {
		e.damaged.Add(1)
		e.o.Log.Error("the header of a log segment is damaged; its frames are intact", "file", path)
		s.prev.segment = anySegment
		return s, nil
	}
	return nil, nil
}

// replay applies the frames of a segment up to limit.
func (e *Engine) replay(s *segment, limit int64, ck checkpoint) error {
	data, err := readSegment(e.o.Disk, s.path, s.size)
	if err != nil {
		return fmt.Errorf("read log segment: %w", err)
	}
	a := applier{st: e.st, seg: s}
	lost := 0
	end, damaged, err := frames(data, s.number, limit, func(off int64, payload []byte) error {
		a.known = nil
		if (position{s.number, off}).before(ck.at) {
			a.known = ck.pending[s.number]
			if a.known == nil {
				a.known = map[uint32]struct{}{}
			}
		}
		if err := a.frame(payload); err != nil {
			lost++
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.end, s.applied = end, end
	if limit == math.MaxInt64 && s.number == ck.at.segment {
		limit = ck.at.offset // at least this much was there once
	}
	if limit < math.MaxInt64 && end < limit {
		damaged += limit - end
	}
	if damaged > 0 || lost > 0 {
		e.reportDamage(s, damaged, lost)
	}
	return nil
}

// reportDamage makes a damaged log known: what was in the hole is a gap of the
// whole site around the time the segment was written.
func (e *Engine) reportDamage(s *segment, bytes int64, frames int) {
	e.damaged.Add(1)
	e.o.Log.Error("part of the log is damaged", "file", s.path, "bytes", bytes, "frames", frames)
	at := greenhouse.Millis(e.st.newest)
	e.st.gaps.add(greenhouse.Gap{From: at, To: at, Cause: CauseCorrupt})
}
