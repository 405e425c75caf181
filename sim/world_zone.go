package sim

import (
	"math"
	"slices"
	"time"

	"greenhouse"
)

// slot is what an actuator does to its zone.
type slot int

const (
	slotNone slot = iota
	slotHeater
	slotMaster
	slotFan
	slotVent
	slotScreen
	slotLamp
	slotCO2
	slotMist
	slotValve
	slotMain
	slotFill
	slotCirculation
	slotAcid
	slotBase
	slotA
	slotB
	slotC
	slotD
	slots
)

func slotOf(ch greenhouse.ChannelName) slot {
	switch ch {
	case "heater":
		return slotHeater
	case "heater_master":
		return slotMaster
	case "fan":
		return slotFan
	case "vent":
		return slotVent
	case "screen":
		return slotScreen
	case "lamp":
		return slotLamp
	case "co2_valve":
		return slotCO2
	case "mister":
		return slotMist
	case "irrigation_valve":
		return slotValve
	case "pump_main":
		return slotMain
	case "fill_valve":
		return slotFill
	case "circulation":
		return slotCirculation
	case "pump_acid":
		return slotAcid
	case "pump_base":
		return slotBase
	case "pump_a":
		return slotA
	case "pump_b":
		return slotB
	case "pump_c":
		return slotC
	case "pump_d":
		return slotD
	}
	return slotNone
}

// instrument is a sensor or an actuator as it hangs in its zone.
type instrument struct {
	zone     *zone
	channel  greenhouse.ChannelName // what it measures
	slot     slot                   // what it drives
	sensor   *Sensor
	actuator *Actuator
	faults   []*activeFault
}

// zone is a compartment at work.
type zone struct {
	plan        ZonePlan
	state       ZoneState
	instruments []*instrument
	counts      [slots]int
	dose        TankInputs // gathered since the tank's last step
	due         float64    // s since then
	pumping     bool       // the main pump or a dosing pump runs
}

func newZone(p ZonePlan) *zone {
	return &zone{plan: p, state: ZoneState{Climate: p.Climate, Tank: p.TankState, Slab: p.SlabState}}
}

// connect adds an instrument for a channel of a node. Its point is numbered like
// the registry's: in the order of the plan.
func (z *zone) connect(b *Device, ch greenhouse.ChannelName, seed uint64) *port {
	in := &instrument{zone: z, channel: ch, slot: slotOf(ch)}
	nth := 1
	for _, have := range z.instruments {
		if have.channel == ch {
			nth++
		}
	}
	point := greenhouse.ZonePoint(z.plan.Zone.ID, ch, nth)
	if std, ok := greenhouse.StandardChannel(ch); in.slot != slotNone || ok && std.Kind == greenhouse.Actuator {
		in.actuator = NewActuator(ch)
		if slices.Contains(b.plan.Valves, ch) {
			in.actuator.travel = valveTravel
		}
		z.counts[in.slot]++
	} else {
		in.sensor = NewSensor(StandardSensor(ch), seed, string(b.plan.HardwareID), string(point))
	}
	z.instruments = append(z.instruments, in)
	return &port{ch, point, in}
}

// step moves the zone on: first its drives, then air and crop, then water.
func (z *zone) step(now time.Time, o Outside, dt float64) {
	var level [slots]float64
	for _, in := range z.instruments {
		if in.actuator != nil {
			in.actuator.pass(now, dt, in.faults)
			level[in.slot] += in.actuator.Effect() / float64(z.counts[in.slot])
		}
	}
	z.pumping = level[slotMain]+level[slotAcid]+level[slotBase]+level[slotA]+level[slotB]+level[slotC]+level[slotD] > 0
	if z.counts[slotMaster] > 0 {
		level[slotHeater] *= level[slotMaster]
	}
	s := &z.state
	s.Equipment = Equipment{
		VentLee: level[slotVent], VentWind: level[slotVent], Screen: level[slotScreen], Lamp: level[slotLamp],
		Heater: level[slotHeater], CO2: level[slotCO2], Fog: level[slotMist], Fan: level[slotFan],
	}
	s.Climate, s.Flows = z.plan.Greenhouse.Step(s.Climate, o, s.Equipment, dt)
	s.HeatMJ += s.Equipment.Heater * z.plan.Greenhouse.HeaterPower * dt / 1e6
	s.LampMJ += s.Flows.Lamp * dt / 1e6
	z.water(level, dt)
}

// flow returns the irrigation in L/s.
func (z *zone) flow(level [slots]float64) float64 {
	f := z.plan.DripRate * level[slotValve]
	if z.counts[slotMain] > 0 {
		f *= level[slotMain]
	}
	if z.plan.Tank.Capacity > 0 && z.state.Tank.Volume < 0.02*z.plan.Tank.Capacity {
		return 0 // the pump sucks air
	}
	return f
}

// water moves tank and slab on, every five seconds at most: doses are gathered
// meanwhile.
func (z *zone) water(level [slots]float64, dt float64) {
	const every = 5.0
	p, d := z.plan, &z.dose
	shot := z.flow(level) * dt
	uptake := z.state.Flows.Transpiration * p.Greenhouse.Floor * dt
	z.state.Flow = shot / dt
	z.state.WaterL += shot
	d.Acid += level[slotAcid] * p.Tank.PumpRate * dt
	d.Base += level[slotBase] * p.Tank.PumpRate * dt
	d.A += (level[slotA] + level[slotC]) * p.Tank.PumpRate * dt
	d.B += (level[slotB] + level[slotD]) * p.Tank.PumpRate * dt
	d.Drawn += shot
	d.Uptake += uptake
	z.due += dt
	if z.due < every {
		return
	}
	d.Circulating, d.Fill, d.Air = 1, level[slotFill], z.state.Climate.Air
	if z.counts[slotCirculation] > 0 {
		d.Circulating = level[slotCirculation]
	}
	hasSlab := p.Slab.Volume > 0
	if hasSlab {
		z.state.Slab = p.Slab.Step(z.state.Slab, d.Drawn, d.Uptake)
		d.Uptake = 0 // the roots are in the slab
	}
	if p.Tank.Capacity > 0 {
		z.state.Tank = p.Tank.Step(z.state.Tank, *d, z.due)
	}
	*d, z.due = TankInputs{}, 0
}

// truth returns the true value of a channel in the zone; channels that the
// simulation does not know read 0.
func (z *zone) truth(ch greenhouse.ChannelName, o Outside) float64 {
	s := &z.state
	switch ch {
	case "air_temp":
		return s.Climate.Air
	case "air_rh":
		return s.Climate.RH()
	case "co2":
		return s.Climate.PPM()
	case "ppfd":
		return s.Flows.PAR
	case "lux":
		return s.Flows.PAR * 54 // sunlight
	case "leaf_temp":
		return s.Flows.Leaf
	case "vpd":
		return (saturation(s.Climate.Air) - vapourPressure(s.Climate.Vapour, s.Climate.Air)) / 1000
	case "soil_temp":
		return s.Climate.Mass
	case "outside_temp":
		return o.Temp
	case "outside_rh":
		return o.RH
	case "wind_speed":
		return o.Wind
	case "wind_dir":
		return o.WindDir
	case "rain":
		return truthOf(o.Rain >= 0.1)
	case "solar":
		return o.Solar
	}
	return z.waterTruth(ch)
}

func (z *zone) waterTruth(ch greenhouse.ChannelName) float64 {
	s, k := &z.state, z.plan.Tank
	switch ch {
	case "solution_ph":
		return k.ProbePH(s.Tank)
	case "solution_ec":
		return k.ProbeEC(s.Tank)
	case "solution_temp":
		return s.Tank.Temp
	case "tank_level":
		return 100 * s.Tank.Volume / math.Max(k.Capacity, 1)
	case "level_low":
		return truthOf(s.Tank.Volume < 0.15*k.Capacity)
	case "level_high":
		return truthOf(s.Tank.Volume > 0.95*k.Capacity)
	case "soil_moisture":
		return s.Slab.Moisture
	case "flow":
		return s.Flow * 60
	}
	return 0
}

func truthOf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// slowness is the factor on a sensor's lag.
func (in *instrument) slowness() float64 {
	for _, f := range in.faults {
		if f.Verb == Sluggish {
			return f.strength
		}
	}
	return 1
}

// read returns the reading of a sensor at now, age after it was put up, and
// false where there is none.
func (in *instrument) read(now time.Time, age time.Duration, sun float64) (float64, bool) {
	noisy := 1.0
	if k := in.sensor.spec.PumpNoise; k > 0 && in.zone.pumping {
		noisy = k
	}
	for _, f := range in.faults {
		if f.Verb == Noisy {
			noisy *= f.strength
		}
	}
	v := in.sensor.Sample(now, age, sun, noisy)
	for _, f := range in.faults {
		v = in.distort(f, v, now, sun)
	}
	v = in.sensor.round(v)
	ok := true
	for _, f := range in.faults {
		v, ok = in.replace(f, v, ok, now)
	}
	return v, ok
}
