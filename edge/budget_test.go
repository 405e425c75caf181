package edge_test

import (
	"testing"
	"time"

	"greenhouse"
)

// TestTimeOnOfAChannel: a limit that a grower sets on a channel switches the
// heater off in the cold, says so, and stands over an override and a restart.
func TestTimeOnOfAChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		heater, ok := g.Store().Registry().Point("north/heater")
		if !ok {
			t.Fatal("no heater")
		}
		g.must("PATCH", "/nodes/"+string(heater.Node)+"/channels/"+string(heater.Channel), map[string]any{"max_on_day_s": 180}, nil, "If-Match", "*")
		pass(5 * time.Minute)
		spent := func(when string) {
			t.Helper()
			w := g.why(time.Time{})
			if w.Winner.Priority != greenhouse.PriorityProtection || w.Winner.Owner != "max_on_day" || w.Value == nil || *w.Value != 0 || w.Timers["max_on_day"] < 23*3600 {
				t.Errorf("%s: %+v, timers %v, want it off by max_on_day for most of a day", when, w.Winner, w.Timers)
			}
		}
		spent("after its three minutes")
		g.must("PUT", "/points/north%2Fheater/override", map[string]any{"value": 1, "reason": "cold", "for_s": 600}, nil)
		pass(time.Minute)
		spent("against an override")
		g.stop()
		g.run()
		pass(3 * time.Minute)
		spent("after a restart")
	})
}
