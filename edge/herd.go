package edge

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"greenhouse"
	"greenhouse/fleet"
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
	d.pending, d.calRaised = fleet.NewPending(), map[greenhouse.PointID]bool{}
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
	payload, err := configOf(n)
	if err != nil {
		return 0, err
	}
	err = c.d.broker.Publish(wire.NodeTopic(wire.KindConfig, uid).String(), payload, 1, true)
	if c.d.gone(uid) { // retired meanwhile
		c.d.dropRetained(uid)
	}
	return rev, err
}

// configOf returns the configuration a node should have, as it goes on the wire.
func configOf(n *greenhouse.Node) ([]byte, error) {
	return wire.NewConfig(n.Config.DesiredRev, wire.ConfigBodyOf(n)).Marshal()
}

// offline returns the status of a node that is not there.
func offline() []byte { return []byte(`{"v":1,"online":false}`) }

// conditionsSeen remembers what was last said of each condition, so that only
// changes travel; now and then it forgets, and everything is said again.
type conditionsSeen struct {
	mu   sync.Mutex
	said map[conditionKey]conditionSaid
}

type conditionKey struct {
	source greenhouse.Source
	code   string
}

type conditionSaid struct {
	active   bool
	severity greenhouse.Severity
}

// changed returns the conditions that were not said like this before.
func (c *conditionsSeen) changed(all []greenhouse.Condition) []greenhouse.Condition {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said == nil {
		c.said = map[conditionKey]conditionSaid{}
	}
	var out []greenhouse.Condition
	for _, x := range all {
		k, says := conditionKey{x.Source, x.Code}, conditionSaid{x.Active, x.Severity}
		if was, known := c.said[k]; known && was == says {
			continue
		}
		c.said[k] = says
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

// watchdogDead is how long without any decision the watchdog is fed: twice the
// longest control period there is. By then no decision is fresh enough to act on.
const watchdogDead = 2 * 15 * time.Second

// watch looks every second at what changes by the passing of time, and hands on
// what changed in the registry. It never waits for the disk.
func (d *Daemon) watch(ctx context.Context) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	changed, cancel := d.store.Subscribe()
	defer cancel()
	d.refresh()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
			d.refresh()
		case <-second.C:
			d.eachSecond()
		case <-minute.C:
			d.raised.forget()
		}
	}
}

// refresh hands what changed in the registry to those who keep a copy.
func (d *Daemon) refresh() {
	d.refreshing.Lock()
	defer d.refreshing.Unlock()
	reg := d.store.Registry()
	if reg == d.refreshed {
		return
	}
	d.refreshed = reg
	d.presence.Sync(reg.Nodes, d.opts.Now())
	d.configs.Sync(reg.Nodes)
	d.control.refresh()
	for uid, n := range reg.Nodes {
		if n.State == greenhouse.NodeDecommissioned {
			d.dropRetained(uid)
		}
	}
}

// introduce makes sure that presence knows a node that logs in, for a session it
// is not told of would end unnoticed. Only one that was never heard can be so new.
func (d *Daemon) introduce(uid greenhouse.UID) {
	now := d.opts.Now()
	if _, heard := d.presence.Online(uid, now); heard != 0 {
		return
	}
	d.refreshing.Lock()
	defer d.refreshing.Unlock()
	d.presence.Sync(d.store.Registry().Nodes, now)
}

// eachSecond looks at presence, the clock and the watchdog.
func (d *Daemon) eachSecond() {
	now := d.opts.Now()
	d.refresh() // what follows must know every node that may have come
	d.lookAtClock(now)
	for _, c := range d.presence.Changes(now) {
		d.cameOrWent(c)
	}
	var conds []greenhouse.Condition
	conds = d.presence.Conditions(conds, now)
	conds = d.configs.Conditions(conds)
	conds = d.actuators.Conditions(conds)
	conds = append(conds, d.own()...)
	d.clerk.observe(d.raised.changed(conds)...)
	if at := d.progress.Load(); at != nil && now.Sub(*at) < watchdogDead {
		notify(d.log, daemon.SdNotifyWatchdog)
	}
}

// cameOrWent tells of a node that came or went. Of one that went, the retained
// status says so, whether it had a will or not.
func (d *Daemon) cameOrWent(c fleet.Change) {
	d.configs.Online(c.UID, c.Online)
	code := "node_offline"
	if c.Online {
		code = "node_online"
	}
	d.clerk.event(greenhouse.Event{TS: greenhouse.MillisOf(c.At), Code: code, Source: greenhouse.NodeSource(c.UID), Detail: detail("cause", c.Cause)})
	n, ok := d.store.Registry().Nodes[c.UID]
	if c.Online || !ok || n.State == greenhouse.NodeDecommissioned {
		return
	}
	if err := d.broker.Publish(wire.NodeTopic(wire.KindStatus, c.UID).String(), offline(), 1, true); err != nil {
		d.log.Warn("absence not published", "node", c.UID, "error", err)
	}
}

// knockedLately is how long a device that knocked is worth an alarm.
const knockedLately = time.Hour

// own says what is wrong with the daemon itself.
func (d *Daemon) own() []greenhouse.Condition {
	st, now := d.telemetry.Stats(), d.opts.Now()
	waiting := d.pending.Count(knockedLately, now)
	return append(d.clockConditions(now), []greenhouse.Condition{
		{Source: greenhouse.SiteSource, Code: "devices_pending", Severity: greenhouse.Info, Active: waiting > 0, Text: fmt.Sprintf("%d devices knock and are not let in, or send what nobody declared: greenctl node pending", waiting)},
		{Source: greenhouse.SiteSource, Code: "telemetry_paused", Severity: greenhouse.Critical, Active: st.Paused, Text: "no readings are being stored or acknowledged: " + st.Fault},
		{Source: greenhouse.SiteSource, Code: "telemetry_shedding", Severity: greenhouse.Warning, Active: st.Shedding && !st.Paused, Text: "the disk is filling up: readings that only people look at are not stored"},
		{Source: greenhouse.SiteSource, Code: "disk_full", Severity: greenhouse.Critical, Active: d.reserve.used.Load(), Text: "the disk is full: the room kept for commands, alarms and events is all there is"},
		{Source: greenhouse.SiteSource, Code: "disk_stalled", Severity: greenhouse.Critical, Active: st.Hanging, Text: "the disk does not answer: control goes on from memory, no reading is acknowledged"},
		{Source: greenhouse.SiteSource, Code: "registry_unavailable", Severity: greenhouse.Critical, Active: d.store.Stats().Unknown, Text: "the registry cannot be written; control goes on from memory"},
	}...)
}
