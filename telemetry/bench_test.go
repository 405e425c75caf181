package telemetry_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/telemetry"
)

// rawSync measures a bare loop of 4 KiB writes and fdatasyncs in a pre-zeroed
// file, the limit of what any log can do here.
func rawSync(b *testing.B) time.Duration {
	b.Helper()
	name := filepath.Join(b.TempDir(), "raw")
	f, err := (telemetry.OSDisk{}).Open(name, os.O_CREATE)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	const n = 300
	page := make([]byte, 4096)
	for i := range n {
		f.WriteAt(page, int64(i)*4096)
	}
	f.Sync()
	start := time.Now()
	for i := range n {
		f.WriteAt(page, int64(i)*4096)
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start) / n
}

// BenchmarkIngest measures durable samples a second with a number of callers
// that each wait for their acknowledgement, beside the bare sync loop.
func BenchmarkIngest(b *testing.B) {
	for _, callers := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { benchIngest(b, callers, 2) })
	}
	b.Run("callers=100/values=10", func(b *testing.B) { benchIngest(b, 100, 10) })
}

func benchIngest(b *testing.B, callers, values int) {
	sync1 := rawSync(b)
	e := open(b, telemetry.Options{Dir: b.TempDir(), SegmentBytes: 8 << 20, Maintain: 100 * time.Millisecond, MinFree: -1})
	batches := make([]telemetry.Batch, callers)
	acks := make([]chan error, callers)
	start := greenhouse.MillisOf(time.Now())
	for i := range batches {
		acks[i] = make(chan error, 1)
		batches[i] = telemetry.Batch{Node: greenhouse.UID(fmt.Sprintf("climate-%04d", i)), Boot: "b", HasSeq: true, Done: func(err error) { acks[i] <- err }}
		for v := range values {
			batches[i].Readings = append(batches[i].Readings, reading(fmt.Sprintf("z%d/v%c", i, 'a'+v), start, 20))
		}
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	before := e.Stats()
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range batches {
		wg.Go(func() {
			bt := &batches[i]
			for n := int64(0); left.Add(-1) >= 0; n++ {
				bt.Seq++
				bt.Arrived = time.Now()
				for v := range bt.Readings {
					bt.Readings[v].At = start + greenhouse.Millis(n)
					bt.Readings[v].Value = 20 + float64((n*7+int64(v))%50)/10
				}
				if err := e.Submit(context.Background(), bt); err != nil {
					b.Error(err)
					return
				}
				if err := <-acks[i]; err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	s := e.Stats()
	perMsg := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(time.Second/max(perMsg, 1)*time.Duration(values)), "samples/s")
	b.ReportMetric(float64(sync1.Microseconds()), "µs/rawsync")
	b.ReportMetric(float64(sync1)/float64(perMsg), "msgs/rawsync")
	b.ReportMetric(float64(b.N)/float64(s.Syncs-before.Syncs), "msgs/commit")
	b.ReportMetric(float64(s.BytesWritten-before.BytesWritten)/float64(b.N), "written-B/msg")
}

// signals makes plausible values of a node's channels at 0.01 to 1 unit.
type signals struct {
	rnd   *rand.Rand
	level []float64
}

func newSignals(seed uint64, n int) *signals {
	s := &signals{rnd: rand.New(rand.NewPCG(seed, 5)), level: make([]float64, n)}
	for i := range s.level {
		s.level[i] = []float64{22, 65, 800, 400, 6, 2, 20, 50, 1, 24}[i%10]
	}
	return s
}

// next returns the value of channel i at t: a daily swing, a slow drift, noise.
func (s *signals) next(i int, t time.Time) float64 {
	day := math.Sin(2 * math.Pi * float64(t.Unix()%86400) / 86400)
	swing := []float64{5, 15, 200, 390, 0.2, 0.1, 2, 5, 0, 6}[i%10]
	noise := []float64{0.015, 0.1, 2, 2, 0.005, 0.003, 0.01, 0.1, 0, 0.05}[i%10]
	places := []float64{100, 10, 1, 1, 100, 100, 100, 10, 1, 10}[i%10]
	s.level[i] += s.rnd.NormFloat64() * noise / 10
	return math.Round((s.level[i]+swing*day+s.rnd.NormFloat64()*noise)*places)/places + 0
}

// fillHistory writes days of one message per node every period, sealed and
// packed as time goes by, and returns the number of samples.
func fillHistory(t testing.TB, e *telemetry.Engine, c *clock, nodes, channels int, period time.Duration, days int) int {
	t.Helper()
	sig := make([]*signals, nodes)
	rnd := rand.New(rand.NewPCG(9, 9))
	for i := range sig {
		sig[i] = newSignals(uint64(i), channels)
	}
	end := c.Now().Add(time.Duration(days) * 24 * time.Hour)
	seq, n := uint64(0), 0
	var pending sync.WaitGroup
	for c.Now().Before(end) {
		hour := c.Now().Add(time.Hour)
		for c.Now().Before(hour) {
			seq++
			for i := range nodes {
				at := c.ms() + greenhouse.Millis(rnd.IntN(40))
				b := &telemetry.Batch{Node: greenhouse.UID(fmt.Sprintf("climate-%04d", i)), Boot: "b", Seq: seq, HasSeq: true, Arrived: c.Now(), Readings: make([]greenhouse.Reading, channels)}
				for ch := range channels {
					b.Readings[ch] = reading(fmt.Sprintf("z%d/v%c", i, 'a'+ch), at, sig[i].next(ch, c.Now()))
				}
				n += channels
				pending.Add(1)
				b.Done = func(err error) {
					if err != nil {
						t.Error(err)
					}
					pending.Done()
				}
				if err := e.Submit(context.Background(), b); err != nil {
					t.Fatal(err)
				}
			}
			c.add(period)
		}
		pending.Wait()
		if err := e.Maintain(); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// TestBytesPerSample measures history on disk: what is asserted is a count of
// bytes.
func TestBytesPerSample(t *testing.T) {
	for _, tc := range []struct {
		nodes, channels int
		period          time.Duration
		max             float64
	}{
		{10, 10, 10 * time.Second, 0.50},
		{20, 5, 10 * time.Second, 0.60},
		{50, 2, 10 * time.Second, 0.90},
		{50, 1, 10 * time.Second, 1.40},
		{2, 10, 10 * time.Second, 0.65},
		{20, 5, time.Minute, 1.00},
	} {
		c := newClock()
		c.t = c.t.Truncate(24 * time.Hour)
		e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now, SegmentBytes: 1 << 20})
		n := fillHistory(t, e, c, tc.nodes, tc.channels, tc.period, 1)
		c.add(36 * time.Hour)
		if err := e.Maintain(); err != nil {
			t.Fatal(err)
		}
		s := e.Stats()
		got := float64(s.DayBytes) / float64(n)
		t.Logf("%2d channels a message, every %v: %.3f bytes a sample (%d samples, %d day files)", tc.channels, tc.period, got, n, s.DayFiles)
		if got > tc.max {
			t.Errorf("%d channels every %v: %.3f bytes a sample, want at most %.2f", tc.channels, tc.period, got, tc.max)
		}
	}
}

// dataDir returns the directory of real data, or skips.
func dataDir(t testing.TB) string {
	t.Helper()
	for _, dir := range []string{os.Getenv("GREENHOUSE_DATA"), "../../shared/data"} {
		if dir != "" {
			if _, err := os.Stat(filepath.Join(dir, "agc2022_1")); err == nil {
				return dir
			}
		}
	}
	t.Skip("real data is not here: set GREENHOUSE_DATA to the directory that holds agc2022_1")
	return ""
}

// realSeries reads a CSV file as a table: times and columns of numbers, NaN
// where a cell is empty.
func realSeries(t testing.TB, name string) (times []time.Time, names []string, columns [][]float64) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	names = all[0][1:]
	columns = make([][]float64, len(names))
	for _, rec := range all[1:] {
		at, err := time.Parse("1/2/2006 15:04", rec[0])
		if err != nil {
			continue
		}
		times = append(times, at)
		for i := range names {
			v := math.NaN()
			if i+1 < len(rec) {
				if x, err := strconv.ParseFloat(rec[i+1], 64); err == nil && !math.IsInf(x, 0) {
					v = x
				}
			}
			columns[i] = append(columns[i], v)
		}
	}
	return times, names, columns
}

func TestRealDataOnDisk(t *testing.T) {
	dir := dataDir(t)
	for _, file := range []string{"agc2022_1/Reference/GreenhouseClimate.csv", "agc2022_1/weather.csv"} {
		times, names, columns := realSeries(t, filepath.Join(dir, file))
		if len(times) < 1000 {
			t.Errorf("%s: only %d rows read", file, len(times))
			continue
		}
		c := newClock()
		c.t = times[0]
		e := open(t, telemetry.Options{Dir: t.TempDir(), Now: c.Now, SegmentBytes: 1 << 20})
		n := 0
		var pending sync.WaitGroup
		for i, at := range times {
			if at.Before(c.t) {
				continue
			}
			c.t = at
			b := &telemetry.Batch{Node: "climate-aabb", Boot: "b", Seq: uint64(i + 1), HasSeq: true, Arrived: at}
			for j := range names {
				if !math.IsNaN(columns[j][i]) {
					b.Readings = append(b.Readings, reading(fmt.Sprintf("real/c%d", j), greenhouse.MillisOf(at), columns[j][i]))
					n++
				}
			}
			pending.Add(1)
			b.Done = func(err error) {
				if err != nil {
					t.Error(err)
				}
				pending.Done()
			}
			if err := e.Submit(context.Background(), b); err != nil {
				t.Fatal(err)
			}
			if i%288 == 0 {
				pending.Wait()
				if err := e.Maintain(); err != nil {
					t.Fatal(err)
				}
			}
		}
		pending.Wait()
		c.add(48 * time.Hour)
		if err := e.Maintain(); err != nil {
			t.Fatal(err)
		}
		s := e.Stats()
		t.Logf("%s: %d columns, %d samples, %.3f bytes a sample on disk, %d days", file, len(names), n, float64(s.DayBytes)/float64(n), s.DayFiles)
		if got := raw(t, e, "real/c0"); len(got) < len(times)*9/10 {
			t.Errorf("%d of %d readings of the first column came back", len(got), len(times))
		}
	}
}

// month is 30 days of 500 points every 10 s... made small enough to build in a
// benchmark: 50 nodes of 10 channels, one message a minute.
func month(b *testing.B, period time.Duration) (telemetry.Options, *clock, int) {
	c := newClock()
	o := telemetry.Options{Dir: b.TempDir(), Now: c.Now, Maintain: -1, SegmentBytes: 8 << 20, MinFree: -1}
	e, err := telemetry.Open(o)
	if err != nil {
		b.Fatal(err)
	}
	n := fillHistory(b, e, c, 50, 10, period, 30)
	if err := e.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	return o, c, n
}

func BenchmarkOpenMonth(b *testing.B) {
	o, _, n := month(b, time.Minute)
	b.ReportMetric(float64(n), "samples")
	b.ResetTimer()
	for b.Loop() {
		e, err := telemetry.Open(o)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		e.Close(context.Background())
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/open")
}

// BenchmarkQuery asks for the history of one of 20 points kept for 30 days at 10 s.
func BenchmarkQuery(b *testing.B) {
	c := newClock()
	e := open(b, telemetry.Options{Dir: b.TempDir(), Now: c.Now, SegmentBytes: 8 << 20, MinFree: -1})
	fillHistory(b, e, c, 2, 10, 10*time.Second, 30)
	now := c.ms()
	for _, q := range []struct {
		name string
		q    telemetry.Query
	}{
		{"day/raw", telemetry.Query{From: now - 2*86_400_000, To: now - 86_400_000, Step: telemetry.StepRaw}},
		{"month/auto", telemetry.Query{From: now - 30*86_400_000, To: now}},
		{"month/1m", telemetry.Query{From: now - 30*86_400_000, To: now, Step: telemetry.StepMinute}},
		{"month/1d", telemetry.Query{From: now - 30*86_400_000, To: now, Step: telemetry.StepDay}},
	} {
		b.Run(q.name, func(b *testing.B) {
			b.ReportAllocs()
			var took []time.Duration
			n := 0
			for i := 0; b.Loop(); i++ {
				q.q.Point = greenhouse.PointID(fmt.Sprintf("z%d/v%c", i%2, 'a'+i%10))
				begin := time.Now()
				r, err := e.History(context.Background(), q.q)
				took = append(took, time.Since(begin))
				if err != nil || len(r.Samples) == 0 {
					b.Fatal(err, len(r.Samples))
				}
				n = len(r.Samples)
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs/p99")
			b.ReportMetric(float64(n), "samples")
		})
	}
	b.Run("month/scan", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n = 0
			err := e.Scan(context.Background(), "z0/va", now-30*86_400_000, now, func(greenhouse.Reading) error { n++; return nil })
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/sample")
	})
}

// BenchmarkQuietPoint measures the memory of points that have a latest value
// and nothing in the head.
func BenchmarkQuietPoint(b *testing.B) {
	const points = 50_000
	for b.Loop() {
		c := newClock()
		o := telemetry.Options{Dir: b.TempDir(), Now: c.Now, Maintain: -1, SegmentBytes: 8 << 20, MinFree: -1}
		e, err := telemetry.Open(o)
		if err != nil {
			b.Fatal(err)
		}
		for i := range points / 100 {
			bt := telemetry.Batch{Node: greenhouse.UID(fmt.Sprintf("climate-%04d", i)), Boot: "b", Seq: 1, HasSeq: true}
			for j := range 100 {
				bt.Readings = append(bt.Readings, reading(fmt.Sprintf("zone-%d/channel%d", i, j), c.ms(), 20.5))
			}
			mustSubmit(b, e, bt)
		}
		if err := e.Seal(); err != nil {
			b.Fatal(err)
		}
		if err := e.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
		before := heap()
		begin := time.Now()
		e, err = telemetry.Open(o)
		took := time.Since(begin)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(heap()-before)/points, "B/point")
		b.ReportMetric(float64(took.Milliseconds()), "ms/open")
		e.Close(context.Background())
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkOpenLog replays a log of 50,000 points and 2,000,000 readings, as
// much as the head holds before it is sealed early.
func BenchmarkOpenLog(b *testing.B) {
	const nodes, channels, rounds = 5000, 10, 40
	c := newClock()
	o := telemetry.Options{Dir: b.TempDir(), Now: c.Now, Maintain: -1, SegmentBytes: 4 << 20, MinFree: -1}
	e, err := telemetry.Open(o)
	if err != nil {
		b.Fatal(err)
	}
	var pending sync.WaitGroup
	for seq := range rounds {
		for n := range nodes {
			bt := &telemetry.Batch{Node: greenhouse.UID(fmt.Sprintf("climate-%04d", n)), Boot: "b", Seq: uint64(seq + 1), HasSeq: true, Arrived: c.Now(), Done: func(error) { pending.Done() }}
			for ch := range channels {
				bt.Readings = append(bt.Readings, reading(fmt.Sprintf("z%d/v%c", n, 'a'+ch), c.ms()+greenhouse.Millis(n%40), float64((seq*7+ch)%50)/10))
			}
			pending.Add(1)
			if err := e.Submit(context.Background(), bt); err != nil {
				b.Fatal(err)
			}
		}
		c.add(10 * time.Second)
	}
	pending.Wait()
	log := e.Stats().LogBytes
	if err := e.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"state.a", "state.b"} { // as after a crash
		os.Remove(filepath.Join(o.Dir, name))
	}
	b.ResetTimer()
	for b.Loop() {
		e, err := telemetry.Open(o)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if n := e.Stats().HeadReadings; n != nodes*channels*rounds {
			b.Fatalf("%d readings came back", n)
		}
		e.Close(context.Background())
		for _, name := range []string{"state.a", "state.b"} {
			os.Remove(filepath.Join(o.Dir, name))
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(log)/(nodes*rounds), "log-B/msg")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/open")
}
