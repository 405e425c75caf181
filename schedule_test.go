package greenhouse_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
)

func TestDayEdge(t *testing.T) {
	for in, want := range map[greenhouse.DayEdge]greenhouse.Edge{
		"06:30": {Offset: 6*time.Hour + 30*time.Minute}, "00:00": {}, "sunrise": {Sun: "sunrise"},
		"sunrise-0:30": {Sun: "sunrise", Offset: -30 * time.Minute}, "sunset+11:59": {Sun: "sunset", Offset: 12*time.Hour - time.Minute},
	} {
		if got, err := in.Parse(); err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", in, got, err, want)
		}
	}
	for _, bad := range []greenhouse.DayEdge{"", "24:00", "6:30", "06:60", "noon", "sunrise+12:00", "sunset-1", "sunset -1:00", "06:30 "} {
		if got, err := bad.Parse(); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("%q: got %+v, %v, want it refused", bad, got, err)
		}
	}
}

func TestCurveCheck(t *testing.T) {
	good := greenhouse.Curve{{At: "sunrise-1:00", Value: 20, Ramp: 1}, {At: "12:00", Value: 21}, {At: "14:00", Value: 21}, {At: "sunset", Value: 16}}
	if err := good.Check(greenhouse.Heating); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		q     greenhouse.Quantity
		curve greenhouse.Curve
	}{
		"empty":          {greenhouse.Heating, nil},
		"too many":       {greenhouse.Heating, make(greenhouse.Curve, greenhouse.MaxKnots+1)},
		"not curved":     {greenhouse.DLI, good},
		"no quantity":    {"warmth", good},
		"out of range":   {greenhouse.Heating, greenhouse.Curve{{At: "06:00", Value: 46}}},
		"no number":      {greenhouse.Heating, greenhouse.Curve{{At: "06:00", Value: math.NaN()}}},
		"ramp":           {greenhouse.Heating, greenhouse.Curve{{At: "06:00", Value: 20, Ramp: -1}}},
		"ramp no number": {greenhouse.Heating, greenhouse.Curve{{At: "06:00", Value: 20, Ramp: math.NaN()}}},
		"no time":        {greenhouse.Heating, greenhouse.Curve{{At: "dawn", Value: 20}}},
		"order":          {greenhouse.Heating, greenhouse.Curve{{At: "14:00", Value: 20}, {At: "sunset", Value: 18}, {At: "06:00", Value: 19}}},
	} {
		if err := c.curve.Check(c.q); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
}

func TestKnotsAndShapes(t *testing.T) {
	for _, s := range []string{"06:30=18", "sunrise-0:30=20@1.5", "sunset+2:00=15.25@10"} {
		if k, err := greenhouse.ParseKnot(s); err != nil || k.String() != s {
			t.Errorf("%q: got %v, %v", s, k, err)
		}
	}
	for _, bad := range []string{"", "06:30", "=18", "06:30=", "06:30=warm", "25:00=18", "06:30=18@", "06:30=18@fast"} {
		if k, err := greenhouse.ParseKnot(bad); err == nil {
			t.Errorf("%q: got %v, want it refused", bad, k)
		}
	}
	got, err := greenhouse.ShapePreNightDrop.Curve(20, 17, 14, 150*time.Minute)
	want := greenhouse.Curve{{At: "sunrise", Value: 20}, {At: "sunset", Value: 14, Ramp: 10}, {At: "sunset+2:30", Value: 17}}
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v %s", err, cmp.Diff(want, got))
	}
	for _, s := range []greenhouse.Shape{greenhouse.ShapeDayNight, greenhouse.ShapePreNightDrop, greenhouse.ShapeMorningDrop} {
		c, err := s.Curve(20, 17, 14, 2*time.Hour)
		if err == nil {
			err = c.Check(greenhouse.Heating)
		}
		if err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	if _, err := greenhouse.ShapeMorningDrop.Curve(20, 17, 14, 9*time.Hour); err == nil {
		t.Error("a drop of nine hours: want it refused")
	}
	if _, err := greenhouse.Shape("siesta").Curve(20, 17, 14, 2*time.Hour); err == nil {
		t.Error("an unknown shape: want it refused")
	}
}

func FuzzParseKnot(f *testing.F) {
	for _, s := range []string{"06:30=18", "sunrise-0:30=20@1.5", "sunset=@", "="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := greenhouse.ParseKnot(s)
		if err != nil || math.IsNaN(k.Value) || k.Ramp < 0 || math.IsNaN(k.Ramp) {
			return
		}
		if again, err := greenhouse.ParseKnot(k.String()); err != nil || again != k {
			t.Errorf("%q: %v became %v, %v", s, k, again, err)
		}
	})
}
