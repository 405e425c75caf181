package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"greenhouse"
)

// ErrUnreachable says that no daemon answered: the socket is missing or
// refused, the host is away, or TLS did not come about. The error around it is
// a *greenhouse.Error with a hint.
var ErrUnreachable = errors.New("daemon unreachable")

// ProblemType is the media type of an error body (RFC 9457).
const ProblemType = "application/problem+json"

// Problem is the body of every answer with a status of 400 and above.
type Problem struct {
	Type     string          `json:"type"`               // always "about:blank": code tells the problems apart
	Title    string          `json:"title"`              // the status in words
	Status   int             `json:"status"`             // the HTTP status
	Detail   string          `json:"detail"`             // one sentence: what is wrong
	Instance string          `json:"instance,omitempty"` // the path asked for
	Code     string          `json:"code"`               // stable, snake_case
	Hint     string          `json:"hint,omitempty"`     // what to do next
	Errors   []FieldError    `json:"errors,omitempty"`   // field by field, where several are wrong
	Noun     string          `json:"noun,omitempty"`     // stale edits: what was edited: node, zone, point, site
	ID       string          `json:"id,omitempty"`       // stale edits: which one
	Had      uint64          `json:"had,omitempty"`      // stale edits: the version the caller named
	Have     uint64          `json:"have,omitempty"`     // stale edits: the version stored
	Current  json.RawMessage `json:"current,omitempty"`  // stale edits: the record as it is now
	Changes  []Change        `json:"changes,omitempty"`  // stale edits: what was done to it since, oldest first, as far as the journal tells
}

// Change is one edit of a record: what differed before and after it.
type Change = greenhouse.Change

// FieldError is one field that is wrong.
type FieldError struct {
	Field   string `json:"field"` // e.g. "body.targets.heating.day" or "query.step"
	Message string `json:"message"`
}

// Error returns the sentence.
func (p *Problem) Error() string { return p.Detail }

// kindRow ties a kind of error to its status and exit code.
type kindRow struct {
	kind   error
	status int
	exit   int
	code   string // used where the error names no code of its own
}

// kinds is the table of page 4: kind, HTTP status, exit code of greenctl. A
// stale version is a conflict too, but answered 412.
func kinds() []kindRow {
	return []kindRow{
		{greenhouse.ErrInvalid, http.StatusBadRequest, ExitInvalid, "invalid"},
		{ErrUnreachable, http.StatusBadGateway, ExitUnreachable, "unreachable"},
		{greenhouse.ErrNotFound, http.StatusNotFound, ExitNotFound, "not_found"},
		{greenhouse.ErrConflict, http.StatusConflict, ExitConflict, "conflict"},
		{greenhouse.ErrUnavailable, http.StatusServiceUnavailable, ExitUnavailable, "unavailable"},
		{greenhouse.ErrForbidden, http.StatusForbidden, ExitRefused, "forbidden"},
	}
}

// The exit codes of greenctl.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitInvalid     = 2 // usage, or the request is wrong
	ExitUnreachable = 3
	ExitNotFound    = 4
	ExitConflict    = 5 // a rule, or a stale version
	ExitUnavailable = 6
	ExitRefused     = 7 // not allowed, or refused by the safety envelope
	ExitInterrupted = 130
)

// ExitCode returns the exit code for err: 0 for nil, 130 where the person
// interrupted, 1 for an error of no known kind.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	for _, k := range kinds() {
		if errors.Is(err, k.kind) {
			return k.exit
		}
	}
	if errors.Is(err, context.Canceled) {
		return ExitInterrupted
	}
	return ExitFailed
}

// StatusOf returns the HTTP status for err, 500 for an error of no known kind.
func StatusOf(err error) int {
	if p := (*Problem)(nil); errors.As(err, &p) {
		return p.Status
	}
	if s := (*greenhouse.StaleError)(nil); errors.As(err, &s) {
		return http.StatusPreconditionFailed
	}
	for _, k := range kinds() {
		if errors.Is(err, k.kind) {
			return k.status
		}
	}
	return http.StatusInternalServerError
}

// kindOf returns the kind that an HTTP status stands for, nil for none. It is
// the table read backwards, with the statuses that HTTP itself adds.
func kindOf(status int) error {
	switch status {
	case http.StatusUnauthorized:
		return greenhouse.ErrForbidden
	case http.StatusPreconditionFailed:
		return greenhouse.ErrConflict
	case http.StatusTooManyRequests, http.StatusGatewayTimeout:
		return greenhouse.ErrUnavailable
	}
	for _, k := range kinds() {
		if k.status == status {
			return k.kind
		}
	}
	if status >= 400 && status < 500 {
		return greenhouse.ErrInvalid
	}
	return nil
}

// FromError makes the body for err, asked for at path. An error of no known
// kind is a fault of ours: its text stays in the daemon's log.
func FromError(err error, path string) *Problem {
	if p := (*Problem)(nil); errors.As(err, &p) {
		q := *p
		q.Instance = path
		return &q
	}
	status := StatusOf(err)
	p := NewProblem(status, "internal", "something went wrong inside edged")
	p.Instance = path
	if status == http.StatusInternalServerError {
		p.Hint = "the daemon's log has the details: journalctl -u edged"
		return p
	}
	p.Detail, p.Code = err.Error(), codeOf(err)
	if e := (*greenhouse.Error)(nil); errors.As(err, &e) {
		p.Hint = e.Hint
		if e.Code != "" {
			p.Code = e.Code
		}
	}
	if s := (*greenhouse.StaleError)(nil); errors.As(err, &s) {
		p.stale(s)
	}
	return p
}

// NewProblem returns a problem with its title filled in.
func NewProblem(status int, code, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// stale fills in what a lost race for an edit tells.
func (p *Problem) stale(s *greenhouse.StaleError) {
	p.Code, p.Noun, p.ID, p.Had, p.Have = "version_stale", s.Noun, s.ID, s.Had, s.Have
	if raw, err := json.Marshal(s.Current); err == nil && s.Current != nil {
		p.Current = raw
	}
	p.Changes = s.Changes
	if p.Hint == "" {
		p.Hint = "greenctl " + s.Noun + " get " + s.ID + " and try again"
	}
}

// codeOf returns the code of an error's kind.
func codeOf(err error) string {
	for _, k := range kinds() {
		if errors.Is(err, k.kind) {
			return k.code
		}
	}
	return "internal"
}

// Err turns the body back into the error it was made from: a
// *greenhouse.StaleError (with Current as json.RawMessage) for a stale edit,
// else a *greenhouse.Error of the same kind, code and hint. For a fault of the
// daemon the kind is nil.
func (p *Problem) Err() error {
	if p.Status == http.StatusPreconditionFailed && p.Have != 0 {
		s := &greenhouse.StaleError{Noun: p.Noun, ID: p.ID, Had: p.Had, Have: p.Have, Changes: p.Changes}
		if len(p.Current) > 0 {
			s.Current = p.Current
		}
		return s
	}
	what := p.Detail
	if what == "" {
		what = "the daemon answered " + p.Title
	}
	for i, f := range p.Errors {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		what += sep + f.Field + " " + f.Message
	}
	return &greenhouse.Error{Kind: kindOf(p.Status), Code: p.Code, What: what, Hint: p.Hint}
}
