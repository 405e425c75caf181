package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"greenhouse"
	"greenhouse/api"
)

// Options says where the daemon is. Exactly one of Socket and Server is needed.
type Options struct {
	Socket    string        // path of the unix socket
	Server    string        // https://host[:port]; http:// for loopback addresses only
	Token     string        // bearer token, with Server
	TLS       *tls.Config   // nil: the system's roots, TLS 1.2 and later
	Timeout   time.Duration // of an ordinary request; 0: 30 s
	Pause     time.Duration // first pause before a stream is opened again, doubling up to 30 times it; 0: 500 ms
	UserAgent string        // "": "greenctl"
}

// maxAnswer bounds what is read of one answer, bytes.
const maxAnswer = 256 << 20

// Client talks to one daemon. Make one with [New]; it may be used from any
// goroutine.
type Client struct {
	http *http.Client
	base *url.URL
	opts Options
}

// Write is how a change is made; the zero value is an ordinary change that
// cannot conflict, or overwrites.
type Write struct {
	IfVersion      uint64 // the version read; a record changed since is refused; 0: no check
	DryRun         bool   // run it and keep nothing
	Reason         string // why, for the audit
	IdempotencyKey string // makes repeating it harmless
}

// Page is the part of a list to get. The zero value is the first page of the
// usual length.
type Page struct {
	Limit  int    // items; 0: api.DefaultLimit
	Cursor string // List.Next of the page before
}

func (p Page) into(q url.Values) url.Values {
	setInt(q, "limit", p.Limit)
	set(q, "cursor", p.Cursor)
	return q
}

// New returns a client; it does not connect yet.
func New(o Options) (*Client, error) {
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Pause <= 0 {
		o.Pause = 500 * time.Millisecond
	}
	if o.UserAgent == "" {
		o.UserAgent = "greenctl"
	}
	transport := &http.Transport{
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 0, // a context bounds each request
	}
	base, err := target(o, transport)
	if err != nil {
		return nil, err
	}
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{http: &http.Client{Transport: transport, CheckRedirect: noRedirect}, base: base, opts: o}, nil
}

// target points the transport at the daemon and returns the base of its URLs.
func target(o Options, t *http.Transport) (*url.URL, error) {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if (o.Socket == "") == (o.Server == "") {
		return nil, greenhouse.Invalid("server_invalid", "give either the socket or the server of the daemon")
	}
	if o.Socket != "" {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", o.Socket)
		}
		return &url.URL{Scheme: "http", Host: "edged"}, nil
	}
	u, err := url.Parse(o.Server)
	switch {
	case err != nil || u.Host == "" || u.Path != "" && u.Path != "/":
		return nil, greenhouse.Invalid("server_invalid", "server %q is no address: write https://host:port", o.Server)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, greenhouse.Invalid("server_invalid", "server %q is not encrypted: write https://", o.Server)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, greenhouse.Invalid("server_invalid", "server %q must begin with https://", o.Server)
	}
	t.DialContext = dialer.DialContext
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLS != nil {
		t.TLSClientConfig = o.TLS.Clone()
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Close drops idle connections. Calls under way go on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// request is one call to be made.
type request struct {
	method string
	path   string // escaped
	query  url.Values
	body   any // nil: none
	patch  bool
	write  Write
	header http.Header
}

// call makes r and decodes the answer into out, which may be nil.
func (c *Client) call(ctx context.Context, r request, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	resp, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil || resp.StatusCode == http.StatusNoContent {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // frees the connection; nothing in it matters
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		if ctx.Err() != nil {
			return c.unanswered(ctx, err)
		}
		return fmt.Errorf("decode the answer to %s %s: %w", r.method, r.path, err)
	}
	return nil
}

// do makes r and returns a good answer, whose body the caller closes.
func (c *Client) do(ctx context.Context, r request) (*http.Response, error) {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unanswered(ctx, err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, problem(resp)
	}
	return resp, nil
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	raw := c.base.String() + r.path
	if len(r.query) > 0 {
		raw += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return nil, greenhouse.Invalid("body_invalid", "the request is no JSON: %v", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, raw, body)
	if err != nil {
		return nil, greenhouse.Invalid("request_invalid", "the request cannot be made: %v", err)
	}
	c.headers(req.Header, r)
	return req, nil
}

func (c *Client) headers(h http.Header, r request) {
	for k, v := range r.header {
		h[k] = v
	}
	h.Set("User-Agent", c.opts.UserAgent)
	if h.Get("Accept") == "" {
		h.Set("Accept", "application/json")
	}
	if c.opts.Token != "" {
		h.Set("Authorization", "Bearer "+c.opts.Token)
	}
	switch {
	case r.patch:
		h.Set("Content-Type", api.MergePatch)
	case r.body != nil:
		h.Set("Content-Type", "application/json")
	}
	switch {
	case r.write.IfVersion != 0:
		h.Set("If-Match", `"`+strconv.FormatUint(r.write.IfVersion, 10)+`"`)
	case r.patch:
		h.Set("If-Match", "*")
	}
	if r.write.Reason != "" {
		h.Set(api.HeaderReason, url.QueryEscape(r.write.Reason))
	}
	if r.write.IdempotencyKey != "" {
		h.Set(api.HeaderIdempotencyKey, r.write.IdempotencyKey)
	}
}

// problem turns a bad answer into an error.
func problem(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<20)) // what was read is judged below
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && strings.HasSuffix(kind, "json") {
		var p api.Problem
		if json.Unmarshal(body, &p) == nil && p.Status == resp.StatusCode {
			return p.Err()
		}
	}
	text, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	if len(text) > 200 {
		text = text[:200]
	}
	p := api.NewProblem(resp.StatusCode, "http_"+strconv.Itoa(resp.StatusCode), strings.TrimSpace("the server answered "+resp.Status+" "+text))
	p.Hint = "is this the address of edged?"
	return p.Err()
}

// get makes a GET and decodes its answer.
func get[T any](ctx context.Context, c *Client, path string, q url.Values) (T, error) {
	var out T
	err := c.call(ctx, request{method: http.MethodGet, path: path, query: q}, &out)
	return out, err
}

// send makes a write and decodes its answer.
func send[T any](ctx context.Context, c *Client, method, path string, body any, w Write) (T, error) {
	var out T
	r := request{method: method, path: path, body: body, write: w, patch: method == http.MethodPatch}
	if w.DryRun {
		r.query = url.Values{api.QueryDryRun: {"true"}}
	}
	err := c.call(ctx, r, &out)
	return out, err
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func setInt(q url.Values, name string, v int) {
	if v != 0 {
		q.Set(name, strconv.Itoa(v))
	}
}
