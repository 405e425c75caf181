package broker

import (
	"errors"
	"sync"
)

// maxControl bounds the bytes of acknowledgements and answers that a client
// may leave unread.
const maxControl = 64 << 10

// batchBytes is about how much one write takes.
const batchBytes = 16 << 10

// item is one message queued for a client.
type item struct {
	m      *message
	qos    byte
	retain bool
	acked  func() // on PUBACK; may be nil
}

// outbox is everything on its way to one client. Putting something in never
// waits; whoever flushes takes it out, one at a time. Control bytes go first,
// messages in order after them.
type outbox struct {
	c *conn

	mu       sync.Mutex
	control  []byte
	queue    []item
	head     int // of queue
	bytes    int // of the messages in queue
	inflight map[uint16]func()
	nextID   uint16
	window   int  // QoS 1 messages that may be in flight
	maxSize  int  // packet the client takes, from its CONNECT; 0 is any
	corked   bool // messages wait, control bytes go
	flushing bool
	closing  bool // nothing more goes in; control bytes go out, then the socket closes
	dead     bool // the socket is gone
}

// writeControl queues bytes of whole packets.
func (o *outbox) writeControl(b []byte) error {
	err := o.addControl(b)
	if errors.Is(err, ErrSlow) {
		o.c.fail(err)
	}
	return err
}

func (o *outbox) addControl(b []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closing:
		return errClosed
	case len(o.control)+len(b) > maxControl:
		return ErrSlow
	}
	o.control = append(o.control, b...)
	o.wake()
	return nil
}

// cork holds messages back until the next uncork, so that a SUBACK goes out
// before what the subscription brings, though the subscription is made first.
func (o *outbox) cork() {
	o.mu.Lock()
	o.corked = true
	o.mu.Unlock()
}

// uncork queues control bytes and lets messages go on behind them.
func (o *outbox) uncork(b []byte) error {
	err := o.writeControl(b)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.corked = false
	if o.head < len(o.queue) {
		o.wake()
	}
	return err
}

// put queues a message and reports whether there was room. Retained messages
// that answer a SUBSCRIBE are within the bounds of the retained state and go
// in beyond those of the queue.
func (o *outbox) put(it item, beyond bool) bool {
	l := &o.c.b.opts.Limits
	o.mu.Lock()
	defer o.mu.Unlock()
	full := len(o.queue)-o.head >= l.Queue || o.bytes+it.m.size() > l.QueueBytes
	if o.closing || full && !beyond || o.maxSize > 0 && it.m.size() > o.maxSize {
		return false
	}
	if o.head > 64 && o.head*2 > len(o.queue) { // it may never be empty
		n := copy(o.queue, o.queue[o.head:])
		clear(o.queue[n:])
		o.queue, o.head = o.queue[:n], 0
	}
	o.queue = append(o.queue, it)
	o.bytes += it.m.size()
	o.wake()
	return true
}

// puback settles an outbound QoS 1 message. An id that is not in flight is no matter.
func (o *outbox) puback(id uint16) {
	o.mu.Lock()
	acked, known := o.inflight[id]
	delete(o.inflight, id)
	if known && o.head < len(o.queue) {
		o.wake()
	}
	o.mu.Unlock()
	if acked != nil {
		acked()
	}
}

// close lets the control bytes out and then closes the socket.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
		return
	}
	o.closing = true
	o.queue, o.inflight = nil, nil
	o.head = 0
	o.wake()
}

// kill closes the socket at once.
func (o *outbox) kill() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closing, o.dead = true, true
	o.control, o.queue, o.inflight = nil, nil, nil
	o.head = 0
	o.c.raw.Close()
}

// wake has what is here written, if that is not under way.
func (o *outbox) wake() {
	if o.flushing || o.dead {
		return
	}
	o.flushing = true
	o.c.b.work.Add(1)
	if o.c.sock != nil {
		o.c.b.flushers.add(o)
	} else {
		go o.insist(nil)
	}
}

// take fills buf with what may be written next and reports whether that is
// anything. If it is not, the flush is over, and if all is written that ever will be,
// the socket is closed.
func (o *outbox) take(buf *[]byte) bool {
	more, finish := o.fill(buf)
	if finish {
		o.c.Conn.Close()
	}
	return more
}

func (o *outbox) fill(buf *[]byte) (more, finish bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	*buf = append((*buf)[:0], o.control...)
	if o.control = o.control[:0]; cap(o.control) > 1024 {
		o.control = nil
	}
	for !o.closing && !o.corked && o.head < len(o.queue) && len(*buf) < batchBytes && o.takeMessage(buf) {
	}
	if o.head == len(o.queue) && o.head > 0 {
		o.queue, o.head = nil, 0
	}
	if !o.dead && len(*buf) > 0 {
		return true, false
	}
	o.flushing = false
	finish = o.closing && !o.dead
	o.dead = o.dead || finish
	return false, finish
}

// takeMessage moves the first queued message into buf, unless the client has
// too many to acknowledge already.
func (o *outbox) takeMessage(buf *[]byte) bool {
	it := &o.queue[o.head]
	var id uint16
	if it.qos > 0 {
		if len(o.inflight) >= o.window {
			return false
		}
		id = o.freeID()
		o.inflight[id] = it.acked
	}
	*buf = it.m.appendTo(*buf, o.c.version, it.qos, it.retain, id)
	o.bytes -= it.m.size()
	*it = item{}
	o.head++
	o.c.b.stats.sent.Add(1)
	return true
}

// freeID returns a packet id that is not in flight; there are always some,
// since the window is far smaller than 65,535.
func (o *outbox) freeID() uint16 {
	if o.inflight == nil {
		o.inflight = make(map[uint16]func(), 4)
	}
	for {
		if o.nextID++; o.nextID == 0 {
			continue
		}
		if _, used := o.inflight[o.nextID]; !used {
			return o.nextID
		}
	}
}

// backlog is how many messages wait.
func (o *outbox) backlog() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue) - o.head
}
