package edge

import (
	"context"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"greenhouse"
	"greenhouse/fleet"
	"greenhouse/store"
	"greenhouse/wire"
)

// openFleet builds presence and the reconciler of configurations.
func (d *Daemon) openFleet() error {
	now := d.opts.Now()
	reg := d.store.Registry()
	d.presence = fleet.NewPresence(fleet.PresenceOptions{}, now)
	d.presence.Sync(reg.Nodes, now)
	for uid := range reg.Nodes {
		if l, ok := d.telemetry.Latest(greenhouse.NodePoint(uid, "online")); ok {
			d.presence.Seen(uid, l.At)
		}
	}
	d.configs = fleet.NewConfigs(fleet.ConfigOptions{Publisher: configs{d}, Now: d.opts.Now, Log: d.log})
	d.configs.Sync(reg.Nodes)
	return nil
}

// configs publishes committed configurations, retained.
type configs struct{ d *Daemon }

// PublishConfig implements fleet.ConfigPublisher.
func (c configs) PublishConfig(uid greenhouse.UID, floor uint64) (uint64, error) {
	n, ok := c.d.store.Registry().Nodes[uid]
	if !ok || n.State == greenhouse.NodeDecommissioned {
		return 0, greenhouse.NotFound("node", string(uid))
	}
	rev := n.Config.DesiredRev
	if rev < floor {
		return rev, greenhouse.Conflict("config_older", "revision %d of %s is older than %d, which went out before", rev, uid, floor)
	}
	payload, err := wire.NewConfig(rev, wire.ConfigBodyOf(n)).Marshal()
	if err != nil {
		return 0, err
	}
	return rev, c.d.broker.Publish(wire.NodeTopic(wire.KindConfig, uid).String(), payload, 1, true)
}

// conditionsSeen remembers what was last said of each condition, so that only
// changes travel; now and then it forgets, and everything is said again.
type conditionsSeen struct {
	mu   sync.Mutex
	said map[conditionKey]bool
}

type conditionKey struct {
	source greenhouse.Source
	code   string
}

// changed returns the conditions that were not said like this before.
func (c *conditionsSeen) changed(all []greenhouse.Condition) []greenhouse.Condition {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said == nil {
		c.said = map[conditionKey]bool{}
	}
	var out []greenhouse.Condition
	for _, x := range all {
		k := conditionKey{x.Source, x.Code}
		if was, known := c.said[k]; known && was == x.Active {
			continue
		}
		c.said[k] = x.Active
		out = append(out, x)
	}
	return out
}

// forget has everything said again.
func (c *conditionsSeen) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.said)
}

// The periods of the housekeeping.
const (
	everySecond   = time.Second
	everyMinute   = time.Minute
	snapshotEvery = 24 * time.Hour
	keepEvents    = 200_000                   // newest, whatever their age
	keepFor       = 400 * 24 * time.Hour      // events and commands
	watchdogDead  = 4 * automationWatchPeriod // without any decision, the watchdog is not fed
)

// automationWatchPeriod is the longest control period there is.
const automationWatchPeriod = 15 * time.Second

// house runs what has to be done now and then until ctx ends.
func (d *Daemon) house(ctx context.Context) {
	second := time.NewTicker(everySecond)
	defer second.Stop()
	minute := time.NewTicker(everyMinute)
	defer minute.Stop()
	changed, cancel := d.store.Subscribe()
	defer cancel()
	snapshot := d.opts.Now().Add(time.Minute)
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
			d.refresh()
		case <-second.C:
			d.eachSecond()
		case <-minute.C:
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

// refresh hands what changed in the registry to those who keep a copy.
func (d *Daemon) refresh() {
	reg := d.store.Registry()
	d.presence.Sync(reg.Nodes, d.opts.Now())
	d.configs.Sync(reg.Nodes)
	d.control.refresh()
}

// eachSecond looks at presence, the clock and the watchdog.
func (d *Daemon) eachSecond() {
	now := d.opts.Now()
	if step := d.clock.Look(now); step != 0 {
		d.log.Warn("the wall clock was stepped", "by", step)
		d.clerk.event(greenhouse.Event{TS: greenhouse.MillisOf(now), Code: "clock_stepped", Source: greenhouse.SiteSource, Detail: detail("by_s", step.Seconds())})
	}
	for _, c := range d.presence.Changes(now) {
		d.configs.Online(c.UID, c.Online)
		code := "node_offline"
		if c.Online {
			code = "node_online"
		}
		d.clerk.event(greenhouse.Event{TS: greenhouse.MillisOf(c.At), Code: code, Source: greenhouse.NodeSource(c.UID), Detail: detail("cause", c.Cause)})
	}
	var conds []greenhouse.Condition
	conds = d.presence.Conditions(conds, now)
	conds = d.configs.Conditions(conds)
	conds = d.actuators.Conditions(conds)
	conds = append(conds, d.own()...)
	d.clerk.observe(d.raised.changed(conds)...)
	d.expireOverrides(now)
	if now.Sub(time.Unix(0, d.progress.Load())) < watchdogDead {
		notify(d.log, daemon.SdNotifyWatchdog)
	}
}

// own says what is wrong with the daemon itself.
func (d *Daemon) own() []greenhouse.Condition {
	st := d.telemetry.Stats()
	return []greenhouse.Condition{
		{Source: greenhouse.SiteSource, Code: "clock_untrusted", Severity: greenhouse.Warning, Active: !d.clock.Trusted(), Text: "the clock is not known to be right: schedules wait, zones are controlled by their sensors alone"},
		{Source: greenhouse.SiteSource, Code: "telemetry_paused", Severity: greenhouse.Critical, Active: st.Paused, Text: "no readings are being stored or acknowledged: " + st.Fault},
		{Source: greenhouse.SiteSource, Code: "registry_unavailable", Severity: greenhouse.Critical, Active: d.store.Stats().Unknown, Text: "the registry cannot be written; control goes on from memory"},
	}
}

// expireOverrides ends the overrides whose time is over. While the clock is not
// trusted none is younger than it says, so they end as well.
func (d *Daemon) expireOverrides(now time.Time) {
	due := false
	for _, o := range d.store.Registry().Overrides {
		due = due || o.ExpiresAt <= greenhouse.MillisOf(now)
	}
	if !due {
		return
	}
	err := d.store.Update(func(tx *store.Tx) error {
		ended, err := tx.ExpireOverrides(greenhouse.MillisOf(now))
		for _, o := range ended {
			if _, err := d.journal.Append(tx, greenhouse.Event{TS: greenhouse.MillisOf(now), Code: "override_expired", Source: greenhouse.PointSource(o.Point), Detail: detail("value", o.Value, "by", o.By, "reason", o.Reason)}); err != nil {
				return err
			}
		}
		return err
	})
	if err != nil {
		d.log.Error("overrides not ended; actuation ignores them by their time", "error", err)
	}
}

// eachMinute repeats what stands, saves the equipment counters, brings nodes to
// their lifecycle state, prunes, and reopens a registry whose last commit failed.
func (d *Daemon) eachMinute() {
	d.raised.forget()
	if d.store.Stats().Unknown {
		if err := d.store.Reopen(); err != nil {
			d.log.Error("registry not reopened", "error", err)
			return
		}
		if err := d.journal.Reload(); err != nil {
			d.log.Error("journal not reloaded", "error", err)
		}
	}
	if err := d.saveWear(); err != nil {
		d.log.Error("equipment counters not saved", "error", err)
	}
	d.lifecycle()
	before := greenhouse.MillisOf(d.opts.Now()).Add(-keepFor)
	if !d.clock.Trusted() {
		return
	}
	if _, err := d.journal.Prune(before, keepEvents); err != nil {
		d.log.Error("journal not pruned", "error", err)
	}
	err := d.store.Update(func(tx *store.Tx) error {
		_, err := tx.PruneCommands(greenhouse.MillisOf(d.opts.Now()).Add(-7*24*time.Hour), 1000)
		return err
	})
	if err != nil {
		d.log.Error("commands not pruned", "error", err)
	}
}

// lifecycle moves nodes between assigned, active and degraded as their health
// asks.
func (d *Daemon) lifecycle() {
	for uid, n := range d.store.Registry().Nodes {
		h := d.presence.Health(uid)
		h.Trouble = d.configs.Trouble(uid)
		to, reason, ok := fleet.Propose(n.State, h)
		if !ok {
			continue
		}
		err := d.store.Update(func(tx *store.Tx) error {
			if changed, err := tx.SetNodeState(uid, to); err != nil || !changed {
				return err
			}
			_, err := d.journal.Append(tx, greenhouse.Event{Code: "node_" + string(to), Source: greenhouse.NodeSource(uid), Detail: detail("why", reason)})
			return err
		})
		if err != nil {
			d.log.Warn("lifecycle not moved", "node", uid, "to", to, "error", err)
		}
	}
}
