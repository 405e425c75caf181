package sim_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/sim"
	"greenhouse/wire"
)

// sink is a broker that takes everything at once.
type sink struct {
	session  sim.Session
	done     chan struct{}
	messages [][]byte
}

func (s *sink) Dial(_ context.Context, session sim.Session) (sim.Link, error) {
	s.session, s.done = session, make(chan struct{})
	return s, nil
}

func (s *sink) Subscribe(context.Context, ...string) error { return nil }

func (s *sink) Publish(m sim.Message) error {
	if strings.HasSuffix(m.Topic, "/telemetry") {
		s.messages = append(s.messages, m.Payload)
	}
	if m.ID != 0 {
		s.session.Acked(m.ID)
	}
	return nil
}

func (s *sink) Done() <-chan struct{} { return s.done }
func (s *sink) Close(bool)            {}
func (s *sink) Stall(bool)            {}

// options replays a table into the sink.
func (s *sink) options(table []byte, format string) sim.ReplayOptions {
	return sim.ReplayOptions{CSV: bytes.NewReader(table), HardwareID: "00ff", Map: map[string]greenhouse.ChannelName{"T": "air_temp", "RH": "air_rh"},
		TimeColumn: "time", TimeFormat: format, Boot: "r",
		Join: func(context.Context, wire.Hello) (sim.Account, error) {
			return sim.Account{UID: "multi-00ff", Dialer: s}, nil
		}}
}

// FuzzReplay feeds tables and formats of every kind: what is sent must be
// telemetry that nobody refuses, and the accounting must add up.
func FuzzReplay(f *testing.F) {
	f.Add([]byte(table), "%Y-%m-%d %H:%M")
	f.Add([]byte("time,T,RH\n1643702400,1e400,-0\n1,2,3\n"), "%s")
	f.Add([]byte("time,T,RH\n\"a\nb\",1\n"), time.RFC3339)
	f.Fuzz(func(t *testing.T, data []byte, format string) {
		var s sink
		got, err := sim.Replay(t.Context(), s.options(data, format))
		if err != nil {
			return
		}
		var d wire.Decoder
		var kept int64
		for _, payload := range s.messages {
			var msg wire.Telemetry
			if err := d.Telemetry(payload, &msg); err != nil {
				t.Fatalf("%s: %v", payload, err)
			}
			kept += int64(len(msg.Samples) + len(msg.Refused)) // a table may hold times before 1973
		}
		if kept != got.Sent || got.Acked != got.Sent || got.Sent+got.Refused > 2*got.Rows {
			t.Fatalf("%+v, and %d samples arrived", got, kept)
		}
	})
}

// FuzzFirmware gives a node any bytes on any of its topics. It must answer
// without harm, and turn everything off when it is left alone.
func FuzzFirmware(f *testing.F) {
	f.Add([]byte(`{"v":1,"id":"a","epoch":1,"ch":"heater","op":"set","value":1,"lease_s":60,"expires":1764000030000}`), byte(0))
	f.Add([]byte(`{"v":1,"id":"a","epoch":1,"ch":"pump_acid","op":"pulse","ml":5,"expires":1764000030000}`), byte(0))
	f.Add([]byte(`{"v":1,"rev":1,"hash":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","body":{}}`), byte(1))
	f.Add([]byte(`{"nonce":1,"now":1764000000000,"trusted":true}`), byte(2))
	f.Fuzz(func(t *testing.T, payload []byte, topic byte) {
		b := online(t, nil)
		name := []string{"cmd", "config", "time/reply"}[topic%3]
		for range 2 {
			for _, m := range b.fw.Receive(b.now, "gh/n/multi-00ff/"+name, payload) {
				if parsed, err := wire.ParseTopic(m.Topic); err != nil || !parsed.Kind.Up() || len(m.Payload) > wire.MaxPayload {
					t.Fatalf("it answered %+v", m)
				}
			}
			b.fw.Tick(b.now)
		}
		b.fw.Reboot(b.now, "test")
		if b.values["heater"] > 0 && b.fw.Memory().Config == nil {
			t.Fatal("the heater is on after a reboot")
		}
	})
}

func BenchmarkReplay(b *testing.B) {
	var table bytes.Buffer
	table.WriteString("time,T,RH\n")
	for i := range 10_000 {
		fmt.Fprintf(&table, "%d,%d.5,60.1\n", 1_643_702_400+60*i, i%40)
	}
	b.ReportAllocs()
	for b.Loop() {
		var s sink
		if got, err := sim.Replay(b.Context(), s.options(table.Bytes(), "%s")); err != nil || got.Acked != 20_000 {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(float64(b.N)*20_000/b.Elapsed().Seconds(), "samples/s")
}
