package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"greenhouse"
	"greenhouse/api"
)

// The bounds of a request.
const (
	maxBody       = 1 << 20          // bytes
	maxHeader     = 16 << 10         // bytes, the request line included
	headerTimeout = 5 * time.Second  // to the end of the headers
	bodyTimeout   = 30 * time.Second // to the end of the body
	writeTimeout  = 60 * time.Second // for an ordinary answer
	chunkTimeout  = 10 * time.Second // for one write of a stream
)

// writer remembers what was answered. The validation of huma answers 422 for
// what this API calls 400: one status for one kind of error.
type writer struct {
	http.ResponseWriter
	status int
}

// WriteHeader sends the status.
func (w *writer) WriteHeader(status int) {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// wrap is everything around the routes: it recovers, checks where the request
// comes from and who asks, and answers what no route takes.
func (s *Server) wrap(mux *http.ServeMux, local bool) http.Handler {
	table := routeTable()
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w := &writer{ResponseWriter: rw}
		start := s.now()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		var route api.Route
		defer func() { s.metrics.observe(route, w.status, s.now().Sub(start)) }()
		defer s.recover(w, r) // before the count, which wants the status it answers
		c, found, err := s.admit(r, mux, table, local)
		route = found
		if err != nil {
			s.problem(w, r, c, err)
			return
		}
		_ = http.NewResponseController(rw).SetWriteDeadline(time.Now().Add(writeTimeout)) // in memory there is none
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey, c)))
	})
}

// admit decides whether a request reaches its route.
func (s *Server) admit(r *http.Request, mux *http.ServeMux, table map[string]api.Route, local bool) (caller, api.Route, error) {
	var c caller
	if err := s.origin(r, local); err != nil {
		return c, api.Route{}, err
	}
	c, err := s.authenticate(r, local)
	if err != nil {
		return c, api.Route{}, err
	}
	h, pattern := mux.Handler(r)
	route, known := table[pattern]
	known = known && path.Clean(r.URL.EscapedPath())+trailing(r.URL.Path) == r.URL.EscapedPath() // else the mux would redirect
	if !known {
		if c.role == api.RoleNone {
			return c, route, unauthorized("token_missing", "this needs a token")
		}
		return c, route, noRoute(h, r)
	}
	if err := allow(c, route); err != nil {
		return c, route, err
	}
	if c.token != "" && !s.limits.allow(c.token, s.now()) {
		p := api.NewProblem(http.StatusTooManyRequests, "rate_limited", "too many requests with this token")
		p.Hint = "slow down, or use the streams /v1/events and /v1/live"
		return c, route, p
	}
	return c, route, contentType(r)
}

// trailing returns the slash that path.Clean takes away.
func trailing(p string) string {
	if strings.HasSuffix(p, "/") {
		return "/"
	}
	return ""
}

// routeTable maps the patterns of the mux to the access table.
func routeTable() map[string]api.Route {
	table := map[string]api.Route{}
	for _, r := range api.Routes() {
		table[r.Method+" "+r.Path] = r
	}
	return table
}

// noRoute says why nothing takes the request. The mux knows whether another
// method would, or another spelling of the path.
func noRoute(h http.Handler, r *http.Request) error {
	rec := &probe{header: http.Header{}}
	h.ServeHTTP(rec, r)
	switch allow := rec.header.Get("Allow"); {
	case rec.status == http.StatusMethodNotAllowed:
		p := api.NewProblem(rec.status, "method_invalid", r.URL.Path+" does not take "+r.Method)
		p.Hint = "it takes " + allow
		return p
	case rec.status >= 300 && rec.status < 400:
		p := api.NewProblem(http.StatusNotFound, "route_not_found", "there is nothing at "+r.URL.Path)
		p.Hint = "ids are path-escaped: north/air_temp is north%2Fair_temp"
		return p
	}
	p := api.NewProblem(http.StatusNotFound, "route_not_found", "there is nothing at "+r.URL.Path)
	p.Hint = "GET " + api.PathOpenAPI + " lists everything"
	return p
}

// probe takes the status and headers of an answer that nobody gets.
type probe struct {
	header http.Header
	status int
}

// Header returns the headers.
func (p *probe) Header() http.Header { return p.header }

// Write drops the text.
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader keeps the status.
func (p *probe) WriteHeader(status int) { p.status = status }

// origin refuses what a browser sends on behalf of another site, and names of
// ours that nobody gave us (DNS rebinding).
func (s *Server) origin(r *http.Request, local bool) error {
	if o := r.Header.Get("Origin"); o != "" {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || u.Host != r.Host {
			return greenhouse.Forbidden("origin_foreign", "requests from pages of other sites are refused")
		}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return greenhouse.Forbidden("origin_foreign", "requests from pages of other sites are refused")
	}
	if local || s.hostKnown(r.Host) {
		return nil
	}
	return greenhouse.Forbidden("host_unknown", "this daemon does not go by the name %q", r.Host).
		WithHint("use its address, or add the name to api.hosts in the configuration")
}

func (s *Server) hostKnown(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(strings.ToLower(host), "[]")
	return host == "localhost" || net.ParseIP(host) != nil || slices.Contains(s.hosts, host)
}

// contentType wants JSON where there is a body.
func contentType(r *http.Request) error {
	hasBody := r.ContentLength > 0 || r.ContentLength < 0
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return nil
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	json := kind == "application/json" || kind == api.MergePatch && r.Method == http.MethodPatch
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		json = false
	}
	if hasBody && (err != nil || !json) {
		p := api.NewProblem(http.StatusUnsupportedMediaType, "content_type_invalid", "the body must be JSON")
		p.Hint = "send Content-Type: application/json"
		return p
	}
	if r.ContentLength > maxBody {
		_, _ = io.CopyN(io.Discard, r.Body, 4*maxBody) // a client that still writes would not read the answer
		return api.NewProblem(http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than 1 MiB")
	}
	return nil
}

// recover turns a panic of one request into an answer and a log line: one
// client cannot hurt another.
func (s *Server) recover(w *writer, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	s.log.Error("request panicked", "method", r.Method, "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
	s.metrics.panics.Inc()
	if w.status == 0 {
		s.write(w, api.FromError(errors.New("panic"), r.URL.Path))
	}
}

// problem answers an error, and logs the ones that are ours.
func (s *Server) problem(w *writer, r *http.Request, c caller, err error) {
	p := api.FromError(err, r.URL.Path)
	switch {
	case p.Status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="edged"`)
		s.metrics.refused.Inc()
	case p.Status == http.StatusForbidden:
		s.metrics.refused.Inc()
		s.refused(c, r.Method, r.URL.Path, p)
	case p.Status == http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "6")
	case p.Status >= 500:
		s.log.Error("request failed", slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Any("error", err))
	}
	s.write(w, p)
}

func (s *Server) write(w *writer, p *api.Problem) {
	w.Header().Set("Content-Type", api.ProblemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may be gone; nobody is left to tell
}
