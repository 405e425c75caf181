package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newRecipe(a *app) *cobra.Command {
	c := noun("recipe", "How crops are grown: phases with set-points, and the zones that grow by them",
		newRecipeCreate(a), newRecipeList(a), newRecipeGet(a), newRecipeEdit(a), newRecipeStart(a), newRecipeAdvance(a), newRecipeStop(a), newRecipeDelete(a))
	c.Aliases = []string{"recipes"}
	return c
}

func recipeArg(s string) (greenhouse.RecipeID, error) { return greenhouse.ParseRecipeID(s) }

func recipeNames(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.Recipes(ctx, client.Page{})
	return names(l.Items, func(r api.Recipe) string { return string(r.ID) }), err
}

func newRecipeCreate(a *app) *cobra.Command {
	var w writeFlags
	var file, example string
	c := verb("create ID", "Create a recipe from a file, or from an example", strings.Join([]string{
		"  greenctl recipe create tomato -f tomato.yaml",
		"  greenctl recipe create lettuce --example lettuce",
		"  greenctl recipe create lettuce --example lettuce --dry-run -o yaml    # show it, to begin with",
	}, "\n"), args("ID"), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, args []string) error {
		id, err := recipeArg(args[0])
		if err != nil {
			return err
		}
		spec, err := a.recipeSource(id, file, example)
		if err != nil {
			return err
		}
		r, err := cl.CreateRecipe(ctx, api.CreateRecipeRequest{ID: id, Name: spec.Name, Crop: spec.Crop, Phases: spec.Phases}, w.write())
		if err != nil {
			return err
		}
		return a.showRecipe(r)
	})
	c.Flags().StringVarP(&file, "file", "f", "", "YAML or JSON; - reads standard input")
	c.Flags().StringVar(&example, "example", "", "take an example: "+strings.Join(recipeExamples(), " or "))
	_ = c.RegisterFlagCompletionFunc("example", cobra.FixedCompletions(recipeExamples(), cobra.ShellCompDirectiveNoFileComp))
	w.addNew(c.Flags())
	c.ValidArgsFunction = cobra.NoFileCompletions
	return c
}

func newRecipeList(a *app) *cobra.Command {
	var watch bool
	c := verb("list", "List recipes, and where they grow", "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		return a.repeat(ctx, watch, func() error {
			items, err := all(client.All(func(cursor string) (api.List[api.Recipe], error) { return c.Recipes(ctx, client.Page{Cursor: cursor}) }))
			if err != nil {
				return err
			}
			return a.show(api.List[api.Recipe]{Items: items}, recipesView(items))
		})
	}))
	a.watchFlag(c.Flags(), &watch)
	return c
}

func recipesView(items []api.Recipe) view {
	return view{
		names: func() []string { return names(items, func(r api.Recipe) string { return string(r.ID) }) },
		table: func() table {
			t := table{columns: []string{"RECIPE", "NAME", "CROP", "PHASES", "LASTS", "ZONES", "VERSION"}, empty: "there are no recipes; greenctl recipe create tomato --example tomato makes one"}
			for _, r := range items {
				t.rows = append(t.rows, []string{string(r.ID), r.Name, r.Crop, fmt.Sprint(len(r.Phases)), recipeLasts(r.Phases), joinZones(r.Zones), itoa(r.Version)})
			}
			return t
		},
	}
}

func joinZones(zones []greenhouse.ZoneID) string {
	if len(zones) == 0 {
		return "-"
	}
	return strings.Join(names(zones, func(z greenhouse.ZoneID) string { return string(z) }), ",")
}

// recipeLasts says how long a recipe takes, as far as its phases tell.
func recipeLasts(phases []greenhouse.Phase) string {
	days, open := 0, false
	for _, p := range phases {
		days += p.Days
		open = open || p.Days == 0
	}
	switch {
	case !open:
		return fmt.Sprintf("%d days", days)
	case days == 0:
		return "open"
	}
	return fmt.Sprintf("%d days and more", days)
}

// phaseLasts says when a phase ends.
func phaseLasts(p greenhouse.Phase) string {
	switch {
	case p.Days > 0:
		return fmt.Sprintf("%d days", p.Days)
	case p.DegreeDays > 0:
		return fmt.Sprintf("%g °C·d above %g °C", p.DegreeDays, p.BaseTemp)
	}
	return "until advanced"
}

// phasesTable lists phases with what they ask for.
func phasesTable(phases []greenhouse.Phase) table {
	t := table{columns: []string{"PHASE", "NAME", "LASTS", "SET-POINTS"}}
	for i, p := range phases {
		t.rows = append(t.rows, []string{fmt.Sprint(i + 1), p.Name, phaseLasts(p), phaseAsks(p)})
	}
	return t
}

// runTable is the same of a run: the phase in force is marked, and each has the date
// on which it began, or, after ~, is foreseen to.
func runTable(run api.RecipeRun) table {
	t := phasesTable(run.Plan)
	begins := map[int]string{}
	for _, c := range run.Changes {
		begins[c.Phase] = string(c.From)
	}
	for _, c := range run.Ahead {
		begins[c.Phase] = "~" + string(c.From)
	}
	t.columns = slices.Insert(t.columns, 2, "BEGINS")
	for i := range t.rows {
		if i+1 == run.Phase {
			t.rows[i][0] = ">" + t.rows[i][0]
		}
		t.rows[i] = slices.Insert(t.rows[i], 2, begins[i+1])
	}
	return t
}

// phaseAsks writes the set-points of a phase in one line.
func phaseAsks(p greenhouse.Phase) string {
	var parts []string
	for _, spec := range greenhouse.Quantities() {
		if curve := p.Schedule[spec.Quantity]; len(curve) > 0 {
			parts = append(parts, string(spec.Quantity)+" "+strings.Join(names(curve, greenhouse.Knot.String), " "))
			continue
		}
		t, ok := p.Targets[spec.Quantity]
		switch {
		case !ok:
		case t.Day == t.Night:
			parts = append(parts, fmt.Sprintf("%s %g", spec.Quantity, t.Day))
		default:
			parts = append(parts, fmt.Sprintf("%s %g/%g", spec.Quantity, t.Day, t.Night))
		}
	}
	return strings.Join(parts, ", ")
}

func (a *app) showRecipe(r api.Recipe) error { return a.show(r, recipesView([]api.Recipe{r})) }

func newRecipeGet(a *app) *cobra.Command {
	var zone string
	c := verb("get [ID]", "Show a recipe with its phases, or the one a zone grows by", "  greenctl recipe get tomato\n  greenctl recipe get --zone north", args("[ID]"), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, args []string) error {
		switch {
		case (len(args) == 1) == (zone != ""):
			return greenhouse.Invalid("usage", "recipe get needs the id of a recipe, or --zone").WithHint("greenctl recipe list")
		case zone != "":
			return a.showRun(ctx, cl, zone)
		}
		id, err := recipeArg(args[0])
		if err != nil {
			return err
		}
		r, err := cl.Recipe(ctx, id)
		if err != nil {
			return err
		}
		if err := a.showRecipe(r); err != nil || !a.human() {
			return err
		}
		a.blank()
		return a.showTable(phasesTable(r.Phases))
	})
	c.Flags().StringVar(&zone, "zone", "", "the recipe this zone grows by, as it was at the start")
	_ = c.RegisterFlagCompletionFunc("zone", a.completeFlag(zoneNames))
	c.ValidArgsFunction = a.complete(recipeNames)
	return c
}

// showRun prints the recipe a zone grows by and how far it is.
func (a *app) showRun(ctx context.Context, c *client.Client, zone string) error {
	id, err := zoneArg(zone)
	if err != nil {
		return err
	}
	run, err := c.Run(ctx, id)
	if err != nil {
		return err
	}
	if !a.human() {
		return a.show(run, view{names: func() []string { return []string{string(run.Recipe)} }})
	}
	a.print(fmt.Sprintf("zone %s grows by %s, planted %s, started by %s\n", run.Zone, run.Text, run.Planted, clean(run.StartedBy)))
	a.blank()
	if err := a.showTable(runTable(run)); err != nil {
		return err
	}
	a.blank()
	t := table{columns: []string{"SINCE", "PHASE", "NAME", "BY", "WHY"}}
	for _, x := range run.Changes {
		t.rows = append(t.rows, []string{clock(x.At), fmt.Sprint(x.Phase), run.Plan[x.Phase-1].Name, x.By, x.Why})
	}
	return a.showTable(t)
}

func newRecipeEdit(a *app) *cobra.Command {
	var w writeFlags
	var file string
	c := verb("edit ID", "Change a recipe from a file, or in your editor; zones that grow by it keep what they began with",
		"  greenctl recipe edit tomato\n  greenctl recipe edit tomato -f tomato.yaml --if-version 3", args("ID"), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, args []string) error {
		id, err := recipeArg(args[0])
		if err != nil {
			return err
		}
		before, err := cl.Recipe(ctx, id)
		if err != nil {
			return err
		}
		var patch any
		if file != "" {
			spec, err := a.recipeSource(id, file, "")
			if err != nil {
				return err
			}
			patch = map[string]any{"name": spec.Name, "crop": spec.Crop, "phases": spec.Phases} // all of it: what the file leaves out is gone
		} else {
			edited, err := a.editRecord(before.RecipeSpec)
			if err != nil || edited == nil {
				return err
			}
			patch = edited
			ctx = context.WithoutCancel(ctx) // a Ctrl-C pressed in the editor was not meant for us
		}
		r, err := cl.EditRecipe(ctx, id, patch, w.edit(before.Version))
		if err != nil {
			return explainStale(err, before, patch)
		}
		if len(r.Zones) > 0 && r.Version != before.Version {
			a.note("zones that grow by it keep what they began with: %s", joinZones(r.Zones))
		}
		return a.showRecipe(r)
	})
	c.Flags().StringVarP(&file, "file", "f", "", "YAML or JSON; - reads standard input")
	w.add(c.Flags())
	c.ValidArgsFunction = a.complete(recipeNames)
	return c
}

func newRecipeDelete(a *app) *cobra.Command {
	var w writeFlags
	var yes bool
	c := verb("delete ID", "Delete a recipe that no zone grows by", "", args("ID"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		id, err := recipeArg(args[0])
		if err != nil {
			return err
		}
		if err := a.confirm(ctx, yes, "delete recipe "+args[0]); err != nil {
			return err
		}
		if err := c.DeleteRecipe(ctx, id, w.write()); err != nil {
			return explainStale(err, nil, nil)
		}
		return a.done(args[0], "recipe %s is deleted", args[0])
	}))
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	w.add(c.Flags())
	c.ValidArgsFunction = a.complete(recipeNames)
	return c
}
