package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"greenhouse"
	"greenhouse/api"
)

// The bounds of a stream.
const (
	maxMessage = 64 << 20         // bytes of one message
	silence    = 60 * time.Second // after which a stream counts as lost
	maxPauses  = 30               // the longest pause, in first pauses
)

// errClosed is the end of a stream by the other side.
var errClosed = errors.New("the daemon closed the stream")

// message is one server-sent event.
type message struct {
	name string
	id   string
	data []byte
}

// WatchEvents yields every event after since, in order, none skipped or
// repeated, and waits for more. When the connection is lost it yields the error
// and, if the caller goes on, connects again and resumes. It ends with ctx, or
// after an error that trying again cannot mend.
func (c *Client) WatchEvents(ctx context.Context, since uint64) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		last := since
		open := func() request {
			return request{path: api.PathEvents, query: url.Values{"since": {strconv.FormatUint(last, 10)}},
				header: http.Header{"Last-Event-Id": {strconv.FormatUint(last, 10)}}}
		}
		watch(ctx, c, open, api.StreamEvent, func(e api.Event, err error) bool {
			if err == nil && e.Seq <= last {
				return true
			}
			if err == nil {
				last = e.Seq
			}
			return yield(e, err)
		})
	}
}

// LiveQuery narrows the live stream.
type LiveQuery struct {
	Zone     greenhouse.ZoneID // "": the whole site
	Interval time.Duration     // shortest time between two messages; 0: the daemon's default, 1 s
}

// WatchLive yields the whole state once, then what changed, at most once an
// interval: what is overtaken meanwhile is skipped. Lost connections are as in
// [Client.WatchEvents]; the first message after one is whole again.
func (c *Client) WatchLive(ctx context.Context, q LiveQuery) iter.Seq2[api.Live, error] {
	return func(yield func(api.Live, error) bool) {
		v := url.Values{}
		set(v, "zone", string(q.Zone))
		if q.Interval > 0 {
			v.Set("interval", q.Interval.String())
		}
		watch(ctx, c, func() request { return request{path: api.PathLive, query: v} }, api.StreamLive, yield)
	}
}

// watch keeps one stream open and yields its messages of that name. open makes
// the request anew for each connection.
func watch[T any](ctx context.Context, c *Client, open func() request, name string, yield func(T, error) bool) {
	pause := c.opts.Pause
	for {
		stopped, got := false, false
		err := c.receive(ctx, open(), func(m message) error {
			got = true
			var v T
			if m.name == api.StreamError {
				return streamProblem(m.data)
			}
			if m.name != name {
				return nil
			}
			if err := json.Unmarshal(m.data, &v); err != nil {
				return fmt.Errorf("decode a message of %s: %w", name, err)
			}
			if stopped = !yield(v, nil); stopped {
				return errClosed
			}
			return nil
		})
		if stopped || ctx.Err() != nil {
			return
		}
		if got {
			pause = c.opts.Pause
		}
		var none T
		if !yield(none, err) || final(err) || !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, maxPauses*c.opts.Pause)
	}
}

// final reports whether trying again cannot help.
func final(err error) bool {
	return errors.Is(err, greenhouse.ErrInvalid) || errors.Is(err, greenhouse.ErrForbidden) || errors.Is(err, greenhouse.ErrNotFound)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func streamProblem(data []byte) error {
	var p api.Problem
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("decode the end of a stream: %w", err)
	}
	return p.Err()
}

// receive opens one stream and hands each message to fn until either ends it.
func (c *Client) receive(ctx context.Context, r request, fn func(message) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lost := time.AfterFunc(silence, func() { cancel(context.DeadlineExceeded) })
	defer lost.Stop()
	if r.header == nil {
		r.header = http.Header{}
	}
	r.method = http.MethodGet
	r.header.Set("Accept", api.EventStream)
	resp, err := c.do(ctx, r)
	if err != nil {
		return c.lostStream(ctx, err)
	}
	defer resp.Body.Close()
	err = scan(resp.Body, func() { lost.Reset(silence) }, fn)
	var read *readError
	if errors.As(err, &read) {
		return c.lostStream(ctx, read.err)
	}
	return err
}

// lostStream is unanswered for a stream: its silence is no wish of the caller.
func (c *Client) lostStream(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return &greenhouse.Error{Kind: api.ErrUnreachable, Code: "unreachable_slow", What: "the daemon has been silent for " + silence.String()}
	}
	if errors.Is(err, errClosed) {
		return &greenhouse.Error{Kind: api.ErrUnreachable, Code: "stream_closed", What: errClosed.Error()}
	}
	if e := (*greenhouse.Error)(nil); errors.As(err, &e) {
		return err
	}
	return c.unanswered(ctx, err)
}

// readError is a stream that broke, as against a message that was refused.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }

// scan reads server-sent events; alive is called for every line, comments too.
func scan(r io.Reader, alive func(), fn func(message) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxMessage)
	var m message
	for lines.Scan() {
		alive()
		line := lines.Bytes()
		if len(line) > 0 {
			m.field(line)
			if len(m.data) > maxMessage {
				return &readError{bufio.ErrTooLong}
			}
			continue
		}
		if len(m.data) > 0 {
			if err := fn(m); err != nil {
				return err
			}
		}
		m = message{id: m.id}
	}
	if err := lines.Err(); err != nil {
		return &readError{err}
	}
	return &readError{errClosed}
}

// field takes one line of a message.
func (m *message) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		m.name = string(value)
	case "id":
		m.id = string(value)
	case "data":
		if m.data != nil {
			m.data = append(m.data, '\n')
		}
		m.data = append(m.data, value...)
	}
}

// readText reads a whole text answer.
func (c *Client) readText(ctx context.Context, r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxAnswer))
	if err != nil {
		return "", c.unanswered(ctx, err)
	}
	return string(b), nil
}
