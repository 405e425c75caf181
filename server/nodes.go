package server

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/store"
)

// WriteNode is the input of a write to one node.
type WriteNode struct {
	UIDParam
	WriteParams
}

// patchNode is a merge patch of one node.
type patchNode struct {
	UIDParam
	WriteParams
	RawBody []byte `contentType:"application/merge-patch+json"`
}

func (s *Server) mountNodes(m *mount) {
	handle(m, "node-list", s.listNodes)
	handle(m, "node-get", s.getNode)
	handle(m, "node-register", s.registerNode)
	handle(m, "node-edit", s.editNode, patchOf[api.NodePatch](m))
	handle(m, "node-channel-edit", s.editChannel, patchOf[api.ChannelPatch](m))
	handle(m, "node-assign", s.assignNode)
	handle(m, "node-unassign", s.unassignNode)
	handle(m, "node-swap", s.swapNode)
	handle(m, "node-rotate-key", s.rotateKey)
	handle(m, "node-decommission", s.decommissionNode)
	handle(m, "node-maintenance", s.maintainNode)
	handle(m, "pairing-get", s.getPairing)
	handle(m, "pairing-open", s.openPairing)
	handle(m, "pairing-close", s.closePairing)
}

// nodeOf finds the node of a path.
func nodeOf(reg *store.Registry, p UIDParam) (*greenhouse.Node, error) {
	uid, _, _, err := greenhouse.ParseUID(p.UID)
	if err != nil {
		return nil, err
	}
	n, ok := reg.Nodes[uid]
	if !ok {
		return nil, greenhouse.NotFound("node", p.UID).WithHint("greenctl node list")
	}
	return n, nil
}

func (s *Server) listNodes(_ context.Context, in *struct {
	PageParams
	Zone  string `query:"zone"`
	Type  string `query:"type"`
	State string `query:"state"`
}) (*out[api.List[api.Node]], error) {
	v := s.look(s.Store.Registry())
	if err := known(v.reg, in.Zone, in.Type); err != nil {
		return nil, err
	}
	if err := knownState(in.State); err != nil {
		return nil, err
	}
	keep := func(n *greenhouse.Node) bool {
		return (in.Zone == "" || string(n.Zone) == in.Zone) && (in.Type == "" || string(n.Type) == in.Type) && (in.State == "" || string(n.State) == in.State)
	}
	list, err := page(in.PageParams, v.reg.Nodes, keep, v.node)
	return &out[api.List[api.Node]]{Body: list}, err
}

// known refuses a filter that can match nothing.
func known(reg *store.Registry, zone, typ string) error {
	if zone != "" && reg.Zones[greenhouse.ZoneID(zone)] == nil {
		return greenhouse.NotFound("zone", zone).WithHint("greenctl zone list")
	}
	if typ != "" {
		if _, err := greenhouse.ParseNodeType(typ); err != nil {
			return err
		}
	}
	return nil
}

func knownState(state string) error {
	if state == "" {
		return nil
	}
	_, err := greenhouse.ParseNodeState(state)
	return err
}

func (s *Server) getNode(_ context.Context, in *UIDParam) (*out[api.Node], error) {
	v := s.look(s.Store.Registry())
	n, err := nodeOf(v.reg, *in)
	if err != nil {
		return nil, err
	}
	return &out[api.Node]{ETag: etag(n.Version), Body: v.node(n)}, nil
}

func (s *Server) registerNode(ctx context.Context, in *struct {
	WriteParams
	Body api.RegisterRequest
}) (*out[api.Registered], error) {
	req, err := joinRequest(in.Body)
	if err != nil {
		return nil, err
	}
	o, err := change(ctx, s, in.WriteParams, "node-register", in.Body, func(w *write) (api.Registered, error) {
		res, err := w.tx.Register(req)
		if err != nil {
			return api.Registered{}, err
		}
		n := &res.Node
		if res.Created {
			w.event("node_registered", greenhouse.NodeSource(n.UID), nil, n, nil)
			w.then(func() { s.wake(n.Zone) })
		}
		if res.Created && n.Zone != "" {
			w.event("node_assigned", greenhouse.NodeSource(n.UID), nil, map[string]greenhouse.ZoneID{"zone": n.Zone}, nil)
		}
		return api.Registered{Node: w.look(s).node(n), Secret: res.Secret, Created: res.Created}, nil
	})
	if err == nil {
		o.ETag = etag(o.Body.Version)
	}
	return o, err
}

// joinRequest checks what people typed; the rules of the registry follow in
// the transaction.
func joinRequest(b api.RegisterRequest) (store.JoinRequest, error) {
	hw, err := greenhouse.ParseHardwareID(b.HardwareID)
	if err != nil {
		return store.JoinRequest{}, err
	}
	typ, err := greenhouse.ParseNodeType(string(b.Type))
	if err != nil {
		return store.JoinRequest{}, err
	}
	req := store.JoinRequest{HardwareID: hw, Type: typ, Name: b.Name, FW: b.FW, HW: b.HW, Zone: b.Zone}
	for _, c := range b.Channels {
		req.Channels = append(req.Channels, greenhouse.Channel{Name: c.Name, Kind: c.Kind, Unit: c.Unit})
	}
	return req, nil
}

func (s *Server) editNode(ctx context.Context, in *patchNode) (*out[api.Node], error) {
	return s.changeNode(ctx, in.UIDParam, in.WriteParams, "node-edit", json.RawMessage(in.RawBody), true, func(w *write, n *greenhouse.Node, version uint64) (greenhouse.Node, error) {
		after, err := w.tx.EditNode(n.UID, version, func(n *greenhouse.Node) error {
			spec := api.NodeSpec{Name: n.Name, Labels: maps.Clone(n.Labels), IntervalS: n.IntervalS, LinkLossS: n.LinkLossS}
			if err := mergeInto(&spec, in.RawBody); err != nil {
				return err
			}
			n.Name, n.Labels, n.IntervalS, n.LinkLossS = spec.Name, spec.Labels, spec.IntervalS, spec.LinkLossS
			return nil
		})
		if err == nil {
			w.event("node_edited", greenhouse.NodeSource(n.UID), n, after, nil)
		}
		return after, err
	})
}

func (s *Server) editChannel(ctx context.Context, in *struct {
	UIDParam
	Channel string `path:"channel"`
	WriteParams
	RawBody []byte `contentType:"application/merge-patch+json"`
}) (*out[api.Node], error) {
	name := greenhouse.ChannelName(in.Channel)
	request := []any{in.UID, in.Channel, json.RawMessage(in.RawBody)}
	return s.changeNode(ctx, in.UIDParam, in.WriteParams, "node-channel-edit", request, true, func(w *write, n *greenhouse.Node, version uint64) (greenhouse.Node, error) {
		after, err := w.tx.EditNode(n.UID, version, func(n *greenhouse.Node) error {
			c, ok := n.Channel(name)
			if !ok {
				return greenhouse.NotFound("channel", in.Channel).WithHint("greenctl node get %s shows its channels", n.UID)
			}
			spec := channelSpec(c)
			if err := mergeInto(&spec, in.RawBody); err != nil {
				return err
			}
			c.MaxOnHourS, c.MaxOnDayS = spec.MaxOnHourS, spec.MaxOnDayS
			c.Class, c.Safe, c.MaxOnS, c.MinOffS, c.Cal = spec.Class, spec.Safe, spec.MaxOnS, spec.MinOffS, spec.Cal
			return nil
		})
		if err == nil {
			w.event("node_edited", greenhouse.NodeSource(n.UID), n, after, map[string]any{"channel": name})
		}
		return after, err
	})
}

// changeNode is one write to one node, answered with the node as it is then.
func (s *Server) changeNode(ctx context.Context, uid UIDParam, p WriteParams, op string, request any, edit bool,
	fn func(w *write, n *greenhouse.Node, version uint64) (greenhouse.Node, error)) (*out[api.Node], error) {
	version, err := p.version(edit)
	if err != nil {
		return nil, err
	}
	o, err := change(ctx, s, p, op, []any{uid.UID, request}, func(w *write) (api.Node, error) {
		n, err := nodeOf(w.tx.Registry(), uid)
		if err != nil {
			return api.Node{}, err
		}
		after, err := fn(w, n, version)
		if err != nil {
			return api.Node{}, showStale(err, w.look(s).node)
		}
		return w.look(s).node(&after), nil
	})
	if err == nil {
		o.ETag = etag(o.Body.Version)
	}
	return o, err
}

func (s *Server) assignNode(ctx context.Context, in *struct {
	WriteNode
	Body api.AssignRequest
}) (*out[api.Node], error) {
	if _, err := greenhouse.ParseZoneID(string(in.Body.Zone)); err != nil {
		return nil, err
	}
	return s.changeNode(ctx, in.UIDParam, in.WriteParams, "node-assign", in.Body, false, func(w *write, n *greenhouse.Node, version uint64) (greenhouse.Node, error) {
		return s.assign(w, n, in.Body.Zone, version)
	})
}

// assign puts a node into a zone, with its event.
func (s *Server) assign(w *write, n *greenhouse.Node, zone greenhouse.ZoneID, version uint64) (greenhouse.Node, error) {
	after, err := w.tx.Assign(n.UID, zone, version)
	if err != nil {
		return after, err
	}
	w.event("node_assigned", greenhouse.NodeSource(n.UID), n, after, nil)
	w.then(func() { s.wake(n.Zone, zone) })
	return after, nil
}

// wake has zones decided again, those that there are.
func (s *Server) wake(zones ...greenhouse.ZoneID) {
	for _, z := range zones {
		if z != "" {
			s.Automation.Wake(z)
		}
	}
}

func (s *Server) unassignNode(ctx context.Context, in *WriteNode) (*out[api.Node], error) {
	return s.changeNode(ctx, in.UIDParam, in.WriteParams, "node-unassign", nil, false, func(w *write, n *greenhouse.Node, version uint64) (greenhouse.Node, error) {
		after, err := w.tx.Unassign(n.UID, version)
		if err != nil {
			return after, err
		}
		w.event("node_unassigned", greenhouse.NodeSource(n.UID), n, after, nil)
		w.then(func() { s.wake(n.Zone) })
		return after, nil
	})
}

func (s *Server) decommissionNode(ctx context.Context, in *WriteNode) (*out[api.Node], error) {
	return s.changeNode(ctx, in.UIDParam, in.WriteParams, "node-decommission", nil, false, func(w *write, n *greenhouse.Node, version uint64) (greenhouse.Node, error) {
		if err := s.unchangedNode(w, n, version); err != nil {
			return greenhouse.Node{}, err
		}
		after, err := w.tx.Decommission(n.UID)
		if err != nil {
			return after, err
		}
		w.event("node_decommissioned", greenhouse.NodeSource(n.UID), n, after, nil)
		w.then(func() {
			s.Broker.Disconnect(string(n.UID), "decommissioned")
			s.wake(n.Zone)
		})
		return after, nil
	})
}

func (s *Server) rotateKey(ctx context.Context, in *WriteNode) (*out[api.NewSecret], error) {
	version, err := in.version(false)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "node-rotate-key", in.UID, func(w *write) (api.NewSecret, error) {
		n, err := nodeOf(w.tx.Registry(), in.UIDParam)
		if err != nil {
			return api.NewSecret{}, err
		}
		if err := s.unchangedNode(w, n, version); err != nil {
			return api.NewSecret{}, err
		}
		secret, err := w.tx.RotateKey(n.UID)
		if err != nil {
			return api.NewSecret{}, err
		}
		w.event("node_key_rotated", greenhouse.NodeSource(n.UID), nil, nil, nil)
		w.then(func() { s.Broker.Disconnect(string(n.UID), "its secret was replaced") })
		return api.NewSecret{UID: n.UID, Secret: secret}, nil
	})
}

// maintainNode sets a node aside: it keeps its place, and its alarms are held
// back. What state it takes afterwards is for those who watch it.
func (s *Server) maintainNode(ctx context.Context, in *struct {
	WriteNode
	Body api.MaintenanceRequest
}) (*out[api.Node], error) {
	return s.changeNode(ctx, in.UIDParam, in.WriteParams, "node-maintenance", in.Body, false, func(w *write, n *greenhouse.Node, version uint64) (greenhouse.Node, error) {
		after, err := w.tx.EditNode(n.UID, version, func(n *greenhouse.Node) error {
			switch {
			case in.Body.On:
				n.State = greenhouse.NodeMaintenance
			case n.State == greenhouse.NodeMaintenance:
				n.State = greenhouse.NodeAssigned
			}
			return nil
		})
		if err == nil && after.State != n.State {
			w.event("node_maintenance", greenhouse.NodeSource(n.UID), n, after, nil)
			w.then(func() { s.wake(n.Zone) })
		}
		return after, err
	})
}

func (s *Server) getPairing(context.Context, *none) (*out[api.Pairing], error) {
	p := s.Store.Registry().Pairing(s.now())
	return &out[api.Pairing]{Body: api.Pairing{Open: p.Open, ExpiresAt: p.ExpiresAt}}, nil
}

func (s *Server) openPairing(ctx context.Context, in *struct {
	WriteParams
	Body *api.PairRequest
}) (*out[api.Pairing], error) {
	req := api.PairRequest{}
	if in.Body != nil {
		req = *in.Body
	}
	d, err := seconds("for_s", int64(req.ForS), 600, 86400)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "pairing-open", req, func(w *write) (api.Pairing, error) {
		p, err := w.tx.OpenPairing(d, s.now())
		if err != nil {
			return api.Pairing{}, fmt.Errorf("open pairing: %w", err)
		}
		w.event("pairing_opened", greenhouse.SiteSource, nil, nil, map[string]any{"expires_at": p.ExpiresAt})
		return api.Pairing{Open: true, Token: p.Token, ExpiresAt: p.ExpiresAt}, nil
	})
}

func (s *Server) closePairing(ctx context.Context, in *WriteParams) (*out[api.Pairing], error) {
	return change(ctx, s, *in, "pairing-close", nil, func(w *write) (api.Pairing, error) {
		if err := w.tx.ClosePairing(); err != nil {
			return api.Pairing{}, fmt.Errorf("close pairing: %w", err)
		}
		w.event("pairing_closed", greenhouse.SiteSource, nil, nil, nil)
		return api.Pairing{}, nil
	})
}
