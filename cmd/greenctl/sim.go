package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/sim"
)

func newSim(a *app) *cobra.Command {
	return noun("sim", "Play with a simulated greenhouse, and replay recorded ones",
		newSimNodes(a), newSimFaults(a), newSimFault(a), newSimClear(a), newSimReplay(a), newSimList(a), newSimShow(a), newSimRun(a))
}

func newSimNodes(a *app) *cobra.Command {
	return verb("nodes", "List the simulated nodes of edged demo", "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		s, err := c.Sim(ctx)
		if err != nil {
			return err
		}
		return a.show(s, view{names: func() []string { return names(s.Nodes, func(n api.SimNode) string { return string(n.UID) }) }, table: func() table {
			t := table{columns: []string{"UID", "TYPE", "ZONE", "ONLINE"}}
			for _, n := range s.Nodes {
				t.rows = append(t.rows, []string{string(n.UID), string(n.Type), string(n.Zone), yesNo(n.Online)})
			}
			return t
		}})
	}))
}

func newSimFaults(a *app) *cobra.Command {
	var known bool
	list := a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		s, err := c.Sim(ctx)
		if err != nil {
			return err
		}
		if s.Faults == nil {
			s.Faults = []api.SimFault{}
		}
		return a.show(api.List[api.SimFault]{Items: s.Faults}, faultsView(s.Faults))
	})
	c := verb("faults", "List the faults injected now, or with --known those there are", "", args(), func(cmd *cobra.Command, got []string) error {
		if known {
			return a.showVerbs()
		}
		return list(cmd, got)
	})
	c.Flags().BoolVar(&known, "known", false, "list the faults that can be injected, or stand in a scenario; needs no daemon")
	return c
}

// showVerbs lists the faults there are.
func (a *app) showVerbs() error {
	var kinds []api.SimFaultKind
	for _, v := range sim.Verbs() {
		kinds = append(kinds, api.SimFaultKind{Name: string(v.Verb), Target: v.Target, What: v.What})
	}
	return a.show(api.List[api.SimFaultKind]{Items: kinds}, view{names: func() []string { return names(kinds, func(k api.SimFaultKind) string { return k.Name }) }, table: func() table {
		t := table{columns: []string{"FAULT", "TARGET", "WHAT"}}
		for _, k := range kinds {
			t.rows = append(t.rows, []string{k.Name, k.Target, k.What})
		}
		return t
	}})
}

func faultsView(items []api.SimFault) view {
	return view{names: func() []string { return names(items, func(f api.SimFault) string { return f.ID }) }, table: func() table {
		t := table{columns: []string{"ID", "FAULT", "TARGET", "VALUE", "SINCE", "UNTIL"}, empty: "no faults"}
		for _, f := range items {
			t.rows = append(t.rows, []string{f.ID, f.Name, f.Target, fmt.Sprintf("%g", f.Value), clock(f.Since), clock(f.Until)})
		}
		return t
	}}
}

func newSimFault(a *app) *cobra.Command {
	var value float64
	var window time.Duration
	c := verb("fault NAME [TARGET]", "Inject a fault: kill a node, hold a heater on, freeze a sensor",
		"  greenctl sim faults --known\n  greenctl sim fault kill climate-02510d000101\n  greenctl sim fault stuck_on north/heater\n  greenctl sim fault offset north/air_temp --value 3 --for 10m", args("NAME", "[TARGET]"),
		a.with(func(ctx context.Context, c *client.Client, args []string) error {
			r := api.SimFaultRequest{Name: args[0], Value: value, ForS: int((window + time.Second - 1) / time.Second)}
			if len(args) > 1 {
				r.Target = args[1]
			}
			f, err := c.InjectFault(ctx, r, client.Write{})
			if err != nil {
				return err
			}
			return a.show(f, faultsView([]api.SimFault{f}))
		}))
	c.Flags().Float64Var(&value, "value", 0, "strength, where the fault has one")
	spanVar(c.Flags(), &window, "for", 0, "how long, in simulated time (default: until cleared)")
	c.ValidArgsFunction = a.complete(func(ctx context.Context, c *client.Client) ([]string, error) {
		s, err := c.Sim(ctx)
		return names(s.Known, func(k api.SimFaultKind) string { return k.Name }), err
	})
	return c
}

func newSimClear(a *app) *cobra.Command {
	return verb("clear [ID]", "Clear one fault, or all", "", args("[ID]"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		id := ""
		if len(args) > 0 {
			id = args[0]
		}
		if err := c.ClearFault(ctx, id, client.Write{}); err != nil {
			return err
		}
		if id == "" {
			return a.done("", "all faults are cleared")
		}
		return a.done(id, "fault %s is cleared", id)
	}))
}
