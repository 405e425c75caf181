package server

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/journal"
	"greenhouse/store"
)

// write is one change under way: the transaction, and who makes it and why.
type write struct {
	tx     *store.Tx
	by     caller
	reason string
	now    greenhouse.Millis
	events []greenhouse.Event
	after  []func()
}

// audit is the detail of every event that a person caused.
type audit struct {
	From    string                     `json:"from"`
	Reason  string                     `json:"reason,omitempty"`
	Version json.RawMessage            `json:"version,omitempty"` // of the record afterwards
	Before  map[string]json.RawMessage `json:"before,omitempty"`
	After   map[string]json.RawMessage `json:"after,omitempty"`
	More    any                        `json:"more,omitempty"`
}

// event records what the change does; it gets its number in the transaction.
// before and after are the record, nil where there is none; of them only what
// differs is kept.
func (w *write) event(code string, source greenhouse.Source, before, after, more any) {
	a := audit{From: w.by.from, Reason: w.reason, More: more, Version: rawFields(after)["version"]}
	a.Before, a.After = changed(before, after)
	for _, m := range []map[string]json.RawMessage{a.Before, a.After} {
		delete(m, "secret")
		delete(m, "token")
	}
	detail, err := json.Marshal(a)
	if err != nil { // a record that is no JSON: say so rather than lose the event
		detail = []byte(`{"from":"unknown"}`)
	}
	w.events = append(w.events, greenhouse.Event{TS: w.now, Code: code, Source: source, Actor: w.by.actor, Detail: detail})
}

// then has fn called after the commit, not in a dry run.
func (w *write) then(fn func()) { w.after = append(w.after, fn) }

// change runs fn in one write transaction with the events it records, and
// answers what fn returns. See the package documentation for dry runs and keys.
func change[T any](ctx context.Context, s *Server, p WriteParams, op string, request any, fn func(*write) (T, error)) (*out[T], error) {
	reason, err := p.reason()
	if err != nil {
		return nil, err
	}
	key, err := idempotency(ctx, p.Key, op, request)
	if err != nil {
		return nil, err
	}
	answer := &out[T]{}
	var after []func()
	run := func(tx *store.Tx) error {
		tx.As(callerOf(ctx).actor)
		w := &write{tx: tx, by: callerOf(ctx), reason: reason, now: greenhouse.MillisOf(s.now())}
		if found, err := key.replay(tx, &answer.Body); found || err != nil {
			answer.Replayed = "true"
			return err
		}
		body, err := fn(w)
		if err != nil {
			return err
		}
		answer.Body, after = body, w.after
		for _, e := range w.events {
			if _, err := s.Journal.Append(tx, e); err != nil {
				return fmt.Errorf("%s: %w", op, err)
			}
		}
		return key.keep(tx, w.now, body)
	}
	if p.DryRun {
		answer.DryRun = "true"
		if err := s.Store.Try(run); err != nil {
			return nil, s.since(err)
		}
		return answer, nil
	}
	if err := s.Store.Update(run); err != nil {
		return nil, s.since(err)
	}
	for _, f := range after {
		f()
	}
	return answer, nil
}

// reason reads why the change is made.
func (w *WriteParams) reason() (string, error) {
	text, err := url.QueryUnescape(w.Reason)
	if err != nil || len(text) > 500 {
		return "", greenhouse.Invalid("reason_invalid", "the reason must be percent-encoded and at most 500 bytes")
	}
	return text, nil
}

// The buckets of idempotency keys: the answers, and the keys by age.
const (
	bucketKeys   = "api_keys"
	bucketKeyAge = "api_keys_age"
	keyLife      = 24 * time.Hour
	keyPrune     = 16 // old keys dropped with each new one
)

// idemKey is an idempotency key with what it was first used for. The zero value
// stands for none.
type idemKey struct {
	key     []byte
	request string
}

// kept is the answer stored under a key. Secrets are not in it.
type kept struct {
	Request string          `json:"request"`
	At      int64           `json:"at"`
	Body    json.RawMessage `json:"body"`
}

// idempotency reads the key of a request. It counts for one caller only.
func idempotency(ctx context.Context, key, op string, request any) (idemKey, error) {
	if key == "" {
		return idemKey{}, nil
	}
	if len(key) > 128 || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return idemKey{}, greenhouse.Invalid("idempotency_key_invalid", "an idempotency key is up to 128 printable ASCII characters")
	}
	raw, err := json.Marshal(request)
	if err != nil {
		return idemKey{}, fmt.Errorf("idempotency key: %w", err)
	}
	id := sha256.Sum256([]byte(callerOf(ctx).actor + "\x00" + key))
	what := sha256.Sum256(append([]byte(op+"\x00"), raw...))
	return idemKey{key: id[:], request: fmt.Sprintf("%x", what)}, nil
}

// replay answers what was answered before, if the key was used.
func (k idemKey) replay(tx journal.Tx, body any) (bool, error) {
	if k.key == nil {
		return false, nil
	}
	raw := tx.Get(bucketKeys, k.key)
	if raw == nil {
		return false, nil
	}
	var old kept
	if err := json.Unmarshal(raw, &old); err != nil {
		return false, fmt.Errorf("read idempotency key: %w", err)
	}
	if old.Request != k.request {
		return true, greenhouse.Conflict("idempotency_key_reused", "this idempotency key was used for another request").WithHint("make a new key for every request")
	}
	if err := json.Unmarshal(old.Body, body); err != nil {
		return true, fmt.Errorf("read idempotency key: %w", err)
	}
	return true, nil
}

// keep stores the answer, without secrets, and drops some that are a day old.
func (k idemKey) keep(tx journal.Tx, now greenhouse.Millis, body any) error {
	if k.key == nil {
		return nil
	}
	fields := rawFields(body)
	delete(fields, "secret")
	delete(fields, "token")
	text, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("keep idempotency key: %w", err)
	}
	raw, err := json.Marshal(kept{Request: k.request, At: int64(now), Body: text})
	if err != nil {
		return fmt.Errorf("keep idempotency key: %w", err)
	}
	if err := pruneKeys(tx, now); err != nil {
		return err
	}
	age := append(binary.BigEndian.AppendUint64(nil, uint64(now)), k.key...)
	if err := tx.Put(bucketKeyAge, age, []byte{}); err != nil {
		return fmt.Errorf("keep idempotency key: %w", err)
	}
	return tx.Put(bucketKeys, k.key, raw)
}

func pruneKeys(tx journal.Tx, now greenhouse.Millis) error {
	var old [][]byte
	tx.Scan(bucketKeyAge, nil, false, func(k, _ []byte) bool {
		if len(k) < 8 || greenhouse.Millis(binary.BigEndian.Uint64(k)) >= now.Add(-keyLife) || len(old) >= keyPrune {
			return false
		}
		old = append(old, append([]byte{}, k...))
		return true
	})
	for _, k := range old {
		if err := tx.Delete(bucketKeyAge, k); err != nil {
			return fmt.Errorf("prune idempotency keys: %w", err)
		}
		if err := tx.Delete(bucketKeys, k[8:]); err != nil {
			return fmt.Errorf("prune idempotency keys: %w", err)
		}
	}
	return nil
}

// refusals remembers whose refusals were recorded, so that one caller fills the
// journal with one event a minute at most.
type refusals struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// due reports whether a refusal of key is to be recorded at now.
func (r *refusals) due(key string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t, ok := r.last[key]; ok && now.Sub(t) < time.Minute {
		return false
	}
	if len(r.last) >= maxLimiters {
		clear(r.last)
	}
	r.last[key] = now
	return true
}

// refuse records that a caller was refused, in the audit.
func (s *Server) refused(c caller, method, path string, p *api.Problem) {
	if c.actor == "" || !s.refusal.due(c.actor+" "+p.Code, s.now()) {
		return
	}
	detail, err := json.Marshal(audit{From: c.from, More: map[string]string{"method": method, "path": path, "code": p.Code}})
	if err != nil {
		s.log.Error("refusal not recorded", "error", err)
		return
	}
	e := greenhouse.Event{TS: greenhouse.MillisOf(s.now()), Code: "request_refused", Source: greenhouse.Source("client/" + hostOf(c.from)), Actor: c.actor, Detail: detail}
	if err := s.Journal.Record(e); err != nil {
		s.log.Error("refusal not recorded", "error", err)
	}
}
