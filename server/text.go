package server

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"greenhouse"
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
	fmt.Fprintf(&b, "%s is %s: %s (%s).", w.Point, levelText(w.Value), w.Winner.Reason, ownerText(w.Winner))
	for _, l := range w.Losers {
		switch {
		case l.Bound():
			fmt.Fprintf(&b, " Limited by %s: %s.", ownerText(l), l.Reason)
		default:
			fmt.Fprintf(&b, " Wanted %s by %s: %s.", levelText(&l.Value), ownerText(l), l.Reason)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Timers)) {
		if left := w.Timers[name]; left > 0 {
			fmt.Fprintf(&b, " Timer %s: %.0f s left.", name, left)
		}
	}
	if w.Device != nil && w.Device.Position.Note() != "" {
		fmt.Fprintf(&b, " Its %s.", w.Device.Position.Note())
	}
	if w.Device != nil && w.Device.Waits != "" {
		fmt.Fprintf(&b, " The node has not got that yet: %s.", w.Device.Waits)
	}
	if w.Aim != "" {
		fmt.Fprintf(&b, " Aim: %s.", w.Aim)
	}
	for i, in := range w.Inputs {
		lead := ","
		if i == 0 {
			lead = " Measured:"
			if w.Asked > 0 {
				lead = " Measured at that time:"
			}
		}
		value := "nothing"
		if in.Value != nil {
			value = strconv.FormatFloat(*in.Value, 'g', 5, 64)
		}
		fmt.Fprintf(&b, "%s %s %s (%s%s)", lead, in.Point, value, in.Quality, decidedText(in))
	}
	if len(w.Inputs) > 0 {
		b.WriteByte('.')
	}
	return b.String()
}

// decidedText says of a value of the past how it differs from what was decided on.
func decidedText(in api.WhyInput) string {
	switch {
	case in.From == fromDecision:
		return ", when it was decided"
	case in.Decided != nil:
		return ", decided at " + strconv.FormatFloat(*in.Decided, 'g', 5, 64)
	}
	return ""
}

// whyNotText tells what keeps an actuator from a level.
func whyNotText(w api.WhyNot) string {
	var b strings.Builder
	if w.Free {
		fmt.Fprintf(&b, "Nothing keeps %s from being %s", w.Point, levelText(&w.Level))
		if w.Value != nil && *w.Value == w.Level {
			b.WriteString(": it is")
		}
		b.WriteByte('.')
		return b.String()
	}
	fmt.Fprintf(&b, "%s is not %s:", w.Point, levelText(&w.Level))
	for i, o := range w.Obstacles {
		if i > 0 {
			b.WriteByte(';')
		}
		fmt.Fprintf(&b, " %s (%s)", o.Reason, ownerText(greenhouse.Claim{Priority: o.Priority, Owner: o.Owner}))
	}
	b.WriteByte('.')
	return b.String()
}

// ownerText names who made a claim, and by what right where that says more.
func ownerText(c greenhouse.Claim) string {
	if right := c.Priority.String(); right != c.Owner {
		return c.Owner + ", " + right
	}
	return c.Owner
}

func levelText(v *float64) string {
	switch {
	case v == nil:
		return "at an unknown level"
	case *v <= 0:
		return "off"
	case *v >= 1:
		return "on"
	}
	return fmt.Sprintf("at %.0f %%", *v*100)
}

// join lists reasons in one sentence.
func join(list []string) string { return strings.Join(list, "; ") }
