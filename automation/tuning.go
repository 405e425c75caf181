package automation

import (
	"time"

	"greenhouse"
)

// tuning is a zone's Control with the defaults of docs/control.md filled in.
type tuning struct {
	greenhouse.Control
	hold, changeover, stageDelay, stale time.Duration
}

func tuningOf(c greenhouse.Control) tuning {
	or := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	or(&c.HeatOn, 0.3)
	or(&c.HeatOff, 0.2)
	or(&c.HeatKp, 0.25)
	if c.HeatTiS == 0 {
		c.HeatTiS = 900
	}
	or(&c.DeadZone, 3)
	or(&c.VentPBand, 4)
	or(&c.FrostLimit, 4)
	or(&c.HeatLimit, 35)
	or(&c.VentCap, 0.5)
	or(&c.RHPBand, 8)
	or(&c.RHVentMax, 0.1)
	or(&c.CO2Max, 1600)
	c.DeadZone = max(c.DeadZone, leastDeadZone)
	seconds := func(v, d int) time.Duration {
		if v == 0 {
			v = d
		}
		return time.Duration(v) * time.Second
	}
	return tuning{c, seconds(c.HoldS, 300), seconds(c.ChangeoverS, 300), seconds(c.StageDelayS, 120), time.Duration(c.StaleAfterS) * time.Second}
}

// leastDeadZone is the smallest distance between heating and venting, K.
const leastDeadZone = 1
