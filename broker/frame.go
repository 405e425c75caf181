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

// header returns the length of the fixed header that b begins with, and how many
// bytes follow it, of which most are allowed. It refuses a packet that is too large as soon
// as that can be known; a head of 0 means that it is not all there yet.
func header(b []byte, most int) (head, body int, err error) {
	for i := 1; i < len(b); i++ {
		body |= int(b[i]&0x7f) << (7 * (i - 1))
		more := b[i]&0x80 != 0
		switch {
		case more && i == 4:
			return 0, 0, errPacketLength
		case body > most:
			return 0, 0, errPacketLarge
		case !more:
			return i + 1, body, nil
		}
	}
	return 0, 0, nil
}

// readFirst reads the first packet of r whole, which must be a CONNECT of at
// most limit bytes, and not a byte more. It allocates nothing before the
// announced length is known to be small.
func readFirst(r io.Reader, limit int) ([]byte, error) {
	var b [5]byte
	for n := 1; ; n++ {
		if _, err := io.ReadFull(r, b[n-1:n]); err != nil {
			return nil, err
		}
		if b[0] != packets.Connect<<4 {
			return nil, errFirstPacket
		}
		head, body, err := header(b[:n], limit)
		switch {
		case err != nil:
			return nil, err
		case head == 0:
			continue
		case body == 0:
			return nil, errFirstPacket // an empty CONNECT
		}
		packet := make([]byte, head+body)
		copy(packet, b[:head])
		_, err = io.ReadFull(r, packet[head:])
		return packet, err
	}
}
