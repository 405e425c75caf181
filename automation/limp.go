package automation

import "math"

// limpMost is the most heat given without knowing the temperature: what was
// learned may be wrong, and nothing would tell.
const limpMost = 0.8

// limpOver is how much more than twice what was usual at this hour it may be.
const limpOver = 0.3

// limpHours is how many hours of the day must be known for their mean to stand in
// for one that is not.
const limpHours = 6

// meanHeat returns the mean of the heat given in the hours of the day that are
// known, and how many those are.
func (l *learned) meanHeat() (mean float64, n int) {
	for i := range l.hours {
		if h := &l.hours[i]; h.days > 0 {
			mean += float64(h.heat)
			n++
		}
	}
	return mean / float64(max(n, 1)), n
}

// limps reports whether heat and vents go by what was learned of the house: the
// zone has a sensor of the air temperature, but neither it nor a backup tells
// anything. After a start sensors get the time of a lost value to be heard.
func (st *State) limps() bool {
	air := &st.seen[airTemp]
	return air.any && !air.ok() && st.now.Sub(st.began) >= st.tuning.hold
}

// limpHeat returns the share of full heat that should hold the set-point, and
// why: by the weather, else what was given in this hour on the last days.
func (st *State) limpHeat() (u float64, why reason, num float64) {
	l, usual, h := &st.learned, math.NaN(), st.hourNow()
	if h >= 0 && l.hours[h].days > 0 {
		usual = float64(l.hours[h].heat)
	}
	if out := st.value(outTemp); !math.IsNaN(out) {
		sun, most := st.sunshine(), limpMost
		if math.IsNaN(sun) {
			sun = 0
		}
		if !math.IsNaN(usual) { // a station that is wrong as well must not cook the crop in summer
			most = min(most, limpOver+2*usual)
		}
		holds, loss := st.holding(st.aim.heat, out, sun)
		st.term(roleHeater, "loss_per_k", loss)
		return clamp(holds, 0, most), whyLimpWeather, out
	}
	if !math.IsNaN(usual) {
		return clamp(usual, 0, limpMost), whyLimpHour, float64(h)
	}
	if mean, n := l.meanHeat(); n >= limpHours {
		return clamp(mean, 0, limpMost), whyLimpMean, float64(n)
	}
	return 0, whyNone, 0
}

// heatBlind drives the heaters without an air temperature. It reports false where
// nothing tells how much heat is needed.
func (st *State) heatBlind() bool {
	u, why, num := st.limpHeat()
	if why == whyNone {
		return false
	}
	h := &st.heating
	h.pid, h.out = PIDState{}, PIDOut{}
	if st.venting.pos > 0 || st.venting.fans.Count() > 0 {
		u = 0 // by the weather it is too warm already
	}
	st.term(roleHeater, "set_point", st.aim.heat)
	st.term(roleHeater, "demand", u)
	if st.drift.wrong() && why == whyLimpWeather {
		why = whyLimpDrift
	}
	st.drive(u, clause{why, 100 * u, st.aim.heat, num}, clause{whyLimpNext, 100 * u, st.aim.heat, 0})
	p := &st.devices[st.roles[roleHeater][0]].pulses
	h.on = Switch{On: p.On, Since: p.Since} // shortest times go on when the sensor is back
	return true
}

// freeRun returns the temperature that the house would take by itself, with vents
// shut and no heat, NaN where the weather is not known.
func (st *State) freeRun() float64 {
	loss := priorLoss
	if p := st.tuning.HeaterWM2; p > 0 {
		loss = clamp(st.learned.loss*p, priorLoss/3, priorLoss*3)
	}
	return st.value(outTemp) + priorSun*st.sunshine()/(loss+3)
}

// limping words what is done without a thermometer to go by.
func (r reason) limping() string {
	switch r {
	case whyLimpWeather:
		return "the air temperature is lost: %.0f %% of heat should hold %.1f °C at %.1f °C outside"
	case whyLimpDrift:
		return "the thermometer is not believed: %.0f %% of heat should hold %.1f °C at %.1f °C outside"
	case whyLimpHour:
		return "the air temperature is lost: %.0f %% of heat for %.1f °C, as was given in hour %.0f of the last days"
	case whyLimpMean:
		return "the air temperature is lost: %.0f %% of heat for %.1f °C, the mean of the %.0f hours of the day that are known"
	case whyLimpNext:
		return "the air temperature is lost: %.0f %% of heat should hold %.1f °C; the next heater waits for the stage delay"
	case whyLimpVent:
		return "the air temperature is lost; with vents shut it would be %.1f °C, venting begins at %.1f °C"
	}
	return ""
}
