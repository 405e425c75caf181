package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newZoneWhy(a *app) *cobra.Command {
	var at string
	c := verb("why POINT", "Say why an actuator has its level, or had: who won, who lost, from which values",
		"  greenctl zone why north/heater\n  greenctl zone why north/heater --at 2026-01-15T04:00:00+01:00\n  greenctl zone why north                 all actuators of a zone", args("POINT"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
			if !strings.Contains(args[0], "/") {
				return a.whyZone(ctx, c, args[0], at)
			}
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
	c.Long = `Say why an actuator has its level, or had at some time in the past.

The answer is the decision in force: its level, who won and by what right, who
lost and why, what was measured, the terms of the control loop, and the timers
that run. Of a time in the past the values are those that history has of that
moment, with what was decided on where that was another value, for a decision
stands for a while. The newest 50,000 decisions of all actuators are kept: each change of
a level, each change of what a level rests on within a minute, and each level
anew every ten minutes, on sites of more than a hundred actuators less often.`
	c.Flags().StringVar(&at, "at", "", "at that time instead of now: RFC 3339, or 2h for two hours ago")
	c.ValidArgsFunction = a.complete(actuatorNames)
	return c
}

// whyZone says in a line for each actuator of a zone what it does and why.
func (a *app) whyZone(ctx context.Context, c *client.Client, arg, at string) error {
	z, err := zoneArg(arg)
	if err != nil {
		return err
	}
	list, err := c.ZoneWhy(ctx, z, at)
	if errors.Is(err, greenhouse.ErrNotFound) {
		return greenhouse.NotFound("zone", arg).WithHint("greenctl zone list; a point is zone/name, e.g. north/heater")
	}
	if err != nil {
		return err
	}
	return a.show(list, view{
		names: func() []string { return names(list.Items, func(w api.Why) string { return string(w.Point) }) },
		table: func() table {
			t := table{columns: []string{"POINT", "LEVEL", "SINCE", "OWNER", "REASON", "LOST"}, wide: 1, empty: "no actuator of the zone has been decided"}
			for _, w := range list.Items {
				lost := make([]string, len(w.Losers))
				for i, l := range w.Losers {
					lost[i] = l.Owner + ": " + l.Reason
				}
				reason := w.Winner.Reason
				if w.Device != nil && w.Device.Waits != "" {
					reason += "; but " + w.Device.Waits
				}
				t.rows = append(t.rows, []string{string(w.Point), level(w.Value), clock(w.Since)[11:], w.Winner.Owner, reason, strings.Join(lost, "; ")})
			}
			return t
		}})
}

// printWhy tells a decision on one screen.
func (a *app) printWhy(w api.Why) error {
	is := "is"
	if w.Asked > 0 {
		is = "was"
	}
	fmt.Fprintf(a.out, "%s %s %s, since %s.\n", w.Point, is, level(w.Value), clock(w.Since))
	if d := w.Device; d != nil {
		fmt.Fprintf(a.out, "  device   %s\n", device(d))
	}
	fmt.Fprintf(a.out, "\n  because  %s (%s): %s\n", w.Winner.Owner, w.Winner.Priority, clean(w.Winner.Reason))
	for _, l := range w.Losers {
		fmt.Fprintf(a.out, "  not      %s (%s) wanting %s: %s\n", l.Owner, l.Priority, wanted(l), clean(l.Reason))
	}
	if w.Aim != "" {
		fmt.Fprintf(a.out, "  aim      %s\n", clean(w.Aim))
	}
	if len(w.Inputs) > 0 {
		fmt.Fprintln(a.out, "\nseen:")
		for _, i := range w.Inputs {
			old := "never heard"
			if i.AgeS >= 0 {
				old = short(time.Duration(i.AgeS*float64(time.Second))) + " old"
			}
			fmt.Fprintf(a.out, "  %-28s %10s  %s, %s%s\n", i.Point, number(i.Value, ""), i.Quality, old, seenFrom(i))
		}
	}
	a.printTerms("terms:", w.Terms, "")
	a.printTerms("timers:", w.Timers, " s left")
	fmt.Fprintf(a.out, "\ndecided %s", clock(w.At))
	if w.Asked > 0 {
		fmt.Fprintf(a.out, ", in force %s, %s later", clock(w.Asked), short(w.Asked.Sub(w.At)))
	}
	fmt.Fprintln(a.out)
	return nil
}

// seenFrom says where a value of a past answer comes from.
func seenFrom(i api.WhyInput) string {
	switch {
	case i.From == "history" && i.Decided != nil:
		return ", by history; it was decided on " + number(i.Decided, "")
	case i.From == "history":
		return ", by history"
	case i.From != "":
		return ", as it was decided: history has nothing of that time"
	}
	return ""
}

// device says in one line how the device behind an actuator stands.
func device(d *api.WhyDevice) string {
	text := "its node reports nothing"
	if d.Reported != nil {
		text = "its node reports " + level(d.Reported)
	}
	if note := d.Position.Note(); note != "" {
		text += "; " + note
	}
	if d.Command != "" {
		text += ", command " + string(d.Command)
	}
	if d.Waits != "" {
		text += "; " + d.Waits
	}
	return clean(text)
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

func newZoneWhyNot(a *app) *cobra.Command {
	c := verb("why-not POINT [LEVEL]", "Say what keeps an actuator from a level, and what would have to change",
		"  greenctl zone why-not north/heater      why is it not on, if it is off\n  greenctl zone why-not north/vent 50%", args("POINT", "[LEVEL]"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
			p, err := pointArg(args[0])
			if err != nil {
				return err
			}
			var asked *float64
			if len(args) > 1 {
				l, err := parseLevel(args[1])
				if err != nil {
					return err
				}
				asked = &l
			}
			w, err := c.WhyNot(ctx, p, asked)
			if err != nil {
				return err
			}
			if a.output == "json" || a.output == "yaml" {
				return a.show(w, view{})
			}
			a.printWhyNot(w)
			return nil
		}))
	c.Long = `Say what keeps an actuator from a level, the strongest first, and what would
have to change for each. Without LEVEL it asks about the other one than it has:
on for what is off, off for what is on.`
	c.ValidArgsFunction = a.complete(actuatorNames)
	return c
}

// printWhyNot tells the obstacles in their order.
func (a *app) printWhyNot(w api.WhyNot) {
	if w.Free {
		fmt.Fprintln(a.out, clean(w.Text))
		return
	}
	fmt.Fprintf(a.out, "%s is %s. Before it can be %s:\n", w.Point, level(w.Value), level(&w.Level))
	for i, o := range w.Obstacles {
		fmt.Fprintf(a.out, "\n  %d. %s (%s): %s\n", i+1, o.Owner, o.Priority, clean(o.Reason))
		if o.LeftS > 0 {
			fmt.Fprintf(a.out, "     ends in %s\n", short(time.Duration(o.LeftS*float64(time.Second))))
		}
		if o.Remedy != "" {
			fmt.Fprintf(a.out, "     %s\n", clean(o.Remedy))
		}
	}
}
