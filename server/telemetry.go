package server

import (
	"context"
	"errors"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/telemetry"
)

// readings answers a query; a point that nothing was ever sent for has none.
func (s *Server) readings(ctx context.Context, q telemetry.Query) (telemetry.Result, error) {
	res, err := s.Telemetry.History(ctx, q)
	if errors.Is(err, greenhouse.ErrNotFound) {
		step := q.Step
		if step == telemetry.StepAuto {
			step = telemetry.StepRaw
		}
		return telemetry.Result{Step: step, Gaps: s.Telemetry.Gaps(q.Point, q.From, q.To)}, nil
	}
	return res, err
}

// historyView shows a stretch of readings.
func historyView(id greenhouse.PointID, unit greenhouse.Unit, r telemetry.Result) api.History {
	h := api.History{Point: id, Unit: unit, Step: string(r.Step), Samples: make([]api.Sample, len(r.Samples)), Gaps: orEmpty(r.Gaps), Next: r.Next}
	for i := range r.Samples {
		in, show := &r.Samples[i], &h.Samples[i]
		show.TS, show.Quality, show.Value = in.TS, in.Quality, api.Num(in.Value)
		if r.Step != telemetry.StepRaw {
			show.Min, show.Max, show.Count = api.Num(in.Min), api.Num(in.Max), in.Count
		}
	}
	return h
}

// telemetryStatus returns the figures of the room that keeps readings.
func (s *Server) telemetryStatus() api.TelemetryStatus {
	st := s.Telemetry.Stats()
	return api.TelemetryStatus{
		QueueMessages: st.QueueMessages, QueueFill: float64(st.QueueFill) / 100,
		Messages: count(st.Batches), Samples: count(st.Stored), Syncs: count(st.Syncs), BytesWritten: count(st.BytesWritten),
		Refused: count(st.Refused), Duplicates: count(st.Deduplicated), Dropped: count(st.BatchesDropped),
		DiskBytes: st.LogBytes + st.DayBytes, Failed: st.Fault,
	}
}

// count is a count that is never negative.
func count(n int64) uint64 { return uint64(max(0, n)) }
