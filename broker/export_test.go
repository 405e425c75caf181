package broker

import (
	"strconv"
	"time"
)

// What the tests of topics need to see.

// Matches reports whether filter matches topic.
func Matches(filter, topic string) bool { return matches(filter, topic) }

// Covers reports whether allowed covers wanted.
func Covers(allowed, wanted string) bool { return covers(allowed, wanted) }

// CheckFilter says why a filter is refused.
func CheckFilter(f string) error { l := Limits{}.withDefaults(); return checkFilter(f, &l) }

// CheckTopic says why a topic is refused.
func CheckTopic(t string) error { l := Limits{}.withDefaults(); return checkTopic(t, &l) }

// Subscribers is an index for tests, where a subscriber is a number.
type Subscribers struct {
	x index
	s map[int]*session
}

// Add subscribes n to filter.
func (t *Subscribers) Add(filter string, n int, qos byte) {
	if t.s == nil {
		t.s = map[int]*session{}
	}
	if t.s[n] == nil {
		t.s[n] = &session{}
	}
	t.x.add(filter, t.s[n], subscription{qos: qos})
}

// Remove unsubscribes n from filter.
func (t *Subscribers) Remove(filter string, n int) bool { return t.x.remove(filter, t.s[n]) }

// Of returns who gets a message on topic, and with what QoS.
func (t *Subscribers) Of(topic string) map[int]byte {
	got := map[int]byte{}
	for _, m := range t.x.appendMatches(nil, topic) {
		for n, s := range t.s {
			if s == m.s {
				got[n] = m.sub.qos
			}
		}
	}
	return got
}

// Empty reports whether no branch of the index is left.
func (t *Subscribers) Empty() bool { return len(t.x.root.next) == 0 }

// Reported notes one refusal each of so many clients and returns how many are remembered.
func Reported(clients int, now time.Time) int {
	r := reporter{totals: map[Kind]uint64{}, seen: map[reporterKey]report{}}
	for i := range clients {
		r.note(strconv.Itoa(i), RefusedLogin, now)
	}
	return len(r.seen)
}

// Throttled notes one failed login each of so many names and returns how many
// are remembered, and how long the next of yet another name would wait.
func Throttled(names int, now time.Time) (remembered int, wait time.Duration) {
	t := throttle{seen: map[offender]offences{}}
	for i := range names {
		wait = t.failed(place{}, strconv.Itoa(i), 10, now)
	}
	return len(t.seen), wait
}

// Subscribed reports whether anybody is subscribed to anything at b.
func (b *Broker) Subscribed() bool {
	b.index.mu.RLock()
	defer b.index.mu.RUnlock()
	return len(b.index.root.next) > 0
}

// Known returns how many clients mochi believes in: those that log in just now.
func (b *Broker) Known() int { return b.mochi.Clients.Len() }

// QueueSpace returns the room that the queues of all sessions take, in entries.
func (b *Broker) QueueSpace() int {
	n := 0
	for _, s := range b.table.all("") {
		s.c.out.mu.Lock()
		n += cap(s.c.out.queue)
		s.c.out.mu.Unlock()
		s.acks.mu.Lock()
		n += cap(s.acks.queue)
		s.acks.mu.Unlock()
	}
	return n
}

// Publish is a decoded PUBLISH, for tests.
type Publish struct {
	Topic       string
	Payload     []byte
	ID          uint16
	QoS         byte
	Retain, Dup bool
}

// DecodePublish decodes what follows the fixed header of a PUBLISH that begins with first.
func DecodePublish(version, first byte, body []byte) (Publish, error) {
	p, err := decodePublish(&session{Session: Session{Protocol: version}}, first, body)
	return Publish{p.topic, p.payload, p.id, p.qos, p.retain, p.dup}, err
}
