package actuation

import (
	"fmt"
	"strings"
	"time"

	"greenhouse"
)

// decide arbitrates one actuator and has protection rule on the outcome.
func (c *Controller) decide(a *actuator, now time.Time) {
	a.gather(now, c.stopping(a), c.o.DecisionAge)
	a.outcome = Arbitrate(a.spec.Safe, a.spec.Modulating, a.all)
	if c.stopping(a) {
		a.ruling = Ruling{Level: a.outcome.Level}
	} else {
		a.ruling = a.permit(a.outcome.Level, a.safety(), now)
	}
	if level := a.ruling.Level; !a.decided || level != a.level {
		news := level != a.level // a first decision for the safe level is none
		a.level, a.changed, a.decided = level, now, true
		if news {
			a.relent(now)
			a.stood, a.noted = a.standing(), now
			c.verdicts = append(c.verdicts, a.verdict(now))
			return
		}
	}
	if c.o.OnReason != nil && a.unexplained(now, c.explainEvery()) {
		c.reasons = append(c.reasons, a.verdict(now))
	}
}

// gather collects all claims on the actuator. Without a fresh decision those of
// automation and of people are void: nobody watches over them.
func (a *actuator) gather(now time.Time, stopping bool, age time.Duration) {
	a.all = a.all[:0]
	if stopping {
		a.all = append(a.all, a.stopClaim())
	}
	a.void = !a.fresh(now, age)
	if !a.void {
		a.all = append(a.all, a.claims...)
		if a.override != nil && now.Before(a.overrideEnd) {
			a.all = append(a.all, a.overrideClaim)
		}
	}
}

// fresh reports whether there is a decision to act on. An actuator in no zone
// has none to wait for.
func (a *actuator) fresh(now time.Time, age time.Duration) bool {
	return a.zone == nil || !a.decidedAt.IsZero() && now.Sub(a.decidedAt) <= age
}

// stopClaim is the claim of whatever stops the actuator.
func (a *actuator) stopClaim() greenhouse.Claim {
	return greenhouse.Claim{Priority: greenhouse.PriorityStop, Owner: "stop", Value: a.spec.Safe, Reason: "stopped, until it is resumed", Urgent: true}
}

// safety reports whether the outcome stands above equipment protection: by its
// priority, because nobody decides any more, or because an urgent claim brings
// the actuator to safe.
func (a *actuator) safety() bool {
	if a.outcome.Winner < 0 {
		return a.void
	}
	w := &a.all[a.outcome.Winner]
	return w.Priority < greenhouse.PriorityProtection || w.Urgent && a.outcome.Level == a.spec.Safe
}

// verdict explains the level in full.
func (a *actuator) verdict(now time.Time) greenhouse.Verdict {
	v := greenhouse.Verdict{Point: a.Point, Value: a.level, Aim: a.aim, Inputs: append([]greenhouse.Input{}, a.inputs...),
		At: greenhouse.MillisOf(now), Since: greenhouse.MillisOf(a.changed), Timers: map[string]float64{}}
	for k, s := range a.timers {
		v.Timers[k] = s
	}
	a.eq.Timers(a.spec, now, v.Timers)
	if len(a.terms) > 0 {
		v.Terms = make(map[string]float64, len(a.terms))
		for k, t := range a.terms {
			v.Terms[k] = t
		}
	}
	v.Winner = a.failsafeClaim(now)
	if a.outcome.Winner >= 0 {
		v.Winner = a.all[a.outcome.Winner]
	}
	var limit *greenhouse.Claim
	if a.ruling.Limit != LimitNone {
		claim := a.ruling.Claim()
		limit = &claim
		v.Winner = claim
	}
	v.Losers = losers(a.outcome, a.all, limit)
	return v
}

// failsafeClaim stands where nobody claims a level.
func (a *actuator) failsafeClaim(now time.Time) greenhouse.Claim {
	claim := greenhouse.Claim{Priority: greenhouse.PriorityFailsafe, Owner: "failsafe", Value: a.spec.Safe, Reason: "nobody wants anything of it"}
	switch {
	case a.zone != nil && a.decidedAt.IsZero():
		claim.Reason = "its zone has not been decided yet"
	case a.void:
		claim.Reason = fmt.Sprintf("its zone has not been decided for %s", now.Sub(a.decidedAt).Round(time.Second))
	}
	return claim
}

// cause names what wants the level, e.g. "loop:heating" or "override:anna".
func (a *actuator) cause() string {
	if a.ruling.Limit != LimitNone {
		return "protection:" + string(a.ruling.Limit)
	}
	if a.outcome.Winner < 0 {
		return "failsafe"
	}
	w := &a.all[a.outcome.Winner]
	if strings.Contains(w.Owner, ":") {
		return w.Owner
	}
	return causePrefix(w.Priority) + w.Owner
}

func causePrefix(p greenhouse.Priority) string {
	switch p {
	case greenhouse.PriorityStop:
		return "stop:"
	case greenhouse.PrioritySafety:
		return "safety:"
	case greenhouse.PriorityManual:
		return "override:"
	case greenhouse.PriorityInterlock:
		return "interlock:"
	case greenhouse.PrioritySchedule:
		return "schedule:"
	case greenhouse.PriorityFailsafe:
		return "failsafe:"
	}
	return "loop:"
}

// stuck reports whether the device was told several times in vain.
func (a *actuator) stuck() bool {
	return a.failed == greenhouse.CommandNoEffect && a.failures >= alarmFailures
}

// relent lets another level be ordered soon though the last one failed. The safe
// one goes at once; any other waits a little, lest a device that does something
// else than it is told be chased from level to level.
func (a *actuator) relent(now time.Time) {
	soon := now.Add(backoff(a.failures))
	switch {
	case a.stuck() && a.spec.Modulating && !a.safety(): // people know, and another position helps no more than the last
	case a.failures == 0 || a.level == a.spec.Safe || a.safety():
		a.retryAt = time.Time{}
	case a.stuck():
	case soon.Before(a.retryAt):
		a.retryAt = soon
	}
}
