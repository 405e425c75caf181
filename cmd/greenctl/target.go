package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// targetsTable lists what is wanted of a zone: the targets, and the set-points in
// force with what they come from.
func targetsTable(z api.Zone, now time.Time) table {
	t := table{columns: []string{"TARGET", "DAY", "NIGHT", "NOW", "FROM", "UNIT"}}
	for _, spec := range greenhouse.Quantities() {
		target, targeted := z.Targets[spec.Quantity]
		point, in := z.SetPoints[spec.Quantity]
		if !targeted && !in {
			continue
		}
		row := []string{string(spec.Quantity), "-", "-", "-", "", string(spec.Unit)}
		if targeted {
			row[1], row[2] = fmt.Sprint(target.Day), fmt.Sprint(target.Night)
		}
		if in {
			row[3], row[4] = strconv.FormatFloat(point.Value, 'f', -1, 64), layerText(z, point, now)
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// layerText says what a set-point comes from, who set it and until when.
func layerText(z api.Zone, p api.SetPoint, now time.Time) string {
	s := p.Layer
	switch {
	case p.Layer == "recipe" && z.Recipe != nil:
		s += " " + p.By
		if z.Recipe.Ramp < 1 {
			s += fmt.Sprintf(", %.0f %% of the way", 100*z.Recipe.Ramp)
		}
	case p.By != "":
		s += " by " + p.By
	}
	if p.Until != 0 {
		s += ", ends " + in(p.Until, now)
	}
	return s
}

// targetFlags say what becomes of a target.
type targetFlags struct {
	day, night, offset, hold float64
	window                   time.Duration
	clear, release           bool
}

func newZoneTarget(a *app) *cobra.Command {
	var w writeFlags
	var f targetFlags
	c := verb("target ID QUANTITY [VALUE]", "Set, clear or adjust a target: heating, venting, humidity_max, vpd, humidity_deficit, co2, dli, ph, ec, soil_moisture", strings.Join([]string{
		"  greenctl zone target north heating 19",
		"  greenctl zone target north heating --day 20 --night 16",
		"  greenctl zone target north heating --offset=-1 --for 3d --reason \"fewer fruit on the truss\"",
		"  greenctl zone target north heating --hold 22 --for 2h --reason \"visitors\"",
		"  greenctl zone target north heating --release",
		"  greenctl zone target north co2 --clear",
	}, "\n"), args("ID", "QUANTITY", "[VALUE]"), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, args []string) error {
		id, err := zoneArg(args[0])
		if err != nil {
			return err
		}
		q, err := greenhouse.ParseQuantity(args[1])
		if err != nil {
			return err
		}
		wanted, change, err := f.change(c, q.Quantity, args[2:], w)
		if err != nil {
			return err
		}
		z, err := change(ctx, cl, id)
		if err != nil {
			return explainStale(err, nil, wanted)
		}
		if a.human() && f.masked(c, z, q.Quantity, args[2:]) {
			a.note("the recipe stands above it: %s; --offset and --hold change the set-point for a time", z.Recipe.Text)
		}
		return a.showZone(z)
	})
	fl := c.Flags()
	fl.Float64Var(&f.day, "day", 0, "by day")
	fl.Float64Var(&f.night, "night", 0, "by night")
	fl.BoolVar(&f.clear, "clear", false, "have no target")
	fl.Float64Var(&f.offset, "offset", 0, "add this to the set-point, for a time")
	fl.Float64Var(&f.hold, "hold", 0, "hold the set-point at this, for a time")
	spanVar(fl, &f.window, "for", 0, "of --offset: how long, at most 30d (default 24h); of --hold: at most 24h (default 2h)")
	fl.BoolVar(&f.release, "release", false, "end the offset and the hold")
	w.add(fl)
	c.ValidArgsFunction = a.complete(zoneNames)
	return c
}

// masked reports whether a target was set that does not count, for the recipe of the
// zone asks for something else.
func (f *targetFlags) masked(c *cobra.Command, z api.Zone, q greenhouse.Quantity, args []string) bool {
	given := c.Flags().Changed
	return (len(args) > 0 || given("day") || given("night")) && z.Recipe != nil && z.SetPoints[q].Layer == "recipe"
}

// changeZone is one request about a zone.
type changeZone func(context.Context, *client.Client, greenhouse.ZoneID) (api.Zone, error)

// change reads what the flags ask for: the fields as they would be, for a diff,
// and the request.
func (f *targetFlags) change(c *cobra.Command, q greenhouse.Quantity, args []string, w writeFlags) (map[string]any, changeZone, error) {
	given := c.Flags().Changed
	value := len(args) > 0 || given("day") || given("night")
	asked := 0
	for _, x := range []bool{value, f.clear, given("offset"), given("hold"), f.release} {
		if x {
			asked++
		}
	}
	switch {
	case asked > 1:
		return nil, nil, greenhouse.Invalid("usage", "give one of a value, --offset, --hold, --release and --clear")
	case given("for") && !given("offset") && !given("hold"):
		return nil, nil, greenhouse.Invalid("usage", "--for belongs to --offset and --hold")
	case given("offset"), given("hold"):
		r, err := f.adjustment(given, w.reason)
		return map[string]any{}, func(ctx context.Context, cl *client.Client, id greenhouse.ZoneID) (api.Zone, error) {
			return cl.Adjust(ctx, id, q, r, w.write())
		}, err
	case f.release:
		return map[string]any{}, func(ctx context.Context, cl *client.Client, id greenhouse.ZoneID) (api.Zone, error) {
			return cl.EndAdjustment(ctx, id, q, w.write())
		}, nil
	case f.clear:
		return map[string]any{"targets": map[string]any{string(q): nil}}, func(ctx context.Context, cl *client.Client, id greenhouse.ZoneID) (api.Zone, error) {
			return cl.ClearTarget(ctx, id, q, w.write())
		}, nil
	}
	r, err := targetRequest(c, args, f.day, f.night)
	return map[string]any{"targets": map[string]any{string(q): wantedTarget(r)}}, func(ctx context.Context, cl *client.Client, id greenhouse.ZoneID) (api.Zone, error) {
		return cl.SetTarget(ctx, id, q, r, w.write())
	}, err
}

// adjustment reads --offset or --hold, which need a reason.
func (f *targetFlags) adjustment(given func(string) bool, reason string) (api.AdjustRequest, error) {
	r := api.AdjustRequest{Reason: reason}
	if strings.TrimSpace(reason) == "" {
		return r, greenhouse.Invalid("usage", "an adjustment needs --reason").WithHint("whoever wonders at the temperature wants to know why")
	}
	most := greenhouse.LongestHold
	if given("offset") {
		r.Offset, most = &f.offset, greenhouse.LongestOff
	} else {
		r.Value = &f.hold
	}
	if !given("for") {
		return r, nil
	}
	n, err := seconds("for", f.window, most)
	r.ForS = int64(n)
	return r, err
}

// wantedTarget is a target as the record would have it, nil for none.
func wantedTarget(r api.TargetRequest) any {
	t := map[string]any{}
	if r.Value != nil {
		t["day"], t["night"] = *r.Value, *r.Value
	}
	if r.Day != nil {
		t["day"] = *r.Day
	}
	if r.Night != nil {
		t["night"] = *r.Night
	}
	if len(t) == 0 {
		return nil
	}
	return t
}

// targetRequest reads the value from the argument or the two flags.
func targetRequest(c *cobra.Command, args []string, day, night float64) (api.TargetRequest, error) {
	var r api.TargetRequest
	byDay, byNight := c.Flags().Changed("day"), c.Flags().Changed("night")
	switch {
	case len(args) > 0 && (byDay || byNight):
		return r, greenhouse.Invalid("usage", "give one value, or --day and --night, not both")
	case len(args) > 0:
		v, err := strconv.ParseFloat(args[0], 64)
		if err != nil {
			return r, greenhouse.Invalid("usage", "target %q is no number", args[0])
		}
		r.Value = &v
	case byDay || byNight:
		if byDay {
			r.Day = &day
		}
		if byNight {
			r.Night = &night
		}
	default:
		return r, greenhouse.Invalid("usage", "zone target needs a value").WithHint("%s QUANTITY VALUE, or --day and --night, --offset, --hold, --release or --clear", c.CommandPath()+" ID")
	}
	return r, nil
}
