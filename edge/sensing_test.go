package edge_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/edge"
	"greenhouse/telemetry"
	"greenhouse/wire"
)

const box = greenhouse.UID("climate-a4cf12b3de02")

// cabin is a heated zone with one node that says what the test tells it.
type cabin struct {
	*house
	d      *device
	secret string
	seq    int
}

func newCabin(t *testing.T, edit ...func(*edge.Options)) *cabin {
	h := start(t, edit...)
	h.zone(greenhouse.Zone{ID: "hut", Mode: greenhouse.ModeAuto, Targets: map[greenhouse.Quantity]greenhouse.Target{greenhouse.Heating: {Day: 18, Night: 18}}})
	secret := h.register(box, "hut", channels("air_temp", "air_rh", "heater")...)
	return &cabin{house: h, d: h.login(string(box), secret), secret: secret}
}

// say sends temperature and humidity as a node does every ten seconds; it does
// not wait for a PUBACK.
func (c *cabin) say(temp, rh float64) {
	c.t.Helper()
	c.seq++
	c.d.send(uint64(c.seq), topic(wire.KindTelemetry, box), fmt.Sprintf(`{"v":1,"ts":%d,"boot":"a","seq":%d,"m":{"air_temp":%v,"air_rh":%v}}`, greenhouse.MillisOf(time.Now()), c.seq, temp, rh))
	pass(10 * time.Second)
}

// wanted is the level of the heater after arbitration.
func (c *cabin) wanted() float64 {
	l, _ := c.Actuators().Level("hut/heater")
	return l.Desired
}

// TestSentinelsMoveNothing: a probe that says 255.0, now and then and in bursts,
// has every value kept and none believed, and the heater does not move.
func TestSentinelsMoveNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCabin(t)
		for i := range 30 { // the heater's shortest time off, and then it is warm enough
			c.say(18.1+float64(i%3)/100, 70)
		}
		var sent []float64
		for i := range 60 {
			v := 18.1 + float64(i%3)/100
			if i%20 == 0 || i >= 30 && i < 42 {
				v = []float64{255, 85, -127}[i%3]
			}
			sent = append(sent, v)
			c.say(v, 70+float64(i%2))
			if got := c.wanted(); got != 0 {
				t.Fatalf("reading %d (%v): the heater is wanted at %v", i, v, got)
			}
		}
		got := c.history("hut/air_temp")[30:]
		for i, r := range got {
			if r.Value != sent[i] || (r.Quality == greenhouse.Bad) != (sent[i] > 60 || sent[i] < -30) {
				t.Errorf("reading %d: kept as %v %s, sent as %v", i, r.Value, r.Quality, sent[i])
			}
		}
	})
}

// TestFrozenSensorsAreMarkedInHistory: what only the zone as a whole shows, that
// temperature and humidity stand still while full heat should move them, is
// stored with the readings, outlives the daemon, and is taken back when they move.
func TestFrozenSensorsAreMarkedInHistory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCabin(t)
		for range 25 * 6 {
			c.seq++
			c.d.send(uint64(c.seq), topic(wire.KindTelemetry, box), fmt.Sprintf(`{"v":1,"ts":%d,"boot":"a","seq":%d,"m":{"air_temp":15,"air_rh":70,"heater":1}}`, greenhouse.MillisOf(time.Now()), c.seq))
			pass(10 * time.Second)
		}
		if !c.raised(greenhouse.ZoneSource("hut"), "sensor_frozen") {
			t.Fatal("no alarm sensor_frozen")
		}
		for _, p := range []greenhouse.PointID{"hut/air_temp", "hut/air_rh"} {
			got := c.history(p)
			if first, last := got[30], got[len(got)-1]; first.Quality != greenhouse.Good || last.Quality == greenhouse.Good || last.Value == 0 {
				t.Errorf("%s: %+v at first, %+v at last", p, first, last)
			}
		}
		pass(time.Minute) // what is doubted is kept
		c.die()
		c.run()
		c.d = c.login(string(box), c.secret)
		for range 30 { // within seconds of the start, and after a restart of the alarms' own
			c.say(15, 70)
			if got := c.history("hut/air_temp"); got[len(got)-1].Quality == greenhouse.Good || c.wanted() != 0 {
				t.Fatalf("after a restart it is believed again: %+v, heater %v", got[len(got)-1], c.wanted())
			}
		}
		if !c.raised(greenhouse.ZoneSource("hut"), "sensor_frozen") {
			t.Error("after a restart the alarm sensor_frozen is gone")
		}
		for i := range 8 {
			c.say(15.1+float64(i)/10, 70.5)
		}
		if got := c.history("hut/air_temp"); got[len(got)-1].Quality != greenhouse.Good {
			t.Errorf("it moves, and is still %s", got[len(got)-1].Quality)
		}
		if c.raised(greenhouse.ZoneSource("hut"), "sensor_frozen") {
			t.Error("the alarm sensor_frozen stays")
		}
	})
}

// TestHangingSync: while a sync of the log does not return for half a minute,
// the zone is steered by what comes, nothing is acknowledged, and an alarm says
// so. When it returns, everything is there once.
func TestHangingSync(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := &watchedDisk{}
		c := newCabin(t, func(o *edge.Options) { o.Faults.Disk = disk })
		for range 10 {
			c.say(18.5, 70)
		}
		for len(c.d.acked) > 0 {
			<-c.d.acked
		}
		disk.takes.Store(int64(45 * time.Second))
		c.say(18.4, 70) // this one hangs
		disk.takes.Store(0)
		c.say(18.3, 70)
		c.say(16.5, 70)
		c.say(16.4, 70)
		if l, _ := c.History().Latest("hut/air_temp"); l.Value != 16.4 || l.Quality != greenhouse.Good {
			t.Errorf("control sees %+v, want 16.4", l)
		}
		if len(c.d.acked) > 0 {
			t.Error("acknowledged while the sync hangs")
		}
		if !c.raised(greenhouse.SiteSource, "disk_stalled") {
			t.Error("no alarm disk_stalled")
		}
		if v, _ := c.Actuators().Verdict("hut/heater"); v.Terms["demand"] < 0.3 {
			t.Errorf("%v of full heat is asked for at 16.4 °C: %+v", v.Terms["demand"], v)
		}
		before := c.History().Stats()
		if before.Hangs != 1 || !before.Hanging {
			t.Errorf("stats say %+v", before)
		}
		pass(20 * time.Second)
		c.say(16.6, 70)
		if c.raised(greenhouse.SiteSource, "disk_stalled") {
			t.Error("the alarm disk_stalled stays")
		}
		if len(c.d.acked) != 5 {
			t.Errorf("%d messages acknowledged, want 5", len(c.d.acked))
		}
		var values []float64
		for _, r := range c.history("hut/air_temp")[10:] {
			values = append(values, r.Value)
		}
		if want := []float64{18.4, 18.3, 16.5, 16.4, 16.6}; !slices.Equal(values, want) {
			t.Errorf("history has %v, want %v", values, want)
		}
		if g := c.History().Gaps("hut/air_temp", 0, 1<<60); len(g) != 0 {
			t.Errorf("gaps where nothing is missing: %+v", g)
		}
	})
}

// TestSilenceIsTold: while a sensor says nothing its history says so, and when it
// speaks again the silence stays on record; a backlog takes it back.
func TestSilenceIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCabin(t)
		for range 12 {
			c.say(18.1, 70)
		}
		silences := func() (out []api.Gap) {
			var h api.History
			c.must("GET", "/points/hut%2Fair_temp/history?from=2026-03-10T00:00:00Z&to=2026-03-11T00:00:00Z", nil, &h)
			for _, g := range h.Gaps {
				if g.Cause == telemetry.CauseSilence {
					out = append(out, g)
				}
			}
			return out
		}
		last := greenhouse.MillisOf(time.Now().Add(-10 * time.Second))
		pass(5 * time.Minute)
		if got := silences(); len(got) != 1 || got[0].From != last || got[0].Point != "hut/air_temp" {
			t.Errorf("while it lasts it is told as %+v", got)
		}
		c.say(18.1, 70)
		if got := silences(); len(got) != 1 || got[0].To.Sub(got[0].From) != 310*time.Second {
			t.Errorf("afterwards it is told as %+v", got)
		}
		for at := last + 10_000; at < last+310_000; at += 10_000 {
			c.seq++
			c.d.send(uint64(c.seq), topic(wire.KindTelemetry, box), fmt.Sprintf(`{"v":1,"ts":%d,"boot":"a","seq":%d,"m":{"air_temp":18.2,"air_rh":70}}`, at, c.seq))
		}
		pass(time.Second)
		if got := silences(); len(got) != 0 {
			t.Errorf("what was missing came, and it is still told: %+v", got)
		}
	})
}
