package server_test

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// level is a target of one value.
func level(v float64) greenhouse.Target { return greenhouse.Target{Day: v, Night: v} }

// threePhases is a recipe with a phase of each kind.
func threePhases() []greenhouse.Phase {
	return []greenhouse.Phase{
		{Name: "rooting", Days: 10, Targets: map[greenhouse.Quantity]greenhouse.Target{greenhouse.Heating: level(20), greenhouse.Venting: level(24)}},
		{Name: "growth", DegreeDays: 300, BaseTemp: 5, Targets: map[greenhouse.Quantity]greenhouse.Target{greenhouse.Venting: level(26)},
			Schedule: map[greenhouse.Quantity]greenhouse.Curve{greenhouse.Heating: {{At: "06:00", Value: 18}, {At: "20:00", Value: 15}}}},
		{Name: "harvest", Targets: map[greenhouse.Quantity]greenhouse.Target{greenhouse.Heating: level(16)}},
	}
}

// recipe makes a recipe of three phases.
func (h *house) recipe(id greenhouse.RecipeID) api.Recipe {
	h.t.Helper()
	return must(h.client.CreateRecipe(h.ctx(), api.CreateRecipeRequest{ID: id, Name: "Truss tomato", Crop: "tomato", Phases: threePhases()}, client.Write{}))(h.t)
}

func TestRecipes(t *testing.T) {
	h := open(t)
	r := h.recipe("tomato")
	if diff := cmp.Diff(threePhases(), r.Phases); diff != "" || r.Version != 1 || r.Name != "Truss tomato" || len(r.Zones) != 0 {
		t.Errorf("as it was made: %+v %s", r, diff)
	}
	if _, err := h.client.CreateRecipe(h.ctx(), api.CreateRecipeRequest{ID: "tomato", Phases: threePhases()}, client.Write{}); !errors.Is(err, greenhouse.ErrConflict) {
		t.Errorf("an id in use: %v", err)
	}
	dry := must(h.client.CreateRecipe(h.ctx(), api.CreateRecipeRequest{ID: "basil", Phases: threePhases()}, client.Write{DryRun: true}))(t)
	if dry.Name != "basil" || dry.Version != 1 {
		t.Errorf("a dry run shows what would be: %+v", dry)
	}
	if _, err := h.client.Recipe(h.ctx(), "basil"); !errors.Is(err, greenhouse.ErrNotFound) {
		t.Errorf("a dry run keeps nothing: %v", err)
	}
	h.recipe("cress")
	r = must(h.client.EditRecipe(h.ctx(), "tomato", api.RecipePatch{Phases: threePhases()[:2]}, client.Write{IfVersion: 1}))(t)
	if len(r.Phases) != 2 || r.Version != 2 || r.Crop != "tomato" {
		t.Errorf("an edit: %+v", r)
	}
	if _, err := h.client.EditRecipe(h.ctx(), "tomato", api.RecipePatch{Name: ptr("x")}, client.Write{IfVersion: 1}); !errors.Is(err, greenhouse.ErrConflict) {
		t.Errorf("a stale edit: %v", err)
	}
	list := must(h.client.Recipes(h.ctx(), client.Page{Limit: 1}))(t)
	if len(list.Items) != 1 || list.Items[0].ID != "cress" || list.Next == "" {
		t.Errorf("the first page: %+v", list)
	}
	if err := h.client.DeleteRecipe(h.ctx(), "cress", client.Write{}); err != nil {
		t.Error(err)
	}
	if _, err := h.client.Recipe(h.ctx(), "cress"); !errors.Is(err, greenhouse.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	if got, want := h.codes(), []string{"recipe_created", "recipe_created", "recipe_edited", "recipe_deleted"}; !cmp.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

// TestRecipesThatNobodyCouldGrowBy: each is refused with its reason, and nothing is
// kept.
func TestRecipesThatNobodyCouldGrowBy(t *testing.T) {
	h := open(t)
	for name, body := range map[string]string{
		"no phases":         `{"id":"x","phases":[]}`,
		"no name":           `{"id":"x","phases":[{"targets":{"heating":20}}]}`,
		"no id":             `{"phases":[{"name":"a","targets":{"heating":20}}]}`,
		"asks for nothing":  `{"id":"x","phases":[{"name":"a","days":3}]}`,
		"names twice":       `{"id":"x","phases":[{"name":"a","targets":{"heating":20}},{"name":"a","targets":{"heating":20}}]}`,
		"days and warmth":   `{"id":"x","phases":[{"name":"a","days":3,"degree_days":5,"targets":{"heating":20}}]}`,
		"backwards":         `{"id":"x","phases":[{"name":"a","days":-3,"targets":{"heating":20}}]}`,
		"half a day":        `{"id":"x","phases":[{"name":"a","days":1.5,"targets":{"heating":20}}]}`,
		"too warm":          `{"id":"x","phases":[{"name":"a","targets":{"heating":60}}]}`,
		"unknown quantity":  `{"id":"x","phases":[{"name":"a","targets":{"humidity":60}}]}`,
		"unknown field":     `{"id":"x","phases":[{"name":"a","day":3,"targets":{"heating":20}}]}`,
		"unknown in target": `{"id":"x","phases":[{"name":"a","targets":{"heating":{"day":20,"evening":18}}}]}`,
		"inverted":          `{"id":"x","phases":[{"name":"a","targets":{"heating":20,"venting":20.5}}]}`,
		"inverted curve":    `{"id":"x","phases":[{"name":"a","targets":{"venting":22},"schedule":{"heating":["06:00=18","12:00=21.5"]}}]}`,
		"no curve":          `{"id":"x","phases":[{"name":"a","schedule":{"dli":["06:00=18"]}}]}`,
		"no knot":           `{"id":"x","phases":[{"name":"a","schedule":{"heating":["06:00"]}}]}`,
		"base alone":        `{"id":"x","phases":[{"name":"a","base_temp_c":5,"targets":{"heating":20}}]}`,
		"a bell in a name":  "{\"id\":\"x\",\"phases\":[{\"name\":\"a\\u0007\",\"targets\":{\"heating\":20}}]}",
	} {
		resp, text := h.raw(rawRequest{method: http.MethodPost, path: api.PathRecipes, body: body, header: http.Header{"Content-Type": {"application/json"}}})
		var p api.Problem
		if err := json.Unmarshal([]byte(text), &p); err != nil || resp.StatusCode != http.StatusBadRequest || p.Code == "" || p.Detail == "" {
			t.Errorf("%s: got %d %s, want it refused with a reason", name, resp.StatusCode, text)
		}
	}
	if n := len(must(h.client.Recipes(h.ctx(), client.Page{}))(t).Items) + len(h.codes()); n != 0 {
		t.Errorf("%d recipes and events, want none", n)
	}
}

func TestGrowingByARecipe(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.recipe("tomato")
	h.recipe("cress")
	today := greenhouse.DateOf(time.Now().UTC())
	z := must(h.client.StartRecipe(h.ctx(), "north", api.StartRecipeRequest{Recipe: "tomato", Planted: today.Add(-12)}, client.Write{}))(t)
	got := z.Recipe
	if got == nil || got.Phase != 2 || got.PhaseName != "growth" || got.Day != 3 || got.Age != 12 || got.From != today.Add(-2) || got.Ramp != 1 || !strings.HasPrefix(got.Text, "tomato v1, phase 2 growth, day 3, 0 of 300 °C·d") {
		t.Fatalf("the planting date leads to the phase: %+v", got)
	}
	if _, err := h.client.StartRecipe(h.ctx(), "north", api.StartRecipeRequest{Recipe: "tomato"}, client.Write{}); !errors.Is(err, greenhouse.ErrConflict) {
		t.Errorf("a second recipe: %v", err)
	}
	h.must(h.client.EditRecipe(h.ctx(), "tomato", api.RecipePatch{Phases: threePhases()[:1]}, client.Write{}))
	if run := must(h.client.Run(h.ctx(), "north"))(t); len(run.Plan) != 3 || run.Recipe != "tomato" || run.RunStatus.Version != 1 || run.Version != z.Version {
		t.Errorf("an edit changes nothing that is under way: %+v", run)
	}
	if run := must(h.client.Run(h.ctx(), "north"))(t); len(run.Ahead) != 0 {
		t.Errorf("nobody knows when it will have been warm enough: %+v", run.Ahead)
	}
	if err := h.client.DeleteRecipe(h.ctx(), "tomato", client.Write{}); !errors.Is(err, greenhouse.ErrConflict) || !strings.Contains(err.Error(), "zone north grows by it") {
		t.Errorf("a recipe in use deleted: %v", err)
	}
	if r := must(h.client.Recipe(h.ctx(), "tomato"))(t); len(r.Zones) != 1 || r.Zones[0] != "north" {
		t.Errorf("where it grows: %+v", r.Zones)
	}
	h.must(h.client.StartRecipe(h.ctx(), h.zone("south").ID, api.StartRecipeRequest{Recipe: "cress"}, client.Write{}))
	for days, want := range map[int]float64{1: 20, 9: 20, 12: 18} { // the second phase begins on the tenth day, and takes one
		p := must(h.client.ZonePlan(h.ctx(), "south", string(today.Add(days))))(t)
		if got := *p.Courses[0].Levels[15*12]; math.Abs(got-want) > 1e-9 {
			t.Errorf("planned for 15:00 in %d days: %v, want %v", days, got, want)
		}
	}
	if run := must(h.client.Run(h.ctx(), "south"))(t); len(run.Ahead) != 1 || run.Ahead[0].Phase != 2 || run.Ahead[0].From != today.Add(10) {
		t.Errorf("what is ahead: %+v", run.Ahead)
	}
	h.must(h.client.StopRecipe(h.ctx(), "south", false, client.Write{}))
	z = must(h.client.AdvanceRecipe(h.ctx(), "north", 0, client.Write{Reason: "heads are closed", IfVersion: z.Version}))(t)
	if z.Recipe.Phase != 3 || z.Recipe.Ramp > 0.01 || z.Recipe.Day != 1 {
		t.Errorf("the next phase, and the ramp to it: %+v", z.Recipe)
	}
	if _, err := h.client.AdvanceRecipe(h.ctx(), "north", 0, client.Write{}); !errors.Is(err, greenhouse.ErrConflict) {
		t.Errorf("beyond the last phase: %v", err)
	}
	if _, err := h.client.AdvanceRecipe(h.ctx(), "north", 4, client.Write{}); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("a phase there is not: %v", err)
	}
	run := must(h.client.Run(h.ctx(), "north"))(t)
	if n := len(run.Changes); n != 2 || run.Changes[1].Why != "heads are closed" || !strings.HasPrefix(run.Changes[1].By, "uid:") {
		t.Errorf("the changes: %+v", run.Changes)
	}
	h.must(h.client.AdvanceRecipe(h.ctx(), "north", 1, client.Write{}))
	z = must(h.client.StopRecipe(h.ctx(), "north", true, client.Write{}))(t)
	if z.Recipe != nil || z.Targets[greenhouse.Heating] != level(20) || z.Targets[greenhouse.Venting] != level(24) {
		t.Errorf("kept: %+v %+v", z.Recipe, z.Targets)
	}
	for name, err := range map[string]error{
		"stop": second(h.client.StopRecipe(h.ctx(), "north", false, client.Write{})), "advance": second(h.client.AdvanceRecipe(h.ctx(), "north", 0, client.Write{})),
		"get": second(h.client.Run(h.ctx(), "north")), "unknown": second(h.client.StartRecipe(h.ctx(), "north", api.StartRecipeRequest{Recipe: "rice"}, client.Write{})),
	} {
		if !errors.Is(err, greenhouse.ErrNotFound) {
			t.Errorf("%s where nothing grows: %v", name, err)
		}
	}
	if got, want := h.codes(), []string{"zone_created", "recipe_created", "recipe_created", "recipe_started", "recipe_edited", "zone_created", "recipe_started", "recipe_ended", "phase_changed", "phase_changed", "recipe_ended"}; !cmp.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

// second drops the value of an answer.
func second[T any](_ T, err error) error { return err }

func TestStartsThatMakeNoSense(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.recipe("tomato")
	tomorrow := greenhouse.DateOf(time.Now().UTC()).Add(1)
	for name, r := range map[string]api.StartRecipeRequest{
		"not yet planted": {Recipe: "tomato", Planted: tomorrow}, "no date": {Recipe: "tomato", Planted: "spring"}, "ages ago": {Recipe: "tomato", Planted: "1999-01-01"},
		"no such phase": {Recipe: "tomato", Phase: 4}, "before the first": {Recipe: "tomato", Phase: -1}, "no recipe": {},
	} {
		if _, err := h.client.StartRecipe(h.ctx(), "north", r, client.Write{}); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
	// The curve of the zone stands above the recipe: with it venting would be too near.
	h.must(h.client.SetCurve(h.ctx(), "north", greenhouse.Heating, greenhouse.Curve{{At: "06:00", Value: 23.5}}, client.Write{}))
	if _, err := h.client.StartRecipe(h.ctx(), "north", api.StartRecipeRequest{Recipe: "tomato"}, client.Write{}); !errors.Is(err, greenhouse.ErrInvalid) || !strings.Contains(err.Error(), "phase 1, rooting") {
		t.Errorf("inverted with the curve of the zone: %v", err)
	}
	h.must(h.client.ClearCurve(h.ctx(), "north", greenhouse.Heating, client.Write{}))
	h.must(h.client.StartRecipe(h.ctx(), "north", api.StartRecipeRequest{Recipe: "tomato"}, client.Write{}))
	if _, err := h.client.SetCurve(h.ctx(), "north", greenhouse.Heating, greenhouse.Curve{{At: "06:00", Value: 23.5}}, client.Write{}); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("a curve inverted with a phase: %v", err)
	}
	if z := must(h.client.Zone(h.ctx(), "north"))(t); len(z.Schedule) != 0 || z.Recipe == nil {
		t.Errorf("refused edits change nothing: %+v", z)
	}
}

func TestRecipesNeedTheDate(t *testing.T) {
	h := open(t)
	h.world.clock = greenhouse.Clock{State: greenhouse.ClockUnset, Text: "nobody set it"}
	h.zone("north")
	h.recipe("tomato")
	if _, err := h.client.StartRecipe(h.ctx(), "north", api.StartRecipeRequest{Recipe: "tomato"}, client.Write{}); !errors.Is(err, greenhouse.ErrUnavailable) {
		t.Errorf("got %v, want it to wait for the clock", err)
	}
}

func TestWhoMayGrow(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.recipe("tomato")
	viewer, operator, grower := h.as(api.RoleViewer), h.as(api.RoleOperator), h.as(api.RoleGrower)
	if _, err := viewer.Recipe(h.ctx(), "tomato"); err != nil {
		t.Errorf("everybody reads: %v", err)
	}
	if _, err := operator.StartRecipe(h.ctx(), "north", api.StartRecipeRequest{Recipe: "tomato"}, client.Write{}); !errors.Is(err, greenhouse.ErrForbidden) {
		t.Errorf("an operator: %v", err)
	}
	if err := operator.DeleteRecipe(h.ctx(), "tomato", client.Write{}); !errors.Is(err, greenhouse.ErrForbidden) {
		t.Errorf("an operator: %v", err)
	}
	h.must(grower.StartRecipe(h.ctx(), "north", api.StartRecipeRequest{Recipe: "tomato"}, client.Write{}))
	h.must(grower.EditRecipe(h.ctx(), "tomato", api.RecipePatch{Name: ptr("Tomato")}, client.Write{}))
	h.must(grower.AdvanceRecipe(h.ctx(), "north", 0, client.Write{}))
	h.must(grower.StopRecipe(h.ctx(), "north", false, client.Write{}))
	if err := grower.DeleteRecipe(h.ctx(), "tomato", client.Write{}); err != nil {
		t.Errorf("a grower: %v", err)
	}
}
