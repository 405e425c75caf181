package edge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"greenhouse/api"
)

// why asks the daemon to explain the heater, at an instant or now.
func (g *garden) why(at time.Time) (w api.Why) {
	g.t.Helper()
	path := "/points/north%2Fheater/why"
	if !at.IsZero() {
		path += "?at=" + at.UTC().Format(time.RFC3339)
	}
	g.must("GET", path, nil, &w)
	return w
}

// TestWhyAtAnyMoment lets an evening pass, with somebody's hand on the heater and
// an emergency stop, and asks about moments of it: those at which nothing changed,
// those at which only the reason did, and all of it again after a restart.
func TestWhyAtAnyMoment(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		pass(time.Minute)
		heated := time.Now()
		pass(2 * time.Second)

		g.must("PUT", "/points/north%2Fheater/override", map[string]any{"value": 0, "reason": "a bird in the house", "for_s": 600}, nil)
		pass(30 * time.Second)
		byHand := time.Now()
		pass(4 * time.Minute)
		still := time.Now()
		pass(2 * time.Second)

		g.must("POST", "/stop", map[string]any{"zone": "north"}, nil)
		pass(time.Minute)
		stopped := time.Now() // the level is off as before: only the reason is another
		pass(2 * time.Second)
		var not api.WhyNot
		g.must("GET", "/points/north%2Fheater/why-not", nil, &not)
		if not.Free || not.Level != 1 || len(not.Obstacles) < 2 || not.Obstacles[0].Owner != "stop" || !strings.HasPrefix(not.Obstacles[1].Owner, "override") {
			t.Errorf("why not on, while stopped and held off by hand: %+v", not)
		}
		g.must("POST", "/resume", map[string]any{"zone": "north"}, nil)
		pass(2 * time.Minute)

		check := func() {
			t.Helper()
			for _, c := range []struct {
				at    time.Time
				owner string
				value float64
			}{{heated, "heating", 1}, {byHand, "override", 0}, {still, "override", 0}, {stopped, "stop", 0}} {
				w := g.why(c.at)
				if !strings.HasPrefix(w.Winner.Owner, c.owner) || w.Value == nil || *w.Value != c.value || w.Asked.Time().Unix() != c.at.Unix() {
					t.Errorf("at %s: %v by %s, want %v by %s: %s", c.at.Format(time.TimeOnly), w.Value, w.Winner.Owner, c.value, c.owner, w.Text)
				}
				if c.owner == "override" && (len(w.Losers) == 0 || !strings.Contains(fmt.Sprint(w.Losers), "heating")) {
					t.Errorf("by hand: heating is not among the losers %+v", w.Losers)
				}
				if c.owner != "stop" && len(w.Inputs) == 0 {
					t.Errorf("at %s: nothing was measured", c.at.Format(time.TimeOnly))
				}
			}
		}
		check()
		var zone api.List[api.Why]
		g.must("GET", "/zones/north/why?at="+heated.UTC().Format(time.RFC3339), nil, &zone)
		if len(zone.Items) < 2 {
			t.Errorf("of the zone %d actuators are explained", len(zone.Items))
		}
		if w := g.why(time.Time{}); w.Device == nil || !w.Device.Online || w.Device.Reported == nil {
			t.Errorf("now: the device stands %+v", w.Device)
		}
		g.stop()
		g.run()
		check()
		if n := len(g.events("level_changed")); n < 2 {
			t.Errorf("%d changes of level are in the journal", n)
		}
	})
}
