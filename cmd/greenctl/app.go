package main

import (
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"golang.org/x/term"

	"greenhouse"
	"greenhouse/client"
)

// app is what every verb shares. One goroutine uses it.
type app struct {
	in        io.Reader
	out, err  io.Writer
	now       func() time.Time
	config    *viper.Viper // context file, GREENCTL_* variables and flags, in rising order
	output    string
	jq        string
	noHeaders bool
	clients   []*client.Client  // to be closed at the end
	named     func(string) bool // whether a flag was given
}

func newApp(in io.Reader, out, errs io.Writer) *app {
	return &app{in: in, out: out, err: errs, now: time.Now, config: viper.New()}
}

// flags adds the flags that every verb takes.
func (a *app) flags(f *pflag.FlagSet) {
	f.StringVarP(&a.output, "output", "o", "", "table, wide, json, yaml or name (default table)")
	f.StringVar(&a.jq, "jq", "", "filter the JSON output with a jq expression")
	f.BoolVar(&a.noHeaders, "no-headers", false, "leave out the header line of a table")
	f.String("socket", "", "unix socket of edged (GREENCTL_SOCKET)")
	f.String("server", "", "https URL of edged (GREENCTL_SERVER)")
	f.String("token", "", "API token for --server; better in GREENCTL_TOKEN, where others cannot see it")
	f.String("ca", "", "file with the certificate authority of --server (GREENCTL_CA)")
	f.String("context", "", "named daemon of the configuration file (GREENCTL_CONTEXT)")
}

// configure reads the configuration file and the environment, and checks the
// flags that every verb takes.
func (a *app) configure(cmd *cobra.Command) error {
	switch a.output {
	case "", "table", "wide", "json", "yaml", "name":
	default:
		return greenhouse.Invalid("usage", "output form %q is unknown", a.output).WithHint("it is table, wide, json, yaml or name")
	}
	if a.jq != "" && a.output == "" {
		a.output = "json"
	}
	if a.jq != "" && a.output != "json" && a.output != "yaml" {
		return greenhouse.Invalid("usage", "--jq works on JSON, not on -o %s", a.output).WithHint("leave -o away")
	}
	a.named = cmd.Flags().Changed
	a.config.SetEnvPrefix("GREENCTL")
	a.config.AutomaticEnv()
	for _, name := range []string{"socket", "server", "token", "ca", "context"} {
		if err := a.config.BindPFlag(name, cmd.Flags().Lookup(name)); err != nil {
			return err
		}
	}
	err := a.readContexts()
	if err != nil && cmd.Annotations[needsNoConfig] != "" {
		a.note("%v; going on without it", err)
		return nil
	}
	return err
}

// needsNoConfig marks a verb that works whatever is in the configuration file.
const needsNoConfig = "needs_no_config"

// isTerminal reports whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
