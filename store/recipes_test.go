package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/store"
)

// basil is a recipe of two phases.
func basil() greenhouse.Recipe {
	at := func(v float64) map[greenhouse.Quantity]greenhouse.Target {
		return map[greenhouse.Quantity]greenhouse.Target{greenhouse.Heating: {Day: v, Night: v}}
	}
	return greenhouse.Recipe{ID: "basil", Crop: "basil", Phases: []greenhouse.Phase{{Name: "a", Days: 3, Targets: at(20)}, {Name: "b", Targets: at(17)}}}
}

// TestRecipesOutliveTheProcess: recipes, and how far zones have come on them, are on
// disk.
func TestRecipesOutliveTheProcess(t *testing.T) {
	opt := options(t)
	s := open(t, opt)
	update(t, s, func(tx *store.Tx) error {
		r, err := tx.CreateRecipe(basil())
		if err != nil {
			return err
		}
		if r.Name != "basil" || r.Version != 1 || r.CreatedAt == 0 {
			t.Errorf("as it was made: %+v", r)
		}
		_, err = tx.CreateZone(greenhouse.Zone{ID: "north"})
		return err
	})
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.EditZone("north", 0, func(z *greenhouse.Zone) (err error) {
			z.Run, err = greenhouse.StartRecipe(tx.Registry().Recipes["basil"], "2026-03-01", 0, "2026-03-01", 1000, "anna")
			return err
		})
		return err
	})
	grown := s.Registry().Zones["north"].Run
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.EditZone("north", 0, func(z *greenhouse.Zone) error { z.Run.Advance("2026-03-04", 2000); return nil })
		return err
	})
	if grown.Last().Phase != 1 {
		t.Error("a reader of the registry saw the record change under its hands")
	}
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.EditRecipe("basil", 1, func(r *greenhouse.Recipe) error { r.Phases = r.Phases[:1]; return nil })
		return err
	})
	want := s.Registry()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got := open(t, opt).Registry()
	if diff := cmp.Diff(want.Recipes, got.Recipes); diff != "" || got.Recipes["basil"].Version != 2 {
		t.Errorf("recipes after a restart: %s", diff)
	}
	if diff := cmp.Diff(want.Zones, got.Zones); diff != "" || got.Zones["north"].Run.Last().Phase != 2 || len(got.Zones["north"].Run.Phases) != 2 {
		t.Errorf("zones after a restart: %s", diff)
	}
}

func TestRulesOfRecipes(t *testing.T) {
	s := open(t, options(t))
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.CreateRecipe(basil())
		return errors.Join(err, second(tx.CreateZone(greenhouse.Zone{ID: "north"})), second(tx.CreateZone(greenhouse.Zone{ID: "south"})))
	})
	for _, z := range []greenhouse.ZoneID{"south", "north"} {
		update(t, s, func(tx *store.Tx) error {
			_, err := tx.EditZone(z, 0, func(z *greenhouse.Zone) (err error) {
				z.Run, err = greenhouse.StartRecipe(tx.Registry().Recipes["basil"], "2026-03-01", 0, "2026-03-01", 1000, "anna")
				return err
			})
			return err
		})
	}
	broken := basil()
	broken.ID, broken.Phases = "broken", nil
	for name, c := range map[string]struct {
		do   func(*store.Tx) error
		kind error
		says string
	}{
		"twice":        {func(tx *store.Tx) error { return second(tx.CreateRecipe(basil())) }, greenhouse.ErrConflict, "already a recipe basil"},
		"no phases":    {func(tx *store.Tx) error { return second(tx.CreateRecipe(broken)) }, greenhouse.ErrInvalid, "0 phases"},
		"unknown":      {func(tx *store.Tx) error { return tx.DeleteRecipe("rice", 0) }, greenhouse.ErrNotFound, "rice"},
		"in use":       {func(tx *store.Tx) error { return tx.DeleteRecipe("basil", 0) }, greenhouse.ErrConflict, "zone north and 1 more grow by it"},
		"stale delete": {func(tx *store.Tx) error { return tx.DeleteRecipe("basil", 7) }, greenhouse.ErrConflict, "version 7"},
		"stale edit": {func(tx *store.Tx) error {
			return second(tx.EditRecipe("basil", 7, func(*greenhouse.Recipe) error { return nil }))
		}, greenhouse.ErrConflict, "version 7"},
		"emptied": {func(tx *store.Tx) error {
			return second(tx.EditRecipe("basil", 0, func(r *greenhouse.Recipe) error { r.Phases = nil; return nil }))
		}, greenhouse.ErrInvalid, "0 phases"},
		"a run that cannot be": {func(tx *store.Tx) error {
			return second(tx.EditZone("north", 0, func(z *greenhouse.Zone) error { z.Run.Changes[0].Phase = 9; return nil }))
		}, greenhouse.ErrInvalid, "phase 9"},
	} {
		if err := s.Update(c.do); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %v that says %q", name, err, c.kind, c.says)
		}
	}
	if r := s.Registry(); len(r.Recipes) != 1 || r.Recipes["basil"].Version != 1 || r.Zones["north"].Run.Last().Phase != 1 {
		t.Errorf("what was refused changed something: %+v", r.Recipes)
	}
	update(t, s, func(tx *store.Tx) error {
		for _, z := range []greenhouse.ZoneID{"south", "north"} {
			if _, err := tx.EditZone(z, 0, func(z *greenhouse.Zone) error { z.Run = nil; return nil }); err != nil {
				return err
			}
		}
		return tx.DeleteRecipe("basil", 1)
	})
	if len(s.Registry().Recipes) != 0 {
		t.Error("it is still there")
	}
}
