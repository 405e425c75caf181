package store

import (
	"encoding/json"
	"errors"
	"fmt"

	"greenhouse"
)

// schemaVersion is the layout this program writes. appName marks the file.
const (
	schemaVersion = 1
	appName       = "greenhouse"
)

// schemaRecord says which layout a file has.
type schemaRecord struct {
	Version int    `json:"version"`
	App     string `json:"app"`
}

// migration leads from the schema before To to To. All that are due run in one
// transaction, so after a crash the file is of the old version or of the new.
type migration struct {
	To   int
	What string
	Run  func(*Tx) error
}

// migrations are all steps, oldest first. Version 1 is the first layout.
func migrations() []migration { return nil }

// migrate brings a file to the wanted version; before the first step it is
// copied into the snapshots. A newer file is refused.
func (s *Store) migrate(want int, steps []migration) error {
	have, err := s.schema()
	if err != nil {
		return err
	}
	if have > want {
		return greenhouse.Invalid("schema_newer", "the registry has schema %d, this edged knows up to %d", have, want).
			WithHint("install the edged that wrote it, or restore a snapshot from %s taken before the upgrade", s.opt.SnapshotDir)
	}
	if have == want {
		return nil
	}
	if _, err := s.snapshot(fmt.Sprintf("-schema%d", have)); err != nil {
		return fmt.Errorf("snapshot before migration: %w", err)
	}
	return s.updateAlone(func(tx *Tx) error {
		for _, m := range steps {
			if m.To <= have {
				continue
			}
			if err := m.Run(tx); err != nil {
				return fmt.Errorf("migrate registry to schema %d (%s): %w", m.To, m.What, err)
			}
		}
		return tx.putJSON(bucketMeta, keySchema, schemaRecord{Version: want, App: appName})
	})
}

// schema returns the version of the file.
func (s *Store) schema() (int, error) {
	var rec schemaRecord
	err := s.readAlone(func(tx *Tx) error {
		return json.Unmarshal(tx.get(bucketMeta, []byte(keySchema)), &rec)
	})
	if err == nil && (rec.App != appName || rec.Version < 1) {
		err = errors.New("no schema version")
	}
	if err != nil {
		return 0, fmt.Errorf("read registry schema: %w", err)
	}
	return rec.Version, nil
}
