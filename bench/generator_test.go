package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"greenhouse"
	"greenhouse/wire"
)

// login is one MQTT client of the generator. Its packets are rendered once, from
// the data; to make a new message only its time and number are written into one,
// so that the generator takes little of the processors it shares.
type login struct {
	id, password string
	topic        string
	data         *table
	node         int
	sent         int   // messages so far, over all runs: every message is new
	base         int64 // time of its first sample, ms
	packets      []packet
}

// packet is a rendered PUBLISH and where in it what changes stands.
type packet struct {
	bytes []byte
	id    int   // of the packet id
	times []int // of the samples' times, 13 digits
	seq   int   // of the number, 7 digits
}

// Rendered packets of a client, and the number its count begins with: it keeps
// seven digits.
const (
	rendered = 50
	firstSeq = 1_000_000
)

// newLogin makes a client that speaks for a node with two values a message.
func newLogin(uid, password string, node int, data *table, base int64) *login {
	l := &login{id: uid, password: password, node: node, data: data, base: base, topic: wire.NodeTopic(wire.KindTelemetry, greenhouse.UID(uid)).String()}
	if data == nil {
		return l
	}
	for i := range rendered {
		row := data.at(node, i*5)
		l.packets = append(l.packets, l.render(row[0], row[1], base))
	}
	return l
}

func (l *login) render(temp, rh float64, at int64) packet {
	payload := wire.AppendTelemetry(nil, &wire.Telemetry{Boot: "bench", Seq: firstSeq, HasSeq: true, Samples: []wire.Sample{
		{Channel: "air_temp", At: greenhouse.Millis(at), HasAt: true, Value: temp}, {Channel: "air_rh", At: greenhouse.Millis(at), HasAt: true, Value: rh}}})
	b := appendHeader(nil, 0x32, 2+len(l.topic)+2+len(payload))
	b = appendString(b, l.topic)
	p := packet{id: len(b)}
	b = append(append(b, 0, 0), payload...)
	p.bytes, p.seq = b, bytes.Index(b, strconv.AppendInt(nil, firstSeq, 10))
	stamp := strconv.AppendInt(nil, at, 10)
	for i := p.id; ; {
		k := bytes.Index(b[i:], stamp)
		if k < 0 {
			break
		}
		p.times = append(p.times, i+k)
		i += k + len(stamp)
	}
	if p.seq < 0 || len(p.times) == 0 {
		panic(fmt.Sprintf("no place for time and number in %s", payload))
	}
	return p
}

// publish appends the next message as a QoS 1 packet.
func (l *login) publish(dst []byte) []byte {
	l.sent++
	p := &l.packets[l.sent%rendered]
	binary.BigEndian.PutUint16(p.bytes[p.id:], uint16(l.sent%65535)+1)
	digits(p.bytes[p.seq:p.seq+7], int64(firstSeq+l.sent))
	for _, at := range p.times {
		digits(p.bytes[at:at+13], l.base+int64(l.sent))
	}
	return append(dst, p.bytes...)
}

// digits writes n over b, whose length it has.
func digits(b []byte, n int64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

func appendHeader(dst []byte, first byte, n int) []byte {
	dst = append(dst, first)
	for ; n >= 128; n >>= 7 {
		dst = append(dst, byte(n)|128)
	}
	return append(dst, byte(n))
}

func appendString(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

// dial connects with MQTT 3.1.1; clean says whether the session ends with it.
func (l *login) dial(ctx context.Context, address string, clean bool) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	flags := byte(0)
	if clean {
		flags |= 2
	}
	body := append(appendString(nil, "MQTT"), 4, 0, 0, 120)
	body = appendString(body, l.id)
	if l.password != "" {
		flags |= 0xc0
		body = appendString(appendString(body, l.id), l.password)
	}
	body[7] = flags
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	var ack [4]byte
	if _, err = conn.Write(append(appendHeader(nil, 0x10, len(body)), body...)); err == nil {
		_, err = io.ReadFull(conn, ack[:])
	}
	if err == nil && (ack[0] != 0x20 || ack[3] != 0) {
		err = fmt.Errorf("%s was answered % x", l.id, ack)
	}
	conn.SetDeadline(time.Time{})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// dialAll connects all, some at once.
func dialAll(ctx context.Context, address string, logins []*login) ([]net.Conn, error) {
	conns := make([]net.Conn, len(logins))
	errs := make([]error, len(logins))
	var wg sync.WaitGroup
	gate := make(chan struct{}, 32)
	for i, l := range logins {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			conns[i], errs[i] = l.dial(ctx, address, true)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			hangUp(conns)
			return nil, err
		}
	}
	return conns, nil
}

// hangUp says DISCONNECT on all and closes them.
func hangUp(conns []net.Conn) {
	for _, c := range conns {
		if c != nil {
			c.Write([]byte{0xe0, 0})
			c.Close()
		}
	}
}

// flow is what a run of the generator measured.
type flow struct {
	Messages int
	PerS     float64
	Times    []time.Duration // publish to PUBACK, sorted
}

func (f *flow) at(q float64) time.Duration {
	if len(f.Times) == 0 {
		return 0
	}
	return f.Times[min(int(q*float64(len(f.Times))), len(f.Times)-1)]
}

// flood keeps so many messages of every client in flight, for a while.
func flood(ctx context.Context, address string, logins []*login, window int, dur time.Duration) (*flow, error) {
	conns, err := dialAll(ctx, address, logins)
	if err != nil {
		return nil, err
	}
	defer hangUp(conns)
	begun := time.Now()
	end := begun.Add(dur)
	acked := make([]int, len(conns))
	errs := make([]error, len(conns))
	var wg sync.WaitGroup
	for i, l := range logins {
		wg.Go(func() { acked[i], errs[i] = l.flood(conns[i], window, end) })
	}
	wg.Wait()
	f := &flow{}
	for i := range acked {
		f.Messages += acked[i]
		if errs[i] != nil {
			return nil, fmt.Errorf("%s: %w", logins[i].id, errs[i])
		}
	}
	f.PerS = float64(f.Messages) / time.Since(begun).Seconds()
	return f, nil
}

// flood is one client: it reads what PUBACKs there are, and sends as many
// messages again in one write, until the end; then it waits for the last.
func (l *login) flood(conn net.Conn, window int, end time.Time) (acked int, err error) {
	conn.SetDeadline(end.Add(15 * time.Second))
	var out []byte
	for range window {
		out = l.publish(out)
	}
	in := make([]byte, 4*window)
	have, flight := 0, window
	for {
		if len(out) > 0 {
			if _, err := conn.Write(out); err != nil {
				return acked, err
			}
		}
		n, err := conn.Read(in[have:])
		if err != nil {
			return acked, err
		}
		have += n
		got := have / 4
		for i := range got {
			if in[4*i] != 0x40 {
				return acked, fmt.Errorf("packet %#x came, not a PUBACK", in[4*i])
			}
		}
		have = copy(in, in[got*4:have])
		acked += got
		flight -= got
		out = out[:0]
		if time.Now().Before(end) {
			for range got {
				out = l.publish(out)
			}
			flight += got
		} else if flight == 0 {
			return acked, nil
		}
	}
}

// pace lets every client publish at its own beat, and times each PUBACK.
func pace(ctx context.Context, address string, logins []*login, period, dur time.Duration) (*flow, error) {
	conns, err := dialAll(ctx, address, logins)
	if err != nil {
		return nil, err
	}
	defer hangUp(conns)
	times := make([][]time.Duration, len(logins))
	errs := make([]error, len(logins))
	begun := time.Now().Add(50 * time.Millisecond)
	var wg sync.WaitGroup
	for i, l := range logins {
		first := begun.Add(period * time.Duration(i) / time.Duration(len(logins)))
		wg.Go(func() { times[i], errs[i] = l.pace(conns[i], first, period, int(dur/period)) })
	}
	wg.Wait()
	f := &flow{}
	for i := range times {
		if errs[i] != nil {
			return nil, fmt.Errorf("%s: %w", logins[i].id, errs[i])
		}
		f.Times = append(f.Times, times[i]...)
	}
	f.Messages = len(f.Times)
	f.PerS = float64(f.Messages) / time.Since(begun).Seconds()
	slices.Sort(f.Times)
	return f, nil
}

// pace is one client: a goroutine reads PUBACKs in the order of the publishes.
// The time of a message runs from when it was due, so that a late generator or a
// full socket is not hidden.
func (l *login) pace(conn net.Conn, first time.Time, period time.Duration, n int) ([]time.Duration, error) {
	conn.SetDeadline(first.Add(time.Duration(n)*period + 15*time.Second))
	sent := make(chan time.Time, n)
	var times []time.Duration
	var readErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		r := bufio.NewReader(conn)
		var ack [4]byte
		for range n {
			if _, readErr = io.ReadFull(r, ack[:]); readErr != nil {
				return
			}
			times = append(times, time.Since(<-sent))
		}
	})
	var out []byte
	var err error
	for i := range n {
		due := first.Add(time.Duration(i) * period)
		if d := time.Until(due); d > 0 {
			time.Sleep(d)
		}
		sent <- due
		out = l.publish(out[:0])
		if _, err = conn.Write(out); err != nil {
			break
		}
	}
	wg.Wait()
	if err == nil {
		err = readErr
	}
	return times, err
}
