package sim

import "math"

// Tank holds the parameters of a nutrient tank with its dosing pumps.
type Tank struct {
	Capacity    float64 // L
	Circulation float64 // L/s through the circulation pump; it sets how fast a dose spreads
	MixFactor   float64 // mixing time as a multiple of volume over circulation
	PumpRate    float64 // mL/s of each dosing pump
	AcidNormal  float64 // meq/mL, nitric acid
	BaseNormal  float64 // meq/mL, potassium hydroxide
	StockEC     float64 // (mS/cm·L)/mL of stock A and of stock B
	TapEC       float64 // mS/cm
	TapAlk      float64 // meq/L
	FillRate    float64 // L/s
	FloatLevel  float64 // share of the capacity that the float valve keeps; 0 has none
	UptakeEC    float64 // mS/cm of what the crop takes with its water
	UptakeAlk   float64 // meq the crop gives back a litre of water: nitrate feeding raises the pH
	Near        float64 // share of an unmixed dose that the probe sees
}

// Tank100 is a 100 L recirculating tank on tap water of middling hardness.
func Tank100() Tank {
	return Tank{
		Capacity: 100, Circulation: 0.8, MixFactor: 1.5, PumpRate: 1, AcidNormal: 0.5, BaseNormal: 0.5, StockEC: 0.9,
		TapEC: 0.35, TapAlk: 1, FillRate: 0.08, FloatLevel: 0.9, UptakeEC: 1.5, UptakeAlk: 1.5, Near: 0.15,
	}
}

// TankState is what is in a tank.
type TankState struct {
	Volume    float64 // L
	Alk       float64 // meq/L, acid neutralising capacity (strong-ion difference)
	Carbonate float64 // mmol/L
	Phosphate float64 // mmol/L
	EC        float64 // mS/cm
	Temp      float64 // °C
	PH        float64 // from the charge balance of what is mixed

	AcidPlume float64 // meq not yet mixed
	BasePlume float64 // meq not yet mixed
	SaltPlume float64 // mS/cm·L not yet mixed
}

// TankInputs is what happens to a tank during one step.
type TankInputs struct {
	Acid, Base, A, B float64 // mL delivered during the step
	Uptake           float64 // L the crop took during the step
	Drawn            float64 // L of solution drawn off during the step
	Circulating      float64 // circulation, from 0 to 1
	Fill             float64 // fill valve, from 0 to 1
	Air              float64 // °C around the tank
}

// NewTankState returns a tank filled to the share level, at that pH and EC.
func (k Tank) NewTankState(level, ph, ec, temp float64) TankState {
	s := TankState{Volume: level * k.Capacity, Carbonate: 0.9 * k.TapAlk, Phosphate: 1, EC: ec, Temp: temp, PH: ph}
	s.Alk, _ = charge(ph, s.Carbonate, s.Phosphate)
	return s
}

// Step moves the tank on by dt seconds; steps of 1 to 30 s are fit. It is pure.
func (k Tank) Step(s TankState, in TankInputs, dt float64) TankState {
	s.AcidPlume += in.Acid * k.AcidNormal
	s.BasePlume += in.Base * k.BaseNormal
	s.SaltPlume += (in.A+in.B)*k.StockEC + 0.03*(in.Acid*k.AcidNormal+in.Base*k.BaseNormal)
	s = k.mix(s, in.Circulating, dt)

	v := math.Max(s.Volume, 0.01*k.Capacity)
	takes := math.Min(in.Uptake, s.Volume)
	s.EC = math.Max(0, s.EC+(s.EC-k.UptakeEC)*takes/v)
	s.Alk += (s.Alk + k.UptakeAlk) * takes / v
	s.Carbonate += s.Carbonate * takes / v
	s.Phosphate += s.Phosphate * takes / v
	s.Volume = math.Max(0, s.Volume-takes-in.Drawn)

	s = k.fill(s, in, dt)
	s.Temp += (in.Air - s.Temp) * dt / (6 * 3600)
	s.Carbonate += k.degas(s) * dt
	s.PH = solvePH(s.Alk, s.Carbonate, s.Phosphate, s.PH)
	return s
}

// mix spreads the plumes into the tank. Without circulation only diffusion and
// warmth do it, twenty times more slowly.
func (k Tank) mix(s TankState, circulating, dt float64) TankState {
	tau := k.MixFactor * math.Max(s.Volume, 1) / k.Circulation
	tau /= math.Max(circulating, 0.05)
	share := 1 - math.Exp(-dt/tau)
	v := math.Max(s.Volume, 0.01*k.Capacity)
	s.Alk += share * (s.BasePlume - s.AcidPlume) / v
	s.EC += share * s.SaltPlume / v
	s.AcidPlume -= share * s.AcidPlume
	s.BasePlume -= share * s.BasePlume
	s.SaltPlume -= share * s.SaltPlume
	return s
}

// fill tops the tank up with tap water, by the valve or by the float.
func (k Tank) fill(s TankState, in TankInputs, dt float64) TankState {
	add := k.FillRate * in.Fill * dt
	if s.Volume < k.FloatLevel*k.Capacity {
		add = math.Max(add, math.Min(k.FillRate*dt, k.FloatLevel*k.Capacity-s.Volume))
	}
	if add <= 0 {
		return s
	}
	v := s.Volume + add
	blend := func(have, tap float64) float64 { return (have*s.Volume + tap*add) / v }
	s.EC, s.Alk, s.Carbonate, s.Phosphate = blend(s.EC, k.TapEC), blend(s.Alk, k.TapAlk), blend(s.Carbonate, 1.05*k.TapAlk), blend(s.Phosphate, 0)
	s.Volume = math.Min(v, k.Capacity) // what is too much runs over
	return s
}

// degas returns the rate at which carbonate leaves as CO₂, in mmol/L·s: free CO₂
// tends to what the air holds.
func (k Tank) degas(s TankState) float64 {
	const rate, atEquilibrium = 2e-5, 0.0136
	free := s.Carbonate / (1 + math.Exp(math.Ln10*(s.PH-pKCarbonate1)))
	return -rate * (free - atEquilibrium)
}

// ProbePH returns what a pH probe near the inlet sees.
func (k Tank) ProbePH(s TankState) float64 {
	if s.AcidPlume+s.BasePlume < 1e-6 {
		return s.PH
	}
	near := k.Near * (s.BasePlume - s.AcidPlume) / math.Max(s.Volume, 0.01*k.Capacity)
	return solvePH(s.Alk+near, s.Carbonate, s.Phosphate, s.PH)
}

// ProbeEC returns what an EC probe near the inlet sees, in mS/cm.
func (k Tank) ProbeEC(s TankState) float64 {
	return s.EC + k.Near*s.SaltPlume/math.Max(s.Volume, 0.01*k.Capacity)
}

// The dissociation constants at 25 °C.
const (
	pKCarbonate1 = 6.35
	pKCarbonate2 = 10.33
	pKPhosphate1 = 2.15
	pKPhosphate2 = 7.20
	pKPhosphate3 = 12.35
	pKWater      = 14
)

// charge returns the acid neutralising capacity in meq/L of a solution of that
// pH with c and p mmol/L of carbonate and phosphate, and its slope over pH.
func charge(ph, c, p float64) (anc, slope float64) {
	h := math.Exp(-math.Ln10 * ph)
	carb1, carb2 := math.Exp(math.Ln10*(ph-pKCarbonate1)), math.Exp(math.Ln10*(2*ph-pKCarbonate1-pKCarbonate2))
	meanC, varC := moments(carb1, carb2, 0)
	phos1 := math.Exp(math.Ln10 * (ph - pKPhosphate1))
	phos2 := phos1 * math.Exp(math.Ln10*(ph-pKPhosphate2))
	phos3 := phos2 * math.Exp(math.Ln10*(ph-pKPhosphate3))
	meanP, varP := moments(phos1, phos2, phos3)
	oh := math.Exp(-math.Ln10*pKWater) / h
	return c*meanC + p*meanP + 1000*(oh-h), math.Ln10 * (c*varC + p*varP + 1000*(oh+h))
}

// moments returns mean and variance of the charge of an acid whose ions of
// charge 1, 2 and 3 stand to the undissociated acid as a, b and c to 1. The
// variance times ln 10 is the slope of the mean over pH.
func moments(a, b, c float64) (mean, variance float64) {
	sum := 1 + a + b + c
	mean = (a + 2*b + 3*c) / sum
	return mean, (a+4*b+9*c)/sum - mean*mean
}

// solvePH returns the pH at which the charge balance closes, by Newton's method
// inside a bracket, from a guess.
func solvePH(anc, c, p, guess float64) float64 {
	lo, hi, ph := 0.0, 14.0, clamp(guess, 0.1, 13.9)
	for range 60 {
		have, slope := charge(ph, c, p)
		if have > anc {
			hi = ph
		} else {
			lo = ph
		}
		next := ph - (have-anc)/slope
		if !(next > lo && next < hi) {
			next = (lo + hi) / 2
		}
		if math.Abs(next-ph) < 1e-9 {
			return next
		}
		ph = next
	}
	return ph
}

// Slab holds the parameters of a growing medium, and SlabState its water.
type Slab struct {
	Volume   float64 // L
	Capacity float64 // % of the volume it holds against gravity
	ByPass   float64 // share of each shot that drains at once
}

// SlabState is the water in a slab.
type SlabState struct {
	Moisture float64 // % of the volume
	Drained  float64 // L since the start
}

// Step adds in litres of water and takes out the crop's.
func (b Slab) Step(s SlabState, in, uptake float64) SlabState {
	s.Drained += b.ByPass * in
	s.Moisture = math.Max(2, s.Moisture+100*((1-b.ByPass)*in-uptake)/b.Volume)
	if over := s.Moisture - b.Capacity; over > 0 {
		s.Drained += over * b.Volume / 100
		s.Moisture = b.Capacity
	}
	return s
}
