package automation_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/automation"
)

// warming has the air of a dark, shut house grow warmer by that much a minute.
func (h *house) warming(d time.Duration, from, rate float64, each func()) {
	began := h.now
	h.run(d, func() {
		h.set("air_temp", from+rate*h.now.Sub(began).Minutes())
		if each != nil {
			each()
		}
	})
}

// mastered returns a house with a master contactor before its heater, on a cold
// night.
func mastered(t *testing.T) *house {
	h := newHouse(t, midnight(), "air_temp", "outside_temp", "heater", "heater_master", "vent")
	h.target(greenhouse.Heating, 12, 12)
	h.target(greenhouse.Venting, 30, 30)
	h.set("outside_temp", 0)
	h.set("air_temp", 14)
	h.run(10*time.Minute, nil)
	h.expect("heater_master", 1)
	return h
}

// TestMasterCutsAStuckHeater finds heat that nobody ordered and cuts it. The
// master stays cut, over a restart too, closes only near the frost, and is given
// back by maintenance alone.
func TestMasterCutsAStuckHeater(t *testing.T) {
	h := mastered(t)
	h.warming(12*time.Minute, 14, 0.2, nil)
	h.expect("heater_master", 0)
	if !h.alarm("heater_cut") || !h.alarm("heater_stuck_on") {
		t.Fatalf("nobody is told: %+v", h.raised)
	}
	h.set("air_temp", 9) // it cools, and heat would be wanted
	h.run(time.Hour, func() { h.expect("heater_master", 0); h.expect("heater", 0) })
	kept, err := json.Marshal(h.st.Memory())
	if err != nil {
		t.Fatal(err)
	}
	var m automation.Memory
	if err := json.Unmarshal(kept, &m); err != nil {
		t.Fatal(err)
	}
	h.st = automation.State{}
	h.st.Restore(m)
	h.run(time.Minute, func() { h.expect("heater_master", 0); h.expect("heater", 0) })
	h.set("air_temp", 6.3)
	h.run(time.Minute, nil)
	h.expect("heater_master", 1)
	h.expect("heater", 0)
	h.set("air_temp", 7.6)
	h.run(time.Minute, nil)
	h.expect("heater_master", 0)
	h.set("air_temp", 3.9)
	h.run(time.Minute, nil)
	h.expect("heater_master", 1)
	h.expect("heater", 1)
	h.set("air_temp", 9)
	h.silent["air_temp"] = true
	h.run(20*time.Minute, nil)
	h.expect("heater_master", 0)
	h.silent["air_temp"] = false
	h.zone.Mode = greenhouse.ModeMaintenance
	h.run(10*time.Second, nil)
	h.expect("heater_master", 0)
	h.zone.Mode = greenhouse.ModeAuto
	h.run(10*time.Second, nil)
	h.expect("heater_master", 1)
	if h.alarm("heater_cut") {
		t.Error("the alarm stays after maintenance")
	}
}

// TestMasterClosesWhereItWasNotTheHeater has the air go on warming without it.
func TestMasterClosesWhereItWasNotTheHeater(t *testing.T) {
	h := mastered(t)
	cuts, was := 0, 1.0
	h.warming(2*time.Hour, 14, 0.12, func() {
		if now := h.level("heater_master"); now != was {
			if was = now; now == 0 {
				cuts++
			}
		}
	})
	if cuts != 1 || was != 1 {
		t.Errorf("%d cuts, in the end it is %g", cuts, was)
	}
}

// TestMasterServesEveryMode is on while people drive by hand, off when the zone
// is, and never in the way of the frost; the heat limit opens it.
func TestMasterServesEveryMode(t *testing.T) {
	for _, c := range []struct {
		mode greenhouse.Mode
		air  float64
		want float64
	}{
		{greenhouse.ModeAuto, 14, 1}, {greenhouse.ModeManual, 14, 1}, {greenhouse.ModeOff, 14, 0}, {greenhouse.ModeMaintenance, 14, 0},
		{greenhouse.ModeAuto, 3, 1}, {greenhouse.ModeOff, 3, 1}, {greenhouse.ModeMaintenance, 3, 1}, {greenhouse.ModeManual, 36, 0}, {greenhouse.ModeAuto, 36, 0},
	} {
		h := mastered(t)
		h.zone.Mode = c.mode
		h.warming(10*time.Minute, 14, (c.air-14)/10, nil) // no thermometer is believed that leaps
		h.set("air_temp", c.air)
		h.run(2*time.Minute, nil)
		if got := h.level("heater_master"); math.Abs(got-c.want) > 0.01 {
			t.Errorf("mode %s at %.0f °C: %g, want %g", c.mode, c.air, got, c.want)
		}
	}
}
