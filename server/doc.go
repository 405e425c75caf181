// Package server answers the HTTP API of package api: on the unix socket, where
// the peer is admin, and on TLS, where a bearer token carries a role.
//
// # A request's way
//
// The wrapper around all routes (http.go) recovers from panics, refuses pages
// of other sites and unknown host names, finds out who asks (auth.go), looks
// the route up in the one access table, api.Routes, and takes one request from
// the token's rate. The route (mount.go, over huma) decodes strictly, runs its
// handler and turns any error into a problem body.
//
// A read is made from the registry in memory, the latest values and the
// verdicts: no lock of a writer is waited for. A write (change.go) is one
// transaction of the registry: rules, change and the event of the audit — who,
// from where, why, before and after — are committed together or not at all. A
// dry run is the same transaction, taken back. An idempotency key is looked up
// and stored in it, so that a repeated request has one effect.
//
// What must follow a change (publishing a configuration, closing a session,
// stopping equipment) is done after the commit by those who watch the registry,
// or here through the small interfaces of [Deps]. The emergency stop is the
// other way round: equipment first, disk second.
//
// # Streams
//
// /v1/events reads the journal from a number on and waits for commits: nothing
// is skipped, and a client resumes with Last-Event-ID. /v1/live looks at the
// state once an interval and sends what changed since the last look: what is
// overtaken is skipped. A stream owns nothing that a writer waits for. A write
// to a client that takes longer than 10 s ends that stream, and so does the end
// of the token it was opened with, by its time or by its being revoked.
//
// # Bounds
//
// Headers 16 KiB and 5 s, bodies 1 MiB and 30 s, an ordinary answer 60 s; 1,024
// connections a listener, 64 an address; 64 event and 32 live streams; lists of 10,000 items,
// histories of 100,000 samples; a token 50 requests a second; ten wrong tokens
// a minute from one address, after which wrong ones are answered 429; good ones are let in.
// One caller at a time verifies the event log. Metrics have no label whose values grow with the
// greenhouse.
//
// # Concurrency
//
// A Server is safe for any number of requests. Close ends streams, waits for
// requests until its context ends, then drops them.
package server
