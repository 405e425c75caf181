package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"greenhouse"
	"greenhouse/actuation"
	"greenhouse/automation"
	"greenhouse/broker"
	"greenhouse/fleet"
	"greenhouse/journal"
	"greenhouse/pki"
	"greenhouse/server"
	"greenhouse/store"
	"greenhouse/telemetry"
	"greenhouse/wire"
)

// stopTime bounds an orderly stop.
const stopTime = 9 * time.Second

// Daemon is one greenhouse, running. Make one with [New].
type Daemon struct {
	opts Options
	log  *slog.Logger

	store     *store.Store
	journal   *journal.Journal
	telemetry *telemetry.Engine
	actuators *actuation.Controller
	loop      *automation.Loop
	presence  *fleet.Presence
	pending   *fleet.Pending
	configs   *fleet.Configs
	broker    *broker.Broker
	server    *server.Server
	authority *pki.Authority
	mqttTLS   *tls.Config
	apiTLS    *tls.Config

	control    *control
	remembered remembered
	raised     conditionsSeen
	calRaised  map[greenhouse.PointID]bool    // points whose calibration was told of; of keep's goroutine
	told       map[greenhouse.PointID]telling // of changes of level; one flush after the other owns it

	refreshing sync.Mutex      // one refresh at a time, so that none brings back what is past
	refreshed  *store.Registry // the registry of the last refresh, under refreshing

	inbox   *inbox
	inbound *inbound
	clerk   *clerk
	clock   *clockWatch
	reserve *reserve
	epoch   atomic.Uint64 // of the commands of this run; a node may raise it
	fences  fences

	ctx       context.Context // ends when the stop begins
	cancel    context.CancelFunc
	work      sync.WaitGroup // goroutines that decide and keep house
	serving   sync.WaitGroup // goroutines that listen
	teardown  teardown
	stopping  sync.Once
	stopped   error
	ready     atomic.Bool
	progress  atomic.Pointer[time.Time] // when a cycle last decided anything; nil: never
	listening atomic.Int32              // MQTT listeners
	addresses atomic.Pointer[[]string]  // of the MQTT listeners, as URLs
	failed    chan error                // a listener ended by itself
}

// New opens everything that can fail: the registry with its lock, the history,
// the listeners. It accepts nobody yet. On an error nothing stays open.
func New(ctx context.Context, o Options) (_ *Daemon, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	d := &Daemon{opts: o, log: o.Log, clock: newClockWatch(&o), reserve: newReserve(o.DataDir, o.Log), failed: make(chan error, 1), told: map[greenhouse.PointID]telling{}}
	d.ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			d.cancel()
			err = errors.Join(err, d.teardown.run(context.WithoutCancel(ctx), d.log))
		}
	}()
	for _, open := range []func() error{d.openStore, d.openTLS, d.openJournal, d.openTelemetry, d.openFleet, d.openActuation, d.openInbound, d.openBroker, d.openLoop, d.openServer} {
		if err := open(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// openStore opens the registry, which locks the data directory, and takes a new
// epoch: commands of any earlier run are fenced off from now on.
func (d *Daemon) openStore() error {
	s, err := store.Open(store.Options{Path: filepath.Join(d.opts.DataDir, "registry.db"), Now: d.opts.Now, Log: d.log, NoSync: d.opts.NoSync, OpenFile: d.opts.Faults.OpenFile,
		ConfigHash: func(n *greenhouse.Node) string { _, hash := wire.HashConfig(wire.ConfigBodyOf(n)); return hash }})
	if err != nil {
		return err
	}
	d.store = s
	d.teardown.push("registry", func(context.Context) error { return s.Close() })
	if err := d.recallClock(); err != nil {
		d.log.Error("what was known of the clock is lost", "error", err)
	}
	return s.Update(func(tx *store.Tx) error {
		epoch, err := tx.NextEpoch()
		d.epoch.Store(epoch)
		return err
	})
}

func (d *Daemon) openJournal() (err error) {
	if d.journal, err = journal.New(ledger{d.store}, d.opts.Now); err != nil {
		return err
	}
	d.clerk = newClerk(d.journal, d.log)
	d.teardown.push("clerk", func(context.Context) error { d.clerk.Close(); return nil })
	started := greenhouse.Event{Code: "daemon_started", Detail: detail("version", d.opts.Version, "epoch", d.epoch.Load())}
	if err := d.noteRecovery(); err != nil {
		return err
	}
	return d.journal.Record(started)
}

// noteRecovery tells of a registry that had to be restored from a snapshot, once:
// an alarm that stays until somebody acknowledges it, and an event.
func (d *Daemon) noteRecovery() error {
	r := d.store.Recovered()
	if r == nil {
		return nil
	}
	raised := greenhouse.Condition{Source: greenhouse.SiteSource, Code: "registry_restored", Severity: greenhouse.Critical, Active: true,
		Text: "the registry was damaged and the newest good snapshot was taken: check what changed since"}
	over := raised
	over.Active = false
	if err := d.journal.Observe(raised, over); err != nil {
		return err
	}
	return d.store.Update(func(tx *store.Tx) error {
		if _, err := d.journal.Append(tx, greenhouse.Event{Code: "registry_recovered", Detail: detail("reason", r.Reason, "quarantined", r.Quarantined, "snapshot", r.Snapshot, "snapshot_at", r.SnapshotAt)}); err != nil {
			return err
		}
		return tx.ForgetRecovery()
	})
}

func (d *Daemon) openTelemetry() error {
	e, err := telemetry.Open(telemetry.Options{
		Dir: filepath.Join(d.opts.DataDir, "telemetry"), Now: d.opts.Now, ClockTrusted: d.clock.Trusted, Log: d.log, Linger: d.opts.Linger,
		Retention: d.opts.Retention, TrendRetention: d.opts.TrendRetention, RollupRetention: d.opts.RollupRetention, Rate: d.isRate, OnDrop: d.dropped, MaxBytes: d.opts.HistoryMaxBytes, MinFree: d.opts.HistoryMinFree,
		Free: d.reserve.free, Tests: d.sensorTests, StaleAfter: d.staleAfter,
		Trend: func(p greenhouse.PointID) bool { return greenhouse.Trend(p.Name()) }, Uptime: uptime(), OnRestamp: d.restamped, OnCommit: d.committed, OnPressure: d.pressed, Disk: d.opts.Faults.Disk,
	})
	if err != nil {
		return err
	}
	d.telemetry = e
	d.teardown.push("history", e.Close)
	return nil
}

// sensorTests returns what the readings of a point must pass: the tests of its
// name, in its own range.
func (d *Daemon) sensorTests(id greenhouse.PointID) greenhouse.SensorTests {
	t := greenhouse.SensorTestsOf(id.Name())
	if p, known := d.store.Registry().Points[id]; known {
		if p.Min != nil {
			t.Min = *p.Min
		}
		if p.Max != nil {
			t.Max = *p.Max
		}
	}
	return t
}

// staleAfter returns how long a point may be silent before that is a gap in its
// history: a sensor of a node in service, by its interval. A node's own points
// follow from its presence, and nobody waits for an output to be told.
func (d *Daemon) staleAfter(id greenhouse.PointID) time.Duration {
	reg := d.store.Registry()
	p, known := reg.Points[id]
	if !known || p.Kind != greenhouse.Sensor || p.Node == "" {
		return 0
	}
	n, known := reg.Nodes[p.Node]
	if !known || n.State == greenhouse.NodeDecommissioned || n.State == greenhouse.NodeMaintenance {
		return 0
	}
	if z, known := reg.Zones[p.Zone]; known && z.Control.StaleAfterS > 0 {
		return time.Duration(z.Control.StaleAfterS) * time.Second
	}
	tests := greenhouse.SensorTestsOf(p.Name)
	return tests.StaleAfter(time.Duration(n.IntervalS) * time.Second)
}

// dropped journals what was deleted of the history, and why.
func (d *Daemon) dropped(x telemetry.Dropped) {
	d.clerk.event(greenhouse.Event{TS: greenhouse.MillisOf(d.opts.Now()), Code: "history_dropped", Source: greenhouse.SiteSource,
		Detail: detail("day", x.Day.Time().Format(time.DateOnly), "what", x.What, "why", x.Why, "summaries_kept", x.Kept, "bytes", x.Bytes)})
}

// isRate reports whether a point's values add up to something over time. Nobody
// knows that of a point that was deleted.
func (d *Daemon) isRate(id greenhouse.PointID) bool {
	p, known := d.store.Registry().Point(id)
	if !known {
		return true
	}
	_, _, ok := greenhouse.Integral(p.Unit)
	return ok
}

// pressed hears how full the telemetry queue is. The alarm takes a path that
// does not depend on the history.
func (d *Daemon) pressed(p telemetry.Pressure) {
	d.clerk.observe(
		greenhouse.Condition{Source: greenhouse.SiteSource, Code: "telemetry_queue_strain", Severity: greenhouse.Warning, Active: p >= telemetry.Strain, Text: "the telemetry queue is 70 % full: senders are being slowed"},
		greenhouse.Condition{Source: greenhouse.SiteSource, Code: "telemetry_queue_heavy", Severity: greenhouse.Critical, Active: p >= telemetry.Heavy, Text: "the telemetry queue is 90 % full: QoS 0 readings are being dropped, each with a gap record"})
}

func (d *Daemon) openInbound() error {
	d.inbox = newInbox(d.store.Update, d.journal.Observe)
	d.inbound = newInbound(d)
	d.teardown.push("inbox", func(context.Context) error { d.inbox.Close(); return nil })
	return nil
}

func (d *Daemon) openBroker() error {
	b, err := broker.New(broker.Options{Auth: access{d.store, d.inbox, d.refusedLogin}, Handler: d.inbound, Log: d.log, Now: d.opts.Now, Limits: d.opts.Broker, Retain: []string{"gh/n/+/status"}})
	if err != nil {
		return err
	}
	d.broker = b
	d.teardown.push("broker", func(ctx context.Context) error {
		for _, l := range d.opts.MQTTListeners { // also those that never served
			_ = l.Close()
		}
		return b.Close(ctx)
	})
	return d.retain()
}

// retain supplies what subscribers find before anybody has spoken: that a node is
// not known to be there, for nothing it said before a restart is repeated, and
// the configuration it should have.
func (d *Daemon) retain() error {
	for uid, n := range d.store.Registry().Nodes {
		if n.State == greenhouse.NodeDecommissioned {
			continue
		}
		if err := d.broker.SetRetained(wire.NodeTopic(wire.KindStatus, uid).String(), offline()); err != nil {
			return err
		}
		config, err := configOf(n)
		if err != nil {
			return err
		}
		if err := d.broker.SetRetained(wire.NodeTopic(wire.KindConfig, uid).String(), config); err != nil {
			return err
		}
	}
	return nil
}

// Start accepts nodes and clients and begins to decide. When it returns nil the
// daemon is ready. Call it once.
func (d *Daemon) Start(context.Context) error {
	if err := d.listenAPI(); err != nil {
		return err
	}
	if err := d.listenMQTT(); err != nil {
		return err
	}
	d.teardown.push("equipment counters", func(context.Context) error { return errors.Join(d.saveWear(), d.journal.KeepDecisions()) })
	d.teardown.push("actuators", d.stopActuators)
	d.teardown.push("decisions", func(ctx context.Context) error {
		d.cancel()
		return waitFor(ctx, &d.work)
	})
	for _, run := range []func(context.Context){d.configs.Run, d.actuators.Run, d.loop.Run, d.watch, d.keep} {
		d.work.Go(func() { run(d.ctx) })
	}
	if v := d.clock.judged.Load(); v.State != greenhouse.ClockSynced {
		d.tellClock(*v, "")
	}
	d.ready.Store(true)
	d.log.Info("ready", "version", d.opts.Version, "data", d.opts.DataDir, "mqtt", d.opts.MQTTListen, "api", d.opts.APISocket, "epoch", d.epoch.Load())
	return nil
}

// stopActuators brings the equipment to its safe levels. A node that does not
// answer must not use up the time of all that has to be closed after it.
func (d *Daemon) stopActuators(ctx context.Context) error {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/2)
		defer cancel()
	}
	return d.actuators.Shutdown(ctx)
}

// waitFor waits for goroutines to end, as long as ctx allows.
func waitFor(ctx context.Context, group *sync.WaitGroup) error {
	ended := make(chan struct{})
	go func() {
		group.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for goroutines: %w", context.Cause(ctx))
	}
}

// Stop takes everything down within ten seconds: no new decisions, actuators
// safe, listeners closed, what was received committed, files closed. Calling it
// again, at the same time too, waits for the first call and returns what it did.
func (d *Daemon) Stop(ctx context.Context) error {
	d.stopping.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, stopTime)
		defer cancel()
		d.ready.Store(false)
		d.stopped = d.teardown.run(ctx, d.log)
		d.cancel()
		d.stopped = errors.Join(d.stopped, waitFor(ctx, &d.serving))
	})
	return d.stopped
}

// Run starts the daemon, tells systemd, and stops it when ctx ends or a listener
// fails.
func Run(ctx context.Context, o Options) error {
	d, err := New(ctx, o)
	if err != nil {
		return err
	}
	err = d.Start(ctx)
	if err == nil {
		notify(d.log, daemon.SdNotifyReady)
		select {
		case <-ctx.Done():
			d.log.Info("stopping")
		case err = <-d.failed:
		}
		notify(d.log, daemon.SdNotifyStopping)
	}
	return errors.Join(err, d.Stop(context.WithoutCancel(ctx)))
}

// notify tells systemd, if it is there.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd not told", "state", state, "error", err)
	}
}

// listenMQTT opens the listeners for nodes.
func (d *Daemon) listenMQTT() error {
	var addresses []string
	serve := func(name string, l net.Listener, run func() error) {
		if l.Addr().Network() == "tcp" { // others are in memory
			addresses = append(addresses, name+"://"+l.Addr().String())
			shown := slices.Clone(addresses)
			d.addresses.Store(&shown)
		}
		d.listening.Add(1)
		d.log.Info("nodes may connect", "listener", name, "address", l.Addr().String())
		d.serving.Go(func() {
			defer d.listening.Add(-1)
			if err := run(); err != nil {
				d.fail(fmt.Errorf("serve %s: %w", name, err))
			}
		})
	}
	for _, l := range d.opts.MQTTListeners {
		serve("mqtt", l, func() error { return d.broker.Serve(l) })
	}
	if d.opts.MQTTListen != "" {
		l, err := listen("mqtt.listen", "tcp", d.opts.MQTTListen)
		if err != nil {
			return err
		}
		serve("mqtt", l, func() error { return d.broker.Serve(l) })
	}
	if d.opts.MQTTSListen != "" {
		l, err := listen("mqtt.tls_listen", "tcp", d.opts.MQTTSListen)
		if err != nil {
			return err
		}
		serve("mqtts", l, func() error { return d.broker.ServeTLS(l, d.mqttTLS) })
	}
	return nil
}

// fail notes that a listener ended by itself; the first one ends [Run].
func (d *Daemon) fail(err error) {
	select {
	case d.failed <- err:
	default:
	}
}

// listen opens a listener, or says which key to change.
func listen(key, network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	if err == nil {
		return l, nil
	}
	e := greenhouse.Unavailable("listen_failed", "%s %s cannot be opened: %v", key, address, errors.Unwrap(err))
	switch {
	case isInUse(err):
		return nil, e.WithHint("another program listens there (ss -tlnp shows which); choose another address for %s", key)
	case os.IsPermission(err):
		return nil, e.WithHint("ports below 1024 and system directories need more rights; choose another for %s", key)
	}
	return nil, e
}
