package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	_ "time/tzdata" // time zones also where the system has none

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
)

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns its exit code.
func run(args []string, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(out, errs)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return api.ExitOK
	}
	fmt.Fprintln(errs, "error: "+oneLine(err))
	if e := (*greenhouse.Error)(nil); errors.As(err, &e) && e.Hint != "" {
		fmt.Fprintln(errs, "hint: "+e.Hint)
	}
	return api.ExitCode(err)
}

func newRoot(out, errs io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "edged",
		Short: "The greenhouse edge daemon",
		Long: `edged runs one greenhouse: it keeps the nodes and zones, is the MQTT broker the
nodes talk to, controls the climate, and keeps the history and the alarms.

  edged demo      a simulated greenhouse, to look around: then greenctl zone watch
  edged serve     the daemon`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			err := greenhouse.Invalid("usage", "edged has no command %q", args[0])
			verbs := map[string]any{}
			for _, c := range cmd.Commands() {
				verbs[c.Name()] = nil
			}
			if near := nearest(args[0], verbs); near != "" {
				return err.WithHint("did you mean edged %s?", near)
			}
			return err.WithHint("edged --help lists them")
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(out)
	root.SetErr(errs)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return greenhouse.Invalid("usage", "%s", err).WithHint("%s --help", cmd.CommandPath())
	})
	root.AddCommand(newServe(), newDemo(), newCheckConfig(), newCheckDB(), newRestore(), newVersion())
	root.AddCommand(forBuilders()...)
	return root
}

// noArgs refuses what is no flag.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return greenhouse.Invalid("usage", "%s does not take %q", cmd.CommandPath(), args[0]).WithHint("%s --help", cmd.CommandPath())
	}
	return nil
}

func newVersion() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Show the version", Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "edged %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	}}
}

// newLogger returns the daemon's logger, and the level that a reload changes.
func newLogger(w io.Writer, level, format string) (*slog.Logger, *slog.LevelVar) {
	var lv slog.LevelVar
	setLevel(&lv, level)
	opts := &slog.HandlerOptions{Level: &lv}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts)), &lv
	}
	return slog.New(slog.NewTextHandler(w, opts)), &lv
}

// setLevel sets a level that check has accepted.
func setLevel(lv *slog.LevelVar, level string) {
	switch level {
	case "debug":
		lv.Set(slog.LevelDebug)
	case "warn":
		lv.Set(slog.LevelWarn)
	case "error":
		lv.Set(slog.LevelError)
	default:
		lv.Set(slog.LevelInfo)
	}
}
