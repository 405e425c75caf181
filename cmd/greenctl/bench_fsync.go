package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"greenhouse/telemetry"
)

// Bounds of the sync measurement: pages of the file, and syncs in all. A card
// takes 16 MiB at most.
const (
	syncPages = 1024
	syncMost  = 4096
	page      = 4096
)

// slowSync is the usual sync time in ms from which the history lingers by itself, and
// how long it then lingers, ms (see telemetry.Options.Linger).
const (
	slowSync = 3
	lingerMS = 400
)

// syncResult is what "bench fsync" found.
type syncResult struct {
	Dir      string  `json:"dir"`
	Syncs    int     `json:"syncs"`
	MedianMS float64 `json:"median_ms"`
	P90MS    float64 `json:"p90_ms"`
	P99MS    float64 `json:"p99_ms"`
	MaxMS    float64 `json:"max_ms"`
	PerS     float64 `json:"syncs_per_s"`
	LingerMS int     `json:"linger_ms"` // what the daemon chooses by itself on this disk
	Verdict  string  `json:"verdict"`
}

func newBenchFsync(a *app) *cobra.Command {
	var f benchFlags
	c := verb("fsync", "Time how long the disk takes to make 4 KiB safe", "  greenctl bench fsync --dir /var/lib/edged", args(), nil)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		var r syncResult
		err := f.run(cmd.Context(), func(ctx context.Context, dir string) error {
			times, err := timeSyncs(ctx, filepath.Join(dir, "log"), f.dur)
			r = judgeSyncs(filepath.Dir(dir), times)
			return err
		})
		if err != nil {
			return err
		}
		return a.showBench(r, r.Verdict, [][]string{
			{"directory", r.Dir}, {"syncs of 4 KiB", fmt.Sprint(r.Syncs)}, {"median", ms(r.MedianMS)}, {"90 of 100 within", ms(r.P90MS)},
			{"99 of 100 within", ms(r.P99MS)}, {"longest", ms(r.MaxMS)}, {"syncs a second", thousands(r.PerS)},
		})
	}
	f.add(c, 5*time.Second)
	return c
}

// timeSyncs does what the log does: it writes page after page into a file that
// is there already, and syncs each.
func timeSyncs(ctx context.Context, name string, most time.Duration) (times latencies, err error) {
	f, err := telemetry.OSDisk{}.Open(name, os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, fmt.Errorf("measure syncs: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteAt(make([]byte, syncPages*page), 0); err != nil {
		return nil, fmt.Errorf("measure syncs: %w", err)
	}
	if err := f.Sync(); err != nil {
		return nil, fmt.Errorf("measure syncs: %w", err)
	}
	block := make([]byte, page)
	for end := time.Now().Add(most); time.Now().Before(end) && len(times) < syncMost; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := len(times)
		for i := range block {
			block[i] = byte(n + i)
		}
		begun := time.Now()
		if _, err := f.WriteAt(block, int64(n%syncPages)*page); err != nil {
			return nil, fmt.Errorf("measure syncs: %w", err)
		}
		if err := f.Sync(); err != nil {
			return nil, fmt.Errorf("measure syncs: %w", err)
		}
		times = append(times, time.Since(begun))
	}
	return times, nil
}

// judgeSyncs says in words what the times mean for nodes.
func judgeSyncs(dir string, times latencies) syncResult {
	var sum time.Duration
	for _, t := range times {
		sum += t
	}
	times.sort()
	r := syncResult{Dir: dir, Syncs: len(times), MedianMS: times.at(0.5), P90MS: times.at(0.9), P99MS: times.at(0.99), MaxMS: times.at(1)}
	if sum > 0 {
		r.PerS = float64(len(times)) / sum.Seconds()
	}
	switch usual := times.at(0.25); { // what else the machine does makes single ones slow
	case r.MedianMS < 0.02:
		r.Verdict = "suspiciously fast: this is memory, or a disk that says done too early; what is acknowledged may not survive a power cut"
	case usual <= slowSync:
		r.Verdict = fmt.Sprintf("fast: every message is made safe at once, within %s (99 of 100)", ms(2*r.P99MS))
	case r.P99MS <= 200:
		r.LingerMS = lingerMS
		r.Verdict = fmt.Sprintf("a card: messages gather for %d ms to spare it, and are safe within %s (99 of 100)", lingerMS, ms(lingerMS+2*r.P99MS))
	default:
		r.LingerMS = lingerMS
		r.Verdict = fmt.Sprintf("slow: one sync in a hundred takes %s or more; it works, but an industrial card or an SSD is better", ms(r.P99MS))
	}
	return r
}
