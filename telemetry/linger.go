package telemetry

import (
	"math"
	"slices"
	"time"
)

// How a commit waits for company when the engine decides by itself.
const (
	slowSync   = 3 * time.Millisecond   // a medium is slow if it usually takes longer
	slowLinger = 400 * time.Millisecond // then wear counts, and nobody notices half a second
	fastLinger = 3 * time.Millisecond   // else just long enough to share a page at load
	fastLull   = 300 * time.Microsecond // and not when nobody came for so long: all who could have are waiting for us
	fullCrowd  = 32                     // batches that make a page worth its write
	maxDull    = 7                      // looks for company are at most 2^7 commits apart
)

// patience decides how long a commit waits. A commit writes a whole page however
// little is in it, so at load a few milliseconds save the device most of what it would
// write; but waiting for senders who themselves wait for us would only make all
// of them slow. So it learns how many batches a commit can expect and waits for
// no more, and only now and then looks whether there are more to come. It is the
// committer's own.
type patience struct {
	syncs  [31]time.Duration // the last ones, as a ring
	synced int               // syncs so far
	crowd  float64           // batches a commit can expect, forgotten slowly
	dull   int               // looks for more in a row that found nobody
	skip   int               // commits until the next look
}

// noteSync remembers how long a sync took.
func (p *patience) noteSync(d time.Duration) {
	p.syncs[p.synced%len(p.syncs)] = d
	p.synced++
}

// slow reports whether syncs usually take long. The median decides: on a busy
// machine many a sync is late because a processor was, and no card is meant.
func (p *patience) slow() bool {
	n := min(p.synced, len(p.syncs))
	if n == 0 {
		return false
	}
	last := p.syncs
	slices.Sort(last[:n])
	return last[n/4] > slowSync
}

// next says how long to wait at most, after what time without company to go on, and
// for how many batches in all.
func (p *patience) next() (d, lull time.Duration, enough int) {
	if p.slow() {
		return slowLinger, slowLinger, math.MaxInt
	}
	if p.skip <= 0 {
		return fastLinger, fastLull, fullCrowd
	}
	return fastLinger, fastLull, min(int(math.Ceil(p.crowd)), fullCrowd)
}

// noteCommit learns from a commit of n batches.
func (p *patience) noteCommit(n int) {
	expected := p.crowd
	p.crowd = max(float64(n), p.crowd*15/16)
	if p.skip > 0 {
		p.skip--
		return
	}
	if float64(n) > expected {
		p.dull = 0
	} else {
		p.dull = min(p.dull+1, maxDull)
	}
	p.skip = 1 << p.dull
}
