package tui

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/guptarohit/asciigraph"

	"greenhouse"
	"greenhouse/api"
)

// plot is what a chart shows: samples over a span, and targets.
type plot struct {
	samples  []api.Sample
	from, to greenhouse.Millis
	goals    []goal
}

// chart draws a plot in h lines, the last of which is the time axis.
func (v view) chart(p plot, h int) []string {
	data := columns(p.samples, p.from, p.to, v.w)
	lo, hi := bounds(data)
	if lo > hi {
		return []string{" " + v.k.dim.Render("nothing was measured in that time")}
	}
	lo, hi = p.stretch(lo, hi)
	label := labeler(lo, hi)
	gutter := max(len(label(lo)), len(label(hi))) + 3
	n := max(v.w-gutter-1, 10)
	data = columns(p.samples, p.from, p.to, n)
	series, styles := p.lines(n), []asciigraph.CharSet{}
	colors := []asciigraph.AnsiColor{}
	for range series {
		styles, colors = append(styles, asciigraph.CreateCharSet("╌")), append(colors, asciigraph.Olive)
	}
	series, styles, colors = append(series, data), append(styles, asciigraph.DefaultCharSet), append(colors, asciigraph.Green)
	graph := asciigraph.PlotMany(series, asciigraph.Height(max(h-2, 1)), asciigraph.LowerBound(lo), asciigraph.UpperBound(hi), asciigraph.Offset(3),
		asciigraph.YAxisValueFormatter(label), asciigraph.SeriesChars(styles...), asciigraph.SeriesColors(colors...))
	lines := strings.Split(graph, "\n")
	return append(lines[:min(len(lines), h-1)], strings.Repeat(" ", gutter)+v.k.dim.Render(v.axis(p.from, p.to, n)))
}

// axis writes the first, the middle and the last instant under n columns.
func (v view) axis(from, to greenhouse.Millis, n int) string {
	layout := "15:04"
	if to.Sub(from).Hours() > 24 {
		layout = "Jan 2"
	}
	at := func(t greenhouse.Millis) string { return t.Time().In(v.loc).Format(layout) }
	a, b, c := at(from), at(from+(to-from)/2), at(to)
	gap := max(n-len(a)-len(b)-len(c), 2)
	return a + strings.Repeat(" ", gap/2) + b + strings.Repeat(" ", gap-gap/2) + c
}

// lines returns the targets as series of n columns: the one in force, or day
// and night where that cannot be told.
func (p plot) lines(n int) [][]float64 {
	var out [][]float64
	for _, g := range p.goals {
		if _, ok := g.at(p.from); ok {
			line := make([]float64, n)
			for i := range line {
				line[i], _ = g.at(p.from + (p.to-p.from)*greenhouse.Millis(i)/greenhouse.Millis(n))
			}
			out = append(out, line)
			continue
		}
		out = append(out, flat(g.Day, n), flat(g.Night, n))
	}
	return out
}

func flat(v float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// legend names the targets of a plot.
func (p plot) legend(now greenhouse.Millis) string {
	var out []string
	for _, g := range p.goals {
		out = append(out, "╌ "+string(g.quantity)+" "+g.text(now))
	}
	return strings.Join(out, "  ")
}

// stretch returns a range that holds the data and the targets, and is wide
// enough that noise looks like noise.
func (p plot) stretch(lo, hi float64) (float64, float64) {
	for _, g := range p.goals {
		lo, hi = min(lo, g.Day, g.Night), max(hi, g.Day, g.Night)
	}
	if least := max(math.Abs(lo), math.Abs(hi), 1) * 0.02; hi-lo < least {
		mid := lo + (hi-lo)/2
		lo, hi = mid-least/2, mid+least/2
	}
	return lo, hi
}

// labeler returns how values of a range are written.
func labeler(lo, hi float64) func(float64) string {
	digits := 0
	if span := hi - lo; span < 1 {
		digits = 2
	} else if span < 20 {
		digits = 1
	}
	if max(math.Abs(lo), math.Abs(hi)) >= 1e6 {
		return func(v float64) string { return fmt.Sprintf("%.3g", v) }
	}
	return func(v float64) string { return fmt.Sprintf("%.*f", digits, v) }
}

// bounds returns the range of the data, lo > hi if there is none.
func bounds(data []float64) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, v := range data {
		if !math.IsNaN(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	return lo, hi
}

// columns averages samples into n columns of [from, to]. Between readings that
// follow each other as usual it is filled in; longer gaps stay NaN.
func columns(samples []api.Sample, from, to greenhouse.Millis, n int) []float64 {
	const most = 1e12 // beyond that a value is nonsense and would flatten all others
	sum, count := make([]float64, n), make([]int, n)
	for _, s := range samples {
		col := int(float64(s.TS-from) / float64(to-from) * float64(n-1))
		if s.Quality == greenhouse.Bad {
			continue // a sentinel as well; the caption counts them
		}
		if v := api.Val(s.Value); s.TS >= from && s.TS <= to && math.Abs(v) < most {
			sum[col] += v
			count[col]++
		}
	}
	bridge := int(2.5*float64(usualStep(samples))/float64(to-from)*float64(n-1)) + 1
	last := -1
	for i := range sum {
		if count[i] == 0 {
			sum[i] = math.NaN()
			continue
		}
		sum[i] /= float64(count[i])
		for j := last + 1; last >= 0 && i-last <= bridge && j < i; j++ {
			sum[j] = sum[last] + (sum[i]-sum[last])*float64(j-last)/float64(i-last)
		}
		last = i
	}
	return sum
}

// usualStep returns the median time between samples.
func usualStep(samples []api.Sample) greenhouse.Millis {
	if len(samples) < 2 {
		return 0
	}
	steps := make([]greenhouse.Millis, len(samples)-1)
	for i := range steps {
		steps[i] = samples[i+1].TS - samples[i].TS
	}
	slices.Sort(steps)
	return steps[len(steps)/2]
}
