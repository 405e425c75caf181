package actuation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/actuation"
)

// obstacles returns who keeps the actuator from a level, strongest first.
func (w *world) obstacles(p greenhouse.PointID, level float64) (owners []string) {
	w.t.Helper()
	list, ok := w.ctl.Obstacles(p, level)
	if !ok {
		w.t.Fatalf("%s is not decided", p)
	}
	for _, o := range list {
		if o.Reason == "" {
			w.t.Errorf("%s is in the way without a reason", o.Owner)
		}
		owners = append(owners, o.Owner)
	}
	return owners
}

// TestObstacles goes through what may be in the way of a level.
func TestObstacles(t *testing.T) {
	w := newWorld(t)
	w.add(heater, greenhouse.ClassHeaterContactor)
	if _, ok := w.ctl.Obstacles(heater, 1); ok {
		t.Error("an answer before anything was decided")
	}
	check := func(what string, level float64, want ...string) {
		t.Helper()
		if got := w.obstacles(heater, level); !slices.Equal(got, want) {
			t.Errorf("%s: %q keep it from %v, want %q", what, got, level, want)
		}
	}
	w.want(heater, 0)
	w.run(2 * time.Minute)
	check("not wanted", 1, "heating")
	check("what it is", 0)

	w.want(heater, 1)
	w.run(10 * time.Second)
	check("it has to stay on", 0, "min_on", "heating")
	w.want(heater, 0)
	w.run(2 * time.Minute)
	w.want(heater, 1)
	w.run(3 * time.Minute)
	check("what it is", 1)

	zero := 0.0
	w.claims[heater] = append(w.claims[heater], greenhouse.Claim{Priority: greenhouse.PrioritySafety, Owner: "heat", Max: &zero, Reason: "35 °C", Urgent: true})
	w.run(10 * time.Second)
	check("forbidden, and just switched off", 1, "heat", "min_off")
	w.run(2 * time.Minute)
	check("forbidden; that the loop wants it does not help", 1, "heat")

	w.want(heater, 0)
	w.plant.Overrides = map[greenhouse.PointID]*greenhouse.Override{heater: {Point: heater, Value: 1, By: "anna", Reason: "dry the crop", ExpiresAt: greenhouse.MillisOf(w.clock.Now()).Add(time.Hour)}}
	w.ctl.Sync(w.plant)
	w.run(3 * time.Minute)
	if got := w.obstacles(heater, 0); len(got) != 1 || !strings.HasPrefix(got[0], "override") {
		t.Errorf("by hand: %q keep it from 0", got)
	}
	list, _ := w.ctl.Obstacles(heater, 0)
	if left := list[0].LeftS; left < 3400 || left > 3430 || list[0].Remedy != "greenctl zone release north/heater" {
		t.Errorf("by hand for an hour, three minutes ago: %+v", list[0])
	}

	w.ctl.Stop("")
	w.run(10 * time.Second)
	check("stopped, and just switched off", 1, "stop", "min_off")
	w.ctl.Resume("")
	w.silent["north"] = true
	w.run(3 * time.Minute)
	check("nobody decides", 1, "failsafe")
	w.cut(heater, true)
	w.run(time.Second)
	check("and its node is away", 1, "node", "failsafe")
	check("safe, but nobody can tell", 0, "node")
	if got := w.ctl.Waits(heater); !strings.Contains(got, "offline") {
		t.Errorf("it waits because %q", got)
	}
}

// TestReasonsAreTold checks that a level is explained anew when it comes to rest on
// something else though it stays what it is, that small things are not, and that
// nothing is left unsaid for more than ten minutes.
func TestReasonsAreTold(t *testing.T) {
	var told []string
	w := newWorld(t, func(o *actuation.Options) {
		o.OnReason = func(v greenhouse.Verdict) { told = append(told, v.Winner.Owner) }
	})
	w.add(heater, greenhouse.ClassHeaterContactor)
	w.want(heater, 0)
	w.run(2 * time.Minute)
	if want := []string{"heating"}; !slices.Equal(told, want) {
		t.Fatalf("told %q, want %q: the first reason, once", told, want)
	}
	w.ctl.Stop("north")
	w.run(time.Minute)
	w.ctl.Resume("north")
	w.run(30 * time.Second)
	if want := []string{"heating", "stop", "heating"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	told = nil
	w.run(time.Hour)
	if len(told) < 5 || len(told) > 6 {
		t.Errorf("told %d times in an hour in which nothing changed, want every ten minutes", len(told))
	}
	told = nil
	for i := range 120 { // two loops that take turns
		w.claims[heater] = []greenhouse.Claim{{Priority: greenhouse.PriorityLoop, Owner: []string{"heating", "drying"}[i%2], Reason: "warm enough"}}
		w.run(5 * time.Second)
	}
	if len(told) < 8 || len(told) > 11 {
		t.Errorf("told %d times in ten minutes of loops taking turns, want about once a minute", len(told))
	}
}
