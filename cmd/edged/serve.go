package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"greenhouse"
	"greenhouse/broker"
	"greenhouse/edge"
	"greenhouse/pki"
	"greenhouse/server"
)

func newServe() *cobra.Command {
	c := &cobra.Command{Use: "serve", Short: "Run the daemon", Args: noArgs}
	bound := serveFlags(c.Flags())
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		conf, files, err := loadConfig(cmd.Flags(), bound)
		if err != nil {
			return err
		}
		log, level := newLogger(cmd.ErrOrStderr(), conf.Log.Level, conf.Log.Format)
		if st, err := os.Stat(conf.DataDir); err == nil && !st.IsDir() {
			return greenhouse.Invalid("config_invalid", "data_dir %s is a file, not a directory", conf.DataDir).WithHint("name a directory with --data-dir")
		}
		opts, err := conf.options(log)
		if err != nil {
			return err
		}
		log.Info("configuration read", "files", files, "data_dir", conf.DataDir)
		go onReload(cmd.Context(), log, func() {
			fresh, _, err := loadConfig(cmd.Flags(), bound)
			if err != nil {
				log.Error("reload refused: the running configuration stays", "error", err)
				return
			}
			setLevel(level, fresh.Log.Level)
			restart := fresh
			restart.Log = conf.Log
			log.Info("reloaded", "restart_needed", restart != conf)
		})
		return edge.Run(cmd.Context(), opts)
	}
	return c
}

// onReload calls reload at every SIGHUP until ctx ends.
func onReload(ctx context.Context, log *slog.Logger, reload func()) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			log.Info("reloading the configuration")
			reload()
		}
	}
}

// options turns the configuration into what the daemon takes.
func (c *config) options(log *slog.Logger) (edge.Options, error) {
	linger, err := c.linger()
	if err != nil {
		return edge.Options{}, err
	}
	hosts, err := c.hosts()
	if err != nil {
		return edge.Options{}, err
	}
	o := edge.Options{
		Version: version, DataDir: c.DataDir, Log: log,
		MQTTListen: c.MQTT.Listen, MQTTSListen: c.MQTT.TLSListen, MaxClients: c.MQTT.MaxClients, MaxPerAddress: c.MQTT.MaxPerAddress,
		APISocket: c.API.Socket, APIGroup: c.API.Group, APIListen: c.API.Listen, Hosts: hosts,
		Broker: c.brokerLimits(), API: server.Limits{Rate: c.API.Rate, Burst: c.API.Burst, Connections: c.API.MaxConnections, PerAddress: c.API.MaxPerAddress},
		Settings: c.shown(), Gauges: c.Metrics.Points, Period: c.Control.Period, Linger: linger, ClockTrust: edge.ClockTrust(c.Clock.Trust),
	}
	if o.ClockHoldover, err = keepTime("clock.holdover", c.Clock.Holdover); err != nil {
		return o, err
	}
	if err := c.history(&o); err != nil {
		return o, err
	}
	if o.MQTTTLS, err = serverTLS("mqtt", c.MQTT.TLSListen, c.MQTT.Cert, c.MQTT.Key); err != nil {
		return o, err
	}
	if c.MQTT.ClientCA != "" {
		if o.MQTTClientCA, err = pki.Pool(c.MQTT.ClientCA); err != nil {
			return o, err
		}
	}
	o.APITLS, err = serverTLS("api", c.API.Listen, c.API.Cert, c.API.Key)
	return o, err
}

// brokerLimits returns the limits of the broker beside those of connections.
func (c *config) brokerLimits() broker.Limits {
	l := broker.Limits{Pending: c.MQTT.MaxPending, PendingPerAddress: c.MQTT.MaxPending, LimitLoopback: c.MQTT.LimitLoopback,
		ConnectTimeout: c.MQTT.ConnectTimeout, WriteTimeout: c.MQTT.WriteTimeout, Rate: c.MQTT.Rate, Burst: c.MQTT.Burst}
	if l.Rate == 0 {
		l.Rate = -1 // none; to the broker 0 is its default
	}
	return l
}

// serverTLS loads the certificate of a listener; nil where there is no listener
// or the daemon's own authority is to be used.
func serverTLS(what, listen, cert, key string) (*tls.Config, error) {
	if listen == "" || cert == "" {
		return nil, nil
	}
	conf, err := pki.Files(cert, key, nil)
	if err != nil {
		return nil, greenhouse.Invalid("config_invalid", "%s.cert and %s.key: %v", what, what, err).WithHint("the key must be the certificate's own and readable by edged alone: chmod 600 %s", key)
	}
	return conf, nil
}

// hosts returns the configured names of this machine.
func (c *config) hosts() ([]string, error) {
	var list []string
	for h := range strings.FieldsFuncSeq(c.API.Hosts, func(r rune) bool { return r == ',' || r == ' ' }) {
		if err := pki.CheckHost(h); err != nil {
			return nil, greenhouse.Invalid("config_invalid", "api.hosts: %v", err)
		}
		list = append(list, h)
	}
	return list, nil
}

func newCheckConfig() *cobra.Command {
	c := &cobra.Command{Use: "check-config", Short: "Check the configuration and show what is in force", Args: noArgs}
	bound := serveFlags(c.Flags())
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		conf, files, err := loadConfig(cmd.Flags(), bound)
		if err != nil {
			return err
		}
		o, err := conf.options(slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		for _, f := range files {
			cmd.PrintErrln("# read " + f)
		}
		for _, note := range retentionNotes(&o, &conf) {
			cmd.PrintErrln("# note: " + note)
		}
		return yaml.NewEncoder(cmd.OutOrStdout()).Encode(conf.shown())
	}
	return c
}

// shown returns the configuration under its own keys.
func (c *config) shown() map[string]any {
	return map[string]any{
		"data_dir": c.DataDir,
		"mqtt": map[string]any{"listen": c.MQTT.Listen, "tls_listen": c.MQTT.TLSListen, "cert": c.MQTT.Cert, "key": c.MQTT.Key, "client_ca": c.MQTT.ClientCA, "max_clients": c.MQTT.MaxClients, "max_per_address": c.MQTT.MaxPerAddress, "max_pending": c.MQTT.MaxPending,
			"rate": c.MQTT.Rate, "burst": c.MQTT.Burst, "limit_loopback": c.MQTT.LimitLoopback, "connect_timeout": c.MQTT.ConnectTimeout.String(), "write_timeout": c.MQTT.WriteTimeout.String()},
		"api": map[string]any{"socket": c.API.Socket, "group": c.API.Group, "listen": c.API.Listen, "cert": c.API.Cert, "key": c.API.Key, "hosts": c.API.Hosts,
			"rate": c.API.Rate, "burst": c.API.Burst, "max_connections": c.API.MaxConnections, "max_per_address": c.API.MaxPerAddress},
		"control":   map[string]any{"period": c.Control.Period.String()},
		"telemetry": map[string]any{"linger": c.Telemetry.Linger, "retention": c.Telemetry.Retention, "trend_retention": c.Telemetry.TrendRetention, "rollup_retention": c.Telemetry.RollupRetention, "max_bytes": c.Telemetry.MaxBytes, "min_free": c.Telemetry.MinFree},
		"metrics":   map[string]any{"points": c.Metrics.Points},
		"clock":     map[string]any{"trust": c.Clock.Trust, "holdover": c.Clock.Holdover},
		"log":       map[string]any{"level": c.Log.Level, "format": c.Log.Format},
	}
}
