package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"greenhouse"
)

// readAlone runs fn on the file while the caller holds the whole store; there
// need not be a registry in memory yet.
func (s *Store) readAlone(fn func(*Tx) error) error {
	var btx *bbolt.Tx
	err := guard(func() (err error) { btx, err = s.db.Begin(false); return err })
	if err != nil {
		return fmt.Errorf("read registry: %w", err)
	}
	defer func() { _ = btx.Rollback() }()
	tx := &Tx{s: s, bolt: btx, at: s.opt.Now()}
	if err := fn(tx); err != nil {
		return err
	}
	return tx.err
}

// load reads the whole registry into memory, migrating it first if it is of an
// older version.
func (s *Store) load() error {
	if err := s.reload(); err != nil {
		return err
	}
	return s.migrateAndReload(schemaVersion, migrations())
}

// migrateAndReload migrates and, if that did anything, reads the registry again.
func (s *Store) migrateAndReload(want int, steps []migration) error {
	before := s.stats.commits.Load()
	if err := s.migrate(want, steps); err != nil {
		return err
	}
	if s.stats.commits.Load() == before {
		return nil
	}
	return s.reload()
}

// reload reads the registry and its manifest from the file.
func (s *Store) reload() error {
	reg := newRegistry()
	if old := s.reg.Load(); old != nil {
		reg.Version = old.Version
	}
	reg.Version++
	var books manifest
	err := s.readAlone(func(tx *Tx) error {
		reg.txid = tx.bolt.ID()
		tx.reg = reg
		tx.copied = map[string]bool{}
		if err := json.Unmarshal(tx.get(bucketMeta, []byte(keyManifest)), &books); err != nil {
			return fmt.Errorf("read registry manifest: %w", err)
		}
		return tx.loadAll()
	})
	if err != nil {
		return err
	}
	s.ledger = books
	s.reg.Store(reg)
	return nil
}

// loadAll reads every noun. The draft is nobody else's yet, so nothing of it
// needs to be copied before it is changed.
func (tx *Tx) loadAll() error {
	for _, noun := range []string{"nodes", "hardware", "points", "zoneNodes", "zonePoints"} {
		tx.copied[noun] = true
	}
	steps := []func() error{
		func() error { return each(tx, bucketZones, tx.loadZone) },
		func() error { return each(tx, bucketNodes, tx.loadNode) },
		func() error { return each(tx, bucketPoints, tx.loadPoint) },
		func() error { return loadMap(tx, bucketOverrides, tx.reg.Overrides) },
		func() error { return loadMap(tx, bucketRecipes, tx.reg.Recipes) },
		func() error { return loadMap(tx, bucketCredentials, tx.reg.credentials) },
		func() error { return loadMap(tx, bucketAccounts, tx.reg.accounts) },
		func() error { return loadMap(tx, bucketTokens, tx.reg.tokens) },
		func() error { return loadMap(tx, bucketUsers, tx.reg.users) },
		tx.loadUncalibrated,
		tx.loadMeta,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// each decodes every record of a bucket.
func each[T any](tx *Tx, bucket string, fn func(*T)) error {
	var err error
	tx.scan(bucket, nil, false, func(k, content []byte) bool {
		var v *T
		if v, err = decode[T](bucket, k, content); err != nil {
			return false
		}
		fn(v)
		return true
	})
	return err
}

// loadMap decodes every record of a bucket under its key.
func loadMap[K ~string, T any](tx *Tx, bucket string, into map[K]*T) error {
	var err error
	tx.scan(bucket, nil, false, func(k, content []byte) bool {
		var v *T
		if v, err = decode[T](bucket, k, content); err != nil {
			return false
		}
		into[K(k)] = v
		return true
	})
	return err
}

// loadZone, loadNode and loadPoint put what was read into the registry.
func (tx *Tx) loadZone(z *greenhouse.Zone)   { tx.reg.Zones[z.ID] = z }
func (tx *Tx) loadNode(n *greenhouse.Node)   { tx.setNode(n) }
func (tx *Tx) loadPoint(p *greenhouse.Point) { tx.setPoint(p) }

// loadUncalibrated reads which points wait for a calibration.
func (tx *Tx) loadUncalibrated() error {
	tx.scan(bucketUncal, nil, false, func(k, content []byte) bool {
		if len(content) == 8 {
			tx.reg.Uncalibrated[greenhouse.PointID(k)] = greenhouse.Millis(binary.BigEndian.Uint64(content))
		}
		return true
	})
	return nil
}

// loadMeta reads the records there is one of.
func (tx *Tx) loadMeta() error {
	tx.reg.Site = defaultSite()
	var stop stopRecord
	for key, into := range map[string]any{keySite: &tx.reg.Site, keyEpoch: &tx.reg.epoch, keyPairing: &tx.reg.pairing, keyStop: &stop, keyRecovery: &tx.reg.recovery} {
		content := tx.get(bucketMeta, []byte(key))
		if content == nil {
			continue
		}
		if err := json.Unmarshal(content, into); err != nil {
			return fmt.Errorf("record %s %q: %w", bucketMeta, key, err)
		}
	}
	tx.reg.StopAll = stop.All
	for _, z := range stop.Zones {
		tx.reg.Stopped[z] = true
	}
	return nil
}
