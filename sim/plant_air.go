package sim

import "greenhouse/automation"

// saturation returns the saturation vapour pressure of water in Pa at t °C, from
// −40 to 60 °C. Plant and control share one formula, so that neither can make up
// for an error of the other.
func saturation(t float64) float64 { return 1000 * automation.SaturationPressure(t) }

// vapourPressure returns the pressure in Pa of x kg/m³ of vapour at t °C.
func vapourPressure(x, t float64) float64 { return x * 461.5 * (t + kelvin) }

// humidity returns the relative humidity in % of x kg/m³ of vapour at t °C.
func humidity(x, t float64) float64 { return 100 * vapourPressure(x, t) / saturation(t) }

// vapourAt returns the vapour in kg/m³ of air at t °C and rh %.
func vapourAt(t, rh float64) float64 { return rh / 100 * saturation(t) / (461.5 * (t + kelvin)) }

// gasDensity is the density in kg/m³ of 1 ppm of CO₂ at 1 K and 1013.25 hPa.
const gasDensity = 1e-6 * 0.04401 * 101325 / 8.314

// ppmToDensity turns ppm of CO₂ at t °C into kg/m³.
func ppmToDensity(ppm, t float64) float64 { return ppm * gasDensity / (t + kelvin) }

// densityToPPM turns kg/m³ of CO₂ at t °C into ppm.
func densityToPPM(d, t float64) float64 { return d * (t + kelvin) / gasDensity }

// RH returns the relative humidity of the air, in %.
func (c Climate) RH() float64 { return humidity(c.Vapour, c.Air) }

// PPM returns the CO₂ of the air, in ppm.
func (c Climate) PPM() float64 { return densityToPPM(c.CO2, c.Air) }

// NewClimate returns a compartment at rest: air, mass and heater at temp °C, the
// cover halfway to outside °C, and the air at rh % and ppm of CO₂.
func (g *Greenhouse) NewClimate(temp, outside, rh, ppm float64) Climate {
	return Climate{
		Air: temp, Mass: temp, Cover: (temp + outside) / 2, Heater: temp,
		Vapour: vapourAt(temp, rh), CO2: ppmToDensity(ppm, temp), DryMass: g.DryMassStart,
	}
}
