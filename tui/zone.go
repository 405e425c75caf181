package tui

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/guptarohit/asciigraph"

	"greenhouse"
	"greenhouse/api"
)

// zonePane shows one zone: measurements, actuators with their reasons, and a
// chart of the air temperature against its target.
type zonePane struct {
	id   greenhouse.ZoneID
	list list // over the actuators
}

// selected returns the actuator under the cursor.
func (p *zonePane) selected(s *state) (api.Actuator, bool) {
	acts := s.actuators(p.id)
	if len(acts) == 0 {
		return api.Actuator{}, false
	}
	return acts[max(min(p.list.at, len(acts)-1), 0)], true
}

// draw returns the lines of the pane.
func (p *zonePane) draw(s *state, k ink, w, h int, now time.Time) []string {
	z, ok := s.zone(p.id)
	if !ok {
		return []string{k.warn.Render("zone " + string(p.id) + " is not there (any more)")}
	}
	lines := []string{p.headline(z, k, w), k.title.Render("MEASURED")}
	sensors := s.sensors(p.id)
	acts := s.actuators(p.id)
	room := max(h-4-len(acts), 3)
	if chart := 8; h >= len(lines)+len(sensors)+len(acts)+chart+3 {
		room = len(sensors)
	}
	for i, m := range sensors {
		if i >= room {
			lines = append(lines, k.dim.Render(fmt.Sprintf("  and %d more", len(sensors)-i)))
			break
		}
		lines = append(lines, p.measurement(s, k, m, w, now))
	}
	lines = append(lines, k.title.Render("DRIVEN"))
	if len(acts) == 0 {
		lines = append(lines, k.dim.Render("  no actuators"))
	}
	from, to := p.list.window(len(acts), max(h-len(lines), 1))
	for i := from; i < to; i++ {
		line := p.actuator(s, k, acts[i], w, now)
		if i == p.list.at {
			line = k.cursor.Render(fit(safe(line), w))
		}
		lines = append(lines, line)
	}
	if left := h - len(lines) - 1; left >= 6 {
		lines = append(lines, p.chart(s, z, k, w, left)...)
	}
	return lines
}

func (p *zonePane) headline(z api.Zone, k ink, w int) string {
	text := k.bold.Render(string(z.ID)) + "  " + k.zoneState(z)
	if z.Name != "" && z.Name != string(z.ID) {
		text += "  " + safe(z.Name)
	}
	if z.Crop != "" {
		text += "  " + safe(z.Crop)
	}
	for _, q := range greenhouse.Quantities() {
		if t := target(z, q.Quantity); t != "" {
			text += k.dim.Render("  "+string(q.Quantity)+" ") + t
		}
	}
	if z.Failing != "" {
		text += "  " + k.bad.Render(safe(z.Failing))
	}
	return fit(text, w)
}

func (p *zonePane) measurement(s *state, k ink, m *point, w int, now time.Time) string {
	age := max(s.now(now).Sub(m.TS).Seconds(), 0)
	value := k.value(*m, age)
	if m.Quality == greenhouse.Good && age <= staleAfter {
		value += " " + string(m.unit)
	}
	name := strings.TrimPrefix(string(m.ID), string(p.id)+"/")
	head := "  " + fit(name, 16) + " " + fit(value, 22) + " " + k.dim.Render(fit(seconds(age), 7)) + " "
	return head + k.good.Render(k.sparkline(m.trace, min(max(w-50, 0), sparkLen)))
}

func (p *zonePane) actuator(s *state, k ink, a api.Actuator, w int, now time.Time) string {
	lvl := level(a.Level)
	if a.Level != nil && *a.Level > 0 {
		lvl = k.good.Render(lvl)
	}
	reported := ""
	switch {
	case !a.Online:
		reported = k.bad.Render("offline")
	case a.Reported == nil:
		reported = k.warn.Render("unknown")
	case a.Level != nil && math.Abs(*a.Reported-*a.Level) > 0.02:
		reported = k.warn.Render("is " + level(a.Reported))
	default:
		reported = k.dim.Render("confirmed")
	}
	lease := ""
	if a.LeaseUntil > 0 {
		lease = short(a.LeaseUntil.Sub(s.now(now)))
	}
	owner := a.Owner
	if a.Override != nil {
		owner = k.warn.Render("BY HAND " + short(a.Override.ExpiresAt.Sub(s.now(now))))
	}
	return fit("  "+fit(string(a.Name), 16)+" "+fit(lvl, 6)+" "+k.good.Render(k.bar(a.Level, 8))+" "+fit(reported, 10)+" "+k.dim.Render(fit(lease, 6))+" "+fit(owner, 14)+" "+safe(a.Reason), w)
}

// chart draws the trace of the air temperature with the heating target.
func (p *zonePane) chart(s *state, z api.Zone, k ink, w, h int) []string {
	air, ok := s.measured(p.id, "air_temp")
	if !ok || len(air.trace) < 2 {
		return nil
	}
	width := min(max(w-10, 10), sparkLen)
	data := air.trace
	if len(data) > width {
		data = data[len(data)-width:]
	}
	series := [][]float64{data}
	legend := "air temperature, °C"
	for _, q := range []greenhouse.Quantity{greenhouse.Heating, greenhouse.Venting} {
		if t, set := z.Targets[q]; set && t.Day == t.Night {
			series = append(series, flat(t.Day, len(data)))
			legend += fmt.Sprintf(", %s %g", q, t.Day)
		}
	}
	graph := asciigraph.PlotMany(series, asciigraph.Height(max(h-2, 2)), asciigraph.Precision(1))
	out := []string{k.title.Render("TREND ") + k.dim.Render(legend)}
	for _, l := range strings.Split(graph, "\n") {
		if len(out) <= h {
			out = append(out, fit(l, w))
		}
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
