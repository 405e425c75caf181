package api

import "greenhouse"

// CalStatus says how the calibration of a point stands.
type CalStatus string

// The states of a calibration.
const (
	CalOK       CalStatus = "ok"       // calibrated, and not too long ago
	CalDue      CalStatus = "due"      // calibrated too long ago
	CalRequired CalStatus = "required" // new hardware that was never calibrated here
	CalNone     CalStatus = "none"     // not calibrated, and nobody asks for it
)

// PointCal is how the calibration of a point stands.
type PointCal struct {
	Status CalStatus            `json:"status" enum:"ok,due,required,none"`
	Policy greenhouse.CalPolicy `json:"policy"`
	Since  greenhouse.Millis    `json:"since,omitempty" doc:"since when it is required"`
	Last   *greenhouse.CalMark  `json:"last,omitempty" doc:"of the probe there now"`
}

// CalibrationRequest calibrates a channel: by points, by gain and offset as
// somebody worked them out, or its temperature compensation alone.
type CalibrationRequest struct {
	Points    []greenhouse.CalPoint    `json:"points,omitempty" doc:"raw readings against references: one moves, two and more also stretch"`
	Cal       *greenhouse.Linear       `json:"cal,omitempty" doc:"instead of points"`
	Comp      *greenhouse.Compensation `json:"comp,omitempty" doc:"applied by the daemon; per_k 0 takes it away"`
	Edge      *bool                    `json:"edge,omitempty" doc:"the daemon applies it, for the node cannot"`
	EveryDays *int                     `json:"every_days,omitempty" doc:"until it is due again; absent: as the policy of the point says; 0: never"`
	Note      string                   `json:"note,omitempty"`
}

// Calibration is one calibration of one channel.
type Calibration struct {
	Node    greenhouse.UID         `json:"node"`
	Channel greenhouse.ChannelName `json:"channel"`
	Point   greenhouse.PointID     `json:"point" doc:"what it was bound to then"`
	greenhouse.CalMark
	greenhouse.Calibration
	Points []greenhouse.CalPoint    `json:"points,omitempty"`
	Comp   *greenhouse.Compensation `json:"comp,omitempty"`
	Edge   bool                     `json:"edge,omitempty" doc:"applied by the daemon"`
	Note   string                   `json:"note,omitempty"`
}

// ChannelCal is everything that calibrating a channel needs: what it says now,
// before and after correction, and what was done to it.
type ChannelCal struct {
	Node        greenhouse.UID         `json:"node"`
	Channel     greenhouse.ChannelName `json:"channel"`
	Point       greenhouse.PointID     `json:"point"`
	Unit        greenhouse.Unit        `json:"unit"`
	Value       *float64               `json:"value"`
	Raw         *float64               `json:"raw" doc:"before any correction"`
	TS          greenhouse.Millis      `json:"ts"`
	Quality     greenhouse.Quality     `json:"quality"`
	Online      bool                   `json:"online"`
	Pending     bool                   `json:"pending" doc:"the node has not taken its configuration yet: raw means nothing until it has"`
	Calibration PointCal               `json:"calibration"`
	Records     []Calibration          `json:"records" doc:"newest first"`
	Version     uint64                 `json:"version" doc:"of the node"`
}

// BindRequest binds a point to another channel.
type BindRequest struct {
	Node     greenhouse.UID         `json:"node"`
	Channel  greenhouse.ChannelName `json:"channel"`
	Exchange bool                   `json:"exchange,omitempty" doc:"whoever holds the point gets what the channel fed before"`
}
