package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/journal"
	"greenhouse/server"
	"greenhouse/store"
	"greenhouse/telemetry"
)

// site builds n zones with one node of three points each, without a listener.
func site(b *testing.B, n int) (http.Handler, *telemetry.Engine) {
	b.Helper()
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		b.Fatal(err)
	}
	st, err := store.Open(store.Options{Path: filepath.Join(dir, "registry.db"), NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	j, err := journal.New(db{st}, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	e, err := telemetry.Open(telemetry.Options{Dir: filepath.Join(dir, "telemetry"), MinFree: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = e.Close(context.Background())
		_ = st.Close()
		_ = os.RemoveAll(dir)
	})
	err = st.Update(func(tx *store.Tx) error {
		for i := range n {
			id := greenhouse.ZoneID(fmt.Sprintf("zone-%05d", i))
			if _, err := tx.CreateZone(greenhouse.Zone{ID: id, Name: string(id), Mode: greenhouse.ModeAuto}); err != nil {
				return err
			}
			channels := []greenhouse.Channel{{Name: "air_temp", Kind: greenhouse.Sensor}, {Name: "air_rh", Kind: greenhouse.Sensor}, {Name: "vent", Kind: greenhouse.Actuator}}
			if _, err := tx.Register(store.JoinRequest{HardwareID: greenhouse.HardwareID(fmt.Sprintf("%08x", i)), Type: "climate", Zone: id, Channels: channels}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	w := &world{online: map[greenhouse.UID]bool{}, verdicts: map[greenhouse.PointID]greenhouse.Verdict{}, levels: map[greenhouse.PointID]server.Level{}}
	s, err := server.New(server.Deps{Store: st, Journal: j, Telemetry: e, Actuation: w, Stopper: w, Automation: w, Presence: w, Broker: brokerOf{w}, Health: w}, server.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return s.Handler(true), e
}

func ask(b *testing.B, h http.Handler, path string) int {
	b.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil))
	if rec.Code != http.StatusOK {
		b.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	return rec.Body.Len()
}

// BenchmarkZones lists a page of 500 zones out of 5,000.
func BenchmarkZones(b *testing.B) {
	h, _ := site(b, 5000)
	b.ReportAllocs()
	for b.Loop() {
		ask(b, h, api.PathZones)
	}
}

// BenchmarkStatus reads the status of 5,000 zones and nodes.
func BenchmarkStatus(b *testing.B) {
	h, _ := site(b, 5000)
	b.ReportAllocs()
	for b.Loop() {
		ask(b, h, api.PathStatus)
	}
}

// BenchmarkHistory reads a day of one point, a reading every 10 s.
func BenchmarkHistory(b *testing.B) {
	h, e := site(b, 1)
	from := greenhouse.MillisOf(time.Now().Add(-23 * time.Hour))
	readings := make([]greenhouse.Reading, 8000)
	for i := range readings {
		readings[i] = greenhouse.Reading{Point: "zone-00000/air_temp", At: from.Add(time.Duration(i) * 10 * time.Second), Value: 20 + float64(i%100)/10}
	}
	done := make(chan error, 1)
	if err := e.Submit(b.Context(), &telemetry.Batch{Readings: readings, Arrived: time.Now(), Done: func(err error) { done <- err }}); err != nil {
		b.Fatal(err)
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(ask(b, h, "/v1/points/zone-00000%2Fair_temp/history?step=raw")))
	}
}
