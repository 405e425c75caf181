package api

import "greenhouse"

// SetPoint is one set-point as it stands now, and what it comes from.
type SetPoint struct {
	Value float64           `json:"value"`
	Base  *float64          `json:"base" doc:"what target, recipe or schedule alone ask for; null: nothing"`
	Layer string            `json:"layer" doc:"default, target, recipe, schedule, offset, hold or safety"`
	By    string            `json:"by,omitempty" doc:"who, of an offset or a hold; which recipe and phase"`
	Until greenhouse.Millis `json:"until,omitempty" doc:"when that ends by itself"`
}

// CurveRequest gives a set-point a curve over the day.
type CurveRequest struct {
	Knots greenhouse.Curve `json:"knots" doc:"in the order of the day, 1 to 24"`
}

// AdjustRequest changes a set-point for a time: offset or value, one of them.
type AdjustRequest struct {
	Offset *float64 `json:"offset,omitempty" doc:"added to the set-point"`
	Value  *float64 `json:"value,omitempty" doc:"takes the place of the set-point"`
	ForS   int64    `json:"for_s,omitempty" doc:"s; 0: 7200 for a value, 86400 for an offset; at most 86400 and 2592000"`
	Reason string   `json:"reason" doc:"why; kept in the audit"`
}

// ZonePlan is what the set-points of a zone do on one date of the site.
type ZonePlan struct {
	Zone     greenhouse.ZoneID `json:"zone"`
	Date     string            `json:"date" doc:"2026-03-01, in the time zone of the site"`
	From     greenhouse.Millis `json:"from"`
	Until    greenhouse.Millis `json:"until"`
	Sunrise  greenhouse.Millis `json:"sunrise,omitempty" doc:"absent where the sun does not rise, or the site has no position"`
	Sunset   greenhouse.Millis `json:"sunset,omitempty"`
	DayFrom  greenhouse.Millis `json:"day_from"`
	DayUntil greenhouse.Millis `json:"day_until"`
	Courses  []Course          `json:"courses"`
}

// Course is the course of one set-point over a date.
type Course struct {
	Quantity  greenhouse.Quantity `json:"quantity"`
	Unit      greenhouse.Unit     `json:"unit"`
	Steps     []CourseStep        `json:"steps" doc:"where it is sent"`
	Levels    []*float64          `json:"levels" doc:"every step_s from the beginning of the date; null: nothing is asked for"`
	StepS     int                 `json:"step_s"`
	Mean      *float64            `json:"mean"`
	DayMean   *float64            `json:"day_mean"`
	NightMean *float64            `json:"night_mean" doc:"day_mean - night_mean is DIF"`
}

// CourseStep is an instant from which a set-point moves.
type CourseStep struct {
	At   greenhouse.Millis `json:"at"`
	To   float64           `json:"to"`
	Ramp float64           `json:"ramp_per_h" doc:"units an hour; 0: at once"`
}
