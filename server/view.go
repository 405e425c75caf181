package server

import (
	"cmp"
	"math"
	"slices"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/store"
)

// view shows records of one registry with what is live about them. It is made
// for one request and used by one goroutine.
type view struct {
	s       *Server
	reg     *store.Registry
	now     time.Time
	trusted bool
	alarms  map[greenhouse.ZoneID]alarmCount // made at first use
	reasons map[greenhouse.UID][]api.Reason  // likewise
}

// alarmCount is how many alarms of a zone are open, and the loudest.
type alarmCount struct {
	n       int
	loudest greenhouse.Severity
}

// look returns a view of the registry.
func (s *Server) look(reg *store.Registry) *view {
	return &view{s: s, reg: reg, now: s.now(), trusted: s.Health.Clock().Trusted}
}

// look returns a view of the transaction.
func (w *write) look(s *Server) *view { return s.look(w.tx.Registry()) }

func (v *view) node(n *greenhouse.Node) api.Node {
	online, seen := v.s.Presence.Presence(n.UID)
	a := api.Node{
		UID: n.UID, HardwareID: n.HardwareID, Type: n.Type, Name: n.Name, Labels: n.Labels, Zone: n.Zone, State: n.State, ReplacedBy: n.ReplacedBy,
		Reasons: orEmpty(v.reasonsOf(n.UID)), Online: online, LastSeen: seen, FW: n.FW, HW: n.HW, Boot: n.Boot,
		RSSI: v.diagnostic(n.UID, "rssi"), Battery: v.diagnostic(n.UID, "battery"), UptimeS: v.diagnostic(n.UID, "uptime_s"),
		IntervalS: cmp.Or(n.IntervalS, 10), LinkLossS: cmp.Or(n.LinkLossS, 30), Config: n.Config, Meta: meta(n.Meta),
		Channels: make([]api.Channel, 0, len(n.Channels)),
	}
	if a.Labels == nil {
		a.Labels = map[string]string{}
	}
	if online {
		a.Address = v.s.Broker.Address(string(n.UID))
	}
	for i := range n.Channels {
		a.Channels = append(a.Channels, v.channel(&n.Channels[i]))
	}
	return a
}

// reasonsOf returns what is wrong with a node: its alarms that are raised, the
// loudest first.
func (v *view) reasonsOf(uid greenhouse.UID) []api.Reason {
	if v.reasons == nil {
		v.reasons = map[greenhouse.UID][]api.Reason{}
		for _, a := range v.s.Journal.Alarms(false) {
			kind, id, _ := cut(string(a.Source), '/')
			if kind == "node" && a.State == greenhouse.AlarmRaised {
				of := greenhouse.UID(id)
				v.reasons[of] = append(v.reasons[of], api.Reason{Code: a.Code, Severity: a.Severity, Text: a.Text, Since: a.LastSeen})
			}
		}
	}
	return v.reasons[uid]
}

func meta(m greenhouse.Meta) api.Meta {
	return api.Meta{Version: m.Version, CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt}
}

func (v *view) diagnostic(uid greenhouse.UID, name greenhouse.ChannelName) *float64 {
	l, ok := v.s.Telemetry.Latest(greenhouse.NodePoint(uid, name))
	if !ok {
		return nil
	}
	return api.Num(l.Value)
}

func (v *view) channel(c *greenhouse.Channel) api.Channel {
	a := api.Channel{Name: c.Name, Kind: c.Kind, Unit: c.Unit, Point: c.Point, ChannelSpec: channelSpec(c), CalEdge: c.CalEdge, Comp: c.Comp}
	if p, ok := v.reg.Point(c.Point); ok {
		a.Calibration = v.calStatus(p)
	}
	if l, ok := v.s.Telemetry.Latest(c.Point); ok {
		a.Value, a.TS, a.Quality = api.Num(l.Value), l.At, l.Quality.String()
	}
	return a
}

func channelSpec(c *greenhouse.Channel) api.ChannelSpec {
	return api.ChannelSpec{Class: c.Class, Safe: c.Safe, MaxOnS: c.MaxOnS, MaxOnHourS: c.MaxOnHourS, MaxOnDayS: c.MaxOnDayS, MinOffS: c.MinOffS, Cal: c.Cal}
}

func (v *view) point(p *greenhouse.Point) api.Point {
	a := api.Point{
		ID: p.ID, Zone: p.Zone, Name: p.Name, Kind: p.Kind, Node: p.Node, Channel: p.Channel, PointSpec: pointSpec(p), Meta: meta(p.Meta),
		Quality: greenhouse.Stale, Override: v.reg.Overrides[p.ID], Calibration: v.calStatus(p),
	}
	if p.Kind == greenhouse.Actuator {
		a.Position = v.s.Actuation.Level(p.ID).Motor
	}
	l, ok := v.s.Telemetry.Latest(p.ID)
	if !ok {
		return a
	}
	age := max(0, l.Age(v.now, v.trusted).Seconds())
	a.Value, a.TS, a.Quality, a.AgeS = api.Num(l.Value), l.At, v.quality(p, l), &age
	return a
}

func pointSpec(p *greenhouse.Point) api.PointSpec {
	return api.PointSpec{Unit: p.Unit, Class: p.Class, Safe: p.Safe, Min: p.Min, Max: p.Max, CalPolicy: p.Calibration}
}

// quality is the stored quality of a value, or stale where it is too old to act on.
func (v *view) quality(p *greenhouse.Point, l greenhouse.Latest) greenhouse.Quality {
	if p.Kind == greenhouse.Sensor && l.Quality < greenhouse.Stale && l.Age(v.now, v.trusted) > v.staleAfter(p) {
		return greenhouse.Stale
	}
	return l.Quality
}

// staleAfter is when a sensor is too old: what its zone says, else by the
// interval of its node.
func (v *view) staleAfter(p *greenhouse.Point) time.Duration {
	if z, ok := v.reg.Zones[p.Zone]; ok && z.Control.StaleAfterS > 0 {
		return time.Duration(z.Control.StaleAfterS) * time.Second
	}
	interval := 0
	if n, ok := v.reg.Nodes[p.Node]; ok {
		interval = n.IntervalS
	}
	tests := greenhouse.SensorTestsOf(p.Name)
	return tests.StaleAfter(time.Duration(interval) * time.Second)
}

func (v *view) zone(z *greenhouse.Zone) api.Zone {
	points, nodes := v.reg.ZonePoints(z.ID), v.reg.ZoneNodes(z.ID)
	a := api.Zone{
		ID: z.ID, ZoneSpec: zoneSpec(z), Offsets: standing(z.Offsets, v.now), Holds: standing(z.Holds, v.now), Recipe: v.recipeStatus(z), SetPoints: v.setPoints(z.ID), Climate: v.climate(points), Actuators: []api.Actuator{},
		Nodes: len(nodes), NodesOnline: v.online(nodes), Points: len(points), Stopped: v.reg.StoppedZone(z.ID), Meta: meta(z.Meta),
	}
	for _, p := range points {
		if p.Kind == greenhouse.Actuator {
			a.Actuators = append(a.Actuators, v.actuator(p))
		}
	}
	count := v.zoneAlarms(z.ID)
	a.Alarms, a.AlarmSeverity = count.n, count.loudest
	a.DecidedAt, a.Failing = v.s.Automation.Decided(z.ID)
	return a
}

func zoneSpec(z *greenhouse.Zone) api.ZoneSpec {
	spec := api.ZoneSpec{
		Name: z.Name, Crop: z.Crop, AreaM2: z.AreaM2, Mode: z.Mode, Targets: z.Targets, DayFrom: z.DayFrom, DayUntil: z.DayUntil, Schedule: z.Schedule, Control: z.Control,
		NodeLimits: z.NodeLimits,
	}
	if spec.Targets == nil {
		spec.Targets = map[greenhouse.Quantity]greenhouse.Target{}
	}
	return spec
}

func (v *view) online(nodes []*greenhouse.Node) int {
	n := 0
	for _, node := range nodes {
		if on, _ := v.s.Presence.Presence(node.UID); on {
			n++
		}
	}
	return n
}

// climate votes one value for each quantity that the zone measures.
func (v *view) climate(points []*greenhouse.Point) map[greenhouse.ChannelName]api.Measurement {
	byName := map[greenhouse.ChannelName][]*greenhouse.Point{}
	for _, p := range points {
		if p.Kind == greenhouse.Sensor {
			byName[p.Name] = append(byName[p.Name], p)
		}
	}
	climate := make(map[greenhouse.ChannelName]api.Measurement, len(byName))
	for name, group := range byName {
		if m, ok := v.vote(group); ok {
			for _, p := range group {
				st := v.reg.CalState(p)
				m.Calibrate = m.Calibrate || st.Required != 0 || st.Due(greenhouse.MillisOf(v.now))
			}
			climate[name] = m
		}
	}
	return climate
}

// vote takes the median of the best quality there is; its time and age are
// those of the newest among them.
func (v *view) vote(group []*greenhouse.Point) (api.Measurement, bool) {
	m := api.Measurement{Unit: group[0].Unit, Quality: greenhouse.Bad, AgeS: math.Inf(1), Points: len(group)}
	var values []float64
	found := false
	for _, p := range group {
		l, ok := v.s.Telemetry.Latest(p.ID)
		if !ok {
			continue
		}
		q, age := v.quality(p, l), max(0, l.Age(v.now, v.trusted).Seconds())
		if found && q > m.Quality {
			continue
		}
		if !found || q < m.Quality {
			values, m.Quality, m.TS, m.AgeS = values[:0], q, 0, math.Inf(1)
		}
		found = true
		m.TS, m.AgeS = max(m.TS, l.At), min(m.AgeS, age)
		if !math.IsNaN(l.Value) {
			values = append(values, l.Value)
		}
	}
	m.Value = median(values)
	return m, found
}

func median(values []float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	mid := len(values) / 2
	if len(values)%2 == 1 {
		return api.Num(values[mid])
	}
	return api.Num((values[mid-1] + values[mid]) / 2)
}

func (v *view) actuator(p *greenhouse.Point) api.Actuator {
	level := v.s.Actuation.Level(p.ID)
	online, _ := v.s.Presence.Presence(p.Node)
	a := api.Actuator{
		Point: p.ID, Name: p.Name, Class: p.Class, Node: p.Node, Online: online,
		Level: level.Desired, Reported: level.Reported, Position: level.Motor, LeaseUntil: level.LeaseUntil, Command: level.Command, Override: v.reg.Overrides[p.ID], Version: p.Version,
		RanH: math.Round(level.Ran.Hours()*100) / 100, Starts: level.Starts, StartsHour: level.StartsHour,
	}
	if verdict, ok := v.s.Actuation.Verdict(p.ID); ok {
		a.Owner, a.Reason, a.Since = verdict.Winner.Owner, verdict.Winner.Reason, verdict.Since
		if a.Level == nil {
			a.Level = api.Num(verdict.Value)
		}
	}
	return a
}

// zoneAlarms counts the open alarms of a zone, its points and its nodes.
func (v *view) zoneAlarms(z greenhouse.ZoneID) alarmCount {
	if v.alarms == nil {
		v.alarms = map[greenhouse.ZoneID]alarmCount{}
		for _, a := range v.s.Journal.Alarms(false) {
			zone := v.zoneOf(a.Source)
			if zone == "" || !audible(a, greenhouse.MillisOf(v.now)) {
				continue
			}
			c := v.alarms[zone]
			c.n++
			c.loudest = louder(c.loudest, a.Severity)
			v.alarms[zone] = c
		}
	}
	return v.alarms[z]
}

// audible reports whether an alarm wants attention now.
func audible(a greenhouse.Alarm, now greenhouse.Millis) bool {
	return a.Open() && a.ShelvedUntil <= now
}

// zoneOf returns the zone that a source belongs to, "" for none.
func (v *view) zoneOf(src greenhouse.Source) greenhouse.ZoneID {
	kind, id, _ := cut(string(src), '/')
	switch kind {
	case "zone":
		return greenhouse.ZoneID(id)
	case "point":
		p := greenhouse.PointID(id)
		if z := p.Zone(); z != "" {
			return z
		}
		id = string(p.Node())
	case "node":
	default:
		return ""
	}
	if n, ok := v.reg.Nodes[greenhouse.UID(id)]; ok {
		return n.Zone
	}
	return ""
}

func louder(a, b greenhouse.Severity) greenhouse.Severity {
	if loudness(b) > loudness(a) {
		return b
	}
	return a
}

func loudness(s greenhouse.Severity) int {
	switch s {
	case greenhouse.Info:
		return 1
	case greenhouse.Warning:
		return 2
	case greenhouse.Critical:
		return 3
	}
	return 0
}

func (s *Server) alarmCounts() api.AlarmCounts {
	var c api.AlarmCounts
	now := greenhouse.MillisOf(s.now())
	for _, a := range s.Journal.Alarms(false) {
		if !audible(a, now) {
			continue
		}
		switch a.Severity {
		case greenhouse.Critical:
			c.Critical++
		case greenhouse.Warning:
			c.Warning++
		default:
			c.Info++
		}
		if !a.Acked {
			c.Unacked++
		}
	}
	return c
}

func stoppedOf(reg *store.Registry) api.Stopped {
	st := api.Stopped{All: reg.StopAll, Zones: []greenhouse.ZoneID{}}
	for z, on := range reg.Stopped {
		if on {
			st.Zones = append(st.Zones, z)
		}
	}
	slices.Sort(st.Zones)
	return st
}

// finite drops what JSON cannot carry.
func finite(m map[string]float64) map[string]float64 {
	if m == nil {
		return nil
	}
	out := make(map[string]float64, len(m))
	for k, x := range m {
		if api.Num(x) != nil {
			out[k] = x
		}
	}
	return out
}
