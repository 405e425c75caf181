package telemetry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"syscall"
	"time"

	"greenhouse"
)

// retryAfter is how long a fault stands before the next attempt to write.
const retryAfter = time.Second

// fault is why nothing is being written.
type fault struct {
	err   error
	cause string    // of the gaps it leads to
	since time.Time // first seen
	tried time.Time // last attempt
}

// Submit queues a batch for the next commit. With nil the batch belongs to the
// engine until Done; with an error nothing of it will be stored and Done is
// not called. A QoS 1 batch waits for room as long as ctx allows; a QoS 0 batch
// is dropped with [ErrDropped] while the queue is nearly full. While the disk
// takes nothing, batches are accepted and fail through Done, so that latest
// values go on.
func (e *Engine) Submit(ctx context.Context, b *Batch) error {
	if b == nil {
		return fmt.Errorf("submit telemetry: %w", errNoBatch)
	}
	if len(b.Readings) > maxBatch || len(b.Node) > maxName || len(b.Boot) > maxName {
		return greenhouse.Invalid("batch_too_large", "a message holds at most %d samples, and names of %d bytes", maxBatch, maxName)
	}
	if b.Arrived.IsZero() {
		b.Arrived = e.o.Now()
	}
	if b.Stamped = max(min(b.Stamped, len(b.Readings)), 0); b.Stamped > 0 {
		_, b.up = e.o.uptime()
		b.up = max(b.up, 1)
	}
	if e.hang.on.Load() { // before it waits for room, and while it is still ours
		e.observe([]*Batch{b})
	}
	return e.queue.put(ctx, b)
}

// committer is the one goroutine that writes the log.
func (e *Engine) committer() {
	defer close(e.committed)
	var batches []*Batch
	for !e.queue.done() {
		<-e.queue.wake
		e.queue.linger(e.linger())
		var drops []*drop
		batches, drops = e.queue.take(batches[:0])
		e.patience.noteCommit(len(batches))
		if len(batches)+len(drops) > 0 {
			e.commit(batches, drops)
		} else if e.fault.Load() != nil {
			_ = e.mend() // the next batch hears of it
		}
		clear(batches)
	}
}

// linger returns how long the next commit should wait for company, after what
// time without any it goes on, and for how many batches it waits in all.
func (e *Engine) linger() (d, lull time.Duration, enough int) {
	if e.o.Linger >= 0 {
		return e.o.Linger, e.o.Linger, math.MaxInt
	}
	return e.patience.next()
}

// commit writes one frame and settles its batches.
func (e *Engine) commit(batches []*Batch, drops []*drop) {
	begin := e.o.Now()
	e.since.Store(&begin)
	e.hang.begins(batches)
	err := e.mend()
	if err == nil {
		err = e.ease()
	}
	if err == nil {
		err = e.write(batches, drops)
	}
	e.hang.ends()
	e.since.Store(nil)
	if err != nil {
		e.fail(batches, drops, err)
		return
	}
	e.hear(e.moved)
	e.tellRestamped()
	e.batchesDone.Add(int64(len(batches)))
	for _, b := range batches {
		if b.Done != nil {
			b.Done(nil)
		}
	}
}

// errFull says that memory holds all it may.
var errFull = errors.New("readings cannot be moved from memory to their day files")

// ease waits until memory has room: sealing early begins at HeadReadings, and
// at twice that many a commit waits for it, so that senders are slowed. Where
// sealing fails nothing more is taken.
func (e *Engine) ease() error {
	for {
		e.mu.RLock()
		full := e.st.cells >= 2*e.o.HeadReadings
		e.mu.RUnlock()
		if !full {
			return nil
		}
		if err := e.stuck.Load(); err != nil {
			signal(e.chores)
			return fmt.Errorf("%w: %w", errFull, *err)
		}
		signal(e.chores)
		select {
		case <-e.eased:
		case <-e.stop: // what is queued is still taken
			return nil
		}
	}
}

// hear tells the world above what moved.
func (e *Engine) hear(moved []greenhouse.Latest) {
	if len(moved) > 0 && e.o.OnCommit != nil {
		e.o.OnCommit(moved)
	}
}

// write logs, syncs and applies what is new in the batches.
func (e *Engine) write(batches []*Batch, drops []*drop) error {
	c := &e.composer
	e.mu.RLock()
	c.tight = e.tight.Load()
	c.begin()
	c.settle()
	for _, b := range batches {
		c.batch(b)
	}
	for _, d := range drops {
		c.drop(d)
	}
	e.mu.RUnlock()
	e.moved = e.moved[:0]
	if c.empty() {
		e.repeats.Add(int64(c.repeats))
		return nil
	}
	if !e.wal.room(len(c.frame)) {
		if err := e.wal.rotate(&e.mu, int64(len(c.frame))); err != nil {
			return err
		}
		signal(e.chores)
	}
	if err := e.append(); err != nil {
		return err
	}
	e.healed()
	e.mu.Lock()
	e.apply(c)
	e.settled()
	e.mu.Unlock()
	if c.left > 0 {
		e.shed.Add(int64(c.left))
		e.observe(batches) // control and people go on to see what is not kept
	}
	return nil
}

// append makes the composed frame durable and measures the sync.
func (e *Engine) append() error {
	begin := e.o.Now()
	err := e.wal.append(e.composer.frame)
	took := max(e.o.Now().Sub(begin), 0)
	e.syncMean.Store((e.syncMean.Load()*7 + int64(took)) / 8)
	e.syncMax.Store(max(e.syncMax.Load(), int64(took)))
	e.patience.noteSync(took)
	return err
}

// apply takes the synced frame into the state. It cannot fail unless composer
// and applier disagree, which replay would find again.
func (e *Engine) apply(c *composer) {
	a := applier{st: e.st, seg: e.wal.cur, seen: c.seen, live: true, moved: e.moved}
	if err := a.frame(c.frame[frameHeader:]); err != nil {
		e.o.Log.Error("a committed frame does not apply", "error", err)
	}
	e.moved, e.restamped = a.moved, a.restamped
	e.applied, e.wal.cur.applied = e.wal.tip, e.wal.tip.offset
	e.stored.Add(int64(a.stored))
	e.repeats.Add(int64(a.repeats + c.repeats))
	c.met = c.met[:0]
}

// fail settles batches that were not written: control may still see them.
func (e *Engine) fail(batches []*Batch, drops []*drop, err error) {
	f := e.fault.Load()
	if f == nil || f.err != err { //nolint:errorlint // the very same: mend did not try, and the wait goes on
		f = e.raise(err)
	}
	e.queue.giveBack(drops, batches, f.cause)
	e.observe(batches)
	e.batchesFailed.Add(int64(len(batches)))
	reply := greenhouse.Unavailable("telemetry_paused", "telemetry cannot be written: %v", f.err).
		WithHint("control goes on; nothing is acknowledged until the disk takes it: see greenctl doctor")
	for _, b := range batches {
		if b.Done != nil {
			b.Done(reply)
		}
	}
}

// raise notes a fault, keeping when it began.
func (e *Engine) raise(err error) *fault {
	now := e.o.Now()
	f := &fault{err: err, cause: CauseDiskFull, since: now, tried: now}
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, errLow) && !errors.Is(err, syscall.EDQUOT) {
		f.cause = CauseDisk
	}
	if old := e.fault.Load(); old != nil {
		f.since = old.since
		if old.err.Error() != err.Error() {
			e.o.Log.Error("telemetry is paused", "error", err)
		}
	} else {
		e.o.Log.Error("telemetry is paused", "error", err)
		e.faults.Add(1)
	}
	e.fault.Store(f)
	return f
}

// errLow says that the disk is nearly full.
var errLow = errors.New("the disk has too little free space left")

// mend returns nil if writing the log is worth a try: after a fault at most
// once a second, when what is acknowledged was read back and the log goes on
// in a new segment.
func (e *Engine) mend() error {
	if e.low.Load() {
		return errLow
	}
	f := e.fault.Load()
	if f == nil {
		return nil
	}
	if !errors.Is(f.err, errLow) && e.o.Now().Sub(f.tried).Abs() < retryAfter {
		return f.err
	}
	if e.wal.file == nil {
		if err := e.reopen(); err != nil {
			e.raise(err)
			return err
		}
	}
	tried := *f
	tried.tried = e.o.Now()
	e.fault.Store(&tried)
	return nil
}

// healed ends a fault after a frame was written and synced again.
func (e *Engine) healed() {
	if f := e.fault.Swap(nil); f != nil {
		e.o.Log.Info("telemetry goes on", "paused", e.o.Now().Sub(f.since).Round(time.Second))
	}
}

// reopen verifies what was acknowledged and begins a new segment. What no
// longer reads back is still in memory and is sealed at once.
func (e *Engine) reopen() error {
	err := e.wal.verify()
	if errors.Is(err, errTorn) {
		e.o.Log.Error("the log lost what it had acknowledged; sealing it from memory", "segment", e.wal.cur.path)
		e.sealAll.Store(true)
		signal(e.chores)
		err = nil
	}
	if err != nil {
		return fmt.Errorf("verify log: %w", err)
	}
	return e.wal.rotate(&e.mu, 0)
}
