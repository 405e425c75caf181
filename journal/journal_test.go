package journal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"greenhouse"
	"greenhouse/journal"
	"greenhouse/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// db is the real registry behind the journal, with a fault that can be switched on.
type db struct {
	s    *store.Store
	full bool // every update is refused
}

func (d *db) View(fn func(journal.Tx) error) error {
	return d.s.View(func(tx *store.Tx) error { return fn(tx) })
}

func (d *db) Update(fn func(journal.Tx) error) error {
	if d.full {
		return greenhouse.Unavailable("registry_io", "no space left on device")
	}
	return d.s.Update(func(tx *store.Tx) error { return fn(tx) })
}

// clock is a time that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// setup opens a journal on a registry in a directory of the test.
func setup(t testing.TB) (*journal.Journal, *db, *clock) {
	t.Helper()
	c := &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	s, err := store.Open(store.Options{Path: filepath.Join(t.TempDir(), "registry.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	d := &db{s: s}
	j, err := journal.New(d, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return j, d, c
}

// codes returns the codes of events.
func codes(events []greenhouse.Event) []string {
	list := []string{}
	for _, e := range events {
		list = append(list, e.Code)
	}
	return list
}

// since returns all events after seq.
func since(t testing.TB, j *journal.Journal, seq uint64) []greenhouse.Event {
	t.Helper()
	events, err := j.Since(seq, 0)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestEventsAreNumberedAndKept(t *testing.T) {
	j, d, c := setup(t)
	if err := j.Record(greenhouse.Event{Code: "node_registered", Source: greenhouse.NodeSource("ph-abcd"), Actor: "uid:1000"}, greenhouse.Event{Code: "zone_created", TS: 5}); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	err := d.Update(func(tx journal.Tx) error {
		if seq, err := j.Append(tx, greenhouse.Event{Code: "never_happened"}); seq != 3 || err != nil {
			t.Errorf("append: got %d, %v, want 3", seq, err)
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if err := j.Record(greenhouse.Event{Code: "zone_deleted"}); err != nil {
		t.Fatal(err)
	}
	want := []greenhouse.Event{
		{Seq: 1, TS: greenhouse.MillisOf(c.at), Code: "node_registered", Source: "node/ph-abcd", Actor: "uid:1000"},
		{Seq: 2, TS: 5, Code: "zone_created", Source: "site", Actor: "edged"},
		{Seq: 3, TS: greenhouse.MillisOf(c.at), Code: "zone_deleted", Source: "site", Actor: "edged"},
	}
	if diff := cmp.Diff(want, since(t, j, 0)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	again, err := journal.New(d, c.now)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Last(); got != 3 {
		t.Errorf("last after a restart: got %d, want 3", got)
	}
	if err := again.Verify(); err != nil {
		t.Error(err)
	}
}

func TestBadEventsAreRefused(t *testing.T) {
	j, _, _ := setup(t)
	for _, e := range []greenhouse.Event{
		{}, {Code: "Node_Registered"}, {Code: "node"}, {Code: "node_"}, {Code: "node registered"}, {Code: strings.Repeat("a_b", 40)},
		{Code: "node_registered", Detail: json.RawMessage(`{`)}, {Code: "node_registered", Detail: json.RawMessage(`"` + strings.Repeat("x", 70000) + `"`)},
	} {
		if err := j.Record(e); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("record %q: got %v, want ErrInvalid", e.Code, err)
		}
	}
	if got := j.Last(); got != 0 {
		t.Errorf("last: got %d, want 0", got)
	}
}

func TestSecretsAreBlackedOut(t *testing.T) {
	j, _, _ := setup(t)
	for in, want := range map[string]string{
		`{"uid":"ph-abcd","secret":"hunter2"}`:                     `{"secret":"[redacted]","uid":"ph-abcd"}`,
		`{"before":[{"join_token":"x"}],"n":12345678901234567890}`: `{"before":[{"join_token":"[redacted]"}],"n":12345678901234567890}`,
		`{"Pass\u0077ord":"x"}`:                                    `{"Password":"[redacted]"}`,
		`{"name":"secretary"}`:                                     `{"name":"secretary"}`,
		`{"a":1}`:                                                  `{"a":1}`,
	} {
		if err := j.Record(greenhouse.Event{Code: "node_edited", Detail: json.RawMessage(in)}); err != nil {
			t.Fatal(err)
		}
		events := since(t, j, j.Last()-1)
		if got := string(events[0].Detail); got != want {
			t.Errorf("detail of %s: got %s, want %s", in, got, want)
		}
	}
}

func TestConcurrentWritersNumberWithoutGapsAndWatchersMissNothing(t *testing.T) {
	j, _, _ := setup(t)
	const writers, each, watchers = 8, 25, 4
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var watching, writing sync.WaitGroup
	seen := make([][]uint64, watchers)
	for w := range watchers {
		watching.Go(func() {
			for e, err := range j.Watch(ctx, 0) {
				if err != nil {
					t.Error(err)
					return
				}
				seen[w] = append(seen[w], e.Seq)
				if e.Seq == writers*each {
					return
				}
			}
		})
	}
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				if err := j.Record(greenhouse.Event{Code: "test_written", Detail: json.RawMessage(fmt.Sprintf(`[%d,%d]`, w, i))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	watching.Wait()
	want := make([]uint64, writers*each)
	for i := range want {
		want[i] = uint64(i + 1)
	}
	for w := range seen {
		if diff := cmp.Diff(want, seen[w]); diff != "" {
			t.Errorf("watcher %d (-want +got):\n%s", w, diff)
		}
	}
	if err := j.Verify(); err != nil {
		t.Error(err)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	j, _, _ := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range j.Watch(ctx, 0) {
			t.Error("an event came out of nothing")
		}
	}()
	cancel()
	<-done
}

func TestPrune(t *testing.T) {
	j, _, _ := setup(t)
	var events []greenhouse.Event
	for i := range 2500 {
		events = append(events, greenhouse.Event{Code: "test_written", TS: greenhouse.Millis(1000 + i)})
	}
	if err := j.Record(events...); err != nil {
		t.Fatal(err)
	}
	check := func(before greenhouse.Millis, keep, removed int, first uint64) {
		t.Helper()
		got, err := j.Prune(before, keep)
		if err != nil || got != removed {
			t.Errorf("prune(%d, %d): got %d, %v, want %d", before, keep, got, err, removed)
		}
		if got := since(t, j, 0)[0].Seq; got != first {
			t.Errorf("first after prune(%d, %d): got %d, want %d", before, keep, got, first)
		}
		if err := j.Verify(); err != nil {
			t.Error(err)
		}
	}
	check(0, 0, 0, 1)
	check(2500, 0, 1500, 1501)
	check(0, 100, 900, 2401)
	check(1<<40, 0, 99, 2500) // the newest stays
	if err := j.Record(greenhouse.Event{Code: "test_written"}); err != nil {
		t.Fatal(err)
	}
	if got := j.Last(); got != 2501 {
		t.Errorf("number after pruning everything: got %d, want 2501", got)
	}
}

func TestVerifyFindsAForgery(t *testing.T) {
	j, d, _ := setup(t)
	for range 5 {
		if err := j.Record(greenhouse.Event{Code: "test_written", Actor: "anna"}); err != nil {
			t.Fatal(err)
		}
	}
	key := []byte{0, 0, 0, 0, 0, 0, 0, 3}
	if err := d.Update(func(tx journal.Tx) error {
		return tx.Put("events", key, []byte(strings.Replace(string(tx.Get("events", key)), "anna", "mary", 1)))
	}); err != nil {
		t.Fatal(err)
	}
	if err := j.Verify(); err == nil || !strings.Contains(err.Error(), "event 3") {
		t.Errorf("verify after a forgery: got %v, want event 3 named", err)
	}
	if err := d.Update(func(tx journal.Tx) error { return tx.Delete("events", key) }); err != nil {
		t.Fatal(err)
	}
	if err := j.Verify(); err == nil || !strings.Contains(err.Error(), "event 4") {
		t.Errorf("verify after a removal: got %v, want event 4 named", err)
	}
}

// hot is a condition of the tests.
func hot(active bool, severity greenhouse.Severity) greenhouse.Condition {
	return greenhouse.Condition{Source: greenhouse.ZoneSource("north"), Code: "too_hot", Severity: severity, Active: active, Text: "it is hot"}
}

func TestAlarmLife(t *testing.T) {
	j, d, c := setup(t)
	observe := func(conds ...greenhouse.Condition) {
		t.Helper()
		c.at = c.at.Add(time.Second)
		if err := j.Observe(conds...); err != nil {
			t.Fatal(err)
		}
	}
	observe(hot(false, greenhouse.Warning))
	if got := j.Alarms(true); len(got) != 0 {
		t.Errorf("alarms after a condition that never held: got %v", got)
	}
	start := greenhouse.MillisOf(c.at)
	observe(hot(true, greenhouse.Warning))
	observe(hot(true, greenhouse.Warning))
	observe(hot(true, greenhouse.Warning))
	a := j.Alarms(false)[0]
	want := greenhouse.Alarm{ID: a.ID, Source: "zone/north", Code: "too_hot", Severity: greenhouse.Warning, State: greenhouse.AlarmRaised, Count: 1, FirstSeen: start + 1000, LastSeen: start + 3000, Text: "it is hot", Version: 1}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("raised alarm (-want +got):\n%s", diff)
	}
	if len(a.ID) != 8 {
		t.Errorf("id: got %q, want 8 characters", a.ID)
	}
	if acked, err := j.Ack(a.ID, "anna"); err != nil || !acked.Acked || acked.AckedBy != "anna" {
		t.Errorf("ack: got %+v, %v", acked, err)
	}
	observe(hot(false, greenhouse.Warning))
	if got := j.Alarms(false); len(got) != 0 {
		t.Errorf("open alarms after acknowledging and clearing: got %v", got)
	}
	observe(hot(true, greenhouse.Warning))
	observe(hot(true, greenhouse.Critical))
	again, err := journal.New(d, c.now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.Alarm(a.ID)
	if err != nil || got.Count != 2 || got.Acked || got.Severity != greenhouse.Critical {
		t.Errorf("alarm after a restart: got %+v, %v, want the second time, critical, not acknowledged", got, err)
	}
	wantCodes := []string{"alarm_raised", "alarm_acked", "alarm_cleared", "alarm_raised", "alarm_raised"}
	if diff := cmp.Diff(wantCodes, codes(since(t, j, 0))); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestShelve(t *testing.T) {
	j, _, c := setup(t)
	if err := j.Observe(hot(true, greenhouse.Warning)); err != nil {
		t.Fatal(err)
	}
	id := j.Alarms(false)[0].ID
	if _, err := j.Shelve(id, greenhouse.MillisOf(c.at), "anna"); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("shelve until now: got %v, want ErrInvalid", err)
	}
	until := greenhouse.MillisOf(c.at.Add(time.Hour))
	if a, err := j.Shelve(id, until, "anna"); err != nil || a.ShelvedUntil != until {
		t.Errorf("shelve: got %+v, %v", a, err)
	}
	if a, err := j.Shelve(id, 0, "anna"); err != nil || a.ShelvedUntil != 0 {
		t.Errorf("unshelve: got %+v, %v", a, err)
	}
	if _, err := j.Ack("nosuch", "anna"); !errors.Is(err, greenhouse.ErrNotFound) {
		t.Errorf("ack of nothing: got %v, want ErrNotFound", err)
	}
	if diff := cmp.Diff([]string{"alarm_raised", "alarm_shelved", "alarm_unshelved"}, codes(since(t, j, 0))); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAlarmsStandWhileTheDiskDoesNotTakeThem(t *testing.T) {
	j, d, _ := setup(t)
	d.full = true
	for i := range 700 {
		if err := j.Observe(hot(i%2 == 0, greenhouse.Warning), greenhouse.Condition{Source: greenhouse.SiteSource, Code: "disk_full", Severity: greenhouse.Critical, Active: i%2 == 0}); err == nil {
			t.Fatal("observe on a full disk: got no error")
		}
	}
	if got := len(j.Alarms(true)); got != 2 {
		t.Fatalf("alarms on a full disk: got %d, want 2", got)
	}
	d.full = false
	if err := j.Observe(); err != nil {
		t.Fatal(err)
	}
	events := since(t, j, 0)
	if got, want := events[0].Code, "alarm_history_lost"; got != want {
		t.Errorf("first event: got %s, want %s", got, want)
	}
	if got, want := j.Last(), uint64(1+1024); got != want {
		t.Errorf("events written in the end: got %d, want %d", got, want)
	}
	again, err := journal.New(d, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(j.Alarms(true), again.Alarms(true)); diff != "" {
		t.Errorf("alarms in memory and on disk (-memory +disk):\n%s", diff)
	}
}

func TestPruneForgetsOldAlarms(t *testing.T) {
	j, _, c := setup(t)
	for _, active := range []bool{true, false} {
		if err := j.Observe(hot(active, greenhouse.Info)); err != nil {
			t.Fatal(err)
		}
	}
	later := greenhouse.MillisOf(c.at.Add(time.Hour))
	if _, err := j.Prune(later, 0); err != nil {
		t.Fatal(err)
	}
	if got := len(j.Alarms(true)); got != 1 {
		t.Errorf("alarms that nobody acknowledged: got %d, want 1", got)
	}
	if _, err := j.Ack(j.Alarms(true)[0].ID, "anna"); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Prune(later, 0); err != nil {
		t.Fatal(err)
	}
	if got := len(j.Alarms(true)); got != 0 {
		t.Errorf("alarms that are over: got %d, want 0", got)
	}
}

func BenchmarkObserveUnchanged(b *testing.B) {
	j, _, _ := setup(b)
	cond := hot(true, greenhouse.Warning)
	for b.Loop() {
		if err := j.Observe(cond); err != nil {
			b.Fatal(err)
		}
	}
}
