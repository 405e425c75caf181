package sim

import (
	"math"
	"strconv"
	"strings"
	"time"

	"greenhouse"
)

// stamps reads the times of a table, row by row.
type stamps struct {
	layout string // a Go layout, or "" for seconds since 1970
	zone   *time.Location
	last   time.Time
}

// newStamps reads a --time-format: a Go layout, or strftime where it has a "%".
func newStamps(format string, zone *time.Location) (*stamps, error) {
	s := &stamps{layout: format, zone: zone}
	switch {
	case format == "":
		return nil, greenhouse.Invalid("time_format_missing", "the format of the time column is not given").
			WithHint("--time-format takes a Go layout such as 2006-01-02 15:04:05, or strftime such as %%Y-%%m-%%d %%H:%%M:%%S")
	case format == "%s":
		s.layout = ""
	case strings.Contains(format, "%"):
		layout, err := goLayout(format)
		if err != nil {
			return nil, err
		}
		s.layout = layout
	}
	return s, nil
}

// goLayout turns a strftime format into a Go layout. As in strptime, numbers
// need no leading zero.
func goLayout(format string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			if c := format[i]; c >= '0' && c <= '9' {
				return "", greenhouse.Invalid("time_format_invalid", "time format %q has a digit: write the number as a %% conversion", format)
			}
			b.WriteByte(format[i])
			continue
		}
		i++
		if i == len(format) {
			return "", greenhouse.Invalid("time_format_invalid", "time format %q ends within a conversion", format)
		}
		if format[i] == 'f' && strings.HasSuffix(b.String(), ".") {
			b.WriteString("999999999")
			continue
		}
		part := goConversion(format[i])
		if part == "" {
			return "", greenhouse.Invalid("time_format_invalid", "time format %q has the conversion %%%c, which is not supported", format, format[i])
		}
		b.WriteString(part)
	}
	return b.String(), nil
}

// goConversion returns the layout of one strftime conversion, "" for one that
// is not supported.
func goConversion(c byte) string {
	switch c {
	case 'Y':
		return "2006"
	case 'y':
		return "06"
	case 'm':
		return "1"
	case 'd', 'e':
		return "2"
	case 'H', 'k':
		return "15"
	case 'I', 'l':
		return "3"
	case 'M':
		return "4"
	case 'S':
		return "5"
	case 'p':
		return "PM"
	case 'b', 'h':
		return "Jan"
	case 'B':
		return "January"
	case 'a':
		return "Mon"
	case 'A':
		return "Monday"
	case 'j':
		return "002"
	case 'z':
		return "Z0700"
	case 'Z':
		return "MST"
	}
	return goComposite(c)
}

// goComposite is goConversion for those that stand for several.
func goComposite(c byte) string {
	switch c {
	case 'F':
		return "2006-1-2"
	case 'T':
		return "15:4:5"
	case 'R':
		return "15:4"
	case 'D':
		return "1/2/06"
	case 'n', 't':
		return " "
	case '%':
		return "%"
	}
	return ""
}

// next reads the time of one row. A wall time that the clock change in autumn
// brings twice is the first one, unless the table would run backwards.
func (s *stamps) next(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if s.layout == "" {
		return epoch(text)
	}
	t, err := time.ParseInLocation(s.layout, text, s.zone)
	if err != nil && strings.Contains(s.layout, "Z0700") {
		t, err = time.ParseInLocation(strings.Replace(s.layout, "Z0700", "Z07:00", 1), text, s.zone)
	}
	if err != nil {
		return time.Time{}, greenhouse.Invalid("time_invalid", "%q is not a time of the format given", text)
	}
	for _, same := range []time.Time{t.Add(-time.Hour), t, t.Add(time.Hour)} {
		if same.Format(time.DateTime) == t.Format(time.DateTime) && !same.Before(s.last) {
			t = same
			break
		}
	}
	s.last = t
	return t, nil
}

// epoch reads seconds since 1970.
func epoch(text string) (time.Time, error) {
	sec, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(sec) || math.Abs(sec) > 1e11 {
		return time.Time{}, greenhouse.Invalid("time_invalid", "%q is not a number of seconds since 1970", text)
	}
	return time.UnixMilli(int64(math.Round(sec * 1000))).UTC(), nil
}

// ParseZone reads a --tz: an IANA name such as Europe/Amsterdam, UTC, Local, or
// a fixed offset such as +01:00.
func ParseZone(s string) (*time.Location, error) {
	if t, err := time.Parse("Z07:00", s); err == nil && s != "" {
		_, offset := t.Zone()
		return time.FixedZone(s, offset), nil
	}
	zone, err := time.LoadLocation(s)
	if err != nil {
		return nil, greenhouse.Invalid("time_zone_invalid", "time zone %q is unknown", s).
			WithHint("give an IANA name such as Europe/Amsterdam, or an offset such as +01:00")
	}
	return zone, nil
}

// ParseSpeed reads a --speed: "max" is 0, else how many times faster than the
// data, above 0; "60" and "60x" are the same.
func ParseSpeed(s string) (float64, error) {
	if s == "max" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(strings.TrimRight(s, "x×"), 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		return 0, greenhouse.Invalid("speed_invalid", "speed %q is neither max nor a number above 0", s)
	}
	return v, nil
}
