package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"greenhouse"
	"greenhouse/edge"
)

// history turns the configured bounds of the history into options.
func (c *config) history(o *edge.Options) (err error) {
	t := c.Telemetry
	if o.Retention, err = keepTime("telemetry.retention", t.Retention); err != nil {
		return err
	}
	if o.TrendRetention, err = keepTime("telemetry.trend_retention", t.TrendRetention); err != nil {
		return err
	}
	if o.RollupRetention, err = keepTime("telemetry.rollup_retention", t.RollupRetention); err != nil {
		return err
	}
	if o.HistoryMaxBytes, err = byteSize("telemetry.max_bytes", t.MaxBytes); err != nil {
		return err
	}
	if o.HistoryMinFree, err = byteSize("telemetry.min_free", t.MinFree); err != nil {
		return err
	}
	if o.HistoryMinFree == 0 {
		o.HistoryMinFree = -1 // the option's zero is its default
	}
	return nil
}

// retentionNotes says what is allowed and perhaps not meant.
func retentionNotes(o *edge.Options, c *config) (notes []string) {
	if t := c.Telemetry; o.RollupRetention <= o.Retention {
		notes = append(notes, fmt.Sprintf("telemetry.rollup_retention (%s) is not longer than telemetry.retention (%s): nothing is kept of readings that go by age", t.RollupRetention, t.Retention))
	}
	return notes
}

// keepTime reads a time in days or years: from a day to a century.
func keepTime(key, s string) (time.Duration, error) {
	const day = 24 * time.Hour
	bad := greenhouse.Invalid("config_invalid", "%s is %q: it must be a number of days or years, like 90d or 10y, from 1d to 100y", key, s)
	units := map[byte]time.Duration{'d': day, 'w': 7 * day, 'y': 365 * day}
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, bad
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 16)
	d := time.Duration(n) * units[s[len(s)-1]]
	if err != nil || d < day || d > 100*365*day {
		return 0, bad
	}
	return d, nil
}

// byteSize reads a number of bytes: with kB, MB, GB or TB, powers of 1000, or
// KiB, MiB, GiB or TiB, powers of 1024.
func byteSize(key, s string) (int64, error) {
	bad := greenhouse.Invalid("config_invalid", "%s is %q: it must be a size like 500MB or 20GiB, or 0 for no bound", key, s)
	text, scale := strings.TrimSpace(s), 1.0
	for _, u := range []struct {
		name  string
		bytes float64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}} {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			text, scale = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || n < 0 || n*scale > 1<<50 || n > 0 && n*scale < 1<<20 {
		return 0, bad
	}
	return int64(n * scale), nil
}
