package actuation

import (
	"slices"
	"time"

	"greenhouse"
)

// State is what equipment went through, to be kept over a restart. Times are
// relative to SavedAt, as the wall clock may be wrong on either side.
type State struct {
	SavedAt   greenhouse.Millis                   `json:"saved_at"`
	Equipment map[greenhouse.PointID]EquipmentAge `json:"equipment"`
}

// EquipmentAge is the wear of one device at an instant. All times are ms before it.
type EquipmentAge struct {
	Level   float64    `json:"level"`
	MovedMs int64      `json:"moved_ms"`            // since the last change of level
	OnMs    int64      `json:"on_ms,omitempty"`     // since it went on, while on
	OffMs   int64      `json:"off_ms,omitempty"`    // since it went off, while off; negative while a pulse runs
	RestMs  int64      `json:"rest_ms,omitempty"`   // of rest left after the longest run
	Recent  []int64    `json:"recent_ms,omitempty"` // since each start of the last hour
	Hour    []SpellAge `json:"hour,omitempty"`      // time on of the last hour, where that is limited
	Day     []SpellAge `json:"day,omitempty"`       // the same of the last 24 hours
	Starts  uint64     `json:"starts"`              // ever
	RanMs   int64      `json:"ran_ms"`              // on in all, with the run that lasts
}

// saveEvery is how often the state is saved: the run that a crash ended may have
// been that much longer.
const saveEvery = time.Minute

// State returns the wear of all equipment of the plant. Save it every minute or
// so and at the end, and give it to the next run.
func (c *Controller) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	s := State{SavedAt: greenhouse.MillisOf(now), Equipment: make(map[greenhouse.PointID]EquipmentAge, len(c.actuators))}
	for _, a := range c.actuators {
		s.Equipment[a.Point] = a.eq.age(a.spec, now)
	}
	return s
}

// aged returns the state with the time since it was saved added, if the wall
// clock can say how long that was. What it cannot say did not pass: budgets come
// back no freer than they were.
func (s State) aged(now greenhouse.Millis, trusted bool) State {
	passed := now.Sub(s.SavedAt).Milliseconds()
	if !trusted || passed < 0 {
		passed = 0
	}
	out := State{SavedAt: now, Equipment: make(map[greenhouse.PointID]EquipmentAge, len(s.Equipment))}
	for p, e := range s.Equipment {
		recent := make([]int64, 0, len(e.Recent))
		for _, ms := range e.Recent {
			recent = append(recent, max(0, ms)+passed)
		}
		e.Recent, e.RestMs = recent, e.RestMs-passed
		e.Hour, e.Day = aged(e.Hour, passed), aged(e.Day, passed)
		out.Equipment[p] = e
	}
	return out
}

// age returns the wear relative to now.
func (e *Equipment) age(spec greenhouse.ClassSpec, now time.Time) EquipmentAge {
	e.expire(now)
	out := EquipmentAge{Level: e.Level, MovedMs: now.Sub(e.Moved).Milliseconds(), Starts: e.Starts, RanMs: e.RunTime(now).Milliseconds(),
		RestMs: max(0, e.rest.Sub(now).Milliseconds())}
	if e.Level > 0 {
		out.OnMs = now.Sub(e.OnSince).Milliseconds()
	} else {
		out.OffMs = now.Sub(e.OffSince).Milliseconds()
	}
	both := e.budgets(spec)
	out.Hour, out.Day = e.spellAges(both[0], now), e.spellAges(both[1], now)
	for _, at := range e.recent {
		out.Recent = append(out.Recent, now.Sub(at).Milliseconds())
	}
	return out
}

// RunTime returns how long the device was on in all, with the run that lasts.
func (e *Equipment) RunTime(now time.Time) time.Duration {
	if e.Level > 0 {
		return e.Ran + max(0, now.Sub(e.OnSince))
	}
	return e.Ran
}

// restore takes the wear of an earlier run. Nobody knows what the device did
// since: its lease ended, so it counts as switched to its safe level just now,
// and its budget of starts is what it was.
func (e *Equipment) restore(spec greenhouse.ClassSpec, s EquipmentAge, now time.Time) {
	e.Reset(spec, now)
	e.recent = e.recent[:0]
	for _, ms := range s.Recent {
		at := now.Add(-time.Duration(ms) * time.Millisecond)
		if now.Sub(at) < time.Hour && len(e.recent) < spec.StartsPerHour {
			e.recent = append(e.recent, at)
		}
	}
	e.Starts, e.Ran = s.Starts, time.Duration(s.RanMs)*time.Millisecond
	both := e.budgets(spec)
	both[0].restoreSpells(s.Hour, now)
	both[1].restoreSpells(s.Day, now)
	if s.Level > 0 { // it went on until its lease ended, as far as anybody knows
		e.ran(spec, now, now.Add(saveEvery+spec.Lease))
	}
	if s.RestMs > 0 {
		e.rest = now.Add(time.Duration(s.RestMs) * time.Millisecond)
	}
	if s.Level > 0 && spec.Safe == 0 && spec.MaxRun > 0 && time.Duration(s.OnMs)*time.Millisecond >= spec.MaxRun {
		e.rest = now.Add(restAfter(spec))
	}
}

// inherit takes over what is worse for the budget: the later rest, the fuller
// hour, the longer life.
func (e *Equipment) inherit(spec greenhouse.ClassSpec, from *Equipment, now time.Time) {
	from.expire(now)
	if len(from.recent) > len(e.recent) {
		e.recent = append(e.recent[:0], from.recent[max(0, len(from.recent)-spec.StartsPerHour):]...)
	}
	if from.Level > 0 {
		past := Equipment{hour: duty{slices.Clone(from.hour.spells)}, day: duty{slices.Clone(from.day.spells)}}
		past.ran(spec, from.OnSince, now)
		e.hour, e.day = e.hour.fuller(past.hour, now, hourWindow), e.day.fuller(past.day, now, dayWindow)
	} else {
		e.hour, e.day = e.hour.fuller(from.hour, now, hourWindow), e.day.fuller(from.day, now, dayWindow)
	}
	if from.rest.After(e.rest) {
		e.rest = from.rest
	}
	e.Starts, e.Ran = max(e.Starts, from.Starts), max(e.Ran, from.RunTime(now))
}
