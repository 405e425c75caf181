package telemetry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// chunkRows is how many readings a packed chunk should hold at most: encoded it
// is an eighth of a page or so, which leaves little of the pages empty.
const chunkRows = 1200

// packSpan returns how many hours a chunk should cover, for n readings a day.
func packSpan(n int) int {
	for _, span := range [...]int{24, 12, 8, 6, 4, 3, 2} {
		if n*span <= chunkRows*dayWindows {
			return span
		}
	}
	return 1
}

// packed is what packing knows of one series of the day.
type packed struct {
	id  uint32
	rec dayRecord // as it was
	out dayRecord // as it will be
}

// pack rewrites a finished day for good: longer chunks, full pages, no
// leftovers. Readers go on with the old file until the new one is in place.
func (e *Engine) pack(f *dayFile) error { return e.rewrite(f, dayPacked) }

// rewrite packs a day, without its trends where that is asked.
func (e *Engine) rewrite(f *dayFile, to dayState) error {
	s := &e.sealer
	list, err := s.survey(f)
	if to == dayThin {
		list = slices.DeleteFunc(list, func(p packed) bool { return e.o.trend(p.rec.point) })
	}
	if told := e.tellHurt(); told != nil {
		return fmt.Errorf("pack day: %w", told)
	}
	if err == nil {
		err = s.repack(e, f, list, to)
	}
	if isDamage(err) {
		return e.loseDay(f, err)
	}
	if err != nil {
		return fmt.Errorf("pack day: %w", err)
	}
	return nil
}

// survey reads the records of a day and decides how long its chunks shall be.
func (s *sealer) survey(f *dayFile) (list []packed, err error) {
	err = f.view(&s.old, func(d *dayTx) error {
		if f.suspect {
			s.hurt = append(s.hurt, hurt{start: uint32(f.day * dayWindows), span: dayWindows})
		}
		return d.eachSeries(func(id uint32) (err error) {
			p := packed{id: id}
			if p.rec, err = d.record(id); err != nil {
				return nil //nolint:nilerr // the file is suspect for it, which is told of above
			}
			n := s.measure(d, &p)
			p.out.point, p.out.span, p.out.present = p.rec.point, packSpan(n), true
			p.out.summed = p.out.span < dayWindows
			p.out.starts = coarsen(p.rec.starts, p.out.span)
			list = append(list, p)
			return nil
		})
	})
	return list, err
}

// measure sums up the chunks of a series and counts its readings; what does
// not read back is left out.
func (s *sealer) measure(d *dayTx, p *packed) (n int) {
	for h := range dayWindows {
		if p.rec.starts&(1<<h) == 0 {
			continue
		}
		window := uint32(d.f.day*dayWindows) + uint32(h)
		var err error
		if s.merged, err = d.rows(s.merged[:0], window, p.id); err != nil {
			s.hurt = append(s.hurt, hurt{p.rec.point, window, p.rec.span})
			p.rec.starts &^= 1 << h
			continue
		}
		n += len(s.merged)
		p.out.sum.merge(summarise(s.merged))
	}
	return n
}

// coarsen turns hours that have something into the hours with which chunks of
// span hours begin.
func coarsen(starts uint32, span int) (out uint32) {
	for h := range dayWindows {
		if starts&(1<<h) != 0 {
			out |= 1 << (h - h%span)
		}
	}
	return out
}

// repack writes the new file beside the old one and puts it in its place.
func (s *sealer) repack(e *Engine, f *dayFile, list []packed, to dayState) error {
	final := filepath.Join(e.days.dir, dayName(f.day, to))
	tmp := final + ".new"
	db, err := createDay(tmp, f.day, f.late)
	if err != nil {
		return err
	}
	db.NoSync = true // nothing counts before the name is given
	size, err := s.fill(f, db, list)
	if err == nil {
		err = db.Sync()
	}
	if err = errors.Join(err, db.Close()); err != nil {
		_ = os.Remove(tmp) // it would be removed at the next start anyway
		return err
	}
	if err := finish(tmp, size); err != nil {
		return err
	}
	e.wal.written.Add(size)
	if err := e.days.publish(tmp, final); err != nil {
		return err
	}
	return e.days.replace(f, &dayFile{day: f.day, path: final, packed: true, thin: to == dayThin})
}

// finish cuts off the room that bbolt allocated ahead and syncs.
func finish(path string, size int64) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		return err
	}
	return file.Sync()
}

// fill copies the day into db, in the order of the keys so that pages fill,
// and returns how many bytes of the file are in use.
func (s *sealer) fill(f *dayFile, db *bolt.DB, list []packed) (size int64, err error) {
	base := uint32(f.day * dayWindows)
	w := packWriter{db: db, f: f}
	for _, p := range list {
		if err := w.put(func(d *dayTx) error { return d.putRecord(p.id, p.out) }); err != nil {
			return 0, errors.Join(err, w.close())
		}
	}
	for h := uint32(0); h < dayWindows && err == nil; h++ {
		var due []*packed
		for i := range list {
			if h%uint32(list[i].out.span) == 0 {
				due = append(due, &list[i])
			}
		}
		s.begin(base + h)
		err = s.eachBlock(f, due, base+h, func(_ *packed, rows []row) error {
			s.use(rows, base+h)
			return nil
		})
		if err == nil {
			err = s.eachBlock(f, due, base+h, func(p *packed, rows []row) error {
				return w.put(func(d *dayTx) error { return s.putChunk(d, base+h, p.out.span, p.id, rows) })
			})
		}
	}
	if err = errors.Join(err, w.close()); err != nil {
		return 0, err
	}
	// Once more without a change, so that both meta pages lead to all of it.
	if err = db.Update(func(*bolt.Tx) error { return nil }); err != nil {
		return 0, err
	}
	err = db.View(func(tx *bolt.Tx) error { size = tx.Size(); return nil })
	return size, err
}

// packedPerTx bounds what one transaction of packing holds in memory, about 4 MB. Each
// transaction leaves some freed pages behind, so there are few.
const packedPerTx = 4000

// packWriter puts values into a new day file, packedPerTx to a transaction.
type packWriter struct {
	db *bolt.DB
	f  *dayFile
	tx *bolt.Tx
	d  *dayTx
	n  int
}

// put runs fn, which puts one value, in a transaction that may hold others.
func (w *packWriter) put(fn func(*dayTx) error) (err error) {
	if w.n == packedPerTx {
		if err := w.close(); err != nil {
			return err
		}
	}
	if w.tx == nil {
		if w.tx, err = w.db.Begin(true); err != nil {
			return err
		}
		if w.d, err = inDay(w.tx, w.f, nil); err != nil {
			return err
		}
	}
	w.n++
	return fn(w.d)
}

// close commits what is open.
func (w *packWriter) close() error {
	if w.tx == nil {
		return nil
	}
	tx := w.tx
	w.tx, w.n = nil, 0
	if err := w.d.finish(); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// eachBlock calls fn with the rows of each series for its chunk that begins
// with start, if it has any.
func (s *sealer) eachBlock(f *dayFile, due []*packed, start uint32, fn func(p *packed, rows []row) error) error {
	return f.view(&s.old, func(d *dayTx) (err error) {
		for _, p := range due {
			s.merged = s.merged[:0]
			for w := start; w < start+uint32(p.out.span); w++ {
				if p.rec.starts&(1<<(w%dayWindows)) == 0 {
					continue
				}
				if s.merged, err = d.rows(s.merged, w, p.id); err != nil {
					return err
				}
			}
			if len(s.merged) == 0 {
				continue
			}
			if err := fn(p, s.merged); err != nil {
				return err
			}
		}
		return nil
	})
}
