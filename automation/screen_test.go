package automation_test

import (
	"strings"
	"testing"
	"time"

	"greenhouse"
)

// TestScreenOpensByAGap draws a screen in a cold night and has the day come: it
// opens by a gap, and at once where the air is warm already.
func TestScreenOpensByAGap(t *testing.T) {
	for _, c := range []struct {
		name string
		air  float64
		gap  bool
	}{{"cool", 16, true}, {"warm", 24, false}} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, midnight(), "air_temp", "outside_temp", "solar", "screen")
			h.target(greenhouse.Heating, 16, 16)
			h.target(greenhouse.Venting, 22, 22)
			for name, v := range map[string]float64{"air_temp": 16, "outside_temp": -2, "solar": 0} {
				h.set(name, v)
			}
			h.run(5*time.Minute, nil)
			h.expect("screen", 1)
			h.set("air_temp", c.air)
			h.run(2*time.Minute, nil) // a leap is believed after a while
			h.set("solar", 80)
			h.run(time.Minute, nil)
			if !c.gap {
				h.expect("screen", 0)
				return
			}
			h.expect("screen", 0.97)
			if got := h.reason("screen", "screen"); !strings.Contains(got, "a gap first") {
				t.Errorf("the reason is %q", got)
			}
			h.run(13*time.Minute, nil)
			h.expect("screen", 0.97)
			h.run(2*time.Minute, nil)
			h.expect("screen", 0)
		})
	}
}

// TestScreenShades has the sun come and go around the limit: a cloud changes nothing,
// and without a limit nothing shades.
func TestScreenShades(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "outside_temp", "solar", "screen")
	h.target(greenhouse.Heating, 16, 16)
	for name, v := range map[string]float64{"air_temp": 22, "outside_temp": 18, "solar": 800} {
		h.set(name, v)
	}
	h.run(30*time.Minute, nil)
	h.expect("screen", 0)
	h.zone.Control.ShadeWM2 = 600
	h.run(9*time.Minute, nil)
	h.expect("screen", 0)
	h.run(2*time.Minute, nil)
	h.expect("screen", 0.6)
	if got := h.reason("screen", "screen"); got != "the sun is at 800 W/m², against 600 from which screens shade" {
		t.Errorf("the reason is %q", got)
	}
	h.set("solar", 300)
	h.run(5*time.Minute, nil)
	h.set("solar", 700)
	h.run(time.Minute, nil)
	h.set("solar", 500) // within the hysteresis
	h.run(30*time.Minute, nil)
	h.expect("screen", 0.6)
	h.set("solar", 400)
	h.run(11*time.Minute, nil)
	h.expect("screen", 0)
	h.set("solar", 900)
	h.run(11*time.Minute, nil)
	h.expect("screen", 0.6)
	h.silent["solar"] = true
	h.run(10*time.Minute, nil)
	if got := h.level("screen"); got != 0 {
		t.Errorf("without a light sensor it shades at %.2f", got)
	}
}
