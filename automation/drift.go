package automation

import (
	"math"
	"time"

	"greenhouse"
)

// When half an hour is a clear balance.
const (
	balanceLong   = time.Hour / 2
	balanceLag    = 6 * time.Hour // of floor and walls after the air
	balanceRest   = time.Hour     // after lamps, sun, mist, vents and fans
	balanceDark   = 10.0          // W/m² up to which there is no sun
	balanceShut   = 0.02          // that vents may be open
	balanceLeast  = 5.0           // K of warmth that it takes
	balanceLow    = 0.08          // of full heat; below, the house may be warm by itself
	balanceFull   = 0.95          // of full heat; above, the house may get less than it needs, which is still a lot
	balanceLead   = 2.5           // K between the air and its mean of the last hours
	balanceChange = 1.5           // K that the air may change meanwhile
	balanceScreen = 0.1           // that screens may move meanwhile
	balanceLeap   = 3.0           // K between two readings that are the thermometer's doing, not the air's
)

// When a thermometer reads what no house can be: far colder than outside. Floor
// and walls keep a house cooler than the morning, but not by as much.
const (
	chillFar  = 8.0 // K
	chillEnds = 4.0 // K
	chillLong = 15 * time.Minute
)

// drift follows whether the only thermometer can be right.
type drift struct {
	ResidualState
	alone
	point  greenhouse.PointID // of the thermometer
	node   greenhouse.UID     // that reads it
	window struct {
		long                   time.Duration
		heat, over, wind, lead float64    // integrals over s
		from, to               float64    // °C
		screens                [2]float64 // least and most drawn
		calm                   bool       // the wind is not measured
	}
	mass   float64 // °C of floor and walls, as far as the air tells
	was    float64 // °C, the last reading
	primed bool
	chill  time.Duration // for which it has read what no house can be, less for how long it has not
	low    bool          // it does
	rest   idle          // sun, lamps, mist, vents or fans
}

// drifts compares what heat the house takes with what its only thermometer
// reads, half an hour at a time, and takes the thermometer out of use once it
// cannot be right. Maintenance ends a suspicion and has the house learned anew;
// another node for the point ends it as well, and by itself it ends when the heat
// agrees with the reading again.
func (st *State) drifts() {
	d := &st.drift
	was := d.wrong()
	if d.wrong() || d.hard {
		switch s := st.sensor(d.point); {
		case s == nil || s.point.Node != d.node:
			d.acquit()
			d.low, d.alone = false, alone{}
		case st.zone.Mode == greenhouse.ModeMaintenance: // people say that it is right: then the house is another
			*d = drift{point: d.point, node: d.node}
		}
	}
	d.apart += st.elapse
	if t, ok := st.thermometer(); ok {
		st.leaps(t)
		st.stills(t)
		st.chills(t)
		st.weigh(t)
	} else {
		d.window.long = 0
	}
	if d.wrong() {
		st.decision.Doubted = append(st.decision.Doubted, d.point)
		if !was {
			st.vote(airTemp) // at once: protection must not act on what cannot be
		}
	}
}

// thermometer returns what the only thermometer reads, whatever it is worth; false
// where it says nothing, or others stand beside it.
func (st *State) thermometer() (float64, bool) {
	d, air := &st.drift, &st.seen[airTemp]
	if d.wrong() {
		s := st.sensor(d.point)
		fresh := s.heard && s.age <= s.probe.Stale && !math.IsNaN(s.raw)
		return s.raw, fresh && !(air.ok() && air.N > 0)
	}
	if air.quality != greenhouse.Good || air.N != 1 {
		return 0, false
	}
	switch s := st.sensor(st.witness(airTemp)); {
	case s == nil:
		return 0, false
	case s.point.ID != d.point:
		*d = drift{point: s.point.ID, node: s.point.Node}
	default:
		d.node = s.point.Node
	}
	return air.Value, true
}

// chills notices a thermometer that reads far colder than outside.
func (st *State) chills(t float64) {
	d, out := &st.drift, st.value(outTemp)
	far := chillFar
	if d.low {
		far = chillEnds
	}
	if math.IsNaN(out) || st.mean(roleMister) > 0 {
		return
	}
	if is := t < out-far; is == d.low { // heat and vents make it swing
		d.chill = max(0, d.chill-st.dt)
	} else if d.chill += st.dt; d.chill >= chillLong {
		d.low, d.chill = is, 0
	}
}

// weigh adds one decision to the half hour under way, and judges it when it is
// over.
func (st *State) weigh(t float64) {
	d, w := &st.drift, &st.drift.window
	if !d.primed {
		d.mass, d.was, d.primed = t, t, true
	}
	if leap := t - d.was; math.Abs(leap) > balanceLeap {
		d.mass, w.long = d.mass+leap, 0
	}
	if d.was = t; d.wrong() {
		d.mass = t // the house is steady, whatever is read
	}
	d.mass += (t - d.mass) * lag(st.dt, balanceLag)
	out, sun := st.value(outTemp), st.sunshine()
	d.rest.step(!(sun <= balanceDark) || st.mean(roleVent) > balanceShut || st.mean(roleFan) > 0 || st.mean(roleLamp) > 0 || st.mean(roleMister) > 0, st.dt)
	if st.dt == 0 || math.IsNaN(out) || d.rest.left(balanceRest) > 0 || !st.has(roleHeater) || !st.reported(roleHeater) || st.backup.role != backupNone {
		w.long = 0
		return
	}
	screen := st.mean(roleScreen)
	if w.long == 0 {
		w.heat, w.over, w.wind, w.lead, w.from, w.screens, w.calm = 0, 0, 0, 0, t, [2]float64{screen, screen}, false
	}
	s, wind := st.dt.Seconds(), st.value(wind)
	w.long, w.to = w.long+st.dt, t
	w.heat, w.over, w.lead = w.heat+st.mean(roleHeater)*s, w.over+(t-out)*s, w.lead+(t-d.mass)*s
	w.screens = [2]float64{min(w.screens[0], screen), max(w.screens[1], screen)}
	if w.wind += wind * s; math.IsNaN(wind) {
		w.calm = true
	}
	if w.long >= balanceLong {
		st.judgeHalfHour()
		w.long = 0
	}
}

// judgeHalfHour has a half hour judged that was clear.
func (st *State) judgeHalfHour() {
	d, w := &st.drift, &st.drift.window
	s := w.long.Seconds()
	heat, over, wind, lead, change := w.heat/s, w.over/s, w.wind/s, w.lead/s, w.to-w.from
	if w.calm {
		wind = math.NaN()
	}
	need := Warmth(over, wind, lead, change)
	if heat < balanceLow || min(over, need) < balanceLeast || math.Abs(lead) > balanceLead || math.Abs(change) > balanceChange || w.screens[1]-w.screens[0] > balanceScreen {
		return
	}
	d.ResidualState = Residual{Calm: w.calm}.Step(d.ResidualState, HalfHour{Heat: heat, Need: need, Drawn: w.screens[1] > 0.5, Full: heat > balanceFull})
}

// wrong reports whether the thermometer cannot be right.
func (d *drift) wrong() bool { return d.high || d.low || d.leapt || d.frozen }

// drifted reports whether a sensor is the thermometer, and drifted.
func (st *State) drifted(s *sensor) bool {
	return (st.drift.high || st.drift.low) && s.point.ID == st.drift.point
}

// accused reports whether a sensor is the thermometer that cannot be right.
func (st *State) accused(s *sensor) bool {
	return st.drift.wrong() && s.point.ID == st.drift.point
}

// distrust takes the thermometer out of the vote that cannot be right.
func (st *State) distrust(sensors []sensor) {
	for i := range sensors {
		if s := &sensors[i]; st.accused(s) {
			s.now = Judged{math.NaN(), greenhouse.Suspect, greenhouse.Suspect}
		}
	}
}

// lowShare is the share of the usual heat that every house takes in any weather.
const lowShare = 0.6

// heatLeast returns the least heat that is given: while the thermometer may read
// too high, what the house takes at least for its set-point, whatever is read.
func (st *State) heatLeast() float64 {
	out := st.value(outTemp)
	if !st.drift.Low() || math.IsNaN(out) || !(st.sunshine() <= balanceDark) || st.venting.pos > 0 {
		return 0
	}
	return clamp(lowShare*st.learned.balance(st.aim.heat, out, 0), 0, limpMost)
}

// hardMost is how far below the heat limit the house is kept by what is known of
// it, where its thermometer may read too low, K.
const hardMost = 5.0

// warmest returns the temperature to vent by: where the house takes more heat
// than it should, its thermometer may read too low, and what the sun would make of
// the house counts if that is more.
func (st *State) warmest(t float64) float64 {
	if free := st.freeRun(); st.drift.hard && free > t {
		return free
	}
	return t
}

// heatMost returns the most heat that is given: where the thermometer may read too
// low, no more than brings the house near its heat limit.
func (st *State) heatMost() float64 {
	out, sun := st.value(outTemp), st.sunshine()
	if !st.drift.hard || math.IsNaN(out) || math.IsNaN(sun) {
		return 1
	}
	return clamp(st.learned.balance(st.tuning.HeatLimit-hardMost, out, sun), 0, 1)
}

// lossTrust is how many times the slow estimate of the loss the fast one may be.
const lossTrust = 1.5

// holding returns the share of full heat that holds the house at t °C, below 0
// where it grows warmer by itself: by the half hours that the thermometer is judged
// by, in the wind as it is now, where there are enough of them; but never far from
// what was learned slowly.
func (st *State) holding(t, out, sun float64) (heat, loss float64) {
	u := &st.drift.usual[0]
	if st.mean(roleScreen) > 0.5 {
		u = &st.drift.usual[1]
	}
	l := &st.learned
	if u.n < residualSure || u.need <= 0 {
		return l.balance(t, out, sun), l.loss
	}
	loss = clamp(u.heat/u.need, l.loss/lossTrust, l.loss*lossTrust)
	return loss*Warmth(t-out, st.value(wind), 0, 0) - l.sun*sun, loss
}

// remember returns what has to be kept; nil where nothing is known.
func (d *drift) remember() *BalanceMemory {
	m := BalanceMemory{Less: d.less, More: d.more, High: d.high, Hard: d.hard, Low: d.low, Leapt: d.leapt, Left: d.left, Frozen: d.frozen, At: d.at, Point: d.point, Node: d.node}
	for i := range d.usual {
		u := &d.usual[i]
		m.Heat[i], m.Need[i], m.Of[i] = u.heat, u.need, u.n
	}
	if m.Of[0]+m.Of[1] == 0 && !d.wrong() {
		return nil
	}
	return &m
}

// recall takes over what was known before a restart, as far as it makes sense.
func (d *drift) recall(m *BalanceMemory) {
	if m == nil || m.Point == "" {
		return
	}
	*d = drift{point: m.Point, node: m.Node, low: m.Low, alone: alone{leapt: m.Leapt, left: m.Left, frozen: m.Frozen, at: m.At}, primed: m.Frozen || m.Leapt, was: m.At, mass: m.At}
	known := false
	for i := range d.usual {
		if loss := m.Heat[i] / m.Need[i]; m.Of[i] > 0 && m.Need[i] > 0 && loss >= leastLoss && loss <= mostLoss {
			d.usual[i] = usual{heat: m.Heat[i], need: m.Need[i], n: min(m.Of[i], residualFull)}
			known = true
		}
	}
	if known {
		d.less, d.more = clamp(m.Less, 0, 2*residualLess), clamp(m.More, 0, 2*residualMore)
		d.high, d.hard = m.High, m.Hard
	}
}
