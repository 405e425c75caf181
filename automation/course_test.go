package automation_test

import (
	"math"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/automation"
)

// bleiswijk is a zone near Rotterdam with the place it stands at.
func bleiswijk(t *testing.T) (*greenhouse.Zone, *greenhouse.Site, *time.Location) {
	t.Helper()
	loc, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	return &greenhouse.Zone{ID: "north", Targets: map[greenhouse.Quantity]greenhouse.Target{}, Schedule: map[greenhouse.Quantity]greenhouse.Curve{}},
		&greenhouse.Site{Latitude: 52.03, Longitude: 4.53, TimeZone: "Europe/Amsterdam"}, loc
}

// levelAt returns a set-point of a plan at a clock time.
func levelAt(t *testing.T, p automation.Plan, q greenhouse.Quantity, clock string) float64 {
	t.Helper()
	at, err := time.Parse("15:04", clock)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Courses {
		if c.Quantity == q {
			y, m, d := p.From.Date()
			return c.Levels[int(time.Date(y, m, d, at.Hour(), at.Minute(), 0, 0, p.From.Location()).Sub(p.From)/automation.CourseStep)]
		}
	}
	return math.NaN()
}

func TestCurveOverTheDay(t *testing.T) {
	z, site, loc := bleiswijk(t)
	z.Schedule[greenhouse.Heating] = greenhouse.Curve{{At: "06:00", Value: 20}, {At: "12:00", Value: 21, Ramp: 0.5}, {At: "18:00", Value: 14, Ramp: 10}, {At: "21:00", Value: 17}}
	p := automation.PlanDay(z, site, loc, time.Date(2026, 2, 1, 12, 0, 0, 0, loc))
	for clock, want := range map[string]float64{
		"00:00": 17, "06:00": 17, "07:00": 18.5, "08:00": 20, "12:00": 20, "13:00": 20.5, "14:00": 21, "18:00": 21, "18:30": 16, "18:45": 14, "21:00": 14, "22:00": 15.5, "23:00": 17,
	} {
		if got := levelAt(t, p, greenhouse.Heating, clock); math.Abs(got-want) > 0.05 {
			t.Errorf("%s: got %.2f, want %.2f", clock, got, want)
		}
	}
	if got := levelAt(t, p, greenhouse.Venting, "13:00"); math.Abs(got-23.5) > 0.05 {
		t.Errorf("venting without a target: got %.2f, want the dead zone of 3 K above heating", got)
	}
	c := p.Courses[0]
	if len(c.Steps) != 4 || c.Steps[2].To != 14 || c.Steps[2].Ramp != 10 || c.Steps[3].Ramp != 1.5 {
		t.Errorf("steps %+v", c.Steps)
	}
	if c.Mean < c.NightMean || c.Mean > c.DayMean {
		t.Errorf("means: %.2f by day, %.2f by night, %.2f in all", c.DayMean, c.NightMean, c.Mean)
	}
}

// TestSunMovesKnots: in winter the sun sets before 16:30, in summer long after;
// the order of the list is kept, so the night never begins with the afternoon's
// level.
func TestSunMovesKnots(t *testing.T) {
	z, site, loc := bleiswijk(t)
	z.Schedule[greenhouse.Heating] = greenhouse.Curve{{At: "sunrise", Value: 20, Ramp: 100}, {At: "16:30", Value: 21, Ramp: 100}, {At: "sunset", Value: 16, Ramp: 100}}
	for _, c := range []struct {
		month           time.Month
		clock           string
		want, afternoon float64
	}{{time.December, "17:00", 16, 20}, {time.June, "17:00", 21, 20}, {time.June, "23:00", 16, 20}, {time.December, "23:00", 16, 20}} {
		p := automation.PlanDay(z, site, loc, time.Date(2026, c.month, 21, 12, 0, 0, 0, loc))
		if got := levelAt(t, p, greenhouse.Heating, c.clock); got != c.want {
			t.Errorf("%s at %s: got %v, want %v", c.month, c.clock, got, c.want)
		}
		if got := levelAt(t, p, greenhouse.Heating, "16:00"); got != c.afternoon {
			t.Errorf("%s at 16:00: got %v, want %v", c.month, got, c.afternoon)
		}
		if got := levelAt(t, p, greenhouse.Heating, "02:00"); got != 16 {
			t.Errorf("%s at 02:00: got %v, want the night's", c.month, got)
		}
	}
}

// TestCurveWhenClocksChange: on the days of 23 and 25 hours each knot counts once.
func TestCurveWhenClocksChange(t *testing.T) {
	z, site, loc := bleiswijk(t)
	z.Schedule[greenhouse.Heating] = greenhouse.Curve{{At: "02:30", Value: 20, Ramp: 100}, {At: "12:00", Value: 16, Ramp: 100}}
	for _, day := range []time.Time{time.Date(2026, 3, 29, 12, 0, 0, 0, loc), time.Date(2026, 10, 25, 12, 0, 0, 0, loc)} {
		p := automation.PlanDay(z, site, loc, day)
		changes, was := 0, p.Courses[0].Levels[0]
		for _, v := range p.Courses[0].Levels {
			if v != was {
				changes, was = changes+1, v
			}
		}
		if changes != 2 || len(p.Courses[0].Steps) != 2 {
			t.Errorf("%s: %d changes and %d steps, want 2 of each", day.Format("2 January"), changes, len(p.Courses[0].Steps))
		}
	}
}

// edit changes the zone as the registry does: by another record.
func edit(h *house, fn func(*greenhouse.Zone)) {
	z := *h.zone
	fn(&z)
	h.zone = &z
}

func TestPrecedenceOfSetPoints(t *testing.T) {
	start := noon()
	at := func(d time.Duration) greenhouse.Millis { return greenhouse.MillisOf(start.Add(d)) }
	h := newHouse(t, start, "air_temp", "heater")
	h.set("air_temp", 17)
	point := func(q greenhouse.Quantity) automation.SetPointNow {
		h.step()
		for _, p := range h.last.SetPoints {
			if p.Quantity == q {
				return p
			}
		}
		t.Fatalf("no set-point of %s", q)
		return automation.SetPointNow{}
	}
	expect := func(what string, layer automation.Layer, value float64) {
		t.Helper()
		if p := point(greenhouse.Heating); p.Layer != layer || math.Abs(p.Value-value) > 1e-9 {
			t.Errorf("%s: got %.2f of %q, want %.2f of %q", what, p.Value, p.Layer, value, layer)
		}
	}
	if p := point(greenhouse.Heating); p.Layer != automation.LayerNone || !math.IsNaN(p.Value) {
		t.Errorf("nobody asked: got %+v", p)
	}
	h.target(greenhouse.Heating, 18, 18)
	expect("a target", automation.LayerTarget, 18)
	edit(h, func(z *greenhouse.Zone) {
		z.Schedule = map[greenhouse.Quantity]greenhouse.Curve{greenhouse.Heating: {{At: "00:00", Value: 19}}}
	})
	expect("a curve", automation.LayerSchedule, 19)
	edit(h, func(z *greenhouse.Zone) {
		z.Offsets = map[greenhouse.Quantity]greenhouse.Adjustment{greenhouse.Heating: {Value: -2, By: "anna", CreatedAt: at(0), ExpiresAt: at(3 * time.Hour)}}
	})
	expect("an offset", automation.LayerOffset, 17)
	edit(h, func(z *greenhouse.Zone) {
		z.Holds = map[greenhouse.Quantity]greenhouse.Adjustment{greenhouse.Heating: {Value: 22, By: "ben", CreatedAt: at(0), ExpiresAt: at(time.Hour)}}
	})
	expect("a hold", automation.LayerHold, 22)
	if p := point(greenhouse.Venting); p.Value != 25 || p.Layer != automation.LayerDefault {
		t.Errorf("venting follows heating: got %+v", p)
	}
	h.run(61*time.Minute, nil)
	expect("the hold has ended", automation.LayerOffset, 17)
	h.run(2*time.Hour, nil)
	expect("the offset has ended", automation.LayerSchedule, 19)
	edit(h, func(z *greenhouse.Zone) {
		z.Holds[greenhouse.Heating] = greenhouse.Adjustment{Value: 45, By: "ben", CreatedAt: at(0), ExpiresAt: at(20 * time.Hour)}
	})
	expect("beyond the heat limit", automation.LayerSafety, 33)
	h.in.Trusted = false
	expect("without a trusted clock", automation.LayerSchedule, 18) // the highest of the curve, less one
}

func TestVentingStaysAboveHeating(t *testing.T) {
	z, site, loc := bleiswijk(t)
	z.Targets[greenhouse.Venting] = greenhouse.Target{Day: 24, Night: 20}
	z.Schedule[greenhouse.Heating] = greenhouse.Curve{{At: "sunrise", Value: 20}, {At: "sunset+3:00", Value: 17}}
	if err := automation.CheckCurves(z, site, loc, 2026); err == nil {
		t.Error("venting falls to 20 °C at sunset while heating stays at 20 °C: want it refused")
	}
	z.Schedule[greenhouse.Venting] = greenhouse.Curve{{At: "sunrise", Value: 24}, {At: "sunset+3:00", Value: 20}}
	if err := automation.CheckCurves(z, site, loc, 2026); err != nil {
		t.Error(err)
	}
	delete(z.Schedule, greenhouse.Venting)
	p := automation.PlanDay(z, site, loc, time.Date(2026, 6, 21, 12, 0, 0, 0, loc))
	for i, heat := range p.Courses[0].Levels {
		if vent := p.Courses[1].Levels[i]; vent < heat+1 {
			t.Fatalf("step %d: vents open above %.1f °C and heat below %.1f °C", i, vent, heat)
		}
	}
}
