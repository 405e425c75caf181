package store_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/store"
)

func TestPasswordHashes(t *testing.T) {
	const password = "four words no other"
	a, err := store.HashPassword("anna", password)
	if err != nil {
		t.Fatal(err)
	}
	b, err := store.HashPassword("anna", password)
	if err != nil {
		t.Fatal(err)
	}
	if a == b || !strings.HasPrefix(string(a), "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("got %s and %s, want two salts", a, b)
	}
	if !a.Fits(password) || a.Fits(password+" ") || a.Fits("") {
		t.Error("the hash does not tell its password from others")
	}
	for _, bad := range []store.PasswordHash{"", "$", "$argon2id$v=19$m=19456,t=2,p=1$$", "$argon2id$v=18$m=19456,t=2,p=1$AAAA$AAAA", "$argon2id$v=19$m=4000000000,t=2,p=1$AAAA$AAAA", store.PasswordHash(strings.Repeat("$", 5)), a[:len(a)-4]} {
		if bad.Fits(password) || bad.Fits("") {
			t.Errorf("%.40s fits", bad)
		}
	}
}

func TestLoginOfAUser(t *testing.T) {
	opt := options(t)
	s := open(t, opt)
	hash, err := store.HashPassword("anna", "four words no other")
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *store.Tx) error { _, err := tx.CreateUser("anna", store.RoleGrower, hash); return err })
	login := func(name string, h store.PasswordHash) (tok store.Token, secret string, err error) {
		err = s.Update(func(tx *store.Tx) error {
			tok, secret, _, err = tx.Login(name, h, greenhouse.MillisOf(tx.Now()).Add(time.Hour))
			return err
		})
		return tok, secret, err
	}
	tok, secret, err := login("anna", s.Password("anna"))
	if err != nil || tok.User != "anna" || tok.Role != store.RoleGrower {
		t.Fatalf("login: got %+v, %v", tok, err)
	}
	if got, err := s.Token(secret); err != nil || got.Name != tok.Name {
		t.Errorf("the token: got %+v, %v", got, err)
	}
	if _, _, err := login("nobody", ""); !errors.Is(err, greenhouse.ErrForbidden) {
		t.Errorf("nobody logs in: got %v", err)
	}
	other, err := store.HashPassword("anna", "other words no other")
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *store.Tx) error { _, err := tx.SetPassword("anna", other); return err })
	if _, _, err := login("anna", hash); !errors.Is(err, greenhouse.ErrForbidden) {
		t.Errorf("a login whose password was changed meanwhile: got %v", err)
	}
	if _, err := s.Token(secret); err == nil {
		t.Error("the login under the password before still holds")
	}
	if file, err := os.ReadFile(opt.Path); err != nil || strings.Contains(string(file), "four words") || !strings.Contains(string(file), "$argon2id$") {
		t.Errorf("the file: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, opt)
	if again.Password("anna") != other {
		t.Error("the user is not there after a start")
	}
	update(t, again, func(tx *store.Tx) error { return tx.DeleteUser("anna") })
	if again.Password("anna") != "" {
		t.Error("the user is there after being deleted")
	}
}
