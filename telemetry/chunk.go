package telemetry

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"greenhouse"
)

// row is one reading of a series while it is sealed, merged or queried.
type row struct {
	at int64 // ms since the epoch
	v  float64
	q  greenhouse.Quality
}

// usable reports whether the row counts in summaries.
func (r row) usable() bool { return r.q != greenhouse.Bad && !math.IsNaN(r.v) }

// summary is what a rollup needs of many rows.
type summary struct {
	count    int // usable rows
	bad      int // rows left out
	min, max float64
	sum      float64
	last     float64
	worst    greenhouse.Quality // among the usable rows
}

// add counts one more row; rows must come in order of time.
func (s *summary) add(r row) {
	if !r.usable() {
		s.bad++
		return
	}
	if s.count == 0 {
		s.min, s.max = r.v, r.v
	} else if r.v < s.min {
		s.min = r.v
	} else if r.v > s.max {
		s.max = r.v
	}
	s.sum += r.v
	s.last = r.v
	s.worst = max(s.worst, r.q)
	s.count++
}

// merge counts the rows of o, which lie after those of s.
func (s *summary) merge(o summary) {
	if o.count > 0 {
		if s.count == 0 {
			s.min, s.max = o.min, o.max
		}
		s.min, s.max = min(s.min, o.min), max(s.max, o.max)
		s.sum += o.sum
		s.last = o.last
		s.worst = max(s.worst, o.worst)
		s.count += o.count
	}
	s.bad += o.bad
}

// The first byte of a chunk: the number of decimal places in the low bits, and
// these flags.
const (
	chunkExponent = 0x0f
	chunkBinary   = 0x10 // values are the bits of the floats, not decimals
	chunkQuality  = 0x20 // a quality column follows; without it all are good
	chunkTimesRef = 0x40 // the times are those of a shared column
	chunkSummary  = 0x80 // a summary follows
)

// noValue marks, in the quality column, a row without a value.
const noValue = 0x80

// maxChunkRows bounds what a reader allocates for a chunk that claims a length:
// a reading for every millisecond of an hour.
const maxChunkRows = windowMillis

var errChunk = errors.New("chunk does not decode")

// chunkCoder encodes and decodes chunks; one goroutine at a time.
type chunkCoder struct {
	columns
	times, values []int64
}

// appendTimes appends the column of the rows' times, relative to start.
func (c *chunkCoder) appendTimes(dst []byte, start int64, rows []row) []byte {
	c.times = c.times[:0]
	for _, r := range rows {
		c.times = append(c.times, r.at-start)
	}
	return c.columns.append(binary.AppendUvarint(dst, uint64(len(rows))), c.times, true)
}

// decodeTimes reads a times column into c.times.
func (c *chunkCoder) decodeTimes(src []byte) ([]byte, error) {
	d := decoder{b: src}
	n := d.uvarint()
	if d.err != nil || n == 0 || n > maxChunkRows {
		return nil, errChunk
	}
	c.times = slices.Grow(c.times[:0], int(n))[:n]
	return decodeColumn(d.b, c.times)
}

// appendChunk appends the rows to dst. times is their encoded times column;
// with ref > 0 the chunk names the shared column ref instead of holding it. A
// summary costs some 20 bytes and saves rollups of just this length the rest.
func (c *chunkCoder) appendChunk(dst []byte, rows []row, times []byte, ref uint32, summed bool) []byte {
	exp, ok := c.decimals(rows)
	flags := byte(exp)
	if !ok {
		c.binary(rows)
		flags = chunkBinary
	}
	mixed := slices.ContainsFunc(rows, func(r row) bool { return r.q != greenhouse.Good || math.IsNaN(r.v) })
	if mixed {
		flags |= chunkQuality
	}
	if ref > 0 {
		flags |= chunkTimesRef
	}
	if summed {
		flags |= chunkSummary
	}
	dst = binary.AppendUvarint(append(dst, flags), uint64(len(rows)))
	if mixed {
		dst = appendQualities(dst, rows)
	}
	if summed {
		dst = appendSummary(dst, summarise(rows), exp, ok)
	}
	if ref > 0 {
		dst = binary.AppendUvarint(dst, uint64(ref))
	} else {
		dst = append(dst, times...)
	}
	return c.columns.append(dst, c.values, false)
}

// decimals fills c.values with mantissas of a common exponent, if every value
// has one exactly and their sum cannot overflow.
func (c *chunkCoder) decimals(rows []row) (int, bool) {
	exp := 0
	for _, r := range rows {
		if math.IsNaN(r.v) {
			continue
		}
		if _, ok := mantissa(r.v, exp); ok {
			continue
		}
		_, e, ok := decimal(r.v)
		if !ok {
			return 0, false
		}
		exp = max(exp, e)
	}
	c.values = c.values[:0]
	limit := uint64(1<<62) / uint64(len(rows)+1)
	for _, r := range rows {
		if math.IsNaN(r.v) {
			continue
		}
		m, ok := mantissa(r.v, exp)
		if !ok || magnitude(m) > limit {
			return 0, false
		}
		c.values = append(c.values, m)
	}
	return exp, true
}

// binary fills c.values with the bits of the floats.
func (c *chunkCoder) binary(rows []row) {
	c.values = c.values[:0]
	for _, r := range rows {
		if !math.IsNaN(r.v) {
			c.values = append(c.values, int64(math.Float64bits(r.v)))
		}
	}
}

// appendQualities appends runs of equal quality: a byte and a length.
func appendQualities(dst []byte, rows []row) []byte {
	code := func(r row) byte {
		if math.IsNaN(r.v) {
			return byte(r.q) | noValue
		}
		return byte(r.q)
	}
	for i := 0; i < len(rows); {
		j := i + 1
		for j < len(rows) && code(rows[j]) == code(rows[i]) {
			j++
		}
		dst = binary.AppendUvarint(append(dst, code(rows[i])), uint64(j-i))
		i = j
	}
	return dst
}

func summarise(rows []row) (s summary) {
	for _, r := range rows {
		s.add(r)
	}
	return s
}

// appendSummary appends the extremes, sum and last of the usable rows, as
// mantissas where the values are; the counts follow from the qualities.
func appendSummary(dst []byte, s summary, exp int, decimal bool) []byte {
	if s.count == 0 {
		return dst
	}
	for _, v := range [...]float64{s.min, s.max, s.last} {
		if m, ok := mantissa(v, exp); decimal && ok {
			dst = binary.AppendVarint(dst, m)
		} else {
			dst = appendFloat(dst, v)
		}
	}
	return appendFloat(dst, s.sum)
}

// chunkView is a chunk with its head read and its columns still encoded.
type chunkView struct {
	rows    int
	values  int // rows that have a value
	flags   byte
	quality []byte // encoded runs
	sum     summary
	ref     uint32 // shared times column, 0 for none
	rest    []byte // times, unless shared, then values
}

// viewChunk reads the head of a chunk.
func viewChunk(src []byte) (v chunkView, err error) {
	d := decoder{b: src}
	v.flags = d.byte()
	n := d.uvarint()
	if d.err != nil || n == 0 || n > maxChunkRows {
		return v, errChunk
	}
	v.rows, v.values, v.sum.count = int(n), int(n), int(n)
	if v.flags&chunkQuality != 0 {
		v.readQualities(&d)
	}
	if v.sum.count > 0 && v.flags&chunkSummary != 0 {
		v.readSummary(&d)
	}
	if v.flags&chunkTimesRef != 0 {
		ref := d.uvarint()
		if ref == 0 || ref > math.MaxUint32 {
			d.fail()
		}
		v.ref = uint32(ref)
	}
	v.rest = d.b
	if d.err != nil {
		return v, errChunk
	}
	return v, nil
}

func (v *chunkView) readQualities(d *decoder) {
	start := d.b
	v.values, v.sum.count = 0, 0
	for left := v.rows; left > 0; {
		code, run := d.byte(), d.uvarint()
		q := greenhouse.Quality(code &^ noValue)
		if d.err != nil || run == 0 || run > uint64(left) || q > greenhouse.Bad {
			d.fail()
			return
		}
		left -= int(run)
		if code&noValue == 0 {
			v.values += int(run)
		}
		if code&noValue == 0 && q != greenhouse.Bad {
			v.sum.count += int(run)
			v.sum.worst = max(v.sum.worst, q)
		}
	}
	v.sum.bad = v.rows - v.sum.count
	v.quality = start[:len(start)-len(d.b)]
}

func (v *chunkView) readSummary(d *decoder) {
	for _, p := range [...]*float64{&v.sum.min, &v.sum.max, &v.sum.last} {
		if v.flags&chunkBinary != 0 {
			*p = d.float()
		} else {
			*p = undecimal(d.varint(), int(v.flags&chunkExponent))
		}
	}
	v.sum.sum = d.float()
}

// rowsOf appends the rows of a chunk to dst. For a chunk whose times are
// shared, c.times must hold that column.
func (c *chunkCoder) rowsOf(dst []row, v chunkView, start int64) ([]row, error) {
	rest := v.rest
	var err error
	if v.ref == 0 {
		if rest, err = c.decodeTimes(rest); err != nil {
			return dst, err
		}
	}
	if len(c.times) != v.rows {
		return dst, errChunk
	}
	c.values = slices.Grow(c.values[:0], v.values)[:v.values]
	if rest, err = decodeColumn(rest, c.values); err != nil || len(rest) != 0 {
		return dst, errChunk
	}
	dst = slices.Grow(dst, v.rows)
	if v.quality == nil {
		return c.goodRows(dst, v, start), nil
	}
	return c.mixedRows(dst, v, start), nil
}

// goodRows is rowsOf for a chunk without a quality column.
func (c *chunkCoder) goodRows(dst []row, v chunkView, start int64) []row {
	n := len(dst)
	dst = dst[:n+v.rows]
	out, times := dst[n:], c.times[:v.rows]
	if v.flags&chunkBinary != 0 {
		for i, m := range c.values {
			out[i] = row{at: start + times[i], v: math.Float64frombits(uint64(m))}
		}
		return dst
	}
	p := math.Pow10(int(v.flags & chunkExponent))
	for i, m := range c.values {
		out[i] = row{at: start + times[i], v: float64(m) / p}
	}
	return dst
}

// mixedRows is rowsOf for a chunk with a quality column.
func (c *chunkCoder) mixedRows(dst []row, v chunkView, start int64) []row {
	d := decoder{b: v.quality}
	i, next := 0, 0
	for i < v.rows {
		code, run := d.byte(), int(d.uvarint())
		for range run {
			r := row{at: start + c.times[i], v: math.NaN(), q: greenhouse.Quality(code &^ noValue)}
			if code&noValue == 0 {
				r.v = v.float(c.values[next])
				next++
			}
			dst = append(dst, r)
			i++
		}
	}
	return dst
}

// float turns a stored value back into the float it was.
func (v *chunkView) float(m int64) float64 {
	if v.flags&chunkBinary != 0 {
		return math.Float64frombits(uint64(m))
	}
	return undecimal(m, int(v.flags&chunkExponent))
}
