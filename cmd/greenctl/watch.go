package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/client"
	"greenhouse/tui"
)

// newZoneWatch is the dashboard: a program on a terminal, lines elsewhere.
func newZoneWatch(a *app) *cobra.Command {
	var readOnly, plain bool
	var window time.Duration
	c := verb("watch [ID]", "The live dashboard; without a terminal, a line for every change", "  greenctl zone watch\n  greenctl zone watch north | tee north.log", args("[ID]"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		o := tui.Options{ReadOnly: readOnly, ASCII: !unicodeLocale()}
		if len(args) > 0 {
			id, err := zoneArg(args[0])
			if err != nil {
				return err
			}
			if _, err := c.Zone(ctx, id); err != nil {
				return err
			}
			o.Zone = id
		} else if _, err := c.Version(ctx); err != nil {
			return err
		}
		outer := ctx
		if window > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, window)
			defer cancel()
		}
		var err error
		switch {
		case a.output == "json":
			err = a.watchLines(ctx, c, o.Zone)
		case plain || a.output != "" || !isTerminal(a.out) || !isTerminal(a.in):
			err = tui.Plain(ctx, c, o, a.out)
		default:
			err = tui.Run(ctx, c, o)
		}
		if outer.Err() != nil {
			return outer.Err() // Ctrl-C, not the end of --for
		}
		return err
	}))
	c.Flags().BoolVar(&readOnly, "read-only", false, "refuse every action")
	c.Flags().BoolVar(&plain, "plain", false, "lines instead of the dashboard")
	spanVar(c.Flags(), &window, "for", 0, "end after this time (default: never)")
	c.ValidArgsFunction = a.complete(zoneNames)
	return c
}

// watchLines prints the live stream as lines of JSON.
func (a *app) watchLines(ctx context.Context, c *client.Client, zone greenhouse.ZoneID) error {
	for m, err := range c.WatchLive(ctx, client.LiveQuery{Zone: zone}) {
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			a.note("%v; trying again", err)
			continue
		}
		if err := a.showLine(m); err != nil {
			return err
		}
	}
	return nil
}

// unicodeLocale reports whether the terminal shows more than ASCII.
func unicodeLocale() bool {
	for _, k := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(k); v != "" {
			v = strings.ToUpper(v)
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return true // no locale at all says nothing about the terminal
}
