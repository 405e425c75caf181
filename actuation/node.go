package actuation

import (
	"hash/fnv"
	"time"

	"greenhouse"
)

// A node that boots that often within bootWindow is unstable: the start of a
// load may be what makes its supply break down, so nothing starts on it before
// it was up for settleTime.
const (
	bootWindow = 10 * time.Minute
	settleTime = time.Minute
	statusTime = 10 * time.Second // a node that is back says its boot by then
)

// NodeOnline notes that a node is there and which boot it says it is in; "" if
// it does not say. Calling it again with every status is right: only a change
// matters. After an absence or a boot nothing is taken for on: the level is
// ordered anew, by a new command, and never before this call. A node that is back
// but has not said its boot yet, as between its session and its status, gets no ON
// for 10 s: it may just have restarted, and its lamp be hot.
func (c *Controller) NodeOnline(uid greenhouse.UID, boot string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, now := c.nodeOf(uid), c.now()
	rebooted := boot != "" && n.boot != "" && boot != n.boot
	switch {
	case boot != "":
		n.unsure = time.Time{}
	case !n.online && n.boot != "":
		n.unsure = now.Add(statusTime)
	}
	if n.online && !rebooted {
		n.boot = orElse(boot, n.boot)
		return
	}
	away := !n.online && !n.away.IsZero()
	absence := now.Sub(n.away)
	n.online, n.boot = true, orElse(boot, n.boot)
	if rebooted || !n.met {
		n.met, n.spread = true, now.Add(c.turn(uid))
	}
	if rebooted {
		n.boots[2], n.boots[1], n.boots[0] = n.boots[1], n.boots[0], now
	}
	for _, a := range n.actuators {
		switch {
		case rebooted:
			c.rebooted(a, now)
		case away:
			c.returned(a, absence, now)
		}
	}
	c.Wake()
}

// turns is over how many times the stagger of one node the nodes of a site spread
// their first starts, when power comes back to all of them at once.
const turns = 20

// turn returns how long a node waits with its first start: always the same for
// the same node, and another for others.
func (c *Controller) turn(uid greenhouse.UID) time.Duration {
	if c.o.Stagger <= 0 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(uid)) // never fails
	return c.o.Stagger * time.Duration(h.Sum32()%turns)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// rebooted notes that the node of an actuator started anew: the device went to
// its safe level, and nothing the node was told before holds.
func (c *Controller) rebooted(a *actuator, now time.Time) {
	c.void(a, now)
	if p := a.pulse; p != nil && !p.published.IsZero() {
		c.finish(p, greenhouse.CommandTimeout, "the node rebooted: the outcome is unknown and counts as delivered", now)
	}
	a.reported, a.known, a.reportedAt = a.spec.Safe, true, now
	a.differs, a.corrected, a.failures, a.confirmed, a.retryAt = time.Time{}, 0, 0, false, time.Time{}
	if a.position.state != "" { // it waits its turn, and the status that told of the boot says more
		a.known = false
	}
	a.eq.Drive(a.spec, a.spec.Safe, now)
	if b := a.node.boots; !b[2].IsZero() && now.Sub(b[2]) < bootWindow {
		a.eq.Settle(now.Add(settleTime))
	}
}

// returned notes that the node of an actuator is back after an absence. When that
// was longer than the link may be lost, or than the lease, the device went to its
// safe level by itself; how it stands is unknown either way.
func (c *Controller) returned(a *actuator, absence time.Duration, now time.Time) {
	held := a.linkLoss()
	if a.hold != nil {
		held = min(held, max(0, a.hold.leaseEnd.Sub(a.node.away)))
	}
	a.known, a.differs, a.confirmed = false, time.Time{}, false
	if o := a.hold; o != nil && o.silent() && o.cmd.Value == a.spec.Safe {
		o.nextTry, o.tries = now, 0 // nobody answered it yet: the same one again, not one more for every session
	} else {
		c.void(a, now)
	}
	if a.failures == 0 || a.level != a.spec.Safe || a.eq.Level != a.spec.Safe {
		a.retryAt = time.Time{} // else it was told in vain that it is safe: not again with every session
	}
	if absence >= held {
		a.eq.Drive(a.spec, a.spec.Safe, a.node.away.Add(held))
	}
}

// void ends the level commanded, as the node may no longer know of it.
func (c *Controller) void(a *actuator, now time.Time) { c.supersede(a.hold, now) }

// NodeOffline notes that a node is gone. Nothing is published to it meanwhile,
// and how its devices stand is unknown.
func (c *Controller) NodeOffline(uid greenhouse.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nodes[uid]
	if n == nil || !n.online {
		return
	}
	n.online, n.away = false, c.now()
	for _, a := range n.actuators {
		a.known, a.differs, a.halting = false, time.Time{}, false
	}
}

// NodeSafe notes that a node brought one of its devices to the safe level by
// itself and said so: its lease ended, its link was lost, it was on too long.
func (c *Controller) NodeSafe(uid greenhouse.UID, ch greenhouse.ChannelName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for _, a := range c.nodeOf(uid).actuators {
		if a.Channel == ch {
			c.void(a, now)
			a.reported, a.known, a.reportedAt = a.spec.Safe, true, now
			a.eq.Drive(a.spec, a.spec.Safe, now)
		}
	}
}
