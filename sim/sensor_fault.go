package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"greenhouse"
)

// Verb names what is wrong.
type Verb string

// Faults of sensors. The value in brackets is their strength.
const (
	Dropout  Verb = "dropout"  // (p) a reading is missing with probability p
	Gap      Verb = "gap"      // every reading is missing
	Freeze   Verb = "freeze"   // the last reading again and again
	Offset   Verb = "offset"   // (units) a constant error
	Drift    Verb = "drift"    // (units an hour) a growing error
	Gain     Verb = "gain"     // (factor) a wrong slope; of pH around 7
	Noisy    Verb = "noisy"    // (factor) more noise
	Spike    Verb = "spike"    // (units) one reading in twenty is off by this
	Sentinel Verb = "sentinel" // (reading) a reading that means "broken": 85, −127, 255
	Zero     Verb = "zero"     // exactly 0
	Sunlit   Verb = "sunlit"   // (K) too warm by this at 600 W/m²
	Sluggish Verb = "sluggish" // (factor) a longer lag
	Bubbles  Verb = "bubbles"  // (share) dips of 5 minutes
	Unit     Verb = "unit"     // the wrong unit: °F for °C, µS/cm for mS/cm
	Swap     Verb = "swap"     // two sensors, or two pumps, are mistaken for each other
)

// Faults of actuators.
const (
	StuckOn  Verb = "stuck_on"  // at 1 whatever is asked
	StuckOff Verb = "stuck_off" // at 0 whatever is asked
	Stuck    Verb = "stuck"     // (level) stays there; without a level, where it stands
	Slow     Verb = "slow"      // (factor) takes longer to move
	Reversed Verb = "reversed"  // does the opposite
	Lies     Verb = "lies"      // reports what was asked and does nothing
	Leaks    Verb = "leaks"     // (level) never closes further than this
	Weak     Verb = "weak"      // (share) does only this share of what it should
	Worn     Verb = "worn"      // (share) as weak, for the tube of a pump
	Empty    Verb = "empty"     // runs without effect: the canister is empty
	Airlock  Verb = "airlock"   // runs without effect: there is air in the line
	EndsDead Verb = "ends_dead" // the end switches of its drive are never made
	EndSlips Verb = "end_slips" // (share) its open end switch is made so much too early
)

// Faults of nodes and of their link. The node's client carries them out.
const (
	Silent     Verb = "silent"       // the device is dead
	Flap       Verb = "flap"         // (s) connects and disconnects with this period
	HalfOpen   Verb = "half_open"    // the connection stands and nothing passes
	Latency    Verb = "latency"      // (s) every message is late
	Storm      Verb = "storm"        // (messages a second)
	RebootLoop Verb = "reboot_loop"  // (s) reboots with this period
	ClockSkew  Verb = "clock_skew"   // (s) its clock is ahead
	Duplicate  Verb = "duplicate"    // every message twice
	OutOfOrder Verb = "out_of_order" // messages change places
	Late       Verb = "late"         // (s) measurements are sent this much later
)

// VerbSpec says what a verb does and needs.
type VerbSpec struct {
	Verb    Verb
	What    string  // one sentence
	Target  string  // sensor, actuator, point (either) or node
	Default float64 // strength where none is given; 0 where the verb has none
}

// Verbs returns all faults: of sensors, of actuators, of nodes.
func Verbs() []VerbSpec {
	return []VerbSpec{
		{Dropout, "readings are missing at random, with this probability", "sensor", 0.3},
		{Gap, "all readings are missing", "sensor", 0},
		{ReadError, "the sensor cannot be read", "sensor", 0},
		{Freeze, "the sensor repeats its last reading", "sensor", 0},
		{Offset, "the reading is off by a constant", "sensor", 2},
		{Drift, "the reading drifts away, by so much an hour", "sensor", 0.5},
		{Gain, "the slope of the sensor is wrong by this factor", "sensor", 0.8},
		{Noisy, "the noise of the sensor is larger by this factor", "sensor", 5},
		{Spike, "one reading in twenty is off by this", "sensor", 20},
		{Sentinel, "the sensor reads the value that means it is broken", "sensor", 0},
		{Zero, "the sensor reads exactly 0", "sensor", 0},
		{Sunlit, "the sun warms the sensor, by so many kelvin at 600 W/m²", "sensor", 4},
		{Sluggish, "the sensor follows more slowly, by this factor", "sensor", 10},
		{Bubbles, "the reading dips by this share for 5 minutes at a time", "sensor", 0.1},
		{Unit, "the sensor reports in the wrong unit", "sensor", 0},
		{Swap, "the point is mistaken for another of its kind", "point", 0},
		{StuckOn, "the actuator stays on", "actuator", 0},
		{StuckOff, "the actuator stays off", "actuator", 0},
		{Stuck, "the actuator stays at this level, or where it stands", "actuator", 0},
		{Slow, "the actuator moves more slowly, by this factor", "actuator", 5},
		{Reversed, "the actuator does the opposite", "actuator", 0},
		{Lies, "the actuator reports what was asked and does nothing", "actuator", 0},
		{Leaks, "the actuator never closes further than this", "actuator", 0.05},
		{Weak, "the actuator does only this share of its work", "actuator", 0.5},
		{Worn, "the tube of the pump is worn: it delivers this share", "actuator", 0.6},
		{Empty, "the canister is empty: the pump runs without effect", "actuator", 0},
		{Airlock, "there is air in the line: the pump runs without effect", "actuator", 0},
		{EndsDead, "the end switches of the drive are never made", "actuator", 0},
		{EndSlips, "the open end switch is made by this share of the travel too early", "actuator", 0.3},
		{Silent, "the node is dead", "node", 0},
		{Kill, "the node's link is dropped and none comes up", "node", 0},
		{Flap, "the node connects and disconnects with this period in s", "node", 10},
		{HalfOpen, "the node's connection stands and nothing passes", "node", 0},
		{Latency, "every message of the node is this many s late", "node", 5},
		{Storm, "the node sends this many messages a second", "node", 100},
		{Reboot, "the node reboots once", "node", 0},
		{RebootLoop, "the node reboots with this period in s", "node", 20},
		{ClockSkew, "the node's clock is this many s ahead", "node", 3600},
		{Duplicate, "the node sends every message twice", "node", 0},
		{OutOfOrder, "the node sends messages out of order", "node", 0},
		{Late, "the node sends measurements this many s late", "node", 600},
	}
}

// ParseVerb returns what is known of the fault named s.
func ParseVerb(s string) (VerbSpec, error) {
	for _, v := range Verbs() {
		if string(v.Verb) == s {
			return v, nil
		}
	}
	return VerbSpec{}, greenhouse.Invalid("fault_unknown", "fault %q is unknown", s).WithHint("greenctl sim faults --known shows all of them")
}

// Fault is something wrong in the simulated greenhouse. Its text form is
//
//	verb[(value)] target [with target] [for duration]
//
// e.g. "offset(2.5) north/air_temp for 10m", "swap north/pump_acid with
// north/pump_base" or "silent climate-5100aa000101". A sensor or actuator is
// named by its point, with ".2" for the second in a zone, or by
// "@uid/channel"; a node by its uid or hardware id. A fault of nodes may also
// name a zone, for all nodes in it, or "site".
type Fault struct {
	ID     string // given by the world that carries it
	Verb   Verb
	Target string
	Value  float64 // strength; 0 takes the default of the verb
	With   string  // swap: the other one; empty takes the likeliest
	For    time.Duration
	Since  time.Time // simulated; set by the world
	Until  time.Time // simulated; zero: until cleared
}

// ParseFault reads the text form.
func ParseFault(s string) (Fault, error) {
	words := strings.Fields(s)
	if len(words) < 2 || len(words)%2 != 0 {
		return Fault{}, malformed(s)
	}
	name, value, strong := strings.Cut(words[0], "(")
	spec, err := ParseVerb(name)
	if err != nil {
		return Fault{}, err
	}
	f := Fault{Verb: spec.Verb, Target: words[1]}
	if strong {
		number, closed := strings.CutSuffix(value, ")")
		if f.Value, err = strconv.ParseFloat(number, 64); err != nil || !closed {
			return Fault{}, malformed(s)
		}
	}
	for i := 2; i < len(words); i += 2 {
		switch words[i] {
		case "with":
			f.With = words[i+1]
		case "for":
			if f.For, err = time.ParseDuration(words[i+1]); err != nil || f.For <= 0 {
				return Fault{}, malformed(s)
			}
		default:
			return Fault{}, malformed(s)
		}
	}
	return f, f.Validate()
}

func malformed(s string) error {
	return greenhouse.Invalid("fault_malformed", "%q is no fault", s).
		WithHint(`write verb(value) target for duration, e.g. "offset(2.5) north/air_temp for 10m"`)
}

// String returns the text form.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(string(f.Verb))
	if f.Value != 0 {
		fmt.Fprintf(&b, "(%s)", strconv.FormatFloat(f.Value, 'g', -1, 64))
	}
	b.WriteString(" " + f.Target)
	if f.With != "" {
		b.WriteString(" with " + f.With)
	}
	if f.For > 0 {
		b.WriteString(" for " + f.For.String())
	}
	return b.String()
}

// MarshalText writes the text form, for scenario files.
func (f Fault) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads the text form.
func (f *Fault) UnmarshalText(b []byte) error {
	g, err := ParseFault(string(b))
	if err == nil {
		*f = g
	}
	return err
}

// Validate refuses an unknown verb and a strength that makes no sense.
func (f Fault) Validate() error {
	if _, err := ParseVerb(string(f.Verb)); err != nil {
		return err
	}
	lo, hi := -1e6, 1e6
	switch f.Verb {
	case Dropout, Bubbles, Stuck, Leaks, Weak, Worn:
		lo, hi = 0, 1
	case Noisy, Sluggish, Slow, Flap, Latency, RebootLoop, Late:
		lo = 0
	case Storm:
		lo, hi = 0, 10000
	}
	if !(f.Value >= lo && f.Value <= hi) {
		return greenhouse.Invalid("fault_value", "%s(%g): the value must lie from %g to %g", f.Verb, f.Value, lo, hi)
	}
	return nil
}

// Strength returns the value, or the verb's default where none was given.
func (f Fault) Strength() float64 {
	if f.Value != 0 {
		return f.Value
	}
	spec, err := ParseVerb(string(f.Verb))
	if err != nil {
		return 0
	}
	return spec.Default
}
