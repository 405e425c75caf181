package edge_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"greenhouse"
	"greenhouse/wire"
)

// sender is a client that costs next to nothing: it writes PUBLISH packets of QoS
// 1 and counts PUBACKs, so many in flight.
type sender struct {
	net.Conn
	in    *bufio.Reader
	topic string
	seq   int
	ts    greenhouse.Millis
	buf   []byte
}

func mqttText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func mqttPacket(b []byte, head byte, body []byte) []byte {
	return append(binary.AppendUvarint(append(b, head), uint64(len(body))), body...)
}

func newSender(tb testing.TB, address string, uid greenhouse.UID, secret string) *sender {
	tb.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	body := append(mqttText(nil, "MQTT"), 4, 0xc2, 0, 60)
	body = mqttText(mqttText(mqttText(body, string(uid)), string(uid)), secret)
	if _, err := c.Write(mqttPacket(nil, 0x10, body)); err != nil {
		tb.Fatal(err)
	}
	s := &sender{Conn: c, in: bufio.NewReaderSize(c, 4096), topic: topic(wire.KindTelemetry, uid), ts: greenhouse.MillisOf(time.Now()) - 86_400_000}
	var answer [4]byte
	if _, err := io.ReadFull(s.in, answer[:]); err != nil || answer[3] != 0 {
		tb.Fatalf("CONNACK %x, %v", answer, err)
	}
	return s
}

// publish sends n messages with at most window of them in flight, and returns when
// all have their PUBACK.
func (s *sender) publish(n, window int) error {
	var ack [4]byte
	for sent, acked := 0, 0; acked < n; {
		out := s.buf[:0]
		for sent < n && sent-acked < window {
			out = s.packet(out)
			sent++
		}
		s.buf = out
		if len(out) > 0 {
			if _, err := s.Write(out); err != nil {
				return err
			}
		}
		for more := true; more; more = s.in.Buffered() >= len(ack) {
			if _, err := io.ReadFull(s.in, ack[:]); err != nil {
				return err
			}
			if ack[0] != 0x40 {
				return fmt.Errorf("packet %x instead of a PUBACK", ack)
			}
			acked++
		}
	}
	return nil
}

func (s *sender) packet(out []byte) []byte {
	s.seq++
	s.ts++
	var room [256]byte
	body := mqttText(room[:0], s.topic)
	body = binary.BigEndian.AppendUint16(body, uint16(s.seq%60_000+1))
	body = fmt.Appendf(body, `{"v":1,"ts":%d,"boot":"a","seq":%d,"m":{"air_temp":%d.5,"air_rh":61.2}}`, s.ts, s.seq, s.seq%40)
	return mqttPacket(out, 0x32, body)
}

// throughput has all senders publish n messages together and returns messages a second.
func throughput(tb testing.TB, senders []*sender, n, window int) float64 {
	tb.Helper()
	var all sync.WaitGroup
	began := time.Now()
	for i, s := range senders {
		share := n / len(senders)
		if i < n%len(senders) {
			share++
		}
		all.Go(func() {
			if err := s.publish(share, window); err != nil {
				tb.Error(err)
			}
		})
	}
	all.Wait()
	return float64(n) / time.Since(began).Seconds()
}

// syncs returns how many times a second this disk takes a page durably.
func syncs(tb testing.TB) float64 {
	tb.Helper()
	f, err := os.Create(filepath.Join(tb.TempDir(), "page"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	if _, err := f.Write(make([]byte, 1<<20)); err != nil {
		tb.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		tb.Fatal(err)
	}
	n, began := 0, time.Now()
	for time.Since(began) < 500*time.Millisecond {
		if _, err := f.WriteAt(page, int64(n%256)*4096); err != nil {
			tb.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			tb.Fatal(err)
		}
		n++
	}
	return float64(n) / time.Since(began).Seconds()
}

// mosquitto starts the usual broker, which keeps nothing on disk, and returns its
// address, "" where it is not installed.
func mosquitto(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		return ""
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	address := l.Addr().(*net.TCPAddr)
	l.Close()
	conf := filepath.Join(tb.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest none\nset_tcp_nodelay true\n", address.Port), 0o600); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(path, "-c", conf)
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 200 {
		if c, err := net.Dial("tcp", address.String()); err == nil {
			c.Close()
			return address.String()
		}
		time.Sleep(10 * time.Millisecond) // of another process: there is nothing else to wait for
	}
	tb.Fatal("mosquitto does not answer")
	return ""
}

// BenchmarkIngest sends durable QoS 1 telemetry through the whole daemon: broker,
// decoding, routing, history, PUBACK. Beside it stand the same messages through
// mosquitto, which keeps nothing, and the syncs that the disk can do.
func BenchmarkIngest(b *testing.B) {
	disk, other := syncs(b), mosquitto(b)
	for _, clients := range []int{1, 10, 100} {
		for _, window := range []int{1, 20} {
			b.Run(fmt.Sprintf("clients=%d/inflight=%d", clients, window), func(b *testing.B) {
				s := serve(b, short(b), "")
				secrets := s.admit(clients)
				var ours, theirs []*sender
				for uid, secret := range secrets {
					ours = append(ours, newSender(b, s.address, uid, secret))
					if other != "" {
						theirs = append(theirs, newSender(b, other, uid, secret))
					}
				}
				throughput(b, ours, 20*clients, window)
				before := s.History().Stats()
				b.ResetTimer()
				rate := throughput(b, ours, b.N, window)
				b.StopTimer()
				after := s.History().Stats()
				b.ReportMetric(rate, "msg/s")
				b.ReportMetric(rate/disk, "of-syncs")
				b.ReportMetric(float64(after.Batches-before.Batches)/float64(max(after.Syncs-before.Syncs, 1)), "msg/sync")
				if other != "" {
					b.ReportMetric(rate/throughput(b, theirs, 20_000, window), "of-mosquitto")
				}
			})
		}
	}
	b.Logf("the disk does %.0f syncs a second", disk)
}
