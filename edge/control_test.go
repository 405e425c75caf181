package edge_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/actuation"
	"greenhouse/api"
	"greenhouse/edge"
	"greenhouse/sim"
	"greenhouse/store"
	"greenhouse/wire"
)

// garden is a house with a greenhouse around it that obeys physics, and the
// nodes in it, all in virtual time.
type garden struct {
	*house
	world *sim.World
	nodes map[greenhouse.UID]*gardenNode
	ctx   context.Context
	live  sync.WaitGroup
}

type gardenNode struct {
	*sim.Client
	device *sim.Device
	stop   context.CancelFunc
}

// body is a device as its firmware sees it: the faults the world lists are those
// at work now.
type body struct{ *sim.Device }

func (b body) Faults() []sim.NodeFault {
	all := b.Device.Faults()
	for i := range all {
		all[i].From, all[i].Until = time.Time{}, time.Time{}
	}
	return all
}

// plant builds a greenhouse of some zones of the demonstration and lets its nodes
// live. Heaters are of the electronic kind, so that minutes suffice.
func plant(t *testing.T, zones int, edit ...func(*edge.Options)) *garden {
	t.Helper()
	plan, err := sim.DemoPlan(zones, 1)
	if err != nil {
		t.Fatal(err)
	}
	plan.Start = time.Now()
	world, err := sim.NewWorld(plan)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g := &garden{world: world, nodes: map[greenhouse.UID]*gardenNode{}, ctx: ctx}
	g.house = start(t, edit...)
	g.update(func(tx *store.Tx) error {
		if _, err := tx.SetSite(plan.Site, 0); err != nil {
			return err
		}
		for _, z := range plan.Zones {
			if _, err := tx.CreateZone(z.Zone); err != nil {
				return err
			}
		}
		return nil
	})
	for _, d := range world.Devices() {
		g.admit(d)
	}
	g.live.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				world.Advance(time.Second)
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		g.live.Wait()
	})
	return g
}

// admit registers a device and switches it on.
func (g *garden) admit(d *sim.Device) {
	g.t.Helper()
	p := d.Plan()
	secret := g.register(p.UID(), p.Zone, channels(p.Channels...)...)
	o := sim.ClientOptions{HardwareID: p.HardwareID, Type: p.Type, Secret: secret, Dialer: g.dialer(),
		Firmware: sim.FirmwareOptions{Body: body{d}, FW: p.FW, Boot: "t", Seed: 1}}
	for _, ch := range p.Channels {
		spec, _ := greenhouse.StandardChannel(ch)
		o.Firmware.Channels = append(o.Firmware.Channels, wire.HelloChannel{Name: ch, Kind: spec.Kind})
		if ch == "heater" {
			g.update(func(tx *store.Tx) error {
				_, err := tx.EditPoint(greenhouse.ZonePoint(p.Zone, ch, 1), 0, func(p *greenhouse.Point) error {
					p.Class = greenhouse.ClassHeaterSSR
					return nil
				})
				return err
			})
		}
	}
	n := &gardenNode{Client: sim.NewClient(o), device: d}
	ctx, cancel := context.WithCancel(g.ctx)
	n.stop = cancel
	g.nodes[n.UID()] = n
	g.live.Go(func() {
		if err := n.Run(ctx); err != nil && ctx.Err() == nil {
			g.t.Errorf("node %s gave up: %v", n.UID(), err)
		}
	})
}

const (
	relays = greenhouse.UID("relay-02510d000102")
	heater = greenhouse.PointID("north/heater")
)

// out returns the level a node drives an output to.
func (g *garden) out(uid greenhouse.UID, ch greenhouse.ChannelName) (level float64) {
	g.nodes[uid].Do(func(f *sim.Firmware, _ time.Time) { level, _ = f.Level(ch) })
	return level
}

// on returns the outputs of all nodes that are not at rest. A vent or screen may
// stand anywhere: only what heats, doses or waters counts.
func (g *garden) on() []string {
	var list []string
	for uid, n := range g.nodes {
		for _, ch := range n.device.Plan().Channels {
			spec, _ := greenhouse.StandardChannel(ch)
			if spec.Kind == greenhouse.Actuator && spec.Class.Spec().Safe == 0 && g.out(uid, ch) != 0 {
				list = append(list, string(uid)+"/"+string(ch))
			}
		}
	}
	return list
}

func (g *garden) level(p greenhouse.PointID) actuation.Level {
	l, _ := g.Actuators().Level(p)
	return l
}

func (g *garden) air() float64 {
	z, _ := g.world.Zone("north")
	return z.Climate.Air
}

func (g *garden) inject(text string) {
	g.t.Helper()
	f, err := sim.ParseFault(text)
	if err == nil {
		_, err = g.world.Inject(f)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *garden) heal() {
	for _, f := range g.world.Faults() {
		g.world.Heal(f.ID)
	}
}

// heats waits until the heater of the zone is on, by its node and by ours.
func (g *garden) heats() {
	g.t.Helper()
	until(g.t, 10*time.Minute, "the heater is on", func() bool {
		l := g.level(heater)
		return g.out(relays, "heater") == 1 && l.Known && l.Reported == 1
	})
}

func TestZoneReachesItsTarget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		began, cold := time.Now(), g.air()
		g.heats()
		var why struct {
			Winner struct{ Owner, Reason string } `json:"winner"`
			Text   string                         `json:"text"`
		}
		g.must("GET", "/points/north%2Fheater/why", nil, &why)
		if why.Winner.Owner != "heating" || why.Winner.Reason == "" || why.Text == "" {
			t.Errorf("the heater is on because %+v", why)
		}
		took := until(t, 4*time.Hour, "the zone is warm", func() bool { return g.air() > 19 })
		t.Logf("from %.1f °C to %.1f °C in %v", cold, g.air(), took)
		pass(2 * time.Hour)
		if air := g.air(); air < 18.5 || air > 26 {
			t.Errorf("two hours later it is %.1f °C", air)
		}
		t.Logf("after %v: %.1f °C; alarms: %v", time.Since(began), g.air(), openAlarms(g.house))
		for uid, n := range g.Store().Registry().Nodes {
			if n.Config.Status != greenhouse.ConfigApplied || n.State != greenhouse.NodeActive {
				t.Errorf("%s is %s with its configuration %s", uid, n.State, n.Config.Status)
			}
		}
		if s := g.Actuators().Stats(); s.Timeouts+s.Failed+s.Unknown+s.Foreign != 0 {
			t.Errorf("commands went wrong on a healthy site: %+v", s)
		}
	})
}

func openAlarms(h *house) []string {
	var list []string
	for _, a := range h.Journal().Alarms(false) {
		list = append(list, string(a.Source)+" "+a.Code+" "+string(a.State))
	}
	return list
}

// TestDeadNode: the lease ends on the node, the daemon does not take it for on,
// and somebody is told.
func TestDeadNode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		n := g.nodes[relays]
		lease := greenhouse.ClassHeaterSSR.Spec().Lease
		n.Inject(sim.NodeFault{Verb: sim.Kill})
		took := until(t, lease+time.Second, "the node is safe by itself", func() bool { return g.out(relays, "heater") == 0 })
		until(t, 15*time.Second, "the daemon knows nothing of it", func() bool { l := g.level(heater); return !l.Online && !l.Known })
		alarmed := until(t, 2*time.Minute, "node_offline is raised", func() bool { return g.raised(greenhouse.NodeSource(relays), "node_offline") })
		t.Logf("safe after %v, alarm %v later", took, alarmed)
		pass(time.Minute)
		n.Do(func(f *sim.Firmware, _ time.Time) { f.Repair("") })
		g.heats()
		until(t, 2*time.Minute, "the alarm clears", func() bool { return !g.raised(greenhouse.NodeSource(relays), "node_offline") })
	})
}

// TestHalfOpenNode: the connection stands and passes nothing. A stop is repeated
// until the node, having noticed, comes back and confirms it.
func TestHalfOpenNode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		g.inject("half_open " + string(relays))
		pass(2 * time.Second)
		g.must("POST", "/stop", map[string]any{"reason": "test"}, nil)
		took := until(t, greenhouse.ClassHeaterSSR.Spec().Lease+time.Second, "the heater is off", func() bool { return g.out(relays, "heater") == 0 })
		t.Logf("off after %v", took)
		g.heal()
		until(t, 2*time.Minute, "the node confirms", func() bool {
			l := g.level(heater)
			return l.Known && l.Reported == 0 && !g.raised(greenhouse.PointSource(heater), "stop_unconfirmed")
		})
	})
}

// TestSilentSensor: without a temperature somebody is told within two minutes, the
// heater goes by the weather, and is safe when that is lost as well.
func TestSilentSensor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		g.inject("gap north/air_temp")
		before := time.Now()
		until(t, 2*time.Minute, "an alarm is raised", func() bool {
			for _, a := range g.Journal().Alarms(false) {
				if strings.Contains(a.Code, "stale") || strings.Contains(a.Code, "sensor") || strings.Contains(a.Code, "missing") {
					return true
				}
			}
			return false
		})
		t.Logf("alarmed after %v: %v", time.Since(before), openAlarms(g.house))
		hold := time.Duration(300) * time.Second
		until(t, hold+2*time.Minute, "it limps home", func() bool { return g.raised(greenhouse.ZoneSource("north"), "climate_blind") })
		pass(time.Minute)
		var zone api.Zone
		g.must("GET", "/zones/north", nil, &zone)
		for _, x := range zone.Actuators {
			if x.Point == heater && (x.RanH <= 0 || x.Starts == 0) {
				t.Errorf("its hours are not told: %+v", x)
			}
		}
		if v, _ := g.Actuators().Verdict(heater); v.Terms["demand"] > 0.8 || v.Terms["loss_per_k"] == 0 {
			t.Errorf("without a temperature it heats by %+v", v.Terms)
		}
		g.inject("gap north/outside_temp")
		took := until(t, 2*hold, "the heater is off", func() bool {
			v, _ := g.Actuators().Verdict(heater)
			return v.Winner.Owner == "failsafe" && g.out(relays, "heater") == 0
		})
		t.Logf("safe after %v more", took)
		for range 60 {
			pass(5 * time.Second)
			if g.out(relays, "heater") != 0 {
				t.Fatal("the heater came back without any temperature")
			}
		}
	})
}

// TestJammedVent: what a drive says of itself is compared with what it was told.
func TestJammedVent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		g.inject("stuck(0) north/vent")
		g.must("PUT", "/points/north%2Fvent/override", map[string]any{"value": 0.5, "for_s": 3600, "reason": "test"}, nil)
		took := until(t, 15*time.Minute, "the vent is alarmed", func() bool {
			return g.raised(greenhouse.PointSource("north/vent"), "actuator_not_following") || g.raised(greenhouse.PointSource("north/vent"), "effect_missing")
		})
		t.Logf("alarm after %v: %v", took, openAlarms(g.house))

	})
}

// TestOrderlyStop: everything is off when the daemon has stopped, and the wear of
// the equipment is kept.
func TestOrderlyStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		began, starts := time.Now(), g.level(heater).Starts
		g.stop()
		if on := g.on(); len(on) > 0 {
			t.Errorf("still on after the stop: %v", on)
		}
		t.Logf("stopped in %v", time.Since(began))
		g.run()
		pass(0)
		if got := g.level(heater).Starts; got < starts {
			t.Errorf("%d starts counted after the restart, %d before", got, starts)
		}
		g.heats()
	})
}

// TestDeath: the daemon dies without a word. Its nodes are safe within a lease,
// the next daemon takes a higher epoch, and nothing is on before its decision.
func TestDeath(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		epoch := g.Store().Registry().Epoch()
		command := g.level(heater).Command
		lease := greenhouse.ClassHeaterSSR.Spec().Lease
		g.die()
		took := until(t, lease+time.Second, "everything is off", func() bool { return len(g.on()) == 0 })
		t.Logf("safe after %v", took)
		g.run()
		if got := g.Store().Registry().Epoch(); got <= epoch {
			t.Errorf("epoch %d after %d", got, epoch)
		}
		if l := g.level(heater); l.Known || l.Decided && l.Desired != 0 {
			t.Errorf("the new daemon takes the heater for %+v before its first decision", l)
		}
		g.heats()
		if l := g.level(heater); l.Command == command {
			t.Error("the command of the dead daemon goes on")
		}
		err := g.Store().View(func(tx *store.Tx) error {
			c, err := tx.Command(command)
			if err == nil && !c.State.Terminal() {
				t.Errorf("the command of the dead daemon is %s", c.State)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestEmergencyStop: latched, over a restart too, and released by hand alone.
func TestEmergencyStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		g.must("POST", "/stop", map[string]any{"zone": "north", "reason": "test"}, nil)
		took := until(t, 2*time.Second, "the heater is off", func() bool { return g.out(relays, "heater") == 0 })
		t.Logf("off after %v", took)
		pass(2 * time.Minute)
		if on := g.on(); len(on) > 0 {
			t.Errorf("on under an emergency stop: %v", on)
		}
		g.die()
		g.run()
		pass(5 * time.Minute)
		if on := g.on(); len(on) > 0 {
			t.Errorf("on under an emergency stop after a restart: %v", on)
		}
		if got := g.call("PUT", "/points/north%2Fheater/override", map[string]any{"value": 1, "for_s": 600, "reason": "test"}, nil); got < 300 {
			pass(time.Minute)
			if g.out(relays, "heater") != 0 {
				t.Error("an override passes an emergency stop")
			}
			g.must("DELETE", "/points/north%2Fheater/override", nil, nil)
		}
		g.must("POST", "/resume", map[string]any{"zone": "north"}, nil)
		g.heats()
	})
}

// TestOverride: a level by hand holds until its time is over and not longer.
func TestOverride(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		g.must("PUT", "/points/north%2Fheater/override", map[string]any{"value": 0, "for_s": 600, "reason": "test"}, nil)
		until(t, time.Minute, "the heater is off", func() bool { return g.out(relays, "heater") == 0 })
		pass(9 * time.Minute)
		if _, stands := g.Store().Registry().Overrides[heater]; !stands || g.out(relays, "heater") != 0 {
			t.Error("the override ended early")
		}
		until(t, 70*time.Second, "the override is over", func() bool { _, stands := g.Store().Registry().Overrides[heater]; return !stands })
		if got := len(g.events("override_expired")); got != 1 {
			t.Errorf("%d events override_expired, want 1", got)
		}
		g.heats()
	})
}

// TestEnvelope: no override passes what protects people and plants.
func TestEnvelope(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		g.must("PUT", "/points/north%2Fheater/override", map[string]any{"value": 1, "for_s": 7200, "reason": "test"}, nil)
		g.inject("offset(25) north/air_temp")
		until(t, 2*time.Minute, "too hot: the heater is off", func() bool { return g.out(relays, "heater") == 0 })
	})
}

// TestManualMode: what automation had on goes off, and stays off.
func TestManualMode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := plant(t, 1)
		g.heats()
		g.must("PUT", "/zones/north/mode", map[string]any{"mode": "manual"}, nil)
		until(t, 5*time.Second, "the heater is off", func() bool { return g.out(relays, "heater") == 0 })
		pass(10 * time.Minute)
		if on := g.on(); len(on) > 0 {
			t.Errorf("on in manual mode: %v", on)
		}
		g.must("PUT", "/points/north%2Fheater/override", map[string]any{"value": 1, "for_s": 600, "reason": "test"}, nil)
		g.heats()
		pass(15 * time.Minute)
		if g.out(relays, "heater") != 0 {
			t.Error("the heater is on after the override")
		}
		g.must("PUT", "/zones/north/mode", map[string]any{"mode": "auto"}, nil)
		g.heats()
	})
}

// TestTwoPHNodes is defect S4: of two people who assign a pH node each to one
// zone at the same moment, exactly one succeeds.
func TestTwoPHNodes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		for i := range 20 {
			zone := greenhouse.ZoneID("z" + string(rune('a'+i)))
			h.zone(greenhouse.Zone{ID: zone})
			var both sync.WaitGroup
			var won [2]int
			for j, uid := range []greenhouse.UID{greenhouse.UID("ph-0000000a" + string(rune('a'+i))), greenhouse.UID("ph-0000000b" + string(rune('a'+i)))} {
				h.register(uid, "", channels("solution_ph")...)
				both.Go(func() { won[j] = h.call("POST", "/nodes/"+string(uid)+"/assign", map[string]any{"zone": zone}, nil) })
			}
			both.Wait()
			if (won[0] < 300) == (won[1] < 300) || len(h.Store().Registry().ZoneNodes(zone)) != 1 {
				t.Fatalf("zone %s: answers %v, %d nodes", zone, won, len(h.Store().Registry().ZoneNodes(zone)))
			}
		}
	})
}

// TestStaleEdit is defect S3: of two edits that read the same version the second
// is refused, and told what changed.
func TestStaleEdit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		h.zone(greenhouse.Zone{ID: "north"})
		if got := h.call("PATCH", "/zones/north", map[string]any{"name": "One"}, nil, "If-Match", `"1"`); got != 200 {
			t.Errorf("the first edit: %d", got)
		}
		if got := h.call("PATCH", "/zones/north", map[string]any{"name": "Two"}, nil, "If-Match", `"1"`); got != 412 {
			t.Errorf("the second edit: %d, want 412", got)
		}
		if got := h.Store().Registry().Zones["north"].Name; got != "One" {
			t.Errorf("the zone is called %q", got)
		}
	})
}
