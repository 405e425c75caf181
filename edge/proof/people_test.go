package proof_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// town is something that keeps a registry: the daemon, or another design. do may
// be called by all people at once.
type town interface {
	do(person int, c call) answer
}

// crowd draws what people do at random.
type crowd struct {
	people, calls int
	verbs         []verb
	unseen        bool // nobody names the version they read
	mortal        bool // whoever gets no answer goes home
}

// everything is what anybody can do to a registry, what collides most often most often.
func everything() []verb {
	return []verb{hello, hello, hello, login, login, register, register, assign, assign, assign, assign, unassign, edit, edit, edit, swap, swap, undo, decommission, rotate, get, get, list, list}
}

// board is what people know of the registry, from answers they got.
type board struct {
	mu       sync.Mutex
	versions [devices]int
	secrets  [devices][]string
	swaps    []call // that were done
}

func (b *board) note(c call, a answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.version != 0 && c.verb != swap && c.verb != undo {
		b.versions[c.device] = a.version
	}
	if a.secret != "" {
		b.secrets[c.device] = append(b.secrets[c.device], a.secret)
	}
	if c.verb == swap && a.code == "" && !a.lost {
		b.swaps = append(b.swaps, c)
	}
}

// next draws a call. Most begin by making a node known, or there were little to do.
func (b *board) next(r *rand.Rand, k *crowd, person, i int) call {
	c := call{verb: k.verbs[r.IntN(len(k.verbs))], device: r.IntN(devices), name: fmt.Sprintf("name-%d-%d", person, i)}
	if first := []verb{hello, register}[r.IntN(2)]; i == 0 && slices.Contains(k.verbs, first) {
		c.verb = first
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch c.verb {
	case swap, undo:
		c.other = (c.device + 1 + r.IntN(devices-1)) % devices
		if n := len(b.swaps); n > 0 && c.verb == undo {
			c.device, c.other = b.swaps[n-1].device, b.swaps[n-1].other
		}
	case assign, list:
		c.zone = 1 + r.IntN(zones)
	case register:
		c.zone = r.IntN(zones + 1)
	case login:
		c.secret = "a guess"
		if known := b.secrets[c.device]; len(known) > 0 {
			c.secret = known[r.IntN(len(known))]
		}
	}
	if c.verb != edit {
		c.name = ""
	}
	switch c.verb {
	case edit, assign, unassign, decommission, swap, undo, rotate:
		if r.IntN(3) > 0 && !k.unseen {
			c.version = b.versions[c.device] // 0 if nobody has seen it
		}
	}
	return c
}

// live has people do things at once and returns the history, in times since zero.
func (k *crowd) live(t town, seed uint64, zero time.Time) []porcupine.Operation {
	var b board
	histories := make([][]porcupine.Operation, k.people)
	var all sync.WaitGroup
	gate := make(chan struct{})
	for p := range k.people {
		r := rand.New(rand.NewPCG(seed, uint64(p)))
		all.Go(func() {
			<-gate
			for i := range k.calls {
				c := b.next(r, k, p, i)
				began := time.Since(zero)
				a := t.do(p, c)
				histories[p] = append(histories[p], porcupine.Operation{ClientId: p, Input: c, Call: int64(began), Output: a, Return: int64(time.Since(zero))})
				if b.note(c, a); a.lost && k.mortal {
					return
				}
			}
		})
	}
	close(gate)
	all.Wait()
	var out []porcupine.Operation
	for _, h := range histories {
		out = append(out, h...)
	}
	return out
}

// patience bounds one check. A history of some dozens of calls takes milliseconds.
const patience = time.Minute

// holds reports whether a history is one that the clerk could have written.
func holds(t testing.TB, m porcupine.Model, history []porcupine.Operation) bool {
	t.Helper()
	switch porcupine.CheckOperationsTimeout(m, history, patience) {
	case porcupine.Ok:
		return true
	case porcupine.Unknown:
		t.Errorf("a history of %d calls was not checked within %v", len(history), patience)
	}
	return false
}

// keep writes a history that does not hold where somebody can look at it.
func keep(t testing.TB, m porcupine.Model, history []porcupine.Operation) (where string) {
	t.Helper()
	_, info := porcupine.CheckOperationsVerbose(m, history, patience)
	dir, err := os.MkdirTemp(os.Getenv("EVIDENCE"), "history-")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, o := range history {
		fmt.Fprintf(&text, "%12d %12d  %d  %v → %v\n", o.Call, o.Return, o.ClientId, o.Input, o.Output)
	}
	if err := os.WriteFile(filepath.Join(dir, "history.txt"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := porcupine.VisualizePath(m, info, filepath.Join(dir, "history.html")); err != nil {
		t.Fatal(err)
	}
	return dir
}
