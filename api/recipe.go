package api

import "greenhouse"

// Recipe is how a crop is grown, phase by phase.
type Recipe struct {
	ID greenhouse.RecipeID `json:"id"`
	RecipeSpec
	Zones []greenhouse.ZoneID `json:"zones" doc:"that grow by it now, each by the version it was started with"`
	Meta
}

// RecipeSpec is the part of a recipe that people set; a PATCH of a recipe is a merge
// patch of it, in which phases replace all phases.
type RecipeSpec struct {
	Name   string             `json:"name"`
	Crop   string             `json:"crop,omitempty"`
	Phases []greenhouse.Phase `json:"phases" doc:"1 to 32, one after the other; each ends after days, after degree_days, or, with neither, at a person's word"`
}

// RecipePatch is a merge patch of [RecipeSpec]; a nil field stays.
type RecipePatch struct {
	Name   *string            `json:"name,omitempty"`
	Crop   *string            `json:"crop,omitempty"`
	Phases []greenhouse.Phase `json:"phases,omitempty" doc:"all of them"`
}

// CreateRecipeRequest creates a recipe.
type CreateRecipeRequest struct {
	ID     greenhouse.RecipeID `json:"id"`
	Name   string              `json:"name,omitempty" doc:"the id if absent"`
	Crop   string              `json:"crop,omitempty"`
	Phases []greenhouse.Phase  `json:"phases"`
}

// StartRecipeRequest puts a zone on a recipe.
type StartRecipeRequest struct {
	Recipe  greenhouse.RecipeID `json:"recipe"`
	Planted greenhouse.Date     `json:"planted,omitempty" doc:"2026-03-01; today if absent"`
	Phase   int                 `json:"phase,omitempty" doc:"begins today; absent: the one that the planting date leads to"`
}

// AdvanceRequest takes a zone to another phase of its recipe.
type AdvanceRequest struct {
	Phase int `json:"phase,omitempty" doc:"1 is the first; absent: the next"`
}

// StopRecipeRequest takes a zone off its recipe.
type StopRecipeRequest struct {
	Keep bool `json:"keep,omitempty" doc:"what the phase asks for becomes targets and curves of the zone"`
}

// RecipeStatus is how far a zone is on its recipe.
type RecipeStatus struct {
	greenhouse.RunStatus
	Ramp float64 `json:"ramp" doc:"share of the 24-h ramp to the set-points of the phase that is done; 1: there"`
	Text string  `json:"text" doc:"the same in words"`
}

// RecipeRun is the recipe a zone grows by: a copy as it was at the start, and how
// far it is.
type RecipeRun struct {
	Zone greenhouse.ZoneID `json:"zone"`
	RecipeStatus
	StartedAt greenhouse.Millis        `json:"started_at"`
	StartedBy string                   `json:"started_by"`
	Changes   []greenhouse.PhaseChange `json:"changes" doc:"of phase, oldest first"`
	Ahead     []greenhouse.PhaseChange `json:"ahead" doc:"phases foreseen to begin: by days, and by warmth as warm as it was; none beyond a phase that waits for a person"`
	Plan      []greenhouse.Phase       `json:"plan" doc:"the phases as they were at the start"`
	Version   uint64                   `json:"version" doc:"of the zone"`
}
