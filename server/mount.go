package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"greenhouse"
	"greenhouse/api"
)

// WriteParams are the parameters that every write takes.
type WriteParams struct {
	IfMatch string `header:"If-Match" doc:"the version read, as in ETag; * overwrites"`
	DryRun  bool   `query:"dry_run" doc:"run it and keep nothing"`
	Key     string `header:"Idempotency-Key" doc:"makes repeating the request harmless"`
	Reason  string `header:"Greenhouse-Reason" doc:"why, for the audit; percent-encoded"`
}

// PageParams are the parameters that every list takes.
type PageParams struct {
	Limit  int    `query:"limit" doc:"items, at most 10000"`
	Cursor string `query:"cursor" doc:"next of the page before"`
}

// UIDParam is the node of a path.
type UIDParam struct {
	UID string `path:"uid" doc:"of the node, e.g. ph-a4cf12b3de01"`
}

// IDParam is the record of a path.
type IDParam struct {
	ID string `path:"id"`
}

// NameParam is the account or token of a path.
type NameParam struct {
	Name string `path:"name"`
}

// none is the input of an operation without parameters.
type none struct{}

// out is an answer with the headers of this API.
type out[T any] struct {
	ETag     string `header:"ETag" doc:"the version, to be named in If-Match"`
	Replayed string `header:"Idempotency-Replayed" doc:"true: answered before under the same key"`
	DryRun   string `header:"Greenhouse-Dry-Run" doc:"true: nothing was kept"`
	Body     T
}

// streamed is an answer that the handler writes itself.
type streamed struct {
	Body func(huma.Context)
}

// answerOf describes a JSON answer that the handler writes itself.
func answerOf[T any](m *mount) func(*huma.Operation) {
	return func(op *huma.Operation) {
		schema := m.api.OpenAPI().Components.Schemas.Schema(typeOf[T](), true, "Answer")
		op.Responses["200"] = &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
	}
}

// mount is the API under construction.
type mount struct {
	s      *Server
	api    huma.API
	routes map[string]api.Route // not mounted yet
	err    error
}

// newMount describes the API to huma. Bodies are decoded by decodeStrict, which
// refuses more than a schema can say, and errors become problems of this API.
func newMount(s *Server, mux *http.ServeMux, schemas huma.Registry) *mount {
	format := huma.Format{
		Marshal:   func(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) },
		Unmarshal: decodeForHuma,
	}
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "edged", Version: s.version.Version, Description: "The greenhouse daemon. Times are milliseconds since 1970, UTC; a missing value is null; errors are RFC 9457 problems with a code and a hint."},
			Components: &huma.Components{
				Schemas:         schemas,
				SecuritySchemes: map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer", Description: "Not needed on the unix socket, whose peer is admin."}},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{problemOf},
	}
	m := &mount{s: s, api: humago.New(mux, config), routes: map[string]api.Route{}}
	for _, r := range api.Routes() {
		m.routes[r.ID] = r
	}
	return m
}

// handle mounts one operation of the access table.
func handle[I, O any](m *mount, id string, h func(context.Context, *I) (*O, error), change ...func(*huma.Operation)) {
	r, ok := m.routes[id]
	if !ok {
		m.err = errors.Join(m.err, errors.New("mount "+id+": it is not in the table of routes, or mounted twice"))
		return
	}
	delete(m.routes, id)
	op := huma.Operation{
		OperationID: id, Method: r.Method, Path: r.Path, Summary: r.What, Description: roleText(r),
		Tags: []string{tag(r.Path)}, SkipValidateBody: true, MaxBodyBytes: maxBody + 1, BodyReadTimeout: bodyTimeout,
		Security: []map[string][]string{{"token": {}}}, Responses: m.problems(),
	}
	for _, c := range change {
		c(&op)
	}
	huma.Register(m.api, op, func(ctx context.Context, in *I) (*O, error) {
		if w, ok := any(in).(interface{ unversioned() error }); ok && !r.Versioned && !r.Stop {
			if err := w.unversioned(); err != nil {
				return nil, m.s.fail(ctx, id, err)
			}
		}
		o, err := h(ctx, in)
		if err != nil {
			return nil, m.s.fail(ctx, id, err)
		}
		return o, nil
	})
}

// problems describes every answer that is no success.
func (m *mount) problems() map[string]*huma.Response {
	schema := m.api.OpenAPI().Components.Schemas.Schema(typeOf[api.Problem](), true, "Problem")
	return map[string]*huma.Response{"default": {
		Description: "A problem (RFC 9457)",
		Content:     map[string]*huma.MediaType{api.ProblemType: {Schema: schema}},
	}}
}

func roleText(r api.Route) string {
	text := "Needs the role " + string(r.Role) + "."
	if r.Role == api.RoleNone {
		text = "Needs no credential."
	}
	if r.Demo {
		text += " Served by edged demo only."
	}
	return text
}

// tag groups operations by their noun.
func tag(path string) string {
	noun, _, _ := strings.Cut(strings.TrimPrefix(path, "/v1/"), "/")
	return noun
}

// statusError is a problem as huma wants it.
type statusError struct{ *api.Problem }

// GetStatus returns the HTTP status.
func (e statusError) GetStatus() int { return e.Status }

// ContentType returns the media type of problems.
func (e statusError) ContentType(string) string { return api.ProblemType }

// fail makes the answer for an error of a handler.
func (s *Server) fail(ctx context.Context, id string, err error) error {
	p := api.FromError(err, "")
	switch {
	case p.Status == http.StatusForbidden:
		s.metrics.refused.Inc()
	case id == "ready": // not being ready is an answer, not a failure
	case p.Status == http.StatusServiceUnavailable && ctx.Err() == nil: // it may work a moment later
		s.log.Warn("operation refused", "operation", id, "error", err)
	case p.Status >= 500 && ctx.Err() == nil:
		s.log.Error("operation failed", "operation", id, "error", err)
	}
	return statusError{p}
}

// problemOf turns what huma itself refuses into a problem of this API.
func problemOf(ctx huma.Context, _ string, v any) (any, error) {
	path := ctx.URL().Path
	switch e := v.(type) {
	case statusError:
		e.Instance = path
		return e, nil
	case *huma.ErrorModel:
		return humaProblem(e, path), nil
	}
	return v, nil
}

func humaProblem(e *huma.ErrorModel, path string) *api.Problem {
	status, code, detail := e.Status, "request_invalid", e.Detail
	switch status {
	case http.StatusUnprocessableEntity:
		status, detail = http.StatusBadRequest, "the request is wrong"
	case http.StatusRequestEntityTooLarge:
		code, detail = "body_too_large", "the body is larger than 1 MiB"
	case http.StatusRequestTimeout:
		code, detail = "body_slow", "the body did not come within 30 s"
	case http.StatusBadRequest:
		code, detail = "body_invalid", "the body is empty: it must be an object {…}"
	case http.StatusInternalServerError:
		status, code, detail = http.StatusBadRequest, "body_unreadable", "the body could not be read"
	}
	p := api.NewProblem(status, code, detail)
	p.Instance = path
	for _, d := range e.Errors {
		p.Errors = append(p.Errors, api.FieldError{Field: d.Location, Message: d.Message})
	}
	if len(p.Errors) == 1 { // one wrong field is the whole story
		p.Detail, p.Errors = p.Errors[0].Field+": "+p.Errors[0].Message, nil
		if what, code, hint, ok := unpack(e.Errors[0].Message); ok {
			p.Detail, p.Code, p.Hint = what, code, hint
		}
	}
	return p
}

// packed carries an error through huma, which keeps nothing of it but its text.
type packed struct{ e *greenhouse.Error }

// Error returns all three parts, separated by NUL.
func (e packed) Error() string { return e.e.What + "\x00" + e.e.Code + "\x00" + e.e.Hint }

// unpack takes them apart again.
func unpack(text string) (what, code, hint string, ok bool) {
	parts := strings.Split(text, "\x00")
	if len(parts) != 3 {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}

// decodeForHuma is decodeStrict with errors that survive the way through huma.
func decodeForHuma(data []byte, v any) error {
	err := decodeStrict(data, v)
	var own *greenhouse.Error
	if errors.As(err, &own) {
		return packed{own}
	}
	return err
}

// etag writes a version as an entity tag.
func etag(version uint64) string { return `"` + strconv.FormatUint(version, 10) + `"` }

// unversioned refuses a version where there is none to compare it with: ignoring
// it would let the caller believe that it was.
func (w *WriteParams) unversioned() error {
	if tag := strings.TrimSpace(w.IfMatch); tag == "" || tag == "*" {
		return nil
	}
	return greenhouse.Invalid("if_match_unused", "this operation changes no record that has a version: If-Match %s means nothing to it", w.IfMatch).WithHint("leave it out")
}

// version reads If-Match: 0 for none or *, which check nothing. A write that
// replaces fields must say which version it read, or that it overwrites.
func (w *WriteParams) version(required bool) (uint64, error) {
	tag := strings.TrimSpace(w.IfMatch)
	switch {
	case tag == "" && required:
		p := api.NewProblem(http.StatusPreconditionRequired, "if_match_missing", "an edit must name the version it read")
		p.Hint = "send If-Match with the ETag of the record, or * to overwrite"
		return 0, p
	case tag == "" || tag == "*":
		return 0, nil
	}
	n, err := strconv.ParseUint(strings.Trim(strings.TrimPrefix(tag, "W/"), `"`), 10, 64)
	if err != nil || n == 0 {
		return 0, greenhouse.Invalid("if_match_invalid", "If-Match %s is no version", tag).WithHint(`send the ETag of the record, e.g. If-Match: "3"`)
	}
	return n, nil
}
