package edge_test

import (
	"fmt"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/wire"
)

const (
	oldPH = greenhouse.UID("ph-00000000aaaa")
	newPH = greenhouse.UID("ph-00000000bbbb")
)

// TestSwapKeepsTheHistoryAndFencesTheOld is a dead probe replaced in the middle of
// the day, through real MQTT: one history, the old hardware refused and recorded,
// and all of it taken back.
func TestSwapKeepsTheHistoryAndFencesTheOld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		h.zone(greenhouse.Zone{ID: "north"})
		parts := channels("solution_ph", "pump_acid")
		old := h.login(string(oldPH), h.register(oldPH, "north", parts...))
		next := h.login(string(newPH), h.register(newPH, "", parts...))
		at := greenhouse.MillisOf(time.Now())
		sample := func(d *device, uid greenhouse.UID, minute int, v float64) {
			t.Helper()
			d.tell(topic(wire.KindTelemetry, uid), fmt.Sprintf(`{"v":1,"ts":%d,"m":{"solution_ph":%g}}`, at.Add(time.Duration(minute)*time.Minute), v))
		}
		sample(old, oldPH, 0, 6.0)
		sample(next, newPH, 0, 9.9) // on the bench, in no zone
		pass(5 * time.Minute)
		var preview, done api.Swapped
		path := "/nodes/" + string(oldPH) + "/swap"
		h.must("POST", path+"?dry_run=true", map[string]any{"with": newPH}, &preview)
		if n := h.Store().Registry().Nodes[oldPH]; n.Zone != "north" || len(preview.Moves) != 2 || len(preview.Warnings) == 0 {
			t.Errorf("preview %+v, and the old node is in %q", preview.Moves, n.Zone)
		}
		h.must("POST", path, map[string]any{"with": newPH}, &done, "If-Match", fmt.Sprintf("%q", fmt.Sprint(preview.Old.Version-1)))
		for _, m := range done.Moves {
			want := map[greenhouse.ChannelName]string{"solution_ph": "calibrate", "pump_acid": "moves"}[m.Channel]
			if m.Outcome != want || m.Text == "" {
				t.Errorf("%s: got %+v, want %s", m.Channel, m, want)
			}
		}
		sample(next, newPH, 5, 6.2)
		sample(old, oldPH, 5, 1.0) // late: the place is no longer its own
		sample(old, oldPH, 1, 1.1) // from its backlog
		old.tell(topic(wire.KindEvent, oldPH), `{"v":1,"code":"level_low","severity":"critical"}`)
		sample(next, newPH, 6, 6.3)
		pass(time.Second)
		if got := values(h.history("north/solution_ph")); fmt.Sprint(got) != "[6 6.2 6.3]" {
			t.Errorf("history of the point: %v, want one line without what came late", got)
		}
		if got := values(h.history("@" + greenhouse.PointID(oldPH) + "/solution_ph")); len(got) != 0 {
			t.Errorf("of the old node was kept: %v", got)
		}
		var gaps api.List[greenhouse.Gap]
		h.must("GET", "/gaps?from=1h", nil, &gaps)
		refused := int64(0)
		for _, g := range gaps.Items {
			if g.Node == oldPH && g.Cause == "refused" {
				refused += g.Count
			}
		}
		if refused != 2 {
			t.Errorf("gap records of the old node: %+v, want its 2 samples", gaps.Items)
		}
		if got := len(h.events("payload_refused")); got != 1 {
			t.Errorf("%d events payload_refused, want 1 an hour", got)
		}
		if h.raised(greenhouse.NodeSource(oldPH), "node_level_low") || len(h.events("level_low", "node_level_low")) != 0 {
			t.Error("an event of the old node counts")
		}
		if got := h.call("POST", "/nodes/"+string(oldPH)+"/commands", map[string]any{"op": "pulse", "channel": "pump_acid", "ms": 1000}, nil); got != 409 {
			t.Errorf("a dose by the old node: %d", got)
		}
		h.must("POST", "/nodes/"+string(oldPH)+"/commands", map[string]any{"op": "stop"}, nil)
		if _, ok := h.Actuators().Level("@" + greenhouse.PointID(oldPH) + "/pump_acid"); ok {
			t.Error("the pump of the old node can be driven")
		}
		// The point waits for a calibration, everywhere one looks.
		var p api.Point
		h.must("GET", "/points/north%2Fsolution_ph", nil, &p)
		if p.Calibration == nil || p.Calibration.Status != api.CalRequired || p.Node != newPH {
			t.Errorf("point %+v", p.Calibration)
		}
		until(t, 2*time.Minute, "calibration_required is raised", func() bool {
			next.tell(topic(wire.KindStatus, newPH), `{"v":1,"online":true}`)
			return h.raised(greenhouse.PointSource("north/solution_ph"), "calibration_required")
		})
		h.must("POST", "/nodes/"+string(newPH)+"/channels/solution_ph/calibration", map[string]any{"points": []any{map[string]any{"raw": 7.1, "ref": 7}, map[string]any{"raw": 4.1, "ref": 4.01}}}, nil)
		until(t, 2*time.Minute, "calibration_required clears", func() bool { return !h.raised(greenhouse.PointSource("north/solution_ph"), "calibration_required") })
		// Back again: the old one is heard, the new one feeds its own point.
		h.must("POST", path, map[string]any{"with": newPH, "undo": true}, nil)
		now := int(greenhouse.MillisOf(time.Now()).Sub(at).Minutes()) + 1
		pass(time.Minute)
		sample(old, oldPH, now, 6.4)
		sample(next, newPH, now, 9.8)
		pass(time.Second)
		if got := values(h.history("north/solution_ph")); fmt.Sprint(got) != "[6 6.2 6.3 6.4]" {
			t.Errorf("history of the point after the undo: %v", got)
		}
		if got := h.call("POST", path, map[string]any{"with": newPH, "undo": true}, nil); got != 404 {
			t.Errorf("undo twice: %d", got)
		}
		if got := len(h.events("node_swapped")) + len(h.events("node_swap_undone")); got != 2 {
			t.Errorf("%d events of the swap, want 2", got)
		}
	})
}

func values(readings []greenhouse.Reading) (out []float64) {
	for _, r := range readings {
		out = append(out, r.Value)
	}
	return out
}

// TestDaemonAppliesWhatTheNodeCannot: a probe that sends millivolts gets its
// calibration here, and a conductivity is referred to 25 °C by the temperature of
// the same instant.
func TestDaemonAppliesWhatTheNodeCannot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		h.zone(greenhouse.Zone{ID: "north"})
		d := h.login(string(oldPH), h.register(oldPH, "north", channels("solution_ph", "solution_ec", "solution_temp")...))
		d.subscribe(topic(wire.KindConfig, oldPH))
		first := d.config(0)
		cal := "/nodes/" + string(oldPH) + "/channels/"
		h.must("POST", cal+"solution_ph/calibration", map[string]any{"edge": true, "points": []any{map[string]any{"raw": 0, "ref": 7}, map[string]any{"raw": 177.48, "ref": 4}}}, nil)
		h.must("POST", cal+"solution_ec/calibration", map[string]any{"comp": map[string]any{"per_k": 0.02, "ref_c": 25, "channel": "solution_temp"}}, nil)
		pass(2 * time.Second)
		if n := h.Store().Registry().Nodes[oldPH]; n.Config.DesiredRev != first.Rev {
			t.Errorf("revision %d after %d: the node is told what it cannot do", n.Config.DesiredRev, first.Rev)
		}
		send := func(payload string) {
			t.Helper()
			d.tell(topic(wire.KindTelemetry, oldPH), payload)
			pass(time.Second)
		}
		last := func(p greenhouse.PointID) greenhouse.Reading {
			t.Helper()
			all := h.history(p)
			if len(all) == 0 {
				t.Fatalf("no reading of %s", p)
			}
			return all[len(all)-1]
		}
		send(`{"v":1,"m":{"solution_ec":2.2}}`) // no temperature yet
		if r := last("north/solution_ec"); r.Value != 2.2 || r.Quality != greenhouse.Suspect {
			t.Errorf("without a temperature: %+v, want it as it is, and suspect", r)
		}
		send(`{"v":1,"m":{"solution_ph":59.16,"solution_ec":2.2,"solution_temp":30}}`)
		if r := last("north/solution_ph"); r.Value < 5.999 || r.Value > 6.001 {
			t.Errorf("59.16 mV: got %v, want pH 6", r.Value)
		}
		if r := last("north/solution_ec"); r.Value != 2.2/1.1 || r.Quality != greenhouse.Good {
			t.Errorf("at 30 °C: got %+v, want 2.0", r)
		}
		send(`{"v":1,"m":{"solution_ec":2.2}}`) // that of a second ago
		if r := last("north/solution_ec"); r.Value != 2.2/1.1 {
			t.Errorf("by the last temperature: got %v", r.Value)
		}
		send(`{"v":1,"m":{"solution_ec":null,"solution_ph":null}}`)
		if r := last("north/solution_ec"); r.Quality != greenhouse.Bad {
			t.Errorf("a failed sensor: got %+v", r)
		}
		var c api.ChannelCal
		send(`{"v":1,"m":{"solution_ph":59.16,"solution_ec":2.2,"solution_temp":30}}`)
		h.must("GET", cal+"solution_ec/calibration", nil, &c)
		if c.Raw == nil || *c.Raw < 2.1999 || *c.Raw > 2.2001 || len(c.Records) != 1 || c.Pending {
			t.Errorf("raw value %v of %+v", c.Raw, c)
		}
		h.must("GET", cal+"solution_ph/calibration", nil, &c)
		if c.Raw == nil || *c.Raw < 59.15 || *c.Raw > 59.17 {
			t.Errorf("raw value %v, want 59.16", *c.Raw)
		}
	})
}
