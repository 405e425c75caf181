package tui

import (
	"math"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"greenhouse"
	"greenhouse/api"
)

// ink are the styles of the dashboard: the 16 colours every terminal has, and
// never a colour alone.
type ink struct {
	bold, dim, good, warn, bad, title, cursor lipgloss.Style
	loud                                      lipgloss.Style // banners
}

func newInk() ink {
	s := lipgloss.NewStyle
	return ink{
		bold: s().Bold(true), dim: s().Faint(true), cursor: s().Reverse(true),
		good: s().Foreground(lipgloss.Green), warn: s().Foreground(lipgloss.Yellow).Bold(true), bad: s().Foreground(lipgloss.Red).Bold(true),
		title: s().Foreground(lipgloss.Cyan).Bold(true), loud: s().Foreground(lipgloss.Red).Bold(true).Reverse(true),
	}
}

// severity returns the style of a severity.
func (k ink) severity(s greenhouse.Severity) lipgloss.Style {
	switch s {
	case greenhouse.Critical:
		return k.bad
	case greenhouse.Warning:
		return k.warn
	}
	return k.dim
}

// plain is a style that changes nothing.
func plain() lipgloss.Style { return lipgloss.NewStyle() }

// sparkline draws the last n values against their own range; failed readings
// stay blank.
func sparkline(trace []float32, n int) string {
	if n <= 0 {
		return ""
	}
	trace = trace[max(len(trace)-n, 0):]
	lo, hi := float32(math.Inf(1)), float32(math.Inf(-1))
	for _, v := range trace {
		if v == v {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	steps := []rune("▁▂▃▄▅▆▇█")
	out := make([]rune, 0, n)
	for range n - len(trace) {
		out = append(out, ' ')
	}
	for _, v := range trace {
		out = append(out, step(steps, float64(v), float64(lo), float64(hi)))
	}
	return string(out)
}

// step returns the symbol for v in [lo, hi].
func step(steps []rune, v, lo, hi float64) rune {
	at := (v - lo) / (hi - lo)
	switch {
	case math.IsNaN(v):
		return ' '
	case !(at >= 0 && at <= 1): // lo is hi, or infinite
		return steps[len(steps)/2]
	}
	return steps[int(at*float64(len(steps)-1)+0.5)]
}

// bar draws a level from 0 to 1 in n cells.
func bar(v *float64, n int) string {
	if v == nil || math.IsNaN(*v) {
		return strings.Repeat(" ", n)
	}
	on := int(math.Round(min(max(*v, 0), 1) * float64(n)))
	return strings.Repeat("█", on) + strings.Repeat("░", n-on)
}

// staleAfter is the age from which a value is shown as old, s.
const staleAfter = 90

// value draws a measured value in full: what is not good says so, what is not
// fresh says how old it is.
func (k ink) value(p *point, now greenhouse.Millis) string {
	text := number(p.Value)
	if p.unit != "" && p.Value != nil {
		text += " " + safe(string(p.unit))
	}
	switch {
	case p.TS == 0:
		return k.dim.Render("never heard")
	case p.Quality != greenhouse.Good:
		return k.bad.Render(text + " " + p.Quality.String())
	case age(p, now) > staleAfter:
		return k.warn.Render(text + " old")
	}
	return k.bold.Render(text)
}

// brief draws a measured value in few cells: "~" is held, "?" suspect, and an
// age stands behind what is old.
func (k ink) brief(p *point, now greenhouse.Millis) string {
	if p == nil {
		return k.dim.Render("--")
	}
	text := rounded(p.Value, p.unit)
	switch {
	case p.Quality == greenhouse.Bad:
		return k.bad.Render("bad")
	case p.Quality == greenhouse.Stale || age(p, now) > staleAfter:
		return k.warn.Render(text + " " + rough(age(p, now)))
	case p.Quality == greenhouse.Held:
		return k.warn.Render(text + " ~")
	case p.Quality == greenhouse.Suspect:
		return k.warn.Render(text + " ?")
	}
	return text
}

// age returns how old the latest value of a point is in seconds.
func age(p *point, now greenhouse.Millis) float64 { return max(now.Sub(p.TS).Seconds(), 0) }

// level draws the level of an actuator.
func (k ink) level(v *float64) string {
	if v != nil && *v > 0 {
		return k.good.Render(level(v))
	}
	return level(v)
}

// zoneState says in a word how a zone stands.
func (k ink) zoneState(z *api.Zone) string {
	switch {
	case z.Stopped:
		return k.bad.Render("STOPPED")
	case z.Failing != "":
		return k.bad.Render("FAILING")
	case z.Mode == greenhouse.ModeMaintenance:
		return k.warn.Render("maint.")
	case z.Mode != greenhouse.ModeAuto:
		return k.warn.Render(safe(string(z.Mode)))
	}
	return k.good.Render("● auto")
}

// ascii replaces every symbol of a line by ASCII of the same width.
func ascii(s string) string {
	var b strings.Builder
	for _, r := range s {
		stand, ours := asciiOf(r)
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case ours:
			b.WriteByte(stand)
		default:
			b.WriteString(strings.Repeat("?", ansi.StringWidth(string(r))))
		}
	}
	return b.String()
}

// asciiOf returns the stand-in for a symbol of ours or of a unit.
func asciiOf(r rune) (byte, bool) {
	const pairs = "▁_▂.▃-▄~▅=▆+▇*█#░.●*›>▏_─-╌-│|┤|┼+╭+╮+╰+╯+╶-╴-° µuμu²2³3·.×x…~–-—-≤<≥>₂2←<→>"
	_, after, ok := strings.Cut(pairs, string(r))
	if !ok {
		return 0, false
	}
	return after[0], true
}
