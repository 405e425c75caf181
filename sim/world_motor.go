package sim

import (
	"time"

	"greenhouse"
)

var _ Motors = (*Device)(nil)

// Motor implements [Motors]: the name plate of a drive, by the node's own clock.
func (b *Device) Motor(ch greenhouse.ChannelName) (Position3pt, bool) {
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	p := b.port(ch)
	if p == nil || p.inst.actuator == nil || p.inst.actuator.travel == 0 {
		return Position3pt{}, false
	}
	d := Position3pt{Opening: time.Duration(p.inst.actuator.travel * float64(time.Second)), Dead: time.Duration(motorStarts * float64(time.Second))}
	if speed := b.world.plan.Speed; speed > 0 {
		d = d.Faster(speed)
	}
	return d, true
}

// Run implements [Motors].
func (b *Device) Run(ch greenhouse.ChannelName, d Direction, _ time.Time) error {
	w := b.world
	w.mu.Lock()
	defer w.mu.Unlock()
	p := b.port(ch)
	if p == nil || p.inst.actuator == nil {
		return greenhouse.NotFound("output", string(ch))
	}
	if _, dead := b.fault(Silent); dead {
		return greenhouse.Unavailable("device_dead", "the device has no power")
	}
	a := p.inst.actuator
	if a.motor == nil {
		a.motor = &Motor{turned: w.now}
	}
	a.motor.Turn(d, w.now.Add(w.carry))
	return nil
}

// Ends implements [Motors].
func (b *Device) Ends(ch greenhouse.ChannelName, _ time.Time) (closed, open bool) {
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	p := b.port(ch)
	if p == nil || p.inst.actuator == nil {
		return false, false
	}
	return p.inst.actuator.Ends(p.inst.faults)
}
