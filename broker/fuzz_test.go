package broker_test

import (
	"io"
	"testing"
	"time"
)

// attack sends bytes over a new connection and hangs up, and then checks that
// the broker serves others and that nothing of the attacker is left.
func attack(t *testing.T, h *house, witness *raw, b []byte) {
	t.Helper()
	conn, err := h.dial()
	if err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, conn); close(drained) }()
	conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, _ = conn.Write(b)
	conn.Close()
	<-drained
	waitFor(t, func() bool { return h.Stats().Connections == 1 && h.Known() == 0 })
	if h.Subscribed() {
		t.Fatal("a subscription is left behind")
	}
	witness.t = t
	witness.ping()
	for len(h.rec.got) > 0 {
		<-h.rec.got
	}
	for len(h.rec.opened) > 0 {
		<-h.rec.opened
	}
	for len(h.rec.closed) > 0 {
		<-h.rec.closed
	}
	for len(h.rec.refused) > 0 {
		<-h.rec.refused
	}
}

func fuzzHouse(f *testing.F) (*house, *raw) {
	l := newPipes()
	h := startOn(f, l, l.Dial)
	return h, h.login(4, nodeB, func(h *hello) { h.keepAlive = 0 })
}

func FuzzBeforeLogin(f *testing.F) {
	h, witness := fuzzHouse(f)
	for _, v := range []byte{4, 5} {
		good := hello{name: "MQTT", level: v, id: nodeA, user: nodeA, pass: nodeA + "-secret", will: true, willTopic: "gh/n/" + nodeA + "/status", willText: "x"}
		f.Add(good.bytes())
		f.Add(good.bytes()[:20])
		f.Add(append(good.bytes(), good.bytes()...))
	}
	f.Add([]byte{0x10, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte{0x10, 0})
	f.Add([]byte{0xe0, 0})
	f.Fuzz(func(t *testing.T, b []byte) { attack(t, h, witness, b) })
}

func FuzzAfterLogin(f *testing.F) {
	h, witness := fuzzHouse(f)
	for _, v := range []byte{4, 5} {
		c := &raw{v: v}
		for _, b := range [][]byte{
			c.pub(2, 1, "gh/x", "x"), c.pub(3, 1, "gh/x", "x"), c.pub(0, 0, "gh/x", "x"), c.sub(1, "gh/#", "gh/+"),
			{0x82, 6, 0, 1, 0, 0, 1, 'a'}, {0xa2, 7, 0, 1, 0, 0, 2, 'g', 'h'}, {0xa2, 6, 0, 1, 0, 2, 'g', 'h'},
			{0x40, 2, 0, 1}, {0x50, 2, 0, 1}, {0x62, 2, 0, 1}, {0x70, 2, 0, 1}, {0xc0, 0}, {0xe0, 0}, {0xe0, 2, 4, 0}, {0xf0, 2, 0, 0},
			{0x30, 6, 0, 1, 'a', 2, 0x23, 0}, {0x80, 0x80, 0x80, 0x80},
		} {
			f.Add(v == 5, b)
		}
	}
	f.Fuzz(func(t *testing.T, five bool, b []byte) {
		v := byte(4)
		if five {
			v = 5
		}
		connect := hello{name: "MQTT", level: v, id: bridge, user: bridge, pass: bridge + "-secret", clean: true}.bytes()
		attack(t, h, witness, append(connect, b...))
	})
}
