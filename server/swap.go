package server

import (
	"context"
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
	a := api.Swapped{Points: slices.Sorted(maps.Values(swap.Points)), Missing: orEmpty(swap.Missing), Undone: undone}
	if n, ok := v.reg.Nodes[swap.Old]; ok {
		a.Old = v.node(n)
	}
	if n, ok := v.reg.Nodes[swap.New]; ok {
		a.New = v.node(n)
	}
	return a
}
