package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"greenhouse"
	"greenhouse/api"
)

func newVersion(a *app) *cobra.Command {
	return verb("version", "Show the versions of greenctl and edged", "", args(), func(cmd *cobra.Command, _ []string) error {
		type versions struct {
			Client api.Version  `json:"client"`
			Server *api.Version `json:"server,omitempty"`
		}
		v := versions{Client: api.Version{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, API: "v1"}}
		if c, err := a.client(); err == nil {
			if s, err := c.Version(cmd.Context()); err == nil {
				v.Server = &s
			}
		}
		return a.show(v, view{names: func() []string { return []string{v.Client.Version} }, table: func() table {
			t := table{columns: []string{"PROGRAM", "VERSION", "GO", "SYSTEM"}}
			t.rows = append(t.rows, []string{"greenctl", v.Client.Version, v.Client.Go, v.Client.OS + "/" + v.Client.Arch})
			if v.Server == nil {
				t.rows = append(t.rows, []string{"edged", "not reached", "", ""})
			} else {
				t.rows = append(t.rows, []string{"edged", v.Server.Version, v.Server.Go, v.Server.OS + "/" + v.Server.Arch})
			}
			return t
		}})
	})
}

func newCompletion() *cobra.Command {
	c := verb("completion SHELL", "Print the completion script for bash, zsh, fish or powershell", "  greenctl completion bash > /etc/bash_completion.d/greenctl", args("SHELL"), func(cmd *cobra.Command, args []string) error {
		root, out := cmd.Root(), cmd.OutOrStdout()
		switch args[0] {
		case "bash":
			return root.GenBashCompletionV2(out, true)
		case "zsh":
			return root.GenZshCompletion(out)
		case "fish":
			return root.GenFishCompletion(out, true)
		case "powershell":
			return root.GenPowerShellCompletionWithDesc(out)
		}
		return greenhouse.Invalid("usage", "there is no completion for %q", args[0]).WithHint("it is bash, zsh, fish or powershell")
	})
	c.ValidArgs = []string{"bash", "zsh", "fish", "powershell"}
	return c
}

// newDocs writes the reference of every command, for docs/cli and man pages.
func newDocs(*app) *cobra.Command {
	var man bool
	c := verb("docs DIR", "Write the reference of all commands into a directory", "", args("DIR"), func(cmd *cobra.Command, args []string) error {
		if err := os.MkdirAll(args[0], 0o755); err != nil {
			return greenhouse.Invalid("file_invalid", "%s cannot be made: %v", args[0], err)
		}
		root := cmd.Root()
		root.DisableAutoGenTag = true
		if man {
			return doc.GenManTree(root, &doc.GenManHeader{Title: "GREENCTL", Section: "1"}, args[0])
		}
		return doc.GenMarkdownTree(root, args[0])
	})
	c.Flags().BoolVar(&man, "man", false, "as man pages instead of Markdown")
	c.Hidden = true
	return c
}

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
		return a.saveContexts(func(file map[string]any, _ map[string]any) { file["current_context"] = name })
	})
}

func newContextSet(a *app) *cobra.Command {
	return verb("set NAME", "Save --socket, --server, --token and --ca under a name", "  greenctl context set farm --server https://farm.example:8443 --ca farm-ca.pem", args("NAME"), func(_ *cobra.Command, args []string) error {
		name := strings.ToLower(args[0])
		if _, err := greenhouse.ParseZoneID(name); err != nil {
			return greenhouse.Invalid("usage", "context %q is not a name: it needs a letter a-z, then a-z 0-9 -", args[0])
		}
		conf := map[string]any{}
		for _, k := range []string{"socket", "server", "token", "ca"} {
			if v := a.config.GetString(k); v != "" {
				conf[k] = v
			}
		}
		if len(conf) == 0 {
			return greenhouse.Invalid("usage", "context set needs --socket or --server")
		}
		return a.saveContexts(func(file, contexts map[string]any) {
			contexts[name] = conf
			if file["current_context"] == nil {
				file["current_context"] = name
			}
		})
	})
}

func newContextDelete(a *app) *cobra.Command {
	return verb("delete NAME", "Forget a context", "", args("NAME"), func(_ *cobra.Command, args []string) error {
		name := strings.ToLower(args[0])
		if !a.config.IsSet("contexts." + name) {
			return greenhouse.NotFound("context", name)
		}
		return a.saveContexts(func(file, contexts map[string]any) {
			delete(contexts, name)
			if file["current_context"] == name {
				delete(file, "current_context")
			}
		})
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
