package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
)

// newBench measures this machine and its disk. It needs no daemon: it works in
// a directory of its own beside the data, within bounds of time and bytes, and
// leaves nothing behind.
func newBench(a *app) *cobra.Command {
	c := noun("bench", "Measure what this machine and its disk carry",
		newBenchFsync(a), newBenchIngest(a), newBenchQuery(a))
	c.Long = "Measure what this machine and its disk carry.\n\nRun it on the machine of the daemon, on the disk that holds its data, while nothing else is busy there.\nThe daemon is not needed, and its files are not touched."
	return c
}

// benchFlags are the bounds of every measurement.
type benchFlags struct {
	dir string
	dur time.Duration
}

func (f *benchFlags) add(c *cobra.Command, dur time.Duration) {
	c.Flags().StringVar(&f.dir, "dir", "", "directory on the disk to measure (default: the daemon's data if it can be written, else here)")
	c.Flags().DurationVar(&f.dur, "for", dur, "how long to measure at most")
}

// measured is the work of one measurement in dir.
type measured func(ctx context.Context, dir string) error

// run gives the measurement a directory that is gone afterwards.
func (f *benchFlags) run(ctx context.Context, fn measured) (err error) {
	if f.dur < 100*time.Millisecond || f.dur > 10*time.Minute {
		return greenhouse.Invalid("usage", "--for %v is not between 100ms and 10m", f.dur)
	}
	dir, err := os.MkdirTemp(cmp.Or(f.dir, benchDir()), "greenctl-bench-")
	if err != nil {
		return greenhouse.Invalid("dir_invalid", "a directory to measure in cannot be made: %v", err).WithHint("--dir names another one")
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return fn(ctx, dir)
}

// benchDir is where the daemon keeps its data, if this user may write there,
// else the current directory.
func benchDir() string {
	for _, dir := range []string{"/var/lib/edged", stateDir()} {
		if probe, err := os.MkdirTemp(dir, "greenctl-bench-"); dir != "" && err == nil {
			if os.Remove(probe) == nil {
				return dir
			}
		}
	}
	return "."
}

// stateDir is where the daemon of an ordinary user keeps its data, "" if unknown.
func stateDir() string {
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "edged")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "edged")
	}
	return ""
}

// latencies are the times of one kind of step.
type latencies []time.Duration

// at returns the quantile q from 0 to 1, in ms; the latencies must be sorted.
func (l latencies) at(q float64) float64 {
	if len(l) == 0 {
		return 0
	}
	i := min(int(q*float64(len(l))), len(l)-1)
	return float64(l[i].Microseconds()) / 1000
}

func (l latencies) sort() { slices.Sort(l) }

// bytesUnder adds up the files below dir.
func bytesUnder(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

// showBench writes a result as JSON, or as lines of a name and a figure.
func (a *app) showBench(v any, verdict string, rows [][]string) error {
	return a.show(v, view{
		names: func() []string { return []string{verdict} },
		table: func() table {
			return table{columns: []string{"WHAT", "FIGURE"}, rows: append(rows, []string{"verdict", verdict})}
		},
	})
}

// ms writes milliseconds with as many digits as say something.
func ms(v float64) string {
	switch {
	case v < 1:
		return fmt.Sprintf("%.3f ms", v)
	case v < 10:
		return fmt.Sprintf("%.2f ms", v)
	}
	return fmt.Sprintf("%.0f ms", v)
}

// thousands writes a whole number in groups of three digits.
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
