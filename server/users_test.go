package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

const words = "four words no other"

// user makes a user.
func (h *house) user(name string, role api.Role) {
	h.t.Helper()
	must(h.client.CreateUser(h.ctx(), api.CreateUserRequest{Name: name, Role: role, Password: words}, client.Write{}))(h.t)
}

// over returns a client over TCP with a token, or none.
func (h *house) over(token string) *client.Client {
	h.t.Helper()
	c := must(client.New(client.Options{Server: "http://" + h.remote, Token: token, Pause: time.Millisecond}))(h.t)
	h.t.Cleanup(c.Close)
	return c
}

func TestUsersLogIn(t *testing.T) {
	h := open(t)
	h.user("anna", api.RoleGrower)
	door := h.over("")
	l := must(door.Login(h.ctx(), api.LoginRequest{Name: "anna", Password: words}))(t)
	if l.User != "anna" || l.Role != api.RoleGrower || len(l.Token) != 43 || l.ExpiresAt == 0 {
		t.Fatalf("login: got %+v", l)
	}
	anna := h.over(l.Token)
	if _, err := anna.CreateZone(h.ctx(), api.CreateZoneRequest{ID: "north"}, client.Write{}); err != nil {
		t.Errorf("a grower creates a zone: %v", err)
	}
	if _, err := anna.Users(h.ctx(), client.Page{}); code(err) != "role_missing" {
		t.Errorf("a grower lists users: got %v", err)
	}
	events := must(h.client.Events(h.ctx(), 0, 100))(t).Items
	if e := events[len(events)-2]; e.Code != "zone_created" || e.Actor != "user:anna" { // request_refused is the last
		t.Errorf("the audit says %s by %s, want zone_created by user:anna", e.Code, e.Actor)
	}
	if err := anna.Logout(h.ctx()); err != nil {
		t.Fatal(err)
	}
	if _, err := anna.Zones(h.ctx(), client.Page{}); code(err) != "token_invalid" {
		t.Errorf("after the logout: got %v", err)
	}
	if err := h.as(api.RoleViewer).Logout(h.ctx()); code(err) != "not_logged_in" {
		t.Errorf("a token made by hand logs out: got %v", err)
	}
	for _, r := range []api.LoginRequest{{Name: "anna", Password: "wrong words here"}, {Name: "anna"}, {Name: "nobody", Password: words}, {}, {Name: "anna", Password: strings.Repeat("x", 1<<16)}} {
		if _, err := door.Login(h.ctx(), r); code(err) != "login_refused" || api.ExitCode(err) != api.ExitRefused {
			t.Errorf("login as %q: got %v, want login_refused", r.Name, err)
		}
	}
	if _, err := door.Login(h.ctx(), api.LoginRequest{Name: "anna", Password: words, ForS: 1 << 40}); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("a login for ever: got %v", err)
	}
}

func TestPasswords(t *testing.T) {
	h := open(t)
	h.user("anna", api.RoleViewer)
	h.user("ben", api.RoleViewer)
	for _, bad := range []string{"", "short", "xCLEOxxxxx", strings.Repeat("x", 300)} {
		r := api.CreateUserRequest{Name: "cleo", Role: api.RoleViewer, Password: bad}
		if _, err := h.client.CreateUser(h.ctx(), r, client.Write{}); code(err) != "password_invalid" {
			t.Errorf("password %.20q: got %v", bad, err)
		}
	}
	if _, err := h.client.CreateUser(h.ctx(), api.CreateUserRequest{Name: "anna", Role: api.RoleViewer, Password: words}, client.Write{}); code(err) != "user_exists" {
		t.Errorf("the same name again: got %v", err)
	}
	door := h.over("")
	login := func(name, password string) (*client.Client, error) {
		l, err := door.Login(h.ctx(), api.LoginRequest{Name: name, Password: password})
		return h.over(l.Token), err
	}
	anna := must(login("anna", words))(t)
	if _, err := anna.SetPassword(h.ctx(), "ben", api.PasswordRequest{Password: "mine is now this", Old: words}, client.Write{}); code(err) != "password_not_yours" {
		t.Errorf("another's password: got %v", err)
	}
	if _, err := anna.SetPassword(h.ctx(), "anna", api.PasswordRequest{Password: "mine is now this", Old: "a guess at it"}, client.Write{}); code(err) != "login_refused" {
		t.Errorf("without knowing the old one: got %v", err)
	}
	if _, err := h.as(api.RoleViewer).SetPassword(h.ctx(), "anna", api.PasswordRequest{Password: "mine is now this", Old: words}, client.Write{}); code(err) != "password_not_yours" {
		t.Errorf("with a token that is nobody's: got %v", err)
	}
	must(anna.SetPassword(h.ctx(), "anna", api.PasswordRequest{Password: "mine is now this", Old: words}, client.Write{}))(t)
	if _, err := anna.Zones(h.ctx(), client.Page{}); code(err) != "token_invalid" {
		t.Errorf("a login under the password before: got %v", err)
	}
	if _, err := login("anna", words); code(err) != "login_refused" {
		t.Errorf("the password before: got %v", err)
	}
	anna = must(login("anna", "mine is now this"))(t)
	must(anna.Zones(h.ctx(), client.Page{}))(t)
	must(h.client.SetPassword(h.ctx(), "anna", api.PasswordRequest{Password: "an admin says so"}, client.Write{}))(t)
	anna = must(login("anna", "an admin says so"))(t)
	if err := h.client.DeleteUser(h.ctx(), "anna", client.Write{}); err != nil {
		t.Fatal(err)
	}
	if _, err := anna.Zones(h.ctx(), client.Page{}); code(err) != "token_invalid" {
		t.Errorf("a login of a deleted user: got %v", err)
	}
	if list := must(h.client.Users(h.ctx(), client.Page{}))(t).Items; len(list) != 1 || list[0].Name != "ben" {
		t.Errorf("users: got %+v", list)
	}
	if err := h.client.DeleteUser(h.ctx(), "anna", client.Write{}); code(err) != "user_not_found" {
		t.Errorf("deleting nobody: got %v", err)
	}
}

// A guesser is not heard after ten wrong passwords from one address, even if the
// next were right; a user who is guessed at from many addresses is slowed as well.
func TestPasswordGuessing(t *testing.T) {
	h := open(t)
	h.user("anna", api.RoleViewer)
	door := h.over("")
	got := map[string]int{}
	for i := range 13 {
		_, err := door.Login(h.ctx(), api.LoginRequest{Name: "anna", Password: fmt.Sprint("a guess at it ", i)})
		got[code(err)]++
	}
	if got["login_refused"] != 10 || got["login_throttled"] != 3 {
		t.Errorf("guessing: got %v, want ten tries, then throttled", got)
	}
	if _, err := door.Login(h.ctx(), api.LoginRequest{Name: "anna", Password: words}); code(err) != "login_throttled" {
		t.Errorf("the right one then: got %v, want it unheard", err)
	}
	told := 0
	for _, e := range must(h.client.Events(h.ctx(), 0, 100))(t).Items {
		if e.Code == "login_refused" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("%d events login_refused, want 1 a minute", told)
	}
}

// However many log in at once, one password is checked at a time, so that neither
// the memory nor the processors of a small machine are theirs.
func TestPasswordsAreCheckedOneAtATime(t *testing.T) {
	h := open(t)
	h.user("anna", api.RoleViewer)
	door := h.over("")
	release := h.server.HoldHashing() // one is being checked
	ctx, cancel := context.WithTimeout(h.ctx(), 50*time.Millisecond)
	defer cancel()
	if _, err := door.Login(ctx, api.LoginRequest{Name: "anna", Password: words}); err == nil {
		t.Error("a password was checked beside another")
	}
	release()
	const people = 8
	var all sync.WaitGroup
	for range people {
		all.Go(func() {
			if _, err := door.Login(h.ctx(), api.LoginRequest{Name: "anna", Password: words}); err != nil && code(err) != "login_busy" {
				t.Error(err)
			}
		})
	}
	all.Go(func() { // who gives up gives up the wait too
		gone, leave := context.WithCancel(h.ctx())
		leave()
		_, _ = door.Login(gone, api.LoginRequest{Name: "anna", Password: words})
	})
	all.Wait()
	if logins := must(h.client.Users(h.ctx(), client.Page{}))(t).Items[0].Logins; logins < 2 {
		t.Errorf("%d logins, want those that were answered", logins)
	}
}

// The logins of one user are bounded: the oldest ends.
func TestLoginsAreBounded(t *testing.T) {
	h := open(t)
	h.user("anna", api.RoleViewer)
	door := h.over("")
	var first, last api.Login
	for i := range 22 {
		last = must(door.Login(h.ctx(), api.LoginRequest{Name: "anna", Password: words}))(t)
		if i == 0 {
			first = last
		}
	}
	if _, err := h.over(first.Token).Zones(h.ctx(), client.Page{}); code(err) != "token_invalid" {
		t.Errorf("the oldest login: got %v", err)
	}
	if _, err := h.over(last.Token).Zones(h.ctx(), client.Page{}); err != nil {
		t.Error(err)
	}
	if n := must(h.client.Users(h.ctx(), client.Page{}))(t).Items[0].Logins; n != 20 {
		t.Errorf("%d logins, want 20", n)
	}
}
