package telemetry_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"greenhouse"
	"greenhouse/telemetry"
)

// TestConcurrentUse writes, reads, scans, seals and packs at once: every
// reading that was acknowledged before a query began is in its answer once.
func TestConcurrentUse(t *testing.T) {
	c := newClock()
	e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now, SegmentBytes: 16 << 10, MinFree: -1})
	const writers, each = 4, 150
	base := c.ms() - 3*86_400_000
	var acked [writers]atomic.Int64
	var writing, reading1 sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				b := telemetry.Batch{Node: greenhouse.UID(fmt.Sprintf("climate-000%d", w)), Boot: "a", Seq: uint64(i + 1), HasSeq: true,
					Readings: []greenhouse.Reading{reading(fmt.Sprintf("a/w%d", w), base+greenhouse.Millis(i)*1_200_000, float64(i))}}
				if err := submit(t, e, b); err != nil {
					t.Error(err)
					return
				}
				acked[w].Store(int64(i + 1))
			}
		})
	}
	stop := make(chan struct{})
	reading1.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := e.Seal(); err != nil {
				t.Error(err)
			}
			if err := e.Maintain(); err != nil {
				t.Error(err)
			}
		}
	})
	for w := range writers {
		reading1.Go(func() {
			p := greenhouse.PointID(fmt.Sprintf("a/w%d", w))
			for {
				select {
				case <-stop:
					return
				default:
				}
				least, n, last := acked[w].Load(), int64(0), greenhouse.Millis(0)
				if least == 0 {
					continue
				}
				err := e.Scan(context.Background(), p, 0, 0, func(r greenhouse.Reading) error {
					if r.At <= last || r.Value != float64((r.At-base)/1_200_000) {
						return fmt.Errorf("%+v after %d", r, last)
					}
					n, last = n+1, r.At
					return nil
				})
				if err != nil || n < least {
					t.Errorf("%s: %d of %d acknowledged readings, %v", p, n, least, err)
					return
				}
				e.Stats()
				e.Gaps(p, 0, last)
			}
		})
	}
	writing.Wait()
	close(stop)
	reading1.Wait()
}
