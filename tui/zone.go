package tui

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"greenhouse"
	"greenhouse/api"
)

// zonePane shows one zone: what is measured, what is driven and why, and a
// chart of the point under the cursor against its targets.
type zonePane struct {
	id     greenhouse.ZoneID
	cursor cursor
	chosen bool // the person has moved the cursor
	past   past // of the charted point
}

// chartLeast is the least height of the chart below the rows.
const chartLeast = 8

// points returns the rows: sensors, then actuators.
func (p *zonePane) points(s *state) (rows []*point, sensors int) {
	for _, q := range s.byZone[p.id] {
		if !q.driven() {
			rows = append(rows, q)
		}
	}
	sensors = len(rows)
	for _, q := range s.byZone[p.id] {
		if q.act != nil {
			rows = append(rows, q)
		}
	}
	return rows, sensors
}

// sync brings the cursor to its point among rows that may have changed; to
// begin with, to the first actuator.
func (p *zonePane) sync(rows []*point, sensors int) {
	if !p.chosen && len(rows) > sensors {
		p.cursor.at, p.cursor.key = sensors, string(rows[sensors].ID)
	}
	p.cursor.follow(len(rows), func(i int) string { return string(rows[i].ID) })
}

func (p *zonePane) move(s *state, d int) {
	rows, sensors := p.points(s)
	p.sync(rows, sensors)
	p.chosen = true
	p.cursor.move(d, len(rows), func(i int) string { return string(rows[i].ID) })
}

// selected returns the point under the cursor, nil for none.
func (p *zonePane) selected(s *state) *point {
	rows, sensors := p.points(s)
	if len(rows) == 0 {
		return nil
	}
	p.sync(rows, sensors)
	return rows[p.cursor.at]
}

// charted returns the point to chart: the sensor under the cursor, else the
// zone's main one.
func (p *zonePane) charted(s *state) *point {
	if q := p.selected(s); q != nil && !q.driven() {
		return q
	}
	return s.mainPoint(p.id)
}

// mainPoint returns the air temperature of a zone, else its first sensor, nil
// for none.
func (s *state) mainPoint(id greenhouse.ZoneID) *point {
	if p := s.points[greenhouse.ZonePoint(id, "air_temp", 1)]; p != nil {
		return p
	}
	for _, p := range s.byZone[id] {
		if !p.driven() {
			return p
		}
	}
	return nil
}

// draw returns at most h lines.
func (p *zonePane) draw(v view, h int) []string {
	z := v.s.zone(p.id)
	if z == nil {
		return []string{" " + v.k.warn.Render("zone "+safe(string(p.id))+" is not there (any more)")}
	}
	lines := p.head(v, z)
	rows, sensors := p.points(v.s)
	p.sync(rows, sensors)
	below := p.detail(v, z, rows)
	room := max(h-len(lines)-len(below), 3)
	if room >= 2*chartLeast+8 { // a large screen keeps some room for the chart
		room -= chartLeast
	}
	lines = append(lines, p.table(v, rows, sensors, room)...)
	if left := h - len(lines) - len(below); left >= chartLeast {
		lines = append(lines, p.chart(v, z, left)...)
	}
	for len(lines) < h-len(below) {
		lines = append(lines, "")
	}
	return append(lines[:max(h-len(below), 0)], below...)
}

// head says how the zone stands and what it is meant to be.
func (p *zonePane) head(v view, z *api.Zone) []string {
	k := v.k
	first := []string{k.bold.Render(safe(orElse(z.Name, string(z.ID)))), k.zoneState(z)}
	if z.Crop != "" {
		first = append(first, safe(z.Crop))
	}
	first = append(first, "alarms "+k.alarmCount(z), fmt.Sprintf("nodes %d/%d", z.NodesOnline, z.Nodes))
	if z.Failing != "" {
		first = append(first, k.bad.Render(safe(z.Failing)))
	}
	for _, name := range slices.Sorted(maps.Keys(z.Climate)) {
		if z.Climate[name].Calibrate {
			first = append(first, k.warn.Render("calibrate "+safe(string(name))))
		}
	}
	lines := []string{" " + strings.Join(first, "   ")}
	if now := v.climate(p.id); now != "" {
		lines = append(lines, " "+now)
	}
	var goals []string
	for _, q := range greenhouse.Quantities() {
		if t := v.s.targets(z, q.Quantity, v.now); t != "" {
			goals = append(goals, k.dim.Render(string(q.Quantity)+" ")+t)
		}
	}
	if len(goals) == 0 {
		goals = []string{k.dim.Render("no targets: t sets one")}
	}
	if z.Recipe != nil {
		lines = append(lines, clip(" "+k.dim.Render("recipe ")+safe(v.s.recipe(z, v.now)), v.w))
	}
	for _, l := range wrap(strings.Join(goals, k.dim.Render(" · ")), v.w-2, 2) {
		lines = append(lines, " "+l)
	}
	return lines
}

// climate says in one line what it is like in a zone, for the rows may be out of
// sight.
func (v view) climate(id greenhouse.ZoneID) string {
	var now []string
	for _, name := range []greenhouse.ChannelName{"air_temp", "air_rh", "co2", "outside_temp", "solar", "wind_speed"} {
		if q := v.s.measured(id, name); q != nil {
			now = append(now, v.k.dim.Render(string(name)+" ")+v.k.value(q, v.now))
		}
	}
	return clip(strings.Join(now, v.k.dim.Render(" · ")), v.w-2)
}

// table draws the points that fit into room, the one under the cursor among them.
func (p *zonePane) table(v view, rows []*point, sensors, room int) []string {
	if len(rows) == 0 {
		return []string{v.rule("measured"), " " + v.k.dim.Render("nothing yet: greenctl node assign brings a node here")}
	}
	n, at := len(rows), p.cursor.at
	if n > sensors {
		n++ // a title stands before the actuators
	}
	if at >= sensors {
		at++
	}
	c := cursor{at: at, top: p.cursor.top}
	if !p.chosen {
		c.top = at - room/2 // as many sensors in sight as actuators
	}
	from, to := c.window(n, room-1)
	p.cursor.top = c.top
	title := "measured · value · age · trend"
	if from > 0 || to < n {
		title = fmt.Sprintf("measured and driven, rows %d to %d of %d", from+1, to, n)
	}
	lines := []string{v.rule(title)}
	for i := from; i < to; i++ {
		switch {
		case i < sensors:
			lines = append(lines, v.mark(v.measurement(rows[i]), i == at))
		case i == sensors:
			lines = append(lines, v.rule("driven · level · node · lease · owner · reason"))
		default:
			lines = append(lines, v.mark(v.actuator(rows[i-1]), i == at))
		}
	}
	return lines
}

// short returns the name of a point within its zone.
func (p *point) short() string {
	_, name, _ := strings.Cut(string(p.ID), "/")
	return safe(name)
}

// measurement draws a row: name, value, age, trace.
func (v view) measurement(p *point) string {
	old := "never"
	if p.TS > 0 {
		old = rough(age(p, v.now))
	}
	return fit(p.short(), 17) + " " + fit(v.k.value(p, v.now), 22) + " " + v.k.dim.Render(fit(old, 6)) + " " + v.k.good.Render(sparkline(p.trace, max(min(v.w-50, traceLen), 0)))
}

// actuator draws a row: name, level, whether the node has it, lease, owner, reason.
func (v view) actuator(p *point) string {
	a, k := p.act, v.k
	lease := ""
	if a.LeaseUntil > 0 {
		lease = rough(max(a.LeaseUntil.Sub(v.now).Seconds(), 0))
	}
	owner := safe(a.Owner)
	if a.Override != nil {
		owner = k.warn.Render("BY HAND")
	}
	return fit(p.short(), 17) + " " + fit(k.level(a.Level), 4) + " " + k.good.Render(bar(a.Level, 8)) + " " + fit(k.confirmation(a), 9) + " " +
		k.dim.Render(fit(lease, 4)) + " " + fit(owner, 12) + " " + safe(a.Reason)
}

// confirmation says whether the node has the level that is wanted.
func (k ink) confirmation(a *api.Actuator) string {
	switch {
	case !a.Online:
		return k.bad.Render("OFFLINE")
	case a.Position == greenhouse.MotorUnknown:
		return k.warn.Render("seeking")
	case a.Position == greenhouse.MotorSuspect:
		return k.warn.Render("SUSPECT")
	case a.Reported == nil:
		return k.warn.Render("unknown")
	case a.Level != nil && math.Abs(*a.Reported-*a.Level) > 0.02:
		return k.warn.Render("is " + level(a.Reported))
	}
	return k.dim.Render("confirmed")
}

// detail says of the point under the cursor what its row has no room for: why,
// and what happens next.
func (p *zonePane) detail(v view, z *api.Zone, rows []*point) []string {
	if len(rows) == 0 {
		return nil
	}
	q := rows[p.cursor.at]
	why, next := v.whySensor(q), v.nextTarget(z, q)
	if q.act != nil {
		why, next = v.whyActuator(q), v.nextActuator(q.act)
	}
	lines := append([]string{v.rule(q.short())}, wrap(" "+why, v.w-1, 2)...)
	return append(lines, clip(" "+v.k.bold.Render("next")+"  "+next, v.w))
}

func (v view) whySensor(p *point) string {
	if p.TS == 0 {
		return "never heard"
	}
	return fmt.Sprintf("%s, measured %s (%s ago)", p.Quality, v.date(p.TS), seconds(age(p, v.now)))
}

func (v view) whyActuator(p *point) string {
	a := p.act
	text := level(a.Level)
	if note := a.Position.Note(); note != "" {
		text += " (" + note + ")"
	}
	if a.Since > 0 {
		text += " since " + v.clock(a.Since)
	}
	if o := a.Override; o != nil {
		return text + " by hand of " + safe(o.By) + ": " + safe(o.Reason)
	}
	if a.Owner == "" {
		return text + ": not decided yet"
	}
	return text + " because of " + safe(a.Owner) + ": " + safe(a.Reason)
}

// nextActuator says what happens next to an actuator.
func (v view) nextActuator(a *api.Actuator) string {
	switch {
	case a.Command != "" && !a.Command.Terminal():
		return "its command is " + string(a.Command)
	case a.Override != nil:
		return "automation takes over at " + v.date(a.Override.ExpiresAt) + ", in " + short(a.Override.ExpiresAt.Sub(v.now))
	case a.LeaseUntil > v.now:
		return "its lease is renewed, else the node goes safe in " + short(a.LeaseUntil.Sub(v.now))
	case a.LeaseUntil > 0:
		return "its lease has run out: the node went safe"
	}
	return "it stays until something changes"
}

// nextTarget says when the targets of a measurement change.
func (v view) nextTarget(z *api.Zone, p *point) string {
	goals := v.s.goalsOf(z, p.ID.Name())
	if z.Recipe != nil { // it stands above the targets; what comes next is the recipe's to say
		return safe(v.s.recipe(z, v.now))
	}
	if len(goals) == 0 {
		return "no target belongs to it"
	}
	var out []string
	for _, g := range goals {
		switch when, ok := g.turns(v.now); {
		case g.Day == g.Night:
			out = append(out, fmt.Sprintf("%s stays %s", g.quantity, g.text(v.now)))
		case ok:
			out = append(out, fmt.Sprintf("%s becomes %s at %s", g.quantity, g.text(when), v.clock(when)[:5]))
		default:
			out = append(out, fmt.Sprintf("%s %s, day from %s until %s", g.quantity, g.text(v.now), safe(string(z.DayFrom)), safe(string(z.DayUntil))))
		}
	}
	return strings.Join(out, " · ")
}
