package edge_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/edge"
	"greenhouse/store"
	"greenhouse/wire"
)

// TestStopWithDeafNode: a node that does not confirm its stop costs the stop some
// seconds and an error, not the order in which everything else is closed.
func TestStopWithDeafNode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		g.inject("half_open " + string(relays))
		pass(2 * time.Second)
		began := time.Now()
		g.up = false
		g.http.CloseIdleConnections()
		err := g.Stop(context.Background())
		if err == nil || !strings.Contains(err.Error(), "stop actuators") {
			t.Errorf("Stop: %v, want to hear of the actuators", err)
		}
		if strings.Contains(err.Error(), "history") || strings.Contains(err.Error(), "registry") || strings.Contains(err.Error(), "goroutines") {
			t.Errorf("Stop: %v, want everything else closed in order", err)
		}
		if took := time.Since(began); took > 9*time.Second {
			t.Errorf("Stop took %v", took)
		}
		until(t, greenhouse.ClassHeaterSSR.Spec().Lease, "the node is safe by itself", func() bool { return g.out(relays, "heater") == 0 })
		if again := g.Stop(context.Background()); again == nil {
			t.Error("a second Stop says something else")
		}
		g.heal()
		g.run()
		if got := g.Store().Recovered(); got != nil {
			t.Errorf("the registry had to be restored: %+v", got)
		}
		g.heats()
	})
}

// TestStopIsSeenThroughEdits: an emergency stop holds whatever else changes in the
// registry at that moment.
func TestStopIsSeenThroughEdits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		for round := range 20 {
			var all sync.WaitGroup
			for i := range 4 {
				all.Go(func() {
					g.must("PUT", "/zones/north/targets/"+string(greenhouse.TargetCO2), map[string]any{"value": 500 + 10*i + round}, nil)
				})
			}
			all.Go(func() { g.must("POST", "/stop", map[string]any{"zone": "north", "reason": "test"}, nil) })
			all.Wait()
			pass(2 * time.Second)
			if l := g.level(heater); !l.Stopped || g.out(relays, "heater") != 0 {
				t.Fatalf("round %d: the stop does not hold: %+v", round, l)
			}
			g.must("POST", "/resume", map[string]any{"zone": "north"}, nil)
			pass(2 * time.Second)
			if g.level(heater).Stopped {
				t.Fatalf("round %d: the stop was not released", round)
			}
		}
	})
}

// TestOpenFails: what cannot be opened is named, and nothing stays open.
func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	if _, err := edge.New(t.Context(), edge.Options{}); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("no directory: %v", err)
	}
	first, err := edge.New(t.Context(), edge.Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := edge.New(t.Context(), edge.Options{DataDir: dir}); !errors.Is(err, greenhouse.ErrUnavailable) {
		t.Errorf("two daemons in one directory: %v", err)
	}
	if err := first.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(dir, "telemetry", "lock")); err == nil {
		t.Log("the lock file of the history stays, unlocked")
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	second, err := edge.New(t.Context(), edge.Options{DataDir: dir, MQTTListen: busy.Addr().String(), APISocket: filepath.Join(short(t), "s")})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "mqtt.listen") {
		t.Errorf("a port in use: %v, want the key to change", err)
	}
	if err := second.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	long := filepath.Join(dir, strings.Repeat("x", 100))
	third, err := edge.New(t.Context(), edge.Options{DataDir: dir, APISocket: filepath.Join(long, "s")})
	if err != nil {
		t.Fatal(err)
	}
	if err := third.Start(t.Context()); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("a long path of the socket: %v", err)
	}
	if err := third.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() {
		ran <- edge.Run(ctx, edge.Options{DataDir: dir, MQTTListen: "127.0.0.1:0", APISocket: filepath.Join(short(t), "s")})
	}()
	cancel()
	if err := <-ran; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestTime answers a node that has no clock.
func TestTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		d := h.login(string(ph), h.register(ph, ""))
		d.subscribe(topic(wire.KindTimeReply, ph))
		d.tell(topic(wire.KindTimeRequest, ph), `{"nonce":7}`)
		r, err := wire.DecodeTimeReply(d.next().payload)
		if err != nil || r.Nonce != 7 || !r.Trusted || r.Now != greenhouse.MillisOf(time.Now()) {
			t.Errorf("reply %+v, %v", r, err)
		}
	})
}

// TestRevoked: a secret that was replaced, and a node taken out of service, lose
// their connection at once and cannot come back.
func TestRevoked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		old := h.register(ph, "", channels("solution_ph")...)
		d := h.login(string(ph), old)
		var fresh struct {
			Secret string `json:"secret"`
		}
		h.must("POST", "/nodes/"+string(ph)+"/rotate-key", nil, &fresh)
		select {
		case <-d.Done():
		case <-time.After(patience):
			t.Error("the connection under the old secret stays")
		}
		if _, err := h.connect(string(ph), old); err == nil {
			t.Error("the old secret still works")
		}
		d = h.login(string(ph), fresh.Secret)
		h.update(func(tx *store.Tx) error { return nil })
		h.must("POST", "/nodes/"+string(ph)+"/decommission", nil, nil)
		select {
		case <-d.Done():
		case <-time.After(patience):
			t.Error("a decommissioned node stays connected")
		}
		if _, err := h.connect(string(ph), fresh.Secret); err == nil {
			t.Error("a decommissioned node can come back")
		}
	})
}
