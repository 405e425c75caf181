package broker

import (
	"errors"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hook is where mochi asks. Packets that mean something end in OnPacketRead;
// what mochi gets in their place is a PUBACK for nothing, which it ignores.
type hook struct {
	mqtt.HookBase
	b *Broker
}

// ID names the hook for mochi.
func (h *hook) ID() string { return "greenhouse" }

// Provides says which questions are answered here.
func (h *hook) Provides(q byte) bool {
	switch q {
	case mqtt.OnPacketRead, mqtt.OnPacketEncode, mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnSessionEstablished:
		return true
	}
	return false
}

// OnPacketRead judges every packet that mochi reads, before mochi does; a PUBLISH is
// none of them. The only error mochi
// heeds here is ErrRejectPacket, and it ends the connection.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c, ok := cl.Net.Conn.(*conn)
	if !ok {
		return pk, packets.ErrRejectPacket
	}
	if pk.FixedHeader.Type == packets.Connect {
		return h.connect(c, cl, pk)
	}
	if h.b.slowDown(c) != nil || h.packet(c, &pk) != nil {
		return pk, packets.ErrRejectPacket
	}
	return pk, nil
}

// packet handles any packet but CONNECT, and replaces those that mochi need not see.
func (h *hook) packet(c *conn, pk *packets.Packet) error {
	var err error
	switch pk.FixedHeader.Type {
	case packets.Pingreq:
		return nil
	case packets.Disconnect:
		return h.disconnect(c, pk)
	case packets.Subscribe:
		err = h.b.subscribe(c, pk)
	case packets.Unsubscribe:
		err = h.b.unsubscribe(c, pk)
	case packets.Puback:
		c.out.puback(pk.PacketID)
	case packets.Pubrec, packets.Pubrel, packets.Pubcomp: // QoS 2 was never begun: for nothing
	default:
		h.b.refuse(c, RefusedProtocol, "", "packet that a client does not send")
		c.violate(codeProtocolError)
		err = ErrViolation
	}
	*pk = packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}}
	return err
}

// disconnect notes a proper end. A session cannot be given a longer life on the way out.
func (h *hook) disconnect(c *conn, pk *packets.Packet) error {
	c.sess.goodbye = true
	if pk.ReasonCode != packets.CodeDisconnectWillMessage.Code {
		c.sess.will = nil
	}
	pk.Properties.SessionExpiryIntervalFlag = false
	pk.ReasonCode = 0
	return nil
}

func (h *hook) connect(c *conn, cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if c.sess != nil {
		h.b.refuse(c, RefusedProtocol, "", "second CONNECT")
		c.violate(codeProtocolError)
		return pk, packets.ErrRejectPacket
	}
	c.client = cl
	if err := h.b.login(c, &pk); err != nil {
		return pk, packets.ErrRejectPacket
	}
	return pk, nil
}

// OnConnectAuthenticate confirms what login has already decided.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, _ packets.Packet) bool {
	c, ok := cl.Net.Conn.(*conn)
	return ok && c.sess != nil
}

// OnACLCheck denies: mochi never has a message or filter to ask about.
func (h *hook) OnACLCheck(*mqtt.Client, string, bool) bool { return false }

// OnConnect tells an MQTT 5 client the keep-alive it got if it is not the one it wanted.
func (h *hook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	c, ok := cl.Net.Conn.(*conn)
	if !ok || c.sess == nil {
		return packets.ErrRejectPacket
	}
	agreed := uint16(c.sess.KeepAlive / time.Second)
	cl.State.Keepalive, cl.State.ServerKeepalive = agreed, agreed != c.sess.wantedKeepAlive
	return nil
}

// OnPacketEncode completes the CONNACK of MQTT 5 with what mochi does not say.
func (h *hook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	c, ok := cl.Net.Conn.(*conn)
	if pk.FixedHeader.Type != packets.Connack || !ok || c.sess == nil {
		return pk
	}
	p, l := &pk.Properties, &h.b.opts.Limits
	p.MaximumPacketSize = uint32(l.Payload + headroom)
	p.SharedSubAvailable, p.SharedSubAvailableFlag = 0, true
	p.SubIDAvailable, p.SubIDAvailableFlag = 0, true
	p.SessionExpiryInterval, p.SessionExpiryIntervalFlag = 0, true
	return pk
}

// OnSessionEstablished opens the session: CONNACK is first in the outbox.
func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	if c, ok := cl.Net.Conn.(*conn); ok {
		h.b.opened(c)
	}
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
	if c.wait(min(d, time.Second)) != nil {
		return errors.New("connection ended while waiting")
	}
	return nil
}
