package automation

import (
	"math"
	"time"

	"greenhouse"
)

// State is what a zone's control remembers from one decision to the next, with
// the buffers that decisions are made in. The zero value is a zone that has just
// been switched on. One goroutine has it at a time.
type State struct {
	binding
	decision Decision
	at       time.Time     // of the last decision
	began    time.Time     // of the first
	usual    time.Duration // between the last two
	told     time.Time     // when all conditions were told last
	source   greenhouse.Source

	// What this decision sees.
	now          time.Time
	dt           time.Duration // since the last decision; 0 after a pause: nothing is integrated over it
	elapse       time.Duration // the same, pauses included
	ms           int64
	auto         bool // loops may act
	day          bool
	clockTrusted bool
	seen         [quantities]seen
	means        [roles]float64 // applied levels by role
	paired       bool           // two thermometers have agreed once
	parted       time.Duration  // since they did last, while both are heard
	aim          aims

	cal       calendar
	course    course
	safety    safety
	heating   heating
	venting   venting
	drying    drying
	gas       gassing
	light     lighting
	misting   misting
	screen    screening
	flat      flat
	drift     drift
	learned   learned
	watching  supervising
	mastering mastering
	backup    backup
	guarding  guarding
	water     watering
	alarms    [alarmCount]alarm
	recalled  *Doubts // of before a restart, until the sensors are bound; nil: none
}

// binding is what a zone is made of, worked out anew when that changes.
type binding struct {
	zone     *greenhouse.Zone
	tuning   tuning
	control  greenhouse.Control
	schedule Schedule
	edges    [2]greenhouse.DayEdge
	points   []*greenhouse.Point // of Sensors, Devices, Outside and Next as last seen
	sensors  []sensor
	devices  []device
	roles    [roles][]int // devices by what they do
	notes    [roles]ledger
	flip     int // which half of the ledgers is written
	votes    [quantities]span
	values   []float64
}

// span is where the sensors of one quantity lie.
type span struct{ from, to int }

// seen is one quantity as control sees it.
type seen struct {
	Voted
	quality greenhouse.Quality
	any     bool // there is such a sensor
}

// ok reports whether control may act on it.
func (s seen) ok() bool { return s.any && s.quality <= greenhouse.Held }

// good reports whether it is measured now, and no value of before stands in.
func (s seen) good() bool { return s.any && s.quality == greenhouse.Good }

// sensor is one sensor with what is remembered of it.
type sensor struct {
	point  *greenhouse.Point
	index  int // in the sensors of where it is
	where  where
	of     quantity
	probe  Probe
	state  ProbeState
	now    Judged
	age    time.Duration
	heard  bool
	raw    float64       // its latest value, whatever it is worth
	apart  time.Duration // for which it has been far from the median
	agreed float64       // its value when it last agreed with the only other one
	leapt  bool          // and has leapt away since
	alarms [sensorAlarms]alarm
}

// where says whose sensor it is.
type where uint8

const (
	here    where = iota // the zone's own
	outside              // of the zone with the weather station
	next                 // of the zone that is the backup
	wheres
)

// sensorsOf returns the sensors of one place; none of the weather where the zone is
// its own station.
func (st *State) sensorsOf(in *Input, w where) []Sensor {
	switch {
	case w == here:
		return in.Sensors
	case w == next:
		return in.Next
	case st.shared(in):
		return nil
	}
	return in.Outside
}

// role is what an actuator does in its zone.
type role uint8

const (
	roleHeater role = iota
	roleVent
	roleFan
	roleLamp
	roleScreen
	roleCO2
	roleMister
	roleMaster // stands before all heaters
	roleOther
	roles
)

func roleOf(n greenhouse.ChannelName) role {
	switch n {
	case "heater":
		return roleHeater
	case "vent":
		return roleVent
	case "fan":
		return roleFan
	case "lamp":
		return roleLamp
	case "screen":
		return roleScreen
	case "co2_valve":
		return roleCO2
	case "mister":
		return roleMister
	case "heater_master":
		return roleMaster
	}
	return roleOther
}

// device is one actuator with what is remembered of it.
type device struct {
	point   *greenhouse.Point
	role    role
	spec    greenhouse.ClassSpec
	level   float64 // wanted by the loops in the last decision
	applied float64 // what really holds, as far as is known
	known   bool
	motor   greenhouse.MotorState
	differs time.Duration // for which applied has not been what was wanted
	ran     time.Duration // on, since the daemon started
	pulses  Pulses
	turn    bool // it is among those that run of its role
	notes   [claimSlots]note
	bounds  [claimSlots]*float64
}

// pause is the time between two decisions from which on time is not integrated:
// the process was stopped, or the machine slept.
const pause = 25 * time.Second

// begin readies the state for a decision.
func (st *State) begin(in *Input) {
	if !st.holds(in) {
		st.bind(in)
	}
	if st.began.IsZero() {
		st.began, st.at = in.Now, in.Now
	}
	st.elapse = max(0, in.Now.Sub(st.at))
	st.dt = st.elapse
	if st.dt > max(pause, 5*st.usual) {
		st.dt = 0
		st.forget()
	}
	st.usual = st.elapse
	st.now, st.at, st.ms = in.Now, in.Now, in.Now.UnixMilli()
	st.zone, st.clockTrusted = in.Zone, in.Trusted
	st.auto = in.Zone.Mode == greenhouse.ModeAuto || in.Zone.Mode == ""
	st.flip = 1 - st.flip
	d := &st.decision
	d.Zone, d.At, d.Conditions, d.Doubted = in.Zone.ID, in.Now, d.Conditions[:0], d.Doubted[:0]
	st.means = [roles]float64{}
	for i := range st.devices {
		dev := &st.devices[i]
		st.observe(dev, &in.Devices[i], &d.Wants[i])
		st.means[dev.role] += dev.applied / float64(len(st.roles[dev.role]))
	}
}

// observe takes what really became of a device.
func (st *State) observe(d *device, in *Device, w *Want) {
	d.applied, d.known, d.motor = in.Applied, in.Known, in.Motor
	if !d.known {
		d.applied = 0
	}
	if d.applied > 0 {
		d.ran += st.dt
	}
	if d.differs += st.dt; math.Abs(d.applied-d.level) < 0.06 || !d.known {
		d.differs = 0
	}
	w.Claims = w.Claims[:0]
}

// forget starts shortest times off anew after a pause: nobody knows what
// happened meanwhile.
func (st *State) forget() {
	for _, s := range [...]*Switch{&st.heating.on, &st.venting.fans.First, &st.light.lamp} {
		if !s.On {
			s.Since = 0
		}
	}
	for i := range st.devices {
		if p := &st.devices[i].pulses; !p.On {
			p.Since = 0
		}
	}
}

// holds reports whether the zone is still made of what it was bound to.
func (st *State) holds(in *Input) bool {
	if st.zone == nil || st.control != in.Zone.Control || st.zone.ID != in.Zone.ID || !st.scheduled(in) {
		return false
	}
	i := 0
	same := func(p *greenhouse.Point) bool {
		i++
		return i <= len(st.points) && st.points[i-1] == p
	}
	for w := range wheres {
		sensors := st.sensorsOf(in, w)
		for k := range sensors {
			if !same(sensors[k].Point) {
				return false
			}
		}
	}
	for k := range in.Devices {
		if !same(in.Devices[k].Point) {
			return false
		}
	}
	return i == len(st.points)
}

// shared reports whether the zone is its own weather station.
func (st *State) shared(in *Input) bool {
	return len(in.Outside) == 0 || len(in.Outside) == len(in.Sensors) && &in.Outside[0] == &in.Sensors[0]
}

// scheduled reports whether day and night still begin when they did.
func (st *State) scheduled(in *Input) bool {
	s := &st.schedule
	return st.edges == [2]greenhouse.DayEdge{in.Zone.DayFrom, in.Zone.DayUntil} && s.Latitude == in.Site.Latitude && s.Longitude == in.Site.Longitude && s.Location == in.Location
}
