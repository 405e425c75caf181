package greenhouse

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// RecipeID names a recipe: [a-z][a-z0-9-]{0,39}.
type RecipeID string

// ParseRecipeID returns s as the id of a recipe.
func ParseRecipeID(s string) (RecipeID, error) {
	if !isName(s, 40, '-') {
		return "", Invalid("recipe_invalid", "recipe %q is not a name: it needs a letter a-z, then up to 39 of a-z 0-9 -", s)
	}
	return RecipeID(s), nil
}

// Recipe is how a crop is grown: phases, one after the other, each with its
// set-points. A zone that is started on it takes a copy, so that an edit changes
// nothing that is under way.
type Recipe struct {
	ID     RecipeID `json:"id"`
	Name   string   `json:"name"`
	Crop   string   `json:"crop,omitempty"`
	Phases []Phase  `json:"phases"`
	Meta
}

// Phase is a part of a recipe. It ends after so many days, or once it was warm for
// long enough, or, where neither is said, when a person says so. What it does not
// name stays as the zone itself has it.
type Phase struct {
	Name       string              `json:"name"`
	Days       int                 `json:"days,omitempty"`        // local dates it lasts
	DegreeDays float64             `json:"degree_days,omitempty"` // °C·d by which the mean of each date exceeds BaseTemp, summed up
	BaseTemp   float64             `json:"base_temp_c,omitempty"` // °C below which the crop does not develop; 0
	Targets    map[Quantity]Target `json:"targets,omitempty"`
	Schedule   map[Quantity]Curve  `json:"schedule,omitempty"` // curves over the day; they stand above its targets
}

// The bounds of a recipe.
const (
	MaxPhases     = 32
	MaxPhaseDays  = 1000
	MaxDegreeDays = 20_000 // °C·d
)

// Says reports whether the phase asks for anything of a quantity.
func (p *Phase) Says(q Quantity) bool {
	_, target := p.Targets[q]
	return target || len(p.Schedule[q]) > 0
}

// Check refuses a recipe that nobody could grow by, with [ErrInvalid]. Curves of
// venting and heating that come too near to each other are for those who know the
// sun to find.
func (r *Recipe) Check() error {
	if _, err := ParseRecipeID(string(r.ID)); err != nil {
		return err
	}
	for field, text := range map[string]string{"name": r.Name, "crop": r.Crop} {
		if !printable(text, 128) {
			return Invalid("recipe_invalid", "the %s of recipe %s is %q: it takes up to 128 bytes that can be printed", field, r.ID, text)
		}
	}
	if len(r.Phases) == 0 || len(r.Phases) > MaxPhases {
		return Invalid("recipe_invalid", "recipe %s has %d phases: it takes 1 to %d", r.ID, len(r.Phases), MaxPhases)
	}
	return CheckPhases(r.Phases)
}

// CheckPhases refuses phases that do not follow the laws.
func CheckPhases(phases []Phase) error {
	seen := map[string]int{}
	for i := range phases {
		p := &phases[i]
		if p.Name == "" || !printable(p.Name, 64) || p.Name != strings.TrimSpace(p.Name) {
			return Invalid("phase_invalid", "phase %d has the name %q: it takes 1 to 64 bytes that can be printed", i+1, p.Name)
		}
		if first, twice := seen[p.Name]; twice {
			return Invalid("phase_invalid", "phases %d and %d are both named %s", first, i+1, p.Name)
		}
		seen[p.Name] = i + 1
		if err := p.check(i + 1); err != nil {
			return err
		}
	}
	return nil
}

// check refuses one phase, the nth.
func (p *Phase) check(n int) error {
	switch {
	case p.Days < 0 || p.Days > MaxPhaseDays:
		return Invalid("phase_invalid", "phase %d, %s, lasts %d days: it takes 1 to %d, or none", n, p.Name, p.Days, MaxPhaseDays)
	case !(p.DegreeDays >= 0 && p.DegreeDays <= MaxDegreeDays):
		return Invalid("phase_invalid", "phase %d, %s, lasts %v degree-days: it takes up to %v, or none", n, p.Name, p.DegreeDays, MaxDegreeDays)
	case p.Days > 0 && p.DegreeDays > 0:
		return Invalid("phase_invalid", "phase %d, %s, lasts for days and for degree-days: give one of them", n, p.Name)
	case !(p.BaseTemp >= -10 && p.BaseTemp <= 30):
		return Invalid("phase_invalid", "phase %d, %s, has base_temp_c %v: it takes -10 to 30 °C", n, p.Name, p.BaseTemp)
	case p.BaseTemp != 0 && p.DegreeDays == 0:
		return Invalid("phase_invalid", "phase %d, %s, has base_temp_c but no degree_days", n, p.Name)
	case len(p.Targets)+len(p.Schedule) == 0:
		return Invalid("phase_invalid", "phase %d, %s, asks for nothing", n, p.Name).WithHint("give it targets or a schedule")
	}
	for q, t := range p.Targets {
		spec, err := ParseQuantity(string(q))
		if err != nil {
			return err
		}
		for _, v := range [...]float64{t.Day, t.Night} {
			if math.IsNaN(v) || v < spec.Min || v > spec.Max {
				return Invalid("target_invalid", "phase %d, %s: %s is %v: it takes %v to %v %s", n, p.Name, q, v, spec.Min, spec.Max, spec.Unit)
			}
		}
	}
	for q, c := range p.Schedule {
		if err := c.Check(q); err != nil {
			return err
		}
	}
	heat, heats := p.Targets[Heating]
	vent, vents := p.Targets[Venting]
	if heats && vents && (vent.Day < heat.Day+1 || vent.Night < heat.Night+1) {
		return Invalid("targets_inverted", "phase %d, %s, would vent from %v by day and %v by night, and heat below %v and %v: venting must lie at least 1 K above heating",
			n, p.Name, vent.Day, vent.Night, heat.Day, heat.Night)
	}
	return nil
}

// printable reports whether s is at most limit bytes that can be shown.
func printable(s string, limit int) bool {
	return len(s) <= limit && utf8.ValidString(s) && strings.IndexFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) < 0
}
