package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newZone(a *app) *cobra.Command {
	c := noun("zone", "Compartments: targets, modes, overrides, why, the dashboard",
		newZoneCreate(a), newZoneList(a), newZoneGet(a), newZoneDescribe(a), newZoneEdit(a), newZoneDelete(a), newZoneTarget(a), newZoneMode(a),
		newZoneOverride(a), newZoneRelease(a), newZoneWhy(a), newZoneWhyNot(a), newZoneSchedule(a), newZoneWatch(a))
	c.Aliases = []string{"zones"}
	return c
}

func newZoneCreate(a *app) *cobra.Command {
	var w writeFlags
	var r api.CreateZoneRequest
	c := verb("create ID", "Create a zone", "  greenctl zone create north --name \"North bay\" --crop tomato --area 96", args("ID"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		id, err := zoneArg(args[0])
		if err != nil {
			return err
		}
		r.ID = id
		z, err := c.CreateZone(ctx, r, w.write())
		if err != nil {
			return err
		}
		return a.showZone(z)
	}))
	c.Flags().StringVar(&r.Name, "name", "", "what people call it")
	c.Flags().StringVar(&r.Crop, "crop", "", "what grows in it")
	c.Flags().Float64Var(&r.AreaM2, "area", 0, "m²")
	w.addNew(c.Flags())
	return c
}

func newZoneList(a *app) *cobra.Command {
	var watch bool
	c := verb("list", "List zones with their climate", "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		return a.repeat(ctx, watch, func() error {
			items, err := all(client.All(func(cursor string) (api.List[api.Zone], error) { return c.Zones(ctx, client.Page{Cursor: cursor}) }))
			if err != nil {
				return err
			}
			return a.show(api.List[api.Zone]{Items: items}, zonesView(items))
		})
	}))
	a.watchFlag(c.Flags(), &watch)
	return c
}

func zonesView(items []api.Zone) view {
	return view{
		names: func() []string { return names(items, func(z api.Zone) string { return string(z.ID) }) },
		table: func() table {
			t := table{columns: []string{"ZONE", "NAME", "MODE", "AIR", "TARGET", "RH", "CO2", "ALARMS", "NODES", "CROP", "AREA", "VERSION"}, wide: 3, empty: "there are no zones; greenctl zone create makes one"}
			for _, z := range items {
				mode := string(z.Mode)
				if z.Stopped {
					mode = "STOPPED"
				}
				t.rows = append(t.rows, []string{string(z.ID), z.Name, mode, climate(z, "air_temp"), target(z, greenhouse.Heating), climate(z, "air_rh"), climate(z, "co2"),
					strconv.Itoa(z.Alarms), fmt.Sprintf("%d/%d", z.NodesOnline, z.Nodes), z.Crop, number(&z.AreaM2, "m²"), itoa(z.Version)})
			}
			return t
		},
	}
}

// climate writes one measured quantity of a zone; what is not good says so.
func climate(z api.Zone, name greenhouse.ChannelName) string {
	m, ok := z.Climate[name]
	if !ok {
		return "-"
	}
	s := number(m.Value, m.Unit)
	if m.Quality != greenhouse.Good {
		s += " (" + m.Quality.String() + ")"
	}
	return s
}

// target writes a target as one number, or day and night; where a recipe asks for
// something else, that, as it is now.
func target(z api.Zone, q greenhouse.Quantity) string {
	t, ok := z.Targets[q]
	switch p := z.SetPoints[q]; {
	case p.Layer == "recipe":
		return fmt.Sprintf("%.4g, recipe", p.Value)
	case !ok:
		return "-"
	case t.Day == t.Night:
		return strconv.FormatFloat(t.Day, 'g', -1, 64)
	}
	return fmt.Sprintf("%g day, %g night", t.Day, t.Night)
}

func (a *app) showZone(z api.Zone) error { return a.show(z, zonesView([]api.Zone{z})) }

func newZoneGet(a *app) *cobra.Command {
	c := verb("get ID", "Show a zone, its targets and its actuators", "", args("ID"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		id, err := zoneArg(args[0])
		if err != nil {
			return err
		}
		z, err := c.Zone(ctx, id)
		if err != nil {
			return err
		}
		if err := a.showZone(z); err != nil || !a.human() {
			return err
		}
		if z.Recipe != nil {
			a.print("\ngrows by " + clean(z.Recipe.Text) + "\n")
		}
		a.blank()
		t := table{columns: []string{"ACTUATOR", "LEVEL", "REPORTED", "OWNER", "LEASE", "REASON"}, empty: "no actuators"}
		wide := a.output == "wide"
		if wide { // what maintenance asks for
			t.columns = slices.Insert(t.columns, 5, "HOURS", "STARTS")
		}
		for _, x := range z.Actuators {
			row := []string{string(x.Name), level(x.Level), reported(x), x.Owner, in(x.LeaseUntil, a.now()), x.Reason}
			if wide {
				row = slices.Insert(row, 5, strconv.FormatFloat(x.RanH, 'f', 1, 64), strconv.FormatUint(x.Starts, 10))
			}
			t.rows = append(t.rows, row)
		}
		if err := a.showTable(t); err != nil {
			return err
		}
		if t = targetsTable(z, a.now()); len(t.rows) == 0 {
			return nil
		}
		a.blank()
		return a.showTable(t)
	}))
	c.ValidArgsFunction = a.complete(zoneNames)
	return c
}

func newZoneDelete(a *app) *cobra.Command {
	var w writeFlags
	var yes bool
	c := verb("delete ID", "Delete a zone that no node is in", "", args("ID"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		id, err := zoneArg(args[0])
		if err != nil {
			return err
		}
		if err := a.confirm(ctx, yes, "delete zone "+args[0]); err != nil {
			return err
		}
		if err := c.DeleteZone(ctx, id, w.write()); err != nil {
			return explainStale(err, nil, nil)
		}
		return a.done(args[0], "zone %s is deleted", args[0])
	}))
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	w.add(c.Flags())
	c.ValidArgsFunction = a.complete(zoneNames)
	return c
}

func newZoneMode(a *app) *cobra.Command {
	var w writeFlags
	c := verb("mode ID MODE", "Set who drives a zone: auto, manual, maintenance or off", "", args("ID", "MODE"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		id, err := zoneArg(args[0])
		if err != nil {
			return err
		}
		m, err := greenhouse.ParseMode(args[1])
		if err != nil {
			return err
		}
		z, err := c.SetMode(ctx, id, m, w.write())
		if err != nil {
			return explainStale(err, nil, map[string]any{"mode": m})
		}
		return a.showZone(z)
	}))
	w.add(c.Flags())
	c.ValidArgsFunction = a.complete(zoneNames)
	return c
}

func newZoneOverride(a *app) *cobra.Command {
	var w writeFlags
	var reason string
	var window time.Duration
	c := verb("override POINT VALUE --reason TEXT", "Set an actuator by hand, for a time; safety still comes first",
		"  greenctl zone override north/vent 0.3 --for 1h --reason \"drying after spraying\"", args("POINT", "VALUE"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
			p, err := pointArg(args[0])
			if err != nil {
				return err
			}
			v, err := parseLevel(args[1])
			if err != nil {
				return err
			}
			if strings.TrimSpace(reason) == "" {
				return greenhouse.Invalid("usage", "an override needs --reason").WithHint("whoever finds it at night wants to know why")
			}
			if window > longestOverride {
				a.note("an override lasts a day at most: --for %s is cut to 24h", tidy(window))
				window = longestOverride
			}
			forS, err := seconds("for", window, longestOverride)
			if err != nil {
				return err
			}
			o, err := c.SetOverride(ctx, p, api.OverrideRequest{Value: v, ForS: forS, Reason: reason}, w.write())
			if err != nil {
				return explainStale(err, nil, map[string]any{"override": map[string]any{"value": v}})
			}
			return a.show(o, view{names: func() []string { return []string{string(o.Point)} }, table: func() table {
				return table{columns: []string{"POINT", "LEVEL", "ENDS", "BY", "REASON"}, rows: [][]string{{string(o.Point), level(&o.Value), in(o.ExpiresAt, a.now()), o.By, o.Reason}}}
			}})
		}))
	spanVar(c.Flags(), &window, "for", 2*time.Hour, "how long, at most 24h")
	c.Flags().StringVar(&reason, "reason", "", "why, kept in the audit")
	w.add(c.Flags())
	c.ValidArgsFunction = a.complete(actuatorNames)
	return c
}

// longestOverride is how long a level set by hand stands at most.
const longestOverride = 24 * time.Hour

// parseLevel reads 0 to 1, on, off, open, closed or a percentage.
func parseLevel(s string) (float64, error) {
	switch strings.ToLower(s) {
	case "on", "open":
		return 1, nil
	case "off", "closed":
		return 0, nil
	}
	num, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(num, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, greenhouse.Invalid("level_invalid", "level %q is not from 0 to 1", s).WithHint("write 0.3 or 30%%, on or off, open or closed")
	}
	return v, nil
}

func newZoneRelease(a *app) *cobra.Command {
	var w writeFlags
	c := verb("release POINT", "Give an actuator back to automation", "", args("POINT"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		p, err := pointArg(args[0])
		if err != nil {
			return err
		}
		if err := c.ReleaseOverride(ctx, p, w.write()); err != nil {
			return explainStale(err, nil, nil)
		}
		return a.done(args[0], "%s is back with automation", p)
	}))
	w.add(c.Flags())
	c.ValidArgsFunction = a.complete(actuatorNames)
	return c
}
