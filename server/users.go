package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/store"
)

// How long a login is good, seconds, and how long one waits for its turn to have
// a password checked.
const (
	loginUsual = 12 * 3600
	loginMost  = 30 * 24 * 3600
	loginWait  = 5 * time.Second
)

// Wrong passwords are slowed by address, as wrong tokens are, and by user, for a
// password can be guessed from many addresses.
const (
	guessesPerAddress = 10
	guessesPerUser    = 60
)

func (s *Server) mountUsers(m *mount) {
	handle(m, "user-list", s.listUsers)
	handle(m, "user-create", s.createUser)
	handle(m, "user-password", s.setPassword)
	handle(m, "user-delete", s.deleteUser)
	handle(m, "login", s.login)
	handle(m, "logout", s.logout)
}

func userView(reg *store.Registry, u store.User) api.User {
	return api.User{Name: u.Name, Role: api.Role(u.Role), Logins: len(reg.LoginsOf(u.Name)), Meta: api.Meta(u.Meta)}
}

func userSource(name string) greenhouse.Source { return greenhouse.Source("user/" + name) }

func (s *Server) listUsers(_ context.Context, in *PageParams) (*out[api.List[api.User]], error) {
	var all []api.User
	err := s.Store.View(func(tx *store.Tx) error {
		for _, u := range tx.Users() {
			all = append(all, userView(tx.Registry(), u))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list, err := pageOf(*in, all)
	return &out[api.List[api.User]]{Body: list}, err
}

// hashing runs fn, which takes a tenth of a second and much memory, when nobody
// else does: however many ask, the control loop has its processor.
func (s *Server) hashing(ctx context.Context, fn func()) error {
	t := time.NewTimer(loginWait)
	defer t.Stop()
	select {
	case s.hash <- struct{}{}:
		defer s.hash.leave()
		fn()
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return greenhouse.Unavailable("login_busy", "too many passwords are being checked").WithHint("try again in a moment")
	}
}

// newHash makes the hash of a new password.
func (s *Server) newHash(ctx context.Context, user, password string) (h store.PasswordHash, err error) {
	if busy := s.hashing(ctx, func() { h, err = store.HashPassword(user, password) }); busy != nil {
		return "", busy
	}
	return h, err
}

// createUser and setPassword keep the password out of what an idempotency key
// remembers of the request: a quick hash of it would be there to guess against.
func (s *Server) createUser(ctx context.Context, in *struct {
	WriteParams
	Body api.CreateUserRequest
}) (*out[api.User], error) {
	if in.Body.Role.Rank() < 1 {
		return nil, greenhouse.Invalid("role_invalid", "role %q is unknown: it is viewer, operator, grower or admin", in.Body.Role)
	}
	hash, err := s.newHash(ctx, in.Body.Name, in.Body.Password)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "user-create", []any{in.Body.Name, in.Body.Role}, func(w *write) (api.User, error) {
		made, err := w.tx.CreateUser(in.Body.Name, store.Role(in.Body.Role), hash)
		if err != nil {
			return api.User{}, err
		}
		u := userView(w.tx.Registry(), made)
		w.event("user_created", userSource(u.Name), nil, u, nil)
		return u, nil
	})
}

func (s *Server) setPassword(ctx context.Context, in *struct {
	NameParam
	WriteParams
	Body api.PasswordRequest
}) (*out[api.User], error) {
	version, err := in.version(false)
	if err != nil {
		return nil, err
	}
	if err := s.ownPassword(ctx, in.Name, in.Body.Old); err != nil {
		return nil, err
	}
	hash, err := s.newHash(ctx, in.Name, in.Body.Password)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "user-password", in.Name, func(w *write) (api.User, error) {
		before, err := w.userAt(in.Name, version)
		if err != nil {
			return api.User{}, err
		}
		ended := w.tx.Registry().LoginsOf(in.Name)
		made, err := w.tx.SetPassword(in.Name, hash)
		if err != nil {
			return api.User{}, err
		}
		u := userView(w.tx.Registry(), made)
		w.event("user_password_changed", userSource(u.Name), before, u, nil)
		w.then(func() { s.endStreams(ended) })
		return u, nil
	})
}

// ownPassword lets an admin change any password, and everybody else their own, if
// they know it: a token that was left lying about is not enough.
func (s *Server) ownPassword(ctx context.Context, name, old string) error {
	c := callerOf(ctx)
	if c.role == api.RoleAdmin {
		return nil
	}
	if c.user == "" || c.user != name {
		return greenhouse.Forbidden("password_not_yours", "%s cannot change the password of %s", c.actor, name).WithHint("an admin can")
	}
	_, err := s.checkPassword(ctx, c.from, name, old)
	return err
}

// userAt returns a user as they are shown, if they are of the version that was read.
func (w *write) userAt(name string, version uint64) (api.User, error) {
	for _, u := range w.tx.Users() {
		if u.Name == name {
			shown := userView(w.tx.Registry(), u)
			return shown, unchanged("user", name, version, u.Version, shown)
		}
	}
	return api.User{}, greenhouse.NotFound("user", name).WithHint("greenctl user list")
}

func (s *Server) deleteUser(ctx context.Context, in *struct {
	NameParam
	WriteParams
}) (*out[api.Done], error) {
	version, err := in.version(false)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "user-delete", in.Name, func(w *write) (api.Done, error) {
		before, err := w.userAt(in.Name, version)
		if err != nil {
			return api.Done{}, err
		}
		ended := w.tx.Registry().LoginsOf(in.Name)
		if err := w.tx.DeleteUser(in.Name); err != nil {
			return api.Done{}, err
		}
		w.event("user_deleted", userSource(in.Name), before, nil, nil)
		w.then(func() { s.endStreams(ended) })
		return api.Done{OK: true}, nil
	})
}

func (s *Server) endStreams(tokens []string) {
	for _, t := range tokens {
		s.streams.end(t)
	}
}

// checkPassword finds out whether a password is the user's. Unlike a token of 256
// random bits it could be guessed, so an address or a user with many failures is
// not heard at all for a while, right or wrong.
func (s *Server) checkPassword(ctx context.Context, from, name, password string) (store.PasswordHash, error) {
	now := s.now()
	if !s.guesses.allowed(from, now) || !s.userGuesses.allowed(name, now) {
		s.notePassword(from, name)
		p := api.NewProblem(http.StatusTooManyRequests, "login_throttled", "too many wrong passwords")
		p.Hint = "wait a minute"
		return "", p
	}
	hash, fits := s.Store.Password(name), false
	if err := s.hashing(ctx, func() { fits = hash.Fits(password) }); err != nil {
		return "", err
	}
	if fits {
		return hash, nil
	}
	s.guesses.failed(from, now)
	s.userGuesses.failed(name, now)
	s.notePassword(from, name)
	p := api.NewProblem(http.StatusUnauthorized, "login_refused", "login refused: name and password do not belong together")
	p.Hint = "an admin can set another: greenctl user passwd NAME"
	return "", p
}

// notePassword records a wrong password, once a minute for an address. The name is
// told only where there is such a user: people type passwords into that field.
func (s *Server) notePassword(from, name string) {
	if !s.refusal.due("password "+hostOf(from), s.now()) {
		return
	}
	who := "unknown"
	if s.Store.Password(name) != "" {
		who = "user:" + name
	}
	detail, err := json.Marshal(audit{From: from})
	if err == nil {
		err = s.Journal.Record(greenhouse.Event{TS: greenhouse.MillisOf(s.now()), Code: "login_refused", Source: greenhouse.Source("client/" + hostOf(from)), Actor: who, Detail: detail})
	}
	if err != nil {
		s.log.Error("wrong password not recorded", "error", err)
	}
}

func (s *Server) login(ctx context.Context, in *struct {
	WriteParams
	Body api.LoginRequest
}) (*out[api.Login], error) {
	d, err := seconds("for_s", in.Body.ForS, loginUsual, loginMost)
	if err != nil {
		return nil, err
	}
	c := callerOf(ctx)
	hash, err := s.checkPassword(ctx, c.from, in.Body.Name, in.Body.Password)
	if err != nil {
		return nil, err
	}
	c.actor = "user:" + in.Body.Name
	return change(context.WithValue(ctx, callerKey, c), s, in.WriteParams, "login", nil, func(w *write) (api.Login, error) {
		t, secret, ended, err := w.tx.Login(in.Body.Name, hash, w.now.Add(d))
		if err != nil {
			return api.Login{}, err
		}
		w.event("user_logged_in", userSource(t.User), nil, tokenView(t), nil)
		w.then(func() { s.endStreams(ended) })
		return api.Login{User: t.User, Role: api.Role(t.Role), Token: secret, ExpiresAt: t.ExpiresAt}, nil
	})
}

// logout ends the token that was used, if a login made it.
func (s *Server) logout(ctx context.Context, in *WriteParams) (*out[api.Done], error) {
	c := callerOf(ctx)
	if c.user == "" {
		return nil, greenhouse.Invalid("not_logged_in", "%s did not log in with a password", c.actor).WithHint("a token is revoked with greenctl token delete")
	}
	return change(ctx, s, *in, "logout", c.token, func(w *write) (api.Done, error) {
		if err := w.tx.DeleteToken(c.token); err != nil && !errors.Is(err, greenhouse.ErrNotFound) {
			return api.Done{}, err
		}
		w.event("user_logged_out", userSource(c.user), nil, nil, nil)
		w.then(func() { s.streams.end(c.token) })
		return api.Done{OK: true}, nil
	})
}
