package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"greenhouse"
	"greenhouse/api"
)

// config is everything edged can be told. Every key has a default.
type config struct {
	DataDir string `mapstructure:"data_dir"` // registry and history
	MQTT    struct {
		Listen        string `mapstructure:"listen"`          // TCP address for nodes; "" for none
		TLSListen     string `mapstructure:"tls_listen"`      // TLS address for nodes; "" for none
		Cert          string `mapstructure:"cert"`            // PEM file; "" for the daemon's own authority
		Key           string `mapstructure:"key"`             // PEM file
		ClientCA      string `mapstructure:"client_ca"`       // PEM file of who must have signed a client's certificate; "" for none
		MaxClients    int    `mapstructure:"max_clients"`     // connections in all
		MaxPerAddress int    `mapstructure:"max_per_address"` // connections from one address, loopback excepted

		MaxPending     int           `mapstructure:"max_pending"`     // connections that have not logged in
		Rate           float64       `mapstructure:"rate"`            // packets a second of one client before it has to wait, loopback excepted; 0 for no bound
		Burst          int           `mapstructure:"burst"`           // packets above the rate
		LimitLoopback  bool          `mapstructure:"limit_loopback"`  // limits of one client and one address hold for loopback too
		ConnectTimeout time.Duration `mapstructure:"connect_timeout"` // from accept to a login
		WriteTimeout   time.Duration `mapstructure:"write_timeout"`   // for one write to a client
	} `mapstructure:"mqtt"`
	API struct {
		Socket string `mapstructure:"socket"`
		Group  string `mapstructure:"group"`  // group of the socket, if it exists
		Listen string `mapstructure:"listen"` // TLS address; "" for none
		Cert   string `mapstructure:"cert"`   // PEM file; "" for the daemon's own authority
		Key    string `mapstructure:"key"`    // PEM file
		Hosts  string `mapstructure:"hosts"`  // names of this machine beside its own, separated by commas

		Rate           float64 `mapstructure:"rate"`            // requests a second of one token
		Burst          int     `mapstructure:"burst"`           // requests at once of one token
		MaxConnections int     `mapstructure:"max_connections"` // of a listener
		MaxPerAddress  int     `mapstructure:"max_per_address"` // connections from one address, loopback excepted
	} `mapstructure:"api"`
	Control struct {
		Period time.Duration `mapstructure:"period"` // between two decisions of a zone, 1s to 15s
	} `mapstructure:"control"`
	Telemetry struct {
		Linger          string `mapstructure:"linger"`           // "auto", or how long a commit gathers: 0 to 1s
		Retention       string `mapstructure:"retention"`        // how long history is kept: 90d, 10y
		TrendRetention  string `mapstructure:"trend_retention"`  // how long of it what only people look at, at most as long
		RollupRetention string `mapstructure:"rollup_retention"` // how long summaries of what was dropped are kept
		MaxBytes        string `mapstructure:"max_bytes"`        // what it may occupy: 20GB; 0 for no bound
		MinFree         string `mapstructure:"min_free"`         // free space below which it pauses: 64MiB; 0 for none
	} `mapstructure:"telemetry"`
	Metrics struct {
		Points int `mapstructure:"points"` // how many points' latest values are metrics, 0 to 10000
	} `mapstructure:"metrics"`
	Clock struct {
		Trust    string `mapstructure:"trust"`    // auto, always or never
		Holdover string `mapstructure:"holdover"` // how long schedules follow a clock that was set in this boot and is set no longer
	} `mapstructure:"clock"`
	Log struct {
		Level  string `mapstructure:"level"`  // debug, info, warn or error
		Format string `mapstructure:"format"` // text or json
	} `mapstructure:"log"`
}

// defaults returns every key with its default. A key that is not here is unknown.
func defaults(p api.Places) map[string]any {
	return map[string]any{
		"data_dir":                   p.State,
		"mqtt.listen":                ":1883",
		"mqtt.tls_listen":            "",
		"mqtt.cert":                  "",
		"mqtt.key":                   "",
		"mqtt.client_ca":             "",
		"mqtt.max_clients":           6000,
		"mqtt.max_per_address":       6000,
		"mqtt.max_pending":           2000,
		"mqtt.rate":                  200,
		"mqtt.burst":                 1000,
		"mqtt.limit_loopback":        false,
		"mqtt.connect_timeout":       "5s",
		"mqtt.write_timeout":         "5s",
		"api.socket":                 p.Socket,
		"api.group":                  "edged",
		"api.listen":                 "",
		"api.cert":                   "",
		"api.key":                    "",
		"api.hosts":                  "",
		"api.rate":                   50,
		"api.burst":                  200,
		"api.max_connections":        1024,
		"api.max_per_address":        64,
		"control.period":             "5s",
		"telemetry.linger":           "auto",
		"telemetry.retention":        "10y",
		"telemetry.trend_retention":  "10y",
		"telemetry.rollup_retention": "100y",
		"telemetry.max_bytes":        "0",
		"telemetry.min_free":         "64MiB",
		"metrics.points":             0,
		"clock.trust":                "auto",
		"clock.holdover":             "30d",
		"log.level":                  "info",
		"log.format":                 "text",
	}
}

// serveFlags adds the flags of "edged serve" and binds each to its key.
func serveFlags(f *pflag.FlagSet) map[string]string {
	bound := placeFlags(f)
	add := func(name, key, usage string) {
		f.String(name, "", usage)
		bound[key] = name
	}
	add("mqtt-listen", "mqtt.listen", "TCP address for nodes (default :1883)")
	add("mqtts-listen", "mqtt.tls_listen", "TLS address for nodes")
	add("api-socket", "api.socket", "unix socket of the API")
	add("api-listen", "api.listen", "TLS address of the API")
	add("log-level", "log.level", "debug, info, warn or error (default info)")
	add("log-format", "log.format", "text or json (default text)")
	return bound
}

// placeFlags adds the flags of every command that needs the daemon's files.
func placeFlags(f *pflag.FlagSet) map[string]string {
	f.String("config", "", "configuration file (default /etc/edged/edged.yaml, if it exists)")
	f.String("data-dir", "", "directory of the registry and the history")
	return map[string]string{"data_dir": "data-dir"}
}

const systemConfig = "/etc/edged/edged.yaml"

// loadConfig reads the file, conf.d beside it, EDGED_* and flags, in rising
// order, into a configuration that is whole and checked.
func loadConfig(f *pflag.FlagSet, bound map[string]string) (config, []string, error) {
	var c config
	v := viper.New()
	def := defaults(api.DefaultPlaces(os.Getuid(), os.Getenv))
	for k, val := range def {
		v.SetDefault(k, val)
	}
	v.SetEnvPrefix("EDGED")
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	v.AutomaticEnv()
	for key, name := range bound {
		if err := v.BindPFlag(key, f.Lookup(name)); err != nil {
			return c, nil, err
		}
	}
	files, err := configFiles(f.Lookup("config").Value.String())
	if err != nil {
		return c, nil, err
	}
	for _, file := range files {
		if err := mergeFile(v, file, def); err != nil {
			return c, files, err
		}
	}
	if err := checkTypes(v); err != nil {
		return c, files, err
	}
	if err := v.UnmarshalExact(&c); err != nil {
		return c, files, greenhouse.Invalid("config_invalid", "the configuration is not understood: %s", oneLine(err)).WithHint("edged check-config shows what is in force")
	}
	return c, files, c.check()
}

// configFiles returns the files to read, in order. A file named outright must
// exist; the system's need not.
func configFiles(named string) ([]string, error) {
	path := named
	if path == "" {
		if path = os.Getenv("EDGED_CONFIG"); path == "" {
			path = systemConfig
		} else {
			named = path
		}
	}
	var files []string
	switch st, err := os.Stat(path); {
	case err == nil && st.IsDir():
		return nil, greenhouse.Invalid("config_invalid", "configuration %s is a directory", path).WithHint("name a file")
	case err == nil && st.Size() > 1<<20:
		return nil, greenhouse.Invalid("config_invalid", "configuration %s has %d bytes, more than any configuration needs", path, st.Size())
	case err == nil:
		files = append(files, path)
	case named == "" && errors.Is(err, fs.ErrNotExist):
	default:
		return nil, unreadable(path, err)
	}
	more, err := filepath.Glob(filepath.Join(filepath.Dir(path), "conf.d", "*.yaml"))
	if err != nil {
		return nil, err
	}
	slices.Sort(more)
	return append(files, more...), nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// check refuses values that cannot work, naming the key and the range.
func (c *config) check() error {
	bad := func(key string, value any, rule string) error {
		return greenhouse.Invalid("config_invalid", "%s is %v: it %s", key, value, rule)
	}
	switch {
	case c.DataDir == "":
		return bad("data_dir", `""`, "must name a directory")
	case c.API.Socket == "" && c.API.Listen == "":
		return bad("api.socket", `""`, "must name a path, or api.listen an address: else nobody could administer the daemon")
	case len(c.API.Socket) > 104:
		return bad("api.socket", c.API.Socket, fmt.Sprintf("has %d bytes, and a socket path can have 104", len(c.API.Socket)))
	case c.MQTT.Listen == "" && c.MQTT.TLSListen == "":
		return bad("mqtt.listen", `""`, "must name an address, or mqtt.tls_listen: else no node could join")
	case c.MQTT.Listen == c.MQTT.TLSListen:
		return bad("mqtt.tls_listen", c.MQTT.TLSListen, "is the address of mqtt.listen")
	case (c.MQTT.Cert == "") != (c.MQTT.Key == ""):
		return bad("mqtt.cert", c.MQTT.Cert, "goes with mqtt.key: set both, or neither for a certificate of the daemon's own")
	case (c.API.Cert == "") != (c.API.Key == ""):
		return bad("api.cert", c.API.Cert, "goes with api.key: set both, or neither for a certificate of the daemon's own")
	case c.MQTT.ClientCA != "" && c.MQTT.TLSListen == "":
		return bad("mqtt.client_ca", c.MQTT.ClientCA, "needs mqtt.tls_listen: certificates of clients exist in TLS only")
	case c.Control.Period < time.Second || c.Control.Period > 15*time.Second:
		return bad("control.period", c.Control.Period, "must be from 1s to 15s")
	case !slices.Contains([]string{"auto", "always", "never"}, c.Clock.Trust):
		return bad("clock.trust", c.Clock.Trust, "must be auto, always or never")
	case !slices.Contains(logLevels(), c.Log.Level):
		return bad("log.level", c.Log.Level, "must be debug, info, warn or error")
	case !slices.Contains(logFormats(), c.Log.Format):
		return bad("log.format", c.Log.Format, "must be text or json")
	}
	if err := c.checkLimits(); err != nil {
		return err
	}
	_, err := c.linger()
	return err
}

// checkLimits refuses limits that would keep everybody out, or nobody.
func (c *config) checkLimits() error {
	for _, l := range []struct {
		key         string
		value       float64
		least, most float64
	}{
		{"mqtt.max_clients", float64(c.MQTT.MaxClients), 1, 100_000},
		{"mqtt.max_per_address", float64(c.MQTT.MaxPerAddress), 1, 100_000},
		{"mqtt.max_pending", float64(c.MQTT.MaxPending), 1, 100_000},
		{"mqtt.rate", c.MQTT.Rate, 0, 100_000},
		{"mqtt.burst", float64(c.MQTT.Burst), 1, 100_000},
		{"api.rate", c.API.Rate, 0.1, 100_000},
		{"api.burst", float64(c.API.Burst), 1, 100_000},
		{"api.max_connections", float64(c.API.MaxConnections), 1, 100_000},
		{"api.max_per_address", float64(c.API.MaxPerAddress), 1, 100_000},
		{"metrics.points", float64(c.Metrics.Points), 0, 10_000},
	} {
		if !(l.value >= l.least && l.value <= l.most) {
			return greenhouse.Invalid("config_invalid", "%s is %g: it must be from %g to %g", l.key, l.value, l.least, l.most)
		}
	}
	for key, d := range map[string]time.Duration{"mqtt.connect_timeout": c.MQTT.ConnectTimeout, "mqtt.write_timeout": c.MQTT.WriteTimeout} {
		if d < time.Second || d > time.Minute {
			return greenhouse.Invalid("config_invalid", "%s is %v: it must be from 1s to 1m", key, d)
		}
	}
	return nil
}

func logLevels() []string { return []string{"debug", "info", "warn", "error"} }

func logFormats() []string { return []string{"text", "json"} }

// linger returns how long a commit gathers; negative means: measure the disk.
func (c *config) linger() (time.Duration, error) {
	if c.Telemetry.Linger == "auto" {
		return -1, nil
	}
	d, err := time.ParseDuration(c.Telemetry.Linger)
	if err != nil || d < 0 || d > time.Second {
		return 0, greenhouse.Invalid("config_invalid", "telemetry.linger is %q: it must be auto, or from 0s to 1s", c.Telemetry.Linger)
	}
	return d, nil
}
