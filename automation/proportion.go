package automation

import "time"

// SigmaDelta turns a fraction into switching: what was wanted and not given adds
// up until it is worth a run. The starts are spread by themselves, at most
// 3600/(MinOn+MinOff) an hour.
type SigmaDelta struct{ MinOn, MinOff time.Duration }

// FixedCycle turns a fraction into switching with one run at the beginning of
// each cycle. A run too short to be worth a start is carried over into the next
// cycle, and a pause too short is left out and made good later, so that the mean
// is right. At most 3600/Cycle starts an hour, at moments people can foresee.
type FixedCycle struct{ Cycle, MinOn, MinOff time.Duration }

// Pulses is the state of a [SigmaDelta] or a [FixedCycle]. The zero value is off
// since this moment.
type Pulses struct {
	On    bool
	Since time.Duration // since the last change
	Acc   float64       // s of run owed; negative: given in advance
	Left  time.Duration // of the cycle, where it is fixed
	Run   time.Duration // in this cycle, where it is fixed
}

// owe adds up what is wanted of dt, and returns the fraction: below 0.02 it is 0,
// above 0.98 it is 1, and one that is no number is 0. No more than most seconds
// are owed, nor given in advance.
func (s *Pulses) owe(u, most float64, dt time.Duration) float64 {
	s.Since += dt
	if !(u >= 0.02) {
		u, s.Acc = 0, min(s.Acc, 0)
	} else if u > 0.98 {
		u, s.Acc = 1, max(s.Acc, 0)
	}
	on := 0.0
	if s.On {
		on = 1
	}
	s.Acc = clamp(s.Acc+(u-on)*dt.Seconds(), -most, most)
	return u
}

// Step takes the fraction wanted and the time since the last step. Below 0.02
// the device is off, above 0.98 on, and a fraction that is no number is 0.
func (p SigmaDelta) Step(s Pulses, u float64, dt time.Duration) Pulses {
	u = s.owe(u, 2*p.MinOn.Seconds()+60, dt)
	half := p.MinOn.Seconds() / 2
	switch {
	case !s.On && u > 0 && s.Since >= p.MinOff && (u == 1 || s.Acc >= half):
		s.On, s.Since = true, 0
	case s.On && u < 1 && s.Since >= p.MinOn && (u == 0 || s.Acc <= -half):
		s.On, s.Since = false, 0
	}
	return s
}

// Step is as [SigmaDelta.Step]; between 0 and 1 the fraction counts from the next
// cycle on.
func (p FixedCycle) Step(s Pulses, u float64, dt time.Duration) Pulses {
	u = s.owe(u, p.Cycle.Seconds(), dt)
	if s.Left -= dt; s.Left <= 0 {
		s.Left = max(s.Left+p.Cycle, dt)
		s.Run = p.run(u*p.Cycle.Seconds() + s.Acc)
	}
	on := u == 1 || u > 0 && p.Cycle-s.Left < s.Run
	if on && !s.On && s.Since >= p.MinOff || !on && s.On && s.Since >= p.MinOn {
		s.On, s.Since = on, 0
	}
	return s
}

// run returns how long a run is given for so many seconds owed.
func (p FixedCycle) run(owed float64) time.Duration {
	run := time.Duration(clamp(owed, 0, p.Cycle.Seconds()) * float64(time.Second))
	switch {
	case run < p.MinOn:
		return 0
	case p.Cycle-run < p.MinOff:
		return p.Cycle
	}
	return run
}
