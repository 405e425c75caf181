package sim_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"greenhouse/sim"
)

// dataFile opens a file of real measurements, or skips the test where they are
// absent: the folder is not part of the product.
func dataFile(t testing.TB, name string) *os.File {
	t.Helper()
	dir := os.Getenv("GREENHOUSE_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(dir, name))
	if os.IsNotExist(err) {
		t.Skipf("real measurements are absent: %s (set GREENHOUSE_DATA to their folder)", filepath.Join(dir, name))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// trial is a real compartment: what was done to it and what came of it.
type trial struct {
	name     string
	start    time.Time
	planted  float64 // dry mass of the crop at the start, kg/m²; 0 takes the preset's
	weather  sim.Series
	at       []float64 // s since start
	do       []sim.Equipment
	temp, rh []float64
}

func readTable(t testing.TB, name string) *sim.Table {
	t.Helper()
	table, err := sim.ReadTable(dataFile(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func readAGC(t testing.TB, name string, loc *time.Location) sim.Series {
	t.Helper()
	w, err := sim.ReadAGC(dataFile(t, name), loc)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// winterTrial is AGC 2022.1 "Reference". The lamps' state column only says that
// they may burn; the realised set-point says how bright. A pipe temperature of 0
// says that the pump rests: the pipe then cools by itself.
func winterTrial(t testing.TB) *trial {
	loc := time.FixedZone("CET", 3600)
	c, k := readTable(t, "agc2022_1/Reference/GreenhouseClimate.csv"), readTable(t, "agc2022_1/Reference/GreenhouseControls.csv")
	x := &trial{name: "AGC2022.1 Reference", weather: readAGC(t, "agc2022_1/weather.csv", loc)}
	for i := range c.Len() {
		at, err := time.ParseInLocation("1/2/2006 15:04", c.Text(i, "Date"), loc)
		if err != nil {
			t.Fatal(err)
		}
		pct := func(name string) float64 { return c.Number(i, name) / 100 }
		e := sim.Equipment{VentLee: pct("VentLee"), VentWind: pct("VentWind"), Screen: pct("EnScr"), Blackout: pct("BlckScr"),
			Lamp: k.Number(i, "assim_vip") / 100, Pipe: c.Number(i, "Tpipe"), HasPipe: c.Number(i, "Tpipe") > 0}
		x.add(at, e, c.Number(i, "Tair"), c.Number(i, "Rhair"))
	}
	return x
}

// springTrial is AGC 2022.2 "Reference". Its pipe temperatures were not
// published; the gas account gives the heat of each day, which is spread over
// the hours by how cold it was outside.
func springTrial(t testing.TB) *trial {
	loc := time.FixedZone("CEST", 7200)
	c := readTable(t, "agc2022_2/Reference/climate_data.csv")
	x := &trial{name: "AGC2022.2 Reference", planted: springPlanted, weather: readAGC(t, "agc2022_2/weather.csv", loc)}
	heat := dailyHeat(t, loc)
	for i := range c.Len() {
		at, err := time.ParseInLocation(time.DateTime, c.Text(i, "timestamp"), loc)
		if err != nil {
			t.Fatal(err)
		}
		pct := func(name string) float64 { return c.Number(i, name) / 100 }
		o := x.weather.At(at)
		e := sim.Equipment{VentLee: pct("lee_vent"), VentWind: pct("wind_vent"), Screen: pct("thermal_opening"), Blackout: pct("blackout_opening")}
		e.Heater = heat[at.Format(time.DateOnly)] * spread(x.weather, at, o) / sim.Venlo96().HeaterPower
		if o.Solar < 3 {
			e.Lamp = math.Min(1, c.Number(i, "par")/sim.Venlo96().LampPPFD)
		}
		x.add(at, e, c.Number(i, "T_Air"), c.Number(i, "rh_Air"))
	}
	return x
}

// springPlanted is the dry mass at the start of the spring trial in kg/m²: an
// older crop than in winter, fitted along with the preset.
const springPlanted = 0.01235

// gasPrice is what the account charged for a kWh of heat, in euro.
const gasPrice = 0.03

// dailyHeat returns the mean heating of each day in W/m².
func dailyHeat(t testing.TB, loc *time.Location) map[string]float64 {
	op := readTable(t, "agc2022_2/Reference/operational_data.csv")
	heat, before := map[string]float64{}, 0.0
	for i := range op.Len() {
		sum := op.Number(i, "var_gas")
		heat[op.Text(i, "timestamp")] = math.Max(0, sum-before) / gasPrice * 1000 / 24
		before = sum
	}
	return heat
}

// spread returns the share of the day's mean heating at an instant.
func spread(w sim.Series, at time.Time, o sim.Outside) float64 {
	day := at.Truncate(time.Hour)
	need := func(o sim.Outside) float64 { return math.Max(0, 17-o.Temp-o.Solar/20) }
	sum := 0.0
	for h := -12; h < 12; h++ {
		sum += need(w.At(day.Add(time.Duration(h) * time.Hour)))
	}
	if sum == 0 {
		return 1
	}
	return 24 * need(o) / sum
}

func (x *trial) add(at time.Time, e sim.Equipment, temp, rh float64) {
	if len(x.at) == 0 {
		x.start = at
	}
	sum := e.VentLee + e.VentWind + e.Screen + e.Blackout + e.Lamp + e.Pipe + e.Heater + temp + rh
	if math.IsNaN(sum) {
		return
	}
	x.at = append(x.at, at.Sub(x.start).Seconds())
	x.do, x.temp, x.rh = append(x.do, e), append(x.temp, temp), append(x.rh, rh)
}

// score is how far a run lies from what was measured.
type score struct {
	tempRMSE, tempBias, rhRMSE, rhBias float64
	n                                  int
}

// run drives g with the trial's equipment and weather and scores each period of
// days [from, until), counted from the trial's first record.
func (x *trial) run(g sim.Greenhouse, dt float64, periods ...[2]float64) []score {
	scores := make([]score, len(periods))
	o := x.weather.At(x.start)
	c := g.NewClimate(x.temp[0], o.Temp, x.rh[0], 420)
	if x.planted > 0 {
		c.DryMass = x.planted
	}
	now := x.at[0]
	for i := range x.at {
		for now < x.at[i] {
			step := math.Min(dt, x.at[i]-now)
			o = x.weather.At(x.start.Add(time.Duration(now * float64(time.Second))))
			c, _ = g.Step(c, o, x.do[max(0, i-1)], step)
			now += step
		}
		for k, p := range periods {
			if day := now / 86400; day >= p[0] && day < p[1] {
				dT, dH := c.Air-x.temp[i], c.RH()-x.rh[i]
				s := &scores[k]
				s.tempRMSE += dT * dT
				s.rhRMSE += dH * dH
				s.tempBias += dT
				s.rhBias += dH
				s.n++
			}
		}
	}
	for k := range scores {
		s, n := &scores[k], float64(scores[k].n)
		s.tempRMSE, s.rhRMSE = math.Sqrt(s.tempRMSE/n), math.Sqrt(s.rhRMSE/n)
		s.tempBias, s.rhBias = s.tempBias/n, s.rhBias/n
	}
	return scores
}

// TestVenlo96Validation is the acceptance of the plant model: on days that the
// fit has not seen, driven by measured equipment and weather alone, temperature
// within 2.0 K and humidity within 8 % of a real compartment.
func TestVenlo96Validation(t *testing.T) { validate(t, sim.Venlo96()) }

func validate(t *testing.T, g sim.Greenhouse) {
	t.Helper()
	for _, v := range []struct {
		trial         *trial
		fit, held, to float64
	}{{winterTrial(t), 1, 20, 43}, {springTrial(t), 1, 15, 44}} {
		s := v.trial.run(g, 60, [2]float64{v.fit, v.held}, [2]float64{v.held, v.to})
		for i, name := range []string{"fit", "held out"} {
			t.Logf("%s, %s: T RMSE %.2f K (bias %+.2f), RH RMSE %.1f %% (bias %+.1f), %d records", v.trial.name, name,
				s[i].tempRMSE, s[i].tempBias, s[i].rhRMSE, s[i].rhBias, s[i].n)
		}
		if held := s[1]; !(held.tempRMSE <= 2.0) || !(held.rhRMSE <= 8) || held.n < 2000 {
			t.Errorf("%s: T RMSE %.2f K and RH RMSE %.1f %% on %d records; want at most 2.0 K and 8 %%", v.trial.name, held.tempRMSE, held.rhRMSE, held.n)
		}
	}
}

func BenchmarkGreenhouseStep(b *testing.B) {
	g := sim.Venlo96()
	o := sim.Outside{Temp: 8, RH: 80, Solar: 200, Wind: 4, Sky: -2, CO2: 420}
	c := g.NewClimate(18, 8, 75, 500)
	e := sim.Equipment{VentLee: 0.2, VentWind: 0.1, Heater: 0.3}
	for b.Loop() {
		c, _ = g.Step(c, o, e, 30)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Msteps/s")
}
