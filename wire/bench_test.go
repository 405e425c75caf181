package wire_test

import (
	"encoding/json"
	"testing"

	"greenhouse/wire"
)

// twoValues is the message the budget is about.
const twoValues = `{"v":1,"ts":1764000000123,"boot":"k3f9","seq":42,"m":{"air_temp":23.41,"air_rh":61.2}}`

func BenchmarkTelemetry(b *testing.B) {
	payload := []byte(twoValues)
	b.Run("scanner", func(b *testing.B) {
		var d wire.Decoder
		var into wire.Telemetry
		b.ReportAllocs()
		b.SetBytes(int64(len(payload)))
		for b.Loop() {
			if err := d.Telemetry(payload, &into); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(payload)))
		for b.Loop() {
			var into struct {
				V    int                 `json:"v"`
				TS   int64               `json:"ts"`
				Boot string              `json:"boot"`
				Seq  uint64              `json:"seq"`
				M    map[string]*float64 `json:"m"`
			}
			if err := json.Unmarshal(payload, &into); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppendTelemetry(b *testing.B) {
	var d wire.Decoder
	var msg wire.Telemetry
	if err := d.Telemetry([]byte(twoValues), &msg); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = wire.AppendTelemetry(buf[:0], &msg)
	}
}

func BenchmarkParseTopic(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.ParseTopic("gh/n/ph-a4cf12b3de01/telemetry"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeStatus(b *testing.B) {
	payload := []byte(`{"v":1,"online":true,"fw":"1.4.2","boot":"k3f9","uptime_s":812,"rssi":-61,"battery":3.9,"reset":"power_on"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.DecodeStatus(payload); err != nil {
			b.Fatal(err)
		}
	}
}
