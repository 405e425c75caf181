package sim_test

import (
	"math"
	"testing"

	"greenhouse/sim"
)

// still is a tank that nothing flows into or out of.
func still() sim.Tank {
	k := sim.Tank100()
	k.FloatLevel = 0
	return k
}

func run(k sim.Tank, s sim.TankState, in sim.TankInputs, dt, seconds float64) sim.TankState {
	for range int(seconds / dt) {
		s = k.Step(s, in, dt)
		in.Acid, in.Base, in.A, in.B = 0, 0, 0, 0 // one dose
	}
	return s
}

func TestTankKeepsItsPH(t *testing.T) {
	for _, ph := range []float64{3.5, 4.5, 5.85, 6.6, 7.4, 9} {
		k := still()
		s := k.NewTankState(0.9, ph, 1.6, 20)
		s = k.Step(s, sim.TankInputs{Circulating: 1, Air: 20}, 1)
		if math.Abs(s.PH-ph) > 0.002 {
			t.Errorf("after a second: got pH %.4f, want %.4f", s.PH, ph)
		}
	}
}

// TestTankTitrates compares with the buffer capacity worked out by hand: at pH
// 6.35 half of the carbonate is charged, β = 2.303·C/4; phosphate adds
// 2.303·P·α1·α2 around 7.20, water almost nothing.
func TestTankTitrates(t *testing.T) {
	k := still()
	s := k.NewTankState(1, 6.35, 1.6, 20)
	a2 := 1 / (1 + math.Pow(10, 7.20-6.35))
	beta := math.Ln10 * (s.Carbonate/4 + s.Phosphate*a2*(1-a2))
	after := run(k, s, sim.TankInputs{Acid: 10, Circulating: 1, Air: 20}, 5, 1200) // 10 mL of 0.5 meq/mL in 100 L
	want := 6.35 - 0.05/beta
	if math.Abs(after.PH-want) > 0.006 {
		t.Errorf("after 5 meq of acid in 100 L: got pH %.4f, want %.4f (β %.3f)", after.PH, want, beta)
	}
	if got := after.EC - s.EC; math.Abs(got-0.03*5/100) > 1e-5 {
		t.Errorf("EC of the acid: got %.5f more, want %.5f", got, 0.03*5/100.0)
	}
	back := run(k, after, sim.TankInputs{Base: 10, Circulating: 1, Air: 20}, 5, 1200)
	if math.Abs(back.PH-6.35) > 0.03 { // some CO₂ has left meanwhile
		t.Errorf("after as much base: got pH %.4f, want about 6.35", back.PH)
	}
}

func TestTankMixesWithItsTimeConstant(t *testing.T) {
	k := still()
	s := k.NewTankState(1, 6.2, 1.0, 20)
	tau := k.MixFactor * k.Capacity / k.Circulation
	after := run(k, s, sim.TankInputs{A: 10, B: 10, Circulating: 1, Air: 20}, 0.5, tau)
	want := 1.0 + 20*k.StockEC/100*(1-math.Exp(-1))
	if math.Abs(after.EC-want) > 0.001 {
		t.Errorf("after one mixing time: got EC %.4f, want %.4f", after.EC, want)
	}
	if probe := k.ProbeEC(after); probe <= after.EC {
		t.Errorf("the probe near the inlet: got %.4f, want more than the %.4f of the tank", probe, after.EC)
	}
	stagnant := run(k, s, sim.TankInputs{A: 10, B: 10, Air: 20}, 0.5, tau)
	if stagnant.EC > 1.0+0.1*(want-1) {
		t.Errorf("without circulation: got EC %.4f, want it hardly changed", stagnant.EC)
	}
}

// TestTankBalances: salts and water are neither made nor lost.
func TestTankBalances(t *testing.T) {
	k := still()
	s := k.NewTankState(0.9, 6.2, 1.8, 20)
	after := run(k, s, sim.TankInputs{Uptake: 0.01, Circulating: 1, Air: 20}, 5, 86400/4)
	taken := 0.01 * 86400 / 4 / 5
	if got := s.Volume - after.Volume; math.Abs(got-taken) > 1e-6 {
		t.Errorf("water: %.3f L are gone, want %.3f", got, taken)
	}
	if got, want := s.EC*s.Volume-after.EC*after.Volume, taken*k.UptakeEC; math.Abs(got-want) > 0.02*want {
		t.Errorf("salt: %.3f mS/cm·L are gone, want %.3f", got, want)
	}
	if after.PH <= s.PH {
		t.Errorf("pH of a crop fed on nitrate: got %.3f, want it to rise above %.3f", after.PH, s.PH)
	}
}

func TestTankFloatAndLimits(t *testing.T) {
	k := sim.Tank100()
	s := run(k, k.NewTankState(0.2, 6, 2, 20), sim.TankInputs{Circulating: 1, Air: 20}, 5, 3600)
	if math.Abs(s.Volume-90) > 0.5 || s.EC > 1 {
		t.Errorf("the float fills with tap water: got %.1f L of EC %.2f, want 90 L of less than 1", s.Volume, s.EC)
	}
	dry := run(still(), still().NewTankState(0.1, 6, 2, 20), sim.TankInputs{Uptake: 5, Drawn: 5, Circulating: 1, Air: 20}, 5, 600)
	if dry.Volume != 0 || math.IsNaN(dry.PH) || math.IsNaN(dry.EC) {
		t.Errorf("emptied: got %+v, want an empty tank and numbers", dry)
	}
	wild := run(k, s, sim.TankInputs{Acid: 5000, Base: 1, A: 1e4, Circulating: 1, Air: 20}, 5, 7200)
	if !(wild.PH > 0.5 && wild.PH < 3) {
		t.Errorf("5 L of acid: got pH %.2f, want a strong acid", wild.PH)
	}
}

func TestSlab(t *testing.T) {
	b := sim.Slab{Volume: 100, Capacity: 70, ByPass: 0.1}
	s := b.Step(sim.SlabState{Moisture: 60}, 5, 1)
	if math.Abs(s.Moisture-63.5) > 1e-9 || math.Abs(s.Drained-0.5) > 1e-9 {
		t.Errorf("a shot: got %+v, want 63.5 %% and 0.5 L drained", s)
	}
	s = b.Step(s, 20, 0)
	if s.Moisture != 70 || math.Abs(s.Drained-(0.5+2+11.5)) > 1e-9 {
		t.Errorf("too much: got %+v, want 70 %% and 14 L drained", s)
	}
}

func BenchmarkTankStep(b *testing.B) {
	k := sim.Tank100()
	s := k.NewTankState(0.8, 6.5, 1.5, 20)
	for b.Loop() {
		s = k.Step(s, sim.TankInputs{Uptake: 0.002, Circulating: 1, Air: 21}, 15)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Msteps/s")
}
