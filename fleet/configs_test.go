package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greenhouse"
	"greenhouse/fleet"
)

// registry is the source of configurations and what nodes would hear.
type registry struct {
	mu    sync.Mutex
	nodes map[greenhouse.UID]*greenhouse.Node
	heard map[greenhouse.UID][]uint64
	at    map[greenhouse.UID][]time.Time
	fail  error
}

func newRegistry(n int) *registry {
	r := &registry{nodes: map[greenhouse.UID]*greenhouse.Node{}, heard: map[greenhouse.UID][]uint64{}, at: map[greenhouse.UID][]time.Time{}}
	for i := range n {
		r.nodes[greenhouse.UID(fmt.Sprintf("relay-%04d", i))] = &greenhouse.Node{State: greenhouse.NodeActive,
			Config: greenhouse.ConfigState{DesiredRev: 1, DesiredHash: "h1", ReportedRev: 1, ReportedHash: "h1", Status: greenhouse.ConfigApplied}}
	}
	return r
}

func (r *registry) PublishConfig(uid greenhouse.UID, floor uint64) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return 0, r.fail
	}
	rev := r.nodes[uid].Config.DesiredRev
	if rev < floor {
		return 0, greenhouse.ErrConflict
	}
	r.heard[uid] = append(r.heard[uid], rev)
	r.at[uid] = append(r.at[uid], time.Now())
	return rev, nil
}

// put replaces the record of a node.
func (r *registry) put(uid greenhouse.UID, change func(*greenhouse.Node)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := *r.nodes[uid]
	change(&n)
	r.nodes[uid] = &n
}

// sync hands a copy of the registry to the reconciler.
func (r *registry) sync(c *fleet.Configs) {
	r.mu.Lock()
	nodes := maps.Clone(r.nodes)
	r.mu.Unlock()
	c.Sync(nodes)
}

// set changes the configuration state of a node the way the registry does: a new
// record, never the old one.
func (r *registry) set(c *fleet.Configs, uid greenhouse.UID, change func(*greenhouse.ConfigState)) {
	r.put(uid, func(n *greenhouse.Node) { change(&n.Config) })
	r.sync(c)
}

func (r *registry) count(uid greenhouse.UID) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.heard[uid])
}

func (r *registry) total() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.heard {
		n += len(h)
	}
	return n
}

// converge runs a reconciler over n nodes in a bubble of virtual time.
func converge(t *testing.T, n int, body func(*registry, *fleet.Configs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(n)
		c := fleet.NewConfigs(fleet.ConfigOptions{Publisher: r})
		r.sync(c)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { c.Run(ctx); close(done) }()
		for uid := range r.nodes {
			c.Online(uid, true)
		}
		time.Sleep(time.Duration(n/50+2) * time.Second) // the retained copies after a start
		body(r, c)
		cancel()
		<-done
	})
}

func active(c *fleet.Configs, code string) (text string, ok bool) {
	for _, cond := range c.Conditions(nil) {
		if cond.Code == code && cond.Active {
			return cond.Text, true
		}
	}
	return "", false
}

const relay = greenhouse.UID("relay-0000")

func TestChangeIsPublishedAndRepeatedUntilReported(t *testing.T) {
	converge(t, 1, func(r *registry, c *fleet.Configs) {
		before := r.count(relay)
		r.set(c, relay, func(s *greenhouse.ConfigState) { s.DesiredRev, s.DesiredHash = 2, "h2" })
		time.Sleep(time.Second)
		if got := r.count(relay) - before; got != 1 {
			t.Fatalf("got %d publications, want 1 at once", got)
		}
		time.Sleep(time.Minute)
		if got := r.count(relay) - before; got < 3 || got > 4 {
			t.Errorf("got %d publications in a minute, want 3: at 0, 10 and 30 s", got)
		}
		if text, ok := active(c, "config_drift"); !ok {
			t.Errorf("got %q, want config_drift after a minute", text)
		}
		time.Sleep(time.Hour)
		if got := r.count(relay) - before; got > 15 {
			t.Errorf("got %d publications in an hour, want growing pauses", got)
		}
		r.set(c, relay, func(s *greenhouse.ConfigState) { s.ReportedRev, s.ReportedHash = 2, "h2" })
		n := r.count(relay)
		time.Sleep(time.Hour)
		if got := r.count(relay); got != n {
			t.Errorf("got %d more publications after the report", got-n)
		}
		if text, ok := active(c, "config_drift"); ok {
			t.Errorf("got %q after the report", text)
		}
	})
}

func TestWrongHashIsDrift(t *testing.T) {
	converge(t, 1, func(r *registry, c *fleet.Configs) {
		r.set(c, relay, func(s *greenhouse.ConfigState) { s.ReportedHash = "other" })
		time.Sleep(2 * time.Minute)
		if c.Trouble(relay) != "config_drift" {
			t.Errorf("got trouble %q", c.Trouble(relay))
		}
		if r.count(relay) < 3 {
			t.Errorf("got %d publications, want it told again", r.count(relay))
		}
	})
}

func TestRejectedIsShownAndNotRepeated(t *testing.T) {
	converge(t, 1, func(r *registry, c *fleet.Configs) {
		r.set(c, relay, func(s *greenhouse.ConfigState) { s.DesiredRev, s.DesiredHash = 2, "h2" })
		time.Sleep(time.Second)
		r.set(c, relay, func(s *greenhouse.ConfigState) {
			s.ReportedRev, s.ReportedHash, s.Status, s.Error = 2, "h2", greenhouse.ConfigRejected, "interval too short"
		})
		n := r.count(relay)
		time.Sleep(time.Hour)
		if got := r.count(relay) - n; got != 0 {
			t.Errorf("got %d more publications of what was rejected", got)
		}
		if text, ok := active(c, "config_rejected"); !ok || c.Trouble(relay) != "config_rejected" {
			t.Errorf("got %q, want config_rejected", text)
		}
	})
}

func TestOlderRevisionNeverFollowsANewerOne(t *testing.T) {
	converge(t, 1, func(r *registry, c *fleet.Configs) {
		r.set(c, relay, func(s *greenhouse.ConfigState) { s.DesiredRev, s.DesiredHash = 9, "h9" })
		time.Sleep(time.Second)
		r.set(c, relay, func(s *greenhouse.ConfigState) {
			s.DesiredRev, s.DesiredHash, s.ReportedRev, s.ReportedHash = 4, "h4", 9, "h9"
		})
		time.Sleep(time.Hour)
		r.mu.Lock()
		defer r.mu.Unlock()
		heard := r.heard[relay]
		for i := 1; i < len(heard); i++ {
			if heard[i] < heard[i-1] {
				t.Fatalf("got revisions %v, want none older than one before", heard)
			}
		}
		if n := c.Stats().Errors; n != 0 {
			t.Errorf("got %d publications refused by the floor, want none tried", n)
		}
		if c.Ahead(relay) != 9 || c.Trouble(relay) != "config_drift" {
			t.Errorf("got ahead %d, trouble %q, want 9 and config_drift", c.Ahead(relay), c.Trouble(relay))
		}
	})
}

func TestAThousandChangesDoNotGoOutInOneBurst(t *testing.T) {
	converge(t, 1000, func(r *registry, c *fleet.Configs) {
		time.Sleep(5 * time.Second)
		before := r.total()
		for i := range 1000 {
			r.put(greenhouse.UID(fmt.Sprintf("relay-%04d", i)), func(n *greenhouse.Node) { n.Config.DesiredRev, n.Config.DesiredHash = 2, "h2" })
		}
		c.Online("relay-0999", false)
		r.sync(c)
		time.Sleep(1500 * time.Millisecond)
		if got := r.total() - before; got < 50 || got > 150 {
			t.Errorf("got %d publications in the first second and a half, want about 100", got)
		}
		if r.count("relay-0999") > 1 {
			t.Error("got a node that is offline served before those online")
		}
		time.Sleep(5 * time.Minute)
		r.mu.Lock()
		defer r.mu.Unlock()
		for uid := range r.nodes {
			if h := r.heard[uid]; h[len(h)-1] != 2 {
				t.Fatalf("%s last heard revision %d, want 2", uid, h[len(h)-1])
			}
		}
		perSecond := map[int64]int{}
		for _, list := range r.at {
			for _, at := range list {
				perSecond[at.UnixMilli()/1000]++
			}
		}
		for at, n := range perSecond {
			if n > 101 {
				t.Errorf("got %d publications in second %d, want 50 and what had gathered", n, at)
			}
		}
	})
}

func TestPublisherThatFailsIsTriedAgain(t *testing.T) {
	converge(t, 1, func(r *registry, c *fleet.Configs) {
		r.mu.Lock()
		r.fail = errors.New("no broker")
		r.mu.Unlock()
		r.set(c, relay, func(s *greenhouse.ConfigState) { s.DesiredRev, s.DesiredHash = 2, "h2" })
		time.Sleep(10 * time.Second)
		r.mu.Lock()
		r.fail = nil
		r.mu.Unlock()
		n := r.count(relay)
		time.Sleep(3 * time.Second)
		if got := r.count(relay) - n; got != 1 {
			t.Errorf("got %d publications after the broker came back, want 1", got)
		}
		if s := c.Stats(); s.Errors == 0 || s.Pending != 1 {
			t.Errorf("got %+v, want errors counted and one pending", s)
		}
	})
}

func TestDecommissionedNodeIsLeftAlone(t *testing.T) {
	converge(t, 1, func(r *registry, c *fleet.Configs) {
		r.put(relay, func(n *greenhouse.Node) { n.State, n.Config.DesiredRev = greenhouse.NodeDecommissioned, 5 })
		before := r.count(relay)
		r.sync(c)
		time.Sleep(time.Hour)
		if r.count(relay) != before || c.Trouble(relay) != "" {
			t.Errorf("got %d publications, trouble %q", r.count(relay)-before, c.Trouble(relay))
		}
	})
}
