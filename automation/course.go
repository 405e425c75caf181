package automation

import (
	"math"
	"slices"
	"time"

	"greenhouse"
)

// The quantities that are controlled, in the order of [SetPoints]: those whose
// set-points move over the day, then those with one for day and one for night.
const (
	setHeat = iota
	setVent
	setRH
	setVPD
	setCO2
	setHD
	setDLI
	setPoints
)

// setQuantity returns the quantity of a place in [SetPoints].
func setQuantity(i int) greenhouse.Quantity {
	return [setPoints]greenhouse.Quantity{greenhouse.Heating, greenhouse.Venting, greenhouse.HumidityMax, greenhouse.TargetVPD, greenhouse.TargetCO2,
		greenhouse.TargetHD, greenhouse.DLI}[i]
}

// SetPoints are the set-points of heating, venting, humidity_max, vpd, co2,
// humidity_deficit and dli.
type SetPoints [setPoints]SetPointNow

// Layer is what a set-point comes from. A later one wins over an earlier one, but
// an offset adds to what it finds.
type Layer string

// The layers of the precedence stack, weakest first.
const (
	LayerNone     Layer = ""         // nobody asked for anything
	LayerDefault  Layer = "default"  // from another set-point: venting lies a dead zone above heating
	LayerTarget   Layer = "target"   // the level of day or night
	LayerRecipe   Layer = "recipe"   // what the phase of the recipe asks for, or the way there
	LayerSchedule Layer = "schedule" // a curve over the day
	LayerOffset   Layer = "offset"   // what a grower adds, for a time
	LayerHold     Layer = "hold"     // a value that takes its place, for a time
	LayerSafety   Layer = "safety"   // what the limits of the zone leave of it
)

// SetPointNow is one set-point as it stands.
type SetPointNow struct {
	Quantity greenhouse.Quantity
	Value    float64           // NaN if nobody asked for anything
	Base     float64           // what target, recipe or schedule alone ask for
	Layer    Layer             // what decided
	By       string            // who, of an offset or a hold; which recipe and phase
	Until    greenhouse.Millis // when that ends by itself; 0: nothing of the kind stands
	Way      float64           // share of the way to the level of the phase that is done; 1: there, or no recipe
}

// course is what the set-points of a zone follow on one date: its stages with their
// curves, worked out for that date and those around it.
type course struct {
	zone   *greenhouse.Zone
	date   int64
	stages []stage // oldest first; the last is in force
}

// look works the curves out, unless they hold already. Stages whose ramps were over
// before the date are left out.
func (c *course) look(cal *calendar, s *Schedule, z *greenhouse.Zone) {
	c.bind(z)
	if c.date == cal.from {
		return
	}
	c.date = cal.from
	first := 0
	for k := range c.stages {
		if c.share(k, cal.from) >= 1 {
			first = k
		}
	}
	c.stages = slices.Delete(c.stages, 0, first)
	for k := range c.stages {
		st := &c.stages[k]
		for i := range st.stops {
			st.stops[i] = nil
			if knots := st.zone.Schedule[setQuantity(i)]; len(knots) > 0 {
				st.stops[i] = s.stops(setQuantity(i), knots, time.UnixMilli(cal.from).In(s.Location))
			}
		}
	}
}

// stops works out when the knots of a curve come on a local date, the one before
// and the one after it. A knot never comes before the one above it in the list,
// nor after the first of the next date.
func (s *Schedule) stops(q greenhouse.Quantity, knots greenhouse.Curve, date time.Time) []stop {
	y, m, d := date.Date()
	stops := make([]stop, 0, 3*len(knots))
	usualUp, usualDown := q.Ramps()
	for day := -1; day <= 1; day++ {
		noon := time.Date(y, m, d+day, 12, 0, 0, 0, s.Location)
		at, first := int64(math.MinInt64), len(stops)
		for _, k := range knots {
			e, err := k.At.Parse()
			if err != nil {
				continue // the registry refuses it
			}
			up, down := usualUp, usualDown
			if k.Ramp > 0 {
				up, down = k.Ramp, k.Ramp
			}
			at = max(at, s.at(e, noon).UnixMilli())
			stops = append(stops, stop{at: at, value: k.Value, up: up, down: down})
		}
		for i := first - 1; i >= 0 && first < len(stops) && stops[i].at > stops[first].at; i-- {
			stops[i].at = stops[first].at
		}
	}
	return stops
}

// points works out all set-points at ms.
func (c *course) points(dst *SetPoints, cal *calendar, z *greenhouse.Zone, t tuning, ms int64, day, trusted bool) {
	for i := range dst {
		dst[i] = c.point(i, cal, z, ms, day, trusted)
	}
	heat, vent := &dst[setHeat], &dst[setVent]
	if vent.Layer == LayerNone && !math.IsNaN(heat.Value) {
		*vent = SetPointNow{Quantity: greenhouse.Venting, Value: heat.Value + t.DeadZone, Base: heat.Base + t.DeadZone, Layer: LayerDefault, Way: 1}
	}
	heat.within(math.Inf(-1), t.HeatLimit-limitRoom)
	vent.within(heat.Value+leastDeadZone, t.HeatLimit)
	dst[setCO2].within(math.Inf(-1), t.CO2Max)
}

// limitRoom is how far below the heat limit the set-point of heating stays, K.
const limitRoom = 2.0

// within keeps a set-point from the limits of the zone.
func (p *SetPointNow) within(least, most float64) {
	if v := min(max(p.Value, least), most); !math.IsNaN(p.Value) && v != p.Value && !math.IsNaN(v) {
		p.Value, p.Layer = v, LayerSafety
	}
}

// point works out one set-point by its layers. Without a trusted clock nothing
// that depends on the time of day counts, nor does an adjustment, for nobody
// knows when it ends.
func (c *course) point(i int, cal *calendar, z *greenhouse.Zone, ms int64, day, trusted bool) SetPointNow {
	q := setQuantity(i)
	p := SetPointNow{Quantity: q, Way: 1}
	if trusted {
		p.Value = c.blend(ms, func(st *stage) float64 { return st.level(i, cal, ms, day) })
	} else {
		p.Value = c.now().cautious(i, day)
	}
	p.Base = p.Value
	if !math.IsNaN(p.Value) {
		p.Layer, p.By, p.Way = c.owner(q, ms, trusted)
	}
	if a, ok := z.Offsets[q]; ok && trusted && a.Stands(greenhouse.Millis(ms)) && p.Layer != LayerNone {
		p.Value, p.Layer, p.By, p.Until = p.Value+a.Value, LayerOffset, a.By, a.ExpiresAt
	}
	if a, ok := z.Holds[q]; ok && trusted && a.Stands(greenhouse.Millis(ms)) {
		p.Value, p.Layer, p.By, p.Until = a.Value, LayerHold, a.By, a.ExpiresAt
	}
	return p
}

// owner says which of the lower layers a set-point comes from: the curve of the
// zone, the recipe as long as it speaks or leads away from where it spoke, or the
// target of the zone. Way is how far a ramp has come.
func (c *course) owner(q greenhouse.Quantity, ms int64, trusted bool) (l Layer, by string, way float64) {
	k := len(c.stages) - 1
	for trusted && k > 0 && c.share(k, ms) <= 0 {
		k-- // not yet begun
	}
	st, way := &c.stages[k], 1.0
	if trusted {
		way = c.share(k, ms)
	}
	speaks := func(st *stage) bool { return st.phase != nil && st.phase.Says(q) }
	switch {
	case len(c.zone.Schedule[q]) > 0:
		return LayerSchedule, "", 1
	case speaks(st), k > 0 && way < 1 && speaks(&c.stages[k-1]):
		return LayerRecipe, st.name, way
	}
	return LayerTarget, "", 1
}

// cautious returns the level of a curve for when nobody knows the time: heat a
// little below the highest, vents at the highest, the lowest of all else.
func cautious(q greenhouse.Quantity, c greenhouse.Curve) float64 {
	lo, hi := c[0].Value, c[0].Value
	for _, k := range c {
		lo, hi = min(lo, k.Value), max(hi, k.Value)
	}
	switch q {
	case greenhouse.Heating:
		return hi - 1
	case greenhouse.Venting:
		return hi
	}
	return lo
}
