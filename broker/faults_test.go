package broker_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"greenhouse/broker"
)

// This file has a test for every fault that was found in mochi-mqtt v2.7.9.
// Each says what the plain server does; plain_test.go lists them and shows it doing so.

// inBubble runs f with a broker on in-memory connections, where time is not real.
func inBubble(t *testing.T, f func(t *testing.T, h *house), edit ...func(*broker.Options, *recorder)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		f(t, startOn(t, l, l.Dial, edit...))
	})
}

func TestTruncatedSubscribe(t *testing.T) {
	// Plain mochi (#501): index out of range in SubscribeDecode, no recover: the process ends.
	h := start(t)
	witness := h.login(4, nodeB)
	c := h.login(5, nodeA)
	c.subscribe("gh/n/" + nodeA + "/cmd")
	c.send(0x82, 6, 0, 1, 0, 0, 1, 'a')
	c.gone()
	if got := next(t, h.rec.closed); !errors.Is(got.Cause, broker.ErrPanic) || got.Login != nodeA {
		t.Errorf("closed %s because of %v, want %s because of %v", got.Login, got.Cause, nodeA, broker.ErrPanic)
	}
	h.nextRefusal(broker.RefusedPanic)
	witness.ping()
	if got, want := h.Stats().Panics, uint64(1); got != want {
		t.Errorf("Panics %d, want %d", got, want)
	}
	again := h.login(5, nodeA) // nothing of the old session is left in the way
	if err := h.PublishCommand(nodeA, "gh/n/"+nodeA+"/cmd", nil, nil); err == nil {
		t.Error("the subscription of the broken session is still there")
	}
	again.ping()
}

func TestFaultInHandlerCostsOneClient(t *testing.T) {
	// Plain mochi: a panic in a hook ends the process.
	h := start(t, func(_ *broker.Options, r *recorder) {
		r.onRecv = func(d *broker.Delivery) {
			if string(d.Payload) == "boom" {
				panic("boom")
			}
		}
	})
	witness, c := h.login(4, nodeB), h.login(4, nodeA)
	c.send(c.pub(2, 1, "gh/n/"+nodeA+"/event", "boom")...)
	if got := c.gone(); len(got) != 0 {
		t.Errorf("got %v, want no PUBACK", got)
	}
	witness.ping()
}

func TestHugeLengthBeforeLogin(t *testing.T) {
	// Plain mochi (#502): 5 bytes allocate 256 MB and pin them; MaximumPacketSize is 0.
	h := start(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		c := h.raw()
		c.send(0x10, 0xff, 0xff, 0xff, 0x7f)
		c.gone()
	}
	c := h.raw()
	c.send(0x10, 0x81, 0x20) // 4,097 bytes: more than a CONNECT may have
	c.gone()
	runtime.ReadMemStats(&after)
	if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(4<<20); got > limit {
		t.Errorf("allocated %d bytes for 21 announced packets, want at most %d", got, limit)
	}
	if got, want := h.Stats().Refused[broker.RefusedPacketSize], uint64(21); got != want {
		t.Errorf("refused %d, want %d", got, want)
	}
}

func TestHugeLengthAfterLogin(t *testing.T) {
	h := start(t)
	for _, length := range [][]byte{{0xff, 0xff, 0xff, 0x7f}, {0x80, 0x80, 0x80, 0x80, 0x01}, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}} {
		// Plain mochi reads 0x80 for ever: its shift count has no end.
		c := h.login(5, nodeA)
		c.send(append([]byte{0x30}, length...)...)
		got := c.gone()
		if len(got) != 1 || got[0].kind != 14 {
			t.Errorf("after length %x: got %v, want one DISCONNECT", length, got)
		}
	}
}

func TestSilenceBeforeLogin(t *testing.T) {
	// Plain mochi: no deadline before CONNECT; 500 idle sockets stay for ever, 69 KB each.
	connect := hello{name: "MQTT", level: 4, id: nodeA, user: nodeA, pass: nodeA + "-secret"}.bytes()
	for name, talk := range map[string]func(c *raw){
		"nothing": func(*raw) {},
		"half":    func(c *raw) { c.send(connect[:len(connect)/2]...) },
		"slowly": func(c *raw) {
			for _, b := range connect {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				c, began := h.raw(), time.Now()
				go talk(c)
				c.gone()
				if got, want := time.Since(began), 5*time.Second; got != want {
					t.Errorf("closed after %v, want %v", got, want)
				}
				synctest.Wait()
				if got := h.Stats(); got.Connections != 0 || got.Refused[broker.RefusedTimeout] != 1 {
					t.Errorf("got %+v, want no connection left and one timeout", got)
				}
				time.Sleep(time.Second)
			})
		})
	}
}

// TestDeadlineOfTheLoginEndsWithIt needs a real socket: its deadlines are not those
// of a connection in memory.
func TestDeadlineOfTheLoginEndsWithIt(t *testing.T) {
	const deadline = 300 * time.Millisecond
	h := start(t, func(o *broker.Options, _ *recorder) { o.Limits.ConnectTimeout = deadline })
	accepted := time.Now()
	c := h.login(4, nodeA)
	c.subscribe("gh/n/" + nodeA + "/cmd")
	<-time.After(time.Until(accepted.Add(2 * deadline)))
	c.ping()
	c.send(c.pub(2, 1, "gh/n/"+nodeA+"/telemetry", "x")...)
	c.want(4)
	if err := h.PublishCommand(nodeA, "gh/n/"+nodeA+"/cmd", []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	c.message()
}

func TestConnectionsAreCountedAtAccept(t *testing.T) {
	// Plain mochi: MaximumClients counts logins only, so silent sockets are free.
	h := start(t, func(o *broker.Options, _ *recorder) { o.Limits.Connections = 3 })
	silent := []*raw{h.raw(), h.raw(), h.raw()}
	waitFor(t, func() bool { return h.Stats().Connections == 3 })
	h.raw().gone()
	h.nextRefusal(broker.RefusedConnections)
	silent[0].Close()
	waitFor(t, func() bool { return h.Stats().Connections == 2 })
	h.login(4, nodeA)
}

func TestConnectionsPerAddress(t *testing.T) {
	limits := func(loopback bool) func(o *broker.Options, _ *recorder) {
		return func(o *broker.Options, _ *recorder) {
			o.Limits.ConnectionsPerAddress, o.Limits.LimitLoopback = 2, loopback
		}
	}
	t.Run("loopback is exempt", func(t *testing.T) {
		h := start(t, limits(false))
		h.raw()
		h.raw()
		h.login(4, nodeA)
	})
	t.Run("unless asked", func(t *testing.T) {
		h := start(t, limits(true))
		h.raw()
		h.raw()
		waitFor(t, func() bool { return h.Stats().Connections == 2 })
		h.raw().gone()
		h.nextRefusal(broker.RefusedAddress)
	})
	t.Run("before login", func(t *testing.T) {
		h := start(t, func(o *broker.Options, _ *recorder) { o.Limits.PendingPerAddress, o.Limits.LimitLoopback = 1, true })
		h.login(4, nodeA)
		h.raw()
		waitFor(t, func() bool { return h.Stats().Pending == 1 })
		h.raw().gone()
		h.nextRefusal(broker.RefusedPending)
	})
}

// waitFor waits for what has no event to wait for, with a bound.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("it never came true")
		}
	}
}

// scarce fails to accept a few times, as a process without files does.
type scarce struct {
	net.Listener
	failures int
}

func (s *scarce) Accept() (net.Conn, error) {
	if s.failures > 0 {
		s.failures--
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return s.Listener.Accept()
}

func TestTooManyOpenFiles(t *testing.T) {
	// Plain mochi: one error of Accept ends the listener for ever, silently.
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		h := startOn(t, &scarce{l, 7}, l.Dial)
		h.login(4, nodeA).ping()
		if got, want := h.Stats().AcceptErrors, uint64(7); got != want {
			t.Errorf("AcceptErrors %d, want %d", got, want)
		}
	})
}

func TestKeepAliveIsClamped(t *testing.T) {
	// Plain mochi: keep-alive × 1.5 in 16 bits overflows from 43,691 s on; 0 is for ever; 1 is 1 s.
	for _, tc := range []struct {
		asked uint16
		told  bool
		lives time.Duration
	}{
		{0, true, 450 * time.Second},
		{1, false, 1500 * time.Millisecond},
		{30, false, 45 * time.Second},
		{300, false, 450 * time.Second},
		{43691, true, 450 * time.Second},
		{65535, true, 450 * time.Second},
	} {
		t.Run(fmt.Sprint(tc.asked), func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				c := h.raw()
				c.hello(5, nodeA, func(h *hello) { h.keepAlive = tc.asked })
				ack := c.want(2).body
				if got := strings.Contains(string(ack[3:]), string([]byte{0x13, 0x01, 0x2c})); got != tc.told {
					t.Errorf("CONNACK %x: server keep-alive given is %v, want %v", ack, got, tc.told)
				}
				began := time.Now()
				cause := next(t, h.rec.opened)
				_ = cause
				end := <-h.rec.closed
				if !errors.Is(end.Cause, broker.ErrKeepAlive) {
					t.Errorf("closed because of %v, want %v", end.Cause, broker.ErrKeepAlive)
				}
				if got := time.Since(began); got < tc.lives || got > tc.lives+time.Second {
					t.Errorf("closed after %v, want %v and at most a second more", got, tc.lives)
				}
			})
		})
	}
}

func TestPacketThatTricklesInDoesNotProlongKeepAlive(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		c := h.login(4, nodeA, func(h *hello) { h.keepAlive = 10 })
		began := time.Now()
		go func() {
			for _, b := range c.pub(2, 1, "gh/n/"+nodeA+"/telemetry", strings.Repeat("x", 1000)) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		<-h.rec.closed
		if got, want := time.Since(began), 17*time.Second; got > want {
			t.Errorf("closed after %v, want at most %v", got, want)
		}
		time.Sleep(2 * time.Second)
	})
}

func TestStalledSubscriberDelaysNobody(t *testing.T) {
	// Plain mochi (#95, #340): no write deadline; the writer holds the client's lock, so
	// every QoS 1 publisher waits for ever, and the stuck id cannot be taken over.
	inBubble(t, func(t *testing.T, h *house) {
		stuck := h.login(4, nodeA)
		stuck.subscribe("gh/n/" + nodeA + "/cmd")
		node := h.login(4, nodeB)
		began := time.Now()
		var sent int
		for range 5000 { // nobody reads these
			if h.PublishCommand(nodeA, "gh/n/"+nodeA+"/cmd", make([]byte, 100), nil) == nil {
				sent++
			}
			if err := h.Publish("gh/n/"+nodeA+"/cmd", make([]byte, 100), 1, false); err != nil {
				t.Fatal(err)
			}
		}
		node.send(node.pub(2, 1, "gh/n/"+nodeB+"/telemetry", "x")...)
		node.want(4)
		if got := time.Since(began); got != 0 {
			t.Errorf("publishing beside a stalled subscriber took %v", got)
		}
		if got := h.Stats(); got.Dropped == 0 || sent > 1100 {
			t.Errorf("dropped %d and queued %d, want a bounded queue", got.Dropped, sent)
		}
		end := <-h.rec.closed
		if got, want := time.Since(began), 5*time.Second; !errors.Is(end.Cause, broker.ErrSlow) || got != want {
			t.Errorf("closed because of %v after %v, want %v after %v", end.Cause, got, broker.ErrSlow, want)
		}
	})
}

func TestStalledClientCanBeTakenOver(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		stuck := h.login(4, nodeA)
		stuck.subscribe("gh/n/" + nodeA + "/cmd")
		for range 10 {
			_ = h.Publish("gh/n/"+nodeA+"/cmd", make([]byte, 60_000), 0, false)
		}
		synctest.Wait()
		began := time.Now()
		h.login(4, nodeA).ping()
		if got := time.Since(began); got != 0 {
			t.Errorf("the take-over took %v", got)
		}
	})
}

func TestBurstsDoNotDeadlock(t *testing.T) {
	// Plain mochi: Inflight.NextImmediate takes a read lock twice; with a waiting writer in
	// between it dead-locks after some hundred to some thousand messages.
	h := start(t)
	c := h.login(5, nodeA, func(h *hello) { h.props = []byte{0x21, 0, 5} })
	topic := "gh/n/" + nodeA + "/cmd"
	c.subscribe(topic)
	const total = 5000
	acked := make(chan struct{}, total)
	go func() {
		for range total {
			_, _, id, _ := c.message()
			c.send(0x40, 2, byte(id>>8), byte(id))
		}
	}()
	for sent := 0; sent < total; {
		if h.PublishCommand(nodeA, topic, []byte("x"), func() { acked <- struct{}{} }) == nil {
			sent++
		} else {
			runtime.Gosched()
		}
	}
	for range total {
		next(t, acked)
	}
}

func TestReceiveMaximumIsKeptAndComesBack(t *testing.T) {
	// Plain mochi: of a burst of 40 with Receive Maximum 5, 10 arrive, and nothing ever after.
	h := start(t)
	c := h.login(5, nodeA, func(h *hello) { h.props = []byte{0x21, 0, 5} })
	topic := "gh/n/" + nodeA + "/cmd"
	c.subscribe(topic)
	for i := range 40 {
		if err := h.PublishCommand(nodeA, topic, []byte{byte(i)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 8 {
		var ids []uint16
		for i := range 5 {
			_, payload, id, _ := c.message()
			if got, want := payload[0], byte(round*5+i); got != want {
				t.Fatalf("message %d, want %d", got, want)
			}
			ids = append(ids, id)
		}
		c.ping() // the sixth does not come before a PUBACK
		for _, id := range ids {
			c.send(0x40, 2, byte(id>>8), byte(id))
		}
	}
	if err := h.PublishCommand(nodeA, topic, []byte("later"), nil); err != nil {
		t.Fatal(err)
	}
	if _, got, _, _ := c.message(); got != "later" {
		t.Errorf("got %q, want %q", got, "later")
	}
}

func TestMessageTooLargeForItsClientHoldsUpNoOther(t *testing.T) {
	// Plain mochi: small messages are stuck behind one over the client's Maximum Packet Size.
	h := start(t)
	c := h.login(5, nodeA, func(h *hello) { h.props = []byte{0x27, 0, 0, 0, 200} })
	topic := "gh/n/" + nodeA + "/cmd"
	c.subscribe(topic)
	for i := range 50 {
		payload := fmt.Sprint(i)
		if i%10 == 3 {
			payload = strings.Repeat("x", 500)
		}
		err := h.PublishCommand(nodeA, topic, []byte(payload), nil)
		if large := len(payload) > 200; (err != nil) != large {
			t.Errorf("message %d of %d bytes: %v", i, len(payload), err)
		}
	}
	for i := range 50 {
		if i%10 == 3 {
			continue
		}
		_, payload, id, _ := c.message()
		if payload != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", payload, i)
		}
		c.send(0x40, 2, byte(id>>8), byte(id))
	}
	c.ping()
}

func TestSessionsAreAlwaysClean(t *testing.T) {
	// Plain mochi: on resume messages come in random order, Receive Maximum is ignored, in-flight
	// entries leak (#519, #545), a SUBSCRIBE with an id that is in flight is refused.
	for _, v := range []byte{4, 5} {
		h := start(t)
		topic := "gh/n/" + nodeA + "/cmd"
		stay := func(h *hello) {
			h.clean = false
			if v == 5 {
				h.props = []byte{0x11, 0, 0, 0xff, 0xff} // session expiry
			}
		}
		c := h.login(v, nodeA, stay)
		c.subscribe(topic)
		if err := h.PublishCommand(nodeA, topic, []byte("lost with the session"), nil); err != nil {
			t.Fatal(err)
		}
		c.message()
		c.Close()
		next(t, h.rec.closed)
		if err := h.PublishCommand(nodeA, topic, []byte("x"), nil); err == nil {
			t.Error("a command to a node that is away was taken")
		}
		c = h.raw()
		c.hello(v, nodeA, stay)
		if got := c.want(2).body; got[0] != 0 {
			t.Errorf("CONNACK %x says that a session is present", got)
		}
		c.ping() // nothing is sent again
		c.send(c.sub(1, topic)...)
		if got, want := c.want(9).body, byte(1); got[len(got)-1] != want {
			t.Errorf("SUBACK %x, want QoS %d granted", got, want)
		}
	}
}

func TestManyConnectsWithOneID(t *testing.T) {
	// Plain mochi: in 34 to 76 of 200 rounds more than one stays, or the one that stays
	// answers pings and receives nothing.
	h := start(t)
	topic := "gh/n/" + nodeA + "/cmd"
	for round := range 40 {
		var wg sync.WaitGroup
		conns := make([]*raw, 8)
		for i := range conns {
			conns[i] = h.raw()
		}
		alive := make(chan *raw, len(conns))
		for _, c := range conns {
			wg.Go(func() {
				c.hello(4, nodeA)
				if p, err := c.read(); err != nil || p.kind != 2 || p.body[1] != 0 {
					return
				}
				c.send(c.sub(1, topic)...)
				if p, err := c.read(); err == nil && p.kind == 9 {
					alive <- c
				}
			})
		}
		wg.Wait()
		waitFor(t, func() bool { return len(h.Sessions()) == 1 && h.Stats().Connections == 1 })
		close(alive)
		if err := h.PublishCommand(nodeA, topic, []byte{byte(round)}, nil); err != nil {
			t.Fatalf("round %d: the survivor is not reached: %v", round, err)
		}
		var reached int
		for c := range alive {
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			if p, err := c.read(); err == nil && p.kind == 3 {
				reached++
			}
			c.Close()
		}
		if reached != 1 {
			t.Fatalf("round %d: %d connections got the message, want 1", round, reached)
		}
		waitFor(t, func() bool { return h.Stats().Connections == 0 })
	}
}

func TestTakeOver(t *testing.T) {
	for _, v := range []byte{4, 5} {
		h := start(t)
		old := h.login(v, nodeA, func(h *hello) {
			h.will, h.willTopic, h.willText, h.willRetain = true, "gh/n/"+nodeA+"/status", `{"v":1,"online":false}`, true
		})
		if s := next(t, h.rec.opened); s.TookOver {
			t.Error("the first session took over something")
		}
		h.login(v, nodeA).ping()
		got := old.gone()
		if v == 5 && (len(got) != 1 || got[0].kind != 14 || got[0].body[0] != 0x8e) {
			t.Errorf("the old client got %v, want DISCONNECT 0x8e", got)
		}
		if end := next(t, h.rec.closed); !errors.Is(end.Cause, broker.ErrTakenOver) {
			t.Errorf("closed because of %v, want %v", end.Cause, broker.ErrTakenOver)
		}
		if s := next(t, h.rec.opened); !s.TookOver {
			t.Error("the new session does not say that it took over")
		}
		if n := len(h.rec.got); n != 0 {
			t.Error("the will of a client that lives was published")
		}
		if got, want := h.Stats().TakenOver, uint64(1); got != want {
			t.Errorf("TakenOver %d, want %d", got, want)
		}
	}
}

func TestNewestConnectionWins(t *testing.T) {
	h := start(t)
	late := h.raw() // connected first, but its CONNECT is held up on the way
	waitFor(t, func() bool { return h.Stats().Connections == 1 })
	c := h.login(4, nodeA)
	late.hello(4, nodeA)
	if got, want := late.connack(), byte(3); got != want { // not 4 or 5: its secret is good, and firmware may forget one that is refused
		t.Errorf("CONNACK code %d, want %d", got, want)
	}
	c.ping()
}

func TestPendingConnectionsBecomeSessions(t *testing.T) {
	h := start(t, func(o *broker.Options, _ *recorder) { o.Limits.Pending = 1 })
	for i := range 5 {
		h.login(4, fmt.Sprintf("climate-%012d", i))
		waitFor(t, func() bool { return h.Stats().Sessions == i+1 && h.Stats().Pending == 0 })
	}
}

func TestClientIDBelongsToLogin(t *testing.T) {
	// Plain mochi (#398): any login may take any id, take over its session and get its commands;
	// the id "inline" replaces the broker's own client.
	h := start(t)
	for _, tc := range []struct {
		login, id string
		ok        bool
	}{
		{nodeA, nodeA, true},
		{nodeA, nodeB, false},
		{nodeA, nodeA + "-2", false},
		{nodeA, "inline", false},
		{nodeA, "", false},
		{nodeA, "\ufeff" + nodeA, false},
		{nodeA, strings.Repeat("x", 65535-200), false},
		{bridge, bridge, true},
		{bridge, bridge + "-tasmota", true},
		{bridge, bridge + "/1", true},
		{bridge, "DVES_1A2B3C", true},
		{bridge, "inline", false},
		{bridge, "$SYS", false},
		{bridge, strings.Repeat("x", 129), false},
		{bridge, "", false},
		{bridge, nodeA, true}, // allowed, and another session than the node's
	} {
		for _, v := range []byte{4, 5} {
			node := h.login(4, nodeA)
			c := h.raw()
			if tc.login == nodeA {
				node = h.login(4, nodeB)
			}
			c.hello(v, tc.login, func(h *hello) { h.id = tc.id })
			p, err := c.read()
			if got := err == nil && p.kind == 2 && p.body[1] == 0; got != tc.ok {
				t.Errorf("login %s with id %.20q: let in is %v, want %v", tc.login, tc.id, got, tc.ok)
			}
			if err == nil && !tc.ok && p.body[1] != map[byte]byte{4: 2, 5: 0x85}[v] {
				t.Errorf("login %s with id %.20q: CONNACK code %#x", tc.login, tc.id, p.body[1])
			}
			node.ping() // and nobody else was disturbed
			c.Close()
			node.Close()
			waitFor(t, func() bool { return h.Stats().Sessions <= 1 })
		}
	}
}

func TestWillIsCheckedAtConnect(t *testing.T) {
	// Plain mochi (#503): the will is published without asking the ACL, so a sensor's login
	// switches a pump by vanishing.
	h := start(t)
	own := "gh/n/" + nodeA + "/status"
	for _, tc := range []struct {
		topic, text string
		retain      bool
		qos         byte
		ok          bool
	}{
		{own, "x", true, 1, true},
		{own, "", false, 0, true},
		{"gh/n/" + nodeB + "/status", "x", false, 1, false},
		{"gh/n/" + nodeA + "/cmd", "x", false, 1, false},
		{"gh/n/" + nodeB + "/cmd", "x", true, 1, false},
		{"gh/n/+/status", "x", false, 1, false},
		{"$SYS/broker", "x", false, 1, false},
		{"", "x", false, 1, false},
		{own + strings.Repeat("/x", 12), "x", false, 1, false},
	} {
		for _, v := range []byte{4, 5} {
			c := h.raw()
			c.hello(v, nodeA, func(h *hello) {
				h.will, h.willTopic, h.willText, h.willRetain, h.willQoS = true, tc.topic, tc.text, tc.retain, tc.qos
			})
			if got := c.connack() == 0; got != tc.ok {
				t.Errorf("MQTT %d, will on %q: let in is %v, want %v", v, tc.topic, got, tc.ok)
			}
			c.Close()
		}
	}
	big := h.raw()
	big.hello(4, nodeA, func(h *hello) { h.will, h.willTopic, h.willText = true, own, strings.Repeat("x", 65_000) })
	big.gone()
}

func TestTopicAliasIsRefused(t *testing.T) {
	// Plain mochi: with an alias the ACL is asked about the empty topic, and data vanishes.
	h := start(t)
	for _, alias := range []uint16{0, 1, 65535} {
		for _, topic := range []string{"", "gh/n/" + nodeA + "/telemetry"} {
			c := h.login(5, nodeA)
			b := append(text(topic), 0, 1, 3, 0x23, byte(alias>>8), byte(alias))
			c.send(frame(0x32, append(b, "x"...))...)
			if got := c.gone(); len(got) != 1 || got[0].kind != 14 || got[0].body[0] != 0x94 {
				t.Errorf("alias %d for %q: got %v, want DISCONNECT 0x94", alias, topic, got)
			}
		}
	}
	if len(h.rec.got) != 0 {
		t.Error("a message with an alias got through")
	}
}

func TestDeepTopics(t *testing.T) {
	// Plain mochi: a topic of 65,000 levels holds a global lock for 14 to 24 s.
	h := start(t)
	for _, topic := range []string{
		"gh" + strings.Repeat("/x", 12), strings.Repeat("/", 65_000), "bridge/" + strings.Repeat("x", 250),
		"gh/+/x", "gh/#", "$SYS/x", "", "gh/\x00", "gh/\x01", "gh/\xff", "gh/\ufeff",
	} {
		for _, v := range []byte{4, 5} {
			c := h.login(v, bridge)
			began := time.Now()
			c.send(c.pub(2, 1, topic, "x")...)
			for _, p := range c.gone() {
				if p.kind == 4 {
					t.Errorf("a publish to %.20q was acknowledged", topic)
				}
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("a publish to %.20q took %v to refuse", topic, took)
			}
		}
	}
	c := h.login(4, bridge)
	deep := "gh" + strings.Repeat("/x", 11)
	c.send(c.pub(2, 1, deep, "x")...)
	c.want(4)
	if got := next(t, h.rec.got).Topic; got != deep {
		t.Errorf("got %q, want %q", got, deep)
	}
}

func TestFilters(t *testing.T) {
	// Plain mochi: accepts "a+b" and "x#"; asks the ACL about each filter as if it were a topic.
	h := start(t)
	for _, v := range []byte{4, 5} {
		c, n := h.login(v, bridge), h.login(v, nodeA)
		for _, tc := range []struct {
			filter string
			code   byte
		}{
			{"gh/#", 1}, {"gh/n/+/status", 1}, {"gh", 1}, {"gh/+/+/+", 1},
			{"gh/a+b", 0x8f}, {"gh/x#", 0x8f}, {"gh/#/a", 0x8f}, {"gh/+a", 0x8f}, {"gh/\x01", 0x8f}, {"gh" + strings.Repeat("/x", 12), 0x8f},
			{"", 0x8f}, {"$share/g/gh/#", 0x9e}, {"$share//x", 0x9e}, {"$share/g", 0x9e}, {"$SYS/#", 0x8f},
			{"#", 0x87}, {"+/x", 0x87}, {"other", 0x87}, {"bridge/x", 1},
		} {
			want := tc.code
			if v == 4 {
				want = min(want, 0x80)
			}
			if got := c.subscribe(tc.filter)[0]; got != want {
				t.Errorf("MQTT %d: filter %q: code %#x, want %#x", v, tc.filter, got, want)
			}
		}
		w := h.login(v, reader)
		for f, want := range map[string]bool{"gh/n/+/telemetry/+": true, "gh/n/a/telemetry/ph": true, "gh/n/a/telemetry/#": false, "gh/n/#": false, "gh/n/+/+": false} {
			if got := w.subscribe(f)[0] < 0x80; got != want {
				t.Errorf("an account that may read single levels subscribes to %s: %v, want %v", f, got, want)
			}
		}
		w.Close()
		for _, f := range []string{"gh/n/+/cmd", "gh/n/" + nodeB + "/cmd", "gh/n/" + nodeA + "/#", "gh/n/" + nodeA, "gh/n/" + nodeA + "/cmd/x", "gh/n/" + nodeA + "/status"} {
			if got := n.subscribe(f)[0]; got < 0x80 {
				t.Errorf("a node may subscribe to %s", f)
			}
		}
		c.Close()
		n.Close()
	}
}

func TestTooManyFilters(t *testing.T) {
	h := start(t)
	for _, n := range []int{0, 10_000, 33} {
		filters := make([]string, n)
		for i := range filters {
			filters[i] = "gh/1"
		}
		c := h.login(5, bridge)
		c.send(c.sub(1, filters...)...)
		if got := c.gone(); len(got) != 1 || got[0].kind != 14 {
			t.Errorf("%d filters: got %v, want DISCONNECT", n, got)
		}
	}
	c := h.login(5, bridge)
	for i := range 256 {
		if got := c.subscribe(fmt.Sprintf("gh/%d", i))[0]; got != 1 {
			t.Fatalf("filter %d: code %#x", i, got)
		}
	}
	if got, want := c.subscribe("gh/more")[0], byte(0x97); got != want {
		t.Errorf("one filter too many: code %#x, want %#x", got, want)
	}
	if got, want := c.subscribe("gh/1")[0], byte(1); got != want {
		t.Errorf("a filter it has: code %#x, want %#x", got, want)
	}
}

func TestPacketIDsOfBothDirectionsAreApart(t *testing.T) {
	// Plain mochi (#519): one table for both; an inbound publish with the id of an outbound one
	// erases that, and a SUBSCRIBE with it is refused.
	h := start(t)
	c := h.login(4, nodeA)
	topic := "gh/n/" + nodeA + "/cmd"
	c.subscribe(topic)
	acked := make(chan struct{})
	if err := h.PublishCommand(nodeA, topic, []byte("x"), func() { close(acked) }); err != nil {
		t.Fatal(err)
	}
	_, _, id, _ := c.message()
	c.send(c.pub(2, id, "gh/n/"+nodeA+"/telemetry", "x")...)
	if got := c.want(4).body; binary.BigEndian.Uint16(got) != id {
		t.Errorf("PUBACK %x, want id %d", got, id)
	}
	c.send(c.sub(id, "gh/n/"+nodeA+"/config")...)
	if got := c.want(9).body[2]; got != 1 {
		t.Errorf("SUBACK code %#x, want 1", got)
	}
	c.send(0x40, 2, byte(id>>8), byte(id))
	next(t, acked)
}

func TestAcknowledgementsForNothing(t *testing.T) {
	// Plain mochi: PUBCOMP raises both quotas whether or not there is anything to complete.
	h := start(t)
	c := h.login(5, nodeA, func(h *hello) { h.props = []byte{0x21, 0, 2} })
	topic := "gh/n/" + nodeA + "/cmd"
	c.subscribe(topic)
	var b []byte
	for i := range 10_000 {
		for _, head := range []byte{0x40, 0x50, 0x62, 0x70} {
			b = append(b, head, 2, byte(i>>8), byte(i))
		}
	}
	c.send(b...)
	c.ping()
	for range 3 {
		if err := h.PublishCommand(nodeA, topic, []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	c.message()
	c.message()
	c.ping() // two may be in flight, still
}

func TestQoS2IsRefused(t *testing.T) {
	// Plain mochi (#510): a QoS 2 publish that a hook rejects is answered with PUBACK.
	h := start(t)
	for _, v := range []byte{4, 5} {
		c := h.login(v, nodeA)
		c.send(c.pub(4, 1, "gh/n/"+nodeA+"/telemetry", "x")...)
		got := c.gone()
		if v == 4 && len(got) != 0 || v == 5 && (len(got) != 1 || got[0].kind != 14 || got[0].body[0] != 0x9b) {
			t.Errorf("MQTT %d: got %v", v, got)
		}
	}
	c := h.login(5, nodeA)
	b := append([]byte{0, 1, 0}, text("gh/n/"+nodeA+"/cmd")...)
	c.send(frame(0x82, append(b, 2))...)
	if got, want := c.want(9).body[3], byte(1); got != want {
		t.Errorf("a subscription with QoS 2 is granted %d, want %d", got, want)
	}
}

func TestRetainedStateNeverExpires(t *testing.T) {
	// Plain mochi (#306, #444): retained messages vanish after 24 h or when the clock jumps.
	inBubble(t, func(t *testing.T, h *house) {
		topic := "gh/n/" + nodeA + "/config"
		if err := h.SetRetained(topic, []byte("rev 7")); err != nil {
			t.Fatal(err)
		}
		node := h.login(5, nodeB)
		b := append(text("gh/n/"+nodeB+"/status"), 0, 1, 5, 0x02, 0, 0, 0, 1) // message expiry 1 s
		node.send(frame(0x33, append(b, "online"...))...)
		node.want(4)
		time.Sleep(400 * 24 * time.Hour)
		c := h.login(4, bridge)
		c.send(c.sub(1, "gh/n/#")...)
		c.want(9)
		seen := map[string]string{}
		for range 2 {
			topic, payload, _, head := c.message()
			if head&1 == 0 {
				t.Errorf("%s came without the retain flag", topic)
			}
			seen[topic] = payload
		}
		if seen[topic] != "rev 7" || seen["gh/n/"+nodeB+"/status"] != "online" {
			t.Errorf("got %v", seen)
		}
	})
}

func TestSysTopicsAreRefused(t *testing.T) {
	// Plain mochi: a QoS 1 publish to $SYS gets no answer at all, and the node hangs.
	h := start(t)
	c := h.login(4, bridge)
	c.send(c.pub(2, 1, "$SYS/broker/uptime", "x")...)
	c.gone()
	if got := h.nextRefusal(broker.RefusedTopic).Topic; got != "$SYS/broker/uptime" {
		t.Errorf("reported topic %q", got)
	}
}

func TestConnackIsFirstUnderTraffic(t *testing.T) {
	// Plain mochi: after resuming under traffic the first packet was not always CONNACK.
	h := start(t)
	topic := "gh/n/" + nodeA + "/cmd"
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = h.PublishCommand(nodeA, topic, []byte("x"), nil)
				runtime.Gosched()
			}
		}
	})
	for range 300 {
		c := h.login(4, nodeA, func(h *hello) { h.clean = false })
		c.send(c.sub(1, topic)...)
		c.want(9)
		c.message()
		c.Close()
	}
	close(stop)
	wg.Wait()
}

func TestSecondConnect(t *testing.T) {
	h := start(t)
	c := h.login(5, nodeA, func(h *hello) {
		h.will, h.willTopic, h.willText = true, "gh/n/"+nodeA+"/status", "gone"
	})
	c.hello(5, nodeA)
	c.gone()
	if d := next(t, h.rec.got); !d.Will || string(d.Payload) != "gone" {
		t.Errorf("got %+v, want the will", d)
	}
	if end := next(t, h.rec.closed); !errors.Is(end.Cause, broker.ErrViolation) {
		t.Errorf("closed because of %v", end.Cause)
	}
}
