package automation

import (
	"math"
	"time"

	"greenhouse"
)

// How the crop is kept from condensation in the morning, when sun and air warm up
// before it does.
const (
	preHeatLead  = 2 * time.Hour // before sunrise
	preHeatAfter = time.Hour     // after it, for which the warmth is held
	preHeatMost  = 3.0           // K
	morningLong  = 6 * time.Hour // after sunrise, in which the crop is wet if it is to be
	sunWarms     = 50.0          // W/m² from which the sun needs no help
	warmUpRate   = 1.5           // K an hour that the air may warm while the crop is cold
	warmUpRoom   = 0.5           // K that it may run ahead
	guardEnds    = 2.0           // K of margin from which the guard lets go
	wetVents     = 4.0           // times rh_vent_max that vents open more where the crop meets the dew point
)

// guarding is the state of the condensation guard.
type guarding struct {
	heat  float64 // K that the pre-heat adds
	known bool    // there was a morning
	least float64 // K of margin on the last morning, at its least
	now   float64 // the same of the one under way
	in    bool    // a morning is under way
	slow  bool    // warming up is held back
	top   float64 // °C that the air may have by now
}

// guardCrop warms the crop slowly before the sun does it fast, and vents early
// where the air warms faster than the crop can follow.
func (st *State) guardCrop() {
	g, y, air := &st.guarding, &st.drying, &st.seen[airTemp]
	if !st.auto || !st.wantsDry() || math.IsNaN(y.margin) {
		g.heat, g.slow, g.in = 0, false, false
		return
	}
	st.morning()
	defer st.preHeat()
	switch wet := y.margin < cropMargin; {
	case wet && !g.slow:
		g.slow, g.top = true, air.Value
	case !g.slow:
		return
	case y.margin < guardEnds:
		g.top = min(g.top+warmUpRate*st.dt.Hours(), air.Value+warmUpRoom)
	default: // it lets go slowly, or vents would shut and all begin anew
		g.top += warmUpRate * st.dt.Hours()
		g.slow = g.top < st.aim.vent
	}
	if y.useful && !math.IsNaN(st.aim.heat) && !math.IsNaN(st.aim.vent) {
		if st.sunshine() > sunWarms {
			st.aim.heat = st.aim.heatBase // the sun does it, and vents must not wait for heat
		}
		st.aim.vent = max(min(g.top, st.aim.vent), st.aim.heat+leastDeadZone)
	}
}

// morning remembers how near to the dew point the crop came after sunrise.
func (st *State) morning() {
	g := &st.guarding
	after := time.Duration(st.ms-st.cal.sunrise) * time.Millisecond
	in := st.clockTrusted && after >= 0 && after < morningLong
	switch {
	case in && !g.in:
		g.now = st.drying.margin
	case in:
		g.now = min(g.now, st.drying.margin)
	case g.in && after >= morningLong:
		g.least, g.known = g.now, true
	}
	g.in = in
}

// preHeat raises heating by a ramp from two hours before sunrise, holds that for
// an hour after it and lets go by the same ramp. It goes up to the highest level
// of the day, or 1.5 K up where all are much alike. A crop that stayed dry on the
// last morning needs none; where nobody knows yet, it is done if the day is
// warmer than the night, for that heat comes only earlier.
func (st *State) preHeat() {
	g, y := &st.guarding, &st.drying
	heat := &st.decision.SetPoints[setHeat]
	if !st.clockTrusted || !st.has(roleHeater) || y.limited || math.IsNaN(st.aim.heat) || heat.Layer == LayerHold {
		g.heat = 0
		return
	}
	least, most := st.heatLevels()
	begun := time.Duration(st.ms-st.cal.sunrise)*time.Millisecond + preHeatLead
	lift := min(warmUpRate*begun.Hours(), preHeatMost, preHeatMost-warmUpRate*(begun-preHeatLead-preHeatAfter).Hours())
	if lift <= 0 || g.known && g.least > guardEnds || !g.known && most-least < dryHeat {
		g.heat = 0
		return
	}
	g.heat = min(lift, g.heat+warmUpRate*st.dt.Hours())
	to := st.aim.heatBase + min(g.heat, dryHeat)
	if most-least >= dryHeat {
		to = min(st.aim.heatBase+g.heat, most)
	}
	st.aim.heat = max(st.aim.heat, math.Round(to*10)/10)
}

// heatLevels returns the lowest and the highest level of heating over the day.
func (st *State) heatLevels() (least, most float64) {
	z := st.course.now().zone
	if c := z.Schedule[greenhouse.Heating]; len(c) > 0 {
		least, most = c[0].Value, c[0].Value
		for _, k := range c {
			least, most = min(least, k.Value), max(most, k.Value)
		}
		return least, most
	}
	t := z.Targets[greenhouse.Heating]
	return min(t.Day, t.Night), max(t.Day, t.Night)
}
