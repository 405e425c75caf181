package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"context"
	"sync/atomic"

	"greenhouse"
	"greenhouse/telemetry"
)

// job is one measurement of one store, done by a process of its own.
type job struct {
	Store, Do, Dir, DSN string
	Rivals              []string // of a duel
	Server              int      // pid of the store's server, 0 for none
	Points, Per         int      // points, and how many of them a message carries
	Days                int
	For                 time.Duration
}

// outcome is what it found.
type outcome struct {
	Samples int64
	PerS    float64
	Written int64 // bytes to the device
	Disk    int64 // bytes on disk
	Memory  int64 // bytes, beyond what the process had before
	Open    time.Duration
	Bins    []time.Duration // sorted
	Raw     []time.Duration
	BinsN   int
	RawN    int
	Commits int64
	Each    map[string]outcome // of a duel
}

// childEnv holds the job of a child.
const childEnv = "GREENHOUSE_BENCH_JOB"

func TestMain(m *testing.M) {
	text := os.Getenv(childEnv)
	if text == "" {
		os.Exit(m.Run())
	}
	var j job
	err := json.Unmarshal([]byte(text), &j)
	var o outcome
	if err == nil {
		o, err = j.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(o)
	if j.Do == "points" {
		syscall.Kill(os.Getpid(), syscall.SIGKILL) // no orderly end: the next one replays
	}
	os.Exit(0)
}

// child runs a job in a process of its own.
func child(t *testing.T, j job) (o outcome, err error) {
	t.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		return o, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // filling PostgreSQL takes most of one on a busy machine
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0])
	c.Env = append(os.Environ(), childEnv+"="+string(text))
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	runErr := c.Run()
	if err := json.Unmarshal(out.Bytes(), &o); err != nil {
		return o, fmt.Errorf("%s of %s: %w: %s", j.Do, j.Store, errors.Join(runErr, err), errs.String())
	}
	return o, nil
}

func (j job) run() (o outcome, err error) {
	data, err := loadData()
	if err != nil {
		return o, err
	}
	if err := os.MkdirAll(j.Dir, 0o755); err != nil {
		return o, err
	}
	switch j.Do {
	case "ingest":
		return j.ingest(data)
	case "free":
		return j.free(data)
	case "points":
		return j.points(data)
	case "reopen":
		return j.reopen()
	case "history":
		return j.history(data)
	case "duel":
		return j.duel(data)
	}
	return o, fmt.Errorf("there is no job %q", j.Do)
}

// pids are the processes whose memory and writing belong to the store.
func (j job) pids() []int {
	if j.Server != 0 {
		return family(j.Server)
	}
	return []int{os.Getpid()}
}

// rows makes the rows of all nodes at instant i.
func (j job) rows(data *table, i int, dst []row) []row {
	for p := range j.Points {
		node := p / j.Per
		dst = append(dst, row{p, node, stamp(node, i), data.at(p/columns, i)[p%columns]})
	}
	return dst
}

// ingest commits batches of all nodes' messages, one after the other.
func (j job) ingest(data *table) (o outcome, err error) {
	s, err := newStore(j.Store, j.DSN)
	if err != nil {
		return o, err
	}
	if err := s.open(j.Dir, j.Points, j.Per); err != nil {
		return o, err
	}
	var rows []row
	if err := s.commit(j.rows(data, 0, nil)); err != nil { // files, segments and names are there
		return o, err
	}
	wrote := func() int64 { return written(j.pids()...) }
	if mine, ok := s.(*ours); ok { // it knows, in whole pages
		wrote = func() int64 { return mine.engine.Stats().BytesWritten }
	}
	before := wrote()
	var took time.Duration
	for i := 1; took < j.For; i++ {
		rows = j.rows(data, i, rows[:0])
		if j.Store == "postgres-n1" {
			rows = rows[:100]
		}
		begun := time.Now()
		if err := s.commit(rows); err != nil {
			return o, err
		}
		took += time.Since(begun)
		o.Samples += int64(len(rows))
		o.Commits++
	}
	o.PerS = float64(o.Samples) / took.Seconds()
	if _, err := s.settle(); err != nil {
		return o, err
	}
	o.Written = wrote() - before
	return o, s.close()
}

// free lets our engine run as it does in the daemon: every node has 20 messages
// in flight, and a commit takes whatever has gathered.
func (j job) free(data *table) (o outcome, err error) {
	e, err := telemetry.Open(telemetry.Options{Dir: j.Dir, MinFree: -1})
	if err != nil {
		return o, err
	}
	nodes := j.Points / j.Per
	type flight struct {
		b    telemetry.Batch
		node int
	}
	free := make(chan *flight, nodes*20)
	var fault atomic.Pointer[error]
	for n := range nodes {
		for range 20 {
			f := &flight{node: n}
			f.b.Node, f.b.Boot, f.b.HasSeq, f.b.Readings = benchUID(n), "b", true, make([]greenhouse.Reading, j.Per)
			for c := range f.b.Readings {
				f.b.Readings[c].Point = benchPoint(n*j.Per + c)
			}
			f.b.Done = func(err error) {
				if err != nil {
					fault.Store(&err)
				}
				free <- f
			}
			free <- f
		}
	}
	seq := make([]int, nodes)
	before := e.Stats()
	begun := time.Now()
	base := greenhouse.MillisOf(begun) - 120_000
	for i := 0; i%64 != 0 || time.Since(begun) < j.For; i++ {
		f := <-free
		row := data.at(f.node, seq[f.node])
		seq[f.node]++
		f.b.Seq, f.b.Arrived = uint64(seq[f.node]), time.Now()
		for c := range f.b.Readings {
			f.b.Readings[c].At, f.b.Readings[c].Value, f.b.Readings[c].Quality = base+greenhouse.Millis(seq[f.node]), row[(f.node*j.Per+c)%columns], greenhouse.Good
		}
		if err := e.Submit(context.Background(), &f.b); err != nil {
			return o, err
		}
	}
	for range nodes * 20 {
		<-free
	}
	took := time.Since(begun)
	if p := fault.Load(); p != nil {
		return o, *p
	}
	s := e.Stats()
	o.Samples, o.Commits, o.Written = s.Stored-before.Stored, s.Syncs-before.Syncs, s.BytesWritten-before.BytesWritten
	o.PerS = float64(o.Samples) / took.Seconds()
	return o, e.Close(context.Background())
}

// points stores ten samples of every point and measures the memory that takes.
func (j job) points(data *table) (o outcome, err error) {
	data.rows = slices.Clone(data.rows[:10_000])
	debug.FreeOSMemory()
	before := memory(os.Getpid())
	s, err := newStore(j.Store, j.DSN)
	if err != nil {
		return o, err
	}
	if err := s.open(j.Dir, j.Points, j.Per); err != nil {
		return o, err
	}
	if err := j.fill(s, data, 10); err != nil {
		return o, err
	}
	if f, ok := s.(*ours); ok {
		f.flight.Wait()
	}
	debug.FreeOSMemory()
	if j.Server != 0 {
		before = 0
	}
	o.Memory = memory(j.pids()...) - before
	return o, nil
}

// fill stores rows of all points, in batches of a few thousand.
func (j job) fill(s store, data *table, instants int) error {
	var rows []row
	for i := range instants {
		rows = j.rows(data, i, rows)
		for len(rows) >= 5000 {
			cut := 5000 - 5000%j.Per
			if err := s.bulk(rows[:cut]); err != nil {
				return err
			}
			rows = append(rows[:0], rows[cut:]...)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return s.bulk(rows)
}

// reopen opens what a killed process left, until the first answer.
func (j job) reopen() (o outcome, err error) {
	begun := time.Now()
	s, err := newStore(j.Store, j.DSN)
	if err != nil {
		return o, err
	}
	if err := s.open(j.Dir, j.Points, j.Per); err != nil {
		return o, err
	}
	if o.RawN, err = s.raw(j.Points-1, stamp(0, 0)-1, stamp(0, 100_000)); err != nil {
		return o, err
	}
	o.Open = time.Since(begun)
	if o.RawN != 10 {
		return o, fmt.Errorf("%d of 10 samples came back", o.RawN)
	}
	return o, nil
}

// history stores days of all points and measures what they take on disk.
func (j job) history(data *table) (o outcome, err error) {
	s, err := newStore(j.Store, j.DSN)
	if err != nil {
		return o, err
	}
	if err := s.open(j.Dir, j.Points, j.Per); err != nil {
		return o, err
	}
	if o, err = j.store(s, data); err != nil {
		return o, err
	}
	return o, s.close()
}

// store fills a store with days of all points, in final form, and measures them.
func (j job) store(s store, data *table) (o outcome, err error) {
	n := j.Days * 8640
	begun := time.Now()
	if err := j.fill(s, data, n); err != nil {
		return o, err
	}
	o.Samples = int64(n) * int64(j.Points)
	o.PerS = float64(o.Samples) / time.Since(begun).Seconds()
	files, err := s.settle()
	if err != nil {
		return o, err
	}
	if size, ok := strings.CutPrefix(files, "bytes:"); ok {
		o.Disk, err = strconv.ParseInt(size, 10, 64)
	} else {
		o.Disk, err = sizeOf(files)
	}
	return o, err
}

// duel fills several stores with the same days and asks them the same questions
// in turn, so that what else the machine does meets all alike.
func (j job) duel(data *table) (o outcome, err error) {
	stores := map[string]store{}
	o.Each = map[string]outcome{}
	for _, name := range j.Rivals {
		s, err := newStore(name, j.DSN)
		if err != nil {
			return o, err
		}
		dir := filepath.Join(j.Dir, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return o, err
		}
		if err := s.open(dir, j.Points, j.Per); err != nil {
			return o, err
		}
		if o.Each[name], err = j.store(s, data); err != nil {
			return o, fmt.Errorf("%s: %w", name, err)
		}
		stores[name] = s
	}
	end := stamp(0, j.Days*8640)
	begun := time.Now()
	for k := 0; k < 100 && (k < 5 || time.Since(begun) < j.For); k++ {
		for i := range j.Rivals {
			name := j.Rivals[(i+k)%len(j.Rivals)]
			x, s := o.Each[name], stores[name]
			at := time.Now()
			if x.BinsN, err = s.bins(k%j.Points, end-int64(j.Days)*86_400_000, end); err != nil {
				return o, err
			}
			x.Bins = append(x.Bins, time.Since(at))
			at = time.Now()
			if x.RawN, err = s.raw(k%j.Points, end-86_400_000, end); err != nil {
				return o, err
			}
			x.Raw = append(x.Raw, time.Since(at))
			o.Each[name] = x
		}
	}
	for name, x := range o.Each {
		slices.Sort(x.Bins)
		slices.Sort(x.Raw)
		o.Each[name] = x
		err = errors.Join(err, stores[name].close())
	}
	return o, err
}

// sizeOf adds up what files below dir occupy.
func sizeOf(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	})
	return sum, err
}
