package automation_test

import (
	"testing"
	"time"

	"greenhouse"
	"greenhouse/sim"
)

// TestStuckHeaterIsFound welds the heater shut on a cold night: people are told,
// vents open early, and all is as before once it is mended.
func TestStuckHeaterIsFound(t *testing.T) {
	g := newGrower(t, sim.Hobby30(), time.Date(2026, 2, 20, 19, 0, 0, 0, time.UTC), 4, "air_temp", "air_rh", "outside_temp", "outside_rh", "wind_speed", "rain", "solar", "heater", "vent")
	g.target(greenhouse.Heating, 16, 16)
	g.target(greenhouse.Venting, 22, 22)
	g.live(3*time.Hour, false)
	if g.alarm("heater_stuck_on") {
		t.Fatal("a quiet night is taken for a fault")
	}
	g.welded = true
	g.live(40*time.Minute, false)
	if !g.alarm("heater_stuck_on") {
		t.Fatal("nobody is told")
	}
	if g.level("vent") < 0.05 {
		t.Errorf("vents are %.2f open at %.1f °C", g.level("vent"), g.climate.Air)
	}
	g.warmest = 0
	g.live(3*time.Hour, true)
	if g.warmest > 22 {
		t.Errorf("it got %.1f °C", g.warmest)
	}
	g.welded = false
	g.live(2*time.Hour, false)
	if g.alarm("heater_stuck_on") {
		t.Error("the alarm stays when it is mended")
	}
}

// TestWarmingHasManyCauses never takes for a stuck heater what sun, lamps, warm
// weather and shut vents do.
func TestWarmingHasManyCauses(t *testing.T) {
	for _, c := range []struct {
		name  string
		start time.Time
		set   func(h *house, minute float64)
	}{
		{"sun", noon(), func(h *house, m float64) { h.set("solar", 300) }},
		{"lamps", midnight(), func(h *house, m float64) { h.levels["lamp"], h.stuck["lamp"] = 1, true }},
		{"weather", midnight(), func(h *house, m float64) { h.set("outside_temp", 30) }},
		{"vents", midnight(), func(h *house, m float64) { h.levels["vent"], h.stuck["vent"] = max(0, 1-m/60), true }},
		{"a screen", midnight(), func(h *house, m float64) { h.levels["screen"], h.stuck["screen"] = min(1, m/60), true }},
	} {
		h := newHouse(t, c.start, "air_temp", "outside_temp", "solar", "heater", "vent", "lamp", "screen")
		h.target(greenhouse.Heating, 10, 10)
		h.target(greenhouse.Venting, 40, 40)
		h.set("outside_temp", 5)
		h.set("solar", 0)
		h.run(time.Hour, func() {
			m := h.now.Sub(c.start).Minutes()
			h.set("air_temp", 15+0.15*m)
			c.set(h, m)
			if h.alarm("heater_stuck_on") {
				t.Fatalf("%s is taken for a stuck heater after %.0f min", c.name, m)
			}
		})
	}
	h := newHouse(t, midnight(), "air_temp", "outside_temp", "solar", "heater", "vent", "lamp", "screen")
	h.target(greenhouse.Heating, 10, 10)
	h.target(greenhouse.Venting, 40, 40)
	h.set("outside_temp", 5)
	h.set("solar", 0)
	h.run(time.Hour, func() { h.set("air_temp", 15+0.15*h.now.Sub(midnight()).Minutes()) })
	if !h.alarm("heater_stuck_on") {
		t.Error("without a cause it is not found")
	}
}

// TestScreenIsDrawnAgainstFrost draws it by day too, fully, as long as frost is near.
func TestScreenIsDrawnAgainstFrost(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "outside_temp", "solar", "heater", "screen")
	h.target(greenhouse.Heating, 12, 12)
	h.set("outside_temp", -2)
	h.set("solar", 200)
	h.set("air_temp", 12)
	h.run(time.Minute, nil)
	h.expect("screen", 0)
	h.set("air_temp", 5.2)
	h.run(time.Minute, nil)
	h.expect("screen", 1)
	h.set("air_temp", 7.5)
	h.run(time.Minute, nil)
	h.expect("screen", 0)
}
