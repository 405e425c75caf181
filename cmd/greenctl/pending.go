package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newNodePending(a *app) *cobra.Command {
	var watch bool
	var forget string
	var w writeFlags
	c := verb("pending", "List the devices that knock and are not let in, and what nodes send that nobody declared", "  greenctl node pending\n  greenctl node pending --forget a4cf12b3de01", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		if forget != "" {
			if err := c.ForgetPending(ctx, forget, w.write()); err != nil {
				return err
			}
			return a.done(forget, "%s is forgotten, until it knocks again", forget)
		}
		return a.repeat(ctx, watch, func() error {
			items, err := all(client.All(func(cursor string) (api.List[api.Pending], error) {
				return c.Pending(ctx, client.Page{Cursor: cursor})
			}))
			if err != nil {
				return err
			}
			return a.show(api.List[api.Pending]{Items: items}, a.pendingTable(items))
		})
	}))
	a.watchFlag(c.Flags(), &watch)
	c.Flags().StringVar(&forget, "forget", "", "take this one off the list")
	w.addNew(c.Flags())
	return c
}

func (a *app) pendingTable(items []api.Pending) view {
	return view{
		names: func() []string { return names(items, func(p api.Pending) string { return p.ID }) },
		table: func() table {
			t := table{columns: []string{"ID", "TYPE", "WHY", "COUNT", "SEEN", "ADDRESS", "FIRST", "NAME", "FIRMWARE"}, wide: 3, empty: "nobody knocks"}
			for _, p := range items {
				t.rows = append(t.rows, []string{p.ID, string(p.Type), pendingWhy(p), strconv.FormatUint(p.Count, 10), ago(p.LastSeen, a.now()), p.Address, clock(p.FirstSeen), p.Name, p.FW})
			}
			return t
		},
	}
}

// pendingWhy says in one line why a device waits.
func pendingWhy(p api.Pending) string {
	var parts []string
	if len(p.Channels) > 0 {
		parts = append(parts, "sends undeclared "+strings.Join(names(p.Channels, func(c api.PendingChannel) string { return string(c.Name) }), ", "))
	}
	if len(p.Errors) > 0 {
		parts = append(parts, p.Errors[len(p.Errors)-1].Text)
	}
	if p.Via != "" {
		parts = append(parts, "by way of "+p.Via)
	}
	return strings.Join(parts, "; ")
}

func newNodeAdopt(a *app) *cobra.Command {
	var w writeFlags
	var typ, name, zone string
	var channels []string
	c := verb("adopt ID", "Take a pending device in, or accept the undeclared channels of a node",
		"  greenctl node adopt a4cf12b3de01 --type ph --zone north\n  greenctl node adopt climate-a4cf12b3de01 --channel par_top=sensor:µmol/m²/s", args("ID"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
			r := api.AdoptRequest{Type: greenhouse.NodeType(typ), Name: name, Zone: greenhouse.ZoneID(zone)}
			for _, text := range channels {
				ch, err := declaredChannel(text)
				if err != nil {
					return err
				}
				r.Channels = append(r.Channels, ch)
			}
			n, err := c.Adopt(ctx, args[0], r, w.write())
			if err != nil {
				return err
			}
			if n.Secret != "" {
				a.note("flash this secret into the node, or let it say hello: greenctl node pair")
			}
			return a.show(n, view{names: func() []string { return []string{string(n.UID)} }, table: func() table {
				return table{columns: []string{"UID", "NAME", "ZONE", "STATE", "CHANNELS", "SECRET"},
					rows: [][]string{{string(n.UID), n.Name, string(n.Zone), string(n.State), strings.Join(names(n.Channels, func(c api.Channel) string { return string(c.Name) }), " "), n.Secret}}}
			}})
		}))
	f := c.Flags()
	f.StringVar(&typ, "type", "", "what it is, where it could not say so: ph, ec, climate, irrigation, light, relay, water, weather or multi")
	f.StringVar(&name, "name", "", "what people call it")
	f.StringVar(&zone, "zone", "", "put it into this zone at once")
	f.StringArrayVar(&channels, "channel", nil, "of a node: accept this channel only, NAME, NAME=sensor:UNIT or NAME=actuator; may be given again")
	w.addNew(f)
	c.ValidArgsFunction = a.complete(func(ctx context.Context, c *client.Client) ([]string, error) {
		l, err := c.Pending(ctx, client.Page{})
		return names(l.Items, func(p api.Pending) string { return p.ID }), err
	})
	return c
}

// declaredChannel reads NAME, NAME=KIND or NAME=KIND:UNIT.
func declaredChannel(text string) (api.DeclaredChannel, error) {
	name, rest, _ := strings.Cut(text, "=")
	kind, unit, _ := strings.Cut(rest, ":")
	n, err := greenhouse.ParseChannelName(name)
	if err != nil {
		return api.DeclaredChannel{}, err
	}
	switch greenhouse.Kind(kind) {
	case "", greenhouse.Sensor, greenhouse.Actuator:
	default:
		return api.DeclaredChannel{}, greenhouse.Invalid("usage", "channel %q: kind %q is not sensor or actuator", name, kind)
	}
	return api.DeclaredChannel{Name: n, Kind: greenhouse.Kind(kind), Unit: greenhouse.Unit(unit)}, nil
}
