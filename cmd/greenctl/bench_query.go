package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/telemetry"
)

// queryFlags say how much history is made to be asked for.
type queryFlags struct {
	benchFlags
	days, points int
}

// queryResult is what "bench query" found.
type queryResult struct {
	Dir            string    `json:"dir"`
	Days           int       `json:"days"`
	Points         int       `json:"points"`
	Samples        int64     `json:"samples"`
	BytesPerSample float64   `json:"bytes_per_sample"` // on disk
	FillSamplesS   float64   `json:"fill_samples_per_s"`
	OpenMS         float64   `json:"open_ms"`
	Month          askResult `json:"all_days_auto"`
	Day            askResult `json:"one_day_raw"`
	Verdict        string    `json:"verdict"`
}

// askResult is one kind of question, asked again and again.
type askResult struct {
	Asked    int     `json:"asked"`
	Samples  int     `json:"samples"` // in the last answer
	MedianMS float64 `json:"median_ms"`
	P99MS    float64 `json:"p99_ms"`
}

// queryPeriod is the time between two samples of a point.
const queryPeriod = 10 * time.Second

func newBenchQuery(a *app) *cobra.Command {
	var f queryFlags
	c := verb("query", "Make a month of history and time the questions of a chart", "  greenctl bench query --days 30", args(), nil)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.days < 2 || f.days > 366 || f.points < 1 || f.points > 100 {
			return greenhouse.Invalid("usage", "--days is from 2 to 366, --points from 1 to 100")
		}
		var r queryResult
		err := f.run(cmd.Context(), func(ctx context.Context, dir string) (err error) {
			r, err = f.measure(ctx, dir)
			return err
		})
		if err != nil {
			return err
		}
		return a.showBench(r, r.Verdict, [][]string{
			{"directory", r.Dir}, {"history made", fmt.Sprintf("%d days of %d points every %v, %s samples", r.Days, r.Points, queryPeriod, thousands(float64(r.Samples)))},
			{"bytes a sample on disk", fmt.Sprintf("%.2f", r.BytesPerSample)}, {"open", ms(r.OpenMS)},
			{fmt.Sprintf("%d days in %d bins, median", r.Days, r.Month.Samples), ms(r.Month.MedianMS)}, {"the same, 99 of 100", ms(r.Month.P99MS)},
			{fmt.Sprintf("1 day raw, %d samples, median", r.Day.Samples), ms(r.Day.MedianMS)}, {"the same, 99 of 100", ms(r.Day.P99MS)},
		})
	}
	f.add(c, time.Minute)
	c.Flags().IntVar(&f.days, "days", 30, "days of history to make, fewer if the time does not suffice")
	c.Flags().IntVar(&f.points, "points", 10, "points to make")
	return c
}

// measure fills a history, opens it anew, and asks.
func (f *queryFlags) measure(ctx context.Context, dir string) (r queryResult, err error) {
	r = queryResult{Dir: filepath.Dir(dir), Points: f.points}
	o := telemetry.Options{Dir: filepath.Join(dir, "telemetry"), Maintain: -1}
	made, err := f.fill(ctx, o, &r)
	if err != nil {
		return r, err
	}
	size, err := bytesUnder(filepath.Join(o.Dir, "days"))
	if err != nil {
		if size, err = bytesUnder(o.Dir); err != nil {
			return r, err
		}
	}
	r.BytesPerSample = float64(size) / float64(max(r.Samples, 1))
	o.Now = made.now
	begun := time.Now()
	e, err := telemetry.Open(o)
	if err != nil {
		return r, err
	}
	r.OpenMS = float64(time.Since(begun).Microseconds()) / 1000
	defer func() {
		if cerr := e.Close(context.WithoutCancel(ctx)); err == nil {
			err = cerr
		}
	}()
	end := greenhouse.MillisOf(made.now()) - 86_400_000
	if r.Month, err = f.ask(ctx, e, telemetry.Query{From: end - greenhouse.Millis(r.Days)*86_400_000, To: end, Step: telemetry.StepAuto}); err != nil {
		return r, err
	}
	if r.Day, err = f.ask(ctx, e, telemetry.Query{From: end - 86_400_000, To: end, Step: telemetry.StepRaw}); err != nil {
		return r, err
	}
	r.Verdict = queryVerdict(r)
	return r, nil
}

func queryVerdict(r queryResult) string {
	switch slow := max(r.Month.P99MS, r.Day.P99MS); {
	case slow <= 20:
		return fmt.Sprintf("charts are there at once: %s at most for one of %d days", ms(slow), r.Days)
	case slow <= 200:
		return fmt.Sprintf("charts take up to %s; nobody will mind", ms(slow))
	default:
		return fmt.Sprintf("charts take up to %s: this disk or processor is slow, or busy with something else", ms(slow))
	}
}

// calendar is a wall clock that filling moves on.
type calendar struct {
	mu sync.Mutex
	t  time.Time
}

func (c *calendar) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *calendar) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

// lazyDisk does not sync: what is made here need not survive a power cut, and a
// card should not pay for it.
type lazyDisk struct{ telemetry.OSDisk }

type lazyFile struct{ telemetry.File }

func (lazyFile) Sync() error { return nil }

// Open opens name for reading and writing.
func (d lazyDisk) Open(name string, flag int) (telemetry.File, error) {
	f, err := d.OSDisk.Open(name, flag)
	return lazyFile{f}, err
}

// fill makes one day after the other until there are enough, or time is up.
func (f *queryFlags) fill(ctx context.Context, o telemetry.Options, r *queryResult) (_ *calendar, err error) {
	cal := &calendar{t: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	o.Now, o.Disk = cal.now, lazyDisk{}
	e, err := telemetry.Open(o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := e.Close(context.WithoutCancel(ctx)); err == nil {
			err = cerr
		}
	}()
	sig := newSignals(1, f.points)
	begun := time.Now()
	for r.Days < f.days && (r.Days < 2 || time.Since(begun) < f.dur) {
		if err := f.fillDay(ctx, e, cal, sig); err != nil {
			return nil, err
		}
		r.Days++
	}
	r.FillSamplesS = float64(e.Stats().Stored) / time.Since(begun).Seconds()
	r.Samples = e.Stats().Stored
	cal.set(cal.now().Add(24 * time.Hour))
	return cal, e.Maintain()
}

// fillDay stores a day of one node, hour by hour.
func (f *queryFlags) fillDay(ctx context.Context, e *telemetry.Engine, cal *calendar, sig *signals) error {
	for range 24 {
		var hour sync.WaitGroup
		var mu sync.Mutex
		var fault error
		for range int(time.Hour / queryPeriod) {
			now := cal.now()
			b := &telemetry.Batch{Node: "climate-bench", Arrived: now, Readings: make([]greenhouse.Reading, f.points), Done: func(err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					fault = err
				}
				hour.Done()
			}}
			for i := range b.Readings {
				b.Readings[i] = greenhouse.Reading{Point: benchPoint(i), At: greenhouse.MillisOf(now), Value: sig.next(i, now)}
			}
			hour.Add(1)
			if err := e.Submit(ctx, b); err != nil {
				return err
			}
			cal.set(now.Add(queryPeriod))
		}
		hour.Wait()
		if fault != nil {
			return fault
		}
		if err := e.Maintain(); err != nil {
			return err
		}
	}
	return nil
}

func benchPoint(i int) greenhouse.PointID {
	return greenhouse.PointID(fmt.Sprintf("bench/value%d", i))
}

// askMost is how often a question is asked.
const askMost = 200

// ask times one question, of one point after the other.
func (f *queryFlags) ask(ctx context.Context, e *telemetry.Engine, q telemetry.Query) (askResult, error) {
	var r askResult
	var times latencies
	for end := time.Now().Add(f.dur / 4); len(times) < askMost && (len(times) < 3 || time.Now().Before(end)); {
		q.Point = benchPoint(len(times) % f.points)
		begun := time.Now()
		got, err := e.History(ctx, q)
		if err != nil {
			return r, err
		}
		times = append(times, time.Since(begun))
		r.Samples = len(got.Samples)
	}
	times.sort()
	r.Asked, r.MedianMS, r.P99MS = len(times), times.at(0.5), times.at(0.99)
	return r, nil
}

// signals makes plausible values: a daily swing, a slow drift, noise, and the
// resolution of a real sensor.
type signals struct {
	rnd   *rand.Rand
	level []float64
}

func newSignals(seed uint64, n int) *signals {
	s := &signals{rnd: rand.New(rand.NewPCG(seed, 5)), level: make([]float64, n)}
	for i := range s.level {
		s.level[i], _, _, _ = kind(i)
	}
	return s
}

// kind describes the quantity of channel i: level, daily swing, noise, and
// steps of a unit.
func kind(i int) (level, swing, noise, steps float64) {
	switch i % 5 {
	case 0:
		return 22, 5, 0.015, 100 // °C
	case 1:
		return 65, 15, 0.1, 10 // % RH
	case 2:
		return 800, 200, 2, 1 // ppm CO₂
	case 3:
		return 400, 390, 2, 1 // µmol/m²/s
	}
	return 6, 0.2, 0.005, 100 // pH
}

// next returns the value of channel i at t.
func (s *signals) next(i int, t time.Time) float64 {
	_, swing, noise, steps := kind(i)
	day := math.Sin(2 * math.Pi * float64(t.Unix()%86400) / 86400)
	s.level[i] += s.rnd.NormFloat64() * noise / 10
	return math.Round((s.level[i]+swing*day+s.rnd.NormFloat64()*noise)*steps)/steps + 0
}
