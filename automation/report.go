package automation

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"greenhouse"
)

// Report says how a cycle went.
type Report struct {
	At      time.Time
	Took    time.Duration
	Period  time.Duration // that it has
	Workers int
	Total   int
	OK      int
	Failed  int
	Errors  map[greenhouse.ZoneID]string // of the zones that failed
	Changed []greenhouse.Condition       // zone_failed of every zone that fails or has just recovered
}

// The shares of failed zones from which a cycle is an alarm of the site.
const (
	warnShare     = 0.10 // more than this
	criticalShare = 0.30 // this or more
	slowShare     = 0.80 // of the period: a cycle that takes longer is one too
)

// Slow reports whether the cycle took most of its period.
func (r Report) Slow() bool { return float64(r.Took) > slowShare*float64(r.Period) }

// Conditions returns the alarms that the cycle means: one for each failed zone,
// and three for the site.
func (r Report) Conditions() []greenhouse.Condition {
	share := 0.0
	if r.Total > 0 {
		share = float64(r.Failed) / float64(r.Total)
	}
	text := fmt.Sprintf("%d of %d zones could not be decided", r.Failed, r.Total)
	out := append([]greenhouse.Condition(nil), r.Changed...)
	return append(out,
		greenhouse.Condition{Source: greenhouse.SiteSource, Code: "cycle_degraded", Severity: greenhouse.Warning, Active: share > warnShare, Text: text},
		greenhouse.Condition{Source: greenhouse.SiteSource, Code: "cycle_failing", Severity: greenhouse.Critical, Active: share >= criticalShare, Text: text},
		greenhouse.Condition{Source: greenhouse.SiteSource, Code: "cycle_slow", Severity: greenhouse.Warning, Active: r.Slow(),
			Text: fmt.Sprintf("deciding %d zones took %.1f s of the %g s there are: fewer zones, or a faster computer", r.Total, r.Took.Seconds(), r.Period.Seconds())})
}

// report counts how the zones of a cycle stand. It is the watchdog too: a zone
// without a decision for two cycles has failed, whatever its worker does.
func (l *Loop) report(slots []*slot, start time.Time) Report {
	now := l.o.Now()
	r := Report{At: start, Took: now.Sub(start), Period: l.o.Period, Total: len(slots)}
	for _, s := range slots {
		s.mu.Lock()
		why := s.failing
		if why == "" && s.at.Before(start.Add(-l.o.Period)) {
			why = "it makes no decision"
		}
		if why == "" {
			r.OK++
		} else {
			r.fail(s.id, why)
		}
		if why != "" || s.alarmed {
			r.Changed = append(r.Changed, zoneFailed(s.id, why))
			s.alarmed = why != ""
		}
		s.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range l.gone {
		r.Changed = append(r.Changed, zoneFailed(id, ""))
	}
	l.gone = nil
	return r
}

func (r *Report) fail(z greenhouse.ZoneID, why string) {
	r.Failed++
	if r.Errors == nil {
		r.Errors = map[greenhouse.ZoneID]string{}
	}
	r.Errors[z] = why
}

// zoneFailed is the alarm of a zone that fails, or no longer does ("").
func zoneFailed(z greenhouse.ZoneID, why string) greenhouse.Condition {
	c := greenhouse.Condition{Source: greenhouse.ZoneSource(z), Code: "zone_failed", Severity: greenhouse.Critical, Active: why != "", Text: "automation of the zone works"}
	if why != "" {
		c.Text = "automation of the zone fails, its actuators are at their safe levels: " + why
	}
	return c
}

// counts are the counters of a loop.
type counts struct {
	cycles, decisions, woken, panics, late, overruns atomic.Uint64
	took, most, workers, zones, failed               atomic.Int64
}

// Stats are figures of a loop since its start.
type Stats struct {
	Cycles    uint64
	Decisions uint64 // good ones
	Woken     uint64 // zones decided beside the cycle
	Panics    uint64
	Late      uint64        // cycles that were not done within their period
	Overruns  uint64        // cycles that took over 80 % of their period
	Took      time.Duration // the last cycle
	Most      time.Duration // the longest
	Workers   int           // goroutines that decide, as the measured cost asks
	Zones     int
	Failed    int // zones that failed in the last cycle
}

// Stats returns the figures of now.
func (l *Loop) Stats() Stats {
	c := &l.counts
	return Stats{
		Cycles: c.cycles.Load(), Decisions: c.decisions.Load(), Woken: c.woken.Load(), Panics: c.panics.Load(), Late: c.late.Load(), Overruns: c.overruns.Load(),
		Took: time.Duration(c.took.Load()), Most: time.Duration(c.most.Load()), Workers: int(c.workers.Load()), Zones: int(c.zones.Load()), Failed: int(c.failed.Load()),
	}
}

// Last returns how the last cycle went. What it holds must not be changed.
func (l *Loop) Last() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Decided returns when a zone was last decided, zero for never, and why it
// fails, if it does.
func (l *Loop) Decided(z greenhouse.ZoneID) (at time.Time, failing string) {
	l.mu.Lock()
	s, ok := l.slots[z]
	l.mu.Unlock()
	if !ok {
		return time.Time{}, ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at, s.failing
}

// SetPoints returns the set-points of the last good decision of a zone, and
// whether there was one.
func (l *Loop) SetPoints(z greenhouse.ZoneID) (SetPoints, bool) {
	l.mu.Lock()
	s, ok := l.slots[z]
	l.mu.Unlock()
	if !ok {
		return SetPoints{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.points, !s.at.IsZero()
}

// Protect decides a zone whose loops fail: protection against frost, heat and
// CO₂ goes on, everything else is safe, and people may still drive by hand.
func Protect(in *Input, st *State, why string) *Decision {
	st.begin(in)
	st.sense(in)
	st.auto = false
	nan := math.NaN()
	st.aim = aims{heat: nan, vent: nan, heatBase: nan, rh: nan, vpd: nan, co2: nan, hd: nan, dli: nan}
	st.protect()
	st.burners()
	for i := range st.devices {
		w := &st.decision.Wants[i]
		w.Claims = append(w.Claims, failedClaim(st.devices[i].point.Safe, why))
	}
	st.explain()
	st.watchSafety()
	return &st.decision
}

// safeLevels is the last resort: the safe level of every actuator.
func safeLevels(in *Input, z greenhouse.ZoneID, now time.Time, why string) *Decision {
	d := &Decision{Zone: z, At: now}
	for i := range in.Devices {
		p := in.Devices[i].Point
		d.Wants = append(d.Wants, Want{Point: p.ID, Claims: []greenhouse.Claim{failedClaim(p.Safe, why)}})
	}
	return d
}

// failedClaim is the claim on an actuator of a failed zone.
func failedClaim(safe float64, why string) greenhouse.Claim {
	return greenhouse.Claim{Priority: greenhouse.PriorityInterlock, Owner: "zone_failed", Value: safe, Reason: "automation of the zone fails: " + why, Urgent: true}
}
