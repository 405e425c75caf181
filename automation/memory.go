package automation

import (
	"time"

	"greenhouse"
)

// Memory is what a zone's control must not forget over a restart, or the day
// would begin anew at noon: its light sum, what the sun brought at which time of
// day lately, what was spent on drying, what it learned of its house, and what it
// holds against its sensors.
type Memory struct {
	Date    int       `json:"date"`              // local date, days since 1970
	DLI     float64   `json:"dli"`               // mol/m² of it so far, lamps included
	Sun     float64   `json:"sun"`               // mol/m² of the sun alone
	Owed    float64   `json:"owed,omitempty"`    // mol/m² carried over from the day before
	Days    int       `json:"days,omitempty"`    // seen in full
	Profile []float32 `json:"profile,omitempty"` // mol/m² of the sun by half hours
	DryKWh  float64   `json:"dry_kwh,omitempty"` // kWh/m² spent on drying on Date

	WetH float64 `json:"wet_h,omitempty"` // h on Date for which the crop was below the dew point

	Loss    float64        `json:"loss,omitempty"`     // share of full heat that each K of warmth asks for
	LossOf  int            `json:"loss_of,omitempty"`  // half hours it was learned from
	SunHeat float64        `json:"sun_heat,omitempty"` // share of full heat that each W/m² of sun saves
	SunOf   int            `json:"sun_of,omitempty"`   // half hours it was learned from
	Hours   []HourMean     `json:"hours,omitempty"`    // of the local day: what heat and vents did lately
	HeatCut bool           `json:"heat_cut,omitempty"` // the master of the heaters is cut
	Balance *BalanceMemory `json:"balance,omitempty"`  // nil: nothing was learned for it
	// Backups is how many K the air is warmer than each sensor that may stand in
	// for its own: "box", "leaf" and "next".
	Backups map[string]float64 `json:"backups,omitempty"`
	Doubts  *Doubts            `json:"doubts,omitempty"`
}

// BalanceMemory is the heat that the house takes for what its only thermometer
// reads, with screens open and drawn, and how far that is in doubt.
type BalanceMemory struct {
	Heat   [2]float64         `json:"heat"` // shares of full heat, summed
	Need   [2]float64         `json:"need"` // K of warmth, summed
	Of     [2]int             `json:"of"`   // half hours
	Less   float64            `json:"less,omitempty"`
	More   float64            `json:"more,omitempty"`
	High   bool               `json:"high,omitempty"`   // it is not believed
	Hard   bool               `json:"hard,omitempty"`   // the house takes too much heat
	Low    bool               `json:"low,omitempty"`    // it reads what no house can be
	Leapt  bool               `json:"leapt,omitempty"`  // it leapt away
	Left   float64            `json:"left,omitempty"`   // °C from which
	Frozen bool               `json:"frozen,omitempty"` // it stands still
	At     float64            `json:"at,omitempty"`     // °C at which
	Point  greenhouse.PointID `json:"point"`            // the thermometer
	Node   greenhouse.UID     `json:"node"`             // that reads it
}

// HourMean is what heat and vents did in one hour of the day, as a mean of the
// last days; Days is 0 where the hour was never seen.
type HourMean struct {
	Heat  float32 `json:"heat"`
	Vents float32 `json:"vents"`
	Days  uint8   `json:"days"`
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
	if st.drying.date == l.date {
		m.WetH = st.drying.soaked.Hours()
	}
	st.learned.remember(&m)
	m.Balance = st.drift.remember()
	m.HeatCut = st.mastering.cut
	for k := range backups {
		if o := &st.backup.offset[k]; o.seen >= backupSure {
			if m.Backups == nil {
				m.Backups = map[string]float64{}
			}
			m.Backups[k.String()] = o.k
		}
	}
	m.Doubts = st.doubts()
	return m
}

// remember adds what was learned.
func (l *learned) remember(m *Memory) {
	m.Loss, m.LossOf, m.SunHeat, m.SunOf = l.loss, l.nights, l.sun, l.days
	for i := range l.hours {
		if h := &l.hours[i]; h.days > 0 {
			if m.Hours == nil {
				m.Hours = make([]HourMean, len(l.hours))
			}
			m.Hours[i] = HourMean{h.heat, h.vents, h.days}
		}
	}
}

// recall takes over what was learned before a restart, as far as it makes sense.
func (l *learned) recall(m Memory) {
	if m.Loss >= leastLoss && m.Loss <= mostLoss && m.LossOf > 0 {
		l.loss, l.nights = m.Loss, min(m.LossOf, learnFull)
		l.sun, l.days = clamp(m.SunHeat, 0, mostSun*l.loss), max(0, min(m.SunOf, learnFull))
	}
	for i := 0; i < len(m.Hours) && i < len(l.hours); i++ {
		h := m.Hours[i]
		l.hours[i] = hourMean{max(0, min(h.Heat, 1)), max(0, min(h.Vents, 1)), min(h.Days, hourDays)}
	}
}

// Restore takes over what was kept before a restart, before the first decision.
// The day in which the daemon was down does not count for the profile.
func (st *State) Restore(m Memory) {
	l := &st.light
	*l = lighting{dayLight: dayLight{date: m.Date, sum: m.DLI, sunSum: m.Sun, carry: m.Owed}}
	if len(m.Profile) == slots {
		l.days = m.Days
		copy(l.profile[:], m.Profile)
	}
	st.heating.date, st.heating.budget = m.Date, m.DryKWh
	st.drying.date, st.drying.soaked = m.Date, time.Duration(clamp(m.WetH, 0, 24)*float64(time.Hour))
	st.learned.recall(m)
	st.drift.recall(m.Balance)
	st.mastering = mastering{cut: m.HeatCut, since: masterTrial}
	for k := range backups {
		if v, ok := m.Backups[k.String()]; ok {
			st.backup.offset[k] = offset{clamp(v, -backupMost, backupMost), backupSure}
		}
	}
	st.doubt(m.Doubts)
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
			if !s.state.began.IsZero() { // it knows what was kept, and has gone on from there
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
