package automation_test

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/automation"
	"greenhouse/sim"
)

// TestResidualBearsWeather gives a house of any loss nights in which its heat
// differs by what weather may do, also for hours on end: nothing is accused.
func TestResidualBearsWeather(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := automation.Residual{Calm: rapid.Bool().Draw(rt, "calm")}
		loss := rapid.Float64Range(0.005, 0.024).Draw(rt, "loss")
		var s automation.ResidualState
		for range rapid.IntRange(20, 60).Draw(rt, "spells") {
			lean := rapid.Float64Range(-0.15, 0.15).Draw(rt, "lean")
			for range rapid.IntRange(1, 12).Draw(rt, "long") {
				need := rapid.Float64Range(5, 35).Draw(rt, "need")
				s = p.Step(s, automation.HalfHour{Heat: loss * need * (1 + lean), Need: need})
				if s.High() || s.Hard() {
					rt.Fatalf("accused by %+v at %.0f %%", s, 100*lean)
				}
			}
		}
	})
}

// TestResidualFindsEveryDrift has a thermometer drift, fast or slowly, in a house
// of any loss and any warmth: it is accused before the error is what the table in
// docs/control.md says, and acquitted when it reads right again. It is never
// taught that it is right.
func TestResidualFindsEveryDrift(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var p automation.Residual
		loss, need := rapid.Float64Range(0.01, 0.05).Draw(rt, "loss"), rapid.Float64Range(10, 20).Draw(rt, "need")
		rate := rapid.Float64Range(0.15, 0.5).Draw(rt, "K in half an hour")
		var s automation.ResidualState
		for range rapid.IntRange(16, 200).Draw(rt, "nights") {
			s = p.Step(s, automation.HalfHour{Heat: loss * need, Need: need})
		}
		off := 0.0
		for !s.High() {
			if off += rate; off > 5+0.32*need {
				rt.Fatalf("%.1f K off at a warmth of %.0f K and not found: %+v", off, need, s)
			}
			s = p.Step(s, automation.HalfHour{Heat: loss * (need - off), Need: need})
		}
		if off < 0.16*need {
			rt.Fatalf("accused at %.1f K", off)
		}
		for range 20 {
			s = p.Step(s, automation.HalfHour{Heat: loss * (need - off), Need: need})
		}
		if !s.High() {
			rt.Fatal("acquitted while it is wrong")
		}
		for range 4 {
			s = p.Step(s, automation.HalfHour{Heat: loss * need, Need: need})
		}
		if s.High() || s.Suspicious() {
			rt.Fatalf("still accused when it is right again: %+v", s)
		}
	})
}

// TestResidualIsPure takes what is no number, and never leaves its bounds.
func TestResidualIsPure(t *testing.T) {
	values := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -3, 0, 0.1, 0.5, 1, 8, 300}
	rapid.Check(t, func(rt *rapid.T) {
		var p automation.Residual
		var s automation.ResidualState
		for range 60 {
			h := automation.HalfHour{Heat: rapid.SampledFrom(values).Draw(rt, "heat"), Need: rapid.SampledFrom(values).Draw(rt, "need"), Drawn: rapid.Bool().Draw(rt, "drawn")}
			a, b := p.Step(s, h), p.Step(s, h)
			if a != b {
				rt.Fatalf("two outcomes of one step: %+v, %+v", a, b)
			}
			s = a
		}
		if n := s.Sums(); !(n[0] >= 0 && n[0] <= 2.4 && n[1] >= 0 && n[1] <= 4.4) {
			rt.Fatalf("sums of %v", n)
		}
	})
}

// nightly returns a house that has been heated through some winter nights.
func nightly(t *testing.T, seed uint64, points ...string) *grower {
	g := newGrower(t, sim.Hobby30(), time.Date(2026, 1, 12, 12, 0, 0, 0, time.UTC), seed, append([]string{"air_temp", "air_rh", "outside_temp", "outside_rh", "wind_speed", "rain", "solar", "heater", "vent"}, points...)...)
	g.target("heating", 17, 15)
	g.target("venting", 22, 20)
	g.live(2*24*time.Hour+8*time.Hour, false)
	if g.accused() {
		t.Fatalf("seed %d: accused with nothing wrong: %+v", seed, g.st.Memory().Balance)
	}
	return g
}

// accused reports whether its thermometer is.
func (g *grower) accused() bool { return g.raised["point/north/air_temp sensor_drift"].Active }

// TestChangesOfTheHouseAccuseNobody opens a door, clears the crop, draws a screen
// for the first time and lets a gale come: no thermometer is accused, in any of the
// nights after.
func TestChangesOfTheHouseAccuseNobody(t *testing.T) {
	for name, change := range map[string]func(g *grower){
		"a door left open":  func(g *grower) { g.plant.Leakage *= 6 },
		"a crop cleared":    func(g *grower) { g.climate.DryMass = 0.002 },
		"a crop full-grown": func(g *grower) { g.climate.DryMass = 0.5 },
		"a gale":            func(g *grower) { g.gale = 14 },
		"a calm":            func(g *grower) { g.gale = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			g := nightly(t, 1)
			leaks := g.plant.Leakage
			change(g)
			for range 6 {
				if g.live(time.Hour, false); g.accused() {
					t.Fatalf("accused: %+v", g.st.Memory().Balance)
				}
			}
			g.plant.Leakage, g.gale = leaks, 0 // shut again
			for range 30 {
				if g.live(time.Hour, false); g.accused() {
					t.Fatalf("accused later: %+v", g.st.Memory().Balance)
				}
			}
		})
	}
	t.Run("a screen", func(t *testing.T) {
		g := nightly(t, 1, "screen")
		for range 40 {
			if g.live(time.Hour, false); g.accused() {
				t.Fatalf("accused: %+v", g.st.Memory().Balance)
			}
		}
	})
}

// TestDriftingThermometerIsPutOutOfUse drifts up: the house is kept from the frost,
// people are told which sensor it is, and that stays so over a restart. Maintenance
// ends it, and so does another node.
func TestDriftingThermometerIsPutOutOfUse(t *testing.T) {
	g := nightly(t, 2)
	g.drift = 1
	for range 11 {
		if g.live(time.Hour, true); g.accused() {
			break
		}
	}
	c := g.raised["point/north/air_temp sensor_drift"]
	if !c.Active || c.Severity != greenhouse.Critical || !strings.Contains(c.Text, "too warm") {
		t.Fatalf("%.1f K off and nobody is told: %+v, %+v", g.off, c, g.st.Memory().Balance)
	}
	if g.off > 11 {
		t.Errorf("found at %.1f K only", g.off)
	}
	g.drift = 0
	g.live(4*time.Hour, true)
	if g.coldest < 5 || !g.accused() || !slices.Contains(g.last.Doubted, "north/air_temp") {
		t.Errorf("%.1f °C, accused %v, doubted %v", g.coldest, g.accused(), g.last.Doubted)
	}
	if got := g.reason("heater", "heating"); !strings.Contains(got, "not believed") {
		t.Errorf("reason %q", got)
	}
	raw, err := json.Marshal(g.st.Memory())
	if err != nil {
		t.Fatal(err)
	}
	var kept automation.Memory
	if err := json.Unmarshal(raw, &kept); err != nil {
		t.Fatal(err)
	}
	g.st = automation.State{}
	g.st.Restore(kept)
	g.live(2*time.Minute, false)
	if !g.accused() {
		t.Error("believed again after a restart")
	}
	g.zone.Mode = greenhouse.ModeMaintenance
	g.live(time.Minute, false)
	g.zone.Mode = greenhouse.ModeAuto
	g.live(2*time.Minute, false)
	if g.accused() || g.st.Memory().Balance != nil {
		t.Errorf("still accused after maintenance: %+v", g.st.Memory().Balance)
	}
	g.st = automation.State{}
	g.st.Restore(kept)
	for i := range g.house.in.Sensors {
		if p := *g.house.in.Sensors[i].Point; p.Name == "air_temp" {
			p.Node = "climate-00000000beef"
			g.house.in.Sensors[i].Point = &p
		}
	}
	g.live(2*time.Minute, false)
	if b := g.st.Memory().Balance; g.accused() || b == nil || b.High {
		t.Errorf("another node is accused as well: %+v", b)
	}
}

// TestAnAbsurdBalanceIsNotTakenOver restores what no house can be.
func TestAnAbsurdBalanceIsNotTakenOver(t *testing.T) {
	for _, b := range []automation.BalanceMemory{
		{Point: "north/air_temp", Heat: [2]float64{1, 0}, Need: [2]float64{-1, 0}, Of: [2]int{5, 0}, High: true},
		{Point: "north/air_temp", Heat: [2]float64{900, 0}, Need: [2]float64{1, 0}, Of: [2]int{50, 0}, Less: 2, High: true},
		{Point: "north/air_temp", Of: [2]int{-3, 9}, Hard: true},
	} {
		var st automation.State
		st.Restore(automation.Memory{Balance: &b})
		if got := st.Memory().Balance; got != nil {
			t.Errorf("%+v came back as %+v", b, got)
		}
	}
}
