package telemetry_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"greenhouse"
	"greenhouse/telemetry"
)

// oldReadings are what the day file in testdata holds: a noisy sensor with a clock that
// jitters, a counter, a constant, a switch, floats that are no decimals, and readings
// without a value or of doubtful quality.
func oldReadings() map[greenhouse.PointID][]greenhouse.Reading {
	rnd := rand.New(rand.NewPCG(1, 1))
	all := map[greenhouse.PointID][]greenhouse.Reading{}
	day := int64(1_763_942_400_000) // 2025-11-24
	for i := range int64(1000) {
		at := greenhouse.Millis(day + i*20_000 + rnd.Int64N(40))
		add := func(p greenhouse.PointID, v float64, q greenhouse.Quality) {
			all[p] = append(all[p], greenhouse.Reading{Point: p, At: at, Value: v, Quality: q})
		}
		add("old/noise", math.Round(2200+50*math.Sin(float64(i)/100)+3*rnd.NormFloat64())/100, greenhouse.Good)
		add("old/counter", float64(i*i), greenhouse.Good)
		add("old/constant", 6.5, greenhouse.Good)
		add("old/switch", float64(i/100%2), greenhouse.Good)
		add("old/binary", rnd.NormFloat64()*math.Pi, greenhouse.Good)
		switch {
		case i%97 == 0:
			add("old/doubt", math.NaN(), greenhouse.Bad)
		case i%50 == 0:
			add("old/doubt", float64(i), greenhouse.Suspect)
		default:
			add("old/doubt", float64(i%7), greenhouse.Good)
		}
	}
	return all
}

// TestDayFilesOfFormat1AreRead: day files written before format 2 are read as they were.
func TestDayFilesOfFormat1AreRead(t *testing.T) {
	old, err := os.ReadFile(filepath.Join("testdata", "20251124.format1.db"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "days"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "days", "20251124.db"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	c := newClock()
	c.add(48 * time.Hour)
	e := open(t, telemetry.Options{Dir: dir, Now: c.Now})
	for p, want := range oldReadings() {
		got := raw(t, e, p)
		if len(got) != len(want) {
			t.Fatalf("%s: %d readings, want %d", p, len(got), len(want))
		}
		for i, r := range got {
			if r.TS != want[i].At || math.Float64bits(r.Value) != math.Float64bits(want[i].Value) && !math.IsNaN(want[i].Value) || r.Quality != want[i].Quality {
				t.Fatalf("%s: reading %d is %+v, want %+v", p, i, r, want[i])
			}
		}
	}
	if s := e.Stats(); s.Damaged != 0 || s.Points != 6 {
		t.Errorf("%d damaged, %d points", s.Damaged, s.Points)
	}

	// A late reading makes the file one of the new format, which an older edged refuses.
	if f := formatOf(t, dir, e); f != 1 {
		t.Errorf("a file that was only read is of format %d, want 1", f)
	}
	e = open(t, telemetry.Options{Dir: dir, Now: c.Now})
	b := telemetry.Batch{Node: "multi-0001", Readings: []greenhouse.Reading{reading("old/noise", oldReadings()["old/noise"][500].At+7000, 22)}}
	mustSubmit(t, e, b)
	if err := e.Seal(); err != nil {
		t.Fatal(err)
	}
	if got := raw(t, e, "old/noise"); len(got) != 1001 {
		t.Errorf("%d readings after a late one, want 1001", len(got))
	}
	if f := formatOf(t, dir, e); f != 2 {
		t.Errorf("a file that was written is of format %d, want 2", f)
	}
}

// formatOf closes the engine and returns the format that the day file names.
func formatOf(t *testing.T, dir string, e *telemetry.Engine) (format uint64) {
	t.Helper()
	shut(t, e)
	db, err := bolt.Open(filepath.Join(dir, "days", "20251124.db"), 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bolt.Tx) error {
		format, _ = binary.Uvarint(tx.Bucket([]byte("meta")).Get([]byte("format")))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return format
}
