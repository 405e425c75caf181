package automation_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"greenhouse"
)

// levels a sensor may take in a property test, wild ones among them.
func reading(t *rapid.T, name string) (float64, greenhouse.Quality) {
	q := rapid.SampledFrom([]greenhouse.Quality{greenhouse.Good, greenhouse.Good, greenhouse.Good, greenhouse.Good, greenhouse.Suspect, greenhouse.Bad}).Draw(t, "quality")
	switch name {
	case "air_temp", "air_temp.2", "leaf_temp":
		return rapid.OneOf(rapid.Float64Range(-5, 45), rapid.Float64Range(14, 24), rapid.SampledFrom([]float64{85, -127, 255, math.NaN()})).Draw(t, name), q
	case "air_rh", "outside_rh":
		return rapid.Float64Range(20, 100).Draw(t, name), q
	case "co2":
		return rapid.OneOf(rapid.Float64Range(350, 1500), rapid.Float64Range(300, 9000)).Draw(t, name), q
	case "outside_temp":
		return rapid.Float64Range(-25, 40).Draw(t, name), q
	case "wind_speed":
		return rapid.Float64Range(0, 25).Draw(t, name), q
	case "rain":
		return rapid.SampledFrom([]float64{0, 1}).Draw(t, name), q
	}
	return rapid.Float64Range(0, 900).Draw(t, name), q
}

// anyHouse is a zone with any equipment, targets and mode.
func anyHouse(t *rapid.T, tb testing.TB) *house {
	points := []string{"air_temp"}
	for _, p := range []string{"air_temp.2", "air_rh", "co2", "leaf_temp", "ppfd", "solar", "outside_temp", "outside_rh", "wind_speed", "rain", "heater", "heater.2", "vent", "fan", "fan.2", "lamp", "screen", "co2_valve", "mister", "circulation"} {
		if rapid.Bool().Draw(t, p) {
			points = append(points, p)
		}
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 365*24).Draw(t, "hour")) * time.Hour)
	h := newHouse(tb, start, points...)
	heat := rapid.Float64Range(5, 28).Draw(t, "heating")
	night := rapid.Float64Range(5, 28).Draw(t, "heating by night")
	if rapid.Bool().Draw(t, "heats") {
		h.target(greenhouse.Heating, heat, night)
	}
	if rapid.Bool().Draw(t, "vents") {
		h.target(greenhouse.Venting, heat+rapid.Float64Range(1, 8).Draw(t, "gap"), night+1)
	}
	for _, q := range []struct {
		q      greenhouse.Quantity
		lo, hi float64
	}{{greenhouse.HumidityMax, 60, 95}, {greenhouse.TargetVPD, 0.3, 1.5}, {greenhouse.TargetCO2, 400, 1600}, {greenhouse.DLI, 5, 30}} {
		if rapid.Bool().Draw(t, string(q.q)) {
			v := rapid.Float64Range(q.lo, q.hi).Draw(t, string(q.q))
			h.target(q.q, v, v)
		}
	}
	if rapid.Bool().Draw(t, "lamp known") {
		h.zone.Control.LampPPFD, h.zone.Control.HeaterWM2 = 150, 200
	}
	h.class("heater", rapid.SampledFrom([]greenhouse.Class{greenhouse.ClassHeaterContactor, greenhouse.ClassHeaterSSR, greenhouse.ClassBurner}).Draw(t, "class"))
	h.zone.Mode = rapid.SampledFrom([]greenhouse.Mode{greenhouse.ModeAuto, greenhouse.ModeAuto, greenhouse.ModeAuto, greenhouse.ModeManual, greenhouse.ModeOff}).Draw(t, "mode")
	h.in.Trusted = rapid.IntRange(0, 4).Draw(t, "clock") > 0
	return h
}

// wants reports what the loop wants of an actuator, before bounds and safety.
func (h *house) loopLevel(name, owner string) float64 {
	for _, w := range h.last.Wants {
		if string(w.Point) != "north/"+name {
			continue
		}
		for _, c := range w.Claims {
			if c.Priority == greenhouse.PriorityLoop && c.Owner == owner && !c.Bound() {
				return c.Value
			}
		}
	}
	return 0
}

func TestWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := anyHouse(rt, t)
		changed := map[string]time.Time{} // last switching of a device by the loop
		was := map[string]float64{}
		began := h.now
		for range rapid.IntRange(5, 25).Draw(rt, "phases") {
			for _, s := range h.in.Sensors {
				name := strings.TrimPrefix(string(s.Point.ID), "north/")
				h.silent[name] = rapid.IntRange(0, 9).Draw(rt, "silent") == 0
				h.values[name], h.quality[name] = reading(rt, name)
			}
			if rapid.IntRange(0, 9).Draw(rt, "sleep") == 0 {
				h.now = h.now.Add(time.Duration(rapid.IntRange(30, 7200).Draw(rt, "asleep")) * time.Second)
			}
			h.run(time.Duration(rapid.IntRange(5, 400).Draw(rt, "seconds"))*time.Second, func() {
				checkClaims(rt, h)
				checkApart(rt, h)
				checkSafety(rt, h)
				checkTimes(rt, h, began, changed, was)
			})
		}
	})
}

// checkClaims: every level is one, every reason is worded, every actuator has a
// claim, nothing is said that JSON cannot carry.
func checkClaims(rt *rapid.T, h *house) {
	if len(h.last.Wants) != len(h.in.Devices) {
		rt.Fatalf("%d wants for %d devices", len(h.last.Wants), len(h.in.Devices))
	}
	for i, w := range h.last.Wants {
		if w.Point != h.in.Devices[i].Point.ID || len(w.Claims) == 0 || w.Claims[len(w.Claims)-1].Owner != "failsafe" {
			rt.Fatalf("want %+v", w)
		}
		for _, c := range w.Claims {
			if c.Reason == "" || strings.Contains(c.Reason, "%!") || strings.Contains(c.Reason, "NaN") || c.Owner == "" {
				rt.Fatalf("%s: reason %q of %s", w.Point, c.Reason, c.Owner)
			}
			for _, v := range []*float64{c.Min, c.Max, &c.Value} {
				if v != nil && !(*v >= 0 && *v <= 1) {
					rt.Fatalf("%s: level %v of %s", w.Point, *v, c.Owner)
				}
			}
		}
		for _, m := range []map[string]float64{w.Terms, w.Timers} {
			for k, v := range m {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					rt.Fatalf("%s: %s is %v", w.Point, k, v)
				}
			}
		}
	}
	for _, c := range h.last.Conditions {
		if c.Code == "" || c.Text == "" || c.Source == "" || strings.Contains(c.Text, "NaN") || strings.Contains(c.Text, "%!") {
			rt.Fatalf("condition %+v", c)
		}
	}
}

// checkApart: heat and vents are never wanted at once for the temperature, and
// without fresh data nothing is on.
func checkApart(rt *rapid.T, h *house) {
	heat := max(h.loopLevel("heater", "heating"), h.loopLevel("heater.2", "heating"))
	vent := max(h.loopLevel("vent", "venting"), h.loopLevel("fan", "venting"), h.loopLevel("fan.2", "venting"))
	if heat > 0.05 && vent > 0.05 {
		// a fan that keeps its shortest time on while it has become cold is the only
		// one that may overlap
		if h.loopLevel("vent", "venting") > 0.05 {
			rt.Fatalf("heat %.2f and vents %.2f at once", heat, vent)
		}
	}
	if h.zone.Mode != greenhouse.ModeAuto && (heat > 0 || vent > 0) {
		rt.Fatalf("loops act in mode %s", h.zone.Mode)
	}
	if h.zone.Targets[greenhouse.TargetCO2] == (greenhouse.Target{}) && h.loopLevel("co2_valve", "co2") > 0 {
		rt.Fatal("doses without a target")
	}
}

// checkSafety: at a limit protection claims in the same decision, in any mode.
func checkSafety(rt *rapid.T, h *house) {
	c := h.last.Climate
	fan := false
	for i := range h.in.Devices {
		fan = fan || h.in.Devices[i].Point.Name == "fan" && h.in.Devices[i].Applied > 0
	}
	for i := range h.in.Devices {
		if p := h.in.Devices[i].Point; fan && p.Class == greenhouse.ClassBurner && outcome(h.last.Wants[i]) > 0 {
			rt.Fatalf("%s is lit against a fan: %+v", p.ID, h.last.Wants[i].Claims)
		}
	}
	_, disagree := h.raised["zone/north sensors_disagree"]
	for _, w := range h.last.Wants {
		var safety greenhouse.Claim
		for _, claim := range w.Claims {
			if claim.Priority == greenhouse.PrioritySafety && !claim.Bound() {
				safety = claim
			}
		}
		switch w.Point.Name() {
		case "heater":
			if c.Air <= 4 && !disagree && (safety.Owner != "frost" || safety.Value != 1) {
				rt.Fatalf("air %.1f °C: %s claims %+v", c.Air, w.Point, w.Claims)
			}
			if c.Air >= 35 && !disagree && (safety.Owner != "heat" || safety.Value != 0) {
				rt.Fatalf("air %.1f °C: %s claims %+v", c.Air, w.Point, w.Claims)
			}
		case "co2_valve":
			if !(c.CO2 < 1600) && (safety.Owner == "" || safety.Value != 0) {
				rt.Fatalf("CO₂ %.0f ppm: claims %+v", c.CO2, w.Claims)
			}
		}
	}
}

// checkTimes: what the loop switches keeps the shortest times of its class.
func checkTimes(rt *rapid.T, h *house, began time.Time, changed map[string]time.Time, was map[string]float64) {
	for i := range h.in.Devices {
		p := h.in.Devices[i].Point
		owner, ok := map[greenhouse.ChannelName]string{"heater": "heating", "fan": "venting"}[p.Name]
		if !ok || p.Class == greenhouse.ClassHeaterSSR {
			continue
		}
		name := strings.TrimPrefix(string(p.ID), "north/")
		level := h.loopLevel(name, owner)
		if level == was[name] {
			continue
		}
		since := h.now.Sub(changed[name])
		if changed[name].IsZero() {
			since = h.now.Sub(began)
		}
		spec := p.Class.Spec()
		if level > 0 && since < spec.MinOff {
			rt.Fatalf("%s on after %s off, its class asks for %s", name, since, spec.MinOff)
		}
		was[name], changed[name] = level, h.now
	}
}

func TestSameInputSameDecision(t *testing.T) {
	a, b := full(t), full(t)
	for i := range 2000 {
		v := 20 + 4*math.Sin(float64(i)/90)
		for _, h := range []*house{a, b} {
			h.set("air_temp", v)
			h.set("air_rh", 75+10*math.Cos(float64(i)/70))
			h.run(5*time.Second, nil)
		}
		if d := cmp.Diff(a.last.Wants, b.last.Wants, cmpopts.EquateNaNs()); d != "" {
			t.Fatalf("decision %d differs:\n%s", i, d)
		}
	}
}
