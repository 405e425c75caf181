package automation_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/automation"
)

// mild sets weather that limits nothing.
func (h *house) mild(outside, rh float64) {
	h.set("outside_temp", outside)
	h.set("outside_rh", rh)
	h.set("wind_speed", 1)
	h.set("rain", 0)
}

func TestDryingHeatsAndVents(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "air_rh", "outside_temp", "outside_rh", "wind_speed", "rain", "heater", "vent")
	h.target(greenhouse.Heating, 18, 18)
	h.target(greenhouse.HumidityMax, 85, 85)
	h.mild(8, 80)
	h.set("air_temp", 18.1)
	h.set("air_rh", 80)
	h.run(3*time.Minute, nil)
	h.expect("vent", 0)
	h.expect("heater", 0)
	h.set("air_rh", 93) // demand 1
	heated := 0.0       // in proportion, so not at every moment
	h.run(9*time.Minute, func() { heated += h.level("heater") * 5 })
	if got := h.last.Climate.HeatBelow; got != 19.5 {
		t.Errorf("heats below %v, want 19.5", got)
	}
	if heated < 90 {
		t.Errorf("heated for %v s of nine minutes", heated)
	}
	h.expect("vent", 0.1)
	if got := h.reason("vent", "humidity"); !strings.Contains(got, "93 %") {
		t.Errorf("reason %q", got)
	}
	h.mild(18, 100) // outside is as wet: heat alone
	h.run(3*time.Minute, nil)
	if got := h.want("heater").Terms["demand"]; got < 0.3 {
		t.Errorf("asks for %.2f of full heat where venting dries nothing", got)
	}
	h.expect("vent", 0)
}

func TestDryingHasABudget(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_rh", "heater")
	h.target(greenhouse.Heating, 18, 18)
	h.target(greenhouse.HumidityMax, 85, 85)
	h.zone.Control.HeaterWM2 = 250
	h.set("air_temp", 18.1)
	h.set("air_rh", 95)
	h.run(3*time.Hour, func() { h.set("air_temp", 18.1+0.01*float64(h.now.Second()%2)) })
	if got := h.last.Climate.HeatBelow; got != 18 || !h.alarm("humidity_limited") {
		t.Errorf("heats below %v with the budget spent, alarm %v", got, h.alarm("humidity_limited"))
	}
}

func TestWetCropIsDried(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "air_rh", "leaf_temp", "outside_temp", "outside_rh", "wind_speed", "rain", "heater", "vent")
	h.target(greenhouse.Heating, 18, 18)
	h.target(greenhouse.HumidityMax, 95, 95)
	h.mild(5, 70)
	h.set("air_temp", 18)
	h.set("air_rh", 88) // dew point 16 °C
	h.set("leaf_temp", 16.2)
	h.run(40*time.Minute, func() { h.set("air_temp", 18+0.1*float64(h.now.Minute()%2)) })
	if got := h.last.Climate.Drying; got < 0.8 {
		t.Errorf("demand %v with leaves at the dew point", got)
	}
	if !h.alarm("crop_wet") {
		t.Error("no alarm")
	}
}

func TestFanHouseIsPurged(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_rh", "outside_temp", "outside_rh", "heater", "fan")
	h.class("heater", greenhouse.ClassBurner)
	h.target(greenhouse.Heating, 18, 18)
	h.target(greenhouse.HumidityMax, 85, 85)
	h.mild(5, 70)
	h.set("air_temp", 17)
	h.set("air_rh", 92)
	on, starts, was := 0, 0, 0.0
	h.run(2*time.Hour, func() {
		h.set("air_temp", 17+0.1*float64(h.now.Minute()%2))
		level := h.level("fan")
		if level > 0 {
			on++
			if h.level("heater") > 0 {
				t.Fatal("the burner is lit against the fan")
			}
		}
		if level > was {
			starts++
		}
		was = level
	})
	if minutes := float64(on) * 5 / 60; starts != 6 || minutes < 15 || minutes > 20 {
		t.Errorf("%d purges, %.0f minutes in two hours", starts, minutes)
	}
}

func TestCO2FollowsLightAndVents(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "co2", "solar", "wind_speed", "rain", "vent", "fan", "co2_valve")
	h.target(greenhouse.Venting, 24, 24)
	h.target(greenhouse.TargetCO2, 900, 900)
	h.mild(10, 70)
	h.set("air_temp", 20)
	h.set("co2", 430)
	h.set("solar", 400)
	h.run(time.Minute, nil)
	h.expect("co2_valve", 1)
	h.set("solar", 40)
	h.run(time.Minute, nil)
	h.expect("co2_valve", 0)
	if got := h.reason("co2_valve", "co2"); !strings.Contains(got, "light") {
		t.Errorf("reason %q", got)
	}
	h.set("solar", 400)
	h.set("air_temp", 26)
	h.run(5*time.Minute, nil)
	h.expect("co2_valve", 0)
	if c, ok := h.claim("co2_valve", "venting"); !ok || !c.Bound() || c.Priority != greenhouse.PriorityInterlock {
		t.Errorf("no interlock with vents at %.2f: %+v", h.level("vent"), c)
	}
	h.set("air_temp", 20)
	h.run(10*time.Minute, nil)
	h.expect("co2_valve", 1)
	h.set("co2", 1700)
	h.run(time.Minute, nil)
	h.expect("co2_valve", 0)
	h.silent["co2"] = true
	h.set("co2", 600)
	h.run(7*time.Minute, nil)
	if c, ok := h.claim("co2_valve", "co2"); !ok || c.Priority != greenhouse.PrioritySafety || c.Value != 0 {
		t.Errorf("dosing without a reading: %+v", c)
	}
}

func TestDosingWithoutEffectIsLocked(t *testing.T) {
	h := newHouse(t, noon(), "co2", "co2_valve")
	h.target(greenhouse.TargetCO2, 900, 900)
	h.set("co2", 430)
	h.run(20*time.Minute, nil)
	h.expect("co2_valve", 0)
	if !h.alarm("co2_no_effect") {
		t.Error("no alarm")
	}
	h.run(6*time.Hour, nil)
	h.run(time.Minute, nil)
	if h.alarm("co2_no_effect") && h.reason("co2_valve", "co2") == "" {
		t.Error("locked for ever")
	}
}

func TestLeakingValveIsNoticed(t *testing.T) {
	h := newHouse(t, midnight(), "co2", "co2_valve")
	h.target(greenhouse.TargetCO2, 900, 900)
	ppm := 500.0
	h.run(10*time.Minute, func() {
		ppm += 6 // 72 a minute
		h.set("co2", ppm)
	})
	if !h.alarm("co2_leak") {
		t.Error("no alarm")
	}
}

func TestLampsGiveWhatTheSunLeaves(t *testing.T) {
	h := newHouse(t, time.Date(2026, 1, 15, 6, 0, 0, 0, time.UTC), "solar", "lamp")
	h.target(greenhouse.DLI, 12, 12)
	h.zone.DayFrom, h.zone.DayUntil, h.zone.Control.LampPPFD = "04:00", "22:00", 200
	h.set("solar", 0)
	h.run(time.Minute, nil)
	h.expect("lamp", 1)
	h.set("solar", 500)
	h.run(6*time.Hour, nil) // 13.6 mol/m²
	h.expect("lamp", 0)
	if got := h.last.Climate.DLI; got < 12 {
		t.Errorf("counted %.1f mol/m²", got)
	}
	h.set("solar", 0)
	h.run(3*time.Hour, nil)
	h.expect("lamp", 0) // it has enough
	h.run(8*time.Hour, nil)
	h.expect("lamp", 0) // night
	if got := h.reason("lamp", "light"); !strings.Contains(got, "night") {
		t.Errorf("reason %q", got)
	}
}

func TestMistComesInPulsesByDay(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "air_rh", "mister")
	h.target(greenhouse.HumidityMax, 85, 85)
	h.set("air_temp", 30)
	h.set("air_rh", 40)
	on, starts, was := 0, 0, 0.0
	h.run(10*time.Minute, func() {
		level := h.level("mister")
		on += int(level)
		if level > was {
			starts++
		}
		was = level
	})
	if starts < 7 || starts > 10 || on*5 > 110 {
		t.Errorf("%d pulses, %d s in ten minutes", starts, on*5)
	}
	h.now = midnight()
	h.run(time.Minute, nil)
	h.expect("mister", 0)
}

func TestScreensSaveHeatByNight(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_rh", "outside_temp", "heater", "screen")
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 18)
	h.set("air_rh", 70)
	h.set("outside_temp", -2)
	h.run(time.Minute, nil)
	h.expect("screen", 1)
	h.set("outside_temp", 14)
	h.run(time.Minute, nil)
	h.expect("screen", 0)
	h.set("outside_temp", -2)
	h.now = h.now.Add(12 * time.Hour)
	h.run(time.Minute, nil)
	h.expect("screen", 0)
}

func TestFrozenSensorIsNotUsed(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_rh", "heater")
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 12)
	h.set("air_rh", 70)
	h.run(23*time.Minute, nil)
	if !h.alarm("sensor_frozen") {
		t.Error("a sensor that stands still at full heat is believed")
	}
	h.expect("heater", 0)
	h.set("air_temp", 12.1)
	h.run(3*time.Minute, nil)
	h.expect("heater", 1)
}

func TestFlatLineAloneIsNoFault(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_rh", "heater", "vent")
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 18.1)
	h.set("air_rh", 70)
	h.run(3*time.Hour, nil)
	if h.alarm("sensor_frozen") || h.alarm("climate_blind") {
		t.Error("a quiet night is taken for a fault")
	}
}

func TestPauseIntegratesNothing(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "heater")
	h.class("heater", greenhouse.ClassHeaterSSR)
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 17.5)
	h.run(2*time.Minute, nil)
	before := h.want("heater").Terms["i"]
	h.now = h.now.Add(3 * time.Hour)
	h.step()
	if after := h.want("heater").Terms["i"]; math.Abs(after-before) > 0.01 {
		t.Errorf("the integral went from %v to %v over a pause", before, after)
	}
}

func TestAlarmsAreToldOnChangeAndOnceAMinute(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "heater")
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 18)
	told := 0
	h.run(10*time.Minute, func() {
		if len(h.last.Conditions) > 0 {
			told++
		}
	})
	if told < 10 || told > 11 {
		t.Errorf("conditions were told %d times in ten quiet minutes", told)
	}
	h.set("air_temp", 3)
	h.run(25*time.Second, nil)
	if !h.alarm("frost_protection") {
		t.Error("frost was not told at once")
	}
}

func TestDecisionsStayGoodForOneMore(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "heater")
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 17)
	h.run(time.Minute, nil)
	kept := h.want("heater")
	error1, age := kept.Terms["error"], len(kept.Inputs)
	h.set("air_temp", 16.5)
	h.run(5*time.Second, nil)
	if kept.Terms["error"] != error1 || len(kept.Inputs) != age || kept.Inputs[0].Value != 17 {
		t.Errorf("the last decision was written over: %+v", kept)
	}
	if got := h.want("heater").Terms["error"]; got != 1.5 {
		t.Errorf("error %v, want 1.5", got)
	}
}

func TestRestartKeepsTheDay(t *testing.T) {
	start := time.Date(2026, 1, 15, 6, 0, 0, 0, time.UTC)
	h := newHouse(t, start, "solar", "lamp")
	h.set("solar", 300)
	h.run(4*time.Hour, nil)
	kept := h.st.Memory()
	raw, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	var back automation.Memory
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	again := newHouse(t, h.now, "solar", "lamp")
	again.st.Restore(back)
	again.set("solar", 300)
	again.run(time.Minute, nil)
	if got, want := again.last.Climate.DLI, kept.DLI; got < want || got > want+0.1 {
		t.Errorf("the light sum is %v after a restart, it was %v", got, want)
	}
	next := newHouse(t, h.now.Add(24*time.Hour), "solar", "lamp")
	next.st.Restore(back)
	next.run(time.Minute, nil)
	if got := next.last.Climate.DLI; got > 0.01 {
		t.Errorf("the next day begins with %v", got)
	}
}

func TestDriftingSensorIsOutvotedAndAlarmed(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_temp.2", "air_temp.3", "heater")
	h.target(greenhouse.Heating, 18, 18)
	drift := 0.0
	h.run(12*time.Hour, func() {
		drift += 0.5 * 5 / 3600
		h.set("air_temp", 18)
		h.set("air_temp.2", 18.1)
		h.set("air_temp.3", 18+drift)
		if got := h.last.Climate.Air; !math.IsNaN(got) && (got < 18 || got > 18.1) {
			t.Fatalf("the vote is %v", got)
		}
	})
	if !h.raised["point/north/air_temp.3 sensor_drift"].Active || h.raised["point/north/air_temp.2 sensor_drift"].Active {
		t.Errorf("alarms %+v", h.raised)
	}
	if h.alarm("sensors_disagree") {
		t.Error("three sensors cannot disagree: the median decides")
	}
}

func TestClockSetBackOverMidnightKeepsTheSum(t *testing.T) {
	h := newHouse(t, time.Date(2026, 1, 15, 23, 50, 0, 0, time.UTC), "solar", "lamp")
	h.set("solar", 300)
	h.run(15*time.Minute, nil) // into the 16th
	after := h.last.Climate.DLI
	h.now = h.now.Add(-20 * time.Minute) // it was the 15th after all
	h.run(30*time.Minute, nil)
	if got := h.last.Climate.DLI; got < after+0.1 {
		t.Errorf("the light sum fell from %v to %v", after, got)
	}
}

func TestOutsideAirOfUnknownHumidityCountsAsWet(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "air_rh", "outside_temp", "vent")
	h.target(greenhouse.Venting, 25, 25)
	h.target(greenhouse.HumidityMax, 80, 80)
	h.set("air_temp", 18)
	h.set("air_rh", 90)
	h.set("outside_temp", 17.5) // saturated it holds more than the air inside
	h.run(2*time.Minute, nil)
	h.expect("vent", 0)
	h.set("outside_temp", 8)
	h.run(10*time.Minute, nil)
	h.expect("vent", 0.1)
}

func TestPointWithoutANodeIsNotHeard(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_temp.2", "heater")
	h.in.Sensors[1].Point.Node = ""
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 15)
	h.set("air_temp.2", 30)
	h.run(3*time.Minute, nil)
	h.expect("heater", 1)
	if got := h.last.Climate.Air; got != 15 {
		t.Errorf("air %v, want 15", got)
	}
}

func TestFrostAndHeatAtOnceAreNeither(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_temp.2", "heater", "vent")
	h.set("air_temp", 2)
	h.set("air_temp.2", 40)
	h.run(time.Minute, func() {
		for _, w := range h.last.Wants {
			if len(w.Claims) != 2 && len(w.Claims) != 1 || w.Claims[0].Priority == greenhouse.PrioritySafety {
				t.Fatalf("%s claims %+v", w.Point, w.Claims)
			}
		}
	})
}

func TestMaintenanceHoldsAlarmsBack(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_temp.2", "heater")
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 15)
	h.set("air_temp.2", 20)
	h.run(3*time.Minute, nil)
	if !h.alarm("sensors_disagree") {
		t.Fatal("no alarm to hold back")
	}
	h.zone.Mode = greenhouse.ModeMaintenance
	h.run(10*time.Second, nil)
	if h.alarm("sensors_disagree") {
		t.Error("the alarm stays in maintenance")
	}
	h.set("air_temp", 3)
	h.set("air_temp.2", 3)
	h.run(time.Minute, nil)
	if !h.alarm("frost_protection") {
		t.Error("frost is held back as well")
	}
}

func TestNewParametersDoNotJump(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "heater")
	h.class("heater", greenhouse.ClassHeaterSSR)
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 17.4)
	h.run(10*time.Minute, nil)
	before := h.want("heater").Terms["demand"]
	h.zone.Control.HeatKp = 0.05
	h.run(5*time.Second, nil)
	if after := h.want("heater").Terms["demand"]; math.Abs(after-before) > 0.01 {
		t.Errorf("the demand jumps from %v to %v", before, after)
	}
}

// TestDryingByHumidityDeficit raises heating where the air can take up less water
// than is wanted of it.
func TestDryingByHumidityDeficit(t *testing.T) {
	for _, c := range []struct{ rh, want float64 }{{70, 18}, {85, 18.6}, {95, 19.5}} { // deficits of 4.6, 2.3 and 0.8 g/m³
		h := newHouse(t, noon(), "air_temp", "air_rh", "heater")
		h.target(greenhouse.Heating, 18, 18)
		h.target(greenhouse.TargetHD, 2.7, 2.7)
		h.set("air_temp", 18)
		h.set("air_rh", c.rh)
		h.run(time.Minute, nil)
		if got := h.last.Climate.HeatBelow; math.Abs(got-c.want) > 0.15 {
			t.Errorf("at %.0f %% it heats below %.1f, want %.1f", c.rh, got, c.want)
		}
	}
}

// TestDosingHasABudget gives no hour more CO₂ than it may have, though the house
// leaks and never comes to its target.
func TestDosingHasABudget(t *testing.T) {
	h := newHouse(t, noon(), "co2", "solar", "co2_valve")
	h.target(greenhouse.TargetCO2, 900, 900)
	h.set("solar", 500)
	h.zone.Control.CO2Gives, h.zone.Control.CO2Most = 20, 5
	ppm, hour, dosed := 420.0, []float64{}, 0.0
	for range 5 {
		was := dosed
		h.run(time.Hour, func() {
			h.set("co2", ppm)
			ppm -= (ppm - 420) * 0.02 // the house leaks
			if h.level("co2_valve") > 0 {
				dosed += 20.0 * 5 / 3600
				ppm += 12
			}
		})
		hour = append(hour, dosed-was)
	}
	for i, g := range hour {
		if g > 5 || i > 0 && g < 3 {
			t.Errorf("hour %d: %.2f g/m², want nearly 5 and no more", i, g)
		}
	}
	if !h.alarm("co2_budget") {
		t.Error("nobody is told")
	}
}

// TestCO2IsDosedByAGoodReadingAlone shuts the valve at the first reading that is
// not good, though the last value would stand in for other purposes.
func TestCO2IsDosedByAGoodReadingAlone(t *testing.T) {
	h := newHouse(t, noon(), "co2", "co2_valve")
	h.target(greenhouse.TargetCO2, 900, 900)
	h.set("co2", 430)
	h.run(time.Minute, nil)
	h.expect("co2_valve", 1)
	h.quality["co2"] = greenhouse.Bad
	h.run(5*time.Second, nil)
	h.expect("co2_valve", 0)
	if c, ok := h.claim("co2_valve", "co2"); !ok || c.Priority != greenhouse.PrioritySafety || !c.Urgent {
		t.Errorf("the valve does not shut for safety: %+v", c)
	}
	delete(h.quality, "co2")
	h.run(2*time.Minute, func() { h.set("co2", 430+float64(h.now.Second()%7)) })
	h.expect("co2_valve", 1)
}

// TestCO2SensorThatCalibratedItselfWrongly: no air holds less than 350 ppm.
func TestCO2SensorThatCalibratedItselfWrongly(t *testing.T) {
	h := newHouse(t, noon(), "co2", "co2_valve")
	h.target(greenhouse.TargetCO2, 900, 900)
	h.set("co2", 400)
	h.run(time.Minute, nil)
	h.expect("co2_valve", 1)
	h.set("co2", 349)
	h.run(time.Minute, nil)
	h.expect("co2_valve", 0)
	if !h.alarm("co2_implausible") || !strings.Contains(h.reason("co2_valve", "co2"), "349") {
		t.Errorf("alarm %v, reason %q", h.alarm("co2_implausible"), h.reason("co2_valve", "co2"))
	}
	h.set("co2", 360) // not enough
	h.run(time.Minute, nil)
	h.expect("co2_valve", 0)
	h.set("co2", 375)
	h.run(2*time.Minute, nil)
	h.expect("co2_valve", 1)
	if h.alarm("co2_implausible") {
		t.Error("the alarm stays")
	}
}

// TestCO2DangerEndsByAReadingAlone: people are warned at 2,500 ppm; from 5,000 on
// the valve is shut and the fan runs, in every mode, and a sensor that is lost
// meanwhile makes nobody safe.
func TestCO2DangerEndsByAReadingAlone(t *testing.T) {
	for _, mode := range []greenhouse.Mode{greenhouse.ModeAuto, greenhouse.ModeManual, greenhouse.ModeMaintenance, greenhouse.ModeOff} {
		h := newHouse(t, noon(), "co2", "co2_valve", "fan")
		h.zone.Mode = mode
		h.set("co2", 2490)
		h.run(2*time.Minute, nil)
		if h.alarm("co2_high") {
			t.Errorf("%s: warned at 2,490 ppm", mode)
		}
		h.set("co2", 2510)
		h.run(time.Minute, nil)
		if quiet := mode == greenhouse.ModeMaintenance; h.alarm("co2_high") == quiet {
			t.Errorf("%s: warned %v at 2,510 ppm", mode, h.alarm("co2_high"))
		}
		h.expect("fan", 0)
		for ppm := 2510.0; ppm < 5000; ppm += 30 { // as fast as is believed
			h.set("co2", ppm)
			h.run(5*time.Second, nil)
		}
		h.set("co2", 5001)
		h.run(time.Minute, nil)
		h.expect("fan", 1)
		h.expect("co2_valve", 0)
		h.silent["co2"] = true
		h.run(20*time.Minute, nil)
		h.expect("fan", 1)
		h.expect("co2_valve", 0)
		if !h.alarm("co2_dangerous") {
			t.Errorf("%s: the sensor is lost and nobody is in danger any more", mode)
		}
		delete(h.silent, "co2")
		h.set("co2", 4800)
		h.run(2*time.Minute, nil)
		h.expect("fan", 0)
		if h.alarm("co2_dangerous") {
			t.Errorf("%s: the danger does not end", mode)
		}
	}
}

// TestHeaterInFixedCycles starts a contactor at the beginning of each cycle and
// at no other time.
func TestHeaterInFixedCycles(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_temp.2", "heater", "heater.2")
	h.target(greenhouse.Heating, 18, 18)
	h.zone.Control.HeatCycleS = 600
	began, first, starts, was := h.now, time.Time{}, 0, 0.0
	h.run(6*time.Hour, func() {
		air := 17.2 + 0.1*float64(h.now.Minute()%2)
		h.set("air_temp", air)
		h.set("air_temp.2", air)
		level := h.level("heater")
		if level > was && h.now.Sub(began) > 30*time.Minute {
			if first.IsZero() {
				first = h.now
			}
			if off := h.now.Sub(first) % (10 * time.Minute); off > 10*time.Second && off < 10*time.Minute-10*time.Second {
				t.Errorf("a start %s into a cycle", off)
			}
			starts++
		}
		was = level
	})
	if starts < 3 || starts > 36 {
		t.Errorf("%d starts in six hours of cycles of ten minutes", starts)
	}
}

// TestSaturatedHumidityLeavesAMorningPurge: a sensor at the end of its scale costs
// no night of heating, and the air is changed after sunrise all the same.
func TestSaturatedHumidityLeavesAMorningPurge(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_rh", "outside_temp", "outside_rh", "wind_speed", "rain", "heater", "vent")
	h.target(greenhouse.Heating, 16, 16)
	h.target(greenhouse.HumidityMax, 85, 85)
	h.mild(5, 80)
	h.set("air_rh", 100)
	rise, _, _ := automation.SunTimes(h.now, h.site.Latitude, h.site.Longitude)
	h.run(2*time.Hour, func() { h.set("air_temp", 16.2+0.1*float64(h.now.Minute()%2)) })
	if !h.alarm("humidity_saturated") {
		t.Fatal("nobody is told")
	}
	var early, purge, late time.Duration
	h.run(9*time.Hour, func() {
		h.set("air_temp", 16.2+0.1*float64(h.now.Minute()%2))
		if h.level("vent") < 0.05 {
			return
		}
		switch since := h.now.Sub(rise); {
		case since < 0:
			early += 5 * time.Second
		case since < 30*time.Minute:
			purge += 5 * time.Second
			if why := h.reason("vent", "humidity"); !strings.Contains(why, "sunrise") {
				t.Fatalf("reason %q", why)
			}
		case since > 90*time.Minute:
			late += 5 * time.Second
		}
	})
	if early > 0 || purge < 20*time.Minute || late > 0 {
		t.Errorf("vents open for %s before sunrise, %s after it, %s later", early, purge, late)
	}
	h.set("air_rh", 70)
	h.run(10*time.Minute, func() { h.set("air_rh", 70+0.1*float64(h.now.Second()%3)) })
	if h.alarm("humidity_saturated") {
		t.Error("the sensor is well and the alarm stays")
	}
}

// TestWetHoursAreCounted: the hours of a date for which the crop is below the dew
// point, kept over a restart and begun anew with the next date.
func TestWetHoursAreCounted(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_rh", "leaf_temp", "solar", "heater", "vent")
	h.target(greenhouse.Heating, 10, 10)
	h.set("air_temp", 16)
	h.set("air_rh", 90)
	h.set("solar", 0)
	h.set("leaf_temp", 12) // the dew point is 14.4 °C
	moves := func() { h.set("air_temp", 16+0.1*float64(h.now.Minute()%2)) }
	h.run(90*time.Minute, moves)
	if got := h.last.Climate.WetHours; math.Abs(got-1.5) > 0.03 {
		t.Errorf("%.2f wet hours after an hour and a half", got)
	}
	if got := h.want("vent").Terms["wet_hours"]; math.Abs(got-1.5) > 0.03 {
		t.Errorf("zone why tells of %.2f", got)
	}
	h.set("leaf_temp", 16)
	h.run(time.Hour, moves)
	kept := h.st.Memory()
	again := newHouse(t, h.now, "air_temp", "air_rh", "leaf_temp", "solar", "heater", "vent")
	again.st.Restore(kept)
	again.set("air_temp", 16)
	again.set("air_rh", 70)
	again.run(time.Minute, nil)
	if got := again.last.Climate.WetHours; math.Abs(got-1.5) > 0.03 {
		t.Errorf("%.2f wet hours after a restart", got)
	}
	again.now = again.now.Add(24 * time.Hour)
	again.run(time.Minute, nil)
	if got := again.last.Climate.WetHours; got != 0 {
		t.Errorf("the next day begins with %.2f wet hours", got)
	}
}

// TestLampsWithoutALightSensor take the sun for what it was on the last days.
func TestLampsWithoutALightSensor(t *testing.T) {
	h := newHouse(t, time.Date(2026, 3, 1, 0, 0, 5, 0, time.UTC), "solar", "lamp")
	h.target(greenhouse.DLI, 14, 14)
	h.zone.DayFrom, h.zone.DayUntil, h.zone.Control.LampPPFD = "04:00", "22:00", 200
	sun := func() {
		h.set("solar", max(0, 700*math.Sin(math.Pi*(float64(h.now.Hour())+float64(h.now.Minute())/60-6)/12)))
	}
	h.run(72*time.Hour, sun)
	_, bright := lampHours(h, 24*time.Hour, sun)
	h.silent["solar"] = true
	lit, dli := lampHours(h, 24*time.Hour, nil)
	if lit > 1 || math.Abs(dli-bright) > 2 {
		t.Errorf("without the sensor lamps burn for %.1f h and the light sum is %.1f, with it %.1f", lit, dli, bright)
	}
}

// lampHours runs for a time and returns how long lamps burnt and the highest light
// sum.
func lampHours(h *house, d time.Duration, each func()) (hours, dli float64) {
	h.run(d, func() {
		if each != nil {
			each()
		}
		hours += h.level("lamp") * 5 / 3600
		dli = max(dli, h.last.Climate.DLI)
	})
	return hours, dli
}

// TestFirstDayBelievesInTheSun: before a whole day was seen lamps burn in the dark
// of a morning, and never in the sun.
func TestFirstDayBelievesInTheSun(t *testing.T) {
	h := newHouse(t, time.Date(2026, 6, 10, 4, 30, 0, 0, time.UTC), "solar", "lamp")
	h.target(greenhouse.DLI, 12, 12)
	h.zone.DayFrom, h.zone.DayUntil, h.zone.Control.LampPPFD = "04:00", "22:00", 200
	h.set("solar", 30)
	h.run(time.Hour, nil)
	h.expect("lamp", 1)
	h.set("solar", 200)
	h.run(30*time.Minute, nil)
	h.expect("lamp", 0)
	lit, dli := lampHours(h, 7*time.Hour, func() { h.set("solar", 650) })
	if lit > 0 || dli < 12 {
		t.Errorf("lamps burn for %.1f h in the sun of the first day, light sum %.1f", lit, dli)
	}
}
