package automation_test

import (
	"slices"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/automation"
	"greenhouse/sim"
)

// TestOnlyThermometerLeaps changes its unit: no vent is torn open in a frost for
// it, it stays out over a restart, and is heard again when it is back. One that has
// been silent for long may come back anywhere.
func TestOnlyThermometerLeaps(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "outside_temp", "heater", "vent")
	h.target(greenhouse.Heating, 15, 15)
	h.target(greenhouse.Venting, 20, 20)
	h.set("outside_temp", 0)
	say := func(v float64) func() {
		return func() { h.set("air_temp", v+0.1*float64(h.now.Second()%3)) }
	}
	h.run(10*time.Minute, say(15))
	h.run(30*time.Minute, func() {
		say(59)()
		h.expect("vent", 0)
	})
	if !h.alarm("climate_blind") || !h.raised["point/north/air_temp sensor_implausible"].Active || h.accused() {
		t.Errorf("alarms %+v", h.raised)
	}
	if got := h.want("heater").Terms["demand"]; got < 0.1 {
		t.Errorf("asks for %.2f of full heat at 15 K", got)
	}
	kept := h.st.Memory()
	h.st = automation.State{}
	h.st.Restore(kept)
	h.run(10*time.Minute, func() {
		say(59)()
		h.expect("vent", 0)
	})
	h.run(5*time.Minute, say(13))
	if h.alarm("climate_blind") || h.last.Climate.Air < 12 {
		t.Errorf("%.1f °C, blind %v when it is back", h.last.Climate.Air, h.alarm("climate_blind"))
	}
	h.silent["air_temp"] = true
	h.run(10*time.Minute, nil)
	h.silent["air_temp"] = false
	h.run(5*time.Minute, say(32))
	if h.last.Climate.Air < 31 {
		t.Errorf("%.1f °C of a thermometer that was exchanged", h.last.Climate.Air)
	}
}

// accused reports whether the only thermometer is said to drift.
func (h *house) accused() bool { return h.raised["point/north/air_temp sensor_drift"].Active }

// TestOnlyThermometerStandsStill freezes the temperature alone, humidity goes on:
// the house is kept from the frost, and the sensor is heard again once it moves.
// Where heat holds the air so well that it stands, nothing is said.
func TestOnlyThermometerStandsStill(t *testing.T) {
	g := nightly(t, 3)
	g.coldest = 100
	g.sensors["air_temp"] = nil
	delete(g.sensors, "air_temp")
	for range 5 {
		g.live(time.Hour, true)
	}
	if !g.alarm("sensor_frozen") || !slices.Contains(g.last.Doubted, "north/air_temp") || g.coldest < 3 {
		t.Fatalf("%.1f °C at least, %.1f °C now, alarm %v, doubted %v", g.coldest, g.climate.Air, g.alarm("sensor_frozen"), g.last.Doubted)
	}
	kept := g.st.Memory()
	g.st = automation.State{}
	g.st.Restore(kept)
	g.live(10*time.Minute, false)
	if !g.alarm("sensor_frozen") {
		t.Error("believed again after a restart")
	}
	g.sensors["air_temp"] = sim.NewSensor(sim.StandardSensor("air_temp"), 3, "new")
	g.live(30*time.Minute, false)
	if g.alarm("sensor_frozen") || g.alarm("climate_blind") {
		t.Error("not heard again when it moves")
	}

	h := newHouse(t, midnight(), "air_temp", "outside_temp", "heater", "vent")
	h.target(greenhouse.Heating, 15, 15)
	h.set("outside_temp", 5)
	h.set("air_temp", 15)
	h.st.Restore(automation.Memory{Loss: 0.04, LossOf: 100})
	h.stuck["heater"], h.levels["heater"] = true, 0.4
	h.run(6*time.Hour, func() {
		if h.alarm("sensor_frozen") {
			t.Fatal("steady air is taken for a frozen thermometer")
		}
	})
}
