package automation

import (
	"regexp"
	"strconv"
	"time"

	"greenhouse"
)

// The clock times that stand for the sun where it does not rise or set, on a
// day beyond the polar circles or at a site whose place nobody told.
const (
	polarSunrise = 6 * time.Hour
	polarSunset  = 20 * time.Hour
)

// Default ramps: how fast a set-point moves from night to day and back.
const (
	RampUp   = 1.5 // K/h
	RampDown = 3.0 // K/h
)

var edgeForm = regexp.MustCompile(`^(?:(\d{1,2}):(\d{2})|(sunrise|sunset)(?:([+-])(\d{1,2}):(\d{2}))?)$`)

// Edge is a [greenhouse.DayEdge] taken apart: a time of day, or an offset from
// sunrise or sunset.
type Edge struct {
	Sun    string        // "sunrise", "sunset", or "" for a time of day
	Offset time.Duration // from the sun, or since local midnight
}

// ParseDayEdge reads "06:30", "sunrise" or "sunset+1:00". It answers with
// [greenhouse.ErrInvalid] for anything else.
func ParseDayEdge(e greenhouse.DayEdge) (Edge, error) {
	m := edgeForm.FindStringSubmatch(string(e))
	if m == nil {
		return Edge{}, greenhouse.Invalid("day_edge_invalid", "%q is no time of day: it is a time as 06:30, or sunrise or sunset with an offset as sunrise-0:30", e)
	}
	hours, minutes := m[1], m[2]
	if m[3] != "" {
		hours, minutes = m[5], m[6]
	}
	offset := clockTime(hours, minutes)
	if offset > 24*time.Hour || minutes > "59" {
		return Edge{}, greenhouse.Invalid("day_edge_invalid", "%q is no time of day: hours go to 23, minutes to 59", e)
	}
	if m[4] == "-" {
		offset = -offset
	}
	return Edge{Sun: m[3], Offset: offset}, nil
}

// clockTime returns hours and minutes, of digits or empty, as a duration.
func clockTime(hours, minutes string) time.Duration {
	h, _ := strconv.Atoi(hours)   // digits by the expression, or none
	m, _ := strconv.Atoi(minutes) // as above
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
}

// ScheduleOf returns when day and night begin in a zone. An edge that cannot be
// read, which the registry refuses, counts as sunrise or sunset, and so does
// none.
func ScheduleOf(z *greenhouse.Zone, site *greenhouse.Site, location *time.Location) Schedule {
	s := Schedule{Latitude: site.Latitude, Longitude: site.Longitude, Location: location}
	var err error
	if s.From, err = ParseDayEdge(z.DayFrom); err != nil {
		s.From = Edge{Sun: "sunrise"}
	}
	if s.Until, err = ParseDayEdge(z.DayUntil); err != nil {
		s.Until = Edge{Sun: "sunset"}
	}
	return s
}

// Schedule says when day and night begin at a place.
type Schedule struct {
	From, Until         Edge
	Latitude, Longitude float64 // degrees, north and east positive
	Location            *time.Location
}

// On returns when day begins and ends on the local date of t. A time of day that
// the change to summer time skips falls right after the gap, and one that comes
// twice counts the first time.
func (s Schedule) On(t time.Time) (from, until time.Time) {
	y, m, d := t.In(s.Location).Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, s.Location)
	return s.at(s.From, day), s.at(s.Until, day)
}

func (s Schedule) at(e Edge, day time.Time) time.Time {
	if e.Sun == "" {
		return onClock(day, e.Offset)
	}
	rise, set, ok := SunTimes(day, s.Latitude, s.Longitude)
	ok = ok && (s.Latitude != 0 || s.Longitude != 0)
	switch {
	case e.Sun == "sunrise" && ok:
		return rise.Add(e.Offset)
	case e.Sun == "sunset" && ok:
		return set.Add(e.Offset)
	case e.Sun == "sunrise":
		return onClock(day, polarSunrise+e.Offset)
	}
	return onClock(day, polarSunset+e.Offset)
}

// onClock returns the instant at which the clocks of day's location show that
// time of day.
func onClock(day time.Time, since time.Duration) time.Time {
	y, m, d := day.Date()
	minute := int(since / time.Minute)
	t := time.Date(y, m, d, 0, minute, 0, 0, day.Location())
	change, next := t.ZoneBounds()
	switch shown := time.Date(y, m, d, 0, minute, 0, 0, time.UTC); {
	case t.Hour() != shown.Hour() && t.Hour() < shown.Hour():
		return next // skipped
	case t.Hour() != shown.Hour():
		return change
	case change.IsZero():
		return t
	default:
		_, now := t.Zone()
		_, before := change.Add(-1).Zone()
		if first := t.Add(time.Duration(now-before) * time.Second); first.Before(change) && before > now {
			return first // it comes twice
		}
	}
	return t
}

// knot is one change between day and night.
type knot struct {
	at  int64 // Unix ms
	day bool
}

// calendar is a schedule worked out for three days, so that most cycles only
// compare numbers. The zero value is worked out at its first use.
type calendar struct {
	from, until int64 // the date it holds for, Unix ms
	date        int   // days since 1970 of that local date
	knots       [6]knot
	always      bool // day and night begin at once: it is always day
	dayFrom     int64
	dayUntil    int64
}

// look works the calendar out for the date of now, unless it holds already.
func (c *calendar) look(s *Schedule, now time.Time) {
	ms := now.UnixMilli()
	if ms >= c.from && ms < c.until {
		return
	}
	local := now.In(s.Location)
	y, m, d := local.Date()
	c.from = time.Date(y, m, d, 0, 0, 0, 0, s.Location).UnixMilli()
	c.until = time.Date(y, m, d+1, 0, 0, 0, 0, s.Location).UnixMilli()
	c.date = int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	for i := range 3 {
		from, until := s.On(time.Date(y, m, d-1+i, 12, 0, 0, 0, s.Location))
		c.knots[2*i], c.knots[2*i+1] = knot{from.UnixMilli(), true}, knot{until.UnixMilli(), false}
		if i == 1 {
			c.dayFrom, c.dayUntil = from.UnixMilli(), until.UnixMilli()
		}
	}
	c.always = c.dayFrom == c.dayUntil
	for i := range c.knots { // sorted by insertion: six at most, almost in order
		for j := i; j > 0 && c.knots[j].at < c.knots[j-1].at; j-- {
			c.knots[j], c.knots[j-1] = c.knots[j-1], c.knots[j]
		}
	}
}

// day reports whether it is day at ms.
func (c *calendar) day(ms int64) bool {
	if c.always {
		return true
	}
	day := !c.knots[0].day
	for _, k := range c.knots {
		if k.at > ms {
			break
		}
		day = k.day
	}
	return day
}

// value returns the set-point at ms: it moves from one level to the other from
// each edge on, up and down at most so many units an hour; 0 jumps. It depends
// on the time alone, so a restart changes nothing.
func (c *calendar) value(t greenhouse.Target, up, down float64, ms int64) float64 {
	if c.always || t.Day == t.Night {
		return t.Day
	}
	level := func(day bool) float64 {
		if day {
			return t.Day
		}
		return t.Night
	}
	v := level(!c.knots[0].day)
	for i, k := range c.knots {
		if k.at > ms {
			break
		}
		end := ms
		if i+1 < len(c.knots) && c.knots[i+1].at < ms {
			end = c.knots[i+1].at
		}
		v = approach(v, level(k.day), up, down, float64(end-k.at)/3.6e6)
	}
	return v
}

// approach moves v towards target for some hours.
func approach(v, target, up, down, hours float64) float64 {
	switch {
	case v < target && up > 0:
		return min(target, v+up*hours)
	case v > target && down > 0:
		return max(target, v-down*hours)
	}
	return target
}

// SetPoint returns a target as it stands at now under a schedule: the level of
// day or night, reached by ramps of so many units an hour (0: at once).
func SetPoint(s Schedule, t greenhouse.Target, up, down float64, now time.Time) float64 {
	var c calendar
	c.look(&s, now)
	return c.value(t, up, down, now.UnixMilli())
}
