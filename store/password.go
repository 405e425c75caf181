package store

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"greenhouse"
)

// The cost of one guess at a password: argon2id with 19 MiB, two passes, one lane,
// a tenth of a second on a Raspberry Pi. It is stored with each hash, so that it
// can rise without making old passwords worthless.
const (
	argonMemory = 19 << 10 // KiB
	argonPasses = 2
	argonLanes  = 1
	argonSalt   = 16 // bytes
	argonKey    = 32 // bytes
)

// The bounds of a password. There are no rules of composition: length is what counts.
const (
	minPassword = 10  // characters
	maxPassword = 256 // bytes
)

// PasswordHash is what is kept of a person's password, in the usual form
// $argon2id$v=19$m=…,t=…,p=…$salt$hash. The zero value fits no password, and
// takes as long to find that out as any other.
type PasswordHash string

// HashPassword makes the hash of a new password of a user. It takes a tenth of a
// second and 19 MiB: let one run at a time.
func HashPassword(user, password string) (PasswordHash, error) {
	switch {
	case utf8.RuneCountInString(password) < minPassword || len(password) > maxPassword || !utf8.ValidString(password):
		return "", greenhouse.Invalid("password_invalid", "a password has at least %d characters, and at most %d bytes of UTF-8", minPassword, maxPassword).
			WithHint("four words that nobody else would put together are good")
	case strings.Contains(strings.ToLower(password), user) && len(password) < len(user)+minPassword:
		return "", greenhouse.Invalid("password_invalid", "the password is little more than the name of its user")
	}
	var salt [argonSalt]byte
	_, _ = rand.Read(salt[:]) // never fails: crypto/rand ends the program rather
	return encodeHash(salt[:], argon2.IDKey([]byte(password), salt[:], argonPasses, argonMemory, argonLanes, argonKey)), nil
}

func encodeHash(salt, key []byte) PasswordHash {
	b64 := base64.RawStdEncoding
	return PasswordHash(fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonPasses, argonLanes, b64.EncodeToString(salt), b64.EncodeToString(key)))
}

// Fits reports whether a password is the one that was hashed. It costs what
// [HashPassword] costs, also where there is nothing to compare with, so that the
// time does not tell whether a user exists.
func (h PasswordHash) Fits(password string) bool {
	version, memory, passes, lanes := 0, uint32(argonMemory), uint32(argonPasses), uint8(argonLanes)
	salt, key := make([]byte, argonSalt), make([]byte, argonKey)
	known := false
	if f := strings.Split(string(h), "$"); len(f) == 6 && f[1] == "argon2id" {
		_, errV := fmt.Sscanf(f[2], "v=%d", &version)
		_, errP := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &memory, &passes, &lanes)
		s, errS := base64.RawStdEncoding.DecodeString(f[4])
		k, errK := base64.RawStdEncoding.DecodeString(f[5])
		known = errV == nil && errP == nil && errS == nil && errK == nil && version == argon2.Version &&
			memory <= 4*argonMemory && passes >= 1 && passes <= 16 && lanes >= 1 && len(k) >= argonKey
		if known {
			salt, key = s, k
		}
	}
	if !known {
		memory, passes, lanes = argonMemory, argonPasses, argonLanes
	}
	got := argon2.IDKey([]byte(password[:min(len(password), maxPassword+1)]), salt, passes, memory, lanes, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1 && known
}
