package automation_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/automation"
	"greenhouse/sim"
)

// lost has the climate sensors say nothing any more.
func (g *grower) lost(names ...string) {
	for _, n := range names {
		g.silent[n] = true
	}
}

// TestLimpHomeCarriesTheCrop loses the only air sensor for 14 hours of winter
// night and summer day, with and without time to learn, and with the only sensors
// there are outside.
func TestLimpHomeCarriesTheCrop(t *testing.T) {
	all := []string{"air_temp", "air_rh", "outside_temp", "outside_rh", "wind_speed", "rain", "solar", "heater", "vent"}
	for _, c := range []struct {
		name   string
		start  time.Time
		learns time.Duration
		class  greenhouse.Class
		power  float64 // of the heater, as told
	}{
		{"winter, learned", time.Date(2026, 1, 20, 16, 0, 0, 0, time.UTC), 2 * 24 * time.Hour, greenhouse.ClassHeaterContactor, 0},
		{"winter, an hour", time.Date(2026, 1, 20, 16, 0, 0, 0, time.UTC), time.Hour, greenhouse.ClassHeaterContactor, 250},
		{"winter, nothing told", time.Date(2026, 1, 20, 16, 0, 0, 0, time.UTC), time.Hour, greenhouse.ClassHeaterSSR, 0},
		{"winter, burner", time.Date(2026, 1, 20, 16, 0, 0, 0, time.UTC), 24 * time.Hour, greenhouse.ClassBurner, 0},
		{"summer day", time.Date(2026, 6, 20, 5, 0, 0, 0, time.UTC), 24 * time.Hour, greenhouse.ClassHeaterContactor, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(2) {
				g := newGrower(t, sim.Hobby30(), c.start, seed, all...)
				g.class("heater", c.class)
				g.zone.Control.HeaterWM2 = c.power
				g.target(greenhouse.Heating, 17, 15)
				g.target(greenhouse.Venting, 22, 20)
				g.live(c.learns, false)
				g.lost("air_temp", "air_rh")
				g.live(20*time.Minute, false)
				if !g.alarm("climate_blind") {
					t.Error("nobody is told")
				}
				if got := g.reason("heater", "heating"); !strings.Contains(got, "lost") {
					t.Errorf("reason %q", got)
				}
				g.coldest, g.warmest = 100, -100
				g.live(14*time.Hour, true)
				g.t.Logf("seed %d: %.1f to %.1f °C, outside %.1f °C at the end, %d starts", seed, g.coldest, g.warmest, g.outside.Temp, g.starts["heater"])
				if g.coldest < 5 || g.warmest > 35 {
					t.Errorf("seed %d: %.1f to %.1f °C without the sensor", seed, g.coldest, g.warmest)
				}
			}
		})
	}
}

// TestLimpHomeWithoutWeather falls back on what was given at this hour of the
// last days, and to the safe level where nothing tells.
func TestLimpHomeWithoutWeather(t *testing.T) {
	g := newGrower(t, sim.Hobby30(), time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC), 2, "air_temp", "air_rh", "heater")
	g.target(greenhouse.Heating, 16, 16)
	g.live(26*time.Hour, false)
	g.lost("air_temp", "air_rh")
	g.live(10*time.Minute, false)
	if got := g.reason("heater", "heating"); !strings.Contains(got, "last days") {
		t.Fatalf("reason %q", got)
	}
	g.coldest = 100
	g.live(12*time.Hour, true)
	if g.coldest < 5 {
		t.Errorf("it got %.1f °C", g.coldest)
	}

	h := newHouse(t, midnight(), "air_temp", "heater")
	h.target(greenhouse.Heating, 18, 18)
	h.set("air_temp", 16)
	h.run(time.Minute, nil)
	h.silent["air_temp"] = true
	h.run(30*time.Minute, nil)
	h.expect("heater", 0)
	if _, driven := h.claim("heater", "heating"); driven {
		t.Error("a heater is driven by nothing at all")
	}
}

// TestLimpHomeWaitsAfterAStart gives sensors their time to be heard.
func TestLimpHomeWaitsAfterAStart(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "outside_temp", "heater")
	h.target(greenhouse.Heating, 18, 18)
	h.set("outside_temp", -10)
	h.run(4*time.Minute+50*time.Second, func() { h.expect("heater", 0) })
	h.run(10*time.Minute, nil)
	if got := h.want("heater").Terms["demand"]; got < 0.5 || got > 0.8 {
		t.Errorf("asks for %.2f of full heat at 28 K", got)
	}
}

// TestBackupSensorStandsIn has the temperature of a box, and then that of the zone
// next door, stand in with what they were found to differ by.
func TestBackupSensorStandsIn(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "box_temp", "heater")
	h.in.Sensors[1].Point.Kind = greenhouse.Sensor // a name of its own
	h.zone.Control.BackupZone = "south"
	h.in.Next = []automation.Sensor{{Point: &greenhouse.Point{ID: "south/air_temp", Zone: "south", Name: "air_temp", Kind: greenhouse.Sensor, Node: "climate-000000000001"}}}
	h.target(greenhouse.Heating, 18, 18)
	south := func(v float64) {
		s := &h.in.Next[0]
		s.Heard, s.Latest = true, greenhouse.Latest{Reading: greenhouse.Reading{Point: s.Point.ID, At: greenhouse.MillisOf(h.now), Value: v}, Seen: h.now}
	}
	wobble := func(base float64) float64 { return base + 0.1*float64(h.now.Second()%2) }
	h.run(time.Hour, func() {
		h.set("air_temp", wobble(18))
		h.set("box_temp", wobble(23))
		south(wobble(15))
	})
	h.silent["air_temp"] = true
	h.run(10*time.Minute, func() { h.set("box_temp", wobble(21)); south(15) })
	if got := h.last.Climate.Air; math.Abs(got-16) > 0.3 || !h.alarm("sensor_backup") || h.alarm("climate_blind") {
		t.Errorf("air %.1f by the box, want 16; alarms %+v", got, h.raised)
	}
	h.silent["box_temp"] = true
	h.run(10*time.Minute, func() { south(16) })
	if got := h.last.Climate.Air; math.Abs(got-19) > 0.3 {
		t.Errorf("air %.1f by the zone next door, want 19", got)
	}
	kept := h.st.Memory()
	again := newHouse(t, h.now, "air_temp", "box_temp", "heater")
	again.in.Sensors[1].Point.Kind = greenhouse.Sensor
	again.st.Restore(kept)
	again.target(greenhouse.Heating, 18, 18)
	again.run(10*time.Minute, func() { again.set("box_temp", wobble(21)) })
	if got := again.last.Climate.Air; math.Abs(got-16) > 0.3 {
		t.Errorf("air %.1f after a restart, want 16", got)
	}
	h.silent["air_temp"], h.silent["box_temp"] = false, false
	h.run(time.Minute, func() { h.set("air_temp", wobble(17)); h.set("box_temp", wobble(21)); south(16) })
	if h.alarm("sensor_backup") || h.last.Climate.Air > 17.2 {
		t.Errorf("air %.1f with the sensor back, alarm %v", h.last.Climate.Air, h.alarm("sensor_backup"))
	}
}

// TestWhatIsLearnedComesBack carries it over a restart, and takes nothing absurd.
func TestWhatIsLearnedComesBack(t *testing.T) {
	g := newGrower(t, sim.Hobby30(), time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC), 1, "air_temp", "air_rh", "outside_temp", "solar", "heater")
	g.target(greenhouse.Heating, 17, 17)
	g.live(3*24*time.Hour, false)
	kept := g.st.Memory()
	if kept.Loss < 0.03 || kept.Loss > 0.06 || kept.LossOf < 20 || len(kept.Hours) != 24 {
		t.Errorf("learned %+v", kept)
	}
	raw, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	var back automation.Memory
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	var st automation.State
	st.Restore(back)
	if got := st.Memory(); got.Loss != kept.Loss || got.SunHeat != kept.SunHeat || got.Hours[5] != kept.Hours[5] {
		t.Errorf("came back as %+v, was %+v", got, kept)
	}
	st = automation.State{}
	st.Restore(automation.Memory{Loss: 400, LossOf: -3, SunHeat: -1, Hours: make([]automation.HourMean, 30)})
	if got := st.Memory(); got.Loss != 0 {
		t.Errorf("took %+v", got)
	}
}

// TestLearningStaysWithinBounds feeds it whatever: no estimate leaves what any
// house can be, and no blind heat goes beyond its most.
func TestLearningStaysWithinBounds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHouse(t, midnight(), "air_temp", "outside_temp", "solar", "heater", "vent")
		h.zone.Control.HeaterWM2 = rapid.SampledFrom([]float64{0, 5, 100, 3000}).Draw(rt, "power")
		h.target(greenhouse.Heating, 18, 12)
		h.stuck["heater"] = true
		for range rapid.IntRange(1, 12).Draw(rt, "hours") {
			h.set("outside_temp", rapid.Float64Range(-30, 40).Draw(rt, "outside"))
			h.set("solar", rapid.SampledFrom([]float64{0, 0, 50, 900}).Draw(rt, "sun"))
			air := rapid.Float64Range(0, 34).Draw(rt, "air")
			h.levels["heater"] = rapid.SampledFrom([]float64{0, 0.1, 0.9, 1}).Draw(rt, "heat")
			h.silent["air_temp"] = rapid.IntRange(0, 3).Draw(rt, "silent") == 0
			h.run(40*time.Minute, func() {
				h.set("air_temp", air+0.1*float64(h.now.Second()%3))
				terms := h.want("heater").Terms
				if _, blind := terms["loss_per_k"]; blind && terms["demand"] > 0.8 {
					rt.Fatalf("%.2f of full heat blindly", terms["demand"])
				}
			})
			m := h.st.Memory()
			if m.Loss < 1.0/200-1e-9 || m.Loss > 1.0/5+1e-9 || m.SunHeat < 0 || m.SunHeat > 0.3*m.Loss+1e-9 {
				rt.Fatalf("learned %+v", m)
			}
		}
	})
}

// TestLimpHomeBelievesNoAbsurdWeather: after summer days without heat a station
// that says −30 °C, in the same hour as the air sensor is lost, gets little.
func TestLimpHomeBelievesNoAbsurdWeather(t *testing.T) {
	g := newGrower(t, sim.Hobby30(), time.Date(2026, 7, 10, 0, 0, 0, 0, time.UTC), 6, "air_temp", "air_rh", "outside_temp", "solar", "heater", "vent")
	g.target(greenhouse.Heating, 12, 12)
	g.live(30*time.Hour, false)
	g.lost("air_temp", "air_rh", "outside_temp")
	g.house.in.Sensors[2].Heard = true
	g.run(20*time.Minute, func() {
		s := &g.house.in.Sensors[2]
		s.Latest = greenhouse.Latest{Reading: greenhouse.Reading{Point: s.Point.ID, At: greenhouse.MillisOf(g.now), Value: -30}, Seen: g.now}
	})
	if got := g.want("heater").Terms["demand"]; got > 0.31 || got == 0 {
		t.Errorf("asks for %.2f of full heat in July", got)
	}
}
