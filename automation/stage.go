package automation

import (
	"fmt"
	"math"
	"time"

	"greenhouse"
)

// stage is what a zone has stood under from an instant on: a phase of its recipe,
// or none.
type stage struct {
	zone  *greenhouse.Zone  // as it is under the phase
	phase *greenhouse.Phase // nil: none
	name  string            // of recipe and phase, for people
	at    greenhouse.Millis
	ramp  time.Duration // over which set-points come to it from the stage before
	stops [setPoints][]stop
}

// bind finds the stages of a zone, unless it has them already: before its recipe,
// at once those of the start, and each later phase by a ramp.
func (c *course) bind(z *greenhouse.Zone) {
	if c.zone == z {
		return
	}
	c.zone, c.date, c.stages = z, 0, append(c.stages[:0], stage{zone: z, at: math.MinInt64})
	if z.Run == nil {
		return
	}
	for i, change := range z.Run.Changes {
		p := &z.Run.Phases[change.Phase-1]
		st := stage{zone: z.Under(p), phase: p, at: change.At, name: fmt.Sprintf("%s v%d, phase %d %s", z.Run.Recipe, z.Run.Version, change.Phase, p.Name)}
		if i > 0 {
			st.ramp = greenhouse.PhaseRamp
		}
		c.stages = append(c.stages, st)
	}
}

// now returns the stage in force.
func (c *course) now() *stage { return &c.stages[len(c.stages)-1] }

// share returns how far set-points have come to stage k: what another stage has cut
// short stays where it was then.
func (c *course) share(k int, ms int64) float64 {
	if k == 0 {
		return 1
	}
	end := greenhouse.Millis(ms)
	if k+1 < len(c.stages) {
		end = min(end, c.stages[k+1].at)
	}
	return greenhouse.RampShare(c.stages[k].at, end, c.stages[k].ramp)
}

// blend leads a level from stage to stage: each ramp begins where the one before
// was, so that a phase that is cut short leaves no jump. It depends on the time and
// the record alone, so a restart changes nothing. What only one side of a ramp asks
// for counts at once.
func (c *course) blend(ms int64, level func(*stage) float64) float64 {
	v := math.NaN()
	for k := range c.stages {
		share := c.share(k, ms)
		if share <= 0 {
			continue
		}
		to := level(&c.stages[k])
		if share >= 1 || math.IsNaN(v) || math.IsNaN(to) {
			v = to
			continue
		}
		v += (to - v) * share
	}
	return v
}

// level returns what a set-point is under the stage at ms; NaN: nobody asks.
func (st *stage) level(i int, cal *calendar, ms int64, day bool) float64 {
	q := setQuantity(i)
	if curve := st.zone.Schedule[q]; len(curve) > 0 {
		return glide(curve[len(curve)-1].Value, st.stops[i], ms)
	}
	t, ok := st.zone.Targets[q]
	switch {
	case !ok:
		return math.NaN()
	case i <= setVent:
		up, down := q.Ramps()
		return cal.value(t, up, down, ms)
	}
	return levelOf(t, day)
}

// cautious returns what a set-point is while nobody knows the time.
func (st *stage) cautious(i int, day bool) float64 {
	q := setQuantity(i)
	if curve := st.zone.Schedule[q]; len(curve) > 0 {
		return cautious(q, curve)
	}
	t, ok := st.zone.Targets[q]
	switch {
	case !ok:
		return math.NaN()
	case i <= setVent:
		return cautious(q, greenhouse.Curve{{Value: t.Day}, {Value: t.Night}})
	}
	return levelOf(t, day)
}
