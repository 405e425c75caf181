package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
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
	configs   *fleet.Configs
	broker    *broker.Broker
	server    *server.Server

	control *control
	raised  conditionsSeen
	inbox   *inbox
	inbound *inbound
	clerk   *clerk
	clock   *clockWatch
	epoch   uint64

	ctx       context.Context // ends when the stop begins
	cancel    context.CancelFunc
	work      sync.WaitGroup // goroutines of the daemon's own
	teardown  teardown
	ready     atomic.Bool
	progress  atomic.Int64 // when a cycle last decided anything, Unix ns
	listening atomic.Int32 // MQTT listeners
	failed    chan error   // a listener ended by itself
}

// New opens everything that can fail: the registry with its lock, the history,
// the listeners. It accepts nobody yet. On an error nothing stays open.
func New(ctx context.Context, o Options) (_ *Daemon, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	d := &Daemon{opts: o, log: o.Log, clock: newClockWatch(o.ClockTrust, o.Now()), failed: make(chan error, 8)}
	d.ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			d.cancel()
			err = errors.Join(err, d.teardown.run(context.WithoutCancel(ctx), d.log))
		}
	}()
	for _, open := range []func() error{d.openStore, d.openJournal, d.openTelemetry, d.openFleet, d.openActuation, d.openInbound, d.openBroker, d.openLoop, d.openServer} {
		if err := open(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// openStore opens the registry, which locks the data directory, and takes a new
// epoch: commands of any earlier run are fenced off from now on.
func (d *Daemon) openStore() error {
	s, err := store.Open(store.Options{Path: filepath.Join(d.opts.DataDir, "registry.db"), Now: d.opts.Now, Log: d.log, NoSync: d.opts.NoSync,
		ConfigHash: func(n *greenhouse.Node) string { _, hash := wire.HashConfig(wire.ConfigBodyOf(n)); return hash }})
	if err != nil {
		return err
	}
	d.store = s
	d.teardown.push("registry", func(context.Context) error { return s.Close() })
	return s.Update(func(tx *store.Tx) (err error) {
		d.epoch, err = tx.NextEpoch()
		return err
	})
}

func (d *Daemon) openJournal() (err error) {
	if d.journal, err = journal.New(ledger{d.store}, d.opts.Now); err != nil {
		return err
	}
	d.clerk = newClerk(d.journal, d.log)
	d.teardown.push("clerk", func(context.Context) error { d.clerk.Close(); return nil })
	started := greenhouse.Event{Code: "daemon_started", Detail: detail("version", d.opts.Version, "epoch", d.epoch)}
	if r := d.store.Recovered(); r != nil {
		d.clerk.pulse(greenhouse.Condition{Source: greenhouse.SiteSource, Code: "registry_restored", Severity: greenhouse.Critical, Active: true,
			Text: "the registry was damaged and the newest good snapshot was taken: check what changed since"})
	}
	return d.journal.Record(started)
}

func (d *Daemon) openTelemetry() error {
	e, err := telemetry.Open(telemetry.Options{
		Dir: filepath.Join(d.opts.DataDir, "telemetry"), Now: d.opts.Now, ClockTrusted: d.clock.Trusted, Log: d.log, Linger: d.opts.Linger,
		Retention: d.opts.Retention, MaxBytes: d.opts.HistoryMaxBytes, MinFree: d.opts.HistoryMinFree,
		Plausible: d.plausible, StaleAfter: d.staleAfter, OnCommit: d.committed, OnPressure: d.pressed,
	})
	if err != nil {
		return err
	}
	d.telemetry = e
	d.teardown.push("history", e.Close)
	return nil
}

// plausible returns the range a point's values should lie in: its own, else that
// of its standard name.
func (d *Daemon) plausible(id greenhouse.PointID) (lo, hi float64, ok bool) {
	spec, standard := greenhouse.StandardChannel(id.Name())
	if diag, is := greenhouse.NodeDiagnostic(id.Name()); !standard && is {
		spec, standard = diag, true
	}
	lo, hi = spec.Min, spec.Max
	if p, known := d.store.Registry().Points[id]; known {
		if p.Min != nil {
			lo = *p.Min
		}
		if p.Max != nil {
			hi = *p.Max
		}
		standard = standard || p.Min != nil && p.Max != nil
	}
	return lo, hi, standard
}

// pressed hears how full the telemetry queue is. The alarm takes a path that
// does not depend on the history.
func (d *Daemon) pressed(p telemetry.Pressure) {
	if d.clerk == nil {
		return
	}
	d.clerk.observe(
		greenhouse.Condition{Source: greenhouse.SiteSource, Code: "telemetry_queue_strain", Severity: greenhouse.Warning, Active: p >= telemetry.Strain, Text: "the telemetry queue is 70 % full: senders are being slowed"},
		greenhouse.Condition{Source: greenhouse.SiteSource, Code: "telemetry_queue_heavy", Severity: greenhouse.Critical, Active: p >= telemetry.Heavy, Text: "the telemetry queue is 90 % full: QoS 0 readings are being dropped, each with a gap record"})
}

func (d *Daemon) openInbound() error {
	d.inbox = newInbox(d.store.Update)
	d.inbound = newInbound(d)
	d.teardown.push("inbox", func(context.Context) error { d.inbox.Close(); return nil })
	return nil
}

func (d *Daemon) openBroker() error {
	b, err := broker.New(broker.Options{Auth: access{d.store}, Handler: d.inbound, Log: d.log, Now: d.opts.Now, Limits: d.opts.Broker, Retain: []string{"gh/n/+/status"}})
	if err != nil {
		return err
	}
	d.broker = b
	d.teardown.push("broker", b.Close)
	return d.retainStatuses()
}

// retainStatuses supplies what subscribers of a status topic find before the
// node has spoken again: nothing a node said before a restart is repeated.
func (d *Daemon) retainStatuses() error {
	offline, err := wire.Status{Online: false}.Marshal()
	if err != nil {
		return err
	}
	for uid, n := range d.store.Registry().Nodes {
		if n.State == greenhouse.NodeDecommissioned {
			continue
		}
		if err := d.broker.SetRetained(wire.NodeTopic(wire.KindStatus, uid).String(), offline); err != nil {
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
	d.spawn(d.configs.Run)
	d.spawn(d.actuators.Run)
	d.teardown.push("actuators", d.actuators.Shutdown)
	d.spawn(d.loop.Run)
	d.spawn(d.house)
	d.teardown.push("decisions", func(context.Context) error { d.cancel(); return nil })
	d.ready.Store(true)
	d.log.Info("ready", "version", d.opts.Version, "data", d.opts.DataDir, "mqtt", d.opts.MQTTListen, "api", d.opts.APISocket, "epoch", d.epoch)
	return nil
}

// spawn runs fn until the daemon's context ends; Stop waits for it.
func (d *Daemon) spawn(fn func(context.Context)) {
	d.work.Add(1)
	go func() {
		defer d.work.Done()
		fn(d.ctx)
	}()
}

// Stop takes everything down within ten seconds: no new decisions, actuators
// safe, listeners closed, what was received committed, files closed. Calling it
// again does nothing.
func (d *Daemon) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	d.ready.Store(false)
	err := d.teardown.run(ctx, d.log)
	d.cancel()
	d.work.Wait()
	return err
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
	serve := func(name string, l net.Listener, run func() error) {
		d.listening.Add(1)
		d.log.Info("nodes may connect", "listener", name, "address", l.Addr().String())
		go func() {
			if err := run(); err != nil {
				d.failed <- fmt.Errorf("serve %s: %w", name, err)
			}
			d.listening.Add(-1)
		}()
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
		serve("mqtts", l, func() error { return d.broker.ServeTLS(l, d.opts.MQTTTLS) })
	}
	return nil
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
