package automation

import (
	"time"

	"greenhouse"
)

// The clock times that stand for the sun where it does not rise or set, on a
// day beyond the polar circles or at a site whose place nobody told.
const (
	polarSunrise = 6 * time.Hour
	polarSunset  = 20 * time.Hour
)

// ScheduleOf returns when day and night begin in a zone. An edge that cannot be
// read, which the registry refuses, counts as sunrise or sunset, and so does
// none.
func ScheduleOf(z *greenhouse.Zone, site *greenhouse.Site, location *time.Location) Schedule {
	s := Schedule{Latitude: site.Latitude, Longitude: site.Longitude, Location: location}
	var err error
	if s.From, err = z.DayFrom.Parse(); err != nil {
		s.From = greenhouse.Edge{Sun: "sunrise"}
	}
	if s.Until, err = z.DayUntil.Parse(); err != nil {
		s.Until = greenhouse.Edge{Sun: "sunset"}
	}
	return s
}

// Schedule says when day and night begin at a place.
type Schedule struct {
	From, Until         greenhouse.Edge
	Latitude, Longitude float64 // degrees, north and east positive
	Location            *time.Location
}

// On returns when day begins and ends on the local date of t. A time of day that
// the change to summer time skips falls right after the gap, and one that comes
// twice counts the first time.
func (s Schedule) On(t time.Time) (from, until time.Time) {
	y, m, d := t.In(s.Location).Date()
	day := time.Date(y, m, d, 12, 0, 0, 0, s.Location) // some dates have no midnight
	return s.at(s.From, day), s.at(s.Until, day)
}

func (s Schedule) at(e greenhouse.Edge, day time.Time) time.Time {
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
	sunrise     int64
}

// look works the calendar out for the date of now, unless it holds already.
func (c *calendar) look(s *Schedule, now time.Time) {
	ms := now.UnixMilli()
	if ms >= c.from && ms < c.until {
		return
	}
	local := now.In(s.Location)
	y, m, d := local.Date()
	today := greenhouse.DateOf(local)
	c.from, c.until = today.Begin(s.Location).UnixMilli(), today.Add(1).Begin(s.Location).UnixMilli()
	c.date = int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	for i := range 3 {
		from, until := s.On(time.Date(y, m, d-1+i, 12, 0, 0, 0, s.Location))
		c.knots[2*i], c.knots[2*i+1] = knot{from.UnixMilli(), true}, knot{until.UnixMilli(), false}
		if i == 1 {
			c.dayFrom, c.dayUntil = from.UnixMilli(), until.UnixMilli()
		}
	}
	c.always = c.dayFrom == c.dayUntil
	c.sunrise = s.at(greenhouse.Edge{Sun: "sunrise"}, time.Date(y, m, d, 12, 0, 0, 0, s.Location)).UnixMilli()
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
	var stops [len(c.knots)]stop
	for i, k := range c.knots {
		stops[i] = stop{at: k.at, value: t.Night, up: up, down: down}
		if k.day {
			stops[i].value = t.Day
		}
	}
	before := t.Day
	if c.knots[0].day {
		before = t.Night
	}
	return glide(before, stops[:], ms)
}

// stop is an instant from which a set-point moves to a value.
type stop struct {
	at       int64 // Unix ms
	value    float64
	up, down float64 // units an hour; 0 jumps
}

// glide returns where a set-point is at ms that begins at v and moves to the
// value of each stop as fast as that allows, until the next.
func glide(v float64, stops []stop, ms int64) float64 {
	for i := range stops {
		s := &stops[i]
		if s.at > ms {
			break
		}
		end := ms
		if i+1 < len(stops) && stops[i+1].at < ms {
			end = stops[i+1].at
		}
		v = approach(v, s.value, s.up, s.down, float64(end-s.at)/3.6e6)
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
