package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
)

func newContext(a *app) *cobra.Command {
	return noun("context", "Named daemons", newContextList(a), newContextUse(a), newContextSet(a), newContextDelete(a))
}

func newContextList(a *app) *cobra.Command {
	type entry struct {
		Name    string `json:"name"`
		Current bool   `json:"current"`
		Socket  string `json:"socket,omitempty"`
		Server  string `json:"server,omitempty"`
	}
	return verb("list", "List contexts", "", args(), func(*cobra.Command, []string) error {
		items := []entry{}
		for name := range a.config.GetStringMap("contexts") {
			key := "contexts." + name + "."
			items = append(items, entry{name, name == a.contextName(), a.config.GetString(key + "socket"), a.config.GetString(key + "server")})
		}
		slices.SortFunc(items, func(x, y entry) int { return strings.Compare(x.Name, y.Name) })
		return a.show(api.List[entry]{Items: items}, view{names: func() []string { return names(items, func(e entry) string { return e.Name }) }, table: func() table {
			t := table{columns: []string{"CURRENT", "NAME", "SOCKET", "SERVER"}, empty: "there are no contexts; greenctl context set NAME makes one"}
			for _, e := range items {
				t.rows = append(t.rows, []string{map[bool]string{true: "*", false: " "}[e.Current], e.Name, e.Socket, e.Server})
			}
			return t
		}})
	})
}

func newContextUse(a *app) *cobra.Command {
	return verb("use NAME", "Use a context from now on", "", args("NAME"), func(_ *cobra.Command, args []string) error {
		name := strings.ToLower(args[0])
		if !a.config.IsSet("contexts." + name) {
			return greenhouse.NotFound("context", name).WithHint("greenctl context list shows them")
		}
		if err := a.saveContexts(func(file, _ map[string]any) { file["current_context"] = name }); err != nil {
			return err
		}
		return a.done(name, "context %s is current", name)
	})
}

func newContextSet(a *app) *cobra.Command {
	return verb("set NAME", "Save --socket, --server, --token and --ca under a name", "  greenctl context set farm --server https://farm.example:8443 --ca farm-ca.pem", args("NAME"), func(_ *cobra.Command, args []string) error {
		name := strings.ToLower(args[0])
		if _, err := greenhouse.ParseZoneID(name); err != nil {
			return greenhouse.Invalid("usage", "context %q is not a name: it needs a letter a-z, then a-z 0-9 -", args[0])
		}
		conf, err := a.contextFlags()
		if err != nil {
			return err
		}
		err = a.saveContexts(func(file, contexts map[string]any) {
			contexts[name] = conf
			if file["current_context"] == nil {
				file["current_context"] = name
			}
		})
		if err != nil {
			return err
		}
		return a.done(name, "context %s is saved in %s", name, configFile())
	})
}

// contextFlags returns what a context is to hold. Paths are kept whole, for a
// context is used from any directory.
func (a *app) contextFlags() (map[string]any, error) {
	if a.given("socket") == a.given("server") {
		return nil, greenhouse.Invalid("usage", "context set needs either --socket or --server").WithHint("greenctl context set --help has an example")
	}
	conf := map[string]any{}
	for _, k := range []string{"socket", "server", "token", "ca"} {
		v := a.config.GetString(k)
		if v == "" || k != "token" && !a.given(k) {
			continue
		}
		if k == "socket" || k == "ca" {
			whole, err := filepath.Abs(v)
			if err != nil {
				return nil, fmt.Errorf("find the working directory: %w", err)
			}
			v = whole
		}
		conf[k] = v
	}
	return conf, nil
}

func newContextDelete(a *app) *cobra.Command {
	return verb("delete NAME", "Forget a context", "", args("NAME"), func(_ *cobra.Command, args []string) error {
		name := strings.ToLower(args[0])
		if !a.config.IsSet("contexts." + name) {
			return greenhouse.NotFound("context", name).WithHint("greenctl context list shows them")
		}
		err := a.saveContexts(func(file, contexts map[string]any) {
			delete(contexts, name)
			if file["current_context"] == name {
				delete(file, "current_context")
			}
		})
		if err != nil {
			return err
		}
		return a.done(name, "context %s is forgotten", name)
	})
}

// saveContexts changes the configuration file, which appears whole or not at
// all; it may hold tokens, so only its owner may read it.
func (a *app) saveContexts(change func(file, contexts map[string]any)) error {
	path := configFile()
	if path == "" {
		return greenhouse.Invalid("config_invalid", "there is nowhere to keep contexts").WithHint("set HOME, XDG_CONFIG_HOME or GREENCTL_CONFIG")
	}
	file := map[string]any{}
	contexts := a.config.GetStringMap("contexts")
	if cur := a.config.GetString("current_context"); cur != "" {
		file["current_context"] = cur
	}
	if contexts == nil {
		contexts = map[string]any{}
	}
	change(file, contexts)
	file["contexts"] = contexts
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(writeYAML(f, file), f.Sync(), f.Close()); err != nil {
		if rm := os.Remove(tmp); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
			err = errors.Join(err, rm)
		}
		return fmt.Errorf("save contexts: %w", err)
	}
	return os.Rename(tmp, path)
}
