package sim_test

import (
	"fmt"
	"math"
	"strings"
	"time"

	"greenhouse"
	"greenhouse/automation"
	"greenhouse/sim"
)

// peer is a controller of another product, written anew from the description of
// its algorithm. All peers get the product's set-point curve, sensors, equipment
// protection and leases; only what is decided differs.
type peer struct {
	name   string
	every  time.Duration // between two looks
	decide func(p *peer, air float64, age time.Duration, heatBelow, ventAbove float64)

	heat, vent float64
	looked     time.Time
	out        automation.Decision
	sum, last  [2]float64 // of the PIDs of heater and vent
	gain       [2]pidGain
}

type pidGain struct{ kp, ki, kd float64 }

var _ sim.Brain = (*peer)(nil)

// Decide implements [sim.Brain].
func (p *peer) Decide(in *automation.Input) *automation.Decision {
	air, age := math.NaN(), time.Duration(math.MaxInt64)
	for i := range in.Sensors {
		if s := &in.Sensors[i]; s.Point.Name == "air_temp" && s.Heard {
			air, age = s.Latest.Value, s.Latest.Age(in.Now, in.Trusted)
			break
		}
	}
	s := automation.ScheduleOf(in.Zone, in.Site, in.Location)
	rampUp, rampDown := greenhouse.Heating.Ramps()
	heatBelow := automation.SetPoint(s, in.Zone.Targets[greenhouse.Heating], rampUp, rampDown, in.Now)
	ventAbove := automation.SetPoint(s, in.Zone.Targets[greenhouse.Venting], rampUp, rampDown, in.Now)
	if p.looked.IsZero() || in.Now.Sub(p.looked) >= p.every {
		p.looked = in.Now
		p.decide(p, air, age, heatBelow, ventAbove)
	}
	heat := p.heat
	if p.gain[0].kp > 0 { // seconds on in each period
		heat = 0
		if in.Now.Sub(p.looked).Seconds() < p.heat {
			heat = 1
		}
	}
	p.out = automation.Decision{Zone: in.Zone.ID, At: in.Now, Wants: p.out.Wants[:0], Climate: automation.Climate{HeatBelow: heatBelow, VentAbove: ventAbove}}
	for i := range in.Devices {
		d := in.Devices[i].Point
		level := 0.0
		switch d.Name {
		case "heater":
			level = heat
		case "vent":
			level = p.vent
		}
		p.out.Wants = append(p.out.Wants, automation.Want{Point: d.ID, Claims: []greenhouse.Claim{{Priority: greenhouse.PriorityLoop, Owner: p.name, Value: level, Reason: p.name}}})
	}
	return &p.out
}

// thermostat is Home Assistant's generic thermostat: one for heat, one for vents.
// A sensor that is not available leaves everything as it is.
func thermostat() sim.Brain {
	const tolerance, available = 0.3, 90 * time.Second
	return &peer{name: "thermostat", every: 5 * time.Second, decide: func(p *peer, air float64, age time.Duration, heatBelow, ventAbove float64) {
		if math.IsNaN(air) || age > available {
			return
		}
		p.heat = hold(p.heat, heatBelow-air, tolerance)
		p.vent = hold(p.vent, air-ventAbove, tolerance)
	}}
}

// hold switches at a tolerance on either side of an error.
func hold(now, err, tolerance float64) float64 {
	switch {
	case err > tolerance:
		return 1
	case err < -tolerance:
		return 0
	}
	return now
}

// bangBang is Mycodo's: a hysteresis of 1 K, off where the measurement is older
// than 360 s.
func bangBang() sim.Brain {
	return &peer{name: "bang-bang", every: 5 * time.Second, decide: func(p *peer, air float64, age time.Duration, heatBelow, ventAbove float64) {
		if math.IsNaN(air) || age > 360*time.Second {
			p.heat, p.vent = 0, 0
			return
		}
		p.heat = hold(p.heat, heatBelow-air, 1)
		p.vent = hold(p.vent, air-ventAbove, 1)
	}}
}

// mycodoPID is Mycodo's PID every 30 s: an integrator by sample, clamped at ±100,
// a derivative on the error, and as many seconds on in each period.
func mycodoPID(heat, vent pidGain) func() sim.Brain {
	return func() sim.Brain {
		p := &peer{name: "pid", every: 30 * time.Second, gain: [2]pidGain{heat, vent}}
		p.decide = func(p *peer, air float64, age time.Duration, heatBelow, ventAbove float64) {
			if math.IsNaN(air) || age > 120*time.Second {
				p.heat, p.vent = 0, 0
				return
			}
			p.heat = min(30, max(0, p.pid(0, heatBelow-air)))
			p.vent = min(1, max(0, p.pid(1, air-ventAbove)/100))
		}
		return p
	}
}

func (p *peer) pid(k int, err float64) float64 {
	g := p.gain[k]
	p.sum[k] = min(100, max(-100, p.sum[k]+err))
	out := g.kp*err + g.ki*p.sum[k] + g.kd*(err-p.last[k])
	p.last[k] = err
	return out
}

// contender is one column of the benchmark.
type contender struct {
	name  string
	brain func() sim.Brain
}

// benchScenario measures a controller: expectations are used as meters, in the
// order of axes.
func benchScenario(days int, plant benchPlant, lag float64) string {
	starts := "starts(heater)"
	if strings.Contains(plant.heaters, ",") {
		starts = "0.5 * starts(heater) + 0.5 * starts(heater.2)"
	}
	return strings.NewReplacer("DAYS", fmt.Sprintf("%dd", days+1), "PRESET", plant.preset, "HEATERS", plant.heaters, "CLASS", string(plant.class),
		"STARTS", starts, "LAG", fmt.Sprintf("%.3f", lag)).Replace(`
name: benchmark
preset: PRESET
start: 2022-02-05 00:00
for: DAYS
step: 5s
inside: {air_temp: 15}
class: {heater: CLASS}
devices: [air_temp, air_rh, HEATERS, vent, outside_temp, outside_rh, wind_speed, wind_dir, rain, solar]
zone:
  day_from: "07:00"
  day_until: "19:00"
  targets: {heating: {day: 18, night: 15}, venting: {day: 21, night: 18}}
timeline:
  - {at: 0s, fault: sluggish(LAG) air_temp}
expect:
  - rms15(air_temp.read - heat_below) <= 0.1 when hour < 7 and outside_temp < heat_below - 3 and heater.rest < 3600 from 1d
  - rms(air_temp - heat_below) <= 0.5 when hour < 7 and outside_temp < heat_below - 3 and heater.rest < 3600 from 1d
  - STARTS <= 150 from 1d
  - travel(vent) <= 600 from 1d
  - hours(air_temp - vent_above - 1) <= 12 when air_temp > vent_above + 1 from 1d
  - hours(1) >= 20 when air_temp >= heat_below - 0.5 and air_temp <= vent_above + 1 from 1d
  - change(heat_kwh) <= 5 from 1d
`)
}
