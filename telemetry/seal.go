package telemetry

import (
	"cmp"
	"fmt"
	"slices"

	"greenhouse"
)

// item is one buffer on its way into a day file.
type item struct {
	s *series
	b *buf
}

// group is what one chunk will hold: items of one series, in order of time.
type group struct {
	start uint32 // first window of the chunk
	span  int
	items []item
}

// column is a times column written, or about to be, in this pass.
type column struct {
	times []int64
	users int
	ref   uint32 // 0: not written yet
}

// sealer moves windows from memory into day files. One pass runs at a time.
type sealer struct {
	frozen    []item
	limit     uint32     // windows before this have been sealed by the clock
	coder     chunkCoder // encodes
	old       chunkCoder // decodes what is there already
	rows      []row
	merged    []row
	before    []row
	value     []byte
	offsets   []int64
	columns   map[uint64]*column
	columnsOf uint32 // the window they are of
	late      int64  // readings that came after their window was sealed
	known     int64  // readings that turned out to be in their day file already
	hurt      []hurt
}

// hurt is a chunk that no longer reads back.
type hurt struct {
	point greenhouse.PointID
	start uint32 // first window
	span  int
}

// freeze takes the buffers of windows before limit out of the head. They stay
// visible to queries until release.
func (e *Engine) freeze(limit uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.st.series[1:] {
		if s == nil || len(s.head) == 0 || s.head[0].win >= limit {
			continue
		}
		n, _ := held(s.head, limit)
		s.frozen = slices.Clone(s.head[:n])
		s.head = slices.Delete(s.head, 0, n)
		for _, b := range s.frozen {
			b.settle()
			e.sealer.frozen = append(e.sealer.frozen, item{s, b})
		}
	}
	for _, seg := range e.wal.segs {
		for w := range seg.pending {
			if w < limit {
				seg.leaving[w] = struct{}{}
				delete(seg.pending, w)
			}
		}
	}
}

// release drops the frozen buffers, which are in their day files now.
func (e *Engine) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, it := range e.sealer.frozen {
		e.st.cells -= it.b.len()
		it.s.frozen = nil
		if len(e.st.spare) < maxSpare && cap(it.b.cells) <= 4096 {
			e.st.spare = append(e.st.spare, it.b)
		}
	}
	for _, s := range e.wal.segs {
		clear(s.leaving)
	}
	e.sealer.frozen = e.sealer.frozen[:0]
	e.st.readings -= e.sealer.known
	e.stored.Add(-e.sealer.known)
	e.repeats.Add(e.sealer.known)
	e.sealer.known = 0
	signal(e.eased)
}

// seal writes the windows before limit to their day files, saves a checkpoint
// and cuts the log. What a failure leaves frozen is tried again next time.
func (e *Engine) seal(limit uint32) error {
	s := &e.sealer
	if len(s.frozen) == 0 {
		e.freeze(limit)
	}
	if len(s.frozen) == 0 {
		return nil
	}
	byDay := map[int64][]item{}
	for _, it := range s.frozen {
		day := int64(it.b.win / dayWindows)
		byDay[day] = append(byDay[day], it)
	}
	for day, items := range byDay {
		if err := e.sealDay(day, items); err != nil {
			return fmt.Errorf("seal day: %w", err)
		}
	}
	e.release()
	e.late.Add(s.late)
	s.late = 0
	s.trim()
	e.sealedAt.Store(e.o.Now().UnixMilli())
	at, err := e.checkpoint()
	if err != nil {
		return err
	}
	return e.wal.cut(&e.mu, at)
}

// trim gives back the memory of an unusually large pass.
func (s *sealer) trim() {
	const usual = 1 << 16
	if max(cap(s.rows), cap(s.merged), cap(s.before), cap(s.offsets)) > usual {
		s.rows, s.merged, s.before, s.offsets, s.value = nil, nil, nil, nil, nil
		s.coder, s.old = chunkCoder{}, chunkCoder{}
	}
	s.columns = nil
}

// sealDay writes the items of one day. From a file too damaged to be written
// what can be read is packed into a new one; if that fails too it is set aside
// and the day begun anew with what memory has.
func (e *Engine) sealDay(day int64, items []item) error {
	f, err := e.dayFor(day)
	if err != nil {
		return err
	}
	err = e.writeDay(f, items)
	if !isDamage(err) {
		return err
	}
	e.o.Log.Error("a day file cannot be written; saving what can be read", "file", f.path, "error", err)
	e.damaged.Add(1)
	if f.packed {
		err = e.loseDay(f, err)
	} else {
		err = e.pack(f)
	}
	if err != nil {
		return err
	}
	if f, err = e.dayFor(day); err != nil {
		return err
	}
	return e.writeDay(f, items)
}

// dayFor returns the file of a day, creating it if there is none.
func (e *Engine) dayFor(day int64) (*dayFile, error) {
	if f := e.days.get(day); f != nil {
		return f, nil
	}
	late, err := e.summedUp(day)
	if err != nil {
		return nil, err
	}
	return e.days.ensure(day, late)
}

// writeDay writes the items in transactions of at most chunksPerTx chunks, or
// rowsPerTx readings, in the order of their keys.
func (e *Engine) writeDay(f *dayFile, items []item) error {
	s := &e.sealer
	groups, err := s.groups(f, items)
	if err != nil {
		return err
	}
	for len(groups) > 0 {
		n := 0
		var done *dayTx
		err := e.days.update(f, &s.old, func(d *dayTx) (err error) {
			n, err = s.writeGroups(d, groups[:min(len(groups), chunksPerTx)])
			done = d
			if err == nil {
				err = e.tellHurt() // before it is written over
			}
			return err
		})
		if err != nil {
			return err
		}
		s.known += done.known
		s.late += done.late
		for _, g := range groups[:n] {
			for _, it := range g.items {
				it.b.replayed = true // if a later step fails, this is done again
			}
		}
		groups = groups[n:]
	}
	return e.days.settle(f)
}

// groups sorts the items into chunks: an hour each while the day grows, what
// the record says once it is packed.
func (s *sealer) groups(f *dayFile, items []item) ([]group, error) {
	span := func(uint32) (int, error) { return 1, nil }
	var groups []group
	err := f.view(&s.old, func(d *dayTx) error {
		if f.packed {
			span = func(id uint32) (int, error) {
				r, err := d.record(id)
				if err != nil || r.present {
					return r.span, err
				}
				return dayWindows, nil
			}
		}
		slices.SortFunc(items, func(a, b item) int {
			return cmp.Or(cmp.Compare(a.s.id, b.s.id), cmp.Compare(a.b.win, b.b.win))
		})
		for i, it := range items {
			n, err := span(it.s.id)
			if err != nil {
				return err
			}
			start := it.b.win - it.b.win%dayWindows%uint32(n)
			if last := len(groups) - 1; i > 0 && items[i-1].s == it.s && groups[last].start == start {
				groups[last].items = append(groups[last].items, it)
			} else {
				groups = append(groups, group{start, n, []item{it}})
			}
		}
		return nil
	})
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.items[0].s.id, b.items[0].s.id))
	})
	return groups, err
}

// writeGroups merges the groups into the day inside a transaction, as many as
// fit, and returns how many those are.
func (s *sealer) writeGroups(d *dayTx, groups []group) (n int, err error) {
	for i, g := range groups {
		if d.rowsPut > rowsPerTx {
			return i, nil
		}
		if i == 0 || g.start != groups[i-1].start {
			s.countColumns(groups[i:], g.start)
		}
		if err := s.writeGroup(d, g); err != nil {
			return i, err
		}
	}
	return len(groups), nil
}

// countColumns finds out which series of a window have the same times.
func (s *sealer) countColumns(groups []group, start uint32) {
	s.begin(start)
	for _, g := range groups {
		if g.start != start {
			break
		}
		s.rows = s.rows[:0]
		for _, it := range g.items {
			s.rows = it.b.appendRows(s.rows, 0, maxTime+1)
		}
		s.use(s.rows, start)
	}
}

// begin forgets the columns of another window.
func (s *sealer) begin(start uint32) {
	s.columns, s.columnsOf = map[uint64]*column{}, start
}

// use counts one user of the rows' times.
func (s *sealer) use(rows []row, start uint32) {
	s.offsets = offsets(s.offsets[:0], rows, start)
	h := hashTimes(s.offsets)
	col := s.columns[h]
	if col == nil {
		s.columns[h] = &column{times: slices.Clone(s.offsets), users: 1}
	} else if slices.Equal(col.times, s.offsets) {
		col.users++
	}
}

func offsets(dst []int64, rows []row, start uint32) []int64 {
	base := int64(start) * windowMillis
	for _, r := range rows {
		dst = append(dst, r.at-base)
	}
	return dst
}

// hashTimes mixes a column into 64 bits; equality is checked where it counts.
func hashTimes(t []int64) uint64 {
	h := uint64(len(t))
	for _, v := range t {
		h = (h ^ uint64(v)) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return h
}

// writeGroup merges one group with the chunk that is there, if any: what was
// stored first stays.
func (s *sealer) writeGroup(d *dayTx, g group) error {
	id := g.items[0].s.id
	rec, err := d.record(id)
	if err != nil {
		s.hurt = append(s.hurt, hurt{g.items[0].s.point, uint32(d.f.day * dayWindows), dayWindows})
	}
	if err != nil || !rec.present {
		rec = dayRecord{point: g.items[0].s.point, span: g.span, present: true}
	}
	if rec.span < g.span { // split meanwhile, see below
		for i, it := range g.items {
			if err := s.writeGroup(d, group{it.b.win, rec.span, g.items[i : i+1]}); err != nil {
				return err
			}
		}
		return nil
	}
	s.rows, s.merged = s.rows[:0], s.merged[:0]
	replayed := false
	for _, it := range g.items {
		s.rows = it.b.appendRows(s.rows, 0, maxTime+1)
		replayed = replayed || it.b.replayed
	}
	rows, bit := s.rows, uint32(1)<<(g.start%dayWindows)
	if rec.starts&bit != 0 {
		var known int
		rows, known = s.merge(d, g, id, rows)
		if !replayed {
			d.known += int64(known)
		}
		if rows == nil {
			return nil // all known: a replay, or sent again
		}
	}
	if rec.span > 1 && len(rows) > maxSpanRows {
		return s.split(d, id, rec, g.start, rows)
	}
	rec.starts |= bit
	rec.summed = false // a packed day that changes is summed up from its chunks again
	if err := s.putChunk(d, g.start, rec.span, id, rows); err != nil {
		return err
	}
	return d.putRecord(id, rec)
}

// merge joins rows with those of the chunk that is there; nil means that they
// bring nothing new. known is how many were there already.
func (s *sealer) merge(d *dayTx, g group, id uint32, rows []row) (_ []row, known int) {
	old, err := d.rows(s.before[:0], g.start, id)
	if err != nil {
		s.hurt = append(s.hurt, hurt{g.items[0].s.point, g.start, g.span})
		old = nil
	} else {
		s.before = old
	}
	s.merged = mergeRows(s.merged, old, rows)
	known = len(old) + len(rows) - len(s.merged)
	if err == nil && len(s.merged) == len(old) {
		return nil, known
	}
	d.late += int64(len(s.merged) - len(old))
	return s.merged, known
}

// maxSpanRows is how many readings a chunk of several hours may come to hold
// by what arrives late.
const maxSpanRows = 1 << 15

// split turns the chunks of a series into one an hour, because what came late
// made one of them, with rows now, too long.
func (s *sealer) split(d *dayTx, id uint32, rec dayRecord, start uint32, rows []row) error {
	first, starts := uint32(d.f.day*dayWindows), rec.starts|1<<(start%dayWindows)
	span := rec.span
	rec.span, rec.starts, rec.summed = 1, 0, false
	for h := range uint32(dayWindows) {
		if starts&(1<<h) == 0 {
			continue
		}
		all, key := rows, windowKey(first+h, id)
		if first+h != start {
			var err error
			if all, err = d.rows(nil, first+h, id); err != nil {
				s.hurt = append(s.hurt, hurt{rec.point, first + h, span})
				all = nil
			}
		}
		if d.data.Get(key) != nil {
			if err := d.data.Delete(key); err != nil {
				return err
			}
			d.added--
		}
		if err := s.putHours(d, id, &rec, all); err != nil {
			return err
		}
	}
	return d.putRecord(id, rec)
}

// putHours stores rows as chunks of one hour each.
func (s *sealer) putHours(d *dayTx, id uint32, rec *dayRecord, rows []row) error {
	for len(rows) > 0 {
		win := uint32(rows[0].at / windowMillis)
		n, _ := slices.BinarySearchFunc(rows, int64(win+1)*windowMillis, func(r row, at int64) int { return cmp.Compare(r.at, at) })
		if err := s.putChunk(d, win, 1, id, rows[:n]); err != nil {
			return err
		}
		rec.starts |= 1 << (win % dayWindows)
		rows = rows[n:]
	}
	return nil
}

// putChunk encodes the rows and stores them, with shared times if others of
// the window have the same.
func (s *sealer) putChunk(d *dayTx, start uint32, span int, id uint32, rows []row) error {
	s.offsets = offsets(s.offsets[:0], rows, start)
	col := s.columns[hashTimes(s.offsets)]
	if col != nil && (s.columnsOf != start || !slices.Equal(col.times, s.offsets)) {
		col = nil
	}
	var times []byte
	var ref uint32
	if col != nil && col.ref > 0 {
		ref = col.ref
	} else {
		times = s.coder.appendTimes(nil, int64(start)*windowMillis, rows)
		if col != nil && col.users > 1 && len(times) > inlineTimes {
			col.ref = d.nextColumn(start)
			ref = col.ref
			key := timesKey(start, ref)
			if err := d.data.Put(key, appendSum(times, kindTimes, key)); err != nil {
				return err
			}
		}
	}
	key := windowKey(start, id)
	if d.data.Get(key) == nil {
		d.added++
	}
	d.rowsPut += len(rows)
	s.value = s.coder.appendChunk(s.value[:0], rows, times, ref, span == 1 || span == dayWindows)
	return d.data.Put(key, appendSum(slices.Clone(s.value), kindChunk, key))
}

// inlineTimes is the length up to which a times column is not worth sharing: a
// steady clock without jitter takes less.
const inlineTimes = 16

// mergeRows appends to dst the rows of two sorted lists; of two at one time
// that of a stays.
func mergeRows(dst, a, b []row) []row {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].at < b[0].at:
			dst = append(dst, a[0])
			a = a[1:]
		case a[0].at > b[0].at:
			dst = append(dst, b[0])
			b = b[1:]
		default:
			dst = append(dst, a[0])
			a, b = a[1:], b[1:]
		}
	}
	return append(append(dst, a...), b...)
}
