package tui

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// The spans that a chart may show.
const (
	spanUsual = 2 * time.Hour
	spanLeast = 5 * time.Minute
	spanMost  = 366 * 24 * time.Hour
	pastFresh = time.Minute // how long the chart of a zone stands before it is read again
)

// past is a stretch of readings of one point, as read.
type past struct {
	point    greenhouse.PointID
	from, to greenhouse.Millis
	got      api.History
	err      error
	busy     bool
	asked    time.Time
}

// pastMsg answers a reading of history.
type pastMsg struct {
	pane     pane // who asked
	point    greenhouse.PointID
	from, to greenhouse.Millis
	got      api.History
	err      error
}

// readPast reads a span of a point for a pane.
func (m *Model) readPast(who pane, id greenhouse.PointID, from, to greenhouse.Millis) tea.Cmd {
	q := client.HistoryQuery{Span: client.Span{From: from.Time().Format(time.RFC3339), To: to.Time().Format(time.RFC3339)}, Step: "auto"}
	return func() tea.Msg {
		got, err := m.src.History(m.ctx, id, q)
		return pastMsg{who, id, from, to, got, err}
	}
}

// tookPast shows an answer, unless the person has gone on to something else.
func (m *Model) tookPast(msg pastMsg) {
	p := &m.history.past
	if msg.pane == paneZone {
		p = &m.zone.past
	}
	if msg.point == p.point && msg.from == p.from && msg.to == p.to {
		p.got, p.err, p.busy = msg.got, msg.err, false
	}
}

// chart reads what the zone pane charts, if it shows another point than before.
func (m *Model) chart() tea.Cmd {
	if m.pane != paneZone {
		return nil
	}
	q := m.zone.charted(m.state)
	if q == nil || q.ID == m.zone.past.point {
		return nil
	}
	return m.chartPast(q.ID)
}

// chartAgain reads the chart of the zone pane again once it is old.
func (m *Model) chartAgain(now time.Time) tea.Cmd {
	if p := m.zone.past; m.pane != paneZone || p.point == "" || p.busy || now.Sub(p.asked) < pastFresh {
		return nil
	}
	return m.chartPast(m.zone.past.point)
}

func (m *Model) chartPast(id greenhouse.PointID) tea.Cmd {
	to := m.state.now(m.opts.Now())
	p := past{point: id, from: to.Add(-spanUsual), to: to, busy: true, asked: m.opts.Now()}
	if id == m.zone.past.point {
		p.got = m.zone.past.got // shown until the answer comes
	}
	m.zone.past = p
	return m.readPast(paneZone, id, p.from, p.to)
}

// chart draws the charted point in h lines.
func (p *zonePane) chart(v view, z *api.Zone, h int) []string {
	if p.past.point == "" {
		return nil
	}
	draw := plot{samples: p.past.got.Samples, from: p.past.from, to: p.past.to, goals: v.s.goalsOf(z, p.past.point.Name())}
	title := v.rule(safe(string(p.past.point)) + ", last 2h  " + draw.legend(v.now))
	switch {
	case p.past.err != nil:
		return []string{title, " " + v.k.bad.Render(safe(p.past.err.Error()))}
	case p.past.busy && len(draw.samples) == 0:
		return []string{title, " " + v.k.dim.Render("reading …")}
	}
	return append([]string{title}, v.chart(draw, h-1)...)
}

// historyPane charts one point over a span that the person pans and zooms.
type historyPane struct {
	past
	span time.Duration
	back time.Duration // how far the end lies in the past
}

// openHistory shows the history of a point.
func (m *Model) openHistory(id greenhouse.PointID) tea.Cmd {
	m.history = historyPane{past: past{point: id}, span: spanUsual}
	m.enter(paneHistory)
	return m.loadHistory()
}

// loadHistory reads what the pane is to show.
func (m *Model) loadHistory() tea.Cmd {
	p := &m.history
	if p.point == "" {
		return nil
	}
	p.to = m.state.now(m.opts.Now()).Add(-p.back)
	p.from, p.busy = p.to.Add(-p.span), true
	return m.readPast(paneHistory, p.point, p.from, p.to)
}

// key pans and zooms; it reports whether the key does that.
func (p *historyPane) key(name string) bool {
	switch name {
	case "left", "h":
		p.back += p.span / 4
	case "right", "l":
		p.back = max(p.back-p.span/4, 0)
	case "up", "k", "+", "=":
		p.span = max(p.span/2, spanLeast)
	case "down", "j", "-":
		p.span = min(p.span*2, spanMost)
	case "0", "end", "G":
		p.back = 0
	default:
		return false
	}
	return true
}

// step goes to the next or previous point of the zone.
func (m *Model) step(d int) tea.Cmd {
	list := m.state.byZone[m.history.point.Zone()]
	for i, p := range list {
		if p.ID == m.history.point {
			m.history.past = past{point: list[(i+d+len(list))%len(list)].ID}
			return m.loadHistory()
		}
	}
	return nil
}

// draw returns at most h lines.
func (p *historyPane) draw(v view, h int) []string {
	k := v.k
	span := fmt.Sprintf("%s to %s", v.date(p.from), v.date(p.to))
	draw := plot{samples: p.got.Samples, from: p.from, to: p.to}
	if z := v.s.zone(p.point.Zone()); z != nil {
		draw.goals = v.s.goalsOf(z, p.point.Name())
	}
	head := " " + k.bold.Render(safe(string(p.point))) + "  " + span + k.dim.Render("  step "+safe(orElse(p.got.Step, "?")))
	if p.got.Unit != "" {
		head += "  " + safe(string(p.got.Unit))
	}
	if p.busy {
		head += k.dim.Render("  reading …")
	}
	lines := []string{head, " " + k.dim.Render(draw.legend(v.now))}
	switch {
	case p.err != nil:
		return append(lines, " "+k.bad.Render(safe(p.err.Error())))
	case len(p.got.Samples) == 0 && p.busy:
		return lines
	}
	lines = append(lines, v.chart(draw, max(h-4, 3))...)
	for len(lines) < h-1 {
		lines = append(lines, "")
	}
	return append(lines, v.losses(p.got))
}

// losses sums up what was seen and what was lost in a stretch.
func (v view) losses(got api.History) string {
	lo, hi, n, bad := 0.0, 0.0, 0, 0
	for _, s := range got.Samples {
		val, least, most := s.Value, s.Min, s.Max
		if s.Quality == greenhouse.Bad {
			bad++
			continue
		}
		if val == nil {
			continue
		}
		if least == nil || most == nil {
			least, most = val, val
		}
		if n == 0 {
			lo, hi = *least, *most
		}
		lo, hi, n = min(lo, *least), max(hi, *most), n+1
	}
	text := " " + plural(len(got.Samples), "sample")
	if n > 0 {
		text += fmt.Sprintf(", %s to %s", number(&lo), number(&hi))
	}
	if bad > 0 {
		text += v.k.warn.Render(fmt.Sprintf(", %d bad, not drawn", bad))
	}
	if got.Next != "" {
		text += ", and more than fit in one answer"
	}
	if g := len(got.Gaps); g > 0 {
		last := got.Gaps[g-1]
		text += v.k.warn.Render(fmt.Sprintf("   %s; the last %s to %s: %s", plural(g, "gap"), v.date(last.From), v.clock(last.To), safe(last.Cause)))
	}
	return text
}
