package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newPointEdit(a *app) *cobra.Command {
	var w writeFlags
	var unit, class string
	var safe, least, most string
	var every time.Duration
	var noCal bool
	c := verb("edit POINT", "Change the unit, plausible range, calibration policy, class or safe level of a point", "  greenctl point edit north/air_temp --min -10 --max 50\n  greenctl point edit north/heater --class heater_ssr --if-version 3", args("POINT"), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, args []string) error {
		id, err := pointArg(args[0])
		if err != nil {
			return err
		}
		patch := map[string]any{}
		f := c.Flags()
		if f.Changed("unit") {
			patch["unit"] = unit
		}
		if f.Changed("class") {
			patch["class"] = class
		}
		for name, text := range map[string]string{"safe": safe, "min": least, "max": most} {
			if !f.Changed(name) {
				continue
			}
			if patch[name], err = numberOrNone(name, text); err != nil {
				return err
			}
		}
		switch {
		case noCal:
			patch["cal_policy"] = greenhouse.CalPolicy{}
		case f.Changed("cal-every"):
			patch["cal_policy"] = greenhouse.CalPolicy{Required: true, EveryDays: int(every.Hours()/24 + 0.5)}
		}
		if len(patch) == 0 {
			return greenhouse.Invalid("usage", "point edit needs something to change").WithHint("%s --help", c.CommandPath())
		}
		before, err := cl.Point(ctx, id)
		if err != nil {
			return err
		}
		p, err := cl.EditPoint(ctx, id, patch, w.edit(before.Version))
		if err != nil {
			return explainStale(err, before, patch)
		}
		return a.show(p, a.pointsView([]api.Point{p}))
	})
	f := c.Flags()
	spanVar(f, &every, "cal-every", 0, "sensors: want a calibration after a swap and that often, in days: 30d; 0: after a swap only")
	f.BoolVar(&noCal, "no-cal", false, "sensors: want no calibration")
	f.StringVar(&unit, "unit", "", "unit of the values")
	f.StringVar(&class, "class", "", "actuators: what protects them, e.g. heater_ssr; docs/control.md has the list")
	f.StringVar(&safe, "safe", "", "actuators: level without a live reason, 0 to 1")
	f.StringVar(&least, "min", "", "sensors: lowest plausible value; none for that of the name")
	f.StringVar(&most, "max", "", "sensors: highest plausible value; none for that of the name")
	w.add(f)
	c.ValidArgsFunction = a.complete(pointNames)
	return c
}

// numberOrNone reads a number, or "none", which a merge patch writes as null.
func numberOrNone(flag, text string) (any, error) {
	if text == "none" {
		return nil, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, greenhouse.Invalid("usage", "--%s %q is no number", flag, text)
	}
	return v, nil
}

// channelFlags are the flags of node edit that are about one of its channels.
type channelFlags struct {
	channel             string
	class               string
	safe                string
	maxOn, rest         time.Duration
	maxOnHour, maxOnDay time.Duration
}

func (cf *channelFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&cf.channel, "channel", "", "change this channel instead of the node: --safe, --max-on, --max-on-hour, --max-on-day, --min-off, --class")
	f.StringVar(&cf.class, "class", "", "of the channel: what protects the actuator, e.g. heater_ssr")
	f.StringVar(&cf.safe, "safe", "", "of the channel: level without a live reason, 0 to 1")
	spanVar(f, &cf.maxOn, "max-on", 0, "of the channel: longest time on; 0: no limit")
	spanVar(f, &cf.maxOnHour, "max-on-hour", 0, "of the channel: most time on within any hour; 0: as its class")
	spanVar(f, &cf.maxOnDay, "max-on-day", 0, "of the channel: most time on within any 24 hours; 0: as its class")
	spanVar(f, &cf.rest, "min-off", 0, "of the channel: shortest time off")
}

// patch makes the patch of the channel, nil where none is asked for.
func (cf *channelFlags) patch(c *cobra.Command) (map[string]any, error) {
	p := map[string]any{}
	f := c.Flags()
	if f.Changed("class") {
		p["class"] = cf.class
	}
	if f.Changed("safe") {
		v, err := numberOrNone("safe", cf.safe)
		if err != nil {
			return nil, err
		}
		p["safe"] = v
	}
	for _, span := range []struct {
		flag, field string
		value       time.Duration
	}{{"max-on", "max_on_s", cf.maxOn}, {"max-on-hour", "max_on_hour_s", cf.maxOnHour}, {"max-on-day", "max_on_day_s", cf.maxOnDay}, {"min-off", "min_off_s", cf.rest}} {
		if f.Changed(span.flag) {
			p[span.field] = int(span.value / time.Second)
		}
	}
	switch {
	case len(p) > 0 && cf.channel == "":
		return nil, greenhouse.Invalid("usage", "%s want --channel", "--safe, --max-on, --max-on-hour, --max-on-day, --min-off, --class")
	case len(p) == 0 && cf.channel != "":
		return nil, greenhouse.Invalid("usage", "--channel %s: nothing of it is to be changed", cf.channel).WithHint("--safe, --max-on, --max-on-hour, --max-on-day, --min-off or --class")
	case len(p) == 0:
		return nil, nil
	}
	return p, nil
}
