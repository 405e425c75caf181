package sim

import (
	"math"
	"time"

	"greenhouse"
)

// Actuator is one output and what it drives: a switch, a drive that takes levels,
// or from the first time its relays are used a [Motor]. It has no lock: its owner
// guards it.
type Actuator struct {
	motor     *Motor  // nil: it takes levels
	travel    float64 // s from 0 to 1; 0 for a switch
	commanded float64
	position  float64 // where the drive stands
	effect    float64 // what comes of it
}

// NewActuator returns an actuator of that channel, at rest.
func NewActuator(ch greenhouse.ChannelName) *Actuator {
	a := &Actuator{}
	switch ch {
	case "vent":
		a.travel = 180
	case "screen":
		a.travel = 240
	}
	return a
}

// valveTravel is the travel of a three-way valve in seconds.
const valveTravel = 120

// Command asks for a level from 0 to 1; anything beyond is cut, NaN is ignored.
func (a *Actuator) Command(level float64) {
	if !math.IsNaN(level) {
		a.commanded = clamp(level, 0, 1)
	}
}

// bend returns where the drive goes under its faults, and how many times longer
// it takes.
func (a *Actuator) bend(faults []*activeFault) (target, slower float64) {
	target, slower = a.commanded, 1
	for _, f := range faults {
		switch f.Verb {
		case StuckOn:
			target = 1
		case StuckOff:
			target = 0
		case Stuck:
			target = f.hold(a.position, f.Value)
		case Slow:
			slower = f.strength
		case Reversed:
			target = 1 - target
		}
	}
	return target, slower
}

// Move lets a drive that takes levels run for dt seconds under the given faults.
func (a *Actuator) Move(dt float64, faults []*activeFault) {
	a.moveLevel(dt, faults)
	a.work(faults)
}

// pass lets whatever drive it is run for the dt seconds until now.
func (a *Actuator) pass(now time.Time, dt float64, faults []*activeFault) {
	if a.motor != nil {
		a.moveMotor(now, dt, faults)
	} else {
		a.moveLevel(dt, faults)
	}
	a.work(faults)
}

// moveLevel brings a drive that takes levels nearer to what it was told.
func (a *Actuator) moveLevel(dt float64, faults []*activeFault) {
	target, slower := a.bend(faults)
	travel := a.travel * slower
	if slower != 1 && travel == 0 {
		travel = slower // a switch that takes its time
	}
	a.position = approach(a.position, target, dt, travel)
}

// work finds what comes of the position.
func (a *Actuator) work(faults []*activeFault) {
	a.effect = a.position
	for _, f := range faults {
		switch f.Verb {
		case Lies, Empty, Airlock:
			a.effect = 0
		case Leaks:
			a.effect = math.Max(a.effect, f.strength)
		case Weak, Worn:
			a.effect *= f.strength
		}
	}
}

// approach moves from towards to at the speed of one full travel in travel
// seconds; 0 is at once.
func approach(from, to, dt, travel float64) float64 {
	if travel <= 0 {
		return to
	}
	return from + clamp(to-from, -dt/travel, dt/travel)
}

// Effect returns what really happens, from 0 to 1.
func (a *Actuator) Effect() float64 { return a.effect }

// Reported returns what the device says of itself now: a drive with a travel
// knows its position, a switch knows only what it was told, and so does a drive
// that lies.
func (a *Actuator) Reported(faults []*activeFault) float64 {
	if a.motor == nil && (a.travel == 0 || has(faults, Lies)) {
		return a.commanded
	}
	return math.Round(a.position*1000) / 1000
}

// foresee returns where the device will see its actuator once it has moved.
func (a *Actuator) foresee(faults []*activeFault) float64 {
	if a.travel == 0 || has(faults, Lies) {
		return a.commanded
	}
	target, _ := a.bend(faults)
	return target
}

func has(faults []*activeFault, v Verb) bool {
	for _, f := range faults {
		if f.Verb == v {
			return true
		}
	}
	return false
}
