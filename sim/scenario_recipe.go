package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"greenhouse"
)

// RecipeSpec is the recipe that the zone of a scenario grows by, planted on the date
// of the start.
type RecipeSpec struct {
	ID     greenhouse.RecipeID `json:"id"`
	Phases []greenhouse.Phase  `json:"phases"` // as in a recipe
}

// UnmarshalYAML reads it as recipes are read.
func (r *RecipeSpec) UnmarshalYAML(n *yaml.Node) error {
	var plain any
	if err := n.Decode(&plain); err != nil {
		return lineError(n, err)
	}
	raw, err := json.Marshal(plain)
	if err != nil {
		return lineError(n, err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	type fields RecipeSpec
	if err := d.Decode((*fields)(r)); err != nil {
		return lineError(n, fmt.Errorf("recipe: %s", strings.TrimPrefix(err.Error(), "json: ")))
	}
	return nil
}

// recipe returns the record that people would make of it, nil for none.
func (r *RecipeSpec) recipe() *greenhouse.Recipe {
	if r.ID == "" && len(r.Phases) == 0 {
		return nil
	}
	return &greenhouse.Recipe{ID: r.ID, Phases: r.Phases, Meta: greenhouse.Meta{Version: 1}}
}

// checkRecipe refuses a recipe that nobody could grow by, and steps to phases that it
// has not.
func (s *Scenario) checkRecipe() error {
	recipe := s.Zone.Recipe.recipe()
	if recipe != nil {
		if err := recipe.Check(); err != nil {
			return err
		}
	}
	for i := range s.Timeline {
		if a := &s.Timeline[i]; a.Advance != "" && s.Zone.Recipe.phase(a.Advance) == 0 {
			return fmt.Errorf("line %d: the recipe has no phase %q", a.line, a.Advance)
		}
	}
	return nil
}

// phase returns the number of a phase, 0 for one that there is not.
func (r *RecipeSpec) phase(name string) int {
	for i, p := range r.Phases {
		if p.Name == name {
			return i + 1
		}
	}
	return 0
}

// grower is who starts and advances recipes in scenarios.
const grower = "grower"

// plant puts the zone on its recipe.
func (s *Scenario) plant(z *greenhouse.Zone, start time.Time) (err error) {
	if recipe := s.Zone.Recipe.recipe(); recipe != nil {
		today := greenhouse.DateOf(start)
		z.Run, err = greenhouse.StartRecipe(recipe, today, 0, today, greenhouse.MillisOf(start), grower)
	}
	return err
}
