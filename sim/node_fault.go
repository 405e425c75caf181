package sim

import (
	"math"
	"slices"
	"time"

	"greenhouse"
)

// Faults that only the firmware itself can have, beside the verbs of nodes.
const (
	Kill      Verb = "kill"       // the link is dropped without a DISCONNECT, and none comes up
	Reboot    Verb = "reboot"     // one reboot, at the beginning
	ReadError Verb = "read_error" // a sensor cannot be read: null
)

// NodeFault is something wrong within a node, between its sensors and outputs
// and the wire. Its verbs are those of [Fault]; what the plant and its sensors
// can carry out themselves (lag, noise, sun) has no effect here. Those of
// sensors and actuators need a Channel, those of the node and its link none.
type NodeFault struct {
	Verb    Verb
	Channel greenhouse.ChannelName
	With    greenhouse.ChannelName // swap: the channel that is really read
	Value   float64                // strength; 0 takes the default of the verb
	From    time.Time              // zero: from the beginning
	Until   time.Time              // zero: for ever
}

// active reports whether the fault holds at now.
func (x *NodeFault) active(now time.Time) bool {
	return !now.Before(x.From) && (x.Until.IsZero() || now.Before(x.Until))
}

// strength returns Value, or the default of the verb.
func (x *NodeFault) strength() float64 {
	if x.Value == 0 {
		spec, _ := ParseVerb(string(x.Verb)) // verbs of this file have no strength
		return spec.Default
	}
	return x.Value
}

// phase returns how many whole cycles of d have passed at now, and when the next
// begins. A fault without a beginning counts from 1970.
func (x *NodeFault) phase(now time.Time, d time.Duration) (n int64, next time.Time) {
	from := x.From
	if from.IsZero() {
		from = time.Unix(0, 0)
	}
	n = int64(now.Sub(from) / d)
	return n, from.Add(time.Duration(n+1) * d)
}

// period returns the strength as a time, at least a millisecond.
func (x *NodeFault) period() time.Duration {
	return max(time.Millisecond, time.Duration(x.strength()*float64(time.Second)))
}

// Inject adds faults to those the node has.
func (f *Firmware) Inject(faults ...NodeFault) { f.faults = append(f.faults, faults...) }

// Repair takes the faults of that verb away; an empty verb takes all.
func (f *Firmware) Repair(verb Verb) {
	var left []NodeFault
	for _, x := range f.faults {
		if verb != "" && x.Verb != verb {
			left = append(left, x)
		}
	}
	f.faults = left
}

// fault returns the fault of that verb which a channel has at now, or the node
// for an empty channel.
func (f *Firmware) fault(verb Verb, ch greenhouse.ChannelName, now time.Time) (*NodeFault, bool) {
	for _, list := range [...][]NodeFault{f.faults, f.lent} {
		for i := range list {
			if x := &list[i]; x.Verb == verb && x.Channel == ch && x.active(now) {
				return x, true
			}
		}
	}
	return nil, false
}

// askFaults asks the body what is wrong with the node.
func (f *Firmware) askFaults() {
	if b, ok := f.o.Body.(interface{ Faults() []NodeFault }); ok {
		f.lent = b.Faults()
	}
}

// isDead reports whether the node is dead at now. One that comes back to life
// boots.
func (f *Firmware) isDead(now time.Time) bool {
	_, dead := f.fault(Silent, "", now)
	if f.dead && !dead {
		f.Reboot(now, bootedBecause)
	}
	f.dead = dead
	return dead
}

// rare reports, by chance, one time in 1/p. The numbers are splitmix64 (Steele
// et al., 2014), so that a seed names one course of events.
func (f *Firmware) rare(p float64) bool {
	f.chance += 0x9e3779b97f4a7c15
	z := f.chance
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11)/(1<<53) < p
}

// source returns the channel whose sensor is really read.
func (f *Firmware) source(ch greenhouse.ChannelName, now time.Time) greenhouse.ChannelName {
	if x, ok := f.fault(Swap, ch, now); ok {
		return x.With
	}
	return ch
}

// disturb passes a reading through the sensor's faults, in the order from the
// sensor to the wire.
func (f *Firmware) disturb(s *sensor, v float64, ok bool, now time.Time) (float64, bool, bool) {
	sent := true
	frozen := false
	for i := range f.faults {
		x := &f.faults[i]
		if x.Channel != s.name || !x.active(now) {
			continue
		}
		switch x.Verb {
		case Gap:
			sent = false
		case Dropout:
			sent = sent && !f.rare(x.strength())
		case ReadError:
			ok = false
		case Freeze:
			frozen = true
		default:
			v = f.distort(x, v, now)
		}
	}
	if frozen && s.hasFrozen {
		v = s.frozen
	}
	s.frozen, s.hasFrozen = v, frozen
	return v, ok, sent
}

// distort returns the value that a fault makes of v.
func (f *Firmware) distort(x *NodeFault, v float64, now time.Time) float64 {
	switch x.Verb {
	case Offset:
		return v + x.strength()
	case Drift:
		from := x.From
		if from.IsZero() {
			from = f.bootedAt
		}
		return v + x.strength()*now.Sub(from).Hours()
	case Spike:
		if f.rare(0.05) {
			return v + x.strength()
		}
	case Zero:
		return 0
	case Sentinel:
		return x.Value
	case Unit:
		if spec, _ := greenhouse.StandardChannel(x.Channel); spec.Unit == "°C" {
			return v*9/5 + 32
		}
		return v * 1000
	}
	return v
}

// effect returns the level that really reaches an output, and whether the
// device believes that it did what it was told.
func (f *Firmware) effect(o *output, level float64, now time.Time) (float64, bool) {
	lies := false
	for i := range f.faults {
		x := &f.faults[i]
		if x.Channel != o.name || !x.active(now) {
			continue
		}
		switch x.Verb {
		case StuckOn:
			return 1, false
		case StuckOff:
			return 0, false
		case Stuck:
			return x.Value, false
		case Lies:
			return o.effect, true
		case Reversed:
			level, lies = 1-level, true
		case Leaks:
			level, lies = math.Max(level, x.strength()), true
		case Weak:
			level, lies = level*x.strength(), true
		case Worn:
			level, lies = level*x.strength(), true
		case Empty, Airlock:
			level, lies = 0, true
		}
	}
	return level, lies
}

// skew returns how far the clock is ahead.
func (f *Firmware) skew(now time.Time) time.Duration {
	if x, ok := f.fault(ClockSkew, "", now); ok {
		return time.Duration(x.strength() * float64(time.Second))
	}
	return 0
}

// LinkUp reports whether the faults let the node have a link at now.
func (f *Firmware) LinkUp(now time.Time) bool {
	if _, killed := f.fault(Kill, "", now); killed {
		return false
	}
	if f.dead {
		return false
	}
	if x, flaps := f.fault(Flap, "", now); flaps {
		half, _ := x.phase(now, x.period()/2)
		return half%2 == 1
	}
	return true
}

// HalfOpen reports whether the link is up for both ends and passes nothing.
func (f *Firmware) HalfOpen(now time.Time) bool {
	_, half := f.fault(HalfOpen, "", now)
	return half
}

// Latency returns how late every message of the node is.
func (f *Firmware) Latency(now time.Time) time.Duration {
	if x, ok := f.fault(Latency, "", now); ok {
		return x.period()
	}
	return 0
}

// dueReboot reports whether the node must reboot now.
func (f *Firmware) dueReboot(now time.Time) bool {
	if !f.rebootAt.IsZero() && !now.Before(f.rebootAt) {
		return true
	}
	if x, ok := f.fault(Reboot, "", now); ok && f.bootedAt.Before(x.From) {
		return true
	}
	x, ok := f.fault(RebootLoop, "", now)
	return ok && now.Sub(f.bootedAt) >= x.period()
}

// rebootReason returns what the status says after the reboot that is due.
func (f *Firmware) rebootReason(now time.Time) string {
	if !f.rebootAt.IsZero() && !now.Before(f.rebootAt) {
		return "command"
	}
	return "watchdog"
}

// nextFault returns when a fault next wants a Tick, zero for none: the
// beginning and end of each, and the rhythm of those that repeat.
func (f *Firmware) nextFault(now time.Time) time.Time {
	var next time.Time
	sooner := func(at time.Time) {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, x := range slices.Concat(f.faults, f.lent) {
		sooner(x.From)
		sooner(x.Until)
		if !x.active(now) {
			continue
		}
		switch x.Verb {
		case RebootLoop:
			sooner(f.bootedAt.Add(x.period()))
		case Flap:
			_, at := x.phase(now, x.period()/2)
			sooner(at)
		case Late, OutOfOrder:
			sooner(now.Add(time.Second))
		}
	}
	return next
}
