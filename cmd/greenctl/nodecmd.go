package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"rsc.io/qr"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newNodePair(a *app) *cobra.Command {
	var window time.Duration
	var closeIt bool
	var w writeFlags
	c := verb("pair", "Open pairing and print the join token", "  greenctl node pair --for 10m\n  greenctl node pair --close", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		var p api.Pairing
		var err error
		if closeIt {
			p, err = c.ClosePairing(ctx, w.write())
		} else {
			var forS int
			if forS, err = seconds("for", window, 24*time.Hour); err != nil {
				return err
			}
			p, err = c.OpenPairing(ctx, api.PairRequest{ForS: forS}, w.write())
		}
		if err != nil {
			return err
		}
		err = a.show(p, view{names: func() []string { return []string{p.Token} }, table: func() table {
			if !p.Open {
				return table{empty: "pairing is closed"}
			}
			return table{columns: []string{"TOKEN", "CLOSES"}, rows: [][]string{{p.Token, in(p.ExpiresAt, a.now())}}}
		}})
		if err != nil || !p.Open || !isTerminal(a.out) || a.output != "" && a.output != "table" {
			return err
		}
		a.note("devices log in with their hardware id as name and this token as password")
		return printQR(a, p.Token)
	}))
	spanVar(c.Flags(), &window, "for", 10*time.Minute, "how long, at most 24h")
	c.Flags().BoolVar(&closeIt, "close", false, "close it now")
	w.addNew(c.Flags())
	return c
}

// printQR draws the token as a QR code, two modules to a character.
func printQR(a *app, token string) error {
	code, err := qr.Encode(token, qr.L)
	if err != nil {
		return fmt.Errorf("draw the token as a QR code: %w", err)
	}
	const quiet = 2
	for y := -quiet; y < code.Size+quiet; y += 2 {
		for x := -quiet; x < code.Size+quiet; x++ {
			switch up, down := code.Black(x, y), code.Black(x, y+1); {
			case up && down:
				fmt.Fprint(a.err, " ")
			case up:
				fmt.Fprint(a.err, "▄")
			case down:
				fmt.Fprint(a.err, "▀")
			default:
				fmt.Fprint(a.err, "█")
			}
		}
		fmt.Fprintln(a.err)
	}
	return nil
}

func newNodeCommand(a *app) *cobra.Command {
	var w writeFlags
	var r api.CommandRequest
	var run, wait, ttl time.Duration
	c := verb("command UID OP [CHANNEL]", "Send one command to a node: pulse, stop, identify, reboot, calibrate",
		"  greenctl node command relay-a4cf12b3de01 identify\n  greenctl node command irrigation-a4cf12b3de02 pulse irrigation_valve --run 20s\n  greenctl node command relay-a4cf12b3de01 stop heater", args("UID", "OP", "[CHANNEL]"),
		a.with(func(ctx context.Context, c *client.Client, args []string) error {
			uid, err := uidArg(args[0])
			if err != nil {
				return err
			}
			r.Op = greenhouse.Op(args[1])
			if len(args) > 2 {
				if r.Channel, err = greenhouse.ParseChannelName(args[2]); err != nil {
					return err
				}
			}
			if r.Channel == "" && (r.Op == greenhouse.OpPulse || r.Op == greenhouse.OpCalibrate) {
				return greenhouse.Invalid("usage", "%s needs CHANNEL", r.Op).WithHint("greenctl node get %s shows its channels", uid)
			}
			if r.TTLS, err = seconds("ttl", ttl, time.Hour); err != nil {
				return err
			}
			r.Ms, r.Reason = run.Milliseconds(), w.reason
			cmd, err := c.SendCommand(ctx, uid, r, w.write())
			if err != nil {
				return err
			}
			if cmd, err = a.await(ctx, c, cmd, wait, w.dryRun); err != nil {
				return err
			}
			if err := a.show(cmd, a.commandsView([]api.Command{cmd})); err != nil {
				return err
			}
			switch cmd.State {
			case greenhouse.CommandInvalid, greenhouse.CommandBusy, greenhouse.CommandFenced, greenhouse.CommandError, greenhouse.CommandNoEffect:
				return greenhouse.Forbidden("command_"+string(cmd.State), "the node answered %s: %s", cmd.State, clean(cmd.Error))
			case greenhouse.CommandTimeout, greenhouse.CommandExpired:
				return greenhouse.Unavailable("command_"+string(cmd.State), "the node did not answer in time")
			}
			return nil
		}))
	f := c.Flags()
	spanVar(f, &run, "run", 0, "pulse: how long")
	f.Float64Var(&r.ML, "ml", 0, "pulse: volume, ml")
	f.Float64Var(&r.Value, "value", 0, "calibrate: the true value")
	spanVar(f, &ttl, "ttl", 30*time.Second, "not executed later than this")
	spanVar(f, &wait, "wait", 10*time.Second, "how long to wait for the node's answer; 0: do not")
	w.addNew(f)
	return c
}

// await polls a command until it is finished or patience ends.
func (a *app) await(ctx context.Context, c *client.Client, cmd api.Command, patience time.Duration, dry bool) (api.Command, error) {
	if dry || patience <= 0 {
		return cmd, nil
	}
	deadline, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !cmd.State.Terminal() {
		select {
		case <-ctx.Done():
			return cmd, ctx.Err()
		case <-deadline.Done():
			a.note("no answer yet; greenctl event watch shows what becomes of it")
			return cmd, nil
		case <-time.After(100 * time.Millisecond):
		}
		fresh, err := c.Command(ctx, cmd.ID)
		if err != nil {
			return cmd, err
		}
		cmd = fresh
	}
	return cmd, nil
}

func (a *app) commandsView(items []api.Command) view {
	return view{names: func() []string { return names(items, func(c api.Command) string { return string(c.ID) }) }, table: func() table {
		t := table{columns: []string{"ID", "NODE", "CHANNEL", "OP", "STATE", "ERROR"}}
		for _, c := range items {
			t.rows = append(t.rows, []string{string(c.ID), string(c.Node), string(c.Channel), string(c.Op), string(c.State), c.Error})
		}
		return t
	}}
}
