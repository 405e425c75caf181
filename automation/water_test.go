package automation_test

import (
	"testing"
	"time"

	"greenhouse"
)

// forbidden reports whether safety bounds an actuator to off.
func (h *house) forbidden(name string) bool {
	for _, c := range h.want(name).Claims {
		if c.Priority == greenhouse.PrioritySafety && c.Max != nil && *c.Max == 0 {
			return true
		}
	}
	return false
}

// TestWaterIsGuardedInEveryMode keeps pumps from a low tank, the filling from a
// full one, and all of it from a leak, whoever drives.
func TestWaterIsGuardedInEveryMode(t *testing.T) {
	for _, m := range []greenhouse.Mode{greenhouse.ModeAuto, greenhouse.ModeManual, greenhouse.ModeOff} {
		h := newHouse(t, noon(), "level_low", "level_high", "leak", "pump_main", "circulation", "fill_valve", "irrigation_valve", "pump_acid", "lamp")
		for i := range h.in.Sensors {
			h.in.Sensors[i].Point.Kind = greenhouse.Sensor // a leak sensor has a name of its own
		}
		h.zone.Mode = m
		check := func(when string, forbidden ...string) {
			t.Helper()
			for _, name := range []string{"pump_main", "circulation", "fill_valve", "irrigation_valve", "pump_acid", "lamp"} {
				want := false
				for _, f := range forbidden {
					want = want || f == name
				}
				if got := h.forbidden(name); got != want {
					t.Errorf("mode %s, %s: %s forbidden is %v", m, when, name, got)
				}
			}
		}
		h.set("level_low", 0)
		h.set("level_high", 0)
		h.set("leak", 0)
		h.run(10*time.Second, nil)
		check("all well")
		h.set("level_low", 1)
		h.run(5*time.Second, nil)
		check("low", "pump_main", "circulation", "irrigation_valve", "pump_acid")
		h.expect("circulation", 0) // though its safe level is on
		if !h.alarm("tank_low") {
			t.Error("nobody hears of a low tank")
		}
		h.set("level_low", 0)
		h.run(30*time.Second, nil)
		check("a wave", "pump_main", "circulation", "irrigation_valve", "pump_acid")
		h.run(time.Minute, nil)
		check("refilled")
		h.set("level_high", 1)
		h.run(5*time.Second, nil)
		check("full", "fill_valve")
		h.set("level_high", 0)
		h.silent["level_high"] = true
		h.run(10*time.Minute, nil)
		check("nobody tells", "fill_valve")
		h.set("leak", 1)
		h.run(5*time.Second, nil)
		check("leak", "pump_main", "circulation", "fill_valve", "irrigation_valve", "pump_acid")
		if !h.alarm("water_leak") {
			t.Error("nobody hears of a leak")
		}
	}
}

// TestBurnerNeverRunsAgainstAFan forbids a burner beside a fan that runs by
// whatever cause, and for a minute after it, even to people and to frost.
func TestBurnerNeverRunsAgainstAFan(t *testing.T) {
	for _, m := range []greenhouse.Mode{greenhouse.ModeAuto, greenhouse.ModeManual, greenhouse.ModeMaintenance, greenhouse.ModeOff} {
		h := newHouse(t, midnight(), "air_temp", "heater", "fan")
		h.class("heater", greenhouse.ClassBurner)
		h.zone.Mode = m
		h.target(greenhouse.Heating, 18, 18)
		h.set("air_temp", 10)
		h.run(time.Minute, nil)
		if h.forbidden("heater") {
			t.Errorf("mode %s: forbidden without a fan", m)
		}
		h.stuck["fan"], h.levels["fan"] = true, 1 // somebody drives it
		h.run(5*time.Second, nil)
		if !h.forbidden("heater") {
			t.Errorf("mode %s: a person may light the burner beside the fan", m)
		}
		h.set("air_temp", 3)
		h.run(5*time.Second, nil)
		h.expect("heater", 0)
		h.levels["fan"] = 0
		h.run(50*time.Second, nil)
		h.expect("heater", 0)
		h.run(20*time.Second, nil)
		h.expect("heater", 1) // frost
	}
}
