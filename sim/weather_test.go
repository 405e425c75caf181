package sim_test

import (
	"math"
	"testing"
	"time"

	"greenhouse/sim"
)

// climate sums up a stretch of weather.
type climate struct {
	temp, swing, spread, rh, solar, wind, sky float64 // means; swing within a day, spread of the days' means
}

func summarise(w sim.Weather, from, to time.Time) climate {
	var c climate
	var days []float64
	n := 0.0
	for day := from; day.Before(to); day = day.Add(24 * time.Hour) {
		sum, lo, hi := 0.0, math.Inf(1), math.Inf(-1)
		for m := range 144 {
			o := w.At(day.Add(time.Duration(m) * 10 * time.Minute))
			sum += o.Temp
			lo, hi = math.Min(lo, o.Temp), math.Max(hi, o.Temp)
			c.rh += o.RH
			c.solar += o.Solar
			c.wind += o.Wind
			c.sky += o.Temp - o.Sky
			n++
		}
		days = append(days, sum/144)
		c.swing += hi - lo
	}
	c.swing /= float64(len(days))
	for _, d := range days {
		c.temp += d / float64(len(days))
	}
	for _, d := range days {
		c.spread += (d - c.temp) * (d - c.temp) / float64(len(days))
	}
	c.spread = math.Sqrt(c.spread)
	c.rh, c.solar, c.wind, c.sky = c.rh/n, c.solar/n, c.wind/n, c.sky/n
	return c
}

func place(t testing.TB, name string) sim.Place {
	t.Helper()
	p, err := sim.PlacePreset(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// average sums up the same stretch under several seeds.
func average(p sim.Place, from, to time.Time, seeds int) climate {
	var a climate
	for s := range seeds {
		c := summarise(sim.NewSynthetic(p, uint64(s)), from, to)
		k := float64(seeds)
		a.temp, a.swing, a.spread, a.rh = a.temp+c.temp/k, a.swing+c.swing/k, a.spread+c.spread/k, a.rh+c.rh/k
		a.solar, a.wind, a.sky = a.solar+c.solar/k, a.wind+c.wind/k, a.sky+c.sky/k
	}
	return a
}

// TestSyntheticBleiswijkResemblesTheRealOne holds the synthetic weather against
// two measured seasons. One season of one year is a sample: the bounds are as
// wide as seasons differ.
func TestSyntheticBleiswijkResemblesTheRealOne(t *testing.T) {
	for _, v := range []struct {
		file     string
		from, to time.Time
	}{
		{"agc2022_1/weather.csv", time.Date(2022, 2, 1, 0, 0, 0, 0, time.UTC), time.Date(2022, 3, 20, 0, 0, 0, 0, time.UTC)},
		{"agc2022_2/weather.csv", time.Date(2022, 5, 3, 0, 0, 0, 0, time.UTC), time.Date(2022, 6, 17, 0, 0, 0, 0, time.UTC)},
	} {
		want := summarise(readAGC(t, v.file, time.FixedZone("CET", 3600)), v.from, v.to)
		got := average(place(t, "bleiswijk"), v.from, v.to, 10)
		t.Logf("%s: real %+.2f", v.file, want)
		t.Logf("%s: made %+.2f", v.file, got)
		for _, q := range []struct {
			name           string
			got, want, tol float64
		}{
			{"mean temperature", got.temp, want.temp, 3},
			{"swing within a day", got.swing, want.swing, 2},
			{"spread of days", got.spread, want.spread, 1.2},
			{"humidity", got.rh, want.rh, 8},
			{"radiation", got.solar, want.solar, 0.25 * want.solar},
			{"wind", got.wind, want.wind, 1.8},
			{"sky below air", got.sky, want.sky, 5},
		} {
			if math.Abs(q.got-q.want) > q.tol {
				t.Errorf("%s, %s: got %.2f, want %.2f ± %.2f", v.file, q.name, q.got, q.want, q.tol)
			}
		}
	}
}

func TestPresetsDifferAsTheirPlacesDo(t *testing.T) {
	month := func(name string, m time.Month) climate {
		from := time.Date(2025, m, 1, 0, 0, 0, 0, time.UTC)
		return average(place(t, name), from, from.AddDate(0, 0, 28), 6)
	}
	for _, v := range []struct {
		place        string
		month        time.Month
		temp, lo, hi float64 // °C ± 3; radiation in W/m²
	}{
		{"bleiswijk", time.January, 3.5, 20, 45}, {"bleiswijk", time.July, 18, 180, 260},
		{"moscow", time.January, -7, 12, 35}, {"moscow", time.July, 19, 180, 260},
		{"almeria", time.January, 12, 90, 130}, {"almeria", time.July, 26, 255, 330},
		{"phoenix", time.January, 13, 100, 150}, {"phoenix", time.July, 35, 270, 340},
	} {
		got := month(v.place, v.month)
		if math.Abs(got.temp-v.temp) > 3 || got.solar < v.lo || got.solar > v.hi {
			t.Errorf("%s in %v: got %.1f °C and %.0f W/m², want %.1f ± 3 and %.0f to %.0f", v.place, v.month, got.temp, got.solar, v.temp, v.lo, v.hi)
		}
	}
	if dry, wet := month("phoenix", time.April).rh, month("bleiswijk", time.April).rh; dry > wet-25 {
		t.Errorf("humidity: got %.0f %% in Phoenix and %.0f %% in Bleiswijk, want far less in Phoenix", dry, wet)
	}
}

func TestWindIsWeibullOfShapeTwo(t *testing.T) {
	w := sim.NewSynthetic(place(t, "bleiswijk"), 3)
	from := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	n, mean, calm := 0.0, 0.0, 0.0
	for h := range 8760 {
		v := w.At(from.Add(time.Duration(h) * time.Hour)).Wind
		n, mean = n+1, mean+v
		if v < 0.5*w.Place().WindMean {
			calm++
		}
	}
	// Of a Weibull of shape 2, 1-exp(-π/16) = 17.8 % lie below half of the mean.
	if mean /= n; math.Abs(mean-5) > 0.3 || math.Abs(calm/n-0.178) > 0.05 {
		t.Errorf("wind: got mean %.2f m/s and %.3f below half of it, want 5.00 and 0.178", mean, calm/n)
	}
}

func TestSyntheticIsPureAndSeeded(t *testing.T) {
	p := place(t, "moscow")
	a, b, other := sim.NewSynthetic(p, 7), sim.NewSynthetic(p, 7), sim.NewSynthetic(p, 8)
	from, differs := time.Date(2025, 12, 8, 0, 0, 0, 0, time.UTC), false
	for m := 10000; m > 0; m -= 37 { // backwards: nothing may depend on the order
		at := from.Add(time.Duration(m) * time.Minute)
		if got, want := a.At(at), b.At(at); got != want {
			t.Fatalf("at %v: got %+v, want %+v", at, got, want)
		}
		differs = differs || a.At(at) != other.At(at)
		if o := a.At(at); !(o.RH > 0 && o.RH <= 100 && o.Solar >= 0 && o.Wind >= 0 && o.WindDir >= 0 && o.WindDir < 360 && o.Rain >= 0 && o.Sky < o.Temp) {
			t.Fatalf("at %v: implausible weather %+v", at, o)
		}
	}
	if !differs {
		t.Error("two seeds gave the same weather")
	}
}

// TestWeatherMovesSmoothly looks for jumps at midnight and at the seams of the
// random processes.
func TestWeatherMovesSmoothly(t *testing.T) {
	w := sim.NewSynthetic(place(t, "bleiswijk"), 11)
	at := time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC)
	before := w.At(at)
	for range 60 * 24 * 10 {
		at = at.Add(time.Minute)
		o := w.At(at)
		if math.Abs(o.Temp-before.Temp) > 0.3 || math.Abs(o.Sky-before.Sky) > 12 || math.Abs(o.RH-before.RH) > 12 {
			t.Errorf("at %v: went from %+.2f to %+.2f within a minute", at, before, o)
		}
		before = o
	}
}

func TestSunHeight(t *testing.T) {
	for _, v := range []struct {
		at       string
		lat, lon float64
		want     float64 // sine of the height
		tol      float64
	}{
		{"2022-02-01T08:21:00+01:00", 52.03, 4.53, math.Sin(-0.833 * math.Pi / 180), 0.008}, // sunrise at Bleiswijk
		{"2022-06-21T22:05:00+02:00", 52.03, 4.53, math.Sin(-0.833 * math.Pi / 180), 0.008}, // sunset
		{"2025-12-08T08:45:00+03:00", 55.75, 37.62, math.Sin(-0.833 * math.Pi / 180), 0.008},
		{"2025-03-20T12:07:00Z", 0, 0, 1, 0.001}, // equinox on the equator
	} {
		at, err := time.Parse(time.RFC3339, v.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := sim.SunHeight(at, v.lat, v.lon); math.Abs(got-v.want) > v.tol {
			t.Errorf("%s at %g, %g: got %.4f, want %.4f", v.at, v.lat, v.lon, got, v.want)
		}
	}
}

func BenchmarkSyntheticWeather(b *testing.B) {
	w := sim.NewSynthetic(place(b, "bleiswijk"), 1)
	at := time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC)
	for b.Loop() {
		at = at.Add(10 * time.Second)
		w.At(at)
	}
}
