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
	Next     []Sensor // of the zone whose air temperature stands in where this one's is lost; may be nil
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
	Known   bool                  // Applied was reported
	Online  bool                  // its node
	Motor   greenhouse.MotorState // how sure the node is of the position of a drive; "": it measures it
}

// Want is what a zone wants of one actuator: claims, and what they rest on.
// Inputs, Terms and Timers are shared by the actuators of one kind.
type Want struct {
	Point  greenhouse.PointID
	Claims []greenhouse.Claim // good until the next decision; what Min and Max point to never changes
	Inputs []greenhouse.Input // these three are good until the decision after the next
	Terms  map[string]float64
	Timers map[string]float64 // s left
	Aim    string             // the set-point it is for, and what that comes from; "": none
}

// Decision is what [Decide] came to. It belongs to the zone's [State] and is
// good until the next decision.
type Decision struct {
	Zone  greenhouse.ZoneID
	At    time.Time
	Wants []Want // one for each device
	// Conditions are the alarms that changed, and once a minute all of the zone.
	Conditions []greenhouse.Condition
	// Doubted are the points whose readings are not to be believed for what the
	// zone as a whole shows, as long as they are named here.
	Doubted   []greenhouse.PointID
	Day       bool // by the zone's schedule, or by light where the clock is not trusted
	SetPoints SetPoints
	Climate   Climate
}

// Climate is what the zone is like and what is aimed at; NaN where it is not
// known or not wanted.
type Climate struct {
	Air, RH, VPD, DewPoint float64 // °C, %, kPa, °C
	CO2                    float64 // ppm
	HeatBelow, VentAbove   float64 // °C, effective now: ramps and drying included
	DLI                    float64 // mol/m² of the crop's day so far
	Drying                 float64 // demand for drying, 0 to 1
	CropMargin             float64 // K from the dew point to the coldest part of the crop
	WetHours               float64 // h of this date for which that was below 0
}
