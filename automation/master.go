package automation

import (
	"time"

	"greenhouse"
)

// How the master contactor of the heaters is cut and closed. Cut, the house is kept
// from the frost by the master itself, for a heater that is stuck on heats whenever
// it may; no warmer than that, for its own contactor is broken.
const (
	masterWarm  = 2.5 // K above the frost limit below which it closes all the same
	masterBand  = 1.0 // K that it then warms
	masterProof = 5 * time.Minute
	masterTrial = 20 * time.Minute // in which the house proves that it was the heater
	masterSpare = 6 * time.Hour    // for which it is not cut again where it was not
)

// mastering is the state of the master contactor.
type mastering struct {
	cut    bool
	warm   bool          // closed all the same, for the frost
	since  time.Duration // it was cut
	from   float64       // °C when the heat that was on its way had come
	spared time.Duration // left
}

// masters drives the contactor that stands before all heaters of the zone, where
// there is one: on while the zone is heated, and cut once a heater is found stuck
// on. It stays cut until the zone has been in maintenance, over restarts too. Only
// where the air goes on warming without it, it was not the heater, and it closes
// again.
func (st *State) masters() {
	m := &st.mastering
	if !st.has(roleMaster) || st.zone.Mode == greenhouse.ModeMaintenance {
		if m.cut {
			st.watching = supervising{}
		}
		*m = mastering{}
		return
	}
	m.spared = max(0, m.spared-st.dt)
	if st.watching.stuck && !m.cut && m.spared == 0 {
		m.cut, m.since, m.warm = true, 0, false
	}
	if m.cut {
		st.try()
	}
	air, limit := &st.seen[airTemp], st.tuning.FrostLimit+masterWarm
	m.warm = m.cut && air.ok() && Limit{At: limit, Ends: limit + masterBand}.Step(m.warm, air.Lo)
	for _, i := range st.roles[roleMaster] {
		switch {
		case st.safety.frost || st.safety.hot: // they have said so
		case m.warm:
			st.want(i, slotSafety, "heater_master", 1, whyMasterWarm, air.Lo, limit+masterBand, 0)
		case m.cut:
			st.want(i, slotSafety, "heater_master", 0, whyMasterCut, 0, 0, 0)
		case st.auto || st.zone.Mode == greenhouse.ModeManual:
			st.want(i, slotLoop, "heating", 1, whyMasterOn, 0, 0, 0)
		}
	}
	if m.cut && !st.safety.frost {
		for _, i := range st.roles[roleHeater] {
			st.bound(i, slotEnvelope, greenhouse.PrioritySafety, "heater_master", false, 0, whyMasterCut, 0, 0, 0)
		}
	}
}

// try acquits the heater where the air goes on warming while its power is cut.
func (st *State) try() {
	m, air := &st.mastering, &st.seen[airTemp]
	was := m.since
	m.since = min(m.since+st.dt, masterTrial)
	switch {
	case !air.ok() || m.since >= masterTrial || m.since < masterProof:
	case was < masterProof:
		m.from = air.Value
	case air.Value >= m.from+stuckRise:
		*m = mastering{spared: masterSpare}
		st.watching = supervising{}
	}
}

// mastered words why a master contactor is as it is.
func (r reason) mastered() string {
	switch r {
	case whyMasterOn:
		return "no heater is stuck on"
	case whyMasterCut:
		return "a heater is stuck on: its power is cut until the zone has been in maintenance"
	case whyMasterWarm:
		return "a heater is stuck on, but air %.1f °C is near the frost limit: it heats to %.1f °C by the master"
	}
	return ""
}
