package sim_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/sim"
)

// checkYear holds a typical year against what is known of the place, and its
// hours against the sun: light at night would show a wrong time zone.
func checkYear(t *testing.T, w sim.Series, lat, lon, temp, solar float64) {
	t.Helper()
	from, to := w.Span()
	c := summarise(w, from.Truncate(24*time.Hour).Add(24*time.Hour), to.Truncate(24*time.Hour))
	t.Logf("%v to %v: %+.2f", from, to, c)
	if to.Sub(from) < 364*24*time.Hour || math.Abs(c.temp-temp) > 1.5 || math.Abs(c.solar-solar) > 15 {
		t.Errorf("year: got %v, %.1f °C and %.0f W/m², want a year, %.1f and %.0f", to.Sub(from), c.temp, c.solar, temp, solar)
	}
	dark, light := 0.0, 0.0
	for at := from; at.Before(to); at = at.Add(time.Hour) {
		if sim.SunHeight(at, lat, lon) < -0.15 {
			dark = math.Max(dark, w.At(at).Solar)
		} else {
			light = math.Max(light, w.At(at).Solar)
		}
	}
	if dark > 5 || light < 800 {
		t.Errorf("radiation: got at most %.0f W/m² at night and %.0f by day, want none and more than 800", dark, light)
	}
}

func TestReadTMY3(t *testing.T) {
	w, err := sim.ReadTMY3(dataFile(t, "weather/723170TYA.CSV"), 2025)
	if err != nil {
		t.Fatal(err)
	}
	checkYear(t, w, 36.1, -79.95, 14.6, 179)
}

func TestReadEPW(t *testing.T) {
	w, err := sim.ReadEPW(dataFile(t, "weather/tmy_45.000_8.000_2005_2023.epw"), 2025)
	if err != nil {
		t.Fatal(err)
	}
	checkYear(t, w, 45, 8, 13.8, 170)
}

func TestReadAGC(t *testing.T) {
	loc := time.FixedZone("CET", 3600)
	w := readAGC(t, "agc2022_1/weather.csv", loc)
	got := w.At(time.Date(2022, 2, 1, 0, 4, 0, 0, loc))
	want := sim.Outside{Temp: 4.9, RH: 77.4, Solar: 0, Wind: 4.4, WindDir: 0, Rain: 0, CO2: 420}
	if got.Sky > -9 || got.Sky < -14 {
		t.Errorf("sky: got %.1f °C, want about -11: the pyrgeometer says -76 W/m²", got.Sky)
	}
	got.Sky = 0
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("second row (-want +got):\n%s", d)
	}
}

func TestReadersRefuseWhatTheyDoNotKnow(t *testing.T) {
	for _, in := range []string{"", "a,b\n1,2\n", "Date,Tout,Rhout,Iglob,Windsp,Winddir,Rain,Pyrgeo\nyesterday,1,2,3,4,5,6,7\n", "LOCATION,x\n", "\"", strings.Repeat("1,2\n", 20)} {
		_, agc := sim.ReadAGC(strings.NewReader(in), time.UTC)
		_, tmy := sim.ReadTMY3(strings.NewReader(in), 2025)
		_, epw := sim.ReadEPW(strings.NewReader(in), 2025)
		for name, err := range map[string]error{"AGC": agc, "TMY3": tmy, "EPW": epw} {
			if !errors.Is(err, greenhouse.ErrInvalid) {
				t.Errorf("%s of %.20q: got error %v, want one that is invalid", name, in, err)
			}
		}
	}
}

func TestSeriesInterpolates(t *testing.T) {
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	s, err := sim.NewSeries([]sim.Record{
		{At: at.Add(10 * time.Minute), Outside: sim.Outside{Temp: 20, WindDir: 350, Wind: 4}},
		{At: at, Outside: sim.Outside{Temp: 10, WindDir: 10}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		min  float64
		want sim.Outside
	}{
		{-5, sim.Outside{Temp: 10, WindDir: 10}},
		{0, sim.Outside{Temp: 10, WindDir: 10}},
		{2.5, sim.Outside{Temp: 12.5, WindDir: 10, Wind: 1}},
		{7.5, sim.Outside{Temp: 17.5, WindDir: 350, Wind: 3}},
		{99, sim.Outside{Temp: 20, WindDir: 350, Wind: 4}},
	} {
		got := s.At(at.Add(time.Duration(v.min * float64(time.Minute))))
		if d := cmp.Diff(v.want, got); d != "" {
			t.Errorf("at %g min (-want +got):\n%s", v.min, d)
		}
	}
	if _, err := sim.NewSeries(nil); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("empty series: got %v, want an invalid one refused", err)
	}
}

func TestTabulateKeepsTheWeather(t *testing.T) {
	w := sim.NewSynthetic(place(t, "phoenix"), 5)
	from := time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC)
	s := sim.Tabulate(w, from, from.Add(24*time.Hour), time.Minute)
	for m := range 24 * 60 {
		at := from.Add(time.Duration(m) * time.Minute)
		if got, want := s.At(at), w.At(at); got != want {
			t.Fatalf("at %v: got %+v, want %+v", at, got, want)
		}
	}
}
