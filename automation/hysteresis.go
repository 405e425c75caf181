package automation

import "time"

// Hysteresis switches one device around a set-point with a dead band and
// shortest times on and off.
type Hysteresis struct {
	On, Off       float64       // how far the error must go to switch on, and beyond to switch off; default 0.3 and 0.2 K
	MinOn, MinOff time.Duration // from the class of the equipment
}

// Switch is the state of a [Hysteresis]. The zero value is off since this
// moment: after a start the shortest time off is waited for, so that a daemon
// that restarts again and again cannot make a compressor start with it.
type Switch struct {
	On    bool
	Since time.Duration // since the last change
}

// Step takes the error, positive where the device is wanted (set-point minus
// measurement for heat), and the time since the last step. An error that is not
// a number changes nothing. The Hold says which shortest time kept it back.
func (h Hysteresis) Step(s Switch, err float64, dt time.Duration) (Switch, Hold) {
	s.Since += dt
	switch {
	case !s.On && err > h.On:
		if s.Since < h.MinOff {
			return s, HoldOff
		}
		return Switch{On: true}, HoldNone
	case s.On && err < -h.Off:
		if s.Since < h.MinOn {
			return s, HoldOn
		}
		return Switch{}, HoldNone
	}
	return s, HoldNone
}

// Hold says what kept a block from switching.
type Hold uint8

// What may keep a block from switching.
const (
	HoldNone  Hold = iota
	HoldOn         // its shortest time on
	HoldOff        // its shortest time off
	HoldStage      // the time between two stages
)

// Stager brings in one device after the other: the first by [Hysteresis], each
// further one when the error lasts for Delay, and lets the further ones go as
// soon as the set-point is reached.
type Stager struct {
	N     int // devices
	First Hysteresis
	Delay time.Duration // between two stages; default 120 s
}

// Stages is the state of a [Stager].
type Stages struct {
	First Switch
	More  int           // devices on beside the first
	Since time.Duration // since their number last changed
}

// Count returns how many devices are on.
func (s Stages) Count() int {
	if !s.First.On {
		return 0
	}
	return 1 + s.More
}

// Step is as [Hysteresis.Step] for all stages.
func (p Stager) Step(s Stages, err float64, dt time.Duration) (Stages, Hold) {
	s.Since += dt
	was := s.First.On
	next, hold := p.First.Step(s.First, err, dt)
	s.First = next
	switch {
	case !next.On:
		s.More, s.Since = 0, 0
	case !was:
		s.More, s.Since = 0, 0
	case err > p.First.On && s.More < p.N-1:
		if s.Since < p.Delay {
			return s, HoldStage
		}
		s.More, s.Since = s.More+1, 0
	case err < 0 && s.More > 0 && s.Since >= p.First.MinOn:
		s.More, s.Since = s.More-1, 0
	}
	s.More = max(0, min(s.More, p.N-1))
	return s, hold
}

// rotate decides which of some devices run so that want of them do: the one that
// ran least starts next, the one that ran most stops first. It changes on in
// place.
func rotate(on []bool, ran []time.Duration, want int) {
	have := 0
	for _, o := range on {
		if o {
			have++
		}
	}
	for ; have < want; have++ {
		if i := extreme(on, ran, false); i >= 0 {
			on[i] = true
		}
	}
	for ; have > want; have-- {
		if i := extreme(on, ran, true); i >= 0 {
			on[i] = false
		}
	}
}

// extreme returns the device that ran least of those off, or most of those on;
// -1 if there is none.
func extreme(on []bool, ran []time.Duration, which bool) int {
	best := -1
	for i := range on {
		if on[i] != which {
			continue
		}
		if best < 0 || which && ran[i] > ran[best] || !which && ran[i] < ran[best] {
			best = i
		}
	}
	return best
}
