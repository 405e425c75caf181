package telemetry

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"

	"greenhouse"
)

// Summaries that outlive their readings have bins of half an hour, so that
// hours and days come out right also where the offset is no whole hour.
const (
	binMillis = windowMillis / 2
	dayBins   = dayMillis / binMillis
)

// levelBin is what stays of the readings of half an hour.
type levelBin struct {
	summary
	total    float64 // integral
	from, to int64   // of the first and last reading; not kept in a file
}

// has reports whether there was any reading.
func (b *levelBin) has() bool { return b.count+b.bad > 0 }

// more reports whether b is of more readings than a.
func (b *levelBin) more(a *levelBin) bool {
	return b.count > a.count || b.count == a.count && b.bad > a.bad
}

// level is what stays of one series and day.
type level struct {
	bins [dayBins]levelBin
	rate bool  // the totals count
	tail int64 // ms from the beginning of the day to its last usable reading, -1 for none
}

// add sums up rows of the day that begins at base; sum goes on from the rows before.
func (l *level) add(base int64, rows []row, sum *integral) {
	for _, x := range rows {
		b := &l.bins[(x.at-base)/binMillis]
		if !b.has() {
			b.from = x.at
		}
		b.to = x.at
		b.add(x)
		b.total += sum.add(x)
		if x.usable() {
			l.tail = x.at - base
		}
	}
}

// prefer takes from old, which was kept before, the bins of which it knows as much
// or more: where a crash left readings and summary both are the same, and what came
// too late takes nothing away. Doing it again changes nothing.
func (l *level) prefer(old *level) {
	for i := range l.bins {
		a, b := &l.bins[i], &old.bins[i]
		if b.has() && !a.more(b) {
			*a = *b
			if !old.rate {
				a.total = math.NaN()
			}
		}
	}
	l.tail = max(l.tail, old.tail)
}

// end returns the last usable row, as far as an integral needs it.
func (l *level) end(base int64) integral {
	if l.tail < 0 {
		return integral{}
	}
	return integral{last: row{at: base + l.tail, v: l.bins[l.tail/binMillis].last}, has: true}
}

var errLevel = errors.New("summary does not decode")

// appendLevel encodes a level: which bins there are, and a column for each
// property of them.
func (c *chunkCoder) appendLevel(dst []byte, l *level) []byte {
	var mask uint64
	var all, usable []*levelBin
	for i := range l.bins {
		if b := &l.bins[i]; b.has() {
			mask |= 1 << i
			all = append(all, b)
			if b.count > 0 {
				usable = append(usable, b)
			}
		}
	}
	flags := byte(0)
	if l.rate {
		flags = 1
	}
	dst = binary.AppendUvarint(append(dst, flags), mask)
	dst = binary.AppendVarint(dst, l.tail)
	for _, of := range [...]func(*levelBin) int64{
		func(b *levelBin) int64 { return int64(b.count) },
		func(b *levelBin) int64 { return int64(b.bad) },
		func(b *levelBin) int64 { return int64(b.worst) },
	} {
		c.values = c.values[:0]
		for _, b := range all {
			c.values = append(c.values, of(b))
		}
		dst = c.columns.append(dst, c.values, false)
	}
	for _, of := range l.floats() {
		dst = c.appendFloats(dst, usable, of)
	}
	return dst
}

// floats returns where the values of a bin are, in their order in a file.
func (l *level) floats() []func(*levelBin) *float64 {
	list := []func(*levelBin) *float64{
		func(b *levelBin) *float64 { return &b.min },
		func(b *levelBin) *float64 { return &b.max },
		func(b *levelBin) *float64 { return &b.last },
		func(b *levelBin) *float64 { return &b.sum },
	}
	if l.rate {
		list = append(list, func(b *levelBin) *float64 { return &b.total })
	}
	return list
}

// appendFloats appends a column of values as chunks have them: mantissas of one
// exponent, which comes first, or the bits of the floats.
func (c *chunkCoder) appendFloats(dst []byte, bins []*levelBin, of func(*levelBin) *float64) []byte {
	rows := make([]row, 0, len(bins))
	for _, b := range bins {
		rows = append(rows, row{v: *of(b)})
	}
	if !slices.ContainsFunc(rows, func(r row) bool { return math.IsNaN(r.v) }) {
		if exp, ok := c.decimals(rows); ok {
			return c.columns.append(append(dst, byte(exp)), c.values, false)
		}
	}
	c.values = c.values[:0]
	for _, r := range rows {
		c.values = append(c.values, int64(math.Float64bits(r.v)))
	}
	return c.columns.append(append(dst, chunkBinary), c.values, false)
}

// decodeLevel is the inverse of appendLevel.
func (c *chunkCoder) decodeLevel(src []byte) (l level, err error) {
	d := decoder{b: src}
	l.rate = d.byte() == 1
	mask := d.uvarint()
	l.tail = d.varint()
	if d.err != nil || mask>>dayBins != 0 || l.tail < -1 || l.tail >= dayMillis {
		return l, errLevel
	}
	rest := d.b
	for _, set := range [...]func(*levelBin, int64){
		func(b *levelBin, v int64) { b.count = int(v) },
		func(b *levelBin, v int64) { b.bad = int(v) },
		func(b *levelBin, v int64) { b.worst = greenhouse.Quality(v) },
	} {
		if rest, err = c.decodeInto(rest, bits.OnesCount64(mask)); err != nil {
			return l, err
		}
		n := 0
		for i := range l.bins {
			if mask&(1<<i) != 0 {
				set(&l.bins[i], c.values[n])
				n++
			}
		}
	}
	if slices.ContainsFunc(l.bins[:], func(b levelBin) bool { return b.count < 0 || b.bad < 0 || b.worst > greenhouse.Bad }) {
		return l, errLevel
	}
	for _, of := range l.floats() {
		if rest, err = c.decodeFloats(rest, &l, of); err != nil {
			return l, err
		}
	}
	if len(rest) != 0 || l.tail >= 0 && l.bins[l.tail/binMillis].count == 0 {
		return l, errLevel
	}
	return l, nil
}

// decodeInto reads a column of n integers into c.values.
func (c *chunkCoder) decodeInto(src []byte, n int) (rest []byte, err error) {
	c.values = slices.Grow(c.values[:0], n)[:n]
	if n == 0 {
		return src, nil
	}
	return decodeColumn(src, c.values)
}

// decodeFloats is the inverse of appendFloats.
func (c *chunkCoder) decodeFloats(src []byte, l *level, of func(*levelBin) *float64) (rest []byte, err error) {
	n := 0
	for i := range l.bins {
		if l.bins[i].count > 0 {
			n++
		}
	}
	if len(src) == 0 {
		return nil, errLevel
	}
	v := chunkView{flags: src[0]}
	if rest, err = c.decodeInto(src[1:], n); err != nil {
		return nil, err
	}
	n = 0
	for i := range l.bins {
		if b := &l.bins[i]; b.count > 0 {
			*of(b) = v.float(c.values[n])
			n++
		}
	}
	return rest, nil
}
