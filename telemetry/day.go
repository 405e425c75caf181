package telemetry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"greenhouse"
)

// A day file has two buckets: "meta", where "format" holds version and day,
// "chunks" how many chunks there are and "late" says that the file was begun when
// readings of its day had gone, and "data" with everything else, because a bucket of its own would cost small
// sites a page each:
//
//	0|series                   → what the file says of the series
//	window|series              → chunk
//	window|column+columnOffset → times shared by several chunks of the window
//
// Every value ends with the CRC-32C of its kind, key and content.
const (
	bucketMeta = "meta"
	bucketData = "data"
	metaFormat = "format"
	metaChunks = "chunks"
	metaLate   = "late"

	kindMeta   = "meta"
	kindSeries = "series"
	kindChunk  = "chunk"
	kindTimes  = "times"

	columnOffset = 1 << 31
)

// dayFormat is the version of the day files written here. Version 2 added two coders
// of columns; what has only the one of version 1 is read alike.
const dayFormat = 2

const (
	chunksPerTx  = 1000
	rowsPerTx    = 1 << 20
	dayMmap      = 256 << 20 // so that growing never waits for readers
	dayOpenLimit = 10 * time.Second
)

// errGone says that the file was replaced or dropped meanwhile.
var errGone = errors.New("day file is gone")

var errDamaged = errors.New("day file is damaged")

// dayRecord is what a day file says of one series.
type dayRecord struct {
	point   greenhouse.PointID
	span    int     // hours a chunk covers: a divisor of 24
	starts  uint32  // bit h: there is a chunk that begins with hour h; where days are kept as summaries, a day of the month
	sum     summary // of the whole day; packed files only, and only if span < 24
	summed  bool
	present bool
}

// dayFile is one UTC day of sealed history. Readers share mu while they use
// db; opening, swapping and closing take it alone.
type dayFile struct {
	day    int64
	path   string
	packed bool // rewritten for good when the day was over
	thin   bool // and again, without trends

	mu   sync.RWMutex
	db   *bolt.DB
	rw   bool
	gone bool
	// suspect says that records are missing: what is not found may be lost.
	suspect bool
	late    bool         // begun when readings of the day had given way to summaries
	format  uint64       // as last read
	used    atomic.Int64 // for the choice of what to close
}

func windowKey(window, id uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(make([]byte, 0, 12), window), id)
}

func seriesKey(id uint32) []byte { return windowKey(0, id) }

func timesKey(window, col uint32) []byte { return windowKey(window, col+columnOffset) }

// guard runs fn and turns a panic or a fault in the mapped file, which is how
// bbolt meets damage, into errDamaged.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return fn()
}

// isDamage reports whether an error means that the file itself is bad, not the
// circumstances.
func isDamage(err error) bool {
	return errors.Is(err, errDamaged) || errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrVersionMismatch) || errors.Is(err, berrors.ErrChecksum)
}

// dayOptions are bbolt's for a day file: the freelist stays on disk, because
// day files hardly free pages and opening one cold must be quick.
func dayOptions(rw bool) *bolt.Options {
	o := &bolt.Options{Timeout: dayOpenLimit, ReadOnly: !rw, PageSize: pageSize, FreelistType: bolt.FreelistMapType, NoStatistics: !rw}
	if rw && ^uint(0)>>32 != 0 {
		o.InitialMmapSize = dayMmap
	}
	return o
}

// open opens the file, for writing if rw. mu is held alone.
func (f *dayFile) open(rw bool) error {
	if f.db != nil && (f.rw || !rw) {
		return nil
	}
	if f.db != nil {
		if err := f.shut(); err != nil {
			return err
		}
	}
	var file *os.File
	o := dayOptions(rw)
	o.OpenFile = func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
		file, err = os.OpenFile(name, flag, mode)
		return file, err
	}
	err := guard(func() (err error) {
		f.db, err = bolt.Open(f.path, 0o600, o)
		return err
	})
	if err != nil {
		f.db = nil
		if file != nil { // a panic in bbolt would leave it open, and locked
			file.Close()
		}
		if info, serr := os.Stat(f.path); serr == nil && info.Size() < 4*pageSize {
			err = fmt.Errorf("%w: %w", errDamaged, err)
		}
		return fmt.Errorf("open day file: %w", err)
	}
	f.rw = rw
	if rw {
		// A killed process may have left a commit that is visible and not synced.
		err = f.db.Sync()
	}
	if err == nil {
		err = guard(func() error { return f.db.View(f.inspect) })
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open day file: %w", err), f.shut())
	}
	return nil
}

// inspect checks the format, and that every chunk the file should have has a
// record: a bit turned in a key or a branch page hides what it should find.
func (f *dayFile) inspect(tx *bolt.Tx) error {
	d, err := inDay(tx, f, &chunkCoder{})
	if err != nil {
		return err
	}
	v, err := d.getMeta(metaFormat)
	if err != nil {
		return err
	}
	format := decoder{b: v}
	version, day := format.uvarint(), format.varint()
	if format.err != nil || day != f.day {
		return fmt.Errorf("%w: its format record is not of this day", errDamaged)
	}
	if version > dayFormat {
		return greenhouse.Unavailable("telemetry_newer", "%s has format %d, this edged knows up to %d", f.path, version, dayFormat).
			WithHint("run the edged that wrote it, or a newer one")
	}
	f.format, f.late = version, d.meta.Get([]byte(metaLate)) != nil
	f.suspect = !d.complete()
	return nil
}

// shut closes the database. mu is held alone.
func (f *dayFile) shut() error {
	db := f.db
	f.db = nil
	if db == nil {
		return nil
	}
	return guard(db.Close)
}

// view runs fn in a read transaction. What fn keeps it must copy. c serves for
// decoding and must not be used by others meanwhile.
func (f *dayFile) view(c *chunkCoder, fn func(d *dayTx) error) error {
	for {
		f.mu.RLock()
		if f.gone {
			f.mu.RUnlock()
			return errGone
		}
		if f.db != nil {
			defer f.mu.RUnlock()
			return guard(func() error {
				return f.db.View(func(tx *bolt.Tx) error {
					d, err := inDay(tx, f, c)
					if err != nil {
						return err
					}
					return fn(d)
				})
			})
		}
		f.mu.RUnlock()
		f.mu.Lock()
		err := f.openFor(false)
		f.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// openFor opens unless the file is gone. mu is held alone.
func (f *dayFile) openFor(rw bool) error {
	if f.gone {
		return errGone
	}
	return f.open(rw)
}

// update runs fn in a write transaction. After any error the file is closed:
// what a failed commit left behind is unknown until it is opened afresh.
func (f *dayFile) update(c *chunkCoder, fn func(d *dayTx) error) (written int64, err error) {
	f.mu.Lock()
	err = f.openFor(true)
	f.mu.Unlock()
	if err != nil {
		return 0, err
	}
	f.mu.RLock()
	err = guard(func() error {
		return f.db.Update(func(tx *bolt.Tx) error {
			tx.OnCommit(func() {
				s := tx.Stats()
				written = s.GetPageAlloc() + pageSize
			})
			d, err := inDay(tx, f, c)
			if err != nil {
				return err
			}
			if err := fn(d); err != nil {
				return err
			}
			return d.finish()
		})
	})
	f.mu.RUnlock()
	if err != nil {
		f.mu.Lock()
		err = errors.Join(fmt.Errorf("write day file: %w", err), f.shut())
		f.mu.Unlock()
	}
	return written, err
}

// appendRecord encodes what a day file says of a series.
func appendRecord(b []byte, r dayRecord) []byte {
	b = appendString(b, string(r.point))
	b = binary.AppendUvarint(b, uint64(r.span))
	b = binary.AppendUvarint(b, uint64(r.starts))
	if !r.summed {
		return b
	}
	b = binary.AppendUvarint(b, uint64(r.sum.count))
	b = binary.AppendUvarint(b, uint64(r.sum.bad))
	b = append(b, byte(r.sum.worst))
	for _, v := range [...]float64{r.sum.min, r.sum.max, r.sum.last, r.sum.sum} {
		b = appendFloat(b, v)
	}
	return b
}

func decodeRecord(b []byte) (r dayRecord, err error) {
	d := decoder{b: b}
	r.point = greenhouse.PointID(d.string())
	r.span, r.starts = int(d.uvarint()), uint32(d.uvarint())
	if len(d.b) > 0 {
		r.summed = true
		r.sum.count, r.sum.bad, r.sum.worst = int(d.uvarint()), int(d.uvarint()), greenhouse.Quality(d.byte())
		for _, p := range [...]*float64{&r.sum.min, &r.sum.max, &r.sum.last, &r.sum.sum} {
			*p = d.float()
		}
	}
	if d.err == nil && (r.span < 1 || r.span > dayWindows || dayWindows%r.span != 0 || r.starts >= 1<<31) {
		d.fail()
	}
	r.present = true
	return r, d.err
}
