package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newNodeConfig(a *app) *cobra.Command {
	var w writeFlags
	var history bool
	var diff string
	var rollback uint64
	c := verb("config UID", "Show the configuration of a node: desired against reported, its history, differences; roll it back",
		"  greenctl node config ph-a4cf12b3de01\n  greenctl node config ph-a4cf12b3de01 --history\n  greenctl node config ph-a4cf12b3de01 --diff 3..5\n  greenctl node config ph-a4cf12b3de01 --rollback 3 --reason \"the new interval drains its battery\"", args("UID"), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, args []string) error {
		uid, err := uidArg(args[0])
		if err != nil {
			return err
		}
		back := c.Flags().Changed("rollback")
		switch {
		case back && (history || diff != "") || history && diff != "":
			return greenhouse.Invalid("usage", "--history, --diff and --rollback exclude each other")
		case back:
			return a.rollBack(ctx, cl, uid, rollback, &w)
		case history:
			return a.configHistory(ctx, cl, uid)
		case diff != "":
			return a.configDiff(ctx, cl, uid, diff)
		}
		return a.nodeConfig(ctx, cl, uid)
	})
	f := c.Flags()
	f.BoolVar(&history, "history", false, "list the revisions that are kept, newest first")
	f.StringVar(&diff, "diff", "", "what differs between two revisions: 3..5, or 3 against the desired one")
	f.Uint64Var(&rollback, "rollback", 0, "bring this revision back, as a new one")
	w.add(f)
	return c
}

func (a *app) nodeConfig(ctx context.Context, c *client.Client, uid greenhouse.UID) error {
	n, err := c.NodeConfig(ctx, uid)
	if err != nil {
		return err
	}
	return a.show(n, view{names: func() []string { return []string{string(n.UID)} }, table: func() table {
		return table{columns: []string{"UID", "STATUS", "DESIRED", "REPORTED", "ERROR", "INTERVAL", "LINK LOSS", "HASH"}, wide: 3,
			rows: [][]string{{string(n.UID), string(n.Config.Status), itoa(n.Config.DesiredRev), itoa(n.Config.ReportedRev), n.Config.Error,
				fmt.Sprintf("%d s", n.IntervalS), fmt.Sprintf("%d s", n.LinkLossS), n.Config.DesiredHash}}}
	}})
}

// revisions returns all revisions of a node that are kept, newest first.
func revisions(ctx context.Context, c *client.Client, uid greenhouse.UID) ([]api.ConfigRevision, error) {
	return all(client.All(func(cursor string) (api.List[api.ConfigRevision], error) {
		return c.ConfigHistory(ctx, uid, client.Page{Cursor: cursor})
	}))
}

func (a *app) configHistory(ctx context.Context, c *client.Client, uid greenhouse.UID) error {
	items, err := revisions(ctx, c, uid)
	if err != nil {
		return err
	}
	return a.show(api.List[api.ConfigRevision]{Items: items}, view{
		names: func() []string { return names(items, func(r api.ConfigRevision) string { return itoa(r.Rev) }) },
		table: func() table {
			t := table{columns: []string{"REV", "MADE", "BY", "STATUS", "CHANGES", "HASH"}, wide: 1, empty: "no revision is kept"}
			for i, r := range items {
				changes := ""
				if i+1 < len(items) {
					changes = strings.Join(revisionDiff(items[i+1], r), ", ")
				}
				if r.Of != 0 {
					changes = fmt.Sprintf("back to %d: %s", r.Of, changes)
				}
				status := string(r.Status)
				if r.Error != "" {
					status += ": " + r.Error
				}
				t.rows = append(t.rows, []string{itoa(r.Rev), clock(r.At), r.By, status, changes, r.Hash})
			}
			return t
		}})
}

// configDiff prints what differs between two revisions, one line a field.
func (a *app) configDiff(ctx context.Context, c *client.Client, uid greenhouse.UID, span string) error {
	from, to, two := strings.Cut(span, "..")
	items, err := revisions(ctx, c, uid)
	if err != nil {
		return err
	}
	pick := func(text string) (api.ConfigRevision, error) {
		rev, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return api.ConfigRevision{}, greenhouse.Invalid("usage", "--diff %q is not REV or REV..REV", span)
		}
		for _, r := range items {
			if r.Rev == rev {
				return r, nil
			}
		}
		return api.ConfigRevision{}, greenhouse.NotFound("revision", text).WithHint("greenctl node config %s --history shows those that are kept", uid)
	}
	before, err := pick(from)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return nil
	}
	after := items[0]
	if two {
		if after, err = pick(to); err != nil {
			return err
		}
	}
	lines := revisionDiff(before, after)
	return a.show(map[string]any{"from": before.Rev, "to": after.Rev, "changes": append([]string{}, lines...)}, view{
		names: func() []string { return lines },
		table: func() table {
			t := table{columns: []string{fmt.Sprintf("FROM %d TO %d", before.Rev, after.Rev)}, empty: "nothing differs"}
			for _, l := range lines {
				t.rows = append(t.rows, []string{l})
			}
			return t
		}})
}

// revisionDiff says what differs between two revisions, one phrase a field.
func revisionDiff(before, after api.ConfigRevision) (lines []string) {
	was, is := revisionFields(before), revisionFields(after)
	for _, k := range slices.Sorted(maps.Keys(was)) {
		if now, ok := is[k]; !ok {
			lines = append(lines, k+" is gone")
		} else if now != was[k] {
			lines = append(lines, fmt.Sprintf("%s %s → %s", k, was[k], now))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(is)) {
		if _, ok := was[k]; !ok {
			lines = append(lines, fmt.Sprintf("%s %s is new", k, is[k]))
		}
	}
	return lines
}

// revisionFields names every setting of a revision.
func revisionFields(r api.ConfigRevision) map[string]string {
	m := map[string]string{"interval_s": strconv.Itoa(r.IntervalS), "link_loss_s": strconv.Itoa(r.LinkLossS)}
	for _, c := range r.Channels {
		if c.Kind == greenhouse.Sensor {
			m[string(c.Name)+".cal"] = calText(c.Cal)
			continue
		}
		m[string(c.Name)+".safe"] = strconv.FormatFloat(c.Safe, 'g', -1, 64)
		m[string(c.Name)+".max_on_s"] = strconv.Itoa(c.MaxOnS)
		m[string(c.Name)+".min_off_s"] = strconv.Itoa(c.MinOffS)
	}
	return m
}

// calText writes a calibration.
func calText(c *greenhouse.Linear) string {
	if c == nil {
		return "none"
	}
	return fmt.Sprintf("%.6g·raw%+.6g", c.Gain, c.Offset)
}

func (a *app) rollBack(ctx context.Context, c *client.Client, uid greenhouse.UID, rev uint64, w *writeFlags) error {
	before, err := c.Node(ctx, uid)
	if err != nil {
		return err
	}
	n, err := c.RollBackConfig(ctx, uid, rev, w.edit(before.Version))
	if err != nil {
		return explainStale(err, before, nil)
	}
	a.note("revision %d goes out as revision %d", rev, n.Config.DesiredRev)
	return a.showNode(n)
}
