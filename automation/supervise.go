package automation

import (
	"math"
	"time"

	"greenhouse"
)

// When a heater that should be off is taken to be on.
const (
	stuckRise   = 1.0              // K
	stuckLong   = 10 * time.Minute // in which the air rises so far
	stuckRest   = 5 * time.Minute  // after heat and everything else came to rest
	stuckSlow   = 20 * time.Minute // the same for heaters that take levels: pipes stay hot
	stuckSun    = 20.0             // W/m² from which the sun may be what warms
	stuckChange = 0.05             // of vents, screens, lamps, fans and misters, that counts as a change
)

// supervising watches for heat that nobody ordered.
type supervising struct {
	rest   time.Duration // since anything last changed that warms or cools
	others float64       // levels of vents, screens, lamps, fans and misters together
	from   float64       // °C
	long   time.Duration // since from
	rose   float64       // K, when it was found
	stuck  bool
}

// supervise notices a house that grows warmer while its heaters are off and
// nothing else can be the cause. It holds until the house needs heat again, for
// as long as a heater is stuck on it does not.
func (st *State) supervise() {
	s, air := &st.watching, &st.seen[airTemp]
	if !air.ok() || air.quality != greenhouse.Good || st.backup.role != backupNone {
		s.rest, s.long = 0, 0
		return
	}
	if s.stuck {
		s.stuck = !(air.Value <= st.aim.heat) && st.has(roleHeater)
		st.aim.vent = min(st.aim.vent, st.aim.heat+leastDeadZone)
	}
	if !st.atRest() {
		s.rest, s.long = 0, 0
		return
	}
	wait := stuckRest
	if st.devices[st.roles[roleHeater][0]].spec.Modulating {
		wait = stuckSlow
	}
	if s.rest += st.dt; s.rest < wait {
		return
	}
	if s.long == 0 {
		s.from = air.Value
	}
	if s.long += st.dt; air.Value < s.from {
		s.from, s.long = air.Value, 0
	}
	if s.long <= stuckLong && air.Value-s.from >= stuckRise {
		s.stuck, s.rose = true, air.Value-s.from
	}
	if s.long >= stuckLong {
		s.long = 0
	}
}

// atRest reports whether heat is off and nothing else explains that the air grows
// warmer: no sun, no lamps, no warmer weather, no wide vents, nothing that has just
// been shut.
func (st *State) atRest() bool {
	if !st.has(roleHeater) {
		return false
	}
	for _, i := range st.roles[roleHeater] {
		if d := &st.devices[i]; d.level > 0 || d.applied > 0 || !d.known {
			return false
		}
	}
	s, others := &st.watching, 0.0
	for _, r := range [...]role{roleVent, roleFan, roleLamp, roleScreen, roleMister} {
		for _, i := range st.roles[r] {
			others += st.devices[i].applied
		}
	}
	same := math.Abs(others-s.others) < stuckChange
	if !same {
		s.others = others
	}
	out, sun := st.value(outTemp), st.sunshine()
	return same && st.mean(roleVent) < 0.5 && st.mean(roleLamp) == 0 && sun < stuckSun && !(out > st.seen[airTemp].Value-1)
}
