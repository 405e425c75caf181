package store

import (
	"slices"

	"greenhouse"
)

// saveRecipe stores a recipe; each save is a new version.
func (tx *Tx) saveRecipe(r *greenhouse.Recipe) error {
	r.Version++
	r.UpdatedAt = greenhouse.MillisOf(tx.at)
	if err := tx.putJSON(bucketRecipes, string(r.ID), r); err != nil {
		return err
	}
	own(tx, "recipes", &tx.reg.Recipes)[r.ID] = r
	return nil
}

// CreateRecipe makes a recipe. An id in use is a conflict.
func (tx *Tx) CreateRecipe(r greenhouse.Recipe) (greenhouse.Recipe, error) {
	if old, ok := tx.reg.Recipes[r.ID]; ok {
		return r, greenhouse.Conflict("recipe_exists", "there is already a recipe %s (%s)", old.ID, old.Name).
			WithHint("change it with `greenctl recipe edit %s`, or choose another id", old.ID)
	}
	if err := checkRecipe(&r); err != nil {
		return r, err
	}
	r.Meta = greenhouse.Meta{CreatedAt: greenhouse.MillisOf(tx.at)}
	n := r // its phases are the caller's, who is done with them
	if err := tx.saveRecipe(&n); err != nil {
		return r, err
	}
	return n, nil
}

// checkRecipe completes a recipe and checks it.
func checkRecipe(r *greenhouse.Recipe) error {
	if r.Name == "" {
		r.Name = string(r.ID)
	}
	return r.Check()
}

// EditRecipe changes a recipe by fn, which gets a copy whose phases it must replace
// and not write to; the id is fixed. ifVersion is as for [Tx.EditNode]. Zones that
// grow by it keep what they began with.
func (tx *Tx) EditRecipe(id greenhouse.RecipeID, ifVersion uint64, fn func(*greenhouse.Recipe) error) (greenhouse.Recipe, error) {
	old, err := tx.reg.ruleRecipeKnown(id)
	if err != nil {
		return greenhouse.Recipe{}, err
	}
	if err := stale("recipe", string(id), ifVersion, old.Version, *old); err != nil {
		return greenhouse.Recipe{}, err
	}
	n := *old
	if err := fn(&n); err != nil {
		return greenhouse.Recipe{}, err
	}
	n.ID, n.Meta = old.ID, old.Meta
	if err := checkRecipe(&n); err != nil {
		return greenhouse.Recipe{}, err
	}
	if sameRecord(old, &n) {
		return n, nil
	}
	if err := tx.saveRecipe(&n); err != nil {
		return greenhouse.Recipe{}, err
	}
	return n, nil
}

// DeleteRecipe removes a recipe that no zone grows by.
func (tx *Tx) DeleteRecipe(id greenhouse.RecipeID, ifVersion uint64) error {
	r, err := tx.reg.ruleRecipeKnown(id)
	if err != nil {
		return err
	}
	if err := firstError(stale("recipe", string(id), ifVersion, r.Version, *r), tx.reg.ruleRecipeFree(id)); err != nil {
		return err
	}
	if err := tx.delete(bucketRecipes, []byte(id)); err != nil {
		return err
	}
	delete(own(tx, "recipes", &tx.reg.Recipes), id)
	return nil
}

// RecipeZones returns the zones that grow by a recipe, by id.
func (r *Registry) RecipeZones(id greenhouse.RecipeID) []greenhouse.ZoneID {
	var zones []greenhouse.ZoneID
	for _, z := range r.Zones {
		if z.Run != nil && z.Run.Recipe == id {
			zones = append(zones, z.ID)
		}
	}
	slices.Sort(zones)
	return zones
}
