package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/viper"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// configFile is where contexts are kept: $XDG_CONFIG_HOME/greenctl/config.yaml.
// It is "" where there is neither XDG_CONFIG_HOME nor HOME.
func configFile() string {
	if p := os.Getenv("GREENCTL_CONFIG"); p != "" {
		return p
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "greenctl", "config.yaml")
}

// readContexts reads the configuration file, if there is one.
func (a *app) readContexts() error {
	path := configFile()
	if path == "" {
		return nil
	}
	a.config.SetConfigFile(path)
	err := a.config.ReadInConfig()
	var missing viper.ConfigFileNotFoundError
	if err == nil || errors.As(err, &missing) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return greenhouse.Invalid("config_invalid", "the configuration file %s cannot be read: %v", path, err).
		WithHint("mend it, or move it away: greenctl works without one")
}

// setting returns a connection setting. The daemon is the one that a flag names,
// else --context, else GREENCTL_SOCKET or GREENCTL_SERVER, else GREENCTL_CONTEXT,
// else the current context: nearer things win, and only one names the daemon.
func (a *app) setting(name string) string {
	ctx := a.contextName()
	kept := ""
	if ctx != "" {
		kept = a.config.GetString("contexts." + ctx + "." + name)
	}
	switch name {
	case "socket", "server":
		if ctx != "" {
			return kept
		}
		if other := map[string]string{"socket": "server", "server": "socket"}[name]; a.given(other) && !a.given(name) {
			return ""
		}
		return a.config.GetString(name)
	}
	if v := a.config.GetString(name); v != "" {
		return v
	}
	return kept
}

// given reports whether a flag was given.
func (a *app) given(name string) bool { return a.named != nil && a.named(name) }

// contextName returns the context in force, "" for none.
func (a *app) contextName() string {
	switch {
	case a.given("socket") || a.given("server"):
		return ""
	case !a.given("context") && (a.config.GetString("socket") != "" || a.config.GetString("server") != ""):
		return ""
	}
	if name := a.config.GetString("context"); name != "" {
		return strings.ToLower(name)
	}
	return strings.ToLower(a.config.GetString("current_context"))
}

// client returns the client for the daemon that flags, environment and context
// name; without any of them, the one whose socket is found.
func (a *app) client() (*client.Client, error) {
	if a.given("context") && (a.given("socket") || a.given("server")) {
		return nil, greenhouse.Invalid("usage", "--context and --socket or --server name two daemons").WithHint("name one of them")
	}
	if name := a.contextName(); name != "" && !a.config.IsSet("contexts."+name) {
		return nil, greenhouse.NotFound("context", name).WithHint("greenctl context list shows them")
	}
	o := client.Options{Socket: a.setting("socket"), Server: a.setting("server"), Token: a.setting("token"), UserAgent: "greenctl/" + version}
	if o.Socket != "" && o.Server != "" {
		return nil, greenhouse.Invalid("usage", "--socket and --server name two daemons").WithHint("name one of them")
	}
	if o.Socket == "" && o.Server == "" {
		o.Socket = findSocket(api.DefaultPlaces(os.Getuid(), os.Getenv).Sockets())
	}
	if ca := a.setting("ca"); ca != "" {
		conf, err := authority(ca)
		if err != nil {
			return nil, err
		}
		o.TLS = conf
	}
	c, err := client.New(o)
	if err != nil {
		return nil, err
	}
	a.clients = append(a.clients, c)
	return c, nil
}

// findSocket returns the first path that is a socket, else the first, so that
// the error names where the daemon was expected.
func findSocket(paths []string) string {
	for _, p := range paths {
		if st, err := os.Stat(p); err == nil && st.Mode()&fs.ModeSocket != 0 {
			return p
		}
	}
	return paths[0]
}

// close ends the connections of all clients.
func (a *app) close() {
	for _, c := range a.clients {
		c.Close()
	}
}
