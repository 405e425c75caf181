package greenhouse

import "encoding/json"

// Severity says how loud an alarm or event is.
type Severity string

// The severities, quietest first.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// ParseSeverity returns the severity named s.
func ParseSeverity(s string) (Severity, error) {
	switch v := Severity(s); v {
	case Info, Warning, Critical:
		return v, nil
	}
	return "", Invalid("severity_invalid", "severity %q is unknown: it is info, warning or critical", s)
}

// Source names what an event or alarm is about: "site", "zone/north",
// "node/ph-a4cf12b3de01", "point/north/air_temp", "client/1.2.3.4".
type Source string

// SiteSource is the source of what concerns the whole site.
const SiteSource Source = "site"

// ZoneSource returns the source for a zone.
func ZoneSource(z ZoneID) Source { return Source("zone/" + string(z)) }

// RecipeSource returns the source for a recipe.
func RecipeSource(r RecipeID) Source { return Source("recipe/" + string(r)) }

// NodeSource returns the source for a node.
func NodeSource(u UID) Source { return Source("node/" + string(u)) }

// PointSource returns the source for a point.
func PointSource(p PointID) Source { return Source("point/" + string(p)) }

// AlarmState says whether the condition holds.
type AlarmState string

// An alarm is raised while its condition holds.
const (
	AlarmRaised  AlarmState = "raised"
	AlarmCleared AlarmState = "cleared"
)

// Alarm is a condition somebody must know of. There is one per source and
// code, however often it comes back; it is open while raised or unacknowledged.
type Alarm struct {
	ID           string     `json:"id"`
	Source       Source     `json:"source"`
	Code         string     `json:"code"`
	Severity     Severity   `json:"severity"`
	State        AlarmState `json:"state"`
	Acked        bool       `json:"acked"`
	AckedBy      string     `json:"acked_by,omitempty"`
	Count        int        `json:"count"`
	FirstSeen    Millis     `json:"first_seen"`
	LastSeen     Millis     `json:"last_seen"`
	ClearedAt    Millis     `json:"cleared_at,omitempty"`
	ShelvedUntil Millis     `json:"shelved_until,omitempty"`
	Text         string     `json:"text"`
	Version      uint64     `json:"version"` // rises with each change that is journalled
}

// Open reports whether the alarm still wants attention.
func (a Alarm) Open() bool { return a.State == AlarmRaised || !a.Acked }

// Condition is what a room says about one possible alarm, again and again:
// while Active the alarm is raised, and it clears when it no longer is.
type Condition struct {
	Source   Source
	Code     string
	Severity Severity
	Active   bool
	Text     string
}

// Event is one thing that happened, numbered without gaps in the order of
// commit.
type Event struct {
	Seq    uint64          `json:"seq"`
	TS     Millis          `json:"ts"`
	Code   string          `json:"code"` // noun_verb
	Source Source          `json:"source"`
	Actor  string          `json:"actor"` // who caused it: "edged", "node/...", "uid:1000", a token's name
	Detail json.RawMessage `json:"detail,omitempty"`
}

// Gap is a durable record that samples were lost, between two instants.
type Gap struct {
	Point PointID `json:"point,omitempty"` // empty: the whole node
	Node  UID     `json:"node,omitempty"`
	From  Millis  `json:"from"`
	To    Millis  `json:"to"`
	Cause string  `json:"cause"` // "seq", "qos0_drop", "refused", "disk_full", "late", "downtime", "silence"; "restamped" and "clock_unknown" tell of times and "thinned" of summaries, not of losses
	Count int64   `json:"count"` // samples or messages lost; 0 when it cannot be known
}
