package telemetry

import (
	"encoding/binary"
	"math/bits"
)

// bitWriter appends bits, most significant first, to buf.
type bitWriter struct {
	buf []byte
	acc uint64 // pending bits, left-aligned
	n   uint   // how many are pending, always below 8 between calls
}

// put appends the low n bits of v; n is at most 56.
func (w *bitWriter) put(v uint64, n uint) {
	if n == 0 {
		return
	}
	w.acc |= v << (64 - n) >> w.n
	w.n += n
	for w.n >= 8 {
		w.buf = append(w.buf, byte(w.acc>>56))
		w.acc <<= 8
		w.n -= 8
	}
}

// finish fills the last byte with zeros and returns what was written.
func (w *bitWriter) finish() []byte {
	if w.n > 0 {
		w.buf = append(w.buf, byte(w.acc>>56))
	}
	w.acc, w.n = 0, 0
	return w.buf
}

// bitReader reads what a bitWriter wrote. Beyond the end it yields zeros and
// counts on, so that the caller checks once, with over.
type bitReader struct {
	buf  []byte
	pos  int    // next byte to load
	acc  uint64 // loaded bits, left-aligned
	n    uint   // how many are loaded
	used int    // bits consumed in all
}

// fill loads until at least 56 bits are there, with zeros past the end.
func (r *bitReader) fill() {
	if r.pos+8 <= len(r.buf) {
		r.acc |= binary.BigEndian.Uint64(r.buf[r.pos:]) >> r.n
		got := (63 - r.n) >> 3
		r.pos += int(got)
		r.n += got * 8
		return
	}
	for r.n <= 56 {
		if r.pos < len(r.buf) {
			r.acc |= uint64(r.buf[r.pos]) << (56 - r.n)
		}
		r.pos++
		r.n += 8
	}
}

// get reads n bits, at most 56.
func (r *bitReader) get(n uint) uint64 {
	if n == 0 {
		return 0
	}
	if r.n < n {
		r.fill()
	}
	v := r.acc >> (64 - n)
	r.skip(n)
	return v
}

func (r *bitReader) skip(n uint) {
	r.acc <<= n
	r.n -= n
	r.used += int(n)
}

// ones reads a run of at most max (up to 48) ones and the zero that ends a
// shorter run.
func (r *bitReader) ones(max uint) uint {
	if r.n <= max {
		r.fill()
	}
	if n := uint(bits.LeadingZeros64(^r.acc)); n < max {
		r.skip(n + 1)
		return n
	}
	r.skip(max)
	return max
}

// over reports whether more was read than was there.
func (r *bitReader) over() bool { return r.used > len(r.buf)*8 }

// bytes returns how many bytes were begun.
func (r *bitReader) bytes() int { return (r.used + 7) / 8 }
