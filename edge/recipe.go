package edge

import (
	"errors"
	"math"
	"slices"
	"time"

	"greenhouse"
	"greenhouse/store"
	"greenhouse/telemetry"
)

// zonesAtOnce bounds how many zones are brought on in one transaction. At midnight
// all of them are due; the rest follows a minute later.
const zonesAtOnce = 500

// grown is a zone whose recipe has come on.
type grown struct {
	zone *greenhouse.Zone // as it was
	run  *greenhouse.RecipeRun
}

// grow brings the zones that grow by a recipe on: the warmth of dates that are over
// is counted, phases that are due begin. All that was done is in the record of the
// zone, so that it is done once, whatever restarts come between. Nothing is done
// while nobody knows the date, nor within an hour of a leap of the clock: one that is
// wrong by a year for a minute would end every recipe.
func (d *Daemon) grow() error {
	if !d.clock.Dates(d.opts.Now()) {
		return nil
	}
	reg, now, loc := d.store.Registry(), d.opts.Now(), d.control.location.Load().loc
	var due []grown
	for _, id := range *d.control.zones.Load() {
		z := reg.Zones[id]
		if z == nil || z.Run == nil {
			continue
		}
		if run := d.grownBy(reg, z, now.In(loc)); run != nil {
			due = append(due, grown{z, run})
		}
		if len(due) == zonesAtOnce {
			break
		}
	}
	if len(due) == 0 {
		return nil
	}
	return d.store.Update(func(tx *store.Tx) error {
		for _, g := range due {
			if err := d.keepGrown(tx, g, greenhouse.DateOf(now.In(loc))); err != nil {
				return err
			}
		}
		return nil
	})
}

// grownBy returns the run of a zone as it should be now, nil where it is so already.
func (d *Daemon) grownBy(reg *store.Registry, z *greenhouse.Zone, now time.Time) *greenhouse.RecipeRun {
	today, run := greenhouse.DateOf(now), z.Run.Clone()
	var means map[greenhouse.Date]float64
	changed := run.Follow(today, greenhouse.MillisOf(now), func(date greenhouse.Date) (float64, bool) {
		if means == nil { // all that is owed comes from one look
			means = d.dayMeans(reg, z.ID, date.Begin(now.Location()), today.Begin(now.Location()))
		}
		mean, measured := means[date]
		return mean, measured
	})
	if !changed {
		return nil
	}
	return run
}

// dayMeans returns the mean air temperature of a zone by date: of each sensor over
// the date, and of the sensors.
func (d *Daemon) dayMeans(reg *store.Registry, z greenhouse.ZoneID, from, to time.Time) map[greenhouse.Date]float64 {
	sums, counts := map[greenhouse.Date]float64{}, map[greenhouse.Date]float64{}
	for _, p := range reg.ZonePoints(z) {
		if p.Name != "air_temp" || p.Kind != greenhouse.Sensor {
			continue
		}
		q := telemetry.Query{Point: p.ID, From: greenhouse.MillisOf(from), To: greenhouse.MillisOf(to), Step: telemetry.StepDay, Location: from.Location()}
		r, err := d.telemetry.History(d.ctx, q)
		if err != nil {
			if d.ctx.Err() == nil && !errors.Is(err, greenhouse.ErrNotFound) {
				d.log.Warn("the warmth of past days could not be read", "point", p.ID, "error", err)
			}
			continue
		}
		for _, s := range r.Samples {
			if s.Count > 0 && !math.IsNaN(s.Value) {
				date := greenhouse.DateOf(s.TS.Time().In(from.Location()))
				sums[date] += s.Value
				counts[date]++
			}
		}
	}
	for date, n := range counts {
		sums[date] /= n
	}
	return sums
}

// keepGrown writes down how far a zone has come, with an event for each phase that
// began, unless somebody changed the zone meanwhile: then the next minute looks anew.
func (d *Daemon) keepGrown(tx *store.Tx, g grown, today greenhouse.Date) error {
	if z := tx.Registry().Zones[g.zone.ID]; z == nil || z.Version != g.zone.Version {
		return nil
	}
	after, err := tx.EditZone(g.zone.ID, 0, func(z *greenhouse.Zone) error { z.Run = g.run; return nil })
	if err != nil {
		return err
	}
	event := func(code string, before greenhouse.RunStatus, more ...any) error {
		pairs := append([]any{"version", after.Version, "before", map[string]any{"run": before}, "after", map[string]any{"run": g.run.Status(today)}}, more...)
		_, err := d.journal.Append(tx, greenhouse.Event{TS: g.run.Last().At, Code: code, Source: greenhouse.ZoneSource(after.ID), Actor: g.run.Owner(), Detail: detail(pairs...)})
		return err
	}
	was := g.zone.Run
	before := was.Status(today)
	began := slices.Index(g.run.Changes, was.Last()) + 1
	for _, c := range g.run.Changes[began:] {
		p := &g.run.Phases[c.Phase-1]
		if err := event("phase_changed", before, "phase", c.Phase, "name", p.Name, "why", c.Why); err != nil {
			return err
		}
	}
	if g.run.Completed != "" && was.Completed == "" {
		return event("recipe_completed", before)
	}
	return nil
}
