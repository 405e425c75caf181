package sim

import (
	"fmt"
	"math"
	"strings"
	"time"

	"greenhouse"
	"greenhouse/automation"
)

// lookEvery is how often a run is measured.
const lookEvery = 5 * time.Second

// meter measures the quantities that expectations speak of, each once a look.
type meter struct {
	names  []string
	reads  []func() float64
	values []float64
}

// slot returns where a quantity is measured, and notes it where it is new.
func (r *run) slot(name string) (int, error) {
	for i, n := range r.meter.names {
		if n == name {
			return i, nil
		}
	}
	read := r.quantity(name)
	if read == nil {
		return 0, fmt.Errorf("the quantity %s is unknown: docs/scenarios.md lists them all", name)
	}
	r.meter.names, r.meter.reads, r.meter.values = append(r.meter.names, name), append(r.meter.reads, read), append(r.meter.values, 0)
	return len(r.meter.names) - 1, nil
}

// quantity returns how something is measured, nil where there is no such thing.
func (r *run) quantity(name string) func() float64 {
	base, kind, _ := strings.Cut(name, ".")
	if f := r.truths(name); f != nil {
		return f
	}
	if f := r.aims(name); f != nil {
		return f
	}
	if base == "alarm" && kind != "" {
		return func() float64 { return truthOf(r.daemon.alarmed(kind)) }
	}
	nth := ""
	if kind != "" && kind[0] >= '0' && kind[0] <= '9' {
		nth, kind, _ = strings.Cut(kind, ".")
		nth = "." + nth
	}
	return r.instrumentOf(greenhouse.PointID(string(scenarioZone)+"/"+base+nth), kind)
}

// truths are what no sensor tells.
func (r *run) truths(name string) func() float64 {
	z := r.world.zones[0]
	s, c := &z.state, &z.state.Climate
	o := &r.world.outside
	switch name {
	case "air_temp":
		return func() float64 { return c.Air }
	case "air_rh":
		return func() float64 { return c.RH() }
	case "co2":
		return func() float64 { return c.PPM() }
	case "vpd":
		return func() float64 { return z.truth("vpd", *o) }
	case "air_water":
		return func() float64 { return automation.AbsoluteHumidity(c.Air, c.RH()) }
	case "outside_water":
		return func() float64 { return automation.AbsoluteHumidity(o.Temp, o.RH) }
	case "mass_temp":
		return func() float64 { return c.Mass }
	case "ppfd":
		return func() float64 { return s.Flows.PAR }
	case "outside_temp":
		return func() float64 { return o.Temp }
	case "outside_rh":
		return func() float64 { return o.RH }
	case "solar":
		return func() float64 { return o.Solar }
	case "wind_speed":
		return func() float64 { return o.Wind }
	case "rain":
		return func() float64 { return o.Rain }
	case "heat_kwh":
		return func() float64 { return s.HeatMJ / 3.6 }
	case "lamp_kwh":
		return func() float64 { return s.LampMJ / 3.6 }
	case "crop_margin":
		return r.cropMargin()
	case "light_sum":
		return r.lightSum()
	case "hour":
		return func() float64 {
			t := r.now
			return float64(t.Hour()) + float64(t.Minute())/60
		}
	}
	return nil
}

// cropMargin returns how far a fruit that follows the air by three hours is from
// the dew point, in K.
func (r *run) cropMargin() func() float64 {
	const tau = 3 * time.Hour
	c := &r.world.zones[0].state.Climate
	fruit, last := c.Air, r.now
	return func() float64 {
		dt := r.now.Sub(last)
		last = r.now
		fruit += (c.Air - fruit) * (1 - math.Exp(-dt.Seconds()/tau.Seconds()))
		return min(fruit, c.Air) - automation.DewPoint(c.Air, c.RH())
	}
}

// lightSum returns the light the crop had since local midnight, in mol/m².
func (r *run) lightSum() func() float64 {
	s := &r.world.zones[0].state
	sum, last := 0.0, r.now
	return func() float64 {
		if r.now.YearDay() != last.YearDay() {
			sum = 0
		}
		sum += s.Flows.PAR * r.now.Sub(last).Seconds() / 1e6
		last = r.now
		return sum
	}
}

// aims are what control aims at.
func (r *run) aims(name string) func() float64 {
	d := r.daemon
	c := &d.climate
	switch name {
	case "heat_below":
		return func() float64 { return c.HeatBelow }
	case "vent_above":
		return func() float64 { return c.VentAbove }
	case "drying":
		return func() float64 { return c.Drying }
	case "wet_hours":
		return func() float64 { return c.WetHours }
	case "dli":
		return func() float64 { return c.DLI }
	case "day":
		return func() float64 { return truthOf(d.day) }
	case "running":
		return func() float64 { return truthOf(d.alive()) }
	case "phase":
		return func() float64 { return d.phase() }
	case "phase_ramp":
		return func() float64 { return d.phaseRamp() }
	}
	return nil
}

// instrumentOf measures at a sensor or actuator of the zone.
func (r *run) instrumentOf(id greenhouse.PointID, kind string) func() float64 {
	for _, n := range r.nodes {
		for _, p := range n.dev.ports {
			if p.point != id {
				continue
			}
			switch {
			case p.inst.actuator != nil && kind == "":
				return func() float64 { return p.inst.actuator.Effect() }
			case p.inst.actuator != nil && kind == "wanted":
				return func() float64 { l, _ := r.daemon.ctl.Level(id); return l.Desired }
			case p.inst.actuator != nil && kind == "rest":
				return r.restOf(id)
			case p.inst.actuator != nil && kind == "said":
				return func() float64 {
					if l, _ := r.daemon.ctl.Level(id); l.Known {
						return l.Reported
					}
					return math.NaN()
				}
			case p.inst.sensor != nil && kind == "read":
				return func() float64 {
					if l := r.daemon.latest[id]; l != nil {
						return l.Value
					}
					return math.NaN()
				}
			}
		}
	}
	return nil
}

// restOf returns for how many seconds nobody has wanted anything of an actuator.
func (r *run) restOf(id greenhouse.PointID) func() float64 {
	const never = 1e9
	rest, last := never, r.now
	return func() float64 {
		rest += r.now.Sub(last).Seconds()
		last = r.now
		if l, ok := r.daemon.ctl.Level(id); ok && l.Desired > 0.02 {
			rest = 0
		}
		return rest
	}
}

// measure looks at everything once and lets expectations judge it.
func (r *run) measure() {
	for i, read := range r.meter.reads {
		r.meter.values[i] = read()
	}
	c := &r.world.zones[0].state.Climate
	r.digest = mix(r.digest ^ math.Float64bits(c.Air) ^ mix(math.Float64bits(c.Vapour)))
	at := r.now.Sub(r.start)
	for _, j := range r.judges {
		j.look(at, r.meter.values)
	}
	if r.trace != nil {
		r.trace.add(at, r.meter.values)
	}
}
