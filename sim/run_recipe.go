package sim

import (
	"fmt"
	"math"
	"time"

	"greenhouse"
)

// runEvent is an entry of the journal that a run keeps: those of the recipe.
type runEvent struct {
	at    time.Duration // since the start
	code  string
	actor string
}

// event journals something.
func (d *stand) journal(code, actor, what string) {
	d.events = append(d.events, runEvent{d.r.now.Sub(d.r.start), code, actor})
	d.r.tell(code + " by " + actor + ": " + what)
}

// began journals the start of the recipe.
func (d *stand) began() {
	if run := d.zone.Run; run != nil {
		d.journal("recipe_started", run.StartedBy, d.growing())
	}
}

// today returns the date and the instant.
func (d *stand) today() (greenhouse.Date, greenhouse.Millis) {
	return greenhouse.DateOf(d.r.now), greenhouse.MillisOf(d.r.now)
}

// growing says how far the recipe is.
func (d *stand) growing() string {
	today, now := d.today()
	return d.zone.Run.Status(today).Text(now)
}

// warmed counts a reading of the air into the mean of its date, as the history does.
func (d *stand) warmed(rd *greenhouse.Reading) {
	if d.zone.Run == nil || rd.Point.Name() != "air_temp" || rd.Quality == greenhouse.Bad || math.IsNaN(rd.Value) {
		return
	}
	if d.warmth == nil {
		d.warmth = map[greenhouse.Date]*meanFold{}
	}
	date := greenhouse.DateOf(rd.At.Time().In(d.r.start.Location()))
	if d.warmth[date] == nil {
		d.warmth[date] = &meanFold{}
	}
	d.warmth[date].add(rd.Value, 0, 0)
}

// grow brings the recipe on, as the daemon does.
func (d *stand) grow() {
	if d.zone.Run == nil || !d.r.trusted {
		return
	}
	today, now := d.today()
	run, was := d.zone.Run.Clone(), d.zone.Run.Last()
	changed := run.Follow(today, now, func(date greenhouse.Date) (float64, bool) {
		m := d.warmth[date]
		if m == nil {
			return 0, false
		}
		return m.value(), true
	})
	if !changed {
		return
	}
	d.keepRun(run)
	if last := run.Last(); last != was {
		d.journal("phase_changed", last.By, d.growing()+", "+last.Why)
	}
	if run.Completed == today {
		d.journal("recipe_completed", run.Owner(), d.growing())
	}
}

// keepRun stores how far the recipe is; the record is another one, as in the registry.
func (d *stand) keepRun(run *greenhouse.RecipeRun) {
	z := *d.zone
	z.Run = run
	d.zone = &z
}

// advance goes to a phase at the word of the grower.
func (d *stand) advance(name string) error {
	today, now := d.today()
	run := d.zone.Run.Clone()
	if err := run.GoTo(d.r.s.Zone.Recipe.phase(name), today, now, grower, "by the scenario"); err != nil {
		return fmt.Errorf("advance to %s: %w", name, err)
	}
	d.keepRun(run)
	d.journal("phase_changed", grower, d.growing())
	return nil
}

// phase returns the phase in force, 0 where nothing grows.
func (d *stand) phase() float64 {
	if d.zone.Run == nil {
		return 0
	}
	return float64(d.zone.Run.Last().Phase)
}

// phaseRamp returns the share of the ramp to it that is done.
func (d *stand) phaseRamp() float64 {
	if d.zone.Run == nil {
		return 1
	}
	today, now := d.today()
	return d.zone.Run.Status(today).Ramp(now)
}
