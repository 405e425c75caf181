package server

import (
	"errors"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"greenhouse"
	"greenhouse/api"
)

// patchOf describes the body of a merge patch, which is read as bytes.
func patchOf[T any](m *mount) func(*huma.Operation) {
	return func(op *huma.Operation) {
		schema := m.api.OpenAPI().Components.Schemas.Schema(typeOf[T](), true, "Patch")
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			api.MergePatch: {Schema: schema}, "application/json": {Schema: schema},
		}}
	}
}

// seconds reads a length of time in seconds: 0 is the usual one.
func seconds(name string, n, usual, most int64) (time.Duration, error) {
	if n == 0 {
		n = usual
	}
	if n < 0 || n > most {
		return 0, greenhouse.Invalid("duration_invalid", "%s is %d: it takes 1 to %d seconds", name, n, most)
	}
	return time.Duration(n) * time.Second, nil
}

// position reads a cursor that is a position in a list.
func (p PageParams) position() (int, error) {
	text, err := p.after()
	if err != nil || text == "" {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, greenhouse.Invalid("cursor_invalid", "the cursor is none of ours").WithHint("pass next of the page before, as it was")
	}
	return n, nil
}

// showStale shows the current record, a T, in the error of a stale edit as the
// API shows it elsewhere.
func showStale[T, V any](err error, show func(*T) V) error {
	var stale *greenhouse.StaleError
	if !errors.As(err, &stale) {
		return err
	}
	shown := *stale
	if cur, ok := stale.Current.(T); ok {
		shown.Current = show(&cur)
	}
	return &shown
}

// SpanParams are a stretch of time; see api.ParseTime for the forms.
type SpanParams struct {
	From string `query:"from" doc:"inclusive: RFC 3339, 2h (ago), today, yesterday or milliseconds; a day ago if absent"`
	To   string `query:"to" doc:"exclusive; now if absent"`
}

// span reads a stretch of time, usually the last day.
func (s *Server) span(p SpanParams) (from, to greenhouse.Millis, err error) {
	now := s.now()
	loc := s.location()
	end, begin := now.Add(time.Millisecond), now.Add(-24*time.Hour)
	if p.To != "" {
		if end, err = api.ParseTime(p.To, now, loc); err != nil {
			return 0, 0, err
		}
	}
	if p.From != "" {
		if begin, err = api.ParseTime(p.From, now, loc); err != nil {
			return 0, 0, err
		}
	} else if p.To != "" {
		begin = end.Add(-24 * time.Hour)
	}
	if begin.After(end) {
		return 0, 0, greenhouse.Invalid("span_invalid", "from (%s) is after to (%s)", begin.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339))
	}
	return greenhouse.MillisOf(begin), greenhouse.MillisOf(end), nil
}

// location returns the site's time zone, UTC while it has none.
func (s *Server) location() *time.Location {
	loc, err := time.LoadLocation(s.Store.Registry().Site.TimeZone)
	if err != nil {
		return time.UTC
	}
	return loc
}
