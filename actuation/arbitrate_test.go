package actuation_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/actuation"
)

func value(p greenhouse.Priority, v float64) greenhouse.Claim {
	return greenhouse.Claim{Priority: p, Owner: p.String(), Value: v}
}

func atMost(p greenhouse.Priority, v float64) greenhouse.Claim {
	return greenhouse.Claim{Priority: p, Owner: p.String(), Max: &v}
}

func atLeast(p greenhouse.Priority, v float64) greenhouse.Claim {
	return greenhouse.Claim{Priority: p, Owner: p.String(), Min: &v}
}

func TestArbitrate(t *testing.T) {
	const (
		stop, safety, manual = greenhouse.PriorityStop, greenhouse.PrioritySafety, greenhouse.PriorityManual
		inter, loop, sched   = greenhouse.PriorityInterlock, greenhouse.PriorityLoop, greenhouse.PrioritySchedule
	)
	tests := []struct {
		name   string
		safe   float64
		claims []greenhouse.Claim
		level  float64
		winner int
	}{
		{"nobody", 0, nil, 0, -1},
		{"nobody, safe on", 1, nil, 1, -1},
		{"loop over schedule", 0, []greenhouse.Claim{value(sched, 0.2), value(loop, 0.7)}, 0.7, 1},
		{"manual over loop", 0, []greenhouse.Claim{value(loop, 0.7), value(manual, 0.1)}, 0.1, 1},
		{"safety over manual", 0, []greenhouse.Claim{value(manual, 1), value(safety, 0)}, 0, 1},
		{"stop over safety", 0, []greenhouse.Claim{value(safety, 1), value(stop, 0)}, 0, 1},
		{"equals: nearest to safe", 0, []greenhouse.Claim{value(safety, 1), value(safety, 0.2)}, 0.2, 1},
		{"equals: nearest to safe, safe on", 1, []greenhouse.Claim{value(loop, 1), value(loop, 0.2)}, 1, 0},
		{"interlock bounds a loop", 0, []greenhouse.Claim{value(loop, 0.9), atMost(inter, 0.3)}, 0.3, 1},
		{"interlock does not bound a person", 0, []greenhouse.Claim{value(manual, 0.9), atMost(inter, 0.3)}, 0.9, 0},
		{"safety bounds a person", 0, []greenhouse.Claim{value(manual, 0.9), atMost(safety, 0.3)}, 0.3, 1},
		{"safety bounds safety", 0, []greenhouse.Claim{value(safety, 1), atMost(safety, 0.5)}, 0.5, 1},
		{"a bound that is not reached", 0, []greenhouse.Claim{value(loop, 0.2), atMost(inter, 0.3)}, 0.2, 0},
		{"the tightest bound", 0, []greenhouse.Claim{value(loop, 1), atMost(inter, 0.6), atMost(inter, 0.4)}, 0.4, 2},
		{"strong bound over weak one", 0, []greenhouse.Claim{value(loop, 0.5), atLeast(inter, 0.8), atMost(safety, 0.2)}, 0.2, 2},
		{"contradiction: nearest to safe", 0, []greenhouse.Claim{value(loop, 0.5), atLeast(inter, 0.8), atMost(inter, 0.2)}, 0.2, 2},
		{"a bound moves the safe level", 0, []greenhouse.Claim{atLeast(inter, 0.1)}, 0.1, 0},
		{"not a number", 0, []greenhouse.Claim{value(safety, math.NaN()), value(loop, 0.4)}, 0.4, 1},
		{"a bound that is not a number", 0, []greenhouse.Claim{value(loop, 0.4), atMost(safety, math.NaN())}, 0.4, 0},
		{"out of range", 0, []greenhouse.Claim{value(loop, 7)}, 1, 0},
		{"infinite", 0, []greenhouse.Claim{value(loop, math.Inf(-1))}, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := actuation.Arbitrate(tt.safe, true, tt.claims)
			if got.Level != tt.level || got.Winner != tt.winner {
				t.Errorf("got %+v, want level %v by claim %d", got, tt.level, tt.winner)
			}
		})
	}
}

func TestArbitrateASwitch(t *testing.T) {
	const loop, inter = greenhouse.PriorityLoop, greenhouse.PriorityInterlock
	tests := []struct {
		name   string
		claims []greenhouse.Claim
		level  float64
	}{
		{"half is on", []greenhouse.Claim{value(loop, 0.5)}, 1},
		{"less is off", []greenhouse.Claim{value(loop, 0.49)}, 0},
		{"limited to less than all is off", []greenhouse.Claim{value(loop, 1), atMost(inter, 0.9)}, 0},
		{"asked for more than nothing is on", []greenhouse.Claim{value(loop, 0), atLeast(inter, 0.1)}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := actuation.Arbitrate(0, false, tt.claims).Level; got != tt.level {
				t.Errorf("got %v, want %v", got, tt.level)
			}
		})
	}
}

// claims draws any claims at all.
func claims(t *rapid.T) []greenhouse.Claim {
	level := rapid.SampledFrom([]float64{0, 0.1, 0.3, 0.5, 0.8, 1, -1, 2, math.NaN(), math.Inf(1)})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) greenhouse.Claim {
		p := greenhouse.Priority(rapid.IntRange(1, 9).Draw(t, "priority"))
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			return atMost(p, level.Draw(t, "max"))
		case 1:
			return atLeast(p, level.Draw(t, "min"))
		}
		return value(p, level.Draw(t, "value"))
	}), 0, 8).Draw(t, "claims")
}

// TestArbitrationLaws: the level is one; nobody passes a claim or bound of a
// stronger level; whoever is named as the winner would have it so.
func TestArbitrationLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := claims(t)
		safe := rapid.SampledFrom([]float64{0, 1}).Draw(t, "safe")
		out := actuation.Arbitrate(safe, true, list)
		if !(out.Level >= 0 && out.Level <= 1) {
			t.Fatalf("got level %v", out.Level)
		}
		best := greenhouse.PriorityFailsafe
		for i, c := range list {
			if !c.Bound() && !math.IsNaN(c.Value) && (out.Want < 0 || c.Priority < list[out.Want].Priority) {
				t.Fatalf("claim %d is stronger than the one that won, %d", i, out.Want)
			}
		}
		if out.Want >= 0 {
			best = list[out.Want].Priority
		}
		if out.Winner >= 0 && list[out.Winner].Priority > best {
			t.Fatalf("a bound of priority %d moved a level of priority %d", list[out.Winner].Priority, best)
		}
		// Without the safety bounds contradicting each other, none is passed.
		lo, hi := 0.0, 1.0
		for _, c := range list {
			if c.Priority == greenhouse.PriorityStop && c.Min != nil && !math.IsNaN(*c.Min) {
				lo = max(lo, min(1, *c.Min))
			}
			if c.Priority == greenhouse.PriorityStop && c.Max != nil && !math.IsNaN(*c.Max) {
				hi = min(hi, max(0, *c.Max))
			}
		}
		if lo <= hi && (out.Level < lo || out.Level > hi) {
			t.Fatalf("got %v outside of the strongest bounds %v to %v", out.Level, lo, hi)
		}
	})
}

func FuzzArbitrate(f *testing.F) {
	f.Add(0.0, true, 1, 0.5, 3, 0.2)
	f.Fuzz(func(t *testing.T, safe float64, modulating bool, p1 int, v1 float64, p2 int, v2 float64) {
		if !(safe >= 0 && safe <= 1) {
			return
		}
		out := actuation.Arbitrate(safe, modulating, []greenhouse.Claim{value(greenhouse.Priority(p1), v1), atMost(greenhouse.Priority(p2), v2)})
		if !(out.Level >= 0 && out.Level <= 1) || !modulating && out.Level != 0 && out.Level != 1 {
			t.Errorf("got level %v", out.Level)
		}
	})
}
