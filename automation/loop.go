package automation

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"greenhouse"
)

// Source says what there is to decide. Its methods are called by several
// goroutines at once and must not wait.
type Source interface {
	// Zones appends the ids of all zones to dst.
	Zones(dst []greenhouse.ZoneID) []greenhouse.ZoneID
	// Fill brings in up to date for a zone, reusing its slices; false: the zone is gone.
	Fill(z greenhouse.ZoneID, now time.Time, in *Input) bool
}

// Sink takes decisions, on the goroutine that made them. It must copy what it
// keeps, and must not wait.
type Sink interface {
	Apply(d *Decision)
}

// Options say how a loop works. Source and Sink are needed.
type Options struct {
	Source  Source
	Sink    Sink
	Period  time.Duration    // between two decisions of a zone; 0: 5 s
	Workers int              // most goroutines that decide at once; 0: as many as there are processors
	Now     func() time.Time // with the monotonic clock; nil: time.Now
	Log     *slog.Logger     // nil: discarded
	OnCycle func(Report)     // hears of every cycle; nil: nobody
}

// Report says how a cycle went.
type Report struct {
	At      time.Time
	Took    time.Duration
	Workers int
	Total   int
	OK      int
	Failed  int
	Errors  map[greenhouse.ZoneID]string // of the zones that failed
	Changed []greenhouse.Condition       // zone_failed of every zone that fails or has just recovered
}

// The shares of failed zones from which a cycle is an alarm of the site.
const (
	warnShare     = 0.10
	criticalShare = 0.30
)

// Conditions returns the alarms that the cycle means: one for each failed zone,
// and two for the site.
func (r Report) Conditions() []greenhouse.Condition {
	share := 0.0
	if r.Total > 0 {
		share = float64(r.Failed) / float64(r.Total)
	}
	text := fmt.Sprintf("%d of %d zones could not be decided", r.Failed, r.Total)
	return append(r.Changed,
		greenhouse.Condition{Source: greenhouse.SiteSource, Code: "cycle_degraded", Severity: greenhouse.Warning, Active: share > warnShare, Text: text},
		greenhouse.Condition{Source: greenhouse.SiteSource, Code: "cycle_failing", Severity: greenhouse.Critical, Active: share >= criticalShare, Text: text})
}

// slot is one zone in the loop. busy guards state, input and safe: whoever sets
// it has them.
type slot struct {
	id    greenhouse.ZoneID
	busy  atomic.Bool
	state State
	input Input
	safe  Decision

	mu      sync.Mutex
	at      time.Time // of the last good decision
	failing string
	alarmed bool // zone_failed was reported
	seen    uint64
}

// Loop decides every zone every period, each on its own: one that fails, panics
// or never returns goes safe, and no other notices.
type Loop struct {
	o       Options
	mu      sync.Mutex
	slots   map[greenhouse.ZoneID]*slot
	order   []*slot
	ids     []greenhouse.ZoneID
	cycles  uint64
	last    Report
	woken   map[greenhouse.ZoneID]struct{}
	signal  chan struct{}
	workers int
}

// New returns a loop; [Loop.Run] starts it.
func New(o Options) *Loop {
	if o.Period <= 0 {
		o.Period = 5 * time.Second
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnCycle == nil {
		o.OnCycle = func(Report) {}
	}
	return &Loop{o: o, slots: map[greenhouse.ZoneID]*slot{}, woken: map[greenhouse.ZoneID]struct{}{}, signal: make(chan struct{}, 1), workers: 1}
}

// Run decides until ctx ends.
func (l *Loop) Run(ctx context.Context) {
	tick := time.NewTicker(l.o.Period)
	defer tick.Stop()
	for {
		l.Cycle(ctx)
		for wait := true; wait; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				wait = false
			case <-l.signal:
				l.wakeUp()
			}
		}
	}
}

// Wake has a zone decided at once, beside the cycle. It may be called from any
// goroutine and never waits.
func (l *Loop) Wake(z greenhouse.ZoneID) {
	l.mu.Lock()
	l.woken[z] = struct{}{}
	l.mu.Unlock()
	select {
	case l.signal <- struct{}{}:
	default:
	}
}

// wakeUp decides the zones that were woken.
func (l *Loop) wakeUp() {
	l.mu.Lock()
	var slots []*slot
	for z := range l.woken {
		if s, ok := l.slots[z]; ok {
			slots = append(slots, s)
		}
	}
	clear(l.woken)
	l.mu.Unlock()
	go func() { // a zone that hangs must not hold up the cycle
		for _, s := range slots {
			l.decide(s)
		}
	}()
}

// Cycle decides all zones once and reports. It returns after a period at the
// latest; a zone that is not done by then has failed and is left to its worker.
func (l *Loop) Cycle(ctx context.Context) Report {
	start := l.o.Now()
	slots := l.slotsNow()
	workers := max(min(l.workers, len(slots)), 1)
	var next atomic.Int64
	done := make(chan struct{}, workers)
	for range workers {
		go func() {
			for i := next.Add(1) - 1; i < int64(len(slots)); i = next.Add(1) - 1 {
				l.decide(slots[i])
			}
			done <- struct{}{}
		}()
	}
	late := time.NewTimer(l.o.Period)
	defer late.Stop()
	for range workers {
		select {
		case <-done:
		case <-ctx.Done():
			return Report{}
		case <-late.C:
			next.Store(int64(len(slots))) // the others of a hung worker are taken up by the next cycle
		}
	}
	r := l.report(slots, start)
	r.Workers = workers
	l.adapt(r)
	l.o.OnCycle(r)
	return r
}

// adapt takes one worker more when a cycle costs over a tenth of the period, and
// one less when it costs under a fiftieth: most sites need one.
func (l *Loop) adapt(r Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case r.Took > l.o.Period/10:
		l.workers = min(l.workers*2, l.o.Workers)
	case r.Took < l.o.Period/50:
		l.workers = max(l.workers-1, 1)
	}
	l.last = r
}

// slotsNow returns the slots of all zones there are now, and forgets the others.
func (l *Loop) slotsNow() []*slot {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cycles++
	l.ids = l.o.Source.Zones(l.ids[:0])
	l.order = l.order[:0]
	for _, id := range l.ids {
		s, ok := l.slots[id]
		if !ok {
			s = &slot{id: id}
			l.slots[id] = s
		}
		s.seen = l.cycles
		l.order = append(l.order, s)
	}
	for id, s := range l.slots {
		if s.seen != l.cycles {
			delete(l.slots, id)
		}
	}
	return l.order
}

// report counts how the zones of a cycle stand.
func (l *Loop) report(slots []*slot, start time.Time) Report {
	now := l.o.Now()
	r := Report{At: start, Took: now.Sub(start), Total: len(slots)}
	for _, s := range slots {
		s.mu.Lock()
		why := s.failing
		if why == "" && s.at.Before(start.Add(-l.o.Period)) {
			why = "it made no decision in time"
		}
		if why != "" {
			r.Failed++
			if r.Errors == nil {
				r.Errors = map[greenhouse.ZoneID]string{}
			}
			r.Errors[s.id] = why
		} else {
			r.OK++
		}
		if why != "" || s.alarmed {
			r.Changed = append(r.Changed, greenhouse.Condition{Source: greenhouse.ZoneSource(s.id), Code: "zone_failed", Severity: greenhouse.Critical, Active: why != "", Text: "automation of the zone fails, its actuators are at their safe levels: " + why})
			s.alarmed = why != ""
		}
		s.mu.Unlock()
	}
	return r
}

// decide makes one decision of a zone. Whatever happens in it stays in it.
func (l *Loop) decide(s *slot) {
	if !s.busy.CompareAndSwap(false, true) {
		return // being decided, or hanging: the report says so
	}
	now := l.o.Now()
	var failing string
	func() {
		defer func() {
			if p := recover(); p != nil {
				failing = fmt.Sprint(p)
				l.o.Log.Error("zone panicked", "zone", s.id, "panic", failing, "stack", string(debug.Stack()))
			}
		}()
		if !l.o.Source.Fill(s.id, now, &s.input) {
			failing = "the zone is gone"
			return
		}
		l.o.Sink.Apply(Decide(&s.input, &s.state))
	}()
	if failing != "" {
		s.state = State{} // what led to it is not trusted
		l.goSafe(s, now, failing)
	}
	s.mu.Lock()
	if s.failing = failing; failing == "" {
		s.at = now
	}
	s.mu.Unlock()
	s.busy.Store(false)
}

// goSafe claims the safe level of every actuator of a failed zone.
func (l *Loop) goSafe(s *slot, now time.Time, why string) {
	defer func() {
		if p := recover(); p != nil {
			l.o.Log.Error("zone not made safe: its leases end", "zone", s.id, "panic", fmt.Sprint(p))
		}
	}()
	s.safe = Decision{Zone: s.id, At: now, Wants: s.safe.Wants[:0]}
	for _, d := range s.input.Devices {
		s.safe.Wants = append(s.safe.Wants, Want{Point: d.Point.ID, Claims: []greenhouse.Claim{
			{Priority: greenhouse.PrioritySafety, Owner: "zone_failed", Value: d.Point.Safe, Reason: "automation of the zone fails: " + why, Urgent: true}}})
	}
	l.o.Sink.Apply(&s.safe)
}

// Last returns how the last cycle went.
func (l *Loop) Last() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Decided returns when a zone was last decided, zero for never, and why it
// fails, if it does.
func (l *Loop) Decided(z greenhouse.ZoneID) (at time.Time, failing string) {
	l.mu.Lock()
	s, ok := l.slots[z]
	l.mu.Unlock()
	if !ok {
		return time.Time{}, ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at, s.failing
}
