package edge

import (
	"cmp"
	"time"

	"greenhouse"
)

// staleAfter returns how long a sensor may be silent before its history says
// so: as long as control goes on believing it. Nobody waits for actuators, for
// points without a node, nor for what a node says of itself, whose absence its
// point "online" tells.
func (d *Daemon) staleAfter(id greenhouse.PointID) time.Duration {
	const defaultInterval, least = 10, 90 * time.Second
	reg := d.store.Registry()
	p, ok := reg.Points[id]
	if !ok || p.Kind == greenhouse.Actuator || p.Node == "" {
		return 0
	}
	if z, ok := reg.Zones[p.Zone]; ok && z.Control.StaleAfterS > 0 {
		return time.Duration(float64(z.Control.StaleAfterS) * float64(time.Second))
	}
	interval := time.Duration(defaultInterval) * time.Second
	if n, ok := reg.Nodes[p.Node]; ok {
		interval = time.Duration(cmp.Or(n.IntervalS, defaultInterval)) * time.Second
	}
	return max(3*interval, least)
}
