package sim

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"greenhouse"
	"greenhouse/automation"
)

// Brain decides for the zone of a scenario; a [automation.Decide] with its state
// is one. What it returns may be good until its next call only.
type Brain interface {
	Decide(in *automation.Input) *automation.Decision
}

// automatic is the control of the product.
type automatic struct{ state automation.State }

// rememberer is a [Brain] that keeps something over a restart.
type rememberer interface {
	Memory() automation.Memory
	Restore(automation.Memory)
}

// Memory implements [rememberer].
func (a *automatic) Memory() automation.Memory { return a.state.Memory() }

// Restore implements [rememberer].
func (a *automatic) Restore(m automation.Memory) { a.state.Restore(m) }

// Decide implements [Brain].
func (a *automatic) Decide(in *automation.Input) *automation.Decision {
	return automation.Decide(in, &a.state)
}

// RunOptions say how a scenario is run. The zero value is the product itself.
type RunOptions struct {
	Brain func() Brain // makes what decides, at every start of the daemon; nil: the product's control
	Plan  func(*Plan)  // changes what is simulated, nodes and zone excepted; nil: as the scenario says
	Trace int          // columns of the record kept for drawing; 0: none
}

// Run runs a scenario under a seed: ring 1 of the simulation. One goroutine works
// through a queue of events in simulated time; the greenhouse is a [World], nodes
// are reference firmware that speaks the bytes of the wire contract, decisions
// are [automation.Decide], and the safety envelope is [actuation.Controller].
// What is not here is the broker, the disk and HTTP: those are rings 2 and 3.
//
// The outcome depends on the scenario and the seed alone. The error is about the
// scenario, never about expectations that were not met: see [Outcome.Passed].
func Run(s *Scenario, seed uint64, o RunOptions) (*Outcome, error) {
	r, err := newRun(s, seed, o)
	if err != nil {
		return nil, err
	}
	r.begin()
	for len(r.queue) > 0 {
		e := heap.Pop(&r.queue).(event)
		if e.at.After(r.end) {
			break
		}
		r.advance(e.at)
		e.do()
	}
	r.advance(r.end)
	if r.err != nil {
		return nil, r.err
	}
	return r.outcome(), nil
}

// run is a scenario being run.
type run struct {
	s       *Scenario
	seed    uint64
	world   *World
	start   time.Time
	end     time.Time
	now     time.Time
	queue   queue
	serial  uint64
	chance  *rand.Rand
	nodes   []*wired
	daemon  *stand
	trusted bool      // schedules follow the clock
	doubted time.Time // since when they do not
	broker  bool      // it is up
	judges  []*judge
	meter   *meter
	trace   *Trace
	story   []Happening
	digest  uint64 // of what was measured
	err     error
	options RunOptions
}

// event is something due.
type event struct {
	at     time.Time
	serial uint64 // among those of one instant, in the order they were asked for
	do     func()
}

// queue is a heap of events.
type queue []event

// Len, Less, Swap, Push and Pop implement [heap.Interface].
func (q queue) Len() int { return len(q) }

// Less orders by time, then by the order of asking.
func (q queue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].serial < q[j].serial
	}
	return q[i].at.Before(q[j].at)
}

// Swap exchanges two events.
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push adds an event.
func (q *queue) Push(x any) { *q = append(*q, x.(event)) }

// Pop removes the last event.
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*q = old[:len(old)-1]
	return e
}

func newRun(s *Scenario, seed uint64, o RunOptions) (*run, error) {
	if err := s.check(); err != nil {
		return nil, greenhouse.Invalid("scenario_invalid", "%v", err)
	}
	plan, err := s.plan(seed)
	if err != nil {
		return nil, err
	}
	if o.Plan != nil {
		o.Plan(&plan)
	}
	w, err := NewWorld(plan)
	if err != nil {
		return nil, err
	}
	r := &run{s: s, seed: seed, world: w, start: plan.Start, now: plan.Start, end: plan.Start.Add(time.Duration(s.For)),
		chance: rand.New(rand.NewPCG(seed, 1)), trusted: s.Clock != "untrusted", broker: true, options: o}
	if r.daemon, err = newStand(r); err != nil {
		return nil, err
	}
	for i, d := range w.Devices() {
		r.nodes = append(r.nodes, newLink(r, d, i))
	}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	return r, nil
}

// at has something done at an instant.
func (r *run) at(t time.Time, do func()) {
	r.serial++
	heap.Push(&r.queue, event{t, r.serial, do})
}

// in has something done after a while.
func (r *run) in(d time.Duration, do func()) { r.at(r.now.Add(d), do) }

// every has something done again and again from the start on.
func (r *run) every(period time.Duration, do func()) {
	var again func()
	next := r.start
	again = func() {
		do()
		next = next.Add(period)
		r.at(next, again)
	}
	r.at(next, again)
}

// advance lets the world go on to t.
func (r *run) advance(t time.Time) {
	if d := t.Sub(r.now); d > 0 {
		r.world.Advance(d)
		r.now = t
	}
}

// begin asks for everything that happens by itself or by the timeline.
func (r *run) begin() {
	for i := range r.s.Timeline {
		a := &r.s.Timeline[i]
		r.at(r.start.Add(time.Duration(a.At)), func() { r.act(a) })
	}
	for _, n := range r.nodes {
		n.follow()
	}
	const decide, cycle, look = 5 * time.Second, time.Second, 5 * time.Second
	r.every(cycle, r.daemon.cycle)
	r.every(decide, r.daemon.decide)
	r.every(look, r.daemon.watch)
	r.every(look, r.measure)
}

// Happening is one thing worth telling of a run.
type Happening struct {
	At   time.Duration `json:"at"` // since the start
	What string        `json:"what"`
}

// tell notes that something happened.
func (r *run) tell(what string) {
	const most = 2000
	if len(r.story) < most {
		r.story = append(r.story, Happening{r.now.Sub(r.start), what})
	}
}
