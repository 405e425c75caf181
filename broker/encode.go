package broker

import (
	"bytes"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Reason codes of MQTT 5 that are sent from here.
const (
	codeSuccess           byte = 0x00
	codeUnspecified       byte = 0x80
	codeMalformed         byte = 0x81
	codeProtocolError     byte = 0x82
	codeImplementation    byte = 0x83
	codeBadVersion        byte = 0x84
	codeBadClientID       byte = 0x85
	codeBadLogin          byte = 0x86
	codeNotAuthorized     byte = 0x87
	codeServerUnavailable byte = 0x88
	codeShuttingDown      byte = 0x8b
	codeBadAuthMethod     byte = 0x8c
	codeTakenOver         byte = 0x8e
	codeBadFilter         byte = 0x8f
	codeBadTopic          byte = 0x90
	codeBadAlias          byte = 0x94
	codeTooLarge          byte = 0x95
	codeQuota             byte = 0x97
	codeAdministrative    byte = 0x98
	codeNoRetain          byte = 0x9a
	codeNoQoS2            byte = 0x9b
	codeNoShared          byte = 0x9e
	codeNoSubID           byte = 0xa1
)

// connack3 maps a refusal to the five codes of MQTT 3.1.1.
func connack3(code byte) byte {
	switch code {
	case codeBadVersion:
		return 1
	case codeBadClientID:
		return 2
	case codeServerUnavailable, codeShuttingDown, codeTakenOver, codeQuota: // its credentials are good: it may come back
		return 3
	case codeBadLogin:
		return 4
	}
	return 5
}

func appendConnackRefusal(b []byte, version, code byte) []byte {
	if version >= 5 {
		return append(b, packets.Connack<<4, 3, 0, code, 0)
	}
	return append(b, packets.Connack<<4, 2, 0, connack3(code))
}

func appendDisconnect(b []byte, code byte) []byte {
	return append(b, packets.Disconnect<<4, 2, code, 0)
}

// appendPuback appends a PUBACK; 3.1.1 has no codes and never gets here with one.
func appendPuback(b []byte, id uint16, code byte) []byte {
	if code == codeSuccess {
		return append(b, packets.Puback<<4, 2, byte(id>>8), byte(id))
	}
	return append(b, packets.Puback<<4, 3, byte(id>>8), byte(id), code)
}

// appendSuback appends a SUBACK or UNSUBACK; 3.1.1 knows one failure for the
// first and no codes for the second.
func appendSuback(b []byte, kind, version byte, id uint16, codes []byte) []byte {
	n := 2 + len(codes)
	switch {
	case version >= 5:
		b = append(appendLength(append(b, kind<<4), n+1), byte(id>>8), byte(id), 0)
		return append(b, codes...)
	case kind == packets.Unsuback:
		return append(b, kind<<4, 2, byte(id>>8), byte(id))
	}
	b = append(appendLength(append(b, kind<<4), n), byte(id>>8), byte(id))
	for _, c := range codes {
		b = append(b, min(c, codeUnspecified))
	}
	return b
}

// message is one publish on its way out, shared by all its receivers and never
// changed.
type message struct {
	topic   string
	payload []byte
	props   []byte // MQTT 5 properties, encoded with their length; nil for none
	qos     byte
	retain  bool // the publisher's flag
	origin  *session
}

// size is the most bytes the message takes on the wire.
func (m *message) size() int { return len(m.topic) + len(m.payload) + len(m.props) + 10 }

func (m *message) appendTo(b []byte, version, qos byte, retain bool, id uint16) []byte {
	head := packets.Publish<<4 | qos<<1
	if retain {
		head |= 1
	}
	n := 2 + len(m.topic) + len(m.payload)
	if qos > 0 {
		n += 2
	}
	if version >= 5 {
		n += max(len(m.props), 1)
	}
	b = appendLength(append(b, head), n)
	b = append(b, byte(len(m.topic)>>8), byte(len(m.topic)))
	b = append(b, m.topic...)
	if qos > 0 {
		b = append(b, byte(id>>8), byte(id))
	}
	if version >= 5 {
		if m.props == nil {
			b = append(b, 0)
		}
		b = append(b, m.props...)
	}
	return append(b, m.payload...)
}

// appendLength appends a variable byte integer.
func appendLength(b []byte, n int) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// forwardable encodes the properties that MQTT 5 wants passed on unaltered
// (3.3.2.3). Expiry is left out on purpose: retained state never expires here,
// and commands carry their own.
func forwardable(p *packets.Properties) []byte {
	if !p.PayloadFormatFlag && p.ContentType == "" && p.ResponseTopic == "" && len(p.CorrelationData) == 0 && len(p.User) == 0 {
		return nil
	}
	out := packets.Properties{
		PayloadFormat: p.PayloadFormat, PayloadFormatFlag: p.PayloadFormatFlag, ContentType: p.ContentType,
		ResponseTopic: p.ResponseTopic, CorrelationData: p.CorrelationData, User: p.User,
	}
	var b bytes.Buffer
	out.Encode(packets.Publish, packets.Mods{AllowResponseInfo: true}, &b, 0)
	return b.Bytes()
}
