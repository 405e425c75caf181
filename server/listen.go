package server

import (
	"net"
	"sync"
)

// limited is a listener that waits with accepting while so many connections are
// open, and closes those beyond what one address may have. Loopback and unix
// sockets have no limit of their own.
type limited struct {
	net.Listener
	slots chan struct{}
	done  chan struct{}
	once  sync.Once

	mu   sync.Mutex
	each int // connections an address
	open map[string]int
}

func newLimited(l net.Listener, all, each int) *limited {
	return &limited{Listener: l, slots: make(chan struct{}, all), done: make(chan struct{}), each: each, open: map[string]int{}}
}

// enter counts a connection of an address and reports whether it may stay. An
// address without a limit is "".
func (l *limited) enter(addr string) bool {
	if addr == "" {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[addr] >= l.each {
		return false
	}
	l.open[addr]++
	return true
}

// leave gives back what enter and Accept took.
func (l *limited) leave(addr string) {
	<-l.slots
	if addr == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[addr]--; l.open[addr] <= 0 {
		delete(l.open, addr)
	}
}

// limitedAddress returns the address by which a connection is counted, "" for none.
func limitedAddress(c net.Conn) string {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok || tcp.IP.IsLoopback() {
		return ""
	}
	return tcp.IP.String()
}

// Accept waits for a slot, then for a connection.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.slots
			return nil, err //nolint:wrapcheck // net/http must see by its type that too many open files pass
		}
		addr := limitedAddress(c)
		if l.enter(addr) {
			return wrapConn(c, func() { l.leave(addr) }), nil
		}
		_ = c.Close() // it has been told nothing and is owed nothing
	}
}

// Close closes the listener; a waiting Accept returns.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// counted is a connection that gives its slot back once.
type counted struct {
	net.Conn
	once  sync.Once
	leave func()
}

// wrapConn keeps the inner connection reachable for the peer's credentials.
func wrapConn(c net.Conn, leave func()) net.Conn { return &counted{Conn: c, leave: leave} }

// Close closes the connection and gives the slot back.
func (c *counted) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}

// NetConn returns the connection underneath.
func (c *counted) NetConn() net.Conn { return c.Conn }
