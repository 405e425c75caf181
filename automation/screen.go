package automation

import "math"

// How energy screens are drawn.
const (
	screenWorth = 8.0  // K that outside must be below the set-point
	screenBack  = 2.0  // K of hysteresis on that
	screenLight = 30.0 // W/m² outside from which the crop wants the light
	screenGap   = 0.97 // drawn, with a gap for moisture
)

// screening is the state of the screens.
type screening struct{ drawn bool }

// screens draws energy screens by night when it is cold outside, and opens them
// for the light of the day.
func (st *State) screens() {
	s := &st.screen
	if !st.has(roleScreen) {
		return
	}
	if !st.auto || math.IsNaN(st.aim.heatBase) {
		s.drawn = false
		for _, i := range st.roles[roleScreen] {
			st.devices[i].level = st.devices[i].point.Safe
		}
		return
	}
	night := !st.day
	if l := &st.seen[solar]; l.ok() {
		night = l.Value < screenLight
	}
	out, sp := st.value(outTemp), st.aim.heatBase
	cold := math.IsNaN(out) || out < sp-screenWorth || s.drawn && out < sp-screenWorth+screenBack
	s.drawn = night && cold
	level, why := 0.0, whyScreenDay
	switch {
	case s.drawn && st.drying.demand > 0.3:
		level, why = screenGap, whyScreenGap
	case s.drawn:
		level, why = 1, whyScreenNight
	case night:
		why = whyScreenMild
	}
	if s.drawn && math.IsNaN(out) {
		why = whyScreenDark
	}
	for _, i := range st.roles[roleScreen] {
		st.want(i, slotLoop, "screen", level, why, out, sp, 0)
	}
}
