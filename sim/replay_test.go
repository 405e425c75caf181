package sim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/sim"
	"greenhouse/wire"
)

// replayOptions joins a hub and counts what it stored.
func replayOptions(h *hub, table string) sim.ReplayOptions {
	h.secret = "s3cret"
	return sim.ReplayOptions{CSV: strings.NewReader(table), HardwareID: "00ff", Map: map[string]greenhouse.ChannelName{"T": "air_temp", "RH": "air_rh"},
		TimeColumn: "time", TimeFormat: "%Y-%m-%d %H:%M", Boot: "r1",
		Join: func(_ context.Context, hello wire.Hello) (sim.Account, error) {
			return sim.Account{UID: greenhouse.MakeUID(hello.Type, hello.HardwareID), Secret: "s3cret", Dialer: h.dialer()}, nil
		},
		Outcome: func(context.Context, sim.Sent) (int64, int64, error) { return int64(len(h.samples())), 0, nil }}
}

// samples returns what was acknowledged, each (channel, ts) once.
func (h *hub) samples() map[string]string {
	out := map[string]string{}
	var d wire.Decoder
	for _, payload := range h.all(wire.KindTelemetry) {
		var msg wire.Telemetry
		if err := d.Telemetry(payload, &msg); err != nil {
			h.t.Error(err)
		}
		for _, s := range msg.Samples {
			value := fmt.Sprint(s.Value)
			if s.Null {
				value = "null"
			}
			out[fmt.Sprintf("%s@%s", s.Channel, s.At.Time().Format("15:04"))] = value
		}
	}
	return out
}

const table = "\ufefftime,T ,RH,other\n2026-01-02 10:00,20.5,60,x\n2026-01-02 10:05,,61,x\n2026-01-02 10:10,NaN,62,x\nbroken,1,2,x\n2026-01-02 10:15,warm,63,x\n2026-01-02 10:15,21\n"

func TestReplay(t *testing.T) {
	in(t, func(t *testing.T, h *hub) {
		var sent sim.Sent
		o := replayOptions(h, table)
		outcome := o.Outcome
		o.Outcome = func(ctx context.Context, s sim.Sent) (int64, int64, error) {
			sent = s
			return outcome(ctx, s)
		}
		got, err := sim.Replay(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sim.Accounting{Rows: 6, Sent: 7, Acked: 7, Stored: 7, Refused: 3}, got); diff != "" {
			t.Errorf("accounting (-want +got):\n%s", diff)
		}
		want := map[string]string{"air_temp@10:00": "20.5", "air_rh@10:00": "60", "air_rh@10:05": "61", "air_temp@10:10": "null",
			"air_rh@10:10": "62", "air_rh@10:15": "63", "air_temp@10:15": "21"}
		if diff := cmp.Diff(want, h.samples()); diff != "" {
			t.Errorf("samples (-want +got):\n%s", diff)
		}
		wantSent := sim.Sent{UID: "multi-00ff", Channels: []greenhouse.ChannelName{"air_rh", "air_temp"}, From: 1767348000000, To: 1767348900000, Samples: 7}
		if diff := cmp.Diff(wantSent, sent); diff != "" {
			t.Errorf("what the daemon is asked about (-want +got):\n%s", diff)
		}
	})
}

func TestReplayAtSpeed(t *testing.T) {
	in(t, func(t *testing.T, h *hub) {
		o := replayOptions(h, "time,T,RH\n2026-01-02 10:00,20,60\n2026-01-02 10:05,21,61\n2026-01-02 10:10,22,62\n")
		o.Speed = 10
		began := time.Now()
		got, err := sim.Replay(t.Context(), o)
		if err != nil || got.Acked != 6 {
			t.Errorf("accounting %+v, %v", got, err)
		}
		if took := time.Since(began); took < time.Minute || took > 62*time.Second {
			t.Errorf("ten minutes of data at 10 times the speed took %v", took)
		}
		if got := h.count(wire.KindStatus); got < 2 {
			t.Errorf("%d heartbeats in a minute", got)
		}
		if got := h.count(wire.KindTelemetry); got != 3 {
			t.Errorf("%d messages, want one for each row", got)
		}
	})
}

func TestReplaySurvivesLostLink(t *testing.T) {
	in(t, func(t *testing.T, h *hub) {
		var b strings.Builder
		b.WriteString("time,T,RH\n")
		for i := range 1000 {
			fmt.Fprintf(&b, "2026-01-02 %02d:%02d,%d,50\n", i/60, i%60, i)
		}
		o := replayOptions(h, b.String())
		o.Batch, o.Window, h.withhold = 10, 8, true
		type result struct {
			sum sim.Accounting
			err error
		}
		done := make(chan result, 1)
		go func() {
			sum, err := sim.Replay(t.Context(), o)
			done <- result{sum, err}
		}()
		pass(time.Second)
		h.mu.Lock()
		h.withhold = false
		h.mu.Unlock()
		h.broker.Disconnect("multi-00ff", errors.New("test"))
		r := <-done
		if diff := cmp.Diff(sim.Accounting{Rows: 1000, Sent: 2000, Acked: 2000, Stored: 2000}, r.sum); r.err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", r.err, diff)
		}
		synctest.Wait()
	})
}

func TestReplayRefuses(t *testing.T) {
	base := func() sim.ReplayOptions {
		return sim.ReplayOptions{CSV: strings.NewReader(table), HardwareID: "00ff", Map: map[string]greenhouse.ChannelName{"T": "air_temp"}, TimeColumn: "time", TimeFormat: "2006-01-02 15:04",
			Join: func(context.Context, wire.Hello) (sim.Account, error) {
				return sim.Account{}, greenhouse.Forbidden("pairing_closed", "pairing is closed")
			}}
	}
	tests := []struct {
		name, code string
		change     func(*sim.ReplayOptions)
	}{
		{"empty file", "csv_invalid", func(o *sim.ReplayOptions) { o.CSV = strings.NewReader("") }},
		{"binary file", "csv_invalid", func(o *sim.ReplayOptions) { o.CSV = strings.NewReader("a\"b\n") }},
		{"unknown column", "column_unknown", func(o *sim.ReplayOptions) { o.Map = map[string]greenhouse.ChannelName{"CO2": "co2"} }},
		{"unknown time column", "column_unknown", func(o *sim.ReplayOptions) { o.TimeColumn = "date" }},
		{"no map", "map_missing", func(o *sim.ReplayOptions) { o.Map = nil }},
		{"bad channel", "channel_invalid", func(o *sim.ReplayOptions) { o.Map = map[string]greenhouse.ChannelName{"T": "Air Temp"} }},
		{"channel twice", "map_invalid", func(o *sim.ReplayOptions) {
			o.Map = map[string]greenhouse.ChannelName{"T": "air_temp", "RH": "air_temp"}
		}},
		{"no time format", "time_format_missing", func(o *sim.ReplayOptions) { o.TimeFormat = "" }},
		{"bad time format", "time_format_invalid", func(o *sim.ReplayOptions) { o.TimeFormat = "%Q" }},
		{"cut time format", "time_format_invalid", func(o *sim.ReplayOptions) { o.TimeFormat = "%Y-%" }},
		{"digit in the time format", "time_format_invalid", func(o *sim.ReplayOptions) { o.TimeFormat = "20%y" }},
		{"no join", "pairing_closed", func(*sim.ReplayOptions) {}},
	}
	for _, tt := range tests {
		o := base()
		tt.change(&o)
		_, err := sim.Replay(t.Context(), o)
		var e *greenhouse.Error
		if !errors.As(err, &e) || e.Code != tt.code {
			t.Errorf("%s: %v, want code %s", tt.name, err, tt.code)
		}
	}
}

// TestReplayTimes replays one row in each format and looks at the ts.
func TestReplayTimes(t *testing.T) {
	tests := []struct{ format, zone, text, want string }{
		{"1/2/2006 15:04", "UTC", "2/1/2022 0:04", "2022-02-01T00:04:00Z"},
		{"%m/%d/%Y %H:%M", "+01:00", "2/1/2022 0:04", "2022-01-31T23:04:00Z"},
		{"%m/%d/%Y %H:%M", "Europe/Amsterdam", "12/31/2022 23:59", "2022-12-31T22:59:00Z"},
		{"%Y-%m-%dT%H:%M:%S%z", "UTC", "2022-02-01T08:00:00+02:00", "2022-02-01T06:00:00Z"},
		{"%Y-%m-%dT%H:%M:%S%z", "UTC", "2022-02-01T08:00:00+0200", "2022-02-01T06:00:00Z"},
		{"%Y-%m-%dT%H:%M:%S%z", "UTC", "2022-02-01T08:00:00Z", "2022-02-01T08:00:00Z"},
		{"%F %T.%f", "UTC", "2022-02-01 08:00:00.125", "2022-02-01T08:00:00.125Z"},
		{"%d %b %Y %I:%M %p", "UTC", "01 Feb 2022 08:30 PM", "2022-02-01T20:30:00Z"},
		{"%s", "UTC", "1643702400.5", "2022-02-01T08:00:00.5Z"},
		{time.RFC3339, "UTC", "2022-02-01T08:00:00+01:00", "2022-02-01T07:00:00Z"},
	}
	for _, tt := range tests {
		in(t, func(t *testing.T, h *hub) {
			o := replayOptions(h, fmt.Sprintf("time,T,RH\n%s,20,50\n", tt.text))
			var err error
			if o.Zone, err = sim.ParseZone(tt.zone); err != nil {
				t.Fatal(err)
			}
			o.TimeFormat = tt.format
			var got string
			o.Outcome = func(_ context.Context, s sim.Sent) (int64, int64, error) {
				got = s.From.Time().Format(time.RFC3339Nano)
				return 2, 0, nil
			}
			if _, err := sim.Replay(t.Context(), o); err != nil || got != tt.want {
				t.Errorf("%q as %q in %s is %q, %v, want %q", tt.text, tt.format, tt.zone, got, err, tt.want)
			}
		})
	}
}

// TestReplayAutumn: the hour that the clock change repeats is told twice, and
// stays two hours.
func TestReplayAutumn(t *testing.T) {
	in(t, func(t *testing.T, h *hub) {
		o := replayOptions(h, "time,T,RH\n2025-10-26 02:00,1,1\n2025-10-26 02:30,2,2\n2025-10-26 02:00,3,3\n2025-10-26 02:30,4,4\n2025-10-26 03:00,5,5\n")
		var err error
		if o.Zone, err = sim.ParseZone("Europe/Amsterdam"); err != nil {
			t.Skip("no time zones here:", err)
		}
		if _, err := sim.Replay(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		got := h.samples()
		want := map[string]string{}
		for i, at := range []string{"00:00", "00:30", "01:00", "01:30", "02:00"} {
			want["air_temp@"+at], want["air_rh@"+at] = fmt.Sprint(i+1), fmt.Sprint(i+1)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestParseSpeed(t *testing.T) {
	for text, want := range map[string]float64{"max": 0, "1": 1, "60x": 60, "0.5": 0.5, "10×": 10, "0": -1, "-1": -1, "fast": -1, "Inf": -1, "NaN": -1} {
		got, err := sim.ParseSpeed(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("ParseSpeed(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestParseZone(t *testing.T) {
	for _, bad := range []string{"Mars/Olympus", "+25", "+1:00", "../etc/passwd"} {
		if z, err := sim.ParseZone(bad); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("ParseZone(%q) = %v, %v", bad, z, err)
		}
	}
}

// TestReplayRealData replays seven weeks of a real compartment.
func TestReplayRealData(t *testing.T) {
	root := os.Getenv("GREENHOUSE_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "data")
	}
	data, err := os.ReadFile(filepath.Join(root, "agc2022_1", "Reference", "GreenhouseClimate.csv"))
	if err != nil {
		t.Skip("the measurements are not here:", err)
	}
	in(t, func(t *testing.T, h *hub) {
		o := replayOptions(h, "")
		o.CSV = bytes.NewReader(data)
		o.Map = map[string]greenhouse.ChannelName{"Tair": "air_temp", "Rhair": "air_rh", "CO2air": "co2", "PARin": "ppfd"}
		o.TimeColumn, o.TimeFormat = "Date", "%m/%d/%Y %H:%M"
		if o.Zone, err = sim.ParseZone("+01:00"); err != nil {
			t.Fatal(err)
		}
		var sent sim.Sent
		o.Outcome = func(_ context.Context, s sim.Sent) (int64, int64, error) {
			sent = s
			var n int64
			var d wire.Decoder
			for _, payload := range h.all(wire.KindTelemetry) {
				var msg wire.Telemetry
				if err := d.Telemetry(payload, &msg); err != nil {
					return n, 0, err
				}
				n += int64(len(msg.Samples))
			}
			return n, 0, nil
		}
		got, err := sim.Replay(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		rows := int64(bytes.Count(bytes.TrimSpace(data), []byte("\n")))
		if got.Rows != rows || got.Refused != 0 || got.Sent < 3*rows || got.Acked != got.Sent || got.Stored != got.Sent {
			t.Errorf("accounting %+v of %d rows", got, rows)
		}
		if from := sent.From.Time(); !from.Equal(time.Date(2022, 1, 31, 23, 0, 0, 0, time.UTC)) {
			t.Errorf("the first sample is of %v", from)
		}
		t.Logf("%+v", got)
	})
}
