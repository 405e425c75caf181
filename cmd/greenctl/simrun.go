package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strings"
	"time"

	"github.com/guptarohit/asciigraph"
	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/sim"
)

// newSimRun runs a scenario in memory: it needs no daemon.
func newSimRun(a *app) *cobra.Command {
	var seed uint64
	var width, height int
	var quiet bool
	c := verb("run FILE|SCENARIO...", "Run scenarios in a simulated greenhouse, draw them and check what they expect",
		"  greenctl sim run night.yaml\n  greenctl sim run 21-silent-climate-node       one that ships: greenctl sim list\n  greenctl sim run night.yaml --seed 7 -o json", cobra.MinimumNArgs(1), func(_ *cobra.Command, paths []string) error {
			if width <= 0 {
				width = a.chartWidth()
			}
			failed := 0
			for _, p := range paths {
				o, err := runScenario(p, seed, width)
				if err != nil {
					return err
				}
				if !o.Passed() {
					failed++
				}
				if err := a.showOutcome(o, height, quiet); err != nil {
					return err
				}
			}
			if failed > 0 {
				return fmt.Errorf("%d of %d scenarios did not turn out as expected", failed, len(paths))
			}
			return nil
		})
	c.ValidArgs = sim.ScenarioNames()
	c.Flags().Uint64Var(&seed, "seed", 1, "everything random follows from it")
	c.Flags().IntVar(&width, "width", 0, "columns (default: the terminal's)")
	c.Flags().IntVar(&height, "height", 12, "lines of the chart")
	c.Flags().BoolVar(&quiet, "brief", false, "no drawing and no events")
	return c
}

// runScenario reads a scenario and runs it.
func runScenario(path string, seed uint64, columns int) (*sim.Outcome, error) {
	s, err := readScenario(path)
	if err != nil {
		return nil, err
	}
	return sim.Run(s, seed, sim.RunOptions{Trace: columns})
}

// readScenario reads a file, or a scenario that ships where there is no such file
// and the word looks like a name.
func readScenario(path string) (*sim.Scenario, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(path, "/.") {
		return sim.ShippedScenario(path)
	}
	if err != nil {
		return nil, greenhouse.Invalid("file_invalid", "the scenario cannot be read: %v", err)
	}
	defer f.Close()
	return sim.ReadScenario(path, f)
}

func (a *app) showOutcome(o *sim.Outcome, height int, quiet bool) error {
	if a.output == "json" || a.output == "yaml" {
		return a.show(o, view{})
	}
	fmt.Fprintf(a.out, "%s (scenario %d, seed %d)\n\n", clean(o.Name), o.Number, o.Seed)
	if t := o.Trace; t != nil && !quiet {
		axis := drawClimate(a, t, height)
		drawActuators(a, t, axis)
		a.listStory(o.Story)
	}
	for _, f := range o.Findings {
		fmt.Fprintf(a.out, "%-5s %s: %s\n", findingMark(f), clean(f.Text), f.Detail)
		if f.Known != "" {
			fmt.Fprintf(a.out, "      known: %s\n", clean(f.Known))
		}
	}
	fmt.Fprintln(a.out)
	return nil
}

// findingMark says in a word how an expectation turned out.
func findingMark(f sim.Finding) string {
	switch {
	case f.Known != "" && f.Held:
		return "NEW" // it was expected to fail
	case f.Known != "":
		return "known"
	case f.Held:
		return "pass"
	}
	return "FAIL"
}

// drawClimate draws the temperature inside and out against its two set-points, and
// returns the column of the axis, under which everything else is drawn.
func drawClimate(a *app, t *sim.Trace, height int) (axis int) {
	axis = 8
	var series [][]float64
	var legends []string
	var colours []asciigraph.AnsiColor
	for _, s := range []struct {
		name, legend string
		colour       asciigraph.AnsiColor
	}{{"outside_temp", "outside", asciigraph.Blue}, {"heat_below", "heat below", asciigraph.Red}, {"vent_above", "vent above", asciigraph.Cyan}, {"air_temp", "air", asciigraph.Default}} {
		if v := t.Of(s.name); known(v) {
			series, legends, colours = append(series, v), append(legends, s.legend), append(colours, s.colour)
		}
	}
	for _, n := range t.Names {
		if driven(n) {
			axis = max(axis, len(n)+1)
		}
	}
	if len(series) == 0 {
		return axis
	}
	o := []asciigraph.Option{asciigraph.Height(max(height, 3)), asciigraph.Precision(1),
		asciigraph.Caption(fmt.Sprintf("°C, %v a column: %s", t.Every.Round(time.Second), strings.Join(legends, ", ")))}
	if a.colour() {
		o = append(o, asciigraph.SeriesColors(colours...))
	}
	plot := asciigraph.PlotMany(series, o...)
	first, _, _ := strings.Cut(plot, "\n")
	at := 0
	for i, r := range []rune(first) {
		if r == '┤' || r == '┼' {
			at = i
			break
		}
	}
	for line := range strings.SplitSeq(plot, "\n") {
		fmt.Fprintln(a.out, strings.Repeat(" ", max(axis-at, 0))+line)
	}
	fmt.Fprintln(a.out)
	return max(axis, at)
}

// driven reports whether a line of the trace is that of an actuator.
func driven(name string) bool {
	switch name {
	case "air_temp", "heat_below", "vent_above", "outside_temp", "air_rh":
		return false
	}
	return true
}

// colour reports whether the output is a terminal that wants colour.
func (a *app) colour() bool {
	f, ok := a.out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

func known(v []float64) bool {
	for _, x := range v {
		if !math.IsNaN(x) {
			return true
		}
	}
	return false
}

// drawActuators draws how far each actuator is on, one line each, and the hours
// below.
func drawActuators(a *app, t *sim.Trace, axis int) {
	bars := []rune(" ▁▂▃▄▅▆▇█")
	for _, n := range t.Names {
		if !driven(n) {
			continue
		}
		var b strings.Builder
		for _, v := range t.Of(n) {
			step := 0
			if v > 0.01 {
				step = 1 + int(min(v, 1)*7.001)
			}
			b.WriteRune(bars[min(step, 8)])
		}
		fmt.Fprintf(a.out, "%*s %s\n", axis, n, b.String())
	}
	fmt.Fprintf(a.out, "%*s %s\n\n", axis, "hours", hours(t))
}

// hours marks the time under the columns: 0, and then so seldom that the marks do
// not touch.
func hours(t *sim.Trace) string {
	n := 0
	for _, name := range t.Names {
		n = max(n, len(t.Of(name)))
	}
	line := []byte(strings.Repeat(" ", n+4))
	for _, each := range []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour} {
		if t.Every <= 0 || int(each/t.Every) < 8 && each < 7*24*time.Hour {
			continue
		}
		for at := time.Duration(0); int(at/t.Every) < n; at += each {
			copy(line[at/t.Every:], fmt.Sprintf("%.0f", at.Hours()))
		}
		break
	}
	return strings.TrimRight(string(line), " ")
}

// listStory lists what happened, without the many a run can have.
func (a *app) listStory(story []sim.Happening) {
	const most = 40
	for i, h := range story {
		if i == most {
			fmt.Fprintf(a.out, "          and %d more: -o json has them all\n", len(story)-most)
			break
		}
		at := h.At.Round(time.Second)
		fmt.Fprintf(a.out, "%4d:%02d:%02d %s\n", int(at.Hours()), int(at.Minutes())%60, int(at.Seconds())%60, clean(h.What))
	}
	fmt.Fprintln(a.out)
}
