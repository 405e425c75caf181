package automation

import (
	"math"

	"greenhouse"
)

// ledger explains the decisions about the actuators of one role. Everything is
// there twice and written in turn, so that the last decision may still be read
// while the next is made. Maps are touched only where a number changed.
type ledger struct {
	inputs [2][]greenhouse.Input
	maps   [2]pages
	terms  []entry
	timers []entry
	looks  []int // sensors that its decisions rest on
	aim    aimNote
}

// pages are the maps of one decision.
type pages struct{ terms, timers map[string]float64 }

// entry is one number with what either map holds of it.
type entry struct {
	name  string
	v     [2]float64
	in    [2]bool
	fresh bool // noted in this decision
}

// newLedger returns a ledger of decisions that rest on those sensors.
func newLedger(looks []int) ledger {
	l := ledger{looks: looks}
	for k := range l.maps {
		l.maps[k] = pages{make(map[string]float64, 8), make(map[string]float64)}
		l.inputs[k] = make([]greenhouse.Input, 0, len(looks))
	}
	return l
}

// write writes a number down.
func write(list *[]entry, m map[string]float64, flip int, name string, v float64) {
	for i := range *list {
		e := &(*list)[i]
		if e.name == name {
			if e.fresh = true; !e.in[flip] || e.v[flip] != v {
				m[name], e.v[flip], e.in[flip] = v, v, true
			}
			return
		}
	}
	m[name] = v
	e := entry{name: name, fresh: true}
	e.v[flip], e.in[flip] = v, true
	*list = append(*list, e)
}

// drop takes out of a map what was not noted again.
func drop(list []entry, m map[string]float64, flip int) {
	for i := range list {
		e := &list[i]
		if !e.fresh && e.in[flip] {
			delete(m, e.name)
			e.in[flip] = false
		}
		e.fresh = false
	}
}

// term notes a term of the loop that drives a role.
func (st *State) term(r role, name string, v float64) {
	if st.has(r) && !math.IsNaN(v) && !math.IsInf(v, 0) {
		l := &st.notes[r]
		write(&l.terms, l.maps[st.flip].terms, st.flip, name, math.Round(v*1000)/1000)
	}
}

// timer notes how many seconds a timer of a role has left.
func (st *State) timer(r role, name string, left float64) {
	if left > 0 && st.has(r) {
		l := &st.notes[r]
		write(&l.timers, l.maps[st.flip].timers, st.flip, name, math.Ceil(left))
	}
}

// explain lists what each decision was made from, and ends the notes of it.
func (st *State) explain() {
	for r := range roles {
		if !st.has(r) {
			continue
		}
		l := &st.notes[r]
		drop(l.terms, l.maps[st.flip].terms, st.flip)
		drop(l.timers, l.maps[st.flip].timers, st.flip)
		list := l.inputs[st.flip][:0]
		for _, k := range l.looks {
			s := &st.sensors[k]
			in := greenhouse.Input{Point: s.point.ID, Value: s.now.Value, Quality: s.now.Quality, AgeS: max(0, s.age.Seconds())}
			if !s.heard {
				in.AgeS = -1
			}
			list = append(list, in)
		}
		l.inputs[st.flip] = list
		aim := st.aimed(r)
		for _, i := range st.roles[r] {
			w := &st.decision.Wants[i]
			w.Aim = aim
			w.Inputs, w.Terms, w.Timers = list, l.maps[st.flip].terms, l.maps[st.flip].timers
		}
	}
}

// looks reports whether decisions about a role rest on a quantity.
func (r role) looks(q quantity) bool {
	switch r {
	case roleHeater:
		return q == airTemp || q == airRH || q == outTemp
	case roleMaster:
		return q == airTemp
	case roleVent:
		return q == airTemp || q == airRH || q == outTemp || q == outRH || q == wind || q == rain
	case roleFan:
		return q == airTemp || q == airRH || q == airCO2 || q == outTemp || q == outRH
	case roleLamp:
		return q == ppfd || q == solar || q == airTemp
	case roleScreen:
		return q == solar || q == outTemp || q == ppfd
	case roleCO2:
		return q == airCO2 || q == solar || q == ppfd
	case roleMister:
		return q == airTemp || q == airRH || q == leafTemp
	}
	return false
}
