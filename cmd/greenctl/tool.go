package main

import (
	"context"
	"os"
	"runtime"
	"time"

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
		ctx, cancel := context.WithTimeout(cmd.Context(), versionTime)
		defer cancel()
		if c, err := a.client(); err == nil {
			if s, err := c.Version(ctx); err == nil {
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

// versionTime bounds how long the version of greenctl waits for that of edged.
const versionTime = 2 * time.Second

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
