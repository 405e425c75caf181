package sim_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greenhouse"
	"greenhouse/broker"
	"greenhouse/sim"
	"greenhouse/wire"
)

// hub is a real broker in memory with as much of a daemon behind it as a node
// needs: it lets the token join, welcomes, and keeps what it acknowledged.
type hub struct {
	t      *testing.T
	broker *broker.Broker
	conns  chan net.Conn
	done   chan struct{}

	mu       sync.Mutex
	closed   bool
	pairing  bool
	secret   string
	withhold bool // acknowledge nothing
	lenient  bool // the test provokes refusals
	got      []wire.Topic
	payloads [][]byte
	sessions int
	causes   []error
}

// newHub starts a broker that ends with the test.
func newHub(t *testing.T) *hub {
	h := &hub{t: t, conns: make(chan net.Conn), done: make(chan struct{}), pairing: true}
	var err error
	if h.broker, err = broker.New(broker.Options{Auth: h, Handler: h}); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.broker.Serve(h) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(h.broker.Close(ctx), <-served); err != nil {
			t.Errorf("close the broker: %v", err)
		}
	})
	return h
}

// The listener in memory.

func (h *hub) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *hub) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		close(h.done)
	}
	return nil
}

func (h *hub) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// dialer returns a transport to the hub.
func (h *hub) dialer() sim.MQTT {
	return sim.MQTT{Open: func(ctx context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case h.conns <- theirs:
			return ours, nil
		case <-h.done:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
}

// Authenticate lets the token and the secret in.
func (h *hub) Authenticate(login, password string, _ netip.AddrPort) (broker.Principal, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if hw := greenhouse.HardwareID(login); h.pairing && password == "token" {
		return broker.Principal{Login: login, Node: true, Publish: wire.JoinPublish(hw), Subscribe: wire.JoinSubscribe(hw)}, nil
	}
	if uid := greenhouse.UID(login); h.secret != "" && password == h.secret {
		return broker.Principal{Login: login, Node: true, Publish: wire.NodePublish(uid), Subscribe: wire.NodeSubscribe(uid)}, nil
	}
	return broker.Principal{}, greenhouse.Forbidden("login_wrong", "wrong login or password")
}

// Receive keeps and acknowledges, and welcomes who says hello.
func (h *hub) Receive(d *broker.Delivery) {
	topic, err := wire.ParseTopic(d.Topic)
	if err != nil {
		h.t.Error(err)
	}
	h.mu.Lock()
	withhold := h.withhold
	if !withhold {
		h.got = append(h.got, topic)
		h.payloads = append(h.payloads, append([]byte(nil), d.Payload...))
	}
	if topic.Kind == wire.KindHello {
		h.secret = "s3cret"
	}
	h.mu.Unlock()
	if withhold {
		return
	}
	d.Ack()
	if topic.Kind == wire.KindHello {
		w, err := wire.DecodeHello(d.Payload)
		if err != nil {
			h.t.Error(err)
		}
		h.publish(wire.WelcomeTopic(topic.HardwareID), wire.Welcome{OK: true, UID: greenhouse.MakeUID(w.Type, w.HardwareID), Secret: "s3cret"})
	}
}

func (h *hub) SessionOpened(broker.Session) {
	h.mu.Lock()
	h.sessions++
	h.mu.Unlock()
}

func (h *hub) SessionClosed(_ broker.Session, cause error) {
	h.mu.Lock()
	h.causes = append(h.causes, cause)
	h.mu.Unlock()
}

func (h *hub) Refused(r broker.Refusal) {
	if r.Kind != broker.RefusedLogin && !h.lenient {
		h.t.Errorf("the broker refused %+v", r)
	}
}

// publish sends a payload down.
func (h *hub) publish(topic wire.Topic, p interface{ Marshal() ([]byte, error) }) {
	h.t.Helper()
	payload, err := p.Marshal()
	if err == nil {
		err = h.broker.Publish(topic.String(), payload, 1, topic.Kind.Retained())
	}
	if err != nil {
		h.t.Error(err)
	}
}

// count returns how many messages of a kind were acknowledged.
func (h *hub) count(k wire.Kind) int { return len(h.all(k)) }

// all returns the payloads of a kind that were acknowledged.
func (h *hub) all(k wire.Kind) [][]byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out [][]byte
	for i, t := range h.got {
		if t.Kind == k {
			out = append(out, h.payloads[i])
		}
	}
	return out
}

// heaterBody is a body that many goroutines may look at.
type heaterBody struct {
	mu     sync.Mutex
	heater float64
}

func (d *heaterBody) Read(ch greenhouse.ChannelName, _ time.Time) (float64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ch == "heater" {
		return d.heater, true
	}
	return 21.5, true
}

func (d *heaterBody) Drive(_ greenhouse.ChannelName, level float64, _ time.Time) (float64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heater = level
	return level, nil
}

func (d *heaterBody) level() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.heater
}

// startClient runs a node of the hub until the returned function is called.
func startClient(h *hub, secret string) (*sim.Client, *heaterBody, func()) {
	body := &heaterBody{}
	c := sim.NewClient(sim.ClientOptions{HardwareID: "a4cf12b3de01", Type: "climate", Name: "north", Token: "token", Secret: secret, Dialer: h.dialer(),
		Firmware: sim.FirmwareOptions{Body: body, FW: "1.0", Channels: []wire.HelloChannel{{Name: "air_temp", Kind: "sensor"}, {Name: "heater", Kind: "actuator"}}}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return c, body, func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("Run: %v", err)
		}
	}
}

// in runs a test in a bubble with a hub.
func in(t *testing.T, test func(t *testing.T, h *hub)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newHub(t)) })
}

// pass lets time pass in a bubble, and all that it brings happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestClientJoinsAndServes(t *testing.T) {
	in(t, func(t *testing.T, h *hub) {
		uid := greenhouse.UID("climate-a4cf12b3de01")
		cfg := wire.NewConfig(3, wire.ConfigBody{IntervalS: 5})
		h.publish(wire.NodeTopic(wire.KindConfig, uid), cfg)
		c, body, stop := startClient(h, "")
		defer stop()
		pass(12 * time.Second)
		if c.UID() != uid || c.Secret() != "s3cret" {
			t.Errorf("the node is %s with secret %q", c.UID(), c.Secret())
		}
		if got := h.count(wire.KindHello); got != 1 {
			t.Errorf("%d hellos, want 1", got)
		}
		reports := h.all(wire.KindConfigReport)
		if r, err := wire.DecodeConfigReport(reports[len(reports)-1]); err != nil || r.Rev != 3 || r.Status != wire.ReportApplied {
			t.Errorf("the last config report is %+v, %v", r, err)
		}
		if got := h.count(wire.KindTelemetry); got < 2 {
			t.Errorf("%d telemetry messages, want 2 at least", got)
		}
		cmd := set("01JD", 1, "heater", 1)
		cmd.Expires = greenhouse.MillisOf(time.Now().Add(time.Minute))
		h.publish(wire.NodeTopic(wire.KindCmd, uid), cmd)
		pass(time.Second)
		if body.level() != 1 {
			t.Error("the heater is not on")
		}
		answers := h.all(wire.KindCmdReport)
		if r, err := wire.DecodeCommandReport(answers[0]); err != nil || len(answers) != 1 || r.Status != greenhouse.CommandDone {
			t.Errorf("the reports are %q", answers)
		}
		pass(60 * time.Second)
		if body.level() != 0 {
			t.Error("the heater is on beyond its lease")
		}
	})
}

func TestClientSurvivesKill(t *testing.T) {
	in(t, func(t *testing.T, h *hub) {
		h.secret = "s3cret"
		c, body, stop := startClient(h, "s3cret")
		defer stop()
		pass(5 * time.Second)
		cmd := set("01JD", 1, "heater", 1)
		cmd.Expires, cmd.LeaseS = greenhouse.MillisOf(time.Now().Add(time.Minute)), 3600
		h.publish(wire.NodeTopic(wire.KindCmd, c.UID()), cmd)
		pass(time.Second)
		now := time.Now()
		c.Inject(sim.NodeFault{Verb: sim.Kill, From: now, Until: now.Add(100 * time.Second)})
		pass(29 * time.Second)
		if body.level() != 1 {
			t.Error("the heater went off before link_loss_s")
		}
		pass(2 * time.Second)
		if body.level() != 0 {
			t.Error("the heater is on without a link")
		}
		h.mu.Lock()
		if len(h.causes) != 1 || h.causes[0] == nil {
			t.Errorf("the sessions ended by %v, want one without a DISCONNECT", h.causes)
		}
		h.mu.Unlock()
		before := h.count(wire.KindTelemetry)
		pass(100 * time.Second)
		if got := h.count(wire.KindTelemetry); got <= before {
			t.Error("it did not come back")
		}
		// The time without a link is in the backlog, every instant once.
		seen := map[greenhouse.Millis]bool{}
		var d wire.Decoder
		for _, payload := range h.all(wire.KindTelemetry) {
			var msg wire.Telemetry
			if err := d.Telemetry(payload, &msg); err != nil {
				t.Fatal(err)
			}
			for _, s := range msg.Samples {
				if s.Channel == "air_temp" {
					seen[s.At] = true
				}
			}
		}
		if len(seen) != 14 {
			t.Errorf("%d instants are there, want 14 for 137 s", len(seen))
		}
	})
}

func TestClientResendsWhatWasNotAcknowledged(t *testing.T) {
	in(t, func(t *testing.T, h *hub) {
		h.secret, h.withhold = "s3cret", true
		c, _, stop := startClient(h, "s3cret")
		defer stop()
		pass(25 * time.Second)
		h.mu.Lock()
		h.withhold = false
		h.mu.Unlock()
		h.broker.Disconnect(string(c.UID()), errors.New("test"))
		pass(10 * time.Second)
		var seqs []uint64
		var d wire.Decoder
		for _, payload := range h.all(wire.KindTelemetry) {
			var msg wire.Telemetry
			if err := d.Telemetry(payload, &msg); err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, msg.Seq)
		}
		if want := []uint64{1, 2, 3, 4}; !slices.Equal(seqs, want) {
			t.Errorf("the sequence is %v, want %v", seqs, want)
		}
	})
}

func TestClientNoticesHalfOpenLink(t *testing.T) {
	in(t, func(t *testing.T, h *hub) {
		h.secret = "s3cret"
		c, _, stop := startClient(h, "s3cret")
		defer stop()
		pass(5 * time.Second)
		now := time.Now()
		c.Inject(sim.NodeFault{Verb: sim.HalfOpen, From: now, Until: now.Add(60 * time.Second)})
		pass(3 * time.Minute)
		h.mu.Lock()
		sessions := h.sessions
		h.mu.Unlock()
		if sessions < 2 {
			t.Errorf("%d sessions, want another one after the half-open link", sessions)
		}
		before := h.count(wire.KindTelemetry)
		pass(30 * time.Second)
		if got := h.count(wire.KindTelemetry); got < before+2 {
			t.Errorf("%d messages in 30 s after the link was repaired", got-before)
		}
	})
}

func TestClientRebootsAndFlaps(t *testing.T) {
	in(t, func(t *testing.T, h *hub) {
		h.secret = "s3cret"
		c, _, stop := startClient(h, "s3cret")
		defer stop()
		pass(5 * time.Second)
		c.Inject(sim.NodeFault{Verb: sim.Reboot, From: time.Now()})
		pass(30 * time.Second)
		boots := map[string]bool{}
		for _, payload := range h.all(wire.KindStatus) {
			if s, err := wire.DecodeStatus(payload); err == nil && s.Online {
				boots[s.Boot] = true
			}
		}
		if len(boots) != 2 {
			t.Errorf("boots %v were heard, want 2", boots)
		}
		c.Inject(sim.NodeFault{Verb: sim.Flap, Value: 20, From: time.Now()})
		pass(2 * time.Minute)
		h.mu.Lock()
		if h.sessions < 6 || h.sessions > 10 {
			t.Errorf("%d sessions after two minutes of flapping by 20 s", h.sessions)
		}
		h.mu.Unlock()
	})
}

func TestClientIsLate(t *testing.T) {
	in(t, func(t *testing.T, h *hub) {
		h.secret = "s3cret"
		c, _, stop := startClient(h, "s3cret")
		defer stop()
		c.Inject(sim.NodeFault{Verb: sim.Latency, Value: 5, From: time.Now()})
		pass(4 * time.Second)
		if got := h.count(wire.KindStatus); got != 0 {
			t.Errorf("%d status messages within 4 s of a latency of 5 s", got)
		}
		pass(30 * time.Second)
		if got := h.count(wire.KindTelemetry); got != 3 {
			t.Errorf("%d telemetry messages in 34 s, want those of 0, 10 and 20 s", got)
		}
	})
}

func TestJoinRefused(t *testing.T) {
	in(t, func(t *testing.T, h *hub) {
		h.pairing = false
		_, err := sim.Join(t.Context(), h.dialer(), "token", wire.Hello{HardwareID: "a4cf", Type: "ph"})
		if !errors.Is(err, greenhouse.ErrForbidden) {
			t.Errorf("Join = %v, want ErrForbidden", err)
		}
		dead := sim.MQTT{Open: func(context.Context) (net.Conn, error) { return nil, net.ErrClosed }}
		_, err = sim.Join(t.Context(), dead, "token", wire.Hello{HardwareID: "a4cf", Type: "ph"})
		if !errors.Is(err, greenhouse.ErrUnavailable) {
			t.Errorf("Join = %v, want ErrUnavailable", err)
		}
	})
}
