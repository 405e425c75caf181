package server_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/server"
)

func TestZoneTargetsAndModes(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.must(h.client.SetTarget(h.ctx(), "north", greenhouse.Heating, api.TargetRequest{Day: ptr(20.0), Night: ptr(16.0)}, client.Write{}))
	z := must(h.client.SetTarget(h.ctx(), "north", greenhouse.Venting, api.TargetRequest{Value: ptr(25.0)}, client.Write{}))(t)
	want := map[greenhouse.Quantity]greenhouse.Target{greenhouse.Heating: {Day: 20, Night: 16}, greenhouse.Venting: {Day: 25, Night: 25}}
	if diff := cmp.Diff(want, z.Targets); diff != "" {
		t.Errorf("targets: %s", diff)
	}
	z = must(h.client.ClearTarget(h.ctx(), "north", greenhouse.Venting, client.Write{}))(t)
	if _, ok := z.Targets[greenhouse.Venting]; ok {
		t.Error("venting is still there after it was cleared")
	}
	if z = must(h.client.SetMode(h.ctx(), "north", greenhouse.ModeOff, client.Write{}))(t); z.Mode != greenhouse.ModeOff {
		t.Errorf("mode: got %s", z.Mode)
	}
	if got, want := h.world.stopped, []greenhouse.ZoneID{"north"}; !cmp.Equal(got, want) {
		t.Errorf("entering off stops actuators: got %v, want %v", got, want)
	}
	if len(h.world.woken) == 0 {
		t.Error("automation was not woken by the edits")
	}
}

func TestTargetRefusals(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.must(h.client.SetTarget(h.ctx(), "north", greenhouse.Heating, api.TargetRequest{Value: ptr(20.0)}, client.Write{}))
	for _, tt := range []struct {
		zone greenhouse.ZoneID
		q    greenhouse.Quantity
		r    api.TargetRequest
		kind error
	}{
		{"north", "warmth", api.TargetRequest{Value: ptr(20.0)}, greenhouse.ErrInvalid},
		{"north", greenhouse.Heating, api.TargetRequest{}, greenhouse.ErrInvalid},
		{"north", greenhouse.Heating, api.TargetRequest{Value: ptr(20.0), Day: ptr(20.0)}, greenhouse.ErrInvalid},
		{"north", greenhouse.Heating, api.TargetRequest{Day: ptr(20.0)}, greenhouse.ErrInvalid},
		{"north", greenhouse.Heating, api.TargetRequest{Value: ptr(99.0)}, greenhouse.ErrInvalid},
		{"north", greenhouse.Venting, api.TargetRequest{Value: ptr(20.0)}, greenhouse.ErrInvalid}, // inverted: vent at the heating point
		{"west", greenhouse.Heating, api.TargetRequest{Value: ptr(20.0)}, greenhouse.ErrNotFound},
	} {
		if _, err := h.client.SetTarget(h.ctx(), tt.zone, tt.q, tt.r, client.Write{}); !errors.Is(err, tt.kind) {
			t.Errorf("%s %s %+v: got %v, want %v", tt.zone, tt.q, tt.r, err, tt.kind)
		}
	}
}

func TestZoneLife(t *testing.T) {
	h := open(t)
	z := h.zone("north")
	if z.Version != 1 || z.Mode != greenhouse.ModeAuto || z.Name != "north" || z.Climate == nil || z.Actuators == nil {
		t.Errorf("created: got %+v", z)
	}
	if _, err := h.client.CreateZone(h.ctx(), api.CreateZoneRequest{ID: "north"}, client.Write{}); !errors.Is(err, greenhouse.ErrConflict) {
		t.Errorf("twice: got %v, want a conflict", err)
	}
	if _, err := h.client.CreateZone(h.ctx(), api.CreateZoneRequest{ID: "North!"}, client.Write{}); code(err) != "zone_invalid" {
		t.Errorf("bad id: got %v", err)
	}
	got := must(h.client.EditZone(h.ctx(), "north", map[string]any{"crop": "basil", "control": map[string]any{"frost_limit_c": 5}}, client.Write{IfVersion: 1}))(t)
	if got.Crop != "basil" || got.Control.FrostLimit != 5 {
		t.Errorf("edited: got %+v", got.ZoneSpec)
	}
	got = must(h.client.EditZone(h.ctx(), "north", map[string]any{"control": map[string]any{"frost_limit_c": nil}}, client.Write{}))(t)
	if got.Control.FrostLimit != 0 || got.Crop != "basil" {
		t.Errorf("cleared: got %+v", got.ZoneSpec)
	}
	if _, err := h.client.EditZone(h.ctx(), "north", map[string]any{"climate": 3}, client.Write{}); code(err) != "field_unknown" {
		t.Errorf("unknown field: got %v", err)
	}
	if _, err := h.client.EditZone(h.ctx(), "north", map[string]any{"control": map[string]any{"warp": 1}}, client.Write{}); code(err) != "field_unknown" {
		t.Errorf("unknown inner field: got %v", err)
	}
	if err := h.client.DeleteZone(h.ctx(), "north", client.Write{IfVersion: 1}); code(err) != "stale" {
		t.Errorf("stale delete: got %v", err)
	}
	if err := h.client.DeleteZone(h.ctx(), "north", client.Write{}); err != nil {
		t.Error(err)
	}
	if _, err := h.client.Zone(h.ctx(), "north"); code(err) != "zone_not_found" {
		t.Errorf("after delete: got %v", err)
	}
}

// What is live about a zone: the median of its good sensors, its actuators with
// level, lease and reason, its alarms, and null where a sensor failed.
func TestZoneShowsWhatIsLive(t *testing.T) {
	h := open(t)
	h.zone("north")
	a := h.node("aaaa01", "climate", "north", sensor("air_temp"), sensor("air_rh"), actuator("heater"))
	h.node("aaaa02", "climate", "north", sensor("air_temp"))
	h.node("aaaa03", "climate", "north", sensor("air_temp"))
	h.world.online[a.UID] = true
	now := greenhouse.MillisOf(time.Now())
	h.send(greenhouse.Reading{Point: "north/air_temp", At: now, Value: 20}, greenhouse.Reading{Point: "north/air_temp.2", At: now, Value: 21},
		greenhouse.Reading{Point: "north/air_temp.3", At: now, Value: 40},
		greenhouse.Reading{Point: "north/air_rh", At: now, Value: math.NaN(), Quality: greenhouse.Bad})
	h.world.levels["north/heater"] = server.Level{Desired: ptr(1.0), Reported: ptr(0.0), LeaseUntil: now.Add(time.Minute), Command: greenhouse.CommandSent}
	h.world.verdicts["north/heater"] = greenhouse.Verdict{Point: "north/heater", Value: 1, At: now, Winner: greenhouse.Claim{Priority: greenhouse.PriorityLoop, Owner: "heating", Reason: "2.0 °C below target"},
		Inputs: []greenhouse.Input{{Point: "north/air_temp", Value: math.NaN(), Quality: greenhouse.Bad, AgeS: math.Inf(1)}}, Terms: map[string]float64{"error": math.NaN(), "p": 2}}
	if err := h.journal.Observe(greenhouse.Condition{Source: greenhouse.PointSource("north/air_rh"), Code: "sensor_failed", Severity: greenhouse.Warning, Active: true, Text: "no value"}); err != nil {
		t.Fatal(err)
	}
	z := must(h.client.Zone(h.ctx(), "north"))(t)
	if m := z.Climate["air_temp"]; m.Value == nil || *m.Value != 21 || m.Quality != greenhouse.Good || m.Unit != "°C" || m.Points != 3 {
		t.Errorf("air_temp: got %+v", m)
	}
	if m := z.Climate["air_rh"]; m.Value != nil || m.Quality != greenhouse.Bad {
		t.Errorf("air_rh: got %+v, want null and bad", m)
	}
	if z.Alarms != 1 || z.AlarmSeverity != greenhouse.Warning || z.Nodes != 3 || z.NodesOnline != 1 {
		t.Errorf("counts: got %d alarms %s, %d of %d nodes", z.Alarms, z.AlarmSeverity, z.NodesOnline, z.Nodes)
	}
	act := z.Actuators[0]
	if *act.Level != 1 || *act.Reported != 0 || act.Owner != "heating" || act.LeaseUntil == 0 || act.Class != greenhouse.ClassHeaterContactor {
		t.Errorf("heater: got %+v", act)
	}
	why := must(h.client.Why(h.ctx(), "north/heater", ""))(t)
	if why.Winner.Owner != "heating" || why.Inputs[0].Value != nil || why.Text != "north/heater is on: 2.0 °C below target (heating, control loop). Measured: north/air_temp nothing (bad)." || !cmp.Equal(why.Terms, map[string]float64{"p": 2}) {
		t.Errorf("why: got %+v", why)
	}
	if _, err := h.client.Why(h.ctx(), "north/air_temp", ""); code(err) != "point_not_actuator" {
		t.Errorf("why of a sensor: got %v", err)
	}
}

func TestOverrides(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.node("aaaa01", "climate", "north", sensor("air_temp"), actuator("vent"))
	o := must(h.client.SetOverride(h.ctx(), "north/vent", api.OverrideRequest{Value: 0.5, ForS: 3600, Reason: "airing"}, client.Write{}))(t)
	if o.Value != 0.5 || o.ExpiresAt.Sub(o.CreatedAt) != time.Hour {
		t.Errorf("got %+v", o)
	}
	o = must(h.client.SetOverride(h.ctx(), "north/vent", api.OverrideRequest{Value: 1, ForS: 1e7, Reason: "airing"}, client.Write{}))(t)
	if d := o.ExpiresAt.Sub(o.CreatedAt); d != 24*time.Hour {
		t.Errorf("too long an override lasts %s, want a day", d)
	}
	if got := must(h.client.Overrides(h.ctx(), client.Page{}))(t).Items; len(got) != 1 {
		t.Errorf("list: got %d", len(got))
	}
	for _, tt := range []struct {
		point greenhouse.PointID
		r     api.OverrideRequest
		code  string
	}{
		{"north/vent", api.OverrideRequest{Value: 2, Reason: "x"}, "level_invalid"},
		{"north/vent", api.OverrideRequest{Value: 1}, "reason_missing"},
		{"north/vent", api.OverrideRequest{Value: 1, ForS: -1, Reason: "x"}, "duration_invalid"},
		{"north/air_temp", api.OverrideRequest{Value: 1, Reason: "x"}, "point_not_actuator"},
		{"north/fan", api.OverrideRequest{Value: 1, Reason: "x"}, "point_not_found"},
		{"fan", api.OverrideRequest{Value: 1, Reason: "x"}, "point_invalid"},
	} {
		if _, err := h.client.SetOverride(h.ctx(), tt.point, tt.r, client.Write{}); code(err) != tt.code {
			t.Errorf("%s %+v: got %v (%s), want %s", tt.point, tt.r, err, code(err), tt.code)
		}
	}
	if err := h.client.ReleaseOverride(h.ctx(), "north/vent", client.Write{}); err != nil {
		t.Error(err)
	}
	if err := h.client.ReleaseOverride(h.ctx(), "north/vent", client.Write{}); code(err) != "override_not_found" {
		t.Errorf("released twice: got %v", err)
	}
}

func TestEmergencyStop(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.zone("south")
	h.node("aaaa01", "climate", "north", actuator("vent"))
	st := must(h.client.Stop(h.ctx(), api.StopRequest{Zone: "north", Reason: "smoke"}, client.Write{}))(t)
	if st.All || !cmp.Equal(st.Zones, []greenhouse.ZoneID{"north"}) {
		t.Errorf("one zone: got %+v", st)
	}
	if _, err := h.client.SetOverride(h.ctx(), "north/vent", api.OverrideRequest{Value: 1, Reason: "x"}, client.Write{}); !errors.Is(err, greenhouse.ErrForbidden) {
		t.Errorf("override under a stop: got %v, want refused", err)
	}
	st = must(h.client.Stop(h.ctx(), api.StopRequest{}, client.Write{}))(t)
	if !st.All {
		t.Errorf("site: got %+v", st)
	}
	if got, want := h.world.stopped, []greenhouse.ZoneID{"north", ""}; !cmp.Equal(got, want) {
		t.Errorf("equipment stopped: got %v, want %v", got, want)
	}
	h.must(h.client.Resume(h.ctx(), api.StopRequest{}, client.Write{}))
	st = must(h.client.Resume(h.ctx(), api.StopRequest{Zone: "north"}, client.Write{}))(t)
	if st.All || len(st.Zones) != 0 {
		t.Errorf("resumed: got %+v", st)
	}
	if _, err := h.client.Stop(h.ctx(), api.StopRequest{Zone: "west"}, client.Write{}); code(err) != "zone_not_found" {
		t.Errorf("unknown zone: got %v", err)
	}
	// The stop must work when the registry does not.
	if err := h.store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := h.client.Stop(h.ctx(), api.StopRequest{}, client.Write{})
	if code(err) != "stop_not_latched" || len(h.world.stopped) != 3 {
		t.Errorf("without a registry: got %v and %d stops, want equipment stopped and the rest said", err, len(h.world.stopped))
	}
}

func TestSite(t *testing.T) {
	h := open(t)
	site := must(h.client.Site(h.ctx()))(t)
	got := must(h.client.EditSite(h.ctx(), api.SitePatch{Name: ptr("Hof"), TimeZone: ptr("Europe/Berlin"), Latitude: ptr(52.5)}, client.Write{IfVersion: site.Version}))(t)
	if got.Name != "Hof" || got.TimeZone != "Europe/Berlin" || got.Latitude != 52.5 {
		t.Errorf("got %+v", got)
	}
	if _, err := h.client.EditSite(h.ctx(), api.SitePatch{TimeZone: ptr("Mars/Olympus")}, client.Write{}); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("unknown time zone: got %v", err)
	}
	if _, err := h.client.EditSite(h.ctx(), api.SitePatch{Name: ptr("x")}, client.Write{IfVersion: site.Version}); code(err) != "stale" {
		t.Errorf("stale: got %v", err)
	}
}

// What stood in the past is read from the decisions kept.
func TestWhyInThePast(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.node("aaaa01", "climate", "north", actuator("heater"))
	at := greenhouse.MillisOf(time.Now()).Add(-time.Hour)
	for i, owner := range []string{"heating", "frost"} {
		h.journal.Explain(greenhouse.Verdict{Point: "north/heater", Value: 1, At: at.Add(time.Duration(i) * 30 * time.Minute),
			Winner: greenhouse.Claim{Priority: greenhouse.PriorityLoop, Owner: owner, Reason: "cold"}, Timers: map[string]float64{"min_on": 60, "changeover": 3600}})
	}
	if err := h.journal.KeepDecisions(); err != nil {
		t.Fatal(err)
	}
	if got := must(h.client.Why(h.ctx(), "north/heater", "45m"))(t); got.Winner.Owner != "heating" || got.Text == "" {
		t.Errorf("45 minutes ago: got %+v", got)
	}
	got := must(h.client.Why(h.ctx(), "north/heater", "10m"))(t)
	if got.Winner.Owner != "frost" || got.Asked == 0 {
		t.Errorf("10 minutes ago: got %+v", got)
	}
	if left := got.Timers["changeover"]; len(got.Timers) != 1 || left < 2390 || left > 2410 {
		t.Errorf("timers %v: of one hour 20 minutes had passed by then, and the minute was over", got.Timers)
	}
	if list := must(h.client.ZoneWhy(h.ctx(), "north", "10m"))(t); len(list.Items) != 1 || list.Items[0].Winner.Owner != "frost" {
		t.Errorf("the whole zone: got %+v", list)
	}
	if _, err := h.client.Why(h.ctx(), "north/heater", "3h"); !errors.Is(err, greenhouse.ErrNotFound) {
		t.Errorf("before anything is known: got %v", err)
	}
	if _, err := h.client.Why(h.ctx(), "north/heater", ""); code(err) != "not_decided" {
		t.Errorf("now, undecided: got %v", err)
	}
}

// TestWhyInThePastReadsHistory: a decision stands for minutes; the values shown are
// those of the moment that was asked about, where history has them, and each says
// where it comes from.
func TestWhyInThePastReadsHistory(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.node("aaaa01", "climate", "north", actuator("heater"), sensor("air_temp"), sensor("air_rh"))
	at := greenhouse.MillisOf(time.Now()).Add(-time.Hour)
	minute := func(n int) greenhouse.Millis { return at.Add(time.Duration(n) * time.Minute) }
	for n, v := range []float64{18, 17.5, 17, 16.5, 16} {
		h.send(greenhouse.Reading{Point: "north/air_temp", At: minute(n), Value: v})
	}
	h.journal.Explain(greenhouse.Verdict{Point: "north/heater", Value: 1, At: at, Winner: greenhouse.Claim{Priority: greenhouse.PriorityLoop, Owner: "heating", Reason: "cold"},
		Inputs: []greenhouse.Input{{Point: "north/air_temp", Value: 18}, {Point: "north/air_rh", Value: 70, AgeS: 4}, {Point: "north/gone", Value: 1, AgeS: 4}}})
	for _, c := range []struct {
		at      string
		value   float64
		decided *float64
		quality greenhouse.Quality
		age     float64
		text    string
	}{
		{"0s", 18, nil, greenhouse.Good, 0, "Measured at that time: north/air_temp 18 (good), north/air_rh 70 (good, when it was decided)"},
		{"150s", 17, ptr(18.0), greenhouse.Good, 30, "north/air_temp 17 (good, decided at 18)"},
		{"4m", 16, ptr(18.0), greenhouse.Good, 0, "north/air_temp 16"},
		{"10m", 16, ptr(18.0), greenhouse.Stale, 360, "north/air_temp 16 (stale, decided at 18)"},
		{"40m", 18, nil, greenhouse.Good, 2400, "north/air_temp 18 (good, when it was decided)"},
	} {
		d, err := time.ParseDuration(c.at)
		if err != nil {
			t.Fatal(err)
		}
		w := must(h.client.Why(h.ctx(), "north/heater", at.Add(d).Time().Format(time.RFC3339Nano)))(t)
		air := w.Inputs[0]
		if air.Value == nil || *air.Value != c.value || air.Quality != c.quality || air.AgeS != c.age || !cmp.Equal(air.Decided, c.decided) || !strings.Contains(w.Text, c.text) {
			t.Errorf("after %s: %+v, want %v, %v; %s", c.at, air, c.value, c.quality, w.Text)
		}
		if rh, gone := w.Inputs[1], w.Inputs[2]; rh.From != "decision" || *rh.Value != 70 || rh.AgeS != 4+d.Seconds() || gone.From != "decision" {
			t.Errorf("after %s, without a history: %+v, %+v", c.at, rh, gone)
		}
	}
}

// TestWhyNot asks what is in the way: by itself of the other level.
func TestWhyNot(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.node("aaaa01", "climate", "north", actuator("heater"))
	if _, err := h.client.WhyNot(h.ctx(), "north/heater", nil); code(err) != "not_decided" {
		t.Errorf("undecided: got %v", err)
	}
	h.world.verdicts["north/heater"] = greenhouse.Verdict{Point: "north/heater", Winner: greenhouse.Claim{Priority: greenhouse.PriorityLoop, Owner: "heating", Reason: "warm enough"}}
	w := must(h.client.WhyNot(h.ctx(), "north/heater", nil))(t)
	if w.Level != 1 || w.Free || len(w.Obstacles) != 1 || w.Obstacles[0].Owner != "heating" || w.Text != "north/heater is not on: warm enough (heating, control loop)." {
		t.Errorf("got %+v", w)
	}
	if w := must(h.client.WhyNot(h.ctx(), "north/heater", ptr(0.0)))(t); !w.Free || len(w.Obstacles) != 0 || !strings.Contains(w.Text, "it is") {
		t.Errorf("what it has already: got %+v", w)
	}
	for _, level := range []float64{-1, 2, math.NaN()} {
		if _, err := h.client.WhyNot(h.ctx(), "north/heater", &level); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("level %v: got %v", level, err)
		}
	}
}
