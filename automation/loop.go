package automation

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
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
// keeps longer than [Decision] and [Want] promise, and must not wait.
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
	// Memory returns what was kept of a zone before the start (see [Loop.Memories]);
	// nil: nothing was.
	Memory func(z greenhouse.ZoneID) (Memory, bool)
}

// slot is one zone in the loop. busy guards state, guard and input: whoever sets
// it has them.
type slot struct {
	id    greenhouse.ZoneID
	busy  atomic.Bool
	again atomic.Bool // woken while busy
	state State
	guard *State // of protection alone, while the rest fails; nil until then
	input Input

	mu      sync.Mutex
	at      time.Time // of the last good decision
	points  SetPoints // of it
	failing string
	alarmed bool // zone_failed was reported
	logged  bool // the failure was logged
}

// Loop decides every zone every period, each on its own: one that fails, panics
// or never returns goes safe, and no other notices.
type Loop struct {
	o       Options
	signal  chan struct{}
	counts  counts
	mu      sync.Mutex
	slots   map[greenhouse.ZoneID]*slot
	order   []*slot // replaced when zones come or go, never written to
	ids     []greenhouse.ZoneID
	gone    []greenhouse.ZoneID // failed zones that are no more: their alarms end
	last    Report
	woken   map[greenhouse.ZoneID]struct{}
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

// Run decides until ctx ends. Call it once.
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
// goroutine and never waits. Several calls before the zone is decided are one.
func (l *Loop) Wake(z greenhouse.ZoneID) {
	l.mu.Lock()
	l.woken[z] = struct{}{}
	l.mu.Unlock()
	select {
	case l.signal <- struct{}{}:
	default:
	}
}

// wakeUp decides the zones that were woken, on a goroutine of its own: one that
// hangs must not hold up the cycle.
func (l *Loop) wakeUp() {
	l.mu.Lock()
	slots := make([]*slot, 0, len(l.woken))
	for z := range l.woken {
		if s, ok := l.slots[z]; ok {
			slots = append(slots, s)
		}
	}
	clear(l.woken)
	l.mu.Unlock()
	l.counts.woken.Add(uint64(len(slots)))
	go func() {
		for _, s := range slots {
			l.decide(s)
		}
	}()
}

// cycle is one pass over all zones.
type cycle struct {
	slots []*slot
	next  atomic.Int64
	left  atomic.Int64
	done  chan struct{} // closed when no zone is left
}

// work decides one zone after the other until none is left.
func (l *Loop) work(c *cycle) {
	for {
		i := c.next.Add(1) - 1
		if i >= int64(len(c.slots)) {
			return
		}
		l.decide(c.slots[i])
		if c.left.Add(-1) == 0 {
			close(c.done)
		}
	}
}

// Cycle decides all zones once, reports and returns, after a period at the
// latest. A zone that hangs keeps its worker; another takes its place, and the
// zone is left out until it returns. Cycles follow each other: one caller.
func (l *Loop) Cycle(ctx context.Context) Report {
	start := l.o.Now()
	c := &cycle{slots: l.slotsNow(), done: make(chan struct{})}
	workers := max(min(l.workers, len(c.slots)), 1)
	if c.left.Store(int64(len(c.slots))); len(c.slots) == 0 {
		close(c.done)
	}
	for range workers {
		go l.work(c)
	}
	l.await(ctx, c)
	c.next.Store(int64(len(c.slots))) // workers that are late take up nothing more of this cycle
	if ctx.Err() != nil {
		return Report{}
	}
	r := l.report(c.slots, start)
	r.Workers = workers
	l.adapt(r)
	l.o.OnCycle(r)
	return r
}

// await waits until a cycle is done or its period over. While nothing gets done
// it adds workers, for those there are may hang.
func (l *Loop) await(ctx context.Context, c *cycle) {
	late := time.NewTimer(l.o.Period)
	defer late.Stop()
	stall := time.NewTicker(l.o.Period / 10)
	defer stall.Stop()
	left := c.left.Load()
	for {
		select {
		case <-c.done:
			return
		case <-ctx.Done():
			return
		case <-late.C:
			l.counts.late.Add(1)
			return
		case <-stall.C:
			if now := c.left.Load(); now == left && c.next.Load() < int64(len(c.slots)) {
				go l.work(c)
			}
			left = c.left.Load()
		}
	}
}

// adapt takes twice the workers when a cycle costs over a tenth of the period,
// and one less when it costs under a fiftieth: most sites need one.
func (l *Loop) adapt(r Report) {
	l.counts.cycles.Add(1)
	l.counts.took.Store(int64(r.Took))
	if int64(r.Took) > l.counts.most.Load() {
		l.counts.most.Store(int64(r.Took))
	}
	if r.Slow() {
		l.counts.overruns.Add(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case r.Took > l.o.Period/10:
		l.workers = min(l.workers*2, l.o.Workers)
	case r.Took < l.o.Period/50:
		l.workers = max(l.workers-1, 1)
	}
	l.counts.workers.Store(int64(l.workers))
	l.counts.zones.Store(int64(r.Total))
	l.counts.failed.Store(int64(r.Failed))
	l.last = r
}

// slotsNow returns the slots of all zones there are now, and forgets the others.
func (l *Loop) slotsNow() []*slot {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids = l.o.Source.Zones(l.ids[:0])
	if slices.EqualFunc(l.order, l.ids, func(s *slot, z greenhouse.ZoneID) bool { return s.id == z }) {
		return l.order
	}
	order, slots := make([]*slot, 0, len(l.ids)), make(map[greenhouse.ZoneID]*slot, len(l.ids))
	for _, id := range l.ids {
		s, ok := l.slots[id]
		if !ok {
			s = l.newSlot(id)
		}
		slots[id] = s
		order = append(order, s)
	}
	for id, s := range l.slots {
		if _, stays := slots[id]; !stays && s.alarmed {
			l.gone = append(l.gone, id)
		}
	}
	l.order, l.slots = order, slots
	return order
}

// newSlot returns a slot for a zone, with what was kept of it.
func (l *Loop) newSlot(id greenhouse.ZoneID) *slot {
	s := &slot{id: id}
	if l.o.Memory != nil {
		if m, ok := l.o.Memory(id); ok {
			s.state.Restore(m)
		}
	}
	return s
}

// decide makes one decision of a zone. Whatever happens in it stays in it.
func (l *Loop) decide(s *slot) {
	for {
		if !s.busy.CompareAndSwap(false, true) {
			s.again.Store(true) // being decided, or hanging: then the report says so
			return
		}
		s.again.Store(false)
		now := l.o.Now()
		gone, failing := l.attempt(s, now)
		if failing != "" {
			l.forget(s)
			l.goSafe(s, now, failing)
		}
		l.settle(s, now, gone, failing)
		s.busy.Store(false)
		if !s.again.Load() || failing != "" {
			return
		}
	}
}

// forget begins a failed zone anew, with what was last kept of it unless it fails
// again and again: what led to it is not trusted.
func (l *Loop) forget(s *slot) {
	s.mu.Lock()
	again := s.failing != ""
	s.mu.Unlock()
	if s.state = (State{}); again || l.o.Memory == nil {
		return
	}
	if m, ok := l.o.Memory(s.id); ok {
		s.state.Restore(m)
	}
}

// attempt decides a zone, and survives it. A zone that has just been deleted has
// not failed.
func (l *Loop) attempt(s *slot, now time.Time) (gone bool, failing string) {
	defer func() {
		if p := recover(); p != nil {
			failing = fmt.Sprint(p)
			l.counts.panics.Add(1)
			if !s.logged { // once a failure, not once a cycle
				s.logged = true
				l.o.Log.Error("zone panicked", "zone", s.id, "panic", failing, "stack", string(debug.Stack()))
			}
		}
	}()
	if !l.o.Source.Fill(s.id, now, &s.input) {
		return true, ""
	}
	l.o.Sink.Apply(Decide(&s.input, &s.state))
	l.counts.decisions.Add(1)
	return false, ""
}

// settle notes how an attempt went.
func (l *Loop) settle(s *slot, now time.Time, gone bool, failing string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing = failing; failing == "" && !gone {
		s.at, s.logged, s.points = now, false, s.state.decision.SetPoints
	}
}

// goSafe has a failed zone at its safe levels, with frost, heat and CO₂
// protection where those still work.
func (l *Loop) goSafe(s *slot, now time.Time, why string) {
	if s.guard == nil {
		s.guard = &State{}
	}
	for _, decide := range [...]func() *Decision{
		func() *Decision { return Protect(&s.input, s.guard, why) },
		func() *Decision { return safeLevels(&s.input, s.id, now, why) },
	} {
		if l.applied(s, decide) {
			return
		}
		s.guard = &State{}
	}
}

// applied applies a decision, and reports whether that worked.
func (l *Loop) applied(s *slot, decide func() *Decision) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			l.o.Log.Error("zone not made safe", "zone", s.id, "panic", fmt.Sprint(p))
		}
	}()
	d := decide()
	d.Zone = s.id
	l.o.Sink.Apply(d)
	return true
}
