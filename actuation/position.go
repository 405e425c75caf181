package actuation

import (
	"fmt"
	"math"
	"time"

	"greenhouse"
)

// Motor is what a node says of a drive whose position it works out from how long
// it ran.
type Motor struct {
	State    greenhouse.MotorState
	Position *float64      // where it believes to be; nil: not known
	Travel   time.Duration // of a full travel; 0: not said
}

// lostLong is how long a position may be unknown before that is an alarm: a travel
// and a quarter, one way and back, and the node's turn after a boot.
const lostLong = 10 * time.Minute

// position is what is known of where a drive stands that does not measure it.
type position struct {
	state  greenhouse.MotorState // "": it measures it, or takes no levels
	travel time.Duration
	since  time.Time // of the state
}

// seeking reports whether an end of the drive has to be found first.
func (p position) seeking() bool { return p.state == greenhouse.MotorUnknown }

// suspect reports whether only the ends of its travel are to be trusted.
func (p position) suspect() bool { return p.state == greenhouse.MotorSuspect }

// Motors notes what the status of a node says of its drives, and of which it says
// nothing. Calling it with every status is right, after [Controller.NodeOnline].
// Where the position is not known the level is not either, so that it is ordered
// anew; the safe one too, as that is what finds the position.
func (c *Controller) Motors(uid greenhouse.UID, said map[greenhouse.ChannelName]Motor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for _, a := range c.nodeOf(uid).actuators {
		m := said[a.Channel]
		a.position.travel = m.Travel
		if m.State != a.position.state {
			a.position.state, a.position.since = m.State, now
			c.Wake()
		}
		if m.Position == nil && m.State != "" {
			a.known, a.differs = false, time.Time{}
		}
	}
}

// workTime returns how long a drive may work on a level: by way of one end to the
// other, and a quarter more.
func (p position) workTime() time.Duration { return p.travel*5/2 + 30*time.Second }

// endsOnly returns the level that a drive under suspicion may have: an end as it is,
// anything between them the end that is nearest to safe. What safety wants it gets.
func (a *actuator) endsOnly(level float64, safety bool) (float64, bool) {
	if !a.position.suspect() || safety || level == 0 || level == 1 {
		return level, false
	}
	return math.Round(a.spec.Safe), true
}

// permit has protection rule on a level that arbitration wants. A drive under
// suspicion ends one travel before it begins another.
func (a *actuator) permit(want float64, safety bool, now time.Time) Ruling {
	level, cut := a.endsOnly(want, safety)
	if left := a.position.travel*5/4 - now.Sub(a.eq.Moved); a.position.suspect() && !safety && level != a.eq.Level && left > 0 {
		return Ruling{Level: a.eq.Level, Limit: LimitMinInterval, Left: left} // only what arrives at an end proves anything
	}
	r := a.eq.Permit(a.spec, level, safety, now)
	if cut && r.Limit == LimitNone {
		r.Limit = LimitPosition
	}
	return r
}

// positionText says what is wrong with a position in words of a grower.
func (a *actuator) positionText(now time.Time) string {
	if a.position.suspect() {
		return fmt.Sprintf("%s: an end switch is off from its position by over a tenth of the travel, or never comes: it is driven fully open or shut only, until one full travel is clean", a.Point)
	}
	return fmt.Sprintf("%s: its position has been unknown for %s and no end is found", a.Point, now.Sub(a.position.since).Round(time.Minute))
}
