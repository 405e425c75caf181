package greenhouse

import (
	"encoding/json"
	"errors"
	"fmt"
)

// The five kinds of failure a caller can act on. Every error that leaves a room
// wraps at most one of them; an error that wraps none is a fault of ours.
// One table each maps them to HTTP statuses (server) and exit codes (greenctl).
var (
	// ErrInvalid: the request itself is wrong and will be wrong again.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound: what was named does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a rule, or an edit made meanwhile by someone else, forbids the change.
	ErrConflict = errors.New("conflict")
	// ErrUnavailable: it cannot be done now and may be later.
	ErrUnavailable = errors.New("unavailable")
	// ErrForbidden: not allowed to this caller, or refused by the safety envelope.
	ErrForbidden = errors.New("forbidden")
)

// Error is a failure told in three parts: what happened, of which kind, and
// what the person can do about it.
type Error struct {
	Kind error  // one of the Err values of this package
	Code string // stable identifier in snake_case, e.g. "zone_has_points"
	What string // one sentence without a final dot
	Hint string // what to do next; may be empty
}

// Error returns the sentence.
func (e *Error) Error() string { return e.What }

// Unwrap returns the kind, so errors.Is(err, ErrConflict) works.
func (e *Error) Unwrap() error { return e.Kind }

// WithHint returns the error with what to do next.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Invalid makes an [Error] of kind [ErrInvalid].
func Invalid(code, format string, args ...any) *Error {
	return &Error{Kind: ErrInvalid, Code: code, What: fmt.Sprintf(format, args...)}
}

// NotFound makes an [Error] of kind [ErrNotFound], e.g. NotFound("zone", "north").
func NotFound(noun, id string) *Error {
	return &Error{Kind: ErrNotFound, Code: noun + "_not_found", What: fmt.Sprintf("there is no %s %q", noun, id)}
}

// Conflict makes an [Error] of kind [ErrConflict] for a broken rule; a stale
// version is a [StaleError].
func Conflict(code, format string, args ...any) *Error {
	return &Error{Kind: ErrConflict, Code: code, What: fmt.Sprintf(format, args...)}
}

// Unavailable makes an [Error] of kind [ErrUnavailable].
func Unavailable(code, format string, args ...any) *Error {
	return &Error{Kind: ErrUnavailable, Code: code, What: fmt.Sprintf(format, args...)}
}

// Forbidden makes an [Error] of kind [ErrForbidden].
func Forbidden(code, format string, args ...any) *Error {
	return &Error{Kind: ErrForbidden, Code: code, What: fmt.Sprintf(format, args...)}
}

// StaleError says that a record changed since the caller read it. Current is
// the record as it is now, for a readable difference, and Changes what was done
// to it since, oldest first, as far as that is known. It wraps [ErrConflict].
type StaleError struct {
	Noun    string // "node", "zone", "point"
	ID      string
	Had     uint64 // the version the caller named
	Have    uint64 // the version stored now
	Current any    // the record as stored
	Changes []Change
}

// Change is one edit of a record, as the journal tells it: the fields that
// differed, as they were and as they became.
type Change struct {
	TS     Millis                     `json:"ts"`
	Code   string                     `json:"code"` // of the event, e.g. "node_edited"
	Actor  string                     `json:"actor"`
	Before map[string]json.RawMessage `json:"before,omitempty"`
	After  map[string]json.RawMessage `json:"after,omitempty"`
}

// Error names the record and both versions.
func (e *StaleError) Error() string {
	return fmt.Sprintf("%s %s was changed by someone else (you had version %d, it is %d)", e.Noun, e.ID, e.Had, e.Have)
}

// Unwrap returns [ErrConflict].
func (e *StaleError) Unwrap() error { return ErrConflict }
