package automation

import (
	"math"
	"time"

	"greenhouse"
)

// PID is a controller in ISA form: derivative on the filtered measurement,
// set-point weight, and external reset, so that the integral follows whatever
// was really applied (Åström and Murray; tracking after Visioli). Its output is
// a fraction, so parameters of one zone fit another.
type PID struct {
	Kp       float64       // output per unit of error, not negative; air heater 0.25 /K, hot-water pipe 0.2 /K
	Ti       time.Duration // integral time; air heater 900 s, pipe 1800 s; 0: none, the integral stays a bias
	Td       time.Duration // derivative time
	B        float64       // weight of the set-point; 0: 0.7
	N        float64       // filter of the derivative; 0: 8
	Tt       time.Duration // tracking time; 0: Ti, or the root of Ti·Td
	Min, Max float64       // of the output
	DeadBand float64       // of the error: nothing inside it, no jump at its edge
}

// PIDState is what a [PID] remembers. The zero value begins with the output that
// the error alone asks for.
type PIDState struct {
	I, D   float64
	Y      float64 // the last measurement
	V      float64 // the last output before clamping
	Primed bool    // Y and V mean something
}

// PIDOut is an output with its terms.
type PIDOut struct{ U, P, I, D float64 }

// Check refuses parameters that cannot work: a negative gain (the direction is
// told by which error is passed) and an integral time of four hours or more.
func (p PID) Check() error {
	if !(p.Kp >= 0) || p.Ti < 0 || p.Ti >= 4*time.Hour || p.Td < 0 || !(p.Max > p.Min) {
		return greenhouse.Invalid("pid_invalid", "PID parameters cannot work: gain %g (not negative), integral time %s (under 4 h), output %g to %g", p.Kp, p.Ti, p.Min, p.Max)
	}
	return nil
}

// Step returns the output for set-point r, measurement y and feed-forward ff,
// dt after the last step. applied is what became of the last output: the clamped
// output itself where nothing else won. A measurement that is no number freezes
// everything. A dt of 0 integrates nothing and forgets the derivative, as is
// right after a pause.
func (p PID) Step(s PIDState, r, y, ff, applied float64, dt time.Duration) (PIDOut, PIDState) {
	if math.IsNaN(y) || math.IsNaN(r) || math.IsNaN(ff) {
		return PIDOut{U: clamp(s.V, p.Min, p.Max), I: s.I, D: s.D}, s
	}
	e := deadBand(r-y, p.DeadBand)
	prop := p.proportional(r, e)
	switch h := dt.Seconds(); {
	case !s.Primed:
		s = PIDState{I: s.I + p.Kp*e - prop, Primed: true}
	case h > 0:
		s = p.integrate(s, e, y, applied, h)
	default:
		s.D = 0
	}
	s.Y, s.V = y, prop+s.I+s.D+ff
	return PIDOut{U: clamp(s.V, p.Min, p.Max), P: prop, I: s.I, D: s.D}, s
}

// proportional returns Kp(b·r − y), where y is what the error e leaves of r.
func (p PID) proportional(r, e float64) float64 {
	b := p.B
	if b == 0 {
		b = 0.7
	}
	return p.Kp * (b*r - (r - e))
}

// integrate moves integral and derivative on by h seconds.
func (p PID) integrate(s PIDState, e, y, applied, h float64) PIDState {
	n, ti, td := p.N, p.Ti.Seconds(), p.Td.Seconds()
	if n == 0 {
		n = 8
	}
	if td > 0 {
		s.D = td/(td+n*h)*s.D - p.Kp*td*n/(td+n*h)*(y-s.Y)
	}
	if ti > 0 {
		tt := p.Tt.Seconds()
		if tt == 0 {
			tt = ti
			if td > 0 {
				tt = math.Sqrt(ti * td)
			}
		}
		s.I += p.Kp*h/ti*e + min(h/tt, 1)*(applied-s.V)
	}
	return s
}

// Retune returns the state for new parameters, so that the output does not jump
// at the change (set-point r, measurement y).
func (p PID) Retune(s PIDState, to PID, r, y float64) PIDState {
	if s.Primed {
		s.I += p.proportional(r, deadBand(r-y, p.DeadBand)) - to.proportional(r, deadBand(r-y, to.DeadBand))
	}
	return s
}

// Manual returns the state from which automation goes on after someone else held
// the output at u, without a jump.
func (p PID) Manual(s PIDState, r, y, ff, u float64) PIDState {
	s.D, s.Y, s.V, s.Primed = 0, y, u, true
	s.I = u - ff - p.proportional(r, deadBand(r-y, p.DeadBand))
	return s
}

// deadBand returns e shortened by band towards 0.
func deadBand(e, band float64) float64 {
	switch {
	case e > band:
		return e - band
	case e < -band:
		return e + band
	}
	return 0
}

// clamp returns v within lo and hi.
func clamp(v, lo, hi float64) float64 { return max(lo, min(v, hi)) }
