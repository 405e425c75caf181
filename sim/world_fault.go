package sim

import (
	"math"
	"strconv"
	"strings"
	"time"

	"greenhouse"
)

// activeFault is a fault at work.
type activeFault struct {
	Fault
	strength float64
	inst     *instrument // sensors and actuators
	nodes    []*Device   // nodes
	pair     [2]*port    // swap
	held     float64     // what a frozen sensor or a stuck drive keeps
	holding  bool
}

// hold returns the value kept since the fault began: wanted where it is not 0,
// else the one at hand.
func (f *activeFault) hold(now, wanted float64) float64 {
	if !f.holding {
		f.held, f.holding = now, true
		if wanted != 0 {
			f.held = wanted
		}
	}
	return f.held
}

// Inject makes something go wrong from now on, and returns the fault with its
// id and times. A target that does not exist, or that the verb does not fit, is
// refused.
func (w *World) Inject(f Fault) (Fault, error) {
	if err := f.Validate(); err != nil {
		return Fault{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a := &activeFault{Fault: f, strength: f.Strength()}
	if err := w.aim(a); err != nil {
		return Fault{}, err
	}
	w.serial++
	a.ID = "f" + strconv.Itoa(w.serial)
	a.Since = w.now
	if f.For > 0 {
		a.Until = w.now.Add(f.For)
	}
	w.faults = append(w.faults, a)
	a.attach()
	return a.Fault, nil
}

// Heal ends a fault; it reports false where there is none of that id.
func (w *World) Heal(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.heal(func(f *activeFault) bool { return f.ID == id })
}

// Faults returns what is wrong now, oldest first.
func (w *World) Faults() []Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]Fault, 0, len(w.faults))
	for _, f := range w.faults {
		all = append(all, f.Fault)
	}
	return all
}

func (w *World) expire() {
	if len(w.faults) > 0 {
		w.heal(func(f *activeFault) bool { return !f.Until.IsZero() && !w.now.Before(f.Until) })
	}
}

func (w *World) heal(over func(*activeFault) bool) (healed bool) {
	kept := w.faults[:0]
	for _, f := range w.faults {
		if over(f) {
			f.detach()
			healed = true
			continue
		}
		kept = append(kept, f)
	}
	clear(w.faults[len(kept):])
	w.faults = kept
	return healed
}

// aim finds what the fault is about and checks that the verb fits it.
func (w *World) aim(a *activeFault) error {
	spec, err := ParseVerb(string(a.Verb))
	if err != nil {
		return err
	}
	if spec.Target == "node" {
		if a.nodes = w.nodesOf(a.Target); len(a.nodes) == 0 {
			return greenhouse.NotFound("node", a.Target).WithHint("%s needs a node's uid or hardware id, a zone, or site", a.Verb)
		}
		return nil
	}
	p := w.portOf(a.Target)
	if p == nil {
		return greenhouse.NotFound("point", a.Target).WithHint("%s needs a point with a simulated device behind it, e.g. north/air_temp", a.Verb)
	}
	a.inst = p.inst
	if fits := spec.Target == "point" || (spec.Target == "actuator") == (p.inst.actuator != nil); !fits {
		return greenhouse.Invalid("fault_target", "%s is a fault of a %s, and %s is none", a.Verb, spec.Target, a.Target)
	}
	switch a.Verb {
	case Unit:
		return unitFits(p)
	case Swap:
		return w.pairUp(a, p)
	}
	return nil
}

func unitFits(p *port) error {
	if std, _ := greenhouse.StandardChannel(p.name); std.Unit == "°C" || std.Unit == "mS/cm" {
		return nil
	}
	return greenhouse.Invalid("fault_target", "%s has no unit that it could be mistaken for", p.point)
}

// pairUp finds the other half of a swap: the one named, or for acid the base, or
// the same channel in the next zone.
func (w *World) pairUp(a *activeFault, p *port) error {
	other := w.portOf(a.With)
	if a.With == "" {
		other = w.likeliest(p)
	}
	if other == nil || other == p || (other.inst.actuator == nil) != (p.inst.actuator == nil) {
		return greenhouse.Invalid("fault_target", "%s cannot be swapped with %q: it needs another of its kind", p.point, a.With)
	}
	a.With, a.pair = string(other.point), [2]*port{p, other}
	return nil
}

func (w *World) likeliest(p *port) *port {
	zone := p.point.Zone()
	switch p.name {
	case "pump_acid":
		return w.portOf(string(greenhouse.ZonePoint(zone, "pump_base", 1)))
	case "pump_base":
		return w.portOf(string(greenhouse.ZonePoint(zone, "pump_acid", 1)))
	}
	for i, z := range w.zones {
		if z.plan.Zone.ID == zone {
			next := w.zones[(i+1)%len(w.zones)].plan.Zone.ID
			return w.portOf(string(greenhouse.ZonePoint(next, p.name, 1)))
		}
	}
	return nil
}

// portOf finds a channel by its point, or by "@uid/channel".
func (w *World) portOf(target string) *port {
	place, name, _ := strings.Cut(strings.TrimPrefix(target, "@"), "/")
	for _, b := range w.devices {
		for _, p := range b.ports {
			if string(p.point) == target || string(p.name) == name && b.named(place) {
				return p
			}
		}
	}
	return nil
}

func (b *Device) named(s string) bool {
	return s == string(b.plan.UID()) || s == string(b.plan.HardwareID)
}

// nodesOf finds nodes by uid, hardware id, zone or "site".
func (w *World) nodesOf(target string) (found []*Device) {
	for _, b := range w.devices {
		if b.named(target) || string(b.plan.Zone) == target || target == "site" || target == "" {
			found = append(found, b)
		}
	}
	return found
}

func (f *activeFault) attach() {
	for _, b := range f.nodes {
		b.ill = append(b.ill, f)
	}
	switch {
	case f.pair[0] != nil:
		f.exchange()
	case f.inst != nil:
		f.inst.faults = append(f.inst.faults, f)
	}
}

func (f *activeFault) detach() {
	for _, b := range f.nodes {
		b.ill = without(b.ill, f)
	}
	switch {
	case f.pair[0] != nil:
		f.exchange()
	case f.inst != nil:
		f.inst.faults = without(f.inst.faults, f)
	}
}

// exchange wires two ports to each other's instrument. Each port keeps what it
// was asking for.
func (f *activeFault) exchange() {
	p, q := f.pair[0], f.pair[1]
	p.inst, q.inst = q.inst, p.inst
	if a, b := p.inst.actuator, q.inst.actuator; a != nil && b != nil {
		a.commanded, b.commanded = b.commanded, a.commanded
	}
}

// without returns a new slice, so that no reader sees the old one change.
func without(fs []*activeFault, f *activeFault) []*activeFault {
	var rest []*activeFault
	for _, g := range fs {
		if g != f {
			rest = append(rest, g)
		}
	}
	return rest
}

// distort applies the faults that shift a reading.
func (in *instrument) distort(f *activeFault, v float64, now time.Time, sun float64) float64 {
	const spikes, dips = 0.05, 0.3
	switch f.Verb {
	case Offset:
		return v + f.strength
	case Drift:
		return v + f.strength*now.Sub(f.Since).Hours()
	case Gain:
		if in.channel == "solution_ph" {
			return 7 + (v-7)*f.strength
		}
		return v * f.strength
	case Sunlit:
		return v + f.strength*sun/600
	case Spike:
		if in.sensor.strikes(now, 1, spikes) {
			if in.sensor.strikes(now, 2, 0.5) {
				return v - f.strength
			}
			return v + f.strength
		}
	case Bubbles:
		if in.sensor.strikes(now.Truncate(5*time.Minute), 3, dips) {
			return v * (1 - f.strength)
		}
	}
	return v
}

// replace applies the faults that put something else in place of a reading.
func (in *instrument) replace(f *activeFault, v float64, ok bool, now time.Time) (float64, bool) {
	switch f.Verb {
	case Dropout:
		if in.sensor.strikes(now, 4, f.strength) {
			return math.NaN(), false
		}
	case Gap, ReadError:
		return math.NaN(), false
	case Freeze:
		return f.hold(v, 0), ok
	case Sentinel:
		return in.sentinel(f.strength), ok
	case Zero:
		return 0, ok
	case Unit:
		if in.channel == "solution_ec" {
			return v * 1000, ok
		}
		return v*9/5 + 32, ok
	}
	return v, ok
}

// sentinel is what this kind of sensor reads when it is broken.
func (in *instrument) sentinel(wanted float64) float64 {
	switch {
	case wanted != 0:
		return wanted
	case in.channel == "air_temp":
		return 85
	case in.channel == "solution_temp":
		return 255
	case in.channel == "air_rh", in.channel == "outside_rh", in.channel == "soil_moisture":
		return 100
	case in.channel == "solution_ph":
		return 14
	case in.channel == "co2":
		return 410
	}
	return -127
}
