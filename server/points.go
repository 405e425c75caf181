package server

import (
	"context"
	"encoding/json"
	"math"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/store"
)

func (s *Server) mountPoints(m *mount) {
	handle(m, "point-list", s.listPoints)
	handle(m, "point-get", s.getPoint)
	handle(m, "point-edit", s.editPoint, patchOf[api.PointPatch](m))
	handle(m, "point-why", s.why)
	handle(m, "point-why-not", s.whyNot)
	handle(m, "zone-why", s.zoneWhy)
	handle(m, "override-list", s.listOverrides)
	handle(m, "override-set", s.setOverride)
	handle(m, "override-release", s.releaseOverride)
}

// pointFrom finds the point of a path.
func pointFrom(reg *store.Registry, id string) (*greenhouse.Point, error) {
	pid, err := greenhouse.ParsePointID(id)
	if err != nil {
		return nil, err
	}
	p, ok := reg.Point(pid)
	if !ok {
		return nil, greenhouse.NotFound("point", id).WithHint("greenctl point list")
	}
	return p, nil
}

// actuatorFrom finds the actuator of a path.
func actuatorFrom(reg *store.Registry, id string) (*greenhouse.Point, error) {
	p, err := pointFrom(reg, id)
	if err != nil {
		return nil, err
	}
	if p.Kind != greenhouse.Actuator {
		return nil, greenhouse.Invalid("point_not_actuator", "%s measures, it drives nothing", id).WithHint("greenctl point list shows which points are actuators")
	}
	return p, nil
}

func (s *Server) listPoints(_ context.Context, in *struct {
	PageParams
	Zone string `query:"zone"`
	Node string `query:"node"`
	Kind string `query:"kind" enum:"sensor,actuator"`
}) (*out[api.List[api.Point]], error) {
	v := s.look(s.Store.Registry())
	if err := known(v.reg, in.Zone, ""); err != nil {
		return nil, err
	}
	keep := func(p *greenhouse.Point) bool {
		return (in.Zone == "" || string(p.Zone) == in.Zone) && (in.Node == "" || string(p.Node) == in.Node) && (in.Kind == "" || string(p.Kind) == in.Kind)
	}
	list, err := page(in.PageParams, v.reg.Points, keep, v.point)
	return &out[api.List[api.Point]]{Body: list}, err
}

func (s *Server) getPoint(_ context.Context, in *IDParam) (*out[api.Point], error) {
	v := s.look(s.Store.Registry())
	p, err := pointFrom(v.reg, in.ID)
	if err != nil {
		return nil, err
	}
	return &out[api.Point]{ETag: etag(p.Version), Body: v.point(p)}, nil
}

func (s *Server) editPoint(ctx context.Context, in *struct {
	IDParam
	WriteParams
	RawBody []byte `contentType:"application/merge-patch+json"`
}) (*out[api.Point], error) {
	version, err := in.version(true)
	if err != nil {
		return nil, err
	}
	o, err := change(ctx, s, in.WriteParams, "point-edit", []any{in.ID, json.RawMessage(in.RawBody)}, func(w *write) (api.Point, error) {
		before, err := pointFrom(w.tx.Registry(), in.ID)
		if err != nil {
			return api.Point{}, err
		}
		after, err := w.tx.EditPoint(before.ID, version, func(p *greenhouse.Point) error {
			spec := pointSpec(p)
			if err := mergeInto(&spec, in.RawBody); err != nil {
				return err
			}
			p.Unit, p.Class, p.Safe, p.Min, p.Max, p.Calibration = spec.Unit, spec.Class, spec.Safe, spec.Min, spec.Max, spec.CalPolicy
			return nil
		})
		if err != nil {
			return api.Point{}, showStale(err, w.look(s).point)
		}
		w.event("point_edited", greenhouse.PointSource(before.ID), before, after, nil)
		w.then(func() { s.wake(after.Zone) })
		return w.look(s).point(&after), nil
	})
	return tagged(o, err, func(p api.Point) uint64 { return p.Version })
}

func (s *Server) listOverrides(_ context.Context, in *PageParams) (*out[api.List[api.Override]], error) {
	list, err := page(*in, s.Store.Registry().Overrides, func(*greenhouse.Override) bool { return true }, func(o *greenhouse.Override) api.Override { return *o })
	return &out[api.List[api.Override]]{Body: list}, err
}

func (s *Server) setOverride(ctx context.Context, in *struct {
	IDParam
	WriteParams
	Body api.OverrideRequest
}) (*out[api.Override], error) {
	b := in.Body
	d, err := seconds("for_s", int64(min(b.ForS, 86400)), 7200, 86400) // longer is cut to a day; expires_at says so
	switch {
	case err != nil:
		return nil, err
	case math.IsNaN(b.Value) || b.Value < 0 || b.Value > 1:
		return nil, greenhouse.Invalid("level_invalid", "level %v is out of range: it takes 0 to 1", b.Value)
	case b.Reason == "" || len(b.Reason) > 500:
		return nil, greenhouse.Invalid("reason_missing", "an override needs a reason, up to 500 bytes").WithHint("say why: --reason TEXT")
	}
	version, err := in.version(false)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "override-set", []any{in.ID, b}, func(w *write) (api.Override, error) {
		p, err := actuatorFrom(w.tx.Registry(), in.ID)
		if err != nil {
			return api.Override{}, err
		}
		if err := s.unchangedPoint(w, p, version); err != nil {
			return api.Override{}, err
		}
		o := greenhouse.Override{Point: p.ID, Value: b.Value, Reason: b.Reason, By: w.by.actor, CreatedAt: w.now, ExpiresAt: w.now.Add(d)}
		before := w.tx.Registry().Overrides[p.ID]
		if err := s.overridable(w.tx.Registry(), p); err != nil {
			return api.Override{}, err
		}
		if o, err = w.tx.SetOverride(o); err != nil {
			return api.Override{}, err
		}
		if w.reason == "" {
			w.reason = b.Reason
		}
		w.event("override_set", greenhouse.PointSource(p.ID), orNil(before), overridden{&o, w.tx.Registry().Points[p.ID].Version}, nil)
		w.then(func() { s.wake(p.Zone) })
		return o, nil
	})
}

// overridden is an override as its event has it, with the version of the point
// that covers it.
type overridden struct {
	*greenhouse.Override
	Version uint64 `json:"version"`
}

// orNil keeps a nil pointer from becoming a value that is not nil.
func orNil[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

// overridable refuses what cannot be held at a level now: a stopped place, and
// a point without a node. The rules of the registry follow.
func (s *Server) overridable(reg *store.Registry, p *greenhouse.Point) error {
	switch {
	case reg.StoppedZone(p.Zone):
		return greenhouse.Forbidden("stopped", "%s is under emergency stop", p.ID).WithHint("greenctl resume")
	case p.Node == "":
		return greenhouse.Conflict("point_unbound", "%s has no node", p.ID).WithHint("greenctl node assign UID --zone %s", p.Zone)
	}
	return nil
}

func (s *Server) releaseOverride(ctx context.Context, in *struct {
	IDParam
	WriteParams
}) (*out[api.Done], error) {
	version, err := in.version(false)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "override-release", in.ID, func(w *write) (api.Done, error) {
		p, err := pointFrom(w.tx.Registry(), in.ID)
		if err != nil {
			return api.Done{}, err
		}
		if err := s.unchangedPoint(w, p, version); err != nil {
			return api.Done{}, err
		}
		before := w.tx.Registry().Overrides[p.ID]
		if before == nil {
			return api.Done{}, greenhouse.NotFound("override", in.ID).WithHint("greenctl zone get %s shows who drives it", p.Zone)
		}
		if _, err := w.tx.ReleaseOverride(p.ID); err != nil {
			return api.Done{}, err
		}
		w.event("override_released", greenhouse.PointSource(p.ID), *before, overridden{nil, w.tx.Registry().Points[p.ID].Version}, nil)
		w.then(func() { s.wake(p.Zone) })
		return api.Done{OK: true}, nil
	})
}
