package broker

import (
	"runtime"
	"sync"
	"time"
)

// flushers write what outboxes hold. Acknowledgements come by the hundred when a
// commit is done, and a goroutine for each client would cost as much as the write;
// so a few of them, which live only while there is something to write, take one outbox
// after the other. They never wait for a client: what its socket does not take
// at once is left to a goroutine of its own.
type flushers struct {
	mu      sync.Mutex
	queue   []*outbox // each once: see outbox.flushing
	head    int
	running int
}

// add puts o in line.
func (f *flushers) add(o *outbox) {
	f.mu.Lock()
	f.queue = append(f.queue, o)
	start := f.running < runtime.GOMAXPROCS(0)
	if start {
		f.running++
	}
	f.mu.Unlock()
	if start {
		go f.run()
	}
}

// next returns the outbox whose turn it is, or nil for the caller to end.
func (f *flushers) next() *outbox {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.head == len(f.queue) {
		f.queue, f.head = f.queue[:0], 0
		if cap(f.queue) > 1024 {
			f.queue = nil
		}
		f.running--
		return nil
	}
	o := f.queue[f.head]
	f.queue[f.head] = nil
	f.head++
	return o
}

func (f *flushers) run() {
	runtime.Gosched() // acknowledgements come in bursts: let the burst go on, write it once
	for o := f.next(); o != nil; o = f.next() {
		o.flush()
	}
}

// flush writes until there is nothing left or the socket takes no more.
func (o *outbox) flush() {
	buf := o.c.b.buffer()
	defer o.c.b.release(buf)
	for o.take(buf) {
		n, err := o.c.sock.write(*buf)
		switch {
		case err != nil:
			o.c.fail(writeCause(err))
		case n < len(*buf):
			go o.insist(append([]byte(nil), (*buf)[n:]...))
			return
		}
	}
	o.c.b.work.Done()
}

// insist writes until there is nothing left, beginning with rest, and waits for the
// client as long as the limit for a write allows.
func (o *outbox) insist(rest []byte) {
	defer o.c.b.work.Done()
	buf := o.c.b.buffer()
	defer o.c.b.release(buf)
	*buf = append((*buf)[:0], rest...)
	for len(*buf) > 0 || o.take(buf) {
		_ = o.c.Conn.SetWriteDeadline(time.Now().Add(o.c.b.opts.Limits.WriteTimeout))
		if _, err := o.c.Conn.Write(*buf); err != nil {
			o.c.fail(writeCause(err))
		}
		_ = o.c.Conn.SetWriteDeadline(time.Time{}) // a later write that does not wait has none
		*buf = (*buf)[:0]
	}
}
