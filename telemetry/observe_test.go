package telemetry_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"greenhouse"
	"greenhouse/telemetry"
)

// TestLatestValuesMoveWhileASyncHangs: what waits for a sync that does not return,
// and what comes meanwhile, is seen, judged, and not acknowledged; also by
// those who wait for room in the queue. Afterwards it is stored once.
func TestLatestValuesMoveWhileASyncHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := stallDisk{entered: make(chan struct{}, 1), hold: make(chan struct{}), free: &atomic.Bool{}}
		disk.free.Store(true)
		var heard sync.Map // newest of each point
		o := telemetry.Options{Dir: t.TempDir(), Disk: disk, Tests: air, QueueMessages: 20, OnCommit: func(moved []greenhouse.Latest) {
			for _, l := range moved {
				heard.Store(l.Point, l)
			}
		}}
		e := open(t, o)
		points := []greenhouse.PointID{"a/t0", "a/t1", "a/t2", "a/t3"}
		for _, p := range points {
			mustSubmit(t, e, telemetry.Batch{Readings: []greenhouse.Reading{{Point: p, At: greenhouse.MillisOf(time.Now()), Value: 18}}})
		}
		time.Sleep(10 * time.Second)
		disk.free.Store(false)
		var acked, refused atomic.Int64
		send := func(p greenhouse.PointID, v float64) {
			b := telemetry.Batch{Readings: []greenhouse.Reading{{Point: p, At: greenhouse.MillisOf(time.Now()), Value: v}}, Done: func(err error) {
				if err != nil {
					refused.Add(1)
				}
				acked.Add(1)
			}}
			if err := e.Submit(context.Background(), &b); err != nil {
				t.Error(err)
			}
		}
		send("a/t0", 18.1)
		<-disk.entered
		send("a/t1", 18.1) // waits before anybody knows that it hangs
		time.Sleep(2500 * time.Millisecond)
		for _, p := range points[:2] {
			if l, _ := e.Latest(p); l.Value != 18.1 || l.Seen.IsZero() {
				t.Errorf("%s is seen as %+v", p, l)
			}
		}
		var wg sync.WaitGroup
		for i, p := range points {
			wg.Go(func() {
				for k := range 10 { // forty for twenty places
					time.Sleep(time.Second)
					v := 18.2 + float64(k)/100
					if i == 3 && k == 5 {
						v = 85
					}
					send(p, v)
				}
			})
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		s := e.Stats()
		if !s.Hanging || s.Hangs != 1 || s.Committing < 20*time.Second || s.QueueFill != 100 || acked.Load() != 0 {
			t.Errorf("%d acknowledged, stats %+v", acked.Load(), s)
		}
		for i, p := range points {
			l, _ := e.Latest(p)
			h, _ := heard.Load(p)
			if l.Value < 18.2 || h != l {
				t.Errorf("%s is seen as %+v, and heard as %+v", p, l, h)
			}
			if i == 3 && l.At > greenhouse.MillisOf(time.Now())-14_000 && l.Quality == greenhouse.Good {
				t.Errorf("%s is believed right after 85: %+v", p, l)
			}
		}
		close(disk.hold)
		wg.Wait()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if acked.Load() != 42 || refused.Load() != 0 || e.Stats().Hanging {
			t.Errorf("%d acknowledged, %d refused, want 42 and none", acked.Load(), refused.Load())
		}
		stored := 0
		for i, p := range points {
			got := raw(t, e, p)
			stored += len(got)
			if last := got[len(got)-1]; i < 3 && (last.Value != 18.29 || last.Quality != greenhouse.Good) {
				t.Errorf("%s ends with %+v", p, last)
			}
		}
		if stored != 46 || e.Stats().Deduplicated != 0 {
			t.Errorf("%d readings stored, want 46: %s", stored, fmt.Sprint(e.Stats()))
		}
		shut(t, e)
	})
}
