package telemetry

import "math/bits"

// Residuals are coded by an adaptive run-length Golomb-Rice coder (H. Malvar,
// "Adaptive run-length/Golomb-Rice encoding of quantized generalized Gaussian
// sources with unknown statistics", DCC 2006): runs of zeros cost a fraction
// of a bit each, noise costs its entropy and little more, and no parameters
// are stored because reader and writer adapt alike.

const (
	runMax   = 80     // cap of the run parameter, in eighths of a bit
	runUp    = 4      // after a full run
	runDown  = 6      // after a broken run
	runStep  = 3      // in plain mode
	riceMax  = 8 * 56 // cap of the Rice parameter, in eighths of a bit
	riceDown = 2      // after a quotient of zero
	escape   = 32     // quotients from here on are followed by the 64 bits themselves
)

// rlgr is the adaptive state that reader and writer share.
type rlgr struct {
	run  int // eight times the log₂ of the run length; below 8 means plain mode
	rice int // eight times the number of low bits sent as they are
}

func newRLGR() rlgr { return rlgr{run: 8, rice: 8} }

func zigzag(x int64) uint64   { return uint64(x)<<1 ^ uint64(x>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// adapt moves the Rice parameter after a quotient q.
func (c *rlgr) adapt(q uint64) {
	switch {
	case q == 0:
		c.rice = max(c.rice-riceDown, 0)
	case q > 1:
		c.rice = min(c.rice+int(q), riceMax)
	}
}

// plain moves the run parameter after a value outside a run.
func (c *rlgr) plain(zero bool) {
	if zero {
		c.run = min(c.run+runStep, runMax)
	} else {
		c.run = max(c.run-runStep, 0)
	}
}

func (c *rlgr) putRice(w *bitWriter, v uint64) {
	c.adapt(putRice(w, v, uint(c.rice>>3)))
}

func (c *rlgr) getRice(r *bitReader) uint64 {
	v, q := getRice(r, uint(c.rice>>3))
	c.adapt(q)
	return v
}

// encode appends the residuals to w.
func (c *rlgr) encode(w *bitWriter, res []int64) {
	for i := 0; i < len(res); {
		if c.run < 8 {
			u := zigzag(res[i])
			c.putRice(w, u)
			c.plain(u == 0)
			i++
			continue
		}
		run := 0
		for i < len(res) && res[i] == 0 {
			run++
			i++
		}
		for ; run >= 1<<(c.run>>3); c.run = min(c.run+runUp, runMax) {
			run -= 1 << (c.run >> 3)
			w.put(0, 1)
		}
		if i == len(res) && run == 0 {
			return
		}
		w.put(1, 1)
		w.put(uint64(run), uint(c.run>>3))
		if i == len(res) {
			return
		}
		c.putBroken(w, res[i])
		i++
	}
}

// putBroken writes the value that ended a run, which cannot be zero.
func (c *rlgr) putBroken(w *bitWriter, x int64) {
	if x < 0 {
		w.put(1, 1)
		c.putRice(w, uint64(-x)-1)
	} else {
		w.put(0, 1)
		c.putRice(w, uint64(x)-1)
	}
	c.run = max(c.run-runDown, 0)
}

// decodePlain decodes values from index i on until a run begins or res is
// full. It is the inner loop of every query: the state lives in registers, and
// only rare long codes take the careful way.
func (c *rlgr) decodePlain(r *bitReader, res []int64, i int) int {
	run, rice := c.run, c.rice
	for i < len(res) && run < 8 {
		if r.n < 48 {
			r.fill()
		}
		k := uint(rice >> 3)
		q := uint(bits.LeadingZeros64(^r.acc))
		var u uint64
		if need := q + 1 + k; q < escape && need <= r.n {
			u = uint64(q)<<k | r.acc<<(q+1)>>1>>(63-k)
			r.skip(need)
			if q == 0 {
				rice = max(rice-riceDown, 0)
			} else if q > 1 {
				rice = min(rice+int(q), riceMax)
			}
		} else {
			c.rice = rice
			u = c.getRice(r)
			rice = c.rice
		}
		res[i] = unzigzag(u)
		i++
		if u == 0 {
			run += runStep
		} else {
			run = max(run-runStep, 0)
		}
	}
	c.run, c.rice = run, rice
	return i
}

// decode fills res and reports whether the bits made sense.
func (c *rlgr) decode(r *bitReader, res []int64) bool {
	for i := 0; i < len(res); {
		if c.run < 8 {
			i = c.decodePlain(r, res, i)
			continue
		}
		k := uint(c.run >> 3)
		full := r.get(1) == 0
		run := 1 << k
		if full {
			c.run = min(c.run+runUp, runMax)
		} else {
			run = int(r.get(k))
		}
		if run > len(res)-i || r.over() {
			return false
		}
		clear(res[i : i+run])
		i += run
		if full || i == len(res) {
			continue
		}
		neg := r.get(1) == 1
		res[i] = int64(c.getRice(r) + 1)
		if neg {
			res[i] = -res[i]
		}
		c.run = max(c.run-runDown, 0)
		i++
	}
	return !r.over()
}
