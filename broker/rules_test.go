package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/broker"
)

func TestMalformedConnects(t *testing.T) {
	h := start(t)
	good := hello{name: "MQTT", level: 4, id: nodeA, user: nodeA, pass: nodeA + "-secret"}
	for name, b := range map[string][]byte{
		"not a CONNECT":       {0x30, 3, 0, 1, 'a'},
		"ping first":          {0xc0, 0},
		"flags in the type":   append([]byte{0x11}, good.bytes()[1:]...),
		"empty":               {0x10, 0},
		"five length bytes":   {0x10, 0x80, 0x80, 0x80, 0x80, 0x01},
		"HTTP":                []byte("GET / HTTP/1.1\r\n\r\n"),
		"TLS":                 {0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3},
		"truncated inside":    {0x10, 4, 0, 4, 'M', 'Q'},
		"reserved flag":       hello{name: "MQTT", level: 4, id: nodeA, user: nodeA, pass: nodeA + "-secret", extraFlags: 1}.bytes(),
		"will flags, no will": hello{name: "MQTT", level: 4, id: nodeA, user: nodeA, pass: nodeA + "-secret", extraFlags: 0x20}.bytes(),
	} {
		c := h.raw()
		c.send(b...)
		for _, p := range c.gone() {
			if p.kind != 2 || p.body[1] == 0 {
				t.Errorf("%s: got %v", name, p)
			}
		}
	}
	if got := h.Stats(); got.Panics != 0 {
		t.Errorf("%d panics", got.Panics)
	}
	if len(h.rec.opened) != 0 {
		t.Error("somebody was let in")
	}
}

func TestRefusedConnects(t *testing.T) {
	h := start(t)
	for _, tc := range []struct {
		name   string
		edit   func(*hello)
		v3, v5 byte
	}{
		{"wrong password", func(h *hello) { h.pass = "x" }, 4, 0x86},
		{"no password", func(h *hello) { h.noPass = true }, 4, 0x86},
		{"empty password", func(h *hello) { h.pass = "" }, 4, 0x86},
		{"anonymous", func(h *hello) { h.noUser, h.noPass = true, true }, 4, 0x86},
		{"empty name", func(h *hello) { h.user = "" }, 4, 0x86},
		{"another's name", func(h *hello) { h.user = nodeB }, 4, 0x86},
		{"old protocol", func(h *hello) { h.name, h.level = "MQIsdp", 3 }, 1, 1},
		{"unknown name", func(h *hello) { h.name = "XXXX" }, 1, 0x84},
		{"unknown level", func(h *hello) { h.level = 6 }, 0x84, 0x84},
	} {
		for v, want := range map[byte]byte{4: tc.v3, 5: tc.v5} {
			c := h.raw()
			c.hello(v, nodeA, tc.edit)
			if got := c.connack(); got != want {
				t.Errorf("%s, MQTT %d: code %#x, want %#x", tc.name, v, got, want)
			}
			c.gone()
		}
	}
	for _, props := range [][]byte{{0x21, 0, 0}, append([]byte{0x15}, text("SCRAM")...)} {
		c := h.raw()
		c.hello(5, nodeA, func(h *hello) { h.props = props })
		if got := c.gone(); len(got) > 1 || len(got) == 1 && got[0].body[1] < 0x80 {
			t.Errorf("properties %x: got %v", props, got)
		}
	}
	h.auth.mu.Lock()
	h.auth.down = true
	h.auth.mu.Unlock()
	c := h.raw()
	c.hello(4, nodeA)
	if got, want := c.connack(), byte(3); got != want {
		t.Errorf("while the registry is away: code %d, want %d", got, want)
	}
}

func TestConnackOfMQTT5SaysWhatIsOffered(t *testing.T) {
	h := start(t)
	c := h.raw()
	c.hello(5, nodeA)
	got := map[byte]uint32{}
	for b := c.want(2).body[3:]; len(b) > 0; {
		n := map[byte]int{0x11: 4, 0x13: 2, 0x21: 2, 0x24: 1, 0x27: 4, 0x29: 1, 0x2a: 1}[b[0]]
		if n == 0 {
			t.Fatalf("property %#x", b[0])
		}
		var v uint32
		for _, x := range b[1 : 1+n] {
			v = v<<8 | uint32(x)
		}
		got[b[0]] = v
		b = b[1+n:]
	}
	want := map[byte]uint32{0x11: 0, 0x21: 128, 0x24: 1, 0x27: 65536 + 8192, 0x29: 0, 0x2a: 0}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("properties (-want +got):\n%s", d)
	}
}

func TestPacketsThatMayNotCome(t *testing.T) {
	h := start(t)
	for name, b := range map[string][]byte{
		"AUTH":                  {0xf0, 2, 0, 0},
		"CONNACK":               {0x20, 2, 0, 0},
		"SUBACK":                {0x90, 3, 0, 1, 0},
		"type 0":                {0x00, 0},
		"QoS 3":                 {0x36, 5, 0, 1, 'a', 0, 1},
		"packet id 0":           {0x32, 6, 0, 1, 'a', 0, 0, 0},
		"DUP with QoS 0":        {0x38, 4, 0, 1, 'a', 0},
		"SUBSCRIBE flags":       {0x80, 8, 0, 1, 0, 0, 2, 'g', 'h', 1},
		"SUBSCRIBE id 0":        {0x82, 8, 0, 0, 0, 0, 2, 'g', 'h', 1},
		"SUBSCRIBE QoS 3":       {0x82, 8, 0, 1, 0, 0, 2, 'g', 'h', 3},
		"retain handling 3":     {0x82, 8, 0, 1, 0, 0, 2, 'g', 'h', 0x31},
		"subscription id":       {0x82, 10, 0, 1, 2, 0x0b, 1, 0, 2, 'g', 'h', 1},
		"UNSUBSCRIBE nothing":   {0xa2, 3, 0, 1, 0},
		"publish with sub id":   {0x30, 6, 0, 1, 'a', 2, 0x0b, 1},
		"property out of place": {0x30, 6, 0, 1, 'a', 2, 0x24, 1},
	} {
		c := h.login(5, bridge)
		c.send(b...)
		for _, p := range c.gone() {
			if p.kind != 14 {
				t.Errorf("%s: answered with packet type %d", name, p.kind)
			}
		}
		if end := next(t, h.rec.closed); !errors.Is(end.Cause, broker.ErrViolation) {
			t.Errorf("%s: closed because of %v", name, end.Cause)
		}
	}
	if got := h.Stats().Panics; got != 0 {
		t.Errorf("%d panics", got)
	}
	if len(h.rec.got) != 0 {
		t.Error("something got through")
	}
}

func TestPayloadLimit(t *testing.T) {
	h := start(t)
	for _, v := range []byte{4, 5} {
		c := h.login(v, nodeA)
		c.send(c.pub(2, 1, "gh/n/"+nodeA+"/telemetry", strings.Repeat("x", 65536))...)
		c.want(4)
		c.send(c.pub(2, 2, "gh/n/"+nodeA+"/telemetry", strings.Repeat("x", 65537))...)
		for _, p := range c.gone() {
			if p.kind != 14 || p.body[0] != 0x95 {
				t.Errorf("MQTT %d: got %v", v, p)
			}
		}
	}
	if got := len(next(t, h.rec.got).Payload); got != 65536 {
		t.Errorf("payload of %d bytes", got)
	}
}

func TestRetainedCommandsAreRefusedFromAnyone(t *testing.T) {
	h := start(t)
	cmd := "gh/n/" + nodeA + "/cmd"
	for _, payload := range []string{"x", ""} {
		c := h.login(5, bridge)
		c.send(c.pub(3, 1, cmd, payload)...)
		if got := c.gone(); len(got) != 1 || got[0].body[0] != 0x9a {
			t.Errorf("a bridge, payload %q: got %v, want DISCONNECT 0x9a", payload, got)
		}
	}
	w := h.raw()
	w.hello(5, bridge, func(h *hello) { h.will, h.willTopic, h.willText, h.willRetain = true, cmd, "x", true })
	if got, want := w.connack(), byte(0x9a); got != want {
		t.Errorf("as a will: code %#x, want %#x", got, want)
	}
	if err := h.Publish(cmd, []byte("x"), 1, true); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("the owner: got %v, want invalid", err)
	}
	if err := h.SetRetained(cmd, []byte("x")); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("the owner: got %v, want invalid", err)
	}
}

func TestWhoMayPublishWhat(t *testing.T) {
	// Plain mochi's ledger matches prefixes ("zones/1" lets through "zones/1/pump/cmd") and
	// allows what no rule forbids.
	h := start(t)
	n := func(login, rest string) string { return "gh/n/" + login + "/" + rest }
	for _, tc := range []struct {
		login, topic string
		ok           bool
	}{
		{nodeA, n(nodeA, "telemetry"), true},
		{nodeA, n(nodeA, "telemetry/air_temp"), true},
		{nodeA, n(nodeA, "telemetry/air_temp/x"), false},
		{nodeA, n(nodeA, "telemetry/"), true}, // an empty level is a level; the owner refuses the name
		{nodeA, n(nodeA, "status"), true},
		{nodeA, n(nodeA, "status/x"), false},
		{nodeA, n(nodeA, "cmd"), false},
		{nodeA, n(nodeA, "config"), false},
		{nodeA, n(nodeA, "time/reply"), false},
		{nodeA, n(nodeB, "telemetry"), false},
		{nodeA, "gh/hello/a4cf12b3de01", false},
		{nodeA, "gh/n/" + nodeA, false},
		{bridge, n(nodeA, "cmd"), true},
		{bridge, "gh", true},
		{bridge, "ghx", false},
		{reader, n(nodeA, "status"), false},
	} {
		for _, qos := range []byte{0, 2} {
			for _, v := range []byte{4, 5} {
				c := h.login(v, tc.login)
				c.send(c.pub(qos, 9, tc.topic, "x")...)
				c.send(0xc0, 0)
				c.send(0xe0, 0)
				var acked, reason byte
				for _, p := range c.gone() {
					if p.kind == 4 {
						acked = 1
						if len(p.body) > 2 {
							reason = p.body[2]
						}
					}
				}
				var wantAcked, wantReason byte
				if qos > 0 && (tc.ok || v == 5) {
					wantAcked = 1
				}
				if wantAcked == 1 && !tc.ok {
					wantReason = 0x87
				}
				if acked != wantAcked || reason != wantReason {
					t.Errorf("%s to %s, QoS %d, MQTT %d: PUBACK %d with %#x, want %d with %#x", tc.login, tc.topic, qos>>1, v, acked, reason, wantAcked, wantReason)
				}
				next(t, h.rec.closed)
				if got := len(h.rec.got) == 1; got != tc.ok {
					t.Errorf("%s to %s: handed over is %v, want %v", tc.login, tc.topic, got, tc.ok)
				}
				for len(h.rec.got) > 0 {
					<-h.rec.got
				}
			}
		}
	}
}

func TestRefusedPublishKeepsItsPlaceInTheOrder(t *testing.T) {
	h := start(t, func(_ *broker.Options, r *recorder) { r.hold = true })
	c := h.login(5, nodeA)
	own := "gh/n/" + nodeA + "/telemetry"
	c.send(c.pub(2, 1, own, "x")...)
	c.send(c.pub(2, 2, "gh/n/"+nodeB+"/telemetry", "x")...)
	c.send(c.pub(2, 3, own, "x")...)
	c.ping()
	first, second := next(t, h.rec.got), next(t, h.rec.got)
	second.Ack()
	c.ping()
	first.Ack()
	var got []string
	for range 3 {
		got = append(got, fmt.Sprintf("%x", c.want(4).body))
	}
	if want := []string{"0001", "000287", "0003"}; !cmp.Equal(want, got) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWindowHoldsOnlyItsOwnClient(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		c, other := h.login(4, nodeA, func(h *hello) { h.keepAlive = 60 }), h.login(4, nodeB)
		topic := "gh/n/" + nodeA + "/telemetry"
		go func() {
			c.SetWriteDeadline(time.Time{})
			for i := range uint16(20) {
				_, _ = c.Write(c.pub(2, i+1, topic, "x"))
			}
		}()
		synctest.Wait()
		if got, want := len(h.rec.got), 4; got != want {
			t.Fatalf("%d messages handed over, want the window of %d", got, want)
		}
		other.send(other.pub(2, 1, "gh/n/"+nodeB+"/telemetry", "x")...)
		synctest.Wait()
		if got, want := len(h.rec.got), 5; got != want {
			t.Fatalf("%d messages handed over: the other client waits too", got)
		}
		d := <-h.rec.got
		d.Ack()
		c.want(4)
		synctest.Wait()
		if got, want := len(h.rec.got), 5; got != want {
			t.Errorf("after one Ack %d wait to be kept, want %d", got, want)
		}
		began := time.Now()
		<-h.rec.closed // other, at its keep-alive
		end := <-h.rec.closed
		if got, want := time.Since(began), 90*time.Second; end.Login != nodeA || !errors.Is(end.Cause, broker.ErrNotStored) || got != want {
			t.Errorf("closed %s because of %v after %v, want %s after %v", end.Login, end.Cause, got, nodeA, want)
		}
		select {
		case <-d.Context().Done():
		default:
			t.Error("the context of a delivery outlives its connection")
		}
	}, func(o *broker.Options, r *recorder) { o.Limits.Window, r.hold = 4, true })
}

func TestWindowCountsBytes(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		c := h.login(4, nodeA)
		go func() {
			for i := range uint16(10) {
				c.send(c.pub(2, i+1, "gh/n/"+nodeA+"/telemetry", strings.Repeat("x", 60_000))...)
			}
		}()
		synctest.Wait()
		if got, want := len(h.rec.got), 5; got != want {
			t.Errorf("%d messages of 60,000 bytes handed over, want %d", got, want)
		}
		c.Close()
		<-h.rec.closed
	}, func(_ *broker.Options, r *recorder) { r.hold = true })
}

func TestPubacksAreGathered(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		c := h.login(4, nodeA)
		for i := range uint16(20) {
			c.send(c.pub(2, i+1, "gh/n/"+nodeA+"/telemetry", "x")...)
		}
		synctest.Wait()
		for range 20 {
			(<-h.rec.got).Ack()
		}
		var writes, n int
		for buf := make([]byte, 1024); n < 80; writes++ {
			k, err := c.Conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
		if writes > 2 {
			t.Errorf("20 PUBACKs in %d writes, want what gathers in one", writes)
		}
	}, func(_ *broker.Options, r *recorder) { r.hold = true })
}

func TestOthersGetAMessageOnlyAfterAck(t *testing.T) {
	h := start(t, func(_ *broker.Options, r *recorder) { r.hold = true })
	b, n := h.login(5, bridge), h.login(4, nodeA)
	b.subscribe("gh/n/+/telemetry/#", "gh/n/+/status")
	n.send(n.pub(2, 1, "gh/n/"+nodeA+"/telemetry", "x")...)
	n.send(n.pub(3, 2, "gh/n/"+nodeA+"/status", "on")...)
	first, second := next(t, h.rec.got), next(t, h.rec.got)
	b.ping()
	second.Ack() // out of turn: it waits for the first
	b.ping()
	first.Ack()
	if topic, payload, _, head := b.message(); topic != first.Topic || payload != "x" || head != 0x32 {
		t.Errorf("got %s %s %#x", topic, payload, head)
	}
	if topic, _, _, head := b.message(); topic != second.Topic || head != 0x32 {
		t.Errorf("got %s %#x", topic, head)
	}
	late := h.login(4, bridge, func(h *hello) { h.id += "/late" })
	late.subscribe("gh/n/+/status")
	if topic, payload, _, head := late.message(); topic != second.Topic || payload != "on" || head != 0x33 {
		t.Errorf("retained: got %s %s %#x", topic, payload, head)
	}
	n.send(n.pub(3, 3, "gh/n/"+nodeA+"/status", "lost")...)
	next(t, h.rec.got).Fail(errors.New("disk full"))
	n.gone()
	late.ping()
	b.ping() // what is not kept goes nowhere
}

func TestQoS0IsHandedOverAndPassedOn(t *testing.T) {
	h := start(t, func(_ *broker.Options, r *recorder) { r.hold = true })
	b, n := h.login(4, bridge), h.login(4, nodeA)
	b.subscribe("gh/#")
	n.send(n.pub(0, 0, "gh/n/"+nodeA+"/telemetry/air_temp", "21.5")...)
	d := next(t, h.rec.got)
	d.Ack()
	d.Fail(errors.New("no matter"))
	if topic, payload, _, head := b.message(); topic != d.Topic || payload != "21.5" || head != 0x30 {
		t.Errorf("got %s %s %#x", topic, payload, head)
	}
	n.ping()
}

func TestWillOfAClientThatVanished(t *testing.T) {
	for name, tc := range map[string]struct {
		leave func(h *house, c *raw)
		will  bool
	}{
		"connection lost":       {func(_ *house, c *raw) { c.Close() }, true},
		"DISCONNECT":            {func(_ *house, c *raw) { c.send(0xe0, 0) }, false},
		"DISCONNECT, with will": {func(_ *house, c *raw) { c.send(0xe0, 1, 4) }, false}, // one byte: mochi reads no code from it
		"DISCONNECT 0x04":       {func(_ *house, c *raw) { c.send(0xe0, 2, 4, 0) }, true},
		"expelled":              {func(h *house, _ *raw) { h.Disconnect(nodeA, errors.New("key rotated")) }, true},
		"shutdown":              {func(h *house, _ *raw) { _ = h.Close(context.Background()) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			status := "gh/n/" + nodeA + "/status"
			c := h.login(5, nodeA, func(h *hello) {
				h.will, h.willTopic, h.willText, h.willRetain, h.willQoS = true, status, "gone", true, 1
			})
			b := h.login(4, bridge)
			b.subscribe("gh/n/+/status")
			next(t, h.rec.opened)
			tc.leave(h, c)
			next(t, h.rec.closed)
			if !tc.will {
				if len(h.rec.got) != 0 {
					t.Error("the will was published")
				}
				return
			}
			if d := next(t, h.rec.got); !d.Will || d.QoS != 0 || !d.Retain || string(d.Payload) != "gone" {
				t.Errorf("got %+v", d)
			}
			if topic, payload, _, _ := b.message(); topic != status || payload != "gone" {
				t.Errorf("passed on: %s %s", topic, payload)
			}
			if got, want := h.Stats().Retained, 1; got != want {
				t.Errorf("%d retained, want %d", got, want)
			}
		})
	}
}

func TestRetainedStateOfTheOwner(t *testing.T) {
	h := start(t)
	config := "gh/n/" + nodeA + "/config"
	c := h.login(5, nodeA)
	c.subscribe(config)
	if err := h.SetRetained(config, []byte("1")); err != nil {
		t.Fatal(err)
	}
	c.ping() // supplied, not sent
	if err := h.Publish(config, []byte("2"), 1, true); err != nil {
		t.Fatal(err)
	}
	if _, payload, _, head := c.message(); payload != "2" || head != 0x32 {
		t.Errorf("got %s %#x", payload, head)
	}
	again := func(option byte) []packet {
		b := append([]byte{0, 9, 0}, text(config)...)
		c.send(frame(0x82, append(b, option))...)
		c.want(9)
		c.send(0xc0, 0)
		var all []packet
		for {
			p, err := c.read()
			if err != nil {
				t.Fatal(err)
			}
			if p.kind == 13 {
				return all
			}
			all = append(all, p)
		}
	}
	for option, want := range map[byte]int{0x01: 1, 0x11: 0, 0x21: 0} { // retain handling 0, 1, 2 on a subscription that exists
		if got := len(again(option)); got != want {
			t.Errorf("options %#x: %d retained messages, want %d", option, got, want)
		}
	}
	c.send(0x40, 2, 0, 1, 0x40, 2, 0, 2)
	h.DropRetained(config)
	if got := again(1); len(got) != 0 {
		t.Errorf("after DropRetained: got %v", got)
	}
	if err := h.Publish(config, nil, 1, true); err != nil {
		t.Fatal(err)
	}
	if got := h.Stats().Retained; got != 0 {
		t.Errorf("%d retained", got)
	}
}

func TestRetainedBeyondTheQueueArrivesWhole(t *testing.T) {
	h := start(t, func(o *broker.Options, _ *recorder) { o.Limits.Queue, o.Limits.OutboundWindow = 10, 4 })
	const total = 2000
	for i := range total {
		if err := h.SetRetained(fmt.Sprintf("gh/n/%04d/status", i), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	c := h.login(4, bridge)
	c.subscribe("gh/n/+/status")
	for i := range total {
		topic, _, id, _ := c.message()
		if want := fmt.Sprintf("gh/n/%04d/status", i); topic != want {
			t.Fatalf("got %s, want %s", topic, want)
		}
		c.send(0x40, 2, byte(id>>8), byte(id))
	}
}

func TestRetainedIsBounded(t *testing.T) {
	h := start(t, func(o *broker.Options, _ *recorder) { o.Limits.Retained, o.Retain = 2, []string{"gh/#"} })
	c := h.login(4, bridge)
	for i := range uint16(4) {
		c.send(c.pub(3, i+1, fmt.Sprintf("gh/%d", i), "x")...)
		c.want(4)
	}
	w := h.login(5, bridge, func(h *hello) { h.id = "watcher" })
	b := append([]byte{0, 1, 0}, text("bridge/#")...)
	w.send(frame(0x82, append(b, 0x08))...) // retain as published
	w.want(9)
	c.send(c.pub(3, 9, "bridge/x", "x")...) // not among what is retained: handled all the same
	c.want(4)
	if _, _, _, head := w.message(); head != 0x30 {
		t.Errorf("passed on with first byte %#x: the retain flag promises what is not there", head)
	}
	if got := h.Stats(); got.Retained != 2 || got.Refused[broker.RefusedRetain] != 2 || got.Received != 5 {
		t.Errorf("got %+v", got)
	}
}

func TestNoLocalAndRetainAsPublished(t *testing.T) {
	h := start(t)
	for option, want := range map[byte]string{0x00: "[30]", 0x01: "[32]", 0x05: "[]", 0x09: "[33]"} {
		h.DropRetained("bridge/x")
		c := h.login(5, bridge)
		b := append([]byte{0, 1, 0}, text("bridge/x")...)
		c.send(frame(0x82, append(b, option))...)
		c.want(9)
		for len(h.rec.got) > 0 {
			<-h.rec.got
		}
		c.send(c.pub(3, 5, "bridge/x", "x")...)
		heads := []string{}
		for pings := 0; pings < 2; {
			c.send(0xc0, 0)
			p := must(c.read())
			for ; p.kind != 13; p = must(c.read()) {
				if p.kind == 3 {
					heads = append(heads, fmt.Sprintf("%x", p.head))
				}
			}
			pings++
		}
		if got := fmt.Sprint(heads); got != want {
			t.Errorf("options %#x: got %s, want %s", option, got, want)
		}
		c.Close()
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestPropertiesArePassedOn(t *testing.T) {
	h := start(t)
	b := h.login(5, bridge)
	old := h.login(4, bridge, func(h *hello) { h.id += "/old" })
	b.subscribe("bridge/#")
	old.subscribe("bridge/#")
	c := h.login(5, bridge, func(h *hello) { h.id += "/from" })
	props := append([]byte{0x02, 0, 0, 0, 9, 0x08}, text("bridge/reply")...)
	props = append(append(props, 0x09, 0, 1, 'c'), append([]byte{0x26}, append(text("k"), text("v")...)...)...)
	c.send(frame(0x30, append(append(text("bridge/x"), counted(props)...), "hi"...))...)
	if got, want := string(b.want(3).body), string(append(append(text("bridge/x"), counted(props[5:])...), "hi"...)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, payload, _, _ := old.message(); payload != "hi" {
		t.Errorf("MQTT 3.1.1 got %q", payload)
	}
}

func TestUnsubscribe(t *testing.T) {
	h := start(t)
	for _, v := range []byte{4, 5} {
		c := h.login(v, bridge)
		c.subscribe("bridge/#")
		b := []byte{0, 3}
		if v == 5 {
			b = append(b, 0)
		}
		b = append(append(b, text("bridge/#")...), text("bridge/never")...)
		c.send(frame(0xa2, b)...)
		want := "0003"
		if v == 5 {
			want = "0003000011"
		}
		if got := fmt.Sprintf("%x", c.want(11).body); got != want {
			t.Errorf("MQTT %d: UNSUBACK %s, want %s", v, got, want)
		}
		if err := h.Publish("bridge/x", []byte("x"), 0, false); err != nil {
			t.Fatal(err)
		}
		c.ping()
	}
}

func TestFailedLoginsAreSlowedDown(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		try := func(login, pass string) (byte, time.Duration) {
			c, began := h.raw(), time.Now()
			c.hello(4, login, func(h *hello) { h.pass = pass })
			code := c.connack()
			c.Close()
			return code, time.Since(began)
		}
		for i := range 10 {
			if code, took := try(nodeA, "wrong"); code != 4 || took != 0 {
				t.Errorf("failure %d: code %d after %v", i+1, code, took)
			}
		}
		for i, ms := range []int{500, 1000, 2000, 4000, 4000} {
			want := time.Duration(ms) * time.Millisecond
			if code, took := try(nodeA, "wrong"); code != 4 || took != want {
				t.Errorf("failure %d: code %d after %v, want %v", i+11, code, took, want)
			}
		}
		if _, took := try(nodeB, "wrong"); took != 0 {
			t.Errorf("another login from the same address waits %v", took)
		}
		if code, took := try(nodeA, nodeA+"-secret"); code != 0 || took != 0 {
			t.Errorf("the right secret: code %d after %v", code, took)
		}
		time.Sleep(time.Minute)
		if _, took := try(nodeA, "wrong"); took == 0 {
			t.Error("after a minute of more than ten failures the tries are free again")
		}
		time.Sleep(3 * time.Minute)
	}, func(o *broker.Options, _ *recorder) { o.Limits.LimitLoopback = true })
}

func TestTooManyPacketsMakeTheirClientWait(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		c, other := h.login(4, nodeA), h.login(4, nodeB)
		began := time.Now()
		go func() {
			for range 30 {
				c.send(c.pub(0, 0, "gh/n/"+nodeA+"/telemetry", "x")...)
			}
		}()
		other.ping()
		if time.Since(began) != 0 {
			t.Error("another client waits")
		}
		for range 30 {
			next(t, h.rec.got)
		}
		if got, want := time.Since(began), 2*time.Second; got != want {
			t.Errorf("30 packets took %v, want %v", got, want)
		}
	}, func(o *broker.Options, _ *recorder) {
		o.Limits.LimitLoopback, o.Limits.Rate, o.Limits.Burst = true, 10, 10
	})
}

func TestViolationsAreReportedOnceAMinute(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		c := h.login(5, nodeA)
		for i := range uint16(100) {
			c.send(c.pub(0, i, "gh/n/"+nodeB+"/telemetry", "x")...)
		}
		c.ping()
		first := next(t, h.rec.refused)
		if got, want := fmt.Sprint(first.Kind, first.Login, first.ClientID, first.Topic, first.Count), fmt.Sprint(broker.RefusedPublish, nodeA, nodeA, "gh/n/"+nodeB+"/telemetry", 1); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if n := len(h.rec.refused); n != 0 {
			t.Errorf("%d more reports", n)
		}
		for range 3 {
			time.Sleep(20 * time.Second)
			c.ping()
		}
		c.send(c.pub(0, 0, "gh/n/"+nodeB+"/telemetry", "x")...)
		c.ping()
		if got, want := next(t, h.rec.refused).Count, uint64(100); got != want {
			t.Errorf("Count %d, want %d", got, want)
		}
		if got, want := h.Stats().Refused[broker.RefusedPublish], uint64(101); got != want {
			t.Errorf("counted %d, want %d", got, want)
		}
	})
}

func TestClientThatSubscribesWithoutReading(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		for i := range 1000 {
			if err := h.SetRetained(fmt.Sprintf("gh/%d", i), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		c := h.login(4, bridge)
		for range 10 {
			c.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := c.Write(c.sub(1, "gh/#")); err != nil {
				break
			}
		}
		if end := next(t, h.rec.closed); !errors.Is(end.Cause, broker.ErrViolation) {
			t.Errorf("closed because of %v, want %v", end.Cause, broker.ErrViolation)
		}
	})
}

func TestSessionsAndDisconnect(t *testing.T) {
	h := start(t)
	h.login(4, nodeA)
	h.login(5, bridge)
	c := h.login(5, bridge, func(h *hello) { h.id += "-2" })
	for range 3 {
		next(t, h.rec.opened)
	}
	got := map[string]byte{}
	for _, s := range h.Sessions() {
		got[s.ClientID] = s.Protocol
		if s.Opened.IsZero() || !s.Remote.IsValid() || s.KeepAlive != 30*time.Second {
			t.Errorf("session %+v", s)
		}
	}
	if d := cmp.Diff(map[string]byte{nodeA: 4, bridge: 5, bridge + "-2": 5}, got); d != "" {
		t.Errorf("sessions (-want +got):\n%s", d)
	}
	why := errors.New("account deleted")
	if got, want := h.Disconnect(bridge, why), 2; got != want {
		t.Errorf("disconnected %d, want %d", got, want)
	}
	if got, want := c.want(14).body[0], byte(0x98); got != want {
		t.Errorf("DISCONNECT code %#x, want %#x", got, want)
	}
	for range 2 {
		if end := next(t, h.rec.closed); end.Login != bridge || !errors.Is(end.Cause, why) {
			t.Errorf("closed %s because of %v", end.ClientID, end.Cause)
		}
	}
	if got := h.Disconnect("nobody", why); got != 0 {
		t.Errorf("disconnected %d", got)
	}
}

func TestTLS(t *testing.T) {
	cert := selfSigned(t)
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	h := start(t, func(o *broker.Options, _ *recorder) { o.Limits.ConnectTimeout = 300 * time.Millisecond })
	done := make(chan error, 1)
	go func() { done <- h.ServeTLS(l, &tls.Config{Certificates: []tls.Certificate{cert}}) }()
	h.dial = func() (net.Conn, error) {
		return tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "edged"})
	}
	c := h.login(4, nodeA)
	c.ping()
	if s := h.Sessions()[0]; !s.Secure || s.Listener != l.Addr().String() {
		t.Errorf("session %+v", s)
	}
	h.dial = func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }
	plain := h.raw()
	plain.hello(4, nodeB)
	if _, err := io.ReadAll(plain); err != nil {
		t.Logf("plain bytes: %v", err)
	}
	h.nextRefusal(broker.RefusedTLS)
	stalled, began := h.raw(), time.Now()
	_, _ = io.ReadAll(stalled)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a stalled handshake took %v", took)
	}
	h.dial = func() (net.Conn, error) {
		return tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "edged", MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	}
	if _, err := h.dial(); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	c.ping()
	if err := h.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("ServeTLS: %v", err)
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "edged"}, DNSNames: []string{"edged"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der := must(x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must(x509.ParseCertificate(der))}
}

func TestOwnerMistakes(t *testing.T) {
	if _, err := broker.New(broker.Options{}); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("New without a handler: got %v, want invalid", err)
	}
	h := start(t)
	for _, topic := range []string{"", "a/+", "a/#", "$SYS/x", strings.Repeat("x", 257), "a\x00"} {
		if err := h.Publish(topic, nil, 0, false); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("publish to %.10q: got %v, want invalid", topic, err)
		}
	}
	if err := h.Publish("a", nil, 2, false); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("QoS 2: got %v, want invalid", err)
	}
	if err := h.Publish("a", make([]byte, 65537), 0, false); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("large payload: got %v, want invalid", err)
	}
}

func TestListenerThatFails(t *testing.T) {
	h := start(t)
	l := newPipes()
	l.Close()
	if err := h.Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want %v", err, net.ErrClosed)
	}
}

func TestTablesAreBounded(t *testing.T) {
	now := time.Now()
	if got, limit := broker.Reported(20_000, now), 5000; got > limit {
		t.Errorf("%d reporters remembered, want at most %d", got, limit)
	}
	got, wait := broker.Throttled(20_000, now)
	if limit := 5000; got > limit {
		t.Errorf("%d failed logins remembered, want at most %d", got, limit)
	}
	if wait != 4*time.Second {
		t.Errorf("one address tries 20,000 names and waits %v", wait)
	}
}

func TestCloseGivesUp(t *testing.T) {
	release := make(chan struct{})
	h := start(t, func(_ *broker.Options, r *recorder) {
		r.onRecv = func(*broker.Delivery) { <-release }
	})
	c := h.login(4, nodeA)
	c.send(c.pub(2, 1, "gh/n/"+nodeA+"/telemetry", "x")...)
	waitFor(t, func() bool { return h.Stats().Received == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := h.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	close(release)
	if end := next(t, h.rec.closed); !errors.Is(end.Cause, broker.ErrShutdown) {
		t.Errorf("closed because of %v", end.Cause)
	}
}

func TestPingsWithoutReading(t *testing.T) {
	// Plain mochi: the reading goroutine blocks in the write, and holds the client's lock.
	inBubble(t, func(t *testing.T, h *house) {
		c, began := h.login(4, nodeA), time.Now()
		pings := strings.Repeat("\xc0\x00", 80_000) // answers for one write under way, and more than may be queued behind it
		_, _ = c.Conn.Write([]byte(pings))
		if end := next(t, h.rec.closed); !errors.Is(end.Cause, broker.ErrSlow) {
			t.Errorf("closed because of %v, want %v", end.Cause, broker.ErrSlow)
		}
		if time.Since(began) != 0 {
			t.Error("only the write deadline ended it: what is queued has no bound")
		}
	})
}

func TestRetainedStateOfTheOwnerIsBounded(t *testing.T) {
	h := start(t, func(o *broker.Options, _ *recorder) { o.Limits.Retained = 1 })
	for i, want := range []error{nil, nil, greenhouse.ErrUnavailable} {
		if err := h.SetRetained([]string{"a", "a", "b"}[i], []byte("x")); !errors.Is(err, want) {
			t.Errorf("call %d: got %v, want %v", i, err, want)
		}
	}
}

func TestSessionsOfAnAccountAreBounded(t *testing.T) {
	h := start(t, func(o *broker.Options, _ *recorder) { o.Limits.SessionsPerLogin = 2 })
	first := h.login(4, bridge)
	h.login(4, bridge, func(h *hello) { h.id = "two" })
	third := h.raw()
	third.hello(5, bridge, func(h *hello) { h.id = "three" })
	if got, want := third.connack(), byte(0x97); got != want {
		t.Errorf("code %#x, want %#x", got, want)
	}
	h.login(4, bridge, func(h *hello) { h.id = "two" }) // in the place of its own older one
	first.Close()
	waitFor(t, func() bool { return h.Stats().Sessions == 1 })
	h.login(4, bridge, func(h *hello) { h.id = "three" })
}

func TestSubscriberNeverSeesOlderStateAfterNewer(t *testing.T) {
	h := start(t)
	topic := "gh/n/" + nodeA + "/config"
	c := h.login(5, nodeA)
	const rounds, apace = 3000, 100 // how far each side may run ahead of what was read
	var states, answers atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range int64(rounds) {
			for states.Load() < i-apace && !t.Failed() {
				runtime.Gosched()
			}
			if err := h.Publish(topic, binary.BigEndian.AppendUint64(nil, uint64(i)), 0, true); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for i := range int64(rounds) {
			for answers.Load() < i-apace && !t.Failed() {
				runtime.Gosched()
			}
			_, _ = c.Write(c.sub(1, topic))
		}
	})
	for answers.Load() < rounds || states.Load() < rounds-1 {
		p, err := c.read()
		if err != nil {
			t.Error(err)
			break
		}
		if p.kind != 3 {
			answers.Add(1)
			continue
		}
		got := int64(binary.BigEndian.Uint64(p.body[len(p.body)-8:]))
		if seen := states.Swap(got); got < seen {
			t.Errorf("state %d came after %d", got, seen)
			break
		}
	}
	wg.Wait()
}

func TestStormOfReconnects(t *testing.T) {
	l := newPipes()
	h := startOn(t, l, l.Dial)
	const n = 1000
	for round := range 2 { // the second takes over from the first
		var wg sync.WaitGroup
		began := time.Now()
		for i := range n {
			login := fmt.Sprintf("climate-%012d", i)
			c := h.raw()
			wg.Go(func() {
				c.hello(4, login)
				if p, err := c.read(); err != nil || p.kind != 2 || p.body[1] != 0 {
					t.Errorf("%s: %v %v", login, p, err)
					return
				}
				c.send(c.sub(1, "gh/n/"+login+"/cmd")...)
				if p, err := c.read(); err != nil || p.kind != 9 {
					t.Errorf("%s: %v %v", login, p, err)
				}
			})
		}
		wg.Wait()
		t.Logf("round %d: %d nodes back after %v", round, n, time.Since(began))
		waitFor(t, func() bool { return h.Stats().Connections == n })
	}
	for i := range n {
		login := fmt.Sprintf("climate-%012d", i)
		if err := h.PublishCommand(login, "gh/n/"+login+"/cmd", []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDisconnectCatchesALoginOnItsWay(t *testing.T) {
	h := start(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	h.auth.wait = func() { close(asked); <-answer }
	c := h.raw()
	c.hello(4, nodeA)
	next(t, asked)
	h.Disconnect(nodeA, errors.New("key rotated"))
	h.auth.wait = nil
	close(answer)
	if got, want := c.connack(), byte(3); got != want {
		t.Errorf("CONNACK code %d, want %d", got, want)
	}
	h.login(4, nodeA).ping() // with what holds now
}

func TestQueuesThatAreNeverEmptyDoNotGrow(t *testing.T) {
	h := start(t, func(o *broker.Options, r *recorder) { o.Limits.OutboundWindow, r.hold = 1, true })
	c := h.login(4, nodeA)
	cmd, up := "gh/n/"+nodeA+"/cmd", "gh/n/"+nodeA+"/telemetry"
	c.subscribe(cmd)
	step := func(i uint16) {
		if err := h.PublishCommand(nodeA, cmd, []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
		c.send(c.pub(2, i, up, "x")...)
	}
	for i := range uint16(10) {
		step(i + 1)
	}
	for i := range uint16(3000) {
		step(i + 11)
		for range 2 { // the command, and after Ack the PUBACK
			if i := must(c.read()); i.kind == 3 {
				id := i.body[2+len(cmd):]
				c.send(0x40, 2, id[0], id[1])
				next(t, h.rec.got).Ack()
			}
		}
	}
	if got, limit := h.QueueSpace(), 1000; got > limit {
		t.Errorf("the queues have room for %d entries, want at most %d", got, limit)
	}
}
