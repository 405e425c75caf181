package telemetry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"greenhouse"
	"greenhouse/telemetry"
)

// weather is what the disk does for a while.
type weather struct {
	name        string
	least, most time.Duration // that a sync takes
	err         error         // that it ends with
	free        uint64        // MiB
}

// stormDisk is a disk in all weathers. Once it is dead nothing reaches it any more, as
// when the process is killed: what was written stays, synced or not.
type stormDisk struct {
	telemetry.OSDisk
	now  *atomic.Pointer[weather]
	dead atomic.Bool
	mu   sync.Mutex
	rng  *rand.Rand
}

type stormFile struct {
	telemetry.File
	d   *stormDisk
	log bool
}

func (d *stormDisk) alive() error {
	if d.dead.Load() {
		return errPower
	}
	return nil
}

func (d *stormDisk) Open(name string, flag int) (telemetry.File, error) {
	if err := d.alive(); err != nil {
		return nil, err
	}
	f, err := d.OSDisk.Open(name, flag)
	return stormFile{f, d, filepath.Ext(name) == ".log"}, err
}

func (d *stormDisk) Rename(from, to string) error {
	if err := d.alive(); err != nil {
		return err
	}
	return d.OSDisk.Rename(from, to)
}

func (d *stormDisk) Remove(name string) error {
	if err := d.alive(); err != nil {
		return err
	}
	return d.OSDisk.Remove(name)
}

func (d *stormDisk) SyncDir(string) error { return d.alive() }

func (f stormFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.d.alive(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, off)
}

// Sync takes its time where a commit waits for it; a lock that is held over a sync
// elsewhere would stop the clock of the bubble.
func (f stormFile) Sync() error {
	w := f.d.now.Load()
	if f.log {
		f.d.mu.Lock()
		takes := w.least + time.Duration(f.d.rng.Int64N(int64(w.most-w.least)+1))
		f.d.mu.Unlock()
		time.Sleep(takes)
	}
	if err := f.d.alive(); err != nil {
		return err
	}
	return w.err
}

// storm is an engine that dies now and then, and those who send to it.
type storm struct {
	t       *testing.T
	o       telemetry.Options
	weather atomic.Pointer[weather]
	rng     *rand.Rand

	e    atomic.Pointer[telemetry.Engine]
	disk *stormDisk

	over           atomic.Bool
	sent, acked    atomic.Int64 // samples, each once
	tried, dropped atomic.Int64 // messages of QoS 1 each time, of QoS 0 at the door
}

func (s *storm) start() {
	s.disk = &stormDisk{now: &s.weather, rng: rand.New(rand.NewPCG(s.rng.Uint64(), 1))}
	s.o.Disk = s.disk
	e, err := telemetry.Open(s.o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.e.Store(e)
}

// kill ends the engine as SIGKILL would, and starts another.
func (s *storm) kill() {
	was := s.weather.Load()
	s.disk.dead.Store(true)
	s.e.Load().Close(context.Background())
	s.weather.Store(&weather{free: was.free})
	s.start()
	s.weather.Store(was)
}

// submit hands a message to the engine there is; the answer comes with Done.
func (s *storm) submit(b telemetry.Batch) error {
	b.Readings = append([]greenhouse.Reading(nil), b.Readings...)
	return s.e.Load().Submit(context.Background(), &b)
}

// deliver sends a message of QoS 1 until it is acknowledged.
func (s *storm) deliver(b telemetry.Batch) {
	done := make(chan error, 1)
	b.Done = func(err error) { done <- err }
	for {
		s.tried.Add(1)
		if s.submit(b) == nil && <-done == nil {
			s.acked.Add(samples(&b))
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// node sends numbered messages until the storm is over, up to eight at once: one
// sample with QoS 0, or several with QoS 1, some of them impossible.
func (s *storm) node(n int, rng *rand.Rand) {
	uid, seq := greenhouse.UID(fmt.Sprintf("multi-%04d", n)), uint64(0)
	at := greenhouse.MillisOf(time.Now())
	message := func(most int) telemetry.Batch {
		seq++
		now := time.Now()
		at = max(at+1, greenhouse.MillisOf(now))
		b := telemetry.Batch{Node: uid, Boot: "b", Seq: seq, HasSeq: true, Arrived: now}
		for range 1 + rng.IntN(most) {
			r := reading(fmt.Sprintf("%s/x%d", uid, rng.IntN(2)), at, float64(seq))
			if most > 1 && rng.IntN(15) == 0 {
				r.At += 7_200_000
			}
			at++
			b.Readings = append(b.Readings, r)
		}
		s.sent.Add(samples(&b))
		return b
	}
	s.deliver(message(5)) // before its first message nobody knows a node
	var wg sync.WaitGroup
	room := make(chan struct{}, 8)
	for !s.over.Load() {
		time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
		if rng.IntN(2) == 0 {
			b := message(1)
			b.QoS0 = true
			if s.submit(b) != nil {
				s.dropped.Add(1)
			}
			continue
		}
		b := message(5)
		room <- struct{}{}
		wg.Go(func() { s.deliver(b); <-room })
	}
	wg.Wait()
	s.deliver(message(5))
}

// TestEverySampleThroughAStorm has several nodes send more than a disk can take that is
// slow, full, failing, and slow again, in one run and killed at random moments in each:
// every sample is stored, refused, or in a gap, and none of QoS 1 is lost.
func TestEverySampleThroughAStorm(t *testing.T) {
	seed := uint64(count(t, "SEED", int(time.Now().UnixNano())))
	t.Logf("seed %d", seed)
	dir := scratch(t)
	synctest.Test(t, func(t *testing.T) {
		s := &storm{t: t, rng: rand.New(rand.NewPCG(seed, 7))}
		slow := weather{name: "slow", least: 20 * time.Millisecond, most: 500 * time.Millisecond, free: 1000}
		phases := []weather{{name: "calm", free: 1000}, slow, {name: "filling up", most: 20 * time.Millisecond, free: 150}, {name: "full", free: 90},
			{name: "calm", free: 1000}, {name: "no space", least: time.Millisecond, most: 5 * time.Millisecond, err: syscall.ENOSPC, free: 1000}, slow,
			{name: "failing", most: 50 * time.Millisecond, err: errIO, free: 1000}, slow}
		s.o = telemetry.Options{Dir: dir + "/x", QueueMessages: 60, SegmentBytes: 64 << 10, Maintain: time.Second, HeadReadings: 3000, MinFree: 100 << 20,
			Free:  func(string) (uint64, error) { return s.weather.Load().free << 20, nil },
			Trend: func(p greenhouse.PointID) bool { return strings.HasSuffix(string(p), "/x1") }}
		s.weather.Store(&phases[0])
		s.start()
		var wg sync.WaitGroup
		const nodes = 6
		for n := range nodes {
			rng := rand.New(rand.NewPCG(seed, uint64(n+10)))
			wg.Go(func() { s.node(n, rng) })
		}
		kills := 0
		for i := range phases {
			s.weather.Store(&phases[i])
			for left := 8 * time.Second; left > 0; {
				d := min(left, time.Duration(s.rng.IntN(6000))*time.Millisecond+100*time.Millisecond)
				time.Sleep(d)
				if left -= d; left > 0 {
					s.kill()
					kills++
				}
			}
		}
		s.weather.Store(&phases[0])
		s.over.Store(true)
		wg.Wait()
		for range 2 { // the books are the same for whoever reads the files
			s.books(nodes, seed)
			s.kill()
		}
		if err := s.e.Load().Close(context.Background()); err != nil {
			t.Error(err)
		}
		t.Logf("%d kills, %d samples, %d of QoS 1 acknowledged in %d attempts", kills, s.sent.Load(), s.acked.Load(), s.tried.Load())
	})
}

// books compares what is there with what was sent.
func (s *storm) books(nodes int, seed uint64) {
	s.t.Helper()
	stored, lost := int64(0), int64(0)
	for n := range nodes {
		for x := range 2 {
			stored += int64(len(raw(s.t, s.e.Load(), greenhouse.PointID(fmt.Sprintf("multi-%04d/x%d", n, x)))))
		}
	}
	gaps := tally(s.e.Load())
	for _, n := range gaps {
		lost += n
	}
	if stored+lost != s.sent.Load() {
		s.t.Errorf("seed %d: stored %d + on record %d %v = %d, want the %d sent", seed, stored, lost, gaps, stored+lost, s.sent.Load())
	}
	if st := s.e.Load().Stats(); st.Refused != gaps[telemetry.CauseRefused] || st.Damaged != 0 {
		s.t.Errorf("seed %d: %d refused, gaps tell of %d, damage %d", seed, st.Refused, gaps[telemetry.CauseRefused], st.Damaged)
	}
	s.t.Logf("stored %d, on record: %v", stored, gaps)
	for _, cause := range []string{telemetry.CauseQoS0, telemetry.CauseDiskFull, telemetry.CauseSeq, telemetry.CauseRefused} {
		if gaps[cause] == 0 {
			s.t.Errorf("seed %d: there was no %s: the storm was too mild", seed, cause)
		}
	}
}
