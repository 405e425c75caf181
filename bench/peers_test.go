package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/telemetry"
)

// TestPeers is the whole comparison; it is skipped unless asked for, because it
// takes minutes. BENCH_PEERS=1 asks for it, BENCH_ROUNDS sets the rounds (5),
// BENCH_ONLY names parts: mqtt, site, slow, ingest, points, history. Only a whole
// run is written into docs/benchmarks.md.
func TestPeers(t *testing.T) {
	if os.Getenv("BENCH_PEERS") == "" {
		t.Skip("make bench-peers runs this")
	}
	begun := time.Now()
	r := &report{rounds: 5}
	if n, err := strconv.Atoi(os.Getenv("BENCH_ROUNDS")); err == nil && n > 0 {
		r.rounds = n
	}
	data, err := loadData()
	if err != nil {
		t.Fatal(err)
	}
	r.data, r.versions = data.origin, versions()
	binary := buildDaemon(t)
	if size, err := os.Stat(binary); err == nil {
		r.budget(size.Size() <= 25<<20, "binary of edged, CGO off", "≤ 25 MB", "%s", megabytes(size.Size()))
	}
	only := os.Getenv("BENCH_ONLY")
	for _, part := range []struct {
		name string
		run  func()
	}{
		{"mqtt", func() { benchMQTT(t, r, data, binary) }},
		{"site", func() { benchSite(t, r, data, binary) }},
		{"slow", func() { benchSlow(t, r, data) }},
		{"ingest", func() { benchIngest(t, r) }},
		{"history", func() { benchHistory(t, r) }},
		{"points", func() { benchPoints(t, r) }},
	} {
		if only == "" || slices.Contains(strings.Split(only, ","), part.name) {
			at := time.Now()
			part.run()
			t.Logf("%s took %v", part.name, time.Since(at).Round(time.Second))
		}
	}
	text := r.markdown(time.Since(begun))
	fmt.Println(text)
	if only == "" && !t.Failed() {
		if err := r.write(text); err != nil {
			t.Error(err)
		}
	}
}

// versions names what was compared.
func versions() []string {
	v := []string{runtime.Version()}
	if out, err := exec.Command("git", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
		v = append(v, "edged "+strings.TrimSpace(string(out)))
	}
	if p := findMosquitto(); p != "" {
		out, _ := exec.Command(p, "-h").CombinedOutput() // it prints its version and fails
		line, _, _ := strings.Cut(string(out), "\n")
		v = append(v, line)
	}
	if p := findPostgres(); p != "" {
		if out, err := exec.Command(filepath.Join(p, "postgres"), "--version").Output(); err == nil {
			v = append(v, strings.TrimSpace(string(out)))
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "modernc.org/sqlite" || m.Path == "github.com/prometheus/prometheus" || m.Path == "github.com/jackc/pgx/v5" {
				v = append(v, m.Path+" "+m.Version)
			}
		}
	}
	return v
}

// title names a store for the tables.
func title(name string) string {
	return map[string]string{"ours": "edged's history", "free": "edged's history, as the daemon runs it: 20 in flight a node", "sqlite": "SQLite, WAL, synced commits", "tsdb": "Prometheus TSDB, never synced", "postgres": "PostgreSQL, batched", "postgres-n1": "PostgreSQL, N+1"}[name]
}

// contenders lists the stores that are here.
func contenders(t *testing.T, r *report, extra ...string) []string {
	names := []string{"ours", "sqlite", "tsdb"}
	if findPostgres() == "" {
		if !slices.ContainsFunc(r.skipped, func(s string) bool { return strings.HasPrefix(s, "PostgreSQL") }) {
			r.skip(t, "PostgreSQL is not installed (apt install postgresql)")
		}
		return append(names, slices.DeleteFunc(extra, func(s string) bool { return strings.HasPrefix(s, "postgres") })...)
	}
	return append(append(names, "postgres"), extra...)
}

// with completes a job: a new directory, and for PostgreSQL a new cluster.
func with(t *testing.T, j job) (job, *postgres) {
	j.Dir = filepath.Join(shortDir(t), j.Store)
	if !strings.HasPrefix(j.Store, "postgres") {
		return j, nil
	}
	p := newPostgres(t)
	j.DSN, j.Server = p.dsn(), p.cmd.Process.Pid
	return j, p
}

// benchIngest compares durable samples a second, and bytes written for each.
func benchIngest(t *testing.T, r *report) {
	names := contenders(t, r, "free", "postgres-n1")
	per, wrote := map[string][]float64{}, map[string][]float64{}
	var commits []float64
	for round := range r.rounds {
		order := slices.Clone(names)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, name := range order {
			j := job{Store: name, Do: "ingest", Points: 1000, Per: 10, For: time.Second}
			if name == "free" {
				j.Do = "free"
			}
			j, p := with(t, j)
			o, err := child(t, j)
			if p != nil {
				p.stop()
			}
			os.RemoveAll(j.Dir)
			if err != nil {
				t.Error(err)
				continue
			}
			per[name], wrote[name] = append(per[name], o.PerS), append(wrote[name], float64(o.Written)/float64(o.Samples))
			if name == "free" {
				commits = append(commits, float64(o.Samples)/float64(o.Commits))
			}
		}
	}
	s := r.section("Storing samples", fmt.Sprintf("100 nodes, 10 values a message. The next batch of 1,000 samples is handed over when the last is durable, except where edged runs as in the daemon: there a commit takes what has gathered (%s samples). Bytes written include those of the final form (edged counts whole pages itself; of the others, what their processes wrote to files).", count(median(commits))),
		"", "samples/s", "edged as it runs is", "edged in the same batches is", "bytes written a sample")
	for _, name := range names {
		s.row(title(name), count(median(per[name])), ratio(median(per["free"]), median(per[name])), ratio(median(per["ours"]), median(per[name])), fmt.Sprintf("%.1f", median(wrote[name])))
	}
	r.budget(median(wrote["free"])*10 <= 200, "written to the device per message, at load", "≤ 200 B", "%.0f B for 10 values", median(wrote["free"])*10)
	if len(per["postgres"]) > 0 {
		a, b := median(per["free"])/median(per["postgres-n1"]), median(per["free"])/median(per["postgres"])
		r.budget(a >= 200, "ingest against PostgreSQL, N+1 path", "≥ 200×", "×%.0f (%s and %s samples/s)", a, count(median(per["free"])), count(median(per["postgres-n1"])))
		r.budget(b >= 10, "ingest against PostgreSQL, batched path", "≥ 10×", "×%.1f (%s samples/s)", b, count(median(per["postgres"])))
	}
}

// benchHistory compares bytes on disk, and the time of questions.
func benchHistory(t *testing.T, r *report) {
	s := r.section("Bytes a sample on disk", "One day of 100 points every 10 s, in final form.", "", "bytes a sample")
	best := map[int]float64{}
	for _, per := range []int{10, 5, 2, 1} {
		j, _ := with(t, job{Store: "ours", Do: "history", Points: 100, Per: per, Days: 1})
		o, err := child(t, j)
		if err != nil {
			t.Error(err)
			continue
		}
		best[per] = float64(o.Disk) / float64(o.Samples)
		s.row(fmt.Sprintf("edged, %d values a message", per), fmt.Sprintf("%.2f", best[per]))
	}
	j, _ := with(t, job{Store: "tsdb", Do: "history", Points: 100, Per: 10, Days: 1})
	if o, err := child(t, j); err != nil {
		t.Error(err)
	} else {
		s.row(title("tsdb"), fmt.Sprintf("%.2f", float64(o.Disk)/float64(o.Samples)))
	}
	r.budget(best[2] <= 1, "history on disk, 2 values a message", "≤ 1.0 B/sample", "%.2f", best[2])
	r.budget(max(best[5], best[10]) <= 0.6, "history on disk, 5 values or more a message", "≤ 0.6 B/sample", "%.2f with 5, %.2f with 10", best[5], best[10])
	benchQueries(t, r)
}

// benchQueries asks each store the same questions of 30 days of 10 points.
func benchQueries(t *testing.T, r *report) {
	names := contenders(t, r)
	bins, raw := map[string][]time.Duration{}, map[string][]time.Duration{}
	s := r.section("Questions", "One point out of 10 with 30 days every 10 s, in final form, warm; all stores asked in turn in one process, up to 100 times, of all points. edged answers 30 days by hours (720 bins), the others make 500 bins of all samples.",
		"", "bytes a sample", "30 days → bins, median", "99 of 100", "edged takes", "1 day raw, median", "99 of 100", "edged takes")
	size := map[string]float64{}
	j := job{Store: "duel", Do: "duel", Rivals: names, Points: 10, Per: 10, Days: 30, For: 25 * time.Second}
	if slices.Contains(names, "postgres") {
		p := newPostgres(t)
		defer p.stop()
		j.DSN, j.Server = p.dsn(), p.cmd.Process.Pid
	}
	j, _ = with(t, j)
	all, err := child(t, j)
	if err != nil {
		t.Error(err)
		return
	}
	for name, o := range all.Each {
		bins[name], raw[name], size[name] = o.Bins, o.Raw, float64(o.Disk)/float64(o.Samples)
		if o.RawN != 8640 || o.BinsN < 490 {
			t.Errorf("%s answered with %d bins and %d samples", name, o.BinsN, o.RawN)
		}
	}
	f := func(q float64, v []time.Duration) time.Duration { return (&flow{Times: v}).at(q) }
	for _, name := range names {
		s.row(title(name), fmt.Sprintf("%.2f", size[name]), millis(f(.5, bins[name])), millis(f(.99, bins[name])), ratio(f(.5, bins["ours"]).Seconds(), f(.5, bins[name]).Seconds()),
			millis(f(.5, raw[name])), millis(f(.99, raw[name])), ratio(f(.5, raw["ours"]).Seconds(), f(.5, raw[name]).Seconds()))
	}
	for _, q := range []struct {
		name string
		of   map[string][]time.Duration
	}{{"one point, 30 days in bins", bins}, {"one point, 1 day raw", raw}} {
		x := f(.5, q.of["ours"]).Seconds() / f(.5, q.of["tsdb"]).Seconds()
		r.budget(x <= 1 && f(.99, q.of["ours"]) <= 20*time.Millisecond, "query: "+q.name, "≤ 1× Prometheus TSDB, p99 ≤ 20 ms", "×%.2f, p99 %s", x, millis(f(.99, q.of["ours"])))
	}
}

// benchPoints compares memory and restart as points grow.
func benchPoints(t *testing.T, r *report) {
	sizes := []int{1000, 10_000, 50_000}
	columns := []string{""}
	for _, n := range sizes {
		columns = append(columns, fmt.Sprintf("memory, %s points", count(n)), "open after a kill")
	}
	s := r.section("Points: memory and restart", "Ten samples of every point, then SIGKILL; memory beyond the empty process after a collection (PostgreSQL: all of its processes), and the time until the first question is answered (PostgreSQL: until it takes connections).", columns...)
	for _, name := range contenders(t, r) {
		cells := []string{title(name)}
		for _, n := range sizes {
			j, p := with(t, job{Store: name, Do: "points", Points: n, Per: 10})
			o, err := child(t, j)
			if err != nil {
				t.Error(err)
				cells = append(cells, "–", "–")
				continue
			}
			var open time.Duration
			if p != nil {
				p.stop()
				open = p.start(t)
				p.stop()
			} else {
				j.Do = "reopen"
				again, err := child(t, j)
				if err != nil {
					t.Error(err)
				}
				open = again.Open
			}
			os.RemoveAll(j.Dir)
			cells = append(cells, megabytes(o.Memory), millis(open))
			if name == "ours" && n == 50_000 {
				r.budget(open < 2*time.Second, "history open with 50,000 points, after a kill", "< 2 s", "%s", millis(open))
			}
		}
		s.row(cells...)
	}
}

// slowDisk takes its time for every sync, as a card does.
type slowDisk struct {
	telemetry.OSDisk
	delay time.Duration
}

type slowFile struct {
	telemetry.File
	delay time.Duration
}

// Sync syncs, and then takes as long as the medium it imitates.
func (f slowFile) Sync() error {
	time.Sleep(f.delay)
	return f.File.Sync()
}

// Open opens name for reading and writing.
func (d slowDisk) Open(name string, flag int) (telemetry.File, error) {
	f, err := d.OSDisk.Open(name, flag)
	return slowFile{f, d.delay}, err
}

// benchSlow times the engine alone at 10,000 messages a second from 1,000 nodes
// on imitated slow media, without linger.
func benchSlow(t *testing.T, r *report, data *table) {
	s := r.section("The engine on slow media", "10,000 messages a second from 1,000 nodes, 2 values each, handed to the engine without MQTT; a sync takes so much longer. No linger.", "a sync takes", "median", "99 of 100", "longest", "messages a commit", "bytes written a message")
	for _, delay := range []time.Duration{0, 5 * time.Millisecond, 20 * time.Millisecond} {
		times, st, err := paceEngine(t.TempDir(), data, delay, 3*time.Second)
		if err != nil {
			t.Error(err)
			continue
		}
		f := &flow{Times: times}
		s.row("+"+delay.String(), millis(f.at(.5)), millis(f.at(.99)), millis(f.at(1)), fmt.Sprintf("%.0f", float64(len(times))/float64(max(st.Syncs, 1))), fmt.Sprintf("%.0f", float64(st.BytesWritten)/float64(len(times))))
		if delay == 20*time.Millisecond {
			r.budget(f.at(.99) <= 100*time.Millisecond, "hand-over → durable at 10,000 messages/s where a sync takes 20 ms (engine without MQTT)", "p99 ≤ 100 ms", "p99 %s", millis(f.at(.99)))
		}
	}
}

func paceEngine(dir string, data *table, delay, dur time.Duration) ([]time.Duration, telemetry.Stats, error) {
	e, err := telemetry.Open(telemetry.Options{Dir: dir, Disk: slowDisk{delay: delay}, MinFree: -1})
	if err != nil {
		return nil, telemetry.Stats{}, err
	}
	defer e.Close(context.Background())
	before := e.Stats()
	var mu sync.Mutex
	var times []time.Duration
	var fault error
	var flight sync.WaitGroup
	begun := time.Now()
	const perS, nodes = 10_000, 1000
	n := int(dur.Seconds() * perS)
	for i := range n {
		due := begun.Add(time.Duration(i) * time.Second / perS)
		if d := time.Until(due); d > time.Millisecond {
			time.Sleep(d)
		}
		node := i % nodes
		row := data.at(node, i/nodes)
		at := greenhouse.MillisOf(due)
		flight.Add(1)
		b := &telemetry.Batch{Node: benchUID(node), Boot: "b", Seq: uint64(i/nodes + 1), HasSeq: true, Arrived: due,
			Readings: []greenhouse.Reading{{Point: benchPoint(2 * node), At: at, Value: row[0]}, {Point: benchPoint(2*node + 1), At: at, Value: row[1]}}}
		b.Done = func(err error) {
			mu.Lock()
			times = append(times, time.Since(due))
			if err != nil {
				fault = err
			}
			mu.Unlock()
			flight.Done()
		}
		if err := e.Submit(context.Background(), b); err != nil {
			return nil, telemetry.Stats{}, err
		}
	}
	flight.Wait()
	slices.Sort(times)
	s := e.Stats()
	s.Syncs, s.BytesWritten = s.Syncs-before.Syncs, s.BytesWritten-before.BytesWritten
	return times, s, fault
}
