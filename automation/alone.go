package automation

import (
	"math"
	"time"
)

// aloneFar is how far the only thermometer must leap to be in another world, K: from
// °C to °F it is at least 32 at any temperature above freezing. With none beside it
// that stays, it takes more than the leap of one of two.
const aloneFar = 25.0

// When the only thermometer stands still while the house must have moved. Healthy
// air temperature was seen to stand for 110 minutes, so it takes a balance that is
// far off as well: so much warms or cools any house by several kelvin.
const (
	stillLong = time.Hour / 2
	stillOff  = 25.0 // min of full heat
)

// alone is what gives the only thermometer away at once, or within the hour.
type alone struct {
	apart  time.Duration // since it was last heard
	left   float64       // °C from which it leapt
	leapt  bool
	at     float64       // °C at which it stands
	stood  time.Duration // for so long
	off    float64       // min of full heat beyond what the house needs, meanwhile
	frozen bool
}

// leaps notices a thermometer that is all at once in another world. It is heard again where it comes back to about where it was.
func (st *State) leaps(t float64) {
	d := &st.drift
	switch far := math.Abs(t-d.left) >= aloneFar; {
	case d.leapt:
		d.leapt = far
	case d.primed && math.Abs(t-d.was) >= aloneFar && d.apart <= leapSoon:
		d.leapt, d.left = true, d.was
	}
	d.apart = 0
}

// stills notices a thermometer that stands still while heat and weather should
// have moved the air by kelvins. It is heard again once it moves.
func (st *State) stills(t float64) {
	d := &st.drift
	if !d.primed || t != d.at {
		d.at, d.stood, d.off, d.frozen = t, 0, 0, false
		return
	}
	out := st.value(outTemp)
	d.stood += st.dt
	if d.frozen || math.IsNaN(out) || d.rest.left(balanceRest) > 0 || !st.has(roleHeater) || !st.reported(roleHeater) {
		return // sun, lamps and open vents make it anybody's guess
	}
	if d.usual[0].n+d.usual[1].n < residualSure && st.learned.nights < learnPrior {
		return // nobody knows what the house needs
	}
	needs, _ := st.holding(t, out, 0)
	d.off += (st.mean(roleHeater) - needs) * st.dt.Minutes()
	d.frozen = d.stood >= stillLong && math.Abs(d.off) >= stillOff
}
