package automation

import (
	"math"
	"time"

	"greenhouse"
)

// swing is what switching heaters on and off makes of the air: how far each second
// of full heat lifts it is learned from its own runs. It tells the controller the
// temperature as it would be if the same heat came evenly, for a controller that
// answers its own runs swings along; how long a run and a pause may take; and how
// far the set-point may be raised so that less of the swing is cold.
type swing struct {
	owed, air, probe float64 // s of full heat beyond the demand: given, as the air has it, as the sensor does
	slowT, slowProbe float64 // means that follow within slowTau
	both, square     float64 // mean products of what is faster: of air and heat, of heat and heat, of air and air
	power            float64
	gain             float64 // K that a second of full heat lifts the air
	slow             bool    // the air hardly follows a run: hot-water pipes
	primed           bool
}

// How heat comes to the sensor, and how its work is learned.
const (
	priorGain           = 0.015 // K for each second of full heat: a light house, generously heated
	priorSquare         = 900.0 // s², mean square of owed that it counts for
	mostGain            = 0.06
	airTau              = 900.0    // s within which the air gives a run away again
	heaterLag           = 45.0     // s from the contactor to the air
	probeLag            = 60.0     // s from the air to the reading
	slowTau             = 200.0    // s: what is slower is weather, and the controller's own work
	gainTau             = 7200.0   // s of cycling that gain is learned over
	mostOwed            = 150.0    // s; what is more is not of the switching
	trustFrom, trustAll = 0.3, 0.7 // share of the air's quick movements that runs explain
	leastMove           = 100.0    // s², mean square of owed below which runs are too short to learn from
	slowGain            = 0.004    // K/s below which heat comes through pipes
)

// step takes the air as it is read, how far heaters are on, and the demand they are
// switched for. It returns the air without the swing.
func (s *swing) step(t, on, demand float64, dt time.Duration) float64 {
	h := dt.Seconds()
	if !s.primed {
		*s = swing{slowT: t, gain: priorGain, square: priorSquare, both: priorSquare * priorGain, power: priorSquare * priorGain * priorGain / trustFrom, primed: true}
	}
	s.owed = clamp(s.owed+(on-demand)*h-s.owed*h/(airTau+h), -mostOwed, mostOwed)
	s.air += (s.owed - s.air) * h / (heaterLag + h)
	s.probe += (s.air - s.probe) * h / (probeLag + h)
	s.slowT += (t - s.slowT) * h / (slowTau + h)
	s.slowProbe += (s.probe - s.slowProbe) * h / (slowTau + h)
	if demand > 0.02 && demand < 0.98 {
		s.learn(t-s.slowT, s.probe-s.slowProbe, h/(gainTau+h))
	}
	return t - s.gain*s.probe*s.trust()
}

// learn counts one more look at air and heat, both without what is slow.
func (s *swing) learn(air, heat, share float64) {
	s.both += (air*heat - s.both) * share
	s.square += (heat*heat - s.square) * share
	s.power += (air*air - s.power) * share
	s.gain = priorGain
	if s.square > leastMove {
		s.gain = clamp(s.both/s.square, 0, mostGain)
	}
	s.slow = s.gain < slowGain || s.slow && s.gain < 1.5*slowGain
}

// trust returns how far the air is known to follow the runs, 0 to 1: by the share
// of its quick movements that they explain.
func (s *swing) trust() float64 {
	const noise = 0.001 // K², of the best sensor
	explained := s.both * s.both / ((s.square + 1) * (s.power + noise))
	return clamp((explained-trustFrom)/(trustAll-trustFrom), 0, 1)
}

// rest forgets what is under way, as when somebody else drives the heaters.
func (s *swing) rest() { s.owed, s.air, s.probe, s.slowProbe = 0, 0, 0, 0 }

// How long a run and a pause take together.
const (
	usualCycle = 525 * time.Second
	mostCycle  = 30 * time.Minute // behind pipes
	pipeSwing  = 0.1              // K that a longer cycle may swing by
)

// cycle returns how long a run and a pause take together at half load: as asked
// for, else the usual time, shorter where heaters take turns at it, longer where the
// air hardly notices.
func (s *swing) cycle(asked time.Duration, heaters int) time.Duration {
	switch {
	case asked > 0:
		return asked
	case !s.slow:
		return usualCycle / time.Duration(heaters)
	}
	long := time.Duration(8 * pipeSwing / max(s.gain, 1e-4) * float64(time.Second))
	return max(usualCycle, min(long, mostCycle))
}

// The 15-minute mean that a swing leaves, and how far it may be off in all.
const (
	swingsBy   = 0.72 // share of the swing that lags leave
	meanLeaves = 2e-4 // share of an amplitude that stays in a 15-minute mean, for each second of the cycle: about 0.57/(π·900 s)
	meanMost   = 0.1  // K
	coldFrom   = 0.5  // K below the set-point that are no harm
)

// lift returns how far the set-point is raised for heaters of which each swings the
// air within a cycle: by what the swing leaves of the 0.1 K that a mean may be off,
// where it goes so deep that the crop is cold for a part of each pause.
func (s *swing) lift(cycle time.Duration, heaters int) float64 {
	if s.trust() < 1 {
		return 0
	}
	amplitude := swingsBy * s.gain * cycle.Seconds() / 8 / float64(heaters)
	left := meanLeaves * cycle.Seconds() * amplitude
	return clamp(amplitude-coldFrom, 0, math.Sqrt(max(0, meanMost*meanMost-left*left)))
}

// leastLoad is the load u·(1−u) below which cycles grow longer: a run near no load,
// and a pause near full load, would else be shorter than they are worth.
const leastLoad = 0.2

// pulses returns how a heater is switched for its part of the demand. Cycles are
// equally long at any load in between, which costs the fewest starts for the same
// steadiness of means.
func pulses(spec *greenhouse.ClassSpec, cycle time.Duration, part float64) SigmaDelta {
	p := switching(spec)
	if spec.StartsPerHour == 0 {
		return p
	}
	cycle = max(cycle, 4*p.MinOn)
	half := time.Duration(0) // full load, or none: whatever pause there is, it is no longer than it has to be
	if part >= 0.02 && part <= 0.98 {
		half = time.Duration(float64(cycle) * max(part*(1-part), leastLoad))
	}
	return SigmaDelta{MinOn: max(spec.MinOn, half), MinOff: max(spec.MinOff, half)}
}
