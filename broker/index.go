package broker

import (
	"strings"
	"sync"
)

// subscription is what one session wants of one filter.
type subscription struct {
	qos               byte
	noLocal           bool
	retainAsPublished bool
}

// match is one session a message goes to.
type match struct {
	s   *session
	sub subscription
}

// index finds the subscribers of a topic. It is a tree of levels; its depth is
// bounded by the limit on levels, so a look-up costs little however many
// clients there are. Safe for concurrent use; look-ups do not wait for one another.
type index struct {
	mu   sync.RWMutex
	root level
}

type level struct {
	next map[string]*level
	subs map[*session]subscription
}

// add subscribes s, and reports whether it already was.
func (x *index) add(filter string, s *session, sub subscription) (existed bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := &x.root
	for rest, more := filter, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		child := n.next[name]
		if child == nil {
			child = &level{}
			if n.next == nil {
				n.next = make(map[string]*level, 1)
			}
			n.next[strings.Clone(name)] = child
		}
		n = child
	}
	_, existed = n.subs[s]
	if n.subs == nil {
		n.subs = make(map[*session]subscription, 1)
	}
	n.subs[s] = sub
	return existed
}

// remove unsubscribes s and cuts branches that are empty, and reports whether s was subscribed.
func (x *index) remove(filter string, s *session) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.root.remove(filter, s)
}

func (n *level) remove(filter string, s *session) bool {
	name, rest, more := strings.Cut(filter, "/")
	child := n.next[name]
	if child == nil {
		return false
	}
	var had bool
	if more {
		had = child.remove(rest, s)
	} else {
		_, had = child.subs[s]
		delete(child.subs, s)
	}
	if len(child.next) == 0 && len(child.subs) == 0 {
		delete(n.next, name)
	}
	return had
}

// appendMatches appends the sessions subscribed to topic, each once with the
// best of its subscriptions.
func (x *index) appendMatches(to []match, topic string) []match {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.root.collect(to, topic, true)
}

func (n *level) collect(to []match, topic string, first bool) []match {
	if len(n.next) == 0 {
		return to
	}
	wild := !first || topic[0] != '$'
	if wild {
		if child := n.next["#"]; child != nil {
			to = child.take(to)
		}
	}
	name, rest, more := strings.Cut(topic, "/")
	to = n.next[name].follow(to, rest, more)
	if wild {
		to = n.next["+"].follow(to, rest, more)
	}
	return to
}

func (n *level) follow(to []match, rest string, more bool) []match {
	switch {
	case n == nil:
		return to
	case more:
		return n.collect(to, rest, false)
	}
	to = n.take(to)
	if child := n.next["#"]; child != nil { // "a/#" matches "a" as well
		to = child.take(to)
	}
	return to
}

func (n *level) take(to []match) []match {
next:
	for s, sub := range n.subs {
		for i := range to {
			if to[i].s == s {
				to[i].sub.qos = max(to[i].sub.qos, sub.qos)
				to[i].sub.noLocal = to[i].sub.noLocal && sub.noLocal
				to[i].sub.retainAsPublished = to[i].sub.retainAsPublished || sub.retainAsPublished
				continue next
			}
		}
		to = append(to, match{s, sub})
	}
	return to
}
