package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// talk serves h over TCP and returns a client of it.
func talk(t *testing.T, h http.HandlerFunc, change ...func(*client.Options)) *client.Client {
	t.Helper()
	s := httptest.NewServer(h)
	o := client.Options{Server: s.URL, Token: "s3cret", Pause: time.Millisecond}
	for _, c := range change {
		c(&o)
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		s.CloseClientConnections()
		s.Close()
	})
	return c
}

func TestRequestsAsSent(t *testing.T) {
	var got *http.Request
	var body string
	c := talk(t, func(w http.ResponseWriter, r *http.Request) {
		raw := make([]byte, 4096)
		n, _ := r.Body.Read(raw)
		got, body = r, string(raw[:n])
		fmt.Fprint(w, `{}`)
	})
	w := client.Write{IfVersion: 7, DryRun: true, Reason: "zu heiß, 1/2", IdempotencyKey: "k"}
	if _, err := c.EditZone(t.Context(), "north", api.ZonePatch{Targets: map[greenhouse.Quantity]*greenhouse.Target{greenhouse.Heating: nil}}, w); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"method": "PATCH", "uri": "/v1/zones/north?dry_run=true", "If-Match": `"7"`, "Authorization": "Bearer s3cret",
		"Content-Type": api.MergePatch, api.HeaderIdempotencyKey: "k", api.HeaderReason: "zu+hei%C3%9F%2C+1%2F2", "body": `{"targets":{"heating":null}}`,
	}
	have := map[string]string{"method": got.Method, "uri": got.RequestURI, "body": body}
	for _, name := range []string{"If-Match", "Authorization", "Content-Type", api.HeaderIdempotencyKey, api.HeaderReason} {
		have[name] = got.Header.Get(name)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
	if _, err := c.EditZone(t.Context(), "north", api.ZonePatch{}, client.Write{}); err != nil || got.Header.Get("If-Match") != "*" {
		t.Errorf("an edit without a version: got If-Match %q, want *", got.Header.Get("If-Match"))
	}
	if _, err := c.History(t.Context(), "north/air_temp", client.HistoryQuery{Span: client.Span{From: "2h"}, Step: "1m"}); err != nil || got.RequestURI != "/v1/points/north%2Fair_temp/history?from=2h&step=1m" {
		t.Errorf("history: got %s", got.RequestURI)
	}
}

func TestErrorsComeBack(t *testing.T) {
	var answer func(http.ResponseWriter)
	c := talk(t, func(w http.ResponseWriter, _ *http.Request) { answer(w) })
	problem := func(err error) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			p := api.FromError(err, "/v1/status")
			w.Header().Set("Content-Type", api.ProblemType)
			w.WriteHeader(p.Status)
			_ = json.NewEncoder(w).Encode(p)
		}
	}
	answer = problem(greenhouse.Conflict("zone_has_points", "zone north has points").WithHint("unassign its nodes"))
	_, err := c.Status(t.Context())
	var e *greenhouse.Error
	if !errors.As(err, &e) || !errors.Is(err, greenhouse.ErrConflict) || e.Code != "zone_has_points" || e.Hint != "unassign its nodes" {
		t.Errorf("conflict: got %#v", err)
	}
	answer = problem(&greenhouse.StaleError{Noun: "zone", ID: "north", Had: 3, Have: 5, Current: map[string]any{"name": "N"}})
	_, err = c.Status(t.Context())
	var stale *greenhouse.StaleError
	if !errors.As(err, &stale) || stale.Had != 3 || stale.Have != 5 || !strings.Contains(string(stale.Current.(json.RawMessage)), `"N"`) {
		t.Errorf("stale: got %#v", err)
	}
	answer = func(w http.ResponseWriter) { http.Error(w, "nginx says no\n<html>", http.StatusBadGateway) }
	if _, err = c.Status(t.Context()); !errors.As(err, &e) || e.Hint == "" || !strings.Contains(e.What, "nginx says no") || strings.Contains(e.What, "html") {
		t.Errorf("another program's answer: got %v", err)
	}
	answer = func(w http.ResponseWriter) {
		http.Redirect(w, &http.Request{Method: "GET"}, "http://elsewhere/", http.StatusFound)
	}
	if _, err = c.Status(t.Context()); err == nil {
		t.Error("a redirect was followed with the token")
	}
	answer = func(w http.ResponseWriter) { fmt.Fprint(w, `{"site":7}`) }
	if _, err = c.Status(t.Context()); err == nil || api.ExitCode(err) != api.ExitFailed {
		t.Errorf("an answer that is none: got %v", err)
	}
}

// Each way of not reaching the daemon has its code and says what to do.
func TestUnreachable(t *testing.T) {
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	dead := filepath.Join(dir, "dead")
	l, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, tt := range []struct {
		o          client.Options
		code, hint string
	}{
		{client.Options{Socket: filepath.Join(dir, "none")}, "socket_missing", "is edged running"},
		{client.Options{Socket: dead}, "socket_refused", "systemctl start edged"},
		{client.Options{Socket: file}, "socket_refused", "edged"},
		{client.Options{Server: "http://" + closed.Addr().String()}, "unreachable", "api-listen"},
		{client.Options{Server: "https://" + closed.Addr().String()}, "unreachable", "api-listen"},
	} {
		c, err := client.New(tt.o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Status(t.Context())
		var e *greenhouse.Error
		if !errors.As(err, &e) || !errors.Is(err, api.ErrUnreachable) || e.Code != tt.code || !strings.Contains(e.Hint, tt.hint) {
			t.Errorf("%+v: got %#v, want %s with %q", tt.o, err, tt.code, tt.hint)
		}
		c.Close()
	}
}

// A socket that one may not open names the group to join.
func TestSocketDenied(t *testing.T) {
	if os.Getuid() == 0 {
		// Root may open anything: look at the words alone, through a dialer that refuses.
		t.Skip("root may open any socket")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Options{Socket: path})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Status(t.Context())
	var e *greenhouse.Error
	if !errors.As(err, &e) || e.Code != "socket_denied" || !strings.Contains(e.Hint, "usermod -aG") || errors.Is(err, syscall.EACCES) {
		t.Errorf("got %#v", err)
	}
}

func TestSlowAndCancelled(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	c := talk(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}, func(o *client.Options) { o.Timeout = 50 * time.Millisecond })
	_, err := c.Status(t.Context())
	var e *greenhouse.Error
	if !errors.As(err, &e) || e.Code != "unreachable_slow" || api.ExitCode(err) != api.ExitUnreachable {
		t.Errorf("too slow: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Status(ctx); !errors.Is(err, context.Canceled) || api.ExitCode(err) != api.ExitInterrupted {
		t.Errorf("interrupted: got %v", err)
	}
}

func TestOptionsRefused(t *testing.T) {
	for _, o := range []client.Options{
		{}, {Socket: "/x", Server: "https://x"}, {Server: "greenhouse"}, {Server: "http://greenhouse.example"}, {Server: "ftp://x"}, {Server: "https://x/path"}, {Server: "https://"},
	} {
		if _, err := client.New(o); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("%+v: got %v, want invalid", o, err)
		}
	}
}

// A stream that ends is opened again behind the last number; a refusal ends it.
func TestWatchEventsResumes(t *testing.T) {
	calls := 0
	c := talk(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		switch calls {
		case 1:
			w.Header().Set("Content-Type", api.EventStream)
			fmt.Fprint(w, ": hello\n\nid: 5\nevent: event\ndata: {\"seq\":5,\ndata: \"code\":\"a_b\"}\n\nevent: news\ndata: {}\n\n")
		case 2:
			if r.Header.Get("Last-Event-ID") != "5" || r.URL.Query().Get("since") != "5" {
				t.Errorf("resumed with %s %s, want 5", r.Header, r.URL)
			}
			fmt.Fprint(w, "event: event\ndata: {\"seq\":5}\n\nevent: event\ndata: {\"seq\":6}\n\nevent: error\ndata: {\"status\":503,\"code\":\"registry_unknown\",\"detail\":\"later\"}\n\n")
		default:
			p := api.NewProblem(http.StatusUnauthorized, "token_invalid", "revoked")
			w.Header().Set("Content-Type", api.ProblemType)
			w.WriteHeader(p.Status)
			_ = json.NewEncoder(w).Encode(p)
		}
	})
	var got []string
	for e, err := range c.WatchEvents(t.Context(), 4) {
		var own *greenhouse.Error
		switch {
		case err == nil:
			got = append(got, fmt.Sprint(e.Seq))
		case errors.As(err, &own):
			got = append(got, own.Code)
		default:
			got = append(got, err.Error())
		}
	}
	if diff := cmp.Diff([]string{"5", "stream_closed", "6", "registry_unknown", "token_invalid"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := talk(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "event: live\ndata: {\"full\":true}\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	n := 0
	for msg, err := range c.WatchLive(ctx, client.LiveQuery{}) {
		if err != nil || !msg.Full {
			t.Errorf("got %+v, %v", msg, err)
		}
		n++
		cancel()
	}
	if n != 1 {
		t.Errorf("got %d messages, want 1", n)
	}
}

func TestAllEndsAtAnError(t *testing.T) {
	calls := 0
	fetch := func(cursor string) (api.List[int], error) {
		calls++
		if calls == 3 {
			return api.List[int]{}, greenhouse.ErrUnavailable
		}
		return api.List[int]{Items: []int{calls}, Next: cursor + "x"}, nil
	}
	var got []string
	for v, err := range client.All(fetch) {
		got = append(got, fmt.Sprint(v, err))
	}
	if diff := cmp.Diff([]string{"1 <nil>", "2 <nil>", "0 unavailable"}, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzStream feeds bytes to a stream: whatever they are, it ends and nothing
// but events and errors come out.
func FuzzStream(f *testing.F) {
	for _, s := range []string{"event: event\ndata: {\"seq\":1}\n\n", "data\n\n", ":\n\n\n", "event: error\ndata: x\n\n", "data: {}\r\n\r\n", "\x00\xff\n\n", "event: event\ndata: {\"seq\":-1}\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := talk(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
		last := uint64(0)
		for e, err := range c.WatchEvents(t.Context(), 0) {
			if err != nil {
				return
			}
			if e.Seq <= last {
				t.Errorf("number %d after %d", e.Seq, last)
			}
			last = e.Seq
		}
	})
}
