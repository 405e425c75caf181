package server

import (
	"cmp"
	"context"
	"slices"

	"greenhouse"
	"greenhouse/api"
)

func (s *Server) mountAlarms(m *mount) {
	handle(m, "alarm-list", s.listAlarms)
	handle(m, "alarm-get", s.getAlarm)
	handle(m, "alarm-ack", s.ackAlarm)
	handle(m, "alarm-shelve", s.shelveAlarm)
}

// listAlarms lists the loudest first, then the newest.
func (s *Server) listAlarms(_ context.Context, in *struct {
	PageParams
	All  bool   `query:"all" doc:"cleared and acknowledged ones too"`
	Zone string `query:"zone"`
}) (*out[api.List[api.Alarm]], error) {
	v := s.look(s.Store.Registry())
	if err := known(v.reg, in.Zone, ""); err != nil {
		return nil, err
	}
	alarms := s.Journal.Alarms(in.All)
	if in.Zone != "" {
		alarms = slices.DeleteFunc(alarms, func(a greenhouse.Alarm) bool { return string(v.zoneOf(a.Source)) != in.Zone })
	}
	slices.SortStableFunc(alarms, func(a, b greenhouse.Alarm) int {
		return cmp.Or(cmp.Compare(loudness(b.Severity), loudness(a.Severity)), cmp.Compare(b.LastSeen, a.LastSeen), cmp.Compare(a.ID, b.ID))
	})
	list, err := pageOf(in.PageParams, alarms)
	return &out[api.List[api.Alarm]]{Body: list}, err
}

func (s *Server) getAlarm(_ context.Context, in *IDParam) (*out[api.Alarm], error) {
	for _, a := range s.Journal.Alarms(true) {
		if a.ID == in.ID {
			return &out[api.Alarm]{Body: a}, nil
		}
	}
	return nil, greenhouse.NotFound("alarm", in.ID).WithHint("greenctl alarm list")
}

func (s *Server) ackAlarm(ctx context.Context, in *struct {
	IDParam
	WriteParams
}) (*out[api.Alarm], error) {
	if in.DryRun {
		return s.getAlarm(ctx, &in.IDParam)
	}
	a, err := s.Journal.Ack(in.ID, callerOf(ctx).actor)
	if err != nil {
		return nil, err
	}
	return &out[api.Alarm]{Body: a}, nil
}

func (s *Server) shelveAlarm(ctx context.Context, in *struct {
	IDParam
	WriteParams
	Body api.ShelveRequest
}) (*out[api.Alarm], error) {
	var until greenhouse.Millis
	if in.Body.ForS != 0 {
		d, err := seconds("for_s", int64(in.Body.ForS), 0, 7*86400)
		if err != nil {
			return nil, err
		}
		until = greenhouse.MillisOf(s.now()).Add(d)
	}
	if in.DryRun {
		return s.getAlarm(ctx, &in.IDParam)
	}
	a, err := s.Journal.Shelve(in.ID, until, callerOf(ctx).actor)
	if err != nil {
		return nil, err
	}
	return &out[api.Alarm]{Body: a}, nil
}
