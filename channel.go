package greenhouse

// Kind says which way a channel works.
type Kind string

// A channel measures or drives.
const (
	Sensor   Kind = "sensor"
	Actuator Kind = "actuator"
)

// Unit is a unit of measurement as written on the API, e.g. "°C"; "" for a
// plain number, a level from 0 to 1 or a switch.
type Unit string

// ChannelSpec is what a standard channel name stands for.
type ChannelSpec struct {
	Name  ChannelName
	Kind  Kind
	Unit  Unit
	Min   float64 // lowest plausible value
	Max   float64 // highest plausible value
	Class Class   // actuators only
}

// StandardChannel returns what the wire contract says of a channel name, and
// whether it says anything. Other names are allowed, and declared by the node.
func StandardChannel(n ChannelName) (ChannelSpec, bool) {
	sensor := func(u Unit, lo, hi float64) (ChannelSpec, bool) {
		return ChannelSpec{Name: n, Kind: Sensor, Unit: u, Min: lo, Max: hi}, true
	}
	actuator := func(c Class) (ChannelSpec, bool) {
		return ChannelSpec{Name: n, Kind: Actuator, Min: 0, Max: 1, Class: c}, true
	}
	switch n {
	case "air_temp":
		return sensor("°C", -30, 60)
	case "outside_temp":
		return sensor("°C", -60, 60)
	case "leaf_temp":
		return sensor("°C", -30, 70)
	case "solution_temp":
		return sensor("°C", 0, 45)
	case "soil_temp":
		return sensor("°C", -20, 60)
	case "air_rh":
		return sensor("%", 1, 100.5)
	case "outside_rh":
		return sensor("%", 0.5, 100.5)
	case "vpd":
		return sensor("kPa", 0, 10)
	case "co2":
		return sensor("ppm", 300, 10000)
	case "ppfd":
		return sensor("µmol/m²/s", -5, 3000)
	case "lux":
		return sensor("lx", 0, 200000)
	case "solution_ph":
		return sensor("", 2, 11)
	case "solution_ec":
		return sensor("mS/cm", 0.05, 10)
	case "tank_level", "soil_moisture":
		return sensor("%", 0, 100)
	case "level_low", "level_high", "rain":
		return sensor("", 0, 1)
	case "flow":
		return sensor("L/min", 0, 10000)
	case "current":
		return sensor("mA", 0, 100000)
	case "wind_speed":
		return sensor("m/s", 0, 75)
	case "wind_dir":
		return sensor("°", 0, 360)
	case "solar":
		return sensor("W/m²", -10, 1600)
	case "heater":
		return actuator(ClassHeaterContactor)
	case "heater_master":
		return actuator(ClassHeaterMaster)
	case "fan":
		return actuator(ClassFan)
	case "vent":
		return actuator(ClassVent)
	case "screen":
		return actuator(ClassScreen)
	case "lamp":
		return actuator(ClassLampLED)
	case "co2_valve":
		return actuator(ClassCO2Valve)
	case "irrigation_valve", "fill_valve":
		return actuator(ClassIrrigationPump)
	case "pump_main", "circulation":
		return actuator(ClassCirculation)
	case "pump_acid", "pump_base", "pump_a", "pump_b", "pump_c", "pump_d":
		return actuator(ClassDosingPump)
	case "mister":
		return actuator(ClassFogger)
	}
	return ChannelSpec{}, false
}

// NodeDiagnostic returns the spec of a channel that a node's status feeds:
// online, rssi, uptime_s and battery, kept under "@uid/...".
func NodeDiagnostic(n ChannelName) (ChannelSpec, bool) {
	switch n {
	case "online":
		return ChannelSpec{Name: n, Kind: Sensor, Min: 0, Max: 1}, true
	case "rssi":
		return ChannelSpec{Name: n, Kind: Sensor, Unit: "dBm", Min: -150, Max: 20}, true
	case "uptime_s":
		return ChannelSpec{Name: n, Kind: Sensor, Unit: "s", Min: 0, Max: 1e10}, true
	case "battery":
		return ChannelSpec{Name: n, Kind: Sensor, Unit: "V", Min: 0, Max: 60}, true
	}
	return ChannelSpec{}, false
}
