package broker

import (
	"io"
	"net"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// handshake is what mochi sees of a connection: one packet, the CONNECT, and a place
// for the answer. Then its reader ends, and with it mochi's part: a session
// costs neither its goroutines nor its tables.
type handshake struct{ *conn }

// Read gives mochi the CONNECT, and nothing after it.
func (h handshake) Read(p []byte) (int, error) {
	if len(h.first) == 0 {
		return 0, io.EOF
	}
	n := copy(p, h.first)
	h.first = h.first[n:]
	return n, nil
}

// Write queues the CONNACK.
func (h handshake) Write(p []byte) (int, error) {
	if err := h.out.writeControl(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close ends the connection if no session came of it.
func (h handshake) Close() error {
	if h.established() {
		return nil
	}
	return h.conn.Close()
}

// LocalAddr is that of the socket.
func (h handshake) LocalAddr() net.Addr { return h.raw.LocalAddr() }

// RemoteAddr is that of the socket.
func (h handshake) RemoteAddr() net.Addr { return h.raw.RemoteAddr() }

// SetDeadline does nothing: until login the deadline set at accept holds.
func (handshake) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing; see SetDeadline.
func (handshake) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing; see SetDeadline.
func (handshake) SetWriteDeadline(time.Time) error { return nil }

// established reports whether the login succeeded and the owner was told.
func (c *conn) established() bool { return c.sess != nil && c.sess.opened.Load() }

// hook is where mochi asks about a CONNECT.
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

// connOf returns the connection of a client of mochi's.
func connOf(cl *mqtt.Client) (*conn, bool) {
	h, ok := cl.Net.Conn.(handshake)
	return h.conn, ok
}

// OnPacketRead judges the CONNECT before mochi does. The only error mochi
// heeds here is ErrRejectPacket, and it ends the connection.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c, ok := connOf(cl)
	if !ok || pk.FixedHeader.Type != packets.Connect || c.sess != nil {
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
	c, ok := connOf(cl)
	return ok && c.sess != nil
}

// OnACLCheck denies: mochi never has a message or filter to ask about.
func (h *hook) OnACLCheck(*mqtt.Client, string, bool) bool { return false }

// OnConnect tells an MQTT 5 client the keep-alive it got if it is not the one it wanted.
func (h *hook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	c, ok := connOf(cl)
	if !ok || c.sess == nil {
		return packets.ErrRejectPacket
	}
	agreed := uint16(c.sess.KeepAlive / time.Second)
	cl.State.Keepalive, cl.State.ServerKeepalive = agreed, agreed != c.sess.wantedKeepAlive
	return nil
}

// OnPacketEncode completes the CONNACK of MQTT 5 with what mochi does not say.
func (h *hook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	c, ok := connOf(cl)
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
	if c, ok := connOf(cl); ok {
		h.b.opened(c)
	}
}
