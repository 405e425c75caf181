package automation

import (
	"fmt"
	"math"

	"greenhouse"
)

// aimNote is a set-point as it was last worded for people.
type aimNote struct {
	value, way float64 // as they are shown
	layer      Layer
	by         string
	text       string
}

// aimedAt returns which set-point the actuators of a role are for.
func (r role) aimedAt() (int, bool) {
	switch r {
	case roleHeater:
		return setHeat, true
	case roleVent, roleFan:
		return setVent, true
	case roleCO2:
		return setCO2, true
	case roleLamp:
		return setDLI, true
	}
	return 0, false
}

// aimed says what the actuators of a role aim at and who says so: "heating 17.4 °C:
// recipe basil v3, phase 2 growth, 60 % of the way there". It is worded anew only
// where a grower would see a difference.
func (st *State) aimed(r role) string {
	i, ok := r.aimedAt()
	p := &st.decision.SetPoints[i]
	if !ok || math.IsNaN(p.Value) {
		return ""
	}
	n := &st.notes[r].aim
	value, way := math.Round(p.Value*10)/10, math.Floor(p.Way*100)
	if n.text != "" && n.value == value && n.way == way && n.layer == p.Layer && n.by == p.By {
		return n.text
	}
	spec, _ := greenhouse.ParseQuantity(string(p.Quantity)) // one of ours
	*n = aimNote{value: value, way: way, layer: p.Layer, by: p.By}
	n.text = fmt.Sprintf("%s %g %s: %s", p.Quantity, value, spec.Unit, p.source())
	if way < 100 {
		n.text += fmt.Sprintf(", %.0f %% of the way there", way)
	}
	return n.text
}

// source words what a set-point comes from.
func (p *SetPointNow) source() string {
	switch p.Layer {
	case LayerDefault:
		return "the dead zone above heating"
	case LayerTarget:
		return "the target of the zone"
	case LayerRecipe:
		return "recipe " + p.By
	case LayerSchedule:
		return "the curve of the zone"
	case LayerSafety:
		return "as far as the limits of the zone allow"
	}
	return string(p.Layer) + " by " + p.By
}
