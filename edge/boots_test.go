package edge_test

import (
	"testing"
	"time"

	"greenhouse/edge"
)

// TestDaemonInABrownOutStartsNothing: killed every twenty seconds, as by a supply
// that breaks down under its load, the daemon switches nothing on before it was up
// for a minute. One that is stopped in order may start as often as it likes.
func TestDaemonInABrownOutStartsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		for range 3 {
			g.die()
			pass(2 * time.Second)
			g.run()
			pass(18 * time.Second)
		}
		g.die()
		pass(90 * time.Second) // every lease is over
		g.run()
		for range 11 {
			pass(5 * time.Second)
			if g.out(relays, "heater") != 0 {
				t.Fatal("a load is switched on within a minute of the fifth start")
			}
		}
		g.heats()
		for range 4 {
			g.stop()
			pass(2 * time.Second)
			g.run()
			pass(5 * time.Second)
		}
		until(t, 40*time.Second, "it heats after starts in order", func() bool { return g.out(relays, "heater") > 0 })
	})
}

// TestOverrideWithoutClockDoesNotOutliveARestart: where nobody knows the time
// nobody knows how much of an override is left.
func TestOverrideWithoutClockDoesNotOutliveARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		trust := edge.TrustAlways
		g := plant(t, 1, func(o *edge.Options) { o.ClockTrust = trust })
		g.heats()
		g.must("PUT", "/points/north%2Fvent/override", map[string]any{"value": 0.5, "for_s": 3600, "reason": "test"}, nil)
		g.die()
		g.run()
		if len(g.Store().Registry().Overrides) != 1 {
			t.Fatal("with the time known it should stand")
		}
		trust = edge.TrustNever
		g.die()
		g.run()
		if len(g.Store().Registry().Overrides) != 0 {
			t.Error("it stands, though nobody knows for how long")
		}
		if got := len(g.events("override_expired")); got != 1 {
			t.Errorf("%d events override_expired, want 1", got)
		}
	})
}
