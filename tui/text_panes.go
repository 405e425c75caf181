package tui

import (
	"fmt"
	"maps"
	"slices"

	tea "charm.land/bubbletea/v2"

	"greenhouse"
	"greenhouse/api"
)

// pager scrolls lines that may be more than fit.
type pager struct{ top int }

func (p *pager) move(d int) { p.top = max(p.top+d, 0) }

// window returns the h lines in sight, and says where more are.
func (p *pager) window(v view, lines []string, h int) []string {
	p.top = max(min(p.top, len(lines)-h), 0)
	if len(lines) <= h || h < 2 {
		return lines[:min(len(lines), max(h, 0))]
	}
	seen := slices.Clone(lines[p.top : p.top+h-1])
	return append(seen, v.k.dim.Render(fmt.Sprintf(" lines %d to %d of %d; arrows scroll", p.top+1, p.top+h-1, len(lines))))
}

// whyPane explains the level of an actuator, and what keeps it from the other.
type whyPane struct {
	pager
	why    api.Why
	whyNot api.WhyNot
}

// whyMsg is the explanation asked for.
type whyMsg struct {
	why    api.Why
	whyNot api.WhyNot
	err    error
}

// askWhy asks the daemon to explain an actuator.
func (m *Model) askWhy(p greenhouse.PointID) tea.Cmd {
	return func() tea.Msg {
		w, err := m.src.Why(m.ctx, p, "")
		if err != nil {
			return whyMsg{err: err}
		}
		not, err := m.src.WhyNot(m.ctx, p, nil)
		return whyMsg{w, not, err}
	}
}

// tookWhy shows an explanation, if the person still waits for it.
func (m *Model) tookWhy(msg whyMsg) {
	switch {
	case msg.err != nil:
		m.say("", msg.err)
	case m.pane == paneZone || m.pane == paneWhy:
		m.why = whyPane{why: msg.why, whyNot: msg.whyNot}
		m.enter(paneWhy)
	}
}

// draw returns at most h lines.
func (p *whyPane) draw(v view, h int) []string {
	w, k := p.why, v.k
	lines := []string{" " + k.bold.Render(safe(string(w.Point))+" is "+level(w.Value)) + k.dim.Render(", since "+v.clock(w.Since)+", decided "+v.clock(w.At))}
	if w.Device != nil && w.Device.Waits != "" {
		lines = append(lines, " "+k.warn.Render("but "+safe(w.Device.Waits)))
	}
	lines = append(lines, v.rule("because"), claim(k.good.Render("won "), w.Winner, ""))
	for _, l := range w.Losers {
		lines = append(lines, claim(k.dim.Render("lost"), l, wanted(l)))
	}
	lines = append(lines, p.instead(v)...)
	lines = append(lines, v.rule("seen"))
	if len(w.Inputs) == 0 {
		lines = append(lines, "  "+k.dim.Render("nothing was measured for it"))
	}
	for _, i := range w.Inputs {
		old := "never heard"
		if i.AgeS >= 0 {
			old = seconds(i.AgeS) + " old"
		}
		lines = append(lines, "  "+fit(safe(string(i.Point)), 30)+" "+fit(number(i.Value), 10)+" "+fit(i.Quality.String(), 8)+" "+k.dim.Render(old))
	}
	lines = append(append(lines, v.terms("terms", w.Terms, "")...), v.terms("timers", w.Timers, " s left")...)
	return p.window(v, lines, h)
}

// instead says what is in the way of the other level, and what would have to change.
func (p *whyPane) instead(v view) []string {
	n := p.whyNot
	if n.Free || len(n.Obstacles) == 0 {
		return nil
	}
	lines := []string{v.rule("before it can be " + level(&n.Level))}
	for _, o := range n.Obstacles {
		text := safe(o.Owner) + ": " + safe(o.Reason)
		if o.Remedy != "" {
			text += " " + v.k.dim.Render("→ "+safe(o.Remedy))
		}
		for i, l := range wrap(text, v.w-4, 2) {
			lines = append(lines, "  "+map[bool]string{true: "  ", false: ""}[i > 0]+l)
		}
	}
	return lines
}

// claim draws one claim on an actuator.
func claim(word string, c greenhouse.Claim, want string) string {
	if want != "" {
		want = " " + want
	}
	return "  " + word + " " + fit(safe(c.Owner), 16) + " (" + c.Priority.String() + ")" + want + ": " + safe(c.Reason)
}

// wanted writes what a claim asked for.
func wanted(c greenhouse.Claim) string {
	switch {
	case c.Min != nil && c.Max != nil:
		return "wants " + level(c.Min) + " to " + level(c.Max)
	case c.Min != nil:
		return "wants at least " + level(c.Min)
	case c.Max != nil:
		return "allows at most " + level(c.Max)
	}
	return "wants " + level(&c.Value)
}

// terms draws named numbers under a title, nothing if there are none.
func (v view) terms(title string, terms map[string]float64, unit string) []string {
	if len(terms) == 0 {
		return nil
	}
	lines := []string{v.rule(title)}
	for _, name := range slices.Sorted(maps.Keys(terms)) {
		lines = append(lines, "  "+fit(safe(name), 30)+" "+fmt.Sprintf("%.4g", terms[name])+unit)
	}
	return lines
}

// helpLines say every key.
func (v view) helpLines() []string {
	var lines []string
	for _, h := range [][2]string{
		{"arrows, hjkl", "move; enter or right goes in, esc or left comes back"},
		{"g G pgup pgdown", "first, last, a page up or down"},
		{"tab, 1 2 3 4", "zones, nodes, alarms, events"},
		{"/", "filter: names and states, e.g. /critical, /manual, /offline"},
		{":", "go to a list, a zone or a point; tab completes"},
		{"t", "set a target of the zone"},
		{"m", "set the mode of the zone: auto, manual, maintenance, off"},
		{"o", "set the actuator under the cursor by hand, for a time"},
		{"w", "why has the actuator under the cursor its level, and not the other?"},
		{"c", "chart what is under the cursor"},
		{"", "there: left right pan, + - zoom, n p next point, 0 now"},
		{"a s", "acknowledge or shelve the alarm under the cursor"},
		{"r", "read-only: nothing can be changed by accident"},
		{"q, ctrl+c", "leave; the greenhouse goes on"},
		{"", ""},
		{"~ ?", "behind a value: held, suspect; an age: how old it is"},
		{"BY HAND", "somebody overrides automation until the time shown"},
	} {
		lines = append(lines, "  "+v.k.bold.Render(fit(h[0], 16))+" "+h[1])
	}
	return append(lines, "", "  "+v.k.dim.Render("An emergency stop needs no dashboard: greenctl stop"))
}
