package automation

import (
	"math"
	"time"

	"greenhouse"
)

// hysteresis switches at two thresholds around a set-point. The zero value is
// off.
type hysteresis struct {
	on    bool
	since time.Time // of the last change
}

// step decides on or off for y: on below sp − below, off above sp + above. While
// y is no number the state stays; whether it may still be used is the caller's
// to know.
func (h *hysteresis) step(y, sp, below, above float64, now time.Time) bool {
	switch {
	case !h.on && y < sp-below:
		h.on, h.since = true, now
	case h.on && y > sp+above:
		h.on, h.since = false, now
	}
	return h.on
}

// reset switches off.
func (h *hysteresis) reset(now time.Time) {
	if h.on {
		*h = hysteresis{since: now}
	}
}

// ramp moves from 0 at a to 1 at b; a may be above b.
func ramp(x, a, b float64) float64 {
	if a == b {
		if x >= b {
			return 1
		}
		return 0
	}
	return min(max((x-a)/(b-a), 0), 1)
}

// weather is what is known of the outside.
type weather struct {
	temp, rh, wind, rain, solar measure
}

// ventLimit is how far vents may open in this weather, and why.
type ventLimit struct {
	most   float64
	reason string
}

// stormHold is how long vents stay nearly shut after a storm gust.
const stormHold = 10 * time.Minute

// gale remembers the last gust that shut the vents.
type gale struct{ until time.Time }

// limit returns how far vents may open: rain and wind close them, frost keeps
// them nearly shut, and where nobody knows the weather they stay below the cap.
func (g *gale) limit(w weather, cap float64, now time.Time) ventLimit {
	out := ventLimit{most: 1}
	tighten := func(most float64, reason string) {
		if most < out.most {
			out = ventLimit{most, reason}
		}
	}
	if !w.wind.usable() || !w.rain.usable() {
		tighten(cap, "no wind and rain sensor: vents stay below their cap")
	}
	if w.wind.usable() {
		if w.wind.value > 15 {
			g.until = now.Add(stormHold)
		}
		if now.Before(g.until) {
			tighten(0.05, "storm")
		}
		tighten(1-ramp(w.wind.value, 8, 15), "strong wind")
	}
	if w.rain.usable() && w.rain.value >= 0.5 {
		tighten(0.1, "rain")
	}
	if w.temp.usable() && w.temp.value < 2 {
		tighten(0.1, "frost outside")
	}
	return out
}

// ventBand returns over how many kelvin vents go from shut to open: wider when it
// is cold or windy outside, so that little cold air is let in at a time.
func ventBand(base float64, w weather) float64 {
	if w.temp.usable() {
		base += 0.25 * max(0, 15-w.temp.value)
	}
	if w.wind.usable() {
		base += 0.15 * max(0, w.wind.value)
	}
	return max(base, 0.5)
}

// light sums the light of a local day.
type light struct {
	date int
	dli  float64 // mol/m²
	last time.Time
}

// add counts ppfd in µmol/m²/s until now and returns the sum of the day so far.
// A pause of more than a minute counts as one minute: what was not measured was
// not received.
func (l *light) add(ppfd float64, date int, now time.Time) float64 {
	if date != l.date {
		*l = light{date: date, last: now}
	}
	if dt := now.Sub(l.last); dt > 0 && !math.IsNaN(ppfd) {
		l.dli += max(ppfd, 0) * min(dt, time.Minute).Seconds() * 1e-6
	}
	l.last = now
	return l.dli
}

// targetOf returns the set-point of a quantity, by day or night.
func targetOf(z *greenhouse.Zone, q greenhouse.Quantity, day bool) (float64, bool) {
	t, ok := z.Targets[q]
	if !ok {
		return 0, false
	}
	if day {
		return t.Day, true
	}
	return t.Night, true
}
