package telemetry

import "math/bits"

// Residuals that are all about equally likely, such as the jitter of a clock, are
// digits: with a base of 40 three of them are a number of 16 bits, 5.33 bits each,
// where a Rice code takes 5.8. A number is the first digit plus the base times the rest.

// maxBase bounds the base; so many are no jitter any more.
const maxBase = 1 << 24

// grouping returns how many digits of a base share a number, and its length in
// bits: of all that a bitWriter takes at once, what wastes least.
func grouping(base uint64) (n int, size uint) {
	const most = 56
	for i, p := 1, base; ; i++ {
		if b := uint(bits.Len64(p - 1)); b > most {
			return n, size
		} else if n == 0 || int(b)*n < int(size)*i {
			n, size = i, b
		}
		hi, lo := bits.Mul64(p, base)
		if hi > 0 {
			return n, size
		}
		p = lo
	}
}

// digitsLen returns how many bits so many digits take.
func digitsLen(base uint64, count int) int {
	n, size := grouping(base)
	return (count + n - 1) / n * int(size)
}

// encodeDigits writes v, each less low, as digits.
func encodeDigits(w *bitWriter, base uint64, low int64, v []int64) {
	n, size := grouping(base)
	for len(v) > 0 {
		part := v[:min(n, len(v))]
		var x uint64
		for i := len(part) - 1; i >= 0; i-- {
			x = x*base + uint64(part[i]-low)
		}
		w.put(x, size)
		v = v[len(part):]
	}
}

// decodeDigits fills v and reports whether the bits made sense.
func decodeDigits(r *bitReader, base uint64, low int64, v []int64) bool {
	if base < 2 || base > maxBase {
		return false
	}
	n, size := grouping(base)
	for len(v) > 0 && !r.over() {
		part := v[:min(n, len(v))]
		x := r.get(size)
		for i := range part {
			part[i] = low + int64(x%base)
			x /= base
		}
		if x != 0 {
			return false
		}
		v = v[len(part):]
	}
	return !r.over()
}
