package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newEvent(a *app) *cobra.Command {
	c := noun("event", "What happened, numbered without gaps", newEventList(a), newEventWatch(a), newEventVerify(a))
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
		return a.show(l, a.eventsView(l.Items))
	})
	c.Flags().Uint64Var(&since, "since", 0, "only events after this number; 0 lists all that is kept (default: the newest)")
	c.Flags().IntVar(&limit, "limit", 100, "most events, 1 to 10000")
	return c
}

func (a *app) eventsView(items []api.Event) view {
	return view{names: func() []string { return names(items, func(e api.Event) string { return itoa(e.Seq) }) }, table: func() table {
		t := table{columns: []string{"SEQ", "TIME", "EVENT", "SOURCE", "ACTOR", "DETAIL"}, empty: "nothing happened"}
		for _, e := range items {
			t.rows = append(t.rows, []string{itoa(e.Seq), clock(e.TS), e.Code, string(e.Source), e.Actor, a.detail(e)})
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
	_, err := fmt.Fprintf(a.out, "%d  %s  %-22s %-30s %s  %s\n", e.Seq, clock(e.TS), e.Code, e.Source, clean(e.Actor), clean(a.detail(e)))
	return err
}

// detail writes what an event says beside its code: all of it with -o wide,
// else what a line has room for.
func (a *app) detail(e api.Event) string {
	if a.output == "wide" {
		return string(e.Detail)
	}
	return brief(e)
}

// briefWidth is how much of an event's detail a line shows.
const briefWidth = 76

// brief writes the detail of an event as name=value, without what the other
// columns say already, what is nested and what is for programs.
func brief(e api.Event) string {
	var m map[string]any
	if json.Unmarshal(e.Detail, &m) != nil {
		return string(e.Detail)
	}
	var parts []string
	for _, k := range slices.SortedFunc(maps.Keys(m), func(x, y string) int { return cmp.Or(rank(x)-rank(y), strings.Compare(x, y)) }) {
		switch v := m[k].(type) {
		case map[string]any:
			if reason, ok := v["reason"].(string); ok && k == "winner" {
				parts = append(parts, reason)
			}
		case []any, nil:
		default:
			if s := fmt.Sprint(v); s != "" && !strings.HasSuffix(string(e.Source), "/"+s) && !forPrograms(k) {
				parts = append(parts, k+"="+s)
			}
		}
	}
	s := []rune(strings.Join(parts, "  "))
	if len(s) > briefWidth {
		return string(s[:briefWidth-1]) + "…"
	}
	return string(s)
}

// rank puts what an event is about before what identifies it.
func rank(k string) int {
	switch k {
	case "op", "value":
		return 0
	case "id":
		return 2
	}
	return 1
}

// forPrograms reports whether a field of an event says nothing to people.
func forPrograms(k string) bool {
	return k == "at" || k == "since" || k == "epoch" || k == "lease_s" || strings.HasSuffix(k, "_at")
}
