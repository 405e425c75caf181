package edge

import (
	"context"
	"errors"
	"time"

	"greenhouse"
	"greenhouse/fleet"
	"greenhouse/store"
)

// The periods and bounds of the housekeeping.
const (
	reopenEvery   = 5 * time.Second // tries to reopen a registry that is not trusted
	snapshotEvery = 24 * time.Hour
	keepEvents    = 200_000              // newest, whatever their age
	keepFor       = 400 * 24 * time.Hour // events and decisions
	keepDecisions = 50_000               // newest: some 50 MB of the registry at most
	keepCommands  = 7 * 24 * time.Hour   // terminal ones
	pruneAtOnce   = 1000                 // commands

	longestOverride = 24 * time.Hour // however wrong the clock was at the start
)

// keep does what needs the registry's disk, on a goroutine of its own, so that a
// disk that hangs holds up neither presence nor the watchdog.
func (d *Daemon) keep(ctx context.Context) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	overrides := overrideEnds{}
	snapshot := d.opts.Now().Add(time.Minute)
	var reopened time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-second.C:
			now := d.opts.Now()
			d.reserve.look()
			if d.store.Stats().Unknown {
				if now.Sub(reopened) < reopenEvery {
					continue
				}
				reopened = now
				d.reopen()
				continue
			}
			d.shiftEnds()
			d.expire(overrides.due(d.store.Registry().Overrides, now), now)
		case <-minute.C:
			if d.store.Stats().Unknown {
				continue
			}
			d.eachMinute()
			if now := d.opts.Now(); now.After(snapshot) {
				snapshot = now.Add(snapshotEvery)
				if _, err := d.store.Snapshot(); err != nil {
					d.log.Error("registry not snapshotted", "error", err)
				}
			}
		}
	}
}

// reopen brings back a registry whose last commit failed.
func (d *Daemon) reopen() {
	if err := d.store.Reopen(); err != nil {
		d.log.Error("registry not reopened", "error", err)
		return
	}
	if err := d.journal.Reload(); err != nil {
		d.log.Error("journal not reloaded", "error", err)
	}
	if err := d.noteRecovery(); err != nil {
		d.log.Error("restoration not journalled", "error", err)
	}
	d.clerk.event(greenhouse.Event{Code: "registry_reopened", Source: greenhouse.SiteSource})
	d.refresh()
}

// overrideEnds remembers when overrides end in monotonic time: a step of the wall
// clock neither ends one early nor prolongs it. After a restart the wall clock is
// all there is.
type overrideEnds map[greenhouse.PointID]overrideEnd

type overrideEnd struct {
	override greenhouse.Override
	at       time.Time
}

// due takes the overrides there are and returns those whose time is over.
func (e overrideEnds) due(now map[greenhouse.PointID]*greenhouse.Override, at time.Time) []greenhouse.Override {
	for p := range e {
		if now[p] == nil {
			delete(e, p)
		}
	}
	var over []greenhouse.Override
	for p, o := range now {
		end, known := e[p]
		if !known || end.override != *o {
			end = overrideEnd{*o, at.Add(min(o.ExpiresAt.Sub(greenhouse.MillisOf(at)), longestOverride))}
			e[p] = end
		}
		if !at.Before(end.at) {
			over = append(over, *o)
		}
	}
	return over
}

// expire ends overrides, with their events, unless somebody replaced them
// meanwhile.
func (d *Daemon) expire(over []greenhouse.Override, now time.Time) {
	if len(over) == 0 {
		return
	}
	err := d.store.Update(func(tx *store.Tx) error {
		for _, o := range over {
			if standing := tx.Registry().Overrides[o.Point]; standing == nil || *standing != o {
				continue
			}
			if _, err := tx.ReleaseOverride(o.Point); err != nil {
				return err
			}
			e := greenhouse.Event{TS: greenhouse.MillisOf(now), Code: "override_expired", Source: greenhouse.PointSource(o.Point), Detail: detail("value", o.Value, "by", o.By, "reason", o.Reason)}
			if _, err := d.journal.Append(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.log.Error("overrides not ended; actuation ignores them by their time", "error", err)
	}
}

// eachMinute saves the equipment counters, brings recipes on and nodes to their
// lifecycle state, looks after the certificate and prunes.
func (d *Daemon) eachMinute() {
	d.clock.Read(d.opts.Now())
	if err := d.saveWear(); err != nil {
		d.log.Error("equipment counters not saved", "error", err)
	}
	if err := d.journal.KeepDecisions(); err != nil {
		d.log.Error("reasons of decisions not kept yet", "error", err)
	}
	if err := d.grow(); err != nil {
		d.log.Error("recipes not brought on", "error", err)
	}
	if err := d.lifecycle(); err != nil {
		d.log.Error("lifecycle of nodes not moved", "error", err)
	}
	d.calibrations()
	d.renewTLS()
	if !d.clock.Trusted() {
		return
	}
	now, oldest := greenhouse.MillisOf(d.opts.Now()), greenhouse.Millis(0)
	if d.clock.Ages(d.opts.Now()) { // else by number alone: a clock that leapt by a year would empty the journal
		oldest = now.Add(-keepFor)
	}
	_, err := d.journal.Prune(oldest, keepEvents)
	_, err2 := d.journal.PruneDecisions(oldest, keepDecisions)
	if err := errors.Join(err, err2); err != nil {
		d.log.Error("journal not pruned", "error", err)
	}
	err = d.store.Update(func(tx *store.Tx) error {
		_, err := tx.PruneCommands(now.Add(-keepCommands), pruneAtOnce)
		return err
	})
	if err != nil {
		d.log.Error("commands not pruned", "error", err)
	}
}

// lifecycle moves nodes between assigned, active and degraded as their health
// asks, all in one transaction.
func (d *Daemon) lifecycle() error {
	type move struct {
		uid greenhouse.UID
		to  greenhouse.NodeState
		why string
	}
	var moves []move
	for uid, n := range d.store.Registry().Nodes {
		h := d.presence.Health(uid)
		h.Trouble = d.configs.Trouble(uid)
		if to, why, ok := fleet.Propose(n.State, h); ok {
			moves = append(moves, move{uid, to, why})
		}
	}
	if len(moves) == 0 {
		return nil
	}
	return d.store.Update(func(tx *store.Tx) error {
		for _, m := range moves {
			if _, err := tx.Node(m.uid); err != nil {
				continue // gone meanwhile
			}
			if changed, err := tx.SetNodeState(m.uid, m.to); err != nil || !changed {
				if err != nil {
					return err
				}
				continue
			}
			if _, err := d.journal.Append(tx, greenhouse.Event{Code: "node_" + string(m.to), Source: greenhouse.NodeSource(m.uid), Detail: detail("why", m.why)}); err != nil {
				return err
			}
		}
		return nil
	})
}
