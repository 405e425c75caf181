package telemetry

import (
	"cmp"
	"math"
	"slices"
	"time"

	"greenhouse"
)

// A machine without a clock of its own boots not knowing the time, and a node
// without one says none: what it sends then is stored with the time it arrived
// at, which is wrong, and with the time since the machine booted, which no
// step of the wall clock moves. Such readings are provisional: they wait in a pen,
// outside all windows, in the log and in memory. When the clock comes to be
// trusted the time of the boot is known, and all of them are put where they
// belong, by a record in the log. After another boot nobody can know any more
// when they were taken: they keep the time they have, or follow what was known
// before if that is later, and a gap says so.

// penWindow stands for the pen among the windows that hold a segment.
const penWindow = math.MaxUint32

// restampLeast is how far readings must have been off, in ms, to speak of it.
const restampLeast = 1000

// pen is what all series' provisional readings have in common.
type pen struct {
	boot   string    // of the machine, by whose time they are known
	series []*series // that have some
	rows   int
	gaps   uint64 // gaps from this number on were recorded meanwhile
	floor  int64  // newest arrival before them
}

// penned is one provisional reading.
type penned struct {
	row
	up    int64 // ms since the machine booted
	node  *node
	seg   *segment
	known map[uint32]struct{} // replay below a checkpoint: windows of the segment still needed
}

// Restamped tells what became of provisional readings.
type Restamped struct {
	Known    bool          // their right times are known now; else they never will be
	Readings int           //
	Shift    time.Duration // of the first of them
	From, To greenhouse.Millis
}

// settling is the record that empties the pen.
type settling struct {
	known bool
	base  int64 // ms since the epoch when the machine booted
}

// uptime is Options.Uptime in milliseconds.
func (o *Options) uptime() (boot string, up int64) {
	boot, since := o.Uptime()
	return boot, since.Milliseconds()
}

// settle writes down, at the beginning of a frame, what becomes of the pen: its
// readings get their times when the clock is trusted, and the best there is
// when it is of another boot or grows too large.
func (c *composer) settle() {
	p := &c.st.pen
	boot, up := c.o.uptime()
	switch {
	case p.rows == 0:
		return
	case p.boot == boot && c.trusted:
		c.settled = &settling{true, c.now - up}
	case p.boot == boot && p.rows < c.o.HeadReadings/4 && !c.crowded.Load():
		return
	default:
		first, last := p.ends()
		base := max(first.at, p.floor+1, earliest) - first.up
		if c.trusted { // they are of an earlier boot, which ended before this one began
			base = min(base, c.now-up-1-last.up)
		}
		c.settled = &settling{false, base}
		c.crowded.Store(false)
	}
	c.frame = appendSettling(c.frame, *c.settled)
}

// ends returns the readings that arrived first and last.
func (p *pen) ends() (first, last penned) {
	for i, s := range p.series {
		if i == 0 || s.pen[0].up < first.up {
			first = s.pen[0]
		}
		if x := s.pen[len(s.pen)-1]; i == 0 || x.up > last.up {
			last = x
		}
	}
	return first, last
}

// retime gives readings that were stamped with an untrusted arrival the time that this
// was, if the clock has come to be trusted meanwhile.
func (c *composer) retime(b *Batch) {
	if b.Stamped == 0 || !c.trusted {
		return
	}
	_, up := c.o.uptime()
	arrived := c.now - (up - b.up)
	if off := arrived - b.Arrived.UnixMilli(); off <= -restampLeast || off >= restampLeast {
		b.Arrived = b.Arrived.Add(time.Duration(off) * time.Millisecond)
		for i := range b.Readings[:b.Stamped] {
			b.Readings[i].At += greenhouse.Millis(off)
		}
	}
}

// openPen says of which boot the provisional readings are that follow, unless that
// is known.
func (c *composer) openPen() {
	if boot, _ := c.o.uptime(); !c.penned && (c.st.pen.rows == 0 || c.settled != nil || c.st.pen.boot != boot) {
		c.frame = appendString(append(c.frame, recordBoot), boot)
	}
	c.penned = true
}

// copied reports whether a message with readings that have no times of their own has
// come before: they get another arrival each time it is sent, so that its number
// alone tells.
func (c *composer) copied(b *Batch, str *stream) bool {
	if b.Stamped == 0 || !b.HasSeq {
		return false
	}
	k := stamped{bootKey{b.Node, b.Boot}, b.Seq}
	_, again := c.stamped[k]
	c.stamped[k] = struct{}{}
	return again || str != nil && str.seen(b.Seq)
}

// stamped is a message with readings that have no time but that of arrival.
type stamped struct {
	from bootKey
	seq  uint64
}

// openPen begins a pen for readings of a boot; one that is not empty goes on.
func (st *state) openPen(boot string) {
	if st.pen.rows > 0 {
		return
	}
	st.pen = pen{boot: boot, gaps: st.gaps.next, floor: st.arrived}
}

// provisional takes a provisional reading: it is the latest of its point, unless
// one with a time of its own is newer.
func (a *applier) provisional(s *series, r row, up int64, str *stream, seen time.Time) {
	if a.known == nil {
		if str != nil {
			s.writtenBy(str.node)
		}
		if int64(s.sensor.At) > r.at {
			s.sensor = greenhouse.SensorState{} // of a time that the clock denies
		}
		s.sensor.Note(greenhouse.Millis(r.at), r.v, r.q)
		waits := len(s.pen) > 0 && s.pen[len(s.pen)-1].at == s.latest.at
		if r.at > s.latest.at || waits || s.seen.IsZero() || s.ahead(a.arrived) {
			s.latest, s.seen = r, seen
			if a.live {
				a.moved = append(a.moved, s.last())
			}
		}
	}
	a.pen(s, r, up, str)
}

// pen keeps a provisional reading.
func (a *applier) pen(s *series, r row, up int64, str *stream) {
	x := penned{row: r, up: up, seg: a.seg, known: a.known}
	if str != nil {
		x.node = str.node
	}
	if len(s.pen) == 0 {
		a.st.pen.series = append(a.st.pen.series, s)
	}
	s.pen = append(s.pen, x)
	a.st.pen.rows++
	a.st.cells++
	a.seg.pending[penWindow] = struct{}{}
	if a.known == nil {
		a.stored++
		a.st.readings++
		a.st.newest = max(a.st.newest, r.at)
	}
}

// settle empties the pen: every reading goes where it belongs.
func (a *applier) settle(h settling) {
	p := &a.st.pen
	if p.rows == 0 {
		return
	}
	first, _ := p.ends()
	told := Restamped{Known: h.known, Readings: p.rows, Shift: time.Duration(h.base+first.up-first.at) * time.Millisecond}
	told.From, told.To = maxTime, 0
	spans := map[*node]greenhouse.Gap{}
	moves := make(moves, 0, p.rows)
	for _, s := range p.series {
		for _, x := range s.pen {
			to := min(max(h.base+x.up, earliest), maxTime)
			a.unpen(s, x, to)
			moves = append(moves, move{x.at, to})
			at := greenhouse.Millis(to)
			told.From, told.To = min(told.From, at), max(told.To, at)
			g, ok := spans[x.node]
			if !ok {
				g.From = at
			}
			spans[x.node] = greenhouse.Gap{From: min(g.From, at), To: max(g.To, at)}
		}
	}
	for _, s := range p.series {
		for _, x := range s.pen {
			delete(x.seg.pending, penWindow)
		}
		s.pen = nil
	}
	if a.known == nil {
		a.retell(h, told, spans, moves)
	}
	p.series, p.rows = nil, 0 // below a checkpoint the rest tells of a later pen
	if a.known == nil {
		*p = pen{}
	}
}

// unpen puts one reading of the pen into its window.
func (a *applier) unpen(s *series, x penned, to int64) {
	st := a.st
	st.cells--
	win := uint32(to / windowMillis)
	if a.known != nil { // settled before the checkpoint
		if _, needed := x.known[win]; needed && a.insert(s, row{to, x.v, x.q}) {
			x.seg.pending[win] = struct{}{}
		}
		return
	}
	if s.latest.at == x.at {
		s.sensor.Shift(greenhouse.Millis(to - x.at))
		s.latest.at = to
	}
	if !a.insert(s, row{to, x.v, x.q}) {
		a.stored--
		a.repeats++
		st.readings--
		return
	}
	x.seg.pending[win] = struct{}{}
}

// move is what became of one provisional time.
type move struct{ from, to int64 }

// moves are sorted by from when they are looked up in.
type moves []move

// of returns what becomes of a time that was noted while provisional readings
// came: it moves as the nearest of them does. One far from all stays.
func (m moves) of(at int64) int64 {
	i, _ := slices.BinarySearchFunc(m, at, func(x move, at int64) int { return cmp.Compare(x.from, at) })
	if i == len(m) || i > 0 && at-m[i-1].from < m[i].from-at {
		i--
	}
	if d := at - m[i].from; d < -gapSlack || d > gapSlack {
		return at
	}
	return max(at+m[i].to-m[i].from, 1)
}

// retell tells of readings that have other times now, and moves with them the
// times of the site and its nodes, and of gaps that were noted meanwhile.
func (a *applier) retell(h settling, told Restamped, spans map[*node]greenhouse.Gap, m moves) {
	st, shift := a.st, told.Shift.Milliseconds()
	slices.SortFunc(m, func(a, b move) int { return cmp.Compare(a.from, b.from) })
	for id, g := range st.gaps.byID {
		if id >= st.pen.gaps {
			from, to := m.of(int64(g.From)), m.of(int64(g.To))
			g.From, g.To = greenhouse.Millis(min(from, to)), greenhouse.Millis(max(from, to))
		}
	}
	for _, at := range [...]*int64{&st.newest, &st.arrived} {
		*at = max(m.of(*at), int64(told.To))
	}
	for n, g := range spans {
		if n == nil {
			continue
		}
		for _, s := range n.boots {
			s.at = m.of(s.at)
		}
		n.at = max(m.of(n.at), int64(g.To))
	}
	if h.known && shift > -restampLeast && shift < restampLeast {
		return // the clock was right, nobody had said so yet
	}
	cause := CauseRestamped
	if !h.known {
		cause = CauseClockUnknown
	}
	for n, g := range spans {
		g.Cause = cause
		if n != nil {
			g.Node = n.uid
		}
		st.gaps.add(g)
	}
	a.restamped = append(a.restamped, told)
}

// pennedRows appends a series' provisional readings from `from` to before `to`, in
// the order of the times they have for now.
func (s *series) pennedRows(dst []row, from, to int64) []row {
	n := len(dst)
	for _, x := range s.pen {
		if x.at >= from && x.at < to {
			dst = append(dst, x.row)
		}
	}
	slices.SortStableFunc(dst[n:], func(a, b row) int { return cmp.Compare(a.at, b.at) })
	return append(dst[:n], slices.CompactFunc(dst[n:], func(a, b row) bool { return a.at == b.at })...)
}

// settleDue has the committer empty the pen if that is due and nothing else
// comes.
func (e *Engine) settleDue() {
	e.mu.RLock()
	rows, boot, log := e.st.pen.rows, e.st.pen.boot, e.wal.bytes()
	e.mu.RUnlock()
	e.crowded.Store(rows > 0 && log > e.o.LogBytes/2)
	if rows == 0 {
		return
	}
	if now, _ := e.o.uptime(); now == boot && !e.o.ClockTrusted() && !e.crowded.Load() {
		return
	}
	_, _ = e.queue.try(&Batch{nothing: true, Urgent: true, Arrived: e.o.Now()}) // a full queue has company enough
}

// tellRestamped tells what became of provisional readings with the last frame.
func (e *Engine) tellRestamped() {
	for _, r := range e.restamped {
		e.o.Log.Warn("readings from before the clock was known have other times now", "readings", r.Readings, "shift", r.Shift, "known", r.Known)
		if e.o.OnRestamp != nil {
			e.o.OnRestamp(r)
		}
	}
	e.restamped = nil
}
