package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newNode(a *app) *cobra.Command {
	c := noun("node", "Devices: join, assign, command",
		newNodePair(a), newNodeRegister(a), newNodeList(a), newNodeGet(a), newNodeDescribe(a), newNodeEdit(a), newNodeAssign(a), newNodeUnassign(a),
		newNodeConfig(a), newNodeCommand(a), newNodeRotateKey(a), newNodeMaintenance(a), newNodeDecommission(a), newNodeSwap(a), newNodeWatch(a), newNodeCA(a), newNodePending(a), newNodeAdopt(a), newNodeCalibrate(a))
	c.Aliases = []string{"nodes"}
	for _, v := range c.Commands() {
		if strings.Contains(v.Use, "UID") {
			v.ValidArgsFunction = a.complete(nodeNames)
		}
	}
	return c
}

func newNodeRegister(a *app) *cobra.Command {
	var w writeFlags
	var hw, typ, name, zone string
	c := verb("register --hardware-id ID --type TYPE", "Register a node and get its secret", `  greenctl node register --hardware-id A4:CF:12:B3:DE:01 --type ph --name "pH north" --zone north`, args(),
		a.with(func(ctx context.Context, c *client.Client, _ []string) error {
			if hw == "" || typ == "" {
				return greenhouse.Invalid("usage", "node register needs --hardware-id and --type").WithHint("the hardware id is printed on the device, usually its MAC address")
			}
			if _, err := greenhouse.ParseHardwareID(hw); err != nil {
				return err
			}
			t, err := greenhouse.ParseNodeType(typ)
			if err != nil {
				return err
			}
			n, err := c.RegisterNode(ctx, api.RegisterRequest{HardwareID: hw, Type: t, Name: name, Zone: greenhouse.ZoneID(zone)}, w.write())
			if err != nil {
				return err
			}
			switch {
			case n.Secret != "":
				a.note("the secret is shown this once: flash it into the node, or lose it and run greenctl node rotate-key %s", n.UID)
			case !n.Created:
				a.note("%s was registered before; its secret stays as it is", n.UID)
			}
			return a.show(n, view{names: func() []string { return []string{string(n.UID)} }, table: func() table {
				t := table{columns: []string{"UID", "NAME", "ZONE", "STATE", "SECRET"}}
				t.rows = [][]string{{string(n.UID), n.Name, string(n.Zone), string(n.State), n.Secret}}
				return t
			}})
		}))
	f := c.Flags()
	f.StringVar(&hw, "hardware-id", "", "what the maker gave the device, usually its MAC address")
	f.StringVar(&typ, "type", "", "ph, ec, climate, irrigation, light, relay, water, weather or multi")
	f.StringVar(&name, "name", "", "what people call it")
	f.StringVar(&zone, "zone", "", "put it into this zone at once")
	w.addNew(f)
	_ = c.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(names(greenhouse.NodeTypes(), func(t greenhouse.NodeType) string { return string(t) }), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func newNodeList(a *app) *cobra.Command {
	return a.nodeLister("list", "List nodes", false)
}

func newNodeWatch(a *app) *cobra.Command {
	return a.nodeLister("watch", "List nodes again every two seconds", true)
}

func (a *app) nodeLister(use, short string, watch bool) *cobra.Command {
	var zone, typ, state string
	c := verb(use, short, "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		f, err := nodeFilter(zone, typ, state)
		if err != nil {
			return err
		}
		return a.repeat(ctx, watch, func() error {
			items, err := all(client.All(func(cursor string) (api.List[api.Node], error) {
				f.Cursor = cursor
				return c.Nodes(ctx, f)
			}))
			if err != nil {
				return err
			}
			return a.show(api.List[api.Node]{Items: items}, a.nodesView(items))
		})
	}))
	f := c.Flags()
	f.StringVar(&zone, "zone", "", "only nodes of this zone")
	f.StringVar(&typ, "type", "", "only nodes of this type")
	f.StringVar(&state, "state", "", "only nodes in this state: registered, assigned, active, degraded, maintenance or decommissioned")
	if !watch {
		a.watchFlag(f, &watch)
	}
	return c
}

// nodeFilter checks what a list of nodes is to be narrowed to: a misspelt type
// must not look like a greenhouse without nodes.
func nodeFilter(zone, typ, state string) (f client.NodeFilter, err error) {
	f.State = greenhouse.NodeState(state)
	if zone != "" {
		if f.Zone, err = zoneArg(zone); err != nil {
			return f, err
		}
	}
	if typ != "" {
		f.Type, err = greenhouse.ParseNodeType(typ)
	}
	return f, err
}

func (a *app) nodesView(items []api.Node) view {
	return view{
		names: func() []string { return names(items, func(n api.Node) string { return string(n.UID) }) },
		table: func() table {
			t := table{columns: []string{"UID", "NAME", "ZONE", "STATE", "ONLINE", "SEEN", "CONFIG", "WRONG", "FIRMWARE", "ADDRESS", "VERSION"}, wide: 3, empty: "there are no nodes; greenctl node pair lets some join"}
			for _, n := range items {
				online := "no"
				if n.Online {
					online = "yes"
				}
				t.rows = append(t.rows, []string{string(n.UID), n.Name, string(n.Zone), string(n.State), online, ago(n.LastSeen, a.now()), string(n.Config.Status), strings.Join(names(n.Reasons, func(r api.Reason) string { return r.Code }), " "), n.FW, n.Address, itoa(n.Version)})
			}
			return t
		},
	}
}

// showNode prints one node.
func (a *app) showNode(n api.Node) error { return a.show(n, a.nodesView([]api.Node{n})) }

func newNodeGet(a *app) *cobra.Command {
	c := verb("get UID", "Show a node and its channels", "", args("UID"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		uid, err := uidArg(args[0])
		if err != nil {
			return err
		}
		n, err := c.Node(ctx, uid)
		if err != nil {
			return err
		}
		if err := a.showNode(n); err != nil || !a.human() {
			return err
		}
		t := table{columns: []string{"CHANNEL", "KIND", "VALUE", "QUALITY", "AGE", "POINT"}, empty: "no channels yet"}
		for _, ch := range n.Channels {
			value := number(ch.Value, ch.Unit)
			if ch.Kind == greenhouse.Actuator {
				value = level(ch.Value)
			}
			t.rows = append(t.rows, []string{string(ch.Name), string(ch.Kind), value, ch.Quality, ago(ch.TS, a.now()), string(ch.Point)})
		}
		a.blank()
		return a.showTable(t)
	}))
	return c
}

func newNodeEdit(a *app) *cobra.Command {
	var w writeFlags
	var name string
	var labels []string
	var interval, linkLoss int
	var ch channelFlags
	c := verb("edit UID", "Change a node's name, labels or intervals, or one of its channels", "  greenctl node edit ph-a4cf12b3de01 --name \"pH north\" --if-version 3\n  greenctl node edit relay-02510d000102 --channel heater --max-on 30m", args("UID"), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, args []string) error {
		uid, err := uidArg(args[0])
		if err != nil {
			return err
		}
		patch, err := nodePatch(c, name, labels, interval, linkLoss)
		if err != nil {
			return err
		}
		chPatch, err := ch.patch(c)
		if err != nil {
			return err
		}
		if patch != nil && chPatch != nil {
			return greenhouse.Invalid("usage", "change the node or one of its channels, not both at once")
		}
		before, err := cl.Node(ctx, uid)
		if err != nil {
			return err
		}
		if chPatch != nil {
			n, err := cl.EditChannel(ctx, uid, greenhouse.ChannelName(ch.channel), chPatch, w.edit(before.Version))
			if err != nil {
				return explainStale(err, before, nil)
			}
			return a.showNode(n)
		}
		if patch == nil {
			return a.editNode(ctx, cl, before, &w)
		}
		n, err := cl.EditNode(ctx, uid, patch, w.edit(before.Version))
		if err != nil {
			return explainStale(err, before, patch)
		}
		return a.showNode(n)
	})
	f := c.Flags()
	f.StringVar(&name, "name", "", "what people call it")
	f.StringArrayVar(&labels, "label", nil, "set a label, key=value; key= removes it")
	f.IntVar(&interval, "interval", 0, "how often it sends, s")
	f.IntVar(&linkLoss, "link-loss", 0, "time without a link before it goes safe, s")
	ch.add(c)
	w.add(f)
	return c
}

// nodePatch makes the patch that the flags ask for, nil where none was given.
func nodePatch(c *cobra.Command, name string, labels []string, interval, linkLoss int) (*api.NodePatch, error) {
	p := &api.NodePatch{}
	f := c.Flags()
	if f.Changed("name") {
		p.Name = &name
	}
	if f.Changed("interval") {
		p.IntervalS = &interval
	}
	if f.Changed("link-loss") {
		p.LinkLossS = &linkLoss
	}
	for _, l := range labels {
		k, v, ok := strings.Cut(l, "=")
		if !ok || k == "" {
			return nil, greenhouse.Invalid("usage", "label %q is not key=value", l)
		}
		if p.Labels == nil {
			p.Labels = map[string]*string{}
		}
		if p.Labels[k] = &v; v == "" {
			p.Labels[k] = nil
		}
	}
	if p.Name == nil && p.Labels == nil && p.IntervalS == nil && p.LinkLossS == nil {
		return nil, nil
	}
	return p, nil
}

func newNodeAssign(a *app) *cobra.Command {
	var w writeFlags
	var zone string
	c := verb("assign UID --zone ZONE", "Put a node into a zone", "", args("UID"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		uid, err := uidArg(args[0])
		if err != nil {
			return err
		}
		if zone == "" {
			return greenhouse.Invalid("usage", "node assign needs --zone").WithHint("greenctl zone list shows the zones")
		}
		z, err := zoneArg(zone)
		if err != nil {
			return err
		}
		n, err := c.AssignNode(ctx, uid, z, w.write())
		if err != nil {
			return explainStale(err, nil, map[string]any{"zone": z})
		}
		return a.showNode(n)
	}))
	c.Flags().StringVar(&zone, "zone", "", "the zone")
	w.add(c.Flags())
	return c
}

func newNodeUnassign(a *app) *cobra.Command {
	return a.nodeWrite("unassign UID", "Take a node out of its zone; its points keep their history", func(ctx context.Context, c *client.Client, uid greenhouse.UID, w client.Write) (api.Node, error) {
		return c.UnassignNode(ctx, uid, w)
	})
}

func newNodeMaintenance(a *app) *cobra.Command {
	var off bool
	c := a.nodeWrite("maintenance UID", "Set a node aside for work on it, or take it back with --off", func(ctx context.Context, c *client.Client, uid greenhouse.UID, w client.Write) (api.Node, error) {
		return c.SetMaintenance(ctx, uid, !off, w)
	})
	c.Flags().BoolVar(&off, "off", false, "take it back")
	return c
}

func newNodeDecommission(a *app) *cobra.Command {
	var yes bool
	c := a.nodeWrite("decommission UID", "Retire a node for ever", func(ctx context.Context, c *client.Client, uid greenhouse.UID, w client.Write) (api.Node, error) {
		if err := a.confirm(ctx, yes, "retire "+string(uid)+" for ever"); err != nil {
			return api.Node{}, err
		}
		return c.DecommissionNode(ctx, uid, w)
	})
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

// nodeWrite is a verb that changes one node and shows it.
func (a *app) nodeWrite(use, short string, do func(context.Context, *client.Client, greenhouse.UID, client.Write) (api.Node, error)) *cobra.Command {
	var w writeFlags
	c := verb(use, short, "", args("UID"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		uid, err := uidArg(args[0])
		if err != nil {
			return err
		}
		n, err := do(ctx, c, uid, w.write())
		if err != nil {
			return explainStale(err, nil, nil)
		}
		return a.showNode(n)
	}))
	w.add(c.Flags())
	return c
}

func newNodeRotateKey(a *app) *cobra.Command {
	var w writeFlags
	c := verb("rotate-key UID", "Give a node a new secret; the old one stops working at once", "", args("UID"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		uid, err := uidArg(args[0])
		if err != nil {
			return err
		}
		s, err := c.RotateKey(ctx, uid, w.write())
		if err != nil {
			return explainStale(err, nil, nil)
		}
		return a.show(s, view{names: func() []string { return []string{string(s.UID)} }, table: func() table {
			return table{columns: []string{"UID", "SECRET"}, rows: [][]string{{string(s.UID), s.Secret}}}
		}})
	}))
	w.add(c.Flags())
	return c
}

func newNodeSwap(a *app) *cobra.Command {
	var w writeFlags
	var undo bool
	c := verb("swap OLD_UID NEW_UID", "Let another node take over the points of a dead one", "  greenctl node swap climate-a4cf12b3de01 climate-a4cf12b3de02 --dry-run\n  greenctl node swap climate-a4cf12b3de01 climate-a4cf12b3de02\n  greenctl node swap climate-a4cf12b3de01 climate-a4cf12b3de02 --undo", args("OLD_UID", "NEW_UID"),
		a.with(func(ctx context.Context, c *client.Client, args []string) error {
			old, err := uidArg(args[0])
			if err != nil {
				return err
			}
			r := api.SwapRequest{Undo: undo}
			if r.With, err = uidArg(args[1]); err != nil {
				return err
			}
			s, err := c.SwapNode(ctx, old, r, w.write())
			if err != nil {
				return explainStale(err, nil, nil)
			}
			for _, warning := range s.Warnings {
				a.note("warning: %s", warning)
			}
			return a.show(s, view{names: func() []string { return []string{string(s.New.UID)} }, table: func() table {
				t := table{columns: []string{"POINT", "CHANNEL", "OUTCOME", "WHAT"}, empty: "nothing moves"}
				for _, m := range s.Moves {
					t.rows = append(t.rows, []string{string(m.Point), string(m.Channel), m.Outcome, m.Text})
				}
				if s.Undone {
					t.columns = []string{"POINT", "BACK WITH"}
					for _, p := range s.Points {
						t.rows = append(t.rows, []string{string(p), string(s.Old.UID)})
					}
				}
				return t
			}})
		}))
	c.Flags().BoolVar(&undo, "undo", false, "take the swap back")
	w.add(c.Flags())
	return c
}
