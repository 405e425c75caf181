package automation

import (
	"math"
	"time"

	"greenhouse"
)

// When one of two thermometers has leapt: no air does so much so soon while the
// other one stays where it was. Somebody changed the unit, a wire came loose, a
// lamp shines on it.
const (
	leapFar  = 15.0 // K
	leapSoon = 3 * time.Minute
)

// unmask takes the thermometer that has leapt out of the vote of two. Where they
// drift apart both ends count, each for the hazard it is the safe side of; but one
// that suddenly reads another world would tear the vents open in a frost. It is
// heard again once it agrees with the other, or, where that is lost, comes back to
// about where it was.
func (st *State) unmask(sensors []sensor, agree float64) {
	if len(sensors) != 2 {
		return
	}
	a, b := &sensors[0], &sensors[1]
	if a.usable() && b.usable() {
		if math.Abs(a.now.Value-b.now.Value) <= agree {
			a.agreed, b.agreed, a.leapt, b.leapt, st.parted = a.now.Value, b.now.Value, false, false, 0
			st.paired = true
			return
		}
		st.parted += st.dt
		if st.paired && st.parted <= leapSoon {
			a.leapt = a.leapt || a.gone() >= leapFar && b.gone() <= agree
			b.leapt = b.leapt || b.gone() >= leapFar && a.gone() <= agree
		}
	}
	for _, pair := range [...][2]*sensor{{a, b}, {b, a}} {
		s, other := pair[0], pair[1]
		if s.leapt && !other.usable() && s.usable() && s.gone() < leapFar {
			s.leapt = false
		}
	}
	for _, s := range [...]*sensor{a, b} {
		if s.leapt {
			s.now = Judged{math.NaN(), greenhouse.Suspect, greenhouse.Suspect}
		}
	}
}

// usable reports whether the sensor has a value to go by.
func (s *sensor) usable() bool { return s.now.Quality <= greenhouse.Held }

// gone returns how far the sensor has gone since it last agreed with its other, K.
func (s *sensor) gone() float64 { return math.Abs(s.now.Value - s.agreed) }
