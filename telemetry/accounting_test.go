package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/telemetry"
)

// sender is one node of the accounting test: it numbers its messages, mixes
// QoS 0 and 1, sends some twice, leaves some out, and keeps books.
type sender struct {
	e       *telemetry.Engine
	c       *clock
	rng     *rand.Rand
	node    greenhouse.UID
	seq     uint64
	at      greenhouse.Millis
	sent    int64 // samples of QoS 0
	acked   int64 // samples of QoS 1, each time they were acknowledged
	skipped int64 // messages that never came
	dropped int64 // of them, refused at the door
	wg      sync.WaitGroup
}

// message makes the next message: good readings, some that must be refused, and
// some known ones.
func (s *sender) message() telemetry.Batch {
	s.seq++
	b := telemetry.Batch{Node: s.node, Boot: "b", Seq: s.seq, HasSeq: true, Arrived: s.c.Now()}
	for range s.rng.IntN(6) {
		r := greenhouse.Reading{Point: greenhouse.PointID(fmt.Sprintf("%s/x%d", s.node, s.rng.IntN(2))), At: s.at, Value: float64(s.rng.IntN(100))}
		switch s.rng.IntN(12) {
		case 0:
			r.At += 3_600_000 // the future
		case 1:
			r.Point = ""
		case 2:
			r.At -= greenhouse.Millis(s.rng.IntN(3)) * 1000 // perhaps there already
		default:
			s.at += 1000
			r.At = s.at
		}
		b.Readings = append(b.Readings, r)
	}
	b.Refused = s.rng.IntN(8) / 7
	if len(b.Readings)+b.Refused == 0 {
		b.Refused = 1
	}
	return b
}

func samples(b *telemetry.Batch) int64 { return int64(len(b.Readings) + b.Refused) }

// send submits a copy of b; a QoS 1 message is sent until it is acknowledged,
// now or, with wait, before send returns.
func (s *sender) send(t *testing.T, b telemetry.Batch, wait bool) {
	if b.QoS0 {
		s.sent += samples(&b)
		err := s.e.Submit(context.Background(), &b)
		if errors.Is(err, telemetry.ErrDropped) {
			s.dropped += samples(&b)
		} else if err != nil {
			t.Errorf("submit: %v", err)
		}
		return
	}
	s.acked += samples(&b)
	done := s.submit(t, b)
	finish := func() {
		for tries := 0; ; tries++ {
			err := <-done
			if err == nil {
				return
			}
			if tries == 10_000 {
				t.Errorf("never acknowledged: %v", err)
				return
			}
			s.c.add(50 * time.Millisecond)
			done = s.submit(t, b)
		}
	}
	if wait {
		finish()
		return
	}
	s.wg.Go(finish)
}

func (s *sender) submit(t *testing.T, b telemetry.Batch) <-chan error {
	b.Readings = append([]greenhouse.Reading(nil), b.Readings...)
	done := make(chan error, 1)
	b.Done = func(err error) { done <- err }
	if err := s.e.Submit(context.Background(), &b); err != nil {
		t.Errorf("submit: %v", err)
		done <- nil
	}
	return done
}

func (s *sender) run(t *testing.T, messages int, faults bool) {
	for range messages {
		b := s.message()
		if s.seq > 1 && s.rng.IntN(20) == 0 { // before its first message nobody knows a node
			s.skipped++
			continue
		}
		b.QoS0 = s.rng.IntN(2) == 0
		s.send(t, b, faults || s.rng.IntN(8) == 0)
		if !b.QoS0 && s.rng.IntN(10) == 0 {
			s.wg.Wait()
			s.send(t, b, true) // its PUBACK was lost
		}
	}
	b := s.message()
	s.send(t, b, true)
	s.wg.Wait()
}

// flakyDisk fails some syncs in a row now and then, while it is on.
type flakyDisk struct {
	telemetry.OSDisk
	on    atomic.Bool
	err   error
	syncs atomic.Int64
}

func (d *flakyDisk) Open(name string, flag int) (telemetry.File, error) {
	f, err := d.OSDisk.Open(name, flag)
	return flakyFile{f, d}, err
}

type flakyFile struct {
	telemetry.File
	d *flakyDisk
}

func (f flakyFile) Sync() error {
	if f.d.on.Load() && f.d.syncs.Add(1)%50 > 45 {
		return f.d.err
	}
	return f.File.Sync()
}

// tally adds up the gaps by cause.
func tally(e *telemetry.Engine) map[string]int64 {
	sum := map[string]int64{}
	for _, g := range e.Gaps("", 0, 1<<60) {
		sum[g.Cause] += g.Count
	}
	return sum
}

// account checks that every sample sent is stored, known, refused or a gap.
func account(t *rapid.T, e *telemetry.Engine, senders []*sender) (dropped int64) {
	var sent, skipped int64
	stored := int64(0)
	for _, s := range senders {
		sent, skipped, dropped = sent+s.sent+s.acked, skipped+s.skipped, dropped+s.dropped
		for x := range 2 {
			stored += int64(len(raw(t, e, greenhouse.PointID(fmt.Sprintf("%s/x%d", s.node, x)))))
		}
	}
	s, gaps := e.Stats(), tally(e)
	lost := gaps[telemetry.CauseQoS0] + gaps[telemetry.CauseDisk] + gaps[telemetry.CauseDiskFull]
	if got := s.Stored + s.Deduplicated + s.Refused + lost; got != sent {
		t.Errorf("stored %d + known %d + refused %d + lost %d = %d, want the %d sent", s.Stored, s.Deduplicated, s.Refused, lost, got, sent)
	}
	if stored != s.Stored || gaps[telemetry.CauseRefused] != s.Refused {
		t.Errorf("history has %d and gaps %d refused; counted were %d and %d", stored, gaps[telemetry.CauseRefused], s.Stored, s.Refused)
	}
	if got := gaps[telemetry.CauseSeq]; got != skipped {
		t.Errorf("gaps tell of %d messages that never came, want %d", got, skipped)
	}
	if gaps[telemetry.CauseQoS0] != dropped {
		t.Errorf("gaps tell of %d samples dropped, want %d", gaps[telemetry.CauseQoS0], dropped)
	}
	return dropped
}

// TestEverySampleIsAccountedFor overloads a small queue with QoS 0 and QoS 1
// from several nodes at once, with duplicates, refusals, numbers left out and
// a disk that fails for a while, is full for a while, or is filling up. What is
// on disk then is all that counts: it is read by another engine, as after a kill.
func TestEverySampleIsAccountedFor(t *testing.T) {
	var dropped, failed, shed, full int64
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "telemetry-account-")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		c, disk := newClock(), &flakyDisk{}
		disk.err = rapid.SampledFrom([]error{nil, errIO, syscall.ENOSPC}).Draw(rt, "fault")
		faults := disk.err != nil
		disk.on.Store(faults)
		free := uint64(1 << 30)
		if rapid.Bool().Draw(rt, "tight") {
			free = 150 << 20
		}
		o := telemetry.Options{Dir: dir + "/data", Now: c.Now, Disk: disk, QueueMessages: rapid.IntRange(4, 40).Draw(rt, "queue"), Maintain: -1, SegmentBytes: 64 << 10, Retention: 1000 * 24 * time.Hour,
			MinFree: 100 << 20, Free: func(string) (uint64, error) { return free, nil }, Trend: func(p greenhouse.PointID) bool { return strings.HasSuffix(string(p), "/x1") }}
		e, err := telemetry.Open(o)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { e.Close(context.Background()) }()
		var senders []*sender
		var wg sync.WaitGroup
		for i := range rapid.IntRange(1, 5).Draw(rt, "nodes") {
			s := &sender{e: e, c: c, node: greenhouse.UID(fmt.Sprintf("multi-%04d", i)), at: c.ms() - 80_000_000, rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))}
			senders = append(senders, s)
		}
		sealed := rapid.Bool().Draw(rt, "sealed")
		for _, s := range senders {
			wg.Go(func() { s.run(t, 150, faults) })
		}
		wg.Wait()
		disk.on.Store(false)
		if sealed {
			if err := e.Seal(); err != nil {
				rt.Fatal(err)
			}
		}
		dropped += account(rt, e, senders)
		failed += e.Stats().BatchesFailed
		shed += e.Stats().Shed
		full += tally(e)[telemetry.CauseDiskFull]
		before := tally(e)
		killed := o
		killed.Dir = dir + "/killed"
		for os.CopyFS(killed.Dir, os.DirFS(o.Dir)) != nil { // a file of the log was just given its name
			if err := os.RemoveAll(killed.Dir); err != nil {
				rt.Fatal(err)
			}
		}
		k, err := telemetry.Open(killed)
		if err != nil {
			rt.Fatal(err)
		}
		afterKill(rt, e, k, senders)
		if err := errors.Join(k.Close(context.Background()), e.Close(context.Background())); err != nil {
			rt.Fatal(err)
		}
		if e, err = telemetry.Open(o); err != nil {
			rt.Fatal(err)
		}
		for cause, n := range tally(e) {
			if n != before[cause] {
				rt.Errorf("after a restart gaps tell of %d %s, before of %d", n, cause, before[cause])
			}
		}
	})
	t.Logf("%d samples dropped, %d left out, %d lost to a full disk, %d batches failed", dropped, shed, full, failed)
	if dropped == 0 || failed == 0 || shed == 0 || full <= shed {
		t.Error("the test put on no pressure")
	}
}

// afterKill checks that the files alone tell the same as the engine that wrote
// them.
func afterKill(t *rapid.T, e, k *telemetry.Engine, senders []*sender) {
	want, got := tally(e), tally(k)
	for cause, n := range want {
		if got[cause] != n {
			t.Errorf("after a kill gaps tell of %d %s, before of %d", got[cause], cause, n)
		}
	}
	for _, s := range senders {
		for x := range 2 {
			p := greenhouse.PointID(fmt.Sprintf("%s/x%d", s.node, x))
			if a, b := raw(t, e, p), raw(t, k, p); !slices.Equal(a, b) {
				t.Errorf("%s: %d readings after a kill, %d before", p, len(b), len(a))
			}
		}
	}
}
