package greenhouse

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// DayEdge is a time of a zone's day: a clock time "06:30", or "sunrise" or
// "sunset" with an offset in hours and minutes, "sunrise-0:30".
type DayEdge string

// Edge is a [DayEdge] taken apart: a time of day, or an offset from sunrise or
// sunset.
type Edge struct {
	Sun    string        // "sunrise", "sunset", or "" for a time of day
	Offset time.Duration // from the sun, less than 12 h; or since local midnight
}

var edgeForm = regexp.MustCompile(`^(?:([01][0-9]|2[0-3]):([0-5][0-9])|(sunrise|sunset)(?:([+-])(0?[0-9]|1[01]):([0-5][0-9]))?)$`)

// Parse reads "06:30", "sunrise" or "sunset+1:00". It answers with [ErrInvalid]
// for anything else.
func (e DayEdge) Parse() (Edge, error) {
	m := edgeForm.FindStringSubmatch(string(e))
	if m == nil {
		return Edge{}, Invalid("day_edge_invalid", "%q is no time of day: it is a time from 00:00 to 23:59 as 06:30, or sunrise or sunset with an offset of less than 12 h as sunrise-0:30", string(e))
	}
	clock := func(hours, minutes string) time.Duration {
		h, _ := strconv.Atoi(hours)   // digits by the expression, or none
		m, _ := strconv.Atoi(minutes) // as above
		return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	}
	if m[3] == "" {
		return Edge{Offset: clock(m[1], m[2])}, nil
	}
	offset := clock(m[5], m[6])
	if m[4] == "-" {
		offset = -offset
	}
	return Edge{Sun: m[3], Offset: offset}, nil
}

// Knot is one point of a set-point curve: from At on the set-point moves to
// Value, by at most Ramp units an hour.
type Knot struct {
	At    DayEdge `json:"at"`
	Value float64 `json:"value"`          // in the unit of the quantity
	Ramp  float64 `json:"ramp,omitempty"` // units an hour; 0: as usual for the quantity, see [Quantity.Ramps]
}

// Curve is a set-point over the day: knots in the order in which they come. The
// value of the last holds until the first of the next day. A knot that the sun
// has moved before the one above it in the list counts from the same instant, so
// that the order of the list is the order of the day all the year round.
type Curve []Knot

// MaxKnots is how many knots a curve may have.
const MaxKnots = 24

// Curved reports whether the quantity may follow a curve and be adjusted for a
// time: those that are controlled from minute to minute.
func (q Quantity) Curved() bool {
	switch q {
	case Heating, Venting, HumidityMax, TargetVPD, TargetCO2:
		return true
	}
	return false
}

// Ramps returns how fast a set-point of the quantity usually moves, in units an
// hour up and down; 0 jumps. Temperatures rise by 1.5 K/h, slowly enough for
// fruit to follow without condensation, and fall by 3 K/h.
func (q Quantity) Ramps() (up, down float64) {
	if q == Heating || q == Venting {
		return 1.5, 3
	}
	return 0, 0
}

// Check refuses a curve that the quantity cannot follow, with [ErrInvalid].
func (c Curve) Check(q Quantity) error {
	spec, err := ParseQuantity(string(q))
	if err != nil {
		return err
	}
	switch {
	case !q.Curved():
		return Invalid("curve_invalid", "%s follows no curve: heating, venting, humidity_max, vpd and co2 do", q)
	case len(c) == 0 || len(c) > MaxKnots:
		return Invalid("curve_invalid", "the curve of %s has %d knots: it takes 1 to %d", q, len(c), MaxKnots)
	}
	var last time.Duration = -1
	for i, k := range c {
		e, err := k.At.Parse()
		switch {
		case err != nil:
			return err
		case !(k.Value >= spec.Min && k.Value <= spec.Max):
			return Invalid("curve_invalid", "knot %d of %s has the value %v: it takes %v to %v %s", i+1, q, k.Value, spec.Min, spec.Max, spec.Unit)
		case !(k.Ramp >= 0 && k.Ramp <= 1000):
			return Invalid("curve_invalid", "knot %d of %s has the ramp %v: it takes 0 to 1000 %s an hour", i+1, q, k.Ramp, spec.Unit)
		case e.Sun == "" && e.Offset <= last:
			return Invalid("curve_invalid", "knot %d of %s is at %s, not after the clock time before it", i+1, q, k.At).
				WithHint("list the knots in the order of the day")
		}
		if e.Sun == "" {
			last = e.Offset
		}
	}
	return nil
}

// The limits of what a grower changes about a set-point for a time.
const (
	HoldFor     = 2 * time.Hour       // how long a held set-point stands where nobody says
	LongestHold = 24 * time.Hour      // the longest
	OffsetFor   = 24 * time.Hour      // the same of an offset
	LongestOff  = 30 * 24 * time.Hour // the longest
)

// Adjustment is what a person changes about a set-point for a time: an offset
// that is added to it, or a value that takes its place. It ends by itself.
type Adjustment struct {
	Value     float64 `json:"value"`
	Reason    string  `json:"reason"`
	By        string  `json:"by"`
	CreatedAt Millis  `json:"created_at"`
	ExpiresAt Millis  `json:"expires_at"`
}

// Stands reports whether the adjustment is in force at an instant.
func (a *Adjustment) Stands(at Millis) bool { return a.CreatedAt <= at && at < a.ExpiresAt }

// MaxOffset returns how far an offset may move a set-point of the quantity.
func (q Quantity) MaxOffset() float64 {
	switch q {
	case Heating, Venting:
		return 10
	case HumidityMax:
		return 30
	case TargetVPD:
		return 1
	case TargetCO2:
		return 600
	}
	return 0
}

// Shape is a curve that growers know by name.
type Shape string

// The shapes. A drop stands for some hours: before the night, from sunset on, it
// saves heat and keeps plants short; in the morning, from half an hour before
// sunrise on, it does the same without the loss of warmth at night.
const (
	ShapeDayNight     Shape = "day-night"
	ShapePreNightDrop Shape = "pre-night-drop"
	ShapeMorningDrop  Shape = "morning-drop"
)

// dropRamp is how fast a set-point goes into a drop, K/h: fast, or there is none.
const dropRamp = 10

// Curve returns the knots of the shape: the levels of day and night and, where
// there is a drop, its level and how long it stands, from 30 min to 8 h.
func (s Shape) Curve(day, night, drop float64, lasts time.Duration) (Curve, error) {
	if s != ShapeDayNight && (lasts < 30*time.Minute || lasts > 8*time.Hour) {
		return nil, Invalid("shape_invalid", "a drop of %s: it stands for 30m to 8h", lasts)
	}
	switch s {
	case ShapeDayNight:
		return Curve{{At: "sunrise", Value: day}, {At: "sunset", Value: night}}, nil
	case ShapePreNightDrop:
		return Curve{{At: "sunrise", Value: day}, {At: "sunset", Value: drop, Ramp: dropRamp}, {At: sunEdge("sunset", lasts), Value: night}}, nil
	case ShapeMorningDrop:
		return Curve{{At: "sunrise-0:30", Value: drop, Ramp: dropRamp}, {At: sunEdge("sunrise", lasts-30*time.Minute), Value: day}, {At: "sunset", Value: night}}, nil
	}
	return nil, Invalid("shape_invalid", "shape %q is unknown: it is day-night, pre-night-drop or morning-drop", string(s))
}

// sunEdge writes an edge so long after sunrise or sunset.
func sunEdge(sun string, after time.Duration) DayEdge {
	minutes := int(after / time.Minute)
	return DayEdge(fmt.Sprintf("%s+%d:%02d", sun, minutes/60, minutes%60))
}

// String writes a knot as it is typed: "sunrise-0:30=20@2".
func (k Knot) String() string {
	s := string(k.At) + "=" + strconv.FormatFloat(k.Value, 'g', -1, 64)
	if k.Ramp > 0 {
		s += "@" + strconv.FormatFloat(k.Ramp, 'g', -1, 64)
	}
	return s
}

// ParseKnot reads "06:30=18" or "sunrise-0:30=20@2": when, to where, and by how
// much an hour at most.
func ParseKnot(s string) (Knot, error) {
	bad := Invalid("knot_invalid", "%q is no knot of a curve: it is TIME=VALUE or TIME=VALUE@RAMP, as sunrise-0:30=20@1.5", s)
	at, rest, ok := strings.Cut(s, "=")
	if !ok {
		return Knot{}, bad
	}
	value, ramp, ramped := strings.Cut(rest, "@")
	k := Knot{At: DayEdge(at)}
	if _, err := k.At.Parse(); err != nil {
		return Knot{}, err
	}
	var err error
	if k.Value, err = strconv.ParseFloat(value, 64); err != nil {
		return Knot{}, bad
	}
	if ramped {
		if k.Ramp, err = strconv.ParseFloat(ramp, 64); err != nil {
			return Knot{}, bad
		}
	}
	return k, nil
}
