package telemetry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"greenhouse"
	"greenhouse/telemetry"
)

// idleDisk writes and does not sync: bytes are counted, not time.
type idleDisk struct{ telemetry.OSDisk }

type idleFile struct{ telemetry.File }

func (d idleDisk) Open(name string, flag int) (telemetry.File, error) {
	f, err := d.OSDisk.Open(name, flag)
	return idleFile{f}, err
}

func (idleFile) Sync() error { return nil }

// TestCardWear lets 20 nodes send 10 values every 10 s for some hours of
// virtual time and holds what reaches the device, in whole pages, to the budget
// of 500 MB a day.
func TestCardWear(t *testing.T) {
	const nodes, hours, budget = 20, 4, 500e6
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e, err := telemetry.Open(telemetry.Options{Dir: dir, Linger: 400 * time.Millisecond, Disk: idleDisk{}, MinFree: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close(context.Background())
		ctx, cancel := context.WithTimeout(context.Background(), hours*time.Hour)
		defer cancel()
		before := e.Stats()
		rnd := rand.New(rand.NewPCG(4, 4))
		for n := range nodes {
			phase := time.Duration(rnd.IntN(10_000)) * time.Millisecond
			sig := newSignals(uint64(n), 10)
			go func() {
				time.Sleep(phase)
				for seq := uint64(1); ctx.Err() == nil; seq++ {
					now := time.Now()
					b := &telemetry.Batch{Node: greenhouse.UID(fmt.Sprintf("climate-%04d", n)), Boot: "a", Seq: seq, HasSeq: true, Arrived: now}
					for ch := range 10 {
						b.Readings = append(b.Readings, reading(fmt.Sprintf("z%d/v%c", n, 'a'+ch), greenhouse.MillisOf(now), sig.next(ch, now)))
					}
					if e.Submit(ctx, b) != nil {
						return
					}
					time.Sleep(10 * time.Second)
				}
			}()
		}
		<-ctx.Done()
		synctest.Wait()
		time.Sleep(10 * time.Second) // virtual: the nodes see the end
		s := e.Stats()
		day := float64(s.BytesWritten-before.BytesWritten) * 24 / hours
		t.Logf("%.0f MB a day, %d commits for %d messages in %d h", day/1e6, s.Syncs-before.Syncs, s.Messages, hours)
		if day > budget {
			t.Errorf("%.0f MB a day, want at most %d", day/1e6, int(budget/1e6))
		}
	})
}
