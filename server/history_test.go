package server_test

import (
	"bufio"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/store"
)

// history fills a point with n readings, a second apart, ending a minute ago,
// the last of them failed.
func (h *house) history(n int) (from, to greenhouse.Millis) {
	h.t.Helper()
	h.zone("north")
	h.node("aaaa01", "climate", "north", sensor("air_temp"))
	to = greenhouse.MillisOf(time.Now()).Add(-time.Minute)
	from = to.Add(-time.Duration(n) * time.Second)
	readings := make([]greenhouse.Reading, n)
	for i := range readings {
		readings[i] = greenhouse.Reading{Point: "north/air_temp", At: from.Add(time.Duration(i) * time.Second), Value: 20 + float64(i%10)/10}
	}
	readings[n-1].Value, readings[n-1].Quality = math.NaN(), greenhouse.Bad
	h.send(readings...)
	return from, to
}

func TestHistory(t *testing.T) {
	h := open(t)
	from, _ := h.history(100)
	got := must(h.client.History(h.ctx(), "north/air_temp", client.HistoryQuery{Step: "raw"}))(t)
	if len(got.Samples) != 100 || got.Unit != "°C" || got.Step != "raw" || got.Samples[0].TS != from || *got.Samples[0].Value != 20 {
		t.Fatalf("got %d samples of %q, step %s", len(got.Samples), got.Unit, got.Step)
	}
	if last := got.Samples[99]; last.Value != nil || last.Quality != greenhouse.Bad {
		t.Errorf("failed reading: got %+v, want null and bad", last)
	}
	// From is inclusive, To is not; times in milliseconds are taken.
	span := client.Span{From: itoa(int64(from.Add(10 * time.Second))), To: itoa(int64(from.Add(20 * time.Second)))}
	if got := must(h.client.History(h.ctx(), "north/air_temp", client.HistoryQuery{Span: span, Step: "raw"}))(t); len(got.Samples) != 10 || got.Samples[0].TS != from.Add(10*time.Second) {
		t.Errorf("span: got %d samples", len(got.Samples))
	}
	var all []api.Sample
	page := client.HistoryQuery{Span: client.Span{From: itoa(int64(from)), To: itoa(int64(from.Add(time.Hour)))}, Step: "raw", Page: client.Page{Limit: 30}}
	for pages := 0; ; pages++ {
		part := must(h.client.History(h.ctx(), "north/air_temp", page))(t)
		all = append(all, part.Samples...)
		if page.Cursor = part.Next; part.Next == "" || pages > 10 {
			break
		}
	}
	if diff := cmp.Diff(got.Samples, all); diff != "" {
		t.Errorf("pages: %s", diff)
	}
	minutes := must(h.client.History(h.ctx(), "north/air_temp", client.HistoryQuery{Step: "1m"}))(t)
	if n := len(minutes.Samples); n < 2 || n > 3 || minutes.Samples[0].Min == nil || minutes.Samples[0].Count == 0 {
		t.Errorf("minutes: got %+v", minutes.Samples)
	}
}

func itoa(n int64) string { return string(must2(json.Marshal(n))) }

func must2(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestHistoryRefusals(t *testing.T) {
	h := open(t)
	h.history(10)
	for _, tt := range []struct {
		q    client.HistoryQuery
		code string
	}{
		{client.HistoryQuery{Span: client.Span{From: "soon"}}, "time_invalid"},
		{client.HistoryQuery{Span: client.Span{From: "2026-03-01T06:30:00"}}, "time_invalid"},
		{client.HistoryQuery{Span: client.Span{From: "1764000000"}}, "time_invalid"},
		{client.HistoryQuery{Span: client.Span{From: "1h", To: "2h"}}, "span_invalid"},
		{client.HistoryQuery{Step: "7m"}, "request_invalid"},
		{client.HistoryQuery{Page: client.Page{Limit: -1}}, "limit_invalid"},
	} {
		if _, err := h.client.History(h.ctx(), "north/air_temp", tt.q); code(err) != tt.code {
			t.Errorf("%+v: got %v (%s), want %s", tt.q, err, code(err), tt.code)
		}
	}
	if _, err := h.client.History(h.ctx(), "north/fan", client.HistoryQuery{}); code(err) != "point_not_found" {
		t.Errorf("unknown point: got %v", err)
	}
	h.node("aaaa02", "climate", "north", sensor("co2"))
	got := must(h.client.History(h.ctx(), "north/co2", client.HistoryQuery{}))(t)
	if got.Samples == nil || got.Gaps == nil || len(got.Samples) != 0 || got.Unit != "ppm" {
		t.Errorf("a point nothing was sent for: got %+v, want empty lists", got)
	}
}

func TestGaps(t *testing.T) {
	h := open(t)
	from, to := h.history(10)
	if err := h.engine.AddGap(h.ctx(), greenhouse.Gap{Point: "north/air_temp", From: from, To: to, Cause: "silence", Count: 3}); err != nil {
		t.Fatal(err)
	}
	got := must(h.client.Gaps(h.ctx(), "north/air_temp", client.Span{}, client.Page{}))(t)
	if len(got.Items) != 1 || got.Items[0].Cause != "silence" || got.Items[0].Count != 3 {
		t.Errorf("of the point: got %+v", got.Items)
	}
	if got = must(h.client.Gaps(h.ctx(), "", client.Span{From: "2h"}, client.Page{}))(t); len(got.Items) != 1 {
		t.Errorf("of all: got %+v", got.Items)
	}
	hist := must(h.client.History(h.ctx(), "north/air_temp", client.HistoryQuery{}))(t)
	if len(hist.Gaps) != 1 {
		t.Errorf("in the history: got %+v", hist.Gaps)
	}
}

func TestExport(t *testing.T) {
	h := open(t)
	from, _ := h.history(1000)
	body := must(h.client.Export(h.ctx(), []greenhouse.PointID{"north/air_temp"}, client.Span{}, api.FormatCSV))(t)
	defer body.Close()
	var lines []string
	s := bufio.NewScanner(body)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	if len(lines) != 1001 || lines[0] != "point,ts,value,quality" || lines[1] != "north/air_temp,"+itoa(int64(from))+",20,good" || !strings.HasSuffix(lines[1000], ",,bad") {
		t.Fatalf("csv: got %d lines, %q, %q … %q", len(lines), lines[0], lines[1], lines[len(lines)-1])
	}
	text := must(io.ReadAll(must(h.client.Export(h.ctx(), []greenhouse.PointID{"north/air_temp"}, client.Span{}, api.FormatJSONL))(t)))(t)
	rows := strings.Split(strings.TrimSpace(string(text)), "\n")
	var last struct {
		Point   string
		TS      int64
		Value   *float64
		Quality string
	}
	if err := json.Unmarshal([]byte(rows[999]), &last); err != nil || last.Value != nil || last.Quality != "bad" || last.Point != "north/air_temp" {
		t.Errorf("jsonl: got %+v, %v", last, err)
	}
	if _, err := h.client.Export(h.ctx(), nil, client.Span{}, ""); code(err) != "points_invalid" {
		t.Errorf("no points: got %v", err)
	}
	if _, err := h.client.Export(h.ctx(), []greenhouse.PointID{"north/fan"}, client.Span{}, ""); code(err) != "point_not_found" {
		t.Errorf("unknown point: got %v", err)
	}
}

// A backup is a registry that opens and holds the same.
func TestBackup(t *testing.T) {
	h := open(t)
	h.zone("north")
	body := must(h.client.Backup(h.ctx()))(t)
	defer body.Close()
	path := filepath.Join(t.TempDir(), "registry.db")
	f := must(os.Create(path))(t)
	if _, err := io.Copy(f, body); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.VerifyFile(path); err != nil {
		t.Fatalf("the backup is not sound: %v", err)
	}
	copied := must(store.Open(store.Options{Path: path, NoSync: true}))(t)
	defer copied.Close()
	if copied.Registry().Zones["north"] == nil {
		t.Error("the backup does not hold the zone")
	}
	for _, c := range must(h.client.Doctor(h.ctx()))(t).Checks {
		if c.ID == api.CheckBackupAge && c.Status != api.CheckOK {
			t.Errorf("after a backup: got %+v", c)
		}
	}
}

func TestPoints(t *testing.T) {
	h := open(t)
	h.history(10)
	n := h.node("aaaa02", "climate", "", sensor("air_temp"))
	list := must(h.client.Points(h.ctx(), client.PointFilter{}))(t)
	if len(list.Items) != 2 || list.Items[0].ID != "@"+greenhouse.PointID(n.UID)+"/air_temp" {
		t.Fatalf("list: got %+v", list.Items)
	}
	if got := must(h.client.Points(h.ctx(), client.PointFilter{Zone: "north", Kind: greenhouse.Sensor}))(t); len(got.Items) != 1 {
		t.Errorf("by zone and kind: got %d", len(got.Items))
	}
	p := must(h.client.Point(h.ctx(), "north/air_temp"))(t)
	if p.Value != nil || p.Quality != greenhouse.Bad || p.AgeS == nil || p.Node != "climate-aaaa01" || p.Channel != "air_temp" {
		t.Errorf("point whose last reading failed: got %+v", p)
	}
	if p = must(h.client.Point(h.ctx(), list.Items[0].ID))(t); p.TS != 0 || p.AgeS != nil || p.Quality != greenhouse.Stale {
		t.Errorf("point never heard: got %+v", p)
	}
	edited := must(h.client.EditPoint(h.ctx(), "north/air_temp", api.PointPatch{Max: ptr(45.0)}, client.Write{}))(t)
	if *edited.Max != 45 || *edited.Min != -30 {
		t.Errorf("edited: got %+v", edited.PointSpec)
	}
	if _, err := h.client.EditPoint(h.ctx(), "north/air_temp", api.PointPatch{Max: ptr(46.0)}, client.Write{IfVersion: p.Version + 99}); code(err) != "stale" {
		t.Errorf("stale: got %v", err)
	}
	if _, err := h.client.EditPoint(h.ctx(), "north/air_temp", api.PointPatch{Max: ptr(-90.0)}, client.Write{}); err == nil {
		t.Error("a range with its ends crossed was taken")
	}
}
