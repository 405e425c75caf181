package sim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"greenhouse"
)

// Session is one login at the broker.
type Session struct {
	Login  string // also the client id
	Secret string
	Will   *Message // nil: none

	// Receive is called with what arrives on a subscribed topic, in order; the
	// message is acknowledged when it returns. Acked is called with the ID of
	// each message that has its PUBACK. Both come from goroutines of the link.
	Receive func(topic string, payload []byte)
	Acked   func(id uint64)
}

// Link is a session that is up.
type Link interface {
	Subscribe(ctx context.Context, topics ...string) error
	Publish(m Message) error // returns before the PUBACK
	Done() <-chan struct{}   // closed when the link is lost or closed
	Close(clean bool)        // clean: with a DISCONNECT, so that the will is not published
	Stall(stalled bool)      // while stalled the connection stands and nothing passes
}

// Dialer opens links.
type Dialer interface {
	Dial(ctx context.Context, s Session) (Link, error)
}

var _ Dialer = MQTT{}

// MQTT dials a broker by MQTT 3.1.1. The zero value of every field but Address
// is good.
type MQTT struct {
	Address   string                                      // host:port
	TLS       *tls.Config                                 // nil: plain TCP
	Open      func(ctx context.Context) (net.Conn, error) // nil: dial TCP; else Address is not used, as for a broker in memory
	KeepAlive time.Duration                               // 0 is 30 s
	Timeout   time.Duration                               // for each step of connecting and for writes; 0 is 10 s
}

// withDefaults fills in what is zero.
func (d MQTT) withDefaults() MQTT {
	if d.KeepAlive == 0 {
		d.KeepAlive = 30 * time.Second
	}
	if d.Timeout == 0 {
		d.Timeout = 10 * time.Second
	}
	if d.Open == nil {
		address := d.Address
		d.Open = func(ctx context.Context) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", address)
		}
	}
	return d
}

// Dial connects and logs in. A login that is refused is ErrForbidden, a broker
// that cannot be reached ErrUnavailable.
func (d MQTT) Dial(ctx context.Context, s Session) (Link, error) {
	d = d.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	conn, err := d.open(ctx)
	if err != nil {
		return nil, greenhouse.Unavailable("broker_unreachable", "connect to the broker: %v", err)
	}
	l := &link{valve: &valve{Conn: conn, closed: make(chan struct{})}, done: make(chan struct{}), timeout: d.Timeout, acked: s.Acked, acks: make(chan ack, 1024)}
	l.client = mqtt.NewClient(l.options(d, s))
	if err := wait(ctx, l.client.Connect()); err != nil {
		l.Close(false)
		return nil, refused(s.Login, err)
	}
	go l.awaitAcks()
	return l, nil
}

// open returns the connection, TLS included.
func (d MQTT) open(ctx context.Context) (net.Conn, error) {
	conn, err := d.Open(ctx)
	if err != nil || d.TLS == nil {
		return conn, err
	}
	secure := tls.Client(conn, d.TLS)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("shake hands by TLS: %w", err)
	}
	return secure, nil
}

// refused tells a refused login from a broker that does not answer.
func refused(login string, err error) error {
	if errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword) || errors.Is(err, packets.ErrorRefusedNotAuthorised) {
		return greenhouse.Forbidden("login_refused", "the broker refused the login %q: %v", login, err)
	}
	return greenhouse.Unavailable("broker_unreachable", "log in at the broker: %v", err)
}

// link is a session of the paho client, which keeps no state of its own: what
// is not acknowledged is the node's to send again.
type link struct {
	client  mqtt.Client
	valve   *valve
	timeout time.Duration
	acked   func(uint64)
	acks    chan ack
	once    sync.Once
	done    chan struct{}
}

// ack is a publication whose PUBACK is awaited.
type ack struct {
	id    uint64
	token mqtt.Token
}

// options configures paho: one connection, no retry, no store, no order of its
// own.
func (l *link) options(d MQTT, s Session) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions()
	o.Servers = []*url.URL{{Scheme: "tcp", Host: "broker"}}
	o.ClientID, o.Username, o.Password = s.Login, s.Login, s.Secret
	o.SetProtocolVersion(4).SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false)
	o.SetKeepAlive(d.KeepAlive).SetPingTimeout(d.Timeout).SetConnectTimeout(d.Timeout).SetWriteTimeout(d.Timeout)
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return l.valve, nil })
	o.SetConnectionLostHandler(func(mqtt.Client, error) { l.lost() })
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { s.Receive(m.Topic(), m.Payload()) })
	if s.Will != nil {
		o.SetBinaryWill(s.Will.Topic, s.Will.Payload, s.Will.QoS, s.Will.Retain)
	}
	return o
}

// lost marks the link as gone, once.
func (l *link) lost() { l.once.Do(func() { close(l.done) }) }

// Done is closed when the link is lost or closed.
func (l *link) Done() <-chan struct{} { return l.done }

// Subscribe subscribes to all topics in one packet.
func (l *link) Subscribe(ctx context.Context, topics ...string) error {
	filters := make(map[string]byte, len(topics))
	for _, t := range topics {
		filters[t] = 1
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	token := l.client.SubscribeMultiple(filters, nil)
	if err := wait(ctx, token); err != nil {
		return greenhouse.Unavailable("subscribe_failed", "subscribe to %v: %v", topics, err)
	}
	if t, ok := token.(*mqtt.SubscribeToken); ok {
		for topic, qos := range t.Result() {
			if qos > 2 {
				return greenhouse.Forbidden("subscribe_refused", "the broker refused the subscription to %s", topic)
			}
		}
	}
	return nil
}

// Publish hands a message to the connection.
func (l *link) Publish(m Message) error {
	select {
	case <-l.done:
		return errLinkLost
	default:
	}
	token := l.client.Publish(m.Topic, m.QoS, m.Retain, m.Payload)
	if m.ID == 0 || m.QoS == 0 {
		return nil
	}
	select {
	case l.acks <- ack{m.ID, token}:
		return nil
	case <-l.done:
		return errLinkLost
	}
}

// errLinkLost is the answer of a link that is gone.
var errLinkLost = fmt.Errorf("the link to the broker is lost: %w", greenhouse.ErrUnavailable)

// awaitAcks passes on the PUBACKs, in the order of the publications, until the
// link is gone.
func (l *link) awaitAcks() {
	for {
		select {
		case <-l.done:
			return
		case a := <-l.acks:
			select {
			case <-a.token.Done():
				if a.token.Error() == nil {
					l.acked(a.id)
				}
			case <-l.done:
				return
			}
		}
	}
}

// Close ends the link, with a DISCONNECT where clean and the broker listens.
func (l *link) Close(clean bool) {
	if !clean {
		_ = l.valve.Close()
	}
	l.client.Disconnect(250)
	_ = l.valve.Close()
	l.lost()
}

// Stall makes the connection half-open, or passes on again what arrives.
func (l *link) Stall(stalled bool) { l.valve.shut.Store(stalled) }

// wait waits for a token.
func wait(ctx context.Context, t mqtt.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// valve is a connection that can be made half-open: it then swallows what is
// written and what arrives, as a network does that lost the way back.
type valve struct {
	net.Conn
	shut   atomic.Bool
	once   sync.Once
	closed chan struct{}
}

// Read reads what arrives while the valve is open.
func (v *valve) Read(b []byte) (int, error) {
	for {
		n, err := v.Conn.Read(b)
		if err != nil || !v.shut.Load() {
			return n, err
		}
	}
}

// Write writes, or pretends to.
func (v *valve) Write(b []byte) (int, error) {
	if v.shut.Load() {
		select {
		case <-v.closed:
			return 0, net.ErrClosed
		default:
			return len(b), nil
		}
	}
	return v.Conn.Write(b)
}

// Close closes the connection, once.
func (v *valve) Close() error {
	var err error
	v.once.Do(func() {
		close(v.closed)
		err = v.Conn.Close()
	})
	return err
}
