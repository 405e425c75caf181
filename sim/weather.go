package sim

import (
	"math"
	"time"

	"greenhouse"
)

// Weather says what it is like outside. Implementations are pure: they may be
// asked for any instant, in any order, from any goroutine.
type Weather interface {
	At(t time.Time) Outside
}

var (
	_ Weather = Synthetic{}
	_ Weather = Series{}
)

// Place is where a synthetic weather happens, and its climate.
type Place struct {
	Name      string
	Latitude  float64 // degrees, north positive
	Longitude float64 // degrees, east positive
	TimeZone  string  // IANA name

	TempMean   float64 // °C, of the year
	TempSwing  float64 // K, half the difference of the warmest and coldest season
	WarmestDay float64 // day of the year
	Diurnal    float64 // factor on the daily swing; near the sea it is small
	TempSpread float64 // K, standard deviation from day to day
	Dryness    float64 // K by which the dew point lies below the lowest temperature
	WindMean   float64 // m/s
	Clear      float64 // share of clear days
	Mixed      float64 // share of days with passing clouds; the rest is overcast
}

// PlacePreset returns the climate of that name: bleiswijk, moscow, murmansk,
// almeria or phoenix.
func PlacePreset(name string) (Place, error) {
	switch name {
	case "bleiswijk":
		return Place{Name: name, Latitude: 52.03, Longitude: 4.53, TimeZone: "Europe/Amsterdam",
			TempMean: 10.8, TempSwing: 7.4, WarmestDay: 205, Diurnal: 0.65, TempSpread: 2.5, Dryness: 0.5, WindMean: 5, Clear: 0.3, Mixed: 0.5}, nil
	case "moscow":
		return Place{Name: name, Latitude: 55.75, Longitude: 37.62, TimeZone: "Europe/Moscow",
			TempMean: 6.3, TempSwing: 13.5, WarmestDay: 199, Diurnal: 0.75, TempSpread: 4, Dryness: 1, WindMean: 3.2, Clear: 0.28, Mixed: 0.42}, nil
	case "murmansk":
		return Place{Name: name, Latitude: 68.97, Longitude: 33.08, TimeZone: "Europe/Moscow",
			TempMean: 1, TempSwing: 11.5, WarmestDay: 200, Diurnal: 0.5, TempSpread: 4, Dryness: 1, WindMean: 4.8, Clear: 0.15, Mixed: 0.4}, nil
	case "almeria":
		return Place{Name: name, Latitude: 36.84, Longitude: -2.46, TimeZone: "Europe/Madrid",
			TempMean: 19.1, TempSwing: 6.8, WarmestDay: 215, Diurnal: 0.65, TempSpread: 2, Dryness: 3, WindMean: 4.2, Clear: 0.66, Mixed: 0.28}, nil
	case "phoenix":
		return Place{Name: name, Latitude: 33.45, Longitude: -112.07, TimeZone: "America/Phoenix",
			TempMean: 24, TempSwing: 11.5, WarmestDay: 202, Diurnal: 1.05, TempSpread: 2.5, Dryness: 11, WindMean: 2.8, Clear: 0.78, Mixed: 0.18}, nil
	}
	return Place{}, greenhouse.Invalid("place_invalid", "weather preset %q is unknown: it is bleiswijk, moscow, murmansk, almeria or phoenix", name)
}

// Synthetic is weather made from a place and a seed: every instant follows from
// them alone. Clear-sky radiation is Haurwitz (1945); days are clear, mixed or
// overcast by a Markov chain; temperature is annual and daily course with AR(1)
// disturbances; the sky follows Berdahl and Martin (1984).
type Synthetic struct {
	place Place
	day   stream // kind of the day
	haze  stream // clearness of the day
	cloud stream // passing clouds
	heat  stream // temperature from day to day
	dew   stream
	gust  stream
	turn  stream
	wet   stream
}

// NewSynthetic returns the weather of a place under a seed.
func NewSynthetic(p Place, seed uint64) Synthetic {
	s := func(purpose string) stream { return newStream(seed, "weather", p.Name, purpose) }
	return Synthetic{p, s("day"), s("haze"), s("cloud"), s("heat"), s("dew"), s("gust"), s("turn"), s("wet")}
}

// Place returns where it is.
func (w Synthetic) Place() Place { return w.place }

// At returns the weather at t.
func (w Synthetic) At(t time.Time) Outside {
	sun := SunHeight(t, w.place.Latitude, w.place.Longitude)
	// Solar days: noon in the middle, whatever the time zone.
	solar := float64(t.UnixMilli())/86400e3 + w.place.Longitude/360
	day := int64(math.Floor(solar))
	hour := 24 * (solar - math.Floor(solar))
	c := w.course(day, hour)
	// The peak is two and a half hours after noon. The small term stands for
	// what the chain of days does not explain.
	temp := c.mean + c.amplitude*math.Cos(2*math.Pi*(hour-14.5)/24) + 0.3*between(w.heat, t, 20*60)
	dew := math.Min(temp, c.dew)
	cloud := 1 - clamp((c.clearness-0.25)/0.65, 0, 1)
	return Outside{
		Temp:    temp,
		RH:      math.Min(100, 100*saturation(dew)/saturation(temp)),
		Solar:   w.clearness(day, t) * haurwitz(sun),
		Wind:    w.wind(t),
		WindDir: w.direction(t),
		Rain:    w.rain(day, t),
		Sky:     skyTemperature(temp, dew, cloud),
		CO2:     420,
	}
}

// skyKind is the kind of a day.
type skyKind uint8

const (
	clearDay skyKind = iota
	mixedDay
	overcastDay
)

// kindOf walks back to the last day that drew a new kind: a day repeats the one
// before it with probability 0.6 (more often, where one kind prevails).
func (w Synthetic) kindOf(day int64) skyKind {
	const stay = 0.5
	for w.day.uniform(2*day) < stay {
		day--
	}
	switch u := w.day.uniform(2*day + 1); {
	case u < w.place.Clear:
		return clearDay
	case u < w.place.Clear+w.place.Mixed:
		return mixedDay
	}
	return overcastDay
}

// meanClearness is the share of the clear-sky radiation that a whole day gets.
func (w Synthetic) meanClearness(day int64) float64 {
	n := w.haze.normal(day)
	switch w.kindOf(day) {
	case clearDay:
		return clamp(0.9+0.05*n, 0.75, 1)
	case mixedDay:
		return clamp(0.6+0.1*n, 0.3, 0.9)
	}
	return clamp(0.25+0.08*n, 0.07, 0.45)
}

// clearness is the share at an instant: on mixed days clouds come and go, 10
// minutes each in the mean.
func (w Synthetic) clearness(day int64, t time.Time) float64 {
	k := w.meanClearness(day)
	if w.kindOf(day) != mixedDay {
		return k
	}
	const bright, dull, stay = 1.0, 0.25, 0.8 // stays out a minute with this chance before a new draw
	minute := t.Unix() / 60
	for w.cloud.uniform(2*minute) < stay {
		minute--
	}
	if w.cloud.uniform(2*minute+1) < (k-dull)/(bright-dull) {
		return bright
	}
	return dull
}

// course is what the days around an instant make of its temperature and sky.
type course struct {
	mean, amplitude float64 // °C and K, of the daily course
	dew             float64 // °C
	clearness       float64
}

// course blends the two days whose noons lie around an hour of a solar day, so
// that nothing jumps at midnight.
func (w Synthetic) course(day int64, hour float64) course {
	before, share := day, (hour-12)/24
	if hour < 12 {
		before, share = day-1, (hour+12)/24
	}
	a, b := w.ofDay(before), w.ofDay(before+1)
	mid := func(x, y float64) float64 { return x + (y-x)*share }
	return course{mid(a.mean, b.mean), mid(a.amplitude, b.amplitude), mid(a.dew, b.dew), mid(a.clearness, b.clearness)}
}

// ofDay returns the course of one solar day, counted from 1970.
func (w Synthetic) ofDay(day int64) course {
	const year = 365.2425
	c := course{clearness: w.meanClearness(day)}
	season := math.Cos(2 * math.Pi * (float64(day) + 1 - w.place.WarmestDay) / year) // day 0 is 1 January
	c.mean = w.place.TempMean + w.place.TempSwing*season + w.place.TempSpread*w.heat.regressive(day, 0.75, 20)
	c.amplitude = w.place.Diurnal * (2 + 5*c.clearness)
	c.dew = c.mean - c.amplitude - 1 - w.place.Dryness + 1.5*w.dew.normal(day)
	return c
}

// wind draws from a Weibull distribution of shape 2 through an AR(1) process of
// hours, with gusts of a minute on top.
func (w Synthetic) wind(t time.Time) float64 {
	z := w.hourly(w.gust, t)
	u := clamp(0.5*math.Erfc(-z/math.Sqrt2), 1e-6, 1-1e-6)
	scale := w.place.WindMean / 0.8862 // the mean of a Weibull of shape 2 is Γ(1.5) of its scale
	gust := 1 + 0.15*between(w.turn, t, 60)
	return scale * math.Sqrt(-math.Log(1-u)) * math.Max(0.3, gust)
}

// hourly is an AR(1) process of hours, interpolated so that its variance stays 1.
func (w Synthetic) hourly(s stream, t time.Time) float64 {
	hour := t.Unix() / 3600
	share := float64(t.Unix()%3600) / 3600
	const phi, terms = 0.9, 30
	a, b := s.regressive(hour, phi, terms), s.regressive(hour+1, phi, terms)
	norm := math.Sqrt((1-share)*(1-share) + share*share + 2*phi*share*(1-share))
	return (a + (b-a)*share) / norm
}

func (w Synthetic) direction(t time.Time) float64 {
	const prevailing, spread = 225, 60
	return math.Mod(prevailing+spread*w.hourly(w.turn, t)+720, 360)
}

// rain falls in showers of hours on overcast days, in mm/h.
func (w Synthetic) rain(day int64, t time.Time) float64 {
	if w.kindOf(day) != overcastDay {
		return 0
	}
	if z := w.hourly(w.wet, t); z > 0.7 {
		return 2 * (z - 0.7)
	}
	return 0
}

// between interpolates the normals of a stream spaced every so many seconds.
func between(s stream, t time.Time, every int64) float64 {
	n := t.Unix() / every
	share := float64(t.Unix()%every) / float64(every)
	const apart = 1 << 40 // keeps clear of the stream's other uses
	a, b := s.normal(apart+n), s.normal(apart+n+1)
	return a + (b-a)*share
}

func clamp(x, lo, hi float64) float64 { return math.Min(hi, math.Max(lo, x)) }
