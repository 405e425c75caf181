package api

import "greenhouse"

// Point is what is measured or driven at a place, with its latest value.
type Point struct {
	ID      greenhouse.PointID     `json:"id"`
	Zone    greenhouse.ZoneID      `json:"zone" doc:"empty: of a node in no zone"`
	Name    greenhouse.ChannelName `json:"name"`
	Kind    greenhouse.Kind        `json:"kind"`
	Value   *float64               `json:"value" doc:"null: none, or the sensor failed"`
	TS      greenhouse.Millis      `json:"ts" doc:"when it was measured; 0: never"`
	Quality greenhouse.Quality     `json:"quality"`
	AgeS    *float64               `json:"age_s" doc:"s; null: never heard"`
	Node    greenhouse.UID         `json:"node" doc:"the node bound now; empty: none"`
	Channel greenhouse.ChannelName `json:"channel"`
	PointSpec
	Calibration *PointCal             `json:"calibration,omitempty" doc:"sensors: how its calibration stands"`
	Position    greenhouse.MotorState `json:"position,omitempty" doc:"drives positioned by time: known, unknown (is being found) or suspect (driven to its ends only)"`
	Override    *Override             `json:"override,omitempty" doc:"actuators: the level set by hand, which the version covers"`
	Meta
}

// PointSpec is the part of a point that people set; a PATCH of a point is a
// merge patch of it.
type PointSpec struct {
	Unit  greenhouse.Unit  `json:"unit"`
	Class greenhouse.Class `json:"class,omitempty" doc:"actuators"`
	Safe  float64          `json:"safe" doc:"actuators: level without a live reason"`
	Min   *float64         `json:"min,omitempty" doc:"sensors: lowest plausible value"`
	Max   *float64         `json:"max,omitempty" doc:"sensors: highest plausible value"`

	CalPolicy *greenhouse.CalPolicy `json:"cal_policy,omitempty" doc:"sensors: what it asks of its probe; null: as its name does"`
}

// PointPatch is a merge patch of [PointSpec]; a nil field stays.
type PointPatch struct {
	Unit  *greenhouse.Unit  `json:"unit,omitempty"`
	Class *greenhouse.Class `json:"class,omitempty"`
	Safe  *float64          `json:"safe,omitempty"`
	Min   *float64          `json:"min,omitempty"`
	Max   *float64          `json:"max,omitempty"`

	CalPolicy *greenhouse.CalPolicy `json:"cal_policy,omitempty"`
}

// History is a stretch of readings of one point.
type History struct {
	Point greenhouse.PointID `json:"point"`
	Unit  greenhouse.Unit    `json:"unit"`
	Step  string             `json:"step" enum:"raw,1m,1h,1d"`
	// IntegralUnit is set for rollups of a rate.
	IntegralUnit greenhouse.Unit `json:"integral_unit,omitempty"`
	Samples      []Sample        `json:"samples"`
	Gaps         []Gap           `json:"gaps" doc:"losses recorded in this stretch"`
	Next         string          `json:"next,omitempty" doc:"pass as ?cursor= for the rest"`
}

// Sample is one reading, or the mean of a step with its extremes.
type Sample struct {
	TS      greenhouse.Millis  `json:"ts"`
	Value   *float64           `json:"value" doc:"null: the sensor failed"`
	Quality greenhouse.Quality `json:"quality"`
	Min     *float64           `json:"min,omitempty" doc:"rollups"`
	Max     *float64           `json:"max,omitempty" doc:"rollups"`
	Count   int                `json:"count,omitempty" doc:"rollups: readings in the step"`
	Last    *float64           `json:"last,omitempty" doc:"rollups: the last usable value"`
	// Integral is the value summed up over the step, in History.IntegralUnit.
	Integral *float64 `json:"integral,omitempty" doc:"rollups of a rate (light, flow): what it adds up to"`
}

// Gap is a durable record that readings were lost.
type Gap = greenhouse.Gap

// Alarm is a condition somebody must know of.
type Alarm = greenhouse.Alarm

// ShelveRequest hides an alarm for a time.
type ShelveRequest struct {
	ForS int `json:"for_s" doc:"s, at most 604800 (a week); 0: show it again"`
}

// Event is one thing that happened, numbered in the order of commit.
type Event = greenhouse.Event

// The formats of an export.
const (
	FormatCSV   = "csv"   // point,ts,value,quality; ts in ms
	FormatJSONL = "jsonl" // one object a line with the same fields
)
