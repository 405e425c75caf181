package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/sim"
	"greenhouse/wire"
)

// TestKillCampaign kills a loaded daemon at random moments and starts it again.
// Afterwards every sample that was ever acknowledged must be in the history,
// once, with its value. KILLS and SEED set its length and its course.
func TestKillCampaign(t *testing.T) {
	kills, seed := envInt("KILLS", 6), uint64(envInt("SEED", int(time.Now().UnixNano()&0xffff)))
	t.Logf("%d kills, seed %d", kills, seed)
	c := newCampaign(t)
	chance := rand.New(rand.NewPCG(seed, 1))
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	c.start(t)
	for i := range 4 {
		w := c.newWriter(t, i)
		load.Go(func() { w.run(ctx) })
	}
	for i := range kills {
		if i > 0 {
			c.start(t)
		}
		<-time.After(time.Duration(30+chance.IntN(400)) * time.Millisecond) // the moment of the kill: any will do
		c.kill(t)
	}
	c.start(t)
	c.settle(t)
	stop()
	load.Wait()
	c.audit(t)
	c.term(t)
}

func envInt(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// campaign is one data directory and the daemon that runs on it now and then.
type campaign struct {
	binary, dir, socket, address string
	process                      *exec.Cmd
	api                          *client.Client
	writers                      []*writer
	starts                       []time.Duration
}

func newCampaign(t *testing.T) *campaign {
	t.Helper()
	dir := t.TempDir()
	c := &campaign{binary: filepath.Join(dir, "edged"), dir: filepath.Join(dir, "data"), socket: filepath.Join(dir, "s")}
	build := exec.Command("go", "build", "-o", c.binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.address = l.Addr().String()
	l.Close()
	if c.api, err = client.New(client.Options{Socket: c.socket}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.process != nil {
			_ = c.process.Process.Kill()
			_ = c.process.Wait()
		}
	})
	return c
}

// start runs the daemon and waits until it is ready.
func (c *campaign) start(t *testing.T) {
	t.Helper()
	begun := time.Now()
	c.process = exec.Command(c.binary, "serve", "--config", os.DevNull, "--data-dir", c.dir, "--api-socket", c.socket, "--mqtt-listen", c.address, "--log-level", "error")
	c.process.Stderr = os.Stderr
	if err := c.process.Start(); err != nil {
		t.Fatal(err)
	}
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		h, err := c.api.Ready(ctx)
		cancel()
		if err == nil && h.OK {
			c.starts = append(c.starts, time.Since(begun))
			return
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("not ready after %v: %v %v", time.Since(begun), h, err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (c *campaign) kill(t *testing.T) {
	t.Helper()
	if err := c.process.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = c.process.Wait() // killed: that is its error
	c.process = nil
}

func (c *campaign) term(t *testing.T) {
	t.Helper()
	if err := c.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.process.Wait(); err != nil {
		t.Errorf("orderly stop: %v", err)
	}
	c.process = nil
}

// settle waits until every writer has had something acknowledged by this run.
func (c *campaign) settle(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for _, w := range c.writers {
		for before := w.ackedCount(); w.ackedCount() < before+50; <-time.After(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s is not back after the last start", w.uid)
			}
		}
	}
}

// audit compares what was acknowledged with what is in the history.
func (c *campaign) audit(t *testing.T) {
	t.Helper()
	var acked, stored, lost int
	for _, w := range c.writers {
		have := map[greenhouse.Millis]float64{}
		q := client.HistoryQuery{Span: client.Span{From: strconv.FormatInt(base, 10), To: strconv.FormatInt(base+step*(int64(w.next)+1), 10)}, Step: "raw"}
		for {
			h, err := c.api.History(t.Context(), greenhouse.NodePoint(w.uid, "air_temp"), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range h.Samples {
				if _, twice := have[s.TS]; twice {
					t.Errorf("%s: the sample at %d is there twice", w.uid, s.TS)
				}
				have[s.TS] = api.Val(s.Value)
			}
			if q.Cursor = h.Next; q.Cursor == "" {
				break
			}
		}
		stored += len(have)
		for ts := range w.acked {
			acked++
			if v, ok := have[ts]; !ok {
				if lost++; lost <= 20 {
					t.Errorf("%s: the acknowledged sample at %d is lost", w.uid, ts)
				}
			} else if v != valueAt(ts) {
				t.Errorf("%s: the sample at %d is %v, want %v", w.uid, ts, v, valueAt(ts))
			}
		}
	}
	var longest time.Duration
	for _, s := range c.starts {
		longest = max(longest, s)
	}
	t.Logf("%d samples acknowledged, %d stored, %d lost, %d starts, the longest %v", acked, stored, lost, len(c.starts), longest.Round(time.Millisecond))
}

// base is the time of the first sample, step that between two of them, ms: twenty
// a second, so that a campaign spans many windows and days of the history.
const (
	base = 1_790_000_000_000
	step = 50
)

// valueAt is the value of the sample at ts.
func valueAt(ts greenhouse.Millis) float64 { return float64(int64(ts)/step%4000) / 100 }

// writer is a node that sends as fast as it may, with twenty messages in flight,
// and sends again what was not acknowledged when the link was lost.
type writer struct {
	uid    greenhouse.UID
	dialer sim.MQTT
	secret string
	mu     sync.Mutex
	acked  map[greenhouse.Millis]bool
	flight map[uint64]bool
	next   uint64
	freed  chan struct{}
}

func (c *campaign) newWriter(t *testing.T, i int) *writer {
	t.Helper()
	n, err := c.api.RegisterNode(t.Context(), api.RegisterRequest{HardwareID: fmt.Sprintf("0000000000%02d", i), Type: greenhouse.TypeClimate}, client.Write{})
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{uid: n.UID, secret: n.Secret, dialer: sim.MQTT{Address: c.address, Timeout: 3 * time.Second}, acked: map[greenhouse.Millis]bool{}, flight: map[uint64]bool{}, freed: make(chan struct{}, 1)}
	c.writers = append(c.writers, w)
	return w
}

func (w *writer) ackedCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// run sends until ctx ends, over as many links as it takes.
func (w *writer) run(ctx context.Context) {
	for ctx.Err() == nil {
		link, err := w.dialer.Dial(ctx, sim.Session{Login: string(w.uid), Secret: w.secret, Acked: w.ack, Receive: func(string, []byte) {}})
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		w.send(ctx, link)
		link.Close(false)
	}
}

func (w *writer) ack(id uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.flight, id)
	w.acked[base+step*greenhouse.Millis(id)] = true
	select {
	case w.freed <- struct{}{}:
	default:
	}
}

// send publishes what is unacknowledged from before, then goes on.
func (w *writer) send(ctx context.Context, link sim.Link) {
	w.mu.Lock()
	again := make([]uint64, 0, len(w.flight))
	for id := range w.flight {
		again = append(again, id)
	}
	w.mu.Unlock()
	for _, id := range again {
		if w.publish(link, id) != nil {
			return
		}
	}
	for ctx.Err() == nil {
		w.mu.Lock()
		full := len(w.flight) >= 20
		if !full {
			w.next++
			w.flight[w.next] = true
		}
		id := w.next
		w.mu.Unlock()
		if full {
			select {
			case <-w.freed:
			case <-link.Done():
				return
			case <-ctx.Done():
				return
			}
			continue
		}
		if w.publish(link, id) != nil {
			return
		}
	}
}

func (w *writer) publish(link sim.Link, id uint64) error {
	at := base + step*greenhouse.Millis(id)
	payload := wire.AppendTelemetry(nil, &wire.Telemetry{Samples: []wire.Sample{{Channel: "air_temp", At: at, HasAt: true, Value: valueAt(at)}}})
	return link.Publish(sim.Message{ID: id, Topic: wire.NodeTopic(wire.KindTelemetry, w.uid).String(), Payload: payload, QoS: 1})
}
