package automation

import (
	"time"

	"greenhouse"
)

// tuning is a zone's Control with its defaults filled in.
type tuning struct {
	greenhouse.Control
	hold, changeover, stageDelay, heatCycle, stale time.Duration
}

func tuningOf(c greenhouse.Control) tuning {
	c = c.Defaults()
	c.DeadZone = max(c.DeadZone, leastDeadZone)
	seconds := func(v int) time.Duration { return time.Duration(v) * time.Second }
	return tuning{c, seconds(c.HoldS), seconds(c.ChangeoverS), seconds(c.StageDelayS), seconds(c.HeatCycleS), seconds(c.StaleAfterS)}
}

// leastDeadZone is the smallest distance between heating and venting, K.
const leastDeadZone = 1
