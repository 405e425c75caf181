package automation

import (
	"math"
	"slices"
	"time"

	"greenhouse"
)

// disagreement is how far two air temperatures may part before the safe one of
// them counts, K.
const disagreement = 2

// side says which of two disagreeing values is the safe one.
type side int

const (
	mean side = iota
	lower
	higher
)

// measure is one quantity of a zone as control sees it.
type measure struct {
	value   float64
	quality greenhouse.Quality // Good or Held: control may act on it
	age     time.Duration      // of the value used
	spread  float64            // between the highest and the lowest good sensor
	good    int                // sensors that count
	any     bool               // there is such a sensor
	low     float64            // lowest and highest good value, for protection
	high    float64
}

// usable reports whether control may act on it.
func (m measure) usable() bool { return m.any && m.quality <= greenhouse.Held }

// memory is the last good value of a quantity.
type memory struct {
	value float64
	at    time.Time
}

// sense finds a quantity among sensors: the value of one, the mean of two that
// agree, the median of three and more. When all have failed, the last good value
// holds for a while. Order of quality, then of age, decides nothing else.
func sense(sensors []Sensor, name greenhouse.ChannelName, c limits, m *memory, now time.Time, trusted bool) measure {
	out := measure{value: math.NaN(), quality: greenhouse.Bad, low: math.Inf(1), high: math.Inf(-1)}
	var buf [16]float64
	good := buf[:0]
	youngest := time.Duration(math.MaxInt64)
	for i := range sensors {
		s := &sensors[i]
		if s.Point.Name != name || s.Point.Kind != greenhouse.Sensor {
			continue
		}
		out.any = true
		age, quality := s.state(c, now, trusted)
		if quality == greenhouse.Good && len(good) < cap(good) {
			good = append(good, s.Latest.Value)
			youngest = min(youngest, age)
			continue
		}
		out.quality = min(out.quality, max(quality, greenhouse.Suspect))
	}
	if out.good = len(good); out.good == 0 {
		if !m.at.IsZero() && now.Sub(m.at) <= c.hold {
			out.value, out.quality, out.age = m.value, greenhouse.Held, now.Sub(m.at)
			out.low, out.high = m.value, m.value
		}
		return out
	}
	slices.Sort(good)
	out.low, out.high = good[0], good[len(good)-1]
	out.value, out.quality, out.age, out.spread = middle(good), greenhouse.Good, youngest, out.high-out.low
	*m = memory{out.value, now.Add(-min(youngest, c.hold))}
	return out
}

// state returns how old the sensor's reading is and how far it may be trusted.
func (s *Sensor) state(c limits, now time.Time, trusted bool) (time.Duration, greenhouse.Quality) {
	if !s.Heard {
		return math.MaxInt64, greenhouse.Stale
	}
	if s.Latest.Seen.IsZero() { // read back from disk: nothing is switched on by what was before the start
		return s.Latest.Age(now, true), greenhouse.Stale
	}
	age := s.Latest.Age(now, trusted)
	switch {
	case s.Latest.Quality == greenhouse.Bad || math.IsNaN(s.Latest.Value):
		return age, greenhouse.Bad
	case age > c.staleAfter(s.Interval):
		return age, greenhouse.Stale
	}
	return age, s.Latest.Quality
}

// middle returns the mean of one or two sorted values, the median of more.
func middle(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// towards returns the value to act on where two sensors disagree: the one on the
// safe side of what is at stake.
func (m measure) towards(s side) float64 {
	if m.good != 2 || m.spread < disagreement {
		return m.value
	}
	switch s {
	case lower:
		return m.low
	case higher:
		return m.high
	}
	return m.value
}

// limits are a zone's parameters with their defaults filled in.
type limits struct {
	greenhouse.Control
	hold, changeover, stageDelay, stale time.Duration
}

// limitsOf fills in the defaults of docs/control.md.
func limitsOf(c greenhouse.Control) limits {
	or := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	or(&c.HeatOn, 0.3)
	or(&c.HeatOff, 0.2)
	or(&c.DeadZone, 3)
	or(&c.VentPBand, 2)
	or(&c.FrostLimit, 4)
	or(&c.HeatLimit, 35)
	or(&c.VentCap, 0.5)
	or(&c.RHPBand, 8)
	or(&c.RHVentMax, 0.1)
	or(&c.CO2Max, 1600)
	c.DeadZone = max(c.DeadZone, 1)
	c.VentPBand = max(c.VentPBand, 0.5)
	seconds := func(v, d int) time.Duration {
		if v == 0 {
			v = d
		}
		return time.Duration(v) * time.Second
	}
	return limits{c, seconds(c.HoldS, 300), seconds(c.ChangeoverS, 300), seconds(c.StageDelayS, 120), time.Duration(c.StaleAfterS) * time.Second}
}

// staleAfter returns from which age a sensor that sends every interval is stale.
func (l limits) staleAfter(interval time.Duration) time.Duration {
	if l.stale > 0 {
		return l.stale
	}
	if interval <= 0 {
		interval = 10 * time.Second
	}
	return max(3*interval, 90*time.Second)
}
