package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"greenhouse/api"
)

// nodesPane lists the nodes.
type nodesPane struct{ list list }

func (p *nodesPane) rows(s *state, filter string) []api.Node {
	return matching(s.nodes, filter, func(n api.Node) string {
		return string(n.UID) + " " + n.Name + " " + string(n.Zone) + " " + string(n.State)
	})
}

func (p *nodesPane) draw(s *state, k ink, filter string, w, h int, now time.Time) []string {
	cols := []column{{"NODE", 26, 0}, {"ZONE", 10, 0}, {"STATE", 12, 3}, {"LINK", 9, 0}, {"SEEN", 8, 1}, {"CONFIG", 9, 2}, {"RSSI", 5, 5}, {"BATT", 5, 6}, {"FW", 8, 7}, {"NAME", 0, 4}}
	return table(k, cols, p.rows(s, filter), &p.list, w, h, "no nodes: greenctl node pair lets some join", func(n api.Node) []string {
		linkState := k.bad.Render("OFFLINE")
		if n.Online {
			linkState = k.good.Render(k.dot + " online")
		}
		seen := "never"
		if n.LastSeen > 0 {
			seen = short(s.now(now).Sub(n.LastSeen))
		}
		return []string{string(n.UID), string(n.Zone), string(n.State), linkState, seen, string(n.Config.Status), number0(n.RSSI), number0(n.Battery), safe(n.FW), safe(n.Name)}
	})
}

// number0 writes a value that may be absent.
func number0(v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%.3g", *v)
}

// alarmsPane lists the open alarms.
type alarmsPane struct{ list list }

func (p *alarmsPane) rows(s *state, filter string) []api.Alarm {
	return matching(s.alarms, filter, func(a api.Alarm) string {
		return string(a.Source) + " " + a.Code + " " + a.Text + " " + string(a.Severity)
	})
}

func (p *alarmsPane) selected(s *state, filter string) (api.Alarm, bool) {
	rows := p.rows(s, filter)
	if len(rows) == 0 {
		return api.Alarm{}, false
	}
	return rows[max(min(p.list.at, len(rows)-1), 0)], true
}

func (p *alarmsPane) draw(s *state, k ink, filter string, w, h int, now time.Time) []string {
	cols := []column{{"SEVERITY", 9, 0}, {"STATE", 8, 2}, {"ACK", 4, 0}, {"SINCE", 8, 1}, {"N", 4, 3}, {"SOURCE", 24, 4}, {"WHAT", 0, 0}}
	return table(k, cols, p.rows(s, filter), &p.list, w, h, "no open alarms", func(a api.Alarm) []string {
		acked := k.warn.Render("no")
		if a.Acked {
			acked = "yes"
		}
		if a.ShelvedUntil > s.now(now) {
			acked = "shlv"
		}
		return []string{k.severity(a.Severity).Render(string(a.Severity)), string(a.State), acked, short(s.now(now).Sub(a.FirstSeen)), fmt.Sprint(a.Count), string(a.Source), safe(a.Text)}
	})
}

// eventsPane lists what happened, the newest first.
type eventsPane struct{ list list }

func (p *eventsPane) rows(s *state, filter string) []api.Event {
	out := slices.Clone(matching(s.events, filter, func(e api.Event) string { return e.Code + " " + string(e.Source) + " " + e.Actor }))
	slices.Reverse(out)
	return out
}

func (p *eventsPane) draw(s *state, k ink, filter string, w, h int, _ time.Time) []string {
	cols := []column{{"TIME", 8, 0}, {"EVENT", 22, 0}, {"SOURCE", 26, 1}, {"ACTOR", 16, 3}, {"DETAIL", 0, 2}}
	return table(k, cols, p.rows(s, filter), &p.list, w, h, "nothing has happened since the dashboard opened", func(e api.Event) []string {
		return []string{e.TS.Time().Local().Format("15:04:05"), e.Code, string(e.Source), safe(e.Actor), safe(string(e.Detail))}
	})
}

// matching returns the items whose text contains the filter.
func matching[T any](items []T, filter string, text func(T) string) []T {
	if filter == "" {
		return items
	}
	var out []T
	for _, it := range items {
		if strings.Contains(strings.ToLower(text(it)), strings.ToLower(filter)) {
			out = append(out, it)
		}
	}
	return out
}

// table draws a list pane; only the rows in sight are made.
func table[T any](k ink, cols []column, items []T, l *list, w, h int, empty string, cells func(T) []string) []string {
	widths := layout(cols, w)
	lines := []string{k.title.Render(row(titles(cols), widths))}
	if len(items) == 0 {
		return append(lines, k.dim.Render(empty))
	}
	from, to := l.window(len(items), h-1)
	for i := from; i < to; i++ {
		line := row(cells(items[i]), widths)
		if i == l.at {
			line = k.cursor.Render(fit(safe(line), w))
		}
		lines = append(lines, line)
	}
	return lines
}
