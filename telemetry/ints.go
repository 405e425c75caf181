package telemetry

import (
	"encoding/binary"
	"errors"
	"slices"
)

// A column of integers is stored as its first value, the greatest common
// divisor of all distances from it, and the residuals of the predictor that
// fits best. All arithmetic wraps, so any 64 bits come back as they were.
const (
	modeConst  = iota // all alike: no residuals
	modeDelta         // the value before, plus a constant step
	modeDouble        // the step before, again
	modeSmooth        // an exponential mean of what came before: best under noise
	modeLine          // a straight line: best for a steady clock with jitter
)

// lineShift is the number of fraction bits of the slope of a line.
const lineShift = 12

var errColumn = errors.New("column does not decode")

// columns encodes and decodes integer columns. Its scratch space makes it fit
// for one goroutine at a time.
type columns struct {
	u, res, sorted []int64
	best, try      []byte
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
		c.attempt(modeLine, v[0], g, slope(c.u))
	} else {
		c.attempt(modeDelta, v[0], g, 0)
		c.attempt(modeSmooth, v[0], g, 0)
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

// slope returns the mean step of u in units of 2^-lineShift.
func slope(u []int64) int64 {
	return (u[len(u)-1] << lineShift) / int64(len(u)-1)
}

// attempt encodes with one predictor and keeps the result if it is the shortest.
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
	w := bitWriter{buf: b}
	coder := newRLGR()
	coder.encode(&w, c.res)
	c.try = w.finish()
	if len(c.best) == 0 || len(c.try) < len(c.best) {
		c.best, c.try = c.try, c.best
	}
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
	if len(src) == 0 || src[0] > modeLine {
		return nil, errColumn
	}
	mode := src[0]
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
	r := bitReader{buf: d.b}
	coder := newRLGR()
	if !coder.decode(&r, v[1:]) {
		return nil, errColumn
	}
	restore(mode, param, center, first, g, v)
	return d.b[r.bytes():], nil
}
