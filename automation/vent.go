package automation

import (
	"math"
	"time"

	"greenhouse"
)

// VentBand returns over how many kelvin vents go from shut to open: wider the
// colder and windier it is outside (unknown: NaN), so that little cold air comes
// in at a time; never under 0.5 K. HortiMaX and Hoogendoorn controllers scale
// their bands the same way.
func VentBand(base, outside, wind float64) float64 {
	if !math.IsNaN(outside) {
		base += 0.25 * max(0, 15-outside)
	}
	if !math.IsNaN(wind) {
		base += 0.15 * max(0, wind)
	}
	return max(0.5, base)
}

// Vent opens vents in proportion to the temperature above the set-point, with a
// slow integral.
type Vent struct {
	Band  float64       // K, see [VentBand]
	Ti    time.Duration // integral time; default 1800 s
	Decay time.Duration // with which the integral fades below the set-point; default 600 s
}

// Step returns the position wanted, its proportional part, and the integral as
// it is afterwards. The integral grows only while the position is neither at its
// end nor at limit.
func (p Vent) Step(integral, t, setPoint, limit float64, dt time.Duration) (pos, proportional, after float64) {
	proportional = (t - setPoint) / p.Band
	pos = clamp(proportional+integral, 0, 1)
	switch {
	case t < setPoint-0.5:
		integral *= 1 - lag(dt, p.Decay)
	case pos < limit && pos < 1 || proportional < 0:
		integral = clamp(integral+proportional*dt.Seconds()/p.Ti.Seconds(), 0, 1)
	}
	return clamp(proportional+integral, 0, 1), proportional, integral
}

// venting is the state of vents and fans.
type venting struct {
	air      float64 // °C, filtered
	primed   bool
	blind    bool // air is what the weather would make it
	integral float64
	pos      float64       // wanted for temperature, 0 to 1
	moved    time.Duration // since the position changed
	last     idle          // vents or fans were wanted for temperature
	storm    time.Duration // left of the time after a gust
	gust     float64       // m/s, the last one
	wet      time.Duration // left of the time after rain
	breeze   calm
	hotLimit float64       // how far vents may open against heat
	open     time.Duration // for which vents have been as open as they may
	fans     Stages
	least    float64       // wanted for drying, filtered
	dry      float64       // given for it
	dried    time.Duration // since that changed
	purge    time.Duration // of the cycle that changes the air of a house with fans alone
}

// lag returns the share of a difference that a first-order lag makes up in dt;
// the implicit form, which is stable for any dt.
func lag(dt, tau time.Duration) float64 { return float64(dt) / float64(dt+tau) }

// airFilter is the time constant of the temperature that vents follow.
const airFilter = 60 * time.Second

// ventilate drives vents and fans. They never work against heat: between them
// lie the dead zone and the changeover time; only drying may do both at once.
func (st *State) ventilate() {
	v, air := &st.venting, &st.seen[airTemp]
	if !st.has(roleVent) && !st.has(roleFan) {
		return
	}
	limit, why, num := st.weatherLimit()
	for _, i := range st.roles[roleVent] {
		if limit < 1 {
			st.bound(i, slotLimit, greenhouse.PriorityInterlock, "weather", false, limit, why, num, 0, 0)
		}
	}
	t, blind := air.Hi, !air.ok()
	if blind && st.limps() {
		t = st.freeRun()
	}
	t = st.warmest(t)
	if !st.auto || math.IsNaN(t) || math.IsNaN(st.aim.vent) {
		st.ventOff()
		return
	}
	if !v.primed || v.blind != blind {
		v.air, v.primed, v.blind, v.moved, v.dried, v.integral = t, true, blind, ventRest, dryRest, 0
	}
	v.air += (t - v.air) * lag(st.dt, airFilter)
	band := VentBand(st.tuning.VentPBand, st.value(outTemp), v.breeze.mean())
	blocked, because := st.ventBlocked()
	pos, prop, integral := Vent{Band: band, Ti: 1800 * time.Second, Decay: 600 * time.Second}.Step(v.integral, v.air, st.aim.vent, limit, st.dt)
	v.pos, v.integral = v.rest(math.Round(pos*100)/100, st.ventNow(band), st.dt), integral
	if blind {
		v.integral = 0 // nothing would ever take it back
	}
	if blocked {
		v.pos, v.integral = 0, 0
	}
	st.term(roleVent, "set_point", st.aim.vent)
	st.term(roleVent, "error", v.air-st.aim.vent)
	st.term(roleVent, "p_band", band)
	st.term(roleVent, "p", prop)
	st.term(roleVent, "i", v.integral)
	st.term(roleVent, "limit", limit)
	st.openVents(band, blocked, because)
	st.runFans(band, min(limit, st.stormLimit()), blocked, because)
	st.venting.last.step(v.pos > 0 || v.fans.Count() > 0, st.dt)
}

// How vents are spared: between two moves lies this time, and each is at least
// this wide.
const (
	ventRest = time.Minute
	ventStep = 0.06
)

// rest returns where the vents should stand, given where they would best be. At
// once says that they must not wait.
func (v *venting) rest(pos float64, atOnce bool, dt time.Duration) float64 {
	v.moved += dt
	if pos < 0.03 {
		pos = 0
	}
	change := math.Abs(pos - v.pos)
	narrow := change < ventStep && pos != 0 && pos != 1
	if change == 0 || !atOnce && (v.moved < ventRest || narrow) {
		return v.pos
	}
	v.moved = 0
	return pos
}

// ventNow reports whether vents must not wait: it is hotter than fully open vents
// are for, or colder than venting ever allows.
func (st *State) ventNow(band float64) bool {
	t := st.venting.air
	return t > st.aim.vent+band+1 || t < st.aim.vent-1
}

// value returns a voted value, NaN if it may not be used.
func (st *State) value(q quantity) float64 {
	if s := &st.seen[q]; s.ok() {
		return s.Value
	}
	return math.NaN()
}

// ventOff resets the loop.
func (st *State) ventOff() {
	v := &st.venting
	since := v.fans.First.Since + st.dt
	if v.fans.First.On {
		since = 0
	}
	v.primed, v.integral, v.pos, v.open, v.purge, v.least, v.dry = false, 0, 0, 0, 0, 0, 0
	v.fans = Stages{First: Switch{Since: since}}
	for _, r := range [...]role{roleVent, roleFan} {
		for _, i := range st.roles[r] {
			st.devices[i].level = st.devices[i].point.Safe
		}
	}
	v.last.step(false, st.dt)
}

// ventBlocked reports whether heat forbids venting for temperature.
func (st *State) ventBlocked() (bool, reason) {
	h := &st.heating
	if st.watching.stuck {
		return false, whyNone // vents are all there is against heat that nobody can end
	}
	if h.last.now() {
		return true, whyVentHeat
	}
	left := h.last.left(st.tuning.changeover)
	if left > 0 && st.venting.air < st.aim.vent+changeoverEscape {
		st.timer(roleVent, "changeover", left.Seconds())
		st.timer(roleFan, "changeover", left.Seconds())
		return true, whyVentWaits
	}
	return false, whyNone
}

// openVents claims the position for temperature and the least one for drying.
func (st *State) openVents(band float64, blocked bool, because reason) {
	v := &st.venting
	why := whyVentShut
	switch {
	case v.blind:
		why = whyLimpVent
	case v.pos > 0:
		why = whyVentOpen
	case blocked && v.air > st.aim.vent:
		why = because
	}
	least := st.ventForDrying()
	st.term(roleVent, "drying", least)
	for _, i := range st.roles[roleVent] {
		st.want(i, slotLoop, "venting", v.pos, why, v.air, st.aim.vent, band)
		if least >= 0.01 {
			st.bound(i, slotMore, greenhouse.PriorityLoop, "humidity", true, least, st.humid(whyVentHumid), st.value(airRH), 0, 0)
			st.devices[i].level = max(v.pos, least)
		}
	}
}

// How vents that are open for drying are spared.
const (
	dryStep    = 0.04
	dryRest    = 5 * time.Minute
	dryFilter  = time.Minute
	dryRelease = 20 * time.Minute // they shut slowly, or what was let out is back at once
)

// ventForDrying returns the least that vents are open against humidity: by the
// demand, fading as the air falls to 1 K below its set-point. It follows slowly,
// for the demand swings with every pulse of heat.
func (st *State) ventForDrying() float64 {
	v, y := &st.venting, &st.drying
	want, tau := 0.0, dryFilter
	if y.useful {
		want = y.demand * st.tuning.RHVentMax
		if st.guarding.slow && st.sunshine() > sunWarms {
			want *= 1 + wetVents*clamp((guardEnds-y.margin)/guardEnds, 0, 1)
		}
	}
	if want < v.least {
		tau = dryRelease
	}
	v.least += (want - v.least) * lag(st.dt, tau)
	v.dried += st.dt
	end := v.least
	if !math.IsNaN(st.aim.heatBase) {
		end *= clamp(v.air-(st.aim.heatBase-1), 0, 1)
	}
	end = math.Round(end*100) / 100
	switch {
	case !y.useful || v.air < st.aim.heatBase-1: // it would wet, or chill
		v.least, v.dry = 0, 0
	case end == v.dry || v.dried < dryRest && end < v.dry+2*dryStep:
	case math.Abs(end-v.dry) >= dryStep || end < 0.02 || end >= st.tuning.RHVentMax-0.005:
		if end < 0.02 {
			end = 0
		}
		v.dry, v.dried = end, 0
	}
	return v.dry
}

// weatherLimit returns how far vents may open in this weather for comfort, and
// why no further.
func (st *State) weatherLimit() (limit float64, why reason, num float64) {
	limit = 1
	tighten := func(most float64, r reason, n float64) {
		if most < limit {
			limit, why, num = most, r, n
		}
	}
	w, wet, out := &st.seen[wind], &st.seen[rain], &st.seen[outTemp]
	if !w.ok() || !wet.ok() {
		tighten(st.tuning.VentCap, whyNoWeather, 0)
	}
	if w.ok() {
		tighten(st.venting.breeze.step(w.Hi, st.dt), whyWind, st.venting.breeze.wind)
	} else {
		st.venting.breeze = calm{}
	}
	if out.ok() && out.Value < 2 {
		tighten(0.1, whyFrostOut, out.Value)
	}
	if st.venting.wet > 0 {
		tighten(0.1, whyRain, 0)
	}
	return limit, why, num
}

// calm is the wind without its restlessness, and how far it lets vents open: a
// limit that followed every breath would wear the drives out.
type calm struct {
	wind    float64       // m/s, filtered
	limit   float64       // 0 to 1
	relaxed time.Duration // for which it could be wider
	known   bool
}

// How the limit of the wind is spared: it tightens at once, in steps, and widens
// after a while of less wind.
const (
	windFilter = time.Minute
	windStep   = 0.01
	windRelax  = 0.04
	windRest   = time.Minute
)

// step takes the wind and returns how far vents may open: everything up to 8 m/s,
// next to nothing from 15 on.
func (c *calm) step(w float64, dt time.Duration) float64 {
	if !c.known {
		*c = calm{wind: w, limit: 1, known: true}
	}
	c.wind += (w - c.wind) * lag(dt, windFilter)
	at := clamp((stormWind-c.wind)/(stormWind-8), 0, 1)
	c.relaxed += dt
	if at < c.limit+windRelax && at < 1 || at <= c.limit {
		c.relaxed = 0
	}
	if at < c.limit || c.relaxed >= windRest {
		c.limit, c.relaxed = max(stormMost, math.Floor(at/windStep)*windStep), 0
	}
	return c.limit
}

// mean returns the wind as it is but for its restlessness, NaN where nobody knows.
func (c *calm) mean() float64 {
	if !c.known {
		return math.NaN()
	}
	return c.wind
}

// stormLimit returns how far a storm lets vents open.
func (st *State) stormLimit() float64 {
	if st.venting.storm > 0 {
		return stormMost
	}
	return 1
}
