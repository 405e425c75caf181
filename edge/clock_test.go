package edge_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/edge"
	"greenhouse/telemetry"
	"greenhouse/wire"
)

// TestBootWithoutTheTime: a machine begins in 1970 and learns the time after an
// hour. A node without a clock is seen and steers its zone from its first reading
// on; when the time is known its readings move to where they belong, history and
// journal say so, and one with a clock of its own is left alone.
func TestBootWithoutTheTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var behind atomic.Int64
		begin := time.Now()
		behind.Store(int64(begin.Sub(time.Date(1970, 1, 1, 0, 0, 40, 0, time.UTC)).Truncate(time.Second)))
		c := newCabin(t, func(o *edge.Options) {
			o.ClockTrust = edge.TrustAuto
			o.Now = func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) }
		})
		other := c.register("multi-a4cf12b3de09", "", channels("lux")...)
		clocked := c.login("multi-a4cf12b3de09", other)
		truth := map[float64]greenhouse.Millis{}
		bare := func(v float64) {
			t.Helper()
			c.seq++
			truth[v] = greenhouse.MillisOf(time.Now())
			form := `{"v":1,"boot":"a","seq":%d,"m":{"air_temp":%v,"air_rh":60}}`
			if c.seq%5 == 0 { // with a reading that has a time of its own
				form = `{"v":1,"boot":"a","seq":%d,"batch":[{"ts":` + strconv.FormatInt(int64(truth[v]), 10) + `,"m":{"air_rh":61}},{"m":{"air_temp":%v}}]}`
			}
			c.d.tell(topic(wire.KindTelemetry, box), fmt.Sprintf(form, c.seq, v))
		}
		heated := false
		for i := range 60 {
			bare(16 + float64(i)/100)
			pass(10 * time.Second)
			heated = heated || c.wanted() == 1
		}
		own := greenhouse.MillisOf(time.Now())
		clocked.tell(topic(wire.KindTelemetry, "multi-a4cf12b3de09"), fmt.Sprintf(`{"v":1,"ts":%d,"boot":"z","seq":1,"m":{"lux":500}}`, own))
		if !heated {
			t.Error("the heater was never wanted before the time was known, and it is cold")
		}
		if got := c.history("hut/air_temp"); len(got) != 60 || got[0].At.Time().Year() != 1970 {
			t.Fatalf("%d readings to be seen, the first from %v", len(got), got[0].At.Time())
		}
		pass(50 * time.Minute)
		behind.Store(0)
		pass(20 * time.Second)
		bare(17)
		var h api.History
		c.must("GET", "/points/hut%2Fair_temp/history?step=raw&from=2026-03-10T00:00:00Z&to=2026-03-11T00:00:00Z", nil, &h)
		if len(h.Samples) != 61 {
			t.Fatalf("%d readings of the day, want 61", len(h.Samples))
		}
		for _, s := range h.Samples {
			if d := s.TS - truth[*s.Value]; d < -5 || d > 5 {
				t.Errorf("%v is told for %v, it was %v", *s.Value, s.TS.Time(), truth[*s.Value].Time())
			}
		}
		alone := 0
		for _, r := range c.history("hut/air_rh") {
			if r.Value == 61 && r.At >= truth[16] && r.At <= truth[16.59]+5 {
				alone++
			}
		}
		if alone != 12 {
			t.Errorf("%d readings with times of their own among others are where they belong, want 12", alone)
		}
		if len(h.Gaps) == 0 || h.Gaps[0].Cause != telemetry.CauseRestamped || h.Gaps[0].Node != box || h.Gaps[0].Count != 0 {
			t.Errorf("gaps %+v, want one that tells of it", h.Gaps)
		}
		if got := c.events("telemetry_restamped"); len(got) != 1 {
			t.Errorf("events %+v", got)
		}
		if got := c.history("@multi-a4cf12b3de09/lux"); len(got) != 1 || got[0].At != own {
			t.Errorf("the reading with a time of its own: %v, want %v", got, own)
		}
	})
}

// TestClockIsToldEverywhere follows a board from its saved stamp to NTP and into
// holdover: status, doctor, metrics, the dashboard's stream, the alarm after five
// minutes, the events, and what nodes hear of the time.
func TestClockIsToldEverywhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var synced atomic.Bool
		h := start(t, func(o *edge.Options) {
			o.ClockTrust, o.ClockHoldover, o.Period = edge.TrustAuto, 26*time.Hour, 15*time.Second
			o.Faults.Machine = func() edge.MachineClock { return edge.MachineClock{Board: true, Synced: synced.Load()} }
		})
		h.zone(greenhouse.Zone{ID: "north"})
		secret := h.register("multi-a4cf12b3de01", "north", channels("air_temp")...)
		node := h.login("multi-a4cf12b3de01", secret)
		node.subscribe(topic(wire.KindTimeReply, "multi-a4cf12b3de01"))
		asked := 0
		check := func(what string, state greenhouse.ClockState, trusted bool, doctor api.CheckStatus, words string) {
			t.Helper()
			var st api.Status
			h.must("GET", "/status", nil, &st)
			if st.Clock.State != state || st.Clock.Trusted != trusted || st.ClockTrusted != trusted || !strings.Contains(st.Clock.Text, words) {
				t.Errorf("%s: status %+v, want %s, %v, %q", what, st.Clock, state, trusted, words)
			}
			var d api.Doctor
			h.must("GET", "/doctor", nil, &d)
			if c := d.Checks[0]; c.ID != api.CheckClock || c.Status != doctor || !strings.Contains(c.Text, words) || !strings.HasPrefix(c.Text, string(state)) {
				t.Errorf("%s: doctor %+v", what, c)
			}
			if !strings.Contains(h.metrics(), fmt.Sprintf(`edged_clock_state{state="%s"} 1`, state)) {
				t.Errorf("%s: the metrics do not say %s", what, state)
			}
			asked++
			node.send(uint64(asked), topic(wire.KindTimeRequest, "multi-a4cf12b3de01"), fmt.Sprintf(`{"nonce":%d}`, asked))
			if m := node.next(); !strings.Contains(string(m.payload), fmt.Sprintf(`"trusted":%v`, trusted)) {
				t.Errorf("%s: a node hears %s", what, m.payload)
			}
			if got := h.call("PUT", "/zones/north/adjustments/heating", map[string]any{"value": 18, "reason": "test"}, nil) < 300; got != trusted {
				t.Errorf("%s: an adjustment that ends by the clock is taken: %v: %s", what, got, h.answer)
			}
		}
		check("booted", greenhouse.ClockHoldover, false, api.CheckWarn, "nothing kept the time")
		pass(4 * time.Minute)
		if h.raised(greenhouse.SiteSource, "clock_untrusted") {
			t.Error("alarmed within the minutes that NTP may take")
		}
		pass(90 * time.Second)
		if a, _ := h.alarm(greenhouse.SiteSource, "clock_untrusted"); a.State != greenhouse.AlarmRaised || !strings.Contains(a.Text, "nothing kept the time") {
			t.Errorf("after five minutes: %+v", a)
		}
		synced.Store(true)
		pass(2 * time.Second)
		check("set", greenhouse.ClockSynced, true, api.CheckOK, "the kernel says")
		if h.raised(greenhouse.SiteSource, "clock_untrusted") {
			t.Error("the alarm stays")
		}
		synced.Store(false)
		pass(23 * time.Hour)
		check("the network is gone", greenhouse.ClockHoldover, true, api.CheckOK, "not for 23 h")
		if h.raised(greenhouse.SiteSource, "clock_holdover") {
			t.Error("alarmed within a day")
		}
		pass(2 * time.Hour)
		if !h.raised(greenhouse.SiteSource, "clock_holdover") {
			t.Error("nothing says that the time will be lost")
		}
		pass(2 * time.Hour)
		check("gone for longer than it may", greenhouse.ClockHoldover, false, api.CheckWarn, "longer than clock.holdover")
		var told []string
		for _, e := range h.events("clock_unset", "clock_holdover", "clock_synced") {
			told = append(told, e.Code)
		}
		if want := []string{"clock_holdover", "clock_synced", "clock_holdover", "clock_holdover"}; !slices.Equal(told, want) {
			t.Errorf("events %v, want %v", told, want)
		}
	})
}

// TestEndsKeepTheirTimeWhenTheClockIsStepped: a level by hand, a set-point that is
// held, a shelved alarm and an open pairing window last as long as they should, whatever NTP does to
// the clock, and also where the daemon is restarted after it.
func TestEndsKeepTheirTimeWhenTheClockIsStepped(t *testing.T) {
	const day = 24 * time.Hour
	for _, by := range []time.Duration{time.Hour, -time.Hour, 5 * time.Hour, -5 * time.Hour, 365 * day, -60 * day} {
		t.Run(by.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var step atomic.Int64
				now := func() time.Time { return edge.StepWall(t, time.Now(), time.Duration(step.Load())) }
				g := plant(t, 1, func(o *edge.Options) { o.Now = now })
				pass(time.Minute)
				p, _ := g.Store().Registry().Point(heater)
				g.must("PATCH", "/nodes/"+string(p.Node)+"/channels/"+string(p.Channel), map[string]any{"max_on_day_s": 7200}, nil, "If-Match", "*")
				g.heats()
				left, began := g.why(time.Time{}).Timers["on_day_left"], time.Now()
				if left <= 0 || left > 7200 {
					t.Fatalf("%v s of the heater's two hours are left", left)
				}
				g.must("PUT", "/points/north%2Fvent/override", map[string]any{"value": 0.5, "for_s": 3600, "reason": "test"}, nil)
				g.must("PUT", "/zones/north/adjustments/heating", map[string]any{"value": 21, "for_s": 3600, "reason": "test"}, nil)
				if err := g.Journal().Observe(greenhouse.Condition{Source: greenhouse.SiteSource, Code: "test", Severity: greenhouse.Info, Active: true, Text: "test"}); err != nil {
					t.Fatal(err)
				}
				quiet, _ := g.alarm(greenhouse.SiteSource, "test")
				if _, err := g.Journal().Shelve(quiet.ID, greenhouse.MillisOf(now().Add(time.Hour)), "test"); err != nil {
					t.Fatal(err)
				}
				g.must("POST", "/pairing", map[string]any{"for_s": 600}, nil)
				stands := func(what string, override, hold, pairing bool) {
					t.Helper()
					reg := g.Store().Registry()
					_, by := reg.Overrides["north/vent"]
					var z api.Zone
					g.must("GET", "/zones/north", nil, &z)
					_, held := z.Holds[greenhouse.Heating]
					if a, _ := g.alarm(greenhouse.SiteSource, "test"); (a.ShelvedUntil > greenhouse.MillisOf(now())) != override {
						t.Errorf("%s: an alarm is shelved until %v", what, a.ShelvedUntil.Time())
					}
					if open := reg.Pairing(now()).Open; by != override || held != hold || open != pairing {
						t.Errorf("%s: by hand %v, held %v, pairing %v; want %v, %v, %v", what, by, held, open, override, hold, pairing)
					}
				}
				pass(5 * time.Minute)
				step.Store(int64(by))
				if by.Abs() < 10*24*time.Hour { // the nodes hear the time from the daemon
					g.inject(fmt.Sprintf("clock_skew(%.0f) site", by.Seconds()))
				}
				pass(4 * time.Minute)
				stands("after nine minutes", true, true, true)
				pass(2 * time.Minute)
				stands("after eleven", true, true, false)
				pass(19 * time.Minute)
				g.die()
				g.run()
				pass(time.Minute)
				if now, most := g.why(time.Time{}).Timers["on_day_left"], time.Since(began)+2*time.Minute; now > left || left-now > most.Seconds() {
					t.Errorf("after %v %v s of the heater's two hours are left, it were %v", time.Since(began), now, left)
				}
				pass(28 * time.Minute)
				stands("after 59 minutes and a restart", true, true, false)
				pass(2 * time.Minute)
				stands("after 61 minutes", false, false, false)
				if n := len(g.events("override_expired")); n != 1 {
					t.Errorf("it ended %d times", n)
				}
			})
		})
	}
}
