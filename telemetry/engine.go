package telemetry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"greenhouse"
)

// Engine keeps the readings of one site. All its methods may be called at
// once from any goroutine.
type Engine struct {
	o    Options
	lock *os.File

	queue     *queue
	committed chan struct{} // closed when the committer is done
	chores    chan struct{} // wakes maintenance
	eased     chan struct{} // a pass has sealed, or failed to
	stop      chan struct{} // ends maintenance
	stopped   chan struct{}
	closeOnce sync.Once
	closeErr  error

	mu   sync.RWMutex // guards st, and the list of segments and their windows
	st   *state
	wal  *wal
	days *days
	// levels has what stays of days when their readings go.
	levels *days

	applied position // the log up to here is in st; under mu

	maintain sync.Mutex // one maintenance pass at a time
	sealer   sealer     // under maintain

	scratch sync.Pool // of *scratch, for queries

	// The committer's own.
	composer composer
	moved    []greenhouse.Latest
	patience patience

	hang   hang
	doubts doubts
	loose  []*series // that have a loose state; under mu

	crowded   atomic.Bool // provisional readings hold up too much of the log
	restamped []Restamped // by the frame at hand; the committer's own

	since   atomic.Pointer[time.Time] // when the commit under way began
	fault   atomic.Pointer[fault]
	low     atomic.Bool // the disk is nearly full
	tight   atomic.Bool // it will be soon
	sealAll atomic.Bool // the next pass seals open windows too

	syncMean, syncMax                        atomic.Int64 // ns
	stored, repeats, batchesDone, shed       atomic.Int64
	batchesFailed, faults, damaged, sealedAt atomic.Int64
	sealErr                                  atomic.Pointer[error]
	stuck                                    atomic.Pointer[error] // why the last sealing failed
	droppedDays, overBudget, thinned, late   atomic.Int64
	droppedLevels                            atomic.Int64
}

// Open opens or creates the telemetry directory, replays the log and starts
// the committer. Damaged files are set aside and told of in Stats and in gaps,
// never silently replaced. The error wraps [greenhouse.ErrUnavailable] if
// another process has the directory.
func Open(o Options) (*Engine, error) {
	o.defaults()
	e := &Engine{o: o, committed: make(chan struct{}), chores: make(chan struct{}, 1), eased: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
	if err := e.open(); err != nil {
		if e.lock != nil {
			e.lock.Close()
		}
		return nil, fmt.Errorf("open telemetry: %w", err)
	}
	go e.committer()
	go e.maintenance()
	go e.watch()
	return e, nil
}

func (e *Engine) logDir() string   { return filepath.Join(e.o.Dir, "log") }
func (e *Engine) dayDir() string   { return filepath.Join(e.o.Dir, "days") }
func (e *Engine) levelDir() string { return filepath.Join(e.o.Dir, "levels") }

func (e *Engine) open() (err error) {
	for _, dir := range [...]string{e.logDir(), e.dayDir(), e.levelDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if e.lock, err = lockDir(e.o.Dir); err != nil {
		return err
	}
	// What a killed process renamed or created may be visible without being durable.
	for _, dir := range [...]string{e.logDir(), e.dayDir(), e.levelDir(), e.o.Dir} {
		if err := e.o.Disk.SyncDir(dir); err != nil {
			return fmt.Errorf("sync directory: %w", err)
		}
	}
	wrote := func(_ string, bytes int64) { e.wal.written.Add(bytes) }
	if e.days, err = openDays(e.dayDir(), &e.o, wrote); err != nil {
		return err
	}
	if e.levels, err = openLevels(e.levelDir(), &e.o, wrote); err != nil {
		return err
	}
	ck, err := e.loadState()
	if err != nil {
		return err
	}
	if err := e.openLog(ck); err != nil {
		return err
	}
	e.queue = newQueue(&e.o)
	was := e.st.stopped()
	e.composer = composer{o: &e.o, st: e.st, stopped: was, down: maps.Clone(was), series: map[greenhouse.PointID]fresh{}, doubts: &e.doubts, crowded: &e.crowded, stamped: map[stamped]struct{}{}, streams: map[bootKey]uint32{}}
	e.checkSpace()
	return nil
}

// loadState reads the checkpoint; where both copies are lost, names and latest
// values are read back from the day files.
func (e *Engine) loadState() (ck checkpoint, err error) {
	var damaged []string
	e.st, ck, damaged, err = loadCheckpoint(e.o.Dir)
	if err != nil {
		return ck, err
	}
	for _, name := range damaged {
		if err := e.setAside(name); err != nil { // the next checkpoint takes its place
			e.o.Log.Error("a damaged file cannot be renamed", "file", name, "error", err)
		}
	}
	if ck.at == (position{}) && !(e.days.empty() && e.levels.empty()) {
		e.o.Log.Warn("no checkpoint can be read; rebuilding names and latest values from the day files")
		return ck, e.rebuild()
	}
	return ck, nil
}

// lockDir takes the directory for this process and leaves its pid in the lock
// file.
func lockDir(dir string) (*os.File, error) {
	name := filepath.Join(dir, "lock")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		f.Close()
		pid, _ := os.ReadFile(name) // only for the message
		return nil, greenhouse.Unavailable("telemetry_locked", "telemetry in %s is held by process %s", dir, strings.TrimSpace(string(pid))).
			WithHint("stop the other edged, or give this one a data directory of its own")
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		if err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// Close stops taking batches, commits what is queued, writes a checkpoint and
// closes the files. If ctx ends first, what is still queued stays unpromised
// and the goroutines end by themselves once the disk lets them.
func (e *Engine) Close(ctx context.Context) error {
	e.closeOnce.Do(func() { e.closeErr = e.close(ctx) })
	return e.closeErr
}

func (e *Engine) close(ctx context.Context) error {
	e.queue.close()
	close(e.stop)
	for _, done := range [...]chan struct{}{e.committed, e.stopped} {
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("close telemetry: %w", ctx.Err())
		}
	}
	e.maintain.Lock()
	defer e.maintain.Unlock()
	var err error
	if e.fault.Load() == nil {
		err = e.writeCheckpoint()
	}
	e.wal.abandon()
	return errors.Join(err, e.days.close(), e.levels.close(), e.lock.Close())
}

// Latest returns the newest reading of a point, and whether there is one.
func (e *Engine) Latest(p greenhouse.PointID) (greenhouse.Latest, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	s := e.st.points[p]
	if s == nil || s.latest.at == 0 {
		return greenhouse.Latest{}, false
	}
	return s.last(), true
}

// Snapshot puts the newest reading of every point into dst, all as of one
// commit.
func (e *Engine) Snapshot(dst map[greenhouse.PointID]greenhouse.Latest) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, s := range e.st.series[1:] {
		if s != nil && s.latest.at != 0 {
			dst[s.point] = s.last()
		}
	}
}

// LatestOf fills dst with the newest reading of each point, as of one commit;
// a point without one gets a reading at 0. dst must be as long as points.
func (e *Engine) LatestOf(points []greenhouse.PointID, dst []greenhouse.Latest) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for i, p := range points {
		if s := e.st.points[p]; s != nil {
			dst[i] = s.last()
		} else {
			dst[i] = greenhouse.Latest{Reading: greenhouse.Reading{Point: p, Quality: greenhouse.Bad}}
		}
	}
}

// maintenance looks after sealing, retention, space and the spare segment.
func (e *Engine) maintenance() {
	defer close(e.stopped)
	every := e.o.Maintain
	if every < 0 {
		every = 100 * 365 * 24 * time.Hour
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-t.C:
		case <-e.chores:
		}
		if err := e.Maintain(); err != nil {
			e.o.Log.Error("telemetry maintenance", "error", err)
		}
	}
}
