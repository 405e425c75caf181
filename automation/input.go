package automation

import (
	"time"

	"greenhouse"
)

// Input is everything a decision may look at. Nothing in it is changed.
type Input struct {
	Zone     *greenhouse.Zone
	Sensors  []Sensor // of the zone, by id
	Devices  []Device // its actuators, by id
	Outside  []Sensor // of the zone that has the weather station; may be Sensors itself
	Site     *greenhouse.Site
	Location *time.Location // of the site
	Now      time.Time      // with the monotonic clock
	Trusted  bool           // Now may drive schedules
}

// Sensor is a measured point with its latest reading.
type Sensor struct {
	Point    *greenhouse.Point
	Latest   greenhouse.Latest
	Heard    bool          // there is a reading
	Interval time.Duration // how often it should come; 0: 10 s
}

// Device is a driven point and the level that really holds, as far as is known.
type Device struct {
	Point   *greenhouse.Point
	Applied float64
	Known   bool // Applied was reported
	Online  bool // its node
}

// Want is what a zone wants of one actuator: claims, and what they rest on. It
// belongs to the zone's [State] and is good until the next decision.
type Want struct {
	Point  greenhouse.PointID
	Claims []greenhouse.Claim
	Inputs []greenhouse.Input
	Terms  map[string]float64
	Timers map[string]float64 // s left
}

// Decision is what [Decide] came to. It belongs to the zone's [State] and is
// good until the next decision.
type Decision struct {
	Zone       greenhouse.ZoneID
	At         time.Time
	Wants      []Want // one for each device
	Conditions []greenhouse.Condition
	Day        bool // by the zone's schedule, or by light where the clock is not trusted
}
