package tui

import (
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"greenhouse"
	"greenhouse/api"
)

// key acts on a key press.
func (m *Model) key(msg tea.KeyPressMsg) tea.Cmd {
	name := msg.String()
	switch {
	case m.dialog != nil:
		a, done := m.dialog.key(name, msg.Text)
		if done {
			m.dialog = nil
		}
		return m.do(a)
	case m.typing || m.palette:
		return m.line(name, msg.Text)
	case name == "ctrl+c" || name == "q":
		return tea.Quit
	case m.pane == paneHistory && m.history.key(name):
		return m.loadHistory()
	}
	if m.navigate(name) {
		return nil
	}
	return m.act(name)
}

// line takes the characters of the filter or of a destination.
func (m *Model) line(name, text string) tea.Cmd {
	buf := &m.filter
	if m.palette {
		buf = &m.typed
	}
	switch {
	case name == "esc":
		*buf, m.typing, m.palette = "", false, false
	case name == "enter":
		m.typing = false
		if m.palette {
			m.palette = false
			return m.goTo(strings.TrimSpace(m.typed))
		}
	case name == "backspace":
		if r := []rune(*buf); len(r) > 0 {
			*buf = string(r[:len(r)-1])
		}
	case text != "" && len(*buf) < 100 && strings.IndexFunc(text, unicode.IsControl) < 0:
		*buf += text
	}
	return nil
}

// goTo opens what was typed after a colon.
func (m *Model) goTo(where string) tea.Cmd {
	switch where {
	case "q", "quit":
		return tea.Quit
	case "zones", "overview":
		m.enter(paneOverview)
	case "nodes":
		m.enter(paneNodes)
	case "alarms":
		m.enter(paneAlarms)
	case "events":
		m.enter(paneEvents)
	case "help":
		m.enter(paneHelp)
	default:
		id := greenhouse.ZoneID(strings.TrimPrefix(strings.TrimPrefix(where, "zone "), "zone/"))
		if _, ok := m.state.zone(id); !ok {
			m.say("", greenhouse.NotFound("place", where).WithHint("zones, nodes, alarms, events, help, or the id of a zone"))
			return nil
		}
		m.zone = zonePane{id: id}
		m.enter(paneZone)
	}
	return nil
}

// cursor returns the cursor and the number of rows of the pane on show.
func (m *Model) cursor() (*list, int) {
	switch m.pane {
	case paneOverview:
		return &m.overview.list, len(m.overview.rows(m.state, m.filter))
	case paneZone:
		return &m.zone.list, len(m.state.actuators(m.zone.id))
	case paneNodes:
		return &m.nodes.list, len(m.nodes.rows(m.state, m.filter))
	case paneAlarms:
		return &m.alarms.list, len(m.alarms.rows(m.state, m.filter))
	case paneEvents:
		return &m.events.list, len(m.events.rows(m.state, m.filter))
	}
	return &list{}, 0
}

// navigate moves the cursor and changes panes; it reports whether it did.
func (m *Model) navigate(name string) bool {
	cur, n := m.cursor()
	page := max(m.h-6, 1)
	switch name {
	case "up", "k":
		cur.move(-1, n)
	case "down", "j":
		cur.move(1, n)
	case "pgup", "ctrl+b":
		cur.move(-page, n)
	case "pgdown", "ctrl+f":
		cur.move(page, n)
	case "home", "g":
		cur.move(-n, n)
	case "end", "G":
		cur.move(n, n)
	case "esc", "left", "h":
		if m.filter != "" && name == "esc" {
			m.filter = ""
			return true
		}
		m.leave()
	case "tab":
		m.pane, m.back = m.next(1), []pane{paneOverview}
	case "shift+tab":
		m.pane, m.back = m.next(-1), []pane{paneOverview}
	case "1":
		m.pane, m.back = paneOverview, nil
	case "2":
		m.enter(paneNodes)
	case "3":
		m.enter(paneAlarms)
	case "4":
		m.enter(paneEvents)
	case "?":
		m.enter(paneHelp)
	case "/":
		m.typing, m.filter = true, ""
	case ":":
		m.palette, m.typed = true, ""
	case "r":
		m.readOnly = !m.readOnly || m.opts.ReadOnly
	default:
		return false
	}
	return true
}

// next returns the pane that tab leads to.
func (m *Model) next(d int) pane {
	order := []pane{paneOverview, paneNodes, paneAlarms, paneEvents}
	for i, p := range order {
		if p == m.pane {
			return order[(i+d+len(order))%len(order)]
		}
	}
	return paneOverview
}

// act does what a key asks for on what is under the cursor.
func (m *Model) act(name string) tea.Cmd {
	switch name {
	case "enter", "right", "l":
		return m.open()
	case "a":
		if a, ok := m.alarms.selected(m.state, m.filter); ok && m.pane == paneAlarms {
			return m.do(ackAction(a))
		}
	case "s":
		if a, ok := m.alarms.selected(m.state, m.filter); ok && m.pane == paneAlarms {
			m.ask(shelveDialog(a))
		}
	case "w":
		if a, ok := m.zone.selected(m.state); ok && m.pane == paneZone {
			return m.askWhy(a.Point)
		}
	case "o":
		if a, ok := m.zone.selected(m.state); ok && m.pane == paneZone {
			m.ask(overrideDialog(a))
		}
	case "t":
		if z, ok := m.currentZone(); ok {
			m.ask(targetDialog(z))
		}
	case "m":
		if z, ok := m.currentZone(); ok {
			m.ask(modeDialog(z))
		}
	case "c":
		if z, ok := m.currentZone(); ok {
			m.history.open(m.state, z.ID)
			m.enter(paneHistory)
			return m.loadHistory()
		}
	}
	return nil
}

// ask opens a dialog, unless nothing may be changed.
func (m *Model) ask(d *dialog) {
	if m.readOnly {
		m.say("", greenhouse.Forbidden("read_only", "the dashboard is read-only; r changes that"))
		return
	}
	m.dialog = d
}

// currentZone returns the zone that is open or under the cursor.
func (m *Model) currentZone() (api.Zone, bool) {
	switch m.pane {
	case paneZone:
		return m.state.zone(m.zone.id)
	case paneOverview:
		return m.overview.selected(m.state, m.filter)
	}
	return api.Zone{}, false
}

// open enters what is under the cursor.
func (m *Model) open() tea.Cmd {
	switch m.pane {
	case paneOverview:
		if z, ok := m.overview.selected(m.state, m.filter); ok {
			m.zone, m.filter = zonePane{id: z.ID}, ""
			m.enter(paneZone)
		}
	case paneZone:
		if a, ok := m.zone.selected(m.state); ok {
			return m.askWhy(a.Point)
		}
	case paneAlarms:
		if a, ok := m.alarms.selected(m.state, m.filter); ok {
			if z, isZone := zoneOf(a.Source); isZone {
				m.zone, m.filter = zonePane{id: z}, ""
				m.enter(paneZone)
			}
		}
	}
	return nil
}

// zoneOf returns the zone that a source lies in.
func zoneOf(s greenhouse.Source) (greenhouse.ZoneID, bool) {
	noun, id, _ := strings.Cut(string(s), "/")
	switch noun {
	case "zone":
		return greenhouse.ZoneID(id), true
	case "point":
		z := greenhouse.PointID(id).Zone()
		return z, z != ""
	}
	return "", false
}
