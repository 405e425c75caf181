package greenhouse

import (
	"fmt"
	"time"
)

// RunStatus is how far a zone is on its recipe.
type RunStatus struct {
	Recipe    RecipeID `json:"recipe"`
	Version   uint64   `json:"recipe_version" doc:"of the recipe when it was started"`
	Name      string   `json:"name"`
	Planted   Date     `json:"planted"`
	Age       int      `json:"age_days" doc:"days since planting"`
	Phase     int      `json:"phase" doc:"1 is the first"`
	Phases    int      `json:"phases"`
	PhaseName string   `json:"phase_name"`
	From      Date     `json:"phase_from" doc:"the date from which the days of the phase count"`
	Since     Millis   `json:"phase_since" doc:"from when on set-points move to those of the phase"`
	By        string   `json:"phase_by" doc:"who began the phase: a person, or recipe:ID"`
	Day       int      `json:"phase_day" doc:"1 is the first"`
	Days      int      `json:"phase_days,omitempty" doc:"it lasts"`

	DegreeDays   float64 `json:"degree_days,omitempty" doc:"°C·d of the phase so far"`
	DegreeDaysOf float64 `json:"degree_days_of,omitempty" doc:"°C·d after which the phase ends"`

	RampFrom  Millis `json:"ramp_from,omitempty" doc:"when the ramp from the phase before began; 0: there is none"`
	Completed Date   `json:"completed,omitempty" doc:"the last phase has lasted as long as it should, and stays"`
}

// Status returns how far the run is on a date.
func (r *RecipeRun) Status(today Date) RunStatus {
	last, p := r.Last(), r.Phase()
	s := RunStatus{Recipe: r.Recipe, Version: r.Version, Name: r.Name, Planted: r.Planted, Age: today.Since(r.Planted), Phase: last.Phase, Phases: len(r.Phases), PhaseName: p.Name,
		From: last.From, Since: last.At, By: last.By, Day: today.Since(last.From) + 1, Days: p.Days, DegreeDays: r.DegreeDays, DegreeDaysOf: p.DegreeDays, Completed: r.Completed}
	if len(r.Changes) > 1 {
		s.RampFrom = last.At
	}
	return s
}

// On returns the status as it is on another date, as far as days go.
func (s RunStatus) On(today Date) RunStatus {
	s.Age, s.Day = today.Since(s.Planted), today.Since(s.From)+1
	return s
}

// Ramp returns the share of the ramp to the phase that is done at an instant, 1
// where there is none.
func (s RunStatus) Ramp(at Millis) float64 {
	if s.RampFrom == 0 {
		return 1
	}
	return RampShare(s.RampFrom, at, PhaseRamp)
}

// RampShare returns the share of a ramp that is done at an instant.
func RampShare(from, at Millis, lasts time.Duration) float64 {
	if lasts <= 0 {
		if at < from {
			return 0
		}
		return 1
	}
	return max(0, min(1, float64(at.Sub(from))/float64(lasts)))
}

// Text says the same to a grower: "tomato v3, phase 2 vegetative, day 12 of 30; 60 %
// of its 24-h ramp".
func (s RunStatus) Text(at Millis) string {
	text := fmt.Sprintf("%s v%d, phase %d %s, day %d", s.Recipe, s.Version, s.Phase, s.PhaseName, s.Day)
	switch {
	case s.Completed != "":
		text += fmt.Sprintf("; complete since %s", s.Completed)
	case s.Days > 0:
		text += fmt.Sprintf(" of %d", s.Days)
	case s.DegreeDaysOf > 0:
		text += fmt.Sprintf(", %.0f of %.0f °C·d", s.DegreeDays, s.DegreeDaysOf)
	}
	if share := s.Ramp(at); share < 1 {
		text += fmt.Sprintf("; %.0f %% of its 24-h ramp", 100*share)
	}
	return text
}
