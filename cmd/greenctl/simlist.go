package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenhouse/api"
	"greenhouse/sim"
)

// shownScenario is a scenario that ships, as `sim list` tells of it.
type shownScenario struct {
	Name   string   `json:"name"`
	Number int      `json:"scenario"`
	Title  string   `json:"title"`
	What   string   `json:"what"`
	Hours  float64  `json:"hours"`
	Known  []string `json:"known,omitempty"` // expectations that are known not to hold yet
}

// newSimList lists the scenarios that ship: it needs no daemon.
func newSimList(a *app) *cobra.Command {
	return verb("list", "List the scenarios that ship", "  greenctl sim list\n  greenctl sim run 21\n  greenctl sim show 21 > mine.yaml", args(), func(*cobra.Command, []string) error {
		var items []shownScenario
		for _, name := range sim.ScenarioNames() {
			s, err := sim.ShippedScenario(name)
			if err != nil {
				return err
			}
			it := shownScenario{Name: name, Number: s.Number, Title: s.Name, What: s.What, Hours: time.Duration(s.For).Hours()}
			for _, e := range s.Expect {
				if e.Known != "" {
					it.Known = append(it.Known, e.Text+": "+e.Known)
				}
			}
			items = append(items, it)
		}
		return a.show(api.List[shownScenario]{Items: items}, view{
			names: func() []string { return names(items, func(s shownScenario) string { return s.Name }) },
			table: func() table {
				t := table{columns: []string{"SCENARIO", "HOURS", "WHAT HAPPENS", "KNOWN"}, wide: 1}
				for _, s := range items {
					t.rows = append(t.rows, []string{s.Name, fmt.Sprintf("%.3g", s.Hours), s.Title, strings.Join(s.Known, "; ")})
				}
				return t
			}})
	})
}

// newSimShow prints the file of a scenario, to be changed into one's own.
func newSimShow(a *app) *cobra.Command {
	c := verb("show SCENARIO", "Print the file of a scenario that ships", "  greenctl sim show 21 > mine.yaml", args("SCENARIO"), func(_ *cobra.Command, got []string) error {
		_, text, err := sim.ScenarioText(got[0])
		if err != nil {
			return err
		}
		_, err = a.out.Write(text)
		return err
	})
	c.ValidArgs = sim.ScenarioNames()
	return c
}
