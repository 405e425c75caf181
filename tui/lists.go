package tui

import (
	"fmt"
	"slices"
	"strings"

	"greenhouse"
	"greenhouse/api"
)

// newNodes is the pane of the nodes.
func newNodes() *roster[api.Node] {
	return &roster[api.Node]{
		columns: []column{{title: "NODE", width: 17, most: 32}, {title: "ZONE", width: 10}, {title: "STATE", width: 11, drop: 3}, {title: "LINK", width: 8},
			{title: "SEEN", width: 5, drop: 1}, {title: "CONFIG", width: 8, drop: 2}, {title: "RSSI", width: 4, drop: 5}, {title: "BATT", width: 5, drop: 6},
			{title: "FW", width: 8, drop: 7}, {title: "NAME", width: 10, drop: 4, rest: true}},
		empty: "no nodes: greenctl node pair lets some join",
		all:   func(s *state) []*api.Node { return refs(s.nodes) },
		key:   func(n *api.Node) string { return string(n.UID) },
		text: func(n *api.Node) string {
			return strings.Join([]string{string(n.UID), n.Name, string(n.Zone), string(n.State), string(n.Config.Status), linkWord(n), n.FW}, " ")
		},
		cells: nodeCells,
		about: aboutNode,
		note:  knocking,
	}
}

func linkWord(n *api.Node) string {
	switch {
	case n.Online:
		return "● online"
	case n.State == greenhouse.NodeDecommissioned:
		return "retired"
	}
	return "OFFLINE"
}

func nodeCells(v view, n *api.Node) []string {
	link, config, seen := v.k.bad, plain(), "never"
	if n.Online {
		link = v.k.good
	}
	if n.Config.Status == greenhouse.ConfigDrift || n.Config.Status == greenhouse.ConfigRejected {
		config = v.k.warn
	}
	if last := v.s.heardOf(n); last > 0 {
		seen = rough(max(v.now.Sub(last).Seconds(), 0))
	}
	return []string{safe(string(n.UID)), safe(string(n.Zone)), safe(string(n.State)), link.Render(linkWord(n)), seen, config.Render(safe(string(n.Config.Status))),
		v.s.diagnostic(n, "rssi", n.RSSI), v.s.diagnostic(n, "battery", n.Battery), safe(n.FW), safe(n.Name)}
}

// knocking tells of devices that are not nodes, or not with all they send.
func knocking(s *state) string {
	if s.pending == 0 {
		return ""
	}
	return plural(s.pending, "device") + " not let in, or with channels nobody declared: greenctl node pending"
}

// heardOf returns when a node was last heard: its record is read seldom, but
// its readings come with every message.
func (s *state) heardOf(n *api.Node) greenhouse.Millis {
	last := n.LastSeen
	for i := range n.Channels {
		if p := s.points[n.Channels[i].Point]; p != nil && n.Channels[i].Kind == greenhouse.Sensor {
			last = max(last, p.TS)
		}
	}
	return last
}

// diagnostic writes what a node last said of itself, live or as recorded.
func (s *state) diagnostic(n *api.Node, name greenhouse.ChannelName, recorded *float64) string {
	if p := s.points[greenhouse.NodePoint(n.UID, name)]; p != nil && p.Value != nil {
		return optional(p.Value)
	}
	return optional(recorded)
}

// aboutNode says of a node what its row has no room for.
func aboutNode(v view, n *api.Node) string {
	parts := []string{v.k.bold.Render(safe(string(n.UID))), safe(string(n.Type)), "hardware " + safe(string(n.HardwareID))}
	if n.Name != "" {
		parts = append(parts, safe(n.Name))
	}
	parts = append(parts, plural(len(n.Channels), "channel"))
	if n.FW != "" {
		parts = append(parts, "firmware "+safe(n.FW))
	}
	if n.Address != "" {
		parts = append(parts, "at "+safe(n.Address))
	}
	if n.UptimeS != nil {
		parts = append(parts, "up "+seconds(*n.UptimeS))
	}
	for _, r := range n.Reasons {
		parts = append(parts, v.k.bad.Render(safe(r.Text)))
	}
	config := fmt.Sprintf("configuration %d of %d %s", n.Config.ReportedRev, n.Config.DesiredRev, safe(string(n.Config.Status)))
	if n.Config.Error != "" {
		config += ": " + v.k.bad.Render(safe(n.Config.Error))
	}
	return strings.Join(append(parts, config), " · ")
}

// optional writes a value that may be absent.
func optional(v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%.3g", *v)
}

// newAlarms is the pane of the open alarms.
func newAlarms() *roster[api.Alarm] {
	return &roster[api.Alarm]{
		columns: []column{{title: "SEVERITY", width: 8}, {title: "STATE", width: 7, drop: 2}, {title: "ACK", width: 7}, {title: "SINCE", width: 5, drop: 1},
			{title: "TIMES", width: 5, drop: 4}, {title: "SOURCE", width: 18, drop: 3}, {title: "CODE", width: 16, drop: 5}, {title: "WHAT", width: 20, rest: true}},
		empty: "no open alarms",
		all:   func(s *state) []*api.Alarm { return refs(s.alarms) },
		key:   func(a *api.Alarm) string { return a.ID },
		text: func(a *api.Alarm) string {
			return strings.Join([]string{string(a.Source), a.Code, a.Text, string(a.Severity), string(a.State)}, " ")
		},
		cells: alarmCells,
		about: aboutAlarm,
	}
}

func alarmCells(v view, a *api.Alarm) []string {
	ack := v.k.warn.Render("no")
	switch {
	case a.ShelvedUntil > v.now:
		ack = "shelved"
	case a.Acked:
		ack = "yes"
	}
	severity := string(a.Severity)
	if a.Severity == greenhouse.Critical {
		severity = "CRITICAL"
	}
	return []string{v.k.severity(a.Severity).Render(safe(severity)), safe(string(a.State)), ack, rough(max(v.now.Sub(a.FirstSeen).Seconds(), 0)),
		fmt.Sprint(a.Count), sourceName(a.Source), safe(a.Code), safe(orElse(a.Text, a.Code))}
}

// aboutAlarm says all of an alarm.
func aboutAlarm(v view, a *api.Alarm) string {
	text := v.k.bold.Render(safe(a.Code)+" of "+safe(string(a.Source))) + ": " + safe(orElse(a.Text, "no text"))
	text += " · " + safe(string(a.State)) + ", " + plural(a.Count, "time") + " since " + v.date(a.FirstSeen) + ", last " + v.date(a.LastSeen)
	if a.Acked {
		text += " · acknowledged by " + safe(orElse(a.AckedBy, "somebody"))
	}
	if a.ShelvedUntil > v.now {
		text += " · shelved until " + v.date(a.ShelvedUntil)
	}
	return text
}

// newEvents is the pane of what happened, the newest first.
func newEvents() *roster[api.Event] {
	return &roster[api.Event]{
		columns: []column{{title: "TIME", width: 8}, {title: "EVENT", width: 18}, {title: "SOURCE", width: 20, drop: 1}, {title: "ACTOR", width: 14, drop: 3},
			{title: "DETAIL", width: 12, drop: 2, rest: true}},
		empty: "nothing has happened yet",
		tail:  true,
		all: func(s *state) []*api.Event {
			out := refs(s.events)
			slices.Reverse(out)
			return out
		},
		key: func(e *api.Event) string { return fmt.Sprint(e.Seq) },
		text: func(e *api.Event) string {
			return strings.Join([]string{e.Code, string(e.Source), e.Actor, string(e.Detail)}, " ")
		},
		cells: eventCells,
		about: aboutEvent,
	}
}

func eventCells(v view, e *api.Event) []string {
	return []string{v.clock(e.TS), safe(e.Code), sourceName(e.Source), sourceName(greenhouse.Source(e.Actor)), safe(detail(string(e.Detail)))}
}

// aboutEvent says all of an event.
func aboutEvent(v view, e *api.Event) string {
	text := fmt.Sprintf("%s %s", v.k.bold.Render(fmt.Sprintf("#%d %s", e.Seq, safe(e.Code))), e.TS.Time().In(v.loc).Format("2006-01-02 15:04:05 MST"))
	return text + " · of " + safe(string(e.Source)) + " by " + safe(orElse(e.Actor, "edged")) + " · " + safe(detail(string(e.Detail)))
}

// sourceName writes a source without its noun, which its form tells.
func sourceName(s greenhouse.Source) string {
	for _, noun := range []string{"zone/", "node/", "point/"} {
		if id, ok := strings.CutPrefix(string(s), noun); ok {
			return safe(id)
		}
	}
	return safe(string(s))
}

// detail writes the flat object of an event without its braces and quotes:
// "rev: 3, cause: link loss".
func detail(raw string) string {
	raw = strings.TrimSuffix(strings.TrimPrefix(raw, "{"), "}")
	return strings.NewReplacer(`":"`, ": ", `":`, ": ", `","`, ", ", `,"`, ", ", `"`, "").Replace(raw)
}
