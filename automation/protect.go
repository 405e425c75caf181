package automation

import (
	"time"

	"greenhouse"
)

// Limit is a protection limit: it acts beyond a value and until that is left by
// a margin.
type Limit struct {
	At    float64
	Ends  float64 // where it ends again; on the safe side of At
	Above bool    // it acts above At, else below
}

// Step returns whether the limit acts for y. A value that is no number leaves
// it as it is.
func (l Limit) Step(active bool, y float64) bool {
	if l.Above {
		return y >= l.At || active && !(y < l.Ends)
	}
	return y <= l.At || active && !(y > l.Ends)
}

// The limits that are the same for all zones.
const (
	frostNear    = 1.5    // K above the frost limit where people are warned
	limitBand    = 1.0    // K that a temperature limit must be left by
	co2Warns     = 2500.0 // ppm, people are warned
	co2Dangerous = 5000.0 // ppm, nobody may stay (OSHA, eight hours)
	co2Left      = 100.0  // ppm that a CO₂ limit must be left by
	co2Least     = 350.0  // ppm, no air holds less: a sensor that calibrates itself did so wrongly
	co2LeastEnds = 370.0  // ppm from which it is believed again
)

// safety is which protections act.
type safety struct {
	frost, hot        bool
	near              bool // frost is
	draught           idle // an exhaust fan runs
	co2, co2Dangerous bool
	co2Wrong          bool    // the sensor says less than can be
	ppm               float64 // that it last said
}

// protect decides about frost, heat and CO₂ for people, whatever the mode. Of
// two sensors that disagree the one on the dangerous side counts; where they
// make it frost and heat at once, neither does.
func (st *State) protect() {
	s, t, air, gas := &st.safety, &st.tuning, &st.seen[airTemp], &st.seen[airCO2]
	if air.ok() {
		s.frost = Limit{At: t.FrostLimit, Ends: t.FrostLimit + limitBand}.Step(s.frost, air.Lo)
		s.hot = Limit{At: t.HeatLimit, Ends: t.HeatLimit - limitBand, Above: true}.Step(s.hot, air.Hi)
	}
	if !air.ok() || s.frost && s.hot {
		s.frost, s.hot = false, false
	}
	s.near = air.ok() && !s.hot && Limit{At: t.FrostLimit + frostNear, Ends: t.FrostLimit + frostNear + limitBand}.Step(s.near, air.Lo)
	if gas.ok() {
		s.ppm = gas.Hi
		s.co2 = Limit{At: t.CO2Max, Ends: t.CO2Max - co2Left, Above: true}.Step(s.co2, gas.Hi)
		s.co2Dangerous = Limit{At: co2Dangerous, Ends: co2Dangerous - co2Left, Above: true}.Step(s.co2Dangerous, gas.Hi)
		s.co2Wrong = Limit{At: co2Least, Ends: co2LeastEnds}.Step(s.co2Wrong, gas.Lo)
	} else { // what is dangerous stays so until a sensor says otherwise
		s.co2, s.co2Wrong, s.co2Dangerous = false, false, s.co2Dangerous && gas.any
	}
	st.storms()
	st.guardWater()
	for i := range st.devices {
		st.guard(i)
	}
}

// guard adds the claims of safety to device i.
func (st *State) guard(i int) {
	s, t, air, gas := &st.safety, &st.tuning, &st.seen[airTemp], &st.seen[airCO2]
	safe := func(owner string, level float64, why reason, a, b float64) {
		st.want(i, slotSafety, owner, level, why, a, b, 0)
	}
	switch r := st.devices[i].role; {
	case (r == roleHeater || r == roleMaster) && s.frost:
		safe("frost", 1, whyFrost, air.Lo, t.FrostLimit)
	case (r == roleVent || r == roleFan || r == roleMister) && s.frost:
		safe("frost", 0, whyFrostVent, air.Lo, t.FrostLimit)
	case (r == roleHeater || r == roleMaster || r == roleLamp) && s.hot:
		safe("heat", 0, whyHot, air.Hi, t.HeatLimit)
	case r == roleVent && s.hot:
		safe("heat", st.venting.hotLimit, whyHot, air.Hi, t.HeatLimit)
	case r == roleFan && s.hot:
		safe("heat", 1, whyHot, air.Hi, t.HeatLimit)
	case r == roleFan && s.co2Dangerous:
		safe("co2", 1, whyCO2Purge, s.ppm, 0)
	case r == roleCO2 && s.co2Dangerous:
		safe("co2", 0, whyCO2People, s.ppm, 0)
	case r == roleCO2 && !gas.good():
		safe("co2", 0, whyCO2Lost, 0, 0)
	case r == roleCO2 && s.co2Wrong:
		safe("co2", 0, whyCO2Wrong, gas.Lo, co2Least)
	case r == roleCO2 && s.co2:
		safe("co2", 0, whyCO2Max, gas.Hi, t.CO2Max)
	case r == roleCO2 && s.hot:
		safe("heat", 0, whyHotCO2, 0, 0)
	}
	if st.devices[i].role == roleVent && st.venting.storm > 0 {
		st.bound(i, slotEnvelope, greenhouse.PrioritySafety, "storm", false, stormMost, whyStorm, st.venting.gust, 0, 0)
	}
}

// How vents behave in a storm: from this wind on they are nearly shut, and stay
// so for a while after the last gust.
const (
	stormWind = 15.0 // m/s
	stormMost = 0.05
	afterGust = 10 * time.Minute
	afterRain = 10 * time.Minute
)

// storms remembers gusts and rain, and finds how far vents may open against
// heat: the crop dies of 40 °C sooner than of rain, so only wind counts, and a
// wind sensor that failed.
func (st *State) storms() {
	v, w := &st.venting, &st.seen[wind]
	v.storm, v.wet = max(0, v.storm-st.elapse), max(0, v.wet-st.elapse)
	if w.ok() && w.Hi > stormWind {
		v.storm, v.gust = afterGust, w.Hi
	}
	if r := &st.seen[rain]; r.ok() && r.Hi >= 0.5 {
		v.wet = afterRain
	}
	switch {
	case v.storm > 0:
		v.hotLimit = stormMost
	case w.any && !w.ok():
		v.hotLimit = st.tuning.VentCap
	default:
		v.hotLimit = 1
	}
}
