package sim

import "math"

// Physical constants of the compact model.
const (
	airDensity    = 1.2     // kg/m³
	airHeat       = 1005.0  // J/kgK
	latentHeat    = 2.45e6  // J/kg, of water near 20 °C
	psychrometric = 65.8    // Pa/K
	boltzmann     = 5.67e-8 // W/m²K⁴, Stefan–Boltzmann
	gravity       = 9.81    // m/s²
	kelvin        = 273.15  // K at 0 °C
	airVolumeHeat = airDensity * airHeat
)

// Climate is the state of one compartment. Everything an area divides is per
// m² of floor.
type Climate struct {
	Air     float64 // °C, air
	Mass    float64 // °C, floor, benches and structure
	Cover   float64 // °C, glass or film
	Heater  float64 // °C, heating pipes, or the element of an air heater
	Vapour  float64 // kg/m³, water vapour
	CO2     float64 // kg/m³
	DryMass float64 // kg/m², crop
}

// Outside is the weather as a greenhouse meets it.
type Outside struct {
	Temp    float64 // °C
	RH      float64 // %
	Solar   float64 // W/m², global on the horizontal
	Wind    float64 // m/s
	WindDir float64 // degrees, where the wind comes from
	Rain    float64 // mm/h
	Sky     float64 // °C, effective radiant temperature of the sky
	CO2     float64 // ppm
}

// Equipment is what the equipment really does, each level from 0 to 1.
type Equipment struct {
	VentLee, VentWind float64 // open
	Screen, Blackout  float64 // closed
	Lamp              float64
	Heater            float64
	CO2               float64
	Fog               float64
	Fan               float64

	// Pipe is a measured pipe temperature in °C that replaces the modelled one
	// when HasPipe is set, as in a replay of a real greenhouse.
	Pipe    float64
	HasPipe bool
}

// Flows are the rates behind one step, for balances and for sensors that see
// them. Heat is in W/m², water and CO₂ in kg/m²s, positive into the air.
type Flows struct {
	Air           float64 // m³/m²s, exchange with outside
	Transpiration float64
	Evaporation   float64 // from wet floor and benches
	Condensation  float64 // on the cover
	Heating       float64 // given off by pipes or heater
	Sun           float64 // absorbed inside, without the cover
	Lamp          float64 // electric
	Photosynth    float64 // CO₂ fixed
	PAR           float64 // µmol/m²s at the crop
	Leaf          float64 // °C
	ToOutside     float64 // lost through cover, air exchange and ground
}

// Step moves the compartment on by dt seconds under outside weather o and
// equipment e, and returns the new state with the flows behind it. It is a pure
// function: the same arguments give the same bits on one architecture. The
// exchange terms are semi-implicit, so that any dt up to 120 s is stable; up to
// 100 s the choice moves the result by less than 0.01 K.
//
// The equations are the compact form of Vanthoor (2011) and Katzin (2021),
// transpiration after Penman–Monteith, the crop after Van Henten (2003);
// docs/control.md, section "Simulator", lists them. Fitted parameters make it an
// effective model: they are no measurement of the building.
func (g *Greenhouse) Step(c Climate, o Outside, e Equipment, dt float64) (Climate, Flows) {
	var f Flows
	f.Air = g.exchange(c, o, e)
	sunIn, lampRad := g.transmission(e)*o.Solar, g.LampRadiant*g.LampPower*e.Lamp
	crop := g.transpire(c, sunIn+lampRad, &f)
	f.Sun, f.Lamp = 0.9*sunIn, g.LampPower*e.Lamp
	f.PAR = 2.1*sunIn + g.LampPPFD*e.Lamp
	rest := max(0, f.Sun+lampRad-crop.absorbed)

	next := c
	f.Heating = g.heatSurface(c, e, dt, &next)
	fog := g.FogRate * e.Fog
	red := (1 - e.Screen*g.ScreenSaves) * (1 - e.Blackout*g.BlackoutSaves)
	hIn := g.CoverConvection * math.Cbrt(math.Abs(c.Air-c.Cover)) * g.CoverArea * red
	hRad := 4 * boltzmann * g.Emissivity * cube((c.Mass+c.Cover)/2+kelvin) * red
	f.Condensation = 6.4e-9 * hIn * max(0, vapourPressure(c.Vapour, c.Air)-saturation(c.Cover))

	exch := airVolumeHeat * f.Air
	sensible := g.HeatToAir*f.Heating + g.SunToAir*rest + crop.sensible + f.Lamp*(1-g.LampRadiant) - latentHeat*fog
	next.Air = relax(c.Air, g.Height*airVolumeHeat+g.AirMass, dt, sensible+hIn*c.Cover+exch*o.Temp+g.MassExchange*c.Mass, hIn+exch+g.MassExchange)

	f.Evaporation = g.WetFloor * g.MassExchange / airVolumeHeat * max(0, vapourAt(c.Mass, 100)-c.Vapour)
	intoMass := (1-g.SunToAir)*rest + (1-g.HeatToAir)*f.Heating - latentHeat*f.Evaporation
	next.Mass = relax(c.Mass, g.MassHeat, dt, intoMass+g.MassExchange*next.Air+hRad*c.Cover+g.GroundLoss*g.Ground, g.MassExchange+hRad+g.GroundLoss)
	next.Cover = g.stepCover(c, next, o, coverFlows{hIn, hRad, f.Condensation}, dt)
	g.stepVapour(c, o, &f, fog, dt, &next)
	g.stepCO2(c, o, e, sunIn+lampRad, &f, dt, &next)
	f.ToOutside = g.losses(next, o, f)
	return next, f
}

// relax solves C·dT/dt = source − g·T over dt, implicitly in T.
func relax(t, capacity, dt, source, g float64) float64 {
	return (capacity*t + dt*source) / (capacity + dt*g)
}

func cube(x float64) float64 { return x * x * x }

// exchange returns the air exchanged with outside in m³/m²s: roof vents driven
// by buoyancy and wind (Vanthoor 2011, eq. 8.65), leakage and the fan.
func (g *Greenhouse) exchange(c Climate, o Outside, e Equipment) float64 {
	open := (e.VentLee + e.VentWind) / 2
	drive := gravity*g.VentHeight*math.Abs(c.Air-o.Temp)/(2*((c.Air+o.Temp)/2+kelvin)) + g.VentWind*o.Wind*o.Wind
	vent := open * g.VentArea * g.VentDischarge / 2 * math.Sqrt(drive)
	return vent*(1-g.ScreenBlocks*max(e.Screen, e.Blackout)) + g.Leakage*max(o.Wind, 0.25) + g.FanFlow*e.Fan
}

// transmission returns the share of the sun that passes cover and screens.
func (g *Greenhouse) transmission(e Equipment) float64 {
	return g.CoverTransmits * (1 - e.Screen*(1-g.ScreenTransmits)) * (1 - e.Blackout*(1-g.BlackoutTransmits))
}

// canopy is the energy side of the crop, W/m².
type canopy struct{ absorbed, sensible float64 }

// transpire works out the crop's water and heat for radiation rad in W/m².
func (g *Greenhouse) transpire(c Climate, rad float64, f *Flows) canopy {
	lai := g.LeafArea(c.DryMass)
	f.Leaf = c.Air
	if lai < 0.01 {
		return canopy{}
	}
	absorbed := 0.8 * (1 - math.Exp(-0.7*lai)) * rad
	es := saturation(c.Air)
	vpd := max(0, es-vapourPressure(c.Vapour, c.Air))
	slope := es * 17.27 * 237.3 / ((c.Air + 237.3) * (c.Air + 237.3))
	ra := g.LeafBoundary / (2 * lai)
	rs := g.StomataMin * (rad + 4.3) / (rad + 0.54) * (1 + min(g.StomataDry, 4.3e-6*vpd*vpd)) / (2 * lai)
	latent := (slope*absorbed + airVolumeHeat*vpd/ra) / (slope + psychrometric*(1+rs/ra))
	f.Transpiration = latent / latentHeat
	f.Leaf = c.Air + (absorbed-latent)*ra/airVolumeHeat
	return canopy{absorbed, absorbed - latent}
}

// heatSurface moves the heating surface on and returns what it gives off, W/m².
func (g *Greenhouse) heatSurface(c Climate, e Equipment, dt float64, next *Climate) float64 {
	if e.HasPipe {
		next.Heater = e.Pipe
		warmer := max(0, e.Pipe-c.Air)
		return g.SurfaceCoeff * math.Pow(warmer, g.SurfaceExponent)
	}
	delta := c.Heater - c.Air
	conduct := g.SurfaceCoeff
	if g.SurfaceExponent != 1 {
		conduct *= math.Pow(math.Abs(delta), g.SurfaceExponent-1)
	}
	next.Heater = relax(c.Heater, g.SurfaceHeat, dt, g.HeaterPower*e.Heater+conduct*c.Air, conduct)
	return conduct * (next.Heater - c.Air)
}

// coverFlows are the exchanges of the cover with the inside.
type coverFlows struct{ convection, radiation, condensation float64 }

func (g *Greenhouse) stepCover(c, next Climate, o Outside, f coverFlows, dt float64) float64 {
	wind := g.CoverArea * (g.WindStill + g.WindRise*o.Wind)
	sky := g.Emissivity * boltzmann * g.CoverArea
	tk, ts := c.Cover+kelvin, o.Sky+kelvin
	// The fourth power is linearised around the present temperature.
	slope := 4 * sky * cube(tk)
	source := f.convection*next.Air + f.radiation*next.Mass + latentHeat*f.condensation + 0.06*o.Solar +
		wind*o.Temp - sky*(tk*cube(tk)-ts*cube(ts)) + slope*c.Cover
	return relax(c.Cover, g.CoverHeat*g.CoverArea, dt, source, f.convection+f.radiation+wind+slope)
}

// stepVapour moves the vapour on. What the air cannot hold drips off and warms
// the mass with its latent heat.
func (g *Greenhouse) stepVapour(c Climate, o Outside, f *Flows, fog, dt float64, next *Climate) {
	outside := o.RH / 100 * saturation(o.Temp) / (461.5 * (o.Temp + kelvin))
	x := relax(c.Vapour, g.Height, dt, f.Transpiration+f.Evaporation+fog-f.Condensation+f.Air*outside, f.Air)
	full := saturation(next.Air) / (461.5 * (next.Air + kelvin))
	if x > full {
		next.Mass += latentHeat * g.Height * (x - full) / g.MassHeat
		x = full
	}
	next.Vapour = max(x, 1e-5)
}

// stepCO2 moves CO₂ and the crop on (Van Henten 2003).
func (g *Greenhouse) stepCO2(c Climate, o Outside, e Equipment, rad float64, f *Flows, dt float64, next *Climate) {
	lai := g.LeafArea(c.DryMass)
	t := c.Air
	light := 3.55e-9 * rad
	gas := max(0, -5.11e-6*t*t+2.3e-4*t-6.29e-4) * max(0, c.CO2-5.2e-5)
	if light+gas > 0 {
		f.Photosynth = (1 - math.Exp(-0.7*lai)) * light * gas / (light + gas)
	}
	upkeep := c.DryMass * math.Exp2(0.1*t-2.5)
	outside := ppmToDensity(o.CO2, o.Temp)
	next.CO2 = max(0, relax(c.CO2, g.Height, dt, g.CO2Rate*e.CO2+4.87e-7*upkeep-f.Photosynth+f.Air*outside, f.Air))
	next.DryMass = max(1e-4, c.DryMass+dt*(0.544*f.Photosynth-2.65e-7*upkeep))
}

// losses returns the heat that leaves the compartment, W/m²: through the cover,
// with the exchanged air (sensible and latent) and into the ground.
func (g *Greenhouse) losses(c Climate, o Outside, f Flows) float64 {
	tc, ts := c.Cover+kelvin, o.Sky+kelvin
	cover := g.CoverArea*(g.WindStill+g.WindRise*o.Wind)*(c.Cover-o.Temp) +
		g.Emissivity*boltzmann*g.CoverArea*(tc*cube(tc)-ts*cube(ts))
	vapour := c.Vapour - o.RH/100*saturation(o.Temp)/(461.5*(o.Temp+kelvin))
	return cover + airVolumeHeat*f.Air*(c.Air-o.Temp) + latentHeat*f.Air*vapour + g.GroundLoss*(c.Mass-g.Ground)
}
