package automation

import "time"

// When a heater that never stops pauses of its own accord. Its class ends the
// longest run and has it rest for ten minutes, which in a frost come when they
// please; a pause of its shortest time off, taken while the house can spare it,
// begins the run anew.
const (
	respiteRoom = 2.0              // K above the warning of frost where the house can spare it
	respiteLast = 10 * time.Minute // before the longest run it is taken in any case
)

// respite reports whether a heater has run for so long that it should pause now:
// from half of its longest run on as soon as the air is warm enough, else at the
// last moment.
func (st *State) respite(d *device) bool {
	p := &d.pulses
	if d.spec.MaxRun == 0 || !p.On || p.Since < d.spec.MaxRun/2 {
		return false
	}
	air := &st.seen[airTemp]
	warm := !air.ok() || air.Lo >= st.tuning.FrostLimit+frostNear+respiteRoom
	return warm || p.Since >= d.spec.MaxRun-respiteLast
}
