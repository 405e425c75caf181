package tui

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/guptarohit/asciigraph"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// historyPane charts one point over a span that the person pans and zooms.
type historyPane struct {
	points []greenhouse.PointID // to step through
	at     int
	span   time.Duration
	back   time.Duration // how far the end lies in the past
	loaded api.History
	err    error
	busy   bool
}

// historyMsg is an answer for the history pane.
type historyMsg struct {
	point greenhouse.PointID
	h     api.History
	err   error
}

// point returns the point on show.
func (p *historyPane) point() (greenhouse.PointID, bool) {
	if len(p.points) == 0 {
		return "", false
	}
	return p.points[max(min(p.at, len(p.points)-1), 0)], true
}

// open prepares the pane for the points of a zone.
func (p *historyPane) open(s *state, z greenhouse.ZoneID) {
	p.points, p.at, p.span, p.back, p.loaded, p.err = nil, 0, 2*time.Hour, 0, api.History{}, nil
	for _, m := range s.byZone[z] {
		p.points = append(p.points, m.ID)
		if m.ID.Name() == "air_temp" {
			p.at = len(p.points) - 1
		}
	}
}

// key pans, zooms and steps; it reports whether to read again.
func (p *historyPane) key(name string) bool {
	switch name {
	case "left", "h":
		p.back += p.span / 4
	case "right", "l":
		p.back = max(p.back-p.span/4, 0)
	case "+", "=":
		p.span = max(p.span/2, 5*time.Minute)
	case "-":
		p.span = min(p.span*2, 366*24*time.Hour)
	case "up", "k":
		p.at = max(p.at-1, 0)
	case "down", "j":
		p.at = min(p.at+1, max(len(p.points)-1, 0))
	default:
		return false
	}
	return true
}

// load reads what the pane shows.
func (p *historyPane) load(ctx context.Context, src Source, now greenhouse.Millis) func() historyMsg {
	id, ok := p.point()
	if !ok {
		return nil
	}
	p.busy = true
	to := now.Time().Add(-p.back)
	q := client.HistoryQuery{Span: client.Span{From: to.Add(-p.span).Format(time.RFC3339), To: to.Format(time.RFC3339)}, Step: "auto"}
	return func() historyMsg {
		h, err := src.History(ctx, id, q)
		return historyMsg{id, h, err}
	}
}

func (p *historyPane) draw(k ink, w, h int, now greenhouse.Millis) []string {
	id, ok := p.point()
	if !ok {
		return []string{k.dim.Render("this zone has no points yet")}
	}
	to := now.Time().Add(-p.back)
	head := k.bold.Render(string(id)) + k.dim.Render(fmt.Sprintf("  %s to %s, step %s  ", to.Add(-p.span).Local().Format("Jan 2 15:04"), to.Local().Format("Jan 2 15:04"), p.loaded.Step)) +
		k.dim.Render("arrows pan and step, + - zoom")
	lines := []string{fit(head, w)}
	switch {
	case p.err != nil:
		return append(lines, k.bad.Render(safe(p.err.Error())))
	case len(p.loaded.Samples) == 0 && p.busy:
		return append(lines, k.dim.Render("reading …"))
	case len(p.loaded.Samples) == 0:
		return append(lines, k.dim.Render("nothing was recorded in that time"))
	}
	data := columns(p.loaded.Samples, greenhouse.MillisOf(to.Add(-p.span)), greenhouse.MillisOf(to), max(w-10, 10))
	for _, l := range strings.Split(asciigraph.Plot(data, asciigraph.Height(max(h-4, 2)), asciigraph.Precision(2)), "\n") {
		lines = append(lines, fit(l, w))
	}
	if n := len(p.loaded.Gaps); n > 0 {
		g := p.loaded.Gaps[n-1]
		lines = append(lines, k.warn.Render(fit(fmt.Sprintf("%d gaps; the last from %s to %s: %s, %d", n, g.From.Time().Local().Format("15:04:05"), g.To.Time().Local().Format("15:04:05"), g.Cause, g.Count), w)))
	}
	return lines
}

// columns averages samples into n columns of [from, to); what was not measured
// stays blank.
func columns(samples []api.Sample, from, to greenhouse.Millis, n int) []float64 {
	sum, count := make([]float64, n), make([]int, n)
	for _, s := range samples {
		col := int(float64(s.TS-from) / float64(to-from) * float64(n))
		if v := api.Val(s.Value); col >= 0 && col < n && !math.IsNaN(v) {
			sum[col] += v
			count[col]++
		}
	}
	for i := range sum {
		if count[i] == 0 {
			sum[i] = math.NaN()
			continue
		}
		sum[i] /= float64(count[i])
	}
	return sum
}
