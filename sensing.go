package greenhouse

import (
	"math"
	"math/bits"
	"time"
)

// SensorTests is what the readings of one quantity must pass to be believed.
// They are data: [SensorTestsOf] has them for every standard channel, and a
// point's own range replaces the first two. The zero value believes only 0;
// begin with [AnyValue].
type SensorTests struct {
	Min, Max  float64       // plausible range, ends included
	Failed    [3]float64    // values that only a failed sensor sends; NaN: none
	Doubtful  [2]float64    // real values that a failed sensor sends too; NaN: none
	Near      float64       // how near a value must have been for a doubtful one to be believed
	Pinned    [2]float64    // ends of a scale, where a healthy sensor does not stay; NaN: none
	PinnedFor time.Duration // how long it may
	Rate      float64       // largest believable change in a minute; 0: any
	Flat      time.Duration // how long a healthy sensor may not change at all; 0: for ever
	Silent    time.Duration // how long it may say nothing, if that is more than of others; 0: see [SensorTests.StaleAfter]
}

// AnyValue are the tests that every number passes.
func AnyValue() SensorTests {
	none := [3]float64{math.NaN(), math.NaN(), math.NaN()}
	return SensorTests{Min: math.Inf(-1), Max: math.Inf(1), Failed: none, Doubtful: [2]float64(none[:2]), Pinned: [2]float64(none[:2])}
}

// SensorTestsOf returns the tests of a channel by its name: those of the
// standard channels and of what nodes tell of themselves; of any other name
// every number is believed.
func SensorTestsOf(n ChannelName) SensorTests {
	t := AnyValue()
	spec, known := StandardChannel(n)
	if !known {
		spec, known = NodeDiagnostic(n)
	}
	if !known {
		return t
	}
	t.Min, t.Max = spec.Min, spec.Max
	if spec.Unit == "°C" {
		// A DS18B20 after power-on, one that is not there, and an Atlas EZO
		// without its probe: they stay failures where a point's range is wider.
		t.Failed = [3]float64{85, -127, 255}
	}
	nan := math.NaN()
	switch n {
	case "air_temp":
		t.Rate, t.Doubtful, t.Near = 3, [2]float64{0, nan}, 3
	case "air_rh":
		t.Rate, t.Pinned, t.PinnedFor = 15, [2]float64{0, 100}, time.Hour
	case "co2":
		t.Rate, t.Flat, t.Doubtful, t.Near = 400, time.Hour, [2]float64{410, nan}, 40
	case "solution_ph":
		t.Rate, t.Flat, t.Pinned, t.PinnedFor = 0.3, 6*time.Hour, [2]float64{7, nan}, 10*time.Minute
	case "solution_ec":
		t.Rate, t.Flat = 0.3, 3*time.Hour
	case "solution_temp":
		t.Rate, t.Flat = 1, 6*time.Hour
	case "soil_moisture":
		t.Rate, t.Flat, t.Silent, t.Doubtful, t.Near = 10, 24*time.Hour, 30*time.Minute, [2]float64{0, 100}, 5
	}
	return t
}

// StaleAfter returns how old the newest reading may be of a sensor that sends
// every interval, 0 for the usual ten seconds: three intervals, but at least 90
// seconds, or longer where the quantity is known to move slowly.
func (t *SensorTests) StaleAfter(interval time.Duration) time.Duration {
	if interval <= 0 {
		interval = 10 * time.Second
	}
	return max(3*interval, 90*time.Second, t.Silent)
}

// Trend reports whether only people look at a quantity: no decision, dose or
// protection is made from it. Where a disk has too little room, trends give way
// first. A level that a node reports of an output is one too: what control needs
// of it is the latest.
func Trend(n ChannelName) bool {
	spec, standard := StandardChannel(n)
	if !standard || spec.Kind == Actuator {
		return n != "online"
	}
	switch n {
	case "lux", "vpd", "wind_dir", "soil_temp", "current":
		return true
	}
	return false
}

// How a failure is made good.
const (
	failuresBad  = 3                // of the last five readings make a sensor bad
	recoverCount = 5                // readings in a row that pass make it good again,
	recoverTime  = 5 * Millis(6e4)  // or two and more that span so long: some send rarely
	jumpCount    = 3                // readings in a row that agree make a jump believed,
	jumpTime     = 20 * Millis(1e3) // or two that span so long
	nearTime     = 6 * Millis(36e5) // how long a value stays a witness for a doubtful one
	flatBreak    = 1 * Millis(36e5) // a silence after which nobody knows whether it stood still
)

// SensorState is what [SensorTests.Judge] remembers of one sensor. It follows
// from the readings and the qualities they were given, and from nothing else, so
// that a log of them brings it back. The zero value never heard anything.
type SensorState struct {
	At          Millis  // newest reading
	Last        float64 // newest value that passed
	LastAt      Millis  // when; 0: none did
	Level       float64 // newest value at all, which stands
	LevelSince  Millis  // since then; 0: there is none
	Jump        float64 // newest value that did not pass
	JumpSince   Millis  // since when such values have agreed
	Jumped      uint8   // how many
	Failures    uint8   // the last readings as bits, the newest lowest: 1 did not pass
	Bad         bool    // until enough readings pass
	Passed      uint8   // how many have since it became bad
	PassedSince Millis
}

// Judge returns the quality of a reading: said is what its sender and others
// who watch the sensor say. A value that cannot be is Bad, and so is the sensor
// until five readings in a row pass; meanwhile what passes is Suspect. A value
// that is only unlikely is Suspect, and the third of five makes the sensor bad.
// A read that failed is Bad and says nothing of the reading after it, unless it
// is the third of five. What is older than the newest reading is judged by
// itself. Judge changes nothing: see [SensorState.Note].
func (t *SensorTests) Judge(s *SensorState, at Millis, v float64, said Quality) Quality {
	switch {
	case math.IsNaN(v) || said == Bad || v < t.Min || v > t.Max || v == t.Failed[0] || v == t.Failed[1] || v == t.Failed[2]:
		return Bad
	case said == Held || said == Stale || at <= s.At:
		return said
	case said == Suspect || t.unlikely(s, at, v):
		if s.Bad || bits.OnesCount8(s.Failures&0xf)+1 >= failuresBad {
			return Bad
		}
		return Suspect
	case s.Bad && !s.recovers(at):
		return Suspect
	}
	return Good
}

// Note takes in a reading with the quality it was given.
func (s *SensorState) Note(at Millis, v float64, q Quality) {
	if at <= s.At {
		return
	}
	value := !math.IsNaN(v)
	if value && (v != s.Level || at-s.At > flatBreak) {
		s.Level, s.LevelSince = v, at
	}
	s.At = at
	switch {
	case q == Held || q == Stale:
	case q == Good || q == Suspect && s.Bad:
		s.pass(at, v, q)
	default:
		s.Failures = s.Failures<<1 | 1
		s.Passed = 0
		if value {
			s.jump(at, v)
		}
		s.Bad = s.Bad || q == Bad && (value || bits.OnesCount8(s.Failures&0x1f) >= failuresBad)
	}
}

// Shift moves all times, because they turned out to be off by d.
func (s *SensorState) Shift(d Millis) {
	for _, t := range [...]*Millis{&s.At, &s.LastAt, &s.LevelSince, &s.JumpSince, &s.PassedSince} {
		if *t != 0 {
			*t += d
		}
	}
}

func (s *SensorState) pass(at Millis, v float64, q Quality) {
	s.Last, s.LastAt, s.Jumped = v, at, 0
	s.Failures <<= 1
	switch {
	case s.Bad && q == Good:
		s.Bad, s.Passed, s.Failures = false, 0, 0
	case s.Bad:
		if s.Passed == 0 {
			s.PassedSince = at
		}
		s.Passed = min(s.Passed, 250) + 1
	}
}

func (s *SensorState) jump(at Millis, v float64) {
	if !s.agrees(v) {
		s.JumpSince, s.Jumped = at, 0
	}
	s.Jump, s.Jumped = v, min(s.Jumped, 250)+1
}

// agrees reports whether a value that is far from the last good one is much
// nearer to the one before it.
func (s *SensorState) agrees(v float64) bool {
	return s.Jumped > 0 && 2*math.Abs(v-s.Jump) <= math.Abs(v-s.Last)
}

// recovers reports whether one more reading that passes is enough.
func (s *SensorState) recovers(at Millis) bool {
	return s.Passed+1 >= recoverCount || s.Passed > 0 && at-s.PassedSince >= recoverTime
}

// unlikely reports whether a value that can be is hard to believe now.
func (t *SensorTests) unlikely(s *SensorState, at Millis, v float64) bool {
	if v == t.Doubtful[0] || v == t.Doubtful[1] {
		if s.LastAt == 0 || at-s.LastAt > nearTime || math.Abs(v-s.Last) > t.Near {
			return true
		}
	}
	if v == s.Level && at-s.At <= flatBreak {
		stood := at.Sub(s.LevelSince)
		if t.Flat > 0 && stood >= t.Flat || (v == t.Pinned[0] || v == t.Pinned[1]) && stood >= t.PinnedFor {
			return true
		}
	}
	return t.jumps(s, at, v)
}

// jumps reports whether a value is too far from the last good one to be
// believed yet.
func (t *SensorTests) jumps(s *SensorState, at Millis, v float64) bool {
	if t.Rate == 0 || s.LastAt == 0 || math.Abs(v-s.Last) <= t.Rate*max(1, at.Sub(s.LastAt).Minutes()) {
		return false
	}
	agree := s.agrees(v) && math.Abs(v-s.Jump) <= t.Rate*max(1, at.Sub(s.At).Minutes())
	return !agree || s.Jumped+1 < jumpCount && at-s.JumpSince < jumpTime
}
