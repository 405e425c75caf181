package automation

import "greenhouse"

// Memory is what a zone's control must not forget over a restart, or the day
// would begin anew at noon: its light sum, what the sun brought at which time of
// day lately, and what was spent on drying.
type Memory struct {
	Date    int       `json:"date"`              // local date, days since 1970
	DLI     float64   `json:"dli"`               // mol/m² of it so far, lamps included
	Sun     float64   `json:"sun"`               // mol/m² of the sun alone
	Owed    float64   `json:"owed,omitempty"`    // mol/m² carried over from the day before
	Days    int       `json:"days,omitempty"`    // seen in full
	Profile []float32 `json:"profile,omitempty"` // mol/m² of the sun by half hours
	DryKWh  float64   `json:"dry_kwh,omitempty"` // kWh/m² spent on drying on Date
}

// Memory returns what has to be kept.
func (st *State) Memory() Memory {
	l := &st.light
	m := Memory{Date: l.date, DLI: l.sum, Sun: l.sunSum, Owed: l.carry, Days: l.days}
	if l.days > 0 {
		m.Profile = append(m.Profile, l.profile[:]...)
	}
	if st.heating.date == l.date {
		m.DryKWh = st.heating.budget
	}
	return m
}

// Restore takes over what was kept before a restart, before the first decision.
// The day in which the daemon was down does not count for the profile.
func (st *State) Restore(m Memory) {
	l := &st.light
	*l = lighting{date: m.Date, sum: m.DLI, sunSum: m.Sun, carry: m.Owed}
	if len(m.Profile) == slots {
		l.days = m.Days
		copy(l.profile[:], m.Profile)
	}
	st.heating.date, st.heating.budget = m.Date, m.DryKWh
}

// Memories returns what has to be kept of every zone that is not just being
// decided; merge it into what was kept before.
func (l *Loop) Memories() map[greenhouse.ZoneID]Memory {
	l.mu.Lock()
	order := l.order
	l.mu.Unlock()
	out := make(map[greenhouse.ZoneID]Memory, len(order))
	for _, s := range order {
		if s.busy.CompareAndSwap(false, true) {
			if s.state.light.date != 0 {
				out[s.id] = s.state.Memory()
			}
			s.busy.Store(false)
			if s.again.Swap(false) {
				l.Wake(s.id)
			}
		}
	}
	return out
}
