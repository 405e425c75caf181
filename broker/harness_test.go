package broker_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/broker"
)

// The logins of these tests. Every password is the login with "-secret" behind it.
const (
	nodeA  = "ph-a4cf12b3de01"
	nodeB  = "climate-a4cf12b3de02"
	bridge = "bridge"
	reader = "reader" // an account that may read all and write nothing
)

type auth struct {
	mu   sync.Mutex
	down bool
	wait func() // before every answer
}

func (a *auth) Authenticate(login, password string, _ netip.AddrPort) (broker.Principal, error) {
	if a.wait != nil {
		a.wait()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return broker.Principal{}, greenhouse.Unavailable("store_down", "the registry is not there")
	}
	if password != login+"-secret" {
		return broker.Principal{}, greenhouse.Forbidden("login_wrong", "wrong login")
	}
	switch login {
	case bridge:
		return broker.Principal{Login: login, Publish: []string{"gh/#", "bridge/#"}, Subscribe: []string{"gh/#", "bridge/#"}}, nil
	case reader, "ph":
		return broker.Principal{Login: login, Subscribe: []string{"gh/n/+/status", "gh/n/+/telemetry", "gh/n/+/telemetry/+"}}, nil
	}
	t := "gh/n/" + login
	return broker.Principal{
		Login: login, Node: true,
		Publish:   []string{t + "/status", t + "/telemetry", t + "/telemetry/+", t + "/event", t + "/config/report", t + "/cmd/report", t + "/time"},
		Subscribe: []string{t + "/config", t + "/cmd", t + "/time/reply"},
	}, nil
}

// recorder is the owner in these tests. Unless hold is set it acknowledges at once.
type recorder struct {
	hold    bool
	onRecv  func(*broker.Delivery)
	got     chan *broker.Delivery
	opened  chan broker.Session
	closed  chan closing
	refused chan broker.Refusal
}

type closing struct {
	broker.Session
	Cause error
}

func newRecorder() *recorder {
	return &recorder{got: make(chan *broker.Delivery, 100_000), opened: make(chan broker.Session, 10_000), closed: make(chan closing, 10_000), refused: make(chan broker.Refusal, 10_000)}
}

func (r *recorder) Receive(d *broker.Delivery) {
	if r.onRecv != nil {
		r.onRecv(d)
	}
	r.got <- d
	if !r.hold {
		d.Ack()
	}
}
func (r *recorder) SessionOpened(s broker.Session)              { r.opened <- s }
func (r *recorder) SessionClosed(s broker.Session, cause error) { r.closed <- closing{s, cause} }
func (r *recorder) Refused(x broker.Refusal)                    { r.refused <- x }

// house is a broker that listens.
type house struct {
	*broker.Broker
	t    testing.TB
	rec  *recorder
	auth *auth
	dial func() (net.Conn, error)
}

// start runs a broker on loopback and closes it when the test ends.
func start(t testing.TB, edit ...func(*broker.Options, *recorder)) *house {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, l, func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }, edit...)
}

func startOn(t testing.TB, l net.Listener, dial func() (net.Conn, error), edit ...func(*broker.Options, *recorder)) *house {
	t.Helper()
	h := &house{t: t, rec: newRecorder(), auth: &auth{}, dial: dial}
	o := broker.Options{Auth: h.auth, Handler: h.rec}
	for _, e := range edit {
		e(&o, h.rec)
	}
	var err error
	if h.Broker, err = broker.New(o); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return h
}

// pipes is a listener in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return pipeAddr{} }
func (p *pipes) Dial() (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// raw is a client that sends what the test wants, right or wrong.
type raw struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
	v byte
}

func (h *house) raw() *raw {
	h.t.Helper()
	c, err := h.dial()
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return &raw{Conn: c, t: h.t, r: bufio.NewReader(c), v: 4}
}

// login connects and expects to be let in.
func (h *house) login(v byte, login string, edit ...func(*hello)) *raw {
	h.t.Helper()
	c := h.raw()
	c.hello(v, login, edit...)
	if got, want := c.connack(), byte(0); got != want {
		h.t.Fatalf("CONNACK of %s: got code %#x, want %#x", login, got, want)
	}
	return c
}

// packet is what came from the broker.
type packet struct {
	kind byte // high nibble of the first byte
	head byte
	body []byte
}

func (c *raw) send(b ...byte) {
	c.t.Helper()
	c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(b); err != nil {
		c.t.Logf("write: %v", err)
	}
}

func (c *raw) read() (packet, error) {
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	head, err := c.r.ReadByte()
	if err != nil {
		return packet{}, err
	}
	n, err := binary.ReadUvarint(c.r)
	if err != nil {
		return packet{}, err
	}
	p := packet{head >> 4, head, make([]byte, n)}
	_, err = io.ReadFull(c.r, p.body)
	return p, err
}

// want reads a packet of that kind.
func (c *raw) want(kind byte) packet {
	c.t.Helper()
	p, err := c.read()
	if err != nil {
		c.t.Fatalf("waiting for packet type %d: %v", kind, err)
	}
	if p.kind != kind {
		c.t.Fatalf("got packet type %d (%x), want %d", p.kind, p.body, kind)
	}
	return p
}

// gone reads until the broker closes, and returns the packets before that.
func (c *raw) gone() []packet {
	c.t.Helper()
	var all []packet
	for {
		p, err := c.read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatal("the broker did not close the connection")
		}
		if err != nil {
			return all
		}
		all = append(all, p)
	}
}

// connack returns the code of the CONNACK.
func (c *raw) connack() byte { c.t.Helper(); return c.want(2).body[1] }

// ping shows that the connection lives, that everything before was handled and
// that nothing else came. Answers overtake messages, so it takes two.
func (c *raw) ping() {
	c.t.Helper()
	for range 2 {
		c.send(0xc0, 0)
		c.want(13)
	}
}

// hello is a CONNECT.
type hello struct {
	name                string
	level               byte
	id, user, pass      string
	noUser, noPass      bool
	keepAlive           uint16
	clean               bool
	will                bool
	willTopic, willText string
	willQoS             byte
	willRetain          bool
	props, willProps    []byte
	extraFlags          byte
}

func (c *raw) hello(v byte, login string, edit ...func(*hello)) {
	c.t.Helper()
	c.v = v
	h := hello{name: "MQTT", level: v, id: login, user: login, pass: login + "-secret", keepAlive: 30, clean: true}
	for _, e := range edit {
		e(&h)
	}
	c.send(h.bytes()...)
}

func (h hello) bytes() []byte {
	flags := h.extraFlags
	set := func(on bool, bit byte) {
		if on {
			flags |= bit
		}
	}
	set(h.clean, 2)
	set(h.will, 4)
	set(h.willRetain, 32)
	set(!h.noPass, 64)
	set(!h.noUser, 128)
	flags |= h.willQoS << 3
	b := append(text(h.name), h.level, flags, byte(h.keepAlive>>8), byte(h.keepAlive))
	if h.level >= 5 {
		b = append(b, counted(h.props)...)
	}
	b = append(b, text(h.id)...)
	if h.will {
		if h.level >= 5 {
			b = append(b, counted(h.willProps)...)
		}
		b = append(append(b, text(h.willTopic)...), text(h.willText)...)
	}
	if !h.noUser {
		b = append(b, text(h.user)...)
	}
	if !h.noPass {
		b = append(b, text(h.pass)...)
	}
	return frame(0x10, b)
}

func text(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

func counted(b []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(b))), b...) }

func frame(head byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{head}, uint64(len(body))), body...)
}

// pub makes a PUBLISH; flags are those of the first byte.
func (c *raw) pub(flags byte, id uint16, topic, payload string) []byte {
	b := text(topic)
	if flags&6 != 0 {
		b = append(b, byte(id>>8), byte(id))
	}
	if c.v >= 5 {
		b = append(b, 0)
	}
	return frame(0x30|flags, append(b, payload...))
}

// sub makes a SUBSCRIBE for QoS 1.
func (c *raw) sub(id uint16, filters ...string) []byte {
	b := []byte{byte(id >> 8), byte(id)}
	if c.v >= 5 {
		b = append(b, 0)
	}
	for _, f := range filters {
		b = append(append(b, text(f)...), 1)
	}
	return frame(0x82, b)
}

// subscribe subscribes and returns the codes of the SUBACK.
func (c *raw) subscribe(filters ...string) []byte {
	c.t.Helper()
	c.send(c.sub(7, filters...)...)
	b := c.want(9).body[2:]
	if c.v >= 5 {
		b = b[1:]
	}
	return b
}

// message splits a PUBLISH that came.
func (c *raw) message() (topic, payload string, id uint16, head byte) {
	c.t.Helper()
	p := c.want(3)
	n := int(binary.BigEndian.Uint16(p.body))
	topic, b := string(p.body[2:2+n]), p.body[2+n:]
	if p.head&6 != 0 {
		id, b = binary.BigEndian.Uint16(b), b[2:]
	}
	if c.v >= 5 {
		l, k := binary.Uvarint(b)
		b = b[k+int(l):]
	}
	return topic, string(b), id, p.head
}

// next takes from a channel of the recorder.
func next[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// nextRefusal waits for a refusal of that kind.
func (h *house) nextRefusal(kind broker.Kind) broker.Refusal {
	h.t.Helper()
	for {
		if r := next(h.t, h.rec.refused); r.Kind == kind {
			return r
		}
	}
}
