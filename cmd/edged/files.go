package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/store"
	"greenhouse/telemetry"
)

// dataDir adds the flags that say where the daemon keeps its data, and returns
// what finds it, as "edged serve" does: from flags, environment and files.
func dataDir(c *cobra.Command) func() (string, error) {
	bound := placeFlags(c.Flags())
	return func() (string, error) {
		conf, _, err := loadConfig(c.Flags(), bound)
		return conf.DataDir, err
	}
}

func newCheckDB() *cobra.Command {
	c := &cobra.Command{Use: "check-db", Short: "Check the files of a daemon that is not running", Args: noArgs}
	find := dataDir(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		dir, err := find()
		if err != nil {
			return err
		}
		path := filepath.Join(dir, "registry.db")
		if _, err := os.Stat(path); err != nil {
			return greenhouse.NotFound("registry", path).WithHint("--data-dir names the directory of the daemon")
		}
		s, err := store.Open(store.Options{Path: path})
		if err != nil {
			return err
		}
		if r := s.Recovered(); r != nil {
			cmd.PrintErrf("the registry was damaged; the newest good snapshot has taken its place\n")
		}
		err = errors.Join(s.Check(), s.Close())
		if err != nil {
			return err
		}
		e, err := telemetry.Open(telemetry.Options{Dir: filepath.Join(dir, "telemetry"), Log: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)), Maintain: -1})
		if err != nil {
			return err
		}
		st := e.Stats()
		if err := e.Close(context.WithoutCancel(cmd.Context())); err != nil {
			return err
		}
		if st.Damaged > 0 {
			return fmt.Errorf("the history has %d damaged places; what is around them is served", st.Damaged)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "registry: ok\nhistory: ok, %d points, %d day files\n", st.Points, st.DayFiles)
		return err
	}
	return c
}

func newRestore() *cobra.Command {
	c := &cobra.Command{Use: "restore FILE", Short: "Put a backup of the registry in place of the present one", Args: func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return greenhouse.Invalid("usage", "edged restore needs the file that greenctl backup wrote").WithHint("edged restore FILE --data-dir DIR")
		}
		return nil
	}}
	find := dataDir(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		dir, err := find()
		if err != nil {
			return err
		}
		kept, err := store.Restore(filepath.Join(dir, "registry.db"), args[0])
		if err != nil {
			return err
		}
		if kept != "" {
			cmd.PrintErrf("the registry that was there is kept as %s\n", kept)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "restored; start edged again")
		return err
	}
	return c
}
