package automation

import (
	"math"
	"time"

	"greenhouse"
)

// changeoverEscape is how far beyond its set-point the temperature must be for
// heat or vents not to wait for the changeover time, K.
const changeoverEscape = 2.0

// idle is the time since something last happened; the zero value: never.
type idle struct {
	ever bool
	for_ time.Duration
}

// step notes whether it happens now.
func (i *idle) step(happens bool, dt time.Duration) {
	switch {
	case happens:
		*i = idle{ever: true}
	case i.ever && i.for_ < 24*time.Hour:
		i.for_ += dt
	}
}

// now reports whether it happened in the last step.
func (i idle) now() bool { return i.ever && i.for_ == 0 }

// left returns how much of a waiting time is left.
func (i idle) left(wait time.Duration) time.Duration {
	if !i.ever {
		return 0
	}
	return max(0, wait-i.for_)
}

// heating is the state of the heating loop.
type heating struct {
	stages Stages
	pid    PIDState
	out    PIDOut
	last   idle // heat was on
	full   time.Duration
	from   float64 // °C when heat went full
	budget float64 // kWh/m² spent on drying today
	date   int
}

// heaterPID returns the controller for heaters whose power can be varied.
func heaterPID() PID { return PID{Kp: 0.25, Ti: 900 * time.Second, Max: 1} }

// heat drives the heaters: switched ones in stages around the set-point, those
// that can be switched often or varied by a PI controller.
func (st *State) heat() {
	h, air := &st.heating, &st.seen[airTemp]
	heaters := st.roles[roleHeater]
	if len(heaters) == 0 {
		return
	}
	if !st.auto || !air.ok() || math.IsNaN(st.aim.heat) {
		st.heatOff()
		h.last.step(st.safety.frost, st.dt)
		return
	}
	t, sp := air.Hi, st.aim.heat
	st.term(roleHeater, "set_point", sp)
	st.term(roleHeater, "error", sp-t)
	st.term(roleHeater, "drying_k", sp-st.aim.heatBase)
	wait := st.venting.last.left(st.tuning.changeover)
	waits := wait > 0 && t > sp-changeoverEscape && !h.last.now()
	if waits {
		st.timer(roleHeater, "changeover", wait.Seconds())
	}
	if fine(&st.devices[heaters[0]].spec) {
		st.heatFinely(t, sp, waits)
	} else {
		st.heatInStages(t, sp, waits)
	}
	on := false
	for _, i := range heaters {
		on = on || st.devices[i].level > 0.05
	}
	h.last.step(on || st.safety.frost, st.dt)
	st.budget()
}

// fine reports whether equipment may be switched so often, or driven so finely,
// that a PI controller makes sense.
func fine(s *greenhouse.ClassSpec) bool {
	return s.Modulating || s.MinOn+s.MinOff < 30*time.Second
}

// heatOff resets the loop: whatever was on waits its shortest time off again.
func (st *State) heatOff() {
	h := &st.heating
	h.pid, h.out, h.full = PIDState{}, PIDOut{}, 0
	since := h.stages.First.Since + st.dt
	if h.stages.First.On {
		since = 0
	}
	h.stages = Stages{First: Switch{Since: since}}
	for _, i := range st.roles[roleHeater] {
		d := &st.devices[i]
		d.level = d.point.Safe
		if d.pulses = (Pulses{Since: d.pulses.Since + st.dt}); d.applied > 0 {
			d.pulses.Since = 0
		}
	}
}

// heatInStages switches contactors and burners.
func (st *State) heatInStages(t, sp float64, waits bool) {
	h, k, heaters := &st.heating, &st.tuning, st.roles[roleHeater]
	p := Stager{N: len(heaters), First: Hysteresis{On: k.HeatOn, Off: k.HeatOff}, Delay: k.stageDelay}
	for _, i := range heaters {
		p.First.MinOn, p.First.MinOff = max(p.First.MinOn, st.devices[i].spec.MinOn), max(p.First.MinOff, st.devices[i].spec.MinOff)
	}
	err := sp - t
	if waits {
		err = min(err, 0)
	}
	var hold Hold
	h.stages, hold = p.Step(h.stages, err, st.dt)
	n := h.stages.Count()
	st.term(roleHeater, "stages", float64(n))
	st.holdTimer(roleHeater, hold, h.stages, p)
	st.pick(heaters, n)
	for _, i := range heaters {
		d := &st.devices[i]
		why, b, c := st.heatReason(d.level > 0, n, t, sp, hold, waits)
		st.want(i, slotLoop, "heating", d.level, why, t, b, c)
	}
}

// heatReason words the state of one heater of n on.
func (st *State) heatReason(on bool, n int, t, sp float64, hold Hold, waits bool) (why reason, b, c float64) {
	k := &st.tuning
	low := t < sp-k.HeatOn
	switch {
	case waits && low && n == 0:
		return whyHeatWaits, sp, 0
	case hold == HoldOn && on, hold == HoldOff && !on:
		return whyHeatHeld, sp, 0
	case on && low:
		return whyHeatOn, sp, k.HeatOn
	case on:
		return whyHeatStays, sp, k.HeatOff
	case n > 0 && low:
		return whyHeatNext, sp, 0
	case n > 0:
		return whyHeatEnough, sp, 0
	case t > sp+k.HeatOff:
		return whyHeatOff, sp, k.HeatOff
	}
	return whyHeatRests, sp, k.HeatOn
}

// holdTimer notes what a stager waits for.
func (st *State) holdTimer(r role, hold Hold, s Stages, p Stager) {
	switch hold {
	case HoldOn:
		st.timer(r, "min_on", (p.First.MinOn - s.First.Since).Seconds())
	case HoldOff:
		st.timer(r, "min_off", (p.First.MinOff - s.First.Since).Seconds())
	case HoldStage:
		st.timer(r, "stage_delay", (p.Delay - s.Since).Seconds())
	}
}

// maxRotated is how many devices of one role take turns; further ones run with
// the last.
const maxRotated = 8

// pick has n of some devices run, the ones that ran least first.
func (st *State) pick(devices []int, n int) {
	var on [maxRotated]bool
	var ran [maxRotated]time.Duration
	m := min(len(devices), maxRotated)
	for k, i := range devices[:m] {
		on[k], ran[k] = st.devices[i].level > 0, st.devices[i].ran
	}
	rotate(on[:m], ran[:m], min(n, m))
	for k, i := range devices {
		st.devices[i].level = 0
		if on[min(k, m-1)] {
			st.devices[i].level = 1
		}
	}
}

// heatFinely drives heaters by a PI controller; the first takes the first part
// of its output, the next the next.
func (st *State) heatFinely(t, sp float64, waits bool) {
	h, heaters := &st.heating, st.roles[roleHeater]
	p := heaterPID()
	applied := clamp(h.pid.V, p.Min, p.Max)
	if held, level := st.taken(heaters); held {
		applied = level // someone else drives: follow, so that nothing winds up
	}
	h.out, h.pid = p.Step(h.pid, sp, t, 0, applied, st.dt)
	if math.IsNaN(h.out.U) {
		h.pid, h.out = PIDState{}, PIDOut{}
	}
	u := h.out.U
	if waits {
		u = 0
	}
	st.term(roleHeater, "p", h.out.P)
	st.term(roleHeater, "i", h.out.I)
	st.term(roleHeater, "demand", u)
	for k, i := range heaters {
		d := &st.devices[i]
		level := clamp(u*float64(len(heaters))-float64(k), 0, 1)
		if !d.spec.Modulating {
			sd := SigmaDelta{MinOn: max(d.spec.MinOn, ssrPulse), MinOff: max(d.spec.MinOff, ssrPulse)}
			d.pulses = sd.Step(d.pulses, level, st.dt)
			if level = 0; d.pulses.On {
				level = 1
			}
		}
		st.want(i, slotLoop, "heating", level, whyHeatPI, t, sp, u)
	}
}

// ssrPulse is the shortest run or pause given to heaters that need none.
const ssrPulse = 10 * time.Second

// taken reports whether others have driven the devices for a while, and where to.
func (st *State) taken(devices []int) (bool, float64) {
	held, sum := false, 0.0
	for _, i := range devices {
		d := &st.devices[i]
		held = held || d.differs > 30*time.Second
		sum += d.applied
	}
	return held, sum / float64(max(1, len(devices)))
}

// budget counts the heat that drying alone asked for on this date.
func (st *State) budget() {
	h := &st.heating
	if h.date != st.cal.date {
		h.date, h.budget = st.cal.date, 0
	}
	if extra := st.aim.heat - st.aim.heatBase; extra > 0 && st.seen[airTemp].Value > st.aim.heatBase-st.tuning.HeatOn {
		h.budget += st.mean(roleHeater) * st.tuning.HeaterWM2 * st.dt.Hours() / 1000
	}
}
