package fleet

import (
	"fmt"
	"sync"
	"time"

	"greenhouse"
)

// PresenceOptions say how presence is judged. The zero value is that of the wire
// contract.
type PresenceOptions struct {
	Heartbeat time.Duration // between two statuses of a node; 0: 30 s
	Missed    int           // heartbeats missed before a node is offline; 0: 3
	Grace     time.Duration // from the end of the last session to offline, at most 30 s; 0: 10 s
	Alarm     time.Duration // offline that long before node_offline; 0: 60 s
	Calm      time.Duration // online that long before node_offline clears; 0: 30 s
	FlapTimes int           // absences within FlapTime that make a node flap; 0: 5
	FlapTime  time.Duration // and without any, it no longer does; 0: 10 min
}

func (o PresenceOptions) defaults() PresenceOptions {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&o.Heartbeat, 30*time.Second)
	set(&o.Grace, 10*time.Second)
	set(&o.Alarm, time.Minute)
	set(&o.Calm, 30*time.Second)
	set(&o.FlapTime, 10*time.Minute)
	o.Grace = min(o.Grace, 30*time.Second)
	if o.Missed <= 0 {
		o.Missed = 3
	}
	if o.FlapTimes <= 0 {
		o.FlapTimes = 5
	}
	return o
}

// silence returns how long a node may be silent and online.
func (o PresenceOptions) silence() time.Duration { return time.Duration(o.Missed) * o.Heartbeat }

// Change is a node that came or went.
type Change struct {
	UID    greenhouse.UID
	Online bool
	At     time.Time // when it was noticed
	Cause  string    // "session", "status", "session_ended", "silence", "will"
}

// Presence keeps who is there. Make one with [NewPresence].
type Presence struct {
	o       PresenceOptions
	started time.Time

	mu      sync.Mutex
	nodes   map[greenhouse.UID]*presence
	changed []Change
}

// presence is what is known of one node.
type presence struct {
	session time.Time // when the present session was opened, which names it; zero: none
	ended   time.Time // when the last session ended, while there is none
	heard   time.Time // last sign of life in this run; zero: none
	last    greenhouse.Millis
	direct  bool      // has or had a session of its own; else an adapter speaks for it
	will    bool      // said that it goes, or was said to be gone, without a session
	online  bool      // as told by Changes
	since   time.Time // of online
	expect  bool      // absence is worth an alarm
	lost    []time.Time
	alarm   bool
	raised  bool // told at least once
	loud    bool // alarmed once, so that it clears
	flaps   bool // as of the last look
}

// NewPresence returns the presence of no nodes at now: [Presence.Sync] names them.
func NewPresence(o PresenceOptions, now time.Time) *Presence {
	return &Presence{o: o.defaults(), started: now, nodes: map[greenhouse.UID]*presence{}}
}

// Sync takes the nodes of the registry. Those in a zone and at work are expected;
// the absence of one that is new, set aside or decommissioned alarms nobody.
func (p *Presence) Sync(nodes map[greenhouse.UID]*greenhouse.Node, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for uid, n := range nodes {
		e := p.nodes[uid]
		if e == nil {
			e = &presence{since: now}
			p.nodes[uid] = e
		}
		e.expect = n.State == greenhouse.NodeAssigned || n.State == greenhouse.NodeActive || n.State == greenhouse.NodeDegraded
	}
	for uid := range p.nodes {
		if nodes[uid] == nil {
			delete(p.nodes, uid)
		}
	}
}

// Seen gives the time a node was last heard in an earlier run.
func (p *Presence) Seen(uid greenhouse.UID, at greenhouse.Millis) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.nodes[uid]; e != nil && e.last < at {
		e.last = at
	}
}

// Opened notes a session of a node, named by the time it was opened. It replaces
// the one before.
func (p *Presence) Opened(uid greenhouse.UID, opened time.Time) {
	p.update(uid, opened, func(e *presence) string {
		if !e.session.IsZero() && opened.Before(e.session) {
			return ""
		}
		if !e.session.IsZero() {
			p.flapped(e, opened)
		}
		e.session, e.ended, e.will, e.direct = opened, time.Time{}, false, true
		e.hear(opened)
		return "session"
	})
}

// Closed notes the end of the session opened at that time. The end of another
// one than the present one, after a take-over, says nothing.
func (p *Presence) Closed(uid greenhouse.UID, opened, now time.Time) {
	p.update(uid, now, func(e *presence) string {
		if e.session.Equal(opened) {
			e.session, e.ended = time.Time{}, now
			p.flapped(e, now)
		}
		return "session_ended"
	})
}

// Left is [Presence.Closed] for a node that took its leave: one that sleeps
// between its readings, or a person at the bench, comes and goes and does not flap.
func (p *Presence) Left(uid greenhouse.UID, opened, now time.Time) {
	p.update(uid, now, func(e *presence) string {
		if e.session.Equal(opened) {
			e.session, e.ended = time.Time{}, now
		}
		return "session_ended"
	})
}

// Status notes a heartbeat, or with online false a will or a farewell. One of a
// node that has a session changes nothing: the end of the session will.
func (p *Presence) Status(uid greenhouse.UID, online bool, now time.Time) {
	p.update(uid, now, func(e *presence) string {
		if online {
			e.will = false
			e.hear(now)
			return "status"
		}
		e.will = e.session.IsZero()
		return "will"
	})
}

// Heard notes any other message of a node.
func (p *Presence) Heard(uid greenhouse.UID, now time.Time) {
	p.update(uid, now, func(e *presence) string {
		if !e.will {
			e.hear(now)
		}
		return "status"
	})
}

func (e *presence) hear(now time.Time) {
	if now.After(e.heard) {
		e.heard, e.last = now, greenhouse.MillisOf(now)
	}
}

// update applies one sign to a known node and notes whether it came or went.
func (p *Presence) update(uid greenhouse.UID, now time.Time, sign func(*presence) (cause string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.nodes[uid]
	if e == nil {
		return
	}
	if cause := sign(e); cause != "" {
		p.judge(uid, e, cause, now)
	}
}

// judge notes a change of a node's state.
func (p *Presence) judge(uid greenhouse.UID, e *presence, cause string, now time.Time) {
	online := p.online(e, now)
	if online == e.online {
		return
	}
	switch {
	case online:
	case e.will:
		cause = "will"
	case !e.session.IsZero() || !e.direct:
		cause = "silence"
		p.flapped(e, now)
	}
	e.online, e.since = online, now
	p.changed = append(p.changed, Change{UID: uid, Online: online, At: now, Cause: cause})
}

// online is the rule.
func (p *Presence) online(e *presence, now time.Time) bool {
	switch {
	case e.heard.IsZero() || e.will || now.Sub(e.heard) >= p.o.silence():
		return false
	case e.direct && e.session.IsZero():
		return now.Sub(e.ended) < p.o.Grace
	}
	return true
}

// flapped notes an absence, however short.
func (p *Presence) flapped(e *presence, now time.Time) {
	if len(e.lost) >= p.o.FlapTimes {
		copy(e.lost, e.lost[1:])
		e.lost = e.lost[:len(e.lost)-1]
	}
	e.lost = append(e.lost, now)
}

// flapping reports whether a node comes and goes.
func (p *Presence) flapping(e *presence, now time.Time) bool {
	return len(e.lost) >= p.o.FlapTimes && now.Sub(e.lost[0]) < p.o.FlapTime
}

// Online returns whether a node is online and when it was last heard, 0 for never.
func (p *Presence) Online(uid greenhouse.UID, now time.Time) (bool, greenhouse.Millis) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.nodes[uid]
	if e == nil {
		return false, 0
	}
	return p.online(e, now), e.last
}

// Count returns how many nodes are known and how many of them are online.
func (p *Presence) Count(now time.Time) (known, online int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.nodes {
		if p.online(e, now) {
			online++
		}
	}
	return len(p.nodes), online
}

// Changes returns who came and went since the last call, in order. Call it every
// second: the passing of time alone takes nodes offline.
func (p *Presence) Changes(now time.Time) []Change {
	p.mu.Lock()
	defer p.mu.Unlock()
	for uid, e := range p.nodes {
		p.judge(uid, e, "session_ended", now)
	}
	out := p.changed
	p.changed = nil
	return out
}

// Conditions appends the alarm conditions of the nodes to dst: all of them for a
// node that is new, then those that hold and those that held before.
func (p *Presence) Conditions(dst []greenhouse.Condition, now time.Time) []greenhouse.Condition {
	p.mu.Lock()
	defer p.mu.Unlock()
	for uid, e := range p.nodes {
		flapping := e.expect && p.flapping(e, now)
		e.flaps = flapping
		p.damp(e, now)
		if e.raised && !e.alarm && !flapping && !e.loud {
			continue
		}
		e.raised, e.loud = true, e.alarm || flapping || e.loud
		source := greenhouse.NodeSource(uid)
		dst = append(dst,
			greenhouse.Condition{Source: source, Code: "node_offline", Severity: greenhouse.Warning, Active: e.alarm, Text: p.offlineText(uid, e, now)},
			greenhouse.Condition{Source: source, Code: "node_flapping", Severity: greenhouse.Warning, Active: flapping,
				Text: fmt.Sprintf("node %s came and went %d times in %s", uid, len(e.lost), p.o.FlapTime)})
	}
	return dst
}

// damp moves the alarm of one node: not at the first absence, and not back at the
// first sign of life.
func (p *Presence) damp(e *presence, now time.Time) {
	since := e.since
	if since.Before(p.started) {
		since = p.started
	}
	online := p.online(e, now)
	switch {
	case !e.expect:
		e.alarm = false
	case !online && !e.online && now.Sub(since) >= p.o.Alarm:
		e.alarm = true
	case online && e.online && now.Sub(since) >= p.o.Calm:
		e.alarm = false
	}
}

func (p *Presence) offlineText(uid greenhouse.UID, e *presence, now time.Time) string {
	if e.last == 0 {
		return fmt.Sprintf("node %s has not been heard yet", uid)
	}
	return fmt.Sprintf("node %s has been silent for %s", uid, greenhouse.MillisOf(now).Sub(e.last).Round(time.Second))
}

// Health is what decides about the lifecycle of a node.
type Health struct {
	Heard    bool   // in this run
	Flapping bool   // it comes and goes
	Offline  bool   // for longer than damping allows
	Trouble  string // of its configuration, "" for none
}

// Health returns the health of a node but for its configuration, as of the last
// call of [Presence.Conditions].
func (p *Presence) Health(uid greenhouse.UID) Health {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.nodes[uid]
	if e == nil {
		return Health{}
	}
	return Health{Heard: !e.heard.IsZero(), Offline: e.alarm, Flapping: e.flaps}
}

// Propose returns the lifecycle state a node should be given, and why; ok is
// false if it is right as it is. Only the step from assigned to active and those
// between active and degraded are proposed: people make all others.
func Propose(state greenhouse.NodeState, h Health) (to greenhouse.NodeState, reason string, ok bool) {
	bad := h.Trouble
	switch {
	case h.Offline:
		bad = "offline"
	case bad == "" && h.Flapping:
		bad = "flapping"
	}
	switch {
	case state == greenhouse.NodeAssigned && h.Heard && !h.Offline:
		return greenhouse.NodeActive, "heard", true
	case state == greenhouse.NodeActive && bad != "":
		return greenhouse.NodeDegraded, bad, true
	case state == greenhouse.NodeDegraded && bad == "" && h.Heard:
		return greenhouse.NodeActive, "recovered", true
	}
	return state, "", false
}
