package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"greenhouse"
)

// After a restore the numbers that were given since the snapshot are unknown
// but in use: by nodes, which remember the highest epoch, and by readers of the
// journal. No site starts a daemon or writes events that often between two
// snapshots.
const (
	epochLeap    = 1 << 16
	sequenceLeap = 1 << 24
)

// stampLayout is the time in the names of snapshots and quarantined files, UTC.
const stampLayout = "20060102T150405.000"

// Recovery tells that a damaged or missing registry was replaced by a snapshot,
// or that it lost its newest commit.
type Recovery struct {
	At          greenhouse.Millis `json:"at"`
	Reason      string            `json:"reason"`                // what was wrong
	Quarantined string            `json:"quarantined,omitempty"` // where the damaged file is now; "" if there was none
	Snapshot    string            `json:"snapshot,omitempty"`    // the snapshot in its place; "" if the file itself goes on
	SnapshotAt  greenhouse.Millis `json:"snapshot_at,omitempty"` // when that was taken: later changes are lost
}

// snapshotFile is one file of the snapshot directory.
type snapshotFile struct {
	path string
	at   greenhouse.Millis
}

// snapshotDirOf returns where the snapshots of a registry are by default.
func snapshotDirOf(path string) string { return filepath.Join(filepath.Dir(path), "snapshots") }

// snapshots returns the snapshots there are, newest first.
func (s *Store) snapshots() []snapshotFile {
	entries, err := os.ReadDir(s.opt.SnapshotDir)
	if err != nil {
		return nil
	}
	var found []snapshotFile
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".db")
		stamp, ours := strings.CutPrefix(name, "registry-")
		if !ok || !ours || len(stamp) < len(stampLayout) {
			continue
		}
		if at, err := time.Parse(stampLayout, stamp[:len(stampLayout)]); err == nil {
			found = append(found, snapshotFile{path: filepath.Join(s.opt.SnapshotDir, e.Name()), at: greenhouse.MillisOf(at)})
		}
	}
	slices.SortFunc(found, func(a, b snapshotFile) int { return strings.Compare(b.path, a.path) })
	return found
}

// Snapshot writes a verified copy of the registry into the snapshot directory,
// removes all but the newest Options.KeepSnapshots, and returns its path.
func (s *Store) Snapshot() (string, error) {
	s.open.RLock()
	defer s.open.RUnlock()
	if err := s.usable(); err != nil {
		return "", err
	}
	return s.snapshot("")
}

// snapshot is Snapshot for whoever keeps the file open; label goes into the name.
func (s *Store) snapshot(label string) (string, error) {
	if err := os.MkdirAll(s.opt.SnapshotDir, 0o700); err != nil {
		return "", fileError("make snapshot directory", err)
	}
	now := s.opt.Now().UTC()
	path := filepath.Join(s.opt.SnapshotDir, "registry-"+now.Format(stampLayout)+label+".db")
	if err := s.copyTo(path + ".new"); err != nil {
		return "", errors.Join(fileError("write snapshot", err), removeIfThere(path+".new"))
	}
	if err := VerifyFile(path + ".new"); err != nil {
		return "", errors.Join(fmt.Errorf("verify snapshot: %w", err), removeIfThere(path+".new"))
	}
	if err := os.Rename(path+".new", path); err != nil {
		return "", fileError("rename snapshot", err)
	}
	if err := syncDir(s.opt.SnapshotDir); err != nil {
		return "", err
	}
	s.stats.lastSnapshot.Store(now.UnixMilli())
	return path, s.dropOldSnapshots()
}

// dropOldSnapshots keeps the newest ones only.
func (s *Store) dropOldSnapshots() error {
	all := s.snapshots()
	var errs []error
	for _, old := range all[min(s.opt.KeepSnapshots, len(all)):] {
		errs = append(errs, removeIfThere(old.path))
	}
	return errors.Join(errs...)
}

// copyTo writes a synced copy of the file as of now.
func (s *Store) copyTo(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			_, err := tx.WriteTo(f)
			return err
		})
	})
	return errors.Join(err, f.Sync(), f.Close())
}

// Backup writes a verified copy of the registry to w: first to a file beside
// the snapshots, so that a slow reader holds up nobody, then from there. It
// holds hashes of secrets and no secret.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	path, err := s.backupFile()
	if err != nil {
		return err
	}
	defer func() { _ = removeIfThere(path) }()
	if err := VerifyFile(path); err != nil {
		return fmt.Errorf("verify backup: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return fileError("read backup", err)
	}
	defer func() { _ = f.Close() }()
	if _, err := io.Copy(w, readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return f.Read(p)
	})); err != nil {
		return fmt.Errorf("send backup: %w", err)
	}
	return nil
}

// backupFile makes the copy a Backup sends.
func (s *Store) backupFile() (string, error) {
	s.open.RLock()
	defer s.open.RUnlock()
	if err := s.usable(); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(s.opt.Path), "registry-backup-*.tmp")
	if err != nil {
		return "", fileError("write backup", err)
	}
	path := f.Name()
	if err := errors.Join(f.Close(), s.copyTo(path)); err != nil {
		return "", errors.Join(fileError("write backup", err), removeIfThere(path))
	}
	return path, nil
}

// readerFunc is a reader made of a function.
type readerFunc func([]byte) (int, error)

// Read calls the function.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Check verifies the file as it is on disk, every record of it, while the store
// is in use; writers wait for it. On damage the state becomes unknown.
func (s *Store) Check() error {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.open.RLock()
	defer s.open.RUnlock()
	if err := s.usable(); err != nil {
		return err
	}
	err := VerifyFile(s.opt.Path)
	if d := (*DamageError)(nil); errors.As(err, &d) {
		return s.damage(err)
	}
	return err
}

// restoreNewest puts the newest snapshot that verifies in the registry's place
// and the damaged file aside. The copy is complete before anything is renamed.
func (s *Store) restoreNewest(reason error) error {
	for _, snap := range s.snapshots() {
		if err := VerifyFile(snap.path); err != nil {
			s.opt.Log.Warn("snapshot passed over", "path", snap.path, "error", err)
			continue
		}
		return s.restore(snap, reason)
	}
	return because(greenhouse.Unavailable("registry_damaged", "the registry %s cannot be used: %v; and there is no good snapshot in %s", s.opt.Path, reason, s.opt.SnapshotDir).
		WithHint("restore a backup with `edged restore`, or move the file and its copies away to begin with an empty registry"), reason)
}

// restore puts one verified snapshot in place.
func (s *Store) restore(snap snapshotFile, reason error) error {
	fresh := s.opt.Path + ".new"
	if err := copyFile(snap.path, fresh); err != nil {
		return fileError("copy snapshot", err)
	}
	rec := Recovery{At: greenhouse.MillisOf(s.opt.Now()), Reason: reason.Error(), Snapshot: snap.path, SnapshotAt: snap.at}
	aside := s.opt.Path + ".corrupt-" + s.opt.Now().UTC().Format(stampLayout)
	if _, err := os.Stat(s.opt.Path); err == nil {
		rec.Quarantined = aside
	}
	if err := s.leap(fresh, 0, rec); err != nil {
		return err
	}
	if rec.Quarantined != "" {
		if err := os.Rename(s.opt.Path, aside); err != nil {
			return fileError("set damaged registry aside", err)
		}
	}
	if err := s.putInPlace(fresh); err != nil {
		return err
	}
	s.opt.Log.Error("registry restored from a snapshot", "reason", rec.Reason, "snapshot", rec.Snapshot, "quarantined", rec.Quarantined)
	return nil
}

// leap moves the epoch and all sequences of a restored file ahead, the epoch also
// beyond above, and notes the recovery in it, before it becomes the registry.
func (s *Store) leap(path string, above uint64, rec Recovery) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: pageSize, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return fileError("open snapshot", err)
	}
	err = db.Update(func(btx *bbolt.Tx) error {
		tx := &Tx{s: s, bolt: btx}
		if err := json.Unmarshal(tx.get(bucketMeta, []byte(keyManifest)), &tx.ledger); err != nil {
			return err
		}
		var epoch uint64
		if content := tx.get(bucketMeta, []byte(keyEpoch)); content != nil {
			if err := json.Unmarshal(content, &epoch); err != nil {
				return err
			}
		}
		for name, l := range tx.ledger {
			if l.Seq > 0 {
				l.Seq += sequenceLeap
				tx.ledger[name] = l
			}
		}
		return errors.Join(tx.putJSON(bucketMeta, keyEpoch, max(epoch, above)+epochLeap), tx.putJSON(bucketMeta, keyRecovery, rec), tx.finish())
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return fileError("prepare snapshot", err)
	}
	return nil
}

// noteRecovery keeps a recovery until somebody records it.
func (tx *Tx) noteRecovery(rec Recovery) error {
	if err := tx.putJSON(bucketMeta, keyRecovery, rec); err != nil {
		return err
	}
	tx.reg.recovery = &rec
	tx.copied["recovery"] = true
	return nil
}

// ForgetRecovery removes the note of a restoration, in the transaction that
// writes it into the journal.
func (tx *Tx) ForgetRecovery() error {
	if err := tx.delete(bucketMeta, []byte(keyRecovery)); err != nil {
		return err
	}
	tx.reg.recovery = nil
	tx.copied["recovery"] = true
	return nil
}

// copyFile makes a synced copy.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// removeIfThere removes a file that may be absent.
func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError("remove file", err)
	}
	return nil
}
