package automation

import (
	"math"
	"time"

	"greenhouse"
)

// protectionBand is how far a protection limit must be left again before the
// protection ends, K.
const protectionBand = 1

// noPeople is the CO₂ from which people must not be in the zone, ppm.
const noPeople = 5000

// daylight is the light outside from which it counts as day while the clock is
// not trusted, W/m².
const daylight = 20

// view is what one decision sees of the zone.
type view struct {
	in       *Input
	st       *State
	c        limits
	now      time.Time
	auto     bool // loops may act
	day      bool
	air, rh  measure
	co2      measure
	ppfd     measure
	out      weather
	heatSP   float64 // with what drying adds; NaN: no target
	ventSP   float64 // NaN: no target
	vent     ventLimit
	heating  bool    // heat is wanted
	position float64 // of the vents, before limits; NaN: not wanted by anybody
	ventWhy  string
	fan      bool
	fanWhy   string
}

// Decide says what a zone wants of each of its actuators, and why. It is a pure
// function of in and st: no clock, no I/O. What it returns belongs to st.
//
// Claims are of safety (frost, heat, CO₂), of interlocks (bounds on vents and
// valves), of loops, and the failsafe of every actuator; stops, equipment
// protection and overrides are added where levels are enforced.
func Decide(in *Input, st *State) *Decision {
	st.prepare(in)
	v := &view{in: in, st: st, c: st.limits, now: in.Now, auto: in.Zone.Mode == greenhouse.ModeAuto || in.Zone.Mode == ""}
	v.sense()
	v.daytime()
	v.setPoints()
	v.protect()
	v.heatAndVent()
	stage := 0
	for i := range in.Devices {
		d, w := &in.Devices[i], &st.decision.Wants[i]
		v.claims(d, w, &stage)
		v.failsafe(d, w)
	}
	v.alarms()
	return &st.decision
}

// sense finds every quantity the blocks look at.
func (v *view) sense() {
	get := func(sensors []Sensor, name greenhouse.ChannelName, m *memory) measure {
		return sense(sensors, name, v.c, m, v.now, v.in.Trusted)
	}
	st := v.st
	v.air = get(v.in.Sensors, "air_temp", &st.air)
	v.rh = get(v.in.Sensors, "air_rh", &st.rh)
	v.co2 = get(v.in.Sensors, "co2", &st.co2)
	v.ppfd = get(v.in.Sensors, "ppfd", &st.ppfd)
	out := v.in.Outside
	v.out = weather{temp: get(out, "outside_temp", &st.outTemp), rh: get(out, "outside_rh", &st.outRH),
		wind: get(out, "wind_speed", &st.wind), rain: get(out, "rain", &st.rain), solar: get(out, "solar", &st.solar)}
}

// daytime decides by the schedule, and by light alone while the clock is not
// trusted.
func (v *view) daytime() {
	switch {
	case v.in.Trusted:
		v.day = v.st.day.isDay(v.in)
	case v.out.solar.usable():
		v.day = v.out.solar.value > daylight
	case v.ppfd.usable():
		v.day = v.ppfd.value > 30
	default:
		v.day = true
	}
	v.st.decision.Day = v.day
}

// setPoints works out the temperatures to heat to and to vent from. Drying raises
// the one; the dead zone keeps the other above it.
func (v *view) setPoints() {
	v.heatSP, v.ventSP = math.NaN(), math.NaN()
	heat, hasHeat := targetOf(v.in.Zone, greenhouse.Heating, v.day)
	vent, hasVent := targetOf(v.in.Zone, greenhouse.Venting, v.day)
	if hasHeat && !v.in.Trusted {
		t := v.in.Zone.Targets[greenhouse.Heating]
		heat = max(t.Day, t.Night) - 1
	}
	v.drying()
	if hasHeat {
		v.heatSP = heat + 1.5*v.st.humidity
	}
	switch {
	case hasVent && hasHeat:
		v.ventSP = max(vent, v.heatSP+1)
	case hasVent:
		v.ventSP = vent
	case hasHeat:
		v.ventSP = v.heatSP + v.c.DeadZone
	}
}

// drying sets the demand for drying from the relative humidity.
func (v *view) drying() {
	most, wanted := targetOf(v.in.Zone, greenhouse.HumidityMax, v.day)
	v.st.humidity = 0
	if v.auto && wanted && v.rh.usable() && v.air.usable() {
		v.st.humidity = ramp(v.rh.value, most, most+v.c.RHPBand)
	}
}

// protect latches frost and heat protection until the limit is left by a kelvin.
func (v *view) protect() {
	if !v.air.usable() {
		v.st.frost, v.st.over = false, false
		return
	}
	cold, hot := v.air.low, v.air.high
	limit := func(active *bool, beyond, back bool) {
		switch {
		case beyond:
			*active = true
		case back:
			*active = false
		}
	}
	limit(&v.st.frost, cold <= v.c.FrostLimit, cold > v.c.FrostLimit+protectionBand)
	limit(&v.st.over, hot >= v.c.HeatLimit, hot < v.c.HeatLimit-protectionBand)
}

// heatAndVent runs the two sides of the temperature loop, which are never at work
// together: between them lie the dead zone and the changeover time, except that
// humid air is let out while heating.
func (v *view) heatAndVent() {
	st := v.st
	v.vent = st.gale.limit(v.out, v.c.VentCap, v.now)
	v.position = math.NaN()
	if !v.auto || !v.air.usable() {
		for i := range st.heat {
			st.heat[i].reset(v.now)
		}
		st.fan.reset(v.now)
		return
	}
	v.heat()
	v.ventilate()
	v.exhaust()
}

// heat switches the stages of heating: the first at the set-point, each further
// one a kelvin below the one before and not sooner than the stage delay.
func (v *view) heat() {
	st, t := v.st, v.air.towards(higher)
	if math.IsNaN(v.heatSP) {
		for i := range st.heat {
			st.heat[i].reset(v.now)
		}
		return
	}
	waiting := v.now.Sub(st.vented) < v.c.changeover && !st.vented.IsZero()
	for i := range st.heat {
		h := &st.heat[i]
		early := i > 0 && !h.on && (!st.heat[i-1].on || v.now.Sub(st.staged) < v.c.stageDelay)
		if early || waiting && !h.on {
			continue
		}
		was := h.on
		if h.step(t, v.heatSP-float64(i), v.c.HeatOn, v.c.HeatOff, v.now); h.on && !was {
			st.staged = v.now
		}
	}
	if v.heating = st.heat[0].on; v.heating {
		st.heated = v.now
	}
}

// ventilate finds the position of the vents: the wider of what the temperature
// and what the humidity asks for.
func (v *view) ventilate() {
	st, t := v.st, v.air.towards(mean)
	if !math.IsNaN(v.ventSP) {
		v.position = 0
		v.ventWhy = st.phrases[phraseVent].say("air %.1f °C is below venting at %.1f °C", t, v.ventSP)
		band := ventBand(v.c.VentPBand, v.out)
		if pos := ramp(t, v.ventSP, v.ventSP+band); pos > 0 {
			if !st.heated.IsZero() && v.now.Sub(st.heated) < v.c.changeover {
				v.ventWhy = "heating ended a moment ago: the changeover time keeps vents shut"
			} else {
				v.position, st.vented = pos, v.now
				v.ventWhy = st.phrases[phraseVent].say("air %.1f °C is above venting at %.1f °C", t, v.ventSP)
			}
		}
	}
	if st.humidity > 0 && v.dryOutside() {
		cold := 1.0
		if !math.IsNaN(v.heatSP) {
			cold = ramp(t, v.heatSP-1, v.heatSP)
		}
		if least := st.humidity * v.c.RHVentMax * cold; !(least <= v.position) {
			v.position = least
			v.ventWhy = st.phrases[phraseHumid].say("humidity %.1f %% is above its most; vents open a little to dry (demand %.1f)", v.rh.value, st.humidity)
		}
	}
}

// dryOutside reports whether letting air in dries: outside air must hold at least
// half a gram less. Where it is not known, vents stay shut for humidity alone.
func (v *view) dryOutside() bool {
	if !v.out.temp.usable() || !v.out.rh.usable() {
		return false
	}
	return AbsoluteHumidity(v.out.temp.value, v.out.rh.value) < AbsoluteHumidity(v.air.value, v.rh.value)-0.5
}

// exhaust runs the fan where open vents are not enough.
func (v *view) exhaust() {
	st := v.st
	if math.IsNaN(v.ventSP) {
		st.fan.reset(v.now)
		return
	}
	t := v.air.towards(mean)
	from := v.ventSP + ventBand(v.c.VentPBand, v.out)
	switch { // mirrored hysteresis: on above, off below
	case !st.fan.on && t > from+0.5 && v.now.Sub(st.vented) < v.c.changeover:
		st.fan = hysteresis{on: true, since: v.now}
	case st.fan.on && t < from-0.5:
		st.fan = hysteresis{since: v.now}
	}
	v.fan = st.fan.on
	if v.fan {
		v.fanWhy = st.phrases[phraseFan].say("air %.1f °C is above %.1f °C: vents alone are not enough", t, from)
	} else {
		v.fanWhy = st.phrases[phraseFan].say("air %.1f °C does not need the fan below %.1f °C", t, from)
	}
}
