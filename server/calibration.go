package server

import (
	"context"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/store"
)

func (s *Server) mountCalibration(m *mount) {
	handle(m, "calibration-get", s.getCalibration)
	handle(m, "calibration-set", s.calibrate)
	handle(m, "point-bind", s.bindPoint)
}

// ChannelParam is a channel of the node of a path.
type ChannelParam struct {
	UIDParam
	Channel string `path:"channel"`
}

// calStatus says how the calibration of a point stands.
func (v *view) calStatus(p *greenhouse.Point) *api.PointCal {
	if p.Kind != greenhouse.Sensor {
		return nil
	}
	st := v.reg.CalState(p)
	a := &api.PointCal{Status: api.CalNone, Policy: st.Policy, Since: st.Required, Last: st.Last}
	switch {
	case st.Required != 0:
		a.Status = api.CalRequired
	case st.Due(greenhouse.MillisOf(v.now)):
		a.Status = api.CalDue
	case st.Last != nil:
		a.Status = api.CalOK
	}
	return a
}

func (s *Server) getCalibration(_ context.Context, in *ChannelParam) (*out[api.ChannelCal], error) {
	v := s.look(s.Store.Registry())
	n, err := nodeOf(v.reg, in.UIDParam)
	if err != nil {
		return nil, err
	}
	c, ok := n.Channel(greenhouse.ChannelName(in.Channel))
	if !ok {
		return nil, greenhouse.NotFound("channel", in.Channel).WithHint("greenctl node get %s shows its channels", n.UID)
	}
	a := api.ChannelCal{Node: n.UID, Channel: c.Name, Point: c.Point, Unit: c.Unit, Quality: greenhouse.Stale, Records: []api.Calibration{}, Version: n.Version,
		Pending: c.Cal != nil && !c.CalEdge && n.Config.Status != greenhouse.ConfigApplied}
	a.Online, _ = s.Presence.Presence(n.UID)
	if p, ok := v.reg.Point(c.Point); ok {
		if st := v.calStatus(p); st != nil {
			a.Calibration = *st
		}
		if l, ok := s.Telemetry.Latest(c.Point); ok {
			a.Value, a.TS, a.Quality = api.Num(l.Value), l.At, v.quality(p, l)
			a.Raw = api.Num(v.raw(n, c, l.Value))
		}
	}
	err = s.Store.View(func(tx *store.Tx) error {
		kept, err := tx.Calibrations(n.UID, c.Name)
		for _, r := range kept {
			a.Records = append(a.Records, api.Calibration(r))
		}
		return err
	})
	return &out[api.ChannelCal]{ETag: etag(n.Version), Body: a}, err
}

// raw takes calibration and compensation off a value.
func (v *view) raw(n *greenhouse.Node, c *greenhouse.Channel, value float64) float64 {
	if c.Comp != nil {
		if t, ok := n.Channel(c.Comp.Channel); ok {
			if l, ok := v.s.Telemetry.Latest(t.Point); ok && l.Quality == greenhouse.Good {
				value *= 1 + c.Comp.PerK*(l.Value-c.Comp.RefC)
			}
		}
	}
	if c.Cal != nil {
		value = c.Cal.Raw(value)
	}
	return value
}

// calibrate takes a calibration of a channel.
func (s *Server) calibrate(ctx context.Context, in *struct {
	ChannelParam
	WriteParams
	Body api.CalibrationRequest
}) (*out[api.Calibration], error) {
	b := in.Body
	version, err := in.version(false)
	switch {
	case err != nil:
		return nil, err
	case b.EveryDays != nil && (*b.EveryDays < 0 || *b.EveryDays > 3650):
		return nil, greenhouse.Invalid("every_days_invalid", "every_days is %d: it takes 0 to 3650", *b.EveryDays)
	}
	req := store.CalRequest{Points: b.Points, Linear: b.Cal, Comp: b.Comp, Edge: b.Edge, EveryDays: b.EveryDays, Note: b.Note}
	return change(ctx, s, in.WriteParams, "calibration-set", []any{in.UID, in.Channel, b}, func(w *write) (api.Calibration, error) {
		n, err := nodeOf(w.tx.Registry(), in.UIDParam)
		if err != nil {
			return api.Calibration{}, err
		}
		record, after, err := w.tx.Calibrate(n.UID, greenhouse.ChannelName(in.Channel), req, version)
		if err != nil {
			return api.Calibration{}, showStale(err, w.look(s).node)
		}
		w.event("channel_calibrated", greenhouse.NodeSource(n.UID), n, after, record)
		w.then(func() { s.wake(after.Zone) })
		return api.Calibration(record), nil
	})
}

// bindPoint binds a point to another channel.
func (s *Server) bindPoint(ctx context.Context, in *struct {
	IDParam
	WriteParams
	Body api.BindRequest
}) (*out[api.Point], error) {
	version, err := in.version(false)
	if err != nil {
		return nil, err
	}
	o, err := change(ctx, s, in.WriteParams, "point-bind", []any{in.ID, in.Body}, func(w *write) (api.Point, error) {
		before, err := pointFrom(w.tx.Registry(), in.ID)
		if err != nil {
			return api.Point{}, err
		}
		after, err := w.tx.Rebind(before.ID, in.Body.Node, in.Body.Channel, in.Body.Exchange, version)
		if err != nil {
			return api.Point{}, showStale(err, w.look(s).point)
		}
		w.event("point_bound", greenhouse.PointSource(before.ID), before, after, in.Body)
		w.then(func() { s.wake(after.Zone) })
		return w.look(s).point(&after), nil
	})
	return tagged(o, err, func(p api.Point) uint64 { return p.Version })
}
