package automation

import (
	"math"
	"time"

	"greenhouse"
)

// When a flat line is a fault. Healthy air temperature was seen to stand for 110
// minutes in commercial houses, so standing alone proves nothing: it takes both
// temperature and humidity, and something that should have moved them.
const (
	flatLong      = 45 * time.Minute
	noResponse    = 20 * time.Minute // of full heat
	leastResponse = 0.3              // K that it should have moved the air by
)

// What the balance of the house must be out by, in minutes of full heat, for air
// that stands still to be impossible: so much warms or cools any house by over a
// kelvin.
const (
	offBalance  = 10.0 // where the house has been learned
	offGuessing = 15.0 // where it is only guessed at
	flatStarts  = 3    // of heat, none of which is seen in temperature or humidity
)

// flat follows how long temperature and humidity have stood still together, and
// what should have moved them meanwhile.
type flat struct {
	t, rh   float64
	stood   time.Duration
	heater  [2]float64    // least and most level since
	full    time.Duration // of full heat until now
	out     [2]float64    // °C, least and most since
	vents   float64       // most open since
	balance float64       // min of full heat given beyond what the house needs
	starts  int           // of heat
	heats   bool
	frozen  bool
	points  [2]greenhouse.PointID // that are
	started bool
}

// stands notices sensors that are frozen, takes their temperature out of use and
// names both, so that what they go on to say is held in doubt where it is kept.
// They stay so until one of them moves. Where several sensors vote, they watch
// each other.
func (st *State) stands() {
	f, air, rh := &st.flat, &st.seen[airTemp], &st.seen[airRH]
	if f.frozen {
		if t, h := st.sensor(f.points[0]), st.sensor(f.points[1]); t != nil && h != nil && t.stands(f.t) && h.stands(f.rh) {
			st.freeze()
			return
		}
		*f = flat{}
	}
	if air.quality != greenhouse.Good || rh.quality != greenhouse.Good || air.N != 1 || rh.N != 1 {
		*f = flat{}
		return
	}
	heater, out, vents := st.mean(roleHeater), st.value(outTemp), st.mean(roleVent)
	if !f.started || air.Value != f.t || rh.Value != f.rh {
		*f = flat{t: air.Value, rh: rh.Value, heater: [2]float64{heater, heater}, out: [2]float64{out, out}, vents: vents, heats: heater >= 0.5, started: true}
		return
	}
	f.stood += st.dt
	if f.full += st.dt; heater < 0.9 {
		f.full = 0
	}
	f.heater[0], f.heater[1] = min(f.heater[0], heater), max(f.heater[1], heater)
	if !math.IsNaN(out) {
		f.out[0], f.out[1] = min(f.out[0], out), max(f.out[1], out)
	}
	f.vents = max(f.vents, vents)
	moved := f.heater[1]-f.heater[0] >= 0.3 || f.vents >= 0.1 || f.out[1]-f.out[0] >= 1
	if heats := heater >= 0.5; heats != f.heats {
		if f.heats = heats; heats {
			f.starts++
		}
	}
	pulsed := f.stood >= noResponse && f.starts >= flatStarts && rh.Value < 99
	if pulsed || f.stood >= flatLong && moved && rh.Value < 99 || f.full >= noResponse || st.unbalanced(air.Value, out) {
		f.frozen, f.points = true, [2]greenhouse.PointID{st.witness(airTemp), st.witness(airRH)}
		st.freeze()
	}
}

// stands reports whether a sensor has said nothing else than a value.
func (s *sensor) stands(at float64) bool { return !s.heard || s.raw == at }

// witness returns the one sensor of a quantity that is good.
func (st *State) witness(q quantity) greenhouse.PointID {
	for i := st.votes[q].from; i < st.votes[q].to; i++ {
		if s := &st.sensors[i]; s.now.Quality == greenhouse.Good {
			return s.point.ID
		}
	}
	return ""
}

// sensor returns the sensor of a point, nil where there is none.
func (st *State) sensor(p greenhouse.PointID) *sensor {
	for i := range st.sensors {
		if st.sensors[i].point.ID == p {
			return &st.sensors[i]
		}
	}
	return nil
}

// freeze takes the frozen pair out of use.
func (st *State) freeze() {
	air := &st.seen[airTemp]
	air.Voted, air.quality = Vote(nil, 0), greenhouse.Suspect
	st.decision.Doubted = append(st.decision.Doubted, st.flat.points[:]...)
}

// unbalanced reports whether heat and weather should have moved the air by more
// than a kelvin while it stood still.
func (st *State) unbalanced(t, out float64) bool {
	f, l, sun := &st.flat, &st.learned, st.sunshine()
	if math.IsNaN(out) || math.IsNaN(sun) || l.loss == 0 || st.mean(roleVent) > 0.02 || st.mean(roleFan) > 0 || !st.reported(roleHeater) {
		return false
	}
	f.balance += (st.mean(roleHeater) - l.balance(t, out, sun)) * st.dt.Minutes()
	most := offGuessing
	if l.nights >= learnPrior {
		most = offBalance
	}
	return f.stood >= noResponse && math.Abs(f.balance) >= most && st.seen[airRH].Value < 99
}

// responds follows what full heat does to the air.
func (st *State) responds() {
	h, air := &st.heating, &st.seen[airTemp]
	full := st.has(roleHeater) && st.mean(roleHeater) >= 0.9 && air.ok() && !(air.Value > st.aim.heat-0.5)
	switch {
	case !full:
		h.full = 0
	case h.full == 0:
		h.full, h.from = max(st.dt, 1), air.Value
	default:
		h.full += st.dt
		if h.full < noResponse || air.Value-h.from < leastResponse {
			return
		}
		h.full, h.from = 1, air.Value
	}
}
