package server

import (
	"cmp"
	"context"
	"slices"

	"greenhouse"
	"greenhouse/api"
)

// Pending is what the API needs of the quarantine.
type Pending interface {
	// Pending returns the devices that wait outside, those heard last first.
	Pending() []api.Pending
	// Count returns how many they are.
	Count() int
	// Forget drops one of them, and reports whether there was one.
	Forget(id string) bool
}

func (s *Server) mountPending(m *mount) {
	handle(m, "pending-list", s.listPending)
	handle(m, "pending-adopt", s.adopt)
	handle(m, "pending-forget", s.forgetPending)
}

// waiting returns who waits outside.
func (s *Server) waiting() []api.Pending {
	if s.Pending == nil {
		return nil
	}
	return s.Pending.Pending()
}

// waitingCount returns how many wait outside. It is asked for every second by every
// dashboard.
func (s *Server) waitingCount() int {
	if s.Pending == nil {
		return 0
	}
	return s.Pending.Count()
}

// pendingOf finds one of them, by its hardware id in any spelling or its uid.
func (s *Server) pendingOf(id string) (api.Pending, error) {
	if hw, err := greenhouse.ParseHardwareID(id); err == nil {
		if _, _, _, err := greenhouse.ParseUID(id); err != nil {
			id = string(hw)
		}
	}
	for _, p := range s.waiting() {
		if p.ID == id {
			return p, nil
		}
	}
	return api.Pending{}, greenhouse.NotFound("pending device", id).WithHint("greenctl node pending lists those that knock; greenctl node register makes any other known")
}

func (s *Server) listPending(_ context.Context, in *PageParams) (*out[api.List[api.Pending]], error) {
	list, err := pageOf(*in, s.waiting())
	return &out[api.List[api.Pending]]{Body: list}, err
}

func (s *Server) forgetPending(ctx context.Context, in *struct {
	IDParam
	WriteParams
}) (*out[api.Done], error) {
	p, err := s.pendingOf(in.ID)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "pending-forget", p.ID, func(w *write) (api.Done, error) {
		w.event("device_forgotten", greenhouse.Source("device/"+p.ID), p, nil, nil)
		w.then(func() { s.Pending.Forget(p.ID) })
		return api.Done{OK: true}, nil
	})
}

// adopt takes a pending device in.
func (s *Server) adopt(ctx context.Context, in *struct {
	IDParam
	WriteParams
	Body api.AdoptRequest
}) (*out[api.Registered], error) {
	p, err := s.pendingOf(in.ID)
	if err != nil {
		return nil, err
	}
	o, err := change(ctx, s, in.WriteParams, "pending-adopt", []any{p.ID, in.Body}, func(w *write) (api.Registered, error) {
		n, known := w.tx.Registry().Nodes[p.Node]
		switch {
		case known && len(p.Channels) > 0:
			return s.acceptChannels(w, n, p, in.Body)
		case known:
			return api.Registered{}, greenhouse.Conflict("adopt_known", "%s is node %s already", p.ID, n.UID).
				WithHint("was its secret lost: greenctl node rotate-key %s", n.UID)
		}
		return s.takeIn(w, p, in.Body)
	})
	return tagged(o, err, func(r api.Registered) uint64 { return r.Version })
}

// takeIn registers a device with what it said of itself and what the person adds.
func (s *Server) takeIn(w *write, p api.Pending, b api.AdoptRequest) (api.Registered, error) {
	hw := p.ID
	if _, _, id, err := greenhouse.ParseUID(p.ID); err == nil {
		hw = string(id)
	}
	typ := cmp.Or(b.Type, p.Type)
	if typ == "" {
		return api.Registered{}, greenhouse.Invalid("node_type_missing", "%s was refused before it could say what it is", p.ID).WithHint("say it: --type ph")
	}
	req, err := joinRequest(api.RegisterRequest{HardwareID: hw, Type: typ, Name: cmp.Or(b.Name, p.Name), FW: p.FW, HW: p.HW, Zone: b.Zone, Channels: p.Declared})
	if err != nil {
		return api.Registered{}, err
	}
	res, err := w.tx.Register(req)
	if err != nil {
		return api.Registered{}, err
	}
	w.event("node_adopted", greenhouse.NodeSource(res.Node.UID), nil, res.Node, map[string]any{"knocked": p.Count, "address": p.Address})
	w.then(func() {
		s.Pending.Forget(p.ID)
		s.wake(res.Node.Zone)
	})
	return api.Registered{Node: w.look(s).node(&res.Node), Secret: res.Secret, Created: res.Created}, nil
}

// acceptChannels declares channels that a node sends and nobody declared.
func (s *Server) acceptChannels(w *write, n *greenhouse.Node, p api.Pending, b api.AdoptRequest) (api.Registered, error) {
	take := b.Channels
	if len(take) == 0 {
		for _, c := range p.Channels {
			take = append(take, api.DeclaredChannel{Name: c.Name})
		}
	}
	after, err := w.tx.EditNode(n.UID, 0, func(n *greenhouse.Node) error {
		for _, c := range take {
			if !slices.ContainsFunc(p.Channels, func(x api.PendingChannel) bool { return x.Name == c.Name }) {
				return greenhouse.NotFound("pending channel", string(c.Name)).WithHint("greenctl node pending -o json shows what %s sends", n.UID)
			}
			n.Channels = append(n.Channels, greenhouse.Channel{Name: c.Name, Kind: cmp.Or(c.Kind, greenhouse.Sensor), Unit: c.Unit})
		}
		return nil
	})
	if err != nil {
		return api.Registered{}, err
	}
	w.event("channels_adopted", greenhouse.NodeSource(n.UID), n, after, map[string]any{"channels": take})
	w.then(func() {
		s.Pending.Forget(p.ID)
		s.wake(after.Zone)
	})
	return api.Registered{Node: w.look(s).node(&after)}, nil
}
