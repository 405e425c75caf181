package store

import (
	"cmp"
	"crypto/subtle"
	"maps"
	"regexp"
	"slices"

	"greenhouse"
)

var accountName = regexp.MustCompile(`^[a-z][a-z0-9_.-]{1,62}$`)

// Account is an MQTT login of a bridge or integration.
type Account struct {
	Name      string   `json:"name"`
	Publish   []string `json:"publish"`        // topic filters it may publish to
	Subscribe []string `json:"subscribe"`      // topic filters it may subscribe within
	Hash      []byte   `json:"hash,omitempty"` // SHA-256 of its secret; never shown
	greenhouse.Meta
}

// public returns a copy without the hash.
func (a *Account) public() Account {
	c := *a
	c.Publish, c.Subscribe, c.Hash = slices.Clone(a.Publish), slices.Clone(a.Subscribe), nil
	return c
}

// CreateAccount makes an account and returns it with its secret, which is not
// kept. A name in use, or one that could be a node's, is refused.
func (tx *Tx) CreateAccount(name string, publish, subscribe []string) (Account, string, error) {
	if !accountName.MatchString(name) {
		return Account{}, "", greenhouse.Invalid("account_invalid", "account %q is not a name: it needs a letter a-z, then 1 to 62 of a-z 0-9 _ . -", name)
	}
	if _, _, _, err := greenhouse.ParseUID(name); err == nil || name == "inline" {
		return Account{}, "", greenhouse.Invalid("account_invalid", "account %q could be taken for a node: choose another name", name)
	}
	if _, ok := tx.reg.accounts[name]; ok {
		return Account{}, "", greenhouse.Conflict("account_exists", "there is already an account %s", name).
			WithHint("delete it first for a new secret: `greenctl account delete %s`", name)
	}
	for _, f := range slices.Concat(publish, subscribe) {
		if err := checkFilter(f); err != nil {
			return Account{}, "", err
		}
	}
	secret, now := newSecret(), greenhouse.MillisOf(tx.at)
	a := &Account{Name: name, Publish: append([]string{}, publish...), Subscribe: append([]string{}, subscribe...), Hash: hashSecret(secret),
		Meta: greenhouse.Meta{Version: 1, CreatedAt: now, UpdatedAt: now}}
	if err := tx.putJSON(bucketAccounts, name, a); err != nil {
		return Account{}, "", err
	}
	own(tx, "accounts", &tx.reg.accounts)[name] = a
	return a.public(), secret, nil
}

// Accounts returns all accounts in the order of their names, without hashes.
func (tx *Tx) Accounts() []Account {
	list := make([]Account, 0, len(tx.reg.accounts))
	for _, name := range slices.Sorted(maps.Keys(tx.reg.accounts)) {
		list = append(list, tx.reg.accounts[name].public())
	}
	return list
}

// DeleteAccount removes an account; its secret ends at once.
func (tx *Tx) DeleteAccount(name string) error {
	if _, ok := tx.reg.accounts[name]; !ok {
		return greenhouse.NotFound("account", name).WithHint("`greenctl account list` shows the accounts there are")
	}
	if err := tx.delete(bucketAccounts, []byte(name)); err != nil {
		return err
	}
	delete(own(tx, "accounts", &tx.reg.accounts), name)
	return nil
}

// Role says what a token may do; each includes the ones before.
type Role string

// The roles, least first.
const (
	RoleViewer   Role = "viewer"   // reads
	RoleOperator Role = "operator" // acks, overrides, modes
	RoleGrower   Role = "grower"   // targets, recipes
	RoleAdmin    Role = "admin"    // everything
)

// rank returns the place of a role, 0 for none.
func (r Role) rank() int {
	return 1 + slices.Index([]Role{RoleViewer, RoleOperator, RoleGrower, RoleAdmin}, r)
}

// Allows reports whether the role includes what needs the role need.
func (r Role) Allows(need Role) bool { return r.rank() > 0 && r.rank() >= need.rank() }

// ParseRole returns the role named s.
func ParseRole(s string) (Role, error) {
	if Role(s).rank() == 0 {
		return "", greenhouse.Invalid("role_invalid", "role %q is unknown: it is viewer, operator, grower or admin", s)
	}
	return Role(s), nil
}

// Token is a bearer token of the API.
type Token struct {
	Name      string            `json:"name"`
	Role      Role              `json:"role"`
	User      string            `json:"user,omitempty"`       // whose login made it; "" for one made by hand
	ExpiresAt greenhouse.Millis `json:"expires_at,omitempty"` // 0: never
	Hash      []byte            `json:"hash,omitempty"`       // SHA-256 of its secret; never shown
	greenhouse.Meta
}

// public returns a copy without the hash.
func (t *Token) public() Token {
	c := *t
	c.Hash = nil
	return c
}

// CreateToken makes a token and returns it with its secret, which is not kept.
// expires 0 means never.
func (tx *Tx) CreateToken(name string, role Role, expires greenhouse.Millis) (Token, string, error) {
	if !accountName.MatchString(name) {
		return Token{}, "", greenhouse.Invalid("token_invalid", "token %q is not a name: it needs a letter a-z, then 1 to 62 of a-z 0-9 _ . -", name)
	}
	if _, err := ParseRole(string(role)); err != nil {
		return Token{}, "", err
	}
	now := greenhouse.MillisOf(tx.at)
	if expires != 0 && expires <= now {
		return Token{}, "", greenhouse.Invalid("token_expired", "token %s would end before it begins", name)
	}
	if _, ok := tx.reg.tokens[name]; ok {
		return Token{}, "", greenhouse.Conflict("token_exists", "there is already a token %s", name).WithHint("delete it first, or choose another name")
	}
	return tx.createToken(&Token{Name: name, Role: role, ExpiresAt: expires})
}

// createToken stores a token with a secret, which is not kept.
func (tx *Tx) createToken(t *Token) (Token, string, error) {
	secret, now := newSecret(), greenhouse.MillisOf(tx.at)
	t.Hash, t.Meta = hashSecret(secret), greenhouse.Meta{Version: 1, CreatedAt: now, UpdatedAt: now}
	if err := tx.putJSON(bucketTokens, t.Name, t); err != nil {
		return Token{}, "", err
	}
	own(tx, "tokens", &tx.reg.tokens)[t.Name] = t
	return t.public(), secret, nil
}

// Tokens returns all tokens in the order of their names, without hashes.
func (tx *Tx) Tokens() []Token {
	list := make([]Token, 0, len(tx.reg.tokens))
	for _, name := range slices.Sorted(maps.Keys(tx.reg.tokens)) {
		list = append(list, tx.reg.tokens[name].public())
	}
	return list
}

// DeleteToken revokes a token at once.
func (tx *Tx) DeleteToken(name string) error {
	if _, ok := tx.reg.tokens[name]; !ok {
		return greenhouse.NotFound("token", name)
	}
	if err := tx.delete(bucketTokens, []byte(name)); err != nil {
		return err
	}
	delete(own(tx, "tokens", &tx.reg.tokens), name)
	return nil
}

// Token returns the token a secret belongs to, from memory alone. An unknown,
// revoked or expired one is an error of kind ErrForbidden.
func (s *Store) Token(secret string) (Token, error) {
	hash, now := hashSecret(secret), greenhouse.MillisOf(s.opt.Now())
	var found *Token
	for _, t := range s.Registry().tokens { // all of them, so that the time tells nothing
		if subtle.ConstantTimeCompare(t.Hash, hash) == 1 {
			found = t
		}
	}
	if found == nil || cmp.Compare(found.ExpiresAt, now) <= 0 && found.ExpiresAt != 0 {
		return Token{}, greenhouse.Forbidden("token_refused", "the token is unknown, revoked or expired").
			WithHint("an admin makes a new one with `greenctl token create`")
	}
	return found.public(), nil
}
