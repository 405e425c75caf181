package edge

import (
	"errors"
	"fmt"
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
		run, err := grownBy(z, now.In(loc), d.dayMeans)
		if err != nil && d.ctx.Err() == nil {
			d.log.Warn("the warmth of past days is not counted yet", "zone", id, "error", err)
		}
		if run != nil {
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

// warmthWaits is for how many days the warmth of a date is waited for while the
// history cannot be read: a disk that stalls says nothing of the date. What is known
// to be damaged is no error of the history, and waits for nobody.
const warmthWaits = 7

// dayMeans returns the mean air temperature of a zone by date.
type dayMeans func(z greenhouse.ZoneID, from, to time.Time) (map[greenhouse.Date]float64, error)

// grownBy returns the run of a zone as it should be now, nil where it is so already.
// Where the history cannot be read just now no date is counted, and the next minute
// looks again; phases by days go on all the same.
func grownBy(z *greenhouse.Zone, now time.Time, read dayMeans) (*greenhouse.RecipeRun, error) {
	today, at, run := greenhouse.DateOf(now), greenhouse.MillisOf(now), z.Run.Clone()
	byDays := false
	for run.Advance(today, at) {
		byDays = true
	}
	counted := run.Clone()
	var means map[greenhouse.Date]float64
	var failed error
	changed := counted.Follow(today, at, func(date greenhouse.Date) (float64, bool) {
		if means == nil && failed == nil { // all that is owed comes from one look
			means, failed = read(z.ID, date.Begin(now.Location()), today.Begin(now.Location()))
			if failed != nil && today.Since(date) > warmthWaits {
				means, failed = map[greenhouse.Date]float64{}, nil
			}
		}
		mean, measured := means[date]
		return mean, measured
	})
	switch {
	case failed == nil && (changed || byDays):
		return counted, nil
	case byDays:
		return run, failed
	}
	return nil, failed
}

// dayMeans reads the mean air temperature of a zone by date from the history: of each
// sensor over the date, and of the sensors.
func (d *Daemon) dayMeans(z greenhouse.ZoneID, from, to time.Time) (map[greenhouse.Date]float64, error) {
	sums, counts := map[greenhouse.Date]float64{}, map[greenhouse.Date]float64{}
	for _, p := range d.store.Registry().ZonePoints(z) {
		if p.Name != "air_temp" || p.Kind != greenhouse.Sensor {
			continue
		}
		q := telemetry.Query{Point: p.ID, From: greenhouse.MillisOf(from), To: greenhouse.MillisOf(to), Step: telemetry.StepDay, Location: from.Location()}
		r, err := d.telemetry.History(d.ctx, q)
		if errors.Is(err, greenhouse.ErrNotFound) {
			continue // it has never been heard
		}
		if err != nil {
			return nil, fmt.Errorf("read the history of %s: %w", p.ID, err)
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
	return sums, nil
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
