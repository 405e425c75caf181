package server

import (
	"context"
	"encoding/json"
	"math"
	"slices"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/automation"
	"greenhouse/store"
)

func (s *Server) mountZones(m *mount) {
	handle(m, "zone-list", s.listZones)
	handle(m, "zone-get", s.getZone)
	handle(m, "zone-create", s.createZone)
	handle(m, "zone-edit", s.editZone, patchOf[api.ZonePatch](m))
	handle(m, "zone-delete", s.deleteZone)
	handle(m, "zone-target-set", s.setTarget)
	handle(m, "zone-target-clear", s.clearTarget)
	handle(m, "zone-plan", s.zonePlan)
	handle(m, "zone-curve-set", s.setCurve)
	handle(m, "zone-curve-clear", s.clearCurve)
	handle(m, "zone-adjust", s.adjust)
	handle(m, "zone-adjust-end", s.endAdjustment)
	handle(m, "zone-mode", s.setMode)
	handle(m, "stop", s.stop)
	handle(m, "resume", s.resume)
	handle(m, "site-get", s.getSite)
	handle(m, "site-edit", s.editSite, patchOf[api.SitePatch](m))
}

// zoneFrom finds the zone of a path.
func zoneFrom(reg *store.Registry, id string) (*greenhouse.Zone, error) {
	zid, err := greenhouse.ParseZoneID(id)
	if err != nil {
		return nil, err
	}
	z, ok := reg.Zones[zid]
	if !ok {
		return nil, greenhouse.NotFound("zone", id).WithHint("greenctl zone list")
	}
	return z, nil
}

func (s *Server) listZones(_ context.Context, in *PageParams) (*out[api.List[api.Zone]], error) {
	v := s.look(s.Store.Registry())
	list, err := page(*in, v.reg.Zones, func(*greenhouse.Zone) bool { return true }, v.zone)
	return &out[api.List[api.Zone]]{Body: list}, err
}

func (s *Server) getZone(_ context.Context, in *IDParam) (*out[api.Zone], error) {
	v := s.look(s.Store.Registry())
	z, err := zoneFrom(v.reg, in.ID)
	if err != nil {
		return nil, err
	}
	return &out[api.Zone]{ETag: etag(z.Version), Body: v.zone(z)}, nil
}

func (s *Server) createZone(ctx context.Context, in *struct {
	WriteParams
	Body api.CreateZoneRequest
}) (*out[api.Zone], error) {
	id, err := greenhouse.ParseZoneID(string(in.Body.ID))
	if err != nil {
		return nil, err
	}
	z := greenhouse.Zone{ID: id, Name: in.Body.Name, Crop: in.Body.Crop, AreaM2: in.Body.AreaM2, Mode: in.Body.Mode}
	if z.Name == "" {
		z.Name = string(id)
	}
	if z.Mode == "" {
		z.Mode = greenhouse.ModeAuto
	}
	if _, err := greenhouse.ParseMode(string(z.Mode)); err != nil {
		return nil, err
	}
	o, err := change(ctx, s, in.WriteParams, "zone-create", in.Body, func(w *write) (api.Zone, error) {
		made, err := w.tx.CreateZone(z)
		if err != nil {
			return api.Zone{}, err
		}
		w.event("zone_created", greenhouse.ZoneSource(id), nil, made, nil)
		w.then(func() { s.wake(id) })
		return w.look(s).zone(&made), nil
	})
	return tagged(o, err, func(z api.Zone) uint64 { return z.Version })
}

// tagged adds the version of the record to the answer.
func tagged[T any](o *out[T], err error, version func(T) uint64) (*out[T], error) {
	if err != nil {
		return nil, err
	}
	o.ETag = etag(version(o.Body))
	return o, nil
}

func (s *Server) editZone(ctx context.Context, in *struct {
	IDParam
	WriteParams
	RawBody []byte `contentType:"application/merge-patch+json"`
}) (*out[api.Zone], error) {
	return s.changeZone(ctx, in.ID, in.WriteParams, "zone-edit", json.RawMessage(in.RawBody), true, "zone_edited", func(z *greenhouse.Zone) error {
		spec := zoneSpec(z)
		if err := mergeInto(&spec, in.RawBody); err != nil {
			return err
		}
		z.Name, z.Crop, z.AreaM2, z.Mode, z.Targets = spec.Name, spec.Crop, spec.AreaM2, spec.Mode, spec.Targets
		z.DayFrom, z.DayUntil, z.Schedule, z.Control, z.NodeLimits = spec.DayFrom, spec.DayUntil, spec.Schedule, spec.Control, spec.NodeLimits
		_, err := greenhouse.ParseMode(string(z.Mode))
		return err
	})
}

// changeZone is one edit of one zone, answered with the zone as it is then.
func (s *Server) changeZone(ctx context.Context, id string, p WriteParams, op string, request any, edit bool, code string, fn func(*greenhouse.Zone) error) (*out[api.Zone], error) {
	version, err := p.version(edit)
	if err != nil {
		return nil, err
	}
	o, err := change(ctx, s, p, op, []any{id, request}, func(w *write) (api.Zone, error) {
		before, err := zoneFrom(w.tx.Registry(), id)
		if err != nil {
			return api.Zone{}, err
		}
		after, err := w.tx.EditZone(before.ID, version, func(z *greenhouse.Zone) error {
			if err := fn(z); err != nil {
				return err
			}
			return automation.CheckCurves(z, &w.tx.Registry().Site, s.location(), s.now().Year())
		})
		if err != nil {
			return api.Zone{}, showStale(err, w.look(s).zone)
		}
		w.event(code, greenhouse.ZoneSource(before.ID), s.audited(before), s.audited(&after), nil)
		w.then(func() {
			if stopsActuators(before.Mode, after.Mode) {
				s.Stopper.Halt(after.ID)
			}
			s.wake(after.ID)
		})
		return w.look(s).zone(&after), nil
	})
	return tagged(o, err, func(z api.Zone) uint64 { return z.Version })
}

// stopsActuators reports whether a change of mode brings the actuators of a
// zone to their safe levels: entering manual or off does.
func stopsActuators(before, after greenhouse.Mode) bool {
	return before != after && (after == greenhouse.ModeManual || after == greenhouse.ModeOff)
}

func (s *Server) deleteZone(ctx context.Context, in *struct {
	IDParam
	WriteParams
}) (*out[api.Done], error) {
	version, err := in.version(false)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "zone-delete", in.ID, func(w *write) (api.Done, error) {
		z, err := zoneFrom(w.tx.Registry(), in.ID)
		if err != nil {
			return api.Done{}, err
		}
		if err := w.tx.DeleteZone(z.ID, version); err != nil {
			return api.Done{}, showStale(err, w.look(s).zone)
		}
		w.event("zone_deleted", greenhouse.ZoneSource(z.ID), z, nil, nil)
		return api.Done{OK: true}, nil
	})
}

func (s *Server) setTarget(ctx context.Context, in *struct {
	QuantityParam
	Body api.TargetRequest
}) (*out[api.Zone], error) {
	q, err := greenhouse.ParseQuantity(in.Quantity)
	if err != nil {
		return nil, err
	}
	t, err := targetOf(q, in.Body)
	if err != nil {
		return nil, err
	}
	request := []any{in.Quantity, in.Body}
	return s.changeZone(ctx, in.ID, in.WriteParams, "zone-target-set", request, false, "zone_target_set", func(z *greenhouse.Zone) error {
		if z.Targets == nil {
			z.Targets = map[greenhouse.Quantity]greenhouse.Target{}
		}
		z.Targets[q.Quantity] = t
		return nil
	})
}

// targetOf reads value, or day and night, within the range of the quantity.
func targetOf(q greenhouse.QuantitySpec, r api.TargetRequest) (greenhouse.Target, error) {
	day, night := r.Day, r.Night
	if r.Value != nil {
		if day != nil || night != nil {
			return greenhouse.Target{}, greenhouse.Invalid("target_invalid", "give either value, or day and night")
		}
		day, night = r.Value, r.Value
	}
	if day == nil || night == nil {
		return greenhouse.Target{}, greenhouse.Invalid("target_invalid", "a target needs value, or both day and night")
	}
	for _, x := range []float64{*day, *night} {
		if math.IsNaN(x) || x < q.Min || x > q.Max {
			return greenhouse.Target{}, greenhouse.Invalid("target_invalid", "%s %v is out of range: it takes %v to %v %s", q.Quantity, x, q.Min, q.Max, q.Unit)
		}
	}
	return greenhouse.Target{Day: *day, Night: *night}, nil
}

func (s *Server) clearTarget(ctx context.Context, in *QuantityParam) (*out[api.Zone], error) {
	q, err := greenhouse.ParseQuantity(in.Quantity)
	if err != nil {
		return nil, err
	}
	return s.changeZone(ctx, in.ID, in.WriteParams, "zone-target-clear", in.Quantity, false, "zone_target_cleared", func(z *greenhouse.Zone) error {
		delete(z.Targets, q.Quantity)
		return nil
	})
}

func (s *Server) setMode(ctx context.Context, in *struct {
	IDParam
	WriteParams
	Body api.ModeRequest
}) (*out[api.Zone], error) {
	mode, err := greenhouse.ParseMode(string(in.Body.Mode))
	if err != nil {
		return nil, err
	}
	return s.changeZone(ctx, in.ID, in.WriteParams, "zone-mode", in.Body, false, "zone_mode_set", func(z *greenhouse.Zone) error {
		z.Mode = mode
		return nil
	})
}

// stop brings equipment to safety first; that works without a disk. Only then
// is the stop latched, so that it outlives a restart.
func (s *Server) stop(ctx context.Context, in *struct {
	WriteParams
	Body *api.StopRequest
}) (*out[api.Stopped], error) {
	req := api.StopRequest{}
	if in.Body != nil {
		req = *in.Body
	}
	if req.Zone != "" {
		if _, err := zoneFrom(s.Store.Registry(), string(req.Zone)); err != nil {
			return nil, err
		}
	}
	if !in.DryRun {
		s.Stopper.Stop(req.Zone)
	}
	o, err := s.latch(ctx, in.WriteParams, req, "stop", "emergency_stop")
	if err != nil {
		s.log.Error("emergency stop not on disk", "zone", req.Zone, "error", err)
		return nil, greenhouse.Unavailable("stop_not_latched", "everything was told to stop, but the stop could not be stored: it does not outlive a restart").
			WithHint("repeat it once the disk works: greenctl doctor")
	}
	return o, nil
}

func (s *Server) resume(ctx context.Context, in *struct {
	WriteParams
	Body *api.StopRequest
}) (*out[api.Stopped], error) {
	req := api.StopRequest{}
	if in.Body != nil {
		req = *in.Body
	}
	return s.latch(ctx, in.WriteParams, req, "resume", "emergency_resume")
}

// latch stores or releases an emergency stop.
func (s *Server) latch(ctx context.Context, p WriteParams, req api.StopRequest, op, code string) (*out[api.Stopped], error) {
	return change(ctx, s, p, op, req, func(w *write) (api.Stopped, error) {
		source := greenhouse.SiteSource
		zones := []greenhouse.ZoneID{req.Zone}
		if req.Zone != "" {
			if _, err := zoneFrom(w.tx.Registry(), string(req.Zone)); err != nil {
				return api.Stopped{}, err
			}
			source = greenhouse.ZoneSource(req.Zone)
		} else {
			zones = zoneIDs(w.tx.Registry())
		}
		before := stoppedOf(w.tx.Registry())
		set := w.tx.Stop
		if op == "resume" {
			set = w.tx.Resume
		}
		if _, err := set(req.Zone); err != nil {
			return api.Stopped{}, err
		}
		after := stoppedOf(w.tx.Registry())
		if w.reason == "" {
			w.reason = req.Reason
		}
		w.event(code, source, before, after, nil)
		w.then(func() {
			if op == "resume" {
				s.Stopper.Resume(req.Zone)
			}
			s.wake(zones...)
		})
		return after, nil
	})
}

func zoneIDs(reg *store.Registry) []greenhouse.ZoneID {
	ids := make([]greenhouse.ZoneID, 0, len(reg.Zones))
	for id := range reg.Zones {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (s *Server) getSite(context.Context, *none) (*out[api.Site], error) {
	site := s.Store.Registry().Site
	return &out[api.Site]{ETag: etag(site.Version), Body: siteView(site)}, nil
}

func siteView(s greenhouse.Site) api.Site {
	return api.Site{SiteSpec: api.SiteSpec{Name: s.Name, Latitude: s.Latitude, Longitude: s.Longitude, TimeZone: s.TimeZone}, Meta: meta(s.Meta)}
}

func (s *Server) editSite(ctx context.Context, in *struct {
	WriteParams
	RawBody []byte `contentType:"application/merge-patch+json"`
}) (*out[api.Site], error) {
	version, err := in.version(true)
	if err != nil {
		return nil, err
	}
	o, err := change(ctx, s, in.WriteParams, "site-edit", json.RawMessage(in.RawBody), func(w *write) (api.Site, error) {
		before := w.tx.Registry().Site
		after := before
		spec := siteView(before).SiteSpec
		if err := mergeInto(&spec, in.RawBody); err != nil {
			return api.Site{}, err
		}
		after.Name, after.Latitude, after.Longitude, after.TimeZone = spec.Name, spec.Latitude, spec.Longitude, spec.TimeZone
		after, err := w.tx.SetSite(after, version)
		if err != nil {
			return api.Site{}, showStale(err, func(cur *greenhouse.Site) api.Site { return siteView(*cur) })
		}
		w.event("site_edited", greenhouse.SiteSource, before, after, nil)
		w.then(func() { s.wake(zoneIDs(s.Store.Registry())...) })
		return siteView(after), nil
	})
	return tagged(o, err, func(s api.Site) uint64 { return s.Version })
}
