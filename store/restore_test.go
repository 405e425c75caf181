package store_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"greenhouse"
	"greenhouse/store"
)

// TestRestoreTakesAHigherEpoch restores the same backup twice: each time the
// epoch is above every one that was ever given out.
func TestRestoreTakesAHigherEpoch(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "registry.db"), filepath.Join(dir, "backup.db")
	epoch := func(zones ...greenhouse.ZoneID) (given uint64) {
		t.Helper()
		s, err := store.Open(store.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		err = s.Update(func(tx *store.Tx) (err error) {
			for _, z := range zones {
				if _, err := tx.CreateZone(greenhouse.Zone{ID: z, Name: string(z)}); err != nil {
					return err
				}
			}
			given, err = tx.NextEpoch()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(backup); err != nil {
			var b bytes.Buffer
			if err := s.Backup(context.Background(), &b); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(backup, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return given
	}
	last := epoch("north")
	for range 2 {
		if e := epoch("south"); e <= last {
			t.Fatalf("epoch %d after %d", e, last)
		} else {
			last = e
		}
		if kept, err := store.Restore(path, backup); err != nil || kept == "" {
			t.Fatalf("Restore: kept %q, %v", kept, err)
		}
		if e := epoch(); e <= last {
			t.Errorf("epoch %d after a restore, want above %d", e, last)
		} else {
			last = e
		}
	}
}

func TestRestoreRefusesWhatIsNoBackup(t *testing.T) {
	dir := t.TempDir()
	path, junk := filepath.Join(dir, "registry.db"), filepath.Join(dir, "junk")
	if err := os.WriteFile(junk, bytes.Repeat([]byte("x"), 20000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Restore(path, junk); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a registry was made from junk")
	}
}
