package sim_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"greenhouse/sim"
)

func scenario(t testing.TB, path string) *sim.Scenario {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := sim.ReadScenario(path, f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func scenarioFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("scenarios", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	return files
}

// TestScenarios runs every scenario of the catalogue under seed 1. One that fails
// tells what happened; `greenctl sim run FILE --seed 1` draws it.
func TestScenarios(t *testing.T) {
	for _, path := range scenarioFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			o, err := sim.Run(scenario(t, path), 1, sim.RunOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !o.Passed() {
				t.Errorf("%s", o.Report())
			} else if testing.Verbose() {
				for _, f := range o.Findings {
					t.Logf("%s: %s", f.Text, f.Detail)
				}
			}
		})
	}
}

// TestKnownIsDocumented keeps the table of docs/scenarios.md true: what is known
// not to hold yet is there, and nothing else.
func TestKnownIsDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "scenarios.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for _, name := range sim.ScenarioNames() {
		s, err := sim.ShippedScenario(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range s.Expect {
			if e.Known == "" {
				continue
			}
			known++
			if row := "| `" + name + "` | `" + e.Text + "` |"; !strings.Contains(string(page), row) {
				t.Errorf("docs/scenarios.md has no row %s", row)
			}
		}
	}
	_, after, _ := strings.Cut(string(page), "## Known")
	table, _, _ := strings.Cut(after, "\nNot written")
	if rows := strings.Count(table, "\n| `"); rows != known {
		t.Errorf("the table of docs/scenarios.md has %d rows, and %d expectations are known not to hold", rows, known)
	}
}
