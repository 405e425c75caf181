package proof_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/sim"
	"greenhouse/wire"
)

// resident is the memory of the daemon's process, in KiB.
func (m *mortal) resident() int {
	m.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.process.Process.Pid))
	if err != nil {
		m.t.Skip("there is no /proc to read the memory of a process from")
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				m.t.Fatal(err)
			}
			return n
		}
	}
	m.t.Fatal("no VmRSS")
	return 0
}

// stormy is one node of a storm: it connects again and again, and sends one reading
// after the other, again until each is acknowledged.
type stormy struct {
	uid    greenhouse.UID
	secret string
	acked  []int64 // times of readings that were acknowledged
}

// live is the node until ctx ends. life says which life of the daemon it is; back
// hears of the first acknowledgement in each.
func (s *stormy) live(ctx context.Context, mqtt sim.MQTT, life *atomic.Int64, back chan<- *stormy) {
	said, ts := int64(0), time.Now().UnixMilli()
	for ctx.Err() == nil {
		puback := make(chan uint64, 4)
		link, err := mqtt.Dial(ctx, sim.Session{Login: string(s.uid), Secret: s.secret, Receive: func(string, []byte) {}, Acked: func(id uint64) { puback <- id }})
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond): // the firmware's own pause
			}
			continue
		}
		for open := true; open && ctx.Err() == nil; {
			now := life.Load()
			m := sim.Message{ID: uint64(ts), Topic: wire.NodeTopic(wire.KindTelemetry, s.uid).String(), Payload: fmt.Appendf(nil, `{"v":1,"ts":%d,"m":{"air_temp":20.5}}`, ts), QoS: 1}
			if link.Publish(m) != nil {
				break
			}
			select {
			case <-puback:
				s.acked = append(s.acked, ts)
				ts++
				if said != now {
					said = now
					back <- s
				}
			case <-link.Done():
				open = false
			case <-ctx.Done():
			}
			select {
			case <-ctx.Done():
			case <-link.Done():
			case <-time.After(time.Second):
			}
		}
		link.Close(false)
	}
}

// TestAThousandNodesComeBack kills the daemon under a thousand nodes and starts it
// again: all of them try at once, and are back within 30 s with their readings, of
// which none that was acknowledged is missing. NODES sets how many.
func TestAThousandNodesComeBack(t *testing.T) {
	n, _ := campaign(t, "NODES", 1000)
	m := newMortal(t)
	h := reach(t, m.address, m.socket)
	m.start(h)
	var nodes []*stormy
	for i := range n {
		r := must[api.Registered](t)(h.client.RegisterNode(h.ctx(), api.RegisterRequest{HardwareID: fmt.Sprintf("5500aa%06d", i), Type: greenhouse.TypeClimate}, client.Write{}))
		nodes = append(nodes, &stormy{uid: r.UID, secret: r.Secret})
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var life atomic.Int64
	life.Store(1)
	back := make(chan *stormy, 4*n)
	var live sync.WaitGroup
	for _, s := range nodes {
		live.Go(func() { s.live(ctx, sim.MQTT{Address: m.address, Timeout: soon}, &life, back) })
	}
	all := func(what string) (took []time.Duration) {
		began, late := time.Now(), time.After(soon)
		for range n {
			select {
			case <-back:
				took = append(took, time.Since(began))
			case <-late:
				t.Fatalf("%s: %d of %d nodes after %v", what, len(took), n, soon)
			}
		}
		slices.Sort(took)
		return took
	}
	first := all("the first connection")
	m.kill()
	for len(back) > 0 {
		<-back
	}
	life.Add(1)
	began := time.Now()
	m.start(h)
	up := time.Since(began)
	again := all("after the restart")
	memory := m.resident()
	stop()
	live.Wait()
	missing, acked := 0, 0
	for _, s := range nodes {
		have := map[int64]bool{}
		for _, x := range h.samples(greenhouse.NodePoint(s.uid, "air_temp"), began.Add(-time.Hour).UnixMilli(), began.Add(time.Hour).UnixMilli()) {
			have[int64(x.TS)] = true
		}
		for _, ts := range s.acked {
			if acked++; !have[ts] {
				missing++
			}
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d acknowledged readings are missing", missing, acked)
	}
	t.Logf("%d nodes: first all in after %v; killed; up in %v; of the nodes half were back and acknowledged after %v more, all after %v; %d readings acknowledged, %d missing; %d MiB resident",
		n, first[n-1].Round(time.Millisecond), up.Round(time.Millisecond), again[n/2].Round(time.Millisecond), again[n-1].Round(time.Millisecond), acked, missing, memory>>10)
}

// TestIdleConnectionsCostLittle opens many connections that say nothing, or half a
// CONNECT: a node among them is served, their memory is bounded and all of them are
// closed at the deadline. SOCKETS sets how many.
func TestIdleConnectionsCostLittle(t *testing.T) {
	n, _ := campaign(t, "SOCKETS", 400)
	t.Setenv("EDGED_MQTT_MAX_PENDING", "50000")
	t.Setenv("EDGED_MQTT_MAX_CLIENTS", "50000")
	m := newMortal(t)
	h := reach(t, m.address, m.socket)
	m.start(h)
	node := h.speaker("a4cf12b3de01", greenhouse.TypePH, "")
	at := time.Now().UnixMilli()
	node.say("solution_ph", at, 6, 1)
	node.heard(1)
	before := m.resident()
	var sockets []net.Conn
	defer func() {
		for _, c := range sockets {
			c.Close()
		}
	}()
	began := time.Now()
	for i := range n {
		c, err := net.DialTimeout("tcp", m.address, soon)
		if err != nil {
			t.Fatalf("socket %d: %v (ulimit -n bounds how many one process can have)", i, err)
		}
		sockets = append(sockets, c)
		if i%2 == 1 {
			_, _ = c.Write([]byte{0x10, 0x40, 0, 4, 'M', 'Q'}) // it may have been closed by then
		}
	}
	opened := time.Since(began)
	most, held, longest := before, 0, time.Duration(0)
	for i := range 20 {
		began := time.Now()
		node.say("solution_ph", at+int64(i)+1, 6, 1)
		node.heard(1)
		longest = max(longest, time.Since(began))
		most, held = max(most, m.resident()), max(held, h.status().Broker.Connections)
	}
	h.eventually("all of them are closed", func() bool { return h.status().Broker.Connections == 1 })
	t.Logf("%d sockets opened in %v, %d held at once: %d MiB resident before, at most %d MiB with them: %d KiB each; a node among them waited %v at most for a PUBACK; all closed", n, opened.Round(time.Millisecond), held, before>>10, most>>10, (most-before)/max(held, 1), longest.Round(time.Millisecond))
	if grown := (most - before) >> 10; grown > 50+n/50 {
		t.Errorf("%d idle connections cost %d MiB", held, grown)
	}
}
