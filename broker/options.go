package broker

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"time"

	"greenhouse"
)

// Authenticator checks logins. Authenticate runs on the goroutine of the
// connection, for many at once, and should not wait for long. An error that is
// [greenhouse.ErrUnavailable] tells the client to come back; every other one
// refuses the login and counts as a failure.
type Authenticator interface {
	Authenticate(login, password string, remote netip.AddrPort) (Principal, error)
}

// Principal is an authenticated login and what it may do.
type Principal struct {
	Login     string   // as it is known inside; empty means as given
	Publish   []string // topic filters it may publish to, and have a will on
	Subscribe []string // topic filters that must cover what it subscribes to
	Node      bool     // a node or a joining device: one session, client id = login; else any client id

	// Admit is called once the login is found good in every respect, before the
	// client hears of it, on the same goroutine. ErrForbidden refuses the login, any
	// other error tells the client to come back. ctx ends when the client has waited
	// long enough. Nil admits.
	Admit func(ctx context.Context) error
}

// Handler is the owner's side. See the package documentation for the goroutines
// its methods run on.
type Handler interface {
	// Receive takes a message. For QoS 1 exactly one of Ack and Fail must follow,
	// at any time, from any goroutine.
	Receive(d *Delivery)
	// SessionOpened says that a client logged in and was told so.
	SessionOpened(s Session)
	// SessionClosed says why a session ended: nil for a proper DISCONNECT,
	// [ErrTakenOver], [ErrKeepAlive], [ErrViolation] and so on.
	SessionClosed(s Session, cause error)
	// Refused reports violations, at most once a minute per client and kind.
	// It may also be called while accepting, and should not wait at all.
	Refused(r Refusal)
}

// Options are what a broker needs. Auth and Handler are required.
type Options struct {
	Auth    Authenticator
	Handler Handler
	Log     *slog.Logger     // nil discards
	Now     func() time.Time // nil is time.Now
	Limits  Limits

	// NeverRetain are topic filters on which a retained message is refused,
	// from anyone, the owner included. Nil is "gh/n/+/cmd".
	NeverRetain []string
	// Retain are topic filters on which the retain flag of a client is obeyed;
	// elsewhere the message is handled and passed on as if it had none. Nil is all topics.
	Retain []string
}

// Limits bound what clients can cost. Zero fields take the default named beside
// them, which serves 5,000 nodes behind one router; negative numbers of
// connections, rates and login failures mean no limit.
type Limits struct {
	Connections           int  // sockets in all; 10,000
	ConnectionsPerAddress int  // sockets per IPv4 address or IPv6 /64; 6,000
	Pending               int  // sockets that have not logged in; 2,000
	PendingPerAddress     int  // the same per address; 1,000
	LimitLoopback         bool // limits and rates per address and client hold for local connections too

	SessionsPerLogin int // sessions of one account; 100

	ConnectTimeout time.Duration // from accept to an authenticated CONNECT, TLS included; 5 s
	WriteTimeout   time.Duration // for one write; 5 s
	KeepAlive      time.Duration // longest keep-alive, also for clients that ask for none; 300 s

	FirstPacket int // bytes of the CONNECT packet; 4,096
	Payload     int // bytes of a payload; 65,536
	Topic       int // bytes of a topic or filter; 256
	Levels      int // levels of a topic or filter; 12

	FiltersPerPacket  int // filters in one SUBSCRIBE; 32
	FiltersPerSession int // filters of one session; 256

	Window      int     // unacknowledged QoS 1 messages of a client before its reader waits; 128
	WindowBytes int     // the same in bytes of payload; 262,144
	Rate        float64 // packets a second of one client before its reader waits; 200
	Burst       int     // packets above the rate; 1,000

	Queue          int // messages waiting to be sent to one client; 1,000
	QueueBytes     int // the same in bytes; 1,048,576
	OutboundWindow int // QoS 1 messages sent to a client and not acknowledged; 32

	Retained int // retained messages; 100,000

	LoginFailures int // failures in a minute of one login from one address before it is slowed down; 10
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Connections:           cmp.Or(l.Connections, 10_000),
		ConnectionsPerAddress: cmp.Or(l.ConnectionsPerAddress, 6_000),
		Pending:               cmp.Or(l.Pending, 2_000),
		PendingPerAddress:     cmp.Or(l.PendingPerAddress, 1_000),
		LimitLoopback:         l.LimitLoopback,
		SessionsPerLogin:      cmp.Or(l.SessionsPerLogin, 100),
		ConnectTimeout:        cmp.Or(l.ConnectTimeout, 5*time.Second),
		WriteTimeout:          cmp.Or(l.WriteTimeout, 5*time.Second),
		KeepAlive:             min(cmp.Or(l.KeepAlive, maxKeepAlive), maxKeepAlive),
		FirstPacket:           cmp.Or(l.FirstPacket, 4096),
		Payload:               cmp.Or(l.Payload, 64<<10),
		Topic:                 cmp.Or(l.Topic, 256),
		Levels:                cmp.Or(l.Levels, 12),
		FiltersPerPacket:      cmp.Or(l.FiltersPerPacket, 32),
		FiltersPerSession:     cmp.Or(l.FiltersPerSession, 256),
		Window:                cmp.Or(l.Window, 128),
		WindowBytes:           cmp.Or(l.WindowBytes, 256<<10),
		Rate:                  cmp.Or(l.Rate, 200),
		Burst:                 cmp.Or(l.Burst, 1000),
		Queue:                 cmp.Or(l.Queue, 1000),
		QueueBytes:            cmp.Or(l.QueueBytes, 1<<20),
		OutboundWindow:        cmp.Or(l.OutboundWindow, 32),
		Retained:              cmp.Or(l.Retained, 100_000),
		LoginFailures:         cmp.Or(l.LoginFailures, 10),
	}
}

// maxKeepAlive is the longest silence a client may announce.
const maxKeepAlive = 300 * time.Second

// headroom is what a packet may have beyond its payload: topic, ids and MQTT 5
// properties.
const headroom = 8 << 10

func (o Options) withDefaults() (Options, error) {
	if o.Auth == nil || o.Handler == nil {
		return o, greenhouse.Invalid("broker_options", "broker needs an authenticator and a handler")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NeverRetain == nil {
		o.NeverRetain = []string{"gh/n/+/cmd"}
	}
	o.Limits = o.Limits.withDefaults()
	return o, nil
}
