package edge_test

import (
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
)

const ventPoint = greenhouse.PointID("north/vent")

// TestVentOfTheWholeDaemon has a vent stand half open when its node reboots: the
// daemon, its API and its explanations say that nobody knows where it is until the
// node found an end; a switch that dies makes it suspect.
func TestVentOfTheWholeDaemon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		hand := func(level float64) {
			t.Helper()
			g.must("PUT", "/points/north%2Fvent/override", map[string]any{"value": level, "reason": "test", "for_s": 7200}, nil)
		}
		standing := func() float64 {
			z, _ := g.world.Zone("north")
			return z.Equipment.VentLee
		}
		look := func() (p api.Point, w api.Why) {
			t.Helper()
			g.must("GET", "/points/north%2Fvent", nil, &p)
			g.must("GET", "/points/north%2Fvent/why", nil, &w)
			return p, w
		}
		calm := func() { g.inject("zero north/wind_speed") } // no storm shuts it meanwhile
		calm()
		until(t, 10*time.Minute, "the vent is known", func() bool { return g.level(ventPoint).Motor == greenhouse.MotorKnown })
		hand(0.4)
		until(t, 10*time.Minute, "the vent is at 40 %", func() bool { l := g.level(ventPoint); return l.Known && l.Reported == 0.4 })
		pass(15 * time.Second)
		if p, _ := look(); p.Value == nil || *p.Value < 0.38 || *p.Value > 0.42 || standing() < 0.37 || standing() > 0.43 {
			t.Errorf("it stands at %.3f, the point says %v", standing(), p.Value)
		}

		g.inject("silent " + string(relays))
		pass(5 * time.Second)
		g.heal()
		calm()
		until(t, 2*time.Minute, "the position is lost", func() bool { return g.level(ventPoint).Motor == greenhouse.MotorUnknown })
		p, w := look()
		if p.Position != greenhouse.MotorUnknown || g.level(ventPoint).Known {
			t.Errorf("the point says %q, its level is %+v", p.Position, g.level(ventPoint))
		}
		if w.Device == nil || w.Device.Reported != nil || !strings.Contains(w.Text, "position unknown, is being found") {
			t.Errorf("why says %+v: %s", w.Device, w.Text)
		}
		until(t, 10*time.Minute, "it is at 40 % again", func() bool { l := g.level(ventPoint); return l.Known && l.Reported == 0.4 })
		if standing() < 0.37 || standing() > 0.43 {
			t.Errorf("it stands at %.3f", standing())
		}

		g.inject("ends_dead north/vent")
		hand(1)
		until(t, 15*time.Minute, "the vent is suspect", func() bool { return g.raised("point/north/vent", "position_suspect") })
		hand(0.5)
		pass(10 * time.Minute)
		if l := g.level(ventPoint); l.Desired != 0 && l.Desired != 1 {
			t.Errorf("under suspicion it is sent to %.2f", l.Desired)
		}
		if p, w := look(); p.Position != greenhouse.MotorSuspect || !strings.Contains(w.Text, "in doubt") {
			t.Errorf("the point says %q, why: %s", p.Position, w.Text)
		}
		g.heal()
		calm()
		hand(0)
		pass(15 * time.Minute)
		hand(1)
		until(t, 15*time.Minute, "a full travel was clean", func() bool { return g.level(ventPoint).Motor == greenhouse.MotorKnown })
	})
}
