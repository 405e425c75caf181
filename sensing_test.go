package greenhouse_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenhouse"
)

// sensor judges readings as they come, as the history does.
type sensor struct {
	tests greenhouse.SensorTests
	state greenhouse.SensorState
	at    greenhouse.Millis
	every time.Duration
}

func newSensor(n greenhouse.ChannelName, every time.Duration) *sensor {
	return &sensor{tests: greenhouse.SensorTestsOf(n), at: 1_764_000_000_000, every: every}
}

func (s *sensor) read(v float64) greenhouse.Quality { return s.say(v, greenhouse.Good) }

func (s *sensor) say(v float64, said greenhouse.Quality) greenhouse.Quality {
	s.at = s.at.Add(s.every)
	q := s.tests.Judge(&s.state, s.at, v, said)
	s.state.Note(s.at, v, q)
	return q
}

// TestSensorTests walks the table of docs/control.md.
func TestSensorTests(t *testing.T) {
	const good, suspect, bad = greenhouse.Good, greenhouse.Suspect, greenhouse.Bad
	nan := math.NaN()
	type read struct {
		v    float64
		want greenhouse.Quality
	}
	f := func(what string, n greenhouse.ChannelName, every time.Duration, reads ...read) {
		t.Helper()
		s := newSensor(n, every)
		for i, r := range reads {
			if got := s.read(r.v); got != r.want {
				t.Errorf("%s: reading %d of %v is %s, want %s", what, i+1, r.v, got, r.want)
			}
		}
	}
	ten := 10 * time.Second
	f("a sentinel, then five that pass", "air_temp", ten, read{18, good}, read{85, bad}, read{18.1, suspect}, read{18, suspect}, read{18, suspect}, read{18.1, suspect}, read{18.2, good}, read{18.2, good})
	f("a relapse begins anew", "air_temp", ten, read{18, good}, read{-127, bad}, read{18, suspect}, read{18, suspect}, read{18, suspect}, read{18, suspect}, read{255, bad}, read{18, suspect}, read{18, suspect}, read{18, suspect}, read{18, suspect}, read{18, good})
	f("one that sends rarely", "air_temp", 5*time.Minute, read{18, good}, read{85, bad}, read{18, suspect}, read{18.5, good})
	f("a failed read says nothing of the next", "air_temp", ten, read{18, good}, read{nan, bad}, read{18, good}, read{nan, bad}, read{18, good}, read{18, good})
	f("the third failed read of five does", "air_temp", ten, read{18, good}, read{nan, bad}, read{18, good}, read{nan, bad}, read{nan, bad}, read{18, suspect}, read{18, suspect}, read{18, suspect}, read{18, suspect}, read{18, good})
	f("a spike", "air_temp", ten, read{18, good}, read{45, suspect}, read{18, good}, read{2, suspect}, read{18, good})
	f("a jump that lasts", "air_temp", ten, read{18, good}, read{30, suspect}, read{30.1, suspect}, read{30, good}, read{30, good})
	f("a jump of one that sends rarely", "air_temp", time.Minute, read{18, good}, read{30, suspect}, read{30.1, good})
	f("swinging wildly", "air_temp", ten, read{18, good}, read{45, suspect}, read{18, good}, read{45, suspect}, read{18, good}, read{45, bad}, read{18, suspect}, read{45, bad})
	f("slowly through 0.0", "air_temp", ten, read{0.4, good}, read{0.1, good}, read{0, good}, read{-0.1, good})
	f("0.0 out of nothing", "air_temp", ten, read{18, good}, read{0, suspect}, read{18, good})
	f("0.0 is weather outside", "outside_temp", ten, read{0, good}, read{0, good})
	f("power-on value of one with a wide range", "soil_temp", ten, read{85, bad})
	f("humidity", "air_rh", ten, read{60, good}, read{80, suspect}, read{60, good}, read{101, bad})
	f("CO₂ after its own start", "co2", ten, read{410, suspect}, read{700, good}, read{690, good})
	f("CO₂ of fresh air", "co2", ten, read{430, good}, read{410, good}, read{250, bad})
	f("pH", "solution_ph", ten, read{5.9, good}, read{6.3, suspect}, read{5.9, good}, read{14, bad}, read{0, bad})
	f("EC of a dry probe", "solution_ec", ten, read{1.6, good}, read{0, bad})
	f("soil probe open", "soil_moisture", ten, read{40, good}, read{0, suspect}, read{40, good}, read{100, suspect})
	f("soil that was flooded", "soil_moisture", ten, read{96, good}, read{100, good})
	f("water", "solution_temp", ten, read{20, good}, read{22, suspect}, read{20, good}, read{255, bad})
	f("an unknown channel", "turbidity", ten, read{2040, good}, read{-1510, good}, read{nan, bad})
}

func TestFlatLines(t *testing.T) {
	f := func(n greenhouse.ChannelName, v float64, stands time.Duration) {
		t.Helper()
		s := newSensor(n, time.Minute)
		s.read(v * 0.998)
		began := s.at.Add(time.Minute)
		for s.at < began.Add(30*time.Hour) {
			got, stood := s.read(v), s.at.Sub(began)
			if want := stands > 0 && stood >= stands; (got != greenhouse.Good) != want {
				t.Fatalf("%s stands at %v for %v: %s", n, v, stood, got)
			}
		}
		if stands == 0 {
			return
		}
		if got := s.read(v * 0.999); got != greenhouse.Suspect {
			t.Errorf("%s moves: %s, want it watched for a while", n, got)
		}
		for range 4 {
			v *= 0.999
			s.read(v)
		}
		if got := s.read(v * 0.999); got != greenhouse.Good {
			t.Errorf("%s has moved for six minutes: %s", n, got)
		}
	}
	f("air_temp", 18, 0) // healthy air stands for hours: see what the zone makes of it
	f("air_rh", 70, 0)
	f("air_rh", 100, time.Hour)
	f("co2", 600, time.Hour)
	f("solution_ph", 5.8, 6*time.Hour)
	f("solution_ph", 7, 10*time.Minute)
	f("solution_ec", 1.6, 3*time.Hour)
	f("soil_moisture", 40, 24*time.Hour)
	f("solution_temp", 20, 6*time.Hour)
}

func TestDoubtIsAFailedTest(t *testing.T) {
	s := newSensor("air_temp", 10*time.Second)
	want := []greenhouse.Quality{greenhouse.Good, greenhouse.Suspect, greenhouse.Suspect, greenhouse.Bad, greenhouse.Bad}
	for i, w := range want {
		said := greenhouse.Suspect
		if i == 0 {
			said = greenhouse.Good
		}
		if got := s.say(18, said); got != w {
			t.Errorf("reading %d in doubt: %s, want %s", i, got, w)
		}
	}
}

func TestLateReadingIsJudgedByItself(t *testing.T) {
	s := newSensor("air_temp", 10*time.Second)
	s.read(18)
	before := s.state
	late := s.at - 60_000
	for v, want := range map[float64]greenhouse.Quality{45: greenhouse.Good, 85: greenhouse.Bad} {
		got := s.tests.Judge(&s.state, late, v, greenhouse.Good)
		s.state.Note(late, v, got)
		if got != want || s.state != before {
			t.Errorf("%v, late: %s, want %s", v, got, want)
		}
	}
}

// TestQualitiesBringTheStateBack replays readings with the qualities they got,
// as a log does, and comes to the same state; and whatever comes, five readings
// that pass are believed.
func TestQualitiesBringTheStateBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]greenhouse.ChannelName{"air_temp", "air_rh", "co2", "solution_ph", "soil_moisture"}).Draw(t, "channel")
		s := newSensor(n, 0)
		var again greenhouse.SensorState
		for range rapid.IntRange(1, 40).Draw(t, "readings") {
			s.every = rapid.SampledFrom([]time.Duration{-time.Minute, 0, 10 * time.Second, 10 * time.Second, time.Minute, 2 * time.Hour}).Draw(t, "every")
			v := rapid.OneOf(rapid.SampledFrom([]float64{85, -127, 255, 0, 7, 100, 410, math.NaN(), math.Inf(1)}), rapid.Float64Range(-50, 900)).Draw(t, "value")
			q := s.say(v, rapid.SampledFrom([]greenhouse.Quality{greenhouse.Good, greenhouse.Good, greenhouse.Suspect, greenhouse.Held, greenhouse.Bad}).Draw(t, "said"))
			again.Note(s.at, v, q)
			if (math.IsNaN(v) || v < s.tests.Min || v > s.tests.Max) && q != greenhouse.Bad {
				t.Fatalf("%v is %s", v, q)
			}
		}
		if again != s.state {
			t.Fatalf("brought back as %+v, was %+v", again, s.state)
		}
		s.every = time.Minute
		s.at = max(s.at, s.state.At)
		mid := map[greenhouse.ChannelName]float64{"air_temp": 20, "air_rh": 60, "co2": 600, "solution_ph": 5.8, "soil_moisture": 40}[n]
		var q greenhouse.Quality
		for i := range 12 {
			q = s.read(mid + float64(i)/100)
		}
		if q != greenhouse.Good {
			t.Fatalf("twelve sound readings end %s: %+v", q, s.state)
		}
	})
}

// TestJudgingCostsNoMemory: it is done for every reading there is.
func TestJudgingCostsNoMemory(t *testing.T) {
	var s greenhouse.SensorState
	at := greenhouse.Millis(1)
	n := testing.AllocsPerRun(1000, func() {
		tests := greenhouse.SensorTestsOf("air_temp")
		at += 10_000
		s.Note(at, 18, tests.Judge(&s, at, 18, greenhouse.Good))
	})
	if n != 0 {
		t.Errorf("%v allocations a reading", n)
	}
}
