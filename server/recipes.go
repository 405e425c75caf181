package server

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/automation"
	"greenhouse/store"
)

func (s *Server) mountRecipes(m *mount) {
	handle(m, "recipe-list", s.listRecipes)
	handle(m, "recipe-get", s.getRecipe)
	handle(m, "recipe-create", s.createRecipe)
	handle(m, "recipe-edit", s.editRecipe, patchOf[api.RecipePatch](m))
	handle(m, "recipe-delete", s.deleteRecipe)
	handle(m, "recipe-run", s.getRun)
	handle(m, "recipe-start", s.startRecipe)
	handle(m, "recipe-advance", s.advanceRecipe)
	handle(m, "recipe-stop", s.stopRecipe)
}

// recipeFrom finds the recipe of a path or of a request.
func recipeFrom(reg *store.Registry, id string) (*greenhouse.Recipe, error) {
	rid, err := greenhouse.ParseRecipeID(id)
	if err != nil {
		return nil, err
	}
	r, ok := reg.Recipes[rid]
	if !ok {
		return nil, greenhouse.NotFound("recipe", id).WithHint("greenctl recipe list")
	}
	return r, nil
}

func recipeView(reg *store.Registry, r *greenhouse.Recipe) api.Recipe {
	zones := reg.RecipeZones(r.ID)
	if zones == nil {
		zones = []greenhouse.ZoneID{}
	}
	return api.Recipe{ID: r.ID, RecipeSpec: recipeSpec(r), Zones: zones, Meta: meta(r.Meta)}
}

func recipeSpec(r *greenhouse.Recipe) api.RecipeSpec {
	return api.RecipeSpec{Name: r.Name, Crop: r.Crop, Phases: r.Phases}
}

func (s *Server) listRecipes(_ context.Context, in *PageParams) (*out[api.List[api.Recipe]], error) {
	reg := s.Store.Registry()
	list, err := page(*in, reg.Recipes, func(*greenhouse.Recipe) bool { return true }, func(r *greenhouse.Recipe) api.Recipe { return recipeView(reg, r) })
	return &out[api.List[api.Recipe]]{Body: list}, err
}

func (s *Server) getRecipe(_ context.Context, in *IDParam) (*out[api.Recipe], error) {
	reg := s.Store.Registry()
	r, err := recipeFrom(reg, in.ID)
	if err != nil {
		return nil, err
	}
	return &out[api.Recipe]{ETag: etag(r.Version), Body: recipeView(reg, r)}, nil
}

// recipe shows a recipe as it is in the transaction.
func (w *write) recipe(r *greenhouse.Recipe) api.Recipe { return recipeView(w.tx.Registry(), r) }

// checkRecipe refuses a recipe that cannot be grown by at this site.
func (s *Server) checkRecipe(reg *store.Registry, r *greenhouse.Recipe) error {
	return automation.CheckRecipe(r, &reg.Site, s.location(), s.now().Year())
}

func (s *Server) createRecipe(ctx context.Context, in *struct {
	WriteParams
	Body api.CreateRecipeRequest
}) (*out[api.Recipe], error) {
	r := greenhouse.Recipe{ID: in.Body.ID, Name: in.Body.Name, Crop: in.Body.Crop, Phases: in.Body.Phases}
	o, err := change(ctx, s, in.WriteParams, "recipe-create", in.Body, func(w *write) (api.Recipe, error) {
		if err := s.checkRecipe(w.tx.Registry(), &r); err != nil {
			return api.Recipe{}, err
		}
		made, err := w.tx.CreateRecipe(r)
		if err != nil {
			return api.Recipe{}, err
		}
		w.event("recipe_created", greenhouse.RecipeSource(made.ID), nil, made, nil)
		return w.recipe(&made), nil
	})
	return tagged(o, err, func(r api.Recipe) uint64 { return r.Version })
}

func (s *Server) editRecipe(ctx context.Context, in *struct {
	IDParam
	WriteParams
	RawBody []byte `contentType:"application/merge-patch+json"`
}) (*out[api.Recipe], error) {
	version, err := in.version(true)
	if err != nil {
		return nil, err
	}
	o, err := change(ctx, s, in.WriteParams, "recipe-edit", []any{in.ID, json.RawMessage(in.RawBody)}, func(w *write) (api.Recipe, error) {
		before, err := recipeFrom(w.tx.Registry(), in.ID)
		if err != nil {
			return api.Recipe{}, err
		}
		after, err := w.tx.EditRecipe(before.ID, version, func(r *greenhouse.Recipe) error {
			spec := recipeSpec(r)
			if err := mergeInto(&spec, in.RawBody); err != nil {
				return err
			}
			r.Name, r.Crop, r.Phases = spec.Name, spec.Crop, spec.Phases
			return s.checkRecipe(w.tx.Registry(), r)
		})
		if err != nil {
			return api.Recipe{}, showStale(err, w.recipe)
		}
		w.event("recipe_edited", greenhouse.RecipeSource(before.ID), before, after, nil)
		return w.recipe(&after), nil
	})
	return tagged(o, err, func(r api.Recipe) uint64 { return r.Version })
}

func (s *Server) deleteRecipe(ctx context.Context, in *struct {
	IDParam
	WriteParams
}) (*out[api.Done], error) {
	version, err := in.version(false)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "recipe-delete", in.ID, func(w *write) (api.Done, error) {
		r, err := recipeFrom(w.tx.Registry(), in.ID)
		if err != nil {
			return api.Done{}, err
		}
		if err := w.tx.DeleteRecipe(r.ID, version); err != nil {
			return api.Done{}, showStale(err, w.recipe)
		}
		w.event("recipe_deleted", greenhouse.RecipeSource(r.ID), r, nil, nil)
		return api.Done{OK: true}, nil
	})
}

// today returns the date at the site.
func (s *Server) today() greenhouse.Date { return greenhouse.DateOf(s.now().In(s.location())) }

// recipeStatus shows how far a zone is on its recipe, nil for one that has none.
func (v *view) recipeStatus(z *greenhouse.Zone) *api.RecipeStatus {
	if z.Run == nil {
		return nil
	}
	now := greenhouse.MillisOf(v.now)
	st := z.Run.Status(greenhouse.DateOf(v.now.In(v.s.location())))
	return &api.RecipeStatus{RunStatus: st, Ramp: st.Ramp(now), Text: st.Text(now)}
}

// auditedZone is a zone as the journal holds it: of the recipe it grows by only how
// far it is.
type auditedZone struct {
	*greenhouse.Zone
	Run *greenhouse.RunStatus `json:"run,omitempty"`
}

func (s *Server) audited(z *greenhouse.Zone) auditedZone {
	a := auditedZone{Zone: z}
	if z.Run != nil {
		st := z.Run.Status(s.today())
		a.Run = &st
	}
	return a
}

// running returns the run of a zone, or that there is none.
func running(z *greenhouse.Zone) (*greenhouse.RecipeRun, error) {
	if z.Run == nil {
		e := &greenhouse.Error{Kind: greenhouse.ErrNotFound, Code: "recipe_not_running", What: fmt.Sprintf("zone %s grows by no recipe", z.ID)}
		return nil, e.WithHint("greenctl recipe start RECIPE --zone %s puts it on one", z.ID)
	}
	return z.Run, nil
}

func (s *Server) getRun(_ context.Context, in *IDParam) (*out[api.RecipeRun], error) {
	v := s.look(s.Store.Registry())
	z, err := zoneFrom(v.reg, in.ID)
	if err != nil {
		return nil, err
	}
	run, err := running(z)
	if err != nil {
		return nil, err
	}
	return &out[api.RecipeRun]{ETag: etag(z.Version), Body: api.RecipeRun{Zone: z.ID, RecipeStatus: *v.recipeStatus(z), StartedAt: run.StartedAt, StartedBy: run.StartedBy,
		Changes: run.Changes, Ahead: orEmpty(run.Ahead(s.today(), s.location())), Plan: run.Phases, Version: z.Version}}, nil
}

// dated refuses what depends on the date while nobody knows it.
func (s *Server) dated() error {
	clock := s.Health.Clock()
	if clock.Trusted {
		return nil
	}
	return greenhouse.Unavailable("clock_untrusted", "the clock is not trusted, so nobody could say which day of the crop this is: %s", clock.Text).WithHint("timedatectl timesync-status")
}

func (s *Server) startRecipe(ctx context.Context, in *struct {
	IDParam
	WriteParams
	Body api.StartRecipeRequest
}) (*out[api.Zone], error) {
	if err := s.dated(); err != nil {
		return nil, err
	}
	by, planted := callerOf(ctx).actor, in.Body.Planted
	if planted == "" {
		planted = s.today()
	} else if _, err := greenhouse.ParseDate(string(planted)); err != nil {
		return nil, err
	}
	return s.changeZone(ctx, in.ID, in.WriteParams, "recipe-start", in.Body, false, "recipe_started", func(z *greenhouse.Zone) error {
		r, err := recipeFrom(s.Store.Registry(), string(in.Body.Recipe))
		switch {
		case err != nil:
			return err
		case z.Run != nil:
			return greenhouse.Conflict("recipe_running", "zone %s grows by recipe %s already", z.ID, z.Run.Recipe).WithHint("end it first: greenctl recipe stop --zone %s", z.ID)
		}
		z.Run, err = greenhouse.StartRecipe(r, planted, in.Body.Phase, s.today(), greenhouse.MillisOf(s.now()), by)
		return err
	})
}

func (s *Server) advanceRecipe(ctx context.Context, in *struct {
	IDParam
	WriteParams
	Body api.AdvanceRequest
}) (*out[api.Zone], error) {
	if err := s.dated(); err != nil {
		return nil, err
	}
	by := callerOf(ctx).actor
	return s.changeZone(ctx, in.ID, in.WriteParams, "recipe-advance", in.Body, false, "phase_changed", func(z *greenhouse.Zone) error {
		run, err := running(z)
		if err != nil {
			return err
		}
		why, err := in.reason()
		if err != nil {
			return err
		}
		return run.GoTo(in.Body.Phase, s.today(), greenhouse.MillisOf(s.now()), by, why)
	})
}

func (s *Server) stopRecipe(ctx context.Context, in *struct {
	IDParam
	WriteParams
	Body api.StopRecipeRequest
}) (*out[api.Zone], error) {
	return s.changeZone(ctx, in.ID, in.WriteParams, "recipe-stop", in.Body, false, "recipe_ended", func(z *greenhouse.Zone) error {
		run, err := running(z)
		if err != nil {
			return err
		}
		if in.Body.Keep {
			kept := z.Under(run.Phase())
			z.Targets, z.Schedule = maps.Clone(kept.Targets), maps.Clone(kept.Schedule)
		}
		z.Run = nil
		return nil
	})
}
