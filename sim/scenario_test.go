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
	files, err := filepath.Glob(filepath.Join("testdata", "scenarios", "*.yaml"))
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
