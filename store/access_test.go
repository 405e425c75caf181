package store_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/store"
)

func TestLogins(t *testing.T) {
	opt := options(t)
	now := epoch0()
	opt.Now = func() time.Time { return now }
	s := open(t, opt)
	res := register(t, s, greenhouse.TypePH, "a4cf12b3de01")
	uid := string(res.Node.UID)
	var account string
	update(t, s, func(tx *store.Tx) (err error) {
		_, account, err = tx.CreateAccount("bridge", []string{"tele/#"}, []string{"cmnd/+/power"})
		return err
	})
	token := pair(t, s)
	for _, c := range []struct {
		login, password string
		want            store.PrincipalKind
	}{
		{uid, res.Secret, store.PrincipalNode}, {uid, token, ""}, {uid, "", ""}, {uid, account, ""},
		{"ph-0000", res.Secret, ""}, {"PH-A4CF12B3DE01", res.Secret, ""}, {"", "", ""},
		{"bridge", account, store.PrincipalAccount}, {"bridge", token, ""},
		{"a4cf12b3de01", token, store.PrincipalJoining}, {"a4:cf:12:b3:de:01", token, ""}, {"newdevice", token, store.PrincipalJoining}, {"newdevice", res.Secret, ""},
	} {
		p, err := s.Authenticate(c.login, c.password)
		if p.Kind != c.want || (err == nil) != (c.want != "") || err != nil && (code(err) != "login_refused" || !errors.Is(err, greenhouse.ErrForbidden)) {
			t.Errorf("login %q: got %+v, %v, want %q", c.login, p, err, c.want)
		}
		if c.want == store.PrincipalAccount && !slices.Equal(p.Publish, []string{"tele/#"}) {
			t.Errorf("filters of the account: got %v", p.Publish)
		}
	}
	var rotated string
	update(t, s, func(tx *store.Tx) (err error) { rotated, err = tx.RotateKey(res.Node.UID); return err })
	if _, err := s.Authenticate(uid, res.Secret); err == nil {
		t.Error("the secret before the rotation still works")
	}
	if _, err := s.Authenticate(uid, rotated); err != nil {
		t.Errorf("the rotated secret: got %v", err)
	}
	now = now.Add(time.Hour)
	if _, err := s.Authenticate("newdevice", token); err == nil {
		t.Error("the join token works after the window")
	}
	update(t, s, func(tx *store.Tx) error { return errors.Join(tx.DeleteAccount("bridge"), tx.ClosePairing()) })
	if _, err := s.Authenticate("bridge", account); err == nil {
		t.Error("a deleted account logs in")
	}
}

func TestReplacedSecretEndsAfterAMinute(t *testing.T) {
	opt := options(t)
	now := epoch0()
	opt.Now = func() time.Time { return now }
	s := open(t, opt)
	pair(t, s)
	join := func() (secret string) {
		update(t, s, func(tx *store.Tx) error {
			res, err := tx.Join(store.JoinRequest{HardwareID: "aaaa", Type: greenhouse.TypePH}, tx.Now())
			secret = res.Secret
			return err
		})
		return secret
	}
	first, second := join(), join()
	now = now.Add(61 * time.Second)
	if _, err := s.Authenticate("ph-aaaa", first); err == nil {
		t.Error("a replaced secret works after its grace time")
	}
	if _, err := s.Authenticate("ph-aaaa", second); err != nil {
		t.Errorf("the newest secret: got %v", err)
	}
}

func TestNoSecretIsStored(t *testing.T) {
	opt := options(t)
	s := open(t, opt)
	secrets := []string{register(t, s, greenhouse.TypePH, "aaaa").Secret, pair(t, s)}
	update(t, s, func(tx *store.Tx) error {
		_, a, err := tx.CreateAccount("bridge", nil, nil)
		_, b, err2 := tx.CreateToken("phone", store.RoleViewer, 0)
		secrets = append(secrets, a, b)
		return errors.Join(err, err2)
	})
	file, err := os.ReadFile(opt.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if len(secret) != 43 || strings.Contains(string(file), secret) {
			t.Errorf("a secret of %d characters is in the file, or is not 256 bits", len(secret))
		}
	}
}

func TestTokens(t *testing.T) {
	opt := options(t)
	now := epoch0()
	opt.Now = func() time.Time { return now }
	s := open(t, opt)
	var forever, hour string
	update(t, s, func(tx *store.Tx) error {
		_, a, err := tx.CreateToken("forever", store.RoleAdmin, 0)
		_, b, err2 := tx.CreateToken("hour", store.RoleViewer, greenhouse.MillisOf(now.Add(time.Hour)))
		forever, hour = a, b
		return errors.Join(err, err2)
	})
	if tok, err := s.Token(hour); err != nil || tok.Role != store.RoleViewer || tok.Hash != nil {
		t.Errorf("token: got %+v, %v", tok, err)
	}
	now = now.Add(time.Hour)
	if _, err := s.Token(hour); !errors.Is(err, greenhouse.ErrForbidden) {
		t.Errorf("expired token: got %v", err)
	}
	if _, err := s.Token(forever); err != nil {
		t.Error(err)
	}
	update(t, s, func(tx *store.Tx) error { return tx.DeleteToken("forever") })
	if _, err := s.Token(forever); err == nil {
		t.Error("a revoked token works")
	}
	for want, err := range map[string]error{
		"role_invalid":  s.Update(func(tx *store.Tx) error { _, _, err := tx.CreateToken("ab", "king", 0); return err }),
		"token_expired": s.Update(func(tx *store.Tx) error { _, _, err := tx.CreateToken("ab", store.RoleAdmin, 1); return err }),
		"token_exists":  s.Update(func(tx *store.Tx) error { _, _, err := tx.CreateToken("hour", store.RoleAdmin, 0); return err }),
	} {
		if code(err) != want {
			t.Errorf("create token: got %v, want %s", err, want)
		}
	}
	if store.RoleOperator.Allows(store.RoleGrower) || !store.RoleAdmin.Allows(store.RoleViewer) || store.Role("").Allows(store.RoleViewer) {
		t.Error("roles do not include each other in their order")
	}
}

func TestAccountNamesAndFilters(t *testing.T) {
	s := open(t, options(t))
	create := func(name string, filter string) error {
		return s.Try(func(tx *store.Tx) error { _, _, err := tx.CreateAccount(name, []string{filter}, nil); return err })
	}
	for _, name := range []string{"ph-a4cf12b3de01", "inline", "x", "Ab", "a b", "ä"} {
		if err := create(name, "a/b"); code(err) != "account_invalid" {
			t.Errorf("account %q: got %v, want account_invalid", name, err)
		}
	}
	for _, filter := range []string{"", "#/a", "a/b#", "a+b", "$SYS/#", "a\x00b", "\xff", strings.Repeat("a/", 13), strings.Repeat("a", 257)} {
		if err := create("bridge", filter); code(err) != "filter_invalid" {
			t.Errorf("filter %q: got %v, want filter_invalid", filter, err)
		}
	}
	for _, filter := range []string{"#", "+/+/#", "gh/n/+/status", "a"} {
		if err := create("bridge", filter); err != nil {
			t.Errorf("filter %q: got %v", filter, err)
		}
	}
	if got := s.Stats().Commits; got != 0 {
		t.Errorf("dry runs committed %d times", got)
	}
}

func TestCommands(t *testing.T) {
	s := open(t, options(t))
	put := func(id greenhouse.CommandID, state greenhouse.CommandState, at greenhouse.Millis) error {
		return s.Update(func(tx *store.Tx) error {
			return tx.PutCommand(greenhouse.Command{ID: id, Node: "ph-aaaa", State: state, CreatedAt: at})
		})
	}
	for _, c := range []struct {
		id    greenhouse.CommandID
		state greenhouse.CommandState
		want  string
	}{
		{"A", greenhouse.CommandQueued, ""}, {"A", greenhouse.CommandQueued, ""}, {"A", greenhouse.CommandSent, ""}, {"A", greenhouse.CommandDone, ""},
		{"A", greenhouse.CommandDone, "rule_command_state"}, {"A", greenhouse.CommandTimeout, "rule_command_state"},
		{"B", greenhouse.CommandQueued, ""}, {"C", greenhouse.CommandAccepted, ""}, {"C", greenhouse.CommandSent, "rule_command_state"}, {"", greenhouse.CommandQueued, "command_id_invalid"},
	} {
		if err := put(c.id, c.state, 1000); code(err) != c.want || c.want == "" && err != nil {
			t.Errorf("%s to %s: got %v, want %q", c.id, c.state, err, c.want)
		}
	}
	ids := func(list []greenhouse.Command, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, c := range list {
			b.WriteString(string(c.ID))
		}
		return b.String()
	}
	update(t, s, func(tx *store.Tx) error {
		if got := ids(tx.OpenCommands()); got != "BC" {
			t.Errorf("open: got %s, want BC", got)
		}
		if got := ids(tx.Commands(store.CommandFilter{})); got != "CBA" {
			t.Errorf("all: got %s, want CBA", got)
		}
		if got := ids(tx.Commands(store.CommandFilter{Before: "C", Limit: 1})); got != "B" {
			t.Errorf("page: got %s, want B", got)
		}
		if got := ids(tx.Commands(store.CommandFilter{State: greenhouse.CommandDone})); got != "A" {
			t.Errorf("done: got %s, want A", got)
		}
		n, err := tx.PruneCommands(greenhouse.MillisOf(epoch0())+1, 10)
		if n != 1 {
			t.Errorf("pruned: got %d, want 1: open ones stay", n)
		}
		return err
	})
}

func TestSiteStopAndEpoch(t *testing.T) {
	opt := options(t)
	s := open(t, opt)
	zones(t, s, "north")
	update(t, s, func(tx *store.Tx) error {
		site, err := tx.SetSite(greenhouse.Site{Name: "Westland", Latitude: 52, Longitude: 4.2, TimeZone: "Europe/Amsterdam"}, 1)
		if site.Version != 2 {
			t.Errorf("site: got version %d, want 2", site.Version)
		}
		return err
	})
	if err := s.Update(func(tx *store.Tx) error { return second(tx.SetSite(greenhouse.Site{}, 1)) }); !errors.Is(err, greenhouse.ErrConflict) {
		t.Errorf("stale edit of the site: got %v", err)
	}
	if err := s.Update(func(tx *store.Tx) error { return second(tx.SetSite(greenhouse.Site{TimeZone: "Mars/Base"}, 0)) }); code(err) != "time_zone_invalid" {
		t.Errorf("unknown time zone: got %v", err)
	}
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(second(tx.Stop("")), second(tx.Stop("north")), second(tx.Resume("")), second(tx.RaiseEpoch(40)))
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, opt)
	if reg := s.Registry(); !reg.StoppedZone("north") || reg.StopAll || reg.Epoch() != 41 || reg.Site.Name != "Westland" {
		t.Errorf("after a restart: got stop %v %v, epoch %d, site %s", reg.Stopped, reg.StopAll, reg.Epoch(), reg.Site.Name)
	}
	if err := s.Update(func(tx *store.Tx) error { return second(tx.RaiseEpoch(1 << 60)) }); code(err) != "epoch_invalid" {
		t.Errorf("an impossible epoch: got %v", err)
	}
}

func TestTransactions(t *testing.T) {
	s := open(t, options(t))
	boom := errors.New("boom")
	woken, cancel := s.Subscribe()
	defer cancel()
	hooks := 0
	err := s.Update(func(tx *store.Tx) error {
		tx.OnCommit(func() { hooks++ })
		_, err := tx.CreateZone(greenhouse.Zone{ID: "north"})
		return errors.Join(err, tx.Put("notes", []byte("a"), []byte("1")), boom)
	})
	if !errors.Is(err, boom) || len(s.Registry().Zones) != 0 || hooks != 0 || len(woken) != 0 {
		t.Errorf("failed transaction: got %v, %d zones, %d hooks, %d wakes", err, len(s.Registry().Zones), hooks, len(woken))
	}
	version := s.Registry().Version
	update(t, s, func(tx *store.Tx) error {
		tx.OnCommit(func() { hooks++ })
		return errors.Join(tx.Put("notes", []byte("a"), []byte("1")), tx.Put("notes", []byte("c"), []byte("3")), tx.Put("notes", []byte("b"), nil))
	})
	if s.Registry().Version != version || len(woken) != 0 || hooks != 1 {
		t.Errorf("records of other rooms: got version %d, %d wakes, %d hooks, want %d, 0, 1", s.Registry().Version, len(woken), hooks, version)
	}
	zones(t, s, "north", "south")
	if s.Registry().Version != version+1 || len(woken) != 1 {
		t.Errorf("a changed registry: got version %d, %d wakes, want %d and 1", s.Registry().Version, len(woken), version+1)
	}
	if err := s.View(func(tx *store.Tx) error { return second(tx.CreateZone(greenhouse.Zone{ID: "west"})) }); err == nil {
		t.Error("a view writes")
	}
	keys := func(from string, reverse bool) (got string) {
		if err := s.View(func(tx *store.Tx) error {
			tx.Scan("notes", []byte(from), reverse, func(k, _ []byte) bool { got += string(k); return true })
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, c := range []struct {
		from    string
		reverse bool
		want    string
	}{{"", false, "abc"}, {"b", false, "bc"}, {"bb", false, "c"}, {"z", false, ""}, {"", true, "cba"}, {"b", true, "ba"}, {"bb", true, "ba"}, {"z", true, "cba"}, {"A", true, ""}} {
		if got := keys(c.from, c.reverse); got != c.want {
			t.Errorf("scan from %q, reverse %v: got %q, want %q", c.from, c.reverse, got, c.want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(func(*store.Tx) error { return nil }); code(err) != "registry_closed" {
		t.Errorf("update after close: got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close again: got %v", err)
	}
}

// TestViewsAreOfOneMoment compares, in views beside a writer, a counter among
// the records with one in the registry.
func TestViewsAreOfOneMoment(t *testing.T) {
	s := open(t, options(t))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				err := s.View(func(tx *store.Tx) error {
					if name, note := tx.Site().Name, string(tx.Get("notes", []byte("n"))); note != "" && name != note {
						t.Errorf("one view sees site %q and note %q", name, note)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 200 {
		update(t, s, func(tx *store.Tx) error {
			name := "n" + strings.Repeat("i", i%50)
			_, err := tx.SetSite(greenhouse.Site{Name: name, TimeZone: "UTC"}, 0)
			return errors.Join(err, tx.Put("notes", []byte("n"), []byte(name)))
		})
	}
	close(stop)
	wg.Wait()
}

// TestRegistryInHandDoesNotChange holds a registry through changes.
func TestRegistryInHandDoesNotChange(t *testing.T) {
	s := open(t, options(t))
	populate(t, s, 6)
	held := s.Registry()
	names := map[greenhouse.UID]string{}
	for uid, n := range held.Nodes {
		names[uid] = n.Name
	}
	points := len(held.ZonePoints("north"))
	update(t, s, func(tx *store.Tx) error {
		for _, n := range tx.Nodes() {
			if _, err := tx.EditNode(n.UID, 0, func(n *greenhouse.Node) error { n.Name, n.Channels[0].Unit = "x", "K"; return nil }); err != nil {
				return err
			}
			if _, err := tx.Unassign(n.UID, 0); err != nil {
				return err
			}
		}
		return tx.DeleteZone("north", 0)
	})
	for uid, n := range held.Nodes {
		if n.Name != names[uid] || n.Zone == "" || n.Channels[0].Unit != "°C" {
			t.Errorf("node %s changed in a registry somebody holds: %+v", uid, n)
		}
	}
	if diff := cmp.Diff(points, len(held.ZonePoints("north"))); diff != "" {
		t.Errorf("points of a zone changed: %s", diff)
	}
}
