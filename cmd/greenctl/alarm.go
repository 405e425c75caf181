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

func newAlarm(a *app) *cobra.Command {
	c := noun("alarm", "Conditions somebody must know of", newAlarmList(a), newAlarmWatch(a), newAlarmAck(a), newAlarmShelve(a))
	c.Aliases = []string{"alarms"}
	return c
}

func newAlarmList(a *app) *cobra.Command {
	return a.alarmLister("list", "List open alarms", false)
}

func newAlarmWatch(a *app) *cobra.Command {
	return a.alarmLister("watch", "List open alarms again every two seconds", true)
}

func (a *app) alarmLister(use, short string, watch bool) *cobra.Command {
	var every bool
	c := verb(use, short, "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
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
	if !watch {
		a.watchFlag(c.Flags(), &watch)
	}
	return c
}

func (a *app) alarmsView(items []api.Alarm) view {
	return view{names: func() []string { return names(items, func(x api.Alarm) string { return x.ID }) }, table: func() table {
		t := table{columns: []string{"ID", "SEVERITY", "STATE", "ACKED", "SOURCE", "TEXT", "SEEN", "COUNT", "CODE", "VERSION"}, wide: 3, empty: "no alarms"}
		for _, x := range items {
			t.rows = append(t.rows, []string{x.ID, string(x.Severity), string(x.State), yesNo(x.Acked), string(x.Source), x.Text, ago(x.LastSeen, a.now()), strconv.Itoa(x.Count), x.Code, itoa(x.Version)})
		}
		return t
	}}
}

func newAlarmAck(a *app) *cobra.Command {
	var w writeFlags
	c := verb("ack ID...", "Acknowledge alarms", "", args("ID", "[ID...]"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		if len(args) > 1 && w.version != 0 {
			return greenhouse.Invalid("usage", "--if-version goes with one alarm").WithHint("acknowledge them one by one")
		}
		var acked []api.Alarm
		for _, id := range args {
			x, err := c.AckAlarm(ctx, id, w.write())
			if err != nil {
				return explainStale(err, nil, map[string]any{"acked": true})
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
		forS := 0
		if window > 0 {
			var err error
			if forS, err = seconds("for", window, longestShelf); err != nil {
				return err
			}
		}
		x, err := c.ShelveAlarm(ctx, args[0], api.ShelveRequest{ForS: forS}, w.write())
		if err != nil {
			return explainStale(err, nil, nil)
		}
		return a.show(x, a.alarmsView([]api.Alarm{x}))
	}))
	spanVar(c.Flags(), &window, "for", time.Hour, "how long, at most 7d")
	w.add(c.Flags())
	return c
}

// longestShelf is how long an alarm is hidden at most.
const longestShelf = 7 * 24 * time.Hour
