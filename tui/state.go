package tui

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"greenhouse"
	"greenhouse/api"
)

// sparkLen is how many values a sparkline remembers.
const sparkLen = 120

// eventsKept is how many events the dashboard remembers.
const eventsKept = 500

// link says how the connection to the daemon stands.
type link struct {
	up    bool
	since time.Time // of up, or of the loss
	why   string
}

// point is the latest value of a point and the trace of the last ones.
type point struct {
	api.LivePoint
	unit  greenhouse.Unit
	trace []float64
}

// state is everything the panes draw. One goroutine, the program's, owns it.
type state struct {
	site    string
	link    link
	zones   []api.Zone // by id
	nodes   []api.Node // by uid
	alarms  []api.Alarm
	events  []api.Event // oldest first
	points  map[greenhouse.PointID]*point
	byZone  map[greenhouse.ZoneID][]*point // sensors and actuators, by id
	acts    map[greenhouse.PointID]api.Actuator
	counts  api.AlarmCounts
	stopped api.Stopped
	version uint64
	daemon  greenhouse.Millis // the daemon's clock at the last message
	heard   time.Time         // when that message came
}

func newState(now time.Time) *state {
	return &state{link: link{since: now, why: "connecting"}, points: map[greenhouse.PointID]*point{}, byZone: map[greenhouse.ZoneID][]*point{}, acts: map[greenhouse.PointID]api.Actuator{}}
}

// now returns the daemon's clock, as far as it is known.
func (s *state) now(local time.Time) greenhouse.Millis {
	if s.daemon == 0 {
		return greenhouse.MillisOf(local)
	}
	return s.daemon.Add(local.Sub(s.heard))
}

// apply takes one live message in; it reports whether records must be read again.
func (s *state) apply(m api.Live, local time.Time) (stale bool) {
	if m.Full {
		s.points, s.byZone, s.acts = map[greenhouse.PointID]*point{}, map[greenhouse.ZoneID][]*point{}, map[greenhouse.PointID]api.Actuator{}
	}
	stale = m.Full || m.Version != s.version || m.Alarms != s.counts
	if !s.link.up {
		s.link = link{up: true, since: local}
	}
	s.daemon, s.heard, s.version, s.counts, s.stopped = m.TS, local, m.Version, m.Alarms, m.Stopped
	for _, p := range m.Points {
		s.applyPoint(p)
	}
	for _, a := range m.Actuators {
		s.acts[a.Point] = a
	}
	for _, z := range m.Zones {
		if i, ok := s.zoneIndex(z.ID); ok {
			k := &s.zones[i]
			k.Mode, k.Alarms, k.AlarmSeverity, k.NodesOnline, k.Nodes, k.Stopped, k.Failing = z.Mode, z.Alarms, z.AlarmSeverity, z.NodesOnline, z.Nodes, z.Stopped, z.Failing
		}
	}
	for _, n := range m.Nodes {
		if i, ok := slices.BinarySearchFunc(s.nodes, n.UID, func(a api.Node, id greenhouse.UID) int { return cmp.Compare(a.UID, id) }); ok {
			k := &s.nodes[i]
			k.Zone, k.State, k.Online, k.LastSeen = n.Zone, n.State, n.Online, n.LastSeen
		}
	}
	for _, gone := range m.Removed {
		if id, ok := strings.CutPrefix(gone, "point/"); ok {
			s.dropPoint(greenhouse.PointID(id))
		}
	}
	return stale
}

func (s *state) applyPoint(p api.LivePoint) {
	known, ok := s.points[p.ID]
	if !ok {
		known = &point{}
		if spec, std := greenhouse.StandardChannel(p.ID.Name()); std {
			known.unit = spec.Unit
		}
		s.points[p.ID] = known
		list := s.byZone[p.ID.Zone()]
		i, _ := slices.BinarySearchFunc(list, p.ID, func(a *point, id greenhouse.PointID) int { return cmp.Compare(a.ID, id) })
		s.byZone[p.ID.Zone()] = slices.Insert(list, i, known)
	}
	if fresh := !ok || p.TS != known.TS; fresh {
		known.trace = append(known.trace, api.Val(p.Value))
		if over := len(known.trace) - sparkLen; over > 0 {
			known.trace = slices.Delete(known.trace, 0, over)
		}
	}
	known.LivePoint = p
}

func (s *state) dropPoint(id greenhouse.PointID) {
	delete(s.points, id)
	delete(s.acts, id)
	s.byZone[id.Zone()] = slices.DeleteFunc(s.byZone[id.Zone()], func(p *point) bool { return p.ID == id })
}

// replace takes freshly read records in.
func (s *state) replace(r records) {
	s.site, s.zones, s.nodes, s.alarms = r.site, r.zones, r.nodes, r.alarms
	slices.SortFunc(s.zones, func(a, b api.Zone) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.nodes, func(a, b api.Node) int { return cmp.Compare(a.UID, b.UID) })
	for _, z := range s.zones {
		for _, a := range z.Actuators {
			if _, known := s.acts[a.Point]; !known {
				s.acts[a.Point] = a
			}
		}
	}
}

// addEvent remembers an event and reports whether records must be read again.
func (s *state) addEvent(e api.Event) bool {
	s.events = append(s.events, e)
	if over := len(s.events) - eventsKept; over > 0 {
		s.events = slices.Delete(s.events, 0, over)
	}
	return strings.HasPrefix(e.Code, "alarm_") || strings.HasPrefix(e.Code, "node_") || strings.HasPrefix(e.Code, "zone_")
}

func (s *state) zoneIndex(id greenhouse.ZoneID) (int, bool) {
	return slices.BinarySearchFunc(s.zones, id, func(z api.Zone, id greenhouse.ZoneID) int { return cmp.Compare(z.ID, id) })
}

// zone returns a zone by id.
func (s *state) zone(id greenhouse.ZoneID) (api.Zone, bool) {
	if i, ok := s.zoneIndex(id); ok {
		return s.zones[i], true
	}
	return api.Zone{}, false
}

// sensors returns the sensor points of a zone by id.
func (s *state) sensors(id greenhouse.ZoneID) []*point {
	return slices.DeleteFunc(slices.Clone(s.byZone[id]), func(p *point) bool {
		_, driven := s.acts[p.ID]
		spec, std := greenhouse.StandardChannel(p.ID.Name())
		return driven || std && spec.Kind == greenhouse.Actuator
	})
}

// actuators returns the actuators of a zone by id.
func (s *state) actuators(id greenhouse.ZoneID) []api.Actuator {
	var out []api.Actuator
	for _, p := range slices.Sorted(maps.Keys(s.acts)) {
		if p.Zone() == id {
			out = append(out, s.acts[p])
		}
	}
	return out
}

// measured returns the value of a quantity in a zone: the median of what is
// good, else the newest there is.
func (s *state) measured(id greenhouse.ZoneID, name greenhouse.ChannelName) (point, bool) {
	var good []*point
	var newest *point
	for _, p := range s.byZone[id] {
		if p.ID.Name() != name {
			continue
		}
		if p.Quality == greenhouse.Good && p.Value != nil {
			good = append(good, p)
		}
		if newest == nil || p.TS > newest.TS {
			newest = p
		}
	}
	if len(good) > 0 {
		slices.SortFunc(good, func(a, b *point) int { return cmp.Compare(*a.Value, *b.Value) })
		return *good[len(good)/2], true
	}
	if newest == nil {
		return point{}, false
	}
	return *newest, true
}

// age returns how old the newest sensor value of a zone is, NaN for none.
func (s *state) age(id greenhouse.ZoneID, local time.Time) float64 {
	var newest greenhouse.Millis
	for _, p := range s.byZone[id] {
		newest = max(newest, p.TS)
	}
	if newest == 0 {
		return math.NaN()
	}
	return max(s.now(local).Sub(newest).Seconds(), 0)
}
