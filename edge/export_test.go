package edge

import (
	"context"

	"greenhouse/actuation"
	"greenhouse/journal"
	"greenhouse/store"
	"greenhouse/telemetry"
)

// The rooms of a daemon, for tests that look behind the API.
func (d *Daemon) Store() *store.Store              { return d.store }
func (d *Daemon) Journal() *journal.Journal        { return d.journal }
func (d *Daemon) History() *telemetry.Engine       { return d.telemetry }
func (d *Daemon) Actuators() *actuation.Controller { return d.actuators }
func (d *Daemon) Commits() uint64                  { return d.inbox.commits.Load() }

// Die ends the daemon as a kill would, as far as that is possible within one
// process: nothing is told to any node, and what was not acknowledged is not
// written. The goroutines end and the files close, for the next one needs the locks.
func (d *Daemon) Die() {
	d.cancel()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for _, l := range d.opts.MQTTListeners {
		_ = l.Close()
	}
	_ = d.broker.Close(context.Background())
	_ = d.server.Close(gone)
	d.work.Wait()
	d.inbox.Close()
	_ = d.telemetry.Close(context.Background())
	d.clerk.Close()
	_ = d.store.Close()
	d.serving.Wait()
}
