package automation

import (
	"math"
	"time"
)

// How energy screens are drawn.
const (
	screenWorth = 8.0              // K that outside must be below the set-point
	screenBack  = 2.0              // K of hysteresis on that
	screenLight = 30.0             // W/m² outside from which the crop wants the light
	screenGap   = 0.97             // drawn, with a gap for moisture
	screenDawn  = 15 * time.Minute // with that gap before it opens
)

// How screens shade.
const (
	shadeDrawn = 0.6              // the rest is for the vents
	shadeLong  = 10 * time.Minute // of light beyond the limit, before a cloud is none
	shadeEnds  = 0.8              // of the limit, below which shading ends
)

// screening is the state of the screens.
type screening struct {
	drawn   bool
	gap     time.Duration // left of the gap before it opens
	shading bool
	turning time.Duration // for which the light has asked for the opposite
}

// screens draws energy screens by night when it is cold outside, and opens them
// for the light of the day: with a gap at first, as the air above them is cold and
// would fall on the crop. Where a limit of light is set they shade above it.
// When frost is near they are drawn at any time.
func (st *State) screens() {
	s := &st.screen
	if !st.has(roleScreen) {
		return
	}
	if !st.auto || math.IsNaN(st.aim.heatBase) {
		*s = screening{}
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
	was := s.drawn
	s.drawn = night && cold
	if s.gap = max(0, s.gap-st.dt); was && !s.drawn && cold {
		s.gap = screenDawn
	}
	if s.drawn || st.seen[airTemp].Value > st.aim.vent {
		s.gap = 0 // it is warm: nothing cold falls
	}
	st.shade()
	level, why := 0.0, whyScreenDay
	freezes := st.safety.near || st.safety.frost
	switch {
	case freezes:
		level, why = 1, whyScreenFrost
	case s.shading:
		level, why, out, sp = shadeDrawn, whyScreenShade, st.seen[solar].Value, st.tuning.ShadeWM2
	case s.gap > 0:
		level, why = screenGap, whyScreenDawn
		st.timer(roleScreen, "gap", s.gap.Seconds())
	case s.drawn && st.drying.demand > 0.3:
		level, why = screenGap, whyScreenGap
	case s.drawn:
		level, why = 1, whyScreenNight
	case night:
		why = whyScreenMild
	}
	if s.drawn && !freezes && math.IsNaN(out) {
		why = whyScreenDark
	}
	for _, i := range st.roles[roleScreen] {
		st.want(i, slotLoop, "screen", level, why, out, sp, 0)
	}
}

// shade finds whether screens shade: where the sun outside has been above the limit
// for a while, until it has been well below it for as long.
func (st *State) shade() {
	s, sun, most := &st.screen, &st.seen[solar], st.tuning.ShadeWM2
	if most <= 0 || !sun.ok() {
		s.shading, s.turning = false, 0
		return
	}
	other := sun.Value >= most
	if s.shading {
		other = sun.Value < shadeEnds*most
	}
	if s.turning += st.dt; !other {
		s.turning = 0
	}
	if s.turning >= shadeLong {
		s.shading, s.turning = !s.shading, 0
	}
}
