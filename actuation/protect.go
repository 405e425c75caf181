package actuation

import (
	"fmt"
	"math"
	"time"

	"greenhouse"
)

// Limit names what protects equipment from a level that was wanted.
type Limit string

// The protections; the names are the keys of the timers in `zone why`.
const (
	LimitNone        Limit = ""
	LimitMinOn       Limit = "min_on"          // shortest time on
	LimitMinOff      Limit = "min_off"         // shortest time off
	LimitStarts      Limit = "starts_per_hour" // starts or moves in any hour
	LimitMaxRun      Limit = "max_run"         // longest time on, then a rest
	LimitHour        Limit = "max_on_hour"     // time on within any hour
	LimitDay         Limit = "max_on_day"      // time on within any 24 hours
	LimitMinStep     Limit = "min_step"        // change too small to be worth a move
	LimitMinInterval Limit = "min_interval"    // shortest time between two moves
	LimitOneShot     Limit = "one_shot"        // bounded doses only, never held
	LimitSettle      Limit = "settle"          // the node or the daemon reboots again and again
	LimitPosition    Limit = "position"        // its end switches are under suspicion: fully open or shut only
)

// Ruling is what protection makes of a level that was wanted.
type Ruling struct {
	Level float64
	Limit Limit         // LimitNone: the level is what was wanted
	Left  time.Duration // until the limit no longer holds, 0 if no time ends it
}

// Claim returns the ruling as a claim for `zone why`.
func (r Ruling) Claim() greenhouse.Claim {
	return greenhouse.Claim{Priority: greenhouse.PriorityProtection, Owner: string(r.Limit), Value: r.Level, Reason: r.reason()}
}

func (r Ruling) reason() string {
	left := r.Left.Round(time.Second)
	switch r.Limit {
	case LimitMinOn:
		return fmt.Sprintf("it has to stay on for %s more", left)
	case LimitMinOff:
		return fmt.Sprintf("it has to stay off for %s more", left)
	case LimitStarts:
		return fmt.Sprintf("it started as often as it may in an hour; the next start is free in %s", left)
	case LimitMaxRun:
		return fmt.Sprintf("it ran as long as it may; it rests for %s more", left)
	case LimitHour:
		return fmt.Sprintf("it was on as long as it may within an hour; time for the next run is free in %s", left)
	case LimitDay:
		return fmt.Sprintf("it was on as long as it may within 24 hours; time for the next run is free in %s", left)
	case LimitMinStep:
		return "the change is too small to be worth a move"
	case LimitMinInterval:
		return fmt.Sprintf("it moved a moment ago; it may move again in %s", left)
	case LimitOneShot:
		return "it takes bounded doses only and is never held on"
	case LimitSettle:
		return fmt.Sprintf("its node or the daemon started again and again; they have to stay up for %s more", left)
	case LimitPosition:
		return "its end switches disagree with its position: it is driven fully open or shut only, until one full travel is clean"
	}
	return ""
}

// Equipment is the wear of one device: how it was driven, which is what
// protection judges by. The zero value with [Equipment.Reset] is a device that
// was just switched off. It belongs to one goroutine at a time.
type Equipment struct {
	Level    float64       // as last driven, 0 to 1
	Moved    time.Time     // last change of level
	OnSince  time.Time     // last change from 0; means nothing while off
	OffSince time.Time     // last change to 0, in the future while a pulse runs; means nothing while on
	Starts   uint64        // starts (modulating: moves) ever
	Ran      time.Duration // time on ever, without the run that lasts
	recent   []time.Time   // starts of the last hour, oldest first, at most StartsPerHour
	hour     duty          // time on within an hour, where that is limited
	day      duty          // the same within 24 hours
	rest     time.Time     // after the longest run: no start before
	settle   time.Time     // after repeated reboots of the node: no start before
}

// Reset makes the device one that was switched to its safe level at now and, as
// nothing is known of the past, started once at that moment.
func (e *Equipment) Reset(spec greenhouse.ClassSpec, now time.Time) {
	*e = Equipment{Level: spec.Safe, Moved: now, OnSince: now, OffSince: now, recent: e.recent[:0]}
	e.start(spec, now)
	e.Starts = 0
}

// Drive notes that the device was put to a level at now. Noting the level it
// already has changes nothing.
func (e *Equipment) Drive(spec greenhouse.ClassSpec, level float64, now time.Time) {
	if level == e.Level {
		return
	}
	was := e.Level
	e.Level, e.Moved = level, now
	switch {
	case was == 0:
		e.OnSince = now
	case level == 0:
		e.stopped(spec, now)
	}
	if spec.Modulating || was == 0 {
		e.start(spec, now)
	}
}

// Stay notes that the device did not move and is where it says: what was driven in
// vain wore nothing but the drive, which was counted when it was told.
func (e *Equipment) Stay(spec greenhouse.ClassSpec, level float64, now time.Time) {
	if !spec.Modulating {
		e.Drive(spec, level, now)
		return
	}
	switch was := e.Level; {
	case was == 0 && level > 0:
		e.OnSince = now
	case was > 0 && level == 0:
		e.stopped(spec, now)
	}
	e.Level = level
}

// stopped notes the end of a run.
func (e *Equipment) stopped(spec greenhouse.ClassSpec, now time.Time) {
	e.OffSince = now
	run := max(0, now.Sub(e.OnSince))
	e.Ran += run
	e.ran(spec, e.OnSince, now)
	if spec.MaxRun > 0 && run >= spec.MaxRun {
		e.rest = now.Add(restAfter(spec))
	}
}

// restAfter returns how long equipment rests after its longest run: its shortest
// time off, or a quarter of the run up to 10 minutes where that is longer, so
// that a demand that never ends does not turn the limit into a short blink.
func restAfter(spec greenhouse.ClassSpec) time.Duration {
	return max(spec.MinOff, min(spec.MaxRun/4, 10*time.Minute))
}

// Pulse notes a bounded run of length d that began at now.
func (e *Equipment) Pulse(spec greenhouse.ClassSpec, d time.Duration, now time.Time) {
	e.start(spec, now)
	e.Ran += d
	e.ran(spec, now, now.Add(d))
	e.Moved, e.OffSince = now, now.Add(d)
}

// start counts one start against the budget of the hour.
func (e *Equipment) start(spec greenhouse.ClassSpec, now time.Time) {
	e.Starts++
	if spec.StartsPerHour == 0 {
		return
	}
	e.expire(now)
	if len(e.recent) >= spec.StartsPerHour {
		copy(e.recent, e.recent[1:])
		e.recent = e.recent[:len(e.recent)-1]
	}
	e.recent = append(e.recent, now)
}

// expire forgets starts older than an hour.
func (e *Equipment) expire(now time.Time) {
	n := 0
	for n < len(e.recent) && now.Sub(e.recent[n]) >= time.Hour {
		n++
	}
	if n > 0 {
		e.recent = e.recent[:copy(e.recent, e.recent[n:])]
	}
}

// StartsLastHour returns how many starts of the last hour count against the budget.
func (e *Equipment) StartsLastHour(now time.Time) int {
	e.expire(now)
	return len(e.recent)
}

// Settle forbids a start before until.
func (e *Equipment) Settle(until time.Time) { e.settle = until }

// Permit rules on a level that arbitration wants at now.
//
// safety says that the winner stands above equipment protection: its OFF never
// waits for anything, and its ON passes every budget. Two things hold even then:
// hazardous equipment keeps its shortest time off, which is a minute or three
// against a burner relit in a flicker, and nothing starts on a node that reboots
// again and again, as the start may be what makes it.
func (e *Equipment) Permit(spec greenhouse.ClassSpec, want float64, safety bool, now time.Time) Ruling {
	if spec.OneShot && want != spec.Safe {
		return Ruling{Level: spec.Safe, Limit: LimitOneShot}
	}
	if want > 0 && !safety && spec.MaxRun > 0 && spec.Safe == 0 {
		if r, over := e.overrun(spec, now); over {
			return r
		}
	}
	if want > 0 && !safety {
		if r, over := e.exhausted(spec, 0, now); over {
			return r
		}
	}
	switch {
	case want == e.Level:
		return Ruling{Level: want}
	case spec.Modulating:
		return e.permitMove(spec, want, safety, now)
	case e.Level == 0:
		return e.permitStart(spec, want, safety, now)
	case want == 0 && !safety:
		return hold(e.Level, want, LimitMinOn, spec.MinOn-now.Sub(e.OnSince))
	}
	return Ruling{Level: want}
}

// hold returns the present level while left is positive, else the one wanted.
func hold(present, want float64, limit Limit, left time.Duration) Ruling {
	if left > 0 {
		return Ruling{Level: present, Limit: limit, Left: left}
	}
	return Ruling{Level: want}
}

// overrun rules that a run which is too long ends, and that rest follows it.
func (e *Equipment) overrun(spec greenhouse.ClassSpec, now time.Time) (Ruling, bool) {
	if e.Level > 0 && now.Sub(e.OnSince) >= spec.MaxRun {
		return Ruling{Limit: LimitMaxRun, Left: restAfter(spec)}, true
	}
	if left := e.rest.Sub(now); e.Level == 0 && left > 0 {
		return Ruling{Limit: LimitMaxRun, Left: left}, true
	}
	return Ruling{}, false
}

func (e *Equipment) permitStart(spec greenhouse.ClassSpec, want float64, safety bool, now time.Time) Ruling {
	if left := e.settle.Sub(now); left > 0 {
		return Ruling{Limit: LimitSettle, Left: left}
	}
	if left := spec.MinOff - now.Sub(e.OffSince); left > 0 && (!safety || spec.Hazardous) {
		return Ruling{Limit: LimitMinOff, Left: left}
	}
	if left, spent := e.spent(spec, now); spent && !safety {
		return Ruling{Limit: LimitStarts, Left: left}
	}
	return Ruling{Level: want}
}

func (e *Equipment) permitMove(spec greenhouse.ClassSpec, want float64, safety bool, now time.Time) Ruling {
	if safety {
		return Ruling{Level: want}
	}
	if math.Abs(want-e.Level) < spec.MinStep && want > 0 && want < 1 {
		return Ruling{Level: e.Level, Limit: LimitMinStep}
	}
	if left := spec.MinInterval - now.Sub(e.Moved); left > 0 {
		return Ruling{Level: e.Level, Limit: LimitMinInterval, Left: left}
	}
	if left, spent := e.spent(spec, now); spent {
		return Ruling{Level: e.Level, Limit: LimitStarts, Left: left}
	}
	return Ruling{Level: want}
}

// spent reports whether the starts of the hour are used up, and for how long.
func (e *Equipment) spent(spec greenhouse.ClassSpec, now time.Time) (time.Duration, bool) {
	if spec.StartsPerHour == 0 || e.StartsLastHour(now) < spec.StartsPerHour {
		return 0, false
	}
	return time.Hour - now.Sub(e.recent[len(e.recent)-spec.StartsPerHour]), true
}

// Timers adds the protections that run at now to dst, in seconds left.
func (e *Equipment) Timers(spec greenhouse.ClassSpec, now time.Time, dst map[string]float64) {
	put := func(l Limit, left time.Duration) {
		if left > 0 {
			dst[string(l)] = math.Ceil(left.Seconds())
		}
	}
	put(LimitSettle, e.settle.Sub(now))
	for _, b := range e.budgets(spec) {
		if b.most > 0 {
			put(Limit(b.timer), b.most-e.used(b, now))
		}
	}
	put(LimitMinInterval, spec.MinInterval-now.Sub(e.Moved))
	if e.Level > 0 {
		put(LimitMinOn, spec.MinOn-now.Sub(e.OnSince))
		if spec.MaxRun > 0 && spec.Safe == 0 {
			put("run_left", spec.MaxRun-now.Sub(e.OnSince))
		}
		return
	}
	put(LimitMinOff, spec.MinOff-now.Sub(e.OffSince))
	put(LimitMaxRun, e.rest.Sub(now))
	if r, over := e.exhausted(spec, 0, now); over {
		put(r.Limit, r.Left)
	}
	if left, spent := e.spent(spec, now); spent {
		put(LimitStarts, left)
	}
}
