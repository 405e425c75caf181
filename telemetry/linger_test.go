package telemetry_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greenhouse"
	"greenhouse/telemetry"
)

// timedDisk takes as long for the n-th sync of a file as it is told to, in virtual time.
type timedDisk struct {
	idleDisk
	takes func(n int) time.Duration
}

type timedFile struct {
	telemetry.File
	takes func(n int) time.Duration
	n     int
}

func (d timedDisk) Open(name string, flag int) (telemetry.File, error) {
	f, err := d.idleDisk.Open(name, flag)
	return &timedFile{File: f, takes: d.takes}, err
}

func (f *timedFile) Sync() error {
	f.n++
	time.Sleep(f.takes(f.n))
	return nil
}

// lingering opens an engine that decides by itself how long it lingers. It is to be
// called in a bubble: everything but writing takes no time.
func lingering(t *testing.T, dir string, takes func(n int) time.Duration) *telemetry.Engine {
	t.Helper()
	e, err := telemetry.Open(telemetry.Options{Dir: dir, Linger: -1, Disk: timedDisk{takes: takes}, MinFree: -1, Maintain: -1})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// lone hands over one message of one value after the other.
type lone struct {
	e    *telemetry.Engine
	node int
	seq  uint64
}

// send hands over the next message; done is called when it is durable.
func (s *lone) send(t *testing.T, done func()) {
	now := time.Now()
	s.seq++
	b := &telemetry.Batch{Node: greenhouse.UID(fmt.Sprintf("climate-%04d", s.node)), Boot: "a", Seq: s.seq, HasSeq: true, Arrived: now,
		Readings: []greenhouse.Reading{reading(fmt.Sprintf("z%d/v", s.node), greenhouse.MillisOf(now)+greenhouse.Millis(s.seq), 20+float64(s.seq%10)/10)},
		Done: func(err error) {
			if err != nil {
				t.Error(err)
			}
			done()
		}}
	if err := s.e.Submit(context.Background(), b); err != nil {
		t.Error(err)
	}
}

// roundTrips lets so many senders send n messages each, the next when the last is
// durable, and returns how long that took and how many commits.
func roundTrips(t *testing.T, e *telemetry.Engine, senders, n int) (time.Duration, int64) {
	begun, before := time.Now(), e.Stats().Syncs
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			s := lone{e: e, node: i}
			for range n {
				done := make(chan struct{})
				s.send(t, func() { close(done) })
				<-done
			}
		})
	}
	wg.Wait()
	return time.Since(begun), e.Stats().Syncs - before
}

// TestSlowMediumIsSpared: where syncs take long, a commit waits for half a second's company.
func TestSlowMediumIsSpared(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := lingering(t, dir, func(int) time.Duration { return 20 * time.Millisecond })
		defer shut(t, e)
		if took, _ := roundTrips(t, e, 5, 20); took < 19*400*time.Millisecond {
			t.Errorf("20 commits took %v: it did not linger", took)
		}
	})
}

// TestBusyMachineIsNoSlowMedium: a machine with more to do than it has processors for
// delays many a sync; that must not slow down everybody who waits for an acknowledgement.
func TestBusyMachineIsNoSlowMedium(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := lingering(t, dir, func(n int) time.Duration {
			if n%5 < 3 {
				return 30 * time.Millisecond
			}
			return 200 * time.Microsecond
		})
		defer shut(t, e)
		if took, _ := roundTrips(t, e, 100, 100); took > 5*time.Second {
			t.Errorf("100 round trips took %v: it lingered as if on a card", took)
		}
	})
}

// TestCommitsShareAPageAtLoad holds what reaches the device at 10,000 messages a
// second to the budget of 200 bytes each, on a disk that syncs in 0.2 ms.
func TestCommitsShareAPageAtLoad(t *testing.T) {
	const nodes, seconds, budget = 1000, 3, 200
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := lingering(t, dir, func(int) time.Duration { return 200 * time.Microsecond })
		defer shut(t, e)
		senders := make([]lone, nodes)
		var flight sync.WaitGroup
		var slowest time.Duration
		round := func(period time.Duration) {
			for i := range senders {
				begun := time.Now()
				flight.Add(1)
				senders[i].e, senders[i].node = e, i
				senders[i].send(t, func() { slowest = max(slowest, time.Since(begun)); flight.Done() })
				time.Sleep(period)
			}
		}
		round(0) // names are written once
		flight.Wait()
		slowest = 0
		before := e.Stats()
		for range seconds * 10 {
			round(100 * time.Microsecond)
		}
		flight.Wait()
		s := e.Stats()
		each := float64(s.BytesWritten-before.BytesWritten) / float64(s.Messages-before.Messages)
		t.Logf("%.0f B a message, %.1f messages a commit, the slowest durable after %v", each, float64(s.Messages-before.Messages)/float64(s.Syncs-before.Syncs), slowest)
		if each > budget {
			t.Errorf("%.0f B a message, want at most %d", each, budget)
		}
		if slowest > 5*time.Millisecond {
			t.Errorf("a message was durable after %v: it waited longer than for its page", slowest)
		}
	})
}

// TestNobodyWaitsForThoseWhoWait: senders that wait for their own acknowledgement
// bring no company, so a commit takes all there can be and goes.
func TestNobodyWaitsForThoseWhoWait(t *testing.T) {
	const each = 200 * time.Microsecond
	for _, senders := range []int{1, 7} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			e := lingering(t, dir, func(int) time.Duration { return each })
			defer shut(t, e)
			took, commits := roundTrips(t, e, senders, 2000)
			if commits > 2010 || took > 2000*each*5/4 {
				t.Errorf("%d senders, 2,000 round trips of %v: %d commits in %v", senders, each, commits, took)
			}
		})
	}
}

// TestNobodyIsWaitedForInALull: where most senders have gone, those who are left do
// not wait for as many as there were; a moment in which nobody comes is enough.
func TestNobodyIsWaitedForInALull(t *testing.T) {
	const rounds = 20
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := lingering(t, dir, func(int) time.Duration { return 200 * time.Microsecond })
		defer shut(t, e)
		roundTrips(t, e, 30, 50)
		if took, _ := roundTrips(t, e, 3, rounds); took > rounds*time.Millisecond {
			t.Errorf("%d round trips of the few who are left took %v", rounds, took)
		}
	})
}
