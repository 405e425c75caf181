package edge

import (
	"context"
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

// job is one change of the registry that somebody waits for.
type job struct {
	// apply makes the change. It may run twice, in two transactions of which
	// one is kept, so it must not touch anything else.
	apply func(tx *store.Tx) error
	// done hears what became of it: nil once it is synced to disk.
	done func(error)
}

// inbox is the one goroutine through which nodes change the registry: whatever
// gathered while the last transaction ran goes into the next one together.
// Submit may be called from any goroutine.
type inbox struct {
	update  func(func(*store.Tx) error) error
	jobs    chan job
	stop    chan struct{}
	once    sync.Once
	stopped chan struct{}
	commits atomic.Uint64
}

func newInbox(update func(func(*store.Tx) error) error) *inbox {
	b := &inbox{update: update, jobs: make(chan job, inboxBound), stop: make(chan struct{}), stopped: make(chan struct{})}
	go b.run()
	return b
}

// Submit queues a job; done is called in any case, exactly once.
func (b *inbox) Submit(ctx context.Context, j job) {
	select {
	case <-b.stop:
		j.done(errStopping())
		return
	default:
	}
	select {
	case b.jobs <- j:
	case <-ctx.Done():
		j.done(ctx.Err())
	case <-b.stop:
		j.done(errStopping())
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
		case <-b.stop:
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

// commit applies a group in one transaction. If one job is refused, nothing of
// the group is kept and each job is tried in a transaction of its own: one bad
// message costs the others a sync, never their change.
func (b *inbox) commit(group []job) {
	b.commits.Add(1)
	err := b.update(func(tx *store.Tx) error {
		for _, j := range group {
			if err := j.apply(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil || len(group) == 1 {
		for _, j := range group {
			j.done(err)
		}
		return
	}
	for _, j := range group {
		b.commits.Add(1)
		j.done(b.update(j.apply))
	}
}

// Close commits what waits and ends the goroutine. It may be called twice.
func (b *inbox) Close() {
	b.once.Do(func() { close(b.stop) })
	<-b.stopped
}
