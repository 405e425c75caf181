package automation

import (
	"math"
	"time"
)

// How drying works.
const (
	dryHeat     = 1.5             // K that heating is raised by at most
	dryBudget   = 0.5             // kWh/m² a day spent on that
	dryWorth    = 0.5             // g/m³ that outside air must be drier by
	dryHDBand   = 1.0             // g/m³ over which the demand grows to its most
	dryVPDBand  = 0.3             // kPa over which the demand grows to its most
	cropLag     = 3 * time.Hour   // time constant of fruit after air
	cropMargin  = 1.5             // K above the dew point where drying begins for the crop's sake
	cropWet     = 0.5             // K above the dew point where it counts as wet
	dryMinds    = 2 * time.Minute // for which outside air must be otherwise to be taken for that
	rhSaturated = 99.5            // % from which a sensor tells nothing any more
	saturating  = time.Hour       // for which it may say so and be believed
	blindPurge  = time.Hour / 2   // from sunrise, of drying where it is not
	blindRH     = 85.0            // % that is taken for it then
)

// drying is the state of the humidity side.
type drying struct {
	vpd, dew  float64 // kPa, °C; NaN unknown
	demand    float64 // 0 to 1
	fruit     float64 // °C of fruit, which follows the air slowly
	primed    bool
	margin    float64       // K from the dew point to the coldest part of the crop; NaN unknown
	wet       time.Duration // for which the margin has been too small
	saturated time.Duration // for which the humidity has been at the end of its scale
	useful    bool          // letting air in dries
	contrary  time.Duration // for which it has seemed otherwise
	judged    bool
	limited   bool // the budget is spent
	date      int
	soaked    time.Duration // on that date, for which the crop was below the dew point
}

// blind reports whether the humidity has been at the end of its scale for so long
// that its sensor is not believed.
func (y *drying) blind() bool { return y.saturated >= saturating }

// dry finds how much drying is wanted: by the humidity, by the vapour pressure
// deficit, or because the crop is about to be wet. It raises the set-point of
// heating accordingly and keeps venting above it.
func (st *State) dry() {
	y, air, rh := &st.drying, &st.seen[airTemp], &st.seen[airRH]
	y.vpd, y.dew, y.margin, y.demand = math.NaN(), math.NaN(), math.NaN(), 0
	switch { // a sensor that has stood there for an hour is no longer believed, and stays saturated
	case rh.ok() && rh.Value < rhSaturated || !rh.any:
		y.saturated = 0
	case rh.ok():
		y.saturated += st.dt
	}
	if air.ok() && rh.ok() {
		y.vpd, y.dew = VPD(air.Value, rh.Value), DewPoint(air.Value, rh.Value)
		st.crop()
		if st.wantsDry() && st.auto && !y.blind() {
			y.demand = st.dryDemand()
		}
	} else {
		y.primed, y.wet = false, 0
	}
	if air.ok() && y.blind() && st.wantsDry() && st.auto && st.sinceSunrise() < blindPurge {
		y.demand = 1
	}
	st.judgeOutside()
	y.limited = st.tuning.HeaterWM2 > 0 && st.heating.budget >= dryBudget
	if !y.limited && st.has(roleHeater) {
		st.aim.heat += math.Round(y.demand*dryHeat*10) / 10
	}
	st.guardCrop()
	if !math.IsNaN(st.aim.heat) {
		st.aim.vent = max(st.aim.vent, st.aim.heat+leastDeadZone)
	}
}

// sinceSunrise returns how long ago the sun rose today, a day where it has not or
// nobody knows.
func (st *State) sinceSunrise() time.Duration {
	if since := time.Duration(st.ms-st.cal.sunrise) * time.Millisecond; st.clockTrusted && since >= 0 {
		return min(since, 24*time.Hour)
	}
	return 24 * time.Hour
}

// dryDemand returns the largest of the four demands.
func (st *State) dryDemand() float64 {
	y, h := &st.drying, 0.0
	if !math.IsNaN(st.aim.rh) {
		h = max(h, clamp((st.seen[airRH].Value-st.aim.rh)/st.tuning.RHPBand, 0, 1))
	}
	if !math.IsNaN(st.aim.vpd) {
		h = max(h, clamp((st.aim.vpd-0.1-y.vpd)/dryVPDBand, 0, 1))
	}
	if !math.IsNaN(st.aim.hd) {
		h = max(h, clamp((st.aim.hd-HumidityDeficit(st.seen[airTemp].Value, st.seen[airRH].Value))/dryHDBand, 0, 1))
	}
	return max(h, clamp((cropMargin-y.margin)/cropMargin, 0, 1))
}

// crop follows the temperature of the crop, which after a cold night is last to
// warm and first to be wet.
func (st *State) crop() {
	y, air := &st.drying, &st.seen[airTemp]
	if !y.primed {
		y.fruit, y.primed = air.Value, true
	}
	y.fruit += (air.Value - y.fruit) * lag(st.dt, cropLag)
	coldest := min(y.fruit, air.Value)
	if l := &st.seen[leafTemp]; l.ok() {
		coldest = min(coldest, l.Lo)
	}
	y.margin = coldest - y.dew
	if y.wet += st.dt; y.margin >= cropWet {
		y.wet = 0
	}
	if begins(y.date, st.cal.date) {
		y.date, y.soaked = st.cal.date, 0
	}
	if y.margin < 0 {
		y.soaked += st.dt
	}
	st.term(roleHeater, "wet_hours", y.soaked.Hours())
	st.term(roleVent, "wet_hours", y.soaked.Hours())
}

// judgeOutside decides whether venting dries. It changes its mind only after a
// while, lest vents follow the noise of four sensors; at once where a sensor is
// lost.
func (st *State) judgeOutside() {
	y, dries := &st.drying, st.driesOutside()
	lost := !st.seen[airTemp].ok() || math.IsNaN(st.humidity())
	if y.contrary += st.dt; dries == y.useful {
		y.contrary = 0
	}
	if lost || !y.judged || y.contrary >= dryMinds {
		y.useful, y.contrary, y.judged = dries, 0, !lost
	}
}

// humidity returns the humidity inside by which venting is judged: what is
// measured, a usual one where the sensor is at the end of its scale, else NaN.
func (st *State) humidity() float64 {
	if st.drying.blind() {
		return blindRH
	}
	return st.value(airRH)
}

// humid returns the reason for drying: because it is humid, or because nobody can
// tell and the sun has just risen.
func (st *State) humid(why reason) reason {
	if st.drying.blind() {
		return whyPurgeBlind
	}
	return why
}

// driesOutside reports whether outside air holds enough less water. Where only
// its temperature is known it counts as saturated; where nothing is known, as
// drier, for it almost always is colder.
func (st *State) driesOutside() bool {
	air, inside, out, outside := &st.seen[airTemp], st.humidity(), &st.seen[outTemp], &st.seen[outRH]
	if !air.ok() || math.IsNaN(inside) {
		return false
	}
	if !out.ok() {
		return true
	}
	humidity := 100.0
	if outside.ok() {
		humidity = outside.Value
	}
	worth := dryWorth
	if st.drying.useful {
		worth /= 2 // vents must not follow the noise of two sensors
	}
	return AbsoluteHumidity(out.Value, humidity) < AbsoluteHumidity(air.Value, inside)-worth
}
