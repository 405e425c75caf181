package automation_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/automation"
)

// flat is a phase with one level of heating.
func flat(name string, heating float64) greenhouse.Phase {
	return greenhouse.Phase{Name: name, Targets: map[greenhouse.Quantity]greenhouse.Target{greenhouse.Heating: {Day: heating, Night: heating}}}
}

// grow puts the zone of a house on phases; changes are hours after the start, in
// order, with the phase that begins.
func grow(z *greenhouse.Zone, start time.Time, phases []greenhouse.Phase, changes ...[2]float64) {
	z.Run = &greenhouse.RecipeRun{Recipe: "basil", Version: 3, Phases: phases, Planted: greenhouse.DateOf(start)}
	for _, c := range changes {
		at := start.Add(time.Duration(c[0] * float64(time.Hour)))
		z.Run.Changes = append(z.Run.Changes, greenhouse.PhaseChange{Phase: int(c[1]), From: greenhouse.DateOf(at), At: greenhouse.MillisOf(at), By: "anna"})
	}
}

// heatingAt decides with a state of its own, as after a restart.
func heatingAt(z *greenhouse.Zone, site *greenhouse.Site, loc *time.Location, at time.Time) automation.SetPointNow {
	var st automation.State
	d := automation.Decide(&automation.Input{Zone: z, Site: site, Location: loc, Now: at, Trusted: true}, &st)
	return d.SetPoints[0]
}

func TestRampBetweenPhases(t *testing.T) {
	z, site, loc := bleiswijk(t)
	start := time.Date(2026, 2, 1, 9, 0, 0, 0, loc)
	grow(z, start, []greenhouse.Phase{flat("a", 20), flat("b", 14), flat("c", 18)}, [2]float64{0, 1}, [2]float64{48, 2}, [2]float64{60, 3})
	for hours, want := range map[float64]float64{0: 20, 47: 20, 48: 20, 54: 18.5, 60: 17, 66: 17.25, 72: 17.5, 84: 18, 300: 18} {
		p := heatingAt(z, site, loc, start.Add(time.Duration(hours*float64(time.Hour))))
		if math.Abs(p.Value-want) > 1e-9 || p.Layer != automation.LayerRecipe {
			t.Errorf("after %v h: got %.3f of %q, want %.3f", hours, p.Value, p.Layer, want)
		}
	}
	if p := heatingAt(z, site, loc, start.Add(100*time.Hour)); p.By != "basil v3, phase 3 c" {
		t.Errorf("owner %q", p.By)
	}
}

// TestRampsAreSmooth: whatever phases follow each other whenever, the set-point of
// heating moves by no more than the widest step of phases in a day, never leaves the
// levels between which it is, is at the last level a day after the last change, and
// is the same for a daemon that was there all the time and one that begins anew.
func TestRampsAreSmooth(t *testing.T) {
	z0, site, loc := bleiswijk(t)
	start := time.Date(2026, 3, 27, 12, 0, 0, 0, loc) // across a change of clocks
	rapid.Check(t, func(t *rapid.T) {
		levels := rapid.SliceOfN(rapid.Float64Range(8, 25), 2, 6).Draw(t, "levels")
		var phases []greenhouse.Phase
		var changes [][2]float64
		hours := 0.0
		for i, v := range levels {
			phases = append(phases, flat(string(rune('a'+i)), v))
			changes = append(changes, [2]float64{hours, float64(i + 1)})
			hours += rapid.Float64Range(0, 40).Draw(t, "hours")
		}
		z := *z0
		grow(&z, start, phases, changes...)
		var lasting automation.State
		const step = 13 * time.Minute
		was, last := math.NaN(), changes[len(changes)-1][0]
		k := 0
		for at := start; at.Before(start.Add(time.Duration((last + 25) * float64(time.Hour)))); at = at.Add(step) {
			since := at.Sub(start).Hours()
			for k+1 < len(changes) && changes[k+1][0] <= since {
				k++
			}
			got := heatingAt(&z, site, loc, at).Value
			d := automation.Decide(&automation.Input{Zone: &z, Site: site, Location: loc, Now: at, Trusted: true}, &lasting)
			switch kept := d.SetPoints[0].Value; {
			case math.Abs(kept-got) > 1e-9:
				t.Fatalf("after %.2f h: %.4f for who was there, %.4f after a restart", since, kept, got)
			case !math.IsNaN(was) && math.Abs(got-was) > 17*step.Hours()/24+1e-9:
				t.Fatalf("after %.2f h: it jumped from %.3f to %.3f", since, was, got)
			case !math.IsNaN(was) && (got-was)*(levels[k]-was) < -1e-9 && since-step.Hours() >= changes[k][0]:
				t.Fatalf("after %.2f h: it moved from %.4f to %.4f, away from %.4f", since, was, got, levels[k])
			}
			was = got
		}
		if want := levels[len(levels)-1]; math.Abs(was-want) > 1e-9 {
			t.Fatalf("a day after the last change it is %.4f, want %.4f", was, want)
		}
	})
}

// TestRecipeAmongTheLayers: above the target, below the curve; where the phase is
// silent the target stands, and what only one phase asks for counts at once.
func TestRecipeAmongTheLayers(t *testing.T) {
	z, site, loc := bleiswijk(t)
	start := time.Date(2026, 2, 1, 0, 0, 0, 0, loc)
	z.Targets[greenhouse.Heating] = greenhouse.Target{Day: 12, Night: 12}
	z.Targets[greenhouse.TargetCO2] = greenhouse.Target{Day: 700, Night: 700}
	quiet := greenhouse.Phase{Name: "b", Targets: map[greenhouse.Quantity]greenhouse.Target{greenhouse.HumidityMax: {Day: 80, Night: 80}}}
	grow(z, start, []greenhouse.Phase{flat("a", 20), quiet}, [2]float64{0, 1}, [2]float64{24, 2})
	look := func(hours int) automation.SetPoints {
		var st automation.State
		return automation.Decide(&automation.Input{Zone: z, Site: site, Location: loc, Now: start.Add(time.Duration(hours) * time.Hour), Trusted: true}, &st).SetPoints
	}
	expect := func(what string, p automation.SetPointNow, layer automation.Layer, value float64) {
		t.Helper()
		if p.Layer != layer || math.Abs(p.Value-value) > 1e-9 {
			t.Errorf("%s: got %.2f of %q, want %.2f of %q", what, p.Value, p.Layer, value, layer)
		}
	}
	const heat, rh, co2 = 0, 2, 4
	first, between, then := look(12), look(36), look(60)
	expect("the phase", first[heat], automation.LayerRecipe, 20)
	expect("what it does not name", first[co2], automation.LayerTarget, 700)
	if first[rh].Layer != automation.LayerNone {
		t.Errorf("nobody asks for humidity: %+v", first[rh])
	}
	expect("half way to the target of the zone", between[heat], automation.LayerRecipe, 16)
	expect("what only the new phase names", between[rh], automation.LayerRecipe, 80)
	expect("the silent phase", then[heat], automation.LayerTarget, 12)
	edited := *z
	edited.Schedule = map[greenhouse.Quantity]greenhouse.Curve{greenhouse.Heating: {{At: "00:00", Value: 15}}}
	edited.Holds = map[greenhouse.Quantity]greenhouse.Adjustment{greenhouse.HumidityMax: {Value: 70, By: "ben", CreatedAt: 1, ExpiresAt: math.MaxInt64}}
	z = &edited
	expect("a curve of the zone", look(12)[heat], automation.LayerSchedule, 15)
	expect("and in the ramp", look(36)[heat], automation.LayerSchedule, 15)
	expect("a hold", look(36)[rh], automation.LayerHold, 70)
}

// TestRampOfTheLightSum: what follows no curve takes the ramp too.
func TestRampOfTheLightSum(t *testing.T) {
	start := noon()
	h := newHouse(t, start, "ppfd", "lamp", "air_temp")
	h.set("ppfd", 100)
	h.set("air_temp", 18)
	phase := func(name string, dli float64) greenhouse.Phase {
		return greenhouse.Phase{Name: name, Targets: map[greenhouse.Quantity]greenhouse.Target{greenhouse.DLI: {Day: dli, Night: dli}}}
	}
	edit(h, func(z *greenhouse.Zone) {
		grow(z, start, []greenhouse.Phase{phase("a", 10), phase("b", 20)}, [2]float64{-48, 1}, [2]float64{-12, 2})
	})
	h.step()
	if got := h.want("lamp").Terms["set_point"]; math.Abs(got-15) > 0.01 {
		t.Errorf("half way from 10 to 20 the lamps aim at %v mol/m², want 15", got)
	}
}

// TestAims: what an actuator is for is told with who says so, whichever layer that is.
func TestAims(t *testing.T) {
	start := noon()
	at := func(d time.Duration) greenhouse.Millis { return greenhouse.MillisOf(start.Add(d)) }
	h := newHouse(t, start, "air_temp", "heater", "vent", "lamp")
	h.set("air_temp", 17)
	expect := func(actuator, want string) {
		t.Helper()
		h.step()
		if got := h.want(actuator).Aim; got != want {
			t.Errorf("%s aims at %q, want %q", actuator, got, want)
		}
	}
	expect("heater", "")
	h.target(greenhouse.Heating, 18, 18)
	expect("heater", "heating 18 °C: the target of the zone")
	expect("vent", "venting 21 °C: the dead zone above heating")
	edit(h, func(z *greenhouse.Zone) {
		grow(z, start, []greenhouse.Phase{flat("a", 20), flat("b", 14)}, [2]float64{-48, 1}, [2]float64{-6, 2})
	})
	expect("heater", "heating 18.5 °C: recipe basil v3, phase 2 b, 25 % of the way there")
	h.run(30*time.Minute, func() {})
	expect("heater", "heating 18.4 °C: recipe basil v3, phase 2 b, 27 % of the way there")
	edit(h, func(z *greenhouse.Zone) {
		z.Schedule = map[greenhouse.Quantity]greenhouse.Curve{greenhouse.Heating: {{At: "00:00", Value: 19}}}
	})
	expect("heater", "heating 19 °C: the curve of the zone")
	edit(h, func(z *greenhouse.Zone) {
		z.Holds = map[greenhouse.Quantity]greenhouse.Adjustment{greenhouse.Heating: {Value: 22, By: "ben", CreatedAt: at(0), ExpiresAt: at(time.Hour)}}
	})
	expect("heater", "heating 22 °C: hold by ben")
	expect("lamp", "")
	edit(h, func(z *greenhouse.Zone) {
		z.Targets = map[greenhouse.Quantity]greenhouse.Target{greenhouse.DLI: {Day: 14, Night: 14}}
	})
	expect("lamp", "dli 14 mol/m²/d: the target of the zone")
}

func TestPlanShowsTheRamp(t *testing.T) {
	z, site, loc := bleiswijk(t)
	start := time.Date(2026, 2, 1, 0, 0, 0, 0, loc)
	grow(z, start, []greenhouse.Phase{flat("a", 20), flat("b", 14)}, [2]float64{0, 1}, [2]float64{12, 2})
	p := automation.PlanDay(z, site, loc, start)
	if got := levelAt(t, p, greenhouse.Heating, "18:00"); math.Abs(got-18.5) > 1e-9 {
		t.Errorf("at 18:00: %v, want 18.5", got)
	}
	if s := p.Courses[0].Steps; len(s) != 1 || s[0].To != 14 || math.Abs(s[0].Ramp-0.25) > 1e-9 || !s[0].At.Equal(start.Add(12*time.Hour)) {
		t.Errorf("steps %+v", s)
	}
	next := automation.PlanDay(z, site, loc, start.AddDate(0, 0, 1))
	if got := levelAt(t, next, greenhouse.Heating, "06:00"); math.Abs(got-15.5) > 1e-9 {
		t.Errorf("at 6:00 of the next date: %v, want 15.5", got)
	}
}

// TestPlanOfTheDayOfTheStart: a zone that nobody asked anything of before shows the
// course from the start on.
func TestPlanOfTheDayOfTheStart(t *testing.T) {
	z, site, loc := bleiswijk(t)
	start := time.Date(2026, 2, 1, 0, 0, 0, 0, loc)
	grow(z, start, []greenhouse.Phase{flat("a", 20)}, [2]float64{15, 1})
	p := automation.PlanDay(z, site, loc, start)
	if before, after := levelAt(t, p, greenhouse.Heating, "14:00"), levelAt(t, p, greenhouse.Heating, "16:00"); !math.IsNaN(before) || after != 20 {
		t.Errorf("before the start %v and after it %v, want nothing and 20", before, after)
	}
	if len(p.Courses) == 0 || p.Courses[0].Mean != 20 {
		t.Errorf("courses %+v, want a mean of what was asked for", p.Courses)
	}
}
