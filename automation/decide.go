package automation

import (
	"math"

	"greenhouse"
)

// Decide says what a zone wants of each of its actuators, and why. Its outcome
// depends on in and st alone: no clock, no I/O, no goroutine. What it returns
// belongs to st.
//
// Claims are of safety (frost, heat, storm, CO₂), of interlocks (bounds that
// weather and burners set), of the loops, and the failsafe of every actuator.
// Emergency stops, equipment protection and overrides are added where levels are
// enforced.
func Decide(in *Input, st *State) *Decision {
	st.begin(in)
	st.sense(in)
	st.stands()
	st.drifts()
	st.backUp()
	st.aimAt()
	st.learn()
	st.protect()
	st.dry()
	st.supervise()
	st.masters()
	st.heat()
	st.responds()
	st.ventilate()
	st.burners()
	st.dose()
	st.lamps()
	st.mist()
	st.screens()
	st.findPositions()
	st.relinquish()
	st.explain()
	st.watch()
	st.summarise()
	return &st.decision
}

// lit reports whether there is daylight, as far as a sensor tells: outside above
// so many W/m², else inside above so many µmol/m²/s beside what the lamps give.
// Without any light sensor it is dark.
func (st *State) lit(outside, inside float64) bool {
	if s := &st.seen[solar]; s.ok() {
		return s.Value > outside
	}
	return st.natural() > inside
}

// coverPasses is the share of daylight that a cover is taken to let through.
const coverPasses = 0.6

// natural returns the daylight at the crop in µmol/m²/s: what is measured less
// what the lamps give, else 2.1 µmol a joule of what is measured outside through
// a cover that lets 60 % pass; NaN without a sensor.
func (st *State) natural() float64 {
	if s := &st.seen[ppfd]; s.ok() {
		return max(0, s.Value-st.tuning.LampPPFD*st.mean(roleLamp))
	}
	if s := &st.seen[solar]; s.ok() {
		return max(0, 2.1*coverPasses*s.Value)
	}
	return math.NaN()
}

// mean returns how far the actuators of a role are open or on, as far as is
// known; 0 without one.
func (st *State) mean(r role) float64 { return st.means[r] }

// has reports whether the zone has an actuator of a role.
func (st *State) has(r role) bool { return len(st.roles[r]) > 0 }

// relinquish adds to every actuator the level it has when nobody wants anything,
// with the reason why no loop does.
func (st *State) relinquish() {
	for i := range st.devices {
		d := &st.devices[i]
		why := whyNoTarget
		switch {
		case !st.auto:
			why = whyMode
		case d.role == roleOther:
			why = whyManualOnly
		case st.decision.Wants[i].driven():
			why = whyAtRest
		case d.role <= roleFan && st.seen[airTemp].any && !st.seen[airTemp].ok():
			why = whyLostAir
		case d.role == roleMister && !st.seen[airRH].ok():
			why = whyLostRH
		}
		w := &st.decision.Wants[i]
		lost := why == whyLostAir
		w.Claims = append(w.Claims, greenhouse.Claim{Priority: greenhouse.PriorityFailsafe, Owner: "failsafe", Value: d.point.Safe, Reason: st.relinquished(d, why), Urgent: lost && d.applied != d.point.Safe})
	}
}

// driven reports whether a loop wants a level.
func (w *Want) driven() bool {
	for i := range w.Claims {
		if c := &w.Claims[i]; c.Priority == greenhouse.PriorityLoop && !c.Bound() {
			return true
		}
	}
	return false
}

// relinquished words why no loop drives a device.
func (st *State) relinquished(d *device, why reason) string {
	if why != whyMode {
		return d.notes[slotFailsafe].say(why, 0, 0, 0)
	}
	switch st.zone.Mode {
	case greenhouse.ModeManual:
		return "the zone is driven by hand"
	case greenhouse.ModeMaintenance:
		return "the zone is in maintenance"
	}
	return "the zone is off"
}

// claimSlot is one place for a claim at an actuator, so that its wording is kept.
type claimSlot uint8

const (
	slotSafety   claimSlot = iota
	slotEnvelope           // a bound of safety
	slotLimit
	slotLoop
	slotMore
	slotFind
	slotFailsafe
	claimSlots
)

// want adds a claim for a level to device i.
func (st *State) want(i int, slot claimSlot, owner string, level float64, why reason, a, b, c float64) {
	d, w := &st.devices[i], &st.decision.Wants[i]
	p := greenhouse.PriorityLoop
	if slot == slotSafety {
		p = greenhouse.PrioritySafety
	} else {
		d.level = level
	}
	reason := d.notes[slot].say(why, a, b, c)
	if p == greenhouse.PriorityLoop && !st.clockTrusted && d.role != roleLamp { // what is said of lamps says so already
		reason = d.notes[slot].blindly()
	}
	w.Claims = append(w.Claims, greenhouse.Claim{Priority: p, Owner: owner, Value: level, Reason: reason, Urgent: slot == slotSafety && math.Abs(d.applied-level) > 0.01})
}

// bound adds a limit to device i: from below where least, else from above. What
// Min and Max point to is never written again, for others keep it.
func (st *State) bound(i int, slot claimSlot, p greenhouse.Priority, owner string, least bool, level float64, why reason, a, b, c float64) {
	d, w := &st.devices[i], &st.decision.Wants[i]
	level = math.Round(level*100) / 100
	cell := d.bounds[slot]
	if cell == nil || *cell != level {
		fresh := level
		cell = &fresh
		d.bounds[slot] = cell
	}
	claim := greenhouse.Claim{Priority: p, Owner: owner, Reason: d.notes[slot].say(why, a, b, c)}
	if least {
		claim.Min = cell
	} else {
		claim.Max, claim.Urgent = cell, p == greenhouse.PrioritySafety && d.applied > level+0.01
	}
	w.Claims = append(w.Claims, claim)
}

// summarise fills in what the zone is like.
func (st *State) summarise() {
	c := Climate{Air: st.seen[airTemp].Value, RH: st.seen[airRH].Value, CO2: st.seen[airCO2].Value, VPD: math.NaN(), DewPoint: math.NaN(),
		HeatBelow: st.aim.heat, VentAbove: st.aim.vent, DLI: st.light.sum, Drying: st.drying.demand, CropMargin: st.drying.margin, WetHours: st.drying.soaked.Hours()}
	if st.seen[airTemp].ok() && st.seen[airRH].ok() {
		c.VPD, c.DewPoint = st.drying.vpd, st.drying.dew
	}
	st.decision.Climate = c
}
