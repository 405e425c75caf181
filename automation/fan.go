package automation

import (
	"time"

	"greenhouse"
)

// How a house without vents changes its air against humidity: the fan runs for
// a few minutes, then the air is warmed again.
const (
	purgeEvery = 20 * time.Minute
	purgeRun   = 3 * time.Minute
	purgeFrom  = 0.3 // of the demand for drying
)

// runFans brings fans in where vents are as open as they may be and the
// temperature still rises, or from the set-point on where there are no vents.
// limit is how far the weather lets vents open.
func (st *State) runFans(band, limit float64, blocked bool, because reason) {
	v, k, fans := &st.venting, &st.tuning, st.roles[roleFan]
	if len(fans) == 0 {
		return
	}
	from := st.aim.vent
	if st.has(roleVent) {
		from += band * min(limit, 1)
	}
	if v.open += st.dt; st.has(roleVent) && v.pos < limit-0.005 {
		v.open = 0
	}
	p := Stager{N: len(fans), First: Hysteresis{On: k.HeatOn, Off: 0.5}, Delay: k.stageDelay}
	for _, i := range fans {
		p.First.MinOn, p.First.MinOff = max(p.First.MinOn, st.devices[i].spec.MinOn), max(p.First.MinOff, st.devices[i].spec.MinOff)
	}
	later := st.has(roleVent) && v.open < k.stageDelay && v.air < from+changeoverEscape
	err := v.air - from
	if blocked || later && !v.fans.First.On {
		err = min(err, 0)
	}
	var hold Hold
	v.fans, hold = p.Step(v.fans, err, st.dt)
	n := v.fans.Count()
	st.term(roleFan, "set_point", from)
	st.term(roleFan, "error", v.air-from)
	st.holdTimer(roleFan, hold, v.fans.First.Since, p.First)
	if hold == HoldStage {
		st.timer(roleFan, "stage_delay", (p.Delay - v.fans.Since).Seconds())
	}
	st.pick(fans, n)
	purge := st.purges()
	for _, i := range fans {
		d := &st.devices[i]
		why, c := st.fanReason(d.level > 0, later, blocked, from), k.HeatOn
		switch {
		case why == whyFanStays:
			c = 0.5
		case why == whyVentWaits || why == whyVentHeat:
			why = because
		}
		if purge && d.level == 0 {
			st.want(i, slotLoop, "humidity", 1, st.humid(whyFanPurge), st.value(airRH), 0, 0)
			continue
		}
		st.want(i, slotLoop, "venting", d.level, why, v.air, from, c)
	}
}

// fanReason words the state of one fan.
func (st *State) fanReason(on, later, blocked bool, from float64) reason {
	if st.venting.blind {
		return whyLimpVent
	}
	hot := st.venting.air > from+st.tuning.HeatOn
	switch {
	case on && hot:
		return whyFanOn
	case on:
		return whyFanStays
	case blocked && hot:
		return whyVentWaits
	case later && hot:
		return whyFanLater
	}
	return whyFanOff
}

// purges reports whether the fan of a house without vents changes the air now.
func (st *State) purges() bool {
	v, y := &st.venting, &st.drying
	if st.has(roleVent) || !y.useful || y.demand < purgeFrom {
		v.purge = 0
		return false
	}
	v.purge = (v.purge + st.dt) % purgeEvery
	return v.purge < purgeRun
}

// burnerRest is how long after an exhaust fan a burner stays off: until the draught
// is over.
const burnerRest = time.Minute

// burners keeps burners off while an exhaust fan runs and a minute after, for it
// would draw their flue gas into the house. It does so in every mode, and nobody
// can order otherwise.
func (st *State) burners() {
	s := &st.safety
	s.draught.step(st.fanRuns(), st.elapse)
	left := s.draught.left(burnerRest)
	if left <= 0 {
		return
	}
	for _, i := range st.roles[roleHeater] {
		if st.devices[i].spec.Class == greenhouse.ClassBurner {
			st.bound(i, slotEnvelope, greenhouse.PrioritySafety, "burner", false, 0, whyBurner, 0, 0, 0)
			st.timer(roleHeater, "draught", left.Seconds())
		}
	}
}

// fanRuns reports whether a fan runs or is about to.
func (st *State) fanRuns() bool {
	for _, i := range st.roles[roleFan] {
		if d := &st.devices[i]; d.level > 0 && st.auto || d.applied > 0 {
			return true
		}
	}
	return false
}

// maxRotated is how many devices of one role take turns; further ones run with
// the last.
const maxRotated = 8

// pick has n of some devices run, the ones that ran least first.
func (st *State) pick(devices []int, n int) {
	var on [maxRotated]bool
	var ran [maxRotated]time.Duration
	m := min(len(devices), maxRotated)
	for k, i := range devices[:m] {
		on[k], ran[k] = st.devices[i].turn, st.devices[i].ran
	}
	rotate(on[:m], ran[:m], min(n, m))
	for k, i := range devices {
		d := &st.devices[i]
		if d.turn, d.level = on[min(k, m-1)], 0; d.turn {
			d.level = 1
		}
	}
}
