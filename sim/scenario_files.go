package sim

import (
	"bytes"
	"embed"
	"fmt"
	"path"
	"strings"

	"greenhouse"
)

// shipped are the scenarios of the catalogue, which every program has in it.
//
//go:embed scenarios/*.yaml
var shipped embed.FS

// ScenarioNames returns the names of the scenarios that ship, in their order.
func ScenarioNames() []string {
	entries, err := shipped.ReadDir("scenarios")
	if err != nil {
		return nil // there is such a directory, or this would not have been built
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// ScenarioText returns the file of a scenario that ships. A number, or the
// beginning of a name that only one has, will do.
func ScenarioText(name string) (full string, text []byte, err error) {
	var found []string
	for _, n := range ScenarioNames() {
		if n == name {
			found = []string{n}
			break
		}
		if strings.HasPrefix(n, name) {
			found = append(found, n)
		}
	}
	switch len(found) {
	case 0:
		return "", nil, greenhouse.NotFound("scenario", name).WithHint("greenctl sim list names those that ship; a file of your own needs its path")
	case 1:
	default:
		return "", nil, greenhouse.Invalid("scenario_ambiguous", "%q may be %s", name, strings.Join(found, ", ")).WithHint("name one of them")
	}
	text, err = shipped.ReadFile(path.Join("scenarios", found[0]+".yaml"))
	if err != nil {
		return "", nil, fmt.Errorf("read scenario %s: %w", found[0], err)
	}
	return found[0], text, nil
}

// ShippedScenario reads a scenario that ships, by its name.
func ShippedScenario(name string) (*Scenario, error) {
	full, text, err := ScenarioText(name)
	if err != nil {
		return nil, err
	}
	return ReadScenario(full, bytes.NewReader(text))
}
