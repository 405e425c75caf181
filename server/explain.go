package server

import (
	"encoding/json"
	"math"

	"greenhouse"
	"greenhouse/api"
)

// Explain shows a verdict as /v1/points/{id}/why does. Whoever journals a change
// of level puts it into the detail of an event about the point, where a question
// about the past finds it.
func Explain(w greenhouse.Verdict) api.Why {
	a := api.Why{
		Point: w.Point, Value: api.Num(w.Value), Winner: sayable(w.Winner), Losers: make([]greenhouse.Claim, 0, len(w.Losers)), Terms: finite(w.Terms), Timers: finite(w.Timers),
		Inputs: make([]api.WhyInput, 0, len(w.Inputs)), At: w.At, Since: w.Since,
	}
	if a.Timers == nil {
		a.Timers = map[string]float64{}
	}
	for _, l := range w.Losers {
		a.Losers = append(a.Losers, sayable(l))
	}
	for _, in := range w.Inputs {
		age := in.AgeS
		if math.IsInf(age, 0) || math.IsNaN(age) {
			age = -1
		}
		a.Inputs = append(a.Inputs, api.WhyInput{Point: in.Point, Value: api.Num(in.Value), Quality: in.Quality, AgeS: age})
	}
	a.Text = whyText(a)
	return a
}

// sayable takes out of a claim what JSON cannot carry: a bound that bounds nothing.
func sayable(c greenhouse.Claim) greenhouse.Claim {
	if api.Num(c.Value) == nil {
		c.Value = 0
	}
	for _, bound := range []**float64{&c.Min, &c.Max} {
		if *bound != nil {
			*bound = api.Num(**bound)
		}
	}
	return c
}

// whyAt finds the explanation of a point's level that stood at a time: that of
// the last event about the point from before then that carries one.
func (s *Server) whyAt(id greenhouse.PointID, at greenhouse.Millis) (found api.Why, ok bool, err error) {
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
			var w api.Why
			if json.Unmarshal(e.Detail, &w) == nil && w.Point == id && w.Winner.Owner != "" {
				found, ok = w, true
			}
		}
	}
}
