package sim_test

import (
	"encoding/csv"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/sim"
)

var update = flag.Bool("update", false, "write golden files instead of comparing")

func presets() []sim.Greenhouse { return []sim.Greenhouse{sim.Hobby30(), sim.Venlo96()} }

// scripted is equipment that uses everything in turn.
func scripted(hour float64) sim.Equipment {
	on := func(from, to float64) float64 {
		if hour >= from && hour < to {
			return 1
		}
		return 0
	}
	return sim.Equipment{
		Heater: 0.6 * on(0, 7), Lamp: on(5, 9), VentLee: 0.3 * on(11, 16), VentWind: 0.1 * on(11, 16), Fan: on(13, 14),
		Screen: on(0, 6), Blackout: on(22, 24), CO2: on(8, 10), Fog: on(14, 15),
	}
}

// TestEnergyBalance: what goes in is stored or goes out.
func TestEnergyBalance(t *testing.T) {
	const latent, air = 2.45e6, 1.2 * 1005
	for _, g := range presets() {
		stored := func(c sim.Climate) float64 {
			return (g.Height*air+g.AirMass)*c.Air + g.MassHeat*c.Mass + g.CoverHeat*g.CoverArea*c.Cover + g.SurfaceHeat*c.Heater + latent*g.Height*c.Vapour
		}
		c := g.NewClimate(18, 5, 60, 420)
		o := sim.Outside{Temp: 5, RH: 80, Solar: 300, Wind: 3, Sky: -5, CO2: 420}
		e := sim.Equipment{Heater: 0.5, Lamp: 1, VentLee: 0.1, Screen: 0.3}
		before, in, out := stored(c), 0.0, 0.0
		for range 4 * 3600 {
			var f sim.Flows
			c, f = g.Step(c, o, e, 1)
			in += f.Sun + 0.06*o.Solar + f.Lamp + g.HeaterPower*e.Heater
			out += f.ToOutside
		}
		gained := stored(c) - before
		if miss := math.Abs(in-out-gained) / in; miss > 0.005 {
			t.Errorf("%s: %.0f kJ came in, %.0f went out, %.0f were stored: %.2f %% are missing, want below 0.5 %%", g.Name, in/1e3, out/1e3, gained/1e3, 100*miss)
		}
	}
}

// TestWaterBalance: vapour comes from the crop and leaves by air and cover.
func TestWaterBalance(t *testing.T) {
	for _, g := range presets() {
		c := g.NewClimate(20, 5, 60, 420)
		o := sim.Outside{Temp: 5, RH: 80, Solar: 400, Wind: 3, Sky: -5, CO2: 420}
		outside := 0.8 * 610.8 * math.Exp(17.27*5/(5+237.3)) / (461.5 * 278.15)
		before, sum, condensed := g.Height*c.Vapour, 0.0, 0.0
		for range 3600 {
			var f sim.Flows
			c, f = g.Step(c, o, sim.Equipment{VentLee: 0.2}, 1)
			sum += f.Transpiration + f.Evaporation - f.Condensation - f.Air*(c.Vapour-outside)
			condensed += f.Condensation
		}
		if got := g.Height*c.Vapour - before; math.Abs(got-sum) > 0.002*math.Abs(sum)+1e-6 || condensed <= 0 {
			t.Errorf("%s: the air gained %.5f kg/m², the flows say %.5f (condensed %.5f)", g.Name, got, sum, condensed)
		}
	}
}

// TestNothingRunsAway drives the model to the edges of what weather and
// equipment can do, with long steps.
func TestNothingRunsAway(t *testing.T) {
	for _, g := range presets() {
		for _, o := range []sim.Outside{
			{Temp: -35, RH: 90, Wind: 25, Sky: -70, CO2: 420}, {Temp: 48, RH: 10, Solar: 1200, Sky: 20, CO2: 420}, {Temp: 30, RH: 100, Solar: 900, Wind: 0, Sky: 25, CO2: 420},
		} {
			for _, e := range []sim.Equipment{{}, {VentLee: 1, VentWind: 1, Fan: 1}, {Heater: 1, Lamp: 1, CO2: 1, Fog: 1, Screen: 1, Blackout: 1}} {
				for _, dt := range []float64{1, 30, 120} {
					c := g.NewClimate(20, o.Temp, 70, 420)
					for range int(86400 / dt) {
						c, _ = g.Step(c, o, e, dt)
					}
					if !(c.Air > -60 && c.Air < 110 && c.RH() > 0 && c.RH() < 101 && c.PPM() >= 0 && c.PPM() < 1e6 && c.DryMass > 0 && c.DryMass < 10) {
						t.Errorf("%s, dt %g, outside %+v, equipment %+v: got %+v", g.Name, dt, o, e, c)
					}
				}
			}
		}
	}
}

// TestStepLengthMattersLittle: page 3 asks for less than 0.01 K between 15 and
// 100 s on the validation; hour by hour a little more is fine.
func TestStepLengthMattersLittle(t *testing.T) {
	day := func(g sim.Greenhouse, dt float64) (all []float64) {
		w := sim.NewSynthetic(place(t, "bleiswijk"), 4)
		at := time.Date(2025, 4, 3, 0, 0, 0, 0, time.UTC)
		c := g.NewClimate(15, 8, 75, 420)
		for i := range int(86400 / dt) {
			now := at.Add(time.Duration(float64(i) * dt * float64(time.Second)))
			c, _ = g.Step(c, w.At(now), scripted(math.Floor(float64(i)*dt/3600)), dt)
			if math.Mod(float64(i+1)*dt, 3600) == 0 {
				all = append(all, c.Air)
			}
		}
		return all
	}
	for _, g := range presets() {
		a, b, sum := day(g, 15), day(g, 100), 0.0
		for i := range a {
			sum += (a[i] - b[i]) * (a[i] - b[i])
		}
		if rms := math.Sqrt(sum / float64(len(a))); rms > 0.3 {
			t.Errorf("%s: steps of 15 and 100 s differ by %.3f K (rms over 24 hours), want at most 0.3", g.Name, rms)
		}
	}
}

// TestGoldenDay compares a day of both presets with the file, to one part in a
// million: architectures may round differently.
func TestGoldenDay(t *testing.T) {
	path := filepath.Join("testdata", "plant_day.csv")
	w := sim.NewSynthetic(place(t, "bleiswijk"), 42)
	rows := [][]string{{"preset", "hour", "air_c", "mass_c", "cover_c", "heater_c", "rh_pct", "co2_ppm", "dry_mass_kg_m2"}}
	for _, g := range presets() {
		at := time.Date(2025, 4, 3, 0, 0, 0, 0, time.UTC)
		c := g.NewClimate(15, 8, 75, 420)
		for i := range 24 * 120 {
			c, _ = g.Step(c, w.At(at.Add(time.Duration(i)*30*time.Second)), scripted(float64(i/120)), 30)
			if i%120 == 119 {
				row := []string{g.Name, strconv.Itoa(i/120 + 1)}
				for _, v := range []float64{c.Air, c.Mass, c.Cover, c.Heater, c.RH(), c.PPM(), c.DryMass} {
					row = append(row, strconv.FormatFloat(v, 'g', 12, 64))
				}
				rows = append(rows, row)
			}
		}
	}
	if *update {
		writeRows(t, path, rows)
		return
	}
	compareRows(t, path, rows, 1e-6)
}

func writeRows(t *testing.T, path string, rows [][]string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := csv.NewWriter(f).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func compareRows(t *testing.T, path string, rows [][]string, tol float64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(want) {
		t.Fatalf("got %d rows, want %d", len(rows), len(want))
	}
	for i := range want {
		for j := range want[i] {
			g, errG := strconv.ParseFloat(rows[i][j], 64)
			w, errW := strconv.ParseFloat(want[i][j], 64)
			if errG != nil || errW != nil {
				if rows[i][j] != want[i][j] {
					t.Errorf("row %d, %s: got %q, want %q", i, want[0][j], rows[i][j], want[i][j])
				}
			} else if math.Abs(g-w) > tol*math.Max(1, math.Abs(w)) {
				t.Errorf("row %d, %s: got %.9g, want %.9g", i, want[0][j], g, w)
			}
		}
	}
}

func TestEquipmentDoesWhatItIsFor(t *testing.T) {
	after := func(g sim.Greenhouse, o sim.Outside, e sim.Equipment) sim.Climate {
		c := g.NewClimate(20, o.Temp, 85, 420)
		for range 240 {
			c, _ = g.Step(c, o, e, 15)
		}
		return c
	}
	day := sim.Outside{Temp: 10, RH: 70, Solar: 300, Wind: 3, Sky: 0, CO2: 420}
	night := sim.Outside{Temp: 2, RH: 80, Wind: 3, Sky: -15, CO2: 420}
	for _, g := range presets() {
		idle, idleNight := after(g, day, sim.Equipment{}), after(g, night, sim.Equipment{})
		for _, v := range []struct {
			name string
			ok   bool
		}{
			{"heating warms", after(g, night, sim.Equipment{Heater: 1}).Air > idleNight.Air+1},
			{"vents cool", after(g, day, sim.Equipment{VentLee: 1, VentWind: 1}).Air < idle.Air-1},
			{"vents dry", after(g, day, sim.Equipment{VentLee: 1, VentWind: 1}).Vapour < idle.Vapour},
			{"a screen keeps the warmth of the night", after(g, night, sim.Equipment{Screen: 1}).Air > idleNight.Air+0.02},
			{"a blackout keeps the sun out", after(g, day, sim.Equipment{Blackout: 1}).Air < idle.Air-1},
			{"lamps warm", after(g, night, sim.Equipment{Lamp: 1}).Air > idleNight.Air+0.3},
			{"CO₂ rises", after(g, night, sim.Equipment{CO2: 1}).PPM() > idleNight.PPM()+50},
		} {
			if !v.ok {
				t.Errorf("%s: not so: %s", g.Name, v.name)
			}
		}
	}
}

func TestPresetNames(t *testing.T) {
	for _, g := range presets() {
		got, err := sim.GreenhousePreset(g.Name)
		if err != nil || got != g {
			t.Errorf("%s: got %+v, %v", g.Name, got, err)
		}
	}
	if _, err := sim.GreenhousePreset("castle"); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("castle: got %v, want an invalid preset", err)
	}
	if _, err := sim.PlacePreset("atlantis"); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("atlantis: got %v, want an invalid place", err)
	}
}
