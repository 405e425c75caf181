package tui

import (
	"fmt"
	"time"

	"greenhouse"
	"greenhouse/api"
)

// goal is a target of a zone with what can be told of the time it is in force.
type goal struct {
	quantity greenhouse.Quantity
	greenhouse.Target
	from, until time.Duration // the day, since midnight
	loc         *time.Location
	known       bool // day and night can be told apart here
}

// goal returns a target of a zone, if it has one. Day and night are known
// where both of their edges are clock times; the sun's are the daemon's to know.
func (s *state) goal(z *api.Zone, q greenhouse.Quantity) (goal, bool) {
	t, ok := z.Targets[q]
	if !ok {
		return goal{}, false
	}
	g := goal{quantity: q, Target: t, loc: s.loc}
	from, okFrom := clockEdge(z.DayFrom)
	until, okUntil := clockEdge(z.DayUntil)
	g.from, g.until, g.known = from, until, okFrom && okUntil && s.loc != nil
	return g, true
}

// clockEdge reads an edge of the day that is a clock time.
func clockEdge(e greenhouse.DayEdge) (time.Duration, bool) {
	t, err := time.Parse("15:04", string(e))
	if err != nil {
		return 0, false
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, true
}

// at returns the value in force at an instant, if it can be told.
func (g goal) at(ts greenhouse.Millis) (float64, bool) {
	switch {
	case g.Day == g.Night:
		return g.Day, true
	case !g.known:
		return 0, false
	}
	local := ts.Time().In(g.loc)
	clock := time.Duration(local.Hour())*time.Hour + time.Duration(local.Minute())*time.Minute
	day := g.from <= clock && clock < g.until
	if g.from > g.until {
		day = clock >= g.from || clock < g.until
	}
	if day {
		return g.Day, true
	}
	return g.Night, true
}

// turns returns when day and night change next, if it can be told.
func (g goal) turns(now greenhouse.Millis) (when greenhouse.Millis, ok bool) {
	if !g.known || g.from == g.until {
		return 0, false
	}
	local := now.Time().In(g.loc)
	for _, e := range []time.Duration{g.from, g.until} {
		y, m, d := local.Date()
		for day := range 2 {
			t := time.Date(y, m, d+day, 0, int(e.Minutes()), 0, 0, g.loc)
			if at := greenhouse.MillisOf(t); t.After(local) && (when == 0 || at < when) {
				when = at
			}
		}
	}
	return when, when != 0
}

// text writes the value in force, or day/night where it cannot be told.
func (g goal) text(ts greenhouse.Millis) string {
	if v, ok := g.at(ts); ok {
		return fmt.Sprintf("%.4g", v)
	}
	return fmt.Sprintf("%.4g/%.4g", g.Day, g.Night)
}

// target writes what is aimed at now, "" where nothing is: the set-point in force as
// control decided it, with ramps, the sun, curves and what people hold, else the
// target as far as the clock tells.
func (s *state) target(z *api.Zone, q greenhouse.Quantity, now greenhouse.Millis) string {
	if v, ok := s.inForce[z.ID][q]; ok {
		return fmt.Sprintf("%.4g", v)
	}
	g, ok := s.goal(z, q)
	if !ok {
		return ""
	}
	return g.text(now)
}

// recipe says how far a zone is on its recipe: days and the ramp go on between two
// reads of the record.
func (s *state) recipe(z *api.Zone, now greenhouse.Millis) string {
	st := z.Recipe.RunStatus
	if s.loc != nil {
		st = st.On(greenhouse.DateOf(now.Time().In(s.loc)))
	}
	return st.Text(now)
}

// targets writes what is aimed at now, and the levels of day and night behind it
// where it is neither of the two, or nobody can see which.
func (s *state) targets(z *api.Zone, q greenhouse.Quantity, now greenhouse.Millis) string {
	text := s.target(z, q, now)
	g, ok := s.goal(z, q)
	if _, decided := s.inForce[z.ID][q]; !ok || !decided || g.Day == g.Night {
		return text
	}
	return fmt.Sprintf("%s (%.4g/%.4g)", text, g.Day, g.Night)
}

// goalsOf returns the targets that belong to what a channel measures.
func (s *state) goalsOf(z *api.Zone, name greenhouse.ChannelName) []goal {
	var out []goal
	for _, q := range quantitiesOf(name) {
		if g, ok := s.goal(z, q); ok {
			out = append(out, g)
		}
	}
	return out
}

func quantitiesOf(name greenhouse.ChannelName) []greenhouse.Quantity {
	switch name {
	case "air_temp":
		return []greenhouse.Quantity{greenhouse.Heating, greenhouse.Venting}
	case "air_rh":
		return []greenhouse.Quantity{greenhouse.HumidityMax}
	case "vpd":
		return []greenhouse.Quantity{greenhouse.TargetVPD}
	case "co2":
		return []greenhouse.Quantity{greenhouse.TargetCO2}
	case "solution_ph":
		return []greenhouse.Quantity{greenhouse.TargetPH}
	case "solution_ec":
		return []greenhouse.Quantity{greenhouse.TargetEC}
	case "soil_moisture":
		return []greenhouse.Quantity{greenhouse.SoilMoisture}
	}
	return nil
}
