package sim_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/sim"
)

func inject(t testing.TB, w *sim.World, text string) sim.Fault {
	t.Helper()
	f, err := sim.ParseFault(text)
	if err != nil {
		t.Fatal(err)
	}
	f, err = w.Inject(f)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// readings samples a sensor once a minute for an hour; missing ones are NaN.
func readings(t testing.TB, w *sim.World, zone greenhouse.ZoneID, ch greenhouse.ChannelName) (all []float64) {
	d := deviceWith(t, w, zone, ch)
	for range 60 {
		w.Advance(time.Minute)
		v, ok := d.Read(ch, w.Now())
		if !ok {
			v = math.NaN()
		}
		all = append(all, v)
	}
	return all
}

// TestWorldSensorFaults injects each fault into one of two equal worlds, and compares
// what the sensor says in both.
func TestWorldSensorFaults(t *testing.T) {
	missing := func(a []float64) (n int) {
		for _, v := range a {
			if math.IsNaN(v) {
				n++
			}
		}
		return n
	}
	within := func(tol float64, want func(i int, v float64) float64) func(sick, well []float64) bool {
		return func(sick, well []float64) bool {
			for i := range sick {
				if !(math.Abs(sick[i]-want(i, well[i])) <= tol) {
					return false
				}
			}
			return true
		}
	}
	differing := func(lo, hi int) func(sick, well []float64) bool {
		return func(sick, well []float64) bool {
			n := 0
			for i := range sick {
				if math.Abs(sick[i]-well[i]) > 1e-9 {
					n++
				}
			}
			return n >= lo && n <= hi
		}
	}
	constant := func(x float64) func(int, float64) float64 { return func(int, float64) float64 { return x } }
	for text, holds := range map[string]func(sick, well []float64) bool{
		"dropout(0.5) north/air_temp": func(sick, _ []float64) bool { n := missing(sick); return n > 15 && n < 45 },
		"gap north/air_temp":          func(sick, _ []float64) bool { return missing(sick) == 60 },
		"read_error north/air_temp":   func(sick, _ []float64) bool { return missing(sick) == 60 },
		"freeze north/air_temp":       func(sick, well []float64) bool { return within(0, constant(sick[0]))(sick, well) && sick[0] == well[0] },
		"offset(2.5) north/air_temp":  within(0.11, func(_ int, v float64) float64 { return v + 2.5 }),
		"drift(6) north/air_temp":     within(0.11, func(i int, v float64) float64 { return v + 0.1*float64(i+1) }),
		"gain(0.5) north/air_rh":      within(0.11, func(_ int, v float64) float64 { return v / 2 }),
		"gain(0.8) north/solution_ph": within(0.011, func(_ int, v float64) float64 { return 7 + (v-7)*0.8 }),
		"noisy(10) north/air_temp":    differing(50, 60),
		"spike(15) north/air_temp":    differing(1, 10),
		"sentinel north/air_temp":     within(0, constant(85)),
		"sentinel(-127) north/co2":    within(0, constant(-127)),
		"zero north/solution_ec":      within(0, constant(0)),
		"sunlit(6) north/air_temp":    differing(55, 60),
		"sluggish(100) north/air_rh":  differing(30, 60),
		"bubbles north/solution_ec":   differing(3, 45),
		"unit north/air_temp":         within(0.02, func(_ int, v float64) float64 { return v*1.8 + 32 }),
		"unit north/solution_ec":      within(1e-6, func(_ int, v float64) float64 { return v * 1000 }),
	} {
		sickWorld, wellWorld := demo(t, 2, 5), demo(t, 2, 5)
		for _, w := range []*sim.World{sickWorld, wellWorld} {
			w.Advance(10 * time.Minute)
		}
		f := inject(t, sickWorld, text)
		ch := greenhouse.PointID(f.Target).Name()
		sick, well := readings(t, sickWorld, "north", ch), readings(t, wellWorld, "north", ch)
		if !holds(sick, well) {
			t.Errorf("%s: not what it should be:\nsick %.2f\nwell %.2f", text, sick, well)
		}
		if !sickWorld.Heal(f.ID) {
			t.Errorf("%s: cannot be healed", text)
		}
		if f.Verb == sim.Sluggish {
			continue // it has to catch up first
		}
		if sick, well := readings(t, sickWorld, "north", ch), readings(t, wellWorld, "north", ch); !within(0, func(_ int, v float64) float64 { return v })(sick, well) {
			t.Errorf("%s: healed, and still wrong", text)
		}
	}
}

// TestWorldActuatorFaults asks for a level under a fault and looks at what really
// happens, and at what the device believes.
func TestWorldActuatorFaults(t *testing.T) {
	heater := func(s sim.ZoneState) float64 { return s.Equipment.Heater }
	vent := func(s sim.ZoneState) float64 { return s.Equipment.VentLee }
	for _, v := range []struct {
		fault        string
		ask          float64
		effect, seen float64
		of           func(sim.ZoneState) float64
	}{
		{"stuck_on north/heater", 0, 1, 0, heater},
		{"stuck_off north/heater", 1, 0, 1, heater},
		{"stuck_on north/vent", 0.2, 1, 1, vent},
		{"stuck(0.4) north/vent", 1, 0.4, 0.4, vent},
		{"reversed north/vent", 0.3, 0.7, 0.7, vent},
		{"lies north/vent", 0.8, 0, 0.8, vent},
		{"lies north/heater", 1, 0, 1, heater},
		{"leaks(0.05) north/vent", 0, 0.05, 0, vent},
		{"leaks(0.05) north/vent", 0.5, 0.5, 0.5, vent},
		{"weak(0.5) north/heater", 1, 0.5, 1, heater},
	} {
		w := demo(t, 1, 5)
		f := inject(t, w, v.fault)
		ch := greenhouse.PointID(f.Target).Name()
		seen := drive(t, w, "north", ch, v.ask)
		w.Advance(10 * time.Minute)
		if got := v.of(state(t, w, "north")); math.Abs(got-v.effect) > 1e-9 || seen != v.seen {
			t.Errorf("%s, asked for %g: effect %g, seen %g; want %g and %g", v.fault, v.ask, got, seen, v.effect, v.seen)
		}
		if got := read(t, w, "north", ch); got != v.seen {
			t.Errorf("%s, asked for %g: reports %g, want %g", v.fault, v.ask, got, v.seen)
		}
		w.Heal(f.ID)
		w.Advance(10 * time.Minute)
		if got := v.of(state(t, w, "north")); math.Abs(got-v.ask) > 1e-9 {
			t.Errorf("%s, healed: effect %g, want %g", v.fault, got, v.ask)
		}
	}
}

func TestVentsTakeTheirTime(t *testing.T) {
	w := demo(t, 1, 1)
	drive(t, w, "north", "vent", 1)
	w.Advance(90 * time.Second)
	if got := read(t, w, "north", "vent"); math.Abs(got-0.5) > 0.01 {
		t.Errorf("after half of the travel: got %g, want 0.5", got)
	}
	inject(t, w, "slow(9) north/vent")
	w.Advance(162 * time.Second)
	if got := read(t, w, "north", "vent"); math.Abs(got-0.6) > 0.01 {
		t.Errorf("nine times slower: got %g, want 0.6", got)
	}
	drive(t, w, "north", "vent", math.NaN())
	drive(t, w, "north", "vent", 7)
	w.Advance(time.Hour)
	if got := read(t, w, "north", "vent"); got != 1 {
		t.Errorf("asked for too much: got %g, want 1", got)
	}
}

func TestWorldPumpFaults(t *testing.T) {
	dose := func(fault string) float64 {
		w := demo(t, 1, 1)
		w.Advance(time.Minute)
		if fault != "" {
			inject(t, w, fault)
		}
		before := state(t, w, "north").Tank.Alk
		drive(t, w, "north", "pump_acid", 1)
		w.Advance(20 * time.Second)
		drive(t, w, "north", "pump_acid", 0)
		w.Advance(30 * time.Minute)
		return before - state(t, w, "north").Tank.Alk
	}
	none, full := dose("empty north/pump_acid"), dose("")
	for fault, want := range map[string]float64{"airlock north/pump_acid": 0, "worn(0.6) north/pump_acid": 0.6, "swap north/pump_acid": -1} {
		if got := (dose(fault) - none) / (full - none); math.Abs(got-want) > 0.02 {
			t.Errorf("%s: got %.3f of the dose, want %g", fault, got, want)
		}
	}
}

func TestSwappedSensorsAndPumps(t *testing.T) {
	w := demo(t, 2, 5)
	w.Advance(time.Minute)
	north, south := read(t, w, "north", "air_temp"), read(t, w, "south", "air_temp")
	f := inject(t, w, "swap north/air_temp")
	if f.With != "south/air_temp" {
		t.Errorf("swapped with %q, want south/air_temp", f.With)
	}
	if got := read(t, w, "north", "air_temp"); got != south {
		t.Errorf("north: got %g, want the reading of south, %g", got, south)
	}
	w.Heal(f.ID)
	if got := read(t, w, "north", "air_temp"); got != north {
		t.Errorf("north, healed: got %g, want %g", got, north)
	}
}

// TestSwapKeepsWhatEachChannelAsksFor: a pump that runs when the hoses are
// swapped goes on running, with the other hose.
func TestSwapKeepsWhatEachChannelAsksFor(t *testing.T) {
	w := demo(t, 1, 1)
	w.Advance(time.Minute)
	drive(t, w, "north", "pump_acid", 1)
	inject(t, w, "swap north/pump_acid")
	if acid, base := read(t, w, "north", "pump_acid"), read(t, w, "north", "pump_base"); acid != 1 || base != 0 {
		t.Errorf("asked for: got acid %g and base %g, want 1 and 0", acid, base)
	}
	w.Advance(30 * time.Second)
	s := state(t, w, "north").Tank
	if s.BasePlume <= 0 || s.AcidPlume > 0 {
		t.Errorf("dosed: got %.2f meq of acid and %.2f of base, want base alone", s.AcidPlume, s.BasePlume)
	}
}

func TestWorldNodeFaults(t *testing.T) {
	w := demo(t, 3, 1)
	relay := deviceWith(t, w, "north", "heater")
	drive(t, w, "north", "heater", 1)
	drive(t, w, "north", "vent", 1)
	w.Advance(10 * time.Minute)
	f := inject(t, w, "silent "+string(relay.Plan().UID()))
	if _, err := relay.Drive("heater", 1, w.Now()); !errors.Is(err, greenhouse.ErrUnavailable) {
		t.Errorf("driving a dead device: got %v, want it unavailable", err)
	}
	w.Advance(2 * time.Second)
	if s := state(t, w, "north").Equipment; s.Heater != 0 || s.VentLee != 1 {
		t.Errorf("a dead device: heater %g, vent %g; want the relay open and the vent where it stood", s.Heater, s.VentLee)
	}
	w.Heal(f.ID)
	inject(t, w, "clock_skew(120) south for 5m")
	for _, d := range w.Devices() {
		got := d.Faults()
		if south := d.Plan().Zone == "south"; south != (len(got) == 1) {
			t.Errorf("%s: got faults %+v", d.Plan().Name, got)
		} else if south && (got[0].Verb != sim.ClockSkew || got[0].Value != 120 || got[0].Until.Sub(got[0].From) != 5*time.Minute) {
			t.Errorf("%s: got fault %+v", d.Plan().Name, got[0])
		}
	}
	w.Advance(5 * time.Minute)
	if got := w.Faults(); len(got) != 0 {
		t.Errorf("after their time: got %v, want none", got)
	}
}

func TestInjectRefusesWhatDoesNotFit(t *testing.T) {
	w := demo(t, 1, 1)
	for _, f := range []struct {
		fault sim.Fault
		want  error
	}{
		{sim.Fault{Verb: "explode", Target: "north/air_temp"}, greenhouse.ErrInvalid},
		{sim.Fault{Verb: sim.Offset, Target: "east/air_temp"}, greenhouse.ErrNotFound},
		{sim.Fault{Verb: sim.Offset, Target: "north/heater"}, greenhouse.ErrInvalid},
		{sim.Fault{Verb: sim.Leaks, Target: "north/air_temp"}, greenhouse.ErrInvalid},
		{sim.Fault{Verb: sim.Unit, Target: "north/ppfd"}, greenhouse.ErrInvalid},
		{sim.Fault{Verb: sim.Swap, Target: "north/air_temp"}, greenhouse.ErrInvalid}, // alone in its kind
		{sim.Fault{Verb: sim.Swap, Target: "north/air_temp", With: "north/heater"}, greenhouse.ErrInvalid},
		{sim.Fault{Verb: sim.Silent, Target: "nobody"}, greenhouse.ErrNotFound},
		{sim.Fault{Verb: sim.Weak, Target: "north/heater", Value: 3}, greenhouse.ErrInvalid},
	} {
		if _, err := w.Inject(f.fault); !errors.Is(err, f.want) {
			t.Errorf("%v: got %v, want %v", f.fault, err, f.want)
		}
	}
	if w.Heal("f1") {
		t.Error("a fault that is not there was healed")
	}
	uid := deviceWith(t, w, "north", "heater").Plan().UID()
	inject(t, w, "stuck_on @"+string(uid)+"/heater")
}
