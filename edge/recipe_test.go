package edge_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/edge"
	"greenhouse/wire"
)

// seasons is a recipe that ends its phases by days, by warmth and by hand.
func seasons() api.CreateRecipeRequest {
	at := func(v float64) map[greenhouse.Quantity]greenhouse.Target {
		return map[greenhouse.Quantity]greenhouse.Target{greenhouse.Heating: {Day: v, Night: v}}
	}
	return api.CreateRecipeRequest{ID: "lettuce", Phases: []greenhouse.Phase{
		{Name: "rooting", Days: 2, Targets: at(20)}, {Name: "growth", DegreeDays: 35, BaseTemp: 5, Targets: at(14)}, {Name: "harvest", Days: 1, Targets: at(10)}}}
}

// almanac is a cabin whose days can be skipped: the time moves on as if the machine
// had slept, or the clock alone, as if somebody had set it.
type almanac struct {
	*cabin
	ahead *atomic.Int64
}

func newAlmanac(t *testing.T) *almanac {
	ahead := new(atomic.Int64)
	c := newCabin(t, func(o *edge.Options) { o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) } })
	return &almanac{cabin: c, ahead: ahead}
}

// skip lets time go by until a minute after a local midnight, so many of them from
// now; negative goes back.
func (a *almanac) skip(days int) {
	now := time.Now().Add(time.Duration(a.ahead.Load()))
	to := time.Date(now.Year(), now.Month(), now.Day()+days, 0, 1, 0, 0, now.Location())
	a.ahead.Add(int64(to.Sub(now)))
	pass(2*time.Minute + time.Second)
}

// phase returns how far the cabin is on its recipe.
func (a *almanac) phase() api.RecipeStatus {
	a.t.Helper()
	var z api.Zone
	a.must("GET", "/zones/hut", nil, &z)
	if z.Recipe == nil {
		a.t.Fatal("nothing grows")
	}
	return *z.Recipe
}

// warm has the node measure for some minutes.
func (a *almanac) warm(temp float64) {
	a.t.Helper()
	for range 12 {
		a.seq++
		a.d.tell(topic(wire.KindTelemetry, box), fmt.Sprintf(`{"v":1,"boot":"a","seq":%d,"m":{"air_temp":%v,"air_rh":60}}`, a.seq, temp))
		pass(10 * time.Second)
	}
}

// heating returns the set-point in force.
func (a *almanac) heating() api.SetPoint {
	a.t.Helper()
	pass(10 * time.Second)
	var z api.Zone
	a.must("GET", "/zones/hut", nil, &z)
	return z.SetPoints[greenhouse.Heating]
}

// TestRecipeFollowsTheCalendar: a phase by days ends on its date, once, whatever the
// clock and the daemon do; one by warmth when the measured days have brought it; the
// last stays. Set-points take a day, over a restart too, and the journal names the
// recipe.
func TestRecipeFollowsTheCalendar(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := newAlmanac(t)
		a.must("POST", "/recipes", seasons(), nil)
		a.must("POST", "/zones/hut/recipe", api.StartRecipeRequest{Recipe: "lettuce"}, nil)
		if sp := a.heating(); sp.Value != 20 || sp.Layer != "recipe" || sp.By != "lettuce v1, phase 1 rooting" {
			t.Errorf("at the start the phase counts at once: %+v", sp)
		}
		a.skip(1)
		if p := a.phase(); p.Phase != 1 || p.Day != 2 {
			t.Fatalf("on the second day: %+v", p)
		}
		a.skip(1)
		p := a.phase()
		if p.Phase != 2 || p.Day != 1 || p.By != "recipe:lettuce" {
			t.Fatalf("on the third day: %+v", p)
		}
		a.skip(-1)
		a.skip(1)
		a.skip(0)
		if got := a.phase(); got.Since != p.Since || len(a.events("phase_changed")) != 1 {
			t.Errorf("the clock went back and forth: %+v, was %+v, %d events", got, p, len(a.events("phase_changed")))
		}

		a.ahead.Add(int64(12 * time.Hour))
		before := a.heating()
		if math.Abs(before.Value-17) > 0.3 {
			t.Errorf("half a day after the change: %.2f, want half way from 20 to 14", before.Value)
		}
		var why api.Why
		a.must("GET", "/points/hut%2Fheater/why", nil, &why)
		if want := "heating 17 °C: recipe lettuce v1, phase 2 growth, 50 % of the way there"; why.Aim != want || !strings.Contains(why.Text, want) {
			t.Errorf("why: %q, want %q; in words: %s", why.Aim, want, why.Text)
		}
		a.die()
		a.run()
		var secret api.NewSecret
		a.must("POST", "/nodes/"+string(box)+"/rotate-key", nil, &secret)
		a.d = a.login(string(box), secret.Secret)
		if after := a.heating(); math.Abs(after.Value-before.Value) > 0.02 || after.Layer != "recipe" {
			t.Errorf("a restart moved the set-point from %.3f to %.3f", before.Value, after.Value)
		}

		a.warm(25) // 20 °C·d above 5 °C
		a.skip(1)
		if got := a.phase(); got.Phase != 2 || math.Abs(got.DegreeDays-20) > 0.1 {
			t.Fatalf("after a warm day: %+v", got)
		}
		a.die()
		a.run()
		a.skip(0)
		if got := a.phase(); math.Abs(got.DegreeDays-20) > 0.1 {
			t.Fatalf("a day is counted once: %+v", got)
		}
		a.skip(1) // nobody measured: it counts as the mean so far, so that 40 °C·d are reached
		if got := a.phase(); got.Phase != 3 || got.Ramp > 0.01 {
			t.Fatalf("after 35 °C·d: %+v", got)
		}
		a.skip(2)
		if got := a.phase(); got.Phase != 3 || got.Completed == "" || len(a.events("recipe_completed")) != 1 {
			t.Errorf("the last phase stays: %+v", got)
		}
		if sp := a.heating(); sp.Value != 10 {
			t.Errorf("the last phase goes on: %+v", sp)
		}
		a.owners()
	})
}

// owners compares what the journal says of the phases with what happened.
func (a *almanac) owners() {
	a.t.Helper()
	changes := a.events("phase_changed")
	if len(changes) != 2 {
		a.t.Fatalf("%d changes, want 2: %+v", len(changes), changes)
	}
	for i, want := range []struct{ name, why string }{{"growth", "after 2 days"}, {"harvest", "40 of 35 °C·d are reached"}} {
		var d struct{ Name, Why string }
		if err := json.Unmarshal(changes[i].Detail, &d); err != nil {
			a.t.Fatal(err)
		}
		if e := changes[i]; e.Actor != "recipe:lettuce" || e.Source != "zone/hut" || d.Name != want.name || d.Why != want.why {
			a.t.Errorf("change %d: %s of %s by %s: %s", i+1, e.Code, e.Source, e.Actor, e.Detail)
		}
	}
}

// TestRecipeWaitsForTheDate: while nobody knows the date no phase ends, and the
// highest level of the phase, less a kelvin, is heated to.
func TestRecipeWaitsForTheDate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := newAlmanac(t)
		a.must("POST", "/recipes", seasons(), nil)
		a.must("POST", "/zones/hut/recipe", api.StartRecipeRequest{Recipe: "lettuce"}, nil)
		a.die()
		a.edit = append(a.edit, func(o *edge.Options) { o.ClockTrust = edge.TrustNever })
		a.run()
		a.skip(9)
		if p := a.Store().Registry().Zones["hut"].Run.Last(); p.Phase != 1 {
			t.Errorf("phase %d began while nobody knew the date", p.Phase)
		}
		if sp := a.heating(); sp.Value != 19 || sp.Layer != "recipe" {
			t.Errorf("got %+v, want 19 by the recipe", sp)
		}
		if got := a.call("POST", "/zones/hut/recipe/advance", api.AdvanceRequest{}, nil); got != 503 {
			t.Errorf("advancing without the date: got %d, want 503", got)
		}
	})
}

// TestRecipeOutlivesAWrongYear: the clock is wrong by a year for ten minutes, as by a
// time server that lies. No phase begins that would not have begun; a clock that
// stays there is believed after an hour.
func TestRecipeOutlivesAWrongYear(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var step atomic.Int64
		c := newCabin(t, func(o *edge.Options) {
			o.Now = func() time.Time { return edge.StepWall(t, time.Now(), time.Duration(step.Load())) }
		})
		a := &almanac{cabin: c, ahead: new(atomic.Int64)}
		a.must("POST", "/recipes", seasons(), nil)
		a.must("POST", "/zones/hut/recipe", api.StartRecipeRequest{Recipe: "lettuce"}, nil)
		const year = 365 * 24 * time.Hour
		pass(2 * time.Hour)
		step.Store(int64(year))
		pass(10 * time.Minute)
		step.Store(0)
		pass(2 * time.Hour)
		if p := a.phase(); p.Phase != 1 || len(a.events("phase_changed")) != 0 {
			t.Errorf("after ten minutes of another year: %+v", p)
		}
		step.Store(int64(3 * 24 * time.Hour))
		pass(50 * time.Minute)
		if p := a.phase(); p.Phase != 1 {
			t.Errorf("within the hour: %+v", p)
		}
		pass(15 * time.Minute)
		if p := a.phase(); p.Phase != 2 {
			t.Errorf("three days on, and it stays so: %+v", p)
		}
	})
}
