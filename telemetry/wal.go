package telemetry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
)

// wal is the chain of segments and the file at its end. The committer alone
// appends; the list of segments and what is pending in them is guarded by the
// engine's mutex; the spare segment has a mutex of its own, because preparing
// one takes long.
type wal struct {
	disk Disk
	dir  string
	size int64
	now  func() int64

	segs   []*segment // oldest first; the last is being written
	cur    *segment   // the last, for the committer
	file   File       // of the last segment; nil after a fault
	tip    position   // where the acknowledged log ends
	opened bool       // the header of the last segment is synced

	spareMu sync.Mutex
	spare   uint64       // number of the prepared segment, 0 for none
	next    uint64       // number of the next segment to prepare or use
	files   atomic.Int32 // files of the log, for Stats
	written atomic.Int64 // bytes handed to the device, in whole pages
	syncs   atomic.Int64
}

// pageSize is what a device writes at least; wear is counted in it.
const pageSize = 4096

// firstSegment keeps the very first start quick on a slow card.
const firstSegment = 1 << 20

// errTorn says that what was acknowledged no longer reads back.
var errTorn = errors.New("acknowledged log does not read back")

// room reports whether the frame b fits into the active segment.
func (w *wal) room(n int) bool {
	s := w.cur
	return w.file != nil && s != nil && s.end+int64(n)+frameAlign <= s.size
}

// append makes the frame durable. b has frameHeader bytes in front for it to
// fill in. Until it returns nil, nothing is promised; after an error the file
// is no longer used.
func (w *wal) append(b []byte) error {
	if w.file == nil {
		return fmt.Errorf("append to log: %w", os.ErrClosed)
	}
	s := w.cur
	b = sealFrame(b, position{s.number, s.end})
	_, err := w.file.WriteAt(b, s.end)
	if err == nil {
		err = w.file.Sync()
	}
	w.syncs.Add(1)
	w.count(s.end, int64(len(b)))
	if err != nil {
		w.abandon()
		return fmt.Errorf("append to log: %w", err)
	}
	s.end += int64(len(b))
	w.opened = true
	w.tip = position{s.number, s.end}
	return nil
}

// count adds the pages that a write touches.
func (w *wal) count(off, n int64) {
	w.written.Add(((off+n-1)/pageSize - off/pageSize + 1) * pageSize)
}

// abandon stops using the active file: after a failed write or sync nobody
// knows what of the last frame is on the disk.
func (w *wal) abandon() {
	if w.file != nil {
		_ = w.file.Close() // the fault is reported already
		w.file = nil
	}
}

// verify reads the last segment afresh and checks every acknowledged frame.
func (w *wal) verify() error {
	s := w.cur
	if s == nil || !w.opened {
		return nil
	}
	data, err := readSegment(w.disk, s.path, s.size)
	if err != nil {
		return err
	}
	end, damaged, err := frames(data, s.number, s.end, func(int64, []byte) error { return nil })
	if err == nil && (end != s.end || damaged > 0) {
		err = errTorn
	}
	return err
}

// rotate makes the prepared segment the active one, for frames of at least
// need bytes. Its header becomes durable with the first frame. mu guards the
// list of segments.
func (w *wal) rotate(mu sync.Locker, need int64) error {
	number, err := w.take(need)
	if err != nil {
		return fmt.Errorf("prepare log segment: %w", err)
	}
	path := filepath.Join(w.dir, segmentName(number))
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("open log segment: %w", err)
	}
	f, err := w.disk.Open(path, 0)
	if err != nil {
		return fmt.Errorf("open log segment: %w", err)
	}
	s := &segment{number: number, path: path, size: info.Size(), prev: w.tip, end: segmentHeader,
		pending: map[uint32]struct{}{}, leaving: map[uint32]struct{}{}}
	if _, err := f.WriteAt(appendSegmentHeader(nil, number, w.tip, w.now()), 0); err != nil {
		return fmt.Errorf("begin log segment: %w", errors.Join(err, f.Close()))
	}
	w.count(0, segmentHeader)
	w.abandon()
	mu.Lock()
	defer mu.Unlock()
	if void := w.cur; void != nil && !w.opened { // it never acknowledged anything
		w.segs = w.segs[:len(w.segs)-1]
		w.files.Add(-1)
		_ = w.disk.Remove(void.path) // best effort: it is outside the chain anyway
	}
	w.segs = append(w.segs, s)
	w.cur, w.file, w.opened = s, f, false
	return nil
}

// take returns the number of a prepared segment of at least need bytes,
// preparing one if there is none.
func (w *wal) take(need int64) (uint64, error) {
	w.spareMu.Lock()
	defer w.spareMu.Unlock()
	size := max(w.size, need+segmentHeader+frameAlign)
	if size > w.size { // a frame larger than an ordinary segment
		w.spare = 0
	}
	if w.spare == 0 {
		if w.cur == nil && need == 0 { // the very first
			size = min(size, firstSegment)
		}
		if err := w.prepare(size); err != nil {
			return 0, err
		}
	}
	number := w.spare
	w.spare = 0
	return number, nil
}

// ready prepares the spare segment ahead of need.
func (w *wal) ready() error {
	w.spareMu.Lock()
	defer w.spareMu.Unlock()
	if w.spare != 0 {
		return nil
	}
	return w.prepare(w.size)
}

func (w *wal) prepare(size int64) error {
	if err := zeroSegment(w.disk, w.dir, w.next, size); err != nil {
		return err
	}
	w.written.Add(size)
	w.files.Add(1)
	w.spare = w.next
	w.next++
	return nil
}

// cut removes the oldest segments that hold nothing a checkpoint at `at` and
// the day files do not; one is recycled as the spare. Removal is best effort:
// what stays is replayed and found to be known.
func (w *wal) cut(mu sync.Locker, at position) error {
	mu.Lock()
	n := 0
	for n < len(w.segs)-1 && len(w.segs[n].pending)+len(w.segs[n].leaving) == 0 && w.segs[n].number < at.segment {
		n++
	}
	old := slices.Clone(w.segs[:n])
	w.segs = slices.Delete(w.segs, 0, n)
	mu.Unlock()
	for _, s := range old {
		if err := w.recycle(s); err != nil {
			return fmt.Errorf("cut log: %w", err)
		}
	}
	if len(old) == 0 {
		return nil
	}
	return w.disk.SyncDir(w.dir)
}

// recycle turns a segment into the spare, or removes it.
func (w *wal) recycle(s *segment) error {
	w.spareMu.Lock()
	defer w.spareMu.Unlock()
	if w.spare != 0 || s.size != w.size {
		w.files.Add(-1)
		return w.disk.Remove(s.path)
	}
	if err := w.disk.Rename(s.path, filepath.Join(w.dir, segmentName(w.next))); err != nil {
		return err
	}
	w.spare = w.next
	w.next++
	return nil
}

// bytes returns how much log there is to replay. The engine's mutex is held.
func (w *wal) bytes() (n int64) {
	for _, s := range w.segs {
		n += s.applied
	}
	return n
}
