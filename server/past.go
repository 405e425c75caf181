package server

import (
	"encoding/json"

	"greenhouse"
)

// verdictAt finds the verdict of a point that stood at a time: the last one
// that an event before then carries, as its detail or as "verdict" in it.
func (s *Server) verdictAt(id greenhouse.PointID, at greenhouse.Millis) (found greenhouse.Verdict, ok bool, err error) {
	source := greenhouse.PointSource(id)
	for since := uint64(0); ; {
		events, err := s.Journal.Since(since, 0)
		if err != nil || len(events) == 0 {
			return found, ok, err
		}
		for _, e := range events {
			since = e.Seq
			if e.Source != source || e.TS > at {
				continue
			}
			if v, is := verdictIn(e.Detail, id); is {
				found, ok = v, true
			}
		}
	}
}

// verdictIn reads the verdict of a point from the detail of an event.
func verdictIn(detail json.RawMessage, id greenhouse.PointID) (greenhouse.Verdict, bool) {
	var direct greenhouse.Verdict
	if json.Unmarshal(detail, &direct) == nil && direct.Point == id && direct.Winner.Owner != "" {
		return direct, true
	}
	var wrapped struct {
		Verdict greenhouse.Verdict `json:"verdict"`
	}
	if json.Unmarshal(detail, &wrapped) == nil && wrapped.Verdict.Point == id && wrapped.Verdict.Winner.Owner != "" {
		return wrapped.Verdict, true
	}
	return greenhouse.Verdict{}, false
}
