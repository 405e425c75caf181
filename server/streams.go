package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"greenhouse"
	"greenhouse/api"
)

const (
	heartbeat   = 15 * time.Second // between two comments on a quiet stream
	liveUsual   = time.Second
	liveFastest = 200 * time.Millisecond
	liveSlowest = time.Minute
)

func (s *Server) mountStreams(m *mount) {
	handle(m, "events", s.getEvents, streamOf[api.Event](m), func(op *huma.Operation) {
		schema := m.api.OpenAPI().Components.Schemas.Schema(typeOf[api.List[api.Event]](), true, "Events")
		op.Responses["200"].Content["application/json"] = &huma.MediaType{Schema: schema}
	})
	handle(m, "live", s.getLive, streamOf[api.Live](m))
}

// streamOf describes an answer of server-sent events.
func streamOf[T any](m *mount) func(*huma.Operation) {
	return func(op *huma.Operation) {
		schema := m.api.OpenAPI().Components.Schemas.Schema(typeOf[T](), true, "Message")
		op.Responses["200"] = &huma.Response{Description: "Server-sent events; the data of each is one of these", Content: map[string]*huma.MediaType{api.EventStream: {Schema: schema}}}
	}
}

// sse writes server-sent events to one client.
type sse struct {
	w    http.ResponseWriter
	ctl  *http.ResponseController
	head bool // HEAD: no body follows
}

// openStream begins an answer that goes on until either side ends it.
func openStream(ctx huma.Context) *sse {
	r, w := humago.Unwrap(ctx)
	out := &sse{w: w, ctl: http.NewResponseController(w), head: r.Method == http.MethodHead}
	_ = out.ctl.SetReadDeadline(time.Time{}) // in memory there is none; the request has been read
	w.Header().Set("Content-Type", api.EventStream)
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	return out
}

// message writes one message; id may be "". An error means the client is gone
// or does not read.
func (o *sse) message(name, id string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode message %s: %w", name, err)
	}
	var b strings.Builder
	b.Grow(len(data) + 64)
	if id != "" {
		b.WriteString("id: " + id + "\n")
	}
	b.WriteString("event: " + name + "\ndata: ")
	b.Write(data)
	b.WriteString("\n\n")
	return o.write(b.String())
}

// comment keeps the connection alive and finds out that it is not.
func (o *sse) comment() error { return o.write(": still here\n\n") }

func (o *sse) write(text string) error {
	_ = o.ctl.SetWriteDeadline(time.Now().Add(chunkTimeout)) // in memory there is none
	if _, err := o.w.Write([]byte(text)); err != nil {
		return fmt.Errorf("write stream: %w", err)
	}
	return o.ctl.Flush()
}

// end tells the client why the stream ends, if it still listens.
func (o *sse) end(err error) { _ = o.message(api.StreamError, "", api.FromError(err, "")) }

// getEvents answers a list where JSON is asked for, else a stream.
func (s *Server) getEvents(ctx context.Context, in *struct {
	Since  string `query:"since" doc:"the number after which to begin; 0: all that is kept; for a stream, the end if absent"`
	LastID string `header:"Last-Event-ID" doc:"the number seen last, by which a stream resumes"`
	Accept string `header:"Accept"`
	PageParams
}) (*streamed, error) {
	since, given, err := sinceOf(in.Since, in.LastID)
	if err != nil {
		return nil, err
	}
	asksJSON := strings.Contains(in.Accept, "application/json") || in.Limit != 0 || in.Cursor != ""
	if asksJSON && !strings.Contains(in.Accept, api.EventStream) {
		return s.eventList(since, in.PageParams)
	}
	if !given {
		since = s.Journal.Last()
	}
	if err := s.events.take("event"); err != nil {
		return nil, err
	}
	return &streamed{Body: func(hc huma.Context) { //nolint:contextcheck // hc carries the request's context
		defer s.events.leave()
		s.streamEvents(hc, since)
	}}, nil
}

// sinceOf reads the number to begin after; that of a resuming client counts more.
func sinceOf(query, header string) (since uint64, given bool, err error) {
	text := query
	if header != "" {
		text = header
	}
	if text == "" {
		return 0, false, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, false, greenhouse.Invalid("since_invalid", "%q is no number of an event", text)
	}
	return n, true, nil
}

func (s *Server) eventList(since uint64, p PageParams) (*streamed, error) {
	limit, err := p.limit(api.DefaultLimit, api.MaxLimit)
	if err != nil {
		return nil, err
	}
	if after, err := p.after(); err != nil {
		return nil, err
	} else if after != "" {
		if since, _, err = sinceOf(after, ""); err != nil {
			return nil, err
		}
	}
	list := api.List[api.Event]{Items: []api.Event{}}
	for len(list.Items) < limit {
		part, err := s.Journal.Since(since, limit-len(list.Items))
		if err != nil {
			return nil, err
		}
		if len(part) == 0 {
			break
		}
		list.Items, since = append(list.Items, part...), part[len(part)-1].Seq
	}
	if since < s.Journal.Last() && len(list.Items) == limit {
		list.Next = cursor(strconv.FormatUint(since, 10))
	}
	return &streamed{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/json")
		_ = json.NewEncoder(hc.BodyWriter()).Encode(list) // the client may be gone; nobody is left to tell
	}}, nil
}

// streamEvents sends every event after since. One goroutine reads the journal,
// which waits for commits; this one writes, and says now and then that it lives.
func (s *Server) streamEvents(hc huma.Context, since uint64) {
	ctx, cancel := s.streamContext(hc)
	defer cancel()
	type item struct {
		event greenhouse.Event
		err   error
	}
	items, done := make(chan item), make(chan struct{})
	go func() {
		defer close(done)
		defer close(items)
		for e, err := range s.Journal.Watch(ctx, since) {
			select {
			case items <- item{e, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() { cancel(); <-done }()
	out := openStream(hc)
	if out.head || out.comment() != nil {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			if out.comment() != nil {
				return
			}
		case it, more := <-items:
			if !more {
				return
			}
			if it.err != nil {
				out.end(it.err)
				return
			}
			if out.message(api.StreamEvent, strconv.FormatUint(it.event.Seq, 10), it.event) != nil {
				return
			}
		}
	}
}

// streamContext ends with the request, with the server, and with the token of
// the caller.
func (s *Server) streamContext(hc huma.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(hc.Context())
	stop := context.AfterFunc(s.ctx, cancel)
	c := callerOf(ctx)
	if c.token == "" {
		return ctx, func() { stop(); cancel() }
	}
	leave := s.streams.enter(c.token, &cancel)
	ends := s.endWithToken(c, cancel)
	return ctx, func() { ends(); leave(); stop(); cancel() }
}
