package sim

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Outcome is what a run came to.
type Outcome struct {
	Number   int         `json:"scenario"`
	Name     string      `json:"name"`
	Seed     uint64      `json:"seed"`
	Findings []Finding   `json:"findings"`
	Alarms   []*RunAlarm `json:"alarms"`
	Story    []Happening `json:"story"`
	Trace    *Trace      `json:"trace,omitempty"`
	Digest   string      `json:"digest"` // of everything measured: two runs agree bit for bit
}

// Passed reports whether every expectation turned out as the scenario says:
// those with a known reason must not hold.
func (o *Outcome) Passed() bool {
	for _, f := range o.Findings {
		if !f.OK() {
			return false
		}
	}
	return true
}

// Report tells what happened, for a person who has to find out why.
func (o *Outcome) Report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "scenario %d, %s, seed %d\n", o.Number, o.Name, o.Seed)
	for _, f := range o.Findings {
		mark := "ok  "
		switch {
		case f.Known != "" && !f.Held:
			mark = "know"
		case f.Known != "":
			mark = "NEW!"
		case !f.Held:
			mark = "FAIL"
		}
		fmt.Fprintf(&b, "  %s %s: %s\n", mark, f.Text, f.Detail)
	}
	for _, h := range o.Story {
		fmt.Fprintf(&b, "  %9s  %s\n", clockOf(h.At), h.What)
	}
	return b.String()
}

// Trace is a record for drawing: each series holds the mean of a quantity in each
// column, NaN where it was not known.
type Trace struct {
	Names  []string      `json:"names"`
	Series [][]float64   `json:"-"`
	Every  time.Duration `json:"every"`
	slots  []int
	counts [][]int
}

// prepareTrace finds what is to be drawn: the climate, its aims, and everything
// that is driven.
func (r *run) prepareTrace() error {
	if r.options.Trace <= 0 {
		return nil
	}
	names := []string{"air_temp", "heat_below", "vent_above", "outside_temp", "air_rh"}
	for _, p := range r.daemon.points {
		if p.Class != "" {
			names = append(names, strings.TrimPrefix(string(p.ID), string(scenarioZone)+"/"))
		}
	}
	t := &Trace{Names: names, Every: time.Duration(r.s.For) / time.Duration(r.options.Trace)}
	for _, n := range names {
		s, err := r.slot(n)
		if err != nil {
			return err
		}
		t.slots = append(t.slots, s)
		t.Series = append(t.Series, make([]float64, r.options.Trace))
		t.counts = append(t.counts, make([]int, r.options.Trace))
	}
	r.trace = t
	return nil
}

// add notes one look.
func (t *Trace) add(at time.Duration, v []float64) {
	col := min(int(at/max(t.Every, 1)), len(t.Series[0])-1)
	for i, s := range t.slots {
		if !math.IsNaN(v[s]) {
			t.Series[i][col] += v[s]
			t.counts[i][col]++
		}
	}
}

// finish turns sums into means.
func (t *Trace) finish() {
	for i := range t.Series {
		for c, n := range t.counts[i] {
			t.Series[i][c] /= float64(n) // none: NaN
		}
	}
}

// Of returns the series of a name, nil where there is none.
func (t *Trace) Of(name string) []float64 {
	for i, n := range t.Names {
		if n == name {
			return t.Series[i]
		}
	}
	return nil
}

// outcome concludes the run.
func (r *run) outcome() *Outcome {
	o := &Outcome{Number: r.s.Number, Name: r.s.Name, Seed: r.seed, Alarms: r.daemon.alarms, Story: r.story, Trace: r.trace}
	for _, j := range r.judges {
		o.Findings = append(o.Findings, j.finding(r.daemon))
	}
	if r.trace != nil {
		r.trace.finish()
	}
	o.Digest = fmt.Sprintf("%016x", r.digest)
	return o
}
