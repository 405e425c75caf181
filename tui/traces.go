package tui

import (
	"math"
	"time"

	tea "charm.land/bubbletea/v2"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// primeAtOnce is how many traces are read from the history in one go, so that a
// large site is read by and by.
const primeAtOnce = 24

// tracesMsg are readings of the last quarter of an hour, by point.
type tracesMsg map[greenhouse.PointID][]api.Sample

// prime reads what the traces on show lack from before the dashboard was opened,
// each once. Nil: nothing is lacking, or a reading is under way.
func (m *Model) prime() tea.Cmd {
	if m.priming || !m.state.link.up {
		return nil
	}
	var wanted []*point
	switch m.pane {
	case paneZone:
		wanted = m.state.byZone[m.zone.id]
	case paneZones:
		for i := range m.state.zones {
			if p := m.state.points[greenhouse.ZonePoint(m.state.zones[i].ID, "air_temp", 1)]; p != nil {
				wanted = append(wanted, p)
			}
		}
	}
	var ids []greenhouse.PointID
	for _, p := range wanted {
		if len(ids) < primeAtOnce && !p.primed && !p.driven() {
			p.primed = true
			ids = append(ids, p.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	m.priming = true
	to := m.state.now(m.opts.Now()).Time().UTC()
	span := client.Span{From: to.Add(-traceLen * traceEvery).Format(time.RFC3339), To: to.Format(time.RFC3339)}
	return func() tea.Msg {
		got := tracesMsg{}
		for _, id := range ids {
			// A trace that cannot be read grows from now on, as it did before.
			if h, err := m.src.History(m.ctx, id, client.HistoryQuery{Span: span, Step: "raw"}); err == nil {
				got[id] = h.Samples
			}
		}
		return got
	}
}

// tookTraces puts what was read before what came meanwhile.
func (m *Model) tookTraces(got tracesMsg) tea.Cmd {
	m.priming = false
	for id, samples := range got {
		if p := m.state.points[id]; p != nil {
			p.precede(samples)
		}
	}
	return m.prime()
}

// precede puts readings from before the first value of the trace in front of it.
// A slot without a reading shows the one before, as long as that is not old.
func (p *point) precede(samples []api.Sample) {
	begun := p.traced.Add(-time.Duration(max(len(p.trace)-1, 0)) * traceEvery)
	if len(p.trace) == 0 && len(samples) > 0 {
		begun = samples[len(samples)-1].TS + 1
		p.traced = samples[len(samples)-1].TS
	}
	n := traceLen - len(p.trace)
	before := make([]float32, 0, traceLen)
	next, last, lastAt := 0, float32(math.NaN()), greenhouse.Millis(0)
	for i := range n {
		until := begun.Add(-time.Duration(n-1-i) * traceEvery) // end of the slot
		for ; next < len(samples) && samples[next].TS < until; next++ {
			last, lastAt = float32(api.Val(samples[next].Value)), samples[next].TS
		}
		switch {
		case lastAt == 0 && len(before) == 0: // nothing is known from so long ago
		case until.Sub(lastAt).Seconds() > staleAfter:
			before = append(before, float32(math.NaN()))
		default:
			before = append(before, last)
		}
	}
	p.trace = append(before, p.trace...)
}
