package automation_test

import (
	"strings"
	"testing"
	"time"

	"greenhouse"
)

// TestUnknownVentGoesToItsEnd: a vent that lost its position is shut to find it,
// unless heat wants it wide open, which finds it as well.
func TestUnknownVentGoesToItsEnd(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "outside_temp", "wind_speed", "rain", "vent")
	h.target(greenhouse.Heating, 18, 18)
	h.target(greenhouse.Venting, 22, 22)
	for name, v := range map[string]float64{"outside_temp": 20, "wind_speed": 0, "rain": 0, "air_temp": 23} {
		h.set(name, v)
	}
	h.run(10*time.Minute, nil)
	if got := h.level("vent"); got < 0.1 || got > 0.45 {
		t.Fatalf("vent %.2f at a quarter of the band", got)
	}
	h.in.Devices[0].Motor = greenhouse.MotorUnknown
	h.run(5*time.Second, nil)
	h.expect("vent", 0)
	if got := h.reason("vent", "position"); !strings.Contains(got, "unknown, is being found") {
		t.Errorf("the reason is %q", got)
	}
	h.set("air_temp", 25.5)
	h.run(5*time.Minute, nil)
	if got := h.level("vent"); got < 0.5 {
		t.Errorf("vent %.2f in the heat: it could find its position by its open end", got)
	}
	h.set("air_temp", 36)
	h.run(time.Minute, nil)
	h.expect("vent", 1)
	if _, claimed := h.claim("vent", "position"); claimed {
		t.Error("it is to be shut at the heat limit")
	}
	h.zone.Mode = greenhouse.ModeManual
	h.set("air_temp", 23)
	h.run(5*time.Minute, nil)
	if _, claimed := h.claim("vent", "position"); !claimed {
		t.Error("driven by hand, it does not find its position")
	}
	h.in.Devices[0].Motor = greenhouse.MotorKnown
	h.run(5*time.Second, nil)
	if _, claimed := h.claim("vent", "position"); claimed {
		t.Error("it goes on looking for what it knows")
	}
}
