package edge

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"greenhouse"
	"greenhouse/store"
)

// inboxBound is how many messages may wait for the registry. Beyond it the
// sender's reader waits, which slows that client and nobody else.
const inboxBound = 4096

// inboxGroup is the most jobs one transaction takes.
const inboxGroup = 512

// inboxRefusals is how many refused jobs are taken out of a group before each of
// the others gets a transaction of its own.
const inboxRefusals = 8

// job is one change of the registry that somebody waits for.
type job struct {
	// apply makes the change. It may run several times, in transactions of which
	// one is kept, so it must not touch anything else.
	apply func(tx *store.Tx) error
	// alarms are what the change means for somebody who is not looking; they are
	// on disk before done hears of success.
	alarms []greenhouse.Condition
	// done hears what became of it: nil once it is synced to disk. It runs on the
	// goroutine of the inbox and must not wait.
	done func(error)
}

// inbox is the one goroutine through which nodes change the registry: whatever
// gathered while the last transaction ran goes into the next one together.
// Submit may be called from any goroutine.
type inbox struct {
	update  func(func(*store.Tx) error) error
	observe func(...greenhouse.Condition) error
	jobs    chan job
	stop    chan struct{} // nobody waits for room any more
	drain   chan struct{} // nothing can come any more
	once    sync.Once
	stopped chan struct{}
	commits atomic.Uint64

	mu     sync.RWMutex // held for reading while a job is queued
	closed bool
}

func newInbox(update func(func(*store.Tx) error) error, observe func(...greenhouse.Condition) error) *inbox {
	b := &inbox{update: update, observe: observe, jobs: make(chan job, inboxBound), stop: make(chan struct{}), drain: make(chan struct{}), stopped: make(chan struct{})}
	go b.run()
	return b
}

// Submit queues a job; done is called in any case, exactly once.
func (b *inbox) Submit(ctx context.Context, j job) {
	if err := b.queue(ctx, j); err != nil {
		j.done(err)
	}
}

func (b *inbox) queue(ctx context.Context, j job) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return errStopping()
	}
	select {
	case b.jobs <- j:
		return nil
	default:
	}
	select {
	case b.jobs <- j:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-b.stop:
		return errStopping()
	}
}

func errStopping() error { return greenhouse.Unavailable("stopping", "the daemon is stopping") }

func (b *inbox) run() {
	defer close(b.stopped)
	group := make([]job, 0, inboxGroup)
	for {
		select {
		case j := <-b.jobs:
			group = b.gather(append(group[:0], j))
			b.commit(group)
			clear(group)
		case <-b.drain:
			for group = b.gather(group[:0]); len(group) > 0; group = b.gather(group[:0]) {
				b.commit(group)
			}
			return
		}
	}
}

// gather adds what waits now.
func (b *inbox) gather(group []job) []job {
	for len(group) < inboxGroup {
		select {
		case j := <-b.jobs:
			group = append(group, j)
		default:
			return group
		}
	}
	return group
}

// commit applies a group in one transaction. A job that is refused is taken out
// of it and tried alone afterwards, when what came before it is settled: one bad
// message costs the others neither their change nor, being refused before
// anything is synced, a wait for the disk.
func (b *inbox) commit(group []job) {
	rest := slices.Clone(group)
	var alone []job
	for len(rest) > 0 && len(alone) <= inboxRefusals {
		bad, err := b.together(rest)
		if bad < 0 {
			b.settle(rest, err)
			rest = nil
			break
		}
		alone = append(alone, rest[bad])
		rest = slices.Delete(rest, bad, bad+1)
	}
	for _, j := range append(alone, rest...) {
		one := []job{j}
		_, err := b.together(one)
		b.settle(one, err)
	}
}

// together applies jobs in one transaction. It returns the position of the one
// that was refused, -1 if none was: then the error is that of the commit.
func (b *inbox) together(jobs []job) (refused int, err error) {
	b.commits.Add(1)
	refused = -1
	err = b.update(func(tx *store.Tx) error {
		for i := range jobs {
			tx.As("") // whoever changes something says so
			if err := jobs[i].apply(tx); err != nil {
				refused = i
				return err
			}
		}
		return nil
	})
	return refused, err
}

// settle tells everybody how it went, after the alarms of what was kept.
func (b *inbox) settle(jobs []job, err error) {
	var alarms []greenhouse.Condition
	if err == nil {
		for i := range jobs {
			alarms = append(alarms, jobs[i].alarms...)
		}
	}
	var unsaid error
	if len(alarms) > 0 {
		unsaid = b.observe(alarms...)
	}
	for i := range jobs {
		if len(jobs[i].alarms) > 0 {
			jobs[i].done(errors.Join(err, unsaid))
			continue
		}
		jobs[i].done(err)
	}
}

// Close commits what waits and ends the goroutine. It may be called twice.
func (b *inbox) Close() {
	b.once.Do(func() {
		close(b.stop)
		b.mu.Lock() // when everybody who was queueing has left
		b.closed = true
		b.mu.Unlock()
		close(b.drain)
	})
	<-b.stopped
}
