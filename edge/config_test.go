package edge_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/store"
	"greenhouse/wire"
)

// config takes the next configuration that is newer than a revision; the same one
// may come any number of times.
func (d *device) config(after uint64) wire.Config {
	d.t.Helper()
	for {
		m := d.next()
		c, err := wire.DecodeConfig(m.payload)
		if err != nil || !c.Intact() {
			d.t.Fatalf("%s: %v in %s", m.topic, err, m.payload)
		}
		if c.Rev < after {
			d.t.Errorf("revision %d after %d", c.Rev, after)
		}
		if c.Rev > after {
			return c
		}
	}
}

func (d *device) report(c wire.Config, status, why string) {
	d.t.Helper()
	raw, err := json.Marshal(map[string]any{"v": 1, "rev": c.Rev, "hash": c.Hash, "status": status, "error": why})
	if err != nil {
		d.t.Fatal(err)
	}
	d.tell(topic(wire.KindConfigReport, greenhouse.UID(d.login)), string(raw))
}

// TestConfigConverges: the desired revision is committed, published, reported;
// what is rejected or drifts is alarmed, and mends.
func TestConfigConverges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		secret := h.register(ph, "", channels("solution_ph", "pump_acid")...)
		interval := func(s int) {
			t.Helper()
			h.must("PATCH", "/nodes/"+string(ph), map[string]any{"interval_s": s}, nil, "If-Match", fmt.Sprintf("%q", fmt.Sprint(h.Store().Registry().Nodes[ph].Version)))
		}
		state := func() greenhouse.ConfigState { return h.Store().Registry().Nodes[ph].Config }
		source := greenhouse.NodeSource(ph)
		// A node that comes later finds it retained, in one copy.
		pass(5 * time.Second)
		d := h.login(string(ph), secret)
		d.subscribe(topic(wire.KindConfig, ph))
		first := d.config(0)
		d.report(first, "applied", "")
		if got := state(); got.Status != greenhouse.ConfigApplied || got.ReportedRev != first.Rev {
			t.Errorf("after the report: %+v", got)
		}
		// An edit brings the next revision at once.
		interval(30)
		pass(time.Second)
		second := d.config(first.Rev)
		if second.Rev != first.Rev+1 || second.Hash == first.Hash {
			t.Errorf("revision %d after %d", second.Rev, first.Rev)
		}
		d.report(second, "rejected", "no room")
		pass(2 * time.Second)
		if got := state(); got.Status != greenhouse.ConfigRejected || got.Error != "no room" || !h.raised(source, "config_rejected") {
			t.Errorf("after a rejection: %+v, alarm %v", got, h.raised(source, "config_rejected"))
		}
		interval(20)
		pass(time.Second)
		third := d.config(second.Rev)
		d.report(third, "applied", "")
		pass(2 * time.Second)
		if h.raised(source, "config_rejected") || state().Status != greenhouse.ConfigApplied {
			t.Errorf("after the next revision: %+v", state())
		}
		// The node says it runs something else under that number.
		drifted := third
		drifted.Hash = first.Hash
		d.report(drifted, "applied", "")
		d.report(drifted, "applied", "")
		if got := len(h.events("config_drift")); got != 1 || state().Status != greenhouse.ConfigDrift {
			t.Errorf("%d events config_drift, state %+v", got, state())
		}
		again := d.config(second.Rev)
		if again.Rev != third.Rev || again.Hash != third.Hash {
			t.Errorf("published again: revision %d", again.Rev)
		}
		d.tell(topic(wire.KindStatus, ph), `{"v":1,"online":true}`)
		until(t, 90*time.Second, "config_drift is raised", func() bool {
			d.tell(topic(wire.KindStatus, ph), `{"v":1,"online":true}`)
			return h.raised(source, "config_drift")
		})
		d.report(third, "applied", "")
		pass(2 * time.Second)
		if h.raised(source, "config_drift") {
			t.Error("config_drift does not clear")
		}
		// Nothing older ever follows.
		d.Close(true)
		for len(d.got) > 0 {
			if c := d.config(second.Rev); c.Rev != third.Rev {
				t.Errorf("revision %d after %d", c.Rev, third.Rev)
			}
		}
	})
}

// TestConfigAhead: a node that holds a later revision than the registry, as after
// an old backup was restored, gets one above it.
func TestConfigAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		d := h.login(string(ph), h.register(ph, "", channels("solution_ph")...))
		d.subscribe(topic(wire.KindConfig, ph))
		c := d.config(0)
		c.Rev = 41
		d.report(c, "applied", "")
		if got := d.config(1); got.Rev != 42 {
			t.Errorf("revision %d, want 42", got.Rev)
		}
	})
}

// TestRetained: after a restart no node is taken to be there before it speaks, the
// configuration is found at once, and of a decommissioned node nothing is left.
func TestRetained(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		secret := h.register(ph, "", channels("solution_ph")...)
		var account string
		h.update(func(tx *store.Tx) (err error) {
			_, account, err = tx.CreateAccount("reader", nil, []string{"gh/n/+/status", "gh/n/+/config"})
			return err
		})
		d := h.login(string(ph), secret)
		d.tell(topic(wire.KindStatus, ph), `{"v":1,"online":true}`)
		look := func() map[string]string {
			t.Helper()
			r := h.login("reader", account)
			defer r.Close(true)
			r.subscribe("gh/n/+/status", "gh/n/+/config")
			pass(time.Second)
			found := map[string]string{}
			for len(r.got) > 0 {
				m := r.next()
				found[m.topic] = string(m.payload)
			}
			return found
		}
		if got := look()[topic(wire.KindStatus, ph)]; got != `{"v":1,"online":true}` {
			t.Errorf("status of a node that is there: %s", got)
		}
		d.Close(true)
		pass(15 * time.Second) // the grace after a session
		if got := look()[topic(wire.KindStatus, ph)]; got != `{"v":1,"online":false}` {
			t.Errorf("status of a node that left: %s", got)
		}
		d = h.login(string(ph), secret)
		d.tell(topic(wire.KindStatus, ph), `{"v":1,"online":true}`)
		h.die()
		h.run()
		found := look()
		if got := found[topic(wire.KindStatus, ph)]; got != `{"v":1,"online":false}` || found[topic(wire.KindConfig, ph)] == "" {
			t.Errorf("after a restart: %v", found)
		}
		h.must("POST", "/nodes/"+string(ph)+"/decommission", nil, nil, "If-Match", fmt.Sprintf("%q", fmt.Sprint(h.Store().Registry().Nodes[ph].Version)))
		pass(time.Second)
		if got := look(); len(got) != 0 {
			t.Errorf("of a decommissioned node is left: %v", got)
		}
	})
}

// TestTakeOver: a newer connection of the same login ends the older one, which is
// an event and no absence, and levels are ordered anew.
func TestTakeOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		before := g.level(heater).Command
		secret := g.nodes[relays].Secret()
		g.nodes[relays].stop()
		pass(time.Second)
		heat := func(d *device) wire.Command {
			t.Helper()
			for {
				c, err := wire.DecodeCommand(d.next().payload)
				if err != nil {
					t.Fatal(err)
				}
				if c.Channel == "heater" {
					return c
				}
			}
		}
		first := g.login(string(relays), secret)
		first.subscribe(topic(wire.KindCmd, relays))
		first.tell(topic(wire.KindStatus, relays), `{"v":1,"online":true,"boot":"x1"}`)
		held := heat(first)
		if held.ID == before {
			t.Errorf("command %+v: want a new one", held)
		}
		first.tell(topic(wire.KindCmdReport, relays), fmt.Sprintf(`{"v":1,"id":%q,"status":"done","value":1}`, held.ID))
		second := g.login(string(relays), secret)
		second.subscribe(topic(wire.KindCmd, relays))
		select {
		case <-first.Done():
		case <-time.After(patience):
			t.Fatal("the older connection stays")
		}
		c := heat(second)
		if c.ID == held.ID {
			t.Errorf("the newer connection is told to prolong what the older one was told: %+v", c)
		}
		second.tell(topic(wire.KindStatus, relays), `{"v":1,"online":true,"boot":"x1"}`)
		pass(20 * time.Second)
		if got := len(g.events("session_takeover")); got != 1 {
			t.Errorf("%d events session_takeover, want 1", got)
		}
		for _, e := range g.events("node_offline") {
			if e.Source == greenhouse.NodeSource(relays) {
				t.Errorf("the node was told to be offline: %+v", e)
			}
		}
		// The same connection says it has booted: nothing it was told before holds.
		for len(second.got) > 0 {
			second.next()
		}
		second.tell(topic(wire.KindStatus, relays), `{"v":1,"online":true,"boot":"x2"}`)
		if again := heat(second); again.ID == c.ID {
			t.Errorf("command %+v after a boot: want a new one", again)
		}
	})
}
