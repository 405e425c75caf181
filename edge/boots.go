package edge

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"greenhouse"
	"greenhouse/store"
)

// A daemon that starts that often without ever ending in order is in a brown-out:
// what it switches on may be what makes the supply break down.
const (
	bootsKept  = 3
	bootWindow = 10 * time.Minute
	settleTime = time.Minute
)

// noteBoot writes this start down and returns from when on equipment may start:
// a minute later, where it was the third within ten minutes and none of them
// ended in order. A wall clock that went back, or is not set, tells of no time
// between them.
func (d *Daemon) noteBoot() (settled time.Time, err error) {
	now := d.opts.Now()
	var boots []greenhouse.Millis
	err = d.store.Update(func(tx *store.Tx) error {
		if raw := tx.Get(bucketWear, []byte("boots")); raw != nil {
			if err := json.Unmarshal(raw, &boots); err != nil {
				boots = nil // as good as none
			}
		}
		boots = append([]greenhouse.Millis{greenhouse.MillisOf(now)}, boots...)
		boots = boots[:min(len(boots), bootsKept)]
		raw, err := json.Marshal(boots)
		return errors.Join(err, tx.Put(bucketWear, []byte("boots"), raw))
	})
	if err != nil || len(boots) < bootsKept {
		return time.Time{}, err
	}
	if since := boots[0].Sub(boots[bootsKept-1]); d.clock.Trusted() && since >= bootWindow {
		return time.Time{}, nil
	}
	d.log.Warn("started again and again; nothing is switched on for a while", "for", settleTime)
	return now.Add(settleTime), nil
}

// noteEnd says that this run ended in order: its start counts for no loop.
func (d *Daemon) noteEnd(context.Context) error {
	return d.store.Update(func(tx *store.Tx) error { return tx.Put(bucketWear, []byte("boots"), []byte("[]")) })
}

// dropOverrides ends the overrides of an earlier run where the clock is not set:
// nobody knows how much of their time is left.
func (d *Daemon) dropOverrides() error {
	if d.clock.Trusted() || len(d.store.Registry().Overrides) == 0 {
		return nil
	}
	return d.store.Update(func(tx *store.Tx) error {
		for p, o := range tx.Registry().Overrides {
			if _, err := tx.ReleaseOverride(p); err != nil {
				return err
			}
			e := greenhouse.Event{TS: greenhouse.MillisOf(d.opts.Now()), Code: "override_expired", Source: greenhouse.PointSource(p),
				Detail: detail("value", o.Value, "by", o.By, "reason", "the daemon restarted and the clock is not set: nobody knows how long it still stands")}
			if _, err := d.journal.Append(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}
