package edge

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"greenhouse"
	"greenhouse/actuation"
	"greenhouse/api"
	"greenhouse/automation"
	"greenhouse/store"
)

// openLoop builds the control loop over the registry's copy and the latest
// values.
func (d *Daemon) openLoop() error {
	c := &control{d: d}
	d.control = c
	c.refresh()
	var source automation.Source = c
	if d.opts.Faults.Source != nil {
		source = d.opts.Faults.Source(c)
	}
	if err := d.remembered.load(d.store); err != nil {
		d.log.Error("what zones remembered is not understood: light sums and what was learned begin anew", "error", err)
		d.clerk.event(greenhouse.Event{TS: greenhouse.MillisOf(d.opts.Now()), Code: "zone_memory_lost", Source: greenhouse.SiteSource, Detail: detail("why", clip(err.Error()))})
	}
	d.loop = automation.New(automation.Options{Source: source, Sink: c, Period: d.opts.Period, Now: d.opts.Now, Log: d.log, OnCycle: d.cycled,
		Memory: d.remembered.of})
	return nil
}

// control brings the loop what a zone's decision may look at, and its decisions
// to actuation.
type control struct {
	d        *Daemon
	mu       sync.Mutex      // one refresh at a time, so that none brings back what is past
	seen     *store.Registry // the registry of the last refresh, under mu
	location atomic.Pointer[place]
	zones    atomic.Pointer[[]greenhouse.ZoneID]
}

// place is the site with its time zone loaded.
type place struct {
	site greenhouse.Site
	loc  *time.Location
}

// refresh takes over what changed in the registry: zones, site, plant.
func (c *control) refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	reg := c.d.store.Registry()
	if reg == c.seen {
		return
	}
	c.seen = reg
	if was := c.location.Load(); was == nil || was.site != reg.Site {
		loc, err := time.LoadLocation(reg.Site.TimeZone)
		if err != nil || reg.Site.TimeZone == "" {
			loc = time.Local
		}
		c.location.Store(&place{reg.Site, loc})
	}
	ids := make([]greenhouse.ZoneID, 0, len(reg.Zones))
	for id := range reg.Zones {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	c.zones.Store(&ids)
	c.d.actuators.Sync(plantOf(reg))
}

// Zones implements automation.Source.
func (c *control) Zones(dst []greenhouse.ZoneID) []greenhouse.ZoneID {
	return append(dst, *c.zones.Load()...)
}

// Fill implements automation.Source.
func (c *control) Fill(id greenhouse.ZoneID, now time.Time, in *automation.Input) bool {
	reg := c.d.store.Registry()
	z, ok := reg.Zones[id]
	if !ok {
		return false
	}
	p := c.location.Load()
	in.Zone, in.Site, in.Location, in.Now, in.Trusted = z, &p.site, p.loc, now, c.d.clock.Trusted()
	in.Sensors, in.Devices = c.gather(reg, reg.ZonePoints(id), in.Sensors[:0], in.Devices[:0])
	in.Outside = in.Sensors
	if w := z.Control.WeatherZone; w != "" && w != id {
		if out := reg.ZonePoints(w); len(out) > 0 {
			in.Outside, _ = c.gather(reg, out, nil, nil)
		}
	}
	in.Next = in.Next[:0]
	if b := z.Control.BackupZone; b != "" && b != id {
		in.Next, _ = c.gather(reg, reg.ZonePoints(b), in.Next, nil)
	}
	return true
}

// gather appends the points with their latest values.
func (c *control) gather(reg *store.Registry, points []*greenhouse.Point, sensors []automation.Sensor, devices []automation.Device) ([]automation.Sensor, []automation.Device) {
	for _, p := range points {
		if p.Kind == greenhouse.Actuator {
			l, known := c.d.actuators.Level(p.ID)
			devices = append(devices, automation.Device{Point: p, Applied: l.Applied(), Known: known && l.Known, Online: l.Online, Motor: l.Motor})
			continue
		}
		s := automation.Sensor{Point: p}
		s.Latest, s.Heard = c.d.telemetry.Latest(p.ID)
		if n, ok := reg.Nodes[p.Node]; ok {
			s.Interval = time.Duration(cmp.Or(n.IntervalS, 10)) * time.Second
		}
		sensors = append(sensors, s)
	}
	return sensors, devices
}

// Apply implements automation.Sink.
func (c *control) Apply(dec *automation.Decision) {
	wants := make([]actuation.Want, len(dec.Wants))
	for i := range dec.Wants {
		w := &dec.Wants[i]
		wants[i] = actuation.Want{Point: w.Point, Claims: w.Claims, Inputs: w.Inputs, Terms: w.Terms, Timers: w.Timers, Aim: w.Aim}
	}
	c.d.actuators.Apply(dec.Zone, dec.At, wants)
	c.d.telemetry.Doubt(string(dec.Zone), dec.Doubted...)
	c.d.clerk.observe(c.d.raised.changed(dec.Conditions)...)
}

// cycled hears how a cycle went.
func (d *Daemon) cycled(r automation.Report) {
	if r.Slow() {
		d.log.Warn("a cycle took most of its period", "took", r.Took, "zones", r.Total)
	}
	d.clerk.observe(d.raised.changed(r.Conditions())...)
	if r.Total == 0 || r.OK > 0 {
		now := d.opts.Now()
		d.progress.Store(&now)
	}
}

// committed hears which latest values moved, on the committer's goroutine. A
// value that may mean danger has its zone decided at once.
func (d *Daemon) committed(moved []greenhouse.Latest) {
	if d.loop == nil {
		return
	}
	reg := d.store.Registry()
	for _, l := range moved {
		if p, ok := reg.Points[l.Point]; ok && p.Kind == greenhouse.Actuator {
			d.seen(l)
		}
		z := l.Point.Zone()
		if z == "" {
			continue
		}
		if d.dangerous(z, l) {
			d.loop.Wake(z)
		}
	}
}

// levelFresh is how old a level in telemetry may be to count as where the device
// is now: what a node sends from its backlog tells of the past.
const levelFresh = 30 * time.Second

// seen tells actuation the level a node measures of its own output.
func (d *Daemon) seen(l greenhouse.Latest) {
	if l.Quality == greenhouse.Good && l.Age(d.opts.Now(), d.clock.Trusted()) <= levelFresh {
		d.actuators.Observe(l.Point, l.Value)
	}
}

// dangerous reports whether a reading is near a protection limit of its zone, or
// is no reading at all.
func (d *Daemon) dangerous(z greenhouse.ZoneID, l greenhouse.Latest) bool {
	zone, ok := d.store.Registry().Zones[z]
	if !ok {
		return false
	}
	limits := zone.Control.Defaults()
	switch l.Point.Name() {
	case "air_temp":
		return l.Quality != greenhouse.Good || l.Value <= limits.FrostLimit+1 || l.Value >= limits.HeatLimit-1
	case "co2":
		return l.Quality != greenhouse.Good || l.Value >= limits.CO2Max
	case "wind_speed":
		return l.Value > 12
	case "rain", "level_low", "level_high", "leak":
		return l.Value >= 0.5
	}
	return false
}

// wake has the zone of a node's channel decided at once.
func (d *Daemon) wake(uid greenhouse.UID, ch greenhouse.ChannelName) {
	if p, ok := d.store.Registry().Route(uid, ch); ok && p.Zone() != "" && d.loop != nil {
		d.loop.Wake(p.Zone())
	}
}

// decisions is what the API asks of the control loop.
type decisions struct{ d *Daemon }

// Control implements server.Automation.
func (a decisions) Control() api.ControlStatus {
	r, s := a.d.loop.Last(), a.d.loop.Stats()
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return api.ControlStatus{PeriodS: a.d.opts.Period.Seconds(), LastCycle: greenhouse.MillisOf(r.At), TookMS: ms(r.Took),
		Total: r.Total, OK: r.OK, Failed: r.Failed, Workers: s.Workers, LongestMS: ms(s.Most), Cycles: s.Cycles, Decisions: s.Decisions,
		Woken: s.Woken, Panics: s.Panics, Overruns: s.Overruns, Late: s.Late, Epoch: a.d.epoch.Load()}
}

// Decided implements server.Automation.
func (a decisions) Decided(z greenhouse.ZoneID) (greenhouse.Millis, string) {
	at, failing := a.d.loop.Decided(z)
	return greenhouse.MillisOf(at), failing
}

// SetPoints implements server.Automation.
func (a decisions) SetPoints(z greenhouse.ZoneID) (automation.SetPoints, bool) {
	return a.d.loop.SetPoints(z)
}

// Wake implements server.Automation.
func (a decisions) Wake(z greenhouse.ZoneID) {
	a.d.control.refresh()
	a.d.loop.Wake(z)
}
