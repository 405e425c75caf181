package edge

import (
	"encoding/json"
	"maps"
	"sync"

	"greenhouse"
	"greenhouse/automation"
	"greenhouse/store"
)

// remembered is what the zones must not forget, as it was last kept. A zone that
// cannot be asked just then keeps what it had.
type remembered struct {
	mu    sync.Mutex
	zones map[greenhouse.ZoneID]automation.Memory
}

// of returns what was kept of a zone.
func (r *remembered) of(z greenhouse.ZoneID) (automation.Memory, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.zones[z]
	return m, ok
}

// take merges what the zones say now, forgets zones that are gone, and returns
// all of it as it is kept.
func (r *remembered) take(now map[greenhouse.ZoneID]automation.Memory, reg *store.Registry) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.zones == nil {
		r.zones = map[greenhouse.ZoneID]automation.Memory{}
	}
	maps.Copy(r.zones, now)
	maps.DeleteFunc(r.zones, func(z greenhouse.ZoneID, _ automation.Memory) bool { return reg.Zones[z] == nil })
	return json.Marshal(r.zones)
}

// load reads what an earlier run kept. What cannot be understood is as good as
// nothing: it is learned again.
func (r *remembered) load(s *store.Store) error {
	return s.View(func(tx *store.Tx) error {
		if raw := tx.Get(bucketWear, []byte("zones")); raw != nil {
			return json.Unmarshal(raw, &r.zones)
		}
		return nil
	})
}
