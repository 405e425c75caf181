package telemetry_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/telemetry"
)

// told returns the gaps of a point with one of the causes.
func told(e *telemetry.Engine, p greenhouse.PointID, causes ...string) (out []greenhouse.Gap) {
	for _, g := range e.Gaps(p, 0, 1<<60) {
		for _, c := range causes {
			if g.Cause == c {
				out = append(out, g)
			}
		}
	}
	return out
}

// numbered returns a message of one reading at the time `at`.
func numbered(c *clock, seq uint64, at greenhouse.Millis) telemetry.Batch {
	return telemetry.Batch{Node: "climate-aabb", Boot: "a", Seq: seq, HasSeq: true, Arrived: c.Now(), Readings: []greenhouse.Reading{reading("a/x", at, 20)}}
}

func TestDowntimeIsAGap(t *testing.T) {
	f := func(down time.Duration, skip uint64, want bool) {
		t.Helper()
		c := newClock()
		o := telemetry.Options{Dir: t.TempDir(), Now: c.Now}
		e := open(t, o)
		mustSubmit(t, e, telemetry.Batch{Node: "ph-gone", Arrived: c.Now(), Readings: []greenhouse.Reading{reading("a/gone", c.ms(), 7)}})
		c.add(time.Hour) // that node went away long before the stop
		mustSubmit(t, e, numbered(c, 1, c.ms()))
		from := c.ms()
		shut(t, e)
		c.add(down)
		e = open(t, o)
		to := c.ms()
		mustSubmit(t, e, numbered(c, 2+skip, to))
		mustSubmit(t, e, telemetry.Batch{Node: "ph-gone", Arrived: c.Now(), Readings: []greenhouse.Reading{reading("a/gone", c.ms(), 7)}})
		var gap []greenhouse.Gap
		if want {
			gap = []greenhouse.Gap{{Node: "climate-aabb", From: from, To: to, Cause: telemetry.CauseDowntime}}
		}
		for range 2 {
			if d := cmp.Diff(gap, told(e, "", telemetry.CauseDowntime)); d != "" {
				t.Errorf("down for %v, %d messages missing (-want +got):\n%s", down, skip, d)
			}
			shut(t, e)
			e = open(t, o)
		}
	}
	f(2*time.Minute, 0, true)   // nothing was sent, and nothing measured
	f(time.Minute, 0, false)    // what was sent came after all
	f(time.Minute, 3, true)     // messages are missing
	f(3*time.Second, 3, false)  // too short to tell; the missing numbers do
	f(48*time.Hour, 9999, true) // long
}

func TestDowntimeShrinksWhenABacklogComes(t *testing.T) {
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, StaleAfter: func(greenhouse.PointID) time.Duration { return 90 * time.Second }}
	e := open(t, o)
	from := c.ms()
	mustSubmit(t, e, numbered(c, 1, from))
	shut(t, e)
	c.add(10 * time.Minute)
	e = open(t, o)
	now := c.ms()
	mustSubmit(t, e, telemetry.Batch{Node: "climate-aabb", Arrived: c.Now(), Readings: []greenhouse.Reading{reading("@climate-aabb/online", now, 1)}})
	if got := told(e, "a/x", telemetry.CauseDowntime); len(got) != 1 || got[0].From != from || got[0].To != now {
		t.Fatalf("got %v, want the ten minutes", got)
	}
	backlog := numbered(c, 2, 0)
	backlog.Readings = nil
	for at := from + 10_000; at <= from+300_000; at += 10_000 {
		backlog.Readings = append(backlog.Readings, reading("a/x", at, 20))
	}
	mustSubmit(t, e, backlog)
	if got := told(e, "a/x", telemetry.CauseDowntime); len(got) != 1 || got[0].From != from+300_000 || got[0].To != now {
		t.Fatalf("got %v, want what is left of the ten minutes", got)
	}
	for at := from + 310_000; at < now; at += 10_000 {
		mustSubmit(t, e, numbered(c, 3+uint64(at-from), at))
	}
	if got := told(e, "a/x", telemetry.CauseDowntime, telemetry.CauseSilence); got != nil {
		t.Fatalf("got %v, want nothing: all of it came", got)
	}
	shut(t, e)
	if got := told(open(t, o), "a/x", telemetry.CauseDowntime, telemetry.CauseSilence); got != nil {
		t.Errorf("after a restart: got %v, want nothing", got)
	}
}

func TestSilenceIsAGap(t *testing.T) {
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, StaleAfter: func(p greenhouse.PointID) time.Duration {
		if p == "a/x" {
			return 90 * time.Second
		}
		return 0
	}}
	e := open(t, o)
	start := c.ms()
	mustSubmit(t, e, numbered(c, 1, start))
	c.add(90 * time.Second)
	mustSubmit(t, e, numbered(c, 2, c.ms())) // just in time
	c.add(5 * time.Minute)
	open1 := told(e, "a/x", telemetry.CauseSilence)
	want := []greenhouse.Gap{{Point: "a/x", From: start + 90_000, To: c.ms(), Cause: telemetry.CauseSilence}}
	if d := cmp.Diff(want, open1); d != "" {
		t.Errorf("while it lasts (-want +got):\n%s", d)
	}
	if got := e.Gaps("", 0, 1<<60); got != nil {
		t.Errorf("recorded before it was over: %v", got)
	}
	b := numbered(c, 3, c.ms())
	b.Readings = append(b.Readings, reading("a/free", c.ms()-1, 1)) // nobody waits for this one
	mustSubmit(t, e, b)
	c.add(time.Hour)
	b = numbered(c, 4, c.ms()-20_000)
	b.Readings = append(b.Readings, reading("a/x", c.ms()-10_000, 1), reading("a/x", c.ms(), 1), reading("a/free", c.ms(), 1))
	mustSubmit(t, e, b)
	want = append(want, greenhouse.Gap{Point: "a/x", From: start + 390_000, To: c.ms() - 20_000, Cause: telemetry.CauseSilence})
	want = []greenhouse.Gap{{Point: "a/x", From: want[0].From, To: want[1].To, Cause: telemetry.CauseSilence}} // they touch
	for range 2 {
		if d := cmp.Diff(want, told(e, "", telemetry.CauseSilence)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		shut(t, e)
		e = open(t, o)
	}
}
