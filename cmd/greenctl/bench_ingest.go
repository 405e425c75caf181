package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/telemetry"
)

// ingestFlags say what load is imitated.
type ingestFlags struct {
	benchFlags
	nodes, values int
	every, linger time.Duration
	gather        string // linger, as it was given
	maxMB         int
}

// ingestResult is what "bench ingest" found: first at the pace of the nodes,
// then as fast as the disk goes.
type ingestResult struct {
	Dir          string    `json:"dir"`
	Nodes        int       `json:"nodes"`
	Values       int       `json:"values"`
	EveryS       float64   `json:"every_s"`
	Paced        ingestRun `json:"paced"`
	Full         ingestRun `json:"full"`
	MBPerDay     float64   `json:"mb_per_day"` // written to the device at the paced load, an estimate
	CarriesNodes int       `json:"carries_nodes"`
	Verdict      string    `json:"verdict"`
}

// ingestRun is one run of a load.
type ingestRun struct {
	Messages       int64   `json:"messages"`
	MessagesPerS   float64 `json:"messages_per_s"`
	SamplesPerS    float64 `json:"samples_per_s"`
	SyncsPerS      float64 `json:"syncs_per_s"`
	BytesPerSample float64 `json:"written_bytes_per_sample"` // to the device, log only
	MedianMS       float64 `json:"median_ms"`                // from hand-over to durable
	P99MS          float64 `json:"p99_ms"`
	MaxMS          float64 `json:"max_ms"`
}

// sealedBytes is what a reading costs the device after the log: its part of a
// sealed hour and of the packed day, with the pages around them, bytes.
const sealedBytes = 4

// mostNodes is how many connections the daemon takes unless told otherwise.
const mostNodes = 6000

// headroom is the part of what was measured that is promised: the rest is for
// control, queries, and a card that ages.
const headroom = 0.5

func newBenchIngest(a *app) *cobra.Command {
	var f ingestFlags
	c := verb("ingest", "Store the readings of imaginary nodes, and say how many this disk carries",
		"  greenctl bench ingest\n  greenctl bench ingest --dir /mnt/card --nodes 200 --for 30s", args(), nil)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := f.check(); err != nil {
			return err
		}
		var r ingestResult
		err := f.run(cmd.Context(), func(ctx context.Context, dir string) (err error) {
			r, err = f.measure(ctx, dir)
			return err
		})
		if err != nil {
			return err
		}
		return a.showBench(r, r.Verdict, ingestRows(r))
	}
	f.add(c, 10*time.Second)
	c.Flags().IntVar(&f.nodes, "nodes", 20, "nodes to imitate")
	c.Flags().IntVar(&f.values, "values", 10, "values in a message")
	c.Flags().DurationVar(&f.every, "every", 10*time.Second, "time between two messages of a node")
	c.Flags().StringVar(&f.gather, "linger", "auto", "how long a commit gathers, like 200ms; auto: what the daemon would choose")
	c.Flags().IntVar(&f.maxMB, "max-mb", 256, "write no more than this, to spare a card")
	return c
}

func (f *ingestFlags) check() error {
	for _, c := range []struct {
		name          string
		got, min, max int
	}{{"nodes", f.nodes, 1, 10_000}, {"values", f.values, 1, 64}, {"max-mb", f.maxMB, 16, 100_000}} {
		if c.got < c.min || c.got > c.max {
			return greenhouse.Invalid("usage", "--%s %d is not between %d and %d", c.name, c.got, c.min, c.max)
		}
	}
	var err error
	if f.linger, err = time.ParseDuration(f.gather); f.gather == "auto" {
		f.linger = -1
	} else if err != nil || f.linger < 0 || f.linger > 10*time.Second {
		return greenhouse.Invalid("usage", "--linger %q is neither auto nor a time from 0s to 10s", f.gather)
	}
	if f.every < 100*time.Millisecond || f.every > time.Hour {
		return greenhouse.Invalid("usage", "--every %v is not between 100ms and 1h", f.every)
	}
	return nil
}

// measure runs both loads on one engine and judges them.
func (f *ingestFlags) measure(ctx context.Context, dir string) (r ingestResult, err error) {
	e, err := telemetry.Open(telemetry.Options{Dir: filepath.Join(dir, "telemetry"), Linger: f.linger})
	if err != nil {
		return r, err
	}
	defer func() {
		if cerr := e.Close(context.WithoutCancel(ctx)); err == nil {
			err = cerr
		}
	}()
	r = ingestResult{Dir: filepath.Dir(dir), Nodes: f.nodes, Values: f.values, EveryS: f.every.Seconds()}
	l := newLoad(e, f.nodes, f.values, int64(f.maxMB)<<20)
	if err := l.warm(ctx); err != nil {
		return r, err
	}
	if r.Paced, err = l.run(ctx, f.dur/2, f.every, 1); err != nil {
		return r, err
	}
	if r.Full, err = l.run(ctx, f.dur/2, 0, 20); err != nil {
		return r, err
	}
	f.judge(&r)
	return r, nil
}

// judge draws the conclusions.
func (f *ingestFlags) judge(r *ingestResult) {
	r.MBPerDay = (r.Paced.BytesPerSample + sealedBytes) * float64(f.nodes*f.values) / f.every.Seconds() * 86_400 / 1e6
	r.CarriesNodes = int(headroom * r.Full.MessagesPerS * f.every.Seconds())
	carries := fmt.Sprintf("about %s nodes", thousands(float64(r.CarriesNodes)))
	if r.CarriesNodes > mostNodes {
		carries = fmt.Sprintf("more than the %s nodes a daemon takes", thousands(mostNodes))
	}
	r.Verdict = fmt.Sprintf("this disk carries %s (%d values every %v) with half of it to spare; with %s of them a message is safe within %s, and about %s MB a day are written",
		carries, f.values, f.every, thousands(float64(f.nodes)), ms(r.Paced.P99MS), thousands(r.MBPerDay))
}

func ingestRows(r ingestResult) [][]string {
	rows := [][]string{{"directory", r.Dir}}
	for _, run := range []struct {
		name string
		ingestRun
	}{{fmt.Sprintf("%d nodes", r.Nodes), r.Paced}, {"flat out", r.Full}} {
		rows = append(rows,
			[]string{run.name + ": messages a second", thousands(run.MessagesPerS)},
			[]string{run.name + ": samples a second, durable", thousands(run.SamplesPerS)},
			[]string{run.name + ": syncs a second", thousands(run.SyncsPerS)},
			[]string{run.name + ": log bytes written a sample", fmt.Sprintf("%.1f", run.BytesPerSample)},
			[]string{run.name + ": durable after, median", ms(run.MedianMS)},
			[]string{run.name + ": durable after, 99 of 100", ms(run.P99MS)})
	}
	return append(rows, []string{"written a day (estimate)", thousands(r.MBPerDay) + " MB"})
}

// load is a number of imaginary nodes that hand batches to an engine. One
// goroutine runs it; the engine's committer reports back.
type load struct {
	engine   *telemetry.Engine
	maxBytes int64
	batches  [][]telemetry.Batch // per node, as many as may be in flight
	signals  []*signals
	values   int
	seq      uint64
	free     chan *telemetry.Batch

	mu    sync.Mutex
	times latencies
	fault error
}

// loadInFlight is how many messages a node may have on their way.
const loadInFlight = 20

func newLoad(e *telemetry.Engine, nodes, values int, maxBytes int64) *load {
	l := &load{engine: e, maxBytes: e.Stats().BytesWritten + maxBytes, values: values, free: make(chan *telemetry.Batch, nodes*loadInFlight)}
	for n := range nodes {
		l.signals = append(l.signals, newSignals(uint64(n), values))
		own := make([]telemetry.Batch, loadInFlight)
		for i := range own {
			b := &own[i]
			b.Node, b.Boot = greenhouse.UID(fmt.Sprintf("climate-%012x", n)), "bench"
			b.Readings = make([]greenhouse.Reading, values)
			for v := range b.Readings {
				b.Readings[v].Point = greenhouse.PointID(fmt.Sprintf("zone-%d/value%d", n, v))
			}
			b.Done = func(err error) { l.done(b, err) }
		}
		l.batches = append(l.batches, own)
	}
	return l
}

// done notes how long a batch took and gives it back.
func (l *load) done(b *telemetry.Batch, err error) {
	l.mu.Lock()
	l.times = append(l.times, time.Since(b.Arrived))
	if err != nil && l.fault == nil {
		l.fault = err
	}
	l.mu.Unlock()
	l.free <- b
}

// warm sends one message of every node, so that names are known and the sync
// time has been measured by the engine itself.
func (l *load) warm(ctx context.Context) error {
	_, err := l.run(ctx, time.Second, time.Second, 1)
	return err
}

// run sends for a while: each node one message every period, or with period 0
// as fast as they are made durable, with so many in flight a node.
func (l *load) run(ctx context.Context, dur, every time.Duration, inFlight int) (ingestRun, error) {
	before, begun := l.engine.Stats(), time.Now()
	l.times = l.times[:0]
	var err error
	if every > 0 {
		err = l.pace(ctx, begun, dur, every)
	} else {
		err = l.flood(ctx, begun.Add(dur), inFlight)
	}
	took := time.Since(begun).Seconds()
	after := l.engine.Stats()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		err = l.fault
	}
	l.times.sort()
	n := float64(after.Stored - before.Stored)
	r := ingestRun{Messages: after.Messages - before.Messages, MessagesPerS: float64(after.Messages-before.Messages) / took, SamplesPerS: n / took,
		SyncsPerS: float64(after.Syncs-before.Syncs) / took, MedianMS: l.times.at(0.5), P99MS: l.times.at(0.99), MaxMS: l.times.at(1)}
	if n > 0 {
		r.BytesPerSample = float64(after.BytesWritten-before.BytesWritten) / n
	}
	return r, err
}

// pace sends as nodes do: each one message a period, at a moment of its own.
func (l *load) pace(ctx context.Context, begun time.Time, dur, every time.Duration) error {
	rnd := rand.New(rand.NewPCG(uint64(len(l.batches)), 7))
	phases := make([]time.Duration, len(l.batches))
	for i := range phases {
		phases[i] = time.Duration(rnd.Int64N(int64(every)))
	}
	slices.Sort(phases)
	busy := map[*telemetry.Batch]bool{}
	for i := 0; ; i++ {
		node, round := i%len(phases), i/len(phases)
		due := phases[node] + time.Duration(round)*every
		if due >= dur || l.full() {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(begun.Add(due))):
		}
		l.collect(busy)
		b := &l.batches[node][round%loadInFlight]
		if busy[b] {
			return greenhouse.Unavailable("bench_overloaded", "%d nodes every %v are more than this disk carries", len(phases), every).WithHint("fewer --nodes, or a longer --every")
		}
		if err := l.submit(ctx, b, node); err != nil {
			return err
		}
		busy[b] = true
	}
	return l.drain(ctx, len(busy))
}

// collect takes back what is done.
func (l *load) collect(busy map[*telemetry.Batch]bool) {
	for {
		select {
		case b := <-l.free:
			delete(busy, b)
		default:
			return
		}
	}
}

// flood keeps every node's window full until the end.
func (l *load) flood(ctx context.Context, end time.Time, inFlight int) error {
	flight := 0
	of := map[*telemetry.Batch]int{}
	for i := range inFlight {
		for n := range l.batches {
			b := &l.batches[n][i]
			of[b] = n
			if err := l.submit(ctx, b, n); err != nil {
				return err
			}
			flight++
		}
	}
	for i := 0; ; i++ {
		if i%256 == 0 && (time.Now().After(end) || l.full() || ctx.Err() != nil) {
			break
		}
		b := <-l.free
		if err := l.submit(ctx, b, of[b]); err != nil {
			return err
		}
	}
	return l.drain(ctx, flight)
}

// drain waits for what is in flight.
func (l *load) drain(ctx context.Context, flight int) error {
	for range flight {
		<-l.free
	}
	return ctx.Err()
}

// full reports whether so many bytes were written that the card has had enough.
func (l *load) full() bool { return l.engine.Stats().BytesWritten >= l.maxBytes }

// submit fills a batch with the node's next values and hands it over. The times
// of readings advance by 1 ms a message, so that none is its own twin.
func (l *load) submit(ctx context.Context, b *telemetry.Batch, node int) error {
	l.seq++
	now := time.Now()
	at := greenhouse.MillisOf(now) - 60_000 + greenhouse.Millis(l.seq%120_000)
	for v := range b.Readings {
		b.Readings[v].At, b.Readings[v].Value, b.Readings[v].Quality = at, l.signals[node].next(v, now), greenhouse.Good
	}
	b.Arrived = now
	return l.engine.Submit(ctx, b)
}
