package sim

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"greenhouse"
)

// scenarioZone is the one zone of a scenario.
const scenarioZone = greenhouse.ZoneID("north")

// WeatherSpec is the weather of a scenario.
type WeatherSpec struct {
	Place   string      `yaml:"place"`   // climate and place on earth; "" is bleiswijk
	Days    string      `yaml:"days"`    // clear, mixed or overcast; "" as the climate has them
	Fixed   OutsideSpec `yaml:"fixed"`   // instead of what the climate has
	Outside []Knot      `yaml:"outside"` // instead of the climate: values with straight lines between
}

// OutsideSpec is weather of which some is said.
type OutsideSpec struct {
	Temp    *float64 `yaml:"temp"`
	RH      *float64 `yaml:"rh"`
	Solar   *float64 `yaml:"solar"`
	Wind    *float64 `yaml:"wind"`
	WindDir *float64 `yaml:"wind_dir"`
	Rain    *float64 `yaml:"rain"` // mm/h
	Sky     *float64 `yaml:"sky"`  // °C; left out: as under some clouds
	CO2     *float64 `yaml:"co2"`
}

// Knot is the weather at an instant of a scenario; what it does not say stays.
type Knot struct {
	At          Span `yaml:"at"`
	OutsideSpec `yaml:",inline"`
}

// over puts what is said over o.
func (s *OutsideSpec) over(o Outside) Outside {
	for _, f := range []struct {
		to   *float64
		from *float64
	}{{&o.Temp, s.Temp}, {&o.RH, s.RH}, {&o.Solar, s.Solar}, {&o.Wind, s.Wind}, {&o.WindDir, s.WindDir}, {&o.Rain, s.Rain}, {&o.Sky, s.Sky}, {&o.CO2, s.CO2}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	return o
}

// fixedWeather is weather of which some stands still.
type fixedWeather struct {
	of    Weather
	fixed OutsideSpec
}

// At implements [Weather].
func (w fixedWeather) At(t time.Time) Outside { return w.fixed.over(w.of.At(t)) }

// place returns the place of the scenario with its days as asked for.
func (s *Scenario) place() (Place, error) {
	name := s.Weather.Place
	if name == "" {
		name = "bleiswijk"
	}
	p, err := PlacePreset(name)
	if err != nil {
		return p, err
	}
	switch s.Weather.Days {
	case "":
	case "clear":
		p.Clear, p.Mixed = 1, 0
	case "mixed":
		p.Clear, p.Mixed = 0, 1
	case "overcast":
		p.Clear, p.Mixed = 0, 0
	default:
		return p, fmt.Errorf("days of weather are %q: they are clear, mixed or overcast", s.Weather.Days)
	}
	return p, nil
}

// weather returns what it is like outside from start on.
func (s *Scenario) weather(p Place, start time.Time, seed uint64) (Weather, error) {
	var w Weather = NewSynthetic(p, seed)
	if len(s.Weather.Outside) > 0 {
		now := Outside{Temp: 10, RH: 80, Wind: 2, CO2: 420}
		var records []Record
		for _, k := range s.Weather.Outside {
			now.Sky = math.NaN()
			now = k.over(now)
			o := now
			if math.IsNaN(o.Sky) {
				o.Sky = skyTemperature(o.Temp, o.Temp-(100-o.RH)/5, 0.4)
			}
			records = append(records, Record{start.Add(time.Duration(k.At)), o})
		}
		series, err := NewSeries(records)
		if err != nil {
			return nil, err
		}
		w = series
	}
	return fixedWeather{w, s.Weather.Fixed}, nil
}

// zone returns the record that people would make of the zone.
func (s *Scenario) zone() (greenhouse.Zone, error) {
	g, err := GreenhousePreset(s.Preset)
	if err != nil {
		return greenhouse.Zone{}, err
	}
	z := greenhouse.Zone{ID: scenarioZone, Name: "North", Crop: s.Zone.Crop, AreaM2: g.Floor, Mode: greenhouse.ModeAuto,
		Targets: map[greenhouse.Quantity]greenhouse.Target{}, DayFrom: "sunrise", DayUntil: "sunset"}
	if s.Zone.Mode != "" {
		if z.Mode, err = greenhouse.ParseMode(string(s.Zone.Mode)); err != nil {
			return z, err
		}
	}
	if s.Zone.DayFrom != "" {
		z.DayFrom = s.Zone.DayFrom
	}
	if s.Zone.DayUntil != "" {
		z.DayUntil = s.Zone.DayUntil
	}
	if err := s.Zone.Schedule.over(&z); err != nil {
		return z, err
	}
	if err := s.Zone.Targets.over(&z); err != nil {
		return z, err
	}
	knobs := map[string]float64{"lamp_ppfd": g.LampPPFD, "heater_w_m2": g.HeaterPower}
	for k, v := range s.Zone.Control {
		knobs[k] = v
	}
	raw, err := json.Marshal(knobs)
	if err != nil {
		return z, err
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	if err := d.Decode(&z.Control); err != nil {
		return z, fmt.Errorf("control: %w", err)
	}
	return z, nil
}

// over puts targets into a zone.
func (t Targets) over(z *greenhouse.Zone) error {
	for q, v := range t {
		spec, err := greenhouse.ParseQuantity(string(q))
		if err != nil {
			return err
		}
		if min(v.Day, v.Night) < spec.Min || max(v.Day, v.Night) > spec.Max {
			return greenhouse.Invalid("target_invalid", "%s is from %g to %g %s", q, spec.Min, spec.Max, spec.Unit)
		}
		z.Targets[q] = greenhouse.Target(v)
	}
	return nil
}

// plan lays the site out: sensors on a node "climate" (a second one of a kind on
// "climate2"), the weather on "station", all that is driven on "relays".
func (s *Scenario) plan(seed uint64) (Plan, error) {
	place, err := s.place()
	if err != nil {
		return Plan{}, err
	}
	loc, err := time.LoadLocation(place.TimeZone)
	if err != nil {
		return Plan{}, err
	}
	zone, err := s.zone()
	if err != nil {
		return Plan{}, err
	}
	g, err := GreenhousePreset(s.Preset)
	if err != nil {
		return Plan{}, err
	}
	start := s.Start.In(loc)
	weather, err := s.weather(place, start, seed)
	if err != nil {
		return Plan{}, err
	}
	if err := s.plant(&zone, start); err != nil {
		return Plan{}, err
	}
	in := s.Inside
	for _, d := range []struct {
		v  *float64
		to float64
	}{{&in.Air, 18}, {&in.RH, 75}, {&in.CO2, 420}} {
		if *d.v == 0 {
			*d.v = d.to
		}
	}
	climate := g.NewClimate(in.Air, weather.At(start).Temp, in.RH, in.CO2)
	if in.Mass != 0 {
		climate.Mass = in.Mass
	}
	return Plan{
		Site:  greenhouse.Site{Name: s.Name, Latitude: place.Latitude, Longitude: place.Longitude, TimeZone: place.TimeZone},
		Start: start, Seed: seed, Weather: weather, Step: time.Duration(s.Step),
		Zones: []ZonePlan{{Zone: zone, Greenhouse: g, Climate: climate, Slab: Slab{Volume: 300, Capacity: 75, ByPass: 0.1}, SlabState: SlabState{Moisture: 60}, DripRate: 0.12}},
		Nodes: s.nodes(),
	}, nil
}

// nodes lays the devices out on nodes.
func (s *Scenario) nodes() []NodePlan {
	var all []NodePlan
	add := func(name string, t greenhouse.NodeType, ch greenhouse.ChannelName) {
		for i := range all {
			if all[i].Name == name {
				all[i].Channels = append(all[i].Channels, ch)
				return
			}
		}
		all = append(all, NodePlan{HardwareID: greenhouse.HardwareID(fmt.Sprintf("02510d0001%02x", len(all)+1)), Type: t, Name: name, Zone: scenarioZone,
			Channels: []greenhouse.ChannelName{ch}, FW: "2.4.0", IntervalS: int(time.Duration(s.Interval) / time.Second)})
	}
	for _, d := range s.Devices {
		name, nth, _ := strings.Cut(d, ".")
		ch := greenhouse.ChannelName(name)
		std, _ := greenhouse.StandardChannel(ch)
		switch {
		case std.Kind == greenhouse.Actuator:
			add("relays"+nth, greenhouse.TypeRelay, ch)
			if s.Class[ch] == greenhouse.ClassValve {
				n := &all[slices.IndexFunc(all, func(n NodePlan) bool { return n.Name == "relays"+nth })]
				n.Valves = append(n.Valves, ch)
			}
		case strings.HasPrefix(name, "outside_") || strings.HasPrefix(name, "wind_") || name == "rain" || name == "solar":
			add("station"+nth, greenhouse.TypeWeather, ch)
		default:
			add("climate"+nth, greenhouse.TypeClimate, ch)
		}
	}
	return all
}
