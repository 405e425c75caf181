package automation

import (
	"math"
	"time"
)

// How mist is made.
const (
	mistPulse  = 10 * time.Second
	mistRest   = time.Minute
	mistVPD    = 1.4 // kPa above which the air is too dry, where no target says so
	mistBelow  = 10  // % RH below the highest wanted
	mistMargin = 2.0 // K that the crop must be above the dew point
)

// misting is the state of the mister.
type misting struct {
	pulse Switch
	ever  bool
}

// mist moistens dry air by day, in pulses that have time to evaporate.
func (st *State) mist() {
	m, y := &st.misting, &st.drying
	if !st.has(roleMister) {
		return
	}
	limit := mistVPD
	if !math.IsNaN(st.aim.vpd) {
		limit = st.aim.vpd + 0.2
	}
	if !st.auto || math.IsNaN(y.vpd) || math.IsNaN(st.aim.vpd) && math.IsNaN(st.aim.rh) {
		m.pulse = Switch{Since: m.pulse.Since + st.dt}
		for _, i := range st.roles[roleMister] {
			st.devices[i].level = st.devices[i].point.Safe
		}
		return
	}
	most := 90.0
	if !math.IsNaN(st.aim.rh) {
		most = st.aim.rh
	}
	wanted, why := y.vpd > limit && st.seen[airRH].Value < most-mistBelow && y.margin >= mistMargin, whyFogOff
	switch {
	case wanted && !st.day:
		wanted, why = false, whyFogNight
	case wanted:
		why = whyFogOn
	}
	m.pulse.Since += st.dt
	switch {
	case m.pulse.On && (m.pulse.Since >= mistPulse || !wanted):
		m.pulse = Switch{}
	case !m.pulse.On && wanted && (!m.ever || m.pulse.Since >= mistRest):
		m.pulse, m.ever = Switch{On: true}, true
	}
	level := 0.0
	if m.pulse.On {
		level = 1
	} else if wanted {
		why = whyFogPause
		st.timer(roleMister, "rest", (mistRest - m.pulse.Since).Seconds())
	}
	st.term(roleMister, "vpd", y.vpd)
	st.term(roleMister, "set_point", limit)
	for _, i := range st.roles[roleMister] {
		st.want(i, slotLoop, "humidity", level, why, y.vpd, limit, 0)
	}
}
