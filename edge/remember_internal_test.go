package edge

import (
	"encoding/json"
	"testing"

	"greenhouse"
	"greenhouse/automation"
	"greenhouse/store"
)

// TestRememberedKeepsWhatAZoneDoesNotSay keeps the memory of a zone that is just
// being decided, or whose clock is not set, and forgets one that is gone.
func TestRememberedKeepsWhatAZoneDoesNotSay(t *testing.T) {
	r := remembered{zones: map[greenhouse.ZoneID]automation.Memory{"north": {DLI: 7}, "south": {DLI: 1}, "gone": {DLI: 9}}}
	reg := &store.Registry{Zones: map[greenhouse.ZoneID]*greenhouse.Zone{"north": {}, "south": {}}}
	raw, err := r.take(map[greenhouse.ZoneID]automation.Memory{"south": {DLI: 2}}, reg)
	if err != nil {
		t.Fatal(err)
	}
	var kept map[greenhouse.ZoneID]automation.Memory
	if err := json.Unmarshal(raw, &kept); err != nil {
		t.Fatal(err)
	}
	if len(kept) != 2 || kept["north"].DLI != 7 || kept["south"].DLI != 2 {
		t.Errorf("kept %+v", kept)
	}
	if m, ok := r.of("north"); !ok || m.DLI != 7 {
		t.Errorf("north: %+v, %v", m, ok)
	}
}
