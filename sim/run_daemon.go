package sim

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"greenhouse"
	"greenhouse/actuation"
	"greenhouse/automation"
	"greenhouse/fleet"
	"greenhouse/wire"
)

// stand stands in for the daemon: it keeps the records and the latest values in
// memory and connects the rooms that decide as the daemon does. A restart makes
// everything anew that does not survive one.
type stand struct {
	r       *run
	running bool
	hung    bool
	diskBad bool

	// The registry, which survives.
	site      greenhouse.Site
	zone      *greenhouse.Zone
	points    []*greenhouse.Point // by id
	records   map[greenhouse.UID]*greenhouse.Node
	overrides map[greenhouse.PointID]*greenhouse.Override
	stopped   bool
	commands  map[greenhouse.CommandID]greenhouse.Command // not terminal
	wear      actuation.State
	memory    automation.Memory
	epoch     uint64
	issued    uint64
	alarms    []*RunAlarm
	events    []runEvent // of the recipe
	warmth    map[greenhouse.Date]*meanFold
	saved     time.Time

	// What a restart loses.
	latest   map[greenhouse.PointID]*greenhouse.Latest
	sensors  map[greenhouse.PointID]*greenhouse.SensorState
	doubted  []greenhouse.PointID
	brain    Brain
	ctl      *actuation.Controller
	presence *fleet.Presence
	decider  automation.Input
	climate  automation.Climate
	day      bool
	decoder  wire.Decoder
	message  wire.Telemetry
	conds    []greenhouse.Condition
}

// RunAlarm is an alarm that a run saw.
type RunAlarm struct {
	Source   greenhouse.Source   `json:"source"`
	Code     string              `json:"code"`
	Severity greenhouse.Severity `json:"severity"`
	Text     string              `json:"text"`
	Spans    [][2]time.Duration  `json:"spans"` // since the start; the last may be open: its end is negative
}

func newStand(r *run) (*stand, error) {
	plan := r.world.Plan()
	d := &stand{r: r, site: plan.Site, zone: new(greenhouse.Zone), records: map[greenhouse.UID]*greenhouse.Node{},
		overrides: map[greenhouse.PointID]*greenhouse.Override{}, commands: map[greenhouse.CommandID]greenhouse.Command{}}
	*d.zone = plan.Zones[0].Zone
	for _, dev := range r.world.Devices() {
		p := dev.Plan()
		n := &greenhouse.Node{UID: p.UID(), HardwareID: p.HardwareID, Type: p.Type, Name: p.Name, Zone: p.Zone, State: greenhouse.NodeActive, IntervalS: p.IntervalS, LinkLossS: 30}
		n.Config.DesiredRev = 1
		for _, port := range dev.ports {
			std, _ := greenhouse.StandardChannel(port.name)
			class := std.Class
			if c, ok := r.s.Class[port.name]; ok {
				class = c
			}
			point := &greenhouse.Point{ID: port.point, Zone: p.Zone, Name: port.name, Kind: std.Kind, Unit: std.Unit, Node: n.UID, Channel: port.name, Class: class, Meta: greenhouse.Meta{Version: 1}}
			ch := greenhouse.Channel{Name: port.name, Kind: std.Kind, Unit: std.Unit, Point: port.point, Class: class}
			if std.Kind == greenhouse.Actuator {
				spec := class.Spec()
				point.Safe, ch.Safe = spec.Safe, spec.Safe
				ch.MaxOnS, ch.MinOffS = int(spec.MaxRun/time.Second), int(spec.MinOff/time.Second)
			}
			n.Channels = append(n.Channels, ch)
			d.points = append(d.points, point)
		}
		d.records[n.UID] = n
	}
	d.began()
	return d, d.boot()
}

// boot starts the daemon.
func (d *stand) boot() (err error) {
	d.epoch++
	d.running, d.hung = true, false
	d.latest, d.sensors, d.doubted = map[greenhouse.PointID]*greenhouse.Latest{}, map[greenhouse.PointID]*greenhouse.SensorState{}, nil
	d.brain = &automatic{}
	if d.r.options.Brain != nil {
		d.brain = d.r.options.Brain()
	}
	if b, ok := d.brain.(rememberer); ok && d.epoch > 1 {
		b.Restore(d.memory)
	}
	o := actuation.Options{Store: d, Publisher: d, Epoch: d.epoch, ClockTrusted: d.r.trusted, Now: func() time.Time { return d.r.now }, NewID: d.newID}
	if d.epoch > 1 {
		o.State = &d.wear
		o.StoppedAll = d.stopped
		for _, c := range d.commands {
			o.Open = append(o.Open, c)
		}
	}
	if d.ctl, err = actuation.New(o); err != nil {
		return err
	}
	d.presence = fleet.NewPresence(fleet.PresenceOptions{}, d.r.now)
	d.presence.Sync(d.records, d.r.now)
	d.sync()
	return nil
}

// newID returns ids that follow each other: a run must not depend on chance.
func (d *stand) newID(now time.Time) greenhouse.CommandID {
	d.issued++
	var id ulid.ULID
	_ = id.SetTime(uint64(now.UnixMilli()))
	binary.BigEndian.PutUint64(id[8:], d.issued)
	return greenhouse.CommandID(id.String())
}

// sync gives actuation the plant as the registry has it.
func (d *stand) sync() {
	p := actuation.Plant{Overrides: d.overrides, StoppedAll: d.stopped}
	for _, pt := range d.points {
		if pt.Kind != greenhouse.Actuator {
			continue
		}
		n := d.records[pt.Node]
		a := actuation.Actuator{Point: pt.ID, Zone: pt.Zone, Node: pt.Node, Channel: pt.Channel, Class: pt.Class, Safe: pt.Safe, LinkLoss: time.Duration(n.LinkLossS) * time.Second}
		if ch, ok := n.Channel(pt.Channel); ok {
			a.MaxOn, a.MinOff = time.Duration(ch.MaxOnS)*time.Second, time.Duration(ch.MinOffS)*time.Second
		}
		p.Actuators = append(p.Actuators, a)
	}
	d.ctl.Sync(p)
}

// SaveCommands implements [actuation.Store].
func (d *stand) SaveCommands(cmds []greenhouse.Command, _ []greenhouse.Event) error {
	if d.diskBad {
		return errors.New("no space left on device")
	}
	for _, c := range cmds {
		if c.State.Terminal() {
			delete(d.commands, c.ID)
			continue
		}
		d.commands[c.ID] = c
	}
	return nil
}

// Publish implements [actuation.Publisher].
func (d *stand) Publish(c greenhouse.Command) error {
	payload, err := wire.CommandOf(c).Marshal()
	if err != nil {
		return err
	}
	n := d.r.node(c.Node)
	if n == nil || !n.up || !d.r.broker {
		return greenhouse.Unavailable("node_offline", "node %s has no session", c.Node)
	}
	ctl, id := d.ctl, c.ID
	n.down(wire.NodeTopic(wire.KindCmd, c.Node).String(), payload, func() { ctl.Sent(id) })
	return nil
}

// config returns the retained configuration of a node.
func (d *stand) config(uid greenhouse.UID) []byte {
	payload, err := wire.NewConfig(d.records[uid].Config.DesiredRev, wire.ConfigBodyOf(d.records[uid])).Marshal()
	if err != nil {
		return nil
	}
	return payload
}

// opened hears that a node logged in.
func (d *stand) opened(n *wired) {
	d.presence.Opened(n.uid, d.r.now)
	d.ctl.NodeOnline(n.uid, "")
}

// closed hears that a session is over.
func (d *stand) closed(n *wired, opened time.Time) {
	if !d.running {
		return
	}
	d.presence.Closed(n.uid, opened, d.r.now)
	if !n.up {
		d.ctl.NodeOffline(n.uid)
	}
}

// receive takes a message of a node and acknowledges it.
func (d *stand) receive(n *wired, m Message, ack func()) {
	t, err := wire.ParseTopic(m.Topic)
	if err != nil {
		ack()
		return
	}
	switch t.Kind {
	case wire.KindTelemetry:
		d.telemetry(n, m.Payload)
	case wire.KindStatus:
		d.status(n, m.Payload)
	case wire.KindEvent:
		d.event(n, m.Payload)
	case wire.KindCmdReport:
		if rep, err := wire.DecodeCommandReport(m.Payload); err == nil {
			d.ctl.Report(n.uid, actuation.Report{ID: rep.ID, Status: rep.Status, Value: rep.Value, Error: rep.Error}, func(err error) {
				if err == nil {
					ack()
				}
			})
			_ = d.ctl.Cycle() // a report wakes the controller; an error leaves the report unacknowledged
			return
		}
	}
	ack()
}

// telemetry takes measurements: the latest by their own time count.
func (d *stand) telemetry(n *wired, payload []byte) {
	const future = 5 * time.Minute
	if err := d.decoder.Telemetry(payload, &d.message); err != nil {
		return
	}
	now := d.r.now
	d.presence.Heard(n.uid, now)
	danger := false
	for _, s := range d.message.Samples {
		p := d.route(n, s.Channel)
		if p == nil {
			continue
		}
		rd := greenhouse.Reading{Point: p.ID, At: greenhouse.MillisOf(now), Value: s.Value}
		if s.HasAt {
			rd.At = s.At
		}
		if s.Null {
			rd.Value, rd.Quality = math.NaN(), greenhouse.Bad
		}
		if d.r.trusted && rd.At.Sub(greenhouse.MillisOf(now)) > future {
			continue
		}
		l := d.latest[p.ID]
		d.judge(&rd)
		d.warmed(&rd)
		switch {
		case l == nil:
			d.latest[p.ID] = &greenhouse.Latest{Reading: rd, Seen: now}
		case rd.At > l.At:
			*l = greenhouse.Latest{Reading: rd, Seen: now}
		default:
			continue
		}
		danger = danger || d.dangerous(rd)
	}
	if danger {
		d.decide()
	}
}

// judge gives a reading its quality, as the history does.
func (d *stand) judge(rd *greenhouse.Reading) {
	s := d.sensors[rd.Point]
	if s == nil {
		s = &greenhouse.SensorState{}
		d.sensors[rd.Point] = s
	}
	if slices.Contains(d.doubted, rd.Point) {
		rd.Quality = max(rd.Quality, greenhouse.Suspect)
	}
	tests := greenhouse.SensorTestsOf(rd.Point.Name())
	rd.Quality = tests.Judge(s, rd.At, rd.Value, rd.Quality)
	s.Note(rd.At, rd.Value, rd.Quality)
}

// route finds the point of a node's channel.
func (d *stand) route(n *wired, ch greenhouse.ChannelName) *greenhouse.Point {
	for _, p := range d.points {
		if p.Node == n.uid && p.Channel == ch {
			return p
		}
	}
	return nil
}

// dangerous reports whether a reading has its zone decided at once, as in the
// daemon.
func (d *stand) dangerous(rd greenhouse.Reading) bool {
	switch rd.Point.Name() {
	case "air_temp":
		return rd.Quality != greenhouse.Good || rd.Value <= 5 || rd.Value >= 34
	case "wind_speed":
		return rd.Value > 12
	case "rain":
		return rd.Value >= 0.5
	}
	return false
}

// status takes a heartbeat.
func (d *stand) status(n *wired, payload []byte) {
	s, err := wire.DecodeStatus(payload)
	if err != nil {
		return
	}
	d.presence.Status(n.uid, s.Online, d.r.now)
	if s.Online {
		d.ctl.NodeOnline(n.uid, s.Boot) // every time, as the daemon does: until its boot is known a node that is back gets no ON
		motors := make(map[greenhouse.ChannelName]actuation.Motor, len(s.Motors))
		for ch, m := range s.Motors {
			motors[ch] = actuation.Motor{State: m.State, Position: m.Position, Travel: time.Duration(m.TravelS) * time.Second}
		}
		d.ctl.Motors(n.uid, motors)
	}
}

// event takes what happened on a node; a warning opens an alarm.
func (d *stand) event(n *wired, payload []byte) {
	e, err := wire.DecodeEvent(payload)
	if err != nil {
		return
	}
	d.r.tell(n.dev.plan.Name + ": " + e.Code + " " + string(e.Channel))
	if e.Severity != greenhouse.Info {
		source := greenhouse.NodeSource(n.uid)
		d.observe(greenhouse.Condition{Source: source, Code: e.Code, Severity: e.Severity, Active: true})
		d.observe(greenhouse.Condition{Source: source, Code: e.Code})
	}
}

// observe keeps the alarms.
func (d *stand) observe(conds ...greenhouse.Condition) {
	at := d.r.now.Sub(d.r.start)
	for _, c := range conds {
		a := d.alarm(c.Source, c.Code)
		switch {
		case c.Active && a == nil:
			a = &RunAlarm{Source: c.Source, Code: c.Code}
			d.alarms = append(d.alarms, a)
			fallthrough
		case c.Active && !a.raised():
			a.Severity, a.Text = c.Severity, c.Text
			a.Spans = append(a.Spans, [2]time.Duration{at, -1})
			d.r.tell("alarm " + c.Code + " of " + d.nick(string(c.Source)) + ": " + c.Text)
		case !c.Active && a != nil && a.raised():
			a.Spans[len(a.Spans)-1][1] = at
			d.r.tell("cleared " + c.Code + " of " + d.nick(string(c.Source)))
		}
	}
}

func (a *RunAlarm) raised() bool { return len(a.Spans) > 0 && a.Spans[len(a.Spans)-1][1] < 0 }

// alarmed reports whether an alarm of that code is raised, whatever its source.
func (d *stand) alarmed(code string) bool {
	for _, a := range d.alarms {
		if a.Code == code && a.raised() {
			return true
		}
	}
	return false
}

func (d *stand) alarm(source greenhouse.Source, code string) *RunAlarm {
	for _, a := range d.alarms {
		if a.Code == code && a.Source == source {
			return a
		}
	}
	return nil
}

// nick returns a text with the uids of nodes replaced by their names.
func (d *stand) nick(s string) string {
	for _, n := range d.r.nodes {
		s = strings.ReplaceAll(s, string(n.uid), n.dev.plan.Name)
	}
	return s
}
