package automation

import "math"

// SaturationPressure returns the saturation vapour pressure over water at t °C,
// in kPa, from −40 to 60 °C (FAO-56, Allen et al. 1998, equation 11).
func SaturationPressure(t float64) float64 {
	t = min(max(t, -40), 60)
	return 0.6108 * math.Exp(17.27*t/(t+237.3))
}

// VapourPressure returns the vapour pressure of air at t °C and rh %, in kPa.
// rh is held within 1 to 100.
func VapourPressure(t, rh float64) float64 {
	return SaturationPressure(t) * min(max(rh, 1), 100) / 100
}

// VPD returns the vapour pressure deficit of air at t °C and rh %, in kPa.
func VPD(t, rh float64) float64 { return SaturationPressure(t) - VapourPressure(t, rh) }

// DewPoint returns the dew point of air at t °C and rh %, in °C.
func DewPoint(t, rh float64) float64 {
	t = min(max(t, -40), 60)
	g := math.Log(min(max(rh, 1), 100)/100) + 17.27*t/(237.3+t)
	return 237.3 * g / (17.27 - g)
}

// AbsoluteHumidity returns the water in air at t °C and rh %, in g/m³.
func AbsoluteHumidity(t, rh float64) float64 {
	return VapourPressure(t, rh) * 1e6 / (461.5 * (min(max(t, -40), 60) + 273.15))
}

// HumidityDeficit returns how much more water air at t °C and rh % could hold,
// in g/m³.
func HumidityDeficit(t, rh float64) float64 {
	return AbsoluteHumidity(t, 100) - AbsoluteHumidity(t, rh)
}
