package broker_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"greenhouse/broker"
)

// load is an owner for benchmarks: it keeps nothing and acknowledges at once, or in
// groups, as one that syncs to disk does.
type load struct {
	queue chan *broker.Delivery // nil: at once
}

func (l *load) Receive(d *broker.Delivery) {
	if l.queue == nil {
		d.Ack()
		return
	}
	l.queue <- d
}
func (*load) SessionOpened(broker.Session)        {}
func (*load) SessionClosed(broker.Session, error) {}
func (*load) Refused(broker.Refusal)              {}

// commit acknowledges whatever has gathered, until the queue is closed.
func (l *load) commit() {
	var group []*broker.Delivery
	for d := range l.queue {
		group = append(group[:0], d)
		for more := true; more && len(group) < 4096; {
			select {
			case d, ok := <-l.queue:
				if more = ok; ok {
					group = append(group, d)
				}
			default:
				more = false
			}
		}
		for _, d := range group {
			d.Ack()
		}
	}
}

const benchPayload = `{"v":1,"ts":1764000000123,"boot":"k3f9","seq":42,"m":{"air_temp":23.41,"air_rh":61.2}}`

// BenchmarkQoS1 is what a handler that does nothing leaves of a publish: 20 in
// flight per client, on loopback, clients in the same process.
func BenchmarkQoS1(b *testing.B) {
	for _, clients := range []int{1, 10, 100} {
		for _, grouped := range []bool{false, true} {
			b.Run(fmt.Sprintf("clients=%d/grouped=%v", clients, grouped), func(b *testing.B) {
				o := &load{}
				if grouped {
					o.queue = make(chan *broker.Delivery, 8192)
					go o.commit()
					b.Cleanup(func() { close(o.queue) })
				}
				h := start(b, func(opt *broker.Options, _ *recorder) { opt.Handler = o })
				generate(b, h, clients, 20)
			})
		}
	}
}

// BenchmarkQoS1OneByOne is a round trip: each of 100 clients waits for its PUBACK.
func BenchmarkQoS1OneByOne(b *testing.B) {
	h := start(b, func(opt *broker.Options, _ *recorder) { opt.Handler = &load{} })
	generate(b, h, 100, 1)
}

// BenchmarkFanOut publishes to 100 subscribers that read, beside one that does not.
func BenchmarkFanOut(b *testing.B) {
	h := start(b, func(opt *broker.Options, _ *recorder) { opt.Handler, opt.Limits.SessionsPerLogin = &load{}, 200 })
	var wg sync.WaitGroup
	for i := range 101 {
		c := h.login(4, bridge, func(h *hello) { h.id = fmt.Sprint(i) })
		c.subscribe("bridge/#")
		if i < 100 {
			wg.Go(func() { _, _ = io.Copy(io.Discard, c.r) })
		}
		b.Cleanup(func() { c.Close() })
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := h.Publish("bridge/x", []byte(benchPayload), 0, false); err != nil {
			b.Fatal(err)
		}
	}
	s := h.Stats()
	b.ReportMetric(float64(s.Sent)/b.Elapsed().Seconds(), "sent/s")
	b.ReportMetric(float64(s.Dropped)/float64(b.N), "dropped/op")
}

// allow lets everybody do everything.
type allow struct{ mqtt.HookBase }

func (allow) ID() string                                              { return "allow" }
func (allow) Provides(q byte) bool                                    { return q == mqtt.OnConnectAuthenticate || q == mqtt.OnACLCheck }
func (allow) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }
func (allow) OnACLCheck(*mqtt.Client, string, bool) bool              { return true }

// BenchmarkQoS1Plain is the same on plain mochi that allows all, for comparison.
func BenchmarkQoS1Plain(b *testing.B) {
	for _, clients := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			s := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
			_ = s.AddHook(&allow{}, nil)
			l := must(net.Listen("tcp", "127.0.0.1:0"))
			if err := s.AddListener(listeners.NewNet("t", l)); err != nil {
				b.Fatal(err)
			}
			if err := s.Serve(); err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { s.Close() })
			generate(b, &house{t: b, dial: func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }}, clients, 20)
		})
	}
}

// generate publishes b.N messages from so many clients.
func generate(b *testing.B, h *house, clients, inFlight int) {
	b.Helper()
	var conns []*raw
	for i := range clients {
		conns = append(conns, h.login(4, fmt.Sprintf("climate-%012d", i)))
	}
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, c := range conns {
		n := b.N / clients
		if i < b.N%clients {
			n++
		}
		topic := fmt.Sprintf("gh/n/climate-%012d/telemetry", i)
		wg.Go(func() { publishN(c, topic, n, inFlight) })
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	for _, c := range conns {
		c.Close()
	}
}

// publishN keeps so many messages in flight until n are acknowledged.
func publishN(c *raw, topic string, n, inFlight int) {
	msg := c.pub(2, 1, topic, benchPayload)
	at := len(msg) - len(benchPayload) - 2 // of the packet id
	w := bufio.NewWriterSize(c.Conn, 16<<10)
	var ack [4]byte
	for sent, acked := 0, 0; acked < n; {
		for ; sent < n && sent-acked < inFlight; sent++ {
			id := uint16(sent%60000) + 1
			msg[at], msg[at+1] = byte(id>>8), byte(id)
			_, _ = w.Write(msg)
		}
		_ = w.Flush()
		for {
			if _, err := io.ReadFull(c.r, ack[:]); err != nil {
				c.t.Errorf("%d of %d acknowledged: %v", acked, n, err)
				return
			}
			if acked++; c.r.Buffered() < 4 {
				break
			}
		}
	}
}

func TestMemoryPerConnection(t *testing.T) {
	// Plain mochi: 28 KiB a connection, and 69 KB for a socket that says nothing.
	if racing {
		t.Skip("the race detector takes memory of its own")
	}
	h := start(t, func(o *broker.Options, r *recorder) { o.Handler = &load{} })
	const n = 500
	measure := func(open func(i int)) int64 {
		used := func() int64 {
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc + m.StackInuse)
		}
		before := used()
		for i := range n {
			open(i)
		}
		waitFor(t, func() bool { return h.Stats().Connections%n == 0 })
		return (used() - before) / n
	}
	silent := measure(func(int) { h.raw() })
	node := measure(func(i int) {
		login := fmt.Sprintf("climate-%012d", i)
		c := h.login(4, login)
		c.r = bufio.NewReaderSize(c.Conn, 64) // it is the broker's memory that counts
		c.subscribe("gh/n/"+login+"/cmd", "gh/n/"+login+"/config")
		c.send(c.pub(2, 1, "gh/n/"+login+"/telemetry", benchPayload)...)
		c.want(4)
	})
	t.Logf("a silent socket costs %d bytes, a node %d bytes (the test's own end included)", silent, node)
	if limit := int64(16 << 10); node > limit {
		t.Errorf("a node costs %d bytes, want at most %d", node, limit)
	}
	if limit := int64(8 << 10); silent > limit {
		t.Errorf("a silent socket costs %d bytes, want at most %d", silent, limit)
	}
}
