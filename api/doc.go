// Package api holds what clients and the daemon say to each other over HTTP:
// the routes, the shape of every request and response, the problem body that
// carries an error, and the one table that ties an error's kind to an HTTP
// status and to an exit code of greenctl.
//
// It has no behaviour beyond that. The server fills these shapes, the client
// reads them, the dashboard draws them; none of them adds a field of its own.
// JSON names are snake_case and, once released, only ever grow.
//
// # Conventions
//
// Instants are integer milliseconds since the Unix epoch, UTC; 0 means never.
// Ages and durations in answers are seconds. A measured value that is missing,
// because the sensor failed or nothing was ever heard, is null: NaN and the
// infinities never reach JSON. Levels of actuators run from 0 to 1.
//
// A list answers {"items":[…]} and, when there is more, "next": the cursor to
// pass as ?cursor=. Items is never null.
//
// Every record that people edit carries version, created_at and updated_at; the
// version is also the ETag, and an edit names it in If-Match. A stale edit is
// answered 412 with the record as it is now in "current". PATCH takes a JSON
// merge patch (RFC 7396) of the record's Spec type: a null takes the default
// again, an unknown field is refused by name. A PATCH without If-Match is
// refused; "If-Match: *" says that overwriting is meant. Every operation on a record
// honours it ([Route].Versioned); those that make something have no version to
// compare and refuse one. A stale edit also brings in "changes" what others did to
// the record since. The version of a point covers the level set on it by hand.
//
// Any write takes ?dry_run=true: the transaction is run, its result answered
// and nothing kept. Any POST takes an Idempotency-Key: the same key of the same
// caller with the same request is answered the first time's answer.
//
// # Flow
//
// greenctl and the dashboard → client → HTTP (unix socket, or TLS with a bearer
// token) → server → the rooms. Errors travel as [Problem]: [FromError] makes
// one from any error, [Problem.Err] turns it back into the same kind of error,
// so that errors.Is(err, greenhouse.ErrConflict) reads the same on both sides.
//
// Nothing here starts a goroutine, reads a clock or keeps state; every value
// may be copied, and functions may be called from anywhere.
package api
