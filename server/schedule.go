package server

import (
	"context"
	"maps"
	"math"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/automation"
)

// setPoints shows the set-points of a zone as they were decided last.
func (v *view) setPoints(z greenhouse.ZoneID) map[greenhouse.Quantity]api.SetPoint {
	now := map[greenhouse.Quantity]api.SetPoint{}
	points, _ := v.s.Automation.SetPoints(z)
	for _, p := range points {
		if p.Layer != automation.LayerNone {
			now[p.Quantity] = api.SetPoint{Value: math.Round(p.Value*100) / 100, Base: api.Num(p.Base), Layer: string(p.Layer), By: p.By, Until: p.Until}
		}
	}
	return now
}

// standing leaves out adjustments that have ended.
func standing(all map[greenhouse.Quantity]greenhouse.Adjustment, now time.Time) map[greenhouse.Quantity]greenhouse.Adjustment {
	left := maps.Clone(all)
	maps.DeleteFunc(left, func(_ greenhouse.Quantity, a greenhouse.Adjustment) bool {
		return a.ExpiresAt <= greenhouse.MillisOf(now)
	})
	return left
}

// QuantityParam is a set-point of a zone that is written.
type QuantityParam struct {
	IDParam
	Quantity string `path:"quantity"`
	WriteParams
}

// curved finds the quantity, which must be one that may have a curve or be adjusted.
func (p *QuantityParam) curved() (greenhouse.QuantitySpec, error) {
	q, err := greenhouse.ParseQuantity(p.Quantity)
	if err == nil && !q.Quantity.Curved() {
		err = greenhouse.Invalid("quantity_invalid", "%s has one target for the whole day: heating, venting, humidity_max, vpd and co2 follow curves and can be adjusted", q.Quantity)
	}
	return q, err
}

func (s *Server) zonePlan(_ context.Context, in *struct {
	IDParam
	Date string `query:"date" doc:"2026-03-01, yesterday, today or tomorrow; today if absent"`
}) (*out[api.ZonePlan], error) {
	reg := s.Store.Registry()
	z, err := zoneFrom(reg, in.ID)
	if err != nil {
		return nil, err
	}
	day, err := dateOf(in.Date, s.now().In(s.location()))
	if err != nil {
		return nil, err
	}
	if z.Run != nil {
		ahead := *z
		ahead.Run = z.Run.Foresee(s.today(), greenhouse.DateOf(day), s.location())
		z = &ahead
	}
	p := automation.PlanDay(z, &reg.Site, s.location(), day)
	body := api.ZonePlan{
		Zone: z.ID, Date: day.Format(time.DateOnly), From: greenhouse.MillisOf(p.From), Until: greenhouse.MillisOf(p.Until),
		Sunrise: greenhouse.MillisOf(p.Sunrise), Sunset: greenhouse.MillisOf(p.Sunset),
		DayFrom: greenhouse.MillisOf(p.DayFrom), DayUntil: greenhouse.MillisOf(p.DayTill), Courses: []api.Course{},
	}
	for i := range p.Courses {
		body.Courses = append(body.Courses, courseView(&p.Courses[i]))
	}
	return &out[api.ZonePlan]{Body: body}, nil
}

// dateOf reads a date as noon of it.
func dateOf(text string, now time.Time) (time.Time, error) {
	days := 0
	switch text {
	case "", "today":
	case "yesterday":
		days = -1
	case "tomorrow":
		days = 1
	default:
		d, err := time.ParseInLocation(time.DateOnly, text, now.Location())
		if err != nil || d.Year() < 1970 || d.Year() > 2100 {
			return time.Time{}, greenhouse.Invalid("date_invalid", "%q is no date: it is 2026-03-01, yesterday, today or tomorrow", text)
		}
		now = d
	}
	y, m, d := now.Date()
	return time.Date(y, m, d+days, 12, 0, 0, 0, now.Location()), nil
}

func courseView(c *automation.Course) api.Course {
	spec, _ := greenhouse.ParseQuantity(string(c.Quantity)) // one of ours
	a := api.Course{
		Quantity: c.Quantity, Unit: spec.Unit, Steps: []api.CourseStep{}, Levels: make([]*float64, len(c.Levels)), StepS: int(automation.CourseStep / time.Second),
		Mean: api.Num(c.Mean), DayMean: api.Num(c.DayMean), NightMean: api.Num(c.NightMean),
	}
	for _, st := range c.Steps {
		a.Steps = append(a.Steps, api.CourseStep{At: greenhouse.MillisOf(st.At), To: st.To, Ramp: st.Ramp})
	}
	for i, v := range c.Levels {
		a.Levels[i] = api.Num(math.Round(v*1000) / 1000)
	}
	return a
}

func (s *Server) setCurve(ctx context.Context, in *struct {
	QuantityParam
	Body api.CurveRequest
}) (*out[api.Zone], error) {
	q, err := in.curved()
	if err != nil {
		return nil, err
	}
	if err := in.Body.Knots.Check(q.Quantity); err != nil {
		return nil, err
	}
	return s.changeZone(ctx, in.ID, in.WriteParams, "zone-curve-set", []any{in.Quantity, in.Body}, false, "zone_curve_set", func(z *greenhouse.Zone) error {
		if z.Schedule == nil {
			z.Schedule = map[greenhouse.Quantity]greenhouse.Curve{}
		}
		z.Schedule[q.Quantity] = in.Body.Knots
		return nil
	})
}

func (s *Server) clearCurve(ctx context.Context, in *QuantityParam) (*out[api.Zone], error) {
	q, err := in.curved()
	if err != nil {
		return nil, err
	}
	return s.changeZone(ctx, in.ID, in.WriteParams, "zone-curve-clear", in.Quantity, false, "zone_curve_cleared", func(z *greenhouse.Zone) error {
		delete(z.Schedule, q.Quantity)
		return nil
	})
}

// adjust offsets or holds a set-point. Both end by the wall clock, so they wait
// until it is trusted.
func (s *Server) adjust(ctx context.Context, in *struct {
	QuantityParam
	Body api.AdjustRequest
}) (*out[api.Zone], error) {
	q, err := in.curved()
	if err != nil {
		return nil, err
	}
	b := in.Body
	usual, most, value := greenhouse.HoldFor, greenhouse.LongestHold, b.Value
	if b.Offset != nil {
		usual, most, value = greenhouse.OffsetFor, greenhouse.LongestOff, b.Offset
	}
	d, err := seconds("for_s", b.ForS, int64(usual/time.Second), int64(most/time.Second))
	switch {
	case (b.Offset == nil) == (b.Value == nil):
		return nil, greenhouse.Invalid("adjustment_invalid", "give either an offset or a value")
	case err != nil:
		return nil, err
	case b.Reason == "" || len(b.Reason) > 256:
		return nil, greenhouse.Invalid("reason_missing", "an adjustment needs a reason, up to 256 bytes").WithHint("say why: --reason TEXT")
	case !s.Health.Clock().Trusted:
		return nil, greenhouse.Unavailable("clock_untrusted", "the clock is not trusted, so nobody could say when this ends: %s", s.Health.Clock().Text).WithHint("timedatectl timesync-status, or set the target instead")
	}
	if in.Reason == "" {
		in.Reason = b.Reason
	}
	by := callerOf(ctx).actor
	return s.changeZone(ctx, in.ID, in.WriteParams, "zone-adjust", []any{in.Quantity, b}, false, "zone_adjusted", func(z *greenhouse.Zone) error {
		now := greenhouse.MillisOf(s.now())
		dropEnded(z, now)
		a := greenhouse.Adjustment{Value: *value, Reason: b.Reason, By: by, CreatedAt: now, ExpiresAt: now.Add(d)}
		layer := &z.Holds
		if b.Offset != nil {
			layer = &z.Offsets
		}
		if *layer == nil {
			*layer = map[greenhouse.Quantity]greenhouse.Adjustment{}
		}
		(*layer)[q.Quantity] = a
		return nil
	})
}

func (s *Server) endAdjustment(ctx context.Context, in *QuantityParam) (*out[api.Zone], error) {
	q, err := in.curved()
	if err != nil {
		return nil, err
	}
	return s.changeZone(ctx, in.ID, in.WriteParams, "zone-adjust-end", in.Quantity, false, "zone_adjustment_ended", func(z *greenhouse.Zone) error {
		_, offset := z.Offsets[q.Quantity]
		_, hold := z.Holds[q.Quantity]
		if !offset && !hold {
			return greenhouse.NotFound("adjustment", in.ID+"/"+in.Quantity).WithHint("greenctl zone get %s shows what stands", in.ID)
		}
		delete(z.Offsets, q.Quantity)
		delete(z.Holds, q.Quantity)
		dropEnded(z, greenhouse.MillisOf(s.now()))
		return nil
	})
}

// dropEnded forgets adjustments that have ended.
func dropEnded(z *greenhouse.Zone, now greenhouse.Millis) {
	ended := func(_ greenhouse.Quantity, a greenhouse.Adjustment) bool { return a.ExpiresAt <= now }
	maps.DeleteFunc(z.Offsets, ended)
	maps.DeleteFunc(z.Holds, ended)
}
