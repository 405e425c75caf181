package telemetry

import (
	"time"

	"greenhouse"
)

// Holes are gaps of another kind: nothing is known to be lost, there is just
// nothing between two readings. They are recorded by the frame that brings the
// first reading after them, and shrink if what was missing comes after all.

const (
	// onlineBefore is how long before the last arrival a node may have been
	// heard last and still have been online when the engine stopped: three
	// heartbeats and some.
	onlineBefore = 2 * time.Minute
	// downLeast is the shortest downtime told of.
	downLeast = 5 * time.Second
	// downKnown is the shortest told of if the node's count goes on where it
	// stopped: nothing it sent was lost, so it takes a hole to speak of.
	downKnown = 90 * time.Second
	// silentLeast is the shortest silence that StaleAfter is asked about.
	silentLeast = 10 * time.Second
	// fillReach is how far, in ms, from the edge of a hole a late reading may
	// lie to move that edge.
	fillReach = 120_000
)

// stopped returns the nodes that were online when the engine stopped, and when
// each was heard last.
func (st *state) stopped() map[greenhouse.UID]int64 {
	out := map[greenhouse.UID]int64{}
	for uid, n := range st.nodes {
		if n.at > 0 && n.at >= st.arrived-onlineBefore.Milliseconds() {
			out[uid] = n.at
		}
	}
	return out
}

// downtime records that a node was not heard between the last message before a
// stop and b, the first after it.
func (c *composer) downtime(b *Batch, str *stream) {
	from, ok := c.down[b.Node]
	if !ok || !c.trusted {
		return
	}
	c.met = append(c.met, b.Node)
	delete(c.down, b.Node)
	to := b.Arrived.UnixMilli()
	for i := range b.Readings {
		if c.acceptable(&b.Readings[i], i < b.Stamped) {
			to = min(to, int64(b.Readings[i].At))
		}
	}
	least := downLeast
	if b.HasSeq && str != nil && str.begun && b.Seq == str.last+1 {
		least = downKnown
	}
	if to-from > least.Milliseconds() {
		c.gap(greenhouse.Gap{Node: b.Node, From: greenhouse.Millis(from), To: greenhouse.Millis(to), Cause: CauseDowntime})
	}
}

// unmeet undoes what downtime remembered, for a frame that was not written.
func (c *composer) unmeet() {
	for _, uid := range c.met {
		c.down[uid] = c.stopped[uid]
	}
	c.met = c.met[:0]
}

// silence records that a point had no reading for longer than it should, up to
// a reading at `at` that arrives live. What a downtime of the node explains is
// left to that, and so is what was never live: a replay is no sensor that speaks.
func (c *composer) silence(s *series, d *draft, node greenhouse.UID, at, arrived int64) {
	last := d.tip
	d.tip = max(last, at)
	if last == 0 || at-last <= silentLeast.Milliseconds() || c.o.StaleAfter == nil || !c.trusted || !isLive(at, arrived) {
		return
	}
	restarted := s.seen.IsZero() // then it is not known how often it sends
	if !restarted && !s.beat.known() {
		return
	}
	stale := c.o.staleAfter(s)
	if stale <= 0 || at-last <= stale {
		return
	}
	if from, was := c.stopped[node]; was && restarted && last >= from-stale {
		return
	}
	c.hole(greenhouse.Gap{Point: s.point, From: greenhouse.Millis(last), To: greenhouse.Millis(at), Cause: CauseSilence})
}

// hole keeps a gap to be recorded after the batch at hand.
func (c *composer) hole(g greenhouse.Gap) { c.holes = append(c.holes, g) }

// shrink moves the edge of the newest gap of a kind if a reading at `at` lies
// in it, near that edge; a hole of which no more than downKnown is left
// disappears.
func (l *gapList) shrink(k gapKind, at int64) {
	id, ok := l.last[k]
	if !ok {
		return
	}
	g, t := l.byID[id], greenhouse.Millis(at)
	switch {
	case t <= g.From || t >= g.To:
		return
	case t-g.From <= fillReach:
		g.From = t
	case g.To-t <= fillReach:
		g.To = t
	}
	if g.To-g.From <= greenhouse.Millis(downKnown.Milliseconds()) {
		l.remove(id)
	}
}

// filled takes a late reading out of the holes that it lies in.
func (st *state) filled(s *series, n *node, at int64) {
	if len(st.gaps.last) == 0 {
		return
	}
	if at < s.latest.at {
		st.gaps.shrink(gapKind{point: s.point, cause: CauseSilence}, at)
	}
	if n != nil && at < n.at {
		st.gaps.shrink(gapKind{node: n.uid, cause: CauseDowntime}, at)
	}
}

// silent returns the hole that has no end yet: the point has been silent for
// longer than it should until now.
func (e *Engine) silent(p greenhouse.PointID, from, to greenhouse.Millis) (greenhouse.Gap, bool) {
	if e.o.StaleAfter == nil || p == "" || !e.o.ClockTrusted() {
		return greenhouse.Gap{}, false
	}
	e.mu.RLock()
	var at, stale int64
	if s := e.st.points[p]; s != nil && s.beat.known() {
		at, stale = s.latest.at, e.o.staleAfter(s)
	}
	e.mu.RUnlock()
	l, now := greenhouse.Millis(at), greenhouse.MillisOf(e.o.Now())
	if stale <= 0 || int64(now)-at <= stale || l >= to || now <= from {
		return greenhouse.Gap{}, false
	}
	return greenhouse.Gap{Point: p, From: l, To: now, Cause: CauseSilence}, true
}
