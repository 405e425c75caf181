package actuation

import (
	"time"

	"greenhouse"
)

// Level is how one actuator stands.
type Level struct {
	Point      greenhouse.PointID
	Zone       greenhouse.ZoneID
	Node       greenhouse.UID
	Channel    greenhouse.ChannelName
	Online     bool                    // its node
	Decided    bool                    // Desired means something
	Desired    float64                 // after arbitration and protection
	Known      bool                    // Reported means something
	Reported   float64                 // what the node says
	ReportedAt greenhouse.Millis       // when it said so
	Command    greenhouse.CommandID    // the command in force, "" for none
	State      greenhouse.CommandState // of it
	LeaseUntil greenhouse.Millis       // the node goes safe then unless renewed; 0: no lease
	Motor      greenhouse.MotorState   // how sure the node is of Reported, where it works it out; "": it measures it
	Pulse      greenhouse.CommandID    // the pulse under way, "" for none
	Stopped    bool                    // by an emergency stop
	OnSince    greenhouse.Millis       // 0: off
	Ran        time.Duration           // on in all
	Starts     uint64                  // ever
	StartsHour int                     // of the last hour
}

// Applied returns the level that really holds as far as anybody knows: the one
// reported, else the one last ordered. It is what control loops get back.
func (l Level) Applied() float64 {
	if l.Known {
		return l.Reported
	}
	return l.Desired
}

// Level returns how an actuator stands, and whether there is such an actuator.
func (c *Controller) Level(p greenhouse.PointID) (Level, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.points[p]
	if a == nil {
		return Level{}, false
	}
	return c.levelOf(a, c.now()), true
}

// Levels appends how the actuators of a zone stand to dst, those of all zones
// for "", in the order of the plant.
func (c *Controller) Levels(z greenhouse.ZoneID, dst []Level) []Level {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for _, a := range c.actuators {
		if z == "" || a.Zone == z {
			dst = append(dst, c.levelOf(a, now))
		}
	}
	return dst
}

func (c *Controller) levelOf(a *actuator, now time.Time) Level {
	l := Level{
		Point: a.Point, Zone: a.Zone, Node: a.Node, Channel: a.Channel, Online: a.node.online,
		Decided: a.decided, Desired: a.level, Known: a.known, Reported: a.reported, ReportedAt: greenhouse.MillisOf(a.reportedAt),
		Motor: a.position.state, Stopped: c.latched(a), Ran: a.eq.RunTime(now), Starts: a.eq.Starts, StartsHour: a.eq.StartsLastHour(now),
	}
	if a.eq.Level > 0 {
		l.OnSince = greenhouse.MillisOf(a.eq.OnSince)
	}
	o := a.hold
	if o == nil {
		o = a.stop
	}
	if o != nil {
		l.Command, l.State = o.cmd.ID, o.cmd.State
		if o.cmd.Op == greenhouse.OpSet && !o.published.IsZero() {
			l.LeaseUntil = greenhouse.MillisOf(now).Add(o.leaseEnd.Sub(now))
		}
	}
	if a.pulse != nil {
		l.Pulse = a.pulse.cmd.ID
	}
	return l
}

// Verdict explains the level of an actuator: who won, who lost and why, and what
// it was decided from. False until its first cycle.
func (c *Controller) Verdict(p greenhouse.PointID) (greenhouse.Verdict, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.points[p]
	if a == nil || !a.decided {
		return greenhouse.Verdict{}, false
	}
	return a.verdict(c.now()), true
}

// Order returns a command that is still in the book: open, or in force.
func (c *Controller) Order(id greenhouse.CommandID) (greenhouse.Command, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.orders[id]; o != nil {
		return o.cmd, true
	}
	return greenhouse.Command{}, false
}

// Stats count since the start of the controller.
type Stats struct {
	Issued        uint64 // commands made
	Published     uint64 // publications, with repetitions and renewals
	Retried       uint64
	Renewed       uint64
	Corrections   uint64 // a device did not follow and was told again
	PublishErrors uint64
	Saves         uint64
	SaveErrors    uint64
	EventsLost    uint64 // for want of room while nothing could be saved
	Reports       uint64
	Repeated      uint64 // a report of a state the command already had or passed
	Late          uint64 // for a command that was finished
	Unknown       uint64 // for no command of this run
	Foreign       uint64 // for the command of another node
	Malformed     uint64 // with a status no node may report
	Done          uint64 // commands by how they ended
	Failed        uint64
	Timeouts      uint64
	Superseded    uint64
	Open          int // commands open or in force now
	Actuators     int
}

// Stats returns the counters.
func (c *Controller) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Open, s.Actuators = len(c.orders), len(c.actuators)
	return s
}

func (s *Stats) count(state greenhouse.CommandState) {
	switch state {
	case greenhouse.CommandDone:
		s.Done++
	case greenhouse.CommandTimeout:
		s.Timeouts++
	case greenhouse.CommandSuperseded, greenhouse.CommandCancelled:
		s.Superseded++
	default:
		s.Failed++
	}
}
