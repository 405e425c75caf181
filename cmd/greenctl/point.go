package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newPoint(a *app) *cobra.Command {
	c := noun("point", "What is measured or driven at a place: values and history",
		newPointList(a), newPointGet(a), newPointEdit(a), newPointBind(a), newPointHistory(a), newPointTail(a), newPointChart(a), newPointExport(a))
	c.Aliases = []string{"points"}
	return c
}

func newPointList(a *app) *cobra.Command {
	var f client.PointFilter
	var zone, node, kind string
	var watch bool
	c := verb("list", "List points with their latest values", "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		f.Zone, f.Node, f.Kind = greenhouse.ZoneID(zone), greenhouse.UID(node), greenhouse.Kind(kind)
		return a.repeat(ctx, watch, func() error {
			items, err := all(client.All(func(cursor string) (api.List[api.Point], error) {
				f.Cursor = cursor
				return c.Points(ctx, f)
			}))
			if err != nil {
				return err
			}
			return a.show(api.List[api.Point]{Items: items}, a.pointsView(items))
		})
	}))
	c.Flags().StringVar(&zone, "zone", "", "only points of this zone")
	c.Flags().StringVar(&node, "node", "", "only points of this node")
	c.Flags().StringVar(&kind, "kind", "", "sensor or actuator")
	a.watchFlag(c.Flags(), &watch)
	return c
}

func (a *app) pointsView(items []api.Point) view {
	return view{names: func() []string { return names(items, func(p api.Point) string { return string(p.ID) }) }, table: func() table {
		t := table{columns: []string{"POINT", "VALUE", "QUALITY", "MEASURED", "NODE", "CALIBRATION", "CHANNEL", "KIND", "VERSION"}, wide: 4, empty: "there are no points; they appear when a node sends its first values"}
		for _, p := range items {
			value, quality := number(p.Value, p.Unit), p.Quality.String()
			if p.Kind == greenhouse.Actuator {
				value = level(p.Value)
			}
			switch {
			case p.Position.Note() != "":
				quality = string(p.Position)
			case p.TS == 0:
				quality = "-"
			}
			t.rows = append(t.rows, []string{string(p.ID), value, quality, ago(p.TS, a.now()), string(p.Node), calWord(p.Calibration), string(p.Channel), string(p.Kind), itoa(p.Version)})
		}
		return t
	}}
}

func newPointGet(a *app) *cobra.Command {
	c := verb("get POINT", "Show one point", "", args("POINT"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		id, err := pointArg(args[0])
		if err != nil {
			return err
		}
		p, err := c.Point(ctx, id)
		if err != nil {
			return err
		}
		return a.show(p, a.pointsView([]api.Point{p}))
	}))
	c.ValidArgsFunction = a.complete(pointNames)
	return c
}

// spanFlags are the flags of a stretch of time.
func spanFlags(f *pflag.FlagSet, s *client.Span) {
	f.StringVar(&s.From, "from", "", "first instant: RFC 3339, 2h (ago), today, yesterday (default 24h)")
	f.StringVar(&s.To, "to", "", "instant after the last (default now)")
}

func newPointHistory(a *app) *cobra.Command {
	var q client.HistoryQuery
	c := verb("history POINT", "Show the readings of a point, and what was lost between them", "  greenctl point history north/air_temp --from today --step 1h", args("POINT"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		id, err := pointArg(args[0])
		if err != nil {
			return err
		}
		if !slices.Contains(steps(), q.Step) {
			return greenhouse.Invalid("usage", "step %q is unknown", q.Step).WithHint("it is %s", strings.Join(steps(), ", "))
		}
		h, err := c.History(ctx, id, q)
		if err != nil {
			return err
		}
		if h.Next != "" && a.output != "json" && a.output != "yaml" {
			a.note("there is more: add --cursor %s", h.Next)
		}
		return a.show(h, view{names: func() []string { return []string{string(h.Point)} }, table: func() table { return historyTable(h) }})
	}))
	spanFlags(c.Flags(), &q.Span)
	c.Flags().StringVar(&q.Step, "step", "auto", "raw, 1m, 1h, 1d or auto")
	c.Flags().IntVar(&q.Limit, "limit", 0, "most samples, up to 100000")
	c.Flags().StringVar(&q.Cursor, "cursor", "", "go on after an earlier answer")
	c.ValidArgsFunction = a.complete(pointNames)
	return c
}

// steps are the resolutions of a history.
func steps() []string { return []string{"raw", "1m", "1h", "1d", "auto"} }

func historyTable(h api.History) table {
	t := table{columns: []string{"TIME", "VALUE", "QUALITY"}, empty: "nothing was recorded in that time"}
	if h.Step != "raw" {
		t.columns = append(t.columns, "MIN", "MAX", "COUNT")
	}
	if h.IntegralUnit != "" {
		t.columns = append(t.columns, "TOTAL")
	}
	gap := 0
	for _, s := range h.Samples {
		for gap < len(h.Gaps) && h.Gaps[gap].From <= s.TS {
			t.rows = append(t.rows, gapRow(h.Gaps[gap], len(t.columns)))
			gap++
		}
		row := []string{clock(s.TS), number(s.Value, h.Unit), s.Quality.String()}
		if h.Step != "raw" {
			row = append(row, number(s.Min, h.Unit), number(s.Max, h.Unit), strconv.Itoa(s.Count))
		}
		if h.IntegralUnit != "" {
			row = append(row, number(s.Integral, h.IntegralUnit))
		}
		t.rows = append(t.rows, row)
	}
	for ; gap < len(h.Gaps); gap++ {
		t.rows = append(t.rows, gapRow(h.Gaps[gap], len(t.columns)))
	}
	return t
}

func gapRow(g api.Gap, columns int) []string {
	row := make([]string, columns)
	row[0] = clock(g.From)
	row[2] = gapText(g)
	return row
}

// gapText says what a gap means. Those without a count tell of no loss that
// anybody knows of: of times that were found out later or never, or of silence.
func gapText(g api.Gap) string {
	switch to := clock(g.To); {
	case g.Cause == "restamped":
		return fmt.Sprintf("times until %s were found out later (%s)", to, g.Cause)
	case g.Cause == "clock_unknown":
		return fmt.Sprintf("times until %s are guesses (%s)", to, g.Cause)
	case g.Cause == "thinned":
		return fmt.Sprintf("readings until %s have given way to summaries: ask with --step 1h or 1d (%s)", to, g.Cause)
	case g.Count == 0:
		return fmt.Sprintf("nothing until %s (%s)", to, g.Cause)
	default:
		return fmt.Sprintf("lost until %s (%s, %d)", to, g.Cause, g.Count)
	}
}

func newPointTail(a *app) *cobra.Command {
	c := verb("tail POINT", "Print the values of a point as they come", "", args("POINT"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		id, err := pointArg(args[0])
		if err != nil {
			return err
		}
		known, err := c.Point(ctx, id)
		if err != nil {
			return err
		}
		var last greenhouse.Millis
		for m, err := range c.WatchLive(ctx, client.LiveQuery{Zone: id.Zone()}) {
			if err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				a.note("%v; trying again", err)
				continue
			}
			for _, p := range m.Points {
				if p.ID != id || p.TS == last {
					continue
				}
				last = p.TS
				if err := a.printLive(p, known); err != nil {
					return err
				}
			}
		}
		return ctx.Err()
	}))
	c.ValidArgsFunction = a.complete(pointNames)
	return c
}

func (a *app) printLive(p api.LivePoint, known api.Point) error {
	if a.output == "json" {
		return a.showLine(p)
	}
	value := number(p.Value, known.Unit)
	if known.Kind == greenhouse.Actuator {
		value = level(p.Value)
	}
	_, err := fmt.Fprintf(a.out, "%s  %s  %s  %s\n", p.TS.Time().Local().Format("15:04:05.000"), p.ID, value, p.Quality)
	return err
}

func newPointExport(a *app) *cobra.Command {
	var span client.Span
	var format, file, gaps string
	c := verb("export POINT...", "Export readings as CSV, JSON lines or Parquet", "  greenctl point export north/air_temp north/air_rh --from 7d --format csv --out north.csv", args("POINT", "[POINT...]"), a.with(func(ctx context.Context, c *client.Client, args []string) (err error) {
		var ids []greenhouse.PointID
		for _, s := range args {
			id, err := pointArg(s)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		if err := checkFormat(format); err != nil {
			return err
		}
		if file != "" && file != "-" {
			if err := checkTarget(file); err != nil {
				return err
			}
		}
		if gaps != "" {
			if err := a.exportGaps(ctx, c, ids, span, gaps); err != nil {
				return err
			}
		}
		body, err := a.openExport(ctx, c, ids, span, format)
		if err != nil {
			return err
		}
		defer body.Close()
		if file == "" || file == "-" {
			_, err = io.Copy(a.out, body)
			return err
		}
		return a.download(file, body, 0o666)
	}))
	spanFlags(c.Flags(), &span)
	c.Flags().StringVar(&format, "format", "csv", "csv, jsonl or parquet")
	c.Flags().StringVar(&gaps, "gaps", "", "also write what was lost to this file, as CSV: point,node,from,to,cause,count")
	c.Flags().StringVar(&file, "out", "", "write to this file instead of standard output")
	c.ValidArgsFunction = a.complete(pointNames)
	return c
}
