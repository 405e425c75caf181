package sim

import (
	"math"
	"time"

	"greenhouse"
)

// SensorSpec is how a sensor errs. Noise, lag and quantum of the standard
// channels were measured on commercial greenhouses; docs/control.md, section
// "Sensor noise and faults", gives the figures.
type SensorSpec struct {
	Noise      float64 // standard deviation, in the channel's unit
	NoiseShare float64 // more of it, as a share of the value
	Quantum    float64 // step of the reading; 0 is none
	Lag        float64 // s, first order
	Drift      float64 // units a day
	Bias       float64 // standard deviation of a sensor's constant offset
	SunError   float64 // K too warm at 600 W/m² of sun, for unaspirated boxes
	PumpNoise  float64 // factor on the noise while a pump of the zone runs; 0 is none
	Min, Max   float64 // the reading is clipped to these
}

// StandardSensor returns the errors of a channel's usual sensor; a channel that
// the wire contract does not name gets a perfect one.
func StandardSensor(ch greenhouse.ChannelName) SensorSpec {
	s := SensorSpec{Min: math.Inf(-1), Max: math.Inf(1)}
	if std, ok := greenhouse.StandardChannel(ch); ok {
		s.Min, s.Max = std.Min, std.Max
	}
	switch ch {
	case "air_temp", "leaf_temp":
		s.Noise, s.Quantum, s.Lag, s.Bias = 0.07, 0.1, 60, 0.15
	case "outside_temp":
		s.Noise, s.Quantum, s.Lag, s.Bias = 0.05, 0.1, 120, 0.1
	case "air_rh", "outside_rh":
		s.Noise, s.Quantum, s.Lag, s.Drift, s.Bias, s.Max = 0.25, 0.1, 120, 1.0/30, 1, 100
	case "co2":
		s.Noise, s.Quantum, s.Lag, s.Bias = 9, 1, 60, 10
	case "ppfd":
		s.NoiseShare, s.Quantum, s.Min = 0.01, 1, 0
	case "solar":
		s.NoiseShare, s.Quantum, s.Min = 0.01, 1, 0
	case "wind_speed":
		s.NoiseShare, s.Quantum, s.Lag = 0.05, 0.1, 5
	case "wind_dir":
		s.Noise, s.Quantum, s.Lag = 4, 1, 0
	case "solution_ph":
		s.Noise, s.Quantum, s.Lag, s.Drift, s.PumpNoise = 0.01, 0.01, 20, 0.03/7, 5
	case "solution_ec":
		s.NoiseShare, s.Quantum, s.Lag = 0.004, 0.001, 8
	case "solution_temp", "soil_temp":
		s.Noise, s.Quantum, s.Lag = 0.03, 0.06, 30
	case "tank_level":
		s.Noise, s.Quantum, s.Lag = 0.3, 0.1, 10
	case "soil_moisture":
		s.Noise, s.Quantum, s.Lag, s.Bias = 0.15, 0.1, 60, 0.5
	case "flow":
		s.NoiseShare, s.Quantum, s.Lag = 0.02, 0.05, 1
	}
	return s
}

// Sensor is one sensor. It has no lock: its owner guards it.
type Sensor struct {
	spec    SensorSpec
	noise   stream
	chance  stream // faults that strike at random
	bias    float64
	lagged  float64
	started bool
}

// NewSensor returns a sensor whose noise follows from seed and names, which tell
// it from every other sensor.
func NewSensor(spec SensorSpec, seed uint64, names ...string) *Sensor {
	names = append([]string{"sensor"}, names...)
	s := &Sensor{spec: spec, noise: newStream(seed, append(names, "noise")...), chance: newStream(seed, append(names, "chance")...)}
	s.bias = spec.Bias * newStream(seed, append(names, "bias")...).normal(0)
	return s
}

// Follow lets the sensor see the true value for dt seconds. A slower sensor, by
// the factor slow, takes longer to come near.
func (s *Sensor) Follow(truth, dt, slow float64) {
	lag := s.spec.Lag * slow
	if !s.started || lag <= 0 {
		s.lagged, s.started = truth, true
		return
	}
	s.lagged += (truth - s.lagged) * (1 - math.Exp(-dt/lag))
}

// Sample returns what the sensor says at now, age after it was put up, before
// any fault beyond its own noise and drift; sun in W/m² warms an unaspirated
// box. The same instant gives the same reading. Extra noise comes as a factor.
func (s *Sensor) Sample(now time.Time, age time.Duration, sun, noisy float64) float64 {
	v := s.lagged + s.bias + s.spec.Drift*age.Hours()/24 + s.spec.SunError*sun/600
	return v + noisy*(s.spec.Noise+s.spec.NoiseShare*math.Abs(s.lagged))*s.noise.normal(now.UnixMilli())
}

// round brings a reading to the steps and limits of the sensor.
func (s *Sensor) round(v float64) float64 {
	v = clamp(v, s.spec.Min, s.spec.Max)
	if s.spec.Quantum <= 0 {
		return v
	}
	// Dividing by a whole number keeps 23.4 from becoming 23.400000000000002.
	if n := 1 / s.spec.Quantum; n == math.Trunc(n) {
		return math.Round(v*n) / n
	}
	return math.Round(v/s.spec.Quantum) * s.spec.Quantum
}

// strikes reports whether something of probability p happens at now. Verbs are
// told apart by salt.
func (s *Sensor) strikes(now time.Time, salt int64, p float64) bool {
	return s.chance.uniform(now.UnixMilli()*16+salt) < p
}
