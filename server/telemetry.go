package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

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

// writeHistory writes an answer of package api, whose samples may be many:
// without a copy of them, and a piece at a time.
func writeHistory(out io.Writer, head api.History, r telemetry.Result) error {
	raw, err := json.Marshal(head)
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	before, after, _ := bytes.Cut(raw, []byte(`"samples":null`))
	w := bufio.NewWriterSize(out, 64<<10)
	_, _ = w.Write(append(before, `"samples":[`...)) // an error stays in w until Flush
	rollup := r.Step != telemetry.StepRaw
	_, perSecond, _ := greenhouse.Integral(head.Unit)
	var b []byte
	for i := range r.Samples {
		b = b[:0]
		if i > 0 {
			b = append(b, ',')
		}
		b = appendSample(b, &r.Samples[i], rollup, perSecond)
		_, _ = w.Write(b)
	}
	_, _ = w.Write([]byte{']'})
	_, _ = w.Write(append(after, '\n'))
	return w.Flush()
}

// appendSample appends one sample as api.Sample is written; perSecond is what a
// rate adds up by, 0 for what is none.
func appendSample(b []byte, s *telemetry.HistorySample, rollup bool, perSecond float64) []byte {
	b = strconv.AppendInt(append(b, `{"ts":`...), int64(s.TS), 10)
	b = appendValue(append(b, `,"value":`...), s.Value)
	b = append(append(append(b, `,"quality":"`...), s.Quality.String()...), '"')
	if rollup {
		b = appendValue(append(b, `,"min":`...), s.Min)
		b = appendValue(append(b, `,"max":`...), s.Max)
		b = strconv.AppendInt(append(b, `,"count":`...), int64(s.Count), 10)
		b = appendValue(append(b, `,"last":`...), s.Last)
	}
	if rollup && perSecond > 0 {
		b = appendValue(append(b, `,"integral":`...), s.Integral*perSecond)
	}
	return append(b, '}')
}

// appendValue appends a number, or null for what is none.
func appendValue(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// telemetryStatus returns the figures of the room that keeps readings.
func (s *Server) telemetryStatus() api.TelemetryStatus {
	st := s.Telemetry.Stats()
	return api.TelemetryStatus{
		QueueMessages: st.QueueMessages, QueueFill: float64(st.QueueFill) / 100,
		Messages: count(st.Batches), Samples: count(st.Stored), Syncs: count(st.Syncs), BytesWritten: count(st.BytesWritten),
		Refused: count(st.Refused), Duplicates: count(st.Deduplicated), Dropped: count(st.BatchesDropped),
		DiskBytes: st.LogBytes + st.DayBytes + st.LevelBytes, Failed: st.Fault,
	}
}

// count is a count that is never negative.
func count(n int64) uint64 { return uint64(max(0, n)) }
