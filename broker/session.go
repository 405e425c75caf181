package broker

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Session describes one login.
type Session struct {
	Login     string
	ClientID  string
	Node      bool
	Remote    netip.AddrPort // invalid for connections that have no address
	Listener  string         // address it came in on
	Secure    bool           // TLS
	Protocol  byte           // 4 is MQTT 3.1.1, 5 is 5.0
	KeepAlive time.Duration  // as agreed
	Opened    time.Time
	TookOver  bool // it ended an older session of the same client id
}

// session is a login on a connection.
type session struct {
	Session
	c     *conn
	who   Principal
	key   string        // login and client id
	will  *will         // of the reading goroutine alone
	begun uint64        // on the clock of expulsions
	gone  chan struct{} // closed when nothing of it is left
	acks  acks

	wantedKeepAlive uint16      // s, as the client asked
	opened          atomic.Bool // the owner knows of it

	// Of the reading goroutine alone.
	goodbye  bool // a proper DISCONNECT came
	filters  map[string]subscription
	allowed  [4]string // topics lately found allowed, to save the look-up
	allowedN int
}

// will is what to publish should the client vanish.
type will struct {
	topic   string
	payload []byte
	props   []byte
	retain  bool
}

// acks is the order in which a client's QoS 1 publishes came, so that PUBACKs
// leave in that order whatever the order of Ack.
type acks struct {
	mu     sync.Mutex
	queue  []*Delivery
	head   int
	bytes  int
	frozen bool          // one failed, or the session is over: no more PUBACKs
	room   chan struct{} // one token when the reader may look again
}

// full reports whether the reader has to wait.
func (a *acks) full(l *Limits) bool {
	n := len(a.queue) - a.head
	return n >= l.Window || n > 0 && a.bytes >= l.WindowBytes
}

// push adds a publish. It waits while too many are unacknowledged, and gives up
// when the connection ends or has been held back for as long as the client
// itself would wait for an answer.
func (a *acks) push(ctx context.Context, l *Limits, patience time.Duration, d *Delivery) error {
	a.mu.Lock()
	if a.full(l) {
		a.mu.Unlock()
		if err := a.wait(ctx, l, patience); err != nil {
			return err
		}
		a.mu.Lock()
	}
	a.queue = append(a.queue, d)
	a.bytes += len(d.Payload)
	a.mu.Unlock()
	return nil
}

func (a *acks) wait(ctx context.Context, l *Limits, patience time.Duration) error {
	t := time.NewTimer(patience)
	defer t.Stop()
	for {
		a.mu.Lock()
		full := a.full(l)
		a.mu.Unlock()
		if !full {
			return nil
		}
		select {
		case <-a.room:
		case <-ctx.Done():
			return errClosed
		case <-t.C:
			return ErrNotStored
		}
	}
}

// settle moves d to a final state, then acknowledges and passes on everything
// at the head of the queue that is ready.
func (s *session) settle(d *Delivery, st deliveryState) bool {
	a := &s.acks
	a.mu.Lock()
	defer a.mu.Unlock()
	if d.state != pending {
		return false
	}
	if d.state = st; st == failed {
		a.frozen = true
	}
	s.acknowledge()
	return true
}

// acknowledge needs s.acks.mu.
func (s *session) acknowledge() {
	a := &s.acks
	var room [256]byte
	out := room[:0]
	for a.head < len(a.queue) && a.queue[a.head].state != pending {
		d := a.queue[a.head]
		a.queue[a.head] = nil
		a.head++
		a.bytes -= len(d.Payload)
		if !a.frozen {
			out = appendPuback(out, d.id, d.code)
			s.c.b.stats.acked.Add(1)
		}
		if d.state == acked {
			s.c.b.passOn(d)
		}
	}
	if a.head == len(a.queue) {
		a.queue, a.head = a.queue[:0], 0
	} else if a.head > 64 && a.head*2 > len(a.queue) {
		n := copy(a.queue, a.queue[a.head:])
		clear(a.queue[n:])
		a.queue, a.head = a.queue[:n], 0
	}
	if len(out) > 0 {
		_ = s.c.out.writeControl(out)
	}
	select {
	case a.room <- struct{}{}:
	default:
	}
}

// freeze ends acknowledging: the connection is gone.
func (a *acks) freeze() {
	a.mu.Lock()
	a.frozen = true
	a.mu.Unlock()
}

// mayPublish reports whether topic is valid and allowed, remembering the last few that were.
func (s *session) mayPublish(topic string) bool {
	if s.known(topic) {
		return true
	}
	if !anyMatches(s.who.Publish, topic) {
		return false
	}
	s.allowed[s.allowedN%len(s.allowed)] = topic
	s.allowedN++
	return true
}

// known reports whether topic is one of the last few that were valid and allowed.
func (s *session) known(topic string) bool {
	return topic != "" && slices.Contains(s.allowed[:], topic)
}
