package store

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"

	"greenhouse"
)

// maxLogins is how many logins of one user are good at once; a further one ends
// the oldest.
const maxLogins = 20

// User is a person who uses the API over the network, with a password.
type User struct {
	Name string       `json:"name"`
	Role Role         `json:"role"`
	Hash PasswordHash `json:"hash,omitempty"` // never shown
	greenhouse.Meta
}

// public returns a copy without the hash.
func (u *User) public() User {
	c := *u
	c.Hash = ""
	return c
}

// CreateUser makes a user with the hash of a password.
func (tx *Tx) CreateUser(name string, role Role, hash PasswordHash) (User, error) {
	if !accountName.MatchString(name) {
		return User{}, greenhouse.Invalid("user_invalid", "user %q is not a name: it needs a letter a-z, then 1 to 62 of a-z 0-9 _ . -", name)
	}
	if _, err := ParseRole(string(role)); err != nil {
		return User{}, err
	}
	if _, ok := tx.reg.users[name]; ok {
		return User{}, greenhouse.Conflict("user_exists", "there is already a user %s", name).WithHint("a new password: `greenctl user passwd %s`", name)
	}
	now := greenhouse.MillisOf(tx.at)
	return tx.saveUser(&User{Name: name, Role: role, Hash: hash, Meta: greenhouse.Meta{Version: 1, CreatedAt: now}})
}

// SetPassword gives a user another password and ends all logins under the one before.
func (tx *Tx) SetPassword(name string, hash PasswordHash) (User, error) {
	old, err := tx.user(name)
	if err != nil {
		return User{}, err
	}
	u := *old
	u.Hash, u.Version = hash, u.Version+1
	if _, err := tx.endLogins(name, 0); err != nil {
		return User{}, err
	}
	return tx.saveUser(&u)
}

func (tx *Tx) saveUser(u *User) (User, error) {
	u.UpdatedAt = greenhouse.MillisOf(tx.at)
	if err := tx.putJSON(bucketUsers, u.Name, u); err != nil {
		return User{}, err
	}
	own(tx, "users", &tx.reg.users)[u.Name] = u
	return u.public(), nil
}

func (tx *Tx) user(name string) (*User, error) {
	u, ok := tx.reg.users[name]
	if !ok {
		return nil, greenhouse.NotFound("user", name).WithHint("`greenctl user list` shows the users there are")
	}
	return u, nil
}

// Users returns all users in the order of their names, without hashes.
func (tx *Tx) Users() []User {
	list := make([]User, 0, len(tx.reg.users))
	for _, name := range slices.Sorted(maps.Keys(tx.reg.users)) {
		list = append(list, tx.reg.users[name].public())
	}
	return list
}

// DeleteUser removes a user and ends their logins.
func (tx *Tx) DeleteUser(name string) error {
	if _, err := tx.user(name); err != nil {
		return err
	}
	if _, err := tx.endLogins(name, 0); err != nil {
		return err
	}
	if err := tx.delete(bucketUsers, []byte(name)); err != nil {
		return err
	}
	delete(own(tx, "users", &tx.reg.users), name)
	return nil
}

// Login makes a token for a user whose password fitted hash. One changed since is
// refused: the password that was checked is no longer theirs. It also returns the
// names of tokens that ended for it.
func (tx *Tx) Login(name string, hash PasswordHash, expires greenhouse.Millis) (t Token, secret string, ended []string, err error) {
	u, ok := tx.reg.users[name]
	if !ok || u.Hash != hash {
		return Token{}, "", nil, greenhouse.Forbidden("login_refused", "login refused: name and password do not belong together")
	}
	if ended, err = tx.endLogins(name, maxLogins-1); err != nil {
		return Token{}, "", nil, err
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	t, secret, err = tx.createToken(&Token{Name: fmt.Sprintf("%s.%x", name, id), User: name, Role: u.Role, ExpiresAt: expires})
	return t, secret, ended, err
}

// LoginsOf returns the names of the tokens that a user's logins made.
func (r *Registry) LoginsOf(user string) []string {
	var names []string
	for name, t := range r.tokens {
		if t.User == user {
			names = append(names, name)
		}
	}
	return names
}

// endLogins ends all logins of a user but the newest few, and returns the names of
// their tokens.
func (tx *Tx) endLogins(user string, keep int) ([]string, error) {
	names := tx.reg.LoginsOf(user)
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(tx.reg.tokens[a].CreatedAt, tx.reg.tokens[b].CreatedAt), cmp.Compare(a, b))
	})
	names = names[:max(0, len(names)-keep)]
	for _, n := range names {
		if err := tx.DeleteToken(n); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// Password returns the hash of a user's password, the zero value where there is no
// such user: it fits nothing.
func (s *Store) Password(user string) PasswordHash {
	if u, ok := s.Registry().users[user]; ok {
		return u.Hash
	}
	return ""
}
