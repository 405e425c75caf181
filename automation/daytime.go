package automation

import (
	"strconv"
	"strings"
	"time"

	"greenhouse"
)

// Fallback times where the sun does not rise or set, or the site's place is
// unknown.
const (
	fallbackRise = 6 * time.Hour
	fallbackSet  = 20 * time.Hour
)

// edge is a parsed greenhouse.DayEdge.
type edge struct {
	sun    string // "sunrise", "sunset", or "" for a clock time
	offset time.Duration
}

// ParseDayEdge checks a day edge: "06:30", "sunrise", "sunset+1:00".
func ParseDayEdge(s greenhouse.DayEdge) error {
	_, err := parseEdge(s)
	return err
}

func parseEdge(s greenhouse.DayEdge) (edge, error) {
	text := string(s)
	for _, sun := range []string{"sunrise", "sunset"} {
		rest, ok := strings.CutPrefix(text, sun)
		if !ok {
			continue
		}
		if rest == "" {
			return edge{sun: sun}, nil
		}
		d, ok := parseClock(rest[1:])
		if !ok || d > 12*time.Hour || rest[0] != '+' && rest[0] != '-' {
			return edge{}, badEdge(s)
		}
		if rest[0] == '-' {
			d = -d
		}
		return edge{sun, d}, nil
	}
	d, ok := parseClock(text)
	if !ok || d >= 24*time.Hour {
		return edge{}, badEdge(s)
	}
	return edge{offset: d}, nil
}

func badEdge(s greenhouse.DayEdge) error {
	return greenhouse.Invalid("day_edge_invalid", "%q is no time of day", s).WithHint("write 06:30, sunrise, or sunset+1:00 (at most 12 hours)")
}

// parseClock reads hours and minutes: 6:30, 06:30.
func parseClock(s string) (time.Duration, bool) {
	h, m, ok := strings.Cut(s, ":")
	hours, err1 := strconv.ParseUint(h, 10, 8)
	minutes, err2 := strconv.ParseUint(m, 10, 8)
	if !ok || len(h) > 2 || len(m) != 2 || err1 != nil || err2 != nil || hours > 24 || minutes > 59 {
		return 0, false
	}
	return time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute, true
}

// daytime remembers the edges of one local day, for they cost a thousand times
// what the rest of a decision does.
type daytime struct {
	from, until greenhouse.DayEdge
	site        greenhouse.Meta
	date        int // days since year 0, of the local date
	rise, set   time.Time
	ok          bool
}

// isDay reports whether it is day in the zone at now. Where day ends before it
// begins it spans midnight.
func (d *daytime) isDay(in *Input) bool {
	now := in.Now.In(in.Location)
	date := now.Year()*366 + now.YearDay()
	if !d.ok || d.date != date || d.from != in.Zone.DayFrom || d.until != in.Zone.DayUntil || d.site != in.Site.Meta {
		*d = daytime{from: in.Zone.DayFrom, until: in.Zone.DayUntil, site: in.Site.Meta, date: date, ok: true}
		d.rise, d.set = dayEdges(now, in.Zone, in.Site)
	}
	if d.set.Before(d.rise) {
		return !now.Before(d.rise) || now.Before(d.set)
	}
	return !now.Before(d.rise) && now.Before(d.set)
}

// dayEdges returns when day begins and ends on the local date of now.
func dayEdges(now time.Time, z *greenhouse.Zone, site *greenhouse.Site) (from, until time.Time) {
	rise, set, ok := SunTimes(now, site.Latitude, site.Longitude)
	if !ok || site.Latitude == 0 && site.Longitude == 0 {
		rise, set = clockOn(now, fallbackRise), clockOn(now, fallbackSet)
	}
	at := func(e greenhouse.DayEdge, sun time.Time) time.Time {
		if e == "" {
			return sun
		}
		p, err := parseEdge(e)
		switch {
		case err != nil:
			return sun // the registry refuses such an edge; an older file may hold one
		case p.sun == "sunrise":
			return rise.Add(p.offset)
		case p.sun == "sunset":
			return set.Add(p.offset)
		}
		return clockOn(now, p.offset)
	}
	return at(z.DayFrom, rise), at(z.DayUntil, set)
}

// clockOn returns a clock time on the date of day; a time that the spring change
// skips is the first instant after it.
func clockOn(day time.Time, clock time.Duration) time.Time {
	y, m, d := day.Date()
	return time.Date(y, m, d, int(clock/time.Hour), int(clock%time.Hour/time.Minute), 0, 0, day.Location())
}
