package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"greenhouse/api"
)

// bench runs "greenctl bench" in a directory of its own, which must be empty afterwards.
func bench(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	dir := t.TempDir()
	var o, e bytes.Buffer
	code = run(append(append([]string{"bench"}, args...), "--dir", dir), strings.NewReader(""), &o, &e)
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	return o.String(), e.String(), code
}

func benchJSON[T any](t *testing.T, args ...string) (v T) {
	t.Helper()
	out, errs, code := bench(t, append(args, "-o", "json")...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return v
}

func TestBenchFsync(t *testing.T) {
	r := benchJSON[syncResult](t, "fsync", "--for", "200ms")
	if r.Syncs == 0 || r.Syncs > syncMost || r.MedianMS <= 0 || r.P99MS < r.MedianMS || r.MaxMS < r.P99MS || r.Verdict == "" {
		t.Errorf("got %+v", r)
	}
}

func TestBenchIngest(t *testing.T) {
	r := benchJSON[ingestResult](t, "ingest", "--for", "400ms", "--nodes", "5", "--values", "3", "--every", "100ms")
	if r.Paced.Messages < 5 || r.Paced.Messages > 15 {
		t.Errorf("paced: %d messages, want about 10", r.Paced.Messages)
	}
	if r.Full.Messages < 100 || r.Full.SamplesPerS < 2.9*r.Full.MessagesPerS || r.Full.P99MS < r.Full.MedianMS {
		t.Errorf("flat out: got %+v", r.Full)
	}
	if r.CarriesNodes == 0 || r.MBPerDay <= 0 || !strings.Contains(r.Verdict, "nodes") {
		t.Errorf("got %+v", r)
	}
}

func TestBenchIngestSparesTheCard(t *testing.T) {
	r := benchJSON[ingestResult](t, "ingest", "--for", "100ms", "--every", "100ms", "--max-mb", "16")
	if r.Paced.Messages == 0 || r.Full.Messages == 0 {
		t.Fatalf("nothing was measured: %+v", r)
	}
	r = benchJSON[ingestResult](t, "ingest", "--for", "10s", "--nodes", "2000", "--every", "100ms", "--max-mb", "16")
	if written := r.Full.BytesPerSample * 10 * float64(r.Full.Messages+r.Paced.Messages); written > 32e6 {
		t.Errorf("%.0f MB were written, more than a little over 16", written/1e6)
	}
}

func TestBenchQuery(t *testing.T) {
	r := benchJSON[queryResult](t, "query", "--for", "400ms", "--days", "2", "--points", "2")
	if want := int64(2 * 2 * 8640); r.Samples != want || r.Days != 2 {
		t.Errorf("made %d samples on %d days, want %d", r.Samples, r.Days, want)
	}
	if r.Day.Samples != 8640 || r.Month.Samples == 0 || r.BytesPerSample <= 0 || r.Day.MedianMS <= 0 {
		t.Errorf("got %+v", r)
	}
}

func duration(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

func TestBenchVerdicts(t *testing.T) {
	for _, tc := range []struct {
		sync   float64 // ms
		linger int
		word   string
	}{{0.001, 0, "suspiciously"}, {0.2, 0, "fast"}, {20, lingerMS, "card"}, {500, lingerMS, "slow"}} {
		r := judgeSyncs("d", latencies{duration(tc.sync), duration(tc.sync)})
		if r.LingerMS != tc.linger || !strings.Contains(r.Verdict, tc.word) {
			t.Errorf("%v ms: got %+v, want linger %d and %q", tc.sync, r, tc.linger, tc.word)
		}
	}
}

func TestBenchRefuses(t *testing.T) {
	for _, args := range [][]string{{"fsync", "--for", "1ms"}, {"ingest", "--nodes", "0"}, {"ingest", "--every", "1ms"}, {"query", "--days", "1"}, {"ingest", "--values", "999"}} {
		if _, errs, code := bench(t, args...); code != api.ExitInvalid || !strings.HasPrefix(errs, "error: ") {
			t.Errorf("%v: exit %d, %q, want %d", args, code, errs, api.ExitInvalid)
		}
	}
}
