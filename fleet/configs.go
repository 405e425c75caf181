package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"greenhouse"
)

// ConfigPublisher hands configurations to nodes.
type ConfigPublisher interface {
	// PublishConfig publishes, retained, the configuration of a node as it is
	// committed now, and returns its revision. Where that is older than floor, as
	// after a restored backup, it publishes nothing and fails. It must not block.
	PublishConfig(uid greenhouse.UID, floor uint64) (rev uint64, err error)
}

// ConfigOptions say how configurations converge. Publisher is needed.
type ConfigOptions struct {
	Publisher  ConfigPublisher
	Now        func() time.Time // with the monotonic clock; nil: time.Now
	Log        *slog.Logger     // nil: discarded
	PerSecond  int              // most publications a second, and at once; 0: 50
	FirstRetry time.Duration    // after the first publication without a fitting report; doubled each time; 0: 10 s
	LastRetry  time.Duration    // longest pause between two publications; 0: 10 min
	Drift      time.Duration    // online and different for that long raises config_drift; 0: 60 s
}

func (o ConfigOptions) defaults() ConfigOptions {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&o.FirstRetry, 10*time.Second)
	set(&o.LastRetry, 10*time.Minute)
	set(&o.Drift, time.Minute)
	if o.PerSecond <= 0 {
		o.PerSecond = 50
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Configs brings every node to its desired configuration. Make one with
// [NewConfigs].
type Configs struct {
	o       ConfigOptions
	wake    chan struct{}
	working sync.Mutex // one step at a time, so that revisions leave in order

	mu     sync.Mutex
	nodes  map[greenhouse.UID]*config
	queue  []greenhouse.UID // those that wait to be looked at, in turn
	tokens float64          // of the pace
	filled time.Time        // when tokens was last reckoned
	stats  ConfigStats
}

// config is how one node stands.
type config struct {
	state     greenhouse.ConfigState
	online    bool
	sent      uint64    // highest revision handed out, never to be undercut
	tries     int       // publications of the desired revision
	next      time.Time // not before
	different time.Time // online and different since; zero: it is not
	quiet     bool      // decommissioned: left alone
	raised    bool
	loud      bool
}

// ConfigStats count since the start.
type ConfigStats struct {
	Published uint64
	Errors    uint64
	Pending   int // nodes not at their desired configuration now
}

// NewConfigs returns a reconciler of no nodes: [Configs.Sync] names them.
func NewConfigs(o ConfigOptions) *Configs {
	o = o.defaults()
	return &Configs{o: o, wake: make(chan struct{}, 1), nodes: map[greenhouse.UID]*config{}, tokens: float64(o.PerSecond), filled: o.Now()}
}

// Sync takes what the registry holds now: call it after each commit that may
// have changed a configuration or a report. What changed is published soon.
func (c *Configs) Sync(nodes map[greenhouse.UID]*greenhouse.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for uid, n := range nodes {
		e := c.nodes[uid]
		if e == nil {
			e = &config{}
			c.nodes[uid] = e
			c.queue = append(c.queue, uid)
		}
		if n.Config.DesiredRev != e.state.DesiredRev || n.Config.DesiredHash != e.state.DesiredHash {
			e.tries, e.next, e.different = 0, time.Time{}, time.Time{}
		}
		e.state, e.quiet = n.Config, n.State == greenhouse.NodeDecommissioned
	}
	for uid := range c.nodes {
		if nodes[uid] == nil {
			delete(c.nodes, uid) // the queue drops it when its turn comes
		}
	}
	c.poke()
}

// Online notes that a node came or went. One that came has its configuration
// published again, as nobody knows what it heard before.
func (c *Configs) Online(uid greenhouse.UID, online bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.nodes[uid]
	if e == nil || e.online == online {
		return
	}
	e.online, e.different = online, time.Time{}
	if online && !e.converged() {
		e.tries, e.next = 0, time.Time{}
		c.poke()
	}
}

func (c *Configs) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// converged reports whether the node says that it runs what it should.
func (e *config) converged() bool {
	s := &e.state
	return s.ReportedRev == s.DesiredRev && s.ReportedHash == s.DesiredHash && s.Status != greenhouse.ConfigRejected
}

// rejected reports whether the node refused the desired revision; sending it the
// same again would not help.
func (e *config) rejected() bool {
	return e.state.Status == greenhouse.ConfigRejected && e.state.ReportedRev == e.state.DesiredRev
}

// Run publishes what has to be until ctx ends.
func (c *Configs) Run(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-c.wake:
		}
		c.Step()
	}
}

// Step publishes what is due, as far as the pace allows: nodes that are online
// first, and those after that so that they find it retained when they come.
func (c *Configs) Step() {
	c.working.Lock()
	defer c.working.Unlock()
	now := c.o.Now()
	for _, d := range c.due(now) {
		rev, err := c.o.Publisher.PublishConfig(d.uid, d.floor)
		if err != nil {
			c.o.Log.Warn("configuration not published", "node", d.uid, "error", err)
		}
		c.published(d.uid, rev, err, now)
	}
}

// due is a node to be published to.
type due struct {
	uid   greenhouse.UID
	floor uint64 // no older revision than that
}

// due takes from the queue who is to be published to now.
func (c *Configs) due(now time.Time) []due {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refill(now)
	var list []due
	for _, online := range [...]bool{true, false} {
		for i := 0; i < len(c.queue) && c.tokens >= 1; i++ {
			uid := c.queue[i]
			e := c.nodes[uid]
			if e == nil || e.online != online || !c.wants(e, now) {
				continue
			}
			c.tokens--
			list = append(list, due{uid, e.sent})
		}
	}
	c.rotate(list, now)
	return list
}

// refill adds the publications that the time since the last look allows.
func (c *Configs) refill(now time.Time) {
	most := float64(c.o.PerSecond)
	c.tokens = min(most, c.tokens+max(0, now.Sub(c.filled).Seconds())*most)
	c.filled = now
}

// wants reports whether a node is to be published to.
func (c *Configs) wants(e *config, now time.Time) bool {
	switch {
	case e.quiet || e.state.DesiredRev == 0 || e.state.DesiredRev < e.sent || now.Before(e.next):
		return false
	case e.tries == 0:
		return !e.converged() || e.sent == 0 // the retained one has to be there after a start
	}
	return e.online && !e.converged() && !e.rejected()
}

// rotate puts those who had their turn at the end of the queue, drops who is gone
// and keeps watch over how long nodes differ.
func (c *Configs) rotate(served []due, now time.Time) {
	had := make(map[greenhouse.UID]bool, len(served))
	for _, d := range served {
		had[d.uid] = true
	}
	kept := c.queue[:0]
	for _, uid := range c.queue {
		e := c.nodes[uid]
		if e == nil || had[uid] {
			continue
		}
		kept = append(kept, uid)
	}
	for _, d := range served {
		if c.nodes[d.uid] != nil {
			kept = append(kept, d.uid)
		}
	}
	c.queue = kept
	for _, e := range c.nodes {
		switch {
		case !e.online || e.quiet || e.converged() || e.rejected():
			e.different = time.Time{}
		case e.different.IsZero():
			e.different = now
		}
	}
}

// published notes how a publication went and when the next one is due.
func (c *Configs) published(uid greenhouse.UID, rev uint64, err error, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.nodes[uid]
	if e == nil {
		return
	}
	e.next = now.Add(min(c.o.FirstRetry<<min(e.tries, 10), c.o.LastRetry))
	if err != nil {
		c.stats.Errors++
		if e.tries == 0 {
			e.next = now.Add(min(c.o.FirstRetry, time.Second))
			return
		}
	}
	e.tries++
	if err != nil {
		return
	}
	c.stats.Published++
	e.sent = max(e.sent, rev)
}

// Stats returns the counters.
func (c *Configs) Stats() ConfigStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	for _, e := range c.nodes {
		if !e.quiet && e.state.DesiredRev > 0 && !e.converged() {
			s.Pending++
		}
	}
	return s
}

// Trouble returns what is wrong with the configuration of a node, "" if nothing
// is: "config_rejected" or "config_drift".
func (c *Configs) Trouble(uid greenhouse.UID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.nodes[uid]; e != nil {
		return c.trouble(e, c.o.Now())
	}
	return ""
}

func (c *Configs) trouble(e *config, now time.Time) string {
	switch {
	case e.quiet || e.converged():
		return ""
	case e.rejected():
		return "config_rejected"
	case e.state.ReportedRev > e.state.DesiredRev:
		return "config_drift" // it will refuse everything we have: the registry was restored
	case !e.different.IsZero() && now.Sub(e.different) >= c.o.Drift:
		return "config_drift"
	}
	return ""
}

// Ahead returns the revision a node holds if that is newer than the desired one:
// it will refuse everything until the registry numbers its configuration above
// that. 0 if there is no such conflict.
func (c *Configs) Ahead(uid greenhouse.UID) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.nodes[uid]; e != nil && !e.quiet && e.state.ReportedRev > e.state.DesiredRev {
		return e.state.ReportedRev
	}
	return 0
}

// Conditions appends the alarm conditions of all configurations to dst: both for
// a node that is new, then those of nodes that have or had one.
func (c *Configs) Conditions(dst []greenhouse.Condition) []greenhouse.Condition {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.o.Now()
	for uid, e := range c.nodes {
		trouble := c.trouble(e, now)
		if e.raised && trouble == "" && !e.loud {
			continue
		}
		e.raised, e.loud = true, e.loud || trouble != ""
		for _, code := range [...]string{"config_drift", "config_rejected"} {
			dst = append(dst, greenhouse.Condition{Source: greenhouse.NodeSource(uid), Code: code, Severity: greenhouse.Warning,
				Active: trouble == code, Text: e.text(uid, trouble)})
		}
	}
	return dst
}

// text says what is wrong in one sentence.
func (e *config) text(uid greenhouse.UID, trouble string) string {
	s := &e.state
	switch {
	case trouble == "config_rejected":
		return fmt.Sprintf("node %s rejects revision %d of its configuration: %s", uid, s.DesiredRev, s.Error)
	case s.ReportedRev > s.DesiredRev:
		return fmt.Sprintf("node %s has revision %d of its configuration, newer than %d in the registry", uid, s.ReportedRev, s.DesiredRev)
	case s.ReportedRev == s.DesiredRev && s.ReportedHash != s.DesiredHash:
		return fmt.Sprintf("node %s has other contents under revision %d of its configuration", uid, s.DesiredRev)
	case s.ReportedRev == 0:
		return fmt.Sprintf("node %s has reported no configuration, it should have revision %d", uid, s.DesiredRev)
	}
	return fmt.Sprintf("node %s has revision %d of its configuration, it should have %d", uid, s.ReportedRev, s.DesiredRev)
}
