package automation

import "greenhouse"

// aims are the set-points as they stand now; NaN for what nobody asked for.
type aims struct {
	heat, vent   float64 // °C; heat grows by what drying adds
	heatBase     float64 // °C, without drying
	rh, vpd, co2 float64 // %, kPa, ppm
	hd           float64 // g/m³
	dli          float64 // mol/m²
}

// The light from which it is day while the clock is not trusted.
const (
	dayOutside = 20.0 // W/m²
	dayInside  = 30.0 // µmol/m²/s
)

// aimAt works out day or night and the set-points. While the clock is not
// trusted light tells the day, and heating aims a little below the highest of its
// levels.
func (st *State) aimAt() {
	st.course.bind(st.zone)
	if st.clockTrusted {
		st.cal.look(&st.schedule, st.now)
		st.course.look(&st.cal, &st.schedule, st.zone)
		st.day = st.cal.day(st.ms)
	} else {
		st.day = st.lit(dayOutside, dayInside)
	}
	st.decision.Day = st.day
	st.course.points(&st.decision.SetPoints, &st.cal, st.zone, st.tuning, st.ms, st.day, st.clockTrusted)
	points := &st.decision.SetPoints
	st.aim = aims{
		heat: points[setHeat].Value, heatBase: points[setHeat].Value, vent: points[setVent].Value,
		rh: points[setRH].Value, vpd: points[setVPD].Value, co2: points[setCO2].Value, hd: points[setHD].Value, dli: points[setDLI].Value,
	}
}

// levelOf returns the level of day or of night.
func levelOf(t greenhouse.Target, day bool) float64 {
	if day {
		return t.Day
	}
	return t.Night
}
