package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/telemetry"
)

// dayCommit is a file of the history before and after a commit, beside everything
// else as it was then.
type dayCommit struct {
	path          string // below dir
	dir           string
	before, after []byte
	acked         int
	now           time.Time
}

// steps returns the file as a power cut may leave it at each write of the commit:
// bbolt writes the pages it changed in their order, syncs, writes a meta page and
// syncs again. A cut may come within a page, and of pages that are not synced the
// later may be on disk without the earlier.
func (c *dayCommit) steps(rng *rand.Rand) (cuts [][]byte) {
	const page = 4096
	image := func() []byte {
		return append(append([]byte{}, c.before...), make([]byte, max(0, len(c.after)-len(c.before)))...)
	}
	put := func(to []byte, pages ...int) {
		for _, p := range pages {
			copy(to[p:p+page], c.after[p:])
		}
	}
	var changed, metas []int
	start := image()
	for p := 0; p < len(c.after); p += page {
		switch {
		case string(start[p:p+page]) == string(c.after[p:p+page]):
		case p < 2*page:
			metas = append(metas, p)
		default:
			changed = append(changed, p)
		}
	}
	cuts = append(cuts, start)
	for k := range changed {
		forward, torn, backward := image(), image(), image()
		put(forward, changed[:k+1]...)
		put(backward, changed[k:]...)
		put(torn, changed[:k]...)
		copy(torn[changed[k]:changed[k]+sector*(1+rng.IntN(7))], c.after[changed[k]:])
		cuts = append(cuts, forward, torn, backward)
	}
	for _, m := range metas {
		torn := image()
		put(torn, changed...)
		copy(torn[m:m+1+rng.IntN(100)], c.after[m:])
		cuts = append(cuts, torn)
	}
	return append(cuts, c.after)
}

// answers are everything that a history says of some points.
type answers struct {
	Raw, Hours map[greenhouse.PointID][]telemetry.HistorySample
}

func everything(t *testing.T, e *telemetry.Engine, points []greenhouse.PointID) answers {
	t.Helper()
	all := answers{map[greenhouse.PointID][]telemetry.HistorySample{}, map[greenhouse.PointID][]telemetry.HistorySample{}}
	for _, p := range points {
		all.Raw[p] = raw(t, e, p)
		if r, err := e.History(context.Background(), telemetry.Query{Point: p, Step: telemetry.StepHour, Integral: true}); err == nil {
			all.Hours[p] = r.Samples
		} else if !errors.Is(err, greenhouse.ErrNotFound) {
			t.Fatal(err)
		}
	}
	return all
}

func (a answers) readings() (n int) {
	for _, hours := range a.Hours {
		for _, h := range hours {
			n += h.Count + h.Bad
		}
	}
	return n
}

// recording is a history whose seals and summaries are kept commit by commit.
type recording struct {
	t       *testing.T
	c       *clock
	o       telemetry.Options
	e       *telemetry.Engine
	points  []greenhouse.PointID
	acked   int
	images  map[string][]byte
	commits []dayCommit
}

// record keeps what is on disk after a commit.
func (r *recording) record(path string) {
	after, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	if before := r.images[path]; before != nil {
		rel, err := filepath.Rel(r.o.Dir, path)
		if err != nil {
			r.t.Fatal(err)
		}
		c := dayCommit{path: rel, dir: filepath.Join(scratch(r.t), "then"), before: before, after: after, acked: r.acked, now: r.c.Now()}
		copyDir(r.t, r.o.Dir, c.dir)
		r.commits = append(r.commits, c)
	}
	r.images[path] = after
}

// hours sends readings of all points for so many hours.
func (r *recording) hours(n int) {
	for range n * 6 {
		b := telemetry.Batch{Node: "climate-aabb", Arrived: r.c.Now()}
		for i, p := range r.points {
			b.Readings = append(b.Readings, reading(string(p), r.c.ms(), float64(r.acked%90+i)/4))
		}
		mustSubmit(r.t, r.e, b)
		r.acked += len(b.Readings)
		r.c.add(10 * time.Minute)
	}
}

func (r *recording) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func record(t *testing.T, points int) *recording {
	r := &recording{t: t, c: newClock(), images: map[string][]byte{}}
	r.o = telemetry.Options{Dir: filepath.Join(scratch(t), "telemetry"), Now: r.c.Now, MinFree: -1, Retention: 2 * dayLong}
	for i := range points {
		r.points = append(r.points, greenhouse.PointID(fmt.Sprintf("a/p%d", i)))
	}
	r.e = open(t, r.o)
	r.e.OnDayCommit(r.record)
	return r
}

// TestEveryStepOfEverySeal cuts the power at every write of every commit in a day file
// or one of summaries: hours that close, a day that began before, what comes late for
// a day that is packed, a day that is summed up and goes, and a seal of several
// transactions. What is there afterwards is everything that was acknowledged, before
// and after the next maintenance; for the log is cut only when the file is synced.
func TestEveryStepOfEverySeal(t *testing.T) {
	r := record(t, 3)
	late := r.c.ms()
	for range 5 {
		r.hours(2)
		r.must(r.e.Seal())
		r.hours(1)
		r.must(r.e.Seal())
		r.c.add(dayLong)
		mustSubmit(t, r.e, telemetry.Batch{Arrived: r.c.Now(), Readings: []greenhouse.Reading{reading("a/p1", r.c.ms()-25*3_600_000+7, 1)}})
		r.acked++
		r.must(errors.Join(r.e.Seal(), r.e.Maintain()))
		if r.e.Stats().DaysDropped == 0 {
			late = r.c.ms()
		}
	}
	if s := r.e.Stats(); s.LevelFiles == 0 || s.Late == 0 || r.c.ms() <= late {
		t.Fatalf("nothing went, or nothing came late: %+v", s)
	}
	shut(t, r.e)
	large := record(t, 1001) // more chunks an hour than a transaction takes
	for range 2 {
		large.hours(1)
		large.must(large.e.Seal())
	}
	shut(t, large.e)
	rng := rand.New(rand.NewPCG(uint64(count(t, "SEED", 1)), 6))
	cuts := map[string]int{}
	for _, of := range []*recording{r, large} {
		most := count(t, "CUTS", 5) // of one commit
		if of == large {
			most = (most + 3) / 4
		}
		for i := range of.commits {
			c := &of.commits[i]
			steps := c.steps(rng)
			rng.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
			want := of.after(c, c.after, i)
			for k, cut := range steps[:min(most, len(steps))] {
				cuts[filepath.Dir(c.path)]++
				if diff := cmp.Diff(want, of.after(c, cut, i), near()); diff != "" {
					t.Fatalf("commit %d in %s, cut %d of %d (-want +got):\n%.2000s", i, c.path, k, len(steps), diff)
				}
			}
		}
	}
	t.Logf("%d and %d commits, cuts: %v", len(r.commits), len(large.commits), cuts)
	if cuts["levels"] < 10 || cuts["days"] < 100 || len(large.commits) < 5 {
		t.Error("too few to show anything")
	}
}

// after starts on what a power cut left, maintains that, and returns what is told
// before and after.
func (r *recording) after(c *dayCommit, cut []byte, n int) (all [2]answers) {
	r.t.Helper()
	o := r.o
	o.Dir, o.Now = filepath.Join(scratch(r.t), "cut"), func() time.Time { return c.now }
	copyDir(r.t, c.dir, o.Dir)
	if err := os.WriteFile(filepath.Join(o.Dir, c.path), cut, 0o600); err != nil {
		r.t.Fatal(err)
	}
	e := open(r.t, o)
	defer func() { shut(r.t, e); os.RemoveAll(o.Dir) }()
	all[0] = everything(r.t, e, r.points)
	if err := errors.Join(e.Seal(), e.Maintain()); err != nil {
		r.t.Fatalf("commit %d in %s: %v", n, c.path, err)
	}
	all[1] = everything(r.t, e, r.points)
	for _, a := range all {
		if got := a.readings(); got != c.acked {
			r.t.Fatalf("commit %d in %s: %d readings are told of, %d were acknowledged", n, c.path, got, c.acked)
		}
	}
	if s := e.Stats(); s.Damaged != 0 || strings.Contains(s.SealError, "damage") {
		r.t.Fatalf("commit %d in %s: damage is told of where there is none: %+v", n, c.path, s)
	}
	return all
}
