package edge

import (
	"testing"

	"greenhouse"
)

// TestPulsesAreNotAllTold checks that of a loop that switches and switches only one
// change in half a minute is told, and that anybody else's is told at once.
func TestPulsesAreNotAllTold(t *testing.T) {
	change := func(at greenhouse.Millis, p greenhouse.Priority, owner string) greenhouse.Verdict {
		return greenhouse.Verdict{Point: "north/heater", At: at, Winner: greenhouse.Claim{Priority: p, Owner: owner}}
	}
	told := tellingOf(change(100_000, greenhouse.PriorityLoop, "heating"))
	for _, c := range []struct {
		v    greenhouse.Verdict
		less bool
	}{
		{change(110_000, greenhouse.PriorityLoop, "heating"), true},
		{change(129_999, greenhouse.PriorityLoop, "heating"), true},
		{change(130_000, greenhouse.PriorityLoop, "heating"), false},
		{change(99_000, greenhouse.PriorityLoop, "heating"), false}, // the clock went back
		{change(110_000, greenhouse.PriorityLoop, "frost"), false},
		{change(110_000, greenhouse.PrioritySafety, "heating"), false},
		{change(110_000, greenhouse.PriorityManual, "override:anna"), false},
	} {
		if got := told.pulses(c.v); got != c.less {
			t.Errorf("%+v: merely a pulse %v, want %v", c.v, got, c.less)
		}
	}
	if tellingOf(change(0, greenhouse.PriorityManual, "override:anna")).pulses(change(5, greenhouse.PriorityManual, "override:anna")) {
		t.Error("a hand is no loop")
	}
}
