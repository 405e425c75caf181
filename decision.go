package greenhouse

import (
	"encoding/json"
	"math"
)

// Priority is the place of a claim in the precedence over one actuator; a
// lower number wins.
type Priority int

// The levels of precedence.
const (
	PriorityStop       Priority = 1 // emergency stop, latched
	PriorityNode       Priority = 2 // the node's own hard limits
	PrioritySafety     Priority = 3 // the safety supervisor
	PriorityProtection Priority = 4 // equipment protection: shortest times, starts an hour, longest run
	PriorityManual     Priority = 5 // a person's override, always with an expiry
	PriorityInterlock  Priority = 6 // coordination between functions
	PriorityLoop       Priority = 7 // control loops
	PrioritySchedule   Priority = 8
	PriorityFailsafe   Priority = 9 // the safe level of the class
)

// String returns the name people see in `zone why`.
func (p Priority) String() string {
	switch p {
	case PriorityStop:
		return "emergency stop"
	case PriorityNode:
		return "node limit"
	case PrioritySafety:
		return "safety"
	case PriorityProtection:
		return "equipment protection"
	case PriorityManual:
		return "manual override"
	case PriorityInterlock:
		return "interlock"
	case PriorityLoop:
		return "control loop"
	case PrioritySchedule:
		return "schedule"
	case PriorityFailsafe:
		return "failsafe"
	}
	return "unknown"
}

// MarshalText writes the name.
func (p Priority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the name.
func (p *Priority) UnmarshalText(b []byte) error {
	for q := PriorityStop; q <= PriorityFailsafe; q++ {
		if q.String() == string(b) {
			*p = q
			return nil
		}
	}
	return Invalid("priority_invalid", "priority %q is unknown", b)
}

// Claim is what one owner wants of one actuator, and why. A claim either wants
// a level, or bounds what others may want.
type Claim struct {
	Priority Priority `json:"priority"`
	Owner    string   `json:"owner"` // e.g. "heating", "frost", "override:anna", "min_off"
	Value    float64  `json:"value"` // the level wanted; for a bound, ignored
	Min      *float64 `json:"min,omitempty"`
	Max      *float64 `json:"max,omitempty"`
	Reason   string   `json:"reason"` // one clause a grower understands
	Urgent   bool     `json:"urgent,omitempty"`
}

// Bound reports whether the claim limits others rather than wanting a level.
func (c Claim) Bound() bool { return c.Min != nil || c.Max != nil }

// Input is one value a decision was made from.
type Input struct {
	Point   PointID `json:"point"`
	Value   float64 `json:"value"`
	Quality Quality `json:"quality"`
	AgeS    float64 `json:"age_s"`
}

// MarshalJSON writes a value that is no number as null.
func (i Input) MarshalJSON() ([]byte, error) {
	type plain Input // without this method
	if !math.IsNaN(i.Value) && !math.IsInf(i.Value, 0) {
		return json.Marshal(plain(i))
	}
	i.Value = 0
	return json.Marshal(struct {
		plain
		Value *float64 `json:"value"`
	}{plain: plain(i)})
}

// UnmarshalJSON reads what [Input.MarshalJSON] wrote: null is no number.
func (i *Input) UnmarshalJSON(b []byte) error {
	type plain Input // without this method
	raw := struct {
		*plain
		Value *float64 `json:"value"`
	}{plain: (*plain)(i)}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	if i.Value = math.NaN(); raw.Value != nil {
		i.Value = *raw.Value
	}
	return nil
}

// Obstacle is one thing that keeps an actuator from a level.
type Obstacle struct {
	Priority Priority `json:"priority"`
	Owner    string   `json:"owner"`
	Reason   string   `json:"reason"`           // one clause a grower understands
	LeftS    float64  `json:"left_s,omitempty"` // until it ends by itself; 0: no clock ends it
	Remedy   string   `json:"remedy,omitempty"` // what would have to change
}

// Verdict is the outcome for one actuator: the level, who won, who lost, and
// everything needed to explain it.
type Verdict struct {
	Point  PointID            `json:"point"`
	Value  float64            `json:"value"`
	Winner Claim              `json:"winner"`
	Losers []Claim            `json:"losers"`
	Inputs []Input            `json:"inputs"`
	Terms  map[string]float64 `json:"terms,omitempty"`  // terms of the loop: error, p, i, ...
	Timers map[string]float64 `json:"timers,omitempty"` // seconds left: min_on, min_off, changeover, ...
	Aim    string             `json:"aim,omitempty"`    // the set-point it is for, and what that comes from
	At     Millis             `json:"at"`
	Since  Millis             `json:"since"` // when the level last changed
}
