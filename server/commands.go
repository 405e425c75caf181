package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/store"
)

func (s *Server) mountCommands(m *mount) {
	handle(m, "command-create", s.createCommand)
	handle(m, "command-list", s.listCommands)
	handle(m, "command-get", s.getCommand)
}

// createCommand hands the order to actuation, which stores it before it sends
// it and may refuse it: the safety envelope lies below every call of the API.
func (s *Server) createCommand(ctx context.Context, in *struct {
	WriteNode
	Body api.CommandRequest
}) (*out[api.Command], error) {
	n, err := nodeOf(s.Store.Registry(), in.UIDParam)
	if err != nil {
		return nil, err
	}
	order, err := s.order(ctx, n, in.Body)
	if err != nil {
		return nil, err
	}
	key, err := idempotency(ctx, in.Key, "command-create", []any{in.UID, in.Body})
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		order.State = greenhouse.CommandQueued
		return &out[api.Command]{DryRun: "true", Body: order}, nil
	}
	why, err := in.reason()
	if err != nil {
		return nil, err
	}
	var old greenhouse.Command
	switch done, err := s.claim(ctx, key, order, cmp.Or(in.Body.Reason, why), &old); {
	case done:
		return &out[api.Command]{Replayed: "true", Body: old}, err
	case err != nil && order.Op == greenhouse.OpStop: // safety does not wait for a disk
		s.log.Error("stop not recorded", "node", n.UID, "error", err)
	case err != nil:
		return nil, err
	}
	sent, err := s.Actuation.Command(ctx, order)
	if err != nil {
		return nil, err
	}
	return &out[api.Command]{Body: sent}, s.rememberKey(key, sent)
}

// order checks what is asked and makes the command of it.
func (s *Server) order(ctx context.Context, n *greenhouse.Node, r api.CommandRequest) (greenhouse.Command, error) {
	var none greenhouse.Command
	ttl, err := seconds("ttl_s", int64(r.TTLS), 30, 600)
	if err != nil {
		return none, err
	}
	if n.State == greenhouse.NodeDecommissioned {
		return none, greenhouse.Conflict("node_decommissioned", "node %s is decommissioned", n.UID)
	}
	if n.ReplacedBy != "" && (r.Op == greenhouse.OpPulse || r.Op == greenhouse.OpCalibrate) {
		return none, greenhouse.Conflict("node_replaced", "node %s was replaced by %s and drives nothing", n.UID, n.ReplacedBy).
			WithHint("assign it to a zone to use it again, or: greenctl node swap %s %s --undo", n.UID, n.ReplacedBy)
	}
	c := greenhouse.Command{Node: n.UID, Channel: r.Channel, Op: r.Op, Value: r.Value, DurMs: r.Ms, VolumeML: r.ML,
		ExpiresAt: greenhouse.MillisOf(s.now().Add(ttl)), Cause: callerOf(ctx).actor, CreatedAt: greenhouse.MillisOf(s.now())}
	if err := checkOrder(n, r, &c); err != nil {
		return none, err
	}
	if s.Store.Registry().StoppedZone(n.Zone) && (r.Op == greenhouse.OpPulse || r.Op == greenhouse.OpCalibrate) {
		return none, greenhouse.Forbidden("stopped", "%s is under emergency stop", n.UID).WithHint("greenctl resume")
	}
	return c, nil
}

// checkOrder checks an order against the channel it is for, whose point it finds.
func checkOrder(n *greenhouse.Node, r api.CommandRequest, c *greenhouse.Command) error {
	switch r.Op {
	case greenhouse.OpIdentify, greenhouse.OpReboot:
		return nil
	case greenhouse.OpStop:
		if r.Channel == "" {
			return nil
		}
	case greenhouse.OpPulse, greenhouse.OpCalibrate:
	case greenhouse.OpSet:
		return greenhouse.Invalid("op_invalid", "a level is set by an override, which ends by itself").WithHint("greenctl zone override POINT VALUE --for 1h --reason TEXT")
	default:
		return greenhouse.Invalid("op_invalid", "operation %q is unknown: it is pulse, stop, calibrate, identify or reboot", r.Op)
	}
	ch, ok := n.Channel(r.Channel)
	if !ok {
		return greenhouse.NotFound("channel", string(r.Channel)).WithHint("greenctl node get %s shows its channels", n.UID)
	}
	c.Point = ch.Point
	if r.Op == greenhouse.OpPulse {
		return checkPulse(ch, r)
	}
	return nil
}

func checkPulse(ch *greenhouse.Channel, r api.CommandRequest) error {
	most := ch.Class.Spec().MaxRun
	switch {
	case ch.Kind != greenhouse.Actuator:
		return greenhouse.Invalid("channel_not_actuator", "%s measures, it drives nothing", ch.Name)
	case (r.Ms > 0) == (r.ML > 0) || r.Ms < 0 || r.ML < 0 || math.IsNaN(r.ML) || math.IsInf(r.ML, 0):
		return greenhouse.Invalid("pulse_invalid", "a pulse needs ms or ml, one of them and above 0")
	case most > 0 && time.Duration(r.Ms)*time.Millisecond > most:
		return greenhouse.Forbidden("pulse_too_long", "%d ms is longer than %s may run (%s)", r.Ms, ch.Name, most)
	}
	return nil
}

// claim answers what an idempotency key was answered before. Else it records
// who orders what, from where and why, and takes the key for this request: an order
// whose outcome is unknown is never given twice.
func (s *Server) claim(ctx context.Context, k idemKey, order greenhouse.Command, reason string, body *greenhouse.Command) (done bool, err error) {
	by := callerOf(ctx)
	detail, err := json.Marshal(audit{From: by.from, Reason: reason, More: map[string]any{"op": order.Op, "channel": order.Channel, "ms": order.DurMs, "ml": order.VolumeML, "value": order.Value}})
	if err != nil {
		return false, fmt.Errorf("record order: %w", err)
	}
	err = s.Store.Update(func(tx *store.Tx) error {
		if done, err = k.replay(tx, body); done || err != nil {
			return err
		}
		e := greenhouse.Event{TS: order.CreatedAt, Code: "command_ordered", Source: greenhouse.NodeSource(order.Node), Actor: by.actor, Detail: detail}
		if _, err := s.Journal.Append(tx, e); err != nil {
			return fmt.Errorf("record order: %w", err)
		}
		return k.keep(tx, greenhouse.MillisOf(s.now()), greenhouse.Command{State: greenhouse.CommandQueued, Error: "given before, its outcome is not known"})
	})
	return done, err
}

func (s *Server) rememberKey(k idemKey, c greenhouse.Command) error {
	if k.key == nil {
		return nil
	}
	return s.Store.Update(func(tx *store.Tx) error { return k.keep(tx, greenhouse.MillisOf(s.now()), c) })
}

func (s *Server) listCommands(_ context.Context, in *struct {
	PageParams
	Node  string `query:"node"`
	Point string `query:"point"`
	State string `query:"state"`
	Open  bool   `query:"open" doc:"only those not finished"`
}) (*out[api.List[api.Command]], error) {
	limit, err := in.limit(api.DefaultLimit, api.MaxLimit)
	if err != nil {
		return nil, err
	}
	before, err := in.after()
	if err != nil {
		return nil, err
	}
	f := store.CommandFilter{Node: greenhouse.UID(in.Node), Point: greenhouse.PointID(in.Point), State: greenhouse.CommandState(in.State),
		Before: greenhouse.CommandID(before), Limit: limit + 1}
	list := api.List[api.Command]{Items: []api.Command{}}
	err = s.Store.View(func(tx *store.Tx) error {
		var err error
		if in.Open {
			list.Items, err = openCommands(tx, f)
			return err
		}
		list.Items, err = tx.Commands(f)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(list.Items) > limit {
		list.Items = list.Items[:limit]
		list.Next = cursor(string(list.Items[limit-1].ID))
	}
	list.Items = orEmpty(list.Items)
	return &out[api.List[api.Command]]{Body: list}, nil
}

// openCommands returns the chosen ones among the open commands, newest first.
func openCommands(tx *store.Tx, f store.CommandFilter) ([]greenhouse.Command, error) {
	open, err := tx.OpenCommands()
	if err != nil {
		return nil, err
	}
	var list []greenhouse.Command
	for i := len(open) - 1; i >= 0 && len(list) < f.Limit; i-- {
		c := open[i]
		if (f.Node == "" || c.Node == f.Node) && (f.Point == "" || c.Point == f.Point) && (f.Before == "" || c.ID < f.Before) {
			list = append(list, c)
		}
	}
	return list, nil
}

func (s *Server) getCommand(_ context.Context, in *IDParam) (*out[api.Command], error) {
	var c greenhouse.Command
	err := s.Store.View(func(tx *store.Tx) error {
		var err error
		c, err = tx.Command(greenhouse.CommandID(in.ID))
		return err
	})
	return &out[api.Command]{Body: c}, err
}
