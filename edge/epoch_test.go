package edge_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/sim"
	"greenhouse/wire"
)

// TestOlderRegistryPutBackByHand: the registry of some runs ago comes back without
// a word to anybody. Its epoch is one the nodes have left behind; the first that
// refuses a command says so, the epoch rises above it, and all obey again.
func TestOlderRegistryPutBackByHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.stop()
		old, err := os.ReadFile(filepath.Join(g.dir, "registry.db"))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // each run takes an epoch
			g.run()
			g.heats()
			g.stop()
		}
		var seen uint64
		g.nodes[relays].Do(func(f *sim.Firmware, _ time.Time) { seen = f.Memory().Epoch })
		if err := os.WriteFile(filepath.Join(g.dir, "registry.db"), old, 0o600); err != nil {
			t.Fatal(err)
		}
		g.run()
		if got := g.Store().Registry().Epoch(); got >= seen {
			t.Fatalf("epoch %d of the older registry, want it below the %d that nodes saw", got, seen)
		}
		took := until(t, 3*time.Minute, "the heater obeys", func() bool { return g.out(relays, "heater") == 1 })
		if got := g.Store().Registry().Epoch(); got <= seen {
			t.Errorf("epoch %d, want it above %d", got, seen)
		}
		raised := g.events("epoch_raised")
		if len(raised) == 0 || len(raised) > 2 { // nodes need not have seen the same
			t.Errorf("%d events epoch_raised, want one for all nodes that saw the same", len(raised))
		}
		until(t, 2*time.Minute, "command_fenced clears", func() bool { return !g.raised(greenhouse.NodeSource(relays), "command_fenced") })
		t.Logf("obeys %v after the start", took)
	})
}

// TestEpochNobodyNames: a node that says fenced and not what it saw is approached
// in growing steps; one that names a number beyond belief moves nothing.
func TestEpochNobodyNames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		d := h.login(string(ph), h.register(ph, "", channels("solution_ph")...))
		d.subscribe(topic(wire.KindCmd, ph))
		d.tell(topic(wire.KindStatus, ph), `{"v":1,"online":true,"boot":"b1"}`)
		refuse := func(detail string) {
			t.Helper()
			h.must("POST", "/nodes/"+string(ph)+"/commands", map[string]any{"op": "identify"}, nil)
			c, err := wire.DecodeCommand(d.next().payload)
			if err != nil {
				t.Fatal(err)
			}
			d.tell(topic(wire.KindCmdReport, ph), fmt.Sprintf(`{"v":1,"id":%q,"status":"fenced"%s}`, c.ID, detail))
			pass(time.Second)
		}
		began := h.Store().Registry().Epoch()
		refuse(`,"detail":{"epoch":9007199254740000}`)
		if got := h.Store().Registry().Epoch(); got != began {
			t.Errorf("epoch %d after an unbelievable one, want %d", got, began)
		}
		rounds := 0
		for ; h.Store().Registry().Epoch() <= 40; rounds++ {
			refuse("")
			refuse("") // within the minute: not again
			pass(time.Minute)
			d.tell(topic(wire.KindStatus, ph), `{"v":1,"online":true,"boot":"b1"}`)
		}
		if rounds < 5 || rounds > 6 {
			t.Errorf("%d rounds to an epoch above 40, want about log2 of it", rounds)
		}
	})
}
