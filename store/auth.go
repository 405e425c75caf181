package store

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"time"

	"greenhouse"
)

// secretGrace is how long a secret that a later hello replaced stays good, and
// maxEarlier how many: a storm of repeated hellos has no order on the device,
// which may act on any of the answers.
const (
	secretGrace = time.Minute
	maxEarlier  = 256
)

// newSecret returns 256 random bits in base64url.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program rather
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// hashSecret returns what is stored of a random secret. It needs no slow hash,
// for nobody guesses 256 random bits.
func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// credential is what is stored of a node's secret.
type credential struct {
	Hash     []byte    `json:"hash"`
	LoggedIn bool      `json:"logged_in,omitempty"`
	Earlier  []earlier `json:"earlier,omitempty"`
}

// earlier is a replaced secret in its grace time.
type earlier struct {
	Hash  []byte            `json:"hash"`
	Until greenhouse.Millis `json:"until"`
}

// matches compares in constant time for each stored hash.
func (c *credential) matches(hash []byte, now greenhouse.Millis) bool {
	ok := subtle.ConstantTimeCompare(c.Hash, hash)
	for _, e := range c.Earlier {
		if now < e.Until {
			ok |= subtle.ConstantTimeCompare(e.Hash, hash)
		}
	}
	return ok == 1
}

// loggedIn reports whether a node has ever logged in with its secret.
func (tx *Tx) loggedIn(uid greenhouse.UID) bool { return tx.reg.HasLoggedIn(uid) }

// issueSecret gives a node that never logged in a fresh secret.
func (tx *Tx) issueSecret(uid greenhouse.UID, now time.Time) (string, error) {
	c := &credential{}
	if old, ok := tx.reg.credentials[string(uid)]; ok {
		at := greenhouse.MillisOf(now)
		c.Earlier = slices.DeleteFunc(slices.Clone(old.Earlier), func(e earlier) bool { return e.Until <= at })
		c.Earlier = append(c.Earlier, earlier{Hash: old.Hash, Until: at.Add(secretGrace)})
		if extra := len(c.Earlier) - maxEarlier; extra > 0 {
			c.Earlier = c.Earlier[extra:]
		}
	}
	secret := newSecret()
	c.Hash = hashSecret(secret)
	return secret, tx.setCredential(string(uid), c)
}

// Admit settles the first login of a node: the secret it came with is the only one
// from now on, whichever of several answers it was from, and no hello gets another.
// A secret that is not good, or no longer, is ErrForbidden. Of a node that has
// logged in before it changes nothing.
func (tx *Tx) Admit(uid greenhouse.UID, secret string) error {
	old, ok := tx.reg.credentials[string(uid)]
	hash := hashSecret(secret)
	switch {
	case !ok || !old.matches(hash, greenhouse.MillisOf(tx.at)):
		return refused()
	case old.LoggedIn:
		return nil
	}
	return tx.setCredential(string(uid), &credential{Hash: hash, LoggedIn: true})
}

// RotateKey gives a node a new secret and returns it; the one before ends at once.
func (tx *Tx) RotateKey(uid greenhouse.UID) (string, error) {
	n, err := tx.reg.ruleKnown(uid)
	if err != nil {
		return "", err
	}
	if err := ruleInService(n); err != nil {
		return "", err
	}
	secret := newSecret()
	return secret, tx.setCredential(string(uid), &credential{Hash: hashSecret(secret), LoggedIn: tx.loggedIn(uid)})
}

// setCredential stores what is known of a secret.
func (tx *Tx) setCredential(login string, c *credential) error {
	if err := tx.putJSON(bucketCredentials, login, c); err != nil {
		return err
	}
	own(tx, "credentials", &tx.reg.credentials)[login] = c
	return nil
}

// dropCredential makes a secret worthless.
func (tx *Tx) dropCredential(login string) error {
	if err := tx.delete(bucketCredentials, []byte(login)); err != nil {
		return err
	}
	delete(own(tx, "credentials", &tx.reg.credentials), login)
	return nil
}

// PrincipalKind says what logged in.
type PrincipalKind string

// The kinds of login on the wire.
const (
	PrincipalNode    PrincipalKind = "node"    // a node, by its uid and secret
	PrincipalJoining PrincipalKind = "joining" // a device, by its hardware id and the join token
	PrincipalAccount PrincipalKind = "account" // a bridge or integration
)

// Principal is who logged in.
type Principal struct {
	Kind       PrincipalKind
	Login      string
	UID        greenhouse.UID        // of a node
	HardwareID greenhouse.HardwareID // of a node or a joining device
	First      bool                  // of a node: it never logged in before; see Admit
	Publish    []string              // of an account: the filters it was given
	Subscribe  []string
}

// Authenticate finds out who logs in, from memory alone: it never waits for the
// disk. The error is of kind ErrForbidden and does not say which part is wrong.
func (s *Store) Authenticate(login, password string) (Principal, error) {
	return s.Registry().Authenticate(login, password, s.opt.Now())
}

// Authenticate is [Store.Authenticate] as of this registry and a given time.
func (r *Registry) Authenticate(login, password string, now time.Time) (Principal, error) {
	hash := hashSecret(password)
	if uid, _, hw, err := greenhouse.ParseUID(login); err == nil {
		if c, ok := r.credentials[login]; ok && c.matches(hash, greenhouse.MillisOf(now)) {
			return Principal{Kind: PrincipalNode, Login: login, UID: uid, HardwareID: hw, First: !c.LoggedIn}, nil
		}
		return Principal{}, refused()
	}
	if a, ok := r.accounts[login]; ok {
		if subtle.ConstantTimeCompare(a.Hash, hash) == 1 {
			return Principal{Kind: PrincipalAccount, Login: login, Publish: slices.Clone(a.Publish), Subscribe: slices.Clone(a.Subscribe)}, nil
		}
		return Principal{}, refused()
	}
	hw, err := greenhouse.ParseHardwareID(login)
	if err == nil && string(hw) == login && r.pairing.openAt(now) && r.pairing.matches(password) {
		return Principal{Kind: PrincipalJoining, Login: login, HardwareID: hw}, nil
	}
	return Principal{}, refused()
}

// refused is the one answer to every login that is not good.
func refused() error {
	return greenhouse.Forbidden("login_refused", "login refused: name and secret do not belong together, or pairing is closed")
}
