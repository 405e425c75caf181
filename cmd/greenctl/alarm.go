package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newAlarm(a *app) *cobra.Command {
	c := noun("alarm", "Conditions somebody must know of", newAlarmList(a), newAlarmAck(a), newAlarmShelve(a))
	c.Aliases = []string{"alarms"}
	return c
}

func newAlarmList(a *app) *cobra.Command {
	var every, watch bool
	c := verb("list", "List open alarms", "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		return a.repeat(ctx, watch, func() error {
			items, err := all(client.All(func(cursor string) (api.List[api.Alarm], error) {
				return c.Alarms(ctx, every, client.Page{Cursor: cursor})
			}))
			if err != nil {
				return err
			}
			return a.show(api.List[api.Alarm]{Items: items}, a.alarmsView(items))
		})
	}))
	c.Flags().BoolVar(&every, "all", false, "also those that are over and acknowledged")
	c.Flags().BoolVarP(&watch, "watch", "w", false, "show it again every two seconds")
	return c
}

func (a *app) alarmsView(items []api.Alarm) view {
	return view{names: func() []string { return names(items, func(x api.Alarm) string { return x.ID }) }, table: func() table {
		t := table{columns: []string{"ID", "SEVERITY", "STATE", "ACKED", "SOURCE", "TEXT", "SEEN", "COUNT", "CODE"}, wide: 2, empty: "no alarms"}
		for _, x := range items {
			t.rows = append(t.rows, []string{x.ID, string(x.Severity), string(x.State), yesNo(x.Acked), string(x.Source), x.Text, ago(x.LastSeen, a.now()), strconv.Itoa(x.Count), x.Code})
		}
		return t
	}}
}

func newAlarmAck(a *app) *cobra.Command {
	var w writeFlags
	c := verb("ack ID...", "Acknowledge alarms", "", args("ID", "[ID...]"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		var acked []api.Alarm
		for _, id := range args {
			x, err := c.AckAlarm(ctx, id, w.write())
			if err != nil {
				return err
			}
			acked = append(acked, x)
		}
		if len(acked) == 1 {
			return a.show(acked[0], a.alarmsView(acked))
		}
		return a.show(api.List[api.Alarm]{Items: acked}, a.alarmsView(acked))
	}))
	w.add(c.Flags())
	c.ValidArgsFunction = a.complete(func(ctx context.Context, c *client.Client) ([]string, error) {
		l, err := c.Alarms(ctx, false, client.Page{})
		return names(l.Items, func(x api.Alarm) string { return x.ID }), err
	})
	return c
}

func newAlarmShelve(a *app) *cobra.Command {
	var w writeFlags
	var window time.Duration
	c := verb("shelve ID --for TIME", "Hide an alarm for a time; 0 shows it again", "", args("ID"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		x, err := c.ShelveAlarm(ctx, args[0], api.ShelveRequest{ForS: int(window.Seconds())}, w.write())
		if err != nil {
			return err
		}
		return a.show(x, a.alarmsView([]api.Alarm{x}))
	}))
	c.Flags().DurationVar(&window, "for", time.Hour, "how long, at most 168h")
	w.add(c.Flags())
	return c
}

func newEvent(a *app) *cobra.Command {
	c := noun("event", "What happened, numbered without gaps", newEventList(a), newEventWatch(a))
	c.Aliases = []string{"events"}
	return c
}

func newEventList(a *app) *cobra.Command {
	var since uint64
	var limit int
	c := verb("list", "List events, oldest first", "  greenctl event list --since 0 --limit 20", args(), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, _ []string) error {
		if !c.Flags().Changed("since") {
			st, err := cl.Status(ctx)
			if err != nil {
				return err
			}
			since = st.LastEvent - min(st.LastEvent, uint64(max(limit, 0))) // the newest
		}
		l, err := cl.Events(ctx, since, limit)
		if err != nil {
			return err
		}
		if l.Items == nil {
			l.Items = []api.Event{}
		}
		return a.show(l, eventsView(l.Items))
	})
	c.Flags().Uint64Var(&since, "since", 0, "only events after this number; 0 lists all that is kept (default: the newest)")
	c.Flags().IntVar(&limit, "limit", 100, "most events")
	return c
}

func eventsView(items []api.Event) view {
	return view{names: func() []string { return names(items, func(e api.Event) string { return itoa(e.Seq) }) }, table: func() table {
		t := table{columns: []string{"SEQ", "TIME", "EVENT", "SOURCE", "ACTOR", "DETAIL"}, empty: "nothing happened"}
		for _, e := range items {
			t.rows = append(t.rows, []string{itoa(e.Seq), clock(e.TS), e.Code, string(e.Source), e.Actor, string(e.Detail)})
		}
		return t
	}}
}

func newEventWatch(a *app) *cobra.Command {
	var since uint64
	c := verb("watch", "Print events as they happen; none is skipped, also after a lost connection", "", args(), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, _ []string) error {
		if !c.Flags().Changed("since") {
			st, err := cl.Status(ctx)
			if err != nil {
				return err
			}
			since = st.LastEvent
		}
		for e, err := range cl.WatchEvents(ctx, since) {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, greenhouse.ErrForbidden), errors.Is(err, greenhouse.ErrInvalid):
				return err
			case err != nil:
				a.note("%v; trying again", err)
				continue
			}
			if err := a.printEvent(e); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	c.Flags().Uint64Var(&since, "since", 0, "start after this number (default: now)")
	return c
}

func (a *app) printEvent(e api.Event) error {
	if a.output == "json" {
		return a.showLine(e)
	}
	_, err := fmt.Fprintf(a.out, "%d  %s  %-22s %-30s %s  %s\n", e.Seq, clock(e.TS), e.Code, e.Source, clean(e.Actor), clean(string(e.Detail)))
	return err
}
