package security_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/edge"
)

// enter logs a node in.
func (h *house) enter(n api.Registered) *peer {
	h.t.Helper()
	p, code, err := login(h.mqtt, nil, string(n.UID), string(n.UID), n.Secret, nil)
	if err != nil || code != 0 {
		h.t.Fatalf("%s logs in: %d %v", n.UID, code, err)
	}
	h.t.Cleanup(func() { _ = p.conn.Close() })
	return p
}

func telemetryTopic(n api.Registered) string { return "gh/n/" + string(n.UID) + "/telemetry" }

// served has a well-behaved node send until stop, and returns how long each
// acknowledgement took.
func (h *house) served(n api.Registered, stop <-chan struct{}) []time.Duration {
	p := h.enter(n)
	var took []time.Duration
	for i := 0; ; i++ {
		select {
		case <-stop:
			return took
		default:
		}
		begun := time.Now()
		if err := p.publish(telemetryTopic(n), fmt.Sprintf(`{"v":1,"m":{"air_temp":%d}}`, 15+i%10), false); err != nil {
			h.t.Errorf("the well-behaved node: %v", err)
			return took
		}
		took = append(took, time.Since(begun))
		<-time.After(5 * time.Millisecond)
	}
}

// cycles watches the control loop until stop and returns the longest time
// between two cycles.
func (h *house) cycles(stop <-chan struct{}) (longest time.Duration, n int) {
	var last greenhouse.Millis
	for {
		select {
		case <-stop:
			return longest, n
		case <-time.After(20 * time.Millisecond):
		}
		st, err := h.client.Status(h.ctx())
		if err != nil {
			h.t.Errorf("the API: %v", err)
			return longest, n
		}
		if c := st.Control.LastCycle; c != last {
			if last != 0 {
				longest = max(longest, c.Sub(last))
			}
			last = c
			n++
		}
	}
}

// TestFlood: one node sends as fast as it can, with readings, garbage and QoS 0,
// another floods with subscriptions; the rest is served and the period kept.
func TestFlood(t *testing.T) {
	const period, lasts = time.Second, 4 * time.Second
	h := open(t, func(o *edge.Options) { o.Period = period; o.Broker.LimitLoopback = true })
	if _, err := h.client.CreateZone(h.ctx(), api.CreateZoneRequest{ID: "north"}, client.Write{}); err != nil {
		t.Fatal(err)
	}
	good, bad, worse := h.node("00000000aaaa", greenhouse.TypeClimate, "north"), h.node("00000000bbbb", greenhouse.TypeClimate, ""), h.node("00000000cccc", greenhouse.TypePH, "")
	stop := make(chan struct{})
	var work sync.WaitGroup
	var sent atomic.Uint64
	for _, attack := range []func(*peer){
		func(p *peer) { p.fling(telemetryTopic(bad), `{"v":1,"m":{"air_temp":21}}`) },
		func(p *peer) { p.fling("gh/n/"+string(worse.UID)+"/event", `{"v":1,"code":"pump_fault"`) },
	} {
		n := bad
		if sent.Add(1) == 2 {
			n = worse
		}
		p := h.enter(n)
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-p.gone:
					t.Error("the flooder was thrown out: then it floods with logins")
					return
				default:
					_ = p.conn.SetWriteDeadline(time.Now().Add(patience))
					attack(p)
					sent.Add(1)
				}
			}
		})
	}
	var took []time.Duration
	var longest time.Duration
	var n int
	var watch sync.WaitGroup
	watch.Go(func() { took = h.served(good, stop) })
	watch.Go(func() { longest, n = h.cycles(stop) })
	<-time.After(lasts)
	close(stop)
	watch.Wait()
	for _, n := range []api.Registered{bad, worse} { // whoever waits in a write is let go
		if n.UID == bad.UID {
			if _, err := h.client.DecommissionNode(h.ctx(), n.UID, client.Write{}); err != nil {
				t.Error(err)
			}
			continue
		}
		if _, err := h.client.RotateKey(h.ctx(), n.UID, client.Write{}); err != nil {
			t.Error(err)
		}
	}
	work.Wait()
	if len(took) == 0 {
		t.Fatal("the well-behaved node was not served at all")
	}
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[len(took)*99/100]
	t.Logf("%d packets flung; the other node: %d acknowledged, p50 %v, p99 %v; %d cycles, the longest gap %v", sent.Load(), len(took), p50, p99, n, longest)
	if p99 > 2*time.Second {
		t.Errorf("the other node waits %v for an acknowledgement", p99)
	}
	if longest > 2*period {
		t.Errorf("%v between two cycles, the period is %v", longest, period)
	}
}

// TestGarbage: bytes that are no MQTT, before and after the login.
func TestGarbage(t *testing.T) {
	h := open(t)
	n := h.node("00000000aaaa", greenhouse.TypePH, "")
	random := rand.New(rand.NewPCG(1, 2))
	noise := func() []byte {
		b := make([]byte, 1+random.IntN(600))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	for i := range 300 {
		conn, err := dial(h.mqtt, nil)
		if err != nil {
			t.Fatal(err)
		}
		b := noise()
		switch i % 4 {
		case 0:
			b = append([]byte{0x10, 0xff, 0xff, 0xff, 0x7f}, b...) // 256 MB are to come
		case 1:
			b = append(connectPacket("x", "y", "z", nil)[:10], b...)
		case 2:
			b = append([]byte("GET / HTTP/1.1\r\n\r\n"), b...)
		}
		_, _ = conn.Write(b) // it may have been closed by then
		conn.Close()
	}
	for i := range 100 {
		p := h.enter(n)
		b := noise()
		if i%2 == 0 {
			b[0] = byte(random.IntN(15)+1)<<4 | 2
		}
		p.send(b)
		p.close()
	}
	payloads := []string{"", "null", "[]", "{", "\xff\xfe", `{"v":1,"m":{"solution_ph":1e400}}`, `{"v":1,"m":{"solution_ph":NaN}}`, `{"v":99,"m":{}}`, `{"v":1,"v":1,"m":{"solution_ph":1}}`, "\ufeff{}"}
	p := h.enter(n)
	for _, topic := range upTopics(string(n.UID)) {
		for _, text := range payloads {
			if err := p.publish(topic, text, false); err != nil {
				t.Errorf("%s %q: %v; what cannot be understood is acknowledged and counted", topic, text, err)
				p = h.enter(n)
			}
		}
	}
	if err := p.publish(telemetryTopic(n), `{"v":1,"m":{"solution_ph":6}}`, false); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// TestSpoofing: another's topic, another's client id, another's commands.
func TestSpoofing(t *testing.T) {
	h := open(t)
	victim, thief := h.node("00000000aaaa", greenhouse.TypePH, ""), h.node("00000000bbbb", greenhouse.TypePH, "")
	v := h.enter(victim)
	for _, id := range []string{string(victim.UID), "inline", "", "$SYS"} {
		if p, code, err := login(h.mqtt, nil, id, string(thief.UID), thief.Secret, nil); err == nil && code == 0 {
			t.Errorf("client id %q under the login %s is taken", id, thief.UID)
			p.close()
		}
	}
	acc, err := h.client.CreateAccount(h.ctx(), api.CreateAccountRequest{Name: "bridge", Publish: []string{"home/#"}}, client.Write{})
	if err != nil {
		t.Fatal(err)
	}
	b, code, err := login(h.mqtt, nil, string(victim.UID), "bridge", acc.Secret, nil) // its own choice: it reaches nobody
	if err != nil || code != 0 {
		t.Fatalf("an account under a client id of its choice: %d %v", code, err)
	}
	defer b.close()
	for i, topic := range upTopics(string(victim.UID)) {
		if err := h.enter(thief).publish(topic, "1", i == 0); !errors.Is(err, errClosed) {
			t.Errorf("%s by another node: got %v, want it closed", topic, err)
		}
	}
	if v.closed(50 * time.Millisecond) {
		t.Error("the victim was thrown out")
	}
	if err := v.publish(telemetryTopic(victim), `{"v":1,"m":{"solution_ph":6}}`, false); err != nil {
		t.Errorf("the victim: %v", err)
	}
	codes := map[string]int{}
	for _, e := range h.events(0) {
		codes[e.Code]++
	}
	if codes["acl_refused"] == 0 || codes["packet_refused"] == 0 {
		t.Errorf("the journal does not tell: %v", codes)
	}
}

// TestReplay: what was said once and is said again, by the same node or by
// another, changes nothing.
func TestReplay(t *testing.T) {
	h := open(t)
	n, thief := h.node("00000000aaaa", greenhouse.TypePH, ""), h.node("00000000bbbb", greenhouse.TypePH, "")
	p, q := h.enter(n), h.enter(thief)
	at := time.Now().Add(-time.Minute).UnixMilli()
	first := fmt.Sprintf(`{"v":1,"ts":%d,"boot":"b1","seq":1,"m":{"solution_ph":6.1}}`, at)
	for _, s := range []string{first, first, fmt.Sprintf(`{"v":1,"ts":%d,"boot":"b1","seq":1,"m":{"solution_ph":9.9}}`, at), first} {
		if err := p.publish(telemetryTopic(n), s, false); err != nil {
			t.Fatal(err)
		}
	}
	hist, err := h.client.History(h.ctx(), greenhouse.NodePoint(n.UID, "solution_ph"), client.HistoryQuery{Span: client.Span{From: strconv.FormatInt(at-1000, 10), To: strconv.FormatInt(at+1000, 10)}, Step: "raw"})
	if err != nil {
		t.Fatal(err)
	}
	if len(hist.Samples) != 1 || api.Val(hist.Samples[0].Value) != 6.1 {
		t.Errorf("a message sent four times, once changed, left %s", text(hist.Samples))
	}

	if err := p.subscribe("gh/n/" + string(n.UID) + "/cmd"); err != nil {
		t.Fatal(err)
	}
	c, err := h.client.SendCommand(h.ctx(), n.UID, api.CommandRequest{Op: greenhouse.OpIdentify}, client.Write{})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.got:
	case <-time.After(patience):
		t.Fatal("the command did not come")
	}
	state := func() greenhouse.CommandState {
		got, err := h.client.Command(h.ctx(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got.State
	}
	report := func(who *peer, uid greenhouse.UID, status string) {
		t.Helper()
		if err := who.publish("gh/n/"+string(uid)+"/cmd/report", fmt.Sprintf(`{"v":1,"id":%q,"status":%q}`, c.ID, status), false); err != nil {
			t.Fatal(err)
		}
	}
	h.eventually(patience, "the command is sent", func() bool { return state() == greenhouse.CommandSent })
	report(q, thief.UID, "done")
	if got := state(); got != greenhouse.CommandSent {
		t.Errorf("another node reported the command %s", got)
	}
	report(p, n.UID, "done")
	report(p, n.UID, "error")
	report(p, n.UID, "accepted")
	report(q, thief.UID, "error")
	if got := state(); got != greenhouse.CommandDone {
		t.Errorf("reports after the end made it %s, want done", got)
	}
}

// TestIdleConnections: a thousand sockets that say nothing, or half a word, cost
// little, keep nobody out, and are closed.
func TestIdleConnections(t *testing.T) {
	const sockets, deadline = 1000, 3 * time.Second
	h := open(t, func(o *edge.Options) { o.Broker.ConnectTimeout = deadline })
	n := h.node("00000000aaaa", greenhouse.TypePH, "")
	before := memory()
	begun := time.Now()
	var all []net.Conn
	defer func() {
		for _, c := range all {
			c.Close()
		}
	}()
	for i := range sockets {
		address := h.mqtt
		if i%4 == 3 {
			address = h.mqtts // waits for a handshake
		}
		c, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
		switch i % 4 {
		case 1:
			_, _ = c.Write([]byte{0x10})
		case 2:
			_, _ = c.Write(connectPacket("x", "y", "z", nil)[:9])
		}
	}
	opened := time.Since(begun)
	p := h.enter(n)
	at := time.Now()
	if err := p.publish(telemetryTopic(n), `{"v":1,"m":{"solution_ph":6}}`, false); err != nil {
		t.Error(err)
	}
	served := time.Since(at)
	cost := memory() - before
	t.Logf("%d sockets in %v cost %d KiB, %d bytes each; a node among them is served in %v", sockets, opened.Round(time.Millisecond), cost>>10, cost/sockets, served)
	if opened < deadline && cost > 32<<20 {
		t.Errorf("%d idle sockets cost %d MiB", sockets, cost>>20)
	}
	h.eventually(deadline+patience, "all of them are closed", func() bool {
		st, err := h.client.Status(h.ctx())
		return err == nil && st.Broker.Connections <= 1
	})
}

// memory is what the process holds in heap and stacks. The sockets' own ends are
// in it too, for the clients are in this process.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestTokenGuessing: wrong tokens are slowed down and told of, and those with a
// good one behind the same address are not.
func TestTokenGuessing(t *testing.T) {
	h := open(t)
	token := h.token("eye", api.RoleViewer)
	c, got := h.https(), map[int]int{}
	for i := range 60 {
		status, _, _ := h.ask(c, "guess-"+strconv.Itoa(i), "GET", "/v1/zones", "")
		got[status]++
		if status, _, _ := h.ask(c, token, "GET", "/v1/zones", ""); status != http.StatusOK {
			t.Fatalf("the holder of a token pays for the guesser: got %d", status)
		}
	}
	if got[401] > 12 || got[429] < 48 || got[401]+got[429] != 60 {
		t.Errorf("60 guesses: got %v, want about ten refused and the rest throttled", got)
	}
	told := 0
	for _, e := range h.events(0) {
		if e.Code == "login_refused" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("the journal tells of it %d times, want once a minute", told)
	}
}

// TestHalfOpenHTTP: connections to the API that never finish their handshake or
// their headers are closed, and others are served meanwhile.
func TestHalfOpenHTTP(t *testing.T) {
	h := open(t)
	token := h.token("eye", api.RoleViewer)
	var open []net.Conn
	for i := range 100 {
		c, err := net.DialTimeout("tcp", h.api, patience)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 1 {
			s := tls.Client(c, h.tls())
			if err := s.HandshakeContext(h.ctx()); err != nil {
				t.Fatal(err)
			}
			_, _ = s.Write([]byte("GET /v1/zones HTTP/1.1\r\nX-Slow: "))
			c = s
		}
		open = append(open, c)
	}
	if status, _, _ := h.ask(h.https(), token, "GET", "/v1/zones", ""); status != http.StatusOK {
		t.Errorf("another client: got %d", status)
	}
	end := time.Now().Add(8 * time.Second) // 5 s are allowed
	for i, c := range open {
		_ = c.SetReadDeadline(end)
		buf := make([]byte, 512)
		for {
			if _, err := c.Read(buf); err != nil {
				var timeout net.Error
				if errors.As(err, &timeout) && timeout.Timeout() {
					t.Fatalf("connection %d is still open", i)
				}
				break
			}
		}
	}
}

// TestLoginGuessing: the answer to wrong passwords comes ever later, and the
// device that knows the right one is let in at once.
func TestLoginGuessing(t *testing.T) {
	h := open(t, func(o *edge.Options) { o.Broker.LimitLoopback = true })
	n := h.node("00000000aaaa", greenhouse.TypePH, "")
	guess := func() time.Duration {
		begun := time.Now()
		if _, code, err := login(h.mqtt, nil, string(n.UID), string(n.UID), "guess", nil); err == nil && code == 0 {
			t.Fatal("a guess is let in")
		}
		return time.Since(begun)
	}
	for range 10 {
		guess()
	}
	if took := guess(); took < 400*time.Millisecond {
		t.Errorf("the eleventh guess in a minute is answered after %v", took)
	}
	begun := time.Now()
	h.enter(n)
	if took := time.Since(begun); took > 300*time.Millisecond {
		t.Errorf("the right secret waits %v", took)
	}
}

// TestJoinersAreNobody: the join token makes no known node's secret known.
func TestJoinersAreNobody(t *testing.T) {
	h := open(t)
	n := h.node("00000000aaaa", greenhouse.TypePH, "")
	h.enter(n)
	h.eventually(patience, "the login is noted", func() bool {
		pair, err := h.client.OpenPairing(h.ctx(), api.PairRequest{}, client.Write{})
		if err != nil {
			t.Fatal(err)
		}
		p, code, err := login(h.mqtt, nil, "00000000aaaa", "00000000aaaa", pair.Token, nil)
		if err != nil || code != 0 {
			t.Fatalf("join: %d %v", code, err)
		}
		defer p.close()
		if err := errors.Join(p.subscribe("gh/welcome/00000000aaaa"), p.publish("gh/hello/00000000aaaa", `{"v":1,"hardware_id":"00000000aaaa","type":"ph"}`, false)); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-p.got:
			var w struct{ Secret string }
			if err := json.Unmarshal(m.payload, &w); err != nil {
				t.Fatal(err)
			}
			return w.Secret == ""
		case <-time.After(patience):
			t.Fatal("no welcome")
		}
		return false
	})
	told := slices.ContainsFunc(h.events(0), func(e api.Event) bool { return e.Code == "identity_conflict" })
	if !told {
		t.Error("the journal has no identity_conflict")
	}
}
