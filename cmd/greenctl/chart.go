package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/guptarohit/asciigraph"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newPointChart(a *app) *cobra.Command {
	var span client.Span
	var width, height int
	c := verb("chart POINT", "Draw the readings of a point", "  greenctl point chart north/air_temp --from today", args("POINT"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		id, err := pointArg(args[0])
		if err != nil {
			return err
		}
		h, err := c.History(ctx, id, client.HistoryQuery{Span: span, Step: "auto"})
		if err != nil {
			return err
		}
		if a.output == "json" || a.output == "yaml" {
			return a.show(h, view{})
		}
		if width <= 0 {
			width = a.chartWidth()
		}
		return a.drawChart(h, width, height)
	}))
	spanFlags(c.Flags(), &span)
	c.Flags().IntVar(&width, "width", 0, "columns (default: the terminal's)")
	c.Flags().IntVar(&height, "height", 12, "lines")
	c.ValidArgsFunction = a.complete(pointNames)
	return c
}

// chartWidth leaves room for the axis.
func (a *app) chartWidth() int {
	const axis = 10
	if f, ok := a.out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 2*axis {
			return w - axis
		}
	}
	return 80 - axis
}

func (a *app) drawChart(h api.History, width, height int) error {
	if len(h.Samples) == 0 {
		a.note("nothing was recorded in that time")
		return nil
	}
	first, last := h.Samples[0].TS, h.Samples[len(h.Samples)-1].TS
	series := resample(h.Samples, width)
	caption := fmt.Sprintf("%s  %s to %s, step %s", h.Point, clock(first), clock(last), h.Step)
	if h.Unit != "" {
		caption += ", " + string(h.Unit)
	}
	if slices.ContainsFunc(series, func(v float64) bool { return !math.IsNaN(v) }) { // else there is nothing to draw
		fmt.Fprintln(a.out, asciigraph.Plot(series, asciigraph.Height(max(height, 3)), asciigraph.Precision(2), asciigraph.Caption(caption)))
	}
	if text := unbelieved(h.Samples); text != "" {
		a.note("%s", text)
	}
	for _, g := range h.Gaps {
		a.note("from %s: %s", clock(g.From), gapText(g))
	}
	return nil
}

// unbelieved tells of the samples that are not good: bad ones are left out of the
// curve, for a single 255 would flatten the rest.
func unbelieved(samples []api.Sample) string {
	count := map[greenhouse.Quality]int{}
	var first, last greenhouse.Millis
	for _, s := range samples {
		if s.Quality == greenhouse.Good {
			continue
		}
		if len(count) == 0 {
			first = s.TS
		}
		count[s.Quality]++
		last = s.TS
	}
	if len(count) == 0 {
		return ""
	}
	var parts []string
	for q := greenhouse.Held; q <= greenhouse.Bad; q++ {
		if count[q] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[q], q))
		}
	}
	text := fmt.Sprintf("not good from %s to %s: %s", clock(first), clock(last), strings.Join(parts, ", "))
	if count[greenhouse.Bad] > 0 {
		text += "; bad ones are not drawn"
	}
	return text
}

// resample puts the samples into n columns by time, NaN where there are none.
func resample(samples []api.Sample, n int) []float64 {
	first, last := samples[0].TS, samples[len(samples)-1].TS
	out, count := make([]float64, n), make([]int, n)
	for _, s := range samples {
		col := 0
		if last > first {
			col = int(float64(s.TS-first) / float64(last-first) * float64(n-1))
		}
		if v := api.Val(s.Value); !math.IsNaN(v) && s.Quality != greenhouse.Bad {
			out[col] += v
			count[col]++
		}
	}
	for i := range out {
		if count[i] == 0 {
			out[i] = math.NaN()
			continue
		}
		out[i] /= float64(count[i])
	}
	return out
}
