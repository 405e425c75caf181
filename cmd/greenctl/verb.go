package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// runFunc is the work of one verb: it has a client, and its arguments checked.
type runFunc func(ctx context.Context, c *client.Client, args []string) error

// with makes a cobra RunE of a verb that talks to the daemon.
func (a *app) with(run runFunc) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		return run(cmd.Context(), c, args)
	}
}

// writeFlags are the flags of every verb that changes something.
type writeFlags struct {
	version uint64
	dryRun  bool
	reason  string
}

// add adds them for a verb that changes a record.
func (w *writeFlags) add(f *pflag.FlagSet) {
	f.Uint64Var(&w.version, "if-version", 0, "refuse unless the record has this version")
	w.addNew(f)
}

// addNew adds them for a verb that makes something: it has no version yet.
func (w *writeFlags) addNew(f *pflag.FlagSet) {
	f.BoolVar(&w.dryRun, "dry-run", false, "let the daemon check it and keep nothing")
	if f.Lookup("reason") == nil {
		f.StringVar(&w.reason, "reason", "", "why, kept in the audit")
	}
}

func (w *writeFlags) write() client.Write {
	return client.Write{IfVersion: w.version, DryRun: w.dryRun, Reason: w.reason}
}

// edit is write for a record that was just read and is to be changed as it was
// seen: without --if-version, that version counts.
func (w *writeFlags) edit(read uint64) client.Write {
	wr := w.write()
	if wr.IfVersion == 0 {
		wr.IfVersion = read
	}
	return wr
}

// verb is a cobra command of the usual shape.
func verb(use, short, example string, pos cobra.PositionalArgs, run func(*cobra.Command, []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Example: example, Args: pos, RunE: run}
}

// noun is a command that only holds verbs.
func noun(use, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short}
	c.AddCommand(verbs...)
	return c
}

// zoneArg, uidArg and pointArg check an id before it travels.
func zoneArg(s string) (greenhouse.ZoneID, error) { return greenhouse.ParseZoneID(s) }

func uidArg(s string) (greenhouse.UID, error) {
	uid, _, _, err := greenhouse.ParseUID(s)
	return uid, err
}

func pointArg(s string) (greenhouse.PointID, error) { return greenhouse.ParsePointID(s) }

// complete offers live names for the first argument: 300 ms, silent on failure.
func (a *app) complete(list func(ctx context.Context, c *client.Client) ([]string, error)) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 || a.configure(cmd) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		c, err := a.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names, err := list(ctx, c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		out := names[:0]
		for _, n := range names {
			if strings.HasPrefix(n, prefix) {
				out = append(out, n)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlag offers live names for the value of a flag, whatever the arguments are.
func (a *app) completeFlag(list func(ctx context.Context, c *client.Client) ([]string, error)) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return a.complete(list)(cmd, nil, prefix)
	}
}

func zoneNames(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.Zones(ctx, client.Page{})
	return names(l.Items, func(z api.Zone) string { return string(z.ID) }), err
}

func nodeNames(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.Nodes(ctx, client.NodeFilter{})
	return names(l.Items, func(n api.Node) string { return string(n.UID) }), err
}

func pointNames(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.Points(ctx, client.PointFilter{})
	return names(l.Items, func(p api.Point) string { return string(p.ID) }), err
}

func actuatorNames(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.Points(ctx, client.PointFilter{Kind: greenhouse.Actuator})
	return names(l.Items, func(p api.Point) string { return string(p.ID) }), err
}

func names[T any](items []T, name func(T) string) []string {
	out := make([]string, 0, len(items))
	for _, it := range items {
		out = append(out, name(it))
	}
	return out
}

// authority returns a TLS configuration that trusts the authority in the file.
func authority(path string) (*tls.Config, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, greenhouse.Invalid("ca_invalid", "the certificate authority cannot be read: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, greenhouse.Invalid("ca_invalid", "%s holds no certificate in PEM form", path)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}
