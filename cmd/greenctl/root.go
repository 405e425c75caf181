package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"greenhouse"
)

// newRoot builds the whole command tree.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "greenctl",
		Short: "Administer a greenhouse",
		Long: `greenctl administers a greenhouse run by edged: nodes, zones, points, alarms.

Start with:
  greenctl status                    the site at a glance
  greenctl zone watch                the live dashboard
  greenctl node pair --for 10m       let devices join
  greenctl zone why north/heater     why is it on?

Exit codes: 0 ok, 1 failed, 2 usage or invalid, 3 daemon unreachable, 4 not found,
5 conflict, 6 unavailable, 7 refused, 130 interrupted.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.configure(cmd) },
		PersistentPostRun: func(cmd *cobra.Command, _ []string) {
			if f := cmd.Flags().Lookup("dry-run"); f != nil && f.Value.String() == "true" {
				a.note("dry run: it would be accepted, and nothing was kept")
			}
		},
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError(cmd, err) })
	a.flags(root.PersistentFlags())
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "wide", "json", "yaml", "name"}, cobra.ShellCompDirectiveNoFileComp))
	root.AddGroup(&cobra.Group{ID: "things", Title: "The greenhouse:"}, &cobra.Group{ID: "site", Title: "The site:"}, &cobra.Group{ID: "tool", Title: "This tool:"})
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("things", newZone(a), newNode(a), newPoint(a), newRecipe(a), newAlarm(a), newEvent(a))
	add("site", newStatus(a), newStop(a), newResume(a), newDoctor(a), newBackup(a), newSupportBundle(a), newSite(a), newAccount(a), newToken(a), newUser(a), newSim(a))
	add("tool", newBench(a), newContext(a), newVersion(a), newCompletion(), newDocs(a))
	requireVerbs(root)
	return root
}

// requireVerbs makes a noun without a verb, or with an unknown one, a usage
// error that names the nearest verb.
func requireVerbs(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		requireVerbs(c)
	}
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			err := greenhouse.Invalid("verb_unknown", "%s has no command %q", cmd.CommandPath(), args[0])
			if near := nearest(cmd, args[0]); near != "" {
				return err.WithHint("did you mean %s %s?", cmd.CommandPath(), near)
			}
			return err.WithHint("%s --help lists them", cmd.CommandPath())
		}
	}
}

// nearest returns the verb of cmd most like name, "" if none is.
func nearest(cmd *cobra.Command, name string) string {
	best, cost := "", len(name)/2+1
	for _, c := range cmd.Commands() {
		for _, known := range append(c.Aliases, c.Name()) {
			d := distance(strings.ToLower(name), known)
			if strings.HasPrefix(known, strings.ToLower(name)) {
				d = min(d, 1)
			}
			if !c.Hidden && d < cost {
				best, cost = c.Name(), d
			}
		}
	}
	return best
}

// distance is the number of single-byte edits from a to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// usageError turns cobra's complaint into ours, with a hint at the help.
func usageError(cmd *cobra.Command, err error) error {
	if e := (*greenhouse.Error)(nil); errors.As(err, &e) {
		return err
	}
	return greenhouse.Invalid("usage", "%s", strings.TrimSuffix(err.Error(), ".")).WithHint("%s --help", cmd.CommandPath())
}

// args checks the positional arguments and says what is missing by name:
// args("UID", "[ZONE]") wants one or two.
func args(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, got []string) error {
		need, many := 0, false
		for _, n := range names {
			if !strings.HasPrefix(n, "[") {
				need++
			}
			many = many || strings.HasSuffix(strings.Trim(n, "[]"), "...")
		}
		switch {
		case len(got) < need:
			return greenhouse.Invalid("usage", "%s needs %s", cmd.CommandPath(), names[len(got)]).WithHint("%s", cmd.UseLine())
		case len(got) > len(names) && !many:
			return greenhouse.Invalid("usage", "%s does not take %q", cmd.CommandPath(), got[len(names)]).WithHint("%s", cmd.UseLine())
		}
		return nil
	}
}
