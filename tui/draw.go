package tui

import (
	"fmt"
	"math"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"greenhouse"
	"greenhouse/api"
)

// ink are the styles and symbols of the dashboard: the 16 colours every terminal
// has, and never a colour alone.
type ink struct {
	bold, dim, good, warn, bad, title, cursor lipgloss.Style
	spark                                     []rune
	full, empty, dot, arrow, rule             string
}

// newInk returns the symbols for a terminal that shows Unicode, or for one that
// does not.
func newInk(ascii bool) ink {
	s := lipgloss.NewStyle
	i := ink{
		bold: s().Bold(true), dim: s().Faint(true), good: s().Foreground(lipgloss.Color("2")), warn: s().Foreground(lipgloss.Color("3")).Bold(true),
		bad: s().Foreground(lipgloss.Color("1")).Bold(true), title: s().Foreground(lipgloss.Color("6")).Bold(true), cursor: s().Reverse(true),
		spark: []rune("▁▂▃▄▅▆▇█"), full: "█", empty: "░", dot: "●", arrow: "›", rule: "─",
	}
	if ascii {
		i.spark, i.full, i.empty, i.dot, i.arrow, i.rule = []rune("_.-=+*#@"), "#", ".", "*", ">", "-"
	}
	return i
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

// sparkline draws the last n values; gaps stay blank.
func (k ink) sparkline(trace []float64, n int) string {
	if len(trace) > n {
		trace = trace[len(trace)-n:]
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range trace {
		if !math.IsNaN(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", max(n-len(trace), 0)))
	for _, v := range trace {
		switch {
		case math.IsNaN(v):
			b.WriteByte(' ')
		case hi == lo:
			b.WriteRune(k.spark[len(k.spark)/2])
		default:
			b.WriteRune(k.spark[int((v-lo)/(hi-lo)*float64(len(k.spark)-1)+0.5)])
		}
	}
	return b.String()
}

// bar draws a level from 0 to 1 in n cells.
func (k ink) bar(v *float64, n int) string {
	if v == nil {
		return strings.Repeat(" ", n)
	}
	on := int(math.Round(min(max(*v, 0), 1) * float64(n)))
	return strings.Repeat(k.full, on) + strings.Repeat(k.empty, n-on)
}

// fit cuts or pads a styled string to exactly n cells.
func fit(s string, n int) string {
	if n <= 0 {
		return ""
	}
	w := ansi.StringWidth(s)
	if w > n {
		return ansi.Truncate(s, n, "…")
	}
	return s + strings.Repeat(" ", n-w)
}

// safe keeps names that devices and people gave from moving the cursor.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '·'
		}
		return r
	}, ansi.Strip(s))
}

// number writes a value in few digits.
func number(v *float64) string {
	if v == nil {
		return "--"
	}
	switch abs := math.Abs(*v); {
	case abs >= 1000:
		return fmt.Sprintf("%.0f", *v)
	case abs >= 100:
		return fmt.Sprintf("%.1f", *v)
	}
	return fmt.Sprintf("%.2f", *v)
}

// level writes the level of an actuator.
func level(v *float64) string {
	switch {
	case v == nil:
		return "--"
	case *v <= 0:
		return "off"
	case *v >= 1:
		return "ON"
	}
	return fmt.Sprintf("%.0f %%", *v*100)
}

// short writes a duration in its largest two units.
func short(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// seconds writes an age in seconds, "never" for NaN.
func seconds(s float64) string {
	if math.IsNaN(s) {
		return "never"
	}
	return short(time.Duration(s * float64(time.Second)))
}

// staleAfter is the age from which a value is shown as old, s.
const staleAfter = 90

// value draws a measured value; what is not good or not fresh says so.
func (k ink) value(p point, age float64) string {
	text := number(p.Value)
	switch {
	case p.Quality != greenhouse.Good:
		return k.bad.Render(text + " " + p.Quality.String())
	case age > staleAfter:
		return k.warn.Render(text + " " + seconds(age) + " old")
	}
	return text
}

// target writes a target as one number, or day/night.
func target(z api.Zone, q greenhouse.Quantity) string {
	t, ok := z.Targets[q]
	switch {
	case !ok:
		return ""
	case t.Day == t.Night:
		return fmt.Sprintf("%g", t.Day)
	}
	return fmt.Sprintf("%g/%g", t.Day, t.Night)
}

// column is one column of a table: with too little room the columns with the
// highest drop go first.
type column struct {
	title string
	width int // cells; the one with 0 takes what is left
	drop  int // 0: always shown
}

// columns returns which columns fit into width, and the width of each.
func layout(cols []column, width int) []int {
	shown := make([]int, len(cols))
	for i, c := range cols {
		shown[i] = max(c.width, 8)
	}
	sum := func() int {
		n := 0
		for _, w := range shown {
			if w > 0 {
				n += w + 1
			}
		}
		return n - 1
	}
	for sum() > width {
		worst := -1
		for i, c := range cols {
			if shown[i] > 0 && c.drop > 0 && (worst < 0 || c.drop > cols[worst].drop) {
				worst = i
			}
		}
		if worst < 0 {
			break
		}
		shown[worst] = 0
	}
	for i, c := range cols {
		if c.width == 0 && shown[i] > 0 {
			shown[i] += max(width-sum(), 0)
			break
		}
	}
	return shown
}

// row draws cells under a layout.
func row(cells []string, widths []int) string {
	var b strings.Builder
	for i, w := range widths {
		if w == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(fit(cells[i], w))
	}
	return b.String()
}

// titles returns the header cells of a table.
func titles(cols []column) []string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = c.title
	}
	return out
}

// list is a scrolling cursor over n rows.
type list struct{ at, top int }

// move moves the cursor by d rows within n.
func (l *list) move(d, n int) { l.at = max(min(l.at+d, n-1), 0) }

// window returns the rows [from, to) to draw in height lines, keeping the cursor
// in sight.
func (l *list) window(n, height int) (from, to int) {
	l.at = max(min(l.at, n-1), 0)
	l.top = max(min(l.top, l.at), l.at-height+1)
	l.top = max(min(l.top, n-height), 0)
	return l.top, min(l.top+max(height, 0), n)
}

// cells returns how wide a styled string is.
func cells(s string) int { return ansi.StringWidth(s) }
