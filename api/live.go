package api

import "greenhouse"

// The names of the messages on the two streams.
const (
	StreamEvent = "event" // on /v1/events: one Event, its id is the sequence number
	StreamLive  = "live"  // on /v1/live: one Live
	StreamError = "error" // on both: one Problem, after which the stream ends
)

// Live is one message of /v1/live: the whole state first, then whatever changed
// since the last message. Values between two messages are skipped, never queued.
// A reader keeps its state by replacing what a message names.
type Live struct {
	TS        greenhouse.Millis `json:"ts" doc:"the daemon's clock"`
	Full      bool              `json:"full" doc:"everything is in it: forget what you had"`
	Version   uint64            `json:"version" doc:"of the registry: read zones and nodes again when records matter"`
	LastEvent uint64            `json:"last_event"`
	Alarms    AlarmCounts       `json:"alarms"`
	Stopped   Stopped           `json:"stopped"`
	Waits     string            `json:"waits,omitempty" doc:"why schedules wait for the clock; absent while they follow it"`
	Pending   int               `json:"pending" doc:"devices that knock and are not let in, or send what nobody declared"`
	Points    []LivePoint       `json:"points,omitempty"`
	Actuators []Actuator        `json:"actuators,omitempty"`
	Zones     []LiveZone        `json:"zones,omitempty"`
	Nodes     []LiveNode        `json:"nodes,omitempty"`
	Removed   []string          `json:"removed,omitempty" doc:"sources gone: zone/…, node/…, point/…"`
}

// LivePoint is the latest value of a point.
type LivePoint struct {
	ID      greenhouse.PointID `json:"id"`
	Value   *float64           `json:"value"`
	TS      greenhouse.Millis  `json:"ts"`
	Quality greenhouse.Quality `json:"quality"`
}

// LiveZone is the state of a zone that changes by itself.
type LiveZone struct {
	ID            greenhouse.ZoneID   `json:"id"`
	Mode          greenhouse.Mode     `json:"mode"`
	Alarms        int                 `json:"alarms"`
	AlarmSeverity greenhouse.Severity `json:"alarm_severity,omitempty"`
	NodesOnline   int                 `json:"nodes_online"`
	Nodes         int                 `json:"nodes"`
	Stopped       bool                `json:"stopped"`
	Failing       string              `json:"failing,omitempty"`
	// SetPoints are those in force, ramps, offsets and holds included, to a tenth.
	SetPoints map[greenhouse.Quantity]float64 `json:"set_points,omitempty" doc:"in force now"`
	Version   uint64                          `json:"version"`
}

// LiveNode is the state of a node that changes by itself.
type LiveNode struct {
	UID      greenhouse.UID       `json:"uid"`
	Zone     greenhouse.ZoneID    `json:"zone"`
	State    greenhouse.NodeState `json:"state"`
	Online   bool                 `json:"online"`
	LastSeen greenhouse.Millis    `json:"last_seen"`
	Version  uint64               `json:"version"`
}
