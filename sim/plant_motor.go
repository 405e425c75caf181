package sim

import "time"

// What a drive of the simulation really is, against its name plate: it opens a
// little more slowly, shuts a little faster, and starts a little late.
const (
	motorOpens  = 1.01
	motorShuts  = 0.99
	motorStarts = 0.5   // s
	endAt       = 0.004 // where the end switches are, from the ends
)

// Motor is the drive behind two relays: open, close. It knows nothing of levels;
// its position is the truth that firmware can only estimate.
type Motor struct {
	dir     Direction
	run     float64 // s since the relay was closed, until turned
	turned  time.Time
	pending []turn // relays that closed or opened since the last step
}

// turn is an instant at which the relays changed.
type turn struct {
	at time.Time
	to Direction
}

// Turn closes the relay of a direction, or opens both, at an instant of simulated
// time.
func (m *Motor) Turn(to Direction, at time.Time) { m.pending = append(m.pending, turn{at, to}) }

// drive returns which way and for how many seconds the drive really moves until
// now, summed up: opening is positive. Its relays count to the instant, however the
// physics is cut into steps.
func (m *Motor) drive(now time.Time) float64 {
	moved := 0.0
	pass := func(until time.Time) {
		if m.turned.IsZero() {
			m.turned = until
		}
		dt := max(0, until.Sub(m.turned).Seconds())
		m.turned = until
		if m.dir == Halt {
			return
		}
		was := max(0, m.run-motorStarts)
		m.run += dt
		moved += float64(m.dir) * (max(0, m.run-motorStarts) - was)
	}
	for len(m.pending) > 0 && !m.pending[0].at.After(now) {
		pass(m.pending[0].at)
		if to := m.pending[0].to; to != m.dir {
			m.dir, m.run = to, 0
		}
		m.pending = m.pending[1:]
	}
	pass(now)
	return moved
}

// turnBy moves a position by so many seconds of running.
func (a *Actuator) turnBy(moved, slower float64) float64 {
	travel := a.travel * slower * motorOpens
	if moved < 0 {
		travel = a.travel * slower * motorShuts
	}
	return clamp(a.position+moved/travel, 0, 1)
}

// moveMotor lets a drive behind relays run until now under the given faults.
func (a *Actuator) moveMotor(now time.Time, dt float64, faults []*activeFault) {
	moved, slower := a.motor.drive(now), 1.0
	for _, f := range faults {
		switch f.Verb {
		case Slow:
			slower = f.strength
		case Reversed:
			moved = -moved
		}
	}
	for _, f := range faults {
		switch f.Verb {
		case StuckOn:
			a.position = approach(a.position, 1, dt, a.travel)
			return
		case StuckOff:
			a.position = approach(a.position, 0, dt, a.travel)
			return
		case Stuck:
			a.position = approach(a.position, f.hold(a.position, f.Value), dt, a.travel)
			return
		}
	}
	a.position = a.turnBy(moved, slower)
}

// Ends returns the end switches of a drive.
func (a *Actuator) Ends(faults []*activeFault) (closed, open bool) {
	slip := 0.0
	for _, f := range faults {
		switch f.Verb {
		case EndsDead:
			return false, false
		case EndSlips:
			slip = f.strength
		}
	}
	return a.position <= endAt, a.position >= 1-endAt-slip
}
