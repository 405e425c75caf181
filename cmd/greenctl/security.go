package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// newNodeCA exports the authority that nodes and greenctl --ca must trust, or
// replaces it.
func newNodeCA(a *app) *cobra.Command {
	var w writeFlags
	var rotate, yes bool
	var overlap time.Duration
	c := verb("ca", "Export the certificate authority that nodes must trust", "  greenctl node ca > ca.pem\n  greenctl node ca --rotate --overlap 2160h", args(), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, _ []string) error {
		if !rotate {
			if c.Flags().Changed("overlap") {
				return greenhouse.Invalid("usage", "--overlap goes with --rotate")
			}
			ca, err := cl.CA(ctx)
			if err != nil {
				return err
			}
			return a.showCA(ca)
		}
		if err := a.confirm(ctx, yes, "replace the certificate authority; within the overlap every node must be given the new one"); err != nil {
			return err
		}
		s := int64(overlap / time.Second)
		ca, err := cl.RotateCA(ctx, api.RotateCARequest{OverlapS: &s}, w.write())
		if err != nil {
			return err
		}
		return a.showCA(ca)
	})
	c.Flags().BoolVar(&rotate, "rotate", false, "replace the authority by a new one")
	c.Flags().DurationVar(&overlap, "overlap", 365*24*time.Hour, "how long nodes that know only the old authority still connect; 0 if its key was stolen")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	w.add(c.Flags())
	return c
}

// showCA writes the certificate to standard output, ready for a file, and says
// beside it what a person compares.
func (a *app) showCA(ca api.CA) error {
	if a.output == "json" || a.output == "yaml" || a.output == "name" {
		return a.show(ca, view{names: func() []string { return []string{ca.Fingerprint} }})
	}
	a.note("fingerprint (SHA-256) %s, good until %s", ca.Fingerprint, clock(ca.NotAfter))
	if ca.OverlapUntil != 0 {
		a.note("the authority before is good as well until %s", clock(ca.OverlapUntil))
	}
	_, err := fmt.Fprintln(a.out, strings.TrimSpace(ca.PEM))
	return err
}

// newEventVerify checks the chain of the event log.
func newEventVerify(a *app) *cobra.Command {
	return verb("verify", "Check that the event log is as it was written", "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		v, err := c.VerifyEvents(ctx)
		if err != nil {
			return err
		}
		err = a.show(v, view{names: func() []string { return []string{v.Head} }, table: func() table {
			return table{columns: []string{"WHOLE", "EVENTS", "LAST", "HEAD"}, rows: [][]string{{yesNo(v.OK), itoa(uint64(v.Events)), itoa(v.Last), v.Head}}}
		}})
		if err != nil || v.OK {
			return err
		}
		return fmt.Errorf("the event log is not as it was written: %s", v.Problem)
	}))
}
