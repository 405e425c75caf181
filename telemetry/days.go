package telemetry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// maxOpenDays bounds the day files kept open for readers.
const maxOpenDays = 48

// Day files are named after their day: 20260131.hours.db while hours are still
// being added, 20260131.db when the day has been packed for good,
// 20260131.control.db when the trends in it have become too old.
const (
	growingSuffix = ".hours.db"
	packedSuffix  = ".db"
	thinSuffix    = ".control.db"
	dayLayout     = "20060102"
)

// newDayBytes is about what bbolt writes for a file with two empty buckets.
const newDayBytes = 10 * pageSize

// dayState is what has become of a day.
type dayState uint8

const (
	dayGrows dayState = iota
	dayPacked
	dayThin // packed, without trends
)

func (s dayState) suffix() string { return [...]string{growingSuffix, packedSuffix, thinSuffix}[s] }

// days is the set of day files.
type days struct {
	dir   string
	disk  Disk
	mu    sync.Mutex
	files map[int64]*dayFile
	rest  []string                       // files that another has replaced and that could not be removed yet
	wrote func(path string, bytes int64) // hears of every commit
	tick  atomic.Int64

	name func(day int64) string // of a new file; see levels.go for other than days
}

func dayName(day int64, state dayState) string {
	return time.UnixMilli(day*dayMillis).UTC().Format(dayLayout) + state.suffix()
}

// parseDayName is the inverse of dayName.
func parseDayName(name string) (day int64, state dayState, ok bool) {
	for _, state := range [...]dayState{dayGrows, dayThin, dayPacked} { // each suffix ends with the last
		if base, is := strings.CutSuffix(name, state.suffix()); is {
			t, err := time.Parse(dayLayout, base)
			return t.UnixMilli() / dayMillis, state, err == nil
		}
	}
	return 0, 0, false
}

// openDays lists the directory; no file is opened before it is needed. Where a
// crash left a day twice, the one that was made of the other has all of it.
func openDays(dir string, o *Options, wrote func(string, int64)) (*days, error) {
	ds := &days{dir: dir, disk: o.Disk, files: map[int64]*dayFile{}, wrote: wrote, name: func(day int64) string { return dayName(day, dayGrows) }}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list day files: %w", err)
	}
	for _, d := range entries {
		name := filepath.Join(dir, d.Name())
		day, state, ok := parseDayName(d.Name())
		switch {
		case strings.HasSuffix(d.Name(), ".new"):
			_ = os.Remove(name) // left over by a crash; never used
		case !ok:
		case ds.files[day] == nil:
			ds.files[day] = &dayFile{day: day, path: name, packed: state != dayGrows, thin: state == dayThin}
		default: // the directory is sorted: what was made of another comes first
			if err := o.Disk.Remove(name); err != nil {
				return nil, fmt.Errorf("remove day file that was packed: %w", err)
			}
		}
	}
	return ds, nil
}

func (ds *days) empty() bool {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return len(ds.files) == 0
}

// get returns the file of a day, nil if there is none.
func (ds *days) get(day int64) *dayFile {
	ds.mu.Lock()
	f := ds.files[day]
	ds.mu.Unlock()
	return f
}

// view reads a day, whichever file it is in at the moment; a day that is not
// there has nothing.
func (ds *days) view(day int64, c *chunkCoder, fn func(d *dayTx) error) error {
	for {
		f := ds.get(day)
		if f == nil {
			return nil
		}
		f.used.Store(ds.tick.Add(1))
		if err := f.view(c, fn); !errors.Is(err, errGone) {
			return err
		}
	}
}

// between returns the files of the days from a to b, oldest first.
func (ds *days) between(a, b int64) []*dayFile {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	var out []*dayFile
	for day, f := range ds.files {
		if day >= a && day <= b {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(x, y *dayFile) int { return int(x.day - y.day) })
	return out
}

// all returns every file, oldest first.
func (ds *days) all() []*dayFile { return ds.between(-1<<62, 1<<62) }

// ensure returns the file of a day, creating it if there is none; late says that
// the readings of that day have gone before.
func (ds *days) ensure(day int64, late bool) (*dayFile, error) {
	if f := ds.get(day); f != nil {
		return f, nil
	}
	f := &dayFile{day: day, path: filepath.Join(ds.dir, ds.name(day))}
	db, err := createDay(f.path+".new", day, late)
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, fmt.Errorf("create day file: %w", err)
	}
	if err := ds.publish(f.path+".new", f.path); err != nil {
		return nil, err
	}
	ds.put(f)
	ds.wrote(f.path, newDayBytes)
	return f, nil
}

// update runs fn in a write transaction of a file.
func (ds *days) update(f *dayFile, c *chunkCoder, fn func(d *dayTx) error) error {
	bytes, err := f.update(c, fn)
	if err == nil {
		ds.wrote(f.path, bytes)
	}
	return err
}

// settle commits once more without a change: bbolt falls back to the other of
// its two meta pages if one is damaged, and both shall lead to the same data.
func (ds *days) settle(f *dayFile) error {
	return ds.update(f, nil, func(*dayTx) error { return nil })
}

// publish gives a finished file its name: until then a power cut leaves
// nothing, because bbolt's own first writes do not survive one.
func (ds *days) publish(from, to string) error {
	if err := ds.disk.Rename(from, to); err != nil {
		return fmt.Errorf("publish day file: %w", err)
	}
	if err := ds.disk.SyncDir(ds.dir); err != nil {
		return fmt.Errorf("publish day file: %w", err)
	}
	return nil
}

func (ds *days) put(f *dayFile) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.files[f.day] = f
}

// createDay makes an empty, synced day file under a name that is not final.
func createDay(path string, day int64, late bool) (*bolt.DB, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("create day file: %w", err)
	}
	db, err := bolt.Open(path, 0o600, dayOptions(true))
	if err != nil {
		return nil, fmt.Errorf("create day file: %w", err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, b := range [...]string{bucketMeta, bucketData} {
			if _, err := tx.CreateBucket([]byte(b)); err != nil {
				return err
			}
		}
		meta := tx.Bucket([]byte(bucketMeta))
		if err := putMeta(meta, metaChunks, binary.AppendUvarint(nil, 0)); err != nil {
			return err
		}
		if late {
			if err := putMeta(meta, metaLate, nil); err != nil {
				return err
			}
		}
		return putFormat(meta, day)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create day file: %w", err), db.Close())
	}
	return db, nil
}

// retire closes a day's file, moves or removes it, and forgets it. Where that
// fails the file stays what it was: it is counted, read, and tried again. Readers
// that are in it finish first.
func (ds *days) retire(f *dayFile, how func(path string) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.shut(); err != nil && !isDamage(err) {
		return err
	}
	if err := how(f.path); err != nil {
		return err
	}
	f.gone = true
	ds.mu.Lock()
	defer ds.mu.Unlock()
	delete(ds.files, f.day)
	return nil
}

// replace puts f in the place of old, whose readers finish first.
func (ds *days) replace(old, f *dayFile) error {
	ds.put(f)
	old.mu.Lock()
	defer old.mu.Unlock()
	old.gone = true
	ds.mu.Lock()
	ds.rest = append(ds.rest, old.path)
	ds.mu.Unlock()
	return errors.Join(old.shut(), ds.tidy())
}

// tidy removes what was replaced. What a failure leaves is counted, and tried again.
func (ds *days) tidy() error {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for len(ds.rest) > 0 {
		if err := ds.disk.Remove(ds.rest[0]); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove a file that was replaced: %w", err)
		}
		ds.rest = ds.rest[1:]
	}
	return nil
}

// trim closes the files longest unused beyond maxOpenDays.
func (ds *days) trim() {
	all := ds.all()
	used := func(f *dayFile) int64 { return f.used.Load() }
	slices.SortFunc(all, func(a, b *dayFile) int { return int(used(b) - used(a)) })
	open := 0
	for _, f := range all {
		if !f.mu.TryLock() {
			open++
			continue
		}
		if f.db != nil {
			if open++; open > maxOpenDays {
				_ = f.shut() // nothing is unsynced
			}
		}
		f.mu.Unlock()
	}
}

// size returns what the files occupy.
func (ds *days) size() (bytes int64, n int) {
	ds.mu.Lock()
	paths := slices.Clone(ds.rest)
	ds.mu.Unlock()
	for _, f := range ds.all() {
		paths = append(paths, f.path)
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			bytes += sizeOnDisk(info)
			n++
		}
	}
	return bytes, n
}

// close closes all files; readers find that they are gone.
func (ds *days) close() error {
	var err error
	for _, f := range ds.all() {
		err = errors.Join(err, ds.retire(f, func(string) error { return nil }))
	}
	return err
}
