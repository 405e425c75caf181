package server

import (
	"context"
	"errors"
	"math"
	"strconv"

	"greenhouse"
	"greenhouse/api"
)

// explain shows a verdict as the API does.
func explain(w greenhouse.Verdict) api.Why {
	a := api.Why{
		Point: w.Point, Value: api.Num(w.Value), Winner: sayable(w.Winner), Losers: make([]greenhouse.Claim, 0, len(w.Losers)), Terms: finite(w.Terms), Timers: finite(w.Timers),
		Inputs: make([]api.WhyInput, 0, len(w.Inputs)), Aim: w.Aim, At: w.At, Since: w.Since,
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

// why answers for one actuator, now or then.
func (s *Server) why(ctx context.Context, in *struct {
	IDParam
	At string `query:"at" doc:"a time in the past; now if absent"`
}) (*out[api.Why], error) {
	p, err := actuatorFrom(s.Store.Registry(), in.ID)
	if err != nil {
		return nil, err
	}
	w, err := s.whyOf(ctx, p.ID, in.At)
	return &out[api.Why]{Body: w}, err
}

// zoneWhy answers for all actuators of a zone; those that nothing is known of are
// left out.
func (s *Server) zoneWhy(ctx context.Context, in *struct {
	IDParam
	At string `query:"at" doc:"a time in the past; now if absent"`
}) (*out[api.List[api.Why]], error) {
	reg := s.Store.Registry()
	z, err := zoneFrom(reg, in.ID)
	if err != nil {
		return nil, err
	}
	list := api.List[api.Why]{Items: []api.Why{}}
	for _, p := range reg.ZonePoints(z.ID) {
		if p.Kind != greenhouse.Actuator {
			continue
		}
		w, err := s.whyOf(ctx, p.ID, in.At)
		switch {
		case err == nil:
			list.Items = append(list.Items, w)
		case !errors.Is(err, greenhouse.ErrNotFound) && !errors.Is(err, greenhouse.ErrUnavailable):
			return nil, err
		}
	}
	return &out[api.List[api.Why]]{Body: list}, nil
}

// whyOf explains an actuator at a time in any form that api.ParseTime reads; ""
// is now.
func (s *Server) whyOf(ctx context.Context, id greenhouse.PointID, at string) (api.Why, error) {
	if at != "" {
		t, err := api.ParseTime(at, s.now(), s.location())
		if err != nil {
			return api.Why{}, err
		}
		return s.whyThen(ctx, id, greenhouse.MillisOf(t))
	}
	v, ok := s.Actuation.Verdict(id)
	if !ok {
		return api.Why{}, greenhouse.Unavailable("not_decided", "nothing has been decided for %s yet", id).
			WithHint("automation decides within a few seconds of the start, once the zone has a node for it")
	}
	w := explain(v)
	l := s.Actuation.Level(id)
	w.Device = &api.WhyDevice{Online: l.Online, Reported: l.Reported, Position: l.Motor, Command: l.Command}
	if list, ok := s.Actuation.Obstacles(id, v.Value); ok && len(list) > 0 {
		w.Device.Waits = list[0].Reason
	}
	w.Text = whyText(w)
	return w, nil
}

// whyThen answers with what stood over an actuator at a time in the past: the last
// decision kept from then or before, its timers as they stood at that time, and
// what was measured then.
func (s *Server) whyThen(ctx context.Context, id greenhouse.PointID, at greenhouse.Millis) (api.Why, error) {
	v, ok, err := s.Journal.Decision(id, at)
	switch {
	case err != nil:
		return api.Why{}, err
	case !ok:
		return api.Why{}, greenhouse.NotFound("decision", string(id)).WithHint("none is kept from then; the newest %s of all actuators are", "50,000")
	}
	w := explain(v)
	w.Asked = at
	passed := at.Sub(v.At).Seconds()
	for name, left := range w.Timers {
		if w.Timers[name] = math.Ceil(left - passed); left <= passed {
			delete(w.Timers, name)
		}
	}
	if err := s.readThen(ctx, &w); err != nil {
		return api.Why{}, err
	}
	w.Text = whyText(w)
	return w, nil
}

// whyNot answers what keeps an actuator from a level: from the other one than it
// has, where none is named.
func (s *Server) whyNot(_ context.Context, in *struct {
	IDParam
	Level string `query:"level" doc:"0 to 1; the other than it has if absent"`
}) (*out[api.WhyNot], error) {
	p, err := actuatorFrom(s.Store.Registry(), in.ID)
	if err != nil {
		return nil, err
	}
	v, ok := s.Actuation.Verdict(p.ID)
	level := 1.0
	switch {
	case in.Level != "":
		if level, err = strconv.ParseFloat(in.Level, 64); err != nil || !(level >= 0 && level <= 1) {
			return nil, greenhouse.Invalid("level_invalid", "level %q is out of range: it takes 0 to 1", in.Level)
		}
	case v.Value > 0:
		level = 0
	}
	var list []greenhouse.Obstacle
	if ok {
		list, ok = s.Actuation.Obstacles(p.ID, level)
	}
	if !ok {
		return nil, greenhouse.Unavailable("not_decided", "nothing has been decided for %s yet", p.ID).
			WithHint("automation decides within a few seconds of the start, once the zone has a node for it")
	}
	w := api.WhyNot{Point: p.ID, Level: level, Value: api.Num(v.Value), Free: len(list) == 0, Obstacles: list}
	if list == nil {
		w.Obstacles = []greenhouse.Obstacle{}
	}
	w.Text = whyNotText(w)
	return &out[api.WhyNot]{Body: w}, nil
}
