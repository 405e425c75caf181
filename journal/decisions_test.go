package journal_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/journal"
)

func verdict(p greenhouse.PointID, at greenhouse.Millis, owner string) greenhouse.Verdict {
	limit := math.Inf(1)
	return greenhouse.Verdict{Point: p, Value: 1, At: at, Since: at,
		Winner: greenhouse.Claim{Priority: greenhouse.PriorityLoop, Owner: owner, Reason: "cold"},
		Losers: []greenhouse.Claim{{Priority: greenhouse.PriorityInterlock, Owner: "rain", Max: &limit}},
		Inputs: []greenhouse.Input{{Point: "north/air_temp", Value: math.NaN(), Quality: greenhouse.Bad, AgeS: math.Inf(1)}},
		Terms:  map[string]float64{"error": 2, "nothing": math.NaN()}, Timers: map[string]float64{"min_on": 60}}
}

// owner returns who had won at an instant, "" if nothing is kept from then.
func owner(t *testing.T, j *journal.Journal, p greenhouse.PointID, at greenhouse.Millis) string {
	t.Helper()
	v, ok, err := j.Decision(p, at)
	if err != nil {
		t.Fatal(err)
	}
	if ok && (v.Point != p || v.At > at) {
		t.Fatalf("asked for %s at %d: got that of %s at %d", p, at, v.Point, v.At)
	}
	return v.Winner.Owner
}

// TestDecisionInForce checks that a question about the past finds the last decision
// of just that point, whether it waits for the disk or is on it.
func TestDecisionInForce(t *testing.T) {
	j, d, _ := setup(t)
	err := j.RecordAll(nil, []greenhouse.Verdict{verdict("north/heater", 1000, "heating"), verdict("north/heater.2", 1500, "second"), verdict("north/heater", 2000, "frost"), verdict("north/heat", 3000, "other")})
	if err != nil {
		t.Fatal(err)
	}
	j.Explain(verdict("north/heater", 1700, "override:anna"))
	check := func() {
		t.Helper()
		for _, c := range []struct {
			at   greenhouse.Millis
			want string
		}{{999, ""}, {1000, "heating"}, {1699, "heating"}, {1700, "override:anna"}, {1999, "override:anna"}, {2000, "frost"}, {9999, "frost"}} {
			if got := owner(t, j, "north/heater", c.at); got != c.want {
				t.Errorf("at %d: %q had won, want %q", c.at, got, c.want)
			}
		}
	}
	check()
	d.full = true
	if err := j.KeepDecisions(); err == nil {
		t.Error("a full disk took decisions")
	}
	check()
	d.full = false
	if err := j.KeepDecisions(); err != nil {
		t.Fatal(err)
	}
	check()
	if j, err = journal.New(d, time.Now); err != nil { // nothing waits in memory any more
		t.Fatal(err)
	}
	check()
	v, _, err := j.Decision("north/heater", 1000)
	if err != nil || len(v.Losers) != 1 || v.Losers[0].Max != nil || len(v.Inputs) != 1 || !math.IsNaN(v.Inputs[0].Value) || v.Inputs[0].AgeS != -1 || len(v.Terms) != 1 {
		t.Errorf("got %+v, %v", v, err)
	}
}

// TestDecisionsAreBounded checks that old decisions go, oldest first, and that the
// index goes with them.
func TestDecisionsAreBounded(t *testing.T) {
	j, d, _ := setup(t)
	const n = 2500
	list := make([]greenhouse.Verdict, n)
	for i := range list {
		list[i] = verdict(greenhouse.PointID(fmt.Sprintf("north/heater.%d", 2+i%3)), greenhouse.Millis(i), fmt.Sprint(i))
	}
	if err := j.RecordAll(nil, list); err != nil {
		t.Fatal(err)
	}
	if removed, err := j.PruneDecisions(0, 100); err != nil || removed != n-100 {
		t.Fatalf("got %d removed, %v, want %d", removed, err, n-100)
	}
	if got := owner(t, j, "north/heater.2", n-101-2); got != "" {
		t.Errorf("what was pruned still answers: %q", got)
	}
	if got := owner(t, j, "north/heater.2", n); got != fmt.Sprint(n-1) {
		t.Errorf("got %q, want the newest", got)
	}
	if removed, err := j.PruneDecisions(n, 0); err != nil || removed != 100 {
		t.Fatalf("got %d removed, %v, want the rest", removed, err)
	}
	left := 0
	err := d.View(func(tx journal.Tx) error {
		tx.Scan("decisions_by_point", nil, false, func(_, _ []byte) bool { left++; return true })
		return nil
	})
	if err != nil || left != 0 {
		t.Errorf("%d index entries are left, %v", left, err)
	}
}

// TestWaitingDecisionsAreBounded checks that a disk that takes nothing does not
// fill the memory.
func TestWaitingDecisionsAreBounded(t *testing.T) {
	j, d, _ := setup(t)
	d.full = true
	for i := range 5000 {
		j.Explain(verdict("north/heater", greenhouse.Millis(i), fmt.Sprint(i)))
	}
	if got := owner(t, j, "north/heater", 5000-4096-1); got != "" {
		t.Errorf("%q still waits: more than 4,096 do", got)
	}
	if got := owner(t, j, "north/heater", 5000-4096); got != "904" {
		t.Errorf("got %q, want the oldest that may wait", got)
	}
}

// BenchmarkDecisionInForce asks for the past among fifty thousand decisions.
func BenchmarkDecisionInForce(b *testing.B) {
	j, _, _ := setup(b)
	list := make([]greenhouse.Verdict, 50_000)
	for i := range list {
		list[i] = verdict(greenhouse.PointID(fmt.Sprintf("north/heater.%d", 2+i%10)), greenhouse.Millis(i), "heating")
	}
	if err := j.RecordAll(nil, list); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if _, ok, err := j.Decision("north/heater.7", greenhouse.Millis(1000+i%40_000)); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
