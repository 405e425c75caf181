package server

import (
	"context"
	"strings"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/store"
)

func (s *Server) mountAccess(m *mount) {
	handle(m, "account-list", s.listAccounts)
	handle(m, "account-create", s.createAccount)
	handle(m, "account-delete", s.deleteAccount)
	handle(m, "token-list", s.listTokens)
	handle(m, "token-create", s.createToken)
	handle(m, "token-delete", s.deleteToken)
}

// token finds the token of a secret.
func (s *Server) token(secret string) (store.Token, error) {
	t, err := s.Store.Token(secret)
	if err != nil {
		return store.Token{}, unauthorized("token_invalid", "this token is wrong, revoked or expired")
	}
	return t, nil
}

func tokenView(t store.Token) api.Token {
	return api.Token{Name: t.Name, Role: api.Role(t.Role), Version: t.Version, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt}
}

func accountView(a store.Account) api.Account {
	return api.Account{Name: a.Name, Publish: orEmpty(a.Publish), Subscribe: orEmpty(a.Subscribe), Version: a.Version, CreatedAt: a.CreatedAt, Warnings: warnings(a)}
}

// warnings names the filters of an account that cover topics of nodes, where it
// could pass for one or listen to all of them.
func warnings(a store.Account) []string {
	var list []string
	for _, f := range a.Publish {
		if coversNodes(f) {
			list = append(list, "may publish as a node: "+f)
		}
	}
	for _, f := range a.Subscribe {
		if coversNodes(f) {
			list = append(list, "may read what nodes send: "+f)
		}
	}
	return list
}

// coversNodes reports whether an MQTT filter matches any topic under gh/.
func coversNodes(filter string) bool {
	first, _, _ := strings.Cut(filter, "/")
	return first == "gh" || first == "#" || first == "+"
}

func (s *Server) listAccounts(_ context.Context, in *PageParams) (*out[api.List[api.Account]], error) {
	var all []api.Account
	err := s.Store.View(func(tx *store.Tx) error {
		for _, a := range tx.Accounts() {
			all = append(all, accountView(a))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list, err := pageOf(*in, all)
	return &out[api.List[api.Account]]{Body: list}, err
}

func (s *Server) createAccount(ctx context.Context, in *struct {
	WriteParams
	Body api.CreateAccountRequest
}) (*out[api.Account], error) {
	return change(ctx, s, in.WriteParams, "account-create", in.Body, func(w *write) (api.Account, error) {
		made, secret, err := w.tx.CreateAccount(in.Body.Name, in.Body.Publish, in.Body.Subscribe)
		if err != nil {
			return api.Account{}, err
		}
		a := accountView(made)
		w.event("account_created", accountSource(a.Name), nil, a, nil)
		a.Secret = secret
		return a, nil
	})
}

func accountSource(name string) greenhouse.Source { return greenhouse.Source("account/" + name) }

func (s *Server) deleteAccount(ctx context.Context, in *struct {
	NameParam
	WriteParams
}) (*out[api.Done], error) {
	version, err := in.version(false)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "account-delete", in.Name, func(w *write) (api.Done, error) {
		var before any
		for _, a := range w.tx.Accounts() {
			if a.Name == in.Name {
				before = accountView(a)
				if err := unchanged("account", a.Name, version, a.Version, before); err != nil {
					return api.Done{}, err
				}
			}
		}
		if err := w.tx.DeleteAccount(in.Name); err != nil {
			return api.Done{}, err
		}
		w.event("account_deleted", accountSource(in.Name), before, nil, nil)
		w.then(func() { s.Broker.Disconnect(in.Name, "the account was deleted") })
		return api.Done{OK: true}, nil
	})
}

func (s *Server) listTokens(_ context.Context, in *PageParams) (*out[api.List[api.Token]], error) {
	var all []api.Token
	err := s.Store.View(func(tx *store.Tx) error {
		for _, t := range tx.Tokens() {
			all = append(all, tokenView(t))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list, err := pageOf(*in, all)
	return &out[api.List[api.Token]]{Body: list}, err
}

func (s *Server) createToken(ctx context.Context, in *struct {
	WriteParams
	Body api.CreateTokenRequest
}) (*out[api.Token], error) {
	if in.Body.Role.Rank() < 1 {
		return nil, greenhouse.Invalid("role_invalid", "role %q is unknown: it is viewer, operator, grower or admin", in.Body.Role)
	}
	d, err := seconds("for_s", in.Body.ForS, 90*86400, 10*365*86400)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "token-create", in.Body, func(w *write) (api.Token, error) {
		made, secret, err := w.tx.CreateToken(in.Body.Name, store.Role(in.Body.Role), w.now.Add(d))
		if err != nil {
			return api.Token{}, err
		}
		t := tokenView(made)
		w.event("token_created", tokenSource(t.Name), nil, t, nil)
		t.Secret = secret
		return t, nil
	})
}

func tokenSource(name string) greenhouse.Source { return greenhouse.Source("token/" + name) }

func (s *Server) deleteToken(ctx context.Context, in *struct {
	NameParam
	WriteParams
}) (*out[api.Done], error) {
	version, err := in.version(false)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "token-delete", in.Name, func(w *write) (api.Done, error) {
		var before any
		for _, t := range w.tx.Tokens() {
			if t.Name == in.Name {
				before = tokenView(t)
				if err := unchanged("token", t.Name, version, t.Version, before); err != nil {
					return api.Done{}, err
				}
			}
		}
		if err := w.tx.DeleteToken(in.Name); err != nil {
			return api.Done{}, err
		}
		w.event("token_deleted", tokenSource(in.Name), before, nil, nil)
		w.then(func() { s.streams.end(in.Name) })
		return api.Done{OK: true}, nil
	})
}
