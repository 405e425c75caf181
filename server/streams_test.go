package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/server"
)

// record puts n events into the journal.
func (h *house) record(n int) {
	h.t.Helper()
	events := make([]greenhouse.Event, n)
	for i := range events {
		events[i] = greenhouse.Event{Code: "test_happened", Source: greenhouse.SiteSource}
	}
	if err := h.journal.Record(events...); err != nil {
		h.t.Fatal(err)
	}
}

// A client that is cut off again and again sees every event once, in order.
func TestEventsResumeWithoutAGap(t *testing.T) {
	h := open(t)
	const total = 3000
	cut := &cutter{limit: 40_000}
	c := h.through(cut)
	go func() {
		for range total / 50 {
			h.record(50)
		}
	}()
	ctx, cancel := context.WithTimeout(h.ctx(), 30*time.Second)
	defer cancel()
	next, lost := uint64(1), 0
	for e, err := range c.WatchEvents(ctx, 0) {
		if err != nil {
			lost++
			if !errors.Is(err, api.ErrUnreachable) {
				t.Fatalf("lost connection: got %v, want unreachable", err)
			}
			continue
		}
		if e.Seq != next {
			t.Fatalf("event: got number %d, want %d", e.Seq, next)
		}
		if next++; next > total {
			break
		}
	}
	if next <= total || lost == 0 {
		t.Errorf("got %d of %d events over %d lost connections, want all over several", next-1, total, lost)
	}
}

// cutter cuts every connection after so many bytes from the server.
type cutter struct{ limit int64 }

type cutConn struct {
	net.Conn
	left int64
}

func (c *cutConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Conn.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}

// through returns a client whose connections pass a proxy that cuts them.
func (h *house) through(cut *cutter) *client.Client {
	h.t.Helper()
	path := h.socket + "c"
	l := must(net.Listen("unix", path))(h.t)
	h.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", h.socket)
			if err != nil {
				_ = in.Close()
				return
			}
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(in, &cutConn{Conn: out, left: cut.limit}); _ = in.Close() }()
		}
	}()
	c := must(client.New(client.Options{Socket: path, Pause: time.Millisecond}))(h.t)
	h.t.Cleanup(c.Close)
	return c
}

func TestEventsList(t *testing.T) {
	h := open(t)
	h.record(1200)
	list := must(h.client.Events(h.ctx(), 0, 0))(t)
	if len(list.Items) != api.DefaultLimit || list.Items[0].Seq != 1 || list.Next == "" {
		t.Errorf("first page: got %d items from %d, next %q", len(list.Items), list.Items[0].Seq, list.Next)
	}
	if list = must(h.client.Events(h.ctx(), 0, 5000))(t); len(list.Items) != 1200 || list.Next != "" {
		t.Errorf("with a limit: got %d items, next %q", len(list.Items), list.Next)
	}
	if list = must(h.client.Events(h.ctx(), 1190, 0))(t); len(list.Items) != 10 {
		t.Errorf("since: got %d items, want 10", len(list.Items))
	}
	if list = must(h.client.Events(h.ctx(), 99999, 0))(t); list.Items == nil || len(list.Items) != 0 {
		t.Errorf("beyond the end: got %v", list.Items)
	}
	resp, _ := h.raw(rawRequest{method: "GET", path: "/v1/events?since=x"})
	if resp.StatusCode != 400 {
		t.Errorf("bad number: got %d", resp.StatusCode)
	}
}

// Without asking for JSON, as curl does, the answer is a stream; Last-Event-ID
// counts more than since.
func TestEventsAreAStreamByDefault(t *testing.T) {
	h := open(t)
	h.record(10)
	lines := h.stream("/v1/events?since=2", http.Header{"Last-Event-Id": {"7"}})
	var ids []string
	for line := range lines {
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			ids = append(ids, id)
		}
		if len(ids) == 3 {
			break
		}
	}
	if got := fmt.Sprint(ids); got != "[8 9 10]" {
		t.Errorf("ids: got %s, want [8 9 10]", got)
	}
}

// stream opens a stream and returns its lines until the test ends.
func (h *house) stream(path string, header http.Header) func(func(string) bool) {
	h.t.Helper()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", h.socket)
	}}
	req := must(http.NewRequestWithContext(h.ctx(), "GET", "http://edged"+path, nil))(h.t)
	for k, v := range header {
		req.Header[k] = v
	}
	resp := must(tr.RoundTrip(req))(h.t)
	h.t.Cleanup(func() { _ = resp.Body.Close(); tr.CloseIdleConnections() })
	if got := resp.Header.Get("Content-Type"); got != api.EventStream {
		h.t.Fatalf("content type: got %q", got)
	}
	return func(yield func(string) bool) {
		s := bufio.NewScanner(resp.Body)
		for s.Scan() {
			if !yield(s.Text()) {
				return
			}
		}
	}
}

// A client that does not read holds up no writer, however much there is.
func TestSlowClientBlocksNobody(t *testing.T) {
	h := open(t)
	for range 3 {
		conn := must(net.Dial("unix", h.socket))(t)
		defer conn.Close()
		_, err := io.WriteString(conn, "GET /v1/events?since=0 HTTP/1.1\r\nHost: edged\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 40 {
			h.record(500)
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("writers wait for clients that do not read")
	}
	h.zone("north")
}

// The live stream begins whole, then tells only what changed.
func TestLive(t *testing.T) {
	h := open(t)
	h.zone("north")
	n := h.node("aaaa01", "climate", "north", sensor("air_temp"), actuator("vent"))
	h.send(greenhouse.Reading{Point: "north/air_temp", At: greenhouse.MillisOf(time.Now()), Value: 20})
	ctx, cancel := context.WithTimeout(h.ctx(), 20*time.Second)
	defer cancel()
	say := func(reason string) {
		h.world.mu.Lock()
		defer h.world.mu.Unlock()
		h.world.verdicts["north/vent"] = greenhouse.Verdict{Point: "north/vent", Winner: greenhouse.Claim{Reason: reason}}
	}
	say("its zone has not been decided yet")
	step := 0
	for msg, err := range h.client.WatchLive(ctx, client.LiveQuery{Interval: 200 * time.Millisecond}) {
		if err != nil {
			t.Fatal(err)
		}
		switch step {
		case 0:
			if !msg.Full || len(msg.Points) != 1 || *msg.Points[0].Value != 20 || len(msg.Zones) != 1 || msg.Zones[0].SetPoints[greenhouse.Heating] != 18 || len(msg.Zones[0].SetPoints) != 1 || len(msg.Nodes) != 1 || len(msg.Actuators) != 1 {
				t.Fatalf("first: got %+v", msg)
			}
			h.send(greenhouse.Reading{Point: "north/air_temp", At: msg.Points[0].TS + 10, Value: 21})
		case 1:
			if msg.Full || len(msg.Points) != 1 || *msg.Points[0].Value != 21 || len(msg.Zones)+len(msg.Nodes)+len(msg.Actuators) != 0 {
				t.Fatalf("after a reading: got %+v", msg)
			}
			h.world.mu.Lock()
			h.world.online[n.UID], h.world.ramp = true, 0.52
			h.world.mu.Unlock()
		case 2:
			if len(msg.Nodes) != 1 || !msg.Nodes[0].Online || len(msg.Zones) != 1 || msg.Zones[0].NodesOnline != 1 || msg.Zones[0].SetPoints[greenhouse.Heating] != 18.5 || len(msg.Points) != 0 {
				t.Fatalf("after a node came: got %+v", msg)
			}
			say("it is shut: air 21.5 °C is below 24.0 °C")
		case 3:
			if len(msg.Actuators) != 1 || msg.Actuators[0].Reason != "it is shut: air 21.5 °C is below 24.0 °C" {
				t.Fatalf("after another reason: got %+v", msg)
			}
			say("it is shut: air 21.6 °C is below 24.0 °C") // its figures alone are no news
			h.send(greenhouse.Reading{Point: "north/air_temp", At: greenhouse.MillisOf(time.Now()) + 100, Value: 22})
		case 4:
			if len(msg.Points) != 1 || len(msg.Actuators) != 0 {
				t.Fatalf("after other figures: got %+v", msg)
			}
			h.world.mu.Lock()
			h.world.levels["north/vent"] = server.Level{Motor: greenhouse.MotorSuspect}
			h.world.mu.Unlock()
		case 5:
			if len(msg.Actuators) != 1 || msg.Actuators[0].Position != greenhouse.MotorSuspect {
				t.Fatalf("after a drive came under suspicion: got %+v", msg)
			}
			h.must(h.client.UnassignNode(h.ctx(), n.UID, client.Write{}))
			if err := h.client.DeleteZone(h.ctx(), "north", client.Write{}); err != nil {
				t.Fatal(err)
			}
		default:
			if slices.Contains(msg.Removed, "zone/north") {
				return
			}
		}
		step++
	}
	t.Error("the stream ended early, or never said that the zone is gone")
}

func TestLiveOfOneZone(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.zone("south")
	ctx, cancel := context.WithTimeout(h.ctx(), 20*time.Second)
	defer cancel()
	for msg, err := range h.client.WatchLive(ctx, client.LiveQuery{Zone: "south"}) {
		if err != nil || len(msg.Zones) != 1 || msg.Zones[0].ID != "south" {
			t.Errorf("got %+v, %v", msg, err)
		}
		break
	}
	for _, err := range h.client.WatchLive(ctx, client.LiveQuery{Zone: "west"}) {
		if code(err) != "zone_not_found" {
			t.Errorf("unknown zone: got %v", err)
		}
	}
	if ctx.Err() != nil {
		t.Error("a refusal did not end the stream")
	}
}

func TestStreamsAreBounded(t *testing.T) {
	h := open(t, func(_ *server.Deps, o *server.Options) { o.MaxLive, o.MaxEvents = 1, 1 })
	h.stream("/v1/live", nil)
	h.stream("/v1/events", nil)
	for _, path := range []string{"/v1/live", "/v1/events"} {
		if resp, body := h.raw(rawRequest{method: "GET", path: path}); resp.StatusCode != 503 || !strings.Contains(body, "streams_full") {
			t.Errorf("%s: got %d %s", path, resp.StatusCode, body)
		}
	}
}

// Close ends the streams at once; it does not wait for clients to go.
func TestCloseEndsStreams(t *testing.T) {
	h := open(t)
	lines := h.stream("/v1/events", nil)
	ctx, cancel := context.WithTimeout(h.ctx(), 5*time.Second)
	defer cancel()
	if err := h.server.Close(ctx); err != nil {
		t.Fatalf("close with an open stream: %v", err)
	}
	for range lines { // ends
	}
	_, err := h.client.Version(h.ctx())
	if !errors.Is(err, api.ErrUnreachable) || api.ExitCode(err) != api.ExitUnreachable {
		t.Errorf("after close: got %v, want unreachable", err)
	}
}
