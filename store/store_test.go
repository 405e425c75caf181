package store_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/store"
)

// epoch0 is when the tests happen.
func epoch0() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// options returns options for a registry in a directory of the test.
func options(t testing.TB) store.Options {
	return store.Options{Path: filepath.Join(t.TempDir(), "data", "registry.db"), Now: epoch0}
}

// open opens a registry and closes it at the end of the test.
func open(t testing.TB, opt store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// update runs fn and fails the test on an error.
func update(t testing.TB, s *store.Store, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := s.Update(fn); err != nil {
		t.Fatal(err)
	}
}

// pair opens pairing.
func pair(t testing.TB, s *store.Store) (token string) {
	t.Helper()
	update(t, s, func(tx *store.Tx) error {
		p, err := tx.OpenPairing(time.Hour, tx.Now())
		token = p.Token
		return err
	})
	return token
}

// zones makes zones.
func zones(t testing.TB, s *store.Store, ids ...greenhouse.ZoneID) {
	t.Helper()
	update(t, s, func(tx *store.Tx) error {
		for _, id := range ids {
			if _, err := tx.CreateZone(greenhouse.Zone{ID: id}); err != nil {
				return err
			}
		}
		return nil
	})
}

// register makes a node with channels and returns it.
func register(t testing.TB, s *store.Store, typ greenhouse.NodeType, hw greenhouse.HardwareID, channels ...greenhouse.ChannelName) store.JoinResult {
	t.Helper()
	var res store.JoinResult
	update(t, s, func(tx *store.Tx) (err error) {
		res, err = tx.Register(store.JoinRequest{HardwareID: hw, Type: typ, Channels: named(channels...)})
		return err
	})
	return res
}

// named returns channels that say no more than their names.
func named(names ...greenhouse.ChannelName) []greenhouse.Channel {
	var list []greenhouse.Channel
	for _, n := range names {
		list = append(list, greenhouse.Channel{Name: n})
	}
	return list
}

// code returns the code of an error, "" if it has none.
func code(err error) string {
	var e *greenhouse.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestJoinThenLogIn(t *testing.T) {
	s := open(t, options(t))
	hello := store.JoinRequest{HardwareID: "a4cf12b3de01", Type: greenhouse.TypePH, Name: "pH north", FW: "1.4.2", Channels: named("solution_ph", "pump_acid")}
	join := func() (res store.JoinResult, err error) {
		err = s.Update(func(tx *store.Tx) (err error) { res, err = tx.Join(hello, tx.Now()); return err })
		return res, err
	}
	if _, err := join(); code(err) != "pairing_closed" || !errors.Is(err, greenhouse.ErrForbidden) {
		t.Fatalf("join while pairing is closed: got %v, want pairing_closed", err)
	}
	token := pair(t, s)
	if p, err := s.Authenticate("a4cf12b3de01", token); err != nil || p.Kind != store.PrincipalJoining {
		t.Fatalf("login with the join token: got %+v, %v", p, err)
	}
	first, err := join()
	if err != nil || !first.Created || first.Secret == "" || first.Node.UID != "ph-a4cf12b3de01" {
		t.Fatalf("first join: got %+v, %v", first, err)
	}
	second, err := join()
	if err != nil || second.Created || second.Secret == first.Secret || second.Secret == "" {
		t.Fatalf("second join: got %+v, %v", second, err)
	}
	if diff := cmp.Diff(first.Node, second.Node); diff != "" {
		t.Errorf("a repeated hello changed the node (-first +second):\n%s", diff)
	}
	for _, secret := range []string{first.Secret, second.Secret} {
		if p, err := s.Authenticate("ph-a4cf12b3de01", secret); err != nil || !p.First || p.UID != "ph-a4cf12b3de01" {
			t.Errorf("login with a secret of the joining: got %+v, %v", p, err)
		}
	}
	if err := s.Update(func(tx *store.Tx) error { return tx.Admit("ph-a4cf12b3de01", "a guess") }); !errors.Is(err, greenhouse.ErrForbidden) {
		t.Errorf("admitted with a guess: %v", err)
	}
	update(t, s, func(tx *store.Tx) error { return tx.Admit("ph-a4cf12b3de01", first.Secret) })
	if _, err := s.Authenticate("ph-a4cf12b3de01", second.Secret); err == nil {
		t.Error("a secret the node did not take still works")
	}
	third, err := join()
	if err != nil || !third.Conflict || third.Secret != "" {
		t.Errorf("join after the login: got %+v, %v, want a conflict and no secret", third, err)
	}
}
