package broker

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Why a session ended; nil stands for a proper DISCONNECT.
var (
	// ErrTakenOver: the same client id logged in again.
	ErrTakenOver = errors.New("taken over by a newer connection of the same client id")
	// ErrKeepAlive: nothing was heard for one and a half keep-alive times.
	ErrKeepAlive = errors.New("silent for longer than its keep-alive")
	// ErrLost: the connection broke, or ended without DISCONNECT.
	ErrLost = errors.New("connection lost")
	// ErrSlow: the client did not read what was sent to it.
	ErrSlow = errors.New("client does not read")
	// ErrNotStored: a message could not be kept, so it was not acknowledged.
	ErrNotStored = errors.New("message not stored")
	// ErrViolation: the client broke a rule; a Refusal says which.
	ErrViolation = errors.New("rule broken")
	// ErrPanic: handling one of its packets went wrong; a Refusal tells of it.
	ErrPanic = errors.New("fault while handling a packet")
	// ErrShutdown: the broker was closed.
	ErrShutdown = errors.New("broker closed")
)

// errClosed answers writes to a connection that is closing.
var errClosed = errors.New("connection closed")

// conn is a connection, from accept on. Reads are framed and bounded, writes go to
// the outbox and never wait, deadlines are kept here. What mochi sees of it is its handshake.
type conn struct {
	Conn     net.Conn // with TLS, if any
	raw      net.Conn
	sock     *socket // nil with TLS, and where there is no descriptor
	b        *Broker
	listener string
	secure   bool
	remote   netip.AddrPort
	place    place
	seq      uint64 // order of arrival
	deadline time.Time

	ctx    context.Context
	cancel context.CancelFunc
	out    outbox

	// Of the reading goroutine alone.
	first   []byte // of the first packet, what mochi has not read yet; nil if none came
	connect []byte // the first packet behind its fixed header, until login
	in      input
	version byte
	client  *mqtt.Client
	bucket  bucket

	sess *session // set once, before the session can be found by others

	mu        sync.Mutex
	open      bool // logged in
	closed    bool
	cause     error
	keepAlive time.Duration
	refreshed time.Time
}

// Close ends the connection once what is queued as control bytes is out.
func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.out.close()
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // the reader stops now
	return nil
}

// heard moves the deadline when a packet is done with: until login the one set at
// accept holds, and after it the next packet must be here within one and a half
// keep-alive times. A packet that trickles in does not prolong that.
func (c *conn) heard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open || c.closed {
		return
	}
	// Moving a deadline costs as much as handling a small packet: once in a while will do.
	slack := min(c.keepAlive/8, time.Second)
	now := time.Now()
	if now.Sub(c.refreshed) < slack {
		return
	}
	c.refreshed = now
	_ = c.Conn.SetReadDeadline(now.Add(c.keepAlive*3/2 + slack)) // it fails on closed connections alone
}

// loggedIn replaces the deadline to login by the keep-alive.
func (c *conn) loggedIn(keepAlive time.Duration) {
	c.mu.Lock()
	c.open, c.keepAlive = true, keepAlive
	c.refreshed = time.Time{}
	c.mu.Unlock()
	c.heard()
}

// because keeps the first reason for which the connection ends.
func (c *conn) because(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = cause
	}
}

// fail ends the connection at once.
func (c *conn) fail(cause error) {
	c.because(cause)
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.out.kill()
}

// disconnect ends the connection and tells the client why, if it speaks MQTT 5.
func (c *conn) disconnect(code byte, cause error) {
	c.because(cause)
	if c.version >= 5 && c.sess != nil {
		_ = c.out.writeControl(appendDisconnect(nil, code))
	}
	_ = c.Close()
}

// violate ends the connection of a client that broke a rule.
func (c *conn) violate(code byte) { c.disconnect(code, ErrViolation) }

// ended says why the session ended, given the error the reading loop stopped with.
func (c *conn) ended(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.cause != nil:
		return c.cause
	case c.sess != nil && c.sess.goodbye:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrKeepAlive
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, errClosed), isNetError(err):
		return ErrLost
	}
	return ErrViolation // a packet was refused
}

// malformed reports whether err, from mochi, speaks of the CONNECT and not of the connection.
func malformed(err error) bool {
	switch {
	case err == nil, errors.Is(err, packets.ErrRejectPacket), errors.Is(err, ErrPanic), errors.Is(err, errClosed),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), isTimeout(err), isNetError(err),
		errors.Is(err, packets.CodeDisconnectWillMessage), errors.Is(err, mqtt.ErrConnectionClosed):
		return false
	}
	return !errors.Is(err, errPacketLarge) && !errors.Is(err, errPacketLength) // counted where they were found
}

func isNetError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, io.ErrClosedPipe)
}

func writeCause(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrSlow
	}
	return ErrLost
}

// wait waits for d, or until the connection ends.
func (c *conn) wait(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-c.ctx.Done():
		return errClosed
	}
}
