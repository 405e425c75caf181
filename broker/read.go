package broker

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"unicode/utf8"

	"github.com/mochi-mqtt/server/v2/packets"
)

// readBytes is how much one read takes at most.
const readBytes = 16 << 10

// smallRead is the same where the wait for bytes needs a buffer of its own: with TLS.
const smallRead = 1 << 10

// input is what was read from a client and not handled yet. It belongs to the
// reading goroutine.
type input struct {
	rest   []byte  // begins with a packet
	buffer *[]byte // what was lent to read into, and rest lies in; else nil
	shared bool    // rest lies in a buffer that the next read overwrites
	own    []byte  // such a buffer, of connections that cannot say whether there is something to read
}

// listen reads and handles packets until the connection ends, and says why it did. A
// packet is handled when it is all there, so nobody waits for half of one but its
// own deadline.
func (c *conn) listen() error {
	for {
		if err := c.handle(); err != nil {
			return err
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// handle takes all whole packets at the front of what was read.
func (c *conn) handle() error {
	for any := false; ; any = true {
		head, body, err := header(c.in.rest, c.b.opts.Limits.Payload+headroom)
		switch {
		case err != nil:
			c.b.refuse(c, frameKind(err), "", err.Error())
			c.violate(frameCode(err))
			return err
		case head == 0 || len(c.in.rest) < head+body:
			if any {
				c.heard()
			}
			return nil
		}
		if err := c.take(c.in.rest[0], c.in.rest[head:head+body]); err != nil {
			return err
		}
		c.in.rest = c.in.rest[head+body:]
	}
}

// fill waits for more bytes. While it waits no lent buffer is held.
func (c *conn) fill() error {
	in := &c.in
	if in.shared {
		in.rest = append([]byte(nil), in.rest...) // nothing, or the beginning of a packet
		c.returnBuffer()
	}
	read, err := c.more()
	switch {
	case len(read) == 0:
		c.returnBuffer()
		return cmp.Or(err, io.ErrNoProgress)
	case len(in.rest) == 0:
		in.rest, in.shared = read, true
	default:
		in.rest = append(in.rest, read...)
		c.returnBuffer()
	}
	return nil // an error after bytes comes again
}

// more waits for bytes.
func (c *conn) more() ([]byte, error) {
	if c.sock != nil {
		return c.sock.read(c)
	}
	if c.in.own == nil {
		c.in.own = make([]byte, smallRead)
	}
	n, err := c.Conn.Read(c.in.own)
	return c.in.own[:n], err
}

// returnBuffer gives back what was lent for reading.
func (c *conn) returnBuffer() {
	c.in.shared = false
	c.b.giveBack(c.in.buffer)
	c.in.buffer = nil
}

func frameKind(err error) Kind {
	if errors.Is(err, errPacketLarge) {
		return RefusedPacketSize
	}
	return RefusedMalformed
}

func frameCode(err error) byte {
	if errors.Is(err, errPacketLarge) {
		return codeTooLarge
	}
	return codeMalformed
}

// publication is a PUBLISH as it came.
type publication struct {
	topic   string
	payload []byte
	id      uint16
	qos     byte
	retain  bool
	dup     bool
	props   *packets.Properties // of MQTT 5, nil for none
}

// decodePublish decodes what follows the fixed header of a PUBLISH, and copies all
// that is kept of it. Nearly all packets are one, so it does without mochi, which takes as
// long for it as the rest of the way.
func decodePublish(s *session, first byte, body []byte) (p publication, err error) {
	var fixed packets.FixedHeader
	if err := fixed.Decode(first); err != nil {
		return p, fmt.Errorf("%w: %w", errMalformed, err)
	}
	p.qos, p.retain, p.dup = fixed.Qos, fixed.Retain, fixed.Dup
	n := 0
	if len(body) >= 2 {
		n = 2 + int(body[0])<<8 + int(body[1])
	}
	if n < 2 || n > len(body) {
		return p, fmt.Errorf("%w: topic longer than its packet", errMalformed)
	}
	if p.topic, err = s.topic(body[2:n]); err != nil {
		return p, err
	}
	if p.qos > 0 {
		if len(body) < n+2 {
			return p, fmt.Errorf("%w: no packet id", errMalformed)
		}
		p.id = uint16(body[n])<<8 | uint16(body[n+1])
		n += 2
	}
	body = bytes.Clone(body[n:])
	if s.Protocol >= 5 {
		if p.props, n, err = decodeProperties(body); err != nil {
			return p, err
		}
		body = body[n:]
	}
	p.payload = body
	return p, nil
}

// decodeProperties decodes the properties that b begins with, and returns how many
// bytes they take. What it returns lies in b.
func decodeProperties(b []byte) (*packets.Properties, int, error) {
	if len(b) > 0 && b[0] == 0 {
		return nil, 1, nil
	}
	p := new(packets.Properties)
	n, err := p.Decode(packets.Publish, bytes.NewBuffer(b))
	if err == nil && n > len(b) {
		err = packets.ErrMalformedOffsetBytesOutOfRange
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%w: properties: %w", errMalformed, err)
	}
	return p, n, nil
}

// topic returns b as a string, without a copy if it is one of the last few that were
// allowed.
func (s *session) topic(b []byte) (string, error) {
	for _, t := range s.allowed {
		if t == string(b) && t != "" {
			return t, nil
		}
	}
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return "", fmt.Errorf("%w: topic is no plain text", errMalformed)
	}
	return string(b), nil
}

// lend lends memory for reading; most connections have nothing to read most of the time.
func (b *Broker) lend() *[]byte {
	if p, ok := b.readers.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, readBytes)
	return &p
}

func (b *Broker) giveBack(p *[]byte) {
	if p != nil {
		b.readers.Put(p)
	}
}

// readFault makes an error of the operating system one of the connection.
func readFault(c net.Conn, err error) error {
	return &net.OpError{Op: "read", Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
