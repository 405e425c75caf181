package tui

import (
	"fmt"
	"math"
	"strings"

	"greenhouse"
	"greenhouse/api"
)

// newZones is the overview: every zone as a row.
func newZones() *roster[api.Zone] {
	return &roster[api.Zone]{
		columns: []column{{title: "ZONE", width: 12, most: 28}, {title: "STATE", width: 7}, {title: "AIR °C", width: 9}, {title: "TARGET", width: 9, drop: 2},
			{title: "RH %", width: 7, drop: 1}, {title: "CO2", width: 8, drop: 6}, {title: "TREND 15m", width: 12, drop: 8}, {title: "HEAT", width: 4, drop: 3},
			{title: "VENT", width: 4, drop: 4}, {title: "LAMP", width: 4, drop: 7}, {title: "ALARMS", width: 10}, {title: "NODES", width: 5, drop: 5},
			{title: "AGE", width: 5}, {title: "NAME", width: 10, drop: 9, rest: true}},
		empty: "there are no zones yet: greenctl zone create north",
		all:   func(s *state) []*api.Zone { return refs(s.zones) },
		key:   func(z *api.Zone) string { return string(z.ID) },
		text:  zoneText,
		cells: zoneCells,
	}
}

// zoneText is what the filter looks in: names, and the words of its state.
func zoneText(z *api.Zone) string {
	words := []string{string(z.ID), z.Name, z.Crop, string(z.Mode), string(z.AlarmSeverity)}
	if z.Stopped {
		words = append(words, "stopped")
	}
	if z.Failing != "" {
		words = append(words, "failing", z.Failing)
	}
	if z.NodesOnline < z.Nodes {
		words = append(words, "offline")
	}
	return strings.Join(words, " ")
}

func zoneCells(v view, z *api.Zone) []string {
	s, k := v.s, v.k
	air := s.measured(z.ID, "air_temp")
	trend := ""
	if air != nil {
		trend = k.good.Render(sparkline(air.trace, 12))
	}
	age := s.age(z.ID, v.now)
	ageText := rough(age)
	if age > staleAfter || math.IsNaN(age) {
		ageText = k.warn.Render(ageText)
	}
	nodes := fmt.Sprintf("%d/%d", z.NodesOnline, z.Nodes)
	if z.NodesOnline < z.Nodes {
		nodes = k.warn.Render(nodes)
	}
	return []string{k.bold.Render(safe(string(z.ID))), k.zoneState(z), k.brief(air, v.now), s.target(z, greenhouse.Heating, v.now),
		k.brief(s.measured(z.ID, "air_rh"), v.now), k.brief(s.measured(z.ID, "co2"), v.now), trend,
		v.driven(z.ID, "heater"), v.driven(z.ID, "vent"), v.driven(z.ID, "lamp"), k.alarmCount(z), nodes, ageText, safe(z.Name)}
}

// driven draws the level of the first actuator of a name.
func (v view) driven(z greenhouse.ZoneID, name greenhouse.ChannelName) string {
	p := v.s.points[greenhouse.ZonePoint(z, name, 1)]
	switch {
	case p == nil || p.act == nil:
		return v.k.dim.Render("--")
	case p.act.Override != nil:
		return v.k.warn.Render(level(p.act.Level))
	}
	return v.k.level(p.act.Level)
}

// alarmCount says how many alarms a zone has, and how loud.
func (k ink) alarmCount(z *api.Zone) string {
	if z.Alarms == 0 {
		return k.dim.Render("none")
	}
	return k.severity(z.AlarmSeverity).Render(fmt.Sprintf("%d %s", z.Alarms, safe(string(z.AlarmSeverity))))
}

// overview draws the zones and, in the room that they leave, the open alarms
// and the last events. A large screen keeps some room for these.
func (m *Model) overview(v view, h int) []string {
	m.zones.sync(v.s)
	kept := 0
	if h >= 28 {
		kept = h * 2 / 5
	}
	rows := min(len(m.zones.rows)+1, h-kept)
	if h-rows < 4 || m.zones.filter != "" && kept == 0 {
		return m.zones.draw(v, h)
	}
	lines := m.zones.draw(v, max(rows, 2))
	left := h - len(lines) - 1
	lines = append(lines, "")
	alarms := m.alarms.all(v.s)
	forAlarms := min(max(len(alarms), 1)+1, max(left/2, 2))
	lines = append(lines, v.rule("open alarms"))
	if len(alarms) == 0 {
		lines = append(lines, " "+v.k.dim.Render(m.alarms.nothing(v.s)))
	}
	lines = append(lines, m.alarms.glance(v, forAlarms-1)...)
	if left -= forAlarms; left >= 3 {
		lines = append(lines, v.rule("last events"))
		lines = append(lines, m.events.glance(v, left-1)...)
	}
	return lines
}
