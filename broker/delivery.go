package broker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Delivery is one message from a client, on its way to the disk. Payload must
// not be changed, and may be kept.
type Delivery struct {
	Login    string
	ClientID string
	Topic    string
	Payload  []byte
	QoS      byte // 0 or 1
	Retain   bool // the client's flag
	Dup      bool // the client says it sent it before
	Will     bool // the client vanished, and this is its will; QoS is then 0
	Node     bool // the login is a node's
	Arrived  time.Time

	s     *session
	props []byte
	id    uint16
	code  byte
	state deliveryState // under s.acks.mu
	keep  bool          // retain it after Ack
}

type deliveryState uint8

const (
	pending deliveryState = iota
	acked
	failed
	refused // acknowledged with a reason, and passed on to nobody
)

// Ack says that the message is kept. The client is told in the order of its
// publishes, and the message is passed on to those who may read it. For QoS 0
// it does nothing; after Ack or Fail it does nothing.
func (d *Delivery) Ack() {
	if d.QoS > 0 {
		d.s.settle(d, acked)
	}
}

// Fail says that the message could not be kept. The client is closed without an
// acknowledgement and sends again. For QoS 0, and after Ack or Fail, it does nothing.
func (d *Delivery) Fail(err error) {
	if d.QoS == 0 || !d.s.settle(d, failed) {
		return
	}
	d.s.c.b.stats.failed.Add(1)
	d.s.c.disconnect(codeImplementation, fmt.Errorf("%w: %w", ErrNotStored, err))
}

// Context ends with the client's connection; that of a will, which comes after
// it, has no end.
func (d *Delivery) Context() context.Context {
	if d.Will {
		return context.Background()
	}
	return d.s.c.ctx
}

// message returns what other subscribers get of it.
func (d *Delivery) message() *message {
	m := &message{topic: d.Topic, payload: d.Payload, props: d.props, qos: d.QoS, retain: d.keep, origin: d.s}
	if d.Will {
		m.qos = 1
	}
	return m
}

// publish takes a PUBLISH in front of mochi.
func (b *Broker) publish(c *conn, p *publication) error {
	s := c.sess
	b.stats.received.Add(1)
	b.stats.receivedBytes.Add(uint64(len(p.payload)))
	if kind, code, detail := b.checkPublish(s, p); kind != "" {
		b.refuse(c, kind, p.topic, detail)
		c.violate(code)
		return ErrViolation
	}
	d := b.delivery(s, p)
	if !s.mayPublish(p.topic) {
		b.refuse(c, RefusedPublish, p.topic, "not among the topics of this login")
		return b.denied(c, d)
	}
	if d.keep && !b.retained.room(d.Topic) {
		b.refuse(c, RefusedRetain, d.Topic, "too many retained messages: handled, not retained")
	}
	if d.QoS == 0 {
		b.opts.Handler.Receive(d)
		b.passOn(d)
		return nil
	}
	if err := b.hold(c, d); err != nil {
		return err
	}
	b.opts.Handler.Receive(d)
	return nil
}

// checkPublish says which rule a PUBLISH breaks, if one.
func (b *Broker) checkPublish(s *session, p *publication) (Kind, byte, string) {
	l := &b.opts.Limits
	switch {
	case p.qos > 1:
		return RefusedQoS, codeNoQoS2, "QoS 2 is not offered"
	case p.qos == 1 && p.id == 0:
		return RefusedProtocol, codeProtocolError, "packet id 0"
	case p.props != nil && p.props.TopicAliasFlag:
		return RefusedTopic, codeBadAlias, "topic aliases are not offered"
	case p.props != nil && len(p.props.SubscriptionIdentifier) > 0:
		return RefusedProtocol, codeProtocolError, "subscription identifier in a publish"
	case len(p.payload) > l.Payload:
		return RefusedPacketSize, codeTooLarge, "payload too large"
	}
	if s.known(p.topic) && !p.retain {
		return "", 0, ""
	}
	if err := checkTopic(p.topic, l); err != nil {
		return RefusedTopic, codeBadTopic, err.Error()
	}
	if p.retain && anyMatches(b.opts.NeverRetain, p.topic) {
		return RefusedRetain, codeNoRetain, "never retained"
	}
	return "", 0, ""
}

func (b *Broker) delivery(s *session, p *publication) *Delivery {
	d := &Delivery{
		Login: s.Login, ClientID: s.ClientID, Node: s.Node,
		Topic: p.topic, Payload: p.payload, QoS: p.qos, Retain: p.retain, Dup: p.dup,
		Arrived: b.opts.Now(), s: s, id: p.id,
	}
	d.keep = d.Retain && (b.opts.Retain == nil || anyMatches(b.opts.Retain, d.Topic))
	if p.props != nil {
		d.props = forwardable(p.props)
	}
	return d
}

// hold puts d in line for its PUBACK.
func (b *Broker) hold(c *conn, d *Delivery) error {
	err := c.sess.acks.push(c.ctx, &b.opts.Limits, c.sess.KeepAlive*3/2, d)
	if errors.Is(err, ErrNotStored) {
		c.disconnect(codeImplementation, fmt.Errorf("%w: held back for longer than the keep-alive", err))
	}
	return err
}

// denied answers a publish to a topic that the login may not write: QoS 0 is
// dropped, MQTT 5 is told in turn, and MQTT 3.1.1, which cannot be told, is closed.
func (b *Broker) denied(c *conn, d *Delivery) error {
	switch {
	case d.QoS == 0:
		return nil
	case c.version < 5:
		c.violate(codeNotAuthorized)
		return ErrViolation
	}
	d.code = codeNotAuthorized
	if err := b.hold(c, d); err != nil {
		return err
	}
	c.sess.settle(d, refused)
	return nil
}

// publishWill hands over the will of a client that vanished.
func (b *Broker) publishWill(s *session) {
	w := s.will
	if w == nil {
		return
	}
	d := &Delivery{
		Login: s.Login, ClientID: s.ClientID, Node: s.Node, Topic: w.topic, Payload: w.payload,
		Retain: w.retain, Will: true, Arrived: b.opts.Now(), s: s, props: w.props,
	}
	d.keep = d.Retain && (b.opts.Retain == nil || anyMatches(b.opts.Retain, d.Topic))
	b.opts.Handler.Receive(d)
	b.passOn(d)
}
