package edge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greenhouse"
	"greenhouse/edge"
	"greenhouse/sim"
	"greenhouse/store"
	"greenhouse/wire"
)

// pipes is a network in memory: what dials it is accepted at once.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return pipeAddr{} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// house is a whole daemon in memory but for its files: real broker, registry,
// history, control loop and API.
type house struct {
	*edge.Daemon
	t    testing.TB
	dir  string
	edit []func(*edge.Options)
	http *http.Client

	mu     sync.Mutex
	mqtt   *pipes // of the daemon that runs now
	rest   *pipes
	answer string // of the last call
	up     bool
}

// start runs a daemon that is stopped when the test ends.
func start(t testing.TB, edit ...func(*edge.Options)) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), edit: edit}
	h.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		_, rest := h.network()
		return rest.dial(ctx)
	}}}
	h.run()
	t.Cleanup(h.stop)
	return h
}

func (h *house) network() (mqtt, rest *pipes) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mqtt, h.rest
}

// run starts a daemon on the house's directory.
func (h *house) run() {
	h.t.Helper()
	h.mu.Lock()
	h.mqtt, h.rest = newPipes(), newPipes()
	o := edge.Options{DataDir: h.dir, MQTTListeners: []net.Listener{h.mqtt}, APIListeners: []net.Listener{h.rest}, ClockTrust: edge.TrustAlways}
	h.mu.Unlock()
	for _, e := range h.edit {
		e(&o)
	}
	var err error
	if h.Daemon, err = edge.New(h.t.Context(), o); err != nil {
		h.t.Fatal(err)
	}
	if err := h.Start(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	h.up = true
}

func (h *house) stop() {
	h.http.CloseIdleConnections()
	if !h.up {
		return
	}
	h.up = false
	if err := h.Stop(context.Background()); err != nil {
		h.t.Errorf("Stop: %v", err)
	}
}

// die ends the daemon without a word to anybody.
func (h *house) die() {
	h.http.CloseIdleConnections()
	h.up = false
	h.Die()
}

// dialer reaches whichever daemon runs.
func (h *house) dialer() sim.MQTT {
	return sim.MQTT{Open: func(ctx context.Context) (net.Conn, error) {
		mqtt, _ := h.network()
		return mqtt.dial(ctx)
	}}
}

// call asks the API and decodes the answer; it returns the status.
func (h *house) call(method, path string, body, out any, headers ...string) int {
	h.t.Helper()
	payload, err := json.Marshal(body)
	if err != nil {
		h.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, "http://edged/v1"+path, bytes.NewReader(payload))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := h.http.Do(req)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if out != nil && res.StatusCode < 300 {
		if err := json.Unmarshal(raw, out); err != nil {
			h.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	h.answer = string(raw)
	return res.StatusCode
}

// metrics returns the figures for monitoring.
func (h *house) metrics() string {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, "http://edged/metrics", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := h.http.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(raw)
}

// must asks the API and expects success.
func (h *house) must(method, path string, body, out any, headers ...string) {
	h.t.Helper()
	if got := h.call(method, path, body, out, headers...); got >= 300 {
		h.t.Fatalf("%s %s: got %d, want success: %s", method, path, got, h.answer)
	}
}

// update changes the registry as an installer would.
func (h *house) update(fn func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.Store().Update(fn); err != nil {
		h.t.Fatal(err)
	}
}

// pair opens pairing and returns the join token.
func (h *house) pair() (token string) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		p, err := tx.OpenPairing(10*time.Minute, tx.Now())
		token = p.Token
		return err
	})
	return token
}

// register makes a node known and returns its secret.
func (h *house) register(uid greenhouse.UID, zone greenhouse.ZoneID, channels ...greenhouse.Channel) (secret string) {
	h.t.Helper()
	_, typ, hw, err := greenhouse.ParseUID(string(uid))
	if err != nil {
		h.t.Fatal(err)
	}
	h.update(func(tx *store.Tx) error {
		r, err := tx.Register(store.JoinRequest{HardwareID: hw, Type: typ, Zone: zone, Channels: channels})
		secret = r.Secret
		return err
	})
	return secret
}

func (h *house) zone(z greenhouse.Zone) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error { _, err := tx.CreateZone(z); return err })
}

// events returns the journalled events with one of these codes, oldest first.
func (h *house) events(codes ...string) []greenhouse.Event {
	h.t.Helper()
	var out []greenhouse.Event
	for seq := uint64(0); ; {
		page, err := h.Journal().Since(seq, 0)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(page) == 0 {
			return out
		}
		for _, e := range page {
			seq = e.Seq
			if slices.Contains(codes, e.Code) {
				out = append(out, e)
			}
		}
	}
}

// alarm returns the alarm of a source and code, if there ever was one.
func (h *house) alarm(source greenhouse.Source, code string) (greenhouse.Alarm, bool) {
	for _, a := range h.Journal().Alarms(true) {
		if a.Source == source && a.Code == code {
			return a, true
		}
	}
	return greenhouse.Alarm{}, false
}

func (h *house) raised(source greenhouse.Source, code string) bool {
	a, ok := h.alarm(source, code)
	return ok && a.State == greenhouse.AlarmRaised
}

// history returns the raw readings of a point.
func (h *house) history(p greenhouse.PointID) []greenhouse.Reading {
	h.t.Helper()
	var out []greenhouse.Reading
	err := h.History().Scan(h.t.Context(), p, 0, 0, func(r greenhouse.Reading) error {
		out = append(out, r)
		return nil
	})
	if err != nil && !errors.Is(err, greenhouse.ErrNotFound) {
		h.t.Fatal(err)
	}
	return out
}

// device is a bare MQTT client: paho, with its PUBACKs and messages at hand.
type device struct {
	sim.Link
	t     testing.TB
	login string
	acked chan uint64
	got   chan message
}

type message struct {
	topic   string
	payload []byte
}

// connect logs in.
func (h *house) connect(login, secret string, edit ...func(*sim.Session)) (*device, error) {
	d := &device{t: h.t, login: login, acked: make(chan uint64, 4096), got: make(chan message, 4096)}
	s := sim.Session{Login: login, Secret: secret, Acked: func(id uint64) { d.acked <- id },
		Receive: func(topic string, payload []byte) { d.got <- message{topic, payload} }}
	for _, e := range edit {
		e(&s)
	}
	var err error
	if d.Link, err = h.dialer().Dial(h.t.Context(), s); err != nil {
		return nil, err
	}
	h.t.Cleanup(func() { d.Close(true) })
	return d, nil
}

// login is connect that must succeed.
func (h *house) login(login, secret string, edit ...func(*sim.Session)) *device {
	h.t.Helper()
	d, err := h.connect(login, secret, edit...)
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

func (d *device) subscribe(topics ...string) {
	d.t.Helper()
	if err := d.Subscribe(d.t.Context(), topics...); err != nil {
		d.t.Fatal(err)
	}
}

// send publishes with QoS 1 and does not wait.
func (d *device) send(id uint64, topic, payload string) {
	d.t.Helper()
	if err := d.Publish(sim.Message{ID: id, Topic: topic, Payload: []byte(payload), QoS: 1, Retain: strings.HasSuffix(topic, "/status")}); err != nil {
		d.t.Fatal(err)
	}
}

// patience bounds waiting for what must come; in a bubble it is virtual.
const patience = 30 * time.Second

// put publishes with QoS 1 and reports whether the PUBACK came.
func (d *device) put(topic, payload string) bool {
	d.t.Helper()
	d.send(1, topic, payload)
	select {
	case <-d.acked:
		return true
	case <-d.Done():
		return false
	case <-time.After(patience):
		d.t.Fatalf("%s: neither acknowledged nor closed", topic)
		return false
	}
}

// tell is put that must be acknowledged.
func (d *device) tell(topic, payload string) {
	d.t.Helper()
	if !d.put(topic, payload) {
		d.t.Fatalf("%s %.80s: the connection was closed, want a PUBACK", topic, payload)
	}
}

// next returns the next message.
func (d *device) next() message {
	d.t.Helper()
	select {
	case m := <-d.got:
		return m
	case <-time.After(patience):
		d.t.Fatalf("nothing came to %s", d.login)
		return message{}
	}
}

func topic(k wire.Kind, uid greenhouse.UID) string { return wire.NodeTopic(k, uid).String() }

// bubble runs a test in virtual time, which begins on a spring morning.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 3, 10, 6, 0, 0, 0, time.UTC)))
		test(t)
	})
}

// pass lets virtual time pass, and all that it brings happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// until lets virtual time pass until something holds, at most for a while, and
// returns how long it took.
func until(t testing.TB, most time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		synctest.Wait()
		if holds() {
			return time.Since(began)
		}
		if time.Since(began) > most {
			t.Fatalf("not within %v: %s", most, what)
		}
		time.Sleep(time.Second)
	}
}

// channels declares channels by their standard names.
func channels(names ...greenhouse.ChannelName) []greenhouse.Channel {
	var out []greenhouse.Channel
	for _, n := range names {
		spec, _ := greenhouse.StandardChannel(n)
		out = append(out, greenhouse.Channel{Name: n, Kind: spec.Kind, Unit: spec.Unit})
	}
	return out
}
