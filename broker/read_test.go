package broker_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"greenhouse/broker"
)

// TestPacketsInAnyPieces sends publishes, pings, subscriptions and acknowledgements
// in pieces of any length: each is handled once, whole, and in its turn.
func TestPacketsInAnyPieces(t *testing.T) {
	for _, memory := range []bool{false, true} {
		for _, v := range []byte{4, 5} {
			t.Run(fmt.Sprintf("memory=%v/v%d", memory, v), func(t *testing.T) {
				var h *house
				if memory {
					l := newPipes()
					h = startOn(t, l, l.Dial)
				} else {
					h = start(t)
				}
				rnd := rand.New(rand.NewPCG(uint64(v), 8))
				c := h.login(v, bridge)
				var stream []byte
				var want []string
				var answers []byte // kinds, in order
				for i := range 400 {
					switch rnd.IntN(6) {
					case 0:
						stream = append(stream, 0xc0, 0)
						answers = append(answers, packets.Pingresp)
					case 1:
						stream = append(stream, c.sub(uint16(i+1), fmt.Sprintf("bridge/only/%d", i))...)
						answers = append(answers, packets.Suback)
					case 2:
						stream = append(stream, 0x40, 2, 0, byte(i)) // for nothing
					default:
						payload := string(bytes.Repeat([]byte{'a' + byte(i%26)}, rnd.IntN(3)*rnd.IntN(9000)))
						topic := fmt.Sprintf("bridge/t%d", rnd.IntN(6))
						stream = append(stream, c.pub(2, uint16(i+1), topic, payload)...)
						want = append(want, topic+" "+payload)
						answers = append(answers, packets.Puback)
					}
				}
				go func() {
					for len(stream) > 0 {
						n := min(1+rnd.IntN(1+rnd.IntN(40_000)), len(stream))
						if _, err := c.Write(stream[:n]); err != nil {
							t.Error(err)
							return
						}
						stream = stream[n:]
					}
				}()
				for i, kind := range answers {
					if p, err := c.read(); err != nil || p.kind != kind {
						t.Fatalf("answer %d of %d is of kind %d (%v), want %d", i, len(answers), p.kind, err, kind)
					}
				}
				for i, w := range want {
					if d := next(t, h.rec.got); d.Topic+" "+string(d.Payload) != w {
						t.Fatalf("message %d of %d is on %s with %d bytes, want %.20q with %d", i, len(want), d.Topic, len(d.Payload), w, len(w))
					}
				}
			})
		}
	}
}

// TestPayloadsAreNotSharedWithTheNextRead: what the owner keeps is its own.
func TestPayloadsAreNotSharedWithTheNextRead(t *testing.T) {
	h := start(t)
	c := h.login(4, bridge)
	for i := range 50 {
		c.send(c.pub(2, uint16(i+1), "bridge/x", fmt.Sprint("payload ", i))...)
		c.want(packets.Puback)
	}
	for i := range 50 {
		if d := next(t, h.rec.got); string(d.Payload) != fmt.Sprint("payload ", i) || d.Topic != "bridge/x" {
			t.Errorf("message %d became %q on %s", i, d.Payload, d.Topic)
		}
	}
}

// TestPublishesKeepASessionAlive: a client that publishes needs no ping, also where its
// packets never end with a read.
func TestPublishesKeepASessionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		h := startOn(t, l, l.Dial)
		c := h.login(4, bridge, func(h *hello) { h.keepAlive = 10 })
		msg := c.pub(0, 0, "bridge/x", "x")
		c.send(msg[:5]...)
		for range 30 {
			time.Sleep(4 * time.Second)
			c.send(append(append([]byte(nil), msg[5:]...), msg[:5]...)...)
			synctest.Wait()
		}
		if n := len(h.rec.got); n != 30 || len(h.rec.closed) != 0 {
			t.Errorf("%d messages came and %d sessions ended, want 30 and 0", n, len(h.rec.closed))
		}
		c.Close()
		synctest.Wait()
	})
}

// FuzzPublish holds the decoder of PUBLISH to mochi's, byte by byte.
func FuzzPublish(f *testing.F) {
	for _, v := range []byte{4, 5} {
		c := &raw{v: v}
		for _, b := range [][]byte{c.pub(2, 1, "gh/x", "x"), c.pub(0, 0, "a", ""), c.pub(11, 9, "a/b", "payload"), c.pub(6, 1, "a", "b"), c.pub(8, 0, "a", "b"), c.pub(2, 1, "a\x00", "")} {
			f.Add(v, b[0], b[2:])
		}
	}
	f.Add(byte(5), byte(0x32), []byte{0, 1, 'a', 0, 1, 2, 1, 1, 'x'})
	f.Add(byte(5), byte(0x32), []byte{0, 1, 'a', 0, 1, 0x80})
	f.Add(byte(4), byte(0x32), []byte{0, 9, 'a'})
	f.Fuzz(func(t *testing.T, version, first byte, body []byte) {
		version, first = 4+version&1, packets.Publish<<4|first&15
		whole := bytes.Clone(body)
		want := packets.Packet{ProtocolVersion: version}
		wantErr := func() (err error) {
			defer func() {
				if p := recover(); p != nil { // it slices past the end
					err = fmt.Errorf("%v", p)
				}
			}()
			if err := want.FixedHeader.Decode(first); err != nil {
				return err
			}
			return want.PublishDecode(body)
		}()
		got, err := broker.DecodePublish(version, first, whole)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("got error %v, mochi's is %v", err, wantErr)
		}
		if err != nil {
			return
		}
		for i := range whole {
			whole[i] ^= 0xff // nothing of it may be kept
		}
		if got.Topic != want.TopicName || !bytes.Equal(got.Payload, want.Payload) || got.ID != want.PacketID ||
			got.QoS != want.FixedHeader.Qos || got.Retain != want.FixedHeader.Retain || got.Dup != want.FixedHeader.Dup {
			t.Errorf("got %+v, mochi has %+v", got, want)
		}
	})
}

// TestSessionOutlivesTheTimeToLogIn: the deadline of the login is none of the
// writes after it.
func TestSessionOutlivesTheTimeToLogIn(t *testing.T) {
	const patience = time.Second
	h := start(t, func(o *broker.Options, _ *recorder) { o.Limits.ConnectTimeout = patience })
	c := h.login(4, bridge)
	for begin := time.Now(); time.Since(begin) < 2*patience; {
		c.send(0xc0, 0)
		c.want(packets.Pingresp)
	}
}
