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

// sends sends a reading of a/x every so often, live.
func sends(t *testing.T, c *clock, e *telemetry.Engine, seq *uint64, every time.Duration, n int) (last greenhouse.Millis) {
	t.Helper()
	for i := range n {
		if i > 0 {
			c.add(every)
		}
		*seq++
		mustSubmit(t, e, numbered(c, *seq, c.ms()))
	}
	return c.ms()
}

func staleX(p greenhouse.PointID) time.Duration {
	if p == "a/x" {
		return 90 * time.Second
	}
	return 0
}

func TestSilenceIsAGap(t *testing.T) {
	c := newClock()
	o := telemetry.Options{Dir: t.TempDir(), Now: c.Now, StaleAfter: staleX}
	e := open(t, o)
	var seq uint64
	sends(t, c, e, &seq, 10*time.Second, 6)
	c.add(90 * time.Second)
	first := sends(t, c, e, &seq, 0, 1) // just in time
	c.add(5 * time.Minute)
	while := told(e, "a/x", telemetry.CauseSilence)
	if d := cmp.Diff([]greenhouse.Gap{{Point: "a/x", From: first, To: c.ms(), Cause: telemetry.CauseSilence}}, while); d != "" {
		t.Errorf("while it lasts (-want +got):\n%s", d)
	}
	if got := e.Gaps("", 0, 1<<60); got != nil {
		t.Errorf("recorded before it was over: %v", got)
	}
	seq++
	b := numbered(c, seq, c.ms())
	b.Readings = append(b.Readings, reading("a/free", c.ms()-1, 1)) // nobody waits for this one
	mustSubmit(t, e, b)
	second := sends(t, c, e, &seq, 10*time.Second, 5)
	c.add(time.Hour)
	seq++
	b = numbered(c, seq, c.ms()-20_000)
	b.Readings = append(b.Readings, reading("a/x", c.ms()-10_000, 1), reading("a/x", c.ms(), 1), reading("a/free", c.ms(), 1))
	mustSubmit(t, e, b)
	want := []greenhouse.Gap{
		{Point: "a/x", From: first, To: first + 300_000, Cause: telemetry.CauseSilence},
		{Point: "a/x", From: second, To: c.ms() - 20_000, Cause: telemetry.CauseSilence},
	}
	if second-want[0].To < 60_000 { // they touch
		want = []greenhouse.Gap{{Point: "a/x", From: first, To: want[1].To, Cause: telemetry.CauseSilence}}
	}
	for range 2 {
		if d := cmp.Diff(want, told(e, "", telemetry.CauseSilence)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		shut(t, e)
		e = open(t, o)
	}
}

// TestSilenceIsMeasuredByThePointsOwnRhythm: one that sends every five minutes is
// not silent after two, one that sends when something happens is not silent
// because nothing does, and a replay of old readings is no sensor at all.
func TestSilenceIsMeasuredByThePointsOwnRhythm(t *testing.T) {
	c := newClock()
	e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now, StaleAfter: func(greenhouse.PointID) time.Duration { return 90 * time.Second }})
	send := func(p string, at greenhouse.Millis) {
		t.Helper()
		mustSubmit(t, e, telemetry.Batch{Node: "climate-aabb", Arrived: c.Now(), Readings: []greenhouse.Reading{reading(p, at, 1)}})
	}
	silences := func(p greenhouse.PointID) int { return len(told(e, p, telemetry.CauseSilence)) }
	for range 20 {
		c.add(5 * time.Minute)
		send("a/slow", c.ms())
	}
	if n := silences("a/slow"); n != 0 {
		t.Errorf("a point that sends every five minutes was silent %d times", n)
	}
	c.add(16 * time.Minute)
	if n := silences("a/slow"); n != 1 {
		t.Errorf("after 16 minutes it is silent %d times, want once, still", n)
	}
	send("a/slow", c.ms())
	if n := silences("a/slow"); n != 1 {
		t.Errorf("after 16 minutes it was silent %d times, want once", n)
	}
	for i := range 30 {
		c.add(time.Duration(1+i*7%20) * time.Minute)
		send("a/door", c.ms())
	}
	if n := silences("a/door"); n != 0 {
		t.Errorf("a point that sends now and then was silent %d times", n)
	}
	old := c.ms() - 400*86_400_000
	for i := range 30 {
		c.add(100 * time.Millisecond)
		send("a/replayed", old+greenhouse.Millis(i)*300_000)
	}
	c.add(time.Hour)
	if n := silences("a/replayed"); n != 0 {
		t.Errorf("a replay was silent %d times", n)
	}
	send("a/replayed", c.ms())
	if n := silences("a/replayed"); n != 0 {
		t.Errorf("the first live reading after a replay: silent %d times", n)
	}
}
