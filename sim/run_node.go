package sim

import (
	"time"

	"greenhouse"
	"greenhouse/wire"
)

// Times of a link between a node and the broker.
const (
	hop       = 20 * time.Millisecond // one way
	noticed   = 45 * time.Second      // one and a half keep-alives: until a peer that says nothing is given up
	reconnect = time.Second
)

// wired is a node, its firmware, and its connection to the broker.
type wired struct {
	r       *run
	dev     *Device
	uid     greenhouse.UID
	fw      *Firmware
	boot    string
	up      bool   // the node has a session
	session uint64 // counts them; what belongs to an old one is lost
	opened  time.Time
	mute    time.Time // since when nothing has passed; zero: it passes
	retry   time.Time
	wake    time.Time // of the next tick
}

func newLink(r *run, dev *Device, index int) *wired {
	p := dev.Plan()
	n := &wired{r: r, dev: dev, uid: p.UID()}
	o := FirmwareOptions{UID: n.uid, Body: dev, FW: p.FW, Seed: mix(r.seed + uint64(index))}
	for _, ch := range p.Channels {
		std, _ := greenhouse.StandardChannel(ch)
		o.Channels = append(o.Channels, wire.HelloChannel{Name: ch, Kind: std.Kind, Unit: std.Unit})
		if rate := dev.PumpRate(ch); rate > 0 {
			o.MLPerSecond = rate
		}
	}
	n.fw = NewFirmware(o, r.now)
	n.boot = n.fw.BootID()
	return n
}

// tick lets the firmware do what is due.
func (n *wired) tick() { n.send(n.fw.Tick(n.r.now)); n.follow() }

// follow makes or ends the session as the node's faults ask, and has the next
// tick come in time.
func (n *wired) follow() {
	now := n.r.now
	rebooted := n.fw.BootID() != n.boot
	n.boot = n.fw.BootID()
	if n.up && (rebooted || !n.fw.LinkUp(now)) {
		n.lose(n.fw.dead)
	}
	n.muted(now)
	if !n.up && n.r.broker && n.r.daemon.alive() && n.fw.LinkUp(now) && !n.fw.HalfOpen(now) && !now.Before(n.retry) {
		n.connect()
	}
	next := n.fw.Next(now)
	switch {
	case !n.up && next.After(now.Add(time.Second)), !next.After(now):
		next = now.Add(time.Second)
	}
	if !n.wake.After(now) || next.Before(n.wake) {
		n.wake = next
		n.r.at(next, func() {
			if n.wake.Equal(next) {
				n.tick()
			}
		})
	}
}

// muted counts for how long a half-open link has passed nothing; both ends then
// give it up.
func (n *wired) muted(now time.Time) {
	switch {
	case !n.up || !n.fw.HalfOpen(now):
		n.mute = time.Time{}
	case n.mute.IsZero():
		n.mute = now
		session := n.session
		n.r.in(noticed, func() {
			if n.up && n.session == session && n.fw.HalfOpen(n.r.now) {
				n.lose(false)
				n.follow()
			}
		})
	}
}

// connect logs the node in; the broker hands it its retained configuration.
func (n *wired) connect() {
	now := n.r.now
	n.up, n.session, n.opened = true, n.session+1, now
	n.r.daemon.opened(n)
	if payload := n.r.daemon.config(n.uid); payload != nil {
		n.down(wire.NodeTopic(wire.KindConfig, n.uid).String(), payload, nil)
	}
	n.send(n.fw.Connected(now))
}

// lose ends the session. A node without power says nothing, so that the broker
// finds out by the keep-alive only.
func (n *wired) lose(silently bool) {
	now := n.r.now
	n.fw.Disconnected(now)
	n.up, n.retry = false, now.Add(reconnect)
	n.session++
	opened := n.opened
	after := hop
	if silently {
		after = noticed
	}
	n.r.in(after, func() { n.r.daemon.closed(n, opened) })
}

// send brings messages of the node to the broker. A message of QoS 1 is
// acknowledged when it has been taken.
func (n *wired) send(out []Message) {
	if len(out) == 0 || !n.up || n.fw.HalfOpen(n.r.now) {
		return
	}
	session := n.session
	n.r.in(hop+n.fw.Latency(n.r.now), func() {
		for _, m := range out {
			if n.session != session || !n.r.broker {
				return
			}
			n.deliver(m, session)
		}
	})
}

func (n *wired) deliver(m Message, session uint64) {
	d := n.r.daemon
	if !d.running || d.hung {
		return // no PUBACK: the node sends it again
	}
	d.receive(n, m, func() {
		if m.ID == 0 {
			return
		}
		n.r.in(hop, func() {
			if n.session == session && !n.fw.HalfOpen(n.r.now) {
				n.send(n.fw.Acked(n.r.now, m.ID))
				n.follow()
			}
		})
	})
}

// down brings a message to the node; acked hears of its PUBACK.
func (n *wired) down(topic string, payload []byte, acked func()) {
	if !n.up {
		return
	}
	session := n.session
	n.r.in(hop, func() {
		now := n.r.now
		if n.session != session || n.fw.HalfOpen(now) || n.fw.isDead(now) {
			return
		}
		n.send(n.fw.Receive(now, topic, payload))
		n.follow()
		if acked != nil {
			n.r.in(hop, func() {
				if n.session == session {
					acked()
				}
			})
		}
	})
}
