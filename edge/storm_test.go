package edge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/edge"
	"greenhouse/sim"
	"greenhouse/store"
	"greenhouse/wire"
)

// site is a daemon on real sockets.
type site struct {
	*edge.Daemon
	t       testing.TB
	dir     string
	address string
	socket  string
}

// serve runs a daemon on loopback and a unix socket; address "" is a free port.
func serve(t testing.TB, dir, address string, edit ...func(*edge.Options)) *site {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir, address: l.Addr().String(), socket: filepath.Join(dir, "s")}
	o := edge.Options{DataDir: filepath.Join(dir, "data"), MQTTListeners: []net.Listener{l}, APISocket: s.socket}
	for _, e := range edit {
		e(&o)
	}
	if s.Daemon, err = edge.New(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return s
}

// short returns a directory whose name leaves room for the name of a socket.
func short(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// admit registers n climate nodes and returns their logins and secrets.
func (s *site) admit(n int) map[greenhouse.UID]string {
	s.t.Helper()
	secrets := map[greenhouse.UID]string{}
	err := s.Store().Update(func(tx *store.Tx) error {
		for i := range n {
			r, err := tx.Register(store.JoinRequest{HardwareID: greenhouse.HardwareID(fmt.Sprintf("5500aa%06d", i)), Type: greenhouse.TypeClimate, Channels: channels("air_temp", "air_rh")})
			if err != nil {
				return err
			}
			secrets[r.Node.UID] = r.Secret
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return secrets
}

// TestOverSockets is the daemon as it is installed: TCP for nodes, a unix socket
// for people, the typed client.
func TestOverSockets(t *testing.T) {
	s := serve(t, short(t), "")
	c, err := client.New(client.Options{Socket: s.socket})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if st, err := os.Stat(s.socket); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("the socket: %v, %v", st.Mode(), err)
	}
	p, err := c.OpenPairing(t.Context(), api.PairRequest{ForS: 600}, client.Write{})
	if err != nil {
		t.Fatal(err)
	}
	dial := sim.MQTT{Address: s.address}
	w, err := sim.Join(t.Context(), dial, p.Token, wire.Hello{HardwareID: hardware, Type: "ph", Channels: []wire.HelloChannel{{Name: "solution_ph", Kind: greenhouse.Sensor}}})
	if err != nil {
		t.Fatal(err)
	}
	acked := make(chan uint64, 1)
	link, err := dial.Dial(t.Context(), sim.Session{Login: string(w.UID), Secret: w.Secret, Receive: func(string, []byte) {}, Acked: func(id uint64) { acked <- id }})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close(true)
	if err := link.Publish(sim.Message{ID: 1, Topic: topic(wire.KindTelemetry, w.UID), Payload: []byte(`{"v":1,"m":{"solution_ph":6.25}}`), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-acked:
	case <-time.After(patience):
		t.Fatal("no PUBACK")
	}
	got, err := c.History(t.Context(), "@ph-a4cf12b3de01/solution_ph", client.HistoryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if raw, _ := json.Marshal(got); len(got.Samples) != 1 {
		t.Errorf("history %s", raw)
	}
	if n, err := c.Node(t.Context(), w.UID); err != nil || !n.Online {
		t.Errorf("node %+v, %v", n, err)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(s.socket); err == nil {
		t.Error("the socket stays after the stop")
	}
}

// TestReconnectStorm restarts the broker under 300 nodes: all of them are back and
// acknowledged, and nothing that was acknowledged is missing.
func TestReconnectStorm(t *testing.T) {
	const nodes = 300
	dir := short(t)
	s := serve(t, dir, "")
	secrets := s.admit(nodes)
	ctx, stop := context.WithCancel(t.Context())
	var live sync.WaitGroup
	var acked [nodes]atomic.Int64
	var generation atomic.Int64
	back := make(chan struct{}, 4*nodes)
	i := 0
	for uid, secret := range secrets {
		count := &acked[i]
		live.Go(func() { storm(ctx, s.address, uid, secret, count, &generation, back) })
		i++
	}
	wait := func(what string) time.Duration {
		t.Helper()
		began, late := time.Now(), time.After(30*time.Second)
		for range nodes {
			select {
			case <-back:
			case <-late:
				t.Fatalf("%s: not all nodes after 30 s", what)
			}
		}
		return time.Since(began)
	}
	first := wait("first connection")
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	generation.Add(1)
	began := time.Now()
	s = serve(t, dir, s.address)
	up := time.Since(began)
	again := wait("after the restart")
	t.Logf("%d nodes: first %v, daemon up in %v, all back and acknowledged %v after the restart", nodes, first.Round(time.Millisecond), up.Round(time.Millisecond), again.Round(time.Millisecond))
	stop()
	live.Wait()
	i = 0
	for uid := range secrets { // in whatever order: the sums must fit
		got := 0
		if err := s.History().Scan(t.Context(), greenhouse.NodePoint(uid, "air_temp"), 0, 0, func(greenhouse.Reading) error { got++; return nil }); err != nil {
			t.Fatal(err)
		}
		acked[0].Add(-int64(got))
		if i > 0 {
			acked[0].Add(acked[i].Load())
		}
		i++
	}
	if missing := acked[0].Load(); missing > 0 {
		t.Errorf("%d acknowledged readings are missing", missing)
	}
}

// storm is one node that connects again and again, and sends one reading after
// the other. It says once for each generation of the daemon that it is back.
func storm(ctx context.Context, address string, uid greenhouse.UID, secret string, count *atomic.Int64, generation *atomic.Int64, back chan<- struct{}) {
	said := int64(-1)
	ts := greenhouse.MillisOf(time.Now())
	for ctx.Err() == nil {
		puback := make(chan uint64, 1)
		link, err := sim.MQTT{Address: address}.Dial(ctx, sim.Session{Login: string(uid), Secret: secret, Receive: func(string, []byte) {}, Acked: func(id uint64) { puback <- id }})
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond): // the firmware's own pause
			}
			continue
		}
		for open := true; open && ctx.Err() == nil; {
			now := generation.Load()
			ts++
			if link.Publish(sim.Message{ID: 1, Topic: topic(wire.KindTelemetry, uid), Payload: fmt.Appendf(nil, `{"v":1,"ts":%d,"m":{"air_temp":20.5}}`, ts), QoS: 1}) != nil {
				break
			}
			select {
			case <-puback:
				count.Add(1)
				if said != now {
					said = now
					back <- struct{}{}
				}
			case <-link.Done():
				open = false
			case <-ctx.Done():
			}
			select {
			case <-ctx.Done():
			case <-link.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
		link.Close(false)
	}
}
