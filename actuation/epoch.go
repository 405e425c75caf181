package actuation

import (
	"time"

	"greenhouse"
)

// RaiseEpoch has every command carry this epoch from now on; a lower one than ours
// changes nothing. A node had obeyed a higher epoch than ours, as when the registry
// is an older one put back by hand: until we rise above it, it refuses us. Levels
// that stand are renewed under it, and whoever fenced us is asked again at once.
func (c *Controller) RaiseEpoch(epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch <= c.o.Epoch {
		return
	}
	c.o.Epoch = epoch
	for _, o := range c.orders {
		o.cmd.Epoch = epoch
		if o.open() {
			c.mark(o)
		}
	}
	for _, n := range c.nodes {
		n.fenced = time.Time{}
	}
	for _, a := range c.actuators {
		if a.failed == greenhouse.CommandFenced {
			a.failures, a.retryAt = 0, time.Time{}
		}
	}
	c.Wake()
}
