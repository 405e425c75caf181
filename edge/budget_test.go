package edge_test

import (
	"path/filepath"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/store"
)

// TestTimeOnOfAChannel: a limit that a grower sets on a channel switches the
// heater off in the cold, says so, and stands over an override and a restart.
func TestTimeOnOfAChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		heater, ok := g.Store().Registry().Point("north/heater")
		if !ok {
			t.Fatal("no heater")
		}
		g.must("PATCH", "/nodes/"+string(heater.Node)+"/channels/"+string(heater.Channel), map[string]any{"max_on_day_s": 180}, nil, "If-Match", "*")
		pass(5 * time.Minute)
		spent := func(when string) {
			t.Helper()
			w := g.why(time.Time{})
			if w.Winner.Priority != greenhouse.PriorityProtection || w.Winner.Owner != "max_on_day" || w.Value == nil || *w.Value != 0 || w.Timers["max_on_day"] < 23*3600 {
				t.Errorf("%s: %+v, timers %v, want it off by max_on_day for most of a day", when, w.Winner, w.Timers)
			}
		}
		spent("after its three minutes")
		g.must("PUT", "/points/north%2Fheater/override", map[string]any{"value": 1, "reason": "cold", "for_s": 600}, nil)
		pass(time.Minute)
		spent("against an override")
		g.stop()
		g.run()
		pass(3 * time.Minute)
		spent("after a restart")
	})
}

// TestLostCountersAreTakenForHalfUsed: the record of what equipment went through
// cannot be read after a crash, or is none. Nothing starts before its shortest time
// off, half of its starts and time on count as used, the journal says so, and from
// then on it counts as ever.
func TestLostCountersAreTakenForHalfUsed(t *testing.T) {
	for name, record := range map[string]string{"torn": `{"saved_at":17`, "another's": `"equipment"`, "empty": `{}`, "of nothing": `null`} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := plant(t, 1)
				g.heats()
				p, _ := g.Store().Registry().Point(heater)
				g.must("PATCH", "/nodes/"+string(p.Node)+"/channels/"+string(p.Channel), map[string]any{"max_on_day_s": 1200}, nil, "If-Match", "*")
				pass(2 * time.Minute)
				g.die()
				g.spoil(record)
				pass(2 * time.Minute) // every lease is over
				g.run()
				pass(30 * time.Second)
				if got := g.events("equipment_counters_lost"); len(got) != 1 {
					t.Errorf("events %+v", got)
				}
				if left := g.why(time.Time{}).Timers["on_day_left"]; left < 540 || left > 600 {
					t.Errorf("%v s of its twenty minutes are left, want half", left)
				}
				pass(20 * time.Minute)
				spent := func(when string) {
					t.Helper()
					if w := g.why(time.Time{}); w.Timers["on_day_left"] > 1200/24 || w.Timers["max_on_day"] < 23*3600 || g.out(relays, "heater") != 0 {
						t.Errorf("%s: timers %v, want nothing worth a start left for most of a day", when, w.Timers)
					}
				}
				spent("after ten minutes more than it had")
				g.stop()
				g.run()
				pass(time.Minute)
				if got := g.events("equipment_counters_lost"); len(got) != 1 {
					t.Errorf("it is lost again: %d events", len(got))
				}
				spent("after another restart")
			})
		})
	}
}

// spoil puts something else where the equipment counters are kept, while no daemon
// runs.
func (h *house) spoil(record string) {
	h.t.Helper()
	s, err := store.Open(store.Options{Path: filepath.Join(h.dir, "registry.db")})
	if err != nil {
		h.t.Fatal(err)
	}
	if err := s.Update(func(tx *store.Tx) error { return tx.Put("equipment", []byte("state"), []byte(record)) }); err != nil {
		h.t.Error(err)
	}
	if err := s.Close(); err != nil {
		h.t.Error(err)
	}
}
