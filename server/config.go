package server

import (
	"cmp"
	"context"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/store"
	"greenhouse/wire"
)

func (s *Server) mountConfig(m *mount) {
	handle(m, "node-config", s.nodeConfig)
	handle(m, "node-config-history", s.configHistory)
	handle(m, "node-config-rollback", s.rollBackConfig)
}

func (s *Server) nodeConfig(_ context.Context, in *UIDParam) (*out[api.NodeConfig], error) {
	n, err := nodeOf(s.Store.Registry(), *in)
	if err != nil {
		return nil, err
	}
	a := s.look(s.Store.Registry()).node(n)
	body := api.NodeConfig{UID: n.UID, IntervalS: a.IntervalS, LinkLossS: a.LinkLossS, Channels: []api.ConfiguredChannel{}, Config: n.Config}
	for i := range n.Channels {
		c := &n.Channels[i]
		body.Channels = append(body.Channels, api.ConfiguredChannel{Name: c.Name, Kind: c.Kind, Point: c.Point, ChannelSpec: channelSpec(c)})
	}
	return &out[api.NodeConfig]{ETag: etag(n.Version), Body: body}, nil
}

// configHistory lists the configurations of a node that are kept, newest first.
func (s *Server) configHistory(_ context.Context, in *struct {
	UIDParam
	PageParams
}) (*out[api.List[api.ConfigRevision]], error) {
	n, err := nodeOf(s.Store.Registry(), in.UIDParam)
	if err != nil {
		return nil, err
	}
	var kept []store.Revision
	err = s.Store.View(func(tx *store.Tx) (err error) {
		kept, err = tx.Revisions(n.UID)
		return err
	})
	if err != nil {
		return nil, err
	}
	all := make([]api.ConfigRevision, 0, len(kept))
	for _, r := range kept {
		all = append(all, revisionView(r))
	}
	list, err := pageOf(in.PageParams, all)
	return &out[api.List[api.ConfigRevision]]{Body: list}, err
}

func revisionView(r store.Revision) api.ConfigRevision {
	a := api.ConfigRevision{Rev: r.Rev, Hash: r.Hash, At: r.At, By: cmp.Or(r.By, "edged"), Of: r.Of, Status: r.Status, Error: r.Error, ReportedAt: r.ReportedAt,
		IntervalS: cmp.Or(r.IntervalS, wire.DefaultIntervalS), LinkLossS: cmp.Or(r.LinkLossS, wire.DefaultLinkLossS), Channels: make([]api.RevisionChannel, 0, len(r.Channels))}
	for _, c := range r.Channels {
		a.Channels = append(a.Channels, api.RevisionChannel(c))
	}
	return a
}

// rollBackConfig brings an earlier configuration back as a new revision.
func (s *Server) rollBackConfig(ctx context.Context, in *struct {
	WriteNode
	Body api.RollBackRequest
}) (*out[api.Node], error) {
	return s.changeNode(ctx, in.UIDParam, in.WriteParams, "node-config-rollback", in.Body, true, func(w *write, n *greenhouse.Node, version uint64) (greenhouse.Node, error) {
		after, err := w.tx.RollBack(n.UID, in.Body.Rev, version)
		if err == nil {
			w.event("config_rolled_back", greenhouse.NodeSource(n.UID), n, after, map[string]uint64{"to": in.Body.Rev, "as": after.Config.DesiredRev})
			w.then(func() { s.wake(n.Zone) })
		}
		return after, err
	})
}
