package server

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"greenhouse/api"
)

func itoa(n int) string { return strconv.Itoa(n) }

// cut splits s at the first sep.
func cut(s string, sep byte) (before, after string, found bool) {
	if i := strings.IndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// whyText tells a verdict in a few sentences: the level, who won and why, what
// others wanted, what still runs, and what was measured.
func whyText(w api.Why) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is at %s: %s by %s (%s).", w.Point, levelText(w.Value), w.Winner.Reason, w.Winner.Owner, w.Winner.Priority)
	for _, l := range w.Losers {
		switch {
		case l.Bound():
			fmt.Fprintf(&b, " %s limits it: %s.", l.Owner, l.Reason)
		default:
			fmt.Fprintf(&b, " %s wanted %s: %s.", l.Owner, levelText(&l.Value), l.Reason)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Timers)) {
		if left := w.Timers[name]; left > 0 {
			fmt.Fprintf(&b, " %s has %.0f s left.", name, left)
		}
	}
	for i, in := range w.Inputs {
		lead := ","
		if i == 0 {
			lead = " Measured:"
		}
		value := "nothing"
		if in.Value != nil {
			value = strconv.FormatFloat(*in.Value, 'g', 5, 64)
		}
		fmt.Fprintf(&b, "%s %s %s (%s)", lead, in.Point, value, in.Quality)
	}
	if len(w.Inputs) > 0 {
		b.WriteByte('.')
	}
	return b.String()
}

func levelText(v *float64) string {
	switch {
	case v == nil:
		return "an unknown level"
	case *v <= 0:
		return "off"
	case *v >= 1:
		return "on"
	}
	return fmt.Sprintf("%.0f %%", *v*100)
}

// join lists reasons in one sentence.
func join(list []string) string { return strings.Join(list, "; ") }
