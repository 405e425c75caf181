package telemetry

import "time"

// beat is what is known of how often a point sends, from readings that came
// about when they were measured: what is replayed or comes late tells nothing.
type beat struct {
	mean, dev int64 // ms between two readings, and how far from it they are
	n         uint8 // how many intervals were seen
}

// beatsKnown is how many intervals make a rhythm.
const beatsKnown = 3

// add takes in an interval; one that is a silence counts as the longest that is
// none, or it would make the next one pass for usual.
func (b *beat) add(d int64) {
	if b.n < beatsKnown {
		b.n++
		b.mean += (d - b.mean) / int64(b.n)
		b.dev = max(b.dev, d-b.mean, b.mean-d)
		return
	}
	d = min(d, b.longest())
	off := d - b.mean
	b.mean += off / 8
	b.dev += (max(off, -off) - b.dev) / 4
}

// longest returns the longest interval that is still usual.
func (b *beat) longest() int64 { return max(3*b.mean, b.mean+6*b.dev) }

// known reports whether there is a rhythm.
func (b *beat) known() bool { return b.n >= beatsKnown }

// staleAfter returns how long a series may be silent, in ms: as long as the rooms
// above say, but longer if it is used to. 0: for ever.
func (o *Options) staleAfter(s *series) int64 {
	stale := o.StaleAfter(s.point).Milliseconds()
	if stale <= 0 {
		return 0
	}
	return max(stale, s.beat.longest())
}

// liveWithin is how long after it was measured a reading may arrive and be live.
const liveWithin = int64(90 * time.Second / time.Millisecond)

// isLive reports whether a reading arrived about when it was measured.
func isLive(at, arrived int64) bool { return arrived-at <= liveWithin && at-arrived <= liveWithin }
