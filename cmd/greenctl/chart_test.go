package main

import (
	"strings"
	"testing"

	"greenhouse"
	"greenhouse/api"
)

// TestChartLeavesOutBadReadings: a single sentinel must not flatten the curve,
// and must not go unsaid.
func TestChartLeavesOutBadReadings(t *testing.T) {
	v := func(x float64) *float64 { return &x }
	h := api.History{Point: "north/air_temp", Step: "raw", Samples: []api.Sample{
		{TS: 60_000, Value: v(18)}, {TS: 120_000, Value: v(255), Quality: greenhouse.Bad}, {TS: 180_000, Value: v(18.5), Quality: greenhouse.Suspect}, {TS: 240_000, Value: v(19)},
	}, Gaps: []api.Gap{{From: 1, To: 2, Cause: "restamped"}, {From: 3, To: 4, Cause: "seq", Count: 7}, {From: 5, To: 6, Cause: "silence"}, {From: 7, To: 8, Cause: "thinned"}}}
	for _, bad := range []bool{false, true} {
		var out, notes strings.Builder
		a := &app{out: &out, err: &notes}
		if bad {
			h.Samples = h.Samples[1:2]
		}
		if err := a.drawChart(h, 40, 5); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "255") || bad != (out.Len() == 0) {
			t.Errorf("drawn:\n%s", out.String())
		}
		for _, want := range []string{"1 bad", "bad ones are not drawn", "found out later (restamped)", "lost until", "(seq, 7)", "nothing until", "(silence)", "given way to summaries"} {
			if !strings.Contains(notes.String(), want) {
				t.Errorf("notes have no %q:\n%s", want, notes.String())
			}
		}
		if !bad && !strings.Contains(notes.String(), "1 suspect, 1 bad") {
			t.Errorf("notes:\n%s", notes.String())
		}
	}
}
