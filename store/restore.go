package store

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"go.etcd.io/bbolt"

	"greenhouse"
)

// Restore puts a backup, as [Store.Backup] wrote it, in the place of the registry
// at path, which no daemon may have open. The backup is verified first; the
// registry that was there is kept, and its name returned ("" if there was none).
// The restored registry takes a higher epoch than either of them had, so that
// nodes obey no command from before.
func Restore(path, backup string) (kept string, err error) {
	s := &Store{opt: Options{Path: path}.withDefaults()}
	if err := s.prepareDir(); err != nil {
		return "", err
	}
	lock, err := acquire(path + ".lock")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	if err := VerifyFile(backup); err != nil {
		return "", because(greenhouse.Invalid("backup_invalid", "%s is no good backup: %v", backup, err).WithHint("greenctl backup writes one"), err)
	}
	fresh := path + ".new"
	if err := copyFile(backup, fresh); err != nil {
		return "", fileError("copy backup", err)
	}
	rec := Recovery{At: greenhouse.MillisOf(s.opt.Now()), Reason: "a person restored a backup", Snapshot: backup}
	present, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fileError("look at registry", err)
	}
	if present != nil {
		kept = path + ".replaced-" + s.opt.Now().UTC().Format(stampLayout)
		rec.Quarantined = kept
	}
	if err := s.leap(fresh, epochOf(path), rec); err != nil {
		return "", err
	}
	if kept != "" {
		if err := os.Rename(path, kept); err != nil {
			return "", fileError("set registry aside", err)
		}
	}
	return kept, s.putInPlace(fresh)
}

// epochOf returns the epoch of the registry at path, 0 where it cannot be read.
func epochOf(path string) (epoch uint64) {
	if VerifyFile(path) != nil {
		return 0
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, PreLoadFreelist: false})
	if err != nil {
		return 0
	}
	defer func() { _ = db.Close() }() // read only: there is nothing to lose
	err = db.View(func(btx *bbolt.Tx) error {
		tx := &Tx{bolt: btx}
		content := tx.get(bucketMeta, []byte(keyEpoch))
		if content == nil {
			return nil
		}
		return json.Unmarshal(content, &epoch)
	})
	if err != nil {
		return 0
	}
	return epoch
}
