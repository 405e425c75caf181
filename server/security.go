package server

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/store"
)

func (s *Server) mountSecurity(m *mount) {
	handle(m, "ca-get", s.getCA)
	handle(m, "ca-rotate", s.rotateCA)
	handle(m, "event-verify", s.verifyEvents)
}

// overlapUsual is how long an old authority stays good if nothing is said: time
// enough to visit every node.
const (
	overlapUsual = 365 * 24 * time.Hour
	overlapMost  = 5 * 365 * 24 * time.Hour
)

func (s *Server) owned() error {
	if s.Authority != nil {
		return nil
	}
	return greenhouse.NotFound("certificate authority", "of this daemon")
}

func (s *Server) getCA(context.Context, *none) (*out[api.CA], error) {
	if err := s.owned(); err != nil {
		return nil, err
	}
	return &out[api.CA]{Body: s.Authority.CA()}, nil
}

// rotateCA replaces the authority. Its files are written before the event: were
// the event lost, the daemon's log still has it.
func (s *Server) rotateCA(ctx context.Context, in *struct {
	WriteParams
	Body *api.RotateCARequest
}) (*out[api.CA], error) {
	if err := s.owned(); err != nil {
		return nil, err
	}
	overlap := overlapUsual
	if in.Body != nil && in.Body.OverlapS != nil {
		n := *in.Body.OverlapS
		if n < 0 || n > int64(overlapMost/time.Second) {
			return nil, greenhouse.Invalid("overlap_invalid", "overlap_s is %d: it takes 0 to %d seconds", n, int64(overlapMost/time.Second))
		}
		overlap = time.Duration(n) * time.Second
	}
	return change(ctx, s, in.WriteParams, "ca-rotate", overlap, func(w *write) (api.CA, error) {
		before := s.Authority.CA()
		if in.DryRun {
			return before, nil
		}
		after, err := s.Authority.RotateCA(overlap)
		if err != nil {
			return after, err
		}
		shown := func(c api.CA) api.CA { c.PEM = ""; return c }
		w.event("authority_rotated", greenhouse.SiteSource, shown(before), shown(after), nil)
		return after, nil
	})
}

// verifyEvents reads the whole journal, one caller at a time.
func (s *Server) verifyEvents(ctx context.Context, _ *none) (*out[api.Verified], error) {
	if err := s.verify.take("verifying"); err != nil {
		return nil, err
	}
	defer s.verify.leave()
	v, err := s.Journal.Audit()
	a := api.Verified{OK: err == nil, Events: v.Events, Last: v.Last, Head: v.Head}
	if err != nil {
		a.Problem = err.Error()
		s.log.Error("event log broken", "error", err)
	}
	return &out[api.Verified]{Body: a}, ctx.Err()
}

// streams are the streams opened with tokens, so that they end with them.
type streams struct {
	mu   sync.Mutex
	open map[string]map[*context.CancelFunc]struct{} // by token
}

// enter notes a stream and returns how to forget it.
func (t *streams) enter(token string, cancel *context.CancelFunc) (leave func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[token] == nil {
		t.open[token] = map[*context.CancelFunc]struct{}{}
	}
	t.open[token][cancel] = struct{}{}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.open[token], cancel)
		if len(t.open[token]) == 0 {
			delete(t.open, token)
		}
	}
}

// end ends all streams of a token.
func (t *streams) end(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for cancel := range t.open[token] {
		(*cancel)()
	}
}

// endWithToken ends a stream when the token of its caller does; it may have
// been revoked since the request was let in. It returns how to stop that.
func (s *Server) endWithToken(c caller, cancel context.CancelFunc) (stop func()) {
	known := false
	err := s.Store.View(func(tx *store.Tx) error {
		for _, t := range tx.Tokens() {
			known = known || t.Name == c.token && t.ExpiresAt == c.until
		}
		return nil
	})
	if err != nil || !known {
		cancel()
	}
	if c.until == 0 {
		return func() {}
	}
	end := time.AfterFunc(time.UnixMilli(int64(c.until)).Sub(s.now()), cancel)
	return func() { end.Stop() }
}

// recordGuesser records that somebody tries tokens, once a minute an address.
func (s *Server) recordGuesser(addr string) {
	detail, err := json.Marshal(audit{From: addr})
	if err != nil {
		s.log.Error("guesser not recorded", "error", err)
		return
	}
	e := greenhouse.Event{TS: greenhouse.MillisOf(s.now()), Code: "login_refused", Source: greenhouse.Source("client/" + hostOf(addr)), Actor: "unknown", Detail: detail}
	if err := s.Journal.Record(e); err != nil {
		s.log.Error("guesser not recorded", "error", err)
	}
}
