package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"greenhouse"
	"greenhouse/store"
)

// dump returns everything a registry holds, in a form that compares.
func dump(t testing.TB, s *store.Store) string {
	t.Helper()
	var b strings.Builder
	err := s.View(func(tx *store.Tx) error {
		commands, err := tx.Commands(store.CommandFilter{Limit: 1000})
		for _, v := range []any{tx.Site(), tx.Nodes(), tx.Zones(), tx.Points(), tx.Accounts(), tx.Tokens(), commands, tx.Registry().Overrides} {
			line, err := json.Marshal(v)
			if err != nil {
				return err
			}
			b.Write(append(line, '\n'))
		}
		tx.Scan("notes", nil, false, func(k, v []byte) bool {
			fmt.Fprintf(&b, "%s=%s\n", k, v)
			return true
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// populate fills a registry with some of everything.
func populate(t testing.TB, s *store.Store, nodes int) {
	t.Helper()
	zones(t, s, "north", "south")
	for i := range nodes {
		uid := register(t, s, greenhouse.TypeClimate, greenhouse.HardwareID(fmt.Sprintf("ab%06d", i)), "air_temp", "heater").Node.UID
		if _, err := assign(s, uid, []greenhouse.ZoneID{"north", "south"}[i%2], 0); err != nil {
			t.Fatal(err)
		}
	}
	update(t, s, func(tx *store.Tx) error {
		for i := range nodes {
			err := errors.Join(tx.Put("notes", fmt.Appendf(nil, "%04d", i), bytes.Repeat([]byte{'a' + byte(i%26)}, 300)),
				tx.PutCommand(greenhouse.Command{ID: greenhouse.CommandID(fmt.Sprintf("C%05d", i)), State: greenhouse.CommandQueued}))
			if err != nil {
				return err
			}
		}
		_, _, err := tx.CreateAccount("bridge", []string{"tele/#"}, []string{"cmnd/#"})
		return err
	})
}

func TestSecondInstanceNamesTheFirst(t *testing.T) {
	opt := options(t)
	open(t, opt)
	_, err := store.Open(opt)
	if code(err) != "registry_locked" || !errors.Is(err, greenhouse.ErrUnavailable) {
		t.Fatalf("second open: got %v, want registry_locked", err)
	}
	if want := "process " + strconv.Itoa(os.Getpid()); !strings.Contains(err.Error(), want) {
		t.Errorf("second open: got %q, want it to name %s", err, want)
	}
}

// breakable opens a registry whose file can be exchanged underneath it.
func breakable(t *testing.T) (s *store.Store, file func() *os.File) {
	t.Helper()
	var f *os.File
	opt := options(t)
	opt.OpenFile = func(name string, flag int, perm os.FileMode) (*os.File, error) {
		var err error
		f, err = os.OpenFile(name, flag, perm)
		return f, err
	}
	return open(t, opt), func() *os.File { return f }
}

func TestFailedCommitIsNotTrusted(t *testing.T) {
	// Behind the descriptor of the registry stands: a device that takes writes
	// but cannot be synced, one that is full, a file that cannot be written.
	for _, fault := range []string{"/dev/null", "/dev/full", "readonly"} {
		t.Run(filepath.Base(fault), func(t *testing.T) {
			s, file := breakable(t)
			populate(t, s, 10)
			before := dump(t, s)
			bad, err := os.OpenFile(fault, os.O_WRONLY, 0)
			if fault == "readonly" {
				bad, err = os.Open(file().Name())
			}
			if err != nil {
				t.Skip(err)
			}
			defer func() { _ = bad.Close() }()
			if err := syscall.Dup3(int(bad.Fd()), int(file().Fd()), syscall.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			put := func() error {
				return s.Update(func(tx *store.Tx) error { return tx.Put("notes", []byte("new"), []byte("x")) })
			}
			if err := put(); !errors.Is(err, greenhouse.ErrUnavailable) {
				t.Fatalf("commit: got %v, want ErrUnavailable", err)
			}
			if err := put(); code(err) != "registry_unknown" {
				t.Errorf("write after a failed commit: got %v, want registry_unknown", err)
			}
			if err := s.View(func(*store.Tx) error { return nil }); code(err) != "registry_unknown" {
				t.Errorf("read after a failed commit: got %v, want registry_unknown", err)
			}
			if got := len(s.Registry().Nodes); got != 10 || !s.Stats().Unknown {
				t.Errorf("registry in memory: got %d nodes, want 10", got)
			}
			if err := s.Reopen(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, dump(t, s)); diff != "" {
				t.Errorf("after reopening (-before +after):\n%s", diff)
			}
			if err := put(); err != nil {
				t.Errorf("write after reopening: got %v", err)
			}
		})
	}
}

func TestFullRegistryRefusesAndGoesOn(t *testing.T) {
	opt := options(t)
	opt.MaxBytes, opt.NoSync = 2<<20, true
	s := open(t, opt)
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = s.Update(func(tx *store.Tx) error { return tx.Put("notes", fmt.Appendf(nil, "%04d", n), make([]byte, 100<<10)) })
	}
	if code(err) != "registry_full" {
		t.Fatalf("fill: got %v, want registry_full", err)
	}
	update(t, s, func(tx *store.Tx) error {
		for i := range n {
			if err := tx.Delete("notes", fmt.Appendf(nil, "%04d", i)); err != nil {
				return err
			}
		}
		return nil
	})
	update(t, s, func(tx *store.Tx) error { return tx.Put("notes", []byte("x"), make([]byte, 100<<10)) })
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

// damaged makes a registry with a snapshot and one change more, and returns its
// files and what it held.
func damaged(t *testing.T) (opt store.Options, file []byte, atSnapshot, atEnd string) {
	t.Helper()
	opt = options(t)
	s := open(t, opt)
	populate(t, s, 40)
	if _, err := s.Snapshot(); err != nil {
		t.Fatal(err)
	}
	atSnapshot = dump(t, s)
	for i := range 5 {
		update(t, s, func(tx *store.Tx) error { return tx.Put("notes", []byte("late"), fmt.Append(nil, i)) })
	}
	atEnd = dump(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(opt.Path)
	if err != nil {
		t.Fatal(err)
	}
	return opt, file, atSnapshot, atEnd
}

// reopened puts bytes in the registry's place, opens it, and returns what it
// holds and whether that is known to be older.
func reopened(t *testing.T, opt store.Options, file []byte) (content string, rec *store.Recovery, err error) {
	t.Helper()
	if err := os.WriteFile(opt.Path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	opt.NoSync = true
	s, err := store.Open(opt)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = s.Close() }()
	return dump(t, s), s.Recovered(), nil
}

func TestBitFlipsAreFoundOrHarmless(t *testing.T) {
	opt, file, atSnapshot, atEnd := damaged(t)
	flips := 1000
	if testing.Short() {
		flips = 100
	}
	found := 0
	rng := rand.New(rand.NewPCG(1, 2))
	for range flips {
		bad := bytes.Clone(file)
		at := rng.IntN(len(bad))
		if rng.IntN(2) == 0 {
			at = rng.IntN(min(len(bad), 160<<10)) // where the pages in use are
		}
		bad[at] ^= 1 << rng.IntN(8)
		content, rec, err := reopened(t, opt, bad)
		switch {
		case err != nil:
			t.Fatalf("flip at %d: %v", at, err)
		case rec != nil && rec.Snapshot != "":
			found++
			if content != atSnapshot {
				t.Fatalf("flip at %d: what was restored is not the snapshot:\n%s", at, cmp.Diff(atSnapshot, content))
			}
		case rec != nil:
			found++
		case content != atEnd:
			t.Fatalf("flip at %d went unnoticed and changed what is read:\n%s", at, cmp.Diff(atEnd, content))
		}
	}
	t.Logf("%d flips: %d found, %d harmless", flips, found, flips-found)
	if found == 0 {
		t.Error("no flip was found: the test does not hit the pages")
	}
}

func TestDamagedFilesAreSetAsideAndRestored(t *testing.T) {
	opt, file, atSnapshot, atEnd := damaged(t)
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	db, err := bbolt.Open(foreign, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	zeroPage := func(n int) []byte {
		bad := bytes.Clone(file)
		clear(bad[n*4096 : (n+1)*4096])
		return bad
	}
	cases := map[string][]byte{"empty": {}, "zeros": make([]byte, 16<<10), "text": []byte(strings.Repeat("hello\n", 9000)), "both heads": append(make([]byte, 8192), file[8192:]...)}
	for cut := 1; cut < 8; cut++ {
		cases[fmt.Sprint("cut at page ", cut)] = file[:cut*4096]
	}
	cases["cut in a page"] = file[:5*4096+77]
	for n := 2; (n+1)*4096 <= len(file); n++ {
		content, rec, err := reopened(t, opt, zeroPage(n))
		if err != nil || rec != nil && content != atSnapshot || rec == nil && content != atEnd {
			t.Errorf("page %d zeroed: got %+v, %v", n, rec, err)
		}
	}
	for name, bad := range cases {
		content, rec, err := reopened(t, opt, bad)
		if err != nil || rec == nil || content != atSnapshot {
			t.Errorf("%s: got recovery %+v, %v, want the snapshot", name, rec, err)
			continue
		}
		kept, err := os.ReadFile(rec.Quarantined)
		if err != nil || !bytes.Equal(kept, bad) {
			t.Errorf("%s: the damaged file is not kept: %v", name, err)
		}
	}
	other, err := os.ReadFile(foreign)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := reopened(t, opt, other); code(err) != "registry_foreign" {
		t.Errorf("another program's file: got %v, want registry_foreign", err)
	}
	if now, _ := os.ReadFile(opt.Path); !bytes.Equal(now, other) {
		t.Error("another program's file was touched")
	}
	if err := os.Remove(opt.Path); err != nil {
		t.Fatal(err)
	}
	s := open(t, opt)
	if rec := s.Recovered(); rec == nil || rec.Quarantined != "" || dump(t, s) != atSnapshot {
		t.Errorf("a missing file: got %+v, want the snapshot", rec)
	}
	update(t, s, func(tx *store.Tx) error { return tx.ForgetRecovery() })
	if rec := s.Recovered(); rec != nil {
		t.Errorf("recovery after it was recorded: got %+v", rec)
	}
}

func TestNeverSilentlyEmpty(t *testing.T) {
	opt, file, _, _ := damaged(t)
	if err := os.RemoveAll(filepath.Join(filepath.Dir(opt.Path), "snapshots")); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{"empty": {}, "cut": file[:9000]} {
		if _, _, err := reopened(t, opt, bad); code(err) != "registry_damaged" || !errors.Is(err, greenhouse.ErrUnavailable) {
			t.Errorf("%s without a snapshot: got %v, want registry_damaged", name, err)
		}
		if now, _ := os.ReadFile(opt.Path); !bytes.Equal(now, bad) {
			t.Errorf("%s without a snapshot: the file was touched", name)
		}
	}
	if err := os.Rename(opt.Path, opt.Path+".corrupt-20260301T120000.000"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(opt); code(err) != "registry_damaged" {
		t.Errorf("only a quarantined file: got %v, want registry_damaged", err)
	}
}

func TestRestoredNumbersLeapAhead(t *testing.T) {
	opt := options(t)
	s := open(t, opt)
	next := func(s *store.Store) (epoch, seq uint64) {
		update(t, s, func(tx *store.Tx) (err error) {
			epoch, err = tx.NextEpoch()
			return errors.Join(err, func() (err error) { seq, err = tx.Sequence("events"); return err }())
		})
		return epoch, seq
	}
	next(s)
	if _, err := s.Snapshot(); err != nil {
		t.Fatal(err)
	}
	epoch, seq := next(s)
	if epoch != 2 || seq != 2 {
		t.Fatalf("got epoch %d and number %d, want 2 and 2", epoch, seq)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(opt.Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	restored := open(t, opt)
	if e, n := next(restored); e <= epoch+1000 || n <= seq+1000 {
		t.Errorf("after a restore: got epoch %d and number %d, want them far above %d and %d", e, n, epoch, seq)
	}
}

func TestSnapshotsKeepTheNewest(t *testing.T) {
	opt := options(t)
	now := epoch0()
	opt.Now, opt.KeepSnapshots = func() time.Time { return now }, 3
	s := open(t, opt)
	var last string
	for range 6 {
		now = now.Add(time.Hour)
		var err error
		if last, err = s.Snapshot(); err != nil {
			t.Fatal(err)
		}
		if err := store.VerifyFile(last); err != nil {
			t.Error(err)
		}
	}
	files, err := os.ReadDir(filepath.Dir(last))
	if err != nil || len(files) != 3 || files[2].Name() != filepath.Base(last) {
		t.Errorf("snapshots: got %v, %v, want the newest three", files, err)
	}
	if got := s.Stats().LastSnapshot; got != greenhouse.MillisOf(now) {
		t.Errorf("last snapshot: got %d, want %d", got, greenhouse.MillisOf(now))
	}
	var b bytes.Buffer
	if err := s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "backup.db")
	if err := os.WriteFile(copied, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := store.VerifyFile(copied); err != nil {
		t.Errorf("backup: %v", err)
	}
}

func TestMigration(t *testing.T) {
	opt := options(t)
	s := open(t, opt)
	populate(t, s, 4)
	before := dump(t, s)
	if v, err := s.Schema(); v != 1 || err != nil {
		t.Fatalf("schema: got %d, %v, want 1", v, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rename := store.Migration{To: 2, What: "shout", Run: func(tx *store.Tx) error {
		for _, n := range tx.Nodes() {
			if _, err := tx.EditNode(n.UID, 0, func(n *greenhouse.Node) error { n.Name = strings.ToUpper(n.Name); return nil }); err != nil {
				return err
			}
		}
		return nil
	}}
	crash := store.Migration{To: 3, What: "crash", Run: func(*store.Tx) error { return errors.New("crash") }}
	if _, err := store.OpenAs(opt, 3, rename, crash); err == nil {
		t.Fatal("failing migration: got no error")
	}
	again := open(t, opt)
	if diff := cmp.Diff(before, dump(t, again)); diff != "" {
		t.Errorf("after a failed migration (-before +after):\n%s", diff)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	newer, err := store.OpenAs(opt, 2, rename)
	if err != nil {
		t.Fatal(err)
	}
	if got := newer.Registry().Nodes["climate-ab000000"].Name; got != "CLIMATE-AB000000" {
		t.Errorf("name after the migration: got %q", got)
	}
	if err := newer.Close(); err != nil {
		t.Fatal(err)
	}
	if found, _ := filepath.Glob(filepath.Join(filepath.Dir(opt.Path), "snapshots", "*-schema1.db")); len(found) == 0 {
		t.Error("no snapshot was taken before the migration")
	}
	if _, err := store.Open(opt); code(err) != "schema_newer" || !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("older program on a newer registry: got %v, want schema_newer", err)
	}
}

// TestPowerCuts rebuilds what a disk may hold when the power goes during a
// commit: bbolt writes data pages, syncs, writes one head, syncs. Any subset of
// the data pages, whole or torn, may be there with the old head; the new head
// only with all of them.
func TestPowerCuts(t *testing.T) {
	opt := options(t)
	s := open(t, opt)
	populate(t, s, 20)
	rng := rand.New(rand.NewPCG(3, 4))
	cuts := 300
	if testing.Short() {
		cuts = 30
	}
	for i := 0; i < cuts; i += 10 {
		before, err := os.ReadFile(opt.Path)
		if err != nil {
			t.Fatal(err)
		}
		was := dump(t, s)
		update(t, s, func(tx *store.Tx) error {
			return errors.Join(tx.Put("notes", fmt.Append(nil, rng.IntN(30)), fmt.Append(nil, i)), second(tx.EditNode(greenhouse.UID(fmt.Sprintf("climate-ab%06d", rng.IntN(20))), 0,
				func(n *greenhouse.Node) error { n.Name = fmt.Sprint("name ", i); return nil })))
		})
		after, err := os.ReadFile(opt.Path)
		if err != nil {
			t.Fatal(err)
		}
		is := dump(t, s)
		for range 10 {
			cut, complete := cutShort(rng, before, after)
			want := was
			if complete {
				want = is
			}
			if got := contentOf(t, cut); got != want {
				t.Fatalf("cut %d (complete %v): got neither:\n%s", i, complete, cmp.Diff(want, got))
			}
		}
	}
}

// cutShort returns a state between two images of the file.
func cutShort(rng *rand.Rand, before, after []byte) (cut []byte, complete bool) {
	cut = make([]byte, len(after))
	copy(cut, before)
	complete = rng.IntN(4) == 0
	for p := 2 * 4096; p < len(after); p += 4096 {
		switch {
		case complete || rng.IntN(3) == 0:
			copy(cut[p:p+4096], after[p:])
		case rng.IntN(2) == 0:
			copy(cut[p:p+512*rng.IntN(8)], after[p:])
		}
	}
	if complete {
		copy(cut[:8192], after)
	}
	return cut, complete
}

// contentOf opens an image of a registry in a directory of its own.
func contentOf(t *testing.T, image []byte) string {
	t.Helper()
	opt := options(t)
	opt.NoSync = true
	if err := os.MkdirAll(filepath.Dir(opt.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(opt.Path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	return dump(t, s)
}

func TestRewriteChangesNothing(t *testing.T) {
	opt, file, _, _ := damaged(t)
	if err := store.Rewrite(opt.Path); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(opt.Path); err != nil || !bytes.Equal(now, file) {
		t.Errorf("the file changed: %v", err)
	}
}

func TestLeftoversOfACrashAreRemoved(t *testing.T) {
	opt := options(t)
	dir := filepath.Dir(opt.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"registry.db.new", "registry-backup-1.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open(t, opt)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{"registry.db", "registry.db.lock"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestBadPlaces(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "registry.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"a/registry.db", "file/registry.db", "loop/registry.db"} {
		_, err := store.Open(store.Options{Path: filepath.Join(dir, path)})
		var e *greenhouse.Error
		if !errors.As(err, &e) || e.Hint == "" {
			t.Errorf("open %s: got %v, want an error with a hint", path, err)
		}
	}
}
