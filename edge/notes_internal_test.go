package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/journal"
	"greenhouse/store"
)

func registry(t *testing.T) (*store.Store, *journal.Journal) {
	t.Helper()
	s, err := store.Open(store.Options{Path: filepath.Join(t.TempDir(), "registry.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	j, err := journal.New(ledger{s}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s, j
}

// TestInboxOnce: every job hears of its end exactly once, whatever is refused or
// given up around it and whenever the inbox closes.
func TestInboxOnce(t *testing.T) {
	s, j := registry(t)
	b := newInbox(s.Update, j.Observe)
	const senders, each = 16, 200
	var told [senders * each]atomic.Int32
	var kept atomic.Int64
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	var all sync.WaitGroup
	refused := greenhouse.Invalid("test_refused", "no")
	for i := range senders {
		all.Go(func() {
			for k := range each {
				n := i*each + k
				b.Submit(ctx, job{
					apply: func(tx *store.Tx) error {
						if err := tx.Put("room.test", fmt.Appendf(nil, "%06d", n), []byte("x")); err != nil || n%7 == 0 {
							return errors.Join(err, refused)
						}
						return nil
					},
					done: func(err error) {
						told[n].Add(1)
						switch {
						case err == nil && n%7 == 0:
							t.Errorf("job %d was refused and heard nothing of it", n)
						case err == nil:
							kept.Add(1)
						case n%7 != 0 && errors.Is(err, greenhouse.ErrInvalid):
							t.Errorf("job %d heard of the refusal of another: %v", n, err)
						}
					},
				})
				if n == senders*each*3/4 {
					giveUp()
				}
				if n == senders*each-20 {
					go b.Close()
				}
			}
		})
	}
	all.Wait()
	b.Close()
	for n := range told {
		if got := told[n].Load(); got != 1 {
			t.Fatalf("job %d was told %d times", n, got)
		}
	}
	var found int64
	err := s.View(func(tx *store.Tx) error {
		tx.Scan("room.test", nil, false, func(_, _ []byte) bool { found++; return true })
		return nil
	})
	if err != nil || found != kept.Load() {
		t.Errorf("%d changes are there, %d were confirmed: %v", found, kept.Load(), err)
	}
	t.Logf("%d kept in %d transactions", found, b.commits.Load())
}

// TestInboxFailedCommit: what was not committed is told to all, and no alarm of it
// is raised.
func TestInboxFailedCommit(t *testing.T) {
	_, j := registry(t)
	broken := greenhouse.Unavailable("test", "the disk is gone")
	b := newInbox(func(fn func(*store.Tx) error) error { return broken }, j.Observe)
	heard := make(chan error, 1)
	b.Submit(t.Context(), job{apply: func(*store.Tx) error { return nil }, alarms: []greenhouse.Condition{{Source: "site", Code: "test_alarm", Active: true}}, done: func(err error) { heard <- err }})
	if err := <-heard; !errors.Is(err, greenhouse.ErrUnavailable) {
		t.Errorf("heard %v", err)
	}
	b.Close()
	if got := j.Alarms(true); len(got) != 0 {
		t.Errorf("alarms of what did not happen: %v", got)
	}
	b.Submit(t.Context(), job{apply: func(*store.Tx) error { return nil }, done: func(err error) { heard <- err }})
	if err := <-heard; err == nil {
		t.Error("a closed inbox took a job")
	}
}

// TestClerkUnderFlood: a flood from outside displaces neither an alarm nor an
// event of our own, and what it cost is told.
func TestClerkUnderFlood(t *testing.T) {
	s, j := registry(t)
	gate := make(chan struct{})
	blocked := make(chan struct{})
	go func() {
		_ = s.Update(func(*store.Tx) error { close(blocked); <-gate; return nil }) // the disk is slow
	}()
	<-blocked
	c := newClerk(j, discard())
	for i := range 50_000 {
		c.strange(greenhouse.Event{Code: "login_refused", Source: "client/1.2.3.4"})
		if i%100 == 0 {
			c.event(greenhouse.Event{Code: "node_online", Source: "node/x"})
		}
		c.observe(greenhouse.Condition{Source: "site", Code: "test_alarm", Severity: greenhouse.Critical, Active: i%2 == 1})
	}
	close(gate)
	c.Close()
	codes := map[string]int{}
	var err error
	for seq := uint64(0); err == nil; {
		var events []greenhouse.Event
		if events, err = j.Since(seq, 0); len(events) == 0 {
			break
		}
		for _, e := range events {
			codes[e.Code]++
			seq = e.Seq
		}
	}
	if err != nil || codes["node_online"] != 500 || codes["notes_dropped"] == 0 || codes["login_refused"] > 2*clerkOutside {
		t.Errorf("journalled: %v, %v", codes, err)
	}
	if a := j.Alarms(true); len(a) != 1 || a[0].State != greenhouse.AlarmRaised {
		t.Errorf("alarms: %+v", a)
	}
}

// TestEventCodes: whatever a node calls an event, it can be journalled.
func TestEventCodes(t *testing.T) {
	for in, want := range map[string]string{"level_low": "level_low", "overheat": "node_overheat", "a__b": "a_b", "x_": "node_x", "_": "node_event", "": "node_event"} {
		if got := eventCode(in); got != want {
			t.Errorf("eventCode(%q) = %q, want %q", in, got, want)
		}
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
