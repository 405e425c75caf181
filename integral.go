package greenhouse

// Integral returns what a quantity of a unit adds up to over time: the unit of
// the sum and what one unit held for a second contributes. Only rates add up to
// something: light to a light sum, irradiance to energy, flow to volume.
func Integral(u Unit) (sum Unit, perSecond float64, ok bool) {
	switch u {
	case "µmol/m²/s":
		return "mol/m²", 1e-6, true
	case "W/m²":
		return "J/cm²", 1e-4, true
	case "L/min":
		return "L", 1.0 / 60, true
	}
	return "", 0, false
}
