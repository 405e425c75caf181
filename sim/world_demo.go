package sim

import (
	"fmt"

	"greenhouse"
)

// demoZone is one kind of zone of the demonstration.
type demoZone struct {
	id, name, crop   string
	heat, vent       greenhouse.Target
	humidity, temp   float64 // highest humidity wanted, %; temperature at the start, °C
	rh               float64 // at the start, %
	leaf             float64 // dry mass of the crop at the start, kg/m²
	moisture, thirst float64 // soil moisture at the start and wanted, %
}

// demoZones returns the kinds of zones: one too cold, one too hot and dry, one
// too humid, so that heating, venting and drying can all be seen at work.
func demoZones() []demoZone {
	return []demoZone{
		{"north", "North bay", "tomato", greenhouse.Target{Day: 20, Night: 17}, greenhouse.Target{Day: 24, Night: 21}, 85, 12.5, 78, 0.16, 52, 60},
		{"south", "South bay", "lettuce", greenhouse.Target{Day: 16, Night: 12}, greenhouse.Target{Day: 20, Night: 17}, 80, 29, 55, 0.06, 64, 62},
		{"nursery", "Nursery", "seedlings", greenhouse.Target{Day: 23, Night: 21}, greenhouse.Target{Day: 27, Night: 25}, 82, 19, 94, 0.02, 41, 55},
	}
}

// DemoPlan describes a demonstration site at Bleiswijk with that many zones, at
// least one and at most 200, whose climates start off their targets. Three zones
// have twelve nodes: climate, relays and irrigation in each, a pH and an EC node
// on the tank of the first, and one weather station.
func DemoPlan(zones int, seed uint64) (Plan, error) {
	if zones < 1 || zones > 200 {
		return Plan{}, greenhouse.Invalid("zones_invalid", "a demonstration of %d zones is not possible: it has 1 to 200", zones)
	}
	place, err := PlacePreset("bleiswijk")
	if err != nil {
		return Plan{}, err
	}
	p := Plan{
		Site: greenhouse.Site{Name: "Demo", Latitude: place.Latitude, Longitude: place.Longitude, TimeZone: place.TimeZone},
		Seed: seed, Weather: NewSynthetic(place, seed),
	}
	kinds := demoZones()
	for i := range zones {
		k := kinds[i%len(kinds)]
		if i >= len(kinds) {
			k.id, k.name = fmt.Sprintf("%s-%d", k.id, i/len(kinds)+1), fmt.Sprintf("%s %d", k.name, i/len(kinds)+1)
		}
		p.Zones = append(p.Zones, k.plan(i, seed))
		p.Nodes = append(p.Nodes, k.nodes(i)...)
	}
	return p, nil
}

// DemoWorld returns the site of [DemoPlan] at its start. To begin at another
// time, set Start in the plan and call [NewWorld].
func DemoWorld(zones int, seed uint64) (*World, error) {
	p, err := DemoPlan(zones, seed)
	if err != nil {
		return nil, err
	}
	return NewWorld(p)
}

// plan makes the ith zone. Zones of one kind differ a little, by the seed.
func (k demoZone) plan(i int, seed uint64) ZonePlan {
	chance := newStream(seed, "demo", k.id)
	g := Hobby30()
	g.DryMassStart = k.leaf
	p := ZonePlan{
		Zone: greenhouse.Zone{
			ID: greenhouse.ZoneID(k.id), Name: k.name, Crop: k.crop, AreaM2: g.Floor, Mode: greenhouse.ModeAuto,
			Targets: map[greenhouse.Quantity]greenhouse.Target{
				greenhouse.Heating: k.heat, greenhouse.Venting: k.vent,
				greenhouse.HumidityMax:  {Day: k.humidity, Night: k.humidity},
				greenhouse.TargetCO2:    {Day: 700, Night: 420},
				greenhouse.DLI:          {Day: 14, Night: 14},
				greenhouse.SoilMoisture: {Day: k.thirst, Night: k.thirst},
			},
			DayFrom: "sunrise", DayUntil: "sunset",
			Control: greenhouse.Control{LampPPFD: g.LampPPFD, HeaterWM2: g.HeaterPower},
		},
		Greenhouse: g,
		Climate:    g.NewClimate(k.temp+chance.normal(0)*0.8, 8, clamp(k.rh+2*chance.normal(1), 30, 98), 420),
		Slab:       Slab{Volume: 300, Capacity: 75, ByPass: 0.1},
		SlabState:  SlabState{Moisture: k.moisture},
		DripRate:   0.12,
	}
	if i == 0 {
		p.Tank = Tank100()
		p.TankState = p.Tank.NewTankState(0.85, 6.6, 1.2, 18)
		p.Zone.Targets[greenhouse.TargetPH] = greenhouse.Target{Day: 5.85, Night: 5.85}
		p.Zone.Targets[greenhouse.TargetEC] = greenhouse.Target{Day: 1.6, Night: 1.6}
	} else {
		p.Zone.Control.WeatherZone = greenhouse.ZoneID(demoZones()[0].id)
	}
	return p
}

// nodes makes the devices of the ith zone. The hardware ids are of the range
// that is set aside for private use.
func (k demoZone) nodes(i int) []NodePlan {
	node := func(unit int, t greenhouse.NodeType, what string, channels ...greenhouse.ChannelName) NodePlan {
		id := greenhouse.HardwareID(fmt.Sprintf("02510d%04x%02x", i+1, unit))
		return NodePlan{HardwareID: id, Type: t, Name: k.name + " " + what, Zone: greenhouse.ZoneID(k.id), Channels: channels, FW: "2.4.0", HW: "rev-b", IntervalS: 10}
	}
	all := []NodePlan{
		node(1, greenhouse.TypeClimate, "climate", "air_temp", "air_rh", "co2", "ppfd"),
		node(2, greenhouse.TypeRelay, "relays", "heater", "vent", "fan", "lamp", "screen", "co2_valve"),
		node(3, greenhouse.TypeIrrigation, "irrigation", "soil_moisture", "flow", "irrigation_valve"),
	}
	if i == 0 {
		all = append(all,
			node(4, greenhouse.TypePH, "pH", "solution_ph", "solution_temp", "pump_acid", "pump_base"),
			node(5, greenhouse.TypeEC, "EC", "solution_ec", "tank_level", "pump_a", "pump_b"),
			node(6, greenhouse.TypeWeather, "weather station", "outside_temp", "outside_rh", "wind_speed", "wind_dir", "rain", "solar"),
		)
	}
	return all
}
