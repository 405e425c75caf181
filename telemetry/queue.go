package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"greenhouse"
)

// ErrClosed is what an engine says after Close; it wraps [greenhouse.ErrUnavailable].
var ErrClosed = fmt.Errorf("telemetry is closed: %w", greenhouse.ErrUnavailable)

// ErrDropped says that a QoS 0 batch was dropped under pressure, and that a
// gap will tell of it; it wraps [greenhouse.ErrUnavailable].
var ErrDropped = fmt.Errorf("telemetry queue is nearly full, the batch was dropped: %w", greenhouse.ErrUnavailable)

var errNoBatch = errors.New("no batch")

const (
	// maxBatch bounds the readings of one batch; a message of 64 KiB holds fewer.
	maxBatch = 1 << 14
	// commitBytes is about how much log one commit writes at most. With nothing
	// but new points of the longest names it may be seventy times as much, which
	// a frame must still take.
	commitBytes = 128 << 10
	// maxDrops bounds the records of dropped batches between two commits.
	maxDrops = 4096
)

// dropKey is what dropped batches must share to be told of together.
type dropKey struct {
	from  bootKey
	cause string
}

// drop tells of batches that never reached the log.
type drop struct {
	from    bootKey
	gap     greenhouse.Gap
	numbers []numbers // of the messages, as they were dropped
}

// numbers is a range of message numbers of one boot.
type numbers struct{ lo, hi uint64 }

// number remembers which messages were dropped, so that they are not told of
// as missing too. Neighbours are joined, but never across a number that was not
// dropped: it may be missing. Beyond maxMissing ranges one is told of twice.
func (d *drop) number(more []numbers) {
	for _, n := range more {
		if last := len(d.numbers) - 1; last >= 0 && d.numbers[last].hi+1 == n.lo {
			d.numbers[last].hi = n.hi
		} else if len(d.numbers) < maxMissing {
			d.numbers = append(d.numbers, n)
		}
	}
}

// queue holds batches until the committer takes them. Its policy: QoS 1 waits
// for room, QoS 0 is dropped from 90 % on.
type queue struct {
	mu       sync.Mutex
	pending  []*Batch
	bytes    int // memory of pending
	logBytes int // about what they will take in the log
	maxN     int
	maxBytes int
	closed   bool
	drops    map[dropKey]*drop
	room     chan struct{} // closed when the committer has taken
	waiting  int           // submitters waiting for room
	pressure Pressure

	wake chan struct{} // something is pending
	cut  chan struct{} // the commit that lingers should look again

	urgent bool // something pending is in a hurry, under mu
	enough int  // batches for which the commit that lingers waits, under mu

	notifyMu sync.Mutex
	notified Pressure
	notify   func(Pressure)
	dropped  int64 // batches, under mu
}

func newQueue(o *Options) *queue {
	return &queue{maxN: o.QueueMessages, maxBytes: o.QueueBytes, drops: map[dropKey]*drop{}, room: make(chan struct{}),
		wake: make(chan struct{}, 1), cut: make(chan struct{}, 1), notify: o.OnPressure}
}

// memoryOf is about what a waiting batch occupies.
func memoryOf(b *Batch) int { return 192 + 40*len(b.Readings) }

// logOf is about what a batch takes in the log.
func logOf(b *Batch) int { return 16 + 8*len(b.Readings) }

// fill returns how full the queue is, in percent.
func (q *queue) fill() int {
	return max(len(q.pending)*100/q.maxN, q.bytes*100/q.maxBytes)
}

// update moves the pressure with ten points of hysteresis.
func (q *queue) update() {
	fill := q.fill()
	p := q.pressure
	switch {
	case fill >= 90:
		p = Heavy
	case fill >= 70:
		p = max(p, Strain)
		if fill < 80 {
			p = Strain
		}
	case fill >= 60:
		p = min(p, Strain)
	default:
		p = Calm
	}
	q.pressure = p
}

// tell reports a change of pressure, one call at a time.
func (q *queue) tell() {
	if q.notify == nil {
		return
	}
	q.notifyMu.Lock()
	defer q.notifyMu.Unlock()
	q.mu.Lock()
	p := q.pressure
	q.mu.Unlock()
	if p != q.notified {
		q.notified = p
		q.notify(p)
	}
}

// put queues b, waiting for room unless it may be dropped.
func (q *queue) put(ctx context.Context, b *Batch) error {
	for {
		room, err := q.try(b)
		if room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			q.mu.Lock()
			q.waiting--
			q.mu.Unlock()
			return fmt.Errorf("wait for room in the telemetry queue: %w", ctx.Err())
		}
	}
}

// try queues b or returns the channel that says when to try again.
func (q *queue) try(b *Batch) (room <-chan struct{}, err error) {
	q.mu.Lock()
	before := q.pressure
	switch {
	case q.closed:
		err = ErrClosed
	case b.QoS0 && q.fill() >= 90:
		q.lose(b, CauseQoS0)
		err = ErrDropped
	case q.fill() >= 100:
		q.waiting++
		room = q.room
	default:
		q.push(b)
	}
	changed := q.pressure != before
	q.mu.Unlock()
	if changed {
		q.tell()
	}
	return room, err
}

func (q *queue) push(b *Batch) {
	q.pending = append(q.pending, b)
	q.bytes += memoryOf(b)
	q.logBytes += logOf(b)
	q.urgent = q.urgent || b.Urgent
	q.update()
	signal(q.wake)
	if q.ripe() {
		signal(q.cut)
	}
}

// ripe reports whether what is pending should be committed without waiting for more.
func (q *queue) ripe() bool {
	return q.urgent || q.closed || q.logBytes >= pageSize || len(q.pending) >= q.enough
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// lose notes that b will never be stored. The mutex is held.
func (q *queue) lose(b *Batch, cause string) {
	at := greenhouse.MillisOf(b.Arrived)
	q.dropped++
	d := &drop{from: bootKey{b.Node, b.Boot}, gap: greenhouse.Gap{Node: b.Node, From: at, To: at, Cause: cause, Count: int64(max(len(b.Readings)+b.Refused, 1))}}
	if b.HasSeq {
		d.numbers = []numbers{{b.Seq, b.Seq}}
	}
	for _, r := range b.Readings {
		d.gap.From, d.gap.To = min(d.gap.From, max(r.At, 1)), max(d.gap.To, min(r.At, at+future))
	}
	q.keep(d)
}

// keep adds d to what the next commit will record.
func (q *queue) keep(d *drop) {
	k := dropKey{d.from, d.gap.Cause}
	old := q.drops[k]
	switch {
	case old != nil:
		old.gap.From, old.gap.To = min(old.gap.From, d.gap.From), max(old.gap.To, d.gap.To)
		old.gap.Count += d.gap.Count
		old.number(d.numbers)
	case len(q.drops) < maxDrops:
		q.drops[k] = d
	default: // too many senders: told of as one, without a name
		d.from, d.gap.Node, d.numbers = bootKey{}, "", nil
		k = dropKey{bootKey{}, d.gap.Cause}
		if q.drops[k] == nil {
			q.drops[k] = d
			return
		}
		q.keep(d)
	}
}

// take moves the next commit's batches into dst, oldest first, and the drops
// to record with them.
func (q *queue) take(dst []*Batch) ([]*Batch, []*drop) {
	q.mu.Lock()
	n, log := 0, 0
	for n < len(q.pending) && (n == 0 || log < commitBytes) {
		log += logOf(q.pending[n])
		q.bytes -= memoryOf(q.pending[n])
		n++
	}
	dst = append(dst, q.pending[:n]...)
	rest := copy(q.pending, q.pending[n:])
	clear(q.pending[rest:])
	q.pending = q.pending[:rest]
	q.urgent = q.urgent && rest > 0
	q.logBytes -= log
	var drops []*drop
	for k, d := range q.drops {
		drops = append(drops, d)
		delete(q.drops, k)
	}
	before := q.pressure
	q.update()
	changed := q.pressure != before
	if q.waiting > 0 {
		close(q.room)
		q.room = make(chan struct{})
		q.waiting = 0
	}
	if rest > 0 {
		signal(q.wake)
	}
	q.mu.Unlock()
	if changed {
		q.tell()
	}
	return dst, drops
}

// giveBack returns what a failed commit could not record, and notes the QoS 0
// batches that died with it.
func (q *queue) giveBack(drops []*drop, lost []*Batch, cause string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range drops {
		q.keep(d)
	}
	for _, b := range lost {
		if b.QoS0 {
			q.lose(b, cause)
		}
	}
}

// close refuses everything from now on and lets the waiting see it.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.room)
		q.room = make(chan struct{})
		q.waiting = 0
	}
	signal(q.wake)
	signal(q.cut)
}

// empty reports whether the queue is closed and has nothing left.
func (q *queue) done() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && len(q.pending) == 0
}

// linger waits for company: until that many batches are pending, a page is
// full, something is urgent, nobody has come for lull, or d has passed.
func (q *queue) linger(d, lull time.Duration, enough int) {
	if d <= 0 || q.gathered(enough) {
		return
	}
	came, left := q.count(), d
	t := time.NewTimer(min(left, lull))
	defer t.Stop()
	for {
		select {
		case <-t.C:
			left -= lull
			n := q.count()
			if left <= 0 || n == came {
				return
			}
			came = n
			t.Reset(min(left, lull))
		case <-q.cut:
			if q.gathered(enough) {
				return
			}
		}
	}
}

// count returns how many batches are pending.
func (q *queue) count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pending)
}

// gathered reports whether there is nothing to linger for, and says how many batches
// would make it so.
func (q *queue) gathered(enough int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.enough = enough
	return q.ripe()
}
