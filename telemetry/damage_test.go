package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/telemetry"
)

// copyDir copies a telemetry directory; zeros at the end of a file take no room, as
// in the original.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := filepath.Join(to, rel)
		return errors.Join(os.WriteFile(name, bytes.TrimRight(data, "\x00"), 0o600), os.Truncate(name, int64(len(data))))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// built makes a directory with log, a growing and a packed day, and returns
// what is in it.
func built(t testing.TB) (o telemetry.Options, c *clock, want map[key]float64) {
	c = newClock()
	o = telemetry.Options{Dir: filepath.Join(scratch(t), "telemetry"), Now: c.Now, Maintain: -1, SegmentBytes: 16 << 10, MinFree: -1}
	e, err := telemetry.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	want = map[key]float64{}
	rnd := rand.New(rand.NewPCG(8, 8))
	for i := range 1500 {
		b := telemetry.Batch{Node: "climate-aabb", Boot: "a", Seq: uint64(i + 1), HasSeq: true, Arrived: c.Now()}
		for j := range 4 {
			k := key{greenhouse.PointID("a/p" + strconv.Itoa(j)), c.ms() + greenhouse.Millis(i*7%40)}
			want[k] = rnd.Float64() * 100 // no short decimal, so that files are full of data
			b.Readings = append(b.Readings, reading(string(k.point), k.at, want[k]))
		}
		mustSubmit(t, e, b)
		c.add(2 * time.Minute)
		if i%100 == 99 {
			if err := e.Maintain(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := e.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	return o, c, want
}

// truth is what a history must tell: readings by point and time, and hours of days
// that have gone.
type truth struct {
	readings map[key]float64
	hours    map[key]telemetry.HistorySample
}

// thinned drops the first day of what built made, but for its summaries.
func thinned(t testing.TB, o *telemetry.Options, all map[key]float64) (want truth) {
	t.Helper()
	o.Retention = 24 * time.Hour
	e, err := telemetry.Open(*o)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Maintain(); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.LevelFiles == 0 || s.HeadReadings == 0 {
		t.Fatalf("a file of summaries, or readings in the log alone, are missing: %+v", s)
	}
	want = truth{map[key]float64{}, map[key]telemetry.HistorySample{}}
	for j := range 4 {
		p := greenhouse.PointID("a/p" + strconv.Itoa(j))
		for _, s := range raw(t, e, p) {
			want.readings[key{p, s.TS}] = all[key{p, s.TS}]
		}
		hours, _ := rolled(t, e, p, telemetry.StepHour, nil)
		for _, s := range hours {
			want.hours[key{p, s.TS}] = s
		}
	}
	shut(t, e)
	if len(want.readings) == 0 || len(want.readings) == len(all) || len(want.hours) < 4*40 {
		t.Fatalf("%d of %d readings are left, %d hours", len(want.readings), len(all), len(want.hours))
	}
	return want
}

// TestBitFlips turns one bit in any file and looks at everything: what is
// served is right, and what is missing is told of.
func TestBitFlips(t *testing.T) {
	o, _, all := built(t)
	want := thinned(t, &o, all)
	base := o.Dir
	flips := count(t, "FLIPS", 150)
	if testing.Short() {
		flips = 20
	}
	seed := uint64(count(t, "SEED", int(time.Now().UnixNano())))
	rnd := rand.New(rand.NewPCG(seed, 0))
	var files []string
	for _, pattern := range []string{"log/*.log", "days/*.db", "levels/*.db", "state.*"} {
		found, _ := filepath.Glob(filepath.Join(base, pattern))
		if len(found) == 0 {
			t.Fatalf("no %s", pattern)
		}
		files = append(files, found...)
		if pattern == "days/*.db" { // history is mostly there
			files = append(append(files, found...), found...)
		}
	}
	whole, told := 0, map[string]int{}
	for n := range flips {
		o.Dir = filepath.Join(scratch(t), "flipped")
		copyDir(t, base, o.Dir)
		name, _ := filepath.Rel(base, files[rnd.IntN(len(files))])
		path := filepath.Join(o.Dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bit := rnd.IntN(len(data) * 8)
		if used := len(bytes.TrimRight(data, "\x00")); n%4 != 0 && used > 0 {
			bit = rnd.IntN(used * 8) // the unused tail is dull
		}
		data[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		missing, reported := inspect(t, o, want)
		switch {
		case missing == 0:
			whole++
		case reported:
			told[filepath.Dir(name)]++
		default:
			t.Errorf("seed %d: bit %d of %s: %d readings or hours are missing and nobody says so", seed, bit, name, missing)
		}
		os.RemoveAll(o.Dir)
	}
	t.Logf("seed %d: %d flips, %d harmless, found and told of by directory: %v", seed, flips, whole, told)
}

// count returns a number from the environment, for campaigns longer than a test.
func count(t testing.TB, name string, usual int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return usual
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s is %q: it must be a number", name, s)
	}
	return n
}

// inspect reads everything, fails on a wrong value, and returns how many readings and
// hours are missing and whether the engine says that there is damage.
func inspect(t *testing.T, o telemetry.Options, want truth) (missing int, reported bool) {
	t.Helper()
	e, err := telemetry.Open(o)
	if err != nil {
		t.Errorf("open: %v", err)
		return len(want.readings), true
	}
	defer e.Close(context.Background())
	found := 0
	for j := range 4 {
		p := greenhouse.PointID("a/p" + strconv.Itoa(j))
		r, err := e.History(context.Background(), telemetry.Query{Point: p, Step: telemetry.StepRaw})
		if err != nil {
			reported = true
			continue
		}
		hours, gaps := rolled(t, e, p, telemetry.StepHour, nil)
		for _, g := range append(r.Gaps, gaps...) {
			reported = reported || g.Cause == telemetry.CauseCorrupt
		}
		for _, s := range r.Samples {
			v, ok := want.readings[key{p, s.TS}]
			if !ok || v != s.Value || s.Quality != greenhouse.Good {
				t.Errorf("%s at %d is served as %v, want %v (%v)", p, s.TS, s.Value, v, ok)
			}
			found++
		}
		for _, s := range hours {
			w, known := want.hours[key{p, s.TS}]
			if known && cmp.Equal(w, s, near()) {
				found++
				continue
			}
			sum := w.Integral // it misses the stretch from a damaged hour before
			if w.Integral = s.Integral; known && s.Count >= w.Count && (!cmp.Equal(w, s, near()) || s.Integral > sum) {
				t.Errorf("%s at %d: the hour is told as %+v, want %+v", p, s.TS, s, w)
			}
		}
	}
	return len(want.readings) + len(want.hours) - found, reported || e.Stats().Damaged > 0
}

// TestDamagedDayIsSealedAround flips a bit in every page of a day file and goes
// on writing to that day: nothing new may be lost.
func TestDamagedDayIsSealedAround(t *testing.T) {
	o, c, _ := built(t)
	base := o.Dir
	days, _ := filepath.Glob(filepath.Join(base, "days", "*.db"))
	last := days[len(days)-1]
	info, err := os.Stat(last)
	if err != nil {
		t.Fatal(err)
	}
	for page := int64(0); page < info.Size()/4096 && page < 40; page++ {
		o.Dir = filepath.Join(t.TempDir(), "damaged")
		copyDir(t, base, o.Dir)
		name := filepath.Join(o.Dir, "days", filepath.Base(last))
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 64 {
			data[page*4096+int64(i)*61] ^= 0x55
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := telemetry.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		at := c.ms() - 60_000*90
		mustSubmit(t, e, telemetry.Batch{Arrived: c.Now(), Readings: []greenhouse.Reading{reading("a/p0", at+1, 1), reading("new/x", at, 2)}})
		if err := e.Seal(); err != nil {
			t.Errorf("page %d: seal: %v", page, err)
		}
		if got := raw(t, e, "new/x"); len(got) != 1 || got[0].Value != 2 {
			t.Errorf("page %d: the new point has %v", page, got)
		}
		e.Close(context.Background())
		os.RemoveAll(o.Dir)
	}
}

// TestTornDayCommit puts together what a power cut in the middle of a bbolt
// commit may leave of a day file: pages of before and after in any mix under
// the old meta pages, or all pages of after with either. The log is cut only
// later, so nothing may be missing.
func TestTornDayCommit(t *testing.T) {
	c := newClock()
	o := telemetry.Options{Dir: filepath.Join(t.TempDir(), "telemetry"), Now: c.Now, Maintain: -1, SegmentBytes: 1 << 20, MinFree: -1}
	e, err := telemetry.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	want := map[key]float64{}
	write := func(n int) {
		for range n {
			for j := range 4 {
				k := key{greenhouse.PointID("a/p" + strconv.Itoa(j)), c.ms()}
				want[k] = float64(j)
				mustSubmit(t, e, telemetry.Batch{Arrived: c.Now(), Readings: []greenhouse.Reading{reading(string(k.point), k.at, want[k])}})
			}
			c.add(30 * time.Second)
		}
	}
	write(100)
	if err := e.Seal(); err != nil {
		t.Fatal(err)
	}
	write(100)
	e.Close(context.Background())
	before := t.TempDir() + "/before"
	copyDir(t, o.Dir, before)
	days, _ := filepath.Glob(filepath.Join(o.Dir, "days", "*.db"))
	name := filepath.Base(days[0])
	if e, err = telemetry.Open(o); err != nil {
		t.Fatal(err)
	}
	if err := e.Seal(); err != nil {
		t.Fatal(err)
	}
	e.Close(context.Background())
	old, _ := os.ReadFile(filepath.Join(before, "days", name))
	after, _ := os.ReadFile(filepath.Join(o.Dir, "days", name))
	if bytes.Equal(old, after) || len(old) == 0 {
		t.Fatal("the seal changed nothing")
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 60 {
		o.Dir = filepath.Join(t.TempDir(), "torn")
		copyDir(t, before, o.Dir)
		torn := bytes.Clone(after)
		for page := range len(after) / 4096 {
			was := make([]byte, 4096)
			copy(was, old[min(page*4096, len(old)):])
			keepOld := page >= 2 && n%3 != 0 && rnd.IntN(2) == 0
			if page < 2 {
				keepOld = n%3 != 0 || rnd.IntN(2) == 0
			}
			if keepOld {
				copy(torn[page*4096:], was)
			}
		}
		if err := os.WriteFile(filepath.Join(o.Dir, "days", name), torn, 0o600); err != nil {
			t.Fatal(err)
		}
		if missing, _ := inspect(t, o, truth{readings: want}); missing != 0 {
			t.Errorf("cut %d: %d readings are missing", n, missing)
		}
		if e, err = telemetry.Open(o); err != nil {
			t.Fatal(err)
		}
		if err := e.Seal(); err != nil {
			t.Errorf("cut %d: %v", n, err)
		}
		e.Close(context.Background())
		if missing, _ := inspect(t, o, truth{readings: want}); missing != 0 {
			t.Errorf("cut %d: %d readings are missing after sealing again", n, missing)
		}
		os.RemoveAll(o.Dir)
	}
}

// TestLostCheckpoints removes both copies of the state: names and latest values
// come back from log and day files.
func TestLostCheckpoints(t *testing.T) {
	o, _, want := built(t)
	for _, name := range []string{"state.a", "state.b"} {
		if err := os.WriteFile(filepath.Join(o.Dir, name), []byte("not a checkpoint"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if missing, reported := inspect(t, o, truth{readings: want}); missing != 0 || !reported {
		t.Errorf("%d readings are missing, reported %v", missing, reported)
	}
	aside, _ := filepath.Glob(filepath.Join(o.Dir, "state.*.corrupt-*"))
	if len(aside) != 2 {
		t.Errorf("set aside: %v", aside)
	}
	e := open(t, o)
	if l, ok := e.Latest("a/p0"); !ok || want[key{"a/p0", l.At}] != l.Value {
		t.Errorf("latest is %+v", l)
	}
}

// FuzzOpenLog starts an engine on a log segment of any content: it opens, and
// takes new readings that are there after a restart, whether or not anything was
// sealed before.
func FuzzOpenLog(f *testing.F) {
	o, _, _ := built(f)
	names, _ := filepath.Glob(filepath.Join(o.Dir, "log", "*.log"))
	for i, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		n, _ := strconv.ParseUint(filepath.Base(name)[:16], 16, 64)
		data = bytes.TrimRight(data, "\x00")
		f.Add(n, i%2 == 0, data[:min(len(data), 2000)])
	}
	all, used := scratch(f), 0
	f.Fuzz(func(t *testing.T, number uint64, seal bool, data []byte) {
		c := newClock()
		used++
		o := telemetry.Options{Dir: filepath.Join(all, strconv.Itoa(used)), Now: c.Now, Maintain: -1, SegmentBytes: 16 << 10, MinFree: -1}
		defer os.RemoveAll(o.Dir)
		if err := os.MkdirAll(filepath.Join(o.Dir, "log"), 0o700); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(o.Dir, "log", fmt.Sprintf("%016x.log", number%1e6+1))
		if err := os.WriteFile(name, append(data, make([]byte, 4096)...), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			e, err := telemetry.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			mustSubmit(t, e, telemetry.Batch{Arrived: c.Now(), Readings: []greenhouse.Reading{reading("fuzz/x", c.ms(), 1)}})
			if seal {
				if err := e.Seal(); err != nil {
					t.Fatal(err)
				}
			}
			found := 0
			for _, s := range raw(t, e, "fuzz/x") {
				if s.TS == c.ms() {
					found++
				}
			}
			if found != 1 {
				t.Fatalf("the reading is there %d times", found)
			}
			if err := e.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzPayload applies what a frame with a valid checksum might hold.
func FuzzPayload(f *testing.F) {
	o, _, _ := built(f)
	names, _ := filepath.Glob(filepath.Join(o.Dir, "log", "*.log"))
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		n, _ := strconv.ParseUint(filepath.Base(name)[:16], 16, 64)
		for _, p := range telemetry.Payloads(data, n) {
			f.Add(p)
		}
	}
	f.Add([]byte{1, 1, 3, 'a', '/', 'x', 3, 0, 0xd0, 0x0f, 2, 1, 2, 1, 4, 1, 2, 1, 4})
	// A series, a boot, two provisional batches, what becomes of them, and one more.
	f.Add([]byte{1, 1, 3, 'a', '/', 'x', 5, 1, 'b', 3, 16, 0xd0, 0x0f, 20, 1, 1, 0, 1, 4, 3, 16, 2, 22, 1, 1, 0, 1, 6, 6, 1, 0x80, 0x80, 0x80, 0x80, 0x10, 5, 1, 'b', 3, 16, 2, 24, 1, 1, 0, 1, 6})
	// The same, and of one message a reading with a time of its own.
	f.Add([]byte{1, 1, 3, 'a', '/', 'x', 1, 2, 3, 'a', '/', 'y', 5, 1, 'b', 3, 16, 0xd0, 0x0f, 20, 1, 1, 0, 1, 4, 3, 32, 0, 1, 2, 2, 1, 4})
	f.Fuzz(func(t *testing.T, payload []byte) { telemetry.Apply(payload) })
}

// FuzzCheckpoint decodes what a checkpoint with a valid checksum might hold.
func FuzzCheckpoint(f *testing.F) {
	o, _, _ := built(f)
	data, err := os.ReadFile(filepath.Join(o.Dir, "state.a"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[8 : len(data)-4])
	m := newMachine(f) // a bad sensor and provisional readings
	m.o.Tests = air
	m.set(year1970(), false)
	m.start()
	m.send("a/x", 18)
	m.pass(time.Minute)
	m.send("a/x", 85)
	shut(f, m.e)
	if data, err = os.ReadFile(filepath.Join(m.o.Dir, "state.a")); err != nil {
		f.Fatal(err)
	}
	f.Add(data[8 : len(data)-4])
	f.Fuzz(func(t *testing.T, data []byte) { telemetry.LoadCheckpoint(telemetry.Checksummed(data)) })
}
