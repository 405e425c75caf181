package actuation

import (
	"time"

	"greenhouse"
)

// lampSpread is over how long the lamps of a whole site light up at most.
const lampSpread = 2 * time.Minute

// lamp reports whether an actuator is a lamp.
func lamp(a *actuator) bool {
	return a.Class == greenhouse.ClassLampHPS || a.Class == greenhouse.ClassLampLED
}

// lampTurn reports whether a lamp may light up now, and takes the turn: the lamps
// of many zones are wanted at the same instant of the day, and each draws many
// times its current at the start. Other loads have reasons of their own to start
// when they do.
func (c *Controller) lampTurn(now time.Time) bool {
	if c.o.Stagger <= 0 {
		return true
	}
	if !now.After(c.lampNext) {
		return false
	}
	gap := min(c.o.Stagger, lampSpread/time.Duration(max(1, c.lamps)))
	c.lampNext = latest(c.lampNext, now.Add(-c.o.Period)).Add(gap)
	return true
}
