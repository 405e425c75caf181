package proof_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// ledgerOfOld is the registry of the system this one replaces: rows in a database
// at its default isolation, READ COMMITTED. Each request reads, decides by what it
// read, and writes the rows it changed, whole; other requests come in between. What
// it decides is right: alone, it answers as the clerk does.
type ledgerOfOld struct {
	mu   sync.Mutex // of one statement
	rows site
	lag  func() time.Duration // between two statements
}

func (l *ledgerOfOld) do(_ int, c call) answer {
	l.mu.Lock()
	read := l.rows
	l.mu.Unlock()
	time.Sleep(l.lag()) // a hundred lines of logic; virtual
	next, a := read.do(c, "secret")
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range next.nodes {
		if next.nodes[i] == read.nodes[i] {
			continue
		}
		if !read.nodes[i].known && l.rows.nodes[i].known {
			return answer{code: "unique_violation"} // the uid is taken: the request fails
		}
		l.rows.nodes[i] = next.nodes[i]
	}
	l.rows.swaps = next.swaps
	return a
}

// oldHistories counts, of n histories of the old design, those that do not hold.
func oldHistories(t *testing.T, k *crowd, n int) (caught int) {
	t.Helper()
	for i := range n {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(i), 7))
			var mu sync.Mutex
			old := &ledgerOfOld{lag: func() time.Duration {
				mu.Lock()
				defer mu.Unlock()
				return time.Duration(1+r.IntN(10)) * time.Millisecond
			}}
			if !holds(t, clerk(), k.live(old, uint64(i), time.Now())) {
				caught++
			}
		})
	}
	return caught
}

// TestCheckerCatchesTheOldDesign shows that the checker can fail: it finds each of
// the old design's races, and none where there is one person and so no race.
func TestCheckerCatchesTheOldDesign(t *testing.T) {
	const n = 100
	for _, tc := range []struct {
		name  string
		crowd crowd
	}{
		{"registered twice", crowd{people: 4, calls: 4, verbs: []verb{hello, register, get}}},
		{"lost update", crowd{people: 4, calls: 6, verbs: []verb{register, edit, assign, unassign, get}}},
		{"lost update without versions", crowd{people: 4, calls: 6, verbs: []verb{register, edit, assign, unassign, get}, unseen: true}},
		{"write skew", crowd{people: 3, calls: 6, verbs: []verb{register, assign, assign, list}, unseen: true}},
		{"all of it", crowd{people: 4, calls: 7, verbs: everything()}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			caught := oldHistories(t, &tc.crowd, n)
			t.Logf("%d of %d histories do not hold", caught, n)
			if caught < n/10 {
				t.Errorf("%d of %d histories of the old design were caught: the checker is blind", caught, n)
			}
			alone := tc.crowd
			alone.people, alone.calls = 1, 20
			if caught := oldHistories(t, &alone, n); caught != 0 {
				t.Errorf("%d histories of one person do not hold: it is not the race that is caught", caught)
			}
		})
	}
}
