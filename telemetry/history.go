package telemetry

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"greenhouse"
)

// Step is how finely history is told.
type Step string

// The steps. Auto takes raw for up to 6 hours, minutes up to 2 days, hours up
// to 90 days, and days beyond. Rollups are whole bins, days from midnight to
// midnight where Query.Location is: from is rounded down and to is rounded up.
const (
	StepRaw    Step = "raw"
	StepMinute Step = "1m"
	StepHour   Step = "1h"
	StepDay    Step = "1d"
	StepAuto   Step = "auto"
)

// MaxSamples bounds the samples of one answer.
const MaxSamples = 100_000

// ParseStep returns the step named s; "" is auto.
func ParseStep(s string) (Step, error) {
	switch v := Step(s); v {
	case StepRaw, StepMinute, StepHour, StepDay, StepAuto:
		return v, nil
	case "":
		return StepAuto, nil
	}
	return "", greenhouse.Invalid("step_invalid", "step %q is unknown: it is raw, 1m, 1h, 1d or auto", s)
}

// millis returns the width of a rollup's bins.
func (s Step) millis() int64 {
	switch s {
	case StepMinute:
		return time.Minute.Milliseconds()
	case StepHour:
		return windowMillis
	case StepDay:
		return dayMillis
	}
	return 1
}

// resolve turns auto into a step fit for the range.
func (s Step) resolve(from, to int64) Step {
	if s != StepAuto && s != "" {
		return s
	}
	switch d := time.Duration(to-from) * time.Millisecond; {
	case to-from < 0 || d < 0: // an overflow: very long
		return StepDay
	case d <= 6*time.Hour:
		return StepRaw
	case d <= 48*time.Hour:
		return StepMinute
	case d <= 90*24*time.Hour:
		return StepHour
	}
	return StepDay
}

// Query asks for the history of one point.
type Query struct {
	Point  greenhouse.PointID
	From   greenhouse.Millis // inclusive
	To     greenhouse.Millis // exclusive; 0 means everything
	Step   Step              // "" means auto
	Limit  int               // most samples; 0 or more than MaxSamples means MaxSamples
	Cursor string            // Next of the answer before, with the same query otherwise

	Location *time.Location // whose days the bins of a rollup lie in; nil means UTC
	Integral bool           // rollups: sum up over time what is a rate; reads every reading
}

// HistorySample is one reading, or one bin of a rollup.
type HistorySample struct {
	TS      greenhouse.Millis  // when it was measured, or where the bin begins
	Value   float64            // NaN for none; in a rollup the mean
	Quality greenhouse.Quality // in a rollup the worst that was counted, Bad if nothing was
	Min     float64            // rollups only, as all below
	Max     float64
	Last    float64
	Count   int // usable readings: those that are not bad
	Bad     int // readings left out

	// Integral is the value summed up over time, in its unit times seconds, if
	// the query asks for it: trapezoids between usable readings at most ten
	// minutes apart, each in the bin of the later one.
	Integral float64
}

// Result is the answer to a Query, oldest sample first.
type Result struct {
	Step    Step // the one used
	Samples []HistorySample
	Gaps    []greenhouse.Gap // known losses that touch the range, damage found while reading included
	Next    string           // cursor of the rest, "" if this is all
}

// History answers q. A reading committed before the call is in the answer
// exactly once; one committed meanwhile may be. It copies out day by day and
// keeps no transaction open in between. A point nobody has written is
// [greenhouse.ErrNotFound].
func (e *Engine) History(ctx context.Context, q Query) (Result, error) {
	r, err := e.newReading(&q)
	if err != nil {
		return Result{}, err
	}
	if err := r.run(ctx); err != nil {
		return Result{}, err
	}
	r.out.Gaps = append(e.losses(q.Point, q.From, q.To), r.gaps...)
	if r.bins.width < windowMillis {
		r.out.Gaps = append(r.out.Gaps, e.thinnedGaps(q.Point, greenhouse.Millis(r.from), greenhouse.Millis(r.to))...)
	}
	slices.SortStableFunc(r.out.Gaps, func(a, b greenhouse.Gap) int { return cmp.Compare(a.From, b.From) })
	return r.out, nil
}

// Scan calls fn with every reading of a point in [from, to), oldest first,
// however many there are; to = 0 means all. fn runs outside any transaction
// and may be slow; its error ends the scan. What is promised of History about
// readings that arrive meanwhile holds here. Damage is left out: ask Gaps.
func (e *Engine) Scan(ctx context.Context, p greenhouse.PointID, from, to greenhouse.Millis, fn func(greenhouse.Reading) error) error {
	r, err := e.newReading(&Query{Point: p, From: from, To: to, Step: StepRaw})
	if err != nil {
		return err
	}
	r.each = func(x row) error {
		return fn(greenhouse.Reading{Point: p, At: greenhouse.Millis(x.at), Value: x.v, Quality: x.q})
	}
	return r.run(ctx)
}

// reader is one query at work.
type reader struct {
	e        *Engine
	q        *Query
	id       uint32
	from, to int64
	bins     bins
	memory   []row   // everything in memory for the range, as of the start
	levels   []int64 // days of which there are summaries in place of readings
	*scratch
	gaps []greenhouse.Gap
	out  Result
	each func(row) error // where a scan's rows go

	bin    summary
	binT   int64 // where the bin at hand begins, -1 for none
	binEnd int64
	sum    integral
	total  float64 // of the bin at hand
}

// newReading checks a query and copies what memory has.
func (e *Engine) newReading(q *Query) (*reader, error) {
	if q.To <= 0 {
		q.To = maxTime + 1
	}
	q.From = max(q.From, 0)
	if q.From > q.To {
		return nil, greenhouse.Invalid("range_invalid", "the range ends before it begins")
	}
	if q.Limit <= 0 || q.Limit > MaxSamples {
		q.Limit = MaxSamples
	}
	step, err := ParseStep(string(q.Step))
	if err != nil {
		return nil, err
	}
	r := &reader{e: e, q: q, from: int64(q.From), to: min(int64(q.To), maxTime+1)}
	r.memory, r.id, err = e.inMemory(q, &r.from, &r.to, &step)
	if err != nil {
		return nil, err
	}
	r.bins, r.out.Step = newBins(step, q.Location), step
	if q.Cursor != "" {
		at, err := strconv.ParseInt(q.Cursor, 36, 64)
		if err != nil || at < r.from {
			return nil, greenhouse.Invalid("cursor_invalid", "cursor %q does not belong to this query", q.Cursor)
		}
		r.from = at
		i, _ := slices.BinarySearchFunc(r.memory, at, func(x row, at int64) int { return cmp.Compare(x.at, at) })
		r.memory = r.memory[i:]
	}
	return r, nil
}

// inMemory resolves the step, widens the range to whole bins, and copies the
// rows of the head and of windows being sealed.
func (e *Engine) inMemory(q *Query, from, to *int64, step *Step) ([]row, uint32, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	s := e.st.points[q.Point]
	if s == nil {
		return nil, 0, greenhouse.NotFound("point", string(q.Point)).WithHint("it has no history yet: see greenctl point list")
	}
	*step = step.resolve(*from, min(*to, e.st.newest+1))
	*from, *to = newBins(*step, q.Location).cover(*from, *to)
	var head, frozen []row
	for _, b := range s.head {
		head = b.appendRows(head, *from, *to)
	}
	for _, b := range s.frozen {
		frozen = b.appendRows(frozen, *from, *to)
	}
	if len(frozen) > 0 {
		head = mergeRows(nil, frozen, head)
	}
	if len(s.pen) > 0 {
		head = mergeRows(nil, head, s.pennedRows(nil, *from, *to))
	}
	return head, s.id, nil
}

// scratch is the memory that reading days takes; queries hand it on.
type scratch struct {
	rows  []row
	coder chunkCoder
}

// maxScratch bounds what is handed on, in rows: two days at 10 s are fewer.
const maxScratch = 20_000

// run visits the days of the range in order.
func (r *reader) run(ctx context.Context) error {
	s, ok := r.e.scratch.Get().(*scratch)
	if !ok {
		s = new(scratch)
	}
	r.scratch = s
	defer func() {
		if cap(s.rows) <= maxScratch {
			r.e.scratch.Put(s)
		}
	}()
	r.binT = -1
	for _, day := range r.days() {
		if err := ctx.Err(); err != nil {
			return err
		}
		more, err := r.readDay(day)
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
	r.flush()
	return nil
}

// days returns the days that have anything, on disk or in memory.
func (r *reader) days() []int64 {
	var list []int64
	for _, f := range r.e.days.between(r.from/dayMillis, (r.to-1)/dayMillis) {
		list = append(list, f.day)
	}
	for i, x := range r.memory {
		if d := x.at / dayMillis; i == 0 || d != r.memory[i-1].at/dayMillis {
			list = append(list, d)
		}
	}
	if r.bins.width >= windowMillis && !r.e.levels.empty() {
		r.e.levelDays(r.id, r.q.Point, r.from, r.to, func(day int64) { r.levels = append(r.levels, day) }, func(first int64, err error) {
			r.damage(first*dayMillis, monthEnd(first)*dayMillis-1, err)
		})
		list = append(list, r.levels...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// readDay answers for one day; more is false when the limit is reached.
func (r *reader) readDay(day int64) (more bool, err error) {
	n, _ := slices.BinarySearchFunc(r.memory, (day+1)*dayMillis, func(x row, at int64) int { return cmp.Compare(x.at, at) })
	mem := r.memory[:n]
	r.memory = r.memory[n:]
	_, thinned := slices.BinarySearch(r.levels, day)
	if thinned || n == 0 && r.bins.width >= windowMillis && r.e.days.get(day) == nil { // or thinned since the days were listed
		return r.levelled(day, mem)
	}
	if n == 0 && r.bins.width >= windowMillis && !r.q.Integral && r.bins.wholeHours(day*dayMillis) {
		if done, more := r.summaries(day); done {
			return more, nil
		}
	}
	r.rows = r.rows[:0]
	if err := r.load(day); err != nil {
		return false, err
	}
	rows := r.rows
	if n > 0 {
		rows = mergeRows(nil, rows, mem)
	}
	if r.bins.width > 1 {
		return r.roll(rows), nil
	}
	if r.each == nil {
		return r.take(rows), nil
	}
	for _, x := range rows {
		if err := r.each(x); err != nil {
			return false, err
		}
	}
	return true, nil
}

// roll puts rows into their bins; false means the answer is full.
func (r *reader) roll(rows []row) bool {
	for _, x := range rows {
		if r.binT < 0 || x.at >= r.binEnd {
			if !r.turn(x.at) {
				return false
			}
		}
		r.bin.add(x)
		if r.q.Integral {
			r.total += r.sum.add(x)
		}
	}
	return true
}

// load appends the day's sealed rows of the range to r.rows. Damage becomes a
// gap of the answer.
func (r *reader) load(day int64) error {
	err := r.e.days.view(day, &r.coder, func(d *dayTx) error {
		rec, err := d.record(r.id)
		if err != nil {
			return err
		}
		if !rec.present {
			return d.absent(r.id)
		}
		for h := range dayWindows {
			start := day*dayMillis + int64(h)*windowMillis
			if rec.starts&(1<<h) == 0 || start >= r.to || start+int64(rec.span)*windowMillis <= r.from {
				continue
			}
			n := len(r.rows)
			r.rows, err = d.rows(r.rows, uint32(start/windowMillis), r.id)
			if err != nil {
				r.rows = r.rows[:n]
				r.damage(start, start+int64(rec.span)*windowMillis-1, err)
				continue
			}
			r.rows = clip(r.rows, n, r.from, r.to)
		}
		return nil
	})
	if isDamage(err) {
		r.damage(day*dayMillis, (day+1)*dayMillis-1, err)
		return nil
	}
	return err
}

// clip drops the rows from index n on that lie outside [from, to).
func clip(rows []row, n int, from, to int64) []row {
	at := func(x row, t int64) int { return cmp.Compare(x.at, t) }
	end, _ := slices.BinarySearchFunc(rows[n:], to, at)
	rows = rows[:n+end]
	if first, _ := slices.BinarySearchFunc(rows[n:], from, at); first > 0 {
		rows = slices.Delete(rows, n, n+first)
	}
	return rows
}

func (r *reader) damage(from, to int64, err error) {
	r.e.damaged.Add(1)
	r.e.o.Log.Error("history does not read back", "point", r.q.Point, "from", from, "to", to, "error", err)
	r.gaps = append(r.gaps, greenhouse.Gap{Point: r.q.Point, From: greenhouse.Millis(from), To: greenhouse.Millis(to), Cause: CauseCorrupt})
}

// take adds raw samples to the answer; false means that it is full.
func (r *reader) take(rows []row) bool {
	n := min(len(rows), r.q.Limit-len(r.out.Samples))
	if r.out.Samples == nil && n > 0 { // there may be about as many a day in all of the range
		midnight := (rows[0].at/dayMillis + 1) * dayMillis
		part := float64(r.to-r.from) / float64(min(midnight, r.to)-max(midnight-dayMillis, r.from))
		r.out.Samples = make([]HistorySample, 0, min(int(float64(n)*min(part, 4)*1.01)+1, r.q.Limit))
	}
	for _, x := range rows[:n] {
		r.out.Samples = append(r.out.Samples, HistorySample{TS: greenhouse.Millis(x.at), Value: x.v, Quality: x.q})
	}
	if n < len(rows) {
		r.out.Next = strconv.FormatInt(rows[n].at, 36)
		return false
	}
	return true
}

// turn begins the bin of at, if it is not the one at hand; false means the
// answer is full.
func (r *reader) turn(at int64) bool {
	t := r.bins.start(at)
	if t == r.binT {
		return true
	}
	r.flush()
	if len(r.out.Samples) >= r.q.Limit {
		r.out.Next = strconv.FormatInt(t, 36)
		return false
	}
	r.binT, r.binEnd, r.bin, r.total = t, r.bins.end(t), summary{}, 0
	return true
}

// flush adds the bin at hand to the answer.
func (r *reader) flush() {
	if r.binT < 0 || r.bin.count+r.bin.bad == 0 {
		return
	}
	h := HistorySample{TS: greenhouse.Millis(r.binT), Value: math.NaN(), Quality: greenhouse.Bad, Min: math.NaN(), Max: math.NaN(), Last: math.NaN(), Count: r.bin.count, Bad: r.bin.bad, Integral: r.total}
	if b := r.bin; b.count > 0 {
		h.Value, h.Quality, h.Min, h.Max, h.Last = b.sum/float64(b.count), b.worst, b.min, b.max, b.last
	}
	r.out.Samples = append(r.out.Samples, h)
	r.bin = summary{}
	r.binT = -1
}

// summaries answers for a day from the summaries of its chunks, where these
// are no longer than the step; done is false where rows must be read.
func (r *reader) summaries(day int64) (done, more bool) {
	base := day * dayMillis
	type part struct {
		at  int64
		sum summary
	}
	var parts []part
	err := r.e.days.view(day, &r.coder, func(d *dayTx) error {
		rec, err := d.record(r.id)
		if err != nil || !rec.present {
			done = err == nil && !d.f.suspect
			return err
		}
		if rec.summed && r.bins.step == StepDay && r.bins.utc() {
			parts, done = append(parts, part{base, rec.sum}), true
			return nil
		}
		if rec.span != 1 && (rec.span != dayWindows || !r.bins.utc()) || int64(rec.span)*windowMillis > r.bins.width {
			return nil
		}
		for h := range dayWindows {
			start := base + int64(h)*windowMillis
			if rec.starts&(1<<h) == 0 || start >= r.to || start < r.from {
				continue
			}
			v, err := d.chunk(uint32(start/windowMillis), r.id)
			if err != nil {
				return err
			}
			parts = append(parts, part{start, v.sum})
		}
		done = true
		return nil
	})
	if err != nil || !done {
		return false, true // reading the rows tells of damage
	}
	for _, p := range parts {
		if !r.turn(p.at) {
			return true, false
		}
		r.bin.merge(p.sum)
	}
	return true, true
}
