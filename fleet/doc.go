// Package fleet watches over the nodes: whether they are there, and whether they
// run the configuration they should.
//
// # Presence
//
// [Presence] computes whether a node is online from its sessions and its
// heartbeats; nothing of it is stored. A node is online while it has a session
// and was heard within three heartbeats. It is offline a moment after its last
// session ended ([PresenceOptions].Grace, at most 30 s), or after three missed
// heartbeats with the session still open, as happens when a link is half dead. A
// take-over is a new session, and the end of the old one, whenever it comes,
// concerns nobody; a will that arrives late says nothing about a node that has a
// session. Devices behind an adapter have no session: their status alone counts.
//
// [Presence.Changes] returns the nodes whose state changed since the last call,
// for actuation and the event log, at once and undamped. [Presence.Conditions]
// damps: the alarm node_offline needs a lasting absence and clears after a
// lasting presence, and a node that comes and goes raises node_flapping once
// instead. [Propose] says which lifecycle state the registry should give a node.
//
// # Configuration
//
// [Configs] is a level-triggered reconciler. It is told what every node should
// have ([Configs.Sync], after each commit of the registry) and what it says it
// has, and publishes until both agree: at once on a change, then with growing
// pauses. Publishing is paced, so that a thousand nodes changed by one edit do not
// go out in one burst, and nodes that are online go first. A revision older than
// one already handed out is never published. A node that keeps silent, reports
// another hash, or holds a revision that was never given to it raises
// config_drift; one that rejects its configuration raises config_rejected with
// its own words.
//
// # Quarantine
//
// [Pending] keeps who knocks and is not let in: refused logins of devices and
// unknown nodes, refused hellos, messages in the name of unknown nodes, and the
// channels that nodes send and nobody declared. It is memory only: a device that
// wants in knocks again, and a restart that forgets costs nothing.
//
// # Concurrency and bounds
//
// Both types may be used from any goroutine; each has one mutex, which is not held
// while the publisher works. Memory is one small record a node in the registry:
// what is heard of other names goes into the
// quarantine at most, which has 256 records. [Configs.Run] is one goroutine.
// presence.go has no clock: every method takes the time, with its monotonic
// reading, so that a step of the wall clock makes nobody offline.
package fleet
