package edge_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/edge"
	"greenhouse/sim"
	"greenhouse/wire"
)

// The scenarios of the catalogue that need the whole daemon; those that need one
// zone and its nodes alone are files in sim/scenarios. See docs/scenarios.md.

// TestScenario52StaleCommand: an order to switch on that was kept from an earlier
// run of the daemon reaches a node, by a broker that retained it or a bridge that
// repeats it. Its epoch tells: nothing is switched.
func TestScenario52StaleCommand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		g.must("PUT", "/zones/north/mode", map[string]any{"mode": "off"}, nil)
		until(t, time.Minute, "the heater is off", func() bool { return g.out(relays, "heater") == 0 })
		was := g.Store().Registry().Epoch()
		g.stop()
		g.run()
		until(t, time.Minute, "the relays are back", func() bool { return g.level(heater).Online })
		until(t, time.Minute, "the relays know the new epoch", func() bool {
			g.must("POST", "/nodes/"+string(relays)+"/commands", map[string]any{"op": "stop", "channel": "heater"}, nil)
			pass(5 * time.Second)
			var epoch uint64
			g.nodes[relays].Do(func(f *sim.Firmware, _ time.Time) { epoch = f.Memory().Epoch })
			return epoch > was
		})
		stale := fmt.Sprintf(`{"v":1,"id":"01J8Z0000000000000000STALE","epoch":%d,"ch":"heater","op":"set","value":1,"lease_s":86000,"expires":%d}`,
			was, greenhouse.MillisOf(time.Now().Add(time.Hour)))
		if _, err := wire.DecodeCommand([]byte(stale)); err != nil {
			t.Fatal(err)
		}
		var said string
		g.nodes[relays].Do(func(f *sim.Firmware, now time.Time) {
			for _, m := range f.Receive(now, topic(wire.KindCmd, relays), []byte(stale)) {
				said += string(m.Payload)
			}
		})
		if !strings.Contains(said, "fenced") {
			t.Errorf("the node answers %s, want fenced", said)
		}
		for range 10 {
			pass(time.Second)
			if on := g.on(); len(on) > 0 {
				t.Fatalf("a command of epoch %d switched on %v", was, on)
			}
		}
	})
}

// TestScenario53TwoDaemons: a second daemon on the same data is refused and says
// why, and the first goes on as if nothing had been.
func TestScenario53TwoDaemons(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		epoch := g.Store().Registry().Epoch()
		_, err := edge.New(t.Context(), edge.Options{DataDir: g.dir, ClockTrust: edge.TrustAlways})
		if !errors.Is(err, greenhouse.ErrUnavailable) || !strings.Contains(err.Error(), "is in use by process") {
			t.Errorf("a second daemon: got %v, want who holds the data", err)
		}
		pass(time.Minute)
		if g.Store().Registry().Epoch() != epoch {
			t.Error("the second one took an epoch")
		}
		g.heats()
	})
}

// TestScenario57FiveHundredZones: of 500 zones one panics and one hangs; every
// other one is decided every five seconds all the same.
func TestScenario57FiveHundredZones(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var s sabotage
		h := start(t, func(o *edge.Options) { o.Faults.Source = s.under })
		const n, period = 500, 5 * time.Second
		for i := range n {
			h.zone(greenhouse.Zone{ID: greenhouse.ZoneID(fmt.Sprintf("z%d", i))})
		}
		pass(2 * period)
		s.breakDown("z100", true)
		release := s.hang("z200")
		defer release()
		for range 10 {
			pass(period)
			for i := range n {
				z := greenhouse.ZoneID(fmt.Sprintf("z%d", i))
				if lag := s.lag(z); lag > 2*period && z != "z200" {
					t.Fatalf("%s was decided %v ago", z, lag)
				}
			}
		}
		for _, z := range []string{"z100", "z200"} {
			if !h.raised(greenhouse.Source("zone/"+z), "zone_failed") {
				t.Errorf("%s fails and is not alarmed", z)
			}
		}
		if h.raised(greenhouse.SiteSource, "cycle_degraded") {
			t.Error("two of five hundred are called a degraded site")
		}
	})
}

// TestScenario62WallClockSteps: NTP takes the clock of the whole site five hours
// ahead, and back again. What was to last an hour lasts an hour, the equipment keeps
// its times, and nothing happens twice.
func TestScenario62WallClockSteps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var step atomic.Int64
		g := plant(t, 1, func(o *edge.Options) {
			o.Now = func() time.Time { return edge.StepWall(t, time.Now(), time.Duration(step.Load())) }
		})
		g.heats()
		g.must("PUT", "/points/north%2Fheater/override", map[string]any{"value": 0, "for_s": 3600, "reason": "test"}, nil)
		began := time.Now()
		pass(10 * time.Minute)
		for _, by := range []time.Duration{5 * time.Hour, 0} {
			step.Store(int64(by))
			g.heal()
			if by != 0 {
				g.inject(fmt.Sprintf("clock_skew(%.0f) site", by.Seconds()))
			}
			pass(15 * time.Minute)
			if g.out(relays, "heater") != 0 {
				t.Fatalf("with the clock stepped by %v the override of an hour is over after %v", by, time.Since(began))
			}
			if g.raised("zone/north", "zone_failed") {
				t.Errorf("with the clock stepped by %v the zone fails", by)
			}
		}
		if n := len(g.events("clock_stepped")); n != 2 {
			t.Errorf("%d events clock_stepped, want 2", n)
		}
		until(t, time.Hour, "the override is over", func() bool { _, stands := g.Store().Registry().Overrides[heater]; return !stands })
		if took := time.Since(began); took < 59*time.Minute || took > 61*time.Minute {
			t.Errorf("the override of an hour lasted %v", took)
		}
		if n := len(g.events("override_expired")); n != 1 {
			t.Errorf("it ended %d times", n)
		}
		g.heats()
	})
}

// TestScenario72OverrideWithoutClock: while the clock is not known to be right a
// level set by hand lasts as long as it should, by the monotonic clock.
func TestScenario72OverrideWithoutClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1, func(o *edge.Options) { o.ClockTrust = edge.TrustNever })
		g.heats()
		g.must("PUT", "/points/north%2Fheater/override", map[string]any{"value": 0, "for_s": 600, "reason": "test"}, nil)
		until(t, time.Minute, "the heater is off", func() bool { return g.out(relays, "heater") == 0 })
		pass(9 * time.Minute)
		if g.out(relays, "heater") != 0 {
			t.Error("the override ended early")
		}
		until(t, 2*time.Minute, "the override is over", func() bool { _, stands := g.Store().Registry().Overrides[heater]; return !stands })
		g.heats()
	})
}

// TestScenario73InvertedSetPoints: vents that open below the heating set-point are
// refused with the reason, whichever of the two is moved, and nothing changes.
func TestScenario73InvertedSetPoints(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		before := *g.Store().Registry().Zones["north"]
		for quantity, value := range map[string]float64{"venting": 10, "heating": 34} {
			if got := g.call("PUT", "/zones/north/targets/"+quantity, map[string]any{"value": value}, nil); got != http.StatusConflict && got != http.StatusUnprocessableEntity && got != http.StatusBadRequest {
				t.Errorf("%s %v: got %d %s, want a refusal", quantity, value, got, g.answer)
			}
			if !strings.Contains(g.answer, "vent") || !strings.Contains(g.answer, "heat") {
				t.Errorf("%s %v: the answer does not say what is wrong: %s", quantity, value, g.answer)
			}
		}
		if after := *g.Store().Registry().Zones["north"]; after.Version != before.Version {
			t.Errorf("version %d, was %d", after.Version, before.Version)
		}
	})
}
