package telemetry

import "math/bits"

// A Rice code of a fixed parameter is what steady noise takes: it follows nothing, so
// it costs less than the adaptive coder and is read faster. v is stored as v>>k ones, a
// zero and the low k bits; beyond escape ones as it is.

// maxRice bounds the parameter: what a bitWriter takes at once.
const maxRice = 56

func putRice(w *bitWriter, v uint64, k uint) (q uint64) {
	q = v >> k
	if q < escape {
		w.put(1<<(q+1)-2, uint(q)+1)
		w.put(v&(1<<k-1), k)
		return q
	}
	w.put(1<<escape-1, escape)
	w.put(v>>32, 32)
	w.put(v&0xffffffff, 32)
	return escape
}

func getRice(r *bitReader, k uint) (v, q uint64) {
	q = uint64(r.ones(escape))
	if q < escape {
		return q<<k | r.get(k), q
	}
	return r.get(32)<<32 | r.get(32), q
}

// bestRice returns the parameter with which the residuals are shortest, and how many
// bits they take.
func bestRice(res []int64) (k uint, size int) {
	var sum uint64
	for _, r := range res {
		sum += min(zigzag(r), 1<<40)
	}
	mean := uint(bits.Len64(sum / uint64(max(len(res), 1))))
	for try := max(mean, 2) - 2; try <= mean+1; try++ {
		n := 0
		for _, r := range res {
			if q := zigzag(r) >> try; q < escape {
				n += int(q) + 1 + int(try)
			} else {
				n += escape + 64
			}
		}
		if size == 0 || n < size {
			k, size = try, n
		}
	}
	return k, size
}

func encodeRice(w *bitWriter, res []int64, k uint) {
	for _, r := range res {
		putRice(w, zigzag(r), k)
	}
}

// decodeRice fills res and reports whether the bits made sense.
func decodeRice(r *bitReader, res []int64, k uint) bool {
	if k > maxRice {
		return false
	}
	for i := range res {
		if r.n < 48 {
			r.fill()
		}
		q := uint(bits.LeadingZeros64(^r.acc))
		var u uint64
		if need := q + 1 + k; q < escape && need <= r.n {
			u = uint64(q)<<k | r.acc<<(q+1)>>1>>(63-k)
			r.skip(need)
		} else {
			u, _ = getRice(r, k)
		}
		res[i] = unzigzag(u)
	}
	return !r.over()
}
