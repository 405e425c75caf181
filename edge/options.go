package edge

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"time"

	"greenhouse"
	"greenhouse/automation"
	"greenhouse/broker"
	"greenhouse/server"
	"greenhouse/telemetry"
)

// Options say what a daemon is made of. DataDir is required; everything else has
// the default named beside it.
type Options struct {
	Version string       // shown to people
	DataDir string       // registry and history; made if absent
	Log     *slog.Logger // nil discards

	MQTTListen    string         // TCP address for nodes; "" for none
	MQTTSListen   string         // TLS address for nodes; "" for none
	MQTTTLS       *tls.Config    // certificate of MQTTSListen; nil: of the daemon's own authority
	MQTTClientCA  *x509.CertPool // authorities that must have signed a client's certificate on MQTTSListen; nil: none is asked for
	MQTTListeners []net.Listener // further listeners, in-memory ones among them; closed by Stop
	MaxClients    int            // connections in all; 6000
	MaxPerAddress int            // connections from one address, loopback excepted; 6000
	Broker        broker.Limits  // further limits of the broker; its own defaults

	APISocket string      // path of the unix socket; "" for none
	APIGroup  string      // group of the socket, if it exists
	APIListen string      // TLS address of the API; "" for none
	APITLS    *tls.Config // certificate of APIListen; nil: of the daemon's own authority
	Hosts     []string    // names of this machine beside those it knows, for certificate and API

	API      server.Limits  // limits of the API; its own defaults
	Gauges   int            // points whose latest values are metrics; none
	Settings map[string]any // the configuration in force, for whoever asks for support; nil: not shown

	// APIListeners are further listeners of the API, in memory. Who can reach them
	// may do everything, as over the socket. Stop closes them.
	APIListeners []net.Listener

	Period time.Duration // between two decisions of a zone; 5 s
	Linger time.Duration // how long a telemetry commit gathers; negative: as the disk's measured sync time asks

	Retention       time.Duration // how long history is kept; ten years
	TrendRetention  time.Duration // how long of it what only people look at; as long
	RollupRetention time.Duration // how long summaries of what was dropped; a hundred years
	HistoryMaxBytes int64         // what it may occupy on disk; 0: no bound
	HistoryMinFree  int64         // free space below which it pauses; 64 MiB, negative for none

	ClockTrust    ClockTrust       // TrustAuto
	ClockHoldover time.Duration    // how long schedules follow a clock that was set in this boot but is set no longer; HoldoverBound
	Now           func() time.Time // time.Now
	Sim           server.Sim       // the simulated greenhouse of "edged demo"; nil: none
	NoSync        bool             // registry without syncs: for tests that need no durability
	Faults        Faults           // nothing stands between
}

// Faults are what tests put between the daemon and what it rests on. The zero
// value is the machine as it is.
type Faults struct {
	Disk telemetry.Disk // under the history's log; nil is the system's
	// OpenFile opens the registry file; nil is os.OpenFile.
	OpenFile func(name string, flag int, perm os.FileMode) (*os.File, error)
	// Source stands before what the control loop reads; nil is nothing.
	Source func(automation.Source) automation.Source
	// Machine tells what the machine knows of its clock; nil asks the machine.
	Machine func() MachineClock
}

func (o Options) withDefaults() (Options, error) {
	if o.DataDir == "" {
		return o, greenhouse.Invalid("data_dir_missing", "the daemon needs a data directory")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Version = cmp.Or(o.Version, "dev")
	o.Period = cmp.Or(o.Period, 5*time.Second)
	o.ClockTrust = cmp.Or(o.ClockTrust, TrustAuto)
	o.ClockHoldover = cmp.Or(o.ClockHoldover, HoldoverBound)
	o.Broker.Connections = cmp.Or(o.MaxClients, o.Broker.Connections, 6000)
	o.Broker.ConnectionsPerAddress = cmp.Or(o.MaxPerAddress, o.Broker.ConnectionsPerAddress, 6000)
	return o, nil
}
