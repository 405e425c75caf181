package broker

import (
	"errors"
	"io"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Why a byte stream is refused before any packet of it is decoded.
var (
	errFirstPacket  = errors.New("first packet is not CONNECT")
	errPacketLarge  = errors.New("packet too large")
	errPacketLength = errors.New("packet length of more than four bytes")
)

// frames follows the packets in a byte stream: it knows where each begins, and
// refuses one that is too large as soon as its length is known. The zero value
// begins at the start of a packet.
type frames struct {
	max   int // most bytes of a packet after its fixed header
	left  int // bytes of the packet still to come
	shift int // bits of the length read so far, valid while inLength
	state frameState
}

type frameState uint8

const (
	atStart frameState = iota
	inLength
	inBody
)

// scan walks over p and returns how many of its bytes are good.
func (f *frames) scan(p []byte) (int, error) {
	for i := 0; i < len(p); {
		switch f.state {
		case atStart:
			f.state, f.left, f.shift = inLength, 0, 0
			i++
		case inLength:
			f.left |= int(p[i]&0x7f) << f.shift
			f.shift += 7
			more := p[i]&0x80 != 0
			i++
			if err := f.length(more); err != nil {
				return i - 1, err
			}
		case inBody:
			n := min(f.left, len(p)-i)
			f.left -= n
			i += n
			if f.left == 0 {
				f.state = atStart
			}
		}
	}
	return len(p), nil
}

// length judges what is known of the length after one more byte of it.
func (f *frames) length(more bool) error {
	switch {
	case more && f.shift >= 28:
		return errPacketLength
	case f.left > f.max:
		return errPacketLarge
	case more:
	case f.left == 0:
		f.state = atStart
	default:
		f.state = inBody
	}
	return nil
}

// readFirst reads the first packet of r whole, which must be a CONNECT of at
// most limit bytes, and not a byte more. It allocates nothing before the
// announced length is known to be small.
func readFirst(r io.Reader, limit int) ([]byte, error) {
	var head [5]byte
	f := frames{max: limit}
	n := 0
	for f.state != inBody {
		if _, err := io.ReadFull(r, head[n:n+1]); err != nil {
			return nil, err
		}
		if n == 0 && head[0] != packets.Connect<<4 {
			return nil, errFirstPacket
		}
		if _, err := f.scan(head[n : n+1]); err != nil {
			return nil, err
		}
		if n++; n > 1 && f.state == atStart {
			return nil, errFirstPacket // an empty CONNECT
		}
	}
	packet := make([]byte, n+f.left)
	copy(packet, head[:n])
	_, err := io.ReadFull(r, packet[n:])
	return packet, err
}
