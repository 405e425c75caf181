package automation

import (
	"math"
	"time"

	"greenhouse"
)

// What is taken for granted of a house before anything was learned, and what
// nothing that is learned may leave.
const (
	priorLoss  = 6.5       // W/K through each m² of floor: a house of single glass
	priorSun   = 0.45      // share of the sun outside that warms the air
	priorPerK  = 1.0 / 40  // heat is sized for 40 K, where nobody told what is installed
	leastLoss  = 1.0 / 200 // share of full heat for each K
	mostLoss   = 1.0 / 5   // the same
	mostSun    = 0.3       // K that a W/m² may be worth
	learnLong  = time.Hour / 2
	learnFull  = 150 // half hours: three to seven nights, or days
	learnPrior = 6   // half hours that the prior counts for
	hourDays   = 3
)

// learned is what a zone found out about its house: the share of full heat that
// it needs for each kelvin and that each W/m² of sun saves, and what heat and
// vents did by the hour of the day.
type learned struct {
	loss   float64 // 1/K
	sun    float64 // m²/W
	nights int     // half hours that loss was learned from
	days   int     // the same for sun
	window window
	hours  [24]hourMean
	hour   int // of the day, that is under way
	so     hourSum
}

// window is a half hour in which the house is watched: integrals over seconds.
type window struct {
	long            time.Duration
	heat, rise, sun float64
	from, to        float64 // °C inside
}

// hourSum is what heat and vents did in the hour under way.
type hourSum struct {
	long        time.Duration
	heat, vents float64
}

// hourMean is what they do in one hour of the day, over the last three seen.
type hourMean struct {
	heat, vents float32
	days        uint8
}

// learn watches how much heat the house needs. Only half hours count in which
// the balance is clear: vents shut, fans off, temperatures good and steady.
func (st *State) learn() {
	l, air := &st.learned, &st.seen[airTemp]
	if l.loss == 0 {
		l.loss, l.sun = st.prior()
	}
	good := air.quality == greenhouse.Good && st.backup.role == backupNone && st.dt > 0
	st.learnHour(good)
	out, sun, w := st.value(outTemp), st.sunshine(), &l.window
	if !good || math.IsNaN(out) || math.IsNaN(sun) || st.drift.Suspicious() || !st.has(roleHeater) || st.mean(roleVent) > 0.02 || st.mean(roleFan) > 0 || !st.reported(roleHeater) {
		*w = window{}
		return
	}
	if w.long == 0 {
		w.from = air.Value
	}
	s := st.dt.Seconds()
	w.long, w.to = w.long+st.dt, air.Value
	w.heat, w.rise, w.sun = w.heat+st.mean(roleHeater)*s, w.rise+(air.Value-out)*s, w.sun+sun*s
	if w.long >= learnLong {
		l.take(w)
		*w = window{}
	}
}

// prior returns what a house of unknown kind needs.
func (st *State) prior() (loss, sun float64) {
	loss = priorPerK
	if p := st.tuning.HeaterWM2; p > 0 {
		loss = clamp(priorLoss/p, leastLoss, mostLoss)
	}
	return loss, loss * priorSun / priorLoss
}

// take learns from one window. None moves an estimate far, however strange it is:
// a door left open must not teach the house to burn.
func (l *learned) take(w *window) {
	s := w.long.Seconds()
	heat, rise, sun := w.heat/s, w.rise/s, w.sun/s
	if math.Abs(w.to-w.from) > 0.7 || heat > 0.95 {
		return
	}
	switch {
	case sun < 10 && rise >= 4 && heat >= 0.03:
		l.loss = clamp(toward(l.loss, heat/rise, l.nights), leastLoss, mostLoss)
		l.nights = min(l.nights+1, learnFull)
	case sun >= 80 && rise >= 3:
		l.sun = clamp(toward(l.sun, max(0, (l.loss*rise-heat)/sun), l.days), 0, mostSun*l.loss)
		l.days = min(l.days+1, learnFull)
	}
}

// toward moves an estimate towards a sample, before which n were seen. A sample
// counts for twice or half the estimate at most.
func toward(estimate, sample float64, n int) float64 {
	return estimate + (clamp(sample, estimate/2, estimate*2)-estimate)/float64(n+learnPrior+1)
}

// learnHour keeps what heat and vents do by the hour of the day.
func (st *State) learnHour(good bool) {
	l, now := &st.learned, st.hourNow()
	if now < 0 {
		return
	}
	if now != l.hour {
		if l.so.long >= 40*time.Minute {
			l.hours[l.hour].add(l.so)
		}
		l.hour, l.so = now, hourSum{}
	}
	if good && st.auto {
		s := st.dt.Seconds()
		l.so = hourSum{l.so.long + st.dt, l.so.heat + st.mean(roleHeater)*s, l.so.vents + st.mean(roleVent)*s}
	}
}

// add counts one more day.
func (m *hourMean) add(s hourSum) {
	m.days = min(m.days+1, hourDays)
	n, long := float32(m.days), s.long.Seconds()
	m.heat += (float32(s.heat/long) - m.heat) / n
	m.vents += (float32(s.vents/long) - m.vents) / n
}

// hourNow returns the hour of the local day, -1 where the clock does not tell.
func (st *State) hourNow() int {
	if !st.clockTrusted || st.cal.until == 0 {
		return -1
	}
	return st.slot() / 2
}

// sunshine returns the sun outside in W/m², from inside where only that is
// measured; 0 by night, and NaN where nothing tells by day.
func (st *State) sunshine() float64 {
	if s := &st.seen[solar]; s.ok() {
		return max(0, s.Value)
	}
	if n := st.natural(); !math.IsNaN(n) {
		return n / (2.1 * coverPasses)
	}
	if st.day {
		return math.NaN()
	}
	return 0
}

// reported reports whether every actuator of a role says how it stands.
func (st *State) reported(r role) bool {
	for _, i := range st.roles[r] {
		if !st.devices[i].known {
			return false
		}
	}
	return true
}

// balance returns the share of full heat that holds the house at t °C while it is
// out °C and sun W/m² outside; below 0 the house grows warmer by itself.
func (l *learned) balance(t, out, sun float64) float64 { return l.loss*(t-out) - l.sun*sun }
