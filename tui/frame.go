package tui

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"greenhouse"
)

// The smallest screen the dashboard works on.
const minWidth, minHeight = 60, 15

// View implements tea.Model.
func (m *Model) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	v.WindowTitle = "greenhouse " + safe(m.state.site)
	return v
}

// lines returns exactly h lines of at most w cells.
func (m *Model) lines() []string {
	if m.w < minWidth || m.h < minHeight {
		return []string{fit(fmt.Sprintf("%d×%d is too small: I need %d×%d", m.w, m.h, minWidth, minHeight), m.w)}
	}
	now := m.opts.Now()
	top := []string{m.header(now)}
	if b := m.banner(now); b != "" {
		top = append(top, b)
	}
	bottom := m.footer()
	body := m.body(m.h-len(top)-len(bottom), now)
	out := append(top, body...)
	for len(out) < m.h-len(bottom) {
		out = append(out, "")
	}
	out = append(out[:m.h-len(bottom)], bottom...)
	for i := range out {
		out[i] = strings.TrimRight(fit(out[i], m.w), " ")
	}
	return out
}

// header is the context bar: place, pane, clock, alarms.
func (m *Model) header(now time.Time) string {
	k := m.ink
	left := k.title.Render(" "+safe(orElse(m.state.site, "greenhouse"))) + " " + k.arrow + " " + k.bold.Render(m.title())
	if m.filter != "" {
		left += k.warn.Render("  /" + safe(m.filter))
	}
	var right []string
	if m.readOnly {
		right = append(right, k.warn.Render("read-only"))
	}
	switch c := m.state.counts; {
	case c.Critical > 0:
		right = append(right, k.bad.Render(fmt.Sprintf("%d CRITICAL", c.Critical)))
	case c.Warning > 0:
		right = append(right, k.warn.Render(fmt.Sprintf("%d warnings", c.Warning)))
	default:
		right = append(right, k.good.Render("no alarms"))
	}
	if m.state.link.up {
		right = append(right, k.good.Render(k.dot+" live"))
	} else {
		right = append(right, k.bad.Render("NO LINK"))
	}
	right = append(right, m.state.now(now).Time().Local().Format("15:04:05"))
	end := strings.Join(right, "  ") + " "
	return fit(left, max(m.w-cells(end), 0)) + end
}

// banner tells of a lost connection or an emergency stop.
func (m *Model) banner(now time.Time) string {
	k := m.ink
	switch {
	case !m.state.link.up && m.state.link.why == "connecting":
		return k.dim.Render(" connecting …")
	case !m.state.link.up:
		return k.bad.Render(fit(fmt.Sprintf(" connection lost %s ago, trying again: %s", short(now.Sub(m.state.link.since)), safe(m.state.link.why)), m.w))
	case m.state.stopped.All:
		return k.bad.Render(" EMERGENCY STOP of the whole site: greenctl resume releases it")
	case len(m.state.stopped.Zones) > 0:
		return k.bad.Render(fmt.Sprintf(" EMERGENCY STOP of %v: greenctl resume --zone releases it", m.state.stopped.Zones))
	}
	return ""
}

func (m *Model) title() string {
	switch m.pane {
	case paneZone:
		return "zone " + string(m.zone.id)
	case paneNodes:
		return "nodes"
	case paneAlarms:
		return "alarms"
	case paneEvents:
		return "events"
	case paneHistory:
		return "history"
	case paneHelp:
		return "help"
	case paneWhy:
		return "why " + string(m.why.Point)
	}
	return "zones"
}

// footer is the dialog, what is being typed, the last answer, or the keys.
func (m *Model) footer() []string {
	k := m.ink
	rule := k.dim.Render(strings.Repeat(k.rule, m.w))
	switch {
	case m.dialog != nil:
		return append([]string{rule}, m.dialog.draw(k, m.w)...)
	case m.typing:
		return []string{rule, "/" + safe(m.filter) + "▏  " + k.dim.Render("enter keeps it, esc clears it")}
	case m.palette:
		return []string{rule, ":" + safe(m.typed) + "▏  " + k.dim.Render("zones, nodes, alarms, events, or a zone's id")}
	case m.flash != "" && m.flashBad:
		return []string{rule, k.bad.Render(safe(m.flash))}
	case m.flash != "":
		return []string{rule, k.good.Render(safe(m.flash))}
	}
	return []string{rule, m.keys()}
}

// keys names the keys that work here.
func (m *Model) keys() string {
	var keys []string
	switch m.pane {
	case paneOverview:
		keys = []string{"enter", "open", "t", "target", "m", "mode", "c", "chart", "/", "filter", "tab", "pane", "?", "help", "q", "quit"}
	case paneZone:
		keys = []string{"o", "override", "w", "why", "t", "target", "m", "mode", "c", "chart", "esc", "back", "?", "help", "q", "quit"}
	case paneAlarms:
		keys = []string{"a", "acknowledge", "s", "shelve", "enter", "zone", "/", "filter", "esc", "back", "?", "help", "q", "quit"}
	default:
		keys = []string{"esc", "back", "tab", "pane", "/", "filter", "?", "help", "q", "quit"}
	}
	var b strings.Builder
	for i := 0; i < len(keys); i += 2 {
		b.WriteString(" " + m.ink.bold.Render(keys[i]) + " " + m.ink.dim.Render(keys[i+1]) + " ")
	}
	return b.String()
}

// body draws the pane on show in h lines.
func (m *Model) body(h int, now time.Time) []string {
	s, k := m.state, m.ink
	switch m.pane {
	case paneZone:
		return m.zone.draw(s, k, m.w, h, now)
	case paneNodes:
		return m.nodes.draw(s, k, m.filter, m.w, h, now)
	case paneAlarms:
		return m.alarms.draw(s, k, m.filter, m.w, h, now)
	case paneEvents:
		return m.events.draw(s, k, m.filter, m.w, h, now)
	case paneHistory:
		return m.history.draw(k, m.w, h, s.now(now))
	case paneHelp:
		return m.help()
	case paneWhy:
		return m.explain()
	}
	if m.w >= 100 && h >= 24 && len(s.alarms) > 0 {
		below := min(len(s.alarms)+2, 8)
		lines := m.overview.draw(s, k, m.filter, m.w, h-below, now)
		for len(lines) < h-below {
			lines = append(lines, "")
		}
		lines = append(lines[:h-below], k.dim.Render(strings.Repeat(k.rule, m.w)))
		glance := alarmsPane{list: list{at: -1}}
		return append(lines, glance.draw(s, k, "", m.w, below-1, now)...)
	}
	return m.overview.draw(s, k, m.filter, m.w, h, now)
}

// explain tells a decision on one screen.
func (m *Model) explain() []string {
	k, w := m.ink, m.why
	lines := []string{k.bold.Render(string(w.Point)+" is "+level(w.Value)) + k.dim.Render(", since "+w.Since.Time().Local().Format("15:04:05")), "",
		k.good.Render("because  ") + k.bold.Render(w.Winner.Owner) + " (" + w.Winner.Priority.String() + "): " + safe(w.Winner.Reason)}
	for _, l := range w.Losers {
		lines = append(lines, k.dim.Render("not      ")+l.Owner+" ("+l.Priority.String()+") "+wanted(l)+": "+safe(l.Reason))
	}
	lines = append(lines, "", k.title.Render("SEEN"))
	for _, i := range w.Inputs {
		lines = append(lines, "  "+fit(string(i.Point), 30)+" "+fit(number(i.Value), 10)+" "+fit(i.Quality.String(), 8)+" "+k.dim.Render(seconds(i.AgeS)+" old"))
	}
	for _, part := range []struct {
		title string
		terms map[string]float64
		unit  string
	}{{"TERMS", w.Terms, ""}, {"TIMERS", w.Timers, " s left"}} {
		if len(part.terms) == 0 {
			continue
		}
		lines = append(lines, "", k.title.Render(part.title))
		for _, name := range slices.Sorted(maps.Keys(part.terms)) {
			lines = append(lines, fmt.Sprintf("  %-30s %.3g%s", name, part.terms[name], part.unit))
		}
	}
	return lines
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

func (m *Model) help() []string {
	k := m.ink
	var lines []string
	for _, h := range [][2]string{
		{"arrows, hjkl", "move; enter or right goes in, esc or left comes back"},
		{"g  G  pgup  pgdown", "first, last, a page up or down"},
		{"tab, 1 2 3 4", "zones, nodes, alarms, events"},
		{"/", "filter the rows; esc clears it"},
		{":", "go to zones, nodes, alarms, events, or a zone by its id"},
		{"t", "set a target of the zone"},
		{"m", "set the mode of the zone: auto, manual, maintenance, off"},
		{"o", "set the actuator under the cursor by hand, for a time"},
		{"w", "why has the actuator under the cursor its level?"},
		{"c", "chart the history of the zone's points"},
		{"a  s", "acknowledge or shelve the alarm under the cursor"},
		{"r", "read-only: nothing can be changed by accident"},
		{"q, ctrl-c", "leave; the greenhouse goes on"},
	} {
		lines = append(lines, "  "+k.bold.Render(fit(h[0], 20))+" "+h[1])
	}
	return append(lines, "", k.dim.Render("  An emergency stop needs no dashboard:  greenctl stop"))
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
