package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// runFlags are those of the verbs that are about the recipe of a zone.
type runFlags struct {
	writeFlags
	zone string
}

func (f *runFlags) addTo(a *app, c *cobra.Command) {
	c.Flags().StringVar(&f.zone, "zone", "", "the zone")
	_ = c.RegisterFlagCompletionFunc("zone", a.completeFlag(zoneNames))
	f.add(c.Flags())
}

// which returns the zone; there is no usual one.
func (f *runFlags) which(c *cobra.Command) (greenhouse.ZoneID, error) {
	if f.zone == "" {
		return "", greenhouse.Invalid("usage", "%s needs --zone", c.CommandPath()).WithHint("greenctl zone list")
	}
	return zoneArg(f.zone)
}

func newRecipeStart(a *app) *cobra.Command {
	var f runFlags
	var planted string
	var phase int
	c := verb("start ID", "Grow a zone by a recipe", "  greenctl recipe start tomato --zone north --planted 2026-02-14\n  greenctl recipe start lettuce --zone south --phase 2", args("ID"), nil)
	c.Long = "Grow a zone by a recipe. The zone takes a copy: later edits of the recipe change nothing for it.\n\n" +
		"The set-points of the recipe stand above the targets of the zone and below its curves, offsets and holds, and count at\n" +
		"once; from one phase to the next they take 24 hours. Without --phase the planting date leads to the phase."
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, args []string) error {
		id, err := recipeArg(args[0])
		if err != nil {
			return err
		}
		zone, err := f.which(c)
		if err != nil {
			return err
		}
		if c.Flags().Changed("phase") && phase < 1 {
			return greenhouse.Invalid("usage", "--phase is %d: 1 is the first", phase)
		}
		z, err := cl.StartRecipe(ctx, zone, api.StartRecipeRequest{Recipe: id, Planted: greenhouse.Date(planted), Phase: phase}, f.write())
		if err != nil {
			return explainStale(err, nil, nil)
		}
		return a.showGrowing(z)
	})
	c.Flags().StringVar(&planted, "planted", "", "the planting date, 2026-03-01; today if left out")
	c.Flags().IntVar(&phase, "phase", 0, "begin with this phase, today; 1 is the first")
	f.addTo(a, c)
	c.ValidArgsFunction = a.complete(recipeNames)
	return c
}

// showGrowing shows a zone after a change of its recipe; people are told how far it
// is, and what of the zone's own stands above it.
func (a *app) showGrowing(z api.Zone) error {
	if a.human() && z.Recipe != nil {
		a.note("zone %s grows by %s", z.ID, z.Recipe.Text)
		for _, spec := range greenhouse.Quantities() {
			if len(z.Schedule[spec.Quantity]) > 0 {
				a.note("its own curve of %s stands above the recipe: greenctl zone schedule %s %s --clear", spec.Quantity, z.ID, spec.Quantity)
			}
		}
	}
	return a.showZone(z)
}

func newRecipeAdvance(a *app) *cobra.Command {
	var f runFlags
	var to string
	c := verb("advance", "Take a zone to the next phase of its recipe, or to another", "  greenctl recipe advance --zone north --reason \"first truss sets\"\n  greenctl recipe advance --zone north --to harvest", args(), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, _ []string) error {
		zone, err := f.which(c)
		if err != nil {
			return err
		}
		phase := 0
		if to != "" {
			if phase, err = phaseOf(ctx, cl, zone, to); err != nil {
				return err
			}
		}
		z, err := cl.AdvanceRecipe(ctx, zone, phase, f.write())
		if err != nil {
			return explainStale(err, nil, nil)
		}
		return a.showGrowing(z)
	})
	c.Flags().StringVar(&to, "to", "", "the phase, by number or name; left out, the next")
	_ = c.RegisterFlagCompletionFunc("to", a.completeFlag(func(ctx context.Context, cl *client.Client) ([]string, error) {
		run, err := cl.Run(ctx, greenhouse.ZoneID(f.zone))
		return names(run.Plan, func(p greenhouse.Phase) string { return p.Name }), err
	}))
	f.addTo(a, c)
	return c
}

// phaseOf finds a phase of the recipe that a zone grows by, by number or name.
func phaseOf(ctx context.Context, c *client.Client, zone greenhouse.ZoneID, text string) (int, error) {
	if n, err := strconv.Atoi(text); err == nil {
		if n < 1 {
			return 0, greenhouse.Invalid("usage", "--to is %d: 1 is the first", n)
		}
		return n, nil
	}
	run, err := c.Run(ctx, zone)
	if err != nil {
		return 0, err
	}
	for i, p := range run.Plan {
		if p.Name == text {
			return i + 1, nil
		}
	}
	return 0, greenhouse.NotFound("phase", text).WithHint("greenctl recipe get --zone %s lists them", zone)
}

func newRecipeStop(a *app) *cobra.Command {
	var f runFlags
	var keep bool
	c := verb("stop", "Take a zone off its recipe; its own targets count again, at once", "  greenctl recipe stop --zone north\n  greenctl recipe stop --zone north --keep", args(), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, _ []string) error {
		zone, err := f.which(c)
		if err != nil {
			return err
		}
		z, err := cl.StopRecipe(ctx, zone, keep, f.write())
		if err != nil {
			return explainStale(err, nil, nil)
		}
		if _, heated := z.Targets[greenhouse.Heating]; a.human() && !heated && len(z.Schedule[greenhouse.Heating]) == 0 {
			a.note("zone %s has no set-point of heating any more: greenctl zone target %s heating VALUE", z.ID, z.ID)
		}
		return a.showZone(z)
	})
	c.Flags().BoolVar(&keep, "keep", false, "what the phase asks for becomes targets and curves of the zone")
	f.addTo(a, c)
	return c
}
