package actuation

import (
	"fmt"
	"math"
	"slices"
	"time"

	"greenhouse"
)

// How often the reasons of a level that does not change are told: at once or
// nearly so where people, safety or a budget hold it, within a minute where loops
// do, and anew every ten minutes, so that what was measured then can be read back;
// on large sites less often, lest it be more than what changes.
const (
	reasonPause  = 10 * time.Second
	loopPause    = time.Minute
	explainAnew  = 10 * time.Minute
	explainShare = 6 * time.Second // for each actuator
)

// standing is what a level rests on, as far as it is worth telling of a change.
type standing struct {
	owner    string
	priority greenhouse.Priority
	want     string // who wanted a level most
	limit    Limit
	void     bool
}

// standing returns what the level rests on.
func (a *actuator) standing() standing {
	s := standing{owner: "failsafe", priority: greenhouse.PriorityFailsafe, limit: a.ruling.Limit, void: a.void}
	if w := a.outcome.Winner; w >= 0 {
		s.owner, s.priority = a.all[w].Owner, a.all[w].Priority
	}
	if w := a.outcome.Want; w >= 0 {
		s.want = a.all[w].Owner
	}
	return s
}

// graver reports whether the difference to what was told of matters at once: other
// than that loops take turns, or that a moving part waits for its next move, which
// comes and goes with every one.
func (s standing) graver(told standing) bool {
	moves := func(l Limit) bool { return l == LimitNone || l == LimitMinStep || l == LimitMinInterval }
	if s.void != told.void || s.limit != told.limit && !(moves(s.limit) && moves(told.limit)) {
		return true
	}
	return s.owner != told.owner && min(s.priority, told.priority) <= greenhouse.PriorityManual
}

// unexplained reports whether it is time to tell why the level stands, and notes
// that it was told.
func (a *actuator) unexplained(now time.Time, anew time.Duration) bool {
	s, since := a.standing(), now.Sub(a.noted)
	pause := loopPause
	if s.graver(a.stood) {
		pause = reasonPause
	}
	if a.noted.IsZero() || s != a.stood && since >= pause || since >= anew {
		a.stood, a.noted = s, now
		return true
	}
	return false
}

// explainEvery returns how often the reason of every level is told anew.
func (c *Controller) explainEvery() time.Duration {
	return max(explainAnew, explainShare*time.Duration(len(c.actuators)))
}

// Obstacles says what keeps an actuator from a level now, the strongest first,
// and what would have to change. None: nothing does, it has the level or is on its
// way there. False: there is no such actuator, or it has not been decided yet.
//
// What is weaker than somebody who wants just that level is no obstacle, for it
// has lost already.
func (c *Controller) Obstacles(p greenhouse.PointID, level float64) ([]greenhouse.Obstacle, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, now := c.points[p], c.now()
	if a == nil || !a.decided {
		return nil, false
	}
	level = unit(level)
	var list []greenhouse.Obstacle
	if !a.has(a.level, level) {
		list = a.claimsAgainst(level)
		if a.void {
			claim := a.failsafeClaim(now)
			list = append(list, greenhouse.Obstacle{Priority: claim.Priority, Owner: claim.Owner, Reason: claim.Reason, Remedy: "its zone has to be decided: greenctl doctor"})
		}
		if r := a.permit(level, false, now); r.Limit != LimitNone && !a.has(r.Level, level) {
			list = append(list, limitOf(a.Point, r))
		}
		if a.override != nil && now.Before(a.overrideEnd) && !a.has(a.override.Value, level) {
			for i := range list {
				if list[i].Priority == greenhouse.PriorityManual {
					list[i].LeftS = math.Ceil(a.overrideEnd.Sub(now).Seconds())
				}
			}
		}
	}
	if why, left := c.waits(a, now); why != "" {
		list = append(list, greenhouse.Obstacle{Priority: greenhouse.PriorityNode, Owner: "node", Reason: why, LeftS: math.Ceil(left.Seconds())})
	}
	slices.SortStableFunc(list, func(x, y greenhouse.Obstacle) int { return int(x.Priority) - int(y.Priority) })
	return list, true
}

// has reports whether a level is the one asked for, to this equipment.
func (a *actuator) has(level, asked float64) bool {
	if a.spec.Modulating {
		return same(level, asked)
	}
	return (level >= 0.5) == (asked >= 0.5)
}

// claimsAgainst lists the claims that forbid a level or want another one, but
// those that lose to somebody who wants it.
func (a *actuator) claimsAgainst(level float64) []greenhouse.Obstacle {
	supported := greenhouse.PriorityFailsafe + 1
	for i := range a.all {
		if c := &a.all[i]; !c.Bound() && a.has(c.Value, level) {
			supported = min(supported, c.Priority)
		}
	}
	var list []greenhouse.Obstacle
	wanted := false
	for i := range a.all {
		c := &a.all[i]
		wanted = wanted || !c.Bound() && c.Priority < greenhouse.PriorityFailsafe
		forbids := c.Min != nil && level < *c.Min-toleranceStep || c.Max != nil && level > *c.Max+toleranceStep
		if c.Priority > supported || c.Bound() && !forbids || !c.Bound() && a.has(c.Value, level) {
			continue
		}
		if c.Priority == greenhouse.PriorityFailsafe && wanted {
			continue // it stands only where nobody wants anything
		}
		list = append(list, greenhouse.Obstacle{Priority: c.Priority, Owner: c.Owner, Reason: c.Reason, Remedy: a.remedy(c)})
	}
	return list
}

// remedy says what would have to change for a claim to give way.
func (a *actuator) remedy(c *greenhouse.Claim) string {
	switch c.Priority {
	case greenhouse.PriorityStop:
		return "greenctl resume, once it is safe"
	case greenhouse.PrioritySafety:
		return "the danger has to pass: nobody can overrule it"
	case greenhouse.PriorityManual:
		return fmt.Sprintf("greenctl zone release %s", a.Point)
	case greenhouse.PriorityInterlock, greenhouse.PriorityLoop:
		if c.Bound() {
			return "that has to change; an override stands above it"
		}
		return fmt.Sprintf("that has to change; or by hand: greenctl zone override %s LEVEL --for 1h --reason TEXT", a.Point)
	case greenhouse.PriorityFailsafe:
		return "somebody has to want it: a target, the mode auto, or an override"
	}
	return ""
}

// limitOf is a ruling as an obstacle.
func limitOf(p greenhouse.PointID, r Ruling) greenhouse.Obstacle {
	o := greenhouse.Obstacle{Priority: greenhouse.PriorityProtection, Owner: string(r.Limit), Reason: r.reason(), LeftS: math.Ceil(r.Left.Seconds())}
	switch r.Limit {
	case LimitOneShot:
		o.Remedy = "greenctl node command, one bounded pulse at a time"
	case LimitMinStep:
		o.Remedy = "a larger change"
	case LimitPosition:
		o.Remedy = "look at the drive and its end switches; one clean full travel ends it: greenctl zone override " + string(p) + " 1, and then 0"
	default:
		o.Remedy = "time: it spares the equipment, and only safety may pass it"
	}
	return o
}

// Waits says why the node of an actuator has not the level that was decided, ""
// if it has it or is doing it.
func (c *Controller) Waits(p greenhouse.PointID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.points[p]
	if a == nil || !a.decided {
		return ""
	}
	why, _ := c.waits(a, c.now())
	return why
}

// waits says why the node has not the level, and for how long that will be so
// where that is known.
func (c *Controller) waits(a *actuator, now time.Time) (why string, left time.Duration) {
	safe := a.level == a.spec.Safe
	switch {
	case !a.node.online:
		return "its node " + string(a.Node) + " is offline", 0
	case a.stop != nil && a.stop.open():
		return "its node has not confirmed the stop yet", 0
	case a.hold != nil && a.hold.cmd.Value == a.level && a.hold.silent():
		return "its node has not answered the command yet", 0
	case a.hold != nil && a.hold.cmd.Value == a.level, c.stopping(a), !c.wanted(a):
		return "", 0
	case now.Before(a.retryAt) && a.failed != "":
		return fmt.Sprintf("the last command failed (%s)", a.failed), a.retryAt.Sub(now)
	case now.Before(a.node.fenced):
		return "its node obeys another daemon of a higher epoch", a.node.fenced.Sub(now)
	case !safe && now.Before(a.node.unsure):
		return "its node is back, and what it did meanwhile is not known yet", a.node.unsure.Sub(now)
	case a.starts() && a.inTurn(now):
		return "nodes that started together take turns", a.node.spread.Sub(now)
	case a.starts() && now.Sub(a.node.started) < c.o.Stagger:
		return "another device of its node has just started", c.o.Stagger - now.Sub(a.node.started)
	case !safe && a.eq.Level == 0 && lamp(a) && !now.After(c.lampNext):
		return "other lamps light up first, against the inrush", c.lampNext.Sub(now)
	}
	return "", 0
}
