package greenhouse

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// PhaseRamp is how long set-points take from one phase of a recipe to the next.
const PhaseRamp = 24 * time.Hour

// maxPhaseChanges is how many changes of phase a run remembers: far more than a
// crop has, and enough for the ramp through any of them.
const maxPhaseChanges = 100

// RecipeRun is a recipe as a zone grows by it: a copy of its phases as they were at
// the start, and how far the crop is. It ends when a person ends it; the last
// phase stays until then, for a crop must not lose its climate because a date is
// past.
type RecipeRun struct {
	Recipe    RecipeID `json:"recipe"`
	Version   uint64   `json:"recipe_version"` // of the recipe at the start
	Name      string   `json:"name"`
	Crop      string   `json:"crop,omitempty"`
	Phases    []Phase  `json:"phases"` // never written to
	Planted   Date     `json:"planted"`
	StartedAt Millis   `json:"started_at"`
	StartedBy string   `json:"started_by"`

	Changes    []PhaseChange `json:"changes"`               // oldest first; the last led to where the crop is
	DegreeDays float64       `json:"degree_days,omitempty"` // °C·d of this phase so far
	Counted    Date          `json:"counted,omitempty"`     // the last date that is in them
	Completed  Date          `json:"completed,omitempty"`   // since when the last phase has lasted as long as it should
}

// PhaseChange is the beginning of a phase of a run.
type PhaseChange struct {
	Phase int    `json:"phase"` // 1 is the first
	From  Date   `json:"from"`  // the date from which its days count
	At    Millis `json:"at"`    // the instant from which set-points move towards it
	By    string `json:"by"`    // who: a person, or "recipe:ID" for the recipe itself
	Why   string `json:"why,omitempty"`
}

// Owner is the name under which the recipe itself acts.
func (r *RecipeRun) Owner() string { return "recipe:" + string(r.Recipe) }

// StartRecipe puts a crop that was planted on a date on a recipe. Phase counts from
// 1; 0 takes the phase that the planting date leads to, as far as phases by days
// tell. A phase that is named begins today.
func StartRecipe(r *Recipe, planted Date, phase int, today Date, at Millis, by string) (*RecipeRun, error) {
	switch old := today.Since(planted); {
	case old < 0:
		return nil, Invalid("planted_invalid", "the planting date %s is not yet come: today is %s", planted, today)
	case old > 5*366:
		return nil, Invalid("planted_invalid", "the planting date %s is %d days ago: it takes five years at most", planted, old)
	case phase < 0 || phase > len(r.Phases):
		return nil, Invalid("phase_invalid", "recipe %s has no phase %d: it has %d", r.ID, phase, len(r.Phases))
	}
	run := &RecipeRun{Recipe: r.ID, Version: r.Version, Name: r.Name, Crop: r.Crop, Phases: r.Phases, Planted: planted, StartedAt: at, StartedBy: by}
	from := today
	if phase == 0 {
		phase, from = 1, planted
		for phase < len(r.Phases) {
			days := r.Phases[phase-1].Days
			if days == 0 || from.Add(days).Since(today) > 0 {
				break
			}
			phase, from = phase+1, from.Add(days)
		}
	}
	run.enter(PhaseChange{Phase: phase, From: from, At: at, By: by})
	return run, nil
}

// enter begins a phase.
func (r *RecipeRun) enter(c PhaseChange) {
	r.Changes = append(r.Changes, c)
	if n := len(r.Changes) - maxPhaseChanges; n > 0 {
		r.Changes = append([]PhaseChange{}, r.Changes[n:]...)
	}
	r.DegreeDays, r.Counted, r.Completed = 0, "", ""
	if r.Phase().DegreeDays > 0 {
		r.Counted = c.From.Add(-1)
	}
}

// Clone returns a copy that can be advanced; phases are shared.
func (r *RecipeRun) Clone() *RecipeRun {
	if r == nil {
		return nil
	}
	c := *r
	c.Changes = append([]PhaseChange{}, r.Changes...)
	return &c
}

// Last returns the change that led to the phase in force.
func (r *RecipeRun) Last() PhaseChange { return r.Changes[len(r.Changes)-1] }

// Phase returns the phase in force.
func (r *RecipeRun) Phase() *Phase { return &r.Phases[r.Last().Phase-1] }

// Check refuses a run that cannot be, with [ErrInvalid].
func (r *RecipeRun) Check() error {
	recipe := Recipe{ID: r.Recipe, Name: r.Name, Crop: r.Crop, Phases: r.Phases}
	if err := recipe.Check(); err != nil {
		return err
	}
	if len(r.Changes) == 0 {
		return Invalid("run_invalid", "the run of recipe %s is in no phase", r.Recipe)
	}
	for _, c := range r.Changes {
		if c.Phase < 1 || c.Phase > len(r.Phases) {
			return Invalid("run_invalid", "the run of recipe %s is in phase %d: it has %d", r.Recipe, c.Phase, len(r.Phases))
		}
	}
	return nil
}

// GoTo begins another phase at the word of a person; 0 is the next one. Going to
// the phase it is in, or on from the last, is a conflict.
func (r *RecipeRun) GoTo(phase int, today Date, at Millis, by, why string) error {
	now := r.Last().Phase
	switch {
	case phase == 0 && now == len(r.Phases):
		return Conflict("recipe_last_phase", "recipe %s is in its last phase, %s", r.Recipe, r.Phase().Name).
			WithHint("greenctl recipe stop ends it; --to goes back to an earlier phase")
	case phase == 0:
		phase = now + 1
	case phase < 1 || phase > len(r.Phases):
		return Invalid("phase_invalid", "recipe %s has no phase %d: it has %d", r.Recipe, phase, len(r.Phases))
	case phase == now:
		return Conflict("recipe_same_phase", "recipe %s is in phase %d, %s, already", r.Recipe, phase, r.Phase().Name)
	}
	r.enter(PhaseChange{Phase: phase, From: today, At: at, By: by, Why: why})
	return nil
}

// Owes returns the first date whose warmth is to be counted, if one is over that
// has not been. It is none for phases that do not end by degree-days.
func (r *RecipeRun) Owes(today Date) (Date, bool) {
	if r.Counted == "" || r.Completed != "" {
		return "", false
	}
	next := r.Counted.Add(1)
	return next, today.Since(next) > 0
}

// Count adds the warmth of the date that [RecipeRun.Owes]: by its mean air
// temperature, or, where nobody measured it, as the mean of the phase so far.
func (r *RecipeRun) Count(mean float64, measured bool) {
	days := r.Counted.Since(r.Last().From) + 1
	switch {
	case measured:
		r.DegreeDays += max(0, mean-r.Phase().BaseTemp)
	case days > 0:
		r.DegreeDays += r.DegreeDays / float64(days)
	}
	r.Counted = r.Counted.Add(1)
}

// Advance goes on to the phase that is due on a date, one at a time, or notes that
// the last is complete; it reports whether anything changed. A date is never
// judged twice with another outcome: what was begun stays begun, also when the
// clock is put back.
func (r *RecipeRun) Advance(today Date, at Millis) bool {
	p, last := r.Phase(), r.Last()
	var end Date
	var why string
	switch {
	case p.Days > 0:
		end, why = last.From.Add(p.Days), "after "+count(p.Days, "day")
	case p.DegreeDays > 0 && r.DegreeDays >= p.DegreeDays:
		end, why = r.Counted.Add(1), fmt.Sprintf("%.0f of %.0f °C·d are reached", r.DegreeDays, p.DegreeDays)
	default:
		return false
	}
	switch {
	case today.Since(end) < 0:
		return false
	case last.Phase < len(r.Phases):
		r.enter(PhaseChange{Phase: last.Phase + 1, From: end, At: at, By: r.Owner(), Why: why})
		return true
	case r.Completed == "":
		r.Completed = end
		return true
	}
	return false
}

// Follow does all that is due on a date: it counts the warmth of dates that are over,
// by their mean air temperature where it is known, and goes from phase to phase. It
// reports whether anything changed.
func (r *RecipeRun) Follow(today Date, at Millis, mean func(Date) (float64, bool)) (changed bool) {
	for {
		date, owes := r.Owes(today)
		if owes {
			r.Count(mean(date))
		}
		advanced := r.Advance(today, at)
		if !owes && !advanced {
			return changed
		}
		changed = true
	}
}

// foresight is for how many days a run is foreseen at most.
const foresight = 731

// Foresee returns the run as it will be at the end of a date, as far as is known
// today: phases by days go on, and those by warmth as warm as they were so far. The
// longest look is two years.
func (r *RecipeRun) Foresee(today, date Date, loc *time.Location) *RecipeRun {
	ahead := r.Clone()
	for days := 1; days <= min(date.Since(today), foresight); days++ {
		then := today.Add(days)
		ahead.Follow(then, MillisOf(then.Begin(loc)), func(Date) (float64, bool) { return 0, false })
	}
	return ahead
}

// Ahead returns the phases that are foreseen to begin within two years.
func (r *RecipeRun) Ahead(today Date, loc *time.Location) []PhaseChange {
	all := r.Foresee(today, today.Add(foresight), loc).Changes
	return all[slices.Index(all, r.Last())+1:]
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// Under returns the zone as it is under a phase of a recipe: the targets and curves
// of the phase stand above the targets of the zone, and the curves of the zone
// above both.
func (z *Zone) Under(p *Phase) *Zone {
	under := *z
	under.Targets, under.Schedule = maps.Clone(z.Targets), maps.Clone(p.Schedule)
	if under.Targets == nil {
		under.Targets = map[Quantity]Target{}
	}
	if under.Schedule == nil {
		under.Schedule = map[Quantity]Curve{}
	}
	maps.Copy(under.Targets, p.Targets)
	maps.Copy(under.Schedule, z.Schedule)
	return &under
}
