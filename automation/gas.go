package automation

import (
	"math"
	"time"

	"greenhouse"
)

// How CO₂ is dosed.
const (
	outsideCO2   = 420.0 // ppm
	co2Band      = 100.0 // ppm over which dosing goes from full to nothing
	co2NoEffect  = 15 * time.Minute
	co2LeastRise = 20.0 // ppm that a quarter of an hour of dosing raises at least
	co2Retry     = 6 * time.Hour
	co2Filter    = time.Minute // of what is compared, for sensors are noisy
	co2LeakRate  = 50.0        // ppm a minute with the valve shut
)

// gassing is the state of CO₂ dosing.
type gassing struct {
	minute  time.Duration // since before was taken
	before  float64       // ppm, about a minute ago
	primed  bool
	rise    float64       // ppm a minute
	leak    time.Duration // for which it has risen with the valve shut
	shut    time.Duration // for which the valve has been shut
	slow    float64       // ppm, filtered
	dosed   time.Duration // since start was taken
	start   float64       // ppm
	lockout time.Duration // left
	budget  float64       // g/m² that may be dosed now
	spent   bool          // it is used up
}

// dose drives the CO₂ valve: towards the target as far as light and shut vents
// make it worth while.
func (st *State) dose() {
	gas := &st.seen[airCO2]
	st.watchGas()
	if !st.has(roleCO2) {
		return
	}
	if !st.auto || !gas.good() || st.safety.co2Wrong || math.IsNaN(st.aim.co2) {
		st.gas.dosed = 0
		for _, i := range st.roles[roleCO2] {
			st.devices[i].level = st.devices[i].point.Safe
		}
		return
	}
	light, vents := st.gasLight(), st.gasVents()
	target := outsideCO2 + (min(st.aim.co2, st.tuning.CO2Max-co2Band)-outsideCO2)*light*vents
	u, why := clamp((target-gas.Hi)/co2Band, 0, 1), whyCO2Above
	st.gasBudget()
	switch {
	case st.gas.spent:
		u, why = 0, whyCO2Spent
	case st.gas.lockout > 0:
		u, why = 0, whyCO2Locked
	case light == 0:
		u, why = 0, whyNoLight
	case u > 0:
		why = whyCO2Below
	}
	st.term(roleCO2, "set_point", target)
	st.term(roleCO2, "error", target-gas.Hi)
	st.term(roleCO2, "light_factor", light)
	st.term(roleCO2, "vent_factor", vents)
	st.term(roleCO2, "demand", u)
	st.timer(roleCO2, "lockout", st.gas.lockout.Seconds())
	for _, i := range st.roles[roleCO2] {
		st.want(i, slotLoop, "co2", st.proportion(&st.devices[i], u, switching(&st.devices[i].spec)), why, gas.Hi, target, 0)
		if vents == 0 {
			st.bound(i, slotLimit, greenhouse.PriorityInterlock, "venting", false, 0, whyCO2Vents, 0, 0, 0)
		}
	}
}

// gasBudget counts what was dosed against what an hour allows: a bucket of a fifth
// of that, into which the rest flows in an hour, so that no hour gets more. It is
// empty at the start, for nobody knows what was dosed before.
func (st *State) gasBudget() {
	g, most, gives := &st.gas, st.tuning.CO2Most, st.tuning.CO2Gives
	if most <= 0 || gives <= 0 {
		g.budget, g.spent = 0, false
		return
	}
	h := st.dt.Hours()
	g.budget = min(g.budget+0.8*most*h, 0.2*most) - st.mean(roleCO2)*gives*h
	switch { // a pulse of the valve must be worth while
	case g.budget <= 0:
		g.spent = true
	case g.budget >= most/20:
		g.spent = false
	}
	st.term(roleCO2, "budget_g_m2", g.budget)
}

// gasLight returns how much of the target the light is worth: all from 250 W/m²
// outside or under lamps, nothing below 50, or by night without a sensor.
func (st *State) gasLight() float64 {
	if st.mean(roleLamp) > 0.5 {
		return 1
	}
	if s := &st.seen[solar]; s.ok() {
		return clamp((s.Value-50)/200, 0, 1)
	}
	if n := st.natural(); !math.IsNaN(n) {
		return clamp((n/(2.1*0.6)-50)/200, 0, 1)
	}
	if st.day {
		return 1
	}
	return 0
}

// gasVents returns how much of the target is worth while with vents as open as
// they are: all up to 5 %, nothing from 25 % on or with a fan running.
func (st *State) gasVents() float64 {
	if st.fanRuns() {
		return 0
	}
	open := 0.0
	for _, i := range st.roles[roleVent] {
		open = max(open, st.devices[i].level, st.devices[i].applied)
	}
	return clamp((0.25-open)/0.20, 0, 1)
}

// watchGas notices a leak, and dosing that raises nothing.
func (st *State) watchGas() {
	g, gas := &st.gas, &st.seen[airCO2]
	g.lockout = max(0, g.lockout-st.elapse)
	if !gas.good() {
		g.primed, g.leak, g.dosed = false, 0, 0
		return
	}
	if !g.primed {
		g.primed, g.before, g.minute, g.rise, g.slow = true, gas.Value, 0, 0, gas.Value
	}
	g.slow += (gas.Value - g.slow) * lag(st.dt, co2Filter)
	if g.minute += st.dt; g.minute >= time.Minute {
		g.rise = (gas.Value - g.before) / g.minute.Minutes()
		g.before, g.minute = gas.Value, 0
	}
	on := st.mean(roleCO2) > 0
	if g.shut += st.dt; on {
		g.shut = 0
	}
	if g.leak += st.dt; g.rise <= co2LeakRate || g.shut < 2*time.Minute {
		g.leak = 0
	}
	if !on {
		g.start = min(g.start, g.slow) // what is lost between two pulses has to be raised again
		return
	}
	if g.dosed == 0 || g.slow > g.start+co2LeastRise || g.slow > outsideCO2+2*co2LeastRise { // richer than outside: something raised it
		g.dosed, g.start = 0, g.slow
	}
	if g.dosed += st.dt; g.dosed >= co2NoEffect {
		g.dosed, g.lockout = 0, co2Retry
	}
}
