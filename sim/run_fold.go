package sim

import (
	"math"
	"time"
)

// fold makes one number of a quantity over time.
type fold interface {
	add(v float64, at time.Duration, dt time.Duration)
	value() float64
}

// newFold returns a fold by name, nil where there is none of that name.
func newFold(name string) fold {
	switch name {
	case "mean":
		return &meanFold{}
	case "min":
		return &extremeFold{sign: -1, v: math.NaN()}
	case "max":
		return &extremeFold{sign: 1, v: math.NaN()}
	case "rms":
		return &rmsFold{}
	case "rms15":
		return &rmsFold{block: 15 * time.Minute}
	case "change":
		return &changeFold{first: math.NaN()}
	case "starts":
		return &startsFold{}
	case "hourly_starts":
		return &startsFold{hourly: true}
	case "travel":
		return &travelFold{last: math.NaN()}
	case "hours":
		return &hoursFold{}
	}
	return nil
}

// meanFold is the mean.
type meanFold struct{ sum, n float64 }

func (f *meanFold) add(v float64, _, _ time.Duration) { f.sum, f.n = f.sum+v, f.n+1 }
func (f *meanFold) value() float64                    { return f.sum / f.n }

// extremeFold is the least or the most.
type extremeFold struct{ sign, v float64 }

func (f *extremeFold) add(v float64, _, _ time.Duration) {
	if math.IsNaN(f.v) || f.sign*v > f.sign*f.v {
		f.v = v
	}
}
func (f *extremeFold) value() float64 { return f.v }

// rmsFold is the root of the mean square, of blocks' means where there are
// blocks.
type rmsFold struct {
	block   time.Duration
	began   time.Duration
	in      meanFold
	squares meanFold
}

func (f *rmsFold) add(v float64, at, _ time.Duration) {
	if f.block == 0 {
		f.squares.add(v*v, 0, 0)
		return
	}
	if at-f.began >= f.block && f.in.n > 0 {
		m := f.in.value()
		f.squares.add(m*m, 0, 0)
		f.in = meanFold{}
	}
	if f.in.n == 0 {
		f.began = at
	}
	f.in.add(v, 0, 0)
}
func (f *rmsFold) value() float64 { return math.Sqrt(f.squares.value()) }

// changeFold is the difference between the end and the beginning.
type changeFold struct{ first, last float64 }

func (f *changeFold) add(v float64, _, _ time.Duration) {
	if math.IsNaN(f.first) {
		f.first = v
	}
	f.last = v
}
func (f *changeFold) value() float64 { return f.last - f.first }

// startsFold counts how often something goes from off to on; hourly, in the worst
// hour.
type startsFold struct {
	hourly bool
	on     bool
	n      int
	times  []time.Duration // of the last hour
}

func (f *startsFold) add(v float64, at, _ time.Duration) {
	on := v > 0.02
	start := on && !f.on
	f.on = on
	if !start {
		return
	}
	if !f.hourly {
		f.n++
		return
	}
	f.times = append(f.times, at)
	for at-f.times[0] >= time.Hour {
		f.times = f.times[1:]
	}
	f.n = max(f.n, len(f.times))
}
func (f *startsFold) value() float64 { return float64(f.n) }

// travelFold is how far something moved, in % of its whole way.
type travelFold struct{ last, sum float64 }

func (f *travelFold) add(v float64, _, _ time.Duration) {
	if !math.IsNaN(f.last) {
		f.sum += 100 * math.Abs(v-f.last)
	}
	f.last = v
}
func (f *travelFold) value() float64 { return f.sum }

// hoursFold is the integral over hours: of something that is on or off, for how
// long it was on.
type hoursFold struct{ sum float64 }

func (f *hoursFold) add(v float64, _, dt time.Duration) { f.sum += v * dt.Hours() }
func (f *hoursFold) value() float64                     { return f.sum }
