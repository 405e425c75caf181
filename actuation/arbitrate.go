package actuation

import (
	"fmt"
	"math"

	"greenhouse"
)

// Outcome is who prevails over one actuator. It holds positions in the claims
// it was made from, not copies, so that a steady cycle allocates nothing.
type Outcome struct {
	Level  float64 // 0 to 1
	Winner int     // claim that fixed the level; -1: nobody, the safe level of the class
	Want   int     // strongest claim for a level, before bounds; -1: nobody
}

// Arbitrate lets the claims on one actuator compete, as in a priority array of
// building automation (docs/control.md, "Precedence and arbitration"):
//
//   - The claim for a level with the lowest priority number wins. Among equals
//     the level nearest to safe wins, then the first.
//   - Without one the safe level stands, at the priority of the failsafe.
//   - A bound limits every level of its own priority and of weaker ones; so no
//     override passes a bound of safety, and none of an interlock stops an
//     override. Weak bounds act first and strong ones last. Of bounds of one
//     priority that contradict each other the one nearest to safe holds.
//   - An actuator that only knows on and off takes 1 from 0.5 up, and never the
//     side a bound forbids.
//
// A level or bound that is not a number does not count. Levels are clamped to 0
// to 1. safe is the level without any claim.
func Arbitrate(safe float64, modulating bool, claims []greenhouse.Claim) Outcome {
	out := Outcome{Level: safe, Winner: -1, Want: strongest(safe, claims)}
	rank := greenhouse.PriorityFailsafe
	if out.Want >= 0 {
		out.Winner, rank = out.Want, claims[out.Want].Priority
		out.Level = unit(claims[out.Want].Value)
	}
	for p := rank; p >= greenhouse.PriorityStop; p-- {
		if level, by := bounded(out.Level, safe, p, claims); by >= 0 {
			out.Level, out.Winner = level, by
		}
	}
	if !modulating {
		out.Level = onOff(out, claims)
	}
	return out
}

// strongest returns the position of the claim for a level that wins, -1 for none.
func strongest(safe float64, claims []greenhouse.Claim) int {
	best := -1
	for i := range claims {
		c := &claims[i]
		if c.Bound() || math.IsNaN(c.Value) {
			continue
		}
		if best < 0 || c.Priority < claims[best].Priority ||
			c.Priority == claims[best].Priority && nearer(safe, c.Value, claims[best].Value) {
			best = i
		}
	}
	return best
}

// nearer reports whether level a is nearer to safe than level b.
func nearer(safe, a, b float64) bool { return math.Abs(unit(a)-safe) < math.Abs(unit(b)-safe) }

// bounded applies the bounds of one priority to a level and returns the position
// of the claim that moved it, -1 if none did.
func bounded(level, safe float64, p greenhouse.Priority, claims []greenhouse.Claim) (float64, int) {
	lo, hi, loBy, hiBy := 0.0, 1.0, -1, -1
	for i := range claims {
		c := &claims[i]
		if c.Priority != p {
			continue
		}
		if c.Min != nil && unit(*c.Min) > lo {
			lo, loBy = unit(*c.Min), i
		}
		if c.Max != nil && unit(*c.Max) < hi {
			hi, hiBy = unit(*c.Max), i
		}
	}
	switch {
	case lo > hi && nearer(safe, lo, hi):
		return lo, loBy
	case lo > hi:
		return hi, hiBy
	case level < lo:
		return lo, loBy
	case level > hi:
		return hi, hiBy
	}
	return level, -1
}

// onOff rounds the level of a plain switch, away from what a bound forbids.
func onOff(out Outcome, claims []greenhouse.Claim) float64 {
	if out.Winner >= 0 && claims[out.Winner].Bound() {
		c := &claims[out.Winner]
		switch {
		case c.Max != nil && out.Level == unit(*c.Max) && out.Level < 1:
			return 0
		case c.Min != nil && out.Level == unit(*c.Min) && out.Level > 0:
			return 1
		}
	}
	if out.Level >= 0.5 {
		return 1
	}
	return 0
}

// unit clamps a level to 0 to 1; what is not a number stays so and loses every
// comparison.
func unit(v float64) float64 {
	switch {
	case v < 0:
		return 0
	case v > 1:
		return 1
	}
	return v
}

// losers returns every claim but the winner, each with the reason why it did not
// prevail. limit is the protection that had the last word, if any.
func losers(out Outcome, claims []greenhouse.Claim, limit *greenhouse.Claim) []greenhouse.Claim {
	list := make([]greenhouse.Claim, 0, len(claims))
	for i, c := range claims {
		if i == out.Winner && limit == nil {
			continue
		}
		c.Reason = join(c.Reason, fate(i, out, claims, limit))
		list = append(list, c)
	}
	return list
}

// fate says in one clause what became of claim i.
func fate(i int, out Outcome, claims []greenhouse.Claim, limit *greenhouse.Claim) string {
	c := &claims[i]
	switch {
	case c.Bound() && i != out.Winner:
		return "not needed"
	case math.IsNaN(c.Value):
		return "not a number"
	case i == out.Winner && limit != nil:
		return "waits for " + limit.Owner
	case i == out.Want && out.Winner != i:
		return fmt.Sprintf("limited to %.3g by %s", out.Level, claims[out.Winner].Owner)
	case out.Want >= 0 && c.Priority == claims[out.Want].Priority:
		return "yields to " + claims[out.Want].Owner + ", which is nearer to safe"
	case out.Want >= 0:
		return "outranked by " + claims[out.Want].Owner
	}
	return ""
}

// join puts two clauses into one.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
