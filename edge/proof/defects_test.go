package proof_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/sim"
	"greenhouse/wire"
)

// The first four of the eight defects, all of them races. Each is a claim about a
// small interface, tried on two things that have it: the design that had the defect,
// with the fix that its own analysis proposed, re-created here in a few lines, and
// the daemon. The first must break the claim and the second must not.

// broken runs a claim on the old design, in virtual time, and expects it to break
// in one of some tries: which of those who are there at once comes first is chance.
func broken(t *testing.T, claim func() error) {
	t.Helper()
	t.Run("the old design breaks it", func(t *testing.T) {
		for try := range 1000 {
			var err error
			synctest.Test(t, func(*testing.T) { err = claim() })
			if err != nil {
				t.Logf("try %d: %v", try, err)
				return
			}
		}
		t.Error("the old design keeps what is claimed: the claim proves nothing")
	})
}

// kept runs a claim on the daemon and expects it to hold.
func kept(t *testing.T, claim func(t *testing.T) error) {
	t.Helper()
	t.Run("this one keeps it", func(t *testing.T) {
		if err := claim(t); err != nil {
			t.Error(err)
		}
	})
}

// statement is the time between two statements of a transaction of old.
func statement() { time.Sleep(time.Millisecond) }

// table is one table of the old database: each statement is atomic, and nothing else.
type table[K comparable, V any] struct {
	mu   sync.Mutex
	rows map[K]V
}

func (t *table[K, V]) read(k K) (V, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.rows[k]
	return v, ok
}

func (t *table[K, V]) write(k K, v V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows[k] = v
}

func (t *table[K, V]) count(which func(V) bool) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range t.rows {
		if which(v) {
			n++
		}
	}
	return n
}

// together calls f for 0…n-1 at once and joins what they return.
func together(n int, f func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		all.Go(func() { <-gate; errs[i] = f(i) })
	}
	close(gate)
	all.Wait()
	return errors.Join(errs...)
}

// S1: any number of hellos under one hardware id make one node, and all are
// answered alike; two devices are never taken for one.
type registrar interface {
	hello(who int, hw greenhouse.HardwareID) (greenhouse.UID, error)
	nodes() int
}

const (
	helloers = 8
	hellos   = 25 // of each
)

func claimS1(r registrar) error {
	const one = "a4cf12b3de01"
	uids := &table[int, greenhouse.UID]{rows: map[int]greenhouse.UID{}}
	err := together(helloers, func(who int) error {
		for i := range hellos {
			uid, err := r.hello(who, one)
			if err != nil {
				return fmt.Errorf("hello %d of %d: %w", i, who, err)
			}
			uids.write(who*hellos+i, uid)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n := r.nodes(); n != 1 {
		return fmt.Errorf("%d hellos of one device made %d nodes", helloers*hellos, n)
	}
	want, _ := uids.read(0)
	if n := uids.count(func(u greenhouse.UID) bool { return u != want }); n != 0 {
		return fmt.Errorf("%d hellos were answered otherwise than the first", n)
	}
	other, err := r.hello(0, one+"ff") // the first characters are the same
	if err != nil || other == want {
		return fmt.Errorf("another device is %s: %w", other, err)
	}
	return nil
}

// oldRegistrar is NodeRegistryService with the transaction, the row lock and the
// five attempts that were to mend it. The lock finds no row to lock; and when the
// constraint on the uid fails, it aborts the transaction, so that the second attempt
// is refused whatever it tries.
type oldRegistrar struct {
	table[greenhouse.UID, greenhouse.HardwareID]
}

func (r *oldRegistrar) hello(_ int, hw greenhouse.HardwareID) (greenhouse.UID, error) {
	uid := greenhouse.UID("ph-" + hw[:8])
	if owner, ok := r.read(uid); ok && owner == hw { // SELECT … FOR UPDATE
		return uid, nil
	}
	statement()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.rows[uid]; taken { // INSERT
		return "", errors.New("unique violation, then: current transaction is aborted, commands ignored until end of transaction block")
	}
	r.rows[uid] = hw
	return uid, nil
}

func (r *oldRegistrar) nodes() int {
	return r.count(func(greenhouse.HardwareID) bool { return true })
}

// hellos has bridges and an installer register devices with the daemon.
type registry struct {
	h       *house
	bridges []*bridge
}

func (r registry) hello(who int, hw greenhouse.HardwareID) (greenhouse.UID, error) {
	if who == 0 { // by hand, meanwhile
		n, err := r.h.client.RegisterNode(r.h.ctx(), api.RegisterRequest{HardwareID: string(hw), Type: greenhouse.TypePH}, client.Write{})
		return n.UID, err
	}
	w, err := r.bridges[who].hello(hw, greenhouse.TypePH)
	if err == nil && !w.OK {
		err = errors.New(w.Error)
	}
	return w.UID, err
}

func (r registry) nodes() int {
	l, err := r.h.client.Nodes(r.h.ctx(), client.NodeFilter{})
	if err != nil {
		return -1
	}
	return len(l.Items)
}

func TestS1HellosAtOnceMakeOneNode(t *testing.T) {
	broken(t, func() error {
		return claimS1(&oldRegistrar{table[greenhouse.UID, greenhouse.HardwareID]{rows: map[greenhouse.UID]greenhouse.HardwareID{}}})
	})
	kept(t, func(t *testing.T) error {
		h := open(t)
		h.pair()
		r := registry{h: h}
		for i := range helloers {
			b := h.bridge(fmt.Sprint("bridge", i))
			defer b.close()
			r.bridges = append(r.bridges, b)
		}
		return claimS1(r)
	})
}

// S2: what a node is told of its configuration was committed, never goes back, and
// ends with the newest.
type publisher interface {
	change(interval int) error // commits a change and has it published
	abandon(interval int)      // begins a change that does not come to be
	settled() (heard []told, committed map[uint64]string, err error)
}

// told is one configuration that a node heard.
type told struct {
	rev  uint64
	hash string
}

func claimS2(p publisher) error {
	err := together(3, func(who int) error {
		for i := range 20 {
			if who == 2 {
				p.abandon(1000 + i)
				continue
			}
			if err := p.change(10 + who*20 + i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	heard, committed, err := p.settled()
	if err != nil {
		return err
	}
	var newest uint64
	for rev := range committed {
		newest = max(newest, rev)
	}
	var last uint64
	for _, c := range heard {
		switch {
		case committed[c.rev] != c.hash:
			return fmt.Errorf("revision %d was announced and never committed", c.rev)
		case c.rev < last:
			return fmt.Errorf("revision %d was announced after %d", c.rev, last)
		}
		last = c.rev
	}
	if last != newest {
		return fmt.Errorf("the last revision announced is %d, the newest is %d", last, newest)
	}
	return nil
}

// oldPublisher is PublishNodeConfigJob with the advisory lock that was to mend it:
// keyed by crc32, tried once and skipped where somebody has it, and published inside
// the transaction, before anybody knows whether it commits.
type oldPublisher struct {
	after     bool // publishes after the commit: the skipped push alone remains
	mu        sync.Mutex
	rev       uint64
	committed map[uint64]string
	heard     []told
	locks     map[uint32]bool
}

// publish is the job, begun in a transaction of which nobody knows the end.
func (p *oldPublisher) publish(c told) {
	p.mu.Lock()
	key := crc32.ChecksumIEEE([]byte("publish_config:1"))
	if p.locks[key] { // pg_try_advisory_xact_lock
		p.mu.Unlock()
		return // "Skipping duplicate job"
	}
	p.locks[key] = true
	p.mu.Unlock()
	statement() // build it, connect, publish
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, c)
	p.locks[key] = false
}

func (p *oldPublisher) change(interval int) error {
	statement()
	p.mu.Lock()
	p.rev++
	c := told{p.rev, fmt.Sprint(interval)}
	p.committed[c.rev] = c.hash
	p.mu.Unlock()
	p.publish(c)
	return nil
}

func (p *oldPublisher) abandon(interval int) {
	p.mu.Lock()
	c := told{p.rev + 1, fmt.Sprint(interval)}
	p.mu.Unlock()
	if !p.after {
		p.publish(c)
	} // ROLLBACK
}

func (p *oldPublisher) settled() ([]told, map[uint64]string, error) { return p.heard, p.committed, nil }

// configs is one node of the daemon, listening, while people edit it.
type configs struct {
	h         *house
	n         api.Registered
	mu        sync.Mutex
	heard     []told
	committed map[uint64]string
	news      chan struct{}
}

func (h *house) configured(hw string) *configs {
	h.t.Helper()
	c := &configs{h: h, n: must[api.Registered](h.t)(h.client.RegisterNode(h.ctx(), api.RegisterRequest{HardwareID: hw, Type: greenhouse.TypePH}, client.Write{})), committed: map[uint64]string{}, news: make(chan struct{}, 1)}
	c.commit(c.n.Node)
	link := must[sim.Link](h.t)(h.mqtt.Dial(h.ctx(), sim.Session{Login: string(c.n.UID), Secret: c.n.Secret, Acked: func(uint64) {}, Receive: c.receive}))
	h.t.Cleanup(func() { link.Close(true) })
	if err := link.Subscribe(h.ctx(), wire.NodeTopic(wire.KindConfig, c.n.UID).String()); err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (c *configs) commit(n api.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.committed[n.Config.DesiredRev] = n.Config.DesiredHash
}

func (c *configs) receive(_ string, payload []byte) {
	m, err := wire.DecodeConfig(payload)
	if err != nil {
		m.Hash = err.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = append(c.heard, told{m.Rev, m.Hash})
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (c *configs) change(interval int) error {
	n, err := c.h.client.EditNode(c.h.ctx(), c.n.UID, api.NodePatch{IntervalS: &interval}, client.Write{})
	if err == nil {
		c.commit(n)
	}
	return err
}

func (c *configs) abandon(interval int) {
	if _, err := c.h.client.EditNode(c.h.ctx(), c.n.UID, api.NodePatch{IntervalS: &interval}, client.Write{DryRun: true}); err != nil {
		c.h.t.Error(err)
	}
}

// settled waits until the newest revision was heard: it must come, without another change.
func (c *configs) settled() ([]told, map[uint64]string, error) {
	n, err := c.h.client.Node(c.h.ctx(), c.n.UID)
	if err != nil {
		return nil, nil, err
	}
	late := time.After(soon)
	for {
		c.mu.Lock()
		heard := c.heard
		c.mu.Unlock()
		if len(heard) > 0 && heard[len(heard)-1].rev == n.Config.DesiredRev {
			return heard, c.committed, nil
		}
		select {
		case <-c.news:
		case <-late:
			return nil, nil, fmt.Errorf("after %v the node has not heard of revision %d: %v", soon, n.Config.DesiredRev, heard)
		}
	}
}

func TestS2WhatIsAnnouncedIsCommittedAndNewest(t *testing.T) {
	broken(t, func() error {
		return claimS2(&oldPublisher{committed: map[uint64]string{}, locks: map[uint32]bool{}})
	})
	broken(t, func() error {
		return claimS2(&oldPublisher{after: true, committed: map[uint64]string{}, locks: map[uint32]bool{}})
	})
	kept(t, func(t *testing.T) error { return claimS2(open(t).configured("a4cf12b3de01")) })
}

// S3: an edit that was confirmed is not overwritten by somebody who did not see it.
type editor interface {
	// add writes a word behind those in a node's name, from the version it reads.
	add(word string) error
	name() string
}

func claimS3(e editor) error {
	const people, words = 6, 5
	err := together(people, func(who int) error {
		for i := range words {
			if err := e.add(fmt.Sprintf("%c%d", 'a'+who, i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	name := e.name()
	for who := range people {
		for i := range words {
			if word := fmt.Sprintf("%c%d", 'a'+who, i); !contains(name, word) {
				return fmt.Errorf("%s was confirmed and is lost: %s", word, name)
			}
		}
	}
	return nil
}

// contains finds a two-letter word.
func contains(name, word string) bool {
	for i := 0; i+2 <= len(name); i += 2 {
		if name[i:i+2] == word {
			return true
		}
	}
	return false
}

// versioned is a row with the version column that was to mend the old design.
type versioned struct {
	name    string
	version int
}

// oldEditor is NodeService with updateWithVersionCheck and its retry, which reads
// the row again for its version and then writes the same data over it.
type oldEditor struct{ table[int, versioned] }

func (e *oldEditor) add(word string) error {
	shown, _ := e.read(1)
	data := shown.name + word // what the person typed, looking at the row
	for {
		statement()
		row, _ := e.read(1) // $node->refresh()
		statement()
		e.mu.Lock()
		if e.rows[1].version == row.version {
			e.rows[1] = versioned{data, row.version + 1}
			e.mu.Unlock()
			return nil
		}
		e.mu.Unlock() // OptimisticLockException, retry
	}
}

func (e *oldEditor) name() string { row, _ := e.read(1); return row.name }

// person edits a node of the daemon. Told that it was changed, they look again.
type person struct {
	h       *house
	uid     greenhouse.UID
	refused func() // a stale edit was
}

func (p *person) add(word string) error {
	for {
		n, err := p.h.client.Node(p.h.ctx(), p.uid)
		if err != nil {
			return err
		}
		name := n.Name + word
		_, err = p.h.client.EditNode(p.h.ctx(), p.uid, api.NodePatch{Name: &name}, client.Write{IfVersion: n.Version})
		e := (*greenhouse.StaleError)(nil)
		if !errors.As(err, &e) {
			return err
		}
		if e.Had != n.Version || e.Have <= e.Had || e.Current == nil {
			return fmt.Errorf("a stale edit was refused without what it is now: %w", err)
		}
		p.refused()
	}
}

func (p *person) name() string {
	n, err := p.h.client.Node(p.h.ctx(), p.uid)
	if err != nil {
		return err.Error()
	}
	return n.Name
}

func TestS3NoConfirmedEditIsLost(t *testing.T) {
	broken(t, func() error {
		return claimS3(&oldEditor{table[int, versioned]{rows: map[int]versioned{1: {}}}})
	})
	kept(t, func(t *testing.T) error {
		h := open(t)
		n := must[api.Registered](t)(h.client.RegisterNode(h.ctx(), api.RegisterRequest{HardwareID: "a4cf12b3de01", Type: greenhouse.TypePH, Name: "n0"}, client.Write{}))
		var mu sync.Mutex
		stale := 0
		if err := claimS3(&person{h, n.UID, func() { mu.Lock(); stale++; mu.Unlock() }}); err != nil {
			return err
		}
		if stale == 0 {
			return errors.New("nobody was ever too late: nothing was shown")
		}
		return nil
	})
}

// S4: a zone never has two ph nodes, whoever assigns them when.
type assigner interface {
	assign(node, zone int) error // an error is a refusal
	inZone(zone int) int
}

func claimS4(a assigner) error {
	const rounds, nodes = 20, 4
	for zone := range rounds {
		given := &table[int, bool]{rows: map[int]bool{}}
		_ = together(nodes, func(i int) error { // refusals are what is hoped for
			if err := a.assign(zone*nodes+i, zone); err != nil {
				return err
			}
			given.write(i, true)
			return nil
		})
		if n, told := a.inZone(zone), given.count(func(ok bool) bool { return ok }); n != 1 || told != 1 {
			return fmt.Errorf("zone %d has %d ph nodes, and %d were told that they are the one", zone, n, told)
		}
	}
	return nil
}

// oldAssigner counts and saves in one transaction of the default isolation.
type oldAssigner struct{ table[int, int] }

func (a *oldAssigner) assign(node, zone int) error {
	if a.inZone(zone) > 0 { // SELECT count(*)
		return errors.New("the zone has a ph node")
	}
	statement()
	a.write(node, zone)
	return nil
}

func (a *oldAssigner) inZone(zone int) int { return a.count(func(z int) bool { return z == zone }) }

// zoned assigns ph nodes of the daemon.
type zoned struct{ h *house }

func (z zoned) uid(node int) greenhouse.UID {
	return greenhouse.MakeUID(greenhouse.TypePH, greenhouse.HardwareID(fmt.Sprintf("ab%04d", node)))
}

func (z zoned) zone(i int) greenhouse.ZoneID { return greenhouse.ZoneID(fmt.Sprintf("z%d", i)) }

func (z zoned) assign(node, zone int) error {
	_, err := z.h.client.AssignNode(z.h.ctx(), z.uid(node), z.zone(zone), client.Write{})
	return err
}

func (z zoned) inZone(zone int) int {
	l, err := z.h.client.Nodes(z.h.ctx(), client.NodeFilter{Zone: z.zone(zone)})
	if err != nil {
		return -1
	}
	return len(l.Items)
}

func TestS4NeverTwoPHNodesInAZone(t *testing.T) {
	broken(t, func() error { return claimS4(&oldAssigner{table[int, int]{rows: map[int]int{}}}) })
	kept(t, func(t *testing.T) error {
		z := zoned{open(t)}
		for i := range 20 {
			must[api.Zone](t)(z.h.client.CreateZone(z.h.ctx(), api.CreateZoneRequest{ID: z.zone(i)}, client.Write{}))
		}
		for i := range 80 {
			must[api.Registered](t)(z.h.client.RegisterNode(z.h.ctx(), api.RegisterRequest{HardwareID: fmt.Sprintf("ab%04d", i), Type: greenhouse.TypePH}, client.Write{}))
		}
		return claimS4(z)
	})
}
