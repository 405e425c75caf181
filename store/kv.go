package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"go.etcd.io/bbolt"

	"greenhouse"
)

// The buckets of this room. Those of other rooms begin with roomPrefix.
const (
	bucketMeta         = "meta"
	bucketNodes        = "nodes" // by hardware id
	bucketCredentials  = "credentials"
	bucketZones        = "zones"
	bucketPoints       = "points"
	bucketRecipes      = "recipes"
	bucketOverrides    = "overrides"
	bucketAccounts     = "accounts"
	bucketTokens       = "tokens"
	bucketUsers        = "users"
	bucketCommands     = "commands"
	bucketOpen         = "commands_open"
	bucketSwaps        = "swaps"
	bucketUncal        = "uncalibrated"
	bucketCalibrations = "calibrations" // by hardware id, channel and version
	bucketRevisions    = "revisions"    // by hardware id and revision
	roomPrefix         = "room."
)

// The keys of the meta bucket.
const (
	keySchema   = "schema"
	keyManifest = "manifest"
	keySite     = "site"
	keyEpoch    = "epoch"
	keyPairing  = "pairing"
	keyStop     = "stop"
	keyRecovery = "recovery"
)

// manifest says what the file should hold, so that a record that vanished is
// noticed.
type manifest map[string]ledger

// ledger is the account of one bucket.
type ledger struct {
	Count uint64 `json:"n"`
	Sum   uint64 `json:"sum"` // of the checksums of all records, modulo 2^64
	Seq   uint64 `json:"seq,omitempty"`
}

// Tx is a transaction: all it reads is of one moment, all it writes is
// committed together or not at all. It is valid inside the function it was
// given to, on that goroutine.
type Tx struct {
	s        *Store
	bolt     *bbolt.Tx
	reg      *Registry // of this moment; in a write transaction the draft
	ledger   manifest
	at       time.Time
	copied   map[string]bool // nouns of the draft that are its own copy already
	wrote    bool
	after    []func()
	actor    string // who makes the changes
	rollback uint64 // the revision being brought back
	err      error  // damage, or a change half made: the transaction fails with it
}

// Now returns the time at which the transaction began.
func (tx *Tx) Now() time.Time { return tx.at }

// Registry returns the registry as this transaction sees it, its own changes
// included. Inside Update it is valid until the function returns.
func (tx *Tx) Registry() *Registry { return tx.reg }

// Get returns the value of key in another room's bucket, nil if there is none.
// The slice is the caller's.
func (tx *Tx) Get(bucket string, key []byte) []byte {
	return bytes.Clone(tx.get(roomPrefix+bucket, key))
}

// Put stores a value under key in another room's bucket.
func (tx *Tx) Put(bucket string, key, value []byte) error {
	return tx.put(roomPrefix+bucket, key, value)
}

// Delete removes key from another room's bucket; it may be absent.
func (tx *Tx) Delete(bucket string, key []byte) error {
	return tx.delete(roomPrefix+bucket, key)
}

// Scan calls fn for the records of another room's bucket in key order, or
// backwards, beginning at from, until fn returns false. An empty from begins at
// the end of the bucket on that side; backwards begins at the last key not
// after from. The slices are valid during the call only, and fn must not write.
func (tx *Tx) Scan(bucket string, from []byte, reverse bool, fn func(k, v []byte) bool) {
	tx.scan(roomPrefix+bucket, from, reverse, fn)
}

// Sequence returns the next number of another room's bucket: 1, 2, 3, …
// without gaps, for a number given in a transaction that fails is given again.
func (tx *Tx) Sequence(bucket string) (uint64, error) {
	if err := tx.writable(); err != nil {
		return 0, err
	}
	name := roomPrefix + bucket
	l := tx.ledger[name]
	l.Seq++
	tx.ledger[name] = l
	tx.wrote = true
	return l.Seq, nil
}

// OnCommit has fn called after the transaction is on disk and in the registry,
// in the order of commits. It must be short and must not begin a transaction.
func (tx *Tx) OnCommit(fn func()) { tx.after = append(tx.after, fn) }

// writable refuses writes in a View.
func (tx *Tx) writable() error {
	if !tx.bolt.Writable() {
		return fmt.Errorf("write to the registry: the transaction is for reading only")
	}
	return tx.err
}

// damaged remembers the first damage this transaction came upon.
func (tx *Tx) damaged(err error) {
	if tx.err == nil {
		tx.err = tx.s.damage(err)
	}
}

// spoil makes the whole transaction fail with err, even if its function goes on:
// something was written and what belongs to it cannot be.
func (tx *Tx) spoil(err error) error {
	if tx.err == nil {
		tx.err = err
	}
	return err
}

// get returns the content of a record, valid during the transaction.
func (tx *Tx) get(bucket string, key []byte) (content []byte) {
	err := guard(func() error {
		b := tx.bolt.Bucket([]byte(bucket))
		if b == nil {
			return nil
		}
		raw := b.Get(key)
		if raw == nil {
			return nil
		}
		var err error
		content, err = unseal(bucket, key, raw)
		return err
	})
	if err != nil {
		tx.damaged(err)
		return nil
	}
	return content
}

// put stores content and keeps the ledger.
func (tx *Tx) put(bucket string, key, content []byte) error {
	if err := tx.writable(); err != nil {
		return err
	}
	raw := seal(bucket, key, content)
	l := tx.ledger[bucket]
	err := guard(func() error {
		b, err := tx.bolt.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		if old := b.Get(key); old != nil {
			l.Count, l.Sum = l.Count-1, l.Sum-uint64(sealed(old))
		}
		return b.Put(key, raw)
	})
	if err != nil {
		return tx.spoil(fmt.Errorf("write registry record %s %q: %w", bucket, key, err))
	}
	l.Count, l.Sum = l.Count+1, l.Sum+uint64(sealed(raw))
	tx.ledger[bucket] = l
	tx.wrote = true
	return nil
}

// delete removes a record, if it is there, and keeps the ledger.
func (tx *Tx) delete(bucket string, key []byte) error {
	if err := tx.writable(); err != nil {
		return err
	}
	l := tx.ledger[bucket]
	found := false
	err := guard(func() error {
		b := tx.bolt.Bucket([]byte(bucket))
		if b == nil {
			return nil
		}
		old := b.Get(key)
		if old == nil {
			return nil
		}
		found = true
		l.Count, l.Sum = l.Count-1, l.Sum-uint64(sealed(old))
		return b.Delete(key)
	})
	if err != nil {
		return tx.spoil(fmt.Errorf("delete registry record %s %q: %w", bucket, key, err))
	}
	if found {
		tx.ledger[bucket] = l
		tx.wrote = true
	}
	return nil
}

// putJSON stores v as JSON.
func (tx *Tx) putJSON(bucket, key string, v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode registry record %s %q: %w", bucket, key, err)
	}
	return tx.put(bucket, []byte(key), content)
}

// scan walks a bucket; fn runs outside the guard, so its own panics stay its own.
func (tx *Tx) scan(bucket string, from []byte, reverse bool, fn func(k, v []byte) bool) {
	var c *bbolt.Cursor
	var k, raw []byte
	move := func(step func()) bool {
		if err := guard(func() error { step(); return nil }); err != nil {
			tx.damaged(err)
			return false
		}
		return k != nil
	}
	start := func() {
		if b := tx.bolt.Bucket([]byte(bucket)); b != nil {
			c = b.Cursor()
			k, raw = seek(c, from, reverse)
		}
	}
	next := func() {
		if reverse {
			k, raw = c.Prev()
		} else {
			k, raw = c.Next()
		}
	}
	for ok := move(start); ok; ok = move(next) {
		content, err := unseal(bucket, k, raw)
		if err != nil {
			tx.damaged(err)
			return
		}
		if !fn(k, content) {
			return
		}
	}
}

// seek places a cursor for a scan.
func seek(c *bbolt.Cursor, from []byte, reverse bool) (k, v []byte) {
	switch {
	case len(from) == 0 && reverse:
		return c.Last()
	case len(from) == 0:
		return c.First()
	}
	k, v = c.Seek(from)
	if !reverse || bytes.Equal(k, from) {
		return k, v
	}
	if k == nil {
		return c.Last()
	}
	return c.Prev()
}

// finish writes the manifest, as the last thing before the commit.
func (tx *Tx) finish() error {
	content, err := json.Marshal(tx.ledger)
	if err != nil {
		return fmt.Errorf("encode registry manifest: %w", err)
	}
	return guard(func() error {
		b, err := tx.bolt.CreateBucketIfNotExists([]byte(bucketMeta))
		if err != nil {
			return err
		}
		return b.Put([]byte(keyManifest), seal(bucketMeta, []byte(keyManifest), content))
	})
}

// copyLedger gives a write transaction a manifest of its own.
func (m manifest) copyLedger() manifest {
	if m == nil {
		return manifest{}
	}
	return maps.Clone(m)
}

// stale returns the error for an edit of a version that is no longer the stored one.
func stale(noun, id string, had, have uint64, current any) error {
	if had == 0 || had == have {
		return nil
	}
	return &greenhouse.StaleError{Noun: noun, ID: id, Had: had, Have: have, Current: current}
}
