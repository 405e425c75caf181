package server

import (
	"context"
	"math"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/automation"
	"greenhouse/store"
)

// getLive streams what changed since the last look, at most once an interval.
func (s *Server) getLive(_ context.Context, in *struct {
	Zone     string `query:"zone" doc:"one zone only"`
	Interval string `query:"interval" doc:"shortest time between two messages, 200ms to 1m; 1s if absent"`
}) (*streamed, error) {
	every := liveUsual
	if in.Interval != "" {
		d, err := api.ParseDuration(in.Interval)
		if err != nil {
			return nil, err
		}
		every = min(max(d, liveFastest), liveSlowest)
	}
	if err := known(s.Store.Registry(), in.Zone, ""); err != nil {
		return nil, err
	}
	if err := s.lives.take("live"); err != nil {
		return nil, err
	}
	return &streamed{Body: func(hc huma.Context) {
		defer s.lives.leave()
		s.streamLive(hc, greenhouse.ZoneID(in.Zone), every)
	}}, nil
}

func (s *Server) streamLive(hc huma.Context, zone greenhouse.ZoneID, every time.Duration) {
	ctx, cancel := s.streamContext(hc)
	defer cancel()
	out := openStream(hc)
	if out.head {
		return
	}
	l := newLooker(s, zone)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for quiet := time.Duration(0); ; {
		msg, changed := l.look()
		switch {
		case changed:
			quiet = 0
			if out.message(api.StreamLive, "", msg) != nil {
				return
			}
		case quiet >= heartbeat:
			quiet = 0
			if out.comment() != nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			quiet += every
		}
	}
}

// looker remembers what one client was shown last. It belongs to one goroutine.
type looker struct {
	s      *Server
	zone   greenhouse.ZoneID // "" for all
	first  bool
	frame  api.Live // counts and stops shown last
	points map[greenhouse.PointID]api.LivePoint
	values map[greenhouse.PointID]float64
	drives map[greenhouse.PointID]driven
	said   map[greenhouse.PointID]saying
	zones  map[greenhouse.ZoneID]zoned
	nodes  map[greenhouse.UID]api.LiveNode
	latest map[greenhouse.PointID]greenhouse.Latest
}

// zoned is a zone as shown last, without its map, to be compared.
type zoned struct {
	mode          greenhouse.Mode
	alarms        alarmCount
	online, nodes int
	stopped       bool
	failing       string
	version       uint64
	points        [len(automation.SetPoints{})]float64 // set-points in force, in the order of the decision
}

// saying is the reason of an actuator as shown last. It carries figures that change
// with every decision, so it is shown anew when its words change, when anything else of
// the actuator does, and else once in figuresEvery.
type saying struct {
	reason string
	at     time.Time
}

const figuresEvery = 20 * time.Second

// stale reports whether another reason is due.
func (s saying) stale(reason string, now time.Time) bool {
	return reason != s.reason && (now.Sub(s.at) >= figuresEvery || !sameWords(reason, s.reason))
}

// sameWords reports whether two reasons differ by their figures at most.
func sameWords(a, b string) bool {
	for i, j := 0, 0; ; i, j = i+1, j+1 {
		for i < len(a) && ofFigure(a[i]) {
			i++
		}
		for j < len(b) && ofFigure(b[j]) {
			j++
		}
		if i == len(a) || j == len(b) {
			return i == len(a) && j == len(b)
		}
		if a[i] != b[j] {
			return false
		}
	}
}

func ofFigure(c byte) bool { return c >= '0' && c <= '9' || c == '.' || c == '-' }

// driven is an actuator as shown last, without its pointers, to be compared.
type driven struct {
	level, reported    float64
	hasLevel, hasNode  bool
	lease, since       greenhouse.Millis
	owner              string
	online             bool
	command            greenhouse.CommandState
	position           greenhouse.MotorState
	node               greenhouse.UID
	override, overrode greenhouse.Millis
	version            uint64
}

func newLooker(s *Server, zone greenhouse.ZoneID) *looker {
	return &looker{
		s: s, zone: zone, first: true,
		points: map[greenhouse.PointID]api.LivePoint{}, values: map[greenhouse.PointID]float64{}, drives: map[greenhouse.PointID]driven{}, said: map[greenhouse.PointID]saying{},
		zones: map[greenhouse.ZoneID]zoned{}, nodes: map[greenhouse.UID]api.LiveNode{}, latest: map[greenhouse.PointID]greenhouse.Latest{},
	}
}

// look returns what changed since the last look, and whether anything did.
func (l *looker) look() (api.Live, bool) {
	v := l.s.look(l.s.Store.Registry())
	clear(l.latest)
	l.s.Telemetry.Snapshot(l.latest)
	msg := api.Live{
		TS: greenhouse.MillisOf(v.now), Full: l.first, Version: v.reg.Version, LastEvent: l.s.Journal.Last(),
		Alarms: l.s.alarmCounts(), Stopped: stoppedOf(v.reg), Pending: l.s.waitingCount(),
	}
	if clock := l.s.Health.Clock(); !clock.Trusted {
		msg.Waits = clock.Text
	}
	l.lookPoints(v, &msg)
	l.lookZones(v, &msg)
	l.lookNodes(v, &msg)
	l.lookGone(v.reg, &msg)
	changed := l.first || len(msg.Points)+len(msg.Actuators)+len(msg.Zones)+len(msg.Nodes)+len(msg.Removed) > 0 ||
		msg.Version != l.frame.Version || msg.LastEvent != l.frame.LastEvent || msg.Alarms != l.frame.Alarms || msg.Pending != l.frame.Pending || (msg.Waits == "") != (l.frame.Waits == "")
	l.first, l.frame = false, msg
	return msg, changed
}

func (l *looker) wants(z greenhouse.ZoneID) bool { return l.zone == "" || l.zone == z }

func (l *looker) lookPoints(v *view, msg *api.Live) {
	for id, p := range v.reg.Points {
		if !l.wants(p.Zone) {
			continue
		}
		if p.Kind == greenhouse.Actuator {
			l.lookActuator(v, p, msg)
		}
		last, ok := l.latest[id]
		if !ok {
			continue
		}
		now := api.LivePoint{ID: id, TS: last.At, Quality: v.quality(p, last)}
		if old, had := l.points[id]; had && old == now && same(l.values[id], last.Value) {
			continue
		}
		l.points[id], l.values[id] = now, last.Value
		now.Value = api.Num(last.Value)
		msg.Points = append(msg.Points, now)
	}
}

// same compares values, of which a failed one is like another.
func same(a, b float64) bool { return a == b || a != a && b != b }

func (l *looker) lookActuator(v *view, p *greenhouse.Point, msg *api.Live) {
	a := v.actuator(p)
	now := driven{
		lease: a.LeaseUntil, since: a.Since, owner: a.Owner, online: a.Online, command: a.Command, position: a.Position, node: a.Node, version: a.Version,
		hasLevel: a.Level != nil, hasNode: a.Reported != nil,
	}
	if a.Level != nil {
		now.level = *a.Level
	}
	if a.Reported != nil {
		now.reported = *a.Reported
	}
	if a.Override != nil {
		now.override, now.overrode = a.Override.ExpiresAt, a.Override.CreatedAt
	}
	if old, had := l.drives[p.ID]; had && old == now && !l.said[p.ID].stale(a.Reason, v.now) {
		return
	}
	l.drives[p.ID], l.said[p.ID] = now, saying{a.Reason, v.now}
	msg.Actuators = append(msg.Actuators, a)
}

func (l *looker) lookZones(v *view, msg *api.Live) {
	for id, z := range v.reg.Zones {
		if !l.wants(id) {
			continue
		}
		nodes, count := v.reg.ZoneNodes(id), v.zoneAlarms(id)
		_, failing := v.s.Automation.Decided(id)
		now := zoned{mode: z.Mode, alarms: count, nodes: len(nodes), online: v.online(nodes), stopped: v.reg.StoppedZone(id), failing: failing, version: z.Version}
		points, _ := v.s.Automation.SetPoints(id)
		for i, p := range points {
			now.points[i] = math.Inf(-1) // nobody asked for it
			if p.Layer != automation.LayerNone {
				now.points[i] = math.Round(p.Value*10) / 10
			}
		}
		if old, had := l.zones[id]; had && old == now {
			continue
		}
		l.zones[id] = now
		shown := api.LiveZone{ID: id, Mode: z.Mode, Alarms: count.n, AlarmSeverity: count.loudest, Nodes: now.nodes, NodesOnline: now.online,
			Stopped: now.stopped, Failing: failing, Version: z.Version, SetPoints: map[greenhouse.Quantity]float64{}}
		for i, p := range points {
			if x := now.points[i]; api.Num(x) != nil {
				shown.SetPoints[p.Quantity] = x
			}
		}
		msg.Zones = append(msg.Zones, shown)
	}
}

// lookNodes shows nodes whose state changed; that one was heard again is no
// change worth a message, so last_seen goes along with others.
func (l *looker) lookNodes(v *view, msg *api.Live) {
	for uid, n := range v.reg.Nodes {
		if !l.wants(n.Zone) {
			continue
		}
		online, seen := v.s.Presence.Presence(uid)
		now := api.LiveNode{UID: uid, Zone: n.Zone, State: n.State, Online: online, Version: n.Version}
		if old, had := l.nodes[uid]; had && old == now {
			continue
		}
		l.nodes[uid] = now
		now.LastSeen = seen
		msg.Nodes = append(msg.Nodes, now)
	}
}

// lookGone names what was shown and is no longer there.
func (l *looker) lookGone(reg *store.Registry, msg *api.Live) {
	for id := range l.zones {
		if reg.Zones[id] == nil {
			delete(l.zones, id)
			msg.Removed = append(msg.Removed, string(greenhouse.ZoneSource(id)))
		}
	}
	for uid := range l.nodes {
		if n := reg.Nodes[uid]; n == nil || !l.wants(n.Zone) {
			delete(l.nodes, uid)
			msg.Removed = append(msg.Removed, string(greenhouse.NodeSource(uid)))
		}
	}
	for id := range l.points {
		if p := reg.Points[id]; p == nil || !l.wants(p.Zone) {
			delete(l.points, id)
			delete(l.values, id)
			delete(l.drives, id)
			delete(l.said, id)
			msg.Removed = append(msg.Removed, string(greenhouse.PointSource(id)))
		}
	}
}
