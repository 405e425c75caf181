package edge

import (
	"encoding/json"
	"sync"
	"time"

	"greenhouse"
	"greenhouse/store"
	"greenhouse/wire"
)

// The bounds of what one node may raise our epoch by: it is the only thing a node
// changes that others notice, so a lying one must not use it up.
const (
	raiseEvery = time.Minute // between two raises for one node
	raiseMost  = 1 << 32     // above ours, beyond which a node is not believed
	guessMost  = 1 << 20     // the longest step towards an epoch that a node does not name
)

// fences remembers which nodes know a higher epoch than ours, and how far we
// stepped towards it.
type fences struct {
	mu    sync.Mutex
	nodes map[greenhouse.UID]fence
}

type fence struct {
	raised time.Time
	step   uint64 // of the next guess
}

// next returns the epoch to rise above because of a node, 0 for none now. A node
// that does not name what it saw is approached in steps that double.
func (f *fences) next(uid greenhouse.UID, ours, seen uint64, now time.Time) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.nodes[uid]
	if !was.raised.IsZero() && now.Sub(was.raised) < raiseEvery || seen > ours && seen-ours > raiseMost {
		return 0
	}
	if f.nodes == nil {
		f.nodes = map[greenhouse.UID]fence{}
	}
	step := max(1, was.step)
	f.nodes[uid] = fence{raised: now, step: min(2*step, guessMost)}
	if seen >= ours {
		return seen
	}
	return ours + step - 1
}

// fenced rises above the epoch of a node that refused a command of ours as too
// old: whoever has the node's session drives it, so its registry must be an older
// one that came back. Only the refusal of a command that carried the epoch of now
// counts; any other is late.
func (in *inbound) fenced(uid greenhouse.UID, refused greenhouse.Command, r wire.CommandReport) {
	ours := in.d.epoch.Load()
	if refused.Node != uid || refused.Epoch != ours {
		return
	}
	var said struct {
		Epoch uint64 `json:"epoch"`
	}
	if len(r.Detail) > 0 && json.Unmarshal(r.Detail, &said) != nil {
		said.Epoch = 0
	}
	above := in.d.fences.next(uid, ours, said.Epoch, in.d.opts.Now())
	if above == 0 {
		if said.Epoch > ours {
			in.complain(uid, "epoch_unbelievable", "it says that it obeys an epoch far above ours")
		}
		return
	}
	var raised uint64
	in.d.inbox.Submit(in.d.ctx, job{
		apply: func(tx *store.Tx) (err error) {
			if raised = tx.Registry().Epoch(); raised > above {
				return nil // risen already, for another node
			}
			if raised, err = tx.RaiseEpoch(above); err != nil {
				return err
			}
			_, err = in.d.journal.Append(tx, greenhouse.Event{TS: greenhouse.MillisOf(tx.Now()), Code: "epoch_raised", Source: greenhouse.NodeSource(uid),
				Detail: detail("from", ours, "to", raised, "text", "the node obeyed a higher epoch: an older registry was put back")})
			return err
		},
		done: func(err error) {
			if err != nil {
				in.log.Warn("epoch not raised", "node", uid, "error", err)
				return
			}
			in.d.epoch.Store(raised)
			in.d.actuators.RaiseEpoch(raised)
			in.log.Warn("the epoch was raised", "node", uid, "from", ours, "to", raised)
		},
	})
}
