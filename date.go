package greenhouse

import "time"

// Date is a day of the site's calendar, "2026-03-01". Make one with [DateOf] or
// [ParseDate].
type Date string

// DateOf returns the date of t in the location of t.
func DateOf(t time.Time) Date { return Date(t.Format(time.DateOnly)) }

// ParseDate reads "2026-03-01", from 1970 to 2100.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1970 || t.Year() > 2100 {
		return "", Invalid("date_invalid", "%q is no date: write it as 2026-03-01", s)
	}
	return DateOf(t), nil
}

// utc returns midnight of the date in UTC, where every day has 24 hours.
func (d Date) utc() time.Time {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return time.Time{}
	}
	return t
}

// Add returns the date so many days later.
func (d Date) Add(days int) Date { return DateOf(d.utc().AddDate(0, 0, days)) }

// Since returns the number of days from o to d.
func (d Date) Since(o Date) int { return int(d.utc().Sub(o.utc()) / (24 * time.Hour)) }

// Begin returns the first instant of the date in a location: midnight, or when the
// clocks show the date first where they skip it.
func (d Date) Begin(loc *time.Location) time.Time {
	y, m, day := d.utc().Date()
	t := time.Date(y, m, day, 0, 0, 0, 0, loc)
	for t.Day() != day {
		t = t.Add(30 * time.Minute)
	}
	return t
}
