package telemetry

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"greenhouse"
)

// doubts are the points that somebody who sees more than one sensor holds in
// doubt: each says of its own, and what all say is read without a lock.
type doubts struct {
	mu  sync.Mutex
	by  map[string][]greenhouse.PointID
	all atomic.Pointer[map[greenhouse.PointID]struct{}]
}

// Doubt says which points `who` holds in doubt from now on, instead of those it
// named before: none takes it all back. What comes of them meanwhile is Suspect
// at best, in history and for control. It is not kept over a restart; the
// qualities are. It never waits for the disk.
func (e *Engine) Doubt(who string, points ...greenhouse.PointID) {
	d := &e.doubts
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Equal(d.by[who], points) {
		return
	}
	if d.by == nil {
		d.by = map[string][]greenhouse.PointID{}
	}
	if d.by[who] = slices.Clone(points); len(points) == 0 {
		delete(d.by, who)
	}
	all := map[greenhouse.PointID]struct{}{}
	for list := range maps.Values(d.by) {
		for _, p := range list {
			all[p] = struct{}{}
		}
	}
	d.all.Store(&all)
}

// quality returns what the sender of a reading and those who doubt say of it.
func (d *doubts) quality(r *greenhouse.Reading) greenhouse.Quality {
	all := d.all.Load()
	if all == nil || len(*all) == 0 {
		return r.Quality
	}
	if _, in := (*all)[r.Point]; in {
		return max(r.Quality, greenhouse.Suspect)
	}
	return r.Quality
}
