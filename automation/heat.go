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
	past time.Duration
}

// step notes whether it happens now.
func (i *idle) step(happens bool, dt time.Duration) {
	switch {
	case happens:
		*i = idle{ever: true}
	case i.ever && i.past < 24*time.Hour:
		i.past += dt
	}
}

// now reports whether it happened in the last step.
func (i idle) now() bool { return i.ever && i.past == 0 }

// left returns how much of a waiting time is left.
func (i idle) left(wait time.Duration) time.Duration {
	if !i.ever {
		return 0
	}
	return max(0, wait-i.past)
}

// heating is the state of the heating loop.
type heating struct {
	on     Switch        // of a single switched heater
	first  int           // heater that goes first
	stage  time.Duration // for which it has been on
	pid    PIDState
	out    PIDOut
	demand float64 // share of full heat wanted, where it is given in parts
	tuned  PID     // as it was last
	swing  swing
	cycle  time.Duration // of a run and a pause
	last   idle          // heat was on
	full   time.Duration
	from   float64 // °C when heat went full
	dried
	other dried // of the date before this one, should the clock go back to it
}

// dried is what was spent on drying on one local date.
type dried struct {
	date   int     // days since 1970; 0: none
	budget float64 // kWh/m²
}

// Gain and integral time behind hot-water pipes.
const (
	pipeKp = 1.0
	pipeTi = 2 * time.Hour
)

// heaterPID returns the controller for heaters whose power can be varied. Where
// nobody chose its gain and the air was found to follow heat slowly, it is one for
// pipes.
func (st *State) heaterPID() PID {
	t := &st.tuning
	if st.heating.swing.slow && st.control.HeatKp == 0 && st.control.HeatTiS == 0 {
		return PID{Kp: pipeKp, Ti: pipeTi, Max: 1}
	}
	return PID{Kp: t.HeatKp, Ti: time.Duration(t.HeatTiS) * time.Second, Max: 1}
}

// heat drives the heaters: a single contactor or burner by its dead band, several
// heaters and such as can be switched often by a PI controller.
func (st *State) heat() {
	h, air := &st.heating, &st.seen[airTemp]
	heaters := st.roles[roleHeater]
	if len(heaters) == 0 {
		return
	}
	if !st.auto || math.IsNaN(st.aim.heat) || !air.ok() && !st.limps() {
		st.heatOff()
		h.last.step(st.safety.frost, st.dt)
		return
	}
	if !air.ok() {
		if !st.heatBlind() {
			st.heatOff()
		}
		h.last.step(st.heats(), st.dt)
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
	if len(heaters) == 1 && !fine(&st.devices[heaters[0]].spec) && st.heatLeast() == 0 {
		st.heatBySwitch(t, sp, waits)
	} else {
		st.heatInParts(t, sp, waits)
	}
	h.last.step(st.heats() || st.safety.frost, st.dt)
	st.budget()
}

// heats reports whether the loop wants heat, be it between two pulses.
func (st *State) heats() bool {
	if st.heating.demand > 0.05 {
		return true
	}
	for _, i := range st.roles[roleHeater] {
		if st.devices[i].level > 0.05 {
			return true
		}
	}
	return false
}

// fine reports whether equipment may be switched so often, or driven so finely,
// that a PI controller makes sense.
func fine(s *greenhouse.ClassSpec) bool {
	return s.Modulating || s.MinOn+s.MinOff <= 2*time.Minute
}

// heatOff resets the loop: whatever was on waits its shortest time off again.
func (st *State) heatOff() {
	h := &st.heating
	h.pid, h.out, h.full, h.demand = PIDState{}, PIDOut{}, 0, 0
	h.swing.rest()
	since := h.on.Since + st.dt
	if h.on.On {
		since = 0
	}
	h.on, h.stage = Switch{Since: since}, 0
	for _, i := range st.roles[roleHeater] {
		d := &st.devices[i]
		d.level = d.point.Safe
		since := d.pulses.Since + st.dt
		if d.pulses.On || d.applied > 0 {
			since = 0
		}
		d.pulses = Pulses{Since: since}
	}
}

// heatBySwitch switches one contactor or burner.
func (st *State) heatBySwitch(t, sp float64, waits bool) {
	h, k, i := &st.heating, &st.tuning, st.roles[roleHeater][0]
	d := &st.devices[i]
	p := Hysteresis{On: k.HeatOn, Off: k.HeatOff, MinOn: d.spec.MinOn, MinOff: d.spec.MinOff}
	err := sp - t
	if waits {
		err = min(err, 0)
	}
	if st.respite(d) {
		err = -2 * k.HeatOff
	}
	var hold Hold
	h.demand = 0
	h.on, hold = p.Step(h.on, err, st.dt)
	st.holdTimer(roleHeater, hold, h.on.Since, p)
	level := 0.0
	if h.on.On {
		level = 1
	}
	d.pulses = Pulses{On: h.on.On, Since: h.on.Since}
	why, c := st.heatReason(t, sp, hold, waits)
	st.want(i, slotLoop, "heating", level, why, t, sp, c)
}

// heatReason words the state of one switched heater.
func (st *State) heatReason(t, sp float64, hold Hold, waits bool) (why reason, band float64) {
	k, low := &st.tuning, t < sp-st.tuning.HeatOn
	on := st.heating.on.On
	switch {
	case waits && low:
		return whyHeatWaits, 0
	case hold != HoldNone:
		return whyHeatHeld, 0
	case on && low:
		return whyHeatOn, k.HeatOn
	case on:
		return whyHeatStays, k.HeatOff
	case t > sp+k.HeatOff:
		return whyHeatOff, k.HeatOff
	}
	return whyHeatRests, k.HeatOn
}

// holdTimer notes which shortest time keeps a switch back.
func (st *State) holdTimer(r role, hold Hold, since time.Duration, p Hysteresis) {
	switch hold {
	case HoldOn:
		st.timer(r, "min_on", (p.MinOn - since).Seconds())
	case HoldOff:
		st.timer(r, "min_off", (p.MinOff - since).Seconds())
	}
}

// heatInParts drives heaters by a PI controller: the first takes the first part
// of its output, the next the next, each switched as often as its class allows.
// Beyond the dead band on the warm side all are off, whatever the controller says.
func (st *State) heatInParts(t, sp float64, waits bool) {
	h, heaters := &st.heating, st.roles[roleHeater]
	even := h.swing.step(t, st.mean(roleHeater), h.demand, st.dt)
	h.cycle = h.swing.cycle(st.tuning.heatCycle, len(heaters))
	p := st.heaterPID()
	if p != h.tuned { // somebody tuned it: no jump
		h.pid, h.tuned = h.tuned.Retune(h.pid, p, sp, t), p
	}
	applied := clamp(h.pid.V, p.Min, p.Max)
	if held, level := st.taken(heaters); held {
		applied, even = level, t // someone else drives: follow, so that nothing winds up
		h.swing.rest()
	}
	ff, lift := st.feedForward(sp), 0.0
	if switched := &st.devices[heaters[0]].spec; !switched.Modulating && switched.StartsPerHour > 0 {
		lift = h.swing.lift(h.cycle, len(heaters))
	}
	h.out, h.pid = p.Step(h.pid, sp+lift, even, ff, applied, st.dt)
	if math.IsNaN(h.out.U) {
		h.pid, h.out = PIDState{}, PIDOut{}
	}
	u := h.out.U
	if waits || t > sp+heatEnough {
		u = 0
	}
	st.term(roleHeater, "p", h.out.P)
	st.term(roleHeater, "i", h.out.I)
	st.term(roleHeater, "feed_forward", ff)
	st.term(roleHeater, "even", even)
	st.term(roleHeater, "lift", lift)
	why := clause{whyHeatPI, t, sp, u}
	if least := st.heatLeast(); least > u {
		u, why = least, clause{whyHeatLeast, t, 100 * least, sp}
	}
	st.term(roleHeater, "demand", u)
	st.drive(u, why, clause{whyHeatNext, t, sp, 0})
}

// heatEnough is how far above its set-point the air must be for all heat to be
// off, whatever the controller says, K.
const heatEnough = 1.5

// feedShare is the part of the heat that the house is known to need which is
// given at once, without waiting for an error; the rest is the controller's.
const feedShare = 0.6

// feedForward returns the heat given for what the weather takes, 0 where that is
// not known.
func (st *State) feedForward(sp float64) float64 {
	out, sun := st.value(outTemp), st.sunshine()
	if math.IsNaN(out) || math.IsNaN(sun) {
		return 0
	}
	return feedShare * clamp(st.learned.balance(sp, out, sun), 0, 1)
}

// clause is a reason with its numbers.
type clause struct {
	why     reason
	a, b, c float64
}

// drive gives each heater its part of u: the first takes the first part, the next
// the next, once the one before has been on for the stage delay.
func (st *State) drive(u float64, because, later clause) {
	h, heaters := &st.heating, st.roles[roleHeater]
	u = min(u, st.heatMost())
	h.demand = u
	st.lead(heaters)
	ready := true // the stage before has been on for long enough
	for k := range heaters {
		i := heaters[(k+h.first)%len(heaters)]
		d := &st.devices[i]
		part := clamp(u*float64(len(heaters))-float64(k), 0, 1)
		why := because
		if !ready && part > 0 && !d.pulses.On {
			part, why = 0, later
			st.timer(roleHeater, "stage_delay", (st.tuning.stageDelay - h.stage).Seconds())
		}
		level := st.proportion(d, part, pulses(&d.spec, h.cycle, part))
		ready = ready && level > 0 && h.stage >= st.tuning.stageDelay
		if k == 0 {
			h.stage += st.dt
			if level == 0 {
				h.stage = 0
			}
		}
		if why.why == whyHeatPI && !d.spec.Modulating {
			why.why = st.inRuns(d, part)
		}
		st.want(i, slotLoop, "heating", level, why.why, why.a, why.b, why.c)
	}
}

// inRuns says whether a heater that is switched in proportion runs or pauses, and
// how long it will at least.
func (st *State) inRuns(d *device, part float64) reason {
	sd, p := pulses(&d.spec, st.heating.cycle, part), &d.pulses
	switch {
	case p.On && part < 1:
		st.timer(roleHeater, "run", (sd.MinOn - p.Since).Seconds())
		return whyHeatRun
	case !p.On && part > 0:
		st.timer(roleHeater, "pause", (sd.MinOff - p.Since).Seconds())
		return whyHeatPause
	}
	return whyHeatPI
}

// lead has the heater go first that ran least; it changes only while all are off.
func (st *State) lead(heaters []int) {
	h := &st.heating
	h.first = min(h.first, len(heaters)-1)
	for _, i := range heaters {
		if st.devices[i].level > 0 || st.devices[i].applied > 0 {
			return
		}
	}
	for k, i := range heaters {
		if st.devices[i].ran < st.devices[heaters[h.first]].ran {
			h.first = k
		}
	}
}

// proportion gives a device its part: as a level where it takes levels, else by
// switching.
func (st *State) proportion(d *device, part float64, sd SigmaDelta) float64 {
	if d.spec.Modulating {
		return part
	}
	if st.respite(d) {
		part = 0
	}
	if cycle := st.tuning.heatCycle; cycle > 0 && d.role == roleHeater {
		least := switching(&d.spec)
		d.pulses = FixedCycle{Cycle: max(cycle, least.MinOn+least.MinOff), MinOn: least.MinOn, MinOff: least.MinOff}.Step(d.pulses, part, st.dt)
	} else {
		d.pulses = sd.Step(d.pulses, part, st.dt)
	}
	if d.pulses.On {
		return 1
	}
	return 0
}

// switching returns how equipment is switched in proportion: never shorter than
// its class asks for, and so that one start of the hour stays free for whoever else
// needs it.
func switching(s *greenhouse.ClassSpec) SigmaDelta {
	p := SigmaDelta{MinOn: max(s.MinOn, ssrPulse), MinOff: max(s.MinOff, ssrPulse)}
	if s.StartsPerHour > 0 {
		half := time.Hour / time.Duration(2*max(s.StartsPerHour-1, 1))
		p.MinOn, p.MinOff = max(p.MinOn, half), max(p.MinOff, half)
	}
	return p
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
	switch is := st.cal.date; {
	case st.cal.until == 0 || is == h.date: // nobody knows the date, or it goes on
	case is == h.other.date:
		h.dried, h.other = h.other, h.dried
	case begins(h.date, is):
		h.dried, h.other = dried{date: is}, h.dried
	}
	if extra := st.aim.heat - st.aim.heatBase; extra > 0 && st.seen[airTemp].Value > st.aim.heatBase-st.tuning.HeatOn {
		h.budget += st.mean(roleHeater) * st.tuning.HeaterWM2 * st.dt.Hours() / 1000
	}
}
