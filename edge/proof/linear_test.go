package proof_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// histories of one daemon; then a fresh one, so that the registry stays small.
const perDaemon = 50

// campaign returns how long a campaign is asked to be and the seed of its course.
func campaign(t testing.TB, name string, otherwise int) (n int, seed uint64) {
	t.Helper()
	n, seed = otherwise, rand.Uint64N(1<<32)
	if v, err := strconv.Atoi(os.Getenv(name)); err == nil {
		n = v
	}
	if v, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = v
	}
	t.Logf("%s=%d SEED=%d", name, n, seed)
	return n, seed
}

// TestRegistryIsLinearizable has four people and devices do whatever can be done to
// four nodes and two zones, at once, through the API and the broker. What each of
// them was told must be what one clerk would have told them, working through the
// calls one after the other in some order that respects who was answered before
// whom. HISTORIES and SEED set how many and which.
func TestRegistryIsLinearizable(t *testing.T) {
	n, seed := campaign(t, "HISTORIES", 300)
	k := &crowd{people: 4, calls: 9, verbs: everything()}
	tally := map[string]int{}
	for first := 0; first < n; first += perDaemon {
		h := open(t)
		h.pair()
		var bridges []*bridge
		for p := range k.people {
			bridges = append(bridges, h.bridge(fmt.Sprint("bridge", p)))
		}
		for i := first; i < min(first+perDaemon, n); i++ {
			check(t, k, h.found(i, bridges), seed+uint64(i), tally)
		}
		for _, b := range bridges {
			b.close()
		}
		h.stop()
	}
	t.Logf("%d histories hold, in them: %v", n, tally)
	if n >= 300 {
		expected(t, tally)
	}
}

// check lives one history and checks it.
func check(t *testing.T, k *crowd, town town, seed uint64, tally map[string]int) {
	t.Helper()
	history := k.live(town, seed, time.Now())
	m := clerk()
	end := int64(0)
	for _, o := range history {
		end = max(end, o.Return)
	}
	for i := range history {
		c, a := history[i].Input.(call), history[i].Output.(answer)
		tally[string(c.verb)]++
		switch {
		case a.lost:
			tally["lost"]++
			m = mortalClerk()
			history[i].Return = end + 1 // it may yet be done
		case a.code != "":
			tally[a.code]++
		default:
			tally[string(c.verb)+" done"]++
		}
	}
	if !holds(t, m, history) {
		t.Fatalf("seed %d: no order of these calls explains the answers: see %s", seed, keep(t, m, history))
	}
}

// expected fails the test if a verb never worked, or a refusal never came: then the
// histories prove less than they seem to.
func expected(t *testing.T, tally map[string]int) {
	t.Helper()
	for _, v := range everything() {
		if tally[string(v)+" done"] == 0 {
			t.Errorf("nobody ever did %s", v)
		}
	}
	for _, code := range []string{"version_stale", "rule_node_type_in_zone", "rule_node_decommissioned", "rule_swap_zone", "swap_not_found", "login_refused", "node_not_found"} {
		if tally[code] == 0 {
			t.Errorf("nobody was ever told %s", code)
		}
	}
	if lost := tally["lost"]; lost > tally[string(login)]/10 {
		t.Errorf("%d answers were lost", lost)
	}
}

// forgiving is the daemon behind a client that does what the analysis of the old
// system proposed: where an edit is stale it reads again and overwrites.
type forgiving struct{ *authority }

func (f forgiving) do(person int, c call) answer {
	a := f.authority.do(person, c)
	if a.code == "version_stale" {
		c.version = 0
		return f.authority.do(person, c)
	}
	return a
}

// The checker finds what is wrong with the real daemon behind such a client.
func TestCheckerCatchesReadAgainAndOverwrite(t *testing.T) {
	h := open(t)
	h.pair()
	k := &crowd{people: 4, calls: 7, verbs: []verb{register, edit, edit, edit, get}}
	for i := range 100 {
		if history := k.live(forgiving{h.found(i, nil)}, uint64(i), time.Now()); !holds(t, clerk(), history) {
			t.Logf("caught in history %d", i)
			return
		}
	}
	t.Error("100 histories of a client that overwrites pass for those of one that does not")
}
