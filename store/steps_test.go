package store_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse/store"
)

// commit is the file before and after one transaction, and what it says then.
type commit struct {
	step          step
	before, after []byte
	was, is       string
}

// recorder lets several people change a registry at once and keeps an image of the
// file at each commit.
type recorder struct {
	t       *testing.T
	s       *store.Store
	path    string
	mu      sync.Mutex
	image   []byte
	content string
	commits []commit
}

func (r *recorder) read() []byte {
	r.t.Helper()
	b, err := os.ReadFile(r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// do does one step. Whoever comes meanwhile waits, as in the store itself.
func (r *recorder) do(st step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if st.run(r.s) != nil {
		return // refused: nothing was to be kept
	}
	c := commit{st, r.image, r.read(), r.content, dump(r.t, r.s)}
	r.image, r.content = c.after, c.is
	r.commits = append(r.commits, c)
}

// steps returns the file as it is after each write of the commit: bbolt writes the
// pages it changed in their order, syncs, writes a meta page and syncs again. A cut
// may come within a page too, and of pages that are not synced the later may be on
// disk without the earlier.
func (c *commit) steps(rng *rand.Rand) (cuts [][]byte) {
	const page, sector = 4096, 512
	image := func() []byte {
		return append(append([]byte{}, c.before...), make([]byte, max(0, len(c.after)-len(c.before)))...)[:len(c.after)]
	}
	var changed []int
	start := image()
	for p := 2 * page; p < len(c.after); p += page {
		if string(start[p:p+page]) != string(c.after[p:p+page]) {
			changed = append(changed, p)
		}
	}
	for k := range changed {
		forward, torn, backward := image(), image(), image()
		for _, p := range changed[:k+1] {
			copy(forward[p:p+page], c.after[p:])
		}
		for _, p := range changed[:k] {
			copy(torn[p:p+page], c.after[p:])
		}
		copy(torn[changed[k]:changed[k]+sector*(1+rng.IntN(7))], c.after[changed[k]:])
		for _, p := range changed[k:] {
			copy(backward[p:p+page], c.after[p:])
		}
		cuts = append(cuts, forward, torn, backward)
	}
	return append(cuts, start)
}

// TestEveryStepOfEveryCommit: three people edit at once, and the power is cut at
// every step of every commit. What is there afterwards is the registry before the
// edit or after it, whole; with the last write, after it; and no rule is broken in
// any of them. So no confirmed edit is lost and no zone ever has two ph nodes.
func TestEveryStepOfEveryCommit(t *testing.T) {
	people, edits := 3, 40
	if testing.Short() {
		edits = 6
	}
	opt := options(t)
	s := open(t, opt)
	pair(t, s)
	zones(t, s, "z0", "z1", "z2")
	r := &recorder{t: t, s: s, path: opt.Path}
	r.image, r.content = r.read(), dump(t, s)
	verbs := []string{"join", "register", "assign", "assign", "assign", "unassign", "swap", "undo", "sample", "safe", "channels", "decommission"}
	var all sync.WaitGroup
	for p := range people {
		rng := rand.New(rand.NewPCG(11, uint64(p)))
		all.Go(func() {
			for i := range edits {
				st := step{verbs[rng.IntN(len(verbs))], rng.IntN(6), rng.IntN(6)}
				if i < 4 {
					st.verb = "join"
				}
				r.do(st)
			}
		})
	}
	all.Wait()
	rng := rand.New(rand.NewPCG(12, 13))
	cuts := 0
	for i, c := range r.commits {
		for k, cut := range c.steps(rng) {
			cuts++
			if got := afterCut(t, cut); got != c.was {
				t.Fatalf("commit %d (%+v), cut %d: not what it was before:\n%s", i, c.step, k, cmp.Diff(c.was, got))
			}
		}
		if got := afterCut(t, c.after); got != c.is {
			t.Fatalf("commit %d (%+v): not what was committed:\n%s", i, c.step, cmp.Diff(c.is, got))
		}
	}
	if len(r.commits) < people*edits/3 || cuts < 5*len(r.commits) {
		t.Errorf("%d commits and %d cuts: too few to show anything", len(r.commits), cuts)
	}
	t.Logf("%d commits, %d cuts", len(r.commits), cuts)
}

// afterCut opens an image as the next start would, checks its rules and returns what is in it.
func afterCut(t *testing.T, image []byte) string {
	t.Helper()
	opt := store.Options{Path: filepath.Join(t.TempDir(), "registry.db"), NoSync: true, Now: func() time.Time { return epoch0() }}
	if err := os.WriteFile(opt.Path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if s.Recovered() != nil {
		t.Fatalf("the registry was restored: %+v", s.Recovered())
	}
	checkRules(t, s.Registry())
	return dump(t, s)
}
