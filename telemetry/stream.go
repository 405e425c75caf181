package telemetry

import (
	"slices"

	"greenhouse"
)

// maxBoots is how many boots of one node are remembered, so that what was sent
// before a reboot and comes again is known for what it is.
const maxBoots = 4

// maxMissing bounds the ranges of missing numbers remembered per boot; what
// fills an older one later no longer takes its gap back.
const maxMissing = 1024

// node is a sender of batches.
type node struct {
	uid   greenhouse.UID
	at    int64     // time of its newest message
	boots []*stream // newest last
}

// stream is one boot of a node: messages counted from 0 or 1.
type stream struct {
	id      uint32
	node    *node
	boot    string
	begun   bool
	first   uint64 // lowest number seen since; 0: unknown, for a checkpoint does not keep it
	last    uint64 // highest number seen
	at      int64  // time of that message
	missing []missing
}

// missing is a range of numbers below last that have not come.
type missing struct {
	lo, hi uint64
	gap    uint64 // the gap that tells of it
}

// seen reports whether message seq has been counted before.
func (s *stream) seen(seq uint64) bool {
	if !s.begun || seq > s.last || seq < s.first {
		return false
	}
	return !slices.ContainsFunc(s.missing, func(m missing) bool { return m.lo <= seq && seq <= m.hi })
}

// advance counts the messages lo to hi, sent between the times first and last,
// and records or takes back gaps.
func (s *stream) advance(lo, hi uint64, first, last int64, gaps *gapList) {
	switch {
	case !s.begun:
		if lo > 1 && s.node.counted() {
			s.miss(1, lo-1, min(s.node.at, first), first, gaps)
			s.first = 1
		} else {
			s.first = lo
		}
		s.begun, s.last, s.at = true, hi, last
	case lo > s.last:
		if lo > s.last+1 {
			s.miss(s.last+1, lo-1, min(s.at, first), first, gaps)
		}
		s.last, s.at = hi, last
	default:
		if hi < s.first { // earlier than what was taken for the first
			if hi+1 < s.first {
				s.miss(hi+1, s.first-1, last, max(last, s.at), gaps)
			}
		}
		s.first = min(s.first, lo)
		for n := 0; n < len(s.missing); n++ {
			s.arrive(&n, lo, hi, gaps)
		}
		if hi > s.last {
			s.last, s.at = hi, last
		}
	}
	s.node.at = max(s.node.at, last)
}

// counted reports whether any boot of the node has numbered its messages: only
// then is a boot that does not begin with 0 or 1 known to have lost some.
func (n *node) counted() bool {
	return slices.ContainsFunc(n.boots, func(s *stream) bool { return s.begun })
}

// miss records that the messages lo to hi did not come.
func (s *stream) miss(lo, hi uint64, from, to int64, gaps *gapList) {
	id := gaps.add(greenhouse.Gap{Node: s.node.uid, From: greenhouse.Millis(from), To: greenhouse.Millis(to), Cause: CauseSeq, Count: int64(min(hi-lo+1, 1<<40))})
	s.missing = append(s.missing, missing{lo, hi, id})
	if len(s.missing) > maxMissing {
		s.missing = slices.Delete(s.missing, 0, 1)
	}
}

// arrive takes lo to hi out of the missing range at *n and its gap; *n moves
// so that the caller's loop sees each range once.
func (s *stream) arrive(n *int, lo, hi uint64, gaps *gapList) {
	m := s.missing[*n]
	a, b := max(lo, m.lo), min(hi, m.hi)
	if a > b {
		return
	}
	gaps.fill(m.gap, int64(min(b-a+1, 1<<40)))
	var rest []missing
	if m.lo < a {
		rest = append(rest, missing{m.lo, a - 1, m.gap})
	}
	if b < m.hi {
		rest = append(rest, missing{b + 1, m.hi, m.gap})
	}
	s.missing = slices.Replace(s.missing, *n, *n+1, rest...)
	*n += len(rest) - 1
}
