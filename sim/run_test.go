package sim_test

import (
	"strings"
	"testing"
	"time"

	"greenhouse/sim"
)

// TestRunIsBitExact runs one scenario with faults twice: the same seed gives the
// same course to the bit, another seed another one.
func TestRunIsBitExact(t *testing.T) {
	s := "scenarios/50-flapping.yaml"
	digest := func(seed uint64) string {
		o, err := sim.Run(scenario(t, s), seed, sim.RunOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return o.Digest
	}
	one, again, other := digest(1), digest(1), digest(2)
	if one != again {
		t.Errorf("seed 1 twice: digests %s and %s, want one", one, again)
	}
	if one == other {
		t.Errorf("seeds 1 and 2: both have digest %s", one)
	}
}

// TestScenarioErrorsNameTheLine checks that what is wrong in a file is told with
// its place.
func TestScenarioErrorsNameTheLine(t *testing.T) {
	head := "name: x\nstart: 2026-01-01 00:00\nfor: 1h\n"
	for _, c := range []struct{ text, want string }{
		{head + "colour: red\nexpect: [air_temp > 1]\n", "x.yaml:4: field colour not found"},
		{head + "expect:\n  - air_temp is nice\n", "x.yaml:5:"},
		{head + "expect:\n  - air_temp > 1\ntimeline:\n  - {at: 1m, fualt: gap air_temp}\n", "x.yaml:7:"},
		{head + "expect:\n  - air_temp > 1\ntimeline:\n  - {at: 1m}\n", "x.yaml:7:"},
		{head + "expect:\n  - air_temp > 1\ntimeline:\n  - {at: 2h, stop: true}\n", "x.yaml:7:"},
		{head + "expect:\n  - air_temp > 1\nzone:\n  recipe:\n    id: basil\n    steps: []\n", "x.yaml:8: recipe: unknown field \"steps\""},
		{head + "expect:\n  - air_temp > 1\nzone:\n  recipe: {id: basil, phases: [{name: a}]}\n", "x.yaml: phase 1, a, asks for nothing"},
		{head + "expect:\n  - event\n", "x.yaml:5:"},
		{head + "expect:\n  - air_temp > 1\ntimeline:\n  - {at: 1m, advance: bloom}\n", `x.yaml:7: the recipe has no phase "bloom"`},
		{"name: x\nstart: yesterday\n", "x.yaml:2:"},
		{"name: x\nstart: 2026-01-01\nfor: a while\n", "x.yaml:3:"},
		{head, `x.yaml: the scenario needs "expect"`},
	} {
		_, err := sim.ReadScenario("x.yaml", strings.NewReader(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q:\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

// TestScenarioCanFail checks that expectations fail that are wrong, and that a
// known one that holds is noticed.
func TestScenarioCanFail(t *testing.T) {
	text := `
name: x
start: 2026-01-01 00:00
for: 30m
expect:
  - air_temp > 40
  - alarm frost_protection
  - starts(heater) >= 1000
  - {expect: air_temp > 0, known: no reason}
  - event phase_changed
  - no event recipe_started by grower
  - event recipe_started by recipe:basil
zone:
  recipe: {id: basil, phases: [{name: a, days: 1, targets: {heating: 15}}]}
`
	s, err := sim.ReadScenario("x.yaml", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	o, err := sim.Run(s, 1, sim.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range o.Findings {
		if f.OK() {
			t.Errorf("%s turned out well: %s", f.Text, f.Detail)
		}
	}
}

// BenchmarkScenarioDay measures a simulated day of one zone with every part of
// ring 1.
func BenchmarkScenarioDay(b *testing.B) {
	s := scenario(b, "scenarios/01-winter-night.yaml")
	s.For = sim.Span(24 * time.Hour)
	for b.Loop() {
		if _, err := sim.Run(s, 1, sim.RunOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
