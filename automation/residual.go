package automation

import "math"

// Residual judges a thermometer by the heat its house takes. A house takes so
// much heat for each kelvin of warmth; a thermometer that drifts up has it take
// less and less for what it reads, one that drifts down more and more. Half hour
// by half hour the difference between the heat given and the heat that the
// reading explains is summed up, less what weather may do (a CUSUM, Page 1954).
//
// Both sides are not alike. No weather has a house take much less heat than it
// does in still air under clouds, so heat that is missing accuses the
// thermometer. Heat that is taken beyond what is usual may as well go out through
// a door, a broken pane or a vent, so the sum has to be twice as large and
// accuses nobody.
type Residual struct {
	Calm bool // the wind is not measured: more is left to it
}

// HalfHour is half an hour of a clear balance: no sun, lamp or mist, vents shut,
// fans off.
type HalfHour struct {
	Heat  float64 // share of full heat given
	Need  float64 // K of warmth it stood against, see [Warmth]
	Drawn bool    // screens were drawn
	Full  bool    // heaters may have given less than was asked of them
}

// How half hours are judged. The figures are those with which no healthy
// thermometer is accused in a winter of measured weather (docs/control.md).
const (
	residualFloor = 8.0  // K added to the warmth: in little of it a kelvin means little
	residualSlack = 0.16 // of the heat that weather may change
	residualBlind = 0.20 // the same where the wind is not measured
	residualLess  = 1.2  // sum of missing heat that accuses the thermometer
	residualMore  = 2.2  // sum of heat beyond what is usual that is an alarm
	residualEnds  = 0.06 // difference within which a half hour speaks for the thermometer
	residualCalm  = 4    // of them in a row end an accusation
	residualSure  = 8    // half hours that a house must have been known for
	residualFull  = 96   // that it is known by: about six nights
	residualWaits = 8    // that wait until they count: a drift must not teach that it is right
)

// ResidualState is what a [Residual] remembers. The zero value knows no house.
type ResidualState struct {
	usual      [2]usual // screens open, drawn
	less, more float64  // sums
	fair       int      // half hours in a row that speak for the thermometer
	last       float64  // difference of the last half hour, as a share
	high, hard bool
}

// usual is the heat that a house takes for its warmth.
type usual struct {
	heat, need float64 // sums
	n          int
	waiting    [residualWaits]HalfHour
	waits      int
}

// High reports whether the thermometer reads too high for the heat the house
// takes.
func (s *ResidualState) High() bool { return s.high }

// Hard reports whether the house takes far more heat than is usual.
func (s *ResidualState) Hard() bool { return s.hard }

// Sums returns the heat that is missing and the heat that is too much, as summed up.
func (s *ResidualState) Sums() [2]float64 { return [2]float64{s.less, s.more} }

// Suspicious reports whether either may be coming: nothing should be learned of
// the house now.
func (s *ResidualState) Suspicious() bool {
	return s.high || s.hard || s.less > residualLess/2 || s.more > residualMore/2
}

// Low reports whether so much heat is missing that the thermometer may be accused
// soon.
func (s *ResidualState) Low() bool { return s.high || s.less > residualLess/2 }

// Step judges one half hour.
func (p Residual) Step(s ResidualState, h HalfHour) ResidualState {
	if !(h.Need > 0 && h.Need < math.Inf(1) && h.Heat >= 0 && h.Heat <= 1) {
		return s
	}
	u := &s.usual[0]
	if h.Drawn {
		u = &s.usual[1]
	}
	known := u.n >= residualSure && u.heat > 0
	if h.Full && !(known && h.Heat*u.need > u.heat*h.Need) {
		return s // it may have needed more: that proves nothing but that it took a lot
	}
	if known {
		slack := residualSlack
		if p.Calm {
			slack = residualBlind
		}
		s.last = (h.Heat*u.need/u.heat - h.Need) / (h.Need + residualFloor)
		s.less = clamp(s.less-s.last-slack, 0, 2*residualLess)
		s.more = clamp(s.more+s.last-2*slack, 0, 2*residualMore)
		s.judge()
	}
	if !s.high && !s.hard && !h.Full {
		u.learn(h)
	}
	return s
}

// judge accuses, or acquits after some half hours that are as they should be.
func (s *ResidualState) judge() {
	s.high = s.high || s.less >= residualLess
	s.hard = s.hard || s.more >= residualMore
	switch accused := s.high && s.last < -residualEnds || s.hard && s.last > 2*residualEnds; {
	case accused || !s.high && !s.hard:
		s.fair = 0
	case s.fair+1 >= residualCalm:
		s.acquit()
	default:
		s.fair++
	}
}

// acquit ends what was suspected; what is known of the house stays.
func (s *ResidualState) acquit() {
	s.less, s.more, s.fair, s.high, s.hard = 0, 0, 0, false, false
}

// learn takes a half hour in, once it is old enough.
func (u *usual) learn(h HalfHour) {
	if u.waits < residualWaits {
		u.waiting[u.waits] = h
		u.waits++
		return
	}
	old := u.waiting[0]
	copy(u.waiting[:], u.waiting[1:])
	u.waiting[residualWaits-1] = h
	if u.n >= residualFull {
		u.heat, u.need = u.heat*(1-1.0/residualFull), u.need*(1-1.0/residualFull)
	}
	u.heat, u.need = u.heat+old.Heat, u.need+old.Need
	u.n = min(u.n+1, residualFull)
}

// What the balance of half an hour is made of, beside the warmth itself.
const (
	warmthWind   = 0.03 // share more of it for each m/s
	warmthCalm   = 4.0  // m/s that are usual
	warmthGale   = 12.0 // m/s beyond which vents and cover let no more through
	warmthFloor  = 1.0  // K for each K that the air is warmer than floor and walls
	warmthChange = 1.5  // K for each K that the air warms meanwhile
)

// Warmth returns the warmth that heat stands against, in K: that of the air over
// outside, more in wind, and more while floor and walls are colder than the air
// or the air is still warming. wind in m/s is NaN where nobody measures it.
func Warmth(over, wind, lead, change float64) float64 {
	if wind >= 0 {
		over *= 1 + warmthWind*(min(wind, warmthGale)-warmthCalm)
	}
	return over + warmthFloor*lead + warmthChange*change
}
