package broker

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

var (
	// errGoodbye ends the reading of a client that said DISCONNECT.
	errGoodbye = errors.New("client disconnects")
	// errMalformed says that a packet cannot be decoded.
	errMalformed = errors.New("malformed packet")
)

// take handles one packet after the CONNECT: its first byte, and what follows its
// fixed header, which is overwritten later. The error ends the connection.
func (c *conn) take(first byte, body []byte) error {
	if first>>4 == packets.Publish {
		return c.takePublish(first, body)
	}
	pk, err := decode(c.version, first, bytes.Clone(body))
	if err != nil {
		return err
	}
	if err := c.b.slowDown(c); err != nil {
		return err
	}
	switch first >> 4 {
	case packets.Pingreq:
		return c.out.writeControl([]byte{packets.Pingresp << 4, 0})
	case packets.Disconnect:
		return c.goodbye(pk)
	case packets.Subscribe:
		return c.b.subscribe(c, pk)
	case packets.Unsubscribe:
		return c.b.unsubscribe(c, pk)
	case packets.Puback:
		c.out.puback(pk.PacketID)
		return nil
	case packets.Pubrec, packets.Pubrel, packets.Pubcomp: // QoS 2 was never begun: for nothing
		return nil
	}
	detail := "packet that a client does not send"
	if first>>4 == packets.Connect {
		detail = "second CONNECT"
	}
	c.b.refuse(c, RefusedProtocol, "", detail)
	c.violate(codeProtocolError)
	return ErrViolation
}

func (c *conn) takePublish(first byte, body []byte) error {
	p, err := decodePublish(c.sess, first, body)
	if err != nil {
		return err
	}
	if err := c.b.slowDown(c); err != nil {
		return err
	}
	return c.b.publish(c, &p)
}

// decode decodes a packet that is no PUBLISH. What it returns lies in body.
func decode(version, first byte, body []byte) (pk *packets.Packet, err error) {
	pk = &packets.Packet{ProtocolVersion: version}
	if err := pk.FixedHeader.Decode(first); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	pk.FixedHeader.Remaining = len(body)
	switch pk.FixedHeader.Type {
	case packets.Disconnect:
		err = pk.DisconnectDecode(body)
	case packets.Puback:
		err = pk.PubackDecode(body)
	case packets.Pubrec:
		err = pk.PubrecDecode(body)
	case packets.Pubrel:
		err = pk.PubrelDecode(body)
	case packets.Pubcomp:
		err = pk.PubcompDecode(body)
	case packets.Subscribe:
		err = pk.SubscribeDecode(body)
	case packets.Unsubscribe:
		err = pk.UnsubscribeDecode(body)
	case packets.Reserved:
		err = errors.New("packet type 0")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return pk, nil
}

// goodbye notes a proper end. A session cannot be given a longer life on the way out.
func (c *conn) goodbye(pk *packets.Packet) error {
	c.sess.goodbye = true
	if pk.ReasonCode != packets.CodeDisconnectWillMessage.Code {
		c.sess.will = nil
	}
	return errGoodbye
}

// slowDown makes a client wait that sends more packets than it should.
func (b *Broker) slowDown(c *conn) error {
	l := &b.opts.Limits
	if l.Rate < 0 || c.place.local && !l.LimitLoopback {
		return nil
	}
	d := c.bucket.take(l.Rate, l.Burst, b.opts.Now())
	if d <= 0 {
		return nil
	}
	b.refuse(c, RefusedRate, "", "too many packets")
	return c.wait(min(d, time.Second))
}
