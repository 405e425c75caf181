package sim

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"greenhouse"
	"greenhouse/wire"
)

// ClientOptions describe a node that connects by itself.
type ClientOptions struct {
	HardwareID greenhouse.HardwareID
	Type       greenhouse.NodeType
	Name, HW   string
	Token      string          // the join token, to get a secret with; "" waits for none
	Secret     string          // the node's own, where it has joined before
	Firmware   FirmwareOptions // its UID follows from Type and HardwareID
	Dialer     Dialer

	Now    func() time.Time    // nil is time.Now
	Log    *slog.Logger        // nil logs nothing
	Joined func(secret string) // called once with the secret of a join, to keep it; nil keeps it in memory
	Retry  time.Duration       // first wait after a lost link, doubled up to 30 s; 0 is 1 s
}

// Client runs a [Firmware] on a link: it joins, logs in, and logs in again. Run
// is its one goroutine; the other methods may be called at any time.
type Client struct {
	o      ClientOptions
	mu     sync.Mutex // guards fw and secret
	fw     *Firmware
	secret string
	wake   chan struct{}
	late   []lateMessage // of the Latency fault, in order; Run's alone
}

// lateMessage is a message that has not left yet.
type lateMessage struct {
	Message
	due time.Time
}

// clientEvent is something that the link reports: a message, or a PUBACK.
type clientEvent struct {
	topic   string
	payload []byte
	acked   uint64
}

// NewClient makes the node and boots its firmware; it is not connected before
// Run.
func NewClient(o ClientOptions) *Client {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Retry == 0 {
		o.Retry = time.Second
	}
	o.Firmware.UID = greenhouse.MakeUID(o.Type, o.HardwareID)
	return &Client{o: o, fw: NewFirmware(o.Firmware, o.Now()), secret: o.Secret, wake: make(chan struct{}, 1)}
}

// UID returns the node's uid.
func (c *Client) UID() greenhouse.UID { return c.o.Firmware.UID }

// Secret returns the node's secret, "" before it has joined.
func (c *Client) Secret() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.secret
}

// Do calls fn with the firmware, which is the caller's until fn returns.
func (c *Client) Do(fn func(f *Firmware, now time.Time)) {
	c.mu.Lock()
	fn(c.fw, c.o.Now())
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Inject adds faults to those the node has.
func (c *Client) Inject(faults ...NodeFault) {
	c.Do(func(f *Firmware, _ time.Time) { f.Inject(faults...) })
}

// Run keeps the node alive until ctx ends, then disconnects in order. It returns
// nil, or the reason for which no secret can be had.
func (c *Client) Run(ctx context.Context) error {
	wait := c.o.Retry
	for ctx.Err() == nil {
		if !c.linkUp() {
			c.idle(ctx, time.Second)
			continue
		}
		began := c.o.Now()
		err := c.connect(ctx)
		var e *greenhouse.Error
		if errors.As(err, &e) && e.Code == "identity_conflict" {
			return err
		}
		if err != nil && ctx.Err() == nil {
			c.o.Log.Debug("node has no link", "uid", c.UID(), "err", err)
		}
		if c.o.Now().Sub(began) > time.Minute {
			wait = c.o.Retry
		}
		c.idle(ctx, wait)
		wait = min(2*wait, 30*time.Second)
	}
	return nil
}

// connect joins where needed, logs in, and stays until the link is lost.
func (c *Client) connect(ctx context.Context) error {
	if c.Secret() == "" {
		if err := c.join(ctx); err != nil {
			return err
		}
	}
	events, over := make(chan clientEvent, 256), make(chan struct{})
	defer close(over)
	post := func(e clientEvent) {
		select {
		case events <- e:
		case <-over: // the session is over, and so is what it said
		}
	}
	will := c.fw.Will()
	link, err := c.o.Dialer.Dial(ctx, Session{Login: string(c.UID()), Secret: c.Secret(), Will: &will,
		Receive: func(topic string, payload []byte) { post(clientEvent{topic: topic, payload: payload}) },
		Acked:   func(id uint64) { post(clientEvent{acked: id}) }})
	if err != nil {
		return err
	}
	err = c.serve(ctx, link, events)
	_ = c.step(nil, func(now time.Time) []Message {
		c.fw.Disconnected(now)
		return nil
	})
	return err
}

// join asks for a secret with the token.
func (c *Client) join(ctx context.Context) error {
	if c.o.Token == "" {
		return greenhouse.Forbidden("token_missing", "node %s has neither a secret nor a join token", c.UID())
	}
	w, err := Join(ctx, c.o.Dialer, c.o.Token, wire.Hello{HardwareID: c.o.HardwareID, Type: c.o.Type, FW: c.o.Firmware.FW, HW: c.o.HW,
		Name: c.o.Name, Channels: c.o.Firmware.Channels})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.secret = w.Secret
	c.mu.Unlock()
	if c.o.Joined != nil {
		c.o.Joined(w.Secret)
	}
	return nil
}

// Join asks the daemon for a place: it logs in with the join token, says hello
// and waits for the welcome, at most 30 s. A refusal is ErrForbidden with the
// daemon's code; a node that is known already and gets no secret is an
// "identity_conflict".
func Join(ctx context.Context, d Dialer, token string, hello wire.Hello) (wire.Welcome, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	answers := make(chan []byte, 1)
	link, err := d.Dial(ctx, Session{Login: string(hello.HardwareID), Secret: token, Acked: func(uint64) {},
		Receive: func(_ string, payload []byte) {
			select {
			case answers <- payload:
			default: // one answer is enough
			}
		}})
	if err != nil {
		return wire.Welcome{}, err
	}
	defer link.Close(true)
	if err := link.Subscribe(ctx, wire.JoinSubscribe(hello.HardwareID)...); err != nil {
		return wire.Welcome{}, err
	}
	payload, err := hello.Marshal()
	if err != nil {
		return wire.Welcome{}, err
	}
	if err := link.Publish(Message{Topic: wire.HelloTopic(hello.HardwareID).String(), Payload: payload, QoS: 1}); err != nil {
		return wire.Welcome{}, err
	}
	select {
	case payload := <-answers:
		return welcomed(payload)
	case <-link.Done():
		return wire.Welcome{}, errLinkLost
	case <-ctx.Done():
		return wire.Welcome{}, greenhouse.Unavailable("welcome_missing", "wait for the answer to the hello: %v", ctx.Err())
	}
}

// welcomed judges the answer to a hello.
func welcomed(payload []byte) (wire.Welcome, error) {
	w, err := wire.DecodeWelcome(payload)
	switch {
	case err != nil:
		return wire.Welcome{}, err
	case !w.OK:
		return w, greenhouse.Forbidden(w.Error, "the daemon refused the hello: %s", w.Message)
	case w.Secret == "":
		return w, greenhouse.Forbidden("identity_conflict", "node %s has a secret already", w.UID).
			WithHint("greenctl node rotate-key %s gives it another one", w.UID)
	}
	return w, nil
}

// linkUp reports whether the faults allow a link.
func (c *Client) linkUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fw.LinkUp(c.o.Now())
}

// idle lets the firmware run without a link for d.
func (c *Client) idle(ctx context.Context, d time.Duration) {
	over := time.NewTimer(d)
	defer over.Stop()
	for {
		next := time.NewTimer(c.untilNext())
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-over.C:
			next.Stop()
			return
		case <-c.wake:
		case <-next.C:
		}
		next.Stop()
		_ = c.step(nil, func(now time.Time) []Message { return c.fw.Tick(now) })
	}
}

// untilNext returns how long the firmware has nothing to do, at most a second,
// for faults come from outside.
func (c *Client) untilNext() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.o.Now()
	return max(time.Millisecond, min(time.Second, c.fw.Next(now).Sub(now)))
}

// step runs one step of the firmware and publishes what comes of it.
func (c *Client) step(link Link, do func(now time.Time) []Message) error {
	c.mu.Lock()
	now := c.o.Now()
	out := do(now)
	due := now.Add(c.fw.Latency(now))
	c.mu.Unlock()
	if link == nil {
		return nil
	}
	for _, m := range out {
		c.late = append(c.late, lateMessage{m, due})
	}
	for len(c.late) > 0 && !c.late[0].due.After(now) {
		m := c.late[0].Message
		c.late = c.late[1:]
		if err := link.Publish(m); err != nil {
			return err
		}
	}
	return nil
}

// serve runs the session until it ends. A kill drops the connection without a
// word, a reboot as well: the will says the rest.
func (c *Client) serve(ctx context.Context, link Link, events <-chan clientEvent) (err error) {
	clean := false
	c.late = nil
	defer func() { link.Close(clean) }()
	if err := link.Subscribe(ctx, c.fw.Subscriptions()...); err != nil {
		return err
	}
	boot := c.boot()
	if err := c.step(link, func(now time.Time) []Message { return c.fw.Connected(now) }); err != nil {
		return err
	}
	for {
		next := time.NewTimer(c.untilNext())
		select {
		case <-ctx.Done():
			next.Stop()
			clean = true
			return nil
		case <-link.Done():
			next.Stop()
			return errLinkLost
		case e := <-events:
			err = c.step(link, func(now time.Time) []Message { return c.handle(now, e) })
		case <-next.C:
			err = c.tick(link)
		case <-c.wake:
			err = c.tick(link)
		}
		next.Stop()
		if err != nil || !c.linkUp() || c.boot() != boot {
			return err
		}
	}
}

// boot returns the firmware's boot id.
func (c *Client) boot() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fw.BootID()
}

// tick lets the firmware do what is due, and stalls the link where a fault says
// so.
func (c *Client) tick(link Link) error {
	return c.step(link, func(now time.Time) []Message {
		link.Stall(c.fw.HalfOpen(now))
		return c.fw.Tick(now)
	})
}

// handle passes an event of the link to the firmware.
func (c *Client) handle(now time.Time, e clientEvent) []Message {
	if e.acked != 0 {
		return c.fw.Acked(now, e.acked)
	}
	return c.fw.Receive(now, e.topic, e.payload)
}
