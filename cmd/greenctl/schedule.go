package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/guptarohit/asciigraph"
	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// scheduleFlags say what becomes of a curve.
type scheduleFlags struct {
	date             string
	chart, clear     bool
	shape            string
	day, night, drop float64
	lasts            time.Duration
}

func newZoneSchedule(a *app) *cobra.Command {
	var w writeFlags
	var f scheduleFlags
	c := verb("schedule ID [QUANTITY] [TIME=VALUE[@RAMP]...]", "Show what the set-points do over the day, or give one a curve", strings.Join([]string{
		"  greenctl zone schedule north                                  # today: when, where to, DIF",
		"  greenctl zone schedule north --date 2026-12-21 --chart",
		"  greenctl zone schedule north heating sunrise-1:00=20@1 14:00=21 sunset=17",
		"  greenctl zone schedule north heating --shape morning-drop --day 20 --night 17 --drop 13 --for 2h30m",
		"  greenctl zone schedule north heating --clear",
	}, "\n"), args("ID", "[QUANTITY]", "[TIME=VALUE...]"), nil)
	c.Long = "Show what the set-points of a zone do over a day, or give one of heating, venting, humidity_max, vpd and co2 a curve.\n\n" +
		"A curve stands above the target of day and night. Its knots are times with values, in the order of the day: a clock\n" +
		"time, or sunrise or sunset with an offset. From each on, the set-point moves to the value, by RAMP units an hour at\n" +
		"most (by default 1.5 K/h up and 3 K/h down for temperatures, at once for others). zone target --offset and --hold\n" +
		"change it for a time; frost and heat protection stand above all of it."
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, args []string) error {
		id, err := zoneArg(args[0])
		if err != nil {
			return err
		}
		if len(args) == 1 {
			if f.clear || f.shape != "" {
				return greenhouse.Invalid("usage", "zone schedule needs a quantity to change").WithHint("heating, venting, humidity_max, vpd or co2")
			}
			return a.showPlan(ctx, cl, id, f)
		}
		q, err := greenhouse.ParseQuantity(args[1])
		if err != nil {
			return err
		}
		var z api.Zone
		var knots greenhouse.Curve
		switch {
		case f.clear && (len(args) > 2 || f.shape != ""):
			return greenhouse.Invalid("usage", "--clear takes no curve")
		case f.clear:
			z, err = cl.ClearCurve(ctx, id, q.Quantity, w.write())
		default:
			if knots, err = f.knots(c, args[2:]); err == nil {
				z, err = cl.SetCurve(ctx, id, q.Quantity, knots, w.write())
			}
		}
		if err != nil {
			return explainStale(err, nil, map[string]any{"schedule": map[string]any{args[1]: knots}})
		}
		if a.output != "" && a.output != "table" {
			return a.showZone(z)
		}
		return a.showPlan(ctx, cl, id, f)
	})
	fl := c.Flags()
	fl.StringVar(&f.date, "date", "", "2026-03-01, yesterday, today or tomorrow")
	fl.BoolVar(&f.chart, "chart", false, "draw the courses")
	fl.BoolVar(&f.clear, "clear", false, "follow the target of day and night again")
	fl.StringVar(&f.shape, "shape", "", "day-night, pre-night-drop or morning-drop, instead of knots")
	fl.Float64Var(&f.day, "day", 0, "of a shape: the level of day")
	fl.Float64Var(&f.night, "night", 0, "of a shape: the level of night")
	fl.Float64Var(&f.drop, "drop", 0, "of a shape: the level of the drop")
	spanVar(fl, &f.lasts, "for", 2*time.Hour, "of a shape: how long the drop stands, 30m to 8h")
	w.add(fl)
	c.ValidArgsFunction = a.complete(zoneNames)
	return c
}

// knots reads a curve from the arguments, or makes it by its shape.
func (f *scheduleFlags) knots(c *cobra.Command, args []string) (greenhouse.Curve, error) {
	given := c.Flags().Changed
	shaped := given("day") || given("night") || given("drop") || given("for")
	switch {
	case f.shape != "" && len(args) > 0:
		return nil, greenhouse.Invalid("usage", "give either knots or --shape")
	case f.shape == "" && shaped:
		return nil, greenhouse.Invalid("usage", "--day, --night, --drop and --for belong to --shape").WithHint("--shape day-night, pre-night-drop or morning-drop")
	case f.shape != "" && (!given("day") || !given("night")):
		return nil, greenhouse.Invalid("usage", "a shape needs --day and --night")
	case f.shape != "" && f.shape != string(greenhouse.ShapeDayNight) && !given("drop"):
		return nil, greenhouse.Invalid("usage", "the shape %s needs --drop", f.shape)
	case f.shape != "":
		return greenhouse.Shape(f.shape).Curve(f.day, f.night, f.drop, f.lasts)
	case len(args) == 0:
		return nil, greenhouse.Invalid("usage", "zone schedule needs the knots of the curve").WithHint("%s QUANTITY sunrise=20 sunset=17, or --shape, or --clear", c.CommandPath()+" ID")
	}
	knots := make(greenhouse.Curve, len(args))
	for i, arg := range args {
		var err error
		if knots[i], err = greenhouse.ParseKnot(arg); err != nil {
			return nil, err
		}
	}
	return knots, nil
}

// showPlan prints what the set-points of a zone do on a date.
func (a *app) showPlan(ctx context.Context, c *client.Client, id greenhouse.ZoneID, f scheduleFlags) error {
	p, err := c.ZonePlan(ctx, id, f.date)
	if err != nil {
		return err
	}
	if !a.human() {
		return a.show(p, view{})
	}
	site, err := c.Site(ctx)
	if err != nil {
		return err
	}
	loc, err := time.LoadLocation(site.TimeZone)
	if err != nil {
		loc = time.UTC
	}
	hm := func(m greenhouse.Millis) string { return m.Time().In(loc).Format("15:04") }
	sun := "no sunrise"
	if p.Sunrise != 0 {
		sun = fmt.Sprintf("sun %s to %s", hm(p.Sunrise), hm(p.Sunset))
	}
	a.note("%s on %s (%s): day from %s to %s, %s", p.Zone, p.Date, loc, hm(p.DayFrom), hm(p.DayUntil), sun)
	t := table{columns: []string{"SET-POINT", "COURSE", "MEAN", "DAY", "NIGHT", "DIF", "UNIT"}, empty: "the zone has no set-points: greenctl zone target, or zone schedule ID QUANTITY TIME=VALUE..."}
	for _, x := range p.Courses {
		dif := math.NaN()
		if x.DayMean != nil && x.NightMean != nil && x.Unit == "°C" {
			dif = *x.DayMean - *x.NightMean
		}
		t.rows = append(t.rows, []string{string(x.Quantity), courseText(x, hm), tenth(api.Val(x.Mean)), tenth(api.Val(x.DayMean)), tenth(api.Val(x.NightMean)), tenth(dif), string(x.Unit)})
	}
	if err := a.showTable(t); err != nil || !f.chart {
		return err
	}
	for _, x := range p.Courses {
		a.drawCourse(p, x, hm)
	}
	return nil
}

// courseText writes where a set-point is sent over the day.
func courseText(x api.Course, hm func(greenhouse.Millis) string) string {
	if len(x.Steps) == 0 {
		return "all day"
	}
	var parts []string
	for _, s := range x.Steps {
		part := fmt.Sprintf("%s to %g", hm(s.At), s.To)
		if s.Ramp > 0 {
			part += fmt.Sprintf(" at %.3g/h", s.Ramp)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// tenth writes a number with one decimal, - for none.
func tenth(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.1f", v)
}

func (a *app) drawCourse(p api.ZonePlan, x api.Course, hm func(greenhouse.Millis) string) {
	width := a.chartWidth()
	series := make([]float64, width)
	for i := range series {
		series[i] = api.Val(x.Levels[min(i*len(x.Levels)/width, len(x.Levels)-1)])
	}
	if !slices.ContainsFunc(series, func(v float64) bool { return !math.IsNaN(v) }) {
		return
	}
	a.blank()
	caption := fmt.Sprintf("%s, %s, %s from %s to %s", x.Quantity, x.Unit, p.Date, hm(p.From), hm(p.Until))
	fmt.Fprintln(a.out, asciigraph.Plot(series, asciigraph.Height(6), asciigraph.Precision(1), asciigraph.Caption(caption)))
}
