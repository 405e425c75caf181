package automation

import (
	"math"
	"time"

	"greenhouse"
)

// quantity is something measured that decisions are made from.
type quantity uint8

const (
	airTemp quantity = iota
	airRH
	airCO2
	leafTemp
	ppfd
	solar
	outTemp
	outRH
	wind
	rain
	boxTemp  // inside a node's box
	nextTemp // air of the zone that is the backup
	levelLow
	levelHigh
	leakage
	quantities
	noQuantity = quantities
)

// quantityOf returns what a channel of that name measures.
func quantityOf(n greenhouse.ChannelName) quantity {
	switch n {
	case "air_temp":
		return airTemp
	case "air_rh":
		return airRH
	case "co2":
		return airCO2
	case "leaf_temp":
		return leafTemp
	case "ppfd":
		return ppfd
	case "solar":
		return solar
	case "outside_temp":
		return outTemp
	case "outside_rh":
		return outRH
	case "wind_speed":
		return wind
	case "rain":
		return rain
	case "box_temp":
		return boxTemp
	case "level_low":
		return levelLow
	case "level_high":
		return levelHigh
	case "leak":
		return leakage
	}
	return noQuantity
}

// weather reports whether the quantity is the same for all zones of a site.
func (q quantity) weather() bool { return q >= solar && q <= rain }

// agree returns how far two healthy sensors may differ.
func (q quantity) agree() float64 {
	switch q {
	case airTemp, leafTemp, outTemp, boxTemp, nextTemp:
		return 2
	case airRH, outRH:
		return 10
	case airCO2:
		return 200
	}
	return math.Inf(1)
}

// When one of three or more sensors is taken for drifting.
const (
	driftFar  = 0.75 // of what two healthy sensors may differ by
	driftLong = 6 * time.Hour
)

// Probe says how far the readings of one sensor may be used. What they are worth
// was judged when they were stored ([greenhouse.SensorTests]); what is left is
// their age, and for how long the last good one stands in.
type Probe struct {
	Stale time.Duration // a reading older than this is none
	Hold  time.Duration // how old the last good value may be and still stand in; default 300 s
}

// ProbeState is what a [Probe] remembers. The zero value never heard anything.
type ProbeState struct {
	Value float64       // the last good one
	Age   time.Duration // of it
	Has   bool          // there was one
}

// Judged is a value that may be used, and how far.
type Judged struct {
	Value   float64            // NaN if there is none
	Quality greenhouse.Quality // Good or Held may be used
	Fault   greenhouse.Quality // why it is not Good; Good if it is
}

// Step judges the latest reading of a sensor, whose age was computed by the
// caller. A reading that was read back from disk at the start is none: nothing
// is switched on before the sensor has spoken in this run.
func (p Probe) Step(s ProbeState, l greenhouse.Latest, age, dt time.Duration) (Judged, ProbeState) {
	j := p.step(&s, &l, age, dt)
	return j, s
}

func (p *Probe) step(s *ProbeState, l *greenhouse.Latest, age, dt time.Duration) Judged {
	s.Age += dt
	fault := l.Quality
	switch {
	case l.Seen.IsZero() || age > p.Stale:
		fault = greenhouse.Stale
	case math.IsNaN(l.Value):
		fault = greenhouse.Bad
	}
	if fault == greenhouse.Good {
		s.Value, s.Age, s.Has = l.Value, max(age, 0), true
		return Judged{l.Value, greenhouse.Good, greenhouse.Good}
	}
	if s.Has && s.Age <= p.Hold {
		return Judged{s.Value, greenhouse.Held, fault}
	}
	return Judged{math.NaN(), fault, fault}
}

// Voted is what several sensors of one quantity say together.
type Voted struct {
	Value, Lo, Hi float64
	Spread        float64 // between the highest and the lowest
	N             int     // sensors counted
	Agree         bool    // they lie close enough together
}

// Vote combines the values of sensors that are all usable: one alone is
// believed; of two the mean, and where they differ by more than tolerance, both
// ends count, each for the hazard it is the safe side of; of three or more the
// median. It sorts values in place.
func Vote(values []float64, tolerance float64) Voted {
	n := len(values)
	if n == 0 {
		return Voted{Value: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
	}
	for i := 1; i < n; i++ {
		for j := i; j > 0 && values[j] < values[j-1]; j-- {
			values[j], values[j-1] = values[j-1], values[j]
		}
	}
	mid := values[n/2]
	if n%2 == 0 {
		mid = (values[n/2-1] + values[n/2]) / 2
	}
	v := Voted{Value: mid, Lo: mid, Hi: mid, Spread: values[n-1] - values[0], N: n, Agree: values[n-1]-values[0] <= tolerance}
	if n == 2 && !v.Agree {
		v.Lo, v.Hi = values[0], values[1]
	}
	return v
}
