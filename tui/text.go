package tui

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"greenhouse"
)

// cells returns how many cells a styled string takes.
func cells(s string) int { return ansi.StringWidth(s) }

// fit cuts or pads a styled string to exactly n cells.
func fit(s string, n int) string {
	if n <= 0 {
		return ""
	}
	w := cells(s)
	if w > n {
		s = ansi.Truncate(s, n, "…")
		w = cells(s) // a wide rune may have left a cell over
	}
	return s + strings.Repeat(" ", n-w)
}

// clip cuts a line to w cells, however the terminal counts what is joined.
func clip(s string, w int) string {
	if ansi.StringWidth(s) > w {
		s = ansi.Truncate(s, w, "…")
	}
	if ansi.StringWidthWc(s) > w {
		s = ansi.TruncateWc(s, w, "…")
	}
	return s
}

// wrap breaks a sentence into at most n lines of w cells.
func wrap(s string, w, n int) []string {
	lines := strings.Split(ansi.Wrap(s, max(w, 1), ""), "\n")
	if len(lines) > n {
		lines[n-1] = fit(lines[n-1]+" …", w)
		lines = lines[:n]
	}
	return lines
}

// safe keeps names that devices and people gave from moving the cursor, turning
// text around or joining cells: control and format characters and flags become a dot,
// variation selectors and skin tones go. Where terminals that join characters
// and those that do not would still disagree on the width, accents go, and in
// the last resort everything but ASCII.
func safe(s string) string {
	if isPlain(s) {
		return s
	}
	s = strings.Map(printable, ansi.Strip(s))
	if sameWidth(s) {
		return s
	}
	if s = strings.Map(unjoined, s); sameWidth(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII {
			return '·'
		}
		return r
	}, s)
}

// printable replaces what is no character to be seen.
func printable(r rune) rune {
	switch {
	case r >= 0xfe00 && r <= 0xfe0f, r >= 0x1f3fb && r <= 0x1f3ff, r >= 0xe0000 && r <= 0xe0fff:
		return -1
	case r == utf8.RuneError:
		return '?'
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co), r >= 0x1f1e6 && r <= 0x1f1ff, r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0:
		return '·'
	}
	return r
}

// unjoined replaces what joins the character before it.
func unjoined(r rune) rune {
	if unicode.Is(unicode.M, r) || r >= 0x1100 && r <= 0x11ff {
		return '·'
	}
	return r
}

// sameWidth reports whether terminals agree on the width of s, alone and after
// a space.
func sameWidth(s string) bool {
	w := ansi.StringWidth(s)
	return w == ansi.StringWidthWc(s) && ansi.StringWidth(" "+s+" ") == w+2
}

func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// number writes a value in few digits.
func number(v *float64) string {
	if v == nil || math.IsNaN(*v) {
		return "--"
	}
	switch abs := math.Abs(*v); {
	case abs >= 1e6:
		return fmt.Sprintf("%.3g", *v)
	case abs >= 1000:
		return fmt.Sprintf("%.0f", *v)
	case abs >= 100:
		return fmt.Sprintf("%.1f", *v)
	}
	return fmt.Sprintf("%.2f", *v)
}

// rounded writes a value in as many digits as its unit deserves in a table.
func rounded(v *float64, u greenhouse.Unit) string {
	switch {
	case v == nil || math.IsNaN(*v) || math.Abs(*v) >= 1e5:
		return number(v)
	case u == "°C":
		return fmt.Sprintf("%.1f", *v)
	}
	return fmt.Sprintf("%.0f", *v)
}

// level writes the level of an actuator.
func level(v *float64) string {
	switch {
	case v == nil || math.IsNaN(*v):
		return "--"
	case *v <= 0:
		return "off"
	case *v >= 1:
		return "ON"
	}
	return fmt.Sprintf("%.0f%%", min(max(*v*100, 1), 99))
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

// rough writes an age in seconds in its largest unit.
func rough(s float64) string {
	switch {
	case math.IsNaN(s) || s < 0:
		return "never"
	case s < 60:
		return fmt.Sprintf("%.0fs", math.Floor(s))
	case s < 3600:
		return fmt.Sprintf("%.0fm", math.Floor(s/60))
	case s < 48*3600:
		return fmt.Sprintf("%.0fh", math.Floor(s/3600))
	}
	return fmt.Sprintf("%.0fd", math.Floor(min(s/86400, 99999)))
}

// seconds writes an age in seconds, "never" for NaN and below 0.
func seconds(s float64) string {
	if !(s >= 0) {
		return "never"
	}
	return short(time.Duration(min(s, 1e9) * float64(time.Second)))
}

// plural writes "1 warning", "2 warnings".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
