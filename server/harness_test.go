package server_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/automation"
	"greenhouse/client"
	"greenhouse/journal"
	"greenhouse/server"
	"greenhouse/store"
	"greenhouse/telemetry"
)

// house is a daemon's API over a real registry, journal and history; the rooms
// that drive equipment and speak MQTT are stood in for.
type house struct {
	t       testing.TB
	store   *store.Store
	journal *journal.Journal
	engine  *telemetry.Engine
	world   *world
	server  *server.Server
	client  *client.Client // over the unix socket
	socket  string
	remote  string // address of the listener that wants tokens
}

// world stands in for broker, presence, health, automation, actuation and sim.
type world struct {
	mu       sync.Mutex
	dropped  []string // logins disconnected
	stopped  []greenhouse.ZoneID
	woken    []greenhouse.ZoneID
	ordered  []greenhouse.Command
	online   map[greenhouse.UID]bool
	verdicts map[greenhouse.PointID]greenhouse.Verdict
	levels   map[greenhouse.PointID]server.Level
	notReady []string
	refuse   error            // what Command answers
	clock    greenhouse.Clock // zero: synced
	ramp     float64
	faults   []api.SimFault
}

func (w *world) Disconnect(login, _ string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropped = append(w.dropped, login)
}

func (w *world) Address(string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return "192.0.2.7:1234"
}

func (w *world) Presence(uid greenhouse.UID) (bool, greenhouse.Millis) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.online[uid], 1_764_000_000_000
}

func (w *world) NotReady() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.notReady
}

func (w *world) Clock() greenhouse.Clock {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.clock.State == "" {
		return greenhouse.Clock{State: greenhouse.ClockSynced, Trusted: true, Text: "the kernel says that it is synchronised"}
	}
	return w.clock
}

func (w *world) Control() api.ControlStatus { return api.ControlStatus{PeriodS: 5, Total: 1, OK: 1} }

func (w *world) SetPoints(greenhouse.ZoneID) (automation.SetPoints, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return automation.SetPoints{{Quantity: greenhouse.Heating, Value: 18 + w.ramp, Base: 17, Layer: automation.LayerOffset, By: "anna", Until: 1_764_000_000_000}}, true
}

func (w *world) Decided(greenhouse.ZoneID) (greenhouse.Millis, string) { return 1_764_000_000_000, "" }

func (w *world) Wake(z greenhouse.ZoneID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.woken = append(w.woken, z)
}

func (w *world) Obstacles(p greenhouse.PointID, level float64) ([]greenhouse.Obstacle, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok := w.verdicts[p]
	if !ok || v.Value == level {
		return nil, ok
	}
	return []greenhouse.Obstacle{{Priority: v.Winner.Priority, Owner: v.Winner.Owner, Reason: v.Winner.Reason}}, true
}

func (w *world) Verdict(p greenhouse.PointID) (greenhouse.Verdict, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok := w.verdicts[p]
	return v, ok
}

func (w *world) Level(p greenhouse.PointID) server.Level {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.levels[p]
}

func (w *world) Resume(greenhouse.ZoneID) {}

func (w *world) Halt(z greenhouse.ZoneID) { w.Stop(z) }

func (w *world) Stop(z greenhouse.ZoneID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = append(w.stopped, z)
}

func (w *world) Command(_ context.Context, c greenhouse.Command) (greenhouse.Command, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse != nil {
		return c, w.refuse
	}
	c.ID, c.State = greenhouse.CommandID("01TEST"+string(rune('A'+len(w.ordered)))), greenhouse.CommandQueued
	w.ordered = append(w.ordered, c)
	return c, nil
}

// brokerOf gives the world the shape of a broker; both have a Status.
type brokerOf struct{ *world }

func (b brokerOf) Status() api.BrokerStatus { return api.BrokerStatus{Listening: true, Connections: 3} }

// simOf gives it the shape of a simulator.
type simOf struct{ *world }

func (s simOf) Sim() api.Sim {
	s.mu.Lock()
	defer s.mu.Unlock()
	return api.Sim{Seed: 1, Speed: 60, Faults: slices.Clone(s.faults)}
}

func (s simOf) Inject(f api.SimFaultRequest) (api.SimFault, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Name != "sensor_stuck" {
		return api.SimFault{}, greenhouse.Invalid("fault_invalid", "fault %q is unknown", f.Name)
	}
	made := api.SimFault{ID: "1", Name: f.Name, Target: f.Target}
	s.faults = append(s.faults, made)
	return made, nil
}

func (s simOf) Clear(string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	return nil
}

// db adapts the registry's transactions to those of the journal, as edge does.
type db struct{ *store.Store }

func (d db) View(fn func(journal.Tx) error) error {
	return d.Store.View(func(tx *store.Tx) error { return fn(tx) })
}

func (d db) Update(fn func(journal.Tx) error) error {
	return d.Store.Update(func(tx *store.Tx) error { return fn(tx) })
}

// open builds a house. change may alter the options.
func open(t testing.TB, change ...func(*server.Deps, *server.Options)) *house {
	t.Helper()
	dir, err := os.MkdirTemp("", "gh") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &house{t: t, socket: filepath.Join(dir, "s"), world: &world{
		online: map[greenhouse.UID]bool{}, verdicts: map[greenhouse.PointID]greenhouse.Verdict{}, levels: map[greenhouse.PointID]server.Level{},
	}}
	h.store = must(store.Open(store.Options{Path: filepath.Join(dir, "registry.db"), NoSync: true}))(t)
	t.Cleanup(func() { _ = h.store.Close() })
	h.journal = must(journal.New(db{h.store}, time.Now))(t)
	h.engine = must(telemetry.Open(telemetry.Options{Dir: filepath.Join(dir, "telemetry"), MinFree: -1}))(t)
	t.Cleanup(func() { _ = h.engine.Close(context.Background()) })
	deps := server.Deps{Store: h.store, Journal: h.journal, Telemetry: h.engine, Actuation: h.world, Stopper: h.world, Automation: h.world, Presence: h.world, Broker: brokerOf{h.world}, Health: h.world}
	opts := server.Options{Version: api.Version{Version: "1.2.3", API: "v1"}, DataDir: dir, Hosts: []string{"greenhouse.example"}, Limits: server.Limits{Rate: 1e6, Burst: 1e6}}
	for _, c := range change {
		c(&deps, &opts)
	}
	h.server = must(server.New(deps, opts))(t)
	h.listen()
	h.client = must(client.New(client.Options{Socket: h.socket, Pause: time.Millisecond}))(t)
	t.Cleanup(h.client.Close)
	return h
}

// listen serves both listeners until the test ends.
func (h *house) listen() {
	local := must(net.Listen("unix", h.socket))(h.t)
	remote := must(net.Listen("tcp", "127.0.0.1:0"))(h.t)
	h.remote = remote.Addr().String()
	var done sync.WaitGroup
	done.Go(func() {
		if err := h.server.ServeLocal(local); err != nil {
			h.t.Error(err)
		}
	})
	done.Go(func() {
		if err := h.server.ServeRemote(remote); err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := h.server.Close(ctx); err != nil {
			h.t.Error(err)
		}
		done.Wait()
	})
}

// must unwraps a value, or ends the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// as returns a client over TCP with a fresh token of the role.
func (h *house) as(role api.Role) *client.Client {
	h.t.Helper()
	tok, err := h.client.CreateToken(h.ctx(), api.CreateTokenRequest{Name: "t-" + string(role), Role: role}, client.Write{})
	if err != nil {
		h.t.Fatal(err)
	}
	c := must(client.New(client.Options{Server: "http://" + h.remote, Token: tok.Secret, Pause: time.Millisecond}))(h.t)
	h.t.Cleanup(c.Close)
	return c
}

func (h *house) ctx() context.Context { return h.t.Context() }

// node registers a node and puts it into a zone, which may be "".
func (h *house) node(hw string, typ greenhouse.NodeType, zone greenhouse.ZoneID, channels ...api.DeclaredChannel) api.Registered {
	h.t.Helper()
	n, err := h.client.RegisterNode(h.ctx(), api.RegisterRequest{HardwareID: hw, Type: typ, Zone: zone, Channels: channels}, client.Write{})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func (h *house) zone(id greenhouse.ZoneID) api.Zone {
	h.t.Helper()
	z, err := h.client.CreateZone(h.ctx(), api.CreateZoneRequest{ID: id}, client.Write{})
	if err != nil {
		h.t.Fatal(err)
	}
	return z
}

func sensor(name greenhouse.ChannelName) api.DeclaredChannel {
	return api.DeclaredChannel{Name: name, Kind: greenhouse.Sensor}
}

func actuator(name greenhouse.ChannelName) api.DeclaredChannel {
	return api.DeclaredChannel{Name: name, Kind: greenhouse.Actuator}
}

// send commits readings of one point.
func (h *house) send(readings ...greenhouse.Reading) {
	h.t.Helper()
	done := make(chan error, 1)
	if err := h.engine.Submit(h.ctx(), &telemetry.Batch{Readings: readings, Arrived: time.Now(), Done: func(err error) { done <- err }}); err != nil {
		h.t.Fatal(err)
	}
	if err := <-done; err != nil {
		h.t.Fatal(err)
	}
}

// raw makes a plain request over the socket, or over TCP where remote is set,
// and returns the answer with its body.
type rawRequest struct {
	method, path, body string
	header             http.Header
	remote             bool
}

func (h *house) raw(r rawRequest) (*http.Response, string) {
	h.t.Helper()
	network, addr, host := "unix", h.socket, "edged"
	if r.remote {
		network, addr, host = "tcp", h.remote, h.remote
	}
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	req := must(http.NewRequestWithContext(h.ctx(), r.method, "http://"+host+r.path, strings.NewReader(r.body)))(h.t)
	for k, v := range r.header {
		req.Header[k] = v
	}
	if v := r.header.Get("Host"); v != "" {
		req.Host = v
	}
	resp := must(tr.RoundTrip(req))(h.t)
	defer resp.Body.Close()
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			break
		}
	}
	return resp, b.String()
}

// code returns the stable code of an error.
func code(err error) string {
	if e := (*greenhouse.Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	if s := (*greenhouse.StaleError)(nil); errors.As(err, &s) {
		return "stale"
	}
	if err != nil {
		return "other: " + err.Error()
	}
	return ""
}

// codes returns the codes of all events.
func (h *house) codes() []string {
	h.t.Helper()
	list, err := h.client.Events(h.ctx(), 0, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	var codes []string
	for _, e := range list.Items {
		codes = append(codes, e.Code)
	}
	return codes
}

func ptr[T any](v T) *T { return &v }
