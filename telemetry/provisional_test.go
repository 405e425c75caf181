package telemetry_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/telemetry"
)

// machine is one without a clock of its own: its wall clock says what it likes
// until it is set, while time passes.
type machine struct {
	wall    *clock
	truth   time.Time     // what a right clock would say
	up      time.Duration // since the boot
	boot    int
	trusted bool
	told    []telemetry.Restamped
	t       testing.TB
	o       telemetry.Options
	e       *telemetry.Engine
	seq     uint64
	mixed   bool                         // messages have a reading with a time of its own, too
	own     map[uint64]greenhouse.Millis // by message: that time
}

func newMachine(t testing.TB) *machine {
	m := &machine{t: t, wall: newClock(), up: 30 * time.Second, own: map[uint64]greenhouse.Millis{}}
	m.truth = m.wall.Now()
	m.o = telemetry.Options{Dir: t.TempDir() + "/x", Now: m.wall.Now, ClockTrusted: func() bool { return m.trusted }, Maintain: -1, MinFree: -1, SegmentBytes: 256 << 10, // no segment ends, so that nothing is sealed while a directory is copied

		Uptime:    func() (string, time.Duration) { return strconv.Itoa(m.boot), m.up },
		OnRestamp: func(r telemetry.Restamped) { m.told = append(m.told, r) }}
	return m
}

// set steps the wall clock, and says whether it is trusted now.
func (m *machine) set(at time.Time, trusted bool) {
	m.wall.add(at.Sub(m.wall.Now()))
	m.trusted = trusted
}

// pass lets time pass.
func (m *machine) pass(d time.Duration) {
	m.truth = m.truth.Add(d)
	m.up += d
	m.wall.add(d)
}

// send sends a reading without a time and returns when that was, in truth.
func (m *machine) send(point string, v float64) greenhouse.Millis {
	m.t.Helper()
	m.seq++
	if m.mixed {
		m.own[m.seq] = greenhouse.MillisOf(m.truth)
	}
	m.resend(point, v)
	return greenhouse.MillisOf(m.truth)
}

func (m *machine) resend(point string, v float64) {
	m.t.Helper()
	b := telemetry.Batch{Node: "climate-aabb", Boot: "n", Seq: m.seq, HasSeq: true, Arrived: m.wall.Now(), Stamped: 1,
		Readings: []greenhouse.Reading{reading(point, m.wall.ms(), v)}}
	if at, known := m.own[m.seq]; known {
		b.Readings = append(b.Readings, reading("a/own", at, v))
	}
	mustSubmit(m.t, m.e, b)
}

func (m *machine) start() {
	m.t.Helper()
	e, err := telemetry.Open(m.o)
	if err != nil {
		m.t.Fatal(err)
	}
	m.e = e
}

// kill goes on with what is on disk, as after a crash of the process.
func (m *machine) kill() {
	m.t.Helper()
	copyDir(m.t, m.o.Dir, m.o.Dir+"x")
	shut(m.t, m.e)
	m.o.Dir += "x"
	m.start()
}

// reboot is kill with another boot of the machine, whose clock begins at `at`.
func (m *machine) reboot(at time.Time) {
	m.t.Helper()
	m.boot++
	m.up = 20 * time.Second
	m.set(at, false)
	m.kill()
}

func (m *machine) maintain() {
	m.t.Helper()
	if err := m.e.Maintain(); err != nil {
		m.t.Fatal(err)
	}
	mustSubmit(m.t, m.e, telemetry.Batch{}) // the frame it asked for is written before this one
}

func times(t fataler, e *telemetry.Engine, p greenhouse.PointID) map[float64]greenhouse.Millis {
	t.Helper()
	out := map[float64]greenhouse.Millis{}
	last := greenhouse.Millis(-1)
	for _, s := range raw(t, e, p) {
		if _, twice := out[s.Value]; twice || s.TS <= last {
			t.Fatal("not in order, each once: ", s, out)
		}
		out[s.Value], last = s.TS, s.TS
	}
	return out
}

func year1970() time.Time { return time.Date(1970, 1, 1, 0, 3, 0, 0, time.UTC) }

// TestReadingsBeforeTheClockIsKnown: a machine boots in 1970; what comes is
// there at once, keeps its distances when the clock is set, and says so. It makes
// no difference whether the process dies before, or the wall clock is
// stepped meanwhile, or anything is sealed.
func TestReadingsBeforeTheClockIsKnown(t *testing.T) {
	for _, ends := range []string{"", "kill", "seal", "kill after"} {
		t.Run(ends, func(t *testing.T) {
			m := newMachine(t)
			m.trusted = true
			m.start()
			want := map[float64]greenhouse.Millis{1: m.send("a/x", 1)}
			m.pass(time.Hour)
			m.set(year1970(), false)
			for i := range 5 {
				want[float64(i+2)] = m.send("a/x", float64(i+2))
				m.pass(20 * time.Minute)
				if i == 2 {
					m.set(m.wall.Now().Add(-7*time.Minute), false) // somebody tried to set it
				}
			}
			m.seq += 2 // two are lost on the way
			want[7] = m.send("a/x", 7)
			m.resend("a/x", 7) // its PUBACK was lost; this one arrives later
			m.pass(time.Second)
			m.resend("a/x", 7)
			if l, _ := m.e.Latest("a/x"); l.Value != 7 || l.At.Time().Year() != 1970 {
				t.Errorf("latest is %+v before the clock is known", l)
			}
			if got := m.e.Stats(); got.Provisional != 6 || got.Stored != 7 || got.Deduplicated != 2 {
				t.Errorf("stats: %+v", got)
			}
			if got := len(times(t, m.e, "a/x")); got != 7 {
				t.Errorf("%d readings to be seen before the clock is known, want 7", got)
			}
			switch ends {
			case "kill":
				m.kill()
			case "seal":
				if err := m.e.Seal(); err != nil {
					t.Fatal(err)
				}
			}
			m.pass(time.Minute)
			m.set(m.truth, true)
			m.maintain()
			if ends == "kill after" {
				m.kill()
			}
			for _, how := range []string{"in memory", "sealed", "killed"} {
				if diff := cmp.Diff(want, times(t, m.e, "a/x")); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", how, diff)
				}
				if l, _ := m.e.Latest("a/x"); l.Value != 7 || l.At != want[7] {
					t.Errorf("%s: latest is %+v", how, l)
				}
				if diff := cmp.Diff([]greenhouse.Gap{{Node: "climate-aabb", From: want[2], To: want[7], Cause: telemetry.CauseRestamped}}, told(m.e, "a/x", telemetry.CauseRestamped)); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", how, diff)
				}
				lost := told(m.e, "a/x", telemetry.CauseSeq)
				if len(lost) != 1 || lost[0].Count != 2 || lost[0].To != want[7] || lost[0].From.Time().Year() == 1970 {
					t.Errorf("%s: two lost messages are told as %v", how, lost)
				}
				if how == "in memory" {
					if err := m.e.Seal(); err != nil {
						t.Fatal(err)
					}
				} else {
					m.kill()
				}
			}
			if len(m.told) != 1 || !m.told[0].Known || m.told[0].Readings != 6 || m.told[0].From != want[2] || m.told[0].To != want[7] {
				t.Errorf("told as %+v", m.told)
			}
			if s := m.e.Stats(); s.Provisional != 0 || s.Readings != 7 {
				t.Errorf("stats: %+v", s)
			}
			m.pass(time.Minute)
			m.send("a/x", 8)
			if l, _ := m.e.Latest("a/x"); l.Value != 8 {
				t.Errorf("latest is %+v, want what came after", l)
			}
			shut(t, m.e)
		})
	}
}

// TestMessagesWithAndWithoutTimes: where one message has both, each reading gets the
// time that it should have, and the message counts once.
func TestMessagesWithAndWithoutTimes(t *testing.T) {
	m := newMachine(t)
	m.mixed = true
	m.set(year1970(), false)
	m.start()
	want, own := map[float64]greenhouse.Millis{}, map[float64]greenhouse.Millis{}
	for i := range 3 {
		v := float64(i + 1)
		want[v] = m.send("a/x", v)
		own[v] = want[v]
		m.pass(time.Minute)
		m.resend("a/x", v)
	}
	check := func(how string) {
		t.Helper()
		if diff := cmp.Diff(own, times(t, m.e, "a/own")); diff != "" {
			t.Errorf("%s: with a time (-want +got)\n%s", how, diff)
		}
		if s := m.e.Stats(); s.Messages != int64(len(want)) || s.Readings != int64(2*len(want)) {
			t.Errorf("%s: %d messages, %d readings", how, s.Messages, s.Readings)
		}
	}
	check("before the clock is known")
	if s := m.e.Stats(); s.Provisional != 3 || s.Deduplicated != 6 {
		t.Errorf("stats: %+v", s)
	}
	m.kill()
	check("after a kill")
	m.set(m.truth, true)
	m.maintain()
	want[4] = m.send("a/x", 4)
	own[4] = want[4]
	for _, how := range []string{"clock known", "killed", "sealed"} {
		check(how)
		if diff := cmp.Diff(want, times(t, m.e, "a/x")); diff != "" {
			t.Errorf("%s: without a time (-want +got)\n%s", how, diff)
		}
		if how == "clock known" {
			m.kill()
		} else if err := m.e.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.told) != 1 || m.told[0].Readings != 3 {
		t.Errorf("told as %+v", m.told)
	}
	shut(t, m.e)
}

// TestRebootBeforeTheClockWasKnown: nobody will ever know when readings of an
// earlier boot were taken. They follow what was known before, in their order, and
// a gap says that their times are guesses.
func TestRebootBeforeTheClockWasKnown(t *testing.T) {
	m := newMachine(t)
	m.trusted = true
	m.start()
	first := m.send("a/x", 1)
	m.pass(time.Hour)
	m.reboot(year1970())
	m.send("a/x", 2)
	m.pass(10 * time.Minute)
	m.send("a/x", 3)
	m.pass(time.Hour)
	m.reboot(year1970())
	second := m.send("a/x", 4)
	got := times(t, m.e, "a/x")
	if got[3]-got[2] != 600_000 || got[2] <= first || got[3] > second {
		t.Errorf("guessed times are %v", got)
	}
	gaps := told(m.e, "a/x", telemetry.CauseClockUnknown)
	if len(gaps) != 1 || gaps[0].From != got[2] || gaps[0].To != got[3] || gaps[0].Count != 0 {
		t.Errorf("told as %v", gaps)
	}
	m.pass(time.Minute)
	m.set(m.truth, true)
	m.maintain()
	if got := times(t, m.e, "a/x"); len(got) != 4 || got[4] != second {
		t.Errorf("times are %v, want that of this boot put right", got)
	}
	if len(m.told) != 2 || m.told[0].Known || !m.told[1].Known {
		t.Errorf("told as %+v", m.told)
	}
	shut(t, m.e)
}

// TestRebootFromAWrongFuture: where the next boot knows the time, what was sent
// before it cannot be of later.
func TestRebootFromAWrongFuture(t *testing.T) {
	m := newMachine(t)
	m.set(m.truth.AddDate(80, 0, 0), false)
	m.start()
	m.send("a/x", 1)
	m.pass(10 * time.Minute)
	sent := m.send("a/x", 2)
	m.pass(time.Hour)
	m.reboot(m.truth)
	m.trusted = true
	m.maintain()
	got := times(t, m.e, "a/x")
	booted := m.truth.Add(-m.up)
	if got[2]-got[1] != 600_000 || got[2] < sent || got[2] >= greenhouse.MillisOf(booted) {
		t.Errorf("guessed times are %v; the second is of %v, and the boot at %v", got, sent.Time(), booted)
	}
	if l, _ := m.e.Latest("a/x"); l.At != got[2] {
		t.Errorf("latest is %+v", l)
	}
	shut(t, m.e)
}

// TestAClockThatWasRight is only trusted late: nothing is moved and nothing told.
func TestAClockThatWasRight(t *testing.T) {
	m := newMachine(t)
	m.start()
	at := m.send("a/x", 1)
	m.pass(time.Hour)
	m.trusted = true
	m.maintain()
	if got := times(t, m.e, "a/x"); got[1] != at || len(m.told) != 0 || m.e.Gaps("a/x", 0, 1<<60) != nil || m.e.Stats().Provisional != 0 {
		t.Errorf("times %v, told %v, gaps %v", got, m.told, m.e.Gaps("a/x", 0, 1<<60))
	}
	shut(t, m.e)
}

// TestHistoryBeforeTheClockIsKnown: a new machine shows what it has as finely as
// any other.
func TestHistoryBeforeTheClockIsKnown(t *testing.T) {
	m := newMachine(t)
	m.set(year1970(), false)
	m.start()
	for i := range 6 {
		m.send("a/x", float64(i))
		m.pass(time.Minute)
	}
	r, err := m.e.History(context.Background(), telemetry.Query{Point: "a/x", From: greenhouse.MillisOf(year1970()), To: m.wall.ms()})
	if err != nil || r.Step != telemetry.StepRaw || len(r.Samples) != 6 {
		t.Errorf("%v, %s, %d samples, want 6 raw ones", err, r.Step, len(r.Samples))
	}
	if s := m.e.Stats(); s.Newest != r.Samples[5].TS {
		t.Errorf("the newest is of %v", s.Newest)
	}
	m.set(m.truth, true)
	m.maintain()
	if s := m.e.Stats(); s.Newest > m.wall.ms() || s.Newest < m.wall.ms()-70_000 {
		t.Errorf("the newest is of %v", s.Newest.Time())
	}
	shut(t, m.e)
}

// TestThePenIsBounded: where the clock is never set, memory and log stay bounded.
func TestThePenIsBounded(t *testing.T) {
	m := newMachine(t)
	m.o.HeadReadings, m.o.LogBytes, m.o.SegmentBytes = 4000, 64<<10, 8<<10
	m.set(year1970(), false)
	m.start()
	for i := range 3000 {
		m.send("a/x", float64(i))
		m.pass(10 * time.Second)
		if i%50 == 0 {
			m.maintain()
		}
	}
	if s := m.e.Stats(); s.Provisional > 1000 || s.HeadReadings > 4000 || s.LogBytes > 2*m.o.LogBytes || s.Readings != 3000 {
		t.Errorf("stats: %+v", s)
	}
	if got := times(t, m.e, "a/x"); len(got) != 3000 {
		t.Errorf("%d readings, want 3000", len(got))
	}
	if len(told(m.e, "a/x", telemetry.CauseClockUnknown)) == 0 {
		t.Error("nobody says that the times are guesses")
	}
	shut(t, m.e)
}

// TestStampedAgainstModel lets a machine lose and find the time, die and boot at
// random. Every reading is there once and in order; those of boots that
// came to know the time have the true one.
func TestStampedAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "telemetry-stamped-")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		m := newMachine(t)
		m.o.Dir = dir + "/x"
		m.start()
		defer func() { m.e.Close(context.Background()) }()
		truth, boot := map[float64]greenhouse.Millis{}, map[float64]int{}
		settled := map[int]bool{} // boots whose last readings got their times
		n := 0.0
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			m.pass(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 50 * time.Minute}).Draw(rt, "pass"))
			switch rapid.SampledFrom([]string{"send", "send", "send", "step", "trust", "doubt", "kill", "reboot", "seal", "maintain"}).Draw(rt, "do") {
			case "send":
				n++
				m.mixed = rapid.Bool().Draw(rt, "mixed")
				truth[n], boot[n] = m.send("a/x", n), m.boot
				settled[m.boot] = m.trusted
				if rapid.Bool().Draw(rt, "again") {
					m.pass(time.Second)
					m.resend("a/x", n)
				}
			case "step":
				if !m.trusted {
					m.set(m.truth.Add(time.Duration(rapid.IntRange(-1_000_000, -60).Draw(rt, "s"))*time.Second), false)
				}
			case "trust":
				m.set(m.truth, true)
				m.maintain()
				settled[m.boot] = true
			case "doubt":
				m.trusted = false
			case "kill":
				m.kill()
			case "reboot":
				m.reboot(m.truth.Add(-time.Duration(rapid.IntRange(60, 1_000_000).Draw(rt, "behind")) * time.Second))
			case "seal":
				if err := m.e.Seal(); err != nil {
					rt.Fatal(err)
				}
			case "maintain":
				m.maintain()
			}
		}
		m.set(m.truth, true)
		m.maintain()
		settled[m.boot] = true
		for _, how := range []string{"", "killed", "sealed"} {
			switch how {
			case "killed":
				m.kill()
			case "sealed":
				if err := m.e.Seal(); err != nil {
					rt.Fatal(err)
				}
			}
			got := map[float64]greenhouse.Millis{}
			for _, s := range raw(rt, m.e, "a/x") {
				got[s.Value] = s.TS
			}
			if len(got) != len(truth) {
				rt.Fatalf("%s: %d readings of %d: %v\n%v\n%+v", how, len(got), len(truth), got, truth, m.told)
			}
			own := times(rt, m.e, "a/own")
			for seq, at := range m.own {
				if own[float64(seq)] != at {
					rt.Fatalf("%s: reading %d with a time is at %d, want %d", how, seq, own[float64(seq)], at)
				}
			}
			for v, at := range truth {
				if settled[boot[v]] && got[v] != at && !guessed(m.e, got[v]) {
					rt.Fatalf("%s: reading %v of boot %d is at %d, want %d", how, v, boot[v], got[v], at)
				}
			}
		}
		if s := m.e.Stats(); s.Damaged != 0 || s.Provisional != 0 || s.Readings != int64(len(truth)+len(m.own)) {
			rt.Fatal(fmt.Sprintf("stats: %+v", s))
		}
	})
}

// guessed reports whether a gap says that the time is a guess.
func guessed(e *telemetry.Engine, at greenhouse.Millis) bool {
	for _, g := range told(e, "", telemetry.CauseClockUnknown) {
		if at >= g.From && at <= g.To {
			return true
		}
	}
	return false
}
