package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// The smallest screen the dashboard works on.
const minWidth, minHeight = 60, 15

// View implements tea.Model.
func (m *Model) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	v.WindowTitle = strings.TrimSpace("greenhouse " + safe(m.state.site))
	return v
}

// view returns what panes draw with.
func (m *Model) view() view {
	return view{s: m.state, k: m.ink, w: m.w, now: m.state.now(m.opts.Now()), loc: m.opts.Location}
}

// lines returns exactly h lines of at most w cells.
func (m *Model) lines() []string {
	var out []string
	if m.w < minWidth || m.h < minHeight {
		out = []string{fmt.Sprintf("%d×%d is too small:", m.w, m.h), fmt.Sprintf("%d×%d is needed", minWidth, minHeight)}
	} else {
		out = m.frame()
	}
	for len(out) < m.h {
		out = append(out, "")
	}
	out = out[:max(m.h, 0)]
	for i, l := range out {
		l = clip(l, m.w)
		if m.opts.ASCII {
			l = ansi.Truncate(ascii(l), m.w, "") // joined characters may have come apart
		}
		out[i] = strings.TrimRight(l, " ")
	}
	return out
}

// frame returns the context bar, the banners, the pane and the footer.
func (m *Model) frame() []string {
	v := m.view()
	out := append([]string{m.header(v)}, m.banners(v)...)
	bottom := append([]string{v.rule("")}, m.footer(v)...)
	room := m.h - len(out) - len(bottom)
	body := m.body(v, room)
	for len(body) < room {
		body = append(body, "")
	}
	return append(append(out, body[:room]...), bottom...)
}

// header is the context bar: place, alarms, connection, clock.
func (m *Model) header(v view) string {
	k := m.ink
	left := k.title.Render(" "+safe(orElse(m.state.site, "greenhouse"))) + " › " + k.bold.Render(m.title())
	if l := m.list(); l != nil && l.searched() != "" {
		left += k.warn.Render("  /" + safe(l.searched()))
	}
	var right []string
	if m.readOnly {
		right = append(right, k.warn.Render("read-only"))
	}
	right = append(right, m.alarmWords()...)
	if m.state.link.up {
		right = append(right, k.good.Render("● live"))
	} else {
		right = append(right, k.bad.Render("NO LINK"))
	}
	end := "  " + strings.Join(append(right, v.clock(v.now)), "  ") + " "
	return fit(left, max(m.w-cells(end), 0)) + end
}

// alarmWords counts the open alarms, as far as they are known.
func (m *Model) alarmWords() []string {
	k, c := m.ink, m.state.counts
	var out []string
	if c.Critical > 0 {
		out = append(out, k.bad.Render(fmt.Sprintf("%d CRITICAL", c.Critical)))
	}
	if c.Warning > 0 {
		out = append(out, k.warn.Render(plural(c.Warning, "warning")))
	}
	switch {
	case !m.state.link.ever:
		return []string{k.dim.Render("alarms unknown")}
	case c.Total() == 0:
		return []string{k.good.Render("no alarms")}
	case len(out) == 0:
		return []string{k.dim.Render(plural(c.Info, "notice"))}
	}
	return out
}

// banners tell of a lost connection, an emergency stop, a clock that schedules do
// not follow, and records that could not be read.
func (m *Model) banners(v view) []string {
	var out []string
	s := m.state
	ago := short(m.opts.Now().Sub(s.link.since))
	switch {
	case !s.link.up && s.link.ever:
		out = append(out, " connection lost "+ago+" ago, trying again: "+safe(s.link.why))
	case !s.link.up && s.link.why != "":
		out = append(out, " no connection for "+ago+", trying again: "+safe(s.link.why))
	case !s.link.up:
		return []string{m.ink.dim.Render(" connecting …")}
	case s.readErr != nil:
		out = append(out, " zones, nodes and alarms may be old, reading them failed: "+safe(s.readErr.Error()))
	}
	switch n := len(s.stopped.Zones); {
	case s.stopped.All:
		out = append(out, " EMERGENCY STOP of the whole site; greenctl resume releases it")
	case n > 0:
		names := make([]string, 0, n)
		for _, z := range s.stopped.Zones[:min(n, 3)] {
			names = append(names, safe(string(z)))
		}
		if n > 3 {
			names = append(names, fmt.Sprintf("%d more", n-3))
		}
		out = append(out, " EMERGENCY STOP of "+strings.Join(names, ", ")+"; greenctl resume --zone releases it")
	}
	if s.waits != "" {
		out = append(out, " CLOCK NOT TRUSTED, schedules wait: "+safe(s.waits))
	}
	for i := range out {
		out[i] = m.ink.loud.Render(fit(out[i], m.w))
	}
	return out
}

func (m *Model) title() string {
	switch m.pane {
	case paneZone:
		return "zone " + safe(string(m.zone.id))
	case paneHistory:
		return "history"
	case paneHelp:
		return "help"
	case paneWhy:
		return "why " + safe(string(m.why.why.Point))
	}
	return mains()[m.pane]
}

// footer is what is being asked, the last answer, or the keys.
func (m *Model) footer(v view) []string {
	style := m.ink.good
	switch {
	case m.prompt != nil:
		return m.prompt.draw(m)
	case m.answer == "":
		return []string{m.keys()}
	case m.refused:
		style = m.ink.bad
	}
	lines := wrap(safe(m.answer), v.w-2, 2)
	for i := range lines {
		lines[i] = " " + style.Render(lines[i])
	}
	return lines
}

// keys names the keys that work here, the most wanted first.
func (m *Model) keys() string {
	keys := map[pane]string{
		paneZones:   "enter:open t:target m:mode c:chart /:filter tab:pane ?:help q:quit",
		paneZone:    "o:override w:why t:target m:mode c:chart esc:back ?:help q:quit",
		paneAlarms:  "a:acknowledge s:shelve enter:zone /:filter esc:back ?:help q:quit",
		paneNodes:   "enter:zone /:filter tab:pane esc:back ?:help q:quit",
		paneEvents:  "enter:zone /:filter tab:pane esc:back ?:help q:quit",
		paneHistory: "←→:pan +-:zoom n:next p:previous 0:now esc:back ?:help q:quit",
	}[m.pane]
	var b strings.Builder
	for _, pair := range strings.Fields(orElse(keys, "arrows:scroll esc:back tab:pane q:quit")) {
		key, what, _ := strings.Cut(pair, ":")
		b.WriteString(" " + m.ink.bold.Render(key) + " " + m.ink.dim.Render(what) + " ")
	}
	return b.String()
}

// body draws the pane on show in h lines or less.
func (m *Model) body(v view, h int) []string {
	switch m.pane {
	case paneZone:
		return m.zone.draw(v, h)
	case paneHistory:
		return m.history.draw(v, h)
	case paneWhy:
		return m.why.draw(v, h)
	case paneHelp:
		return m.help.window(v, v.helpLines(), h)
	case paneZones:
		return m.overview(v, h)
	}
	return m.list().draw(v, h)
}
