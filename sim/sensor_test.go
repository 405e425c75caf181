package sim_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/sim"
)

func TestSensorNoiseAndLag(t *testing.T) {
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	s := sim.NewSensor(sim.SensorSpec{Noise: 0.2, Lag: 60}, 1, "a")
	s.Follow(10, 0, 1)
	sum, squares, n := 0.0, 0.0, 10000.0
	for i := range int(n) {
		v := s.Sample(at.Add(time.Duration(i)*time.Second), 0, 0, 1)
		sum, squares = sum+v, squares+(v-10)*(v-10)
	}
	if mean, dev := sum/n, math.Sqrt(squares/n); math.Abs(mean-10) > 0.01 || math.Abs(dev-0.2) > 0.01 {
		t.Errorf("noise: got mean %.3f and deviation %.3f, want 10 and 0.2", mean, dev)
	}
	for range 60 {
		s.Follow(20, 1, 1)
	}
	quiet := sim.NewSensor(sim.SensorSpec{Lag: 60}, 1, "a")
	quiet.Follow(10, 0, 1)
	for range 60 {
		quiet.Follow(20, 1, 1)
	}
	if got, want := quiet.Sample(at, 0, 0, 1), 20-10*math.Exp(-1); math.Abs(got-want) > 1e-9 {
		t.Errorf("after one lag: got %.4f, want %.4f", got, want)
	}
}

func TestSensorStreamsAreTheirOwn(t *testing.T) {
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	sample := func(seed uint64, names ...string) float64 {
		s := sim.NewSensor(sim.StandardSensor("air_temp"), seed, names...)
		s.Follow(20, 0, 1)
		return s.Sample(at, 0, 0, 1)
	}
	base := sample(1, "north", "air_temp")
	if again := sample(1, "north", "air_temp"); again != base {
		t.Errorf("the same sensor twice: got %v and %v", base, again)
	}
	for _, other := range []float64{sample(2, "north", "air_temp"), sample(1, "south", "air_temp"), sample(1, "north", "air_temp.2"), sample(1, "northair", "_temp")} {
		if other == base {
			t.Errorf("another sensor has the same noise: %v", other)
		}
	}
}

func TestSensorBiasAndDrift(t *testing.T) {
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	spec := sim.SensorSpec{Bias: 1, Drift: 0.5, SunError: 2}
	var squares float64
	for i := range 400 {
		s := sim.NewSensor(spec, uint64(i), "a")
		s.Follow(20, 0, 1)
		bias := s.Sample(at, 0, 0, 1) - 20
		if got, want := s.Sample(at.Add(time.Hour), 48*time.Hour, 300, 1), 20+bias+1+1; math.Abs(got-want) > 1e-9 {
			t.Fatalf("after two days at 300 W/m²: got %.3f, want %.3f", got, want)
		}
		squares += bias * bias / 400
	}
	if dev := math.Sqrt(squares); math.Abs(dev-1) > 0.1 {
		t.Errorf("offsets of 400 sensors: got a deviation of %.3f, want 1", dev)
	}
}

func TestFaultText(t *testing.T) {
	for in, want := range map[string]sim.Fault{
		"offset(2.5) north/air_temp for 10m0s":       {Verb: sim.Offset, Target: "north/air_temp", Value: 2.5, For: 10 * time.Minute},
		"swap north/pump_acid with north/pump_base":  {Verb: sim.Swap, Target: "north/pump_acid", With: "north/pump_base"},
		"silent climate-02510d000101":                {Verb: sim.Silent, Target: "climate-02510d000101"},
		"sentinel(-127) south/air_temp.2 for 1h0m0s": {Verb: sim.Sentinel, Target: "south/air_temp.2", Value: -127, For: time.Hour},
	} {
		got, err := sim.ParseFault(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q (-want +got):\n%s", in, d)
		}
		if back := got.String(); back != in {
			t.Errorf("text: got %q, want %q", back, in)
		}
	}
	for _, in := range []string{"", "offset", "explode north/air_temp", "offset(2 north/air_temp", "offset(x) north/air_temp", "weak(2) a/b",
		"offset north/air_temp for ever", "offset north/air_temp for -1s", "offset north/air_temp until 3", "dropout(NaN) a/b", "offset a b c d e"} {
		if f, err := sim.ParseFault(in); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("%q: got %+v, %v, want it refused as invalid", in, f, err)
		}
	}
}

func TestEveryVerbIsDescribedOnce(t *testing.T) {
	seen := map[sim.Verb]bool{}
	for _, v := range sim.Verbs() {
		if seen[v.Verb] || v.What == "" {
			t.Errorf("%s: described twice or not at all", v.Verb)
		}
		seen[v.Verb] = true
		if err := (sim.Fault{Verb: v.Verb, Value: v.Default}).Validate(); err != nil {
			t.Errorf("%s: its default is refused: %v", v.Verb, err)
		}
	}
}

func FuzzParseFault(f *testing.F) {
	f.Add("offset(2.5) north/air_temp for 10m")
	f.Add("swap a/b with c/d")
	f.Add("stuck(1e-3) @relay-02510d000102/vent")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := sim.ParseFault(s)
		if err != nil {
			if !errors.Is(err, greenhouse.ErrInvalid) {
				t.Fatalf("%q: got %v, want an invalid fault", s, err)
			}
			return
		}
		b, err := sim.ParseFault(a.String())
		if err != nil || a != b {
			t.Fatalf("%q became %q became %+v, %v; want %+v", s, a, b, err, a)
		}
	})
}
