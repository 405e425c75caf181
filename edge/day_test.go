package edge_test

import (
	"testing"
	"time"

	"greenhouse"
	"greenhouse/store"
)

// TestDayOfFaults lets a working day pass in which something else goes wrong every
// half hour, the death of the daemon among it. When all of it is over, everything
// is as it should be, and a stop still brings everything to rest.
func TestDayOfFaults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 2)
		g.heats()
		began := time.Now()
		for i, fault := range []string{
			"silent " + string(relays), "flap(20) " + string(relays), "half_open " + string(relays), "reboot_loop(90) " + string(relays),
			"latency(3) site", "duplicate site", "out_of_order site", "late(40) site", "clock_skew(7200) site", "flap(15) site",
			"dropout(0.4) north/air_temp", "freeze north/air_temp", "sentinel north/air_temp", "stuck_off north/heater", "lies north/vent", "storm(40) " + string(relays),
		} {
			g.inject(fault)
			for range 12 {
				pass(time.Minute)
				if g.raised("zone/north", "zone_failed") || g.raised("zone/south", "zone_failed") {
					t.Fatalf("%s: a zone fails", fault)
				}
			}
			g.heal()
			if i%5 == 4 {
				g.die()
				pass(time.Minute)
				if on := g.on(); len(on) > 0 {
					t.Errorf("%s: on a minute after the daemon died: %v", fault, on)
				}
				g.run()
			}
			pass(15 * time.Minute)
		}
		pass(15 * time.Minute)
		reg := g.Store().Registry()
		for uid, n := range reg.Nodes {
			if n.State != greenhouse.NodeActive || n.Config.Status != greenhouse.ConfigApplied {
				t.Errorf("%s is %s with its configuration %s", uid, n.State, n.Config.Status)
			}
			if g.raised(greenhouse.NodeSource(uid), "node_offline") {
				t.Errorf("%s is alarmed as offline", uid)
			}
		}
		if r := g.Received(); r.Malformed+r.Strange+r.Unrouted != 0 {
			t.Errorf("the reference firmware was misunderstood: %+v", r)
		}
		if s := g.Actuators().Stats(); s.Foreign+s.Malformed+s.EventsLost+s.SaveErrors != 0 {
			t.Errorf("commands: %+v", s)
		}
		if err := g.Journal().Verify(); err != nil {
			t.Error(err)
		}
		if err := g.Store().Check(); err != nil {
			t.Error(err)
		}
		open := 0
		err := g.Store().View(func(tx *store.Tx) error {
			commands, err := tx.OpenCommands()
			open = len(commands)
			return err
		})
		if err != nil || open > 40 {
			t.Errorf("%d commands are open, %v", open, err)
		}
		st := g.History().Stats()
		t.Logf("%v of virtual time: %d readings, %d repeated, %d refused, %d events, still open: %v", time.Since(began), st.Readings, st.Deduplicated, st.Refused, g.Journal().Last(), openAlarms(g.house))
		g.stop()
		if on := g.on(); len(on) > 0 {
			t.Errorf("on after the stop: %v", on)
		}
	})
}
