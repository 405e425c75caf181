package fleet

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"greenhouse"
)

// PendingFor is how long a device that is no longer heard is kept.
const PendingFor = 24 * time.Hour

// The bounds of what is kept of devices that wait outside.
const (
	pendingDevices  = 256 // beyond it the one not heard for longest makes room
	pendingChannels = 32  // of a device
	pendingErrors   = 5   // of a device, the newest
	pendingText     = 200 // bytes of a text from outside

	// Of how many new devices people are told: whoever knocks under ever new names
	// must not fill the journal.
	pendingNews     = 32          // at once
	pendingNewsTime = time.Minute // until one more
)

// Knock is one refusal of a device: a login, a hello, a message in its name.
type Knock struct {
	ID      string // canonical hardware id, or a uid
	Code    string // why it was refused, e.g. "token_refused"
	Text    string // the same in words
	Address string // where it came from
	Via     string // the account that spoke for it, "" for itself
	Hello   *Hello // what it said of itself, nil for nothing
}

// Hello is what a device said of itself.
type Hello struct {
	Type     greenhouse.NodeType
	Name     string
	FW, HW   string
	Channels []greenhouse.Channel
}

// Waiting is a device in quarantine: nothing it says is kept but this.
type Waiting struct {
	ID          string
	Count       uint64 // refusals
	First, Last time.Time
	Address     string
	Via         string
	Hello       *Hello
	Errors      []PendingError   // the newest last
	Channels    []PendingChannel // of a node in service: what it sends and nobody declared
}

// PendingError is one reason for which a device was refused.
type PendingError struct {
	Code  string
	Text  string
	Count uint64
	Last  time.Time
}

// PendingChannel is a channel that nobody declared.
type PendingChannel struct {
	Name  greenhouse.ChannelName
	Value float64 // the last one; NaN for a failed sensor
	Count uint64
	Last  time.Time
}

// Pending keeps the devices that knock and are not let in, for a day after they
// were last heard. It may be used from any goroutine.
type Pending struct {
	mu      sync.Mutex
	devices map[string]*Waiting
	told    int       // of pendingNews
	since   time.Time // when told was last lowered
}

// NewPending returns an empty quarantine.
func NewPending() *Pending { return &Pending{devices: map[string]*Waiting{}} }

// Knock notes a refusal and reports whether people should be told: of a device that
// was not waiting before, unless many came lately.
func (p *Pending) Knock(k Knock, now time.Time) (fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, fresh := p.of(k.ID, now)
	w.Count++
	w.Last, w.Address, w.Via = now, cmp.Or(k.Address, w.Address), k.Via
	if k.Hello != nil {
		w.Hello = k.Hello
	}
	w.refused(k.Code, cut(k.Text), now)
	return fresh && p.news(now)
}

// news reports whether one more may be told of. The caller holds mu.
func (p *Pending) news(now time.Time) bool {
	if n := int(now.Sub(p.since) / pendingNewsTime); n > 0 {
		p.told, p.since = max(0, p.told-n), now
	}
	if p.told >= pendingNews {
		return false
	}
	p.told++
	return true
}

// Channel notes a sample of a channel of a node that nobody declared.
func (p *Pending) Channel(uid greenhouse.UID, ch greenhouse.ChannelName, v float64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, _ := p.of(string(uid), now)
	w.Last = now
	for i := range w.Channels {
		if c := &w.Channels[i]; c.Name == ch {
			c.Value, c.Last = v, now
			c.Count++
			return
		}
	}
	if len(w.Channels) >= pendingChannels {
		w.refused("channels_too_many", "it sends more channels that nobody declared than are kept", now)
		return
	}
	w.Channels = append(w.Channels, PendingChannel{Name: ch, Value: v, Count: 1, Last: now})
}

// Entered notes that a device was let in: what kept it out is over.
func (p *Pending) Entered(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.devices[id]
	switch {
	case w == nil:
	case len(w.Channels) == 0:
		delete(p.devices, id)
	default:
		w.Errors, w.Count = nil, 0
	}
}

// of returns the record of a device, making room for it. The caller holds mu.
func (p *Pending) of(id string, now time.Time) (w *Waiting, fresh bool) {
	if w := p.devices[id]; w != nil {
		return w, false
	}
	if len(p.devices) >= pendingDevices {
		oldest := ""
		for id, w := range p.devices {
			if oldest == "" || w.Last.Before(p.devices[oldest].Last) {
				oldest = id
			}
		}
		delete(p.devices, oldest)
	}
	w = &Waiting{ID: id, First: now}
	p.devices[id] = w
	return w, true
}

// refused counts a reason, the newest last.
func (w *Waiting) refused(code, text string, now time.Time) {
	at := slices.IndexFunc(w.Errors, func(e PendingError) bool { return e.Code == code })
	e := PendingError{Code: code}
	if at >= 0 {
		e = w.Errors[at]
		w.Errors = slices.Delete(w.Errors, at, at+1)
	}
	e.Text, e.Last = text, now
	e.Count++
	w.Errors = append(w.Errors, e)
	w.Errors = w.Errors[max(0, len(w.Errors)-pendingErrors):]
}

// List returns who waits, those heard last first.
func (p *Pending) List(now time.Time) []Waiting {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep(now)
	list := make([]Waiting, 0, len(p.devices))
	for _, w := range p.devices {
		c := *w
		c.Errors, c.Channels = slices.Clone(w.Errors), slices.Clone(w.Channels)
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Waiting) int { return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.ID, b.ID)) })
	return list
}

// Count returns how many devices were heard within a time.
func (p *Pending) Count(within time.Duration, now time.Time) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.devices {
		if now.Sub(w.Last) < within {
			n++
		}
	}
	return n
}

// sweep forgets who was not heard for a day. The caller holds mu.
func (p *Pending) sweep(now time.Time) {
	for id, w := range p.devices {
		if now.Sub(w.Last) >= PendingFor {
			delete(p.devices, id)
		}
	}
}

// Forget drops a device, and reports whether it was waiting.
func (p *Pending) Forget(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.devices[id]
	delete(p.devices, id)
	return ok
}

// cut bounds a text that came from outside.
func cut(s string) string {
	if len(s) <= pendingText {
		return s
	}
	return s[:pendingText] + "…"
}
