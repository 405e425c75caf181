package server

import (
	"cmp"
	"context"
	"slices"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/journal"
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
			return &out[api.Alarm]{ETag: etag(a.Version), Body: a}, nil
		}
	}
	return nil, greenhouse.NotFound("alarm", in.ID).WithHint("greenctl alarm list")
}

func (s *Server) ackAlarm(ctx context.Context, in *struct {
	IDParam
	WriteParams
}) (*out[api.Alarm], error) {
	return s.changeAlarm(ctx, in.ID, in.WriteParams, "alarm-ack", nil, func(d journal.Deed) (api.Alarm, error) { return s.Journal.AckAs(in.ID, d) })
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
	return s.changeAlarm(ctx, in.ID, in.WriteParams, "alarm-shelve", in.Body, func(d journal.Deed) (api.Alarm, error) { return s.Journal.ShelveAs(in.ID, until, d) })
}

// changeAlarm is change for alarms, whose transactions belong to the journal.
func (s *Server) changeAlarm(ctx context.Context, id string, p WriteParams, op string, request any, do func(journal.Deed) (api.Alarm, error)) (*out[api.Alarm], error) {
	reason, err := p.reason()
	if err != nil {
		return nil, err
	}
	key, err := idempotency(ctx, p.Key, op, []any{id, request})
	if err != nil {
		return nil, err
	}
	version, err := p.version(false)
	if err != nil {
		return nil, err
	}
	if p.DryRun {
		a, err := s.getAlarm(ctx, &IDParam{ID: id})
		if err != nil {
			return nil, err
		}
		a.DryRun = "true"
		return a, unchanged("alarm", id, version, a.Body.Version, a.Body)
	}
	by, answer := callerOf(ctx), &out[api.Alarm]{}
	deed := journal.Deed{By: by.actor, From: by.from, Reason: reason, IfVersion: version}
	if key.key != nil {
		deed.Done = func(tx journal.Tx) (bool, error) {
			found, err := key.replay(tx, &answer.Body)
			if found {
				answer.Replayed = "true"
			}
			return found, err
		}
		deed.Keep = func(tx journal.Tx, a greenhouse.Alarm) error { return key.keep(tx, greenhouse.MillisOf(s.now()), a) }
	}
	a, err := do(deed)
	if err != nil {
		return nil, err
	}
	if answer.Replayed == "" {
		answer.Body = a
	}
	return answer, nil
}
