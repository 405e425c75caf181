package telemetry

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// A column of integers is stored as its first value, the greatest common
// divisor of all distances from it, and the residuals of the predictor that
// fits best. All arithmetic wraps, so any 64 bits come back as they were.
const (
	modeConst  = iota // all alike: no residuals
	modeDelta         // the value before, plus a constant step
	modeDouble        // the step before, again
	modeSmooth        // a quick exponential mean of what came before: best under noise
	modeLine          // a straight line: best for a steady clock with jitter
	modeSlow          // a slow exponential mean: best where noise hides the course
)

// The coder of the residuals, in the high half of the byte that has the mode.
const (
	modeMask      = 0x0f
	coderAdaptive = 0x00 // runs and noise that changes
	coderRice     = 0x10 // steady noise; followed by its parameter
	coderDigits   = 0x20 // even spread; followed by base and lowest value
)

// lineShift is the number of fraction bits of the slope of a line.
const lineShift = 12

var errColumn = errors.New("column does not decode")

// columns encodes and decodes integer columns. Its scratch space makes it fit
// for one goroutine at a time.
type columns struct {
	u, res, sorted  []int64
	best, try, bits []byte
}

// append appends the column v to dst; the reader must know its length. clock
// says that v grows steadily, which is worth two more predictors.
func (c *columns) append(dst []byte, v []int64, clock bool) []byte {
	if len(v) == 0 {
		return dst
	}
	g := c.normalise(v)
	if g == 0 {
		return binary.AppendVarint(append(dst, modeConst), v[0])
	}
	c.best = c.best[:0]
	if clock {
		c.attempt(modeDelta, v[0], g, median(&c.sorted, c.u))
		k := slope(c.u)
		c.attempt(modeLine, v[0], g, k)
		if whole := (k + 1<<(lineShift-1)) >> lineShift << lineShift; whole != k {
			c.attempt(modeLine, v[0], g, whole) // the clock's own step, without the error of an estimate
		}
	} else {
		c.attempt(modeDelta, v[0], g, 0)
		c.attempt(modeSmooth, v[0], g, 0)
		c.attempt(modeSlow, v[0], g, 0)
	}
	c.attempt(modeDouble, v[0], g, 0)
	return append(dst, c.best...)
}

// normalise fills c.u with (v-v₀)/g and returns g, 0 if all values are alike.
func (c *columns) normalise(v []int64) int64 {
	c.u = slices.Grow(c.u[:0], len(v))[:len(v)]
	var g uint64
	for i, x := range v {
		c.u[i] = x - v[0]
		if g != 1 {
			g = gcd(g, magnitude(c.u[i]))
		}
	}
	if g > 1<<62 {
		g = 1
	}
	if g > 1 {
		for i := range c.u {
			c.u[i] /= int64(g)
		}
	}
	return int64(g)
}

func magnitude(x int64) uint64 {
	if x < 0 {
		return uint64(-x)
	}
	return uint64(x)
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// median returns the median step of u, which one outage does not move.
func median(scratch *[]int64, u []int64) int64 {
	s := (*scratch)[:0]
	for i := 1; i < len(u); i++ {
		s = append(s, u[i]-u[i-1])
	}
	slices.Sort(s)
	*scratch = s
	return s[len(s)/2]
}

// slope returns the slope of the line through u with the least squares, in units of
// 2^-lineShift: one through the ends would spread jitter to twice its width.
func slope(u []int64) int64 {
	middle := float64(len(u)-1) / 2
	var up, across float64
	for i, x := range u {
		d := float64(i) - middle
		up += d * float64(x)
		across += d * d
	}
	k := math.Round(up / across * (1 << lineShift))
	if math.Abs(k) < 1<<50 {
		return int64(k)
	}
	return 0 // no clock
}

// attempt encodes with one predictor, and the coder that goes with its residuals,
// and keeps the result if it is the shortest.
func (c *columns) attempt(mode byte, first, g, param int64) {
	c.res = slices.Grow(c.res[:0], len(c.u))[:len(c.u)-1]
	residuals(mode, param, c.u, c.res)
	b := binary.AppendVarint(append(c.try[:0], mode), first)
	b = binary.AppendUvarint(b, uint64(g))
	if mode == modeDelta || mode == modeLine {
		b = binary.AppendVarint(b, param)
	}
	if mode == modeLine {
		b = binary.AppendVarint(b, c.center())
	}
	c.try = c.code(b)
	if len(c.best) == 0 || len(c.try) < len(c.best) {
		c.best, c.try = c.try, c.best
	}
}

// code appends the residuals to b, which begins with the mode, in the shortest of
// the three codes.
func (c *columns) code(b []byte) []byte {
	w := bitWriter{buf: c.bits[:0]}
	coder := newRLGR()
	coder.encode(&w, c.res)
	c.bits = w.finish()
	k, rice := bestRice(c.res)
	low, high := extent(c.res)
	base, digits := uint64(high-low)+1, math.MaxInt
	if high-low > 0 && high-low < maxBase {
		digits = digitsLen(base, len(c.res)) + 24 // for base and lowest value
	}
	switch adaptive := 8 * len(c.bits); {
	case k <= maxRice && rice+8 < adaptive && rice+8 <= digits:
		b[0] |= coderRice
		w = bitWriter{buf: append(b, byte(k))}
		encodeRice(&w, c.res, k)
	case digits < adaptive:
		b[0] |= coderDigits
		w = bitWriter{buf: binary.AppendVarint(binary.AppendUvarint(b, base), low)}
		encodeDigits(&w, base, low, c.res)
	default:
		return append(b, c.bits...)
	}
	return w.finish()
}

// extent returns the lowest and the highest of v. Values so far apart that their
// distance overflows yield a negative one.
func extent(v []int64) (low, high int64) {
	low, high = v[0], v[0]
	for _, x := range v {
		low, high = min(low, x), max(high, x)
	}
	return low, high
}

// center moves the residuals so that their median is zero, and returns by how
// much: the first value, through which a line goes, may be far off the mean.
func (c *columns) center() int64 {
	c.sorted = append(c.sorted[:0], c.res...)
	slices.Sort(c.sorted)
	m := c.sorted[len(c.sorted)/2]
	for i := range c.res {
		c.res[i] -= m
	}
	return m
}

// residuals fills res with what the predictor leaves of u[1:]; u[0] is 0.
func residuals(mode byte, param int64, u, res []int64) {
	var step, mean int64
	for i := range res {
		x := u[i+1]
		switch mode {
		case modeDelta:
			res[i] = x - u[i] - param
		case modeDouble:
			res[i] = x - u[i] - step
			step = x - u[i]
		case modeSmooth:
			p := (mean + 8) >> 4
			res[i] = x - p
			mean += (x - p) << 2
		case modeSlow:
			p := (mean + 32) >> 6
			res[i] = x - p
			mean += (x - p) << 3
		case modeLine:
			res[i] = x - (int64(i+1) * param >> lineShift)
		}
	}
}

// restore turns residuals into values in place: the inverse of residuals.
func restore(mode byte, param, center, first, g int64, v []int64) {
	v[0] = first
	v = v[1:]
	var last, step, mean int64
	switch mode {
	case modeDelta:
		for i, r := range v {
			last += r + param
			v[i] = first + last*g
		}
	case modeDouble:
		for i, r := range v {
			step += r
			last += step
			v[i] = first + last*g
		}
	case modeSmooth:
		for i, r := range v {
			v[i] = first + ((mean+8)>>4+r)*g
			mean += r << 2
		}
	case modeSlow:
		for i, r := range v {
			v[i] = first + ((mean+32)>>6+r)*g
			mean += r << 3
		}
	case modeLine:
		for i, r := range v {
			v[i] = first + (r+center+(int64(i+1)*param>>lineShift))*g
		}
	}
}

// decodeColumn fills v from src and returns what follows the column in src.
func decodeColumn(src []byte, v []int64) ([]byte, error) {
	if len(v) == 0 {
		return src, nil
	}
	if len(src) == 0 || src[0]&modeMask > modeSlow || src[0] == modeConst|coderRice || src[0] == modeConst|coderDigits {
		return nil, errColumn
	}
	mode, coder := src[0]&modeMask, src[0]&^modeMask
	d := decoder{b: src[1:]}
	first := d.varint()
	if mode == modeConst {
		for i := range v {
			v[i] = first
		}
		return d.b, d.err
	}
	g, param := int64(d.uvarint()), int64(0)
	if mode == modeDelta || mode == modeLine {
		param = d.varint()
	}
	center := int64(0)
	if mode == modeLine {
		center = d.varint()
	}
	if d.err != nil {
		return nil, d.err
	}
	rest, ok := decodeResiduals(&d, coder, v[1:])
	if !ok || d.err != nil {
		return nil, errColumn
	}
	restore(mode, param, center, first, g, v)
	return rest, nil
}

// decodeResiduals fills res, and returns what follows and whether it made sense.
func decodeResiduals(d *decoder, coder byte, res []int64) (rest []byte, ok bool) {
	var k uint
	var base uint64
	var low int64
	switch coder {
	case coderRice:
		k = uint(d.byte())
	case coderDigits:
		base, low = d.uvarint(), d.varint()
	}
	r := bitReader{buf: d.b}
	switch coder {
	case coderAdaptive:
		c := newRLGR()
		ok = c.decode(&r, res)
	case coderRice:
		ok = decodeRice(&r, res, k)
	case coderDigits:
		ok = decodeDigits(&r, base, low, res)
	}
	return d.b[min(r.bytes(), len(d.b)):], ok
}
