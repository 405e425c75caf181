package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"greenhouse"
)

// pageSize is fixed: the 16 KiB pages of some kernels quadruple every commit.
const pageSize = 4096

// prepareDir makes the directory of the registry and refuses one that cannot hold it.
func (s *Store) prepareDir() error {
	dir := filepath.Dir(s.opt.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fileError("make data directory", err)
	}
	return refuseNetwork(dir)
}

// openFile brings the registry file into use: verified, restored if need be,
// migrated, loaded. The caller holds the lock file and the store for itself.
func (s *Store) openFile() error {
	if err := s.removeLeftovers(); err != nil {
		return err
	}
	reason, err := s.examine()
	if err != nil {
		return err
	}
	if reason != nil {
		if err := s.restoreNewest(reason); err != nil {
			return err
		}
	}
	lost := headLost(s.opt.Path)
	if err := s.openOrRestore(); err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return errors.Join(err, s.closeDB())
	}
	if err := s.afterOpen(lost); err != nil {
		return errors.Join(err, s.closeDB())
	}
	s.state.Store(stateOpen)
	return nil
}

// openOrRestore opens the verified file; what bbolt finds that we did not is
// damage too.
func (s *Store) openOrRestore() error {
	err := s.openBolt()
	if d := (*DamageError)(nil); !errors.As(err, &d) {
		return err
	}
	if err := s.restoreNewest(err); err != nil {
		return err
	}
	return s.openBolt()
}

// removeLeftovers removes what a crash left half made.
func (s *Store) removeLeftovers() error {
	left := []string{s.opt.Path + ".new"}
	for _, pattern := range []string{filepath.Join(filepath.Dir(s.opt.Path), "registry-backup-*.tmp"), filepath.Join(s.opt.SnapshotDir, "*.new")} {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		left = append(left, found...)
	}
	var errs []error
	for _, path := range left {
		errs = append(errs, removeIfThere(path))
	}
	return errors.Join(errs...)
}

// examine looks at the file before bbolt does. It creates a missing one where
// nothing was before; it returns the reason if a snapshot has to take its place.
func (s *Store) examine() (reason, err error) {
	info, err := os.Stat(s.opt.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if s.leftTraces() {
			return errors.New("the registry file is missing, but copies of it are there"), nil
		}
		return nil, s.create()
	case err != nil:
		return nil, fileError("open registry", err)
	case !info.Mode().IsRegular():
		return nil, greenhouse.Unavailable("registry_io", "open registry: %s is not a plain file", s.opt.Path).
			WithHint("move it away, or choose another --data-dir")
	}
	err = VerifyFile(s.opt.Path)
	if d := (*DamageError)(nil); errors.As(err, &d) {
		return err, nil
	}
	return nil, err
}

// leftTraces reports whether there once was a registry here.
func (s *Store) leftTraces() bool {
	quarantined, _ := filepath.Glob(s.opt.Path + ".corrupt-*")
	return len(quarantined) > 0 || len(s.snapshots()) > 0
}

// create makes a new registry: complete and synced under another name first,
// because bbolt's own creation does not survive a power cut.
func (s *Store) create() error {
	path := s.opt.Path + ".new"
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: pageSize, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return fileError("create registry", err)
	}
	err = db.Update(func(btx *bbolt.Tx) error {
		tx := &Tx{s: s, bolt: btx, ledger: manifest{}}
		if err := errors.Join(tx.putJSON(bucketMeta, keySchema, schemaRecord{Version: schemaVersion, App: appName}), tx.finish()); err != nil {
			return err
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return fileError("create registry", err)
	}
	return s.putInPlace(path)
}

// putInPlace gives a finished file the registry's name, for good.
func (s *Store) putInPlace(path string) error {
	if err := syncPath(path); err != nil {
		return fileError("sync registry", err)
	}
	if err := os.Rename(path, s.opt.Path); err != nil {
		return fileError("rename registry", err)
	}
	return syncDir(filepath.Dir(s.opt.Path))
}

// openBolt opens the verified file with bbolt and lets bbolt check it as well.
func (s *Store) openBolt() error {
	opt := &bbolt.Options{
		Timeout:         time.Second,
		PageSize:        pageSize,
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: s.opt.MaxBytes,
		MaxSize:         s.opt.MaxBytes,
		NoSync:          s.opt.NoSync,
		OpenFile:        s.opt.OpenFile,
	}
	err := guard(func() (err error) {
		s.db, err = bbolt.Open(s.opt.Path, 0o600, opt)
		return err
	})
	if err != nil {
		s.db = nil
		return fileError("open registry", err)
	}
	s.db.AllocSize = 1 << 20 // a registry is small: it grows by 1 MiB, not by 16
	err = guard(func() error { return s.db.View(checkBolt) })
	if err != nil {
		return errors.Join(damagef("%v", err), s.closeDB())
	}
	return nil
}

// checkBolt is bbolt's own check of its pages.
func checkBolt(tx *bbolt.Tx) error {
	var all []error
	for err := range tx.Check() {
		if len(all) < 10 {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// Reopen closes the file, verifies it, restores the newest good snapshot if it
// is damaged, writes all its pages back through a sync, and opens it again. It
// is how a store returns from the unknown state; on an error it stays there and
// Reopen may be called again. The registry in memory is served throughout.
func (s *Store) Reopen() error {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.open.Lock()
	defer s.open.Unlock()
	if s.state.Load() == stateClosed {
		return s.usable()
	}
	cause := errors.New("it is being verified")
	if c := s.cause.Load(); c != nil {
		cause = *c
	}
	s.cause.Store(&cause)
	s.state.Store(stateUnknown)
	if err := s.closeDB(); err != nil {
		s.opt.Log.Warn("close untrusted registry", "error", err)
	}
	if err := s.reopen(); err != nil {
		s.cause.Store(&err)
		return err
	}
	s.opt.Log.Info("registry verified and in use again")
	s.subs.wake()
	return nil
}

// reopen is Reopen for the holder of both locks.
func (s *Store) reopen() error {
	if _, err := os.Stat(s.opt.Path); err == nil {
		if err := VerifyFile(s.opt.Path); err == nil && !s.opt.NoSync {
			if err := rewrite(s.opt.Path); err != nil {
				return fileError("write registry back", err)
			}
		}
	}
	return s.openFile()
}

// afterOpen looks at the configurations, which another version of the program
// may derive differently, and notes a lost head. The caller holds the store for
// itself.
func (s *Store) afterOpen(lost bool) error {
	if newest := s.snapshots(); len(newest) > 0 {
		s.stats.lastSnapshot.Store(int64(newest[0].at))
	}
	return s.updateAlone(func(tx *Tx) error {
		if lost {
			s.opt.Log.Warn("registry had one valid head of two: its newest commit may be missing")
			rec := Recovery{At: greenhouse.MillisOf(tx.at), Reason: "one of the two heads of the file was not valid: the newest commit may be missing"}
			if err := tx.noteRecovery(rec); err != nil {
				return err
			}
		}
		return tx.refreshConfigs()
	})
}

// updateAlone is Update while the caller holds the whole store.
func (s *Store) updateAlone(fn func(*Tx) error) error {
	tx, err := s.beginWrite()
	if err != nil {
		return err
	}
	defer func() { _ = guard(tx.bolt.Rollback) }()
	if err := fn(tx); err != nil || !tx.wrote {
		return err
	}
	return s.commit(tx)
}

// syncPath syncs a file by its name.
func syncPath(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fileError("open data directory", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fileError("sync data directory", err)
	}
	return nil
}
