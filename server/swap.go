package server

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/store"
)

// swapNode lets another node take over everything that a node holds, or takes
// that back.
func (s *Server) swapNode(ctx context.Context, in *struct {
	WriteNode
	Body api.SwapRequest
}) (*out[api.Swapped], error) {
	old, _, _, err := greenhouse.ParseUID(in.UID)
	if err != nil {
		return nil, err
	}
	next, _, _, err := greenhouse.ParseUID(string(in.Body.With))
	if err != nil {
		return nil, err
	}
	version, err := in.version(false)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "node-swap", []any{in.UID, in.Body}, func(w *write) (api.Swapped, error) {
		n, known := w.tx.Registry().Nodes[old]
		if known {
			if err := s.unchangedNode(w, n, version); err != nil {
				return api.Swapped{}, err
			}
		}
		turn, code := w.tx.Swap, "node_swapped"
		if in.Body.Undo {
			turn, code = w.tx.UndoSwap, "node_swap_undone"
		}
		swap, err := turn(old, next)
		if err != nil {
			return api.Swapped{}, err
		}
		w.event(code, greenhouse.NodeSource(old), n, w.tx.Registry().Nodes[old], swap)
		w.then(func() { s.wake(swap.Zone) })
		return s.swapped(w, swap, in.Body.Undo), nil
	})
}

func (s *Server) swapped(w *write, swap store.Swap, undone bool) api.Swapped {
	v := w.look(s)
	a := api.Swapped{Points: slices.Sorted(maps.Values(swap.Points)), Missing: orEmpty(swap.Missing), Moves: []api.SwapMove{}, Warnings: []string{}, Undone: undone}
	if n, ok := v.reg.Nodes[swap.Old]; ok {
		a.Old = v.node(n)
	}
	if n, ok := v.reg.Nodes[swap.New]; ok {
		a.New = v.node(n)
	}
	if undone {
		return a
	}
	for _, m := range swap.Moves {
		a.Moves = append(a.Moves, api.SwapMove{Channel: m.Channel, Point: m.Point, Outcome: m.Outcome, Text: moveText(m)})
	}
	a.Warnings = swapWarnings(&a)
	return a
}

// moveText says in words what a swap does with a channel.
func moveText(m store.SwapMove) string {
	switch m.Outcome {
	case store.SwapCalibrate:
		return "goes on with the new probe, which has to be calibrated"
	case store.SwapKind:
		return "stays empty: the new node has it as something else"
	case store.SwapUnit:
		return fmt.Sprintf("stays empty: it is in %s, the new node sends %s", m.Was, m.Is)
	case store.SwapNew:
		return "is new: the old node had no such channel"
	case store.SwapMissing:
		return "stays empty: the new node has no such channel yet"
	}
	return "goes on with the new node"
}

// swapWarnings says what somebody who swaps should look at.
func swapWarnings(a *api.Swapped) []string {
	list := []string{}
	if a.Old.Type != a.New.Type {
		list = append(list, fmt.Sprintf("%s is of type %s, the one it replaces of type %s", a.New.UID, a.New.Type, a.Old.Type))
	}
	if !a.New.Online {
		list = append(list, string(a.New.UID)+" is offline")
	}
	if a.Old.Online {
		list = append(list, string(a.Old.UID)+" is still online: what it sends from now on is refused")
	}
	if len(a.Missing) > 0 {
		list = append(list, fmt.Sprintf("%d points stay without a node", len(a.Missing)))
	}
	return list
}
