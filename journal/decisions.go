package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"sync"

	"greenhouse"
)

// The buckets of the decisions: what stood over each actuator, and from when.
const (
	bucketDecisions = "decisions"          // by number, big endian
	bucketDecided   = "decisions_by_point" // point, 0, ms big endian: the number
)

const (
	maxDecisions = 4096 // decisions that wait for [Journal.KeepDecisions]
	decideChunk  = 512  // of them in one transaction
)

// waiting are decisions that are not on disk yet.
type waiting struct {
	sync.Mutex
	list []greenhouse.Verdict // oldest first
}

// Decide stores what stands over an actuator from v.At on, in the transaction of
// the event that tells of it. A second decision of the same millisecond replaces
// the first.
func (j *Journal) Decide(tx Tx, v greenhouse.Verdict) error {
	raw, err := json.Marshal(sayable(v))
	if err != nil {
		return fmt.Errorf("encode decision of %s: %w", v.Point, err)
	}
	seq, err := tx.Sequence(bucketDecisions)
	if err != nil {
		return fmt.Errorf("number decision of %s: %w", v.Point, err)
	}
	if err := tx.Put(bucketDecisions, keyOf(seq), raw); err != nil {
		return fmt.Errorf("store decision of %s: %w", v.Point, err)
	}
	if err := tx.Put(bucketDecided, decidedKey(v.Point, v.At), keyOf(seq)); err != nil {
		return fmt.Errorf("store decision of %s: %w", v.Point, err)
	}
	return nil
}

// Explain takes note that a level stands for another reason than before. It is
// found at once and written with the next [Journal.KeepDecisions]; a power cut
// loses what waits. Of more than 4,096 that wait the oldest go first.
func (j *Journal) Explain(v greenhouse.Verdict) {
	j.decisions.Lock()
	defer j.decisions.Unlock()
	if extra := len(j.decisions.list) + 1 - maxDecisions; extra > 0 {
		j.decisions.list = append(j.decisions.list[:0], j.decisions.list[extra:]...)
	}
	j.decisions.list = append(j.decisions.list, v)
}

// KeepDecisions writes what [Journal.Explain] noted. What the disk does not take
// goes on waiting.
func (j *Journal) KeepDecisions() error {
	for {
		j.decisions.Lock()
		some := append([]greenhouse.Verdict(nil), j.decisions.list[:min(decideChunk, len(j.decisions.list))]...)
		j.decisions.Unlock()
		if len(some) == 0 {
			return nil
		}
		if err := j.RecordAll(nil, some); err != nil {
			return fmt.Errorf("keep decisions: %w", err)
		}
		j.written(some[len(some)-1])
	}
}

// written takes all up to last from the list; some may be gone for want of room.
func (j *Journal) written(last greenhouse.Verdict) {
	j.decisions.Lock()
	defer j.decisions.Unlock()
	for i := range j.decisions.list {
		if v := &j.decisions.list[i]; v.Point == last.Point && v.At == last.At {
			j.decisions.list = append(j.decisions.list[:0], j.decisions.list[i+1:]...)
			return
		}
	}
}

// Decision returns what stood over an actuator at an instant: the last decision
// kept from then or before, found by one look at the index. False: none is kept.
func (j *Journal) Decision(p greenhouse.PointID, at greenhouse.Millis) (found greenhouse.Verdict, ok bool, err error) {
	j.decisions.Lock()
	for i := range j.decisions.list {
		if v := &j.decisions.list[i]; v.Point == p && v.At <= at && (!ok || v.At >= found.At) {
			found, ok = *v, true
		}
	}
	j.decisions.Unlock()
	err = j.db.View(func(tx Tx) (err error) {
		first := decidedKey(p, 0)
		tx.Scan(bucketDecided, decidedKey(p, at), true, func(k, seq []byte) bool {
			if len(k) != len(first) || !bytes.HasPrefix(k, first[:len(first)-8]) {
				return false
			}
			if ok && decidedAt(k) < found.At {
				return false
			}
			raw := tx.Get(bucketDecisions, bytes.Clone(seq))
			if raw == nil {
				err = broken(seq, "is not there, though the index of decisions names it")
				return false
			}
			found, ok = greenhouse.Verdict{}, true
			err = json.Unmarshal(raw, &found)
			return false
		})
		return err
	})
	if err != nil {
		return greenhouse.Verdict{}, false, fmt.Errorf("read decision of %s: %w", p, err)
	}
	return found, ok, nil
}

// PruneDecisions removes the decisions from before an instant and, if keep is
// above 0, all but about the newest keep, in transactions of at most 1,000. It
// returns how many it removed.
func (j *Journal) PruneDecisions(before greenhouse.Millis, keep int) (int, error) {
	removed := 0
	for {
		n, err := j.pruneDecided(before, keep)
		removed += n
		if err != nil || n < pruneChunk {
			return removed, err
		}
	}
}

// pruneDecided removes one chunk. An index entry goes with its decision unless a
// newer one of the same instant has it.
func (j *Journal) pruneDecided(before greenhouse.Millis, keep int) (int, error) {
	type gone struct{ seq, index []byte }
	var old []gone
	err := j.db.View(func(tx Tx) error {
		last := uint64(0)
		tx.Scan(bucketDecisions, nil, true, func(k, _ []byte) bool { last = seqOf(k); return false })
		var bad error
		tx.Scan(bucketDecisions, nil, false, func(k, raw []byte) bool {
			var v struct {
				Point greenhouse.PointID `json:"point"`
				At    greenhouse.Millis  `json:"at"`
			}
			if bad = json.Unmarshal(raw, &v); bad != nil {
				return false
			}
			if v.At >= before && (keep <= 0 || seqOf(k)+uint64(keep) > last) {
				return false
			}
			old = append(old, gone{bytes.Clone(k), decidedKey(v.Point, v.At)})
			return len(old) < pruneChunk
		})
		return bad
	})
	if err != nil || len(old) == 0 {
		return 0, err
	}
	err = j.db.Update(func(tx Tx) error {
		for _, g := range old {
			if bytes.Equal(tx.Get(bucketDecided, g.index), g.seq) {
				if err := tx.Delete(bucketDecided, g.index); err != nil {
					return err
				}
			}
			if err := tx.Delete(bucketDecisions, g.seq); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("prune decisions: %w", err)
	}
	return len(old), nil
}

// decidedKey is the index key of a decision.
func decidedKey(p greenhouse.PointID, at greenhouse.Millis) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(p), 0), uint64(max(at, 0)))
}

// decidedAt returns the instant of an index key.
func decidedAt(k []byte) greenhouse.Millis {
	return greenhouse.Millis(binary.BigEndian.Uint64(k[len(k)-8:]))
}

// sayable returns the verdict without what JSON cannot carry: claims that are no
// numbers, and terms and timers that are none.
func sayable(v greenhouse.Verdict) greenhouse.Verdict {
	claim := func(c greenhouse.Claim) greenhouse.Claim {
		if !number(c.Value) {
			c.Value = 0
		}
		for _, b := range []**float64{&c.Min, &c.Max} {
			if *b != nil && !number(**b) {
				*b = nil
			}
		}
		return c
	}
	losers := make([]greenhouse.Claim, len(v.Losers))
	for i, l := range v.Losers {
		losers[i] = claim(l)
	}
	inputs := make([]greenhouse.Input, len(v.Inputs))
	for i, in := range v.Inputs {
		if !number(in.AgeS) {
			in.AgeS = -1
		}
		inputs[i] = in
	}
	v.Winner, v.Losers, v.Inputs = claim(v.Winner), losers, inputs
	v.Terms, v.Timers = numbers(v.Terms), numbers(v.Timers)
	return v
}

func number(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func numbers(m map[string]float64) map[string]float64 {
	if m == nil {
		return nil
	}
	out := make(map[string]float64, len(m))
	for k, x := range m {
		if number(x) {
			out[k] = x
		}
	}
	return out
}
