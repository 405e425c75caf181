package automation_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"greenhouse"
)

func TestHeatingSwitchesAroundItsDeadBand(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "heater")
	h.class("heater", greenhouse.ClassBurner)
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 17)
	h.step()
	h.expect("heater", 0) // the shortest time off counts from the start
	if got := h.reason("heater", "heating"); !strings.Contains(got, "shortest time") {
		t.Errorf("reason %q", got)
	}
	h.run(185*time.Second, nil)
	h.expect("heater", 1)
	if got, want := h.reason("heater", "heating"), "air 17.0 °C is below 18.0 − 0.3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, c := range []struct{ air, want float64 }{{17.9, 1}, {18.1, 1}, {18.3, 0}, {18.1, 0}, {17.8, 0}, {17.6, 1}} {
		h.set("air_temp", c.air)
		h.run(4*time.Minute, nil)
		h.expect("heater", c.want)
	}
}

func TestHeatersAreStages(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "heater", "heater.2")
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 13)
	h.run(105*time.Second, nil)
	if sum := h.level("heater") + h.level("heater.2"); sum != 1 {
		t.Fatalf("%v heaters on at first, want 1", sum)
	}
	h.run(70*time.Second, nil)
	if sum := h.level("heater") + h.level("heater.2"); sum != 1 {
		t.Errorf("%v heaters on before the stage delay, want 1", sum)
	}
	h.run(50*time.Second, nil)
	if sum := h.level("heater") + h.level("heater.2"); sum != 2 {
		t.Errorf("%v heaters on after the stage delay, want 2", sum)
	}
	h.set("air_temp", 19.6)
	h.run(2*time.Minute, nil)
	if sum := h.level("heater") + h.level("heater.2"); sum != 0 {
		t.Errorf("%v heaters on far above the set-point, want none", sum)
	}
}

// TestVentsStandInRestlessWind: a gauge that goes to and fro by 10 % does not move
// them every minute, a wind that rises does.
func TestVentsStandInRestlessWind(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "outside_temp", "wind_speed", "rain", "vent")
	h.target(greenhouse.Heating, 18, 18)
	h.target(greenhouse.Venting, 22, 22)
	h.set("air_temp", 33)
	h.set("outside_temp", 18)
	h.set("rain", 0)
	moves, last, k := 0, h.levels["vent"], 0
	restless := func(wind float64) func() {
		return func() {
			k++
			h.set("wind_speed", wind*(1+0.1*math.Sin(float64(k))))
			if v := h.levels["vent"]; v != last {
				moves, last = moves+1, v
			}
		}
	}
	h.set("wind_speed", 10)
	h.run(10*time.Minute, restless(10))
	if last < 0.6 || last > 0.72 {
		t.Errorf("vents at %.2f in a wind of 10 m/s, want 0.6 to 0.72", last)
	}
	moves = 0
	h.run(time.Hour, restless(10))
	if moves > 2 {
		t.Errorf("vents moved %d times in an hour of the same wind", moves)
	}
	h.run(5*time.Minute, restless(13))
	if last > 0.3 {
		t.Errorf("vents at %.2f in a wind of 13 m/s, want at most 0.3", last)
	}
	h.run(10*time.Minute, restless(9))
	if last < 0.75 {
		t.Errorf("vents at %.2f after the wind fell to 9 m/s, want 0.75", last)
	}
}

func TestVentsOpenInProportionAndFansComeLater(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "outside_temp", "wind_speed", "rain", "vent", "fan")
	h.target(greenhouse.Heating, 18, 18)
	h.target(greenhouse.Venting, 22, 22)
	h.set("outside_temp", 20)
	h.set("wind_speed", 0)
	h.set("rain", 0)
	h.set("air_temp", 20)
	h.run(5*time.Minute, nil)
	h.expect("vent", 0)
	h.set("air_temp", 24) // half of the band of 4 K
	h.run(5*time.Minute, nil)
	if got := h.level("vent"); got < 0.45 || got > 0.65 {
		t.Errorf("vent %.2f at half the band", got)
	}
	h.expect("fan", 0)
	h.set("air_temp", 27)
	h.run(3*time.Minute, nil)
	h.expect("vent", 1)
	h.run(4*time.Minute, nil)
	h.expect("fan", 1)
	h.set("air_temp", 21)
	h.run(10*time.Minute, nil)
	h.expect("vent", 0)
	h.expect("fan", 0)
}

func TestWeatherLimitsVents(t *testing.T) {
	for _, c := range []struct {
		name                string
		wind, rain, outside float64
		least, most         float64
	}{
		{"calm", 2, 0, 20, 0.99, 1}, {"half a storm", 11.5, 0, 20, 0.49, 0.51}, {"storm", 16, 0, 20, 0.04, 0.06},
		{"rain", 2, 1, 20, 0.09, 0.11}, {"frost", 2, 0, 0, 0.05, 0.11}, {"unknown", math.NaN(), math.NaN(), 20, 0.49, 0.51},
	} {
		h := newHouse(t, noon(), "air_temp", "outside_temp", "wind_speed", "rain", "vent")
		h.target(greenhouse.Venting, 22, 22)
		h.set("air_temp", 33)
		h.set("outside_temp", c.outside)
		if !math.IsNaN(c.wind) {
			h.set("wind_speed", c.wind)
			h.set("rain", c.rain)
		}
		h.run(5*time.Minute, nil)
		if got := h.level("vent"); got < c.least || got > c.most {
			t.Errorf("%s: vent %.2f, want %.2f to %.2f", c.name, got, c.least, c.most)
		}
	}
}

func TestStormHoldsVentsForTenMinutes(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "wind_speed", "rain", "vent")
	h.target(greenhouse.Venting, 22, 22)
	h.set("air_temp", 30)
	h.set("rain", 0)
	h.set("wind_speed", 17)
	h.run(time.Minute, nil)
	h.set("wind_speed", 3)
	h.run(9*time.Minute, nil)
	h.expect("vent", 0.05)
	h.run(2*time.Minute, nil)
	h.expect("vent", 1)
}

func TestHeatAndVentsKeepApart(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "heater", "vent")
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 14)
	h.run(2*time.Minute, nil)
	h.expect("heater", 1)
	h.set("air_temp", 22) // above venting at 21, less than the escape
	h.run(4*time.Minute, nil)
	h.expect("heater", 0)
	h.expect("vent", 0)
	if got := h.reason("vent", "venting"); !strings.Contains(got, "moment ago") {
		t.Errorf("reason %q", got)
	}
	if left := h.want("vent").Timers["changeover"]; left <= 0 || left > 300 {
		t.Errorf("changeover has %v s left", left)
	}
	h.run(5*time.Minute, nil)
	if h.level("vent") < 0.1 {
		t.Errorf("vent %.2f after the changeover", h.level("vent"))
	}
	h.set("air_temp", 16.1) // less than the escape below
	h.run(4*time.Minute, nil)
	h.expect("heater", 0)
	h.run(5*time.Minute, nil)
	h.expect("heater", 1)
}

func TestProtectionActsInEveryMode(t *testing.T) {
	for _, m := range []greenhouse.Mode{greenhouse.ModeAuto, greenhouse.ModeManual, greenhouse.ModeMaintenance, greenhouse.ModeOff} {
		h := newHouse(t, midnight(), "air_temp", "co2", "heater", "vent", "fan", "lamp", "co2_valve")
		h.zone.Mode = m
		h.set("co2", 420)
		h.set("air_temp", 3.5)
		h.step() // at once
		h.expect("heater", 1)
		h.expect("vent", 0)
		if c, ok := h.claim("heater", "frost"); !ok || c.Priority != greenhouse.PrioritySafety || !c.Urgent {
			t.Errorf("mode %s: frost claim %+v", m, c)
		}
		h.set("air_temp", 4.8)
		h.run(30*time.Second, nil)
		h.expect("heater", 1)
		if !h.alarm("frost_protection") {
			t.Errorf("mode %s: no alarm", m)
		}
		h.set("air_temp", 5.2)
		h.run(30*time.Second, nil)
		h.expect("heater", 0)
		h.set("air_temp", 20) // no thermometer is believed that leaps by more
		h.run(30*time.Second, nil)
		h.set("air_temp", 36)
		h.run(30*time.Second, nil)
		h.expect("heater", 0)
		h.expect("vent", 1)
		h.expect("fan", 1)
		h.set("air_temp", 20)
		h.set("co2", 5200)
		h.run(90*time.Second, nil)
		h.expect("co2_valve", 0)
		h.expect("fan", 1)
	}
}

func TestModesKeepLoopsOut(t *testing.T) {
	for _, m := range []greenhouse.Mode{greenhouse.ModeManual, greenhouse.ModeMaintenance, greenhouse.ModeOff} {
		h := newHouse(t, noon(), "air_temp", "air_rh", "co2", "heater", "vent", "fan", "lamp", "co2_valve", "mister", "screen")
		for _, q := range []greenhouse.Quantity{greenhouse.Heating, greenhouse.TargetCO2, greenhouse.DLI, greenhouse.HumidityMax} {
			h.target(q, 18, 18)
		}
		h.zone.Mode = m
		h.set("air_temp", 10)
		h.set("air_rh", 95)
		h.set("co2", 400)
		h.run(5*time.Minute, func() {
			for _, w := range h.last.Wants {
				for _, c := range w.Claims {
					if c.Priority >= greenhouse.PriorityLoop && c.Priority != greenhouse.PriorityFailsafe {
						t.Fatalf("mode %s: %s has claim %+v", m, w.Point, c)
					}
				}
			}
		})
	}
}

func TestLostTemperatureGoesSafe(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "heater", "vent")
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 15)
	h.run(3*time.Minute, nil)
	h.expect("heater", 1)
	h.silent["air_temp"] = true
	h.run(2*time.Minute, nil)
	h.expect("heater", 1) // held
	if !h.raised["point/north/air_temp sensor_stale"].Active || !h.alarm("sensor_held") {
		t.Errorf("not alarmed within two minutes: %+v", h.raised)
	}
	h.run(4*time.Minute, nil)
	h.expect("heater", 0)
	if c, _ := h.claim("heater", "failsafe"); !strings.Contains(c.Reason, "lost") {
		t.Errorf("failsafe %+v", c)
	}
	if !h.alarm("climate_blind") {
		t.Error("no alarm")
	}
	h.silent["air_temp"] = false
	h.run(2*time.Minute, nil)
	h.expect("heater", 1)
	if h.alarm("climate_blind") {
		t.Error("the alarm stays")
	}
}

func TestSecondSensorTakesOver(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_temp.2", "heater")
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 15)
	h.set("air_temp.2", 15.4)
	h.run(3*time.Minute, nil)
	h.quality["air_temp"], h.values["air_temp"] = greenhouse.Bad, math.NaN()
	h.run(20*time.Minute, func() { h.expect("heater", 1) })
	if h.alarm("climate_blind") || !h.raised["point/north/air_temp sensor_implausible"].Active {
		t.Errorf("alarms %+v", h.raised)
	}
}

func TestDisagreeingSensorsCountForTheirHazard(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_temp.2", "heater")
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 12)
	h.set("air_temp.2", 19)
	h.run(3*time.Minute, nil)
	h.expect("heater", 0) // the higher one holds heat off
	if !h.alarm("sensors_disagree") {
		t.Error("no alarm")
	}
	h.set("air_temp", 10)
	h.set("air_temp", 8)
	h.run(time.Minute, nil)
	h.set("air_temp", 5.5)
	h.run(time.Minute, nil)
	h.set("air_temp", 3)
	h.run(time.Minute, nil)
	h.expect("heater", 1) // the lower one is near frost
}

func TestImplausibleJumpsAreWaitedOut(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "heater", "vent")
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 18)
	h.run(5*time.Minute, nil)
	for _, spike := range []float64{85, -127, 255, 45, 2} {
		h.set("air_temp", spike)
		h.now = h.now.Add(5 * time.Second)
		h.step()
		h.expect("heater", 0)
		h.expect("vent", 0)
		h.set("air_temp", 18)
		h.run(time.Minute, nil)
	}
	h.set("air_temp", 30) // this one stays
	h.run(30*time.Second, nil)
	if h.level("vent") == 0 {
		t.Error("a jump that lasts is not believed")
	}
}

func TestNothingSwitchesOnBeforeFreshData(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "co2", "ppfd", "heater", "vent", "fan", "lamp", "co2_valve")
	h.target(greenhouse.Heating, 18, 18)
	h.target(greenhouse.TargetCO2, 900, 900)
	h.fill()
	for i := range h.in.Sensors {
		s := &h.in.Sensors[i]
		s.Heard = true
		s.Latest = greenhouse.Latest{Reading: greenhouse.Reading{Point: s.Point.ID, At: greenhouse.MillisOf(h.now), Value: 1}}
	}
	h.run(10*time.Minute, func() {
		for _, w := range h.last.Wants {
			if outcome(w) != 0 {
				t.Fatalf("%s is %v", w.Point, w.Claims)
			}
		}
	})
}

func TestZoneWithoutTargetsClaimsOnlyFailsafe(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "air_rh", "co2", "wind_speed", "rain", "heater", "vent", "fan", "lamp", "screen", "co2_valve", "mister", "circulation")
	for _, s := range []string{"air_temp", "air_rh", "co2", "wind_speed"} {
		h.set(s, 30)
	}
	h.set("co2", 500)
	h.set("rain", 0)
	h.set("wind_speed", 1)
	h.run(3*time.Minute, func() {
		for _, w := range h.last.Wants {
			if len(w.Claims) != 1 || w.Claims[0].Priority != greenhouse.PriorityFailsafe {
				t.Fatalf("%s: %+v", w.Point, w.Claims)
			}
		}
	})
	h.expect("circulation", 1)
}

// TestUntrustedClock: light alone tells day from night, outside before inside,
// heating aims below the highest of its levels, and whoever asks is told why.
func TestUntrustedClock(t *testing.T) {
	h := newHouse(t, noon(), "air_temp", "solar", "heater", "lamp")
	h.in.Trusted = false
	h.target(greenhouse.Heating, 20, 16)
	h.target(greenhouse.DLI, 20, 20)
	h.set("solar", 0)
	h.set("air_temp", 17)
	h.run(5*time.Minute, nil)
	h.expect("heater", 1) // max(20, 16) − 1
	h.expect("lamp", 0)
	if h.last.Day {
		t.Error("day in the dark")
	}
	if got := h.last.Climate.HeatBelow; got != 19 {
		t.Errorf("heat below %v, want 19", got)
	}
	h.set("solar", 100)
	h.run(time.Minute, nil)
	if !h.last.Day {
		t.Error("night in the sun")
	}
	for _, owner := range []string{"heating", "light"} {
		name := map[string]string{"heating": "heater", "light": "lamp"}[owner]
		if got := h.reason(name, owner); !strings.Contains(got, "the clock is not") {
			t.Errorf("%s: %q does not say that the clock is not trusted", name, got)
		}
	}
	h.in.Trusted = true
	h.run(time.Minute, nil)
	if got := h.reason("heater", "heating"); strings.Contains(got, "clock") || got == "" {
		t.Errorf("the clock is trusted: %q", got)
	}
	for _, c := range []struct {
		sensor string
		value  float64
		day    bool
	}{{"solar", 20, false}, {"solar", 20.1, true}, {"ppfd", 30, false}, {"ppfd", 30.1, true}} {
		h := newHouse(t, noon(), c.sensor, "air_temp", "heater")
		h.in.Trusted = false
		h.set("air_temp", 17)
		h.set(c.sensor, c.value)
		h.run(time.Minute, nil)
		if h.last.Day != c.day {
			t.Errorf("%s %v: day %v, want %v", c.sensor, c.value, h.last.Day, c.day)
		}
	}
}
