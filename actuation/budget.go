package actuation

import (
	"slices"
	"time"

	"greenhouse"
)

// The windows over which time on is added up.
const (
	hourWindow = time.Hour
	dayWindow  = 24 * time.Hour
)

// grains is how finely a window is kept: runs within a grain of it are kept as
// one, so that equipment that pulses all day fills no memory.
const grains = 24

// spell is one run, or several that lie close together.
type spell struct {
	from, to time.Time
	on       time.Duration // within from and to
}

// duty is the time on within a rolling window: the spells that reach into it,
// oldest first. It errs towards more: of a spell that leaves the window, what was
// on is taken to lie at its end.
type duty struct{ spells []spell }

// add notes a run.
func (d *duty) add(from, to time.Time, window time.Duration) {
	if !to.After(from) {
		return
	}
	d.expire(to, window)
	run := to.Sub(from)
	if n := len(d.spells); n > 0 {
		if last := &d.spells[n-1]; to.Sub(last.from) <= window/grains || !from.After(last.to) {
			last.to, last.on = latest(last.to, to), last.on+run
			return
		}
	}
	d.spells = append(d.spells, spell{from, to, run})
}

// expire forgets what has left the window.
func (d *duty) expire(now time.Time, window time.Duration) {
	n := 0
	for n < len(d.spells) && now.Sub(d.spells[n].to) >= window {
		n++
	}
	d.spells = slices.Delete(d.spells, 0, n)
}

// used returns the time on within the window that ends now.
func (d *duty) used(now time.Time, window time.Duration) time.Duration {
	d.expire(now, window)
	var sum time.Duration
	for _, s := range d.spells {
		sum += min(s.on, s.to.Add(window).Sub(now))
	}
	return sum
}

// freeIn returns how long nothing may run until the window has lost an excess.
func (d *duty) freeIn(excess time.Duration, now time.Time, window time.Duration) time.Duration {
	for _, s := range d.spells {
		left := min(s.on, s.to.Add(window).Sub(now))
		if excess <= left {
			return s.to.Add(window).Sub(now) - (left - excess)
		}
		excess -= left
	}
	return window
}

// fuller returns whichever duty leaves less of a budget.
func (d *duty) fuller(other duty, now time.Time, window time.Duration) duty {
	if other.used(now, window) > d.used(now, window) {
		return duty{slices.Clone(other.spells)}
	}
	return *d
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// budget is one limit of time on within a window, with what was used of it.
type budget struct {
	limit  Limit
	timer  string
	most   time.Duration
	window time.Duration
	duty   *duty
}

// budgets returns the budgets of the equipment. One of 0 is none. Where the safe
// level is on, time on is no harm.
func (e *Equipment) budgets(spec greenhouse.ClassSpec) [2]budget {
	list := [2]budget{
		{LimitHour, "on_hour_left", spec.MaxOnHour, hourWindow, &e.hour},
		{LimitDay, "on_day_left", spec.MaxOnDay, dayWindow, &e.day},
	}
	if spec.Safe != 0 {
		list[0].most, list[1].most = 0, 0
	}
	return list
}

// ran notes a run against every budget there is.
func (e *Equipment) ran(spec greenhouse.ClassSpec, from, to time.Time) {
	for _, b := range e.budgets(spec) {
		if b.most > 0 {
			b.duty.add(from, to, b.window)
		}
	}
}

// used returns what is used of a budget, with the run that lasts.
func (e *Equipment) used(b budget, now time.Time) time.Duration {
	sum := b.duty.used(now, b.window)
	if e.Level > 0 {
		sum += min(b.window, max(0, now.Sub(e.OnSince)))
	}
	return sum
}

// exhausted rules that equipment without time left in a budget goes off, and that
// none starts for less than is worth a start: lest one at its limit flicker as its
// window rolls on. need is the run asked for, 0 for one without an end.
func (e *Equipment) exhausted(spec greenhouse.ClassSpec, need time.Duration, now time.Time) (Ruling, bool) {
	for _, b := range e.budgets(spec) {
		if b.most == 0 {
			continue
		}
		worth := need
		if need == 0 {
			worth = min(b.most, max(spec.MinOn, b.most/grains))
		}
		used := e.used(b, now)
		if e.Level > 0 && used < b.most || used+worth <= b.most {
			continue
		}
		past := *b.duty
		if e.Level > 0 { // the run that ends here leaves the window last
			past = duty{append(slices.Clone(past.spells), spell{e.OnSince, now, now.Sub(e.OnSince)})}
		}
		return Ruling{Limit: b.limit, Left: past.freeIn(used+worth-b.most, now, b.window)}, true
	}
	return Ruling{}, false
}

// PermitPulse rules on a bounded run of length d at now.
func (e *Equipment) PermitPulse(spec greenhouse.ClassSpec, d time.Duration, now time.Time) Ruling {
	if r, over := e.exhausted(spec, d, now); over {
		return r
	}
	spec.OneShot, spec.MaxOnHour, spec.MaxOnDay = false, 0, 0
	return e.Permit(spec, 1, false, now)
}

// doubt takes half of every budget for used just now, of starts as of time on, as
// nobody knows what was: enough for a crop to live on, and no second day's worth
// within one.
func (e *Equipment) doubt(spec greenhouse.ClassSpec, now time.Time) {
	for len(e.recent) < spec.StartsPerHour/2 {
		e.recent = append(e.recent, now)
	}
	for _, b := range e.budgets(spec) {
		if b.most > 0 {
			b.duty.spells = append(b.duty.spells[:0], spell{now.Add(-b.most / 2), now, b.most / 2})
		}
	}
}

// SpellAge is a run, or several close together, at an instant. All times are ms;
// From and To count back from it, and To is negative while a pulse runs.
type SpellAge struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
	On   int64 `json:"on"`
}

// spellAges returns the spells of a window relative to now, with the run that lasts.
func (e *Equipment) spellAges(b budget, now time.Time) []SpellAge {
	var out []SpellAge
	if b.most == 0 {
		return nil
	}
	b.duty.expire(now, b.window)
	for _, s := range b.duty.spells {
		out = append(out, SpellAge{now.Sub(s.from).Milliseconds(), now.Sub(s.to).Milliseconds(), ceilMs(s.on)})
	}
	if on := now.Sub(e.OnSince); e.Level > 0 && on > 0 {
		out = append(out, SpellAge{on.Milliseconds(), 0, ceilMs(on)})
	}
	return out
}

// ceilMs rounds up: what is kept must not be less than what was.
func ceilMs(d time.Duration) int64 { return (d + time.Millisecond - 1).Milliseconds() }

// restoreSpells takes the spells of an earlier run. A clock that cannot say how
// long ago they were has left their ages as they were saved.
func (b budget) restoreSpells(ages []SpellAge, now time.Time) {
	ago := func(ms int64) time.Time { return now.Add(-time.Duration(ms) * time.Millisecond) }
	b.duty.spells = b.duty.spells[:0]
	if b.most == 0 {
		return
	}
	for _, s := range ages {
		if s.On > 0 && s.From >= s.To {
			b.duty.spells = append(b.duty.spells, spell{ago(s.From), ago(s.To), min(time.Duration(s.On)*time.Millisecond, b.window)})
		}
	}
	b.duty.expire(now, b.window)
}

// aged returns the ages after more time passed.
func aged(list []SpellAge, passed int64) []SpellAge {
	out := slices.Clone(list)
	for i := range out {
		out[i].From, out[i].To = out[i].From+passed, out[i].To+passed
	}
	return out
}
