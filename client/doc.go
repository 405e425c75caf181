// Package client is the typed client of the daemon's HTTP API, over its unix
// socket or over TLS with a bearer token. greenctl and the dashboard use
// nothing else.
//
// # Errors
//
// Whatever goes wrong comes back as an error a person can act on. A problem
// body becomes a *greenhouse.Error of the kind the daemon meant, with its code
// and hint, or a *greenhouse.StaleError with the current record as
// json.RawMessage. No answer at all becomes a *greenhouse.Error of kind
// [greenhouse/api.ErrUnreachable], whose hint says which group owns the socket,
// whether edged runs, or what is wrong with the certificate. An error of the
// caller's context stays what it is.
//
// # Flow
//
// A method fills a path of package api, sends one request and decodes one
// answer. Reads and lists take a filter struct, writes a [Write] that carries
// the version read, the dry run, the reason and the idempotency key; the zero
// value of each is the ordinary case. [All] walks the pages of a list.
//
// # Streams
//
// [Client.WatchEvents] and [Client.WatchLive] are iterators that live as long
// as their context. They yield an error when the connection is lost and go on
// after a growing pause if the caller keeps ranging, so that a screen can show
// the loss and wait; events resume behind the last number seen, so none is
// skipped or repeated. A refusal that will not go away ends them.
//
// # Bounds and concurrency
//
// A Client may be used from any goroutine; it owns a pool of connections and
// starts no goroutine that outlives a call. Ordinary requests end within
// Options.Timeout. An answer is read up to 256 MiB, a message of a stream up to
// 64 MiB; a stream that is silent for a minute counts as lost (the daemon sends
// a comment every 15 s).
package client
