package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
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

// The bounds of what may wait to be written. Notes that come from outside
// (refused logins, bad packets) have a small one of their own, so that a flood of
// them displaces nothing else. What does not fit is dropped, counted, and the
// count is journalled.
const (
	clerkBound   = 16_384
	clerkOutside = 1_024
	clerkGroup   = 512         // events in one transaction
	clerkRetry   = time.Second // after a registry that took nothing
)

// clerk writes down, on a goroutine of its own, what is noticed on goroutines
// that must not wait for the disk. Commands, reports and what nodes say do not
// pass here: their events are in their own transactions. What the registry does
// not take now is kept and tried again. Of each condition the newest word waits,
// so that none is ever lost for want of room.
type clerk struct {
	journal *journal.Journal
	log     *slog.Logger
	wake    chan struct{}
	stop    chan struct{}
	done    chan struct{}
	once    sync.Once

	mu      sync.Mutex
	events  []note
	outside int // of events
	conds   map[conditionKey]greenhouse.Condition
	order   []conditionKey // of conds, oldest first
	dropped uint64         // since the last word about it
	failing bool           // the registry took nothing last time
}

// note is an event that waits, with the decision it tells of, if it tells of one.
type note struct {
	event   greenhouse.Event
	verdict *greenhouse.Verdict
	outside bool
}

func newClerk(j *journal.Journal, log *slog.Logger) *clerk {
	c := &clerk{journal: j, log: log, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}), conds: map[conditionKey]greenhouse.Condition{}}
	go c.run()
	return c
}

// event has an event journalled soon.
func (c *clerk) event(e greenhouse.Event) { c.put(note{event: e}) }

// decision has an event journalled soon, and the decision it tells of kept.
func (c *clerk) decision(e greenhouse.Event, v greenhouse.Verdict) {
	c.put(note{event: e, verdict: &v})
}

// strange has an event journalled that somebody outside can cause at will.
func (c *clerk) strange(e greenhouse.Event) { c.put(note{event: e, outside: true}) }

func (c *clerk) put(n note) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.events) >= clerkBound || n.outside && c.outside >= clerkOutside {
		c.dropped++
		return
	}
	if n.outside {
		c.outside++
	}
	c.events = append(c.events, n)
	c.poke()
}

// observe has conditions looked at soon.
func (c *clerk) observe(conds ...greenhouse.Condition) {
	if len(conds) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cond := range conds {
		k := conditionKey{cond.Source, cond.Code}
		if _, waits := c.conds[k]; !waits {
			c.order = append(c.order, k)
		}
		c.conds[k] = cond
	}
	c.poke()
}

func (c *clerk) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *clerk) run() {
	defer close(c.done)
	for {
		select {
		case <-c.wake:
		case <-c.stop:
			c.write()
			return
		}
		if c.write() {
			continue
		}
		retry := time.NewTimer(clerkRetry)
		select {
		case <-retry.C:
			c.poke()
		case <-c.stop:
		}
		retry.Stop()
	}
}

// write writes all that waits and reports whether the registry took it.
func (c *clerk) write() bool {
	c.mu.Lock()
	notes, conds := c.take()
	c.mu.Unlock()
	var err error
	for group := clerkGroup; len(notes) > 0 && err == nil; {
		n := min(len(notes), group)
		err = c.record(notes[:n])
		switch {
		case err == nil:
			notes = notes[n:]
		case errors.Is(err, greenhouse.ErrInvalid) && n > 1:
			group, err = 1, nil // one of them can never be written: find it
		case errors.Is(err, greenhouse.ErrInvalid):
			c.log.Error("event not journalled", "code", notes[0].event.Code, "error", err)
			notes, err = notes[1:], nil
		}
	}
	if len(conds) > 0 { // a journal that cannot write keeps them itself
		err = errors.Join(err, c.journal.Observe(conds...))
	}
	c.settle(notes, err)
	return err == nil
}

// record writes events in one transaction, with their decisions.
func (c *clerk) record(notes []note) error {
	events := make([]greenhouse.Event, len(notes))
	var decisions []greenhouse.Verdict
	for i := range notes {
		events[i] = notes[i].event
		if v := notes[i].verdict; v != nil {
			decisions = append(decisions, *v)
		}
	}
	return c.journal.RecordAll(events, decisions)
}

// take takes everything out. The mutex is held.
func (c *clerk) take() ([]note, []greenhouse.Condition) {
	notes := c.events
	c.events, c.outside = nil, 0
	if c.dropped > 0 && len(notes) > 0 {
		notes = append(notes, note{event: greenhouse.Event{Code: "notes_dropped", Source: greenhouse.SiteSource, Detail: detail("count", c.dropped)}})
		c.dropped = 0
	}
	conds := make([]greenhouse.Condition, 0, len(c.order))
	for _, k := range c.order {
		conds = append(conds, c.conds[k])
	}
	c.order = c.order[:0]
	clear(c.conds)
	return notes, conds
}

// settle takes back what was not written, and tells the log when it begins to
// fail.
func (c *clerk) settle(left []note, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range left {
		if n.outside {
			c.outside++
		}
	}
	c.events = append(left, c.events...)
	if extra := len(c.events) - clerkBound; extra > 0 {
		c.dropped += uint64(extra)
		c.events = c.events[:clerkBound]
	}
	if err != nil && !c.failing {
		c.log.Error("not journalled", "error", err, "waiting", len(c.events))
	}
	c.failing = err != nil
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
