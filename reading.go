package greenhouse

import (
	"fmt"
	"time"
)

// Quality says how far a value may be trusted. Control acts on Good, and on
// Held for a short time; everything else leads to the fallback.
type Quality uint8

// The qualities, best first.
const (
	Good    Quality = iota
	Held            // the last good value, repeated
	Suspect         // implausible, kept for people to see
	Stale           // too old
	Bad             // failed: null from the node, out of range, a sentinel
)

// qualityNames returns the names in the order of the constants.
func qualityNames() [5]string { return [...]string{"good", "held", "suspect", "stale", "bad"} }

// String returns "good", "held", "suspect", "stale" or "bad".
func (q Quality) String() string {
	if names := qualityNames(); int(q) < len(names) {
		return names[q]
	}
	return fmt.Sprintf("quality(%d)", uint8(q))
}

// MarshalText writes the name.
func (q Quality) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// UnmarshalText reads the name.
func (q *Quality) UnmarshalText(b []byte) error {
	for i, n := range qualityNames() {
		if n == string(b) {
			*q = Quality(i)
			return nil
		}
	}
	return Invalid("quality_invalid", "quality %q is unknown: it is good, held, suspect, stale or bad", b)
}

// Reading is one value of a point at one instant. Point and At identify it:
// the same reading sent twice is stored once. A failed read has quality Bad and
// no value (NaN in memory, null in JSON).
type Reading struct {
	Point   PointID
	At      Millis  // when it was measured
	Value   float64 // in the point's unit
	Quality Quality
}

// Latest is the newest reading of a point with the time it arrived, which
// carries the monotonic clock: freshness counts both.
type Latest struct {
	Reading
	Seen time.Time // when it arrived; zero if it was read back from disk at start
}

// Age returns how old the reading is at now: the longer of the time since it
// was measured, by the wall clock, and the time since it arrived. A reading
// from disk whose arrival is unknown is as old as its own time says.
// Where the wall clock is not trusted, only the arrival counts.
func (l Latest) Age(now time.Time, trusted bool) time.Duration {
	var age time.Duration
	if !l.Seen.IsZero() {
		age = now.Sub(l.Seen)
	}
	if trusted || l.Seen.IsZero() {
		age = max(age, MillisOf(now).Sub(l.At))
	}
	return age
}
