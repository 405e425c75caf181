package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"greenhouse"
)

// gapSlack is how close, in ms, two gaps of one kind must lie to be told as one.
const gapSlack = 60_000

// maxGaps bounds the gaps kept; beyond it the oldest of one kind within a day
// are told as one, and if that does not help the oldest are forgotten.
const maxGaps = 50_000

// gapKind is what two gaps must share to be merged.
type gapKind struct {
	point greenhouse.PointID
	node  greenhouse.UID
	cause string
}

func kindOf(g greenhouse.Gap) gapKind { return gapKind{g.Point, g.Node, g.Cause} }

// gapList holds the gaps known, each under a number that merging keeps.
type gapList struct {
	next  uint64
	byID  map[uint64]*greenhouse.Gap
	last  map[gapKind]uint64 // the newest of each kind
	shift int64              // gaps forgotten for lack of room
}

func newGapList() gapList {
	return gapList{next: 1, byID: map[uint64]*greenhouse.Gap{}, last: map[gapKind]uint64{}}
}

// add merges g into the newest gap of its kind if they touch, and returns the
// number it is told under.
func (l *gapList) add(g greenhouse.Gap) uint64 {
	if id, ok := l.last[kindOf(g)]; ok {
		old := l.byID[id]
		if g.From <= old.To+gapSlack && g.To >= old.From-gapSlack {
			old.From, old.To = min(old.From, g.From), max(old.To, g.To)
			old.Count += g.Count
			return id
		}
	}
	return l.put(g)
}

// put adds g as one of its own.
func (l *gapList) put(g greenhouse.Gap) uint64 {
	id := l.next
	l.next++
	l.byID[id] = &g
	l.last[kindOf(g)] = id
	if len(l.byID) > maxGaps {
		l.fold()
	}
	return id
}

// fill takes n back from gap id, whose missing messages came after all; a gap
// with nothing left disappears.
func (l *gapList) fill(id uint64, n int64) {
	g, ok := l.byID[id]
	if !ok {
		return
	}
	if g.Count -= n; g.Count <= 0 {
		l.remove(id)
	}
}

func (l *gapList) remove(id uint64) {
	k := kindOf(*l.byID[id])
	if l.last[k] == id {
		delete(l.last, k)
	}
	delete(l.byID, id)
}

// ids returns the numbers of all gaps in the order of their beginning.
func (l *gapList) ids() []uint64 {
	ids := make([]uint64, 0, len(l.byID))
	for id := range l.byID {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uint64) int {
		if d := l.byID[a].From - l.byID[b].From; d != 0 {
			return int(min(max(d, -1), 1))
		}
		return int(min(max(int64(a)-int64(b), -1), 1))
	})
	return ids
}

// fold makes room: gaps of one kind that began within a day of each other
// become one, oldest first, until a tenth is free.
func (l *gapList) fold() {
	const day = 24 * 60 * 60 * 1000
	ids := l.ids()
	into := map[gapKind]uint64{}
	for _, id := range ids {
		g := l.byID[id]
		k := kindOf(*g)
		if first, ok := into[k]; ok && g.From-l.byID[first].From < day && l.last[k] != id {
			f := l.byID[first]
			f.To = max(f.To, g.To)
			f.Count += g.Count
			delete(l.byID, id)
		} else {
			into[k] = id
		}
		if len(l.byID) <= maxGaps*9/10 {
			return
		}
	}
	for _, id := range l.ids()[:len(l.byID)-maxGaps*9/10] {
		l.remove(id)
		l.shift++
	}
}

// dropBefore forgets gaps that ended before t.
func (l *gapList) dropBefore(t greenhouse.Millis) {
	for id, g := range l.byID {
		if g.To < t {
			l.remove(id)
		}
	}
}

// overlapping returns the gaps that touch [from, to) and satisfy keep, in
// order; an instant counts as touching where it lies.
func (l *gapList) overlapping(from, to greenhouse.Millis, keep func(*greenhouse.Gap) bool) []greenhouse.Gap {
	var out []greenhouse.Gap
	for _, g := range l.byID {
		if g.From < to && g.To >= from && keep(g) {
			out = append(out, *g)
		}
	}
	slices.SortFunc(out, func(a, b greenhouse.Gap) int { return int(min(max(a.From-b.From, -1), 1)) })
	return out
}

// AddGap records a loss and returns when it is on disk. It is merged with a
// gap of the same kind that it touches.
func (e *Engine) AddGap(ctx context.Context, g greenhouse.Gap) error {
	if g.From > g.To || g.From < 0 || g.To > maxTime || len(g.Point) > maxName || len(g.Node) > maxName || len(g.Cause) > maxName || g.Count < 0 {
		return greenhouse.Invalid("gap_invalid", "a gap runs from an instant to one not before it, with a count of at least 0")
	}
	done := make(chan error, 1)
	if err := e.queue.put(ctx, &Batch{gap: &g, Urgent: true, Arrived: e.o.Now(), Done: func(err error) { done <- err }}); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("record gap: %w", ctx.Err())
	}
}

// Gaps returns the losses that touch [from, to) and concern the point: its own,
// a silence that still lasts included, and those of the nodes that have written
// it; and where its readings have given way to their summaries, which is no loss.
// An empty point means all that is recorded.
func (e *Engine) Gaps(p greenhouse.PointID, from, to greenhouse.Millis) []greenhouse.Gap {
	gaps := append(e.losses(p, from, to), e.thinnedGaps(p, from, to)...)
	slices.SortStableFunc(gaps, func(a, b greenhouse.Gap) int { return cmp.Compare(a.From, b.From) })
	return gaps
}

// losses is Gaps without what was thinned on purpose.
func (e *Engine) losses(p greenhouse.PointID, from, to greenhouse.Millis) []greenhouse.Gap {
	e.mu.RLock()
	gaps := e.gapsOf(p, from, to)
	e.mu.RUnlock()
	if g, ok := e.silent(p, from, to); ok {
		gaps = append(gaps, g)
	}
	return gaps
}

func (e *Engine) gapsOf(p greenhouse.PointID, from, to greenhouse.Millis) []greenhouse.Gap {
	s := e.st.points[p]
	return e.st.gaps.overlapping(from, to, func(g *greenhouse.Gap) bool {
		return p == "" || g.Point == p || g.Point == "" && g.Node == "" || g.Point == "" && s != nil && s.wrote(g.Node)
	})
}

// wrote reports whether the node has written to the series.
func (s *series) wrote(uid greenhouse.UID) bool {
	for _, n := range s.nodes {
		if n.uid == uid {
			return true
		}
	}
	return false
}
