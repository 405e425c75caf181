package tui

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"greenhouse"
	"greenhouse/api"
)

const (
	traceLen   = 60               // values of a trace
	traceEvery = 15 * time.Second // between two of them, so that a trace is a quarter of an hour
	eventsKept = 500
)

// link says how the connection to the daemon stands.
type link struct {
	up    bool
	ever  bool      // it has been up
	since time.Time // of up, or of the loss
	why   string
}

// point is what is known of one point: its latest value and the trace of the
// last ones, and what drives it if it is an actuator.
type point struct {
	api.LivePoint
	unit   greenhouse.Unit
	trace  []float32 // NaN: the sensor failed
	traced greenhouse.Millis
	primed bool // the trace has, or is about to get, what the history knows
	act    *api.Actuator
}

// driven reports whether the point is an actuator.
func (p *point) driven() bool {
	if p.act != nil {
		return true
	}
	spec, std := greenhouse.StandardChannel(p.ID.Name())
	return std && spec.Kind == greenhouse.Actuator
}

// state is everything the panes draw. The program's goroutine owns it.
type state struct {
	site    string
	loc     *time.Location // the site's; nil while unknown
	link    link
	zones   []api.Zone  // by id
	nodes   []api.Node  // by uid
	alarms  []api.Alarm // the loudest that nobody acknowledged first
	events  []api.Event // oldest first
	points  map[greenhouse.PointID]*point
	byZone  map[greenhouse.ZoneID][]*point                        // by id
	inForce map[greenhouse.ZoneID]map[greenhouse.Quantity]float64 // set-points, as decided
	units   map[greenhouse.PointID]greenhouse.Unit
	counts  api.AlarmCounts
	stopped api.Stopped
	waits   string // why schedules wait for the clock; "" while they do not
	pending int    // devices that knock and are not let in
	version uint64
	known   bool              // records have been read
	rev     uint64            // rises whenever zones, nodes, alarms or events change
	daemon  greenhouse.Millis // the daemon's clock at the last message
	heard   time.Time         // when that message came
	readErr error             // why records could not be read the last time
}

func newState(now time.Time) *state {
	return &state{
		link: link{since: now}, points: map[greenhouse.PointID]*point{}, byZone: map[greenhouse.ZoneID][]*point{},
		inForce: map[greenhouse.ZoneID]map[greenhouse.Quantity]float64{},
		units:   map[greenhouse.PointID]greenhouse.Unit{},
	}
}

// now returns the daemon's clock, as far as it is known.
func (s *state) now(local time.Time) greenhouse.Millis {
	if s.daemon == 0 {
		return greenhouse.MillisOf(local)
	}
	return s.daemon.Add(local.Sub(s.heard))
}

// lost notes that the connection broke.
func (s *state) lost(why error, local time.Time) {
	if s.link.up {
		s.link.since = local
	}
	s.link.up, s.link.why = false, why.Error()
}

// apply takes one live message in; it reports whether records must be read again.
func (s *state) apply(m api.Live, local time.Time) (stale bool) {
	if m.Full {
		s.forgetExcept(m)
	}
	stale = m.Full || m.Version != s.version || m.Alarms != s.counts
	if !s.link.up {
		s.link = link{up: true, ever: true, since: local}
	}
	s.daemon, s.heard, s.version, s.counts, s.stopped, s.waits, s.pending = m.TS, local, m.Version, m.Alarms, m.Stopped, m.Waits, m.Pending
	for i := range m.Points {
		s.applyPoint(m.Points[i])
	}
	for i := range m.Actuators {
		s.point(m.Actuators[i].Point).act = &m.Actuators[i]
	}
	for i := range m.Zones {
		s.applyZone(m.Zones[i])
	}
	for i := range m.Nodes {
		s.applyNode(m.Nodes[i])
	}
	for _, gone := range m.Removed {
		s.drop(gone)
	}
	if len(m.Zones)+len(m.Nodes)+len(m.Removed) > 0 {
		s.rev++
	}
	return stale
}

// forgetExcept drops the points that a whole message does not name. Traces of
// the others stay: a reconnect does not blank them.
func (s *state) forgetExcept(m api.Live) {
	old := s.points
	s.points, s.byZone = make(map[greenhouse.PointID]*point, len(m.Points)), make(map[greenhouse.ZoneID][]*point, len(s.byZone))
	for i := range m.Points {
		if p := old[m.Points[i].ID]; p != nil {
			p.act = nil
			s.insert(p)
		}
	}
}

// point returns what is known of a point, new if nothing was.
func (s *state) point(id greenhouse.PointID) *point {
	if p := s.points[id]; p != nil {
		return p
	}
	p := &point{LivePoint: api.LivePoint{ID: id}, unit: s.units[id]}
	if spec, std := greenhouse.StandardChannel(id.Name()); std {
		p.unit = spec.Unit
	}
	s.insert(p)
	return p
}

// insert files a point; those of nodes in no zone are not listed.
func (s *state) insert(p *point) {
	s.points[p.ID] = p
	z := p.ID.Zone()
	if z == "" {
		return
	}
	list := s.byZone[z]
	i, _ := slices.BinarySearchFunc(list, p.ID, func(a *point, id greenhouse.PointID) int { return cmp.Compare(a.ID, id) })
	s.byZone[z] = slices.Insert(list, i, p)
}

func (s *state) applyPoint(now api.LivePoint) {
	p := s.point(now.ID)
	p.LivePoint = now
	if now.TS == 0 || now.ID.Zone() == "" {
		return
	}
	v := float32(api.Val(now.Value))
	if n := len(p.trace); n > 0 && now.TS.Sub(p.traced) < traceEvery {
		p.trace[n-1] = v
		return
	}
	p.traced = now.TS
	if len(p.trace) == traceLen {
		copy(p.trace, p.trace[1:])
		p.trace = p.trace[:traceLen-1]
	}
	p.trace = append(p.trace, v)
}

// applyZone takes in what changes by itself. The version stays that of the
// record shown: an edit must be refused if the person has not seen what it is
// now.
func (s *state) applyZone(now api.LiveZone) {
	if i, ok := s.zoneIndex(now.ID); ok {
		z := &s.zones[i]
		z.Mode, z.Alarms, z.AlarmSeverity, z.NodesOnline, z.Nodes = now.Mode, now.Alarms, now.AlarmSeverity, now.NodesOnline, now.Nodes
		z.Stopped, z.Failing = now.Stopped, now.Failing
		s.inForce[now.ID] = now.SetPoints
	}
}

func (s *state) applyNode(now api.LiveNode) {
	if i, ok := s.nodeIndex(now.UID); ok {
		n := &s.nodes[i]
		n.Zone, n.State, n.Online, n.LastSeen = now.Zone, now.State, now.Online, max(n.LastSeen, now.LastSeen)
	}
}

// drop forgets a source that is gone: "zone/…", "node/…" or "point/…".
func (s *state) drop(gone string) {
	noun, id, _ := strings.Cut(gone, "/")
	switch noun {
	case "zone":
		if i, ok := s.zoneIndex(greenhouse.ZoneID(id)); ok {
			s.zones = slices.Delete(s.zones, i, i+1)
		}
	case "node":
		if i, ok := s.nodeIndex(greenhouse.UID(id)); ok {
			s.nodes = slices.Delete(s.nodes, i, i+1)
		}
	case "point":
		p := greenhouse.PointID(id)
		delete(s.points, p)
		s.byZone[p.Zone()] = slices.DeleteFunc(s.byZone[p.Zone()], func(q *point) bool { return q.ID == p })
	}
}

// replace takes freshly read records in.
func (s *state) replace(r records) {
	s.site, s.loc, s.known = r.site.Name, nil, true
	if loc, err := time.LoadLocation(r.site.TimeZone); err == nil && r.site.TimeZone != "" {
		s.loc = loc
	}
	s.zones, s.nodes, s.alarms = r.zones, r.nodes, r.alarms
	slices.SortFunc(s.zones, func(a, b api.Zone) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.nodes, func(a, b api.Node) int { return cmp.Compare(a.UID, b.UID) })
	slices.SortFunc(s.alarms, louder)
	for i := range s.nodes {
		s.learnUnits(s.nodes[i].Channels)
	}
	s.rev++
}

// learnUnits remembers the units of channels that the wire contract does not name.
func (s *state) learnUnits(channels []api.Channel) {
	for _, c := range channels {
		if _, std := greenhouse.StandardChannel(c.Name); std || c.Unit == "" || c.Point == "" {
			continue
		}
		s.units[c.Point] = c.Unit
		if p := s.points[c.Point]; p != nil {
			p.unit = c.Unit
		}
	}
}

// louder orders alarms: what nobody acknowledged, then by severity, the newest first.
func louder(a, b api.Alarm) int {
	return cmp.Or(boolRank(a.Acked)-boolRank(b.Acked), severityRank(b.Severity)-severityRank(a.Severity), cmp.Compare(b.FirstSeen, a.FirstSeen), cmp.Compare(a.ID, b.ID))
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func severityRank(v greenhouse.Severity) int {
	switch v {
	case greenhouse.Critical:
		return 2
	case greenhouse.Warning:
		return 1
	}
	return 0
}

// addEvents remembers events and reports whether records must be read again.
func (s *state) addEvents(batch []api.Event) (stale bool) {
	s.events = append(s.events, batch...)
	if over := len(s.events) - eventsKept; over > 0 {
		s.events = slices.Delete(s.events, 0, over)
	}
	s.rev++
	return slices.ContainsFunc(batch, func(e api.Event) bool {
		noun, _, _ := strings.Cut(e.Code, "_")
		return noun == "alarm" || noun == "node" || noun == "zone" || noun == "site"
	})
}

func (s *state) zoneIndex(id greenhouse.ZoneID) (int, bool) {
	return slices.BinarySearchFunc(s.zones, id, func(z api.Zone, id greenhouse.ZoneID) int { return cmp.Compare(z.ID, id) })
}

func (s *state) nodeIndex(id greenhouse.UID) (int, bool) {
	return slices.BinarySearchFunc(s.nodes, id, func(n api.Node, id greenhouse.UID) int { return cmp.Compare(n.UID, id) })
}

// zone returns a zone by id, nil if there is none.
func (s *state) zone(id greenhouse.ZoneID) *api.Zone {
	if i, ok := s.zoneIndex(id); ok {
		return &s.zones[i]
	}
	return nil
}

// actuators returns the actuators of a zone by id.
func (s *state) actuators(id greenhouse.ZoneID) []*api.Actuator {
	var out []*api.Actuator
	for _, p := range s.byZone[id] {
		if p.act != nil {
			out = append(out, p.act)
		}
	}
	return out
}

// measured returns the value of a quantity in a zone as the daemon votes it:
// the median of the points of the best quality, with the time of the newest of
// them and the trace of the first. It is nil where nothing measures it.
func (s *state) measured(id greenhouse.ZoneID, name greenhouse.ChannelName) *point {
	var voters []*point
	for _, p := range s.byZone[id] {
		if p.ID.Name() != name || p.TS == 0 {
			continue
		}
		if len(voters) > 0 && p.Quality < voters[0].Quality {
			voters = voters[:0]
		}
		if len(voters) == 0 || p.Quality == voters[0].Quality {
			voters = append(voters, p)
		}
	}
	switch len(voters) {
	case 0:
		return nil
	case 1:
		return voters[0]
	}
	out := *voters[0]
	var values []float64
	for _, p := range voters {
		out.TS = max(out.TS, p.TS)
		if p.Value != nil {
			values = append(values, *p.Value)
		}
	}
	if n := len(values); n > 0 {
		slices.Sort(values)
		out.Value = api.Num((values[(n-1)/2] + values[n/2]) / 2)
	}
	return &out
}

// age returns how old the newest sensor value of a zone is in seconds, NaN for
// none.
func (s *state) age(id greenhouse.ZoneID, now greenhouse.Millis) float64 {
	var newest greenhouse.Millis
	for _, p := range s.byZone[id] {
		if p.act == nil {
			newest = max(newest, p.TS)
		}
	}
	if newest == 0 {
		return math.NaN()
	}
	return max(now.Sub(newest).Seconds(), 0)
}
