package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/telemetry"
)

// maxExport bounds the points of one export.
const maxExport = 1000

func (s *Server) mountHistory(m *mount) {
	handle(m, "point-history", s.history, answerOf[api.History](m))
	handle(m, "point-gaps", s.pointGaps)
	handle(m, "gap-list", s.allGaps)
	handle(m, "point-export", s.export, streamOfBytes("text/csv"))
}

// history answers a stretch of readings of one point.
func (s *Server) history(ctx context.Context, in *struct {
	IDParam
	SpanParams
	Step string `query:"step" enum:"raw,1m,1h,1d,auto" doc:"auto if absent"`
	PageParams
}) (*streamed, error) {
	id, unit, err := s.pointOfHistory(in.ID)
	if err != nil {
		return nil, err
	}
	from, to, err := s.span(in.SpanParams)
	if err != nil {
		return nil, err
	}
	limit, err := in.limit(api.MaxSamples, api.MaxSamples)
	if err != nil {
		return nil, err
	}
	step, err := telemetry.ParseStep(in.Step)
	if err != nil {
		return nil, err
	}
	sum, _, rate := greenhouse.Integral(unit)
	res, err := s.readings(ctx, telemetry.Query{Point: id, From: from, To: to, Step: step, Limit: limit, Cursor: in.Cursor, Location: s.location(), Integral: rate})
	if err != nil {
		return nil, err
	}
	if res.Step == telemetry.StepRaw {
		sum = ""
	}
	head := api.History{Point: id, Unit: unit, Step: string(res.Step), IntegralUnit: sum, Gaps: orEmpty(res.Gaps), Next: res.Next}
	return &streamed{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/json")
		_ = writeHistory(hc.BodyWriter(), head, res) // the client may be gone; nobody is left to tell
	}}, nil
}

// pointOfHistory finds the point of a path. One that was deleted may still have
// readings; one that never was has none.
func (s *Server) pointOfHistory(text string) (greenhouse.PointID, greenhouse.Unit, error) {
	id, err := greenhouse.ParsePointID(text)
	if err != nil {
		return "", "", err
	}
	if p, ok := s.Store.Registry().Point(id); ok {
		return id, p.Unit, nil
	}
	if _, ok := s.Telemetry.Latest(id); !ok {
		return "", "", greenhouse.NotFound("point", text).WithHint("greenctl point list")
	}
	spec, _ := greenhouse.StandardChannel(id.Name())
	return id, spec.Unit, nil
}

func (s *Server) pointGaps(_ context.Context, in *struct {
	IDParam
	SpanParams
	PageParams
}) (*out[api.List[api.Gap]], error) {
	id, _, err := s.pointOfHistory(in.ID)
	if err != nil {
		return nil, err
	}
	return s.gaps(id, in.SpanParams, in.PageParams)
}

func (s *Server) allGaps(_ context.Context, in *struct {
	SpanParams
	PageParams
}) (*out[api.List[api.Gap]], error) {
	return s.gaps("", in.SpanParams, in.PageParams)
}

func (s *Server) gaps(id greenhouse.PointID, span SpanParams, p PageParams) (*out[api.List[api.Gap]], error) {
	from, to, err := s.span(span)
	if err != nil {
		return nil, err
	}
	list, err := pageOf(p, s.Telemetry.Gaps(id, from, to))
	return &out[api.List[api.Gap]]{Body: list}, err
}

// export streams readings in order of time, point by point. What fails once
// bytes are under way cuts the connection, so that half is not taken for whole.
func (s *Server) export(ctx context.Context, in *struct {
	Points []string `query:"point,explode" doc:"points, each as a parameter of its own; at least one"`
	SpanParams
	Format string `query:"format" enum:"csv,jsonl" doc:"csv if absent"`
}) (*streamed, error) {
	if len(in.Points) == 0 || len(in.Points) > maxExport {
		return nil, greenhouse.Invalid("points_invalid", "an export takes 1 to %d points, not %d", maxExport, len(in.Points))
	}
	ids := make([]greenhouse.PointID, 0, len(in.Points))
	for _, text := range in.Points {
		id, _, err := s.pointOfHistory(text)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	from, to, err := s.span(in.SpanParams)
	if err != nil {
		return nil, err
	}
	return &streamed{Body: func(hc huma.Context) { //nolint:contextcheck // hc carries the request's context
		if err := s.streamExport(hc, ids, from, to, in.Format); err != nil {
			if hc.Context().Err() == nil {
				s.log.Error("export broke off", "error", err)
			}
			panic(http.ErrAbortHandler)
		}
	}}, nil
}

func (s *Server) streamExport(hc huma.Context, ids []greenhouse.PointID, from, to greenhouse.Millis, format string) error {
	kind, line := "text/csv; charset=utf-8", csvLine
	if format == api.FormatJSONL {
		kind, line = "application/jsonl", jsonLine
	}
	o := openBytes(hc, kind, "export."+format)
	if o.head {
		return nil
	}
	w := bufio.NewWriterSize(o, 64<<10)
	if format != api.FormatJSONL {
		_, _ = w.WriteString("point,ts,value,quality\n") // an error stays in w until Flush
	}
	var buf []byte
	for _, id := range ids {
		err := s.Telemetry.Scan(hc.Context(), id, from, to, func(r greenhouse.Reading) error {
			buf = line(buf[:0], r)
			_, err := w.Write(buf)
			return err
		})
		if err != nil && !errors.Is(err, greenhouse.ErrNotFound) { // nothing was ever sent for it
			return fmt.Errorf("export %s: %w", id, err)
		}
	}
	return w.Flush()
}

// csvLine appends one reading; nothing in it needs quoting.
func csvLine(b []byte, r greenhouse.Reading) []byte {
	b = append(b, r.Point...)
	b = append(b, ',')
	b = strconv.AppendInt(b, int64(r.At), 10)
	b = append(b, ',')
	if api.Num(r.Value) != nil {
		b = strconv.AppendFloat(b, r.Value, 'g', -1, 64)
	}
	b = append(b, ',')
	b = append(b, r.Quality.String()...)
	return append(b, '\n')
}

// jsonLine appends one reading as an object of its own line.
func jsonLine(b []byte, r greenhouse.Reading) []byte {
	id, err := json.Marshal(r.Point)
	if err != nil { // a string is always JSON
		return b
	}
	b = append(append(b, `{"point":`...), id...)
	b = strconv.AppendInt(append(b, `,"ts":`...), int64(r.At), 10)
	b = appendValue(append(b, `,"value":`...), r.Value)
	b = append(append(b, `,"quality":"`...), r.Quality.String()...)
	return append(b, "\"}\n"...)
}
