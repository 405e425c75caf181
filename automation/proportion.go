package automation

import "time"

// SigmaDelta turns a fraction into switching: what was wanted and not given adds
// up until it is worth a run. The starts are spread by themselves, at most
// 3600/(MinOn+MinOff) an hour.
type SigmaDelta struct{ MinOn, MinOff time.Duration }

// Pulses is the state of a [SigmaDelta]. The zero value is off
// since this moment.
type Pulses struct {
	On    bool
	Since time.Duration // since the last change
	Acc   float64       // s of run owed; negative: given in advance
}

// Step takes the fraction wanted and the time since the last step. Below 0.02
// the device is off, above 0.98 on, and a fraction that is no number is 0.
func (p SigmaDelta) Step(s Pulses, u float64, dt time.Duration) Pulses {
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
	most := 2*p.MinOn.Seconds() + 60
	s.Acc = clamp(s.Acc+(u-on)*dt.Seconds(), -most, most)
	half := p.MinOn.Seconds() / 2
	switch {
	case !s.On && u > 0 && s.Since >= p.MinOff && (u == 1 || s.Acc >= half):
		s.On, s.Since = true, 0
	case s.On && u < 1 && s.Since >= p.MinOn && (u == 0 || s.Acc <= -half):
		s.On, s.Since = false, 0
	}
	return s
}
