package sim

import (
	"math"
	"sync"
	"time"

	"greenhouse"
)

// Plan describes a site to simulate.
type Plan struct {
	Site    greenhouse.Site
	Start   time.Time     // simulated time at the start; zero is a morning in March 2026
	Seed    uint64        // everything random follows from it
	Weather Weather       // nil is synthetic weather of Bleiswijk under the seed
	Step    time.Duration // of the physics, at most 30 s; 0 is 1 s
	Speed   float64       // simulated seconds in one of the nodes', so that drives keep time; 0 is 1
	Zones   []ZonePlan
	Nodes   []NodePlan
}

// ZonePlan describes a compartment: the record that people would create for it,
// and the physics behind it.
type ZonePlan struct {
	Zone       greenhouse.Zone // id, name, crop, targets
	Greenhouse Greenhouse
	Climate    Climate // at the start
	Tank       Tank    // a zero capacity is no tank: irrigation then takes tap water
	TankState  TankState
	Slab       Slab // a zero volume is no slab
	SlabState  SlabState
	DripRate   float64 // L/s of irrigation with the valve open
}

// NodePlan describes a device.
type NodePlan struct {
	HardwareID greenhouse.HardwareID
	Type       greenhouse.NodeType
	Name       string
	Zone       greenhouse.ZoneID // where it hangs
	Channels   []greenhouse.ChannelName
	FW, HW     string
	IntervalS  int // s between messages; 0 is 10

	Valves []greenhouse.ChannelName // outputs behind a three-way valve with a three-point drive
}

// UID returns the id that the registry will give the node.
func (n NodePlan) UID() greenhouse.UID { return greenhouse.MakeUID(n.Type, n.HardwareID) }

// World is a site that obeys physics: weather, compartments, and the sensors and
// actuators of the nodes in them. One mutex guards all of it, so that any number
// of node clients may read and drive while one goroutine advances the time; a
// call takes microseconds, an Advance about two a zone for each step.
type World struct {
	mu      sync.Mutex
	plan    Plan
	now     time.Time
	carry   time.Duration
	outside Outside
	seen    time.Time // when outside was asked for
	zones   []*zone
	devices []*Device
	faults  []*activeFault
	serial  int // of the last fault
}

// NewWorld returns the site at its start. A plan with a node in no zone of it,
// or with one point or id twice, is refused.
func NewWorld(p Plan) (*World, error) {
	if p.Start.IsZero() {
		p.Start = time.Date(2026, 3, 20, 8, 0, 0, 0, time.UTC)
	}
	if p.Step <= 0 {
		p.Step = time.Second
	}
	if p.Step > 30*time.Second {
		return nil, greenhouse.Invalid("step_invalid", "a step of %v is too long: it is at most 30s", p.Step)
	}
	if p.Weather == nil {
		place, err := PlacePreset("bleiswijk")
		if err != nil {
			return nil, err
		}
		p.Weather = NewSynthetic(place, p.Seed)
	}
	w := &World{plan: p, now: p.Start}
	for _, z := range p.Zones {
		if w.zone(z.Zone.ID) != nil {
			return nil, greenhouse.Invalid("plan_invalid", "zone %s is in the plan twice", z.Zone.ID)
		}
		w.zones = append(w.zones, newZone(z))
	}
	for _, n := range p.Nodes {
		if err := w.install(n); err != nil {
			return nil, err
		}
	}
	w.lookOutside()
	for _, b := range w.devices {
		b.follow(0)
	}
	return w, nil
}

// install hangs a node into its zone.
func (w *World) install(n NodePlan) error {
	z := w.zone(n.Zone)
	if z == nil {
		return greenhouse.Invalid("plan_invalid", "node %s hangs in zone %q, which is not in the plan", n.HardwareID, n.Zone)
	}
	b := &Device{world: w, plan: n}
	for _, have := range w.devices {
		if have.plan.HardwareID == n.HardwareID {
			return greenhouse.Invalid("plan_invalid", "node %s is in the plan twice", n.HardwareID)
		}
	}
	for _, ch := range n.Channels {
		if b.port(ch) != nil {
			return greenhouse.Invalid("plan_invalid", "node %s has the channel %s twice", n.HardwareID, ch)
		}
		b.ports = append(b.ports, z.connect(b, ch, w.plan.Seed))
	}
	w.devices = append(w.devices, b)
	return nil
}

func (w *World) zone(id greenhouse.ZoneID) *zone {
	for _, z := range w.zones {
		if z.plan.Zone.ID == id {
			return z
		}
	}
	return nil
}

// Plan returns what the world was made from, defaults filled in.
func (w *World) Plan() Plan { return w.plan }

// Now returns the simulated time.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Advance lets simulated time pass. What is left over from whole steps is kept
// for the next call, so the result does not depend on how the time is cut.
func (w *World) Advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d <= 0 {
		return
	}
	for w.carry += d; w.carry >= w.plan.Step; w.carry -= w.plan.Step {
		w.step()
	}
}

func (w *World) step() {
	const every = 10 * time.Second // the weather changes slowly
	w.now = w.now.Add(w.plan.Step)
	if w.now.Sub(w.seen) >= every {
		w.lookOutside()
	}
	w.expire()
	dt := w.plan.Step.Seconds()
	for _, z := range w.zones {
		z.step(w.now, w.outside, dt)
	}
	for _, b := range w.devices {
		b.follow(dt)
	}
}

func (w *World) lookOutside() {
	w.outside, w.seen = w.plan.Weather.At(w.now), w.now
}

// ZoneState is the truth about a zone, which no sensor tells.
type ZoneState struct {
	Climate   Climate
	Flows     Flows
	Equipment Equipment
	Tank      TankState
	Slab      SlabState
	HeatMJ    float64 // MJ/m² of heating since the start
	LampMJ    float64 // MJ/m² of lamps, electric
	WaterL    float64 // L of irrigation
	Flow      float64 // L/s of irrigation now
}

// Zone returns the truth about a zone.
func (w *World) Zone(id greenhouse.ZoneID) (ZoneState, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	z := w.zone(id)
	if z == nil {
		return ZoneState{}, false
	}
	return z.state, true
}

// Outside returns the weather now.
func (w *World) Outside() Outside {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.outside
}

// Device returns the device of a node, by hardware id.
func (w *World) Device(id greenhouse.HardwareID) (*Device, bool) {
	for _, b := range w.devices { // fixed after NewWorld
		if b.plan.HardwareID == id {
			return b, true
		}
	}
	return nil, false
}

// Devices returns the devices of all nodes, in the order of the plan.
func (w *World) Devices() []*Device { return append([]*Device(nil), w.devices...) }

var _ Body = (*Device)(nil)

// Device is what a node's firmware has in its hands, a [Body]: channels to read
// and to drive. It is safe for concurrent use; it holds the world's mutex for
// each call.
type Device struct {
	world *World
	plan  NodePlan
	ports []*port
	ill   []*activeFault // faults of the node itself
}

// port is a channel of a node and the instrument wired to it.
type port struct {
	name  greenhouse.ChannelName
	point greenhouse.PointID
	inst  *instrument
}

// Plan returns what the node is.
func (b *Device) Plan() NodePlan { return b.plan }

func (b *Device) port(ch greenhouse.ChannelName) *port {
	for _, p := range b.ports {
		if p.name == ch {
			return p
		}
	}
	return nil
}

// Read returns what a channel says at the node's time now: a sensor's reading
// with its noise and faults, or an actuator's own report of its level. It is
// false where the read failed or the node has no such channel. One instant gives
// one reading, however often it is asked for.
func (b *Device) Read(ch greenhouse.ChannelName, now time.Time) (value float64, ok bool) {
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	p := b.port(ch)
	if p == nil {
		return math.NaN(), false
	}
	if p.inst.actuator != nil {
		return p.inst.actuator.Reported(p.inst.faults), true
	}
	return p.inst.read(now, b.world.now.Sub(b.world.plan.Start), b.world.outside.Solar)
}

// Drive asks an actuator channel for a level from 0 to 1 and returns the level
// at which the device will then see it: another one where a drive that knows its
// position is jammed. What really comes of it, physics decides. It fails where
// the node has no such output or is dead.
func (b *Device) Drive(ch greenhouse.ChannelName, level float64, _ time.Time) (seen float64, err error) {
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	p := b.port(ch)
	if p == nil || p.inst.actuator == nil {
		return 0, greenhouse.NotFound("output", string(ch))
	}
	if _, dead := b.fault(Silent); dead {
		return 0, greenhouse.Unavailable("device_dead", "the device has no power")
	}
	p.inst.actuator.Command(level)
	return p.inst.actuator.foresee(p.inst.faults), nil
}

// PumpRate returns what a dosing pump delivers by its label, in mL/s, for turning
// a dose into a time; 0 for any other channel.
func (b *Device) PumpRate(ch greenhouse.ChannelName) float64 {
	p := b.port(ch)
	if p == nil || p.inst.actuator == nil || p.inst.slot < slotAcid || p.inst.slot > slotD {
		return 0
	}
	return p.inst.zone.plan.Tank.PumpRate
}

// Faults returns what is wrong with the node itself or its link, in the form in
// which its firmware takes them ([Firmware.Inject]). What is wrong with its
// sensors and actuators the world carries out by itself.
func (b *Device) Faults() []NodeFault {
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	var all []NodeFault
	for _, f := range b.ill {
		all = append(all, NodeFault{Verb: f.Verb, Value: f.strength, From: f.Since, Until: f.Until})
	}
	return all
}

func (b *Device) fault(v Verb) (*activeFault, bool) {
	for _, f := range b.ill {
		if f.Verb == v {
			return f, true
		}
	}
	return nil, false
}

// follow lets the node's sensors see the truth for dt seconds. A dead node lets
// go of its switches.
func (b *Device) follow(dt float64) {
	_, dead := b.fault(Silent)
	for _, p := range b.ports {
		switch in := p.inst; {
		case in.sensor != nil:
			in.sensor.Follow(in.zone.truth(p.inst.channel, b.world.outside), dt, in.slowness())
		case !dead:
		case in.actuator.motor != nil:
			in.actuator.motor.Turn(Halt, b.world.now)
		case in.actuator.travel == 0:
			in.actuator.Command(0)
		}
	}
}
