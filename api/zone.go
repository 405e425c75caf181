package api

import "greenhouse"

// Zone is a compartment: what is wanted, what is, and who acts.
type Zone struct {
	ID greenhouse.ZoneID `json:"id"`
	ZoneSpec
	Offsets       map[greenhouse.Quantity]greenhouse.Adjustment `json:"offsets,omitempty" doc:"added to set-points, for a time"`
	Holds         map[greenhouse.Quantity]greenhouse.Adjustment `json:"holds,omitempty" doc:"set-points held by hand, for a time"`
	Recipe        *RecipeStatus                                 `json:"recipe,omitempty" doc:"how far it is on the recipe it grows by"`
	SetPoints     map[greenhouse.Quantity]SetPoint              `json:"set_points" doc:"as they stand now; empty until the zone was decided"`
	Climate       map[greenhouse.ChannelName]Measurement        `json:"climate" doc:"the voted value of each quantity measured"`
	Actuators     []Actuator                                    `json:"actuators"`
	Alarms        int                                           `json:"alarms" doc:"open alarms of the zone, its points and its nodes"`
	AlarmSeverity greenhouse.Severity                           `json:"alarm_severity,omitempty" doc:"the loudest open one"`
	Nodes         int                                           `json:"nodes"`
	NodesOnline   int                                           `json:"nodes_online"`
	Points        int                                           `json:"points"`
	Stopped       bool                                          `json:"stopped" doc:"emergency stop, of the zone or the site"`
	DecidedAt     greenhouse.Millis                             `json:"decided_at" doc:"last decision of automation; 0: none yet"`
	Failing       string                                        `json:"failing,omitempty" doc:"why automation of this zone fails, while it does"`
	Meta
}

// ZoneSpec is the part of a zone that people set; a PATCH of a zone is a merge
// patch of it.
type ZoneSpec struct {
	Name     string                                    `json:"name"`
	Crop     string                                    `json:"crop"`
	AreaM2   float64                                   `json:"area_m2" doc:"m²; 0: unknown"`
	Mode     greenhouse.Mode                           `json:"mode"`
	Targets  map[greenhouse.Quantity]greenhouse.Target `json:"targets"`
	DayFrom  greenhouse.DayEdge                        `json:"day_from" doc:"06:30, or sunrise with an offset: sunrise-0:30"`
	DayUntil greenhouse.DayEdge                        `json:"day_until"`
	Schedule map[greenhouse.Quantity]greenhouse.Curve  `json:"schedule,omitempty" doc:"curves over the day; they stand above the targets"`
	Control  greenhouse.Control                        `json:"control"`

	NodeLimits map[greenhouse.NodeType]int `json:"node_limits,omitempty" doc:"most nodes of a type, 0 for any number; not named: 1 for ph and ec, any number of others"`
}

// ZonePatch is a merge patch of [ZoneSpec]; a nil field stays, a nil target is
// cleared.
type ZonePatch struct {
	Name     *string                                    `json:"name,omitempty"`
	Crop     *string                                    `json:"crop,omitempty"`
	AreaM2   *float64                                   `json:"area_m2,omitempty"`
	Mode     *greenhouse.Mode                           `json:"mode,omitempty"`
	Targets  map[greenhouse.Quantity]*greenhouse.Target `json:"targets,omitempty"`
	DayFrom  *greenhouse.DayEdge                        `json:"day_from,omitempty"`
	DayUntil *greenhouse.DayEdge                        `json:"day_until,omitempty"`
	Schedule map[greenhouse.Quantity]greenhouse.Curve   `json:"schedule,omitempty" doc:"null clears a curve"`
	Control  map[string]any                             `json:"control,omitempty" doc:"fields of Control; null takes the default"`

	NodeLimits map[greenhouse.NodeType]*int `json:"node_limits,omitempty" doc:"a null takes the default"`
}

// CreateZoneRequest creates a zone.
type CreateZoneRequest struct {
	ID     greenhouse.ZoneID `json:"id"`
	Name   string            `json:"name,omitempty" doc:"the id if absent"`
	Crop   string            `json:"crop,omitempty"`
	AreaM2 float64           `json:"area_m2,omitempty"`
	Mode   greenhouse.Mode   `json:"mode,omitempty" doc:"auto if absent"`
}

// TargetRequest sets one target: value for day and night alike, or both.
type TargetRequest struct {
	Value *float64 `json:"value,omitempty"`
	Day   *float64 `json:"day,omitempty"`
	Night *float64 `json:"night,omitempty"`
}

// ModeRequest sets the mode of a zone.
type ModeRequest struct {
	Mode greenhouse.Mode `json:"mode"`
}

// Measurement is the live value of one quantity of a zone: the median of its
// points that are good, else the newest there is.
type Measurement struct {
	Value   *float64           `json:"value"`
	Unit    greenhouse.Unit    `json:"unit"`
	TS      greenhouse.Millis  `json:"ts"`
	Quality greenhouse.Quality `json:"quality"`
	AgeS    float64            `json:"age_s" doc:"s since it was measured or arrived, whichever is longer"`
	Points  int                `json:"points" doc:"how many points were asked"`

	Calibrate bool `json:"calibrate,omitempty" doc:"one of them wants a calibration"`
}

// Actuator is one driven point: the level wanted, the level the node reports,
// until when it stands, and why.
type Actuator struct {
	Point      greenhouse.PointID      `json:"point"`
	Name       greenhouse.ChannelName  `json:"name"`
	Class      greenhouse.Class        `json:"class"`
	Node       greenhouse.UID          `json:"node"`
	Online     bool                    `json:"online"`
	Level      *float64                `json:"level" doc:"wanted, 0 to 1; null: not decided yet"`
	Reported   *float64                `json:"reported" doc:"what the node says it has; null: unknown"`
	Position   greenhouse.MotorState   `json:"position,omitempty" doc:"of a drive positioned by time: known, unknown (is being found) or suspect (driven to its ends only)"`
	LeaseUntil greenhouse.Millis       `json:"lease_until" doc:"the node goes safe then unless renewed; 0: no lease"`
	Owner      string                  `json:"owner" doc:"whose claim won: heating, frost, override:anna"`
	Reason     string                  `json:"reason" doc:"one clause"`
	Since      greenhouse.Millis       `json:"since" doc:"when the level last changed"`
	Override   *greenhouse.Override    `json:"override,omitempty"`
	Version    uint64                  `json:"version" doc:"of the point, its override included"`
	Command    greenhouse.CommandState `json:"command,omitempty" doc:"state of the command now open"`
	RanH       float64                 `json:"ran_h" doc:"hours on in all, for maintenance"`
	Starts     uint64                  `json:"starts" doc:"starts in all, of vents and screens moves"`
	StartsHour int                     `json:"starts_hour" doc:"those of the last hour"`
}

// Why explains the level of an actuator.
type Why struct {
	Point  greenhouse.PointID `json:"point"`
	Value  *float64           `json:"value" doc:"the level; null: not decided"`
	Winner greenhouse.Claim   `json:"winner"`
	Losers []greenhouse.Claim `json:"losers" doc:"what others wanted, or forbade"`
	Inputs []WhyInput         `json:"inputs"`
	Terms  map[string]float64 `json:"terms,omitempty" doc:"terms of the control loop: error, p, i"`
	Timers map[string]float64 `json:"timers" doc:"seconds left: min_on, min_off, changeover"`
	Aim    string             `json:"aim,omitempty" doc:"the set-point it is for, and what that comes from"`
	At     greenhouse.Millis  `json:"at" doc:"when it was decided"`
	Since  greenhouse.Millis  `json:"since" doc:"when the level last changed"`
	Asked  greenhouse.Millis  `json:"asked,omitempty" doc:"the moment in the past that was asked about"`
	Device *WhyDevice         `json:"device,omitempty" doc:"how the device stands; now only"`
	Text   string             `json:"text" doc:"the same in words"`
}

// WhyDevice is how the device behind an actuator stands.
type WhyDevice struct {
	Online   bool                    `json:"online" doc:"its node"`
	Reported *float64                `json:"reported" doc:"the level the node reports; null: unknown"`
	Position greenhouse.MotorState   `json:"position,omitempty" doc:"of a drive positioned by time: known, unknown (is being found) or suspect (driven to its ends only)"`
	Command  greenhouse.CommandState `json:"command,omitempty" doc:"of the command in force"`
	Waits    string                  `json:"waits,omitempty" doc:"why the node has not the level yet"`
}

// WhyNot says what keeps an actuator from a level.
type WhyNot struct {
	Point     greenhouse.PointID    `json:"point"`
	Level     float64               `json:"level" doc:"the level asked about"`
	Value     *float64              `json:"value" doc:"the level it has by decision"`
	Free      bool                  `json:"free" doc:"nothing is in the way"`
	Obstacles []greenhouse.Obstacle `json:"obstacles" doc:"the strongest first"`
	Text      string                `json:"text" doc:"the same in words"`
}

// WhyInput is one value a decision was made from.
type WhyInput struct {
	Point   greenhouse.PointID `json:"point"`
	Value   *float64           `json:"value"`
	Quality greenhouse.Quality `json:"quality"`
	AgeS    float64            `json:"age_s" doc:"s; -1: never heard"`
	From    string             `json:"from,omitempty" enum:"history,decision" doc:"of a past answer: history, the reading in force at that moment; decision, what the decision rested on, where history has nothing of that moment"`
	Decided *float64           `json:"decided,omitempty" doc:"what the decision rested on, where the value is another one from history"`
}

// OverrideRequest sets an actuator by hand. Safety and equipment protection
// still come first.
type OverrideRequest struct {
	Value  float64 `json:"value" doc:"0 to 1"`
	ForS   int     `json:"for_s,omitempty" doc:"s, at most 86400; 0: 7200"`
	Reason string  `json:"reason" doc:"why; kept in the audit"`
}

// Override is a level that a person set by hand, for a time.
type Override = greenhouse.Override

// StopRequest stops a zone, or the whole site where zone is empty.
type StopRequest struct {
	Zone   greenhouse.ZoneID `json:"zone,omitempty"`
	Reason string            `json:"reason,omitempty"`
}

// Stopped says what stands under emergency stop.
type Stopped struct {
	All   bool                `json:"all"`
	Zones []greenhouse.ZoneID `json:"zones"`
}

// Site is the one place a daemon looks after.
type Site struct {
	SiteSpec
	Meta
}

// SiteSpec is the part of the site that people set; a PATCH of the site is a
// merge patch of it.
type SiteSpec struct {
	Name      string  `json:"name"`
	Latitude  float64 `json:"latitude" doc:"degrees, north positive"`
	Longitude float64 `json:"longitude" doc:"degrees, east positive"`
	TimeZone  string  `json:"time_zone" doc:"IANA name, e.g. Europe/Amsterdam"`
}

// SitePatch is a merge patch of [SiteSpec]; a nil field stays.
type SitePatch struct {
	Name      *string  `json:"name,omitempty"`
	Latitude  *float64 `json:"latitude,omitempty"`
	Longitude *float64 `json:"longitude,omitempty"`
	TimeZone  *string  `json:"time_zone,omitempty"`
}
