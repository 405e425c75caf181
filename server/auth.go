package server

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"greenhouse"
	"greenhouse/api"
)

// caller is who asks, from where, and what they may do.
type caller struct {
	actor string            // "uid:1000", "token:phone" or "user:anna"; stands in the audit
	from  string            // "unix" with the peer's pid, or the address
	role  api.Role          //
	token string            // name of the token, "" on the socket
	user  string            // who logged in for it, "" of a token made by hand
	until greenhouse.Millis // when the token ends, 0: never
	local bool              // over the unix socket
}

type contextKey int

const (
	callerKey contextKey = iota
	peerKey
)

// callerOf returns who asks. A handler always finds one.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey).(caller)
	return c
}

// authenticate finds out who asks.
func (s *Server) authenticate(r *http.Request, local bool) (caller, error) {
	if local {
		actor, from := "local", "unix"
		if p, ok := r.Context().Value(peerKey).(peer); ok {
			actor, from = p.actor(), p.from()
		}
		return caller{actor: actor, from: from, role: api.RoleAdmin, local: true}, nil
	}
	for _, name := range []string{"token", "access_token", "bearer"} {
		if r.URL.Query().Has(name) {
			return caller{}, unauthorized("token_in_url", "a token in the address is not taken: it would end up in logs")
		}
	}
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme == "" {
		return caller{from: r.RemoteAddr, role: api.RoleNone}, nil
	}
	if !strings.EqualFold(scheme, "bearer") || secret == "" {
		return caller{}, unauthorized("token_invalid", "the Authorization header must be: Bearer and the token")
	}
	t, err := s.token(secret)
	if err == nil {
		c := caller{actor: "token:" + t.Name, from: r.RemoteAddr, role: api.Role(t.Role), token: t.Name, user: t.User, until: t.ExpiresAt}
		if t.User != "" {
			c.actor = "user:" + t.User
		}
		return c, nil
	}
	return caller{}, s.guessed(r.RemoteAddr, err)
}

// guessed answers a wrong token. Only wrong answers are held back: those with a
// good token behind the same router are not made to pay for a guesser, and 256 bits
// are not guessed by trying.
func (s *Server) guessed(addr string, err error) error {
	now := s.now()
	if s.guesses.allowed(addr, now) {
		s.guesses.failed(addr, now)
		return err
	}
	if s.refusal.due("guess "+hostOf(addr), now) {
		s.recordGuesser(addr)
	}
	p := api.NewProblem(http.StatusTooManyRequests, "login_throttled", "too many wrong tokens from this address")
	p.Hint = "wait a minute"
	return p
}

func unauthorized(code, what string) error {
	p := api.NewProblem(http.StatusUnauthorized, code, what)
	p.Hint = "log in: greenctl user login NAME; or create a token on the machine of the daemon: greenctl token create NAME --role viewer"
	return p
}

// allow decides whether c may call the route.
func allow(c caller, r api.Route) error {
	if c.role.May(r.Role) && (c.local || !r.Socket) {
		return nil
	}
	if c.role == api.RoleNone {
		return unauthorized("token_missing", "this needs a token")
	}
	if r.Socket {
		return greenhouse.Forbidden("socket_only", "this is served on the unix socket only")
	}
	return greenhouse.Forbidden("role_missing", "%s has the role %s; this needs %s", c.actor, c.role, r.Role).
		WithHint("an admin can give a token with that role: greenctl token create NAME --role %s", r.Role)
}

// limits hands out one rate limiter a token. It holds at most maxLimiters and
// forgets all of them beyond that, which only ever lets a caller through.
type limits struct {
	mu    sync.Mutex
	rate  rate.Limit
	burst int
	byKey map[string]*rate.Limiter
}

const maxLimiters = 4096

// allow takes one request of key at now.
func (l *limits) allow(key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	lim := l.byKey[key]
	if lim == nil {
		if len(l.byKey) >= maxLimiters {
			clear(l.byKey)
		}
		lim = rate.NewLimiter(l.rate, l.burst)
		l.byKey[key] = lim
	}
	return lim.AllowN(now, 1)
}

// guesses slows down whoever is wrong often, by address or by name: so many at
// once, then one more every six seconds.
type guesses struct {
	mu    sync.Mutex
	burst int
	by    map[string]*rate.Limiter
}

func newGuesses(burst int) guesses { return guesses{burst: burst, by: map[string]*rate.Limiter{}} }

// allowed reports whether an address or name may try at now; it takes nothing.
func (g *guesses) allowed(who string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.by[hostOf(who)]
	return l == nil || l.TokensAt(now) >= 1
}

// failed counts one wrong answer of an address or name.
func (g *guesses) failed(who string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	who = hostOf(who)
	l := g.by[who]
	if l == nil {
		if len(g.by) >= maxLimiters {
			clear(g.by)
		}
		l = rate.NewLimiter(rate.Every(6*time.Second), g.burst)
		g.by[who] = l
	}
	l.AllowN(now, 1)
}

func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}
