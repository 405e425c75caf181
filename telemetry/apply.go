package telemetry

import (
	"math"
	"time"

	"greenhouse"
)

// applier applies frames to the state: at start those of the log, later each
// one as soon as it is synced. The engine's mutex is held, or nobody else is
// there yet.
type applier struct {
	st  *state
	seg *segment // whose frame it is
	// known, if not nil, says that a checkpoint covers this frame: only
	// readings of the windows in it are still needed, and nothing else.
	known map[uint32]struct{}
	// seen is the arrival of each batch in turn; none at start.
	seen      []time.Time
	moved     []greenhouse.Latest // collected when live
	restamped []Restamped
	live      bool

	arrived int64 // of the record before
	n       int   // batches so far in this frame
	lastWin uint32
	stored  int // new readings
	repeats int // readings known already
}

// frame applies one frame's payload.
func (a *applier) frame(payload []byte) error {
	a.arrived, a.n, a.lastWin = 0, 0, math.MaxUint32
	return records(payload, a)
}

func (a *applier) defineSeries(id uint32, p greenhouse.PointID) error {
	return a.st.defineSeries(id, p)
}

func (a *applier) defineStream(id uint32, uid greenhouse.UID, boot string) error {
	if a.known != nil {
		return nil // the checkpoint has it, or has forgotten it on purpose
	}
	return a.st.defineStream(id, uid, boot)
}

func (a *applier) gap(g greenhouse.Gap) {
	if a.known == nil {
		a.st.gaps.add(g)
	}
}

// boot opens a pen; a checkpoint knows the one there is.
func (a *applier) boot(id string) {
	if a.known == nil {
		a.st.openPen(id)
	}
}

// batch applies one message: its readings, then what its number tells.
func (a *applier) batch(h batchHead, d *decoder) error {
	a.arrived += h.arrived
	var seen time.Time
	if a.n < len(a.seen) {
		seen = a.seen[a.n]
	}
	a.n++
	str := a.st.streams[h.stream] // nil also for a boot long forgotten: its numbers tell nothing then
	first, last := a.arrived, a.arrived
	at := a.arrived
	for i := range h.n {
		id, r := d.reading(at)
		if d.err != nil {
			return d.err
		}
		if int(id) >= len(a.st.series) || a.st.series[id] == nil || r.at <= 0 || r.at > maxTime {
			return errDefinition
		}
		at = r.at
		if i == 0 {
			first, last = at, at
		}
		first, last = min(first, at), max(last, at)
		if h.up > 0 {
			a.provisional(a.st.series[id], r, h.up, str, seen)
			continue
		}
		a.reading(a.st.series[id], r, str, seen)
	}
	if a.known == nil {
		a.message(h, str, first, last)
	}
	return nil
}

// reading stores one reading and moves the latest value.
func (a *applier) reading(s *series, r row, str *stream, seen time.Time) {
	win := uint32(r.at / windowMillis)
	if a.known != nil {
		if _, needed := a.known[win]; needed && a.insert(s, r) {
			a.seg.pending[win] = struct{}{}
		}
		return
	}
	if str != nil {
		s.writtenBy(str.node)
	}
	if str != nil && r.at < str.node.at || r.at < s.latest.at {
		var n *node
		if str != nil {
			n = str.node
		}
		a.st.filled(s, n, r.at)
	}
	if a.live && r.at > s.latest.at && isLive(r.at, a.arrived) && isLive(s.latest.at, s.seen.UnixMilli()) {
		s.beat.add(r.at - s.latest.at)
	}
	s.sensor = s.judged(a.arrived)
	s.sensor.Note(greenhouse.Millis(r.at), r.v, r.q)
	if s.move(r, a.arrived, seen) && a.live {
		a.moved = append(a.moved, s.last())
	}
	if !a.insert(s, r) {
		a.repeats++
		return
	}
	a.stored++
	a.st.readings++
	a.st.newest = max(a.st.newest, r.at)
	if win != a.lastWin {
		a.seg.pending[win] = struct{}{}
		a.lastWin = win
	}
}

// insert stores a reading in the head and reports whether it was new there. What
// is read back from the log may be in its day file already: then it was counted.
func (a *applier) insert(s *series, r row) bool {
	if !a.st.insert(s, r) {
		return false
	}
	if !a.live {
		if i, ok := held(s.head, uint32(r.at/windowMillis)); ok {
			s.head[i].replayed = true
		}
	}
	return true
}

// message counts a message and what was refused of it, once however often it
// is sent.
func (a *applier) message(h batchHead, str *stream, first, last int64) {
	if h.hasSeq && str != nil {
		if h.seq == h.seqEnd && str.seen(h.seq) {
			return
		}
		str.advance(h.seq, h.seqEnd, first, last, &a.st.gaps)
	} else if str != nil {
		str.node.at = max(str.node.at, last)
	}
	if h.more {
		return
	}
	a.st.messages++
	a.st.arrived = max(a.st.arrived, a.arrived)
	if h.refused > 0 {
		g := greenhouse.Gap{From: greenhouse.Millis(a.arrived), To: greenhouse.Millis(a.arrived), Cause: CauseRefused, Count: int64(min(h.refused, 1<<40))}
		if str != nil {
			g.Node = str.node.uid
		}
		a.st.gaps.add(g)
		a.st.refused += g.Count
	}
}
