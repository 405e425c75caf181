package security_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// peer is an MQTT 3.1.1 client that does what no library would: every packet is
// made by hand.
type peer struct {
	conn net.Conn
	in   *bufio.Reader

	mu   sync.Mutex // writes
	id   uint16
	acks chan uint16  // PUBACK
	subs chan byte    // SUBACK
	got  chan message // PUBLISH
	gone chan struct{}
}

type message struct {
	topic   string
	payload []byte
	retain  bool
}

type will struct {
	topic  string
	retain bool
}

// errClosed says that the broker closed the connection.
var errClosed = errors.New("closed by the broker")

// patience is how long a peer waits for an answer.
const patience = 5 * time.Second

func dial(address string, conf *tls.Config) (net.Conn, error) {
	d := &net.Dialer{Timeout: patience}
	if conf != nil {
		return tls.DialWithDialer(d, "tcp", address, conf)
	}
	return d.Dial("tcp", address)
}

// login connects and logs in; the code is the CONNACK's, 0 for welcome.
func login(address string, conf *tls.Config, id, user, password string, w *will) (*peer, byte, error) {
	conn, err := dial(address, conf)
	if err != nil {
		return nil, 0, err
	}
	p := &peer{conn: conn, in: bufio.NewReader(conn), acks: make(chan uint16, 64), subs: make(chan byte, 64), got: make(chan message, 1024), gone: make(chan struct{})}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(connectPacket(id, user, password, w)); err != nil {
		conn.Close()
		return nil, 0, err
	}
	head, body, err := p.read()
	if err != nil || head>>4 != 2 || len(body) != 2 {
		conn.Close()
		return nil, 0, errors.Join(err, errClosed)
	}
	if body[1] != 0 {
		conn.Close()
		return nil, body[1], nil
	}
	_ = conn.SetDeadline(time.Time{})
	go p.listen()
	return p, 0, nil
}

func connectPacket(id, user, password string, w *will) []byte {
	flags := byte(0x02)
	payload := str(nil, id)
	if w != nil {
		flags |= 0x04
		if w.retain {
			flags |= 0x20
		}
		payload = str(str(payload, w.topic), `{"v":1,"online":false}`)
	}
	if user != "" {
		flags |= 0x80
		payload = str(payload, user)
	}
	if password != "" {
		flags |= 0x40
		payload = str(payload, password)
	}
	body := append(str(nil, "MQTT"), 4, flags, 0, 60)
	return packet(0x10, append(body, payload...))
}

func packet(head byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{head}, uint64(len(body))), body...) // MQTT's lengths are varints
}

func str(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func (p *peer) read() (byte, []byte, error) {
	head, err := p.in.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(p.in)
	if err != nil {
		return 0, nil, err
	}
	body := make([]byte, n)
	_, err = io.ReadFull(p.in, body)
	return head, body, err
}

// listen sorts what comes until the connection ends.
func (p *peer) listen() {
	defer close(p.gone)
	for {
		head, body, err := p.read()
		if err != nil {
			return
		}
		switch head >> 4 {
		case 3:
			n := int(binary.BigEndian.Uint16(body))
			m := message{topic: string(body[2 : 2+n]), payload: body[2+n:], retain: head&1 != 0}
			if head>>1&3 > 0 {
				id := m.payload[:2]
				m.payload = m.payload[2:]
				p.send(append([]byte{0x40, 2}, id...))
			}
			select {
			case p.got <- m:
			default:
			}
		case 4:
			p.acks <- binary.BigEndian.Uint16(body)
		case 9:
			p.subs <- body[2]
		}
	}
}

func (p *peer) send(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.conn.SetWriteDeadline(time.Now().Add(patience))
	_, _ = p.conn.Write(b) // if it is closed, reading says so
}

// publish sends with QoS 1 and waits for the PUBACK.
func (p *peer) publish(topic, payload string, retain bool) error {
	p.id++
	head := byte(0x32)
	if retain {
		head |= 1
	}
	p.send(packet(head, append(binary.BigEndian.AppendUint16(str(nil, topic), p.id), payload...)))
	select {
	case <-p.acks:
		return nil
	case <-p.gone:
		return errClosed
	case <-time.After(patience):
		return errors.New("no PUBACK")
	}
}

// fling sends with QoS 0 and waits for nothing.
func (p *peer) fling(topic, payload string) {
	p.send(packet(0x30, append(str(nil, topic), payload...)))
}

// subscribe asks for a filter.
func (p *peer) subscribe(filter string) error {
	p.id++
	p.send(packet(0x82, append(str(binary.BigEndian.AppendUint16(nil, p.id), filter), 1)))
	select {
	case code := <-p.subs:
		if code >= 0x80 {
			return errors.New("refused")
		}
		return nil
	case <-p.gone:
		return errClosed
	case <-time.After(patience):
		return errors.New("no SUBACK")
	}
}

// close ends the connection like a cable that is pulled.
func (p *peer) close() {
	_ = p.conn.Close()
	<-p.gone
}

// closed reports whether the broker ends the connection within a time.
func (p *peer) closed(within time.Duration) bool {
	select {
	case <-p.gone:
		return true
	case <-time.After(within):
		return false
	}
}
