package automation

import "greenhouse"

// findPositions sends drives whose position is not known, as after a power cut, to
// their safe end: vents shut, screens open. Shut is what storm, rain and frost want
// as well; heat wants the opposite, so a drive that is wanted at least half open goes
// by its other end, which finds the position as well. The claim is an interlock:
// safety and people stand above it, and their level takes its way by an end, too.
func (st *State) findPositions() {
	for i := range st.devices {
		d, w := &st.devices[i], &st.decision.Wants[i]
		if d.motor != greenhouse.MotorUnknown || w.wide(d.point.Safe) {
			continue
		}
		w.Claims = append(w.Claims, greenhouse.Claim{Priority: greenhouse.PriorityInterlock, Owner: "position", Value: d.point.Safe, Reason: d.notes[slotFind].say(whyFinding, 0, 0, 0)})
	}
}

// wide reports whether safety or a loop wants the device half its travel or more
// from its safe end.
func (w *Want) wide(safe float64) bool {
	for i := range w.Claims {
		c := &w.Claims[i]
		if !c.Bound() && c.Priority <= greenhouse.PriorityLoop && (c.Value-safe >= 0.5 || safe-c.Value >= 0.5) {
			return true
		}
	}
	return false
}
