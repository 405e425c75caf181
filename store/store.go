package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"greenhouse"
)

// Options say where the registry is and how it is kept. The zero value of every
// field but Path serves.
type Options struct {
	Path string // of registry.db; its directory is made if absent

	// SnapshotDir holds the snapshots; "" means "snapshots" beside Path.
	SnapshotDir string
	// KeepSnapshots is how many snapshots are kept; 0 means 7.
	KeepSnapshots int
	// MaxBytes bounds the file; 0 means 256 MiB.
	MaxBytes int
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Log receives what a person should know of the file; nil discards it.
	Log *slog.Logger
	// ConfigHash returns the hash of the configuration a node should have. The
	// desired revision rises when it changes. nil hashes the fields themselves.
	ConfigHash func(*greenhouse.Node) string
	// NoSync leaves out the syncs: for tests that need no durability.
	NoSync bool
	// OpenFile opens the registry file; nil means os.OpenFile. For faults in tests.
	OpenFile func(name string, flag int, perm os.FileMode) (*os.File, error)
}

// The states of a store.
const (
	stateOpen    int32 = iota
	stateUnknown       // a commit failed or damage was found; Reopen leads back
	stateClosed
)

// Store is the registry file and its copy in memory.
type Store struct {
	opt   Options
	lock  *lockFile
	state atomic.Int32
	cause atomic.Pointer[error] // why the state is unknown

	writer sync.Mutex   // held by Update, Reopen and Close: one writer
	open   sync.RWMutex // held for reading while db is in use, for writing while it changes
	db     *bbolt.DB
	ledger manifest // as committed; owned by the holder of writer

	reg     atomic.Pointer[Registry]
	pending atomic.Pointer[Registry] // what is being committed

	subs  subscribers
	stats counters
}

// counters are the figures behind Stats.
type counters struct {
	commits, failed atomic.Uint64
	lastCommit      atomic.Int64 // ns
	lastSnapshot    atomic.Int64 // ms
}

// Stats are figures of a store for metrics and the doctor.
type Stats struct {
	Commits      uint64 // since start
	Failed       uint64 // commits that failed since start
	LastCommit   time.Duration
	FileBytes    int64
	MaxBytes     int64
	LastSnapshot greenhouse.Millis // 0 if there is none
	Unknown      bool              // writes are refused until Reopen
}

// Open opens the registry, creating it where there is none, and holds its lock
// until Close. A damaged file is set aside and the newest good snapshot takes
// its place; [Store.Recovered] tells. Errors: ErrUnavailable if another process
// holds it, if it is damaged and there is no good snapshot, or if the disk
// refuses; ErrInvalid if the file is another program's or of a newer version.
func Open(opt Options) (*Store, error) {
	opt = opt.withDefaults()
	s := &Store{opt: opt}
	if err := s.prepareDir(); err != nil {
		return nil, err
	}
	lock, err := acquire(opt.Path + ".lock")
	if err != nil {
		return nil, err
	}
	s.lock = lock
	if err := s.openFile(); err != nil {
		return nil, errors.Join(err, lock.release())
	}
	return s, nil
}

// withDefaults fills in what was left zero.
func (o Options) withDefaults() Options {
	if o.SnapshotDir == "" {
		o.SnapshotDir = snapshotDirOf(o.Path)
	}
	if o.KeepSnapshots <= 0 {
		o.KeepSnapshots = 7
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.ConfigHash == nil {
		o.ConfigHash = configHash
	}
	if o.OpenFile == nil {
		o.OpenFile = os.OpenFile
	}
	return o
}

// Registry returns the registry as of the newest commit. It never waits.
func (s *Store) Registry() *Registry { return s.reg.Load() }

// Recovered tells of the restoration from a snapshot that nobody has recorded
// yet, nil if there was none; see [Tx.ForgetRecovery].
func (s *Store) Recovered() *Recovery { return s.Registry().recovery }

// Stats returns the figures of now.
func (s *Store) Stats() Stats {
	st := Stats{
		Commits:      s.stats.commits.Load(),
		Failed:       s.stats.failed.Load(),
		LastCommit:   time.Duration(s.stats.lastCommit.Load()),
		MaxBytes:     int64(s.opt.MaxBytes),
		LastSnapshot: greenhouse.Millis(s.stats.lastSnapshot.Load()),
		Unknown:      s.state.Load() == stateUnknown,
	}
	if info, err := os.Stat(s.opt.Path); err == nil {
		st.FileBytes = info.Size()
	}
	return st
}

// usable returns why the file cannot be used now, nil if it can.
func (s *Store) usable() error {
	switch s.state.Load() {
	case stateUnknown:
		return unavailable(*s.cause.Load())
	case stateClosed:
		return greenhouse.Unavailable("registry_closed", "the registry is closed")
	}
	return nil
}

// unavailable is the error of a store whose file is not trusted.
func unavailable(cause error) *greenhouse.Error {
	return greenhouse.Unavailable("registry_unknown", "the registry file is not trusted until it has been verified: %v", cause).
		WithHint("it is verified again by itself; see the disk in `greenctl doctor`")
}

// damage makes the state unknown and returns the error to answer with.
func (s *Store) damage(cause error) error {
	if s.state.Load() == stateOpen {
		s.cause.Store(&cause)
	}
	if s.state.CompareAndSwap(stateOpen, stateUnknown) {
		s.opt.Log.Error("registry file not trusted", "cause", cause)
	}
	return because(unavailable(cause), cause)
}

// View runs fn on one snapshot of the registry and of all rooms' records.
func (s *Store) View(fn func(*Tx) error) error {
	s.open.RLock()
	defer s.open.RUnlock()
	if err := s.usable(); err != nil {
		return err
	}
	tx, err := s.beginRead()
	if err != nil {
		return err
	}
	defer func() { _ = tx.bolt.Rollback() }()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.err
}

// beginRead begins a bbolt transaction and finds the registry that belongs to
// it: the published one, or the one whose commit is just ending.
func (s *Store) beginRead() (*Tx, error) {
	for {
		var btx *bbolt.Tx
		err := guard(func() (err error) { btx, err = s.db.Begin(false); return err })
		if err != nil {
			return nil, s.damage(err)
		}
		for _, reg := range []*Registry{s.reg.Load(), s.pending.Load()} {
			if reg != nil && reg.txid == btx.ID() {
				return &Tx{s: s, bolt: btx, reg: reg, at: s.opt.Now()}, nil
			}
		}
		if err := btx.Rollback(); err != nil {
			return nil, fmt.Errorf("end registry read: %w", err)
		}
	}
}

// Update runs fn in the one write transaction and commits what it wrote; on an
// error nothing changes. When it returns nil the change is on disk. An fn that
// writes nothing costs no commit.
func (s *Store) Update(fn func(*Tx) error) error {
	s.writer.Lock()
	defer s.writer.Unlock()
	return s.update(fn, false)
}

// Try runs fn as Update does and then takes everything back: a dry run with
// every rule checked.
func (s *Store) Try(fn func(*Tx) error) error {
	s.writer.Lock()
	defer s.writer.Unlock()
	return s.update(fn, true)
}

// update is Update for the holder of the writer lock.
func (s *Store) update(fn func(*Tx) error, dry bool) error {
	s.open.RLock()
	defer s.open.RUnlock()
	if err := s.usable(); err != nil {
		return err
	}
	tx, err := s.beginWrite()
	if err != nil {
		return err
	}
	defer func() { _ = guard(tx.bolt.Rollback) }() // after a commit it does nothing
	if err := fn(tx); err != nil {
		return err
	}
	if tx.err != nil || dry {
		return tx.err
	}
	if tx.wrote {
		if err := s.commit(tx); err != nil {
			return err
		}
	}
	for _, fn := range tx.after {
		fn()
	}
	return nil
}

// beginWrite begins the write transaction with a draft of the registry.
func (s *Store) beginWrite() (*Tx, error) {
	var btx *bbolt.Tx
	err := guard(func() (err error) { btx, err = s.db.Begin(true); return err })
	if err != nil {
		return nil, s.damage(err)
	}
	draft := *s.reg.Load()
	draft.txid = btx.ID()
	return &Tx{s: s, bolt: btx, reg: &draft, ledger: s.ledger.copyLedger(), at: s.opt.Now(), copied: map[string]bool{}}, nil
}

// commit puts a transaction on disk and its draft in place of the registry.
func (s *Store) commit(tx *Tx) error {
	if err := tx.finish(); err != nil {
		return s.commitFailed(err)
	}
	changed := len(tx.copied) > 0
	if changed {
		tx.reg.Version++
	}
	s.pending.Store(tx.reg)
	defer s.pending.Store(nil)
	began := s.opt.Now()
	if err := guard(tx.bolt.Commit); err != nil {
		return s.commitFailed(err)
	}
	s.stats.lastCommit.Store(int64(s.opt.Now().Sub(began)))
	s.stats.commits.Add(1)
	s.ledger = tx.ledger
	s.reg.Store(tx.reg)
	if changed {
		s.subs.wake()
	}
	return nil
}

// commitFailed decides what a failed commit means. A full registry is refused
// by bbolt before it writes anything; all else leaves the file unknown.
func (s *Store) commitFailed(err error) error {
	s.stats.failed.Add(1)
	if errors.Is(err, berrors.ErrMaxSizeReached) {
		return greenhouse.Unavailable("registry_full", "the registry has reached its limit of %d MiB", s.opt.MaxBytes>>20).
			WithHint("prune events and commands, or raise the limit in the configuration")
	}
	return s.damage(fmt.Errorf("commit registry: %w", err))
}

// Close ends the store and gives the lock back. It waits for the transactions
// that run; a second call does nothing.
func (s *Store) Close() error {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.open.Lock()
	defer s.open.Unlock()
	if s.state.Swap(stateClosed) == stateClosed {
		return nil
	}
	return errors.Join(s.closeDB(), s.lock.release())
}

// closeDB closes the bbolt file, if it is open.
func (s *Store) closeDB() error {
	if s.db == nil {
		return nil
	}
	db := s.db
	s.db = nil
	return guard(db.Close)
}

// Subscribe returns a channel that receives a token after commits that changed
// the registry, several in one if the reader is slow, and a function that ends
// the subscription.
func (s *Store) Subscribe() (ch <-chan struct{}, cancel func()) { return s.subs.add() }

// subscribers are the channels to wake after a commit.
type subscribers struct {
	mu  sync.Mutex
	set map[chan struct{}]struct{}
}

// add makes a subscription.
func (b *subscribers) add() (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.set == nil {
		b.set = map[chan struct{}]struct{}{}
	}
	b.set[ch] = struct{}{}
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.set, ch)
	}
}

// wake leaves a token in every channel that has none.
func (b *subscribers) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ch := range b.set {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
