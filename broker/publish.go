package broker

import (
	"slices"
	"strings"
	"sync"

	"greenhouse"
)

// Publish sends a message to all who are subscribed to topic, and never waits
// for any of them: to one that does not keep up the message is lost, and
// counted. With retain it becomes the retained state as well (or ends it, if
// the payload is empty). QoS is 0 or 1. An error is of kind
// [greenhouse.ErrInvalid]; a nil error does not mean that anybody got it.
func (b *Broker) Publish(topic string, payload []byte, qos byte, retain bool) error {
	m, err := b.message(topic, payload, qos, retain)
	if err != nil {
		return err
	}
	if retain {
		b.keep(m, true)
	} else {
		b.route(m)
	}
	return nil
}

// PublishCommand sends a QoS 1 message to one login, which must be connected
// and subscribed to topic, and calls acked (which may be nil, and must not
// wait) when its PUBACK comes. It never waits. The message is not retained and
// is lost with the session: acked is then never called. To a client that subscribed
// with QoS 0 it goes with QoS 0, without PUBACK. An error of kind
// [greenhouse.ErrUnavailable] says that it was not sent.
func (b *Broker) PublishCommand(login, topic string, payload []byte, acked func()) error {
	m, err := b.message(topic, payload, 1, false)
	if err != nil {
		return err
	}
	sent := false
	for _, to := range b.index.appendMatches(nil, topic) {
		if to.s.Login != login {
			continue
		}
		if !to.s.c.out.put(item{m: m, qos: to.sub.qos, acked: acked}, false) {
			b.stats.dropped.Add(1)
			return greenhouse.Unavailable("client_slow", "%s takes no messages now: it does not read, or is leaving", login)
		}
		sent, acked = true, nil // several connections of an account: the first one's PUBACK counts
	}
	if !sent {
		return greenhouse.Unavailable("client_offline", "%s is not connected, or not subscribed to %s", login, topic)
	}
	return nil
}

// SetRetained supplies retained state without sending it to those who are
// subscribed already. The payload must not be changed afterwards.
func (b *Broker) SetRetained(topic string, payload []byte) error {
	m, err := b.message(topic, payload, 1, true)
	if err != nil {
		return err
	}
	if !b.retained.room(topic) {
		return greenhouse.Unavailable("retained_full", "there is no room to retain a message on %s: %d are", topic, b.opts.Limits.Retained)
	}
	b.keep(m, false)
	return nil
}

// DropRetained ends the retained state of a topic, without telling anybody.
func (b *Broker) DropRetained(topic string) { b.retained.drop(topic) }

// message checks what the owner wants to publish.
func (b *Broker) message(topic string, payload []byte, qos byte, retain bool) (*message, error) {
	if err := checkTopic(topic, &b.opts.Limits); err != nil {
		return nil, greenhouse.Invalid("topic_invalid", "topic %q cannot be published to: %v", topic, err)
	}
	switch {
	case qos > 1:
		return nil, greenhouse.Invalid("qos_invalid", "QoS %d is not offered: it is 0 or 1", qos)
	case len(payload) > b.opts.Limits.Payload:
		return nil, greenhouse.Invalid("payload_too_large", "a payload of %d bytes is too large: at most %d", len(payload), b.opts.Limits.Payload)
	case retain && anyMatches(b.opts.NeverRetain, topic):
		return nil, greenhouse.Invalid("retain_forbidden", "a message on %s is never retained", topic)
	}
	return &message{topic: topic, payload: payload, qos: qos, retain: retain}, nil
}

// passOn gives a message that is kept to the other subscribers.
func (b *Broker) passOn(d *Delivery) {
	var few [8]match
	if d.keep {
		b.keep(d.message(), true)
	} else if to := b.index.appendMatches(few[:0], d.Topic); len(to) > 0 {
		b.send(d.message(), to)
	}
}

// route puts m into the outbox of everyone subscribed to its topic.
func (b *Broker) route(m *message) {
	var few [8]match
	b.send(m, b.index.appendMatches(few[:0], m.topic))
}

func (b *Broker) send(m *message, receivers []match) {
	for _, to := range receivers {
		if to.sub.noLocal && to.s == m.origin {
			continue
		}
		it := item{m: m, qos: min(m.qos, to.sub.qos), retain: m.retain && to.sub.retainAsPublished}
		if !to.s.c.out.put(it, false) {
			b.stats.dropped.Add(1)
		}
	}
}

// retained is the last message of every topic that has one. Setting one and
// sending it, and answering a subscription, exclude each other, so that a
// subscriber never sees an older state after a newer one.
type retained struct {
	mu    sync.Mutex
	by    map[string]*message
	max   int
	order []string // topics in order, rebuilt when needed; nil when stale
}

// keep retains m, unless there are too many, and routes it if asked to.
func (b *Broker) keep(m *message, route bool) {
	b.retained.mu.Lock()
	defer b.retained.mu.Unlock()
	b.retained.set(m)
	if route {
		b.route(m)
	}
}

// room reports whether a message on topic would be retained.
func (r *retained) room(topic string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.by) < r.max || r.by[topic] != nil
}

// set needs r.mu.
func (r *retained) set(m *message) {
	_, has := r.by[m.topic]
	switch {
	case len(m.payload) == 0:
		delete(r.by, m.topic)
	case !has && len(r.by) >= r.max:
		return
	default:
		kept := *m
		kept.origin = nil // the state outlives the session it came from
		r.by[m.topic] = &kept
	}
	if has != (len(m.payload) > 0) {
		r.order = nil
	}
}

func (r *retained) drop(topic string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set(&message{topic: topic})
}

func (r *retained) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.by)
}

// answer queues for s what is retained under filter. Without a wildcard that is
// one look-up; with one, all topics that share the part in front of it.
func (r *retained) answer(s *session, filter string, qos byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wild := strings.IndexAny(filter, "+#")
	if wild < 0 {
		if m := r.by[filter]; m != nil {
			r.send(s, m, qos)
		}
		return
	}
	prefix := filter[:wild]
	if filter[wild] == '#' {
		prefix = strings.TrimSuffix(prefix, "/")
	}
	topics := r.sorted()
	from, _ := slices.BinarySearch(topics, prefix)
	for _, t := range topics[from:] {
		if !strings.HasPrefix(t, prefix) {
			break
		}
		if matches(filter, t) {
			r.send(s, r.by[t], qos)
		}
	}
}

func (r *retained) send(s *session, m *message, qos byte) {
	if !s.c.out.put(item{m: m, qos: min(m.qos, qos), retain: true}, true) {
		s.c.b.stats.dropped.Add(1)
	}
}

func (r *retained) sorted() []string {
	if r.order == nil {
		r.order = make([]string, 0, len(r.by))
		for t := range r.by {
			r.order = append(r.order, t)
		}
		slices.Sort(r.order)
	}
	return r.order
}
