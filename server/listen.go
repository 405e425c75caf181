package server

import (
	"fmt"
	"net"
	"sync"
)

// limited is a listener that waits with accepting while n connections are open.
type limited struct {
	net.Listener
	slots chan struct{}
	done  chan struct{}
	once  sync.Once
}

func newLimited(l net.Listener, n int) *limited {
	return &limited{Listener: l, slots: make(chan struct{}, n), done: make(chan struct{})}
}

// Accept waits for a slot, then for a connection.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, fmt.Errorf("accept: %w", err)
	}
	return wrapConn(c, func() { <-l.slots }), nil
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
