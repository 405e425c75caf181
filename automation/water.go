package automation

import (
	"time"

	"greenhouse"
)

// waterHold is how long a float or a leak sensor is believed after it last spoke
// up: water makes waves.
const waterHold = time.Minute

// watering is what floats and leak sensors say: the time left of each.
type watering struct{ low, high, leak time.Duration }

// guardWater keeps pumps from running dry, tanks from running over, and water
// from running out, whoever wants otherwise. Automation has no other part in
// water yet.
func (st *State) guardWater() {
	w := &st.water
	for _, s := range [...]struct {
		of   quantity
		left *time.Duration
	}{{levelLow, &w.low}, {levelHigh, &w.high}, {leakage, &w.leak}} {
		if *s.left = max(0, *s.left-st.elapse); st.seen[s.of].ok() && st.seen[s.of].Hi >= 0.5 {
			*s.left = waterHold
		}
	}
	deaf := st.seen[levelHigh].any && !st.seen[levelHigh].ok()
	for _, i := range st.roles[roleOther] {
		d := &st.devices[i]
		draws, fills := waterworks(d.point.Name)
		var why reason
		switch {
		case !draws && !fills:
			continue
		case w.leak > 0:
			why = whyLeak
		case draws && w.low > 0:
			why = whyTankLow
		case fills && w.high > 0:
			why = whyTankFull
		case fills && deaf:
			why = whyTankDeaf
		default:
			continue
		}
		st.bound(i, slotEnvelope, greenhouse.PrioritySafety, "water", false, 0, why, 0, 0, 0)
	}
}

// waterworks reports whether an actuator draws water out of the tank, or fills it.
func waterworks(n greenhouse.ChannelName) (draws, fills bool) {
	switch n {
	case "pump_main", "circulation", "irrigation_valve", "pump_acid", "pump_base", "pump_a", "pump_b", "pump_c", "pump_d":
		return true, false
	case "fill_valve":
		return false, true
	}
	return false, false
}
