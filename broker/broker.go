package broker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// Broker accepts MQTT clients. Make one with [New].
type Broker struct {
	opts     Options
	mochi    *mqtt.Server
	index    index
	retained retained
	table    table
	gate     gate
	throttle throttle
	reporter reporter
	stats    counters
	buffers  sync.Pool // to write from
	readers  sync.Pool // to read into
	flushers flushers

	seq  atomic.Uint64
	work sync.WaitGroup // connections and writers

	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	done      chan struct{} // closed by Close
	once      sync.Once
}

// New returns a broker that listens nowhere yet.
func New(o Options) (*Broker, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Broker{
		opts:      o,
		retained:  retained{by: map[string]*message{}, max: o.Limits.Retained},
		table:     table{by: map[string]*session{}, count: map[string]int{}, expelled: map[string]uint64{}},
		gate:      gate{by: map[place]crowd{}},
		throttle:  throttle{seen: map[offender]offences{}},
		reporter:  reporter{totals: map[Kind]uint64{}, seen: map[reporterKey]report{}},
		listeners: map[net.Listener]struct{}{},
		conns:     map[*conn]struct{}{},
		done:      make(chan struct{}),
	}
	b.mochi = mqtt.New(&mqtt.Options{
		Capabilities:            capabilities(&o.Limits),
		ClientNetReadBufferSize: 64,                            // publishes never get there, and the rest is small
		Logger:                  slog.New(slog.DiscardHandler), // its messages hold packets, and packets hold secrets
	})
	if err := b.mochi.AddHook(&hook{b: b}, nil); err != nil {
		return nil, fmt.Errorf("prepare broker: %w", err)
	}
	return b, nil
}

// capabilities are what mochi enforces and announces itself. What it queues is
// nothing, so its queues have no size.
func capabilities(l *Limits) *mqtt.Capabilities {
	c := mqtt.NewDefaultServerCapabilities()
	c.MaximumPacketSize = uint32(l.Payload + headroom + 5)
	c.MaximumClientWritesPending = 1
	c.MaximumSessionExpiryInterval = 0
	c.MaximumMessageExpiryInterval = 0
	c.MaximumQos = 1
	c.MinimumProtocolVersion = 4
	c.ReceiveMaximum = uint16(min(l.Window, 65535))
	c.TopicAliasMaximum = 0
	c.SharedSubAvailable = 0
	c.SubIDAvailable = 0
	return c
}

// Serve accepts clients on l until l fails or the broker is closed, and closes
// l. Once the broker is closed it returns nil. It may be called for several listeners at once.
func (b *Broker) Serve(l net.Listener) error { return b.serve(l, nil) }

// ServeTLS is Serve behind TLS 1.2 or newer. The handshake is part of the time
// a client has for its login. To renew a certificate, set cfg.GetCertificate.
func (b *Broker) ServeTLS(l net.Listener, cfg *tls.Config) error {
	cfg = cfg.Clone()
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	return b.serve(l, cfg)
}

func (b *Broker) serve(l net.Listener, cfg *tls.Config) error {
	defer func() { _ = l.Close() }()
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.listeners[l] = struct{}{}
	b.work.Add(1)
	b.mu.Unlock()
	defer b.work.Done()
	defer func() {
		b.mu.Lock()
		delete(b.listeners, l)
		b.mu.Unlock()
	}()
	return b.accept(l, cfg)
}

// accept takes connections. Running out of files or memory is survived: it waits, at most a
// second, and tries again; mochi's own listeners end for ever.
func (b *Broker) accept(l net.Listener, cfg *tls.Config) error {
	const longest = time.Second
	pause := 5 * time.Millisecond
	var logged time.Time
	for {
		raw, err := l.Accept()
		switch {
		case err == nil:
			pause = 5 * time.Millisecond
			b.admit(l, raw, cfg)
			continue
		case b.isClosed():
			return nil
		case !passing(err):
			return fmt.Errorf("accept mqtt connections on %s: %w", l.Addr(), err)
		}
		b.stats.acceptErrors.Add(1)
		if now := time.Now(); now.Sub(logged) > time.Minute {
			logged = now
			b.opts.Log.Warn("cannot accept connections for now", "listener", l.Addr().String(), "error", err)
		}
		select {
		case <-b.done:
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

// passing reports whether accepting may work again later.
func passing(err error) bool {
	for _, e := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.ECONNABORTED, syscall.EINTR, syscall.EPERM, syscall.EPROTO,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// admit counts a connection in or closes it.
func (b *Broker) admit(l net.Listener, raw net.Conn, cfg *tls.Config) {
	c := &conn{
		Conn: secured(raw, cfg), raw: raw, b: b, listener: l.Addr().String(), secure: cfg != nil,
		remote: remoteOf(raw.RemoteAddr()), seq: b.seq.Add(1), deadline: time.Now().Add(b.opts.Limits.ConnectTimeout),
	}
	c.place = placeOf(c.remote)
	c.out.c = c
	if cfg == nil {
		c.sock = newSocket(b, raw)
	}
	if kind := b.gate.enter(c.place, &b.opts.Limits); kind != "" {
		raw.Close()
		b.refuse(c, kind, "", "too many connections")
		return
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		c.cancel()
		raw.Close()
		b.gate.leave(c.place, true)
		return
	}
	b.conns[c] = struct{}{}
	b.work.Add(1)
	go b.run(c)
}

func secured(raw net.Conn, cfg *tls.Config) net.Conn {
	if cfg == nil {
		return raw
	}
	return tls.Server(raw, cfg)
}

// run is the life of a connection: on this goroutine the login, which takes a large
// stack, and on one of its own all that follows. Whatever goes wrong in it ends this
// connection and nothing else.
func (b *Broker) run(c *conn) {
	if err := b.greet(c); err != nil {
		b.finish(c, err)
		return
	}
	go func() { b.finish(c, b.attend(c)) }()
}

func (b *Broker) finish(c *conn, err error) {
	defer b.work.Done()
	defer func() {
		b.mu.Lock()
		delete(b.conns, c)
		b.mu.Unlock()
	}()
	b.end(c, err)
}

// greet lets the connection log in. A panic (mochi has decoders that do) becomes ErrPanic.
func (b *Broker) greet(c *conn) (err error) {
	defer b.recoverFrom(c, &err)
	_ = c.raw.SetReadDeadline(c.deadline)
	if c.sock == nil { // a handshake writes too; any write that may wait sets its own deadline after it
		_ = c.raw.SetWriteDeadline(c.deadline)
	}
	if t, ok := c.Conn.(*tls.Conn); ok {
		if err := t.HandshakeContext(c.ctx); err != nil {
			b.refuse(c, RefusedTLS, "", "handshake went wrong")
			return err
		}
	}
	first, err := readFirst(c.Conn, b.opts.Limits.FirstPacket)
	if err != nil {
		b.refuseFirst(c, err)
		return err
	}
	c.first = first
	c.connect = first[headerLen(first):]
	if err := b.checkProtocol(c); err != nil {
		return err
	}
	err = b.mochi.EstablishConnection(c.listener, handshake{c})
	if c.established() {
		c.first, c.client = nil, nil // and with them the secret and all that mochi made
		return nil
	}
	return cmp.Or(err, errClosed)
}

// attend handles what the client sends. A panic becomes ErrPanic.
func (b *Broker) attend(c *conn) (err error) {
	defer b.recoverFrom(c, &err)
	return c.listen()
}

// recoverFrom turns a panic into an error and tells of it.
func (b *Broker) recoverFrom(c *conn, err *error) {
	p := recover()
	if p == nil {
		return
	}
	*err = ErrPanic
	c.because(ErrPanic)
	b.stats.panics.Add(1)
	defer func() { _ = recover() }() // should it be the handler that panics
	b.opts.Log.Error("fault while handling a connection",
		"remote", c.remote.String(), "fault", fmt.Sprint(p), "stack", string(debug.Stack()))
	b.refuse(c, RefusedPanic, "", "packet that cannot be handled")
}

func headerLen(packet []byte) int {
	n := 1
	for packet[n]&0x80 != 0 {
		n++
	}
	return n + 1
}

// refuseFirst counts what came instead of a CONNECT. A connection that just
// closes again is no violation: that is how port checks look.
func (b *Broker) refuseFirst(c *conn, err error) {
	switch {
	case errors.Is(err, errPacketLarge):
		b.refuse(c, RefusedPacketSize, "", "first packet too large")
	case errors.Is(err, errFirstPacket), errors.Is(err, errPacketLength):
		b.refuse(c, RefusedMalformed, "", err.Error())
	case isTimeout(err):
		b.refuse(c, RefusedTimeout, "", "no login in time")
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// opened makes a session known once its CONNACK is queued.
func (b *Broker) opened(c *conn) {
	s := c.sess
	b.gate.loggedIn(c.place)
	s.opened.Store(true)
	c.connect = nil
	c.loggedIn(s.KeepAlive)
	b.opts.Handler.SessionOpened(s.Session)
}

// end removes everything of a connection. The order matters: no message reaches
// it any more, its will is handed over, its owner is told, and only then may
// a newer session of the same client id begin.
func (b *Broker) end(c *conn, err error) {
	s := c.sess
	opened := s != nil && s.opened.Load()
	if errors.Is(err, errMalformed) || !opened && c.first != nil && malformed(err) {
		c.because(ErrViolation)
		b.refuse(c, RefusedMalformed, "", "packet that cannot be decoded")
	}
	_ = c.Close()
	defer b.gate.leave(c.place, !opened) // counted until nothing is left
	if s == nil {
		return
	}
	defer b.table.release(s)
	s.acks.freeze()
	for f := range s.filters {
		b.index.remove(f, s)
	}
	if c.client != nil {
		if held, ok := b.mochi.Clients.Get(s.key); ok && held == c.client {
			b.mochi.Clients.Delete(s.key) // only after a panic: mochi did not get to it
		}
	}
	if opened {
		b.farewell(c, s, err)
	}
}

func (b *Broker) farewell(c *conn, s *session, err error) {
	cause := c.ended(err)
	var ignored error
	defer b.recoverFrom(c, &ignored)
	switch {
	case errors.Is(cause, ErrTakenOver):
		b.stats.takenOver.Add(1) // the client lives: its will is not due
	case !errors.Is(cause, ErrShutdown): // nor when it is us who leave
		b.publishWill(s)
	}
	b.opts.Handler.SessionClosed(s.Session, cause)
}

// Sessions returns who is logged in, in no order.
func (b *Broker) Sessions() []Session {
	var list []Session
	for _, s := range b.table.all("") {
		if s.opened.Load() {
			list = append(list, s.Session)
		}
	}
	return list
}

// Disconnect closes every session of a login, for a reason that SessionClosed
// is given, and returns how many there were. A login whose credentials are just
// being checked is turned away as well, so that after a change of secret nobody is left who
// knew only the old one. MQTT 5 clients are told that it was an
// administrative action. It does not wait for them to be gone.
func (b *Broker) Disconnect(login string, reason error) int {
	if login == "" {
		return 0
	}
	list := b.table.expel(login)
	for _, s := range list {
		s.c.disconnect(codeAdministrative, reason)
	}
	return len(list)
}

func (b *Broker) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// Close stops accepting, closes every client (wills are not published: it is not
// they who vanished) and waits until nothing of them runs any more, or ctx ends.
// Deliveries that are still open may be settled afterwards; nobody is told. Closing
// again does nothing.
func (b *Broker) Close(ctx context.Context) error {
	b.once.Do(b.shut)
	idle := make(chan struct{})
	go func() {
		b.work.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		b.abandon()
		return fmt.Errorf("close broker: %w", ctx.Err())
	}
}

func (b *Broker) shut() {
	for _, s := range b.table.close() {
		s.c.disconnect(codeShuttingDown, ErrShutdown)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	close(b.done)
	for l := range b.listeners {
		_ = l.Close()
	}
	for c := range b.conns {
		c.because(ErrShutdown)
		_ = c.Close()
	}
}

// abandon cuts what does not end by itself.
func (b *Broker) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		c.fail(ErrShutdown)
	}
}

// buffer lends memory for writing; most connections have nothing to write most of the time.
func (b *Broker) buffer() *[]byte {
	if p, ok := b.buffers.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, 0, 2048)
	return &p
}

func (b *Broker) release(p *[]byte) {
	if cap(*p) <= 4*batchBytes {
		b.buffers.Put(p)
	}
}
