package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"greenhouse"
)

// pane is one of the screens.
type pane int

const (
	paneZones pane = iota
	paneNodes
	paneAlarms
	paneEvents
	paneZone
	paneHistory
	paneWhy
	paneHelp
)

// mains returns the panes that tab and the numbers lead to, with the words they
// go by after a colon.
func mains() []string { return []string{"zones", "nodes", "alarms", "events"} }

// lister is a pane that lists records.
type lister interface {
	move(s *state, d int)
	search(filter string)
	searched() string
	draw(v view, h int) []string
}

// list returns the list on show, nil if the pane is none.
func (m *Model) list() lister {
	switch m.pane {
	case paneZones:
		return m.zones
	case paneNodes:
		return m.nodes
	case paneAlarms:
		return m.alarms
	case paneEvents:
		return m.events
	}
	return nil
}

// key acts on a key press.
func (m *Model) key(name, text string) tea.Cmd {
	if m.opts.Now().Sub(m.answered) > answerLeast {
		m.answer = "" // it has been read, and the keys are wanted
	}
	switch {
	case name == "ctrl+c":
		return tea.Quit
	case name == "ctrl+z":
		return tea.Suspend
	case m.prompt != nil:
		return m.prompt.key(m, name, text)
	case name == "q":
		return tea.Quit
	case m.pane == paneHistory && m.history.key(name):
		return m.loadHistory()
	case m.pane == paneHistory && (name == "n" || name == "p"):
		return m.step(map[string]int{"n": 1, "p": -1}[name])
	case m.scroll(name):
		return m.chart()
	}
	if cmd, ok := m.travel(name); ok {
		return cmd
	}
	return m.act(name)
}

// scroll moves the cursor; it reports whether the key does that.
func (m *Model) scroll(name string) bool {
	const far = 1 << 30
	page := max(m.h-6, 1)
	d, ok := map[string]int{"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -page, "ctrl+b": -page, "pgdown": page, "ctrl+f": page,
		"ctrl+u": -page / 2, "ctrl+d": page / 2, "home": -far, "g": -far, "end": far, "G": far}[name]
	if !ok {
		return false
	}
	switch l := m.list(); {
	case l != nil:
		l.move(m.state, d)
	case m.pane == paneZone:
		m.zone.move(m.state, d)
	case m.pane == paneHelp:
		m.help.move(d)
	case m.pane == paneWhy:
		m.why.move(d)
	}
	return true
}

// travel changes panes; it reports whether the key does that.
func (m *Model) travel(name string) (tea.Cmd, bool) {
	switch name {
	case "esc":
		if l := m.list(); l != nil && l.searched() != "" {
			l.search("")
			return nil, true
		}
		m.leave()
	case "left", "h", "backspace":
		m.leave()
	case "tab", "shift+tab":
		n := len(mains())
		at := 0 // from any other pane to the first
		if int(m.pane) < n {
			at = (int(m.pane) + map[bool]int{true: 1, false: n - 1}[name == "tab"]) % n
		}
		m.turn(pane(at))
	case "1", "2", "3", "4":
		m.turn(pane(name[0] - '1'))
	case "?":
		m.enter(paneHelp)
	case "/":
		if m.list() != nil {
			m.prompt = newFilterPrompt(m.list())
		}
	case ":":
		m.prompt = &goPrompt{}
	case "r":
		m.toggleReadOnly()
	default:
		return nil, false
	}
	return nil, true
}

func (m *Model) toggleReadOnly() {
	switch {
	case m.opts.ReadOnly:
		m.say("read-only: the dashboard was started so", nil)
	case m.readOnly:
		m.readOnly = false
		m.say("actions are possible again", nil)
	default:
		m.readOnly = true
		m.say("read-only: nothing can be changed from here until r is pressed again", nil)
	}
}

// turn shows one of the main panes; esc leads to the overview from there.
func (m *Model) turn(p pane) {
	m.pane, m.back = p, nil
	if p != paneZones {
		m.back = []pane{paneZones}
	}
}

// enter opens a pane; esc leads back, by the shortest way.
func (m *Model) enter(p pane) {
	if p == m.pane {
		return
	}
	m.back = append(m.back, m.pane)
	if i := slices.Index(m.back, p); i >= 0 {
		m.back = m.back[:i]
	}
	m.pane = p
}

func (m *Model) leave() {
	if n := len(m.back); n > 0 {
		m.pane, m.back = m.back[n-1], m.back[:n-1]
		return
	}
	m.turn(paneZones)
}

// goTo opens what was typed after a colon.
func (m *Model) goTo(where string) tea.Cmd {
	if i := slices.Index(mains(), where); i >= 0 {
		m.turn(pane(i))
		return nil
	}
	switch where {
	case "":
		return nil
	case "q", "quit":
		return tea.Quit
	case "help":
		m.enter(paneHelp)
		return nil
	}
	if p := m.state.points[greenhouse.PointID(where)]; p != nil {
		return m.openHistory(p.ID)
	}
	id := greenhouse.ZoneID(strings.TrimPrefix(strings.TrimPrefix(where, "zone "), "zone/"))
	if m.state.zone(id) == nil {
		if only := m.places(where, 2); len(only) == 1 {
			return m.goTo(only[0])
		}
		m.say("", greenhouse.NotFound("place", where).WithHint("zones, nodes, alarms, events, help, a zone or a point"))
		return nil
	}
	return m.openZone(id)
}

// places returns what may be typed after a colon and begins with a prefix, at
// most n of it.
func (m *Model) places(prefix string, n int) []string {
	var out []string
	for _, w := range append(mains(), "help", "quit") {
		if strings.HasPrefix(w, prefix) {
			out = append(out, w)
		}
	}
	if zone, _, point := strings.Cut(prefix, "/"); point {
		for _, p := range m.state.byZone[greenhouse.ZoneID(zone)] {
			if strings.HasPrefix(string(p.ID), prefix) {
				out = append(out, string(p.ID))
			}
		}
	}
	i, _ := m.state.zoneIndex(greenhouse.ZoneID(prefix))
	for ; i < len(m.state.zones) && len(out) < n && strings.HasPrefix(string(m.state.zones[i].ID), prefix); i++ {
		out = append(out, string(m.state.zones[i].ID))
	}
	return out[:min(n, len(out))]
}

// openZone shows a zone.
func (m *Model) openZone(id greenhouse.ZoneID) tea.Cmd {
	m.zone = zonePane{id: id}
	m.enter(paneZone)
	return tea.Batch(m.chart(), m.prime())
}

// act does what a key asks for on what is under the cursor.
func (m *Model) act(name string) tea.Cmd {
	switch name {
	case "enter", "right", "l":
		return m.open()
	case "a", "s":
		return m.actAlarm(name)
	case "w", "o":
		return m.actActuator(name)
	case "t", "m":
		m.actZone(name)
	case "c":
		return m.actChart()
	}
	return nil
}

// open enters what is under the cursor.
func (m *Model) open() tea.Cmd {
	var id greenhouse.ZoneID
	switch m.pane {
	case paneZones:
		if z := m.zones.selected(m.state); z != nil {
			id = z.ID
		}
	case paneZone:
		if p := m.zone.selected(m.state); p != nil && p.act != nil {
			return m.askWhy(p.ID)
		}
		return m.actChart()
	case paneNodes:
		if n := m.nodes.selected(m.state); n != nil {
			id = n.Zone
		}
	case paneAlarms:
		if a := m.alarms.selected(m.state); a != nil {
			id = m.zoneOf(a.Source)
		}
	case paneEvents:
		if e := m.events.selected(m.state); e != nil {
			id = m.zoneOf(e.Source)
		}
	}
	if id == "" || m.state.zone(id) == nil {
		return nil
	}
	return m.openZone(id)
}

// zoneOf returns the zone that a source lies in, "" for none.
func (m *Model) zoneOf(s greenhouse.Source) greenhouse.ZoneID {
	noun, id, _ := strings.Cut(string(s), "/")
	switch noun {
	case "zone":
		return greenhouse.ZoneID(id)
	case "point":
		return greenhouse.PointID(id).Zone()
	case "node":
		if i, ok := m.state.nodeIndex(greenhouse.UID(id)); ok {
			return m.state.nodes[i].Zone
		}
	}
	return ""
}

func (m *Model) actAlarm(name string) tea.Cmd {
	if m.pane != paneAlarms {
		return nil
	}
	a := m.alarms.selected(m.state)
	switch {
	case a == nil:
		m.say("there is no alarm under the cursor", nil)
	case name == "s":
		m.ask(shelveDialog(*a))
	case a.Acked:
		m.say(a.Code+" is acknowledged already", nil)
	default:
		m.ask(ackDialog(*a, m.view()))
	}
	return nil
}

func (m *Model) actActuator(name string) tea.Cmd {
	if m.pane != paneZone {
		return nil
	}
	p := m.zone.selected(m.state)
	switch {
	case p == nil || p.act == nil:
		m.say("move the cursor to an actuator, under DRIVEN", nil)
	case name == "w":
		return m.askWhy(p.ID)
	default:
		m.ask(overrideDialog(*p.act, m.view()))
	}
	return nil
}

func (m *Model) actZone(name string) {
	id := m.zone.id
	switch m.pane {
	case paneZone:
	case paneZones:
		if z := m.zones.selected(m.state); z != nil {
			id = z.ID
		}
	default:
		return
	}
	z := m.state.zone(id)
	switch {
	case z == nil:
	case name == "t":
		m.ask(targetDialog(*z, m.view()))
	default:
		m.ask(modeDialog(*z))
	}
}

// actChart charts the point under the cursor, or the air temperature.
func (m *Model) actChart() tea.Cmd {
	switch m.pane {
	case paneZone:
		if p := m.zone.selected(m.state); p != nil {
			return m.openHistory(p.ID)
		}
	case paneZones:
		if z := m.zones.selected(m.state); z != nil {
			if p := m.state.mainPoint(z.ID); p != nil {
				return m.openHistory(p.ID)
			}
			m.say("nothing is measured in this zone yet", nil)
		}
	}
	return nil
}

// ask opens a dialog, unless nothing may be changed.
func (m *Model) ask(d *dialog) {
	if m.readOnly {
		m.say("", errReadOnly())
		return
	}
	m.answer, m.prompt = "", d
}
