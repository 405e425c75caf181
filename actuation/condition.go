package actuation

import (
	"fmt"
	"time"

	"greenhouse"
)

// How often something has to fail in a row before people hear of it.
const (
	alarmFailures    = 3
	alarmCorrections = 3
	slowStop         = 5 * time.Second // an emergency stop not confirmed by then
)

// fault is one kind of alarm of an actuator.
type fault uint8

const (
	faultNotFollowing fault = iota
	faultTimeout
	faultRejected
	faultNoEffect
	faultLockout
	faultStop
	faultSuspect
	faultLost
	faultCount
)

// fault codes and what people read.
func (f fault) code() string {
	return [faultCount]string{"actuator_not_following", "command_timeout", "command_rejected", "effect_missing", "actuator_lockout", "stop_unconfirmed", "position_suspect", "position_unknown"}[f]
}

// Conditions appends the alarm conditions of all actuators and nodes to dst: all
// of them for what is new, then those that hold and those that held before, so
// that an alarm clears.
//
// By actuator: actuator_not_following, command_timeout, command_rejected,
// effect_missing, actuator_lockout, stop_unconfirmed, position_suspect,
// position_unknown. By node: command_fenced.
// Of the site: commands_unsaved.
func (c *Controller) Conditions(dst []greenhouse.Condition) []greenhouse.Condition {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for _, a := range c.actuators {
		for f := faultNotFollowing; f < faultCount; f++ {
			active, severity := c.fault(a, f, now)
			if !active && a.told && a.raised&(1<<f) == 0 {
				continue
			}
			cond := greenhouse.Condition{Source: greenhouse.PointSource(a.Point), Code: f.code(), Severity: severity, Active: active}
			if active {
				a.raised |= 1 << f
				cond.Text = c.faultText(a, f, now)
			}
			dst = append(dst, cond)
		}
		a.told = true
	}
	for uid, n := range c.nodes {
		if _, told := c.told[uid]; told && !n.isFenced && !n.wasFenced {
			continue
		}
		c.told[uid] = struct{}{}
		n.wasFenced = n.wasFenced || n.isFenced
		dst = append(dst, greenhouse.Condition{Source: greenhouse.NodeSource(uid), Code: "command_fenced", Severity: greenhouse.Critical, Active: n.isFenced,
			Text: fmt.Sprintf("node %s obeys a daemon with a higher epoch than %d: two daemons drive it, or a backup was restored", uid, c.o.Epoch)})
	}
	return append(dst, greenhouse.Condition{Source: greenhouse.SiteSource, Code: "commands_unsaved", Severity: greenhouse.Critical, Active: c.book.failed,
		Text: "commands cannot be stored: levels are controlled, doses are withheld"})
}

// fault reports whether a fault of an actuator holds, and how bad it is.
func (c *Controller) fault(a *actuator, f fault, now time.Time) (bool, greenhouse.Severity) {
	switch f {
	case faultNotFollowing:
		stuckOn := !a.differs.IsZero() && a.known && a.reported > a.level && now.Sub(a.differs) >= c.o.Follow
		if stuckOn && a.spec.Hazardous {
			return true, greenhouse.Critical
		}
		return a.corrected >= alarmCorrections || stuckOn && a.spec.Safe == 0, greenhouse.Warning
	case faultTimeout:
		return a.timeouts > 0 && a.node.online, greenhouse.Warning
	case faultRejected:
		return a.failures >= alarmFailures && a.failed != greenhouse.CommandTimeout && a.failed != greenhouse.CommandNoEffect, greenhouse.Warning
	case faultNoEffect:
		return a.failed == greenhouse.CommandNoEffect, greenhouse.Warning
	case faultLockout:
		return a.decided && (a.ruling.Limit == LimitStarts || a.ruling.Limit == LimitMaxRun || a.ruling.Limit == LimitSettle), greenhouse.Warning
	case faultStop:
		return a.stopping && !a.confirmed && now.Sub(a.stoppedAt) >= slowStop, greenhouse.Critical
	case faultSuspect:
		return a.position.suspect(), greenhouse.Warning
	case faultLost:
		return a.position.seeking() && a.node.online && now.Sub(a.position.since) >= lostLong, greenhouse.Warning
	}
	return false, greenhouse.Info
}

// faultText says what is wrong in words of a grower.
func (c *Controller) faultText(a *actuator, f fault, now time.Time) string {
	switch f {
	case faultNotFollowing:
		return fmt.Sprintf("%s reports %.3g instead of %.3g", a.Point, a.reported, a.level)
	case faultTimeout:
		return fmt.Sprintf("%s did not answer %d commands in a row", a.Point, a.timeouts)
	case faultRejected:
		return fmt.Sprintf("%s refused %d commands in a row, the last as %s", a.Point, a.failures, a.failed)
	case faultNoEffect:
		return fmt.Sprintf("%s was switched without effect", a.Point)
	case faultLockout:
		return fmt.Sprintf("%s: %s", a.Point, a.ruling.reason())
	case faultStop:
		state := "online"
		if !a.node.online {
			state = "offline"
		}
		return fmt.Sprintf("%s did not confirm its stop for %s; its node is %s", a.Point, now.Sub(a.stoppedAt).Round(time.Second), state)
	case faultSuspect, faultLost:
		return a.positionText(now)
	}
	return ""
}
