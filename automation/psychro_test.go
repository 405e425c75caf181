package automation_test

import (
	"math"
	"testing"
	"time"
	_ "time/tzdata"

	"greenhouse/automation"
)

func TestPsychrometricVectors(t *testing.T) {
	for _, c := range []struct{ t, rh, es, vpd, td, ah, hd float64 }{
		{20, 80, 2.3383, 0.468, 16.45, 13.83, 3.46},
		{18, 95, 2.0640, 0.103, 17.19, 14.59, 0.77},
		{25, 60, 3.1678, 1.267, 16.70, 13.81, 9.21},
		{30, 40, 4.2431, 2.546, 14.93, 12.13, 18.20},
		{10, 100, 1.2280, 0, 10.00, 9.40, 0},
		{2, 90, 0.7056, 0.071, 0.54, 5.00, 0.56},
	} {
		for _, v := range []struct {
			name           string
			got, want, tol float64
		}{
			{"es", automation.SaturationPressure(c.t), c.es, 6e-5}, {"VPD", automation.VPD(c.t, c.rh), c.vpd, 6e-4}, {"Td", automation.DewPoint(c.t, c.rh), c.td, 6e-3},
			{"AH", automation.AbsoluteHumidity(c.t, c.rh), c.ah, 6e-3}, {"HD", automation.HumidityDeficit(c.t, c.rh), c.hd, 6e-3},
		} {
			if math.Abs(v.got-v.want) > v.tol {
				t.Errorf("%s at %g °C and %g %%: got %.4f, want %.4f", v.name, c.t, c.rh, v.got, v.want)
			}
		}
	}
}

func TestSunTimes(t *testing.T) {
	for _, c := range []struct {
		zone, day, rise, set string
		lat, lon             float64
	}{
		{"Europe/Amsterdam", "2022-02-01", "08:21", "17:29", 52.03, 4.53},
		{"Europe/Amsterdam", "2022-06-21", "05:21", "22:05", 52.03, 4.53},
		{"Europe/Moscow", "2025-12-08", "08:45", "15:57", 55.75, 37.62},
	} {
		loc, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		day, _ := time.ParseInLocation("2006-01-02", c.day, loc)
		rise, set, ok := automation.SunTimes(day, c.lat, c.lon)
		for _, v := range []struct {
			got  time.Time
			want string
		}{{rise, c.rise}, {set, c.set}} {
			want, _ := time.ParseInLocation("2006-01-02 15:04", c.day+" "+v.want, loc)
			if !ok || v.got.Sub(want).Abs() > 90*time.Second {
				t.Errorf("%s %s: got %v, want %v", c.zone, c.day, v.got, want)
			}
		}
	}
	if rise, set, ok := automation.SunTimes(time.Date(2025, 12, 22, 0, 0, 0, 0, time.UTC), 68.97, 33.08); ok {
		t.Errorf("the sun rises over Murmansk in December: %v to %v", rise, set)
	}
}
