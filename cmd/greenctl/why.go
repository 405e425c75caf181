package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newZoneWhy(a *app) *cobra.Command {
	var at string
	c := verb("why POINT", "Say why an actuator has its level: who won, who lost, from which values", "  greenctl zone why north/heater", args("POINT"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		p, err := pointArg(args[0])
		if err != nil {
			return err
		}
		w, err := c.Why(ctx, p, at)
		if err != nil {
			return err
		}
		if a.output == "json" || a.output == "yaml" {
			return a.show(w, view{})
		}
		return a.printWhy(w)
	}))
	c.Flags().StringVar(&at, "at", "", "at that time instead of now: RFC 3339, or 2h for two hours ago")
	c.ValidArgsFunction = a.complete(actuatorNames)
	return c
}

// printWhy tells a decision on one screen.
func (a *app) printWhy(w api.Why) error {
	fmt.Fprintf(a.out, "%s is %s, since %s.\n", w.Point, level(w.Value), clock(w.Since))
	fmt.Fprintf(a.out, "\n  because  %s (%s): %s\n", w.Winner.Owner, w.Winner.Priority, w.Winner.Reason)
	for _, l := range w.Losers {
		fmt.Fprintf(a.out, "  not      %s (%s) wanting %s: %s\n", l.Owner, l.Priority, wanted(l), l.Reason)
	}
	if len(w.Inputs) > 0 {
		fmt.Fprintln(a.out, "\nseen:")
		for _, i := range w.Inputs {
			fmt.Fprintf(a.out, "  %-28s %10s  %s, %s old\n", i.Point, number(i.Value, ""), i.Quality, short(time.Duration(i.AgeS*float64(time.Second))))
		}
	}
	a.printTerms("terms:", w.Terms, "")
	a.printTerms("timers:", w.Timers, " s left")
	fmt.Fprintf(a.out, "\ndecided %s\n", clock(w.At))
	return nil
}

func (a *app) printTerms(title string, terms map[string]float64, unit string) {
	if len(terms) == 0 {
		return
	}
	fmt.Fprintln(a.out, "\n"+title)
	for _, k := range slices.Sorted(maps.Keys(terms)) {
		fmt.Fprintf(a.out, "  %-28s %10.3g%s\n", k, terms[k], unit)
	}
}

// wanted writes what a claim asked for.
func wanted(c greenhouse.Claim) string {
	switch {
	case c.Min != nil && c.Max != nil:
		return fmt.Sprintf("%s to %s", level(c.Min), level(c.Max))
	case c.Min != nil:
		return "at least " + level(c.Min)
	case c.Max != nil:
		return "at most " + level(c.Max)
	}
	return level(&c.Value)
}
