package client

import (
	"context"
	"net/http"
	"net/url"

	"greenhouse"
	"greenhouse/api"
)

// Recipes lists recipes by id.
func (c *Client) Recipes(ctx context.Context, p Page) (api.List[api.Recipe], error) {
	return get[api.List[api.Recipe]](ctx, c, api.PathRecipes, p.into(url.Values{}))
}

// Recipe returns one recipe.
func (c *Client) Recipe(ctx context.Context, id greenhouse.RecipeID) (api.Recipe, error) {
	return get[api.Recipe](ctx, c, api.Path(api.PathRecipe, string(id)), nil)
}

// CreateRecipe creates a recipe.
func (c *Client) CreateRecipe(ctx context.Context, r api.CreateRecipeRequest, w Write) (api.Recipe, error) {
	return send[api.Recipe](ctx, c, http.MethodPost, api.PathRecipes, r, w)
}

// EditRecipe changes a recipe; patch marshals to a merge patch, e.g. an
// api.RecipePatch. Zones that grow by it keep what they began with.
func (c *Client) EditRecipe(ctx context.Context, id greenhouse.RecipeID, patch any, w Write) (api.Recipe, error) {
	return send[api.Recipe](ctx, c, http.MethodPatch, api.Path(api.PathRecipe, string(id)), patch, w)
}

// DeleteRecipe deletes a recipe that no zone grows by.
func (c *Client) DeleteRecipe(ctx context.Context, id greenhouse.RecipeID, w Write) error {
	_, err := send[api.Done](ctx, c, http.MethodDelete, api.Path(api.PathRecipe, string(id)), nil, w)
	return err
}

// Run returns the recipe that a zone grows by.
func (c *Client) Run(ctx context.Context, zone greenhouse.ZoneID) (api.RecipeRun, error) {
	return get[api.RecipeRun](ctx, c, api.Path(api.PathZoneRecipe, string(zone)), nil)
}

// StartRecipe puts a zone on a recipe.
func (c *Client) StartRecipe(ctx context.Context, zone greenhouse.ZoneID, r api.StartRecipeRequest, w Write) (api.Zone, error) {
	return send[api.Zone](ctx, c, http.MethodPost, api.Path(api.PathZoneRecipe, string(zone)), r, w)
}

// AdvanceRecipe takes a zone to another phase of its recipe; 0 is the next.
func (c *Client) AdvanceRecipe(ctx context.Context, zone greenhouse.ZoneID, phase int, w Write) (api.Zone, error) {
	return send[api.Zone](ctx, c, http.MethodPost, api.Path(api.PathZoneAdvance, string(zone)), api.AdvanceRequest{Phase: phase}, w)
}

// StopRecipe takes a zone off its recipe. With keep the zone takes over what the
// phase asks for as targets and curves of its own.
func (c *Client) StopRecipe(ctx context.Context, zone greenhouse.ZoneID, keep bool, w Write) (api.Zone, error) {
	return send[api.Zone](ctx, c, http.MethodPost, api.Path(api.PathZoneStopRecipe, string(zone)), api.StopRecipeRequest{Keep: keep}, w)
}
