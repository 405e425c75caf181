package sim

import (
	"context"
	"errors"
	"time"

	"greenhouse"
	"greenhouse/wire"
)

// courier gets telemetry to the broker: many messages in flight, each until its
// PUBACK, through as many links as it takes. It belongs to one goroutine.
type courier struct {
	o       ReplayOptions
	account Account
	link    Link // nil: none
	over    chan struct{}
	acks    chan uint64
	waiting []parcel // without PUBACK, oldest first
	lastID  uint64
	acked   int64
	beat    time.Time // when the next status is due
	began   time.Time
	retry   time.Duration
}

// parcel is a message without PUBACK.
type parcel struct {
	Message
	samples int64
}

// newCourier returns a courier that connects when it first has something to do.
func newCourier(o ReplayOptions, a Account) *courier {
	return &courier{o: o, account: a, began: o.Now(), retry: time.Second}
}

// send takes a message on its way; it waits while the window is full.
func (c *courier) send(ctx context.Context, payload []byte, samples int64) error {
	for len(c.waiting) >= c.o.Window {
		if err := c.step(ctx, time.Hour); err != nil {
			return err
		}
	}
	c.lastID++
	m := Message{ID: c.lastID, Topic: wire.NodeTopic(wire.KindTelemetry, c.account.UID).String(), Payload: payload, QoS: 1}
	c.waiting = append(c.waiting, parcel{m, samples})
	if c.link == nil {
		return c.connect(ctx)
	}
	if c.link.Publish(m) != nil {
		c.drop()
	}
	return nil
}

// wait lets d pass, with PUBACKs and heartbeats going on.
func (c *courier) wait(ctx context.Context, d time.Duration) error {
	for end := c.o.Now().Add(d); ; {
		left := end.Sub(c.o.Now())
		if left <= 0 {
			return nil
		}
		if err := c.step(ctx, left); err != nil {
			return err
		}
	}
}

// finish waits for the last PUBACKs, where all should be delivered, disconnects
// and returns how many samples were acknowledged.
func (c *courier) finish(ctx context.Context, deliver bool) int64 {
	for deliver && len(c.waiting) > 0 && c.step(ctx, time.Hour) == nil {
	}
	if c.link != nil {
		c.link.Close(true)
		c.drop()
	}
	return c.acked
}

// step waits for one thing to happen, at most for a while, and deals with it.
func (c *courier) step(ctx context.Context, atMost time.Duration) error {
	if c.link == nil {
		return c.connect(ctx)
	}
	timer := time.NewTimer(min(atMost, max(0, c.beat.Sub(c.o.Now()))))
	defer timer.Stop()
	select {
	case id := <-c.acks:
		c.settle(id)
	case <-c.link.Done():
		c.drop()
	case <-timer.C:
		c.heartbeat()
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// settle counts a PUBACK.
func (c *courier) settle(id uint64) {
	for i := range c.waiting {
		if c.waiting[i].ID == id {
			c.acked += c.waiting[i].samples
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			return
		}
	}
}

// drop gives up a link.
func (c *courier) drop() {
	c.link.Close(false)
	close(c.over)
	c.link = nil
}

// connect opens a link and sends again what was not acknowledged. It tries
// until ctx ends, or until the login is refused.
func (c *courier) connect(ctx context.Context) error {
	for {
		err := c.dial(ctx)
		if err == nil || errors.Is(err, greenhouse.ErrForbidden) {
			return err
		}
		c.o.Log.Warn("broker cannot be reached", "err", err, "retry_in", c.retry)
		select {
		case <-time.After(c.retry):
			c.retry = min(2*c.retry, 30*time.Second)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// dial opens one link.
func (c *courier) dial(ctx context.Context) error {
	over, acks := make(chan struct{}), make(chan uint64, 1024)
	payload, err := wire.Status{}.Marshal()
	if err != nil {
		return err
	}
	will := Message{Topic: wire.NodeTopic(wire.KindStatus, c.account.UID).String(), Payload: payload, QoS: 1, Retain: true}
	link, err := c.account.Dialer.Dial(ctx, Session{Login: string(c.account.UID), Secret: c.account.Secret, Will: &will,
		Receive: func(string, []byte) {},
		Acked: func(id uint64) {
			select {
			case acks <- id:
			case <-over:
			}
		}})
	if err != nil {
		return err
	}
	c.link, c.over, c.acks, c.retry, c.beat = link, over, acks, time.Second, time.Time{}
	c.heartbeat()
	for _, p := range c.waiting {
		if link.Publish(p.Message) != nil {
			c.drop()
			return errLinkLost
		}
	}
	return nil
}

// heartbeat publishes the status when it is due.
func (c *courier) heartbeat() {
	now := c.o.Now()
	if now.Before(c.beat) {
		return
	}
	uptime := int64(now.Sub(c.began) / time.Second)
	payload, err := wire.Status{Online: true, FW: "replay", Boot: c.o.Boot, UptimeS: &uptime}.Marshal()
	if err == nil {
		err = c.link.Publish(Message{Topic: wire.NodeTopic(wire.KindStatus, c.account.UID).String(), Payload: payload, QoS: 1, Retain: true})
	}
	if err != nil {
		c.o.Log.Debug("status not sent", "err", err)
	}
	c.beat = now.Add(statusPeriod)
}
