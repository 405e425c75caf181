package tui

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"greenhouse"
	"greenhouse/api"
)

// overview shows every zone as a row: state, climate against target, alarms, age.
type overview struct{ list list }

func overviewColumns() []column {
	return []column{{"ZONE", 12, 0}, {"STATE", 9, 0}, {"AIR °C", 12, 0}, {"TARGET", 9, 2}, {"RH %", 8, 1}, {"CO2", 7, 6}, {"TREND", 12, 8},
		{"HEAT", 5, 3}, {"VENT", 5, 4}, {"LAMP", 5, 7}, {"ALARMS", 10, 0}, {"NODES", 6, 5}, {"AGE", 7, 0}, {"NAME", 0, 9}}
}

// rows returns the zones that match the filter.
func (o *overview) rows(s *state, filter string) []api.Zone {
	return matching(s.zones, filter, func(z api.Zone) string { return string(z.ID) + " " + z.Name + " " + z.Crop + " " + string(z.Mode) })
}

// selected returns the zone under the cursor.
func (o *overview) selected(s *state, filter string) (api.Zone, bool) {
	rows := o.rows(s, filter)
	if len(rows) == 0 {
		return api.Zone{}, false
	}
	return rows[max(min(o.list.at, len(rows)-1), 0)], true
}

// draw returns the lines of the pane. Only the rows in sight are made.
func (o *overview) draw(s *state, k ink, filter string, w, h int, now time.Time) []string {
	cols := overviewColumns()
	return table(k, cols, o.rows(s, filter), &o.list, w, h, emptyZones(filter), func(z api.Zone) []string { return o.cells(s, k, z, now) })
}

func emptyZones(filter string) string {
	if filter != "" {
		return "no zone matches /" + filter
	}
	return "there are no zones yet: greenctl zone create north"
}

func (o *overview) cells(s *state, k ink, z api.Zone, now time.Time) []string {
	age := s.age(z.ID, now)
	air, hasAir := s.measured(z.ID, "air_temp")
	rh, hasRH := s.measured(z.ID, "air_rh")
	co2, hasCO2 := s.measured(z.ID, "co2")
	at := s.now(now)
	cell := func(p point, ok bool) string {
		if !ok {
			return k.dim.Render("--")
		}
		return k.value(p, at.Sub(p.TS).Seconds())
	}
	ageText := seconds(age)
	if age > staleAfter || math.IsNaN(age) {
		ageText = k.warn.Render(ageText)
	}
	return []string{k.bold.Render(string(z.ID)), k.zoneState(z), cell(air, hasAir), target(z, greenhouse.Heating), cell(rh, hasRH), cell(co2, hasCO2),
		k.good.Render(k.sparkline(air.trace, 12)), o.act(s, k, z.ID, "heater"), o.act(s, k, z.ID, "vent"), o.act(s, k, z.ID, "lamp"),
		k.alarmCount(z), fmt.Sprintf("%d/%d", z.NodesOnline, z.Nodes), ageText, safe(z.Name)}
}

func (o *overview) act(s *state, k ink, z greenhouse.ZoneID, name greenhouse.ChannelName) string {
	a, ok := s.acts[greenhouse.ZonePoint(z, name, 1)]
	if !ok {
		return k.dim.Render("--")
	}
	if a.Level != nil && *a.Level > 0 {
		return k.good.Render(level(a.Level))
	}
	return level(a.Level)
}

// zoneState says in a word how a zone stands.
func (k ink) zoneState(z api.Zone) string {
	switch {
	case z.Stopped:
		return k.bad.Render("STOPPED")
	case z.Failing != "":
		return k.bad.Render("FAILING")
	case z.Mode != greenhouse.ModeAuto:
		return k.warn.Render(string(z.Mode))
	}
	return k.good.Render(k.dot + " auto")
}

// alarmCount says how many alarms a zone has, and how loud.
func (k ink) alarmCount(z api.Zone) string {
	if z.Alarms == 0 {
		return k.dim.Render("none")
	}
	return k.severity(z.AlarmSeverity).Render(strconv.Itoa(z.Alarms) + " " + string(z.AlarmSeverity))
}
