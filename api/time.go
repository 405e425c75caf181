package api

import (
	"math"
	"strconv"
	"strings"
	"time"

	"greenhouse"
)

// ParseTime reads a time as people write it: RFC 3339, "2h" (ago; also d and
// w), "now", "today" or "yesterday" (their midnight in loc), or integer
// milliseconds since the Unix epoch. now is the present. A date or time without
// its zone is refused, as is a number that looks like seconds.
func ParseTime(s string, now time.Time, loc *time.Location) (time.Time, error) {
	today := greenhouse.DateOf(now.In(loc))
	switch s {
	case "now":
		return now, nil
	case "today":
		return today.Begin(loc), nil
	case "yesterday":
		return today.Add(-1).Begin(loc), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil {
		return parseMillis(ms, s)
	}
	if ago, err := ParseDuration(s); err == nil {
		return now.Add(-ago), nil
	}
	return time.Time{}, badTime(s)
}

// parseMillis takes milliseconds from 1973 on: anything smaller is seconds.
func parseMillis(ms int64, s string) (time.Time, error) {
	const seconds, far = 1e11, 4e13 // 1973 in ms, the year 3237
	if ms < seconds || ms > far {
		return time.Time{}, greenhouse.Invalid("time_invalid", "time %q is no instant in milliseconds since 1970", s).
			WithHint("seconds want three more digits; a time ago wants a unit: 2h, 30m, 7d")
	}
	return time.UnixMilli(ms), nil
}

func badTime(s string) error {
	err := greenhouse.Invalid("time_invalid", "time %q is not understood", s)
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if _, bad := time.Parse(layout, s); bad == nil {
			return err.WithHint("it has no time zone: write 2026-03-01T06:30:00+01:00, or Z for UTC")
		}
	}
	return err.WithHint("write RFC 3339 (2026-03-01T06:30:00Z), 2h for two hours ago, today or yesterday")
}

// ParseDuration reads a length of time: Go's form ("1h30m", "90s") with d for
// 24 hours and w for 7 days before it ("1d12h"). Negative, empty and more than
// 100 years are refused.
func ParseDuration(s string) (time.Duration, error) {
	rest, sum := s, 0.0
	for _, unit := range []struct {
		name string
		len  time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		head, tail, ok := strings.Cut(rest, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(head, 10, 32)
		if err != nil {
			return 0, badDuration(s)
		}
		sum, rest = sum+float64(n)*float64(unit.len), tail
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 || strings.HasPrefix(rest, "-") {
			return 0, badDuration(s)
		}
		sum += float64(d)
	}
	if s == "" || sum > 100*365*24*float64(time.Hour) {
		return 0, badDuration(s)
	}
	return time.Duration(math.Round(sum)), nil
}

func badDuration(s string) error {
	return greenhouse.Invalid("duration_invalid", "length of time %q is not understood", s).
		WithHint("write 90s, 15m, 2h, 1h30m, 7d or 2w")
}
