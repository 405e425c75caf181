package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"greenhouse"
)

// The buckets of this room.
const (
	bucketEvents = "events" // by number, big endian
	bucketAlarms = "alarms" // by id
)

const (
	maxPage    = 1000     // events a call of Since returns at most
	pruneChunk = 1000     // events removed in one transaction
	maxDetail  = 64 << 10 // bytes of an event's detail
)

var codePattern = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)+$`)

// Reader is what reading needs of a transaction.
type Reader interface {
	// Get returns a copy of the value of key, nil if there is none.
	Get(bucket string, key []byte) []byte
	// Scan calls fn for records in key order, or backwards, beginning at from
	// (nil: at the end of the bucket on that side), until fn returns false.
	Scan(bucket string, from []byte, reverse bool, fn func(k, v []byte) bool)
}

// Writer is what writing needs of a transaction.
type Writer interface {
	Put(bucket string, key, value []byte) error
	Delete(bucket string, key []byte) error
	// Sequence returns the next number of a bucket, from 1, without gaps.
	Sequence(bucket string) (uint64, error)
	// OnCommit has fn called after the commit, in the order of commits.
	OnCommit(fn func())
}

// Tx is a transaction: everything in it is of one moment, and is committed
// together or not at all.
type Tx interface {
	Reader
	Writer
}

// DB runs transactions: any number of views, one update at a time.
type DB interface {
	View(fn func(Tx) error) error
	Update(fn func(Tx) error) error
}

// Journal is the event log and the alarms.
type Journal struct {
	db  DB
	now func() time.Time

	last atomic.Uint64 // number of the newest committed event

	wake struct { // watchers wait for ch to close
		sync.Mutex
		ch chan struct{}
	}

	alarms    alarmBook
	decisions waiting
}

// New reads the alarms and the newest number from db. now tells the time of
// events that carry none.
func New(db DB, now func() time.Time) (*Journal, error) {
	j := &Journal{db: db, now: now}
	j.wake.ch = make(chan struct{})
	if err := j.Reload(); err != nil {
		return nil, err
	}
	return j, nil
}

// Reload reads the alarms and the newest number again. Call it after the
// registry was reopened: it may have been restored from a snapshot.
func (j *Journal) Reload() error {
	err := j.db.View(func(tx Tx) error {
		tx.Scan(bucketEvents, nil, true, func(k, _ []byte) bool {
			j.last.Store(seqOf(k))
			return false
		})
		return j.alarms.load(tx)
	})
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	j.broadcast()
	return nil
}

// Append numbers an event and stores it in the transaction that causes it. TS 0
// becomes now, an empty source the site, an empty actor "edged". The code is
// noun_verb in snake_case, the detail a JSON value of at most 64 KiB; secrets in
// it are blacked out. The number is good only if the transaction commits.
func (j *Journal) Append(tx Tx, e greenhouse.Event) (uint64, error) {
	if err := complete(&e, j.now()); err != nil {
		return 0, err
	}
	seq, err := tx.Sequence(bucketEvents)
	if err != nil {
		return 0, fmt.Errorf("number event %s: %w", e.Code, err)
	}
	e.Seq = seq
	body, err := json.Marshal(e)
	if err != nil {
		return 0, fmt.Errorf("encode event %s: %w", e.Code, err)
	}
	link := chain(newest(tx), body)
	if err := tx.Put(bucketEvents, keyOf(seq), append(link, body...)); err != nil {
		return 0, fmt.Errorf("store event %s: %w", e.Code, err)
	}
	tx.OnCommit(func() { j.committed(seq) })
	return seq, nil
}

// Record stores events in a transaction of their own, in the order given.
func (j *Journal) Record(events ...greenhouse.Event) error { return j.RecordAll(events, nil) }

// RecordAll stores events, and the decisions that some of them tell of, in a
// transaction of their own.
func (j *Journal) RecordAll(events []greenhouse.Event, decisions []greenhouse.Verdict) error {
	if len(events)+len(decisions) == 0 {
		return nil
	}
	return j.db.Update(func(tx Tx) error {
		for _, e := range events {
			if _, err := j.Append(tx, e); err != nil {
				return err
			}
		}
		for _, v := range decisions {
			if err := j.Decide(tx, v); err != nil {
				return err
			}
		}
		return nil
	})
}

// complete fills in what was left out of an event and checks the rest.
func complete(e *greenhouse.Event, now time.Time) error {
	if !codePattern.MatchString(e.Code) || len(e.Code) > 64 {
		return greenhouse.Invalid("event_code_invalid", "event code %q is not a noun_verb in snake_case", e.Code)
	}
	if e.TS == 0 {
		e.TS = greenhouse.MillisOf(now)
	}
	if e.Source == "" {
		e.Source = greenhouse.SiteSource
	}
	if e.Actor == "" {
		e.Actor = "edged"
	}
	if len(e.Detail) == 0 {
		return nil
	}
	if len(e.Detail) > maxDetail || !json.Valid(e.Detail) {
		return greenhouse.Invalid("event_detail_invalid", "the detail of event %s is not a JSON value of at most 64 KiB", e.Code)
	}
	e.Detail = blackOut(e.Detail)
	return nil
}

// committed makes an event visible and wakes the watchers.
func (j *Journal) committed(seq uint64) {
	j.last.Store(seq)
	j.broadcast()
}

// broadcast wakes all watchers.
func (j *Journal) broadcast() {
	j.wake.Lock()
	defer j.wake.Unlock()
	close(j.wake.ch)
	j.wake.ch = make(chan struct{})
}

// waiting returns a channel that closes at the next commit of an event.
func (j *Journal) waiting() <-chan struct{} {
	j.wake.Lock()
	defer j.wake.Unlock()
	return j.wake.ch
}

// Last returns the number of the newest event on disk, 0 if there is none.
func (j *Journal) Last() uint64 { return j.last.Load() }

// Since returns the events after number seq, oldest first, at most limit of
// them (0 or more than 1,000 means 1,000). What Prune removed is not there any more.
func (j *Journal) Since(seq uint64, limit int) ([]greenhouse.Event, error) {
	if limit <= 0 || limit > maxPage {
		limit = maxPage
	}
	last := j.Last()
	events := []greenhouse.Event{}
	if seq >= last {
		return events, nil
	}
	var bad error
	err := j.db.View(func(tx Tx) error {
		tx.Scan(bucketEvents, keyOf(seq+1), false, func(k, v []byte) bool {
			if seqOf(k) > last { // committed while we read, perhaps not synced yet
				return false
			}
			e, err := decodeEvent(k, v)
			if err != nil {
				bad = err
				return false
			}
			events = append(events, e)
			return len(events) < limit
		})
		return bad
	})
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return events, nil
}

// Latest returns the newest events, newest first, at most limit of them.
func (j *Journal) Latest(limit int) ([]greenhouse.Event, error) {
	limit = min(max(limit, 1), maxPage)
	last := j.Last()
	events := []greenhouse.Event{}
	if last == 0 {
		return events, nil
	}
	var bad error
	err := j.db.View(func(tx Tx) error {
		tx.Scan(bucketEvents, keyOf(last), true, func(k, v []byte) bool {
			var e greenhouse.Event
			if e, bad = decodeEvent(k, v); bad != nil {
				return false
			}
			events = append(events, e)
			return len(events) < limit
		})
		return bad
	})
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return events, nil
}

// Watch yields every event after number since, those on disk and then each as
// it is committed, until ctx ends or the caller stops. Nothing is skipped. An
// error of reading is yielded once and ends it; go on with the number seen last.
func (j *Journal) Watch(ctx context.Context, since uint64) iter.Seq2[greenhouse.Event, error] {
	return func(yield func(greenhouse.Event, error) bool) {
		for ctx.Err() == nil {
			woken := j.waiting() // before reading: a commit in between is not missed
			events, err := j.Since(since, maxPage)
			if err != nil {
				yield(greenhouse.Event{}, err)
				return
			}
			for _, e := range events {
				if ctx.Err() != nil || !yield(e, nil) {
					return
				}
				since = e.Seq
			}
			if len(events) > 0 {
				continue
			}
			select {
			case <-woken:
			case <-ctx.Done():
			}
		}
	}
}

// Prune removes the events from before an instant and, if keep is above 0, all
// but the newest keep, in transactions of at most 1,000. It also forgets alarms
// that are cleared, acknowledged and were last seen before that instant. It
// returns how many events it removed. The newest event always stays, for the
// numbering and the chain go on from it.
func (j *Journal) Prune(before greenhouse.Millis, keep int) (int, error) {
	removed := 0
	for {
		n, err := j.pruneSome(before, keep)
		removed += n
		if err != nil || n < pruneChunk {
			if err == nil {
				err = j.pruneAlarms(before)
			}
			return removed, err
		}
	}
}

// pruneSome removes one chunk.
func (j *Journal) pruneSome(before greenhouse.Millis, keep int) (int, error) {
	last := j.Last()
	var gone [][]byte
	err := j.db.View(func(tx Tx) error {
		var bad error
		tx.Scan(bucketEvents, nil, false, func(k, v []byte) bool {
			var e greenhouse.Event
			if e, bad = decodeEvent(k, v); bad != nil {
				return false
			}
			surplus := keep > 0 && e.Seq+uint64(keep) <= last
			if e.Seq >= last || e.TS >= before && !surplus {
				return false
			}
			gone = append(gone, bytes.Clone(k))
			return len(gone) < pruneChunk
		})
		return bad
	})
	if err != nil || len(gone) == 0 {
		return 0, err
	}
	err = j.db.Update(func(tx Tx) error {
		for _, k := range gone {
			if err := tx.Delete(bucketEvents, k); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("prune journal: %w", err)
	}
	return len(gone), nil
}

// broken is the error for an event that does not fit the chain.
func broken(k []byte, how string) error {
	return greenhouse.Unavailable("journal_broken", "event %d %s: the journal was changed from outside, or the disk is failing", seqOf(k), how).
		WithHint("compare with a backup taken before")
}

// chain returns the hash of a record that follows one of hash before.
func chain(before, body []byte) []byte {
	h := sha256.New()
	_, _ = h.Write(before)
	_, _ = h.Write(body)
	return h.Sum(nil)
}

// newest returns the hash of the newest record in the transaction.
func newest(tx Tx) []byte {
	var link []byte
	tx.Scan(bucketEvents, nil, true, func(_, v []byte) bool {
		link = bytes.Clone(v[:min(len(v), sha256.Size)])
		return false
	})
	return link
}

// decodeEvent reads a stored event.
func decodeEvent(k, v []byte) (e greenhouse.Event, err error) {
	if len(v) < sha256.Size {
		return e, broken(k, "is cut off")
	}
	if err := json.Unmarshal(v[sha256.Size:], &e); err != nil {
		return e, fmt.Errorf("decode event %d: %w", seqOf(k), err)
	}
	return e, nil
}

// keyOf and seqOf turn a number into its key and back.
func keyOf(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }
func seqOf(key []byte) uint64 {
	return binary.BigEndian.Uint64(append(make([]byte, 8-min(8, len(key))), key...))
}
