package telemetry_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"greenhouse"
	"greenhouse/telemetry"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("TELEMETRY_KILL_DIR"); dir != "" {
		killVictim(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// one returns a batch with one reading at the clock's time.
func one(c *clock, v float64) telemetry.Batch {
	return telemetry.Batch{Node: "climate-aabb", Boot: "a", Arrived: c.Now(), Readings: []greenhouse.Reading{reading("a/x", c.ms(), v)}}
}

func TestFailedSyncAcknowledgesNothingAndMends(t *testing.T) {
	c := newClock()
	disk := newPowerDisk(t.TempDir(), 1)
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, Disk: disk}
	e := open(t, o)
	mustSubmit(t, e, one(c, 1))
	setFailing(disk, syscall.EIO)
	c.add(10 * time.Second)
	if err := submit(t, e, one(c, 2)); !errors.Is(err, greenhouse.ErrUnavailable) {
		t.Fatalf("a failed sync answered %v, want unavailable", err)
	}
	if l, _ := e.Latest("a/x"); l.Value != 2 {
		t.Errorf("control sees %v, want the reading that could not be stored", l.Value)
	}
	if got := raw(t, e, "a/x"); len(got) != 1 {
		t.Errorf("history has %v, want only what was acknowledged", got)
	}
	if s := e.Stats(); !s.Paused || s.Fault == "" || s.Faults != 1 {
		t.Errorf("stats say %+v", s)
	}
	c.add(100 * time.Millisecond)
	if err := submit(t, e, one(c, 3)); err == nil {
		t.Fatal("acknowledged while the disk fails")
	}
	dropped := one(c, 4)
	dropped.QoS0 = true
	if err := submit(t, e, dropped); err == nil {
		t.Fatal("acknowledged while the disk fails")
	}
	setFailing(disk, nil)
	c.add(2 * time.Second)
	mustSubmit(t, e, one(c, 5))
	if s := e.Stats(); s.Paused {
		t.Errorf("still paused: %+v", s)
	}
	mustSubmit(t, e, one(c, 5)) // anything: the loss is recorded with the next commit at the latest
	if gaps := e.Gaps("a/x", 0, math.MaxInt64); len(gaps) != 1 || gaps[0].Cause != telemetry.CauseDisk || gaps[0].Count != 1 {
		t.Errorf("the lost QoS 0 reading is told as %v", gaps)
	}
	shut(t, e)
	e = open(t, o)
	if got := raw(t, e, "a/x"); len(got) != 2 || got[1].Value != 5 {
		t.Errorf("after a restart: %v", got)
	}
}

func setFailing(d *powerDisk, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing = err
}

func TestFullDiskPausesAndGoesOn(t *testing.T) {
	c := newClock()
	var mu sync.Mutex
	free := uint64(1 << 30)
	setFree := func(n uint64) { mu.Lock(); free = n; mu.Unlock() }
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, MinFree: 100 << 20, Free: func(string) (uint64, error) {
		mu.Lock()
		defer mu.Unlock()
		return free, nil
	}}
	e := open(t, o)
	mustSubmit(t, e, one(c, 1))
	setFree(99 << 20)
	if err := e.Maintain(); err != nil {
		t.Fatal(err)
	}
	c.add(time.Minute)
	if err := submit(t, e, one(c, 2)); !errors.Is(err, greenhouse.ErrUnavailable) {
		t.Fatalf("a full disk answered %v", err)
	}
	setFree(110 << 20) // above the limit, but not by a quarter
	e.Maintain()
	if err := submit(t, e, one(c, 2)); err == nil {
		t.Fatal("resumed without room to spare")
	}
	setFree(130 << 20)
	e.Maintain()
	mustSubmit(t, e, one(c, 2))
	if s := e.Stats(); s.Paused {
		t.Errorf("still paused: %+v", s)
	}
	if got := raw(t, e, "a/x"); len(got) != 2 {
		t.Errorf("history has %v", got)
	}
}

// stallDisk holds every sync of the log until released, and says when one has
// begun.
type stallDisk struct {
	telemetry.OSDisk
	entered, hold chan struct{}
	free          *atomic.Bool // nothing is held while this is set; nil: never
}

type stallFile struct {
	telemetry.File
	d stallDisk
}

func (d stallDisk) Open(name string, flag int) (telemetry.File, error) {
	f, err := d.OSDisk.Open(name, flag)
	if err == nil && filepath.Ext(name) == ".log" {
		f = stallFile{f, d}
	}
	return f, err
}

func (f stallFile) Sync() error {
	if f.d.free != nil && f.d.free.Load() {
		return f.File.Sync()
	}
	select {
	case f.d.entered <- struct{}{}:
	default:
	}
	<-f.d.hold
	return f.File.Sync()
}

func TestQueuePolicy(t *testing.T) {
	c := newClock()
	disk := stallDisk{entered: make(chan struct{}, 1), hold: make(chan struct{})}
	var mu sync.Mutex
	var told []telemetry.Pressure
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, Disk: disk, QueueMessages: 10, OnPressure: func(p telemetry.Pressure) {
		mu.Lock()
		told = append(told, p)
		mu.Unlock()
	}}
	e := open(t, o)
	var settled sync.WaitGroup
	send := func(ctx context.Context, qos0 bool, seq uint64) error {
		b := one(c, float64(seq))
		b.QoS0, b.Seq, b.HasSeq = qos0, seq, true
		b.Readings[0].At += greenhouse.Millis(seq)
		settled.Add(1)
		b.Done = func(err error) {
			if err != nil {
				t.Error(err)
			}
			settled.Done()
		}
		err := e.Submit(ctx, &b)
		if err != nil {
			settled.Done()
		}
		return err
	}
	ctx := context.Background()
	if err := send(ctx, false, 1); err != nil { // the committer takes it and hangs in the sync
		t.Fatal(err)
	}
	<-disk.entered
	c.add(30 * time.Second)
	if s := e.Stats(); s.Committing != 30*time.Second {
		t.Errorf("a commit that hangs for 30 s is told as %v", s.Committing)
	}
	for seq := uint64(2); seq <= 10; seq++ { // nine of ten places
		if err := send(ctx, seq%2 == 0, seq); err != nil {
			t.Fatal(seq, err)
		}
	}
	if err := send(ctx, true, 11); !errors.Is(err, telemetry.ErrDropped) {
		t.Errorf("QoS 0 at 90 %%: %v, want dropped", err)
	}
	if err := send(ctx, false, 12); err != nil {
		t.Errorf("QoS 1 at 90 %%: %v", err)
	}
	short, cancel := context.WithCancel(ctx)
	cancel()
	if err := send(short, false, 13); !errors.Is(err, context.Canceled) {
		t.Errorf("QoS 1 at 100 %% with a context that ended: %v", err)
	}
	if s := e.Stats(); s.Pressure != telemetry.Heavy || s.QueueFill != 100 || s.BatchesDropped != 1 {
		t.Errorf("stats say %+v", s)
	}
	waited := make(chan error, 1)
	go func() { waited <- send(ctx, false, 14) }()
	close(disk.hold)
	if err := <-waited; err != nil {
		t.Error(err)
	}
	settled.Wait()
	mustSubmit(t, e, one(c, 0))
	if s := e.Stats(); s.Pressure != telemetry.Calm {
		t.Errorf("pressure stays %v", s.Pressure)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(told) < 3 || told[0] != telemetry.Strain || told[1] != telemetry.Heavy || told[len(told)-1] != telemetry.Calm {
		t.Errorf("pressure was told as %v", told)
	}
	var drops, missing int64
	for _, g := range e.Gaps("a/x", 0, math.MaxInt64) {
		switch g.Cause {
		case telemetry.CauseQoS0:
			drops += g.Count
		case telemetry.CauseSeq:
			missing += g.Count
		}
	}
	if drops != 1 || missing != 1 { // 13 was never submitted; 11 is told once, as a drop
		t.Errorf("%d dropped and %d missing are told, want 1 and 1", drops, missing)
	}
}

func TestLingerGathersUntilUrgent(t *testing.T) {
	c := newClock()
	e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now, Linger: time.Hour})
	var wg sync.WaitGroup
	for i := range 5 {
		b := one(c, float64(i))
		b.Readings[0].At += greenhouse.Millis(i)
		b.Urgent = i == 4
		wg.Add(1)
		b.Done = func(error) { wg.Done() }
		if err := e.Submit(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait() // not an hour
	if s := e.Stats(); s.Syncs != 1 {
		t.Errorf("%d commits for what belongs in one", s.Syncs)
	}
}

func TestCloseSettlesWhatIsQueued(t *testing.T) {
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, Linger: time.Hour}
	e := open(t, o)
	var wg sync.WaitGroup
	for i := range 20 {
		b := one(c, float64(i))
		b.Readings[0].At += greenhouse.Millis(i)
		wg.Add(1)
		b.Done = func(err error) {
			if err != nil {
				t.Error(err)
			}
			wg.Done()
		}
		if err := e.Submit(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, e)
	wg.Wait()
	if err := e.Submit(context.Background(), &telemetry.Batch{}); !errors.Is(err, greenhouse.ErrUnavailable) {
		t.Errorf("a closed engine answered %v", err)
	}
	shut(t, e)
	e = open(t, o)
	if got := raw(t, e, "a/x"); len(got) != 20 {
		t.Errorf("%d readings are stored, want 20", len(got))
	}
}

func TestSecondEngineIsToldWhoHoldsTheDirectory(t *testing.T) {
	o := telemetry.Options{Dir: t.TempDir()}
	open(t, o)
	_, err := telemetry.Open(o)
	var ge *greenhouse.Error
	if !errors.Is(err, greenhouse.ErrUnavailable) || !errors.As(err, &ge) || ge.Hint == "" {
		t.Errorf("the second engine was told %v", err)
	}
}

func TestQueryErrors(t *testing.T) {
	c := newClock()
	e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now})
	mustSubmit(t, e, one(c, 1))
	ctx := context.Background()
	for name, tc := range map[string]struct {
		q    telemetry.Query
		want error
	}{
		"unknown point":  {telemetry.Query{Point: "no/where"}, greenhouse.ErrNotFound},
		"inverted range": {telemetry.Query{Point: "a/x", From: 10, To: 5}, greenhouse.ErrInvalid},
		"bad step":       {telemetry.Query{Point: "a/x", Step: "5m"}, greenhouse.ErrInvalid},
		"bad cursor":     {telemetry.Query{Point: "a/x", Cursor: "!"}, greenhouse.ErrInvalid},
		"foreign cursor": {telemetry.Query{Point: "a/x", From: c.ms(), Cursor: "1"}, greenhouse.ErrInvalid},
	} {
		if _, err := e.History(ctx, tc.q); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func TestCursorWalksEverythingOnce(t *testing.T) {
	c := newClock()
	e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now})
	for i := range 500 {
		mustSubmit(t, e, one(c, float64(i)))
		c.add(7 * time.Minute)
		if i == 300 {
			if err := e.Seal(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, step := range []telemetry.Step{telemetry.StepRaw, telemetry.StepMinute, telemetry.StepHour, telemetry.StepDay} {
		q := telemetry.Query{Point: "a/x", Step: step}
		whole, err := e.History(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		var pieces []telemetry.HistorySample
		q.Limit = 7
		for {
			r, err := e.History(context.Background(), q)
			if err != nil {
				t.Fatal(err)
			}
			pieces = append(pieces, r.Samples...)
			if q.Cursor = r.Next; q.Cursor == "" {
				break
			}
		}
		if len(pieces) != len(whole.Samples) {
			t.Fatalf("%s: %d samples in pieces, %d at once", step, len(pieces), len(whole.Samples))
		}
		for i := range pieces {
			if pieces[i] != whole.Samples[i] {
				t.Errorf("%s: sample %d is %+v in pieces, %+v at once", step, i, pieces[i], whole.Samples[i])
			}
		}
	}
}

// fullDisk has no room for new files while full is set.
type fullDisk struct {
	telemetry.OSDisk
	full *atomic.Bool
}

func (d fullDisk) Open(name string, flag int) (telemetry.File, error) {
	if flag&os.O_CREATE != 0 && d.full.Load() {
		return nil, &os.PathError{Op: "open", Path: name, Err: syscall.ENOSPC}
	}
	return d.OSDisk.Open(name, flag)
}

func TestNoRoomForASegment(t *testing.T) {
	c := newClock()
	disk := fullDisk{full: &atomic.Bool{}}
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, Disk: disk, SegmentBytes: 4096}
	e := open(t, o)
	disk.full.Store(true)
	acked := 0
	send := func() error {
		b := telemetry.Batch{Arrived: c.Now()}
		for i := range 100 {
			b.Readings = append(b.Readings, reading("a/x", c.ms()+greenhouse.Millis(i), math.Sqrt(float64(i))))
		}
		err := submit(t, e, b)
		if err == nil {
			acked += 100
		}
		c.add(time.Minute)
		return err
	}
	var err error
	for n := 0; n < 2000 && err == nil; n++ {
		err = send()
	}
	if !errors.Is(err, greenhouse.ErrUnavailable) || !e.Stats().Paused {
		t.Fatalf("a full disk answered %v", err)
	}
	if err := e.Seal(); err == nil {
		t.Error("sealed on a full disk")
	}
	disk.full.Store(false)
	if err := send(); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	if err := e.Seal(); err != nil {
		t.Error(err)
	}
	shut(t, e)
	e = open(t, o)
	if got := len(raw(t, e, "a/x")); got != acked {
		t.Errorf("%d readings are there, %d were acknowledged", got, acked)
	}
}

// Senders that try again more often than the engine tries the disk must not
// keep it from trying.
func TestAPauseEndsUnderLoad(t *testing.T) {
	c := newClock()
	disk := newPowerDisk(t.TempDir(), 1)
	e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now, Disk: disk})
	mustSubmit(t, e, one(c, 1))
	setFailing(disk, syscall.EIO)
	for range 3 {
		c.add(100 * time.Millisecond)
		if err := submit(t, e, one(c, 2)); err == nil {
			t.Fatal("acknowledged while the disk fails")
		}
	}
	setFailing(disk, nil)
	for range 12 {
		c.add(100 * time.Millisecond)
		if submit(t, e, one(c, 3)) == nil {
			return
		}
	}
	t.Errorf("still paused after 1.2 s of load on a sound disk: %+v", e.Stats())
}
