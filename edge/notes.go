package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"greenhouse"
	"greenhouse/journal"
	"greenhouse/store"
	"greenhouse/wire"
)

// ledger gives the journal the registry's transactions.
type ledger struct{ store *store.Store }

// View implements journal.DB.
func (l ledger) View(fn func(journal.Tx) error) error {
	return l.store.View(func(tx *store.Tx) error { return fn(tx) })
}

// Update implements journal.DB.
func (l ledger) Update(fn func(journal.Tx) error) error {
	return l.store.Update(func(tx *store.Tx) error { return fn(tx) })
}

// clerkBound is how many notes may wait to be written. Beyond it notes are
// dropped and counted: they come from outside, and a flood of refused logins
// must not hold up those who wait.
const clerkBound = 1024

// clerk writes down, on a goroutine of its own, what is noticed on goroutines
// that must not wait for the disk. Commands, reports and registry changes do not
// pass here: their events are in their own transactions.
type clerk struct {
	journal *journal.Journal
	log     *slog.Logger
	notes   chan any // greenhouse.Event or []greenhouse.Condition
	dropped atomic.Uint64
	done    chan struct{}
	once    sync.Once
	stop    chan struct{}
}

func newClerk(j *journal.Journal, log *slog.Logger) *clerk {
	c := &clerk{journal: j, log: log, notes: make(chan any, clerkBound), done: make(chan struct{}), stop: make(chan struct{})}
	go c.run()
	return c
}

// event has an event journalled soon.
func (c *clerk) event(e greenhouse.Event) { c.put(e) }

// observe has conditions looked at soon.
func (c *clerk) observe(conds ...greenhouse.Condition) {
	if len(conds) > 0 {
		c.put(conds)
	}
}

// pulse opens an alarm for something that is over as soon as it has happened:
// it stays open until somebody acknowledges it.
func (c *clerk) pulse(cond greenhouse.Condition) {
	cond.Active = true
	over := cond
	over.Active = false
	c.put([]greenhouse.Condition{cond, over})
}

func (c *clerk) put(note any) {
	select {
	case c.notes <- note:
	default:
		c.dropped.Add(1)
	}
}

func (c *clerk) run() {
	defer close(c.done)
	for {
		select {
		case n := <-c.notes:
			c.write(n)
		case <-c.stop:
			for {
				select {
				case n := <-c.notes:
					c.write(n)
				default:
					return
				}
			}
		}
	}
}

func (c *clerk) write(note any) {
	var err error
	switch n := note.(type) {
	case greenhouse.Event:
		err = c.journal.Record(n)
	case []greenhouse.Condition:
		for _, cond := range n { // one by one: a pulse raises and clears the same alarm
			err = errors.Join(err, c.journal.Observe(cond))
		}
	}
	if err != nil {
		c.log.Error("not journalled", "error", err)
	}
}

// Close writes what waits and ends the goroutine. It may be called twice.
func (c *clerk) Close() {
	c.once.Do(func() { close(c.stop) })
	<-c.done
}

// detail makes the detail of an event from names and values; empty ones are
// left out.
func detail(pairs ...any) json.RawMessage {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := pairs[i+1]; v != "" && v != nil {
			m[fmt.Sprint(pairs[i])] = v
		}
	}
	raw, err := json.Marshal(m)
	if err != nil || len(m) == 0 {
		return nil
	}
	return raw
}

// eventDetail keeps what a node said of an event.
func eventDetail(e wire.Event) json.RawMessage {
	var said any
	if len(e.Detail) > 0 {
		said = e.Detail
	}
	return detail("severity", string(e.Severity), "channel", string(e.Channel), "doubt", e.Doubt, "detail", said)
}

// eventText says an event of a node in a sentence.
func eventText(uid greenhouse.UID, e wire.Event) string {
	if e.Channel != "" {
		return fmt.Sprintf("%s reports %s on %s", uid, e.Code, e.Channel)
	}
	return fmt.Sprintf("%s reports %s", uid, e.Code)
}

// clip bounds a text that came from outside.
func clip(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	s = s[:most]
	for !utf8.ValidString(s) && len(s) > 0 {
		s = s[:len(s)-1]
	}
	return s + "…"
}
