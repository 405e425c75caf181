package telemetry_test

import (
	"context"
	"errors"
	"math"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/telemetry"
)

// message is a numbered batch with one reading at a time that follows from seq.
func message(c *clock, boot string, seq uint64) telemetry.Batch {
	at := c.ms() + greenhouse.Millis(seq)*1000
	return telemetry.Batch{Node: "climate-aabb", Boot: boot, Seq: seq, HasSeq: true, Arrived: c.Now(), Readings: []greenhouse.Reading{reading("a/x", at, 1)}}
}

func seqGaps(e *telemetry.Engine) (n int64, list []greenhouse.Gap) {
	for _, g := range e.Gaps("", 0, math.MaxInt64) {
		if g.Cause == telemetry.CauseSeq {
			n += g.Count
			list = append(list, g)
		}
	}
	return n, list
}

func TestMissingNumberIsAGapUntilItComes(t *testing.T) {
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now}
	e := open(t, o)
	for _, seq := range []uint64{1, 2, 5, 6} {
		mustSubmit(t, e, message(c, "a", seq))
	}
	want := []greenhouse.Gap{{Node: "climate-aabb", From: c.ms() + 2000, To: c.ms() + 5000, Cause: telemetry.CauseSeq, Count: 2}}
	_, got := seqGaps(e)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	if got := e.Gaps("a/x", 0, math.MaxInt64); len(got) != 1 {
		t.Errorf("the point's gaps are %v, want that of its node", got)
	}
	if got := e.Gaps("other/x", 0, math.MaxInt64); len(got) != 0 {
		t.Errorf("another point has gaps %v", got)
	}
	shut(t, e)
	e = open(t, o)
	mustSubmit(t, e, message(c, "a", 6)) // sent again after our restart
	mustSubmit(t, e, message(c, "a", 4)) // late
	if n, _ := seqGaps(e); n != 1 {
		t.Errorf("%d messages are missing, want 1", n)
	}
	if err := e.Seal(); err != nil {
		t.Fatal(err)
	}
	shut(t, e)
	e = open(t, o)
	mustSubmit(t, e, message(c, "a", 3))
	if n, list := seqGaps(e); n != 0 || len(list) != 0 {
		t.Errorf("all came, but %v is told", list)
	}
}

func TestRebootBeginsANewCount(t *testing.T) {
	c := newClock()
	e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now})
	mustSubmit(t, e, one(c, 1))           // a status, without a number
	mustSubmit(t, e, message(c, "a", 42)) // first contact: nothing is known to be lost
	mustSubmit(t, e, message(c, "b", 1))
	mustSubmit(t, e, message(c, "c", 0))
	if n, list := seqGaps(e); n != 0 {
		t.Errorf("gaps without a loss: %v", list)
	}
	mustSubmit(t, e, message(c, "d", 4)) // three messages of this boot never came
	if n, list := seqGaps(e); n != 3 {
		t.Errorf("got %v, want 3 missing", list)
	}
	mustSubmit(t, e, message(c, "a", 42)) // an old boot's message again
	if n, list := seqGaps(e); n != 3 {
		t.Errorf("got %v, want 3 missing", list)
	}
}

// TestTheFirstMayComeLate: what was dropped on the way is recorded after what came
// later, and what never came between them is missing all the same.
func TestTheFirstMayComeLate(t *testing.T) {
	c := newClock()
	e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now})
	mustSubmit(t, e, message(c, "a", 5))
	mustSubmit(t, e, message(c, "a", 2))
	if n, list := seqGaps(e); n != 2 {
		t.Errorf("2 and 5 came: %v, want 2 missing", list)
	}
	mustSubmit(t, e, message(c, "a", 4))
	mustSubmit(t, e, message(c, "a", 1))
	if n, list := seqGaps(e); n != 1 {
		t.Errorf("1, 2, 4 and 5 came: %v, want 1 missing", list)
	}
	mustSubmit(t, e, message(c, "a", 3))
	if n, list := seqGaps(e); n != 0 || len(list) != 0 {
		t.Errorf("all came, but %v is told", list)
	}
}

// TestGapsCountWhatNeverCame delivers numbers in any order, some twice, some
// never, with restarts and seals between, and compares with plain counting.
func TestGapsCountWhatNeverCame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "telemetry-gaps-")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		c := newClock()
		o := telemetry.Options{Dir: dir, Now: c.Now, Maintain: -1, SegmentBytes: 8 << 10, MinFree: -1}
		e, err := telemetry.Open(o)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { e.Close(context.Background()) }()
		came := map[uint64]bool{}
		var first, last uint64
		for i := range rapid.IntRange(1, 60).Draw(rt, "messages") {
			seq := rapid.Uint64Range(1, 40).Draw(rt, "seq")
			if i == 0 {
				first, last = seq, seq
			}
			if seq < first {
				continue // before first contact nothing is counted
			}
			if err := submit(t, e, message(c, "a", seq)); err != nil {
				rt.Fatal(err)
			}
			came[seq] = true
			last = max(last, seq)
			switch rapid.IntRange(0, 19).Draw(rt, "then") {
			case 0:
				if err := e.Close(context.Background()); err != nil {
					rt.Fatal(err)
				}
				if e, err = telemetry.Open(o); err != nil {
					rt.Fatal(err)
				}
			case 1:
				if err := e.Seal(); err != nil {
					rt.Fatal(err)
				}
			}
		}
		want := int64(last-first+1) - int64(len(came))
		if got, list := seqGaps(e); got != want {
			rt.Fatalf("%d messages are told missing, want %d: %v", got, want, list)
		}
	})
}

func TestRefusedReadingsAreCounted(t *testing.T) {
	c := newClock()
	e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now, Retention: 30 * 24 * time.Hour})
	now := c.ms()
	b := message(c, "a", 1)
	b.Refused = 2
	b.Readings = []greenhouse.Reading{
		reading("a/x", now+4*60_000, 1), reading("a/x", now+6*60_000, 2), reading("a/x", now/1000, 3),
		reading("a/x", 0, 4), reading("a/x", -5, 5), reading("a/x", now-31*86_400_000, 6), reading("a/x", math.MaxInt64, 7), reading("", now, 8),
	}
	for range 2 { // sent twice, counted once
		mustSubmit(t, e, b)
	}
	if got := raw(t, e, "a/x"); len(got) != 1 || got[0].Value != 1 {
		t.Errorf("stored %v, want the one reading within bounds", got)
	}
	want := []greenhouse.Gap{{Node: "climate-aabb", From: now, To: now, Cause: telemetry.CauseRefused, Count: 9}}
	if diff := cmp.Diff(want, e.Gaps("", 0, math.MaxInt64)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if s := e.Stats(); s.Refused != 9 {
		t.Errorf("refused %d, want 9", s.Refused)
	}
}

func TestLatestOnlyMovesForward(t *testing.T) {
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now}
	var moved []greenhouse.Latest
	o.OnCommit = func(l []greenhouse.Latest) { moved = append(moved, l...) }
	e := open(t, o)
	now := c.ms()
	for _, at := range []greenhouse.Millis{now - 1000, now, now - 500, now, now - 99_999_999} {
		mustSubmit(t, e, telemetry.Batch{Arrived: c.Now(), Readings: []greenhouse.Reading{reading("a/x", at, float64(at))}})
	}
	if l, _ := e.Latest("a/x"); l.At != now || !l.Seen.Equal(c.Now()) {
		t.Errorf("latest is %+v, want the one at %d", l, now)
	}
	if len(moved) != 2 {
		t.Errorf("%d moves were told, want 2", len(moved))
	}
	shut(t, e)
	e = open(t, o)
	if l, ok := e.Latest("a/x"); !ok || l.At != now || !l.Seen.IsZero() {
		t.Errorf("after a restart latest is %+v", l)
	}
	dst := map[greenhouse.PointID]greenhouse.Latest{}
	e.Snapshot(dst)
	if len(dst) != 1 || dst["a/x"].At != now {
		t.Errorf("snapshot is %v", dst)
	}
	// A clock that ran ahead must not freeze the value for ever.
	c.add(time.Hour)
	mustSubmit(t, e, telemetry.Batch{Arrived: c.Now(), Readings: []greenhouse.Reading{reading("a/x", c.ms(), 1)}})
	c.add(-time.Hour)
	mustSubmit(t, e, telemetry.Batch{Arrived: c.Now(), Readings: []greenhouse.Reading{reading("a/x", c.ms()+1, 2)}})
	if l, _ := e.Latest("a/x"); l.Value != 2 {
		t.Errorf("latest is %+v, want the reading after the clock was put right", l)
	}
}

func TestAddGapIsDurableAndMerged(t *testing.T) {
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now}
	e := open(t, o)
	ctx := context.Background()
	now := c.ms()
	for _, g := range []greenhouse.Gap{{From: now, To: now + 1000, Cause: "downtime"}, {From: now + 2000, To: now + 3000, Cause: "downtime", Count: 3}, {From: now + 9_000_000, To: now + 9_000_001, Cause: "downtime"}} {
		if err := e.AddGap(ctx, g); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.AddGap(ctx, greenhouse.Gap{From: 2, To: 1}); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("a gap that ends before it begins: %v", err)
	}
	shut(t, e)
	e = open(t, o)
	want := []greenhouse.Gap{{From: now, To: now + 3000, Cause: "downtime", Count: 3}, {From: now + 9_000_000, To: now + 9_000_001, Cause: "downtime"}}
	if diff := cmp.Diff(want, e.Gaps("", 0, math.MaxInt64)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
