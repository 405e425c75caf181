package telemetry

import (
	"sync"
	"sync/atomic"
	"time"

	"greenhouse"
)

// While the disk takes nothing, control goes on from memory: latest values move
// with what is only seen, and nothing of it is acknowledged. A disk that fails
// says so, and the committer observes what it could not write. One that hangs
// says nothing: then a watch sees to what waits for it, and everybody who
// submits to his own batch.

// hangAfter is how long a commit may take before latest values move without it.
const hangAfter = 2 * time.Second

// hang is a commit that does not return.
type hang struct {
	on       atomic.Bool
	mu       sync.Mutex
	busy     bool     // a commit is under way
	inflight []*Batch // that it writes
	hangs    atomic.Int64
}

// begins notes which batches a commit is about to write.
func (h *hang) begins(batches []*Batch) {
	h.mu.Lock()
	h.busy, h.inflight = true, batches
	h.mu.Unlock()
}

// ends takes them back: from now on nobody else looks at them.
func (h *hang) ends() {
	h.mu.Lock()
	h.busy, h.inflight = false, nil
	h.mu.Unlock()
	h.on.Store(false)
}

// watch looks for a commit that hangs, and shows control what it holds up.
func (e *Engine) watch() {
	t := time.NewTicker(hangAfter / 4)
	defer t.Stop()
	for {
		select {
		case <-e.committed:
			return
		case <-t.C:
			if since := e.since.Load(); since != nil && e.o.Now().Sub(*since) >= hangAfter {
				e.seeAll()
			}
		}
	}
}

// seeAll observes everything that a hanging commit holds up, once; from then on
// Submit does.
func (e *Engine) seeAll() {
	h := &e.hang
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.busy || h.on.Swap(true) {
		return
	}
	h.hangs.Add(1)
	e.o.Log.Error("the disk does not answer; control goes on from memory, nothing is acknowledged")
	e.observe(h.inflight)
	e.queue.mu.Lock()
	pending := append([]*Batch(nil), e.queue.pending...)
	e.queue.mu.Unlock()
	e.observe(pending)
}

// observe moves latest values of known points without storing anything, and
// tells who listens. Batches must not settle meanwhile. What is judged here is
// judged again when it is stored, by what has been stored before it.
func (e *Engine) observe(batches []*Batch) {
	var moved []greenhouse.Latest
	b := e.o.bounds()
	e.mu.Lock()
	for _, batch := range batches {
		for i := range batch.Readings {
			r := &batch.Readings[i]
			s := e.st.points[r.Point]
			if s == nil || !b.acceptable(r, i < batch.Stamped) || int64(r.At) <= s.latest.at && !s.ahead(batch.Arrived.UnixMilli()) {
				continue
			}
			tests := e.o.testsOf(r.Point)
			state := e.looseOf(s)
			q := tests.Judge(state, r.At, r.Value, e.doubts.quality(r))
			state.Note(r.At, r.Value, q)
			if s.move(row{int64(r.At), r.Value, q}, batch.Arrived.UnixMilli(), batch.Arrived) {
				moved = append(moved, s.last())
			}
		}
	}
	e.mu.Unlock()
	e.hear(moved)
}

// looseOf returns what is remembered of a sensor since the disk takes nothing:
// it begins with what was stored of it.
func (e *Engine) looseOf(s *series) *greenhouse.SensorState {
	if s.loose == nil {
		state := s.sensor
		s.loose = &state
		e.loose = append(e.loose, s)
	}
	return s.loose
}

// settled forgets what was only seen: what is stored counts again. The mutex is
// held.
func (e *Engine) settled() {
	for _, s := range e.loose {
		s.loose = nil
	}
	e.loose = nil
}
