package automation_test

import (
	"encoding/json"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/automation"
)

// restart gives the zone to another run, with what the last one kept on disk.
func (h *house) restart() {
	h.t.Helper()
	raw, err := json.Marshal(h.st.Memory())
	if err != nil {
		h.t.Fatal(err)
	}
	var back automation.Memory
	if err := json.Unmarshal(raw, &back); err != nil {
		h.t.Fatal(err)
	}
	h.st = automation.State{}
	h.st.Restore(back)
	h.now = h.now.Add(30 * time.Second)
}

// TestFrozenSensorStaysSoOverARestart: nobody has to wait again for what took half
// an hour to find, and the sensor is believed again as soon as it moves.
func TestFrozenSensorStaysSoOverARestart(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_rh", "heater")
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 12)
	h.set("air_rh", 70)
	h.run(23*time.Minute, nil)
	h.restart()
	h.step()
	if len(h.last.Doubted) != 2 || h.level("heater") == 1 {
		t.Errorf("at the first decision: doubted %v, heater %v", h.last.Doubted, h.level("heater"))
	}
	h.run(3*time.Minute, func() { h.expect("heater", 0) })
	if !h.alarm("sensor_frozen") {
		t.Error("the alarm does not come back")
	}
	h.restart()
	h.set("air_temp", 12.1)
	h.run(3*time.Minute, nil)
	if h.alarm("sensor_frozen") || len(h.last.Doubted) > 0 {
		t.Error("it has moved and is doubted still")
	}
	h.expect("heater", 1)
	h.restart()
	h.run(3*time.Minute, nil)
	if len(h.last.Doubted) > 0 || h.st.Memory().Doubts != nil {
		t.Error("what is well again is doubted after a restart")
	}
}

// TestLeapSurvivesARestart: the thermometer that leapt is out, also when the other
// is lost, until they agree.
func TestLeapSurvivesARestart(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_temp.2", "outside_temp", "heater", "vent")
	h.target(greenhouse.Heating, 15, 15)
	h.target(greenhouse.Venting, 20, 20)
	h.set("outside_temp", 3)
	h.set("air_temp", 15)
	h.set("air_temp.2", 15.4)
	h.run(5*time.Minute, nil)
	h.set("air_temp", 59)
	h.run(5*time.Minute, nil)
	h.restart()
	h.run(10*time.Minute, func() { h.expect("vent", 0) })
	if got := h.last.Climate.Air; got != 15.4 {
		t.Errorf("air %v, want that of the other", got)
	}
	h.silent["air_temp.2"] = true
	h.restart()
	h.run(10*time.Minute, func() { h.expect("vent", 0) })
	h.silent["air_temp.2"] = false
	h.set("air_temp", 15.1)
	h.run(5*time.Minute, nil)
	h.restart()
	h.run(5*time.Minute, nil)
	if got := h.last.Climate.Air; got != 15.25 {
		t.Errorf("air %v, want the mean of both again", got)
	}
}

// TestOtherDoubtsSurviveARestart: a humidity at the end of its scale, gas that
// raises nothing and a sensor far from the others are not begun anew.
func TestOtherDoubtsSurviveARestart(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "air_temp.2", "air_temp.3", "air_rh", "co2", "solar", "co2_valve", "vent", "heater")
	h.target(greenhouse.Heating, 15, 15)
	h.target(greenhouse.HumidityMax, 85, 85)
	h.target(greenhouse.TargetCO2, 900, 900)
	for name, v := range map[string]float64{"air_temp": 18, "air_temp.2": 18, "air_temp.3": 24, "air_rh": 100, "co2": 400, "solar": 400} {
		h.set(name, v)
	}
	h.run(4*time.Hour, nil)
	if !h.alarm("humidity_saturated") || h.raised["point/north/air_temp.3 sensor_drift"].Active {
		t.Fatalf("alarms %+v", h.raised)
	}
	locked := h.alarm("co2_no_effect")
	kept := h.st.Memory().Doubts
	if kept == nil || kept.RHStood < 3600 || kept.ApartS["north/air_temp.3"] < 3*3600 || locked != (kept.NoGas > 0) {
		t.Fatalf("kept %+v, locked %v", kept, locked)
	}
	h.restart()
	h.run(2*time.Minute, nil)
	if !h.alarm("humidity_saturated") {
		t.Error("a humidity that stood at 100 % for hours is believed for another hour")
	}
	if got := h.st.Memory().Doubts; got.NoGas > kept.NoGas || kept.NoGas > 300 && got.NoGas < kept.NoGas-300 {
		t.Errorf("dosing rests for %d s more, it was %d s before a restart", got.NoGas, kept.NoGas)
	}
	h.run(2*time.Hour, nil)
	if !h.raised["point/north/air_temp.3 sensor_drift"].Active {
		t.Error("the six hours of drift begin anew")
	}
	h.set("air_rh", 70)
	h.set("air_temp.3", 18)
	h.run(5*time.Minute, nil)
	if got := h.st.Memory().Doubts; got != nil && (got.RHStood != 0 || got.ApartS != nil) {
		t.Errorf("all is well again and %+v is kept", got)
	}
}

// TestDoubtsThatMakeNoSense: what stands in the file is not believed beyond reason.
func TestDoubtsThatMakeNoSense(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "air_rh", "co2", "co2_valve", "heater")
	h.target(greenhouse.Heating, 15, 15)
	h.set("air_temp", 14)
	h.set("air_rh", 70)
	h.st.Restore(automation.Memory{Doubts: &automation.Doubts{Frozen: &automation.FrozenPair{Air: "north/gone", RH: "north/air_rh", RHAt: 70}, NoGas: 1 << 40, RHStood: -5,
		ApartS: map[greenhouse.PointID]int64{"north/air_temp": 1 << 40}, Pair: map[greenhouse.PointID]automation.Leaper{"north/air_temp": {Leapt: true}}}})
	h.run(2*time.Minute, nil)
	if len(h.last.Doubted) != 0 || h.alarm("sensor_frozen") || h.alarm("climate_blind") {
		t.Errorf("doubted %v", h.last.Doubted)
	}
	if got := h.st.Memory().Doubts; got != nil && got.NoGas > 6*3600 {
		t.Errorf("dosing is locked for %d s", got.NoGas)
	}
}
