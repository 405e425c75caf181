package server

import (
	"context"
	"errors"
	"time"

	"greenhouse"
	"greenhouse/api"
)

// The places that a value of a past answer comes from.
const (
	fromHistory  = "history"  // the reading in force at that moment
	fromDecision = "decision" // what the decision rested on: history has nothing of that moment
)

// leastLook is how far back from a moment a reading of it is looked for at least.
const leastLook = 15 * time.Minute

// readThen puts into the inputs of a past answer what history holds of the moment
// that was asked about. A decision stands for up to ten minutes, so what it rested
// on may have been another value.
func (s *Server) readThen(ctx context.Context, w *api.Why) error {
	v := s.look(s.Store.Registry())
	passed := w.Asked.Sub(w.At).Seconds()
	for i := range w.Inputs {
		in := &w.Inputs[i]
		in.From = fromDecision
		if in.AgeS >= 0 {
			in.AgeS += passed
		}
		l, ok, err := s.readingThen(ctx, v, in.Point, w.Asked)
		if err != nil {
			return err
		}
		age := w.Asked.Sub(l.At).Seconds()
		if !ok || in.AgeS >= 0 && age > in.AgeS+1 { // the decision knew a newer one, which history has lost
			continue
		}
		decided := in.Value
		in.From, in.Value, in.Quality, in.AgeS = fromHistory, api.Num(l.Value), l.Quality, age
		if !alike(decided, in.Value) {
			in.Decided = decided
		}
	}
	return nil
}

// readingThen returns the newest reading of a sensor from an instant or shortly
// before, as history has it.
func (s *Server) readingThen(ctx context.Context, v *view, id greenhouse.PointID, at greenhouse.Millis) (last greenhouse.Reading, ok bool, err error) {
	p, known := v.reg.Points[id]
	if !known {
		return last, false, nil
	}
	stale := v.staleAfter(p)
	err = s.Telemetry.Scan(ctx, id, at.Add(-max(leastLook, 2*stale)), at+1, func(r greenhouse.Reading) error {
		last, ok = r, true
		return nil
	})
	if errors.Is(err, greenhouse.ErrNotFound) {
		return last, false, nil
	}
	if ok && last.Quality < greenhouse.Stale && at.Sub(last.At) > stale {
		last.Quality = greenhouse.Stale
	}
	return last, ok, err
}

// alike reports whether two values are one, nothing included.
func alike(a, b *float64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
