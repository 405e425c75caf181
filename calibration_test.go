package greenhouse_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"greenhouse"
)

func near(a, b, by float64) bool { return math.Abs(a-b) <= by }

func TestCalibrate(t *testing.T) {
	type points = []greenhouse.CalPoint
	for _, tt := range []struct {
		name         string
		channel      greenhouse.ChannelName
		points       points
		method       greenhouse.CalMethod
		gain, offset float64
		code         string
	}{
		{"thermometer in ice water", "air_temp", points{{0.4, 0}}, greenhouse.CalOffset, 1, -0.4, ""},
		{"two buffers, a probe that says pH", "solution_ph", points{{7.12, 7}, {4.25, 4.01}}, greenhouse.CalTwoPoint, 1.0418, -0.4179, ""},
		{"three buffers", "solution_ph", points{{7.1, 7}, {4.2, 4.01}, {10.05, 10}}, greenhouse.CalThreePoint, 1.0238, -0.2831, ""},
		{"two buffers, a probe that says mV", "solution_ph", points{{-5, 7}, {165, 4.01}}, greenhouse.CalTwoPoint, -0.017588, 6.9121, ""},
		{"a worn electrode", "solution_ph", points{{0, 7}, {140, 4}}, "", 0, 0, "cal_slope"},
		{"a slope no electrode has", "solution_ph", points{{7, 7}, {3.7, 4}}, "", 0, 0, "cal_slope"},
		{"one far off at pH 7", "solution_ph", points{{-40, 7}, {132, 4}}, "", 0, 0, "cal_offset"},
		{"one buffer for a voltage", "solution_ph", points{{-40, 7}}, "", 0, 0, "cal_points_missing"},
		{"one buffer for a pH", "solution_ph", points{{7.2, 7}}, greenhouse.CalOffset, 1, -0.2, ""},
		{"one buffer, too far", "solution_ph", points{{7.8, 7}}, "", 0, 0, "cal_offset"},
		{"the same buffer twice", "solution_ph", points{{7, 7}, {7.1, 7.1}}, "", 0, 0, "cal_points_close"},
		{"a probe in the air", "solution_ph", points{{5, 7}, {5, 4}}, "", 0, 0, "cal_raw_same"},
		{"a spent buffer", "solution_ph", points{{7, 7}, {4, 4}, {9.5, 10}}, "", 0, 0, "cal_not_straight"},
		{"no such buffer", "solution_ph", points{{7, 7}, {14, 14}}, "", 0, 0, "cal_reference_invalid"},
		{"conductivity", "solution_ec", points{{1.3, 1.413}, {12, 12.88}}, "", 0, 0, "cal_reference_invalid"},
		{"conductivity in range", "solution_ec", points{{1.3, 1.413}, {4.9, 5}}, greenhouse.CalTwoPoint, 0.99639, 0.11769, ""},
		{"a hygrometer that is broken", "air_rh", points{{10, 33}, {20, 75}}, "", 0, 0, "cal_gain_insane"},
		{"a thermometer that is broken", "air_temp", points{{60, 0}}, "", 0, 0, "cal_offset_insane"},
		{"nothing", "air_temp", nil, "", 0, 0, "cal_points_missing"},
		{"no number", "air_temp", points{{math.NaN(), 0}}, "", 0, 0, "cal_point_invalid"},
		{"another channel in its own unit", "ph_b", points{{100, 0}, {300, 1}}, greenhouse.CalTwoPoint, 0.005, -0.5, ""},
	} {
		c, err := greenhouse.Calibrate(tt.channel, tt.points)
		var e *greenhouse.Error
		switch {
		case tt.code != "":
			if !errors.As(err, &e) || e.Code != tt.code {
				t.Errorf("%s: got %v (%+v), want %s", tt.name, err, c, tt.code)
			}
		case err != nil:
			t.Errorf("%s: got %v", tt.name, err)
		case c.Method != tt.method || !near(c.Linear.Gain, tt.gain, 1e-3*math.Abs(tt.gain)) || !near(c.Linear.Offset, tt.offset, 1e-2):
			t.Errorf("%s: got %+v, want gain %g, offset %g by %s", tt.name, c, tt.gain, tt.offset, tt.method)
		}
	}
	ideal, err := greenhouse.Calibrate("solution_ph", points59())
	if err != nil || !near(ideal.Slope, 1, 1e-9) || !near(ideal.OffsetMV, 10, 1e-6) || !ideal.RawMV {
		t.Errorf("an ideal electrode 10 mV off: got %+v, %v", ideal, err)
	}
}

// points59 are two buffers as an ideal electrode with an offset of 10 mV sees them.
func points59() []greenhouse.CalPoint {
	return []greenhouse.CalPoint{{Raw: 10, Ref: 7}, {Raw: 10 + 3*59.16, Ref: 4}}
}

// TestCalibrationLaws: whatever line a healthy sensor lies on is found, raw and
// value are each other's inverse, and compensation at the reference changes nothing.
func TestCalibrationLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := greenhouse.Linear{Gain: rapid.Float64Range(0.6, 1.8).Draw(t, "gain"), Offset: rapid.Float64Range(-5, 5).Draw(t, "offset")}
		var points []greenhouse.CalPoint
		for i := range rapid.IntRange(2, 6).Draw(t, "points") {
			ref := 5 + 10*float64(i)
			if ref > 45 {
				break
			}
			points = append(points, greenhouse.CalPoint{Raw: want.Raw(ref), Ref: ref})
		}
		got, err := greenhouse.Calibrate("air_temp", points)
		if err != nil || !near(got.Linear.Gain, want.Gain, 1e-9) || !near(got.Linear.Offset, want.Offset, 1e-7) || got.Residual > 1e-7 {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
		v := rapid.Float64Range(-30, 60).Draw(t, "value")
		if back := want.Apply(want.Raw(v)); !near(back, v, 1e-9) {
			t.Fatalf("raw and value: got %v, want %v", back, v)
		}
		comp := greenhouse.Compensation{PerK: rapid.Float64Range(-0.02, 0.03).Draw(t, "per_k"), RefC: 25}
		if got := comp.Apply(v, 25); got != v {
			t.Fatalf("compensated at the reference: got %v, want %v", got, v)
		}
		warm := rapid.Float64Range(5, 40).Draw(t, "t")
		if got := comp.Apply(v*(1+comp.PerK*(warm-25)), warm); !near(got, v, 1e-9) {
			t.Fatalf("compensated at %v °C: got %v, want %v", warm, got, v)
		}
	})
}
