package broker

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// place is where connections come from, for limits: an IPv4 address or an IPv6
// /64, since that is what one household or one attacker has. The zero place is
// for connections that have no address.
type place struct {
	prefix netip.Prefix
	local  bool // loopback, unix socket or in memory
}

func placeOf(a netip.AddrPort) place {
	addr := a.Addr().Unmap()
	if !addr.IsValid() {
		return place{local: true}
	}
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return place{local: addr.IsLoopback()}
	}
	return place{prefix: p, local: addr.IsLoopback()}
}

// key names the place in tables.
func (p place) key() string {
	if !p.prefix.IsValid() {
		return "@local"
	}
	return "@" + p.prefix.Addr().String()
}

func remoteOf(a net.Addr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// crowd counts the connections of one place.
type crowd struct{ all, pending int }

// gate counts connections from accept on, logged in or not, because a socket
// that says nothing costs as much as one that does.
type gate struct {
	mu    sync.Mutex
	total crowd
	by    map[place]crowd
}

// enter admits a connection or says why not.
func (g *gate) enter(p place, l *Limits) Kind {
	g.mu.Lock()
	defer g.mu.Unlock()
	here, bound := g.by[p], !p.local || l.LimitLoopback
	switch {
	case over(g.total.all, l.Connections):
		return RefusedConnections
	case bound && over(here.all, l.ConnectionsPerAddress):
		return RefusedAddress
	case over(g.total.pending, l.Pending), bound && over(here.pending, l.PendingPerAddress):
		return RefusedPending
	}
	g.total.all++
	g.total.pending++
	g.by[p] = crowd{here.all + 1, here.pending + 1}
	return ""
}

func over(n, limit int) bool { return limit >= 0 && n >= limit }

// loggedIn takes a connection out of those that are pending.
func (g *gate) loggedIn(p place) { g.add(p, 0, -1) }

// leave forgets a connection.
func (g *gate) leave(p place, pending bool) {
	if pending {
		g.add(p, -1, -1)
	} else {
		g.add(p, -1, 0)
	}
}

func (g *gate) add(p place, all, pending int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total.all += all
	g.total.pending += pending
	here := g.by[p]
	if here = (crowd{here.all + all, here.pending + pending}); here.all == 0 {
		delete(g.by, p)
	} else {
		g.by[p] = here
	}
}

func (g *gate) counts() crowd {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.total
}

// maxOffenders bounds the memory of failed logins.
const maxOffenders = 4096

type offender struct {
	place place
	login string
}

type offences struct {
	since time.Time
	n     int
}

// throttle remembers failed logins. Only a failing answer is ever held back: a
// device with the right secret behind the same router is not made to wait, and
// a secret of 256 bits is not guessed by trying.
type throttle struct {
	mu    sync.Mutex
	seen  map[offender]offences
	swept time.Time
}

// failed counts a failure and returns how long to hold the answer back: nothing
// for the first limit failures in a minute, then half a second, doubling up to four.
func (t *throttle) failed(p place, login string, limit int, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := offender{p, login[:min(len(login), 128)]}
	o, known := t.seen[k]
	if !known && len(t.seen) >= maxOffenders && !t.sweep(now) {
		k.login = ""
		o = t.seen[k]
	}
	if now.Sub(o.since) >= time.Minute {
		if o.n <= limit {
			o = offences{since: now}
		} else {
			o = offences{since: now, n: limit} // it goes on: no new free tries
		}
	}
	o.n++
	t.seen[k] = o
	if limit < 0 || o.n <= limit {
		return 0
	}
	return min(500*time.Millisecond<<min(o.n-limit-1, 3), 4*time.Second)
}

// sweep forgets old failures, at most once a second, and reports whether that made room.
func (t *throttle) sweep(now time.Time) bool {
	if now.Sub(t.swept) < time.Second {
		return false
	}
	t.swept = now
	for k, o := range t.seen {
		if now.Sub(o.since) >= 2*time.Minute {
			delete(t.seen, k)
		}
	}
	return len(t.seen) < maxOffenders
}

// bucket limits the packets of one client: it fills at a rate up to a burst.
type bucket struct {
	level float64
	at    time.Time
}

// take takes one packet and returns how long the client is to wait for it.
func (k *bucket) take(rate float64, burst int, now time.Time) time.Duration {
	if k.at.IsZero() {
		k.level = float64(burst)
	} else {
		k.level = min(k.level+now.Sub(k.at).Seconds()*rate, float64(burst))
	}
	k.at = now
	if k.level--; k.level >= 0 {
		return 0
	}
	return time.Duration(-k.level / rate * float64(time.Second))
}
