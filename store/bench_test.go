package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"greenhouse"
	"greenhouse/store"
)

// crowd opens a registry that already knows some nodes with points.
func crowd(b *testing.B, nodes int) *store.Store {
	s := open(b, store.Options{Path: filepath.Join(b.TempDir(), "registry.db"), Now: epoch0})
	update(b, s, func(tx *store.Tx) error {
		for i := range nodes {
			zone := greenhouse.ZoneID(fmt.Sprintf("z%d", i))
			if _, err := tx.CreateZone(greenhouse.Zone{ID: zone}); err != nil {
				return err
			}
			if _, err := tx.Register(store.JoinRequest{HardwareID: greenhouse.HardwareID(fmt.Sprintf("cc%06d", i)), Type: greenhouse.TypeMulti, Zone: zone,
				Channels: named("air_temp", "air_rh", "co2", "ppfd", "soil_temp", "heater", "vent", "lamp", "fan", "screen")}); err != nil {
				return err
			}
		}
		_, err := tx.OpenPairing(time.Hour, tx.Now())
		return err
	})
	return s
}

// BenchmarkJoin is one hello, synced, beside as many commits of bbolt alone
// that write a record of the same size.
func BenchmarkJoin(b *testing.B) {
	for _, nodes := range []int{0, 500, 5000} {
		b.Run(fmt.Sprintf("beside=%d", nodes), func(b *testing.B) {
			s := crowd(b, nodes)
			i := 0
			for b.Loop() {
				update(b, s, func(tx *store.Tx) error {
					_, err := tx.Join(store.JoinRequest{HardwareID: greenhouse.HardwareID(fmt.Sprintf("ab%08d", i)), Type: greenhouse.TypePH, Channels: named("solution_ph", "pump_acid")}, tx.Now())
					return err
				})
				i++
			}
		})
	}
	b.Run("gathered=50,beside=5000", func(b *testing.B) {
		s := crowd(b, 5000)
		i := 0
		for b.Loop() {
			update(b, s, func(tx *store.Tx) error {
				for range 50 {
					if _, err := tx.Join(store.JoinRequest{HardwareID: greenhouse.HardwareID(fmt.Sprintf("ab%08d", i)), Type: greenhouse.TypePH, Channels: named("solution_ph", "pump_acid")}, tx.Now()); err != nil {
						return err
					}
					i++
				}
				return nil
			})
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(i), "µs/join")
	})
	b.Run("bbolt", func(b *testing.B) {
		db, err := bbolt.Open(filepath.Join(b.TempDir(), "raw.db"), 0o600, &bbolt.Options{PageSize: 4096, NoFreelistSync: true})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = db.Close() })
		value := make([]byte, 700)
		i := 0
		for b.Loop() {
			if err := db.Update(func(tx *bbolt.Tx) error {
				bucket, err := tx.CreateBucketIfNotExists([]byte("nodes"))
				if err != nil {
					return err
				}
				return bucket.Put(fmt.Appendf(nil, "ab%08d", i), value)
			}); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}

func BenchmarkRoute(b *testing.B) {
	reg := crowd(b, 500).Registry()
	for b.Loop() {
		if _, ok := reg.Route("multi-cc000100", "fan"); !ok {
			b.Fatal("no route")
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	s := crowd(b, 5000)
	path, err := s.Snapshot()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := store.Open(store.Options{Path: path})
		if err != nil {
			b.Fatal(err)
		}
		_ = s.Close()
	}
}
