package tui_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// t0 is when every scripted greenhouse is looked at.
func t0() time.Time { return time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC) }

func ms(d time.Duration) greenhouse.Millis { return greenhouse.MillisOf(t0().Add(d)) }

func ptr(v float64) *float64 { return &v }

// fake is a daemon as a script: streams yield what is put into their channels,
// reads answer the records, and writes are remembered.
type fake struct {
	live   chan any // api.Live or error
	events chan api.Event

	mu     sync.Mutex
	site   api.Site
	zones  []api.Zone
	nodes  []api.Node
	alarms []api.Alarm
	why    api.Why
	fail   error    // of every write
	down   error    // of every read
	fresh  bool     // nothing is in the history
	calls  []string // writes, in order
	reads  int      // of all zones
	called chan struct{}
}

// What the records of the fake have been changed to.
const (
	pointVersion = 7
	alarmVersion = 3
)

func newFake() *fake {
	return &fake{live: make(chan any, 16), events: make(chan api.Event, 64), called: make(chan struct{}, 64)}
}

func (f *fake) WatchLive(ctx context.Context, _ client.LiveQuery) iter.Seq2[api.Live, error] {
	return func(yield func(api.Live, error) bool) {
		for {
			var l api.Live
			var err error
			select {
			case <-ctx.Done():
				return
			case x, ok := <-f.live:
				if !ok {
					return
				}
				l, _ = x.(api.Live)
				err, _ = x.(error)
			}
			if !yield(l, err) {
				return
			}
		}
	}
}

func (f *fake) WatchEvents(ctx context.Context, since uint64) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-f.events:
				if e.Seq > since && !yield(e, nil) {
					return
				}
			}
		}
	}
}

func (f *fake) Site(context.Context) (api.Site, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.site, f.down
}

func (f *fake) Status(context.Context) (api.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return api.Status{Site: f.site.Name}, f.down
}

func (f *fake) Zones(context.Context, client.Page) (api.List[api.Zone], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	return api.List[api.Zone]{Items: slices.Clone(f.zones)}, f.down
}

func (f *fake) Nodes(context.Context, client.NodeFilter) (api.List[api.Node], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return api.List[api.Node]{Items: slices.Clone(f.nodes)}, f.down
}

func (f *fake) Alarms(context.Context, bool, client.Page) (api.List[api.Alarm], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return api.List[api.Alarm]{Items: slices.Clone(f.alarms)}, f.down
}

// History answers a wave of two hours, a sample a minute, with a gap.
func (f *fake) History(_ context.Context, id greenhouse.PointID, q client.HistoryQuery) (api.History, error) {
	from, err := time.Parse(time.RFC3339, q.From)
	if err != nil {
		return api.History{}, err
	}
	to, err := time.Parse(time.RFC3339, q.To)
	if err != nil {
		return api.History{}, err
	}
	h := api.History{Point: id, Unit: "°C", Step: "1m"}
	if f.fresh {
		return h, nil
	}
	for t := from; t.Before(to); t = t.Add(time.Minute) {
		if m := t.Sub(from).Minutes(); m < 60 || m > 75 {
			v := 20 + 3*math.Sin(float64(t.Unix())/1500)
			h.Samples = append(h.Samples, api.Sample{TS: greenhouse.MillisOf(t), Value: &v})
		}
	}
	h.Gaps = []api.Gap{{Point: id, From: greenhouse.MillisOf(from.Add(time.Hour)), To: greenhouse.MillisOf(from.Add(75 * time.Minute)), Cause: "silence", Count: 15}}
	return h, nil
}

func (f *fake) Why(_ context.Context, id greenhouse.PointID, _ string) (api.Why, error) {
	w := f.why
	w.Point = id
	return w, nil
}

func (f *fake) WhyNot(_ context.Context, id greenhouse.PointID, _ *float64) (api.WhyNot, error) {
	w := gardenWhyNot()
	w.Point = id
	return w, nil
}

// wrote remembers a write.
func (f *fake) wrote(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	f.called <- struct{}{}
	return f.fail
}

func (f *fake) written() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// seen refuses a write that does not name the version on the screen: it could undo
// what somebody else has just done.
func seen(w client.Write, version uint64) error {
	if w.IfVersion != version {
		return &greenhouse.StaleError{Had: w.IfVersion, Have: version}
	}
	return nil
}

func (f *fake) AckAlarm(_ context.Context, id string, w client.Write) (api.Alarm, error) {
	if err := seen(w, alarmVersion); err != nil {
		return api.Alarm{}, err
	}
	f.mu.Lock()
	for i := range f.alarms {
		if f.alarms[i].ID == id {
			f.alarms[i].Acked, f.alarms[i].AckedBy = true, "anna"
		}
	}
	f.mu.Unlock()
	return api.Alarm{}, f.wrote("ack %s", id)
}

func (f *fake) ShelveAlarm(_ context.Context, id string, r api.ShelveRequest, w client.Write) (api.Alarm, error) {
	if err := seen(w, alarmVersion); err != nil {
		return api.Alarm{}, err
	}
	return api.Alarm{}, f.wrote("shelve %s %ds", id, r.ForS)
}

func (f *fake) SetOverride(_ context.Context, id greenhouse.PointID, r api.OverrideRequest, w client.Write) (api.Override, error) {
	if err := seen(w, pointVersion); err != nil {
		return api.Override{}, err
	}
	o := api.Override{Point: id, Value: r.Value, Reason: r.Reason, ExpiresAt: ms(time.Duration(r.ForS) * time.Second)}
	return o, f.wrote("override %s %g %ds %q %q", id, r.Value, r.ForS, r.Reason, w.Reason)
}

func (f *fake) ReleaseOverride(_ context.Context, id greenhouse.PointID, w client.Write) error {
	if err := seen(w, pointVersion); err != nil {
		return err
	}
	return f.wrote("release %s", id)
}

func (f *fake) SetTarget(_ context.Context, id greenhouse.ZoneID, q greenhouse.Quantity, r api.TargetRequest, w client.Write) (api.Zone, error) {
	return api.Zone{}, f.wrote("target %s %s %g/%g v%d", id, q, *r.Day, *r.Night, w.IfVersion)
}

func (f *fake) ClearTarget(_ context.Context, id greenhouse.ZoneID, q greenhouse.Quantity, w client.Write) (api.Zone, error) {
	return api.Zone{}, f.wrote("clear %s %s v%d", id, q, w.IfVersion)
}

func (f *fake) SetMode(_ context.Context, id greenhouse.ZoneID, m greenhouse.Mode, w client.Write) (api.Zone, error) {
	return api.Zone{}, f.wrote("mode %s %s v%d", id, m, w.IfVersion)
}

var errLost = errors.New("the daemon closed the stream")

// garden is a small greenhouse with something of everything: three zones, one
// of them quiet for minutes, alarms, an override, an offline node.
func garden() (*fake, api.Live, []api.Event) {
	f := newFake()
	f.site = api.Site{SiteSpec: api.SiteSpec{Name: "Oosterhout", TimeZone: "Europe/Amsterdam"}}
	f.zones = []api.Zone{gardenZone("north", "North house", "tomato"), gardenZone("propagation", "Propagation", "lettuce"), gardenZone("south", "South house", "pepper")}
	f.zones[0].Alarms, f.zones[0].AlarmSeverity = 2, greenhouse.Critical
	f.zones[1].Mode, f.zones[1].NodesOnline = greenhouse.ModeManual, 1
	f.zones[2].DayFrom, f.zones[2].DayUntil = "sunrise-0:30", "sunset"
	f.nodes = gardenNodes()
	f.alarms = []api.Alarm{
		{ID: "a1", Version: alarmVersion, Source: "point/north/co2", Code: "value_high", Severity: greenhouse.Warning, State: greenhouse.AlarmRaised, Acked: true, AckedBy: "jan", Count: 3, FirstSeen: ms(-3 * time.Hour), LastSeen: ms(-time.Minute), Text: "co2 is 1540 ppm, above 1400"},
		{ID: "a2", Version: alarmVersion, Source: "zone/north", Code: "frost_guard", Severity: greenhouse.Critical, State: greenhouse.AlarmRaised, Count: 1, FirstSeen: ms(-7 * time.Minute), LastSeen: ms(-time.Minute), Text: "the air is 3.8 °C, below the frost limit of 4 °C; heat is forced"},
		{ID: "a3", Version: alarmVersion, Source: "node/clim-a4cf12b3de02", Code: "node_offline", Severity: greenhouse.Warning, State: greenhouse.AlarmCleared, Count: 12, FirstSeen: ms(-26 * time.Hour), LastSeen: ms(-2 * time.Hour), Text: "not heard for 95 s"},
	}
	f.why = gardenWhy()
	return f, gardenLive(f), gardenEvents()
}

func gardenZone(id greenhouse.ZoneID, name, crop string) api.Zone {
	return api.Zone{ID: id, Nodes: 2, NodesOnline: 2, Points: 9, Meta: api.Meta{Version: 4}, ZoneSpec: api.ZoneSpec{
		Name: name, Crop: crop, AreaM2: 120, Mode: greenhouse.ModeAuto, DayFrom: "06:30", DayUntil: "20:00",
		Targets: map[greenhouse.Quantity]greenhouse.Target{greenhouse.Heating: {Day: 20, Night: 16}, greenhouse.Venting: {Day: 24, Night: 22}, greenhouse.HumidityMax: {Day: 85, Night: 85}},
	}}
}

func gardenNodes() []api.Node {
	node := func(uid greenhouse.UID, zone greenhouse.ZoneID, name string, online bool) api.Node {
		return api.Node{UID: uid, HardwareID: greenhouse.HardwareID(uid[5:]), Type: "climate", Name: name, Zone: zone, State: greenhouse.NodeActive, Online: online,
			LastSeen: ms(-4 * time.Second), FW: "1.4.2", RSSI: ptr(-61), Battery: ptr(3.71), UptimeS: ptr(86400 * 3.5), Address: "10.0.0.17:51022",
			Channels: make([]api.Channel, 4), Config: greenhouse.ConfigState{DesiredRev: 3, ReportedRev: 3, Status: greenhouse.ConfigApplied}}
	}
	nodes := []api.Node{node("clim-a4cf12b3de01", "north", "climate north", true), node("clim-a4cf12b3de02", "propagation", "climate prop.", false), node("clim-a4cf12b3de03", "south", "", true)}
	nodes[1].State, nodes[1].LastSeen, nodes[1].Address = greenhouse.NodeDegraded, ms(-2*time.Hour), ""
	nodes[1].Config = greenhouse.ConfigState{DesiredRev: 5, ReportedRev: 4, Status: greenhouse.ConfigRejected, Error: "channel lamp unknown"}
	return nodes
}

func gardenWhy() api.Why {
	return api.Why{
		Value: ptr(1), At: ms(-2 * time.Second), Since: ms(-9 * time.Minute), Text: "The heater is ON because the air is colder than the frost limit.",
		Winner: greenhouse.Claim{Priority: greenhouse.PrioritySafety, Owner: "frost", Value: 1, Reason: "air 3.8 °C is below 4 °C"},
		Losers: []greenhouse.Claim{{Priority: greenhouse.PriorityLoop, Owner: "heating", Value: 1, Reason: "air is below 20 °C"}, {Priority: greenhouse.PriorityProtection, Owner: "max_run", Max: ptr(0.8), Reason: "runs for 11 hours"}},
		Inputs: []api.WhyInput{{Point: "north/air_temp", Value: ptr(3.8), AgeS: 4}, {Point: "north/outside_temp", Quality: greenhouse.Bad, AgeS: -1}},
		Terms:  map[string]float64{"error": 16.2, "p": 0.9}, Timers: map[string]float64{"min_on": 42},
	}
}

func gardenWhyNot() api.WhyNot {
	return api.WhyNot{Level: 0, Value: ptr(1), Obstacles: []greenhouse.Obstacle{
		{Priority: greenhouse.PrioritySafety, Owner: "frost", Reason: "air 3.8 °C is at the frost limit of 4.0 °C", Remedy: "the danger has to pass: nobody can overrule it"},
		{Priority: greenhouse.PriorityProtection, Owner: "min_on", Reason: "it has to stay on for 42s more", LeftS: 42},
	}}
}

// gardenLive is the first message: the whole state.
func gardenLive(f *fake) api.Live {
	l := api.Live{TS: ms(0), Full: true, Version: 7, LastEvent: 41, Alarms: api.AlarmCounts{Critical: 1, Warning: 2, Unacked: 2}}
	for i, z := range f.zones {
		old := time.Duration(0)
		if i == 2 {
			old = -12 * time.Minute
		}
		value := func(name greenhouse.ChannelName, v float64, q greenhouse.Quality) {
			l.Points = append(l.Points, api.LivePoint{ID: greenhouse.ZonePoint(z.ID, name, 1), Value: ptr(v), TS: ms(old - 4*time.Second), Quality: q})
		}
		value("air_temp", []float64{3.8, 21.4, 18.26}[i], greenhouse.Good)
		value("air_rh", []float64{71, 64, 93}[i], []greenhouse.Quality{greenhouse.Good, greenhouse.Held, greenhouse.Good}[i])
		value("co2", []float64{1540, 410, 655}[i], []greenhouse.Quality{greenhouse.Good, greenhouse.Suspect, greenhouse.Good}[i])
		if i == 0 {
			l.Points = append(l.Points, api.LivePoint{ID: "north/solution_ph", TS: ms(-4 * time.Second), Quality: greenhouse.Bad},
				api.LivePoint{ID: "north/air_temp.2", TS: ms(-5 * time.Second), Value: ptr(3.9), Quality: greenhouse.Good})
		}
		act := func(name greenhouse.ChannelName, level float64, owner, reason string) {
			l.Actuators = append(l.Actuators, api.Actuator{Point: greenhouse.ZonePoint(z.ID, name, 1), Name: name, Class: greenhouse.ClassFan, Online: true, Level: ptr(level), Reported: ptr(level),
				LeaseUntil: ms(47 * time.Second), Version: pointVersion, Owner: owner, Reason: reason, Since: ms(-9 * time.Minute)})
		}
		act("heater", []float64{1, 0, 0}[i], "frost", "air is below the frost limit")
		act("vent", []float64{0, 0.35, 0.1}[i], "venting", "humidity is above its target")
		act("fan", 0, "failsafe", "nobody wants anything of it")
	}
	vent := &l.Actuators[4]
	vent.Override = &api.Override{Point: vent.Point, Value: 0.35, Reason: "drying after spraying", By: "anna", ExpiresAt: ms(54 * time.Minute)}
	vent.Owner = "override:anna"
	l.Actuators[6].Online = false
	l.Actuators[7].Reported = ptr(0.4)
	return l
}

func gardenEvents() []api.Event {
	return []api.Event{
		{Seq: 38, TS: ms(-26 * time.Hour), Code: "node_registered", Source: "node/clim-a4cf12b3de03", Actor: "uid:1000", Detail: []byte(`{"type":"climate","name":""}`)},
		{Seq: 39, TS: ms(-7 * time.Minute), Code: "alarm_raised", Source: "zone/north", Actor: "edged", Detail: []byte(`{"code":"frost_guard","severity":"critical"}`)},
		{Seq: 40, TS: ms(-6 * time.Minute), Code: "override_set", Source: "point/propagation/vent", Actor: "anna", Detail: []byte(`{"value":0.35,"for_s":3600,"reason":"drying after spraying"}`)},
		{Seq: 41, TS: ms(-time.Minute), Code: "config_rejected", Source: "node/clim-a4cf12b3de02", Actor: "node/clim-a4cf12b3de02", Detail: []byte(`{"rev":5,"error":"channel lamp unknown"}`)},
	}
}
