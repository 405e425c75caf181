package sim_test

import (
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/sim"
)

func demo(t testing.TB, zones int, seed uint64) *sim.World {
	t.Helper()
	w, err := sim.DemoWorld(zones, seed)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// deviceWith returns the device that carries a channel in a zone.
func deviceWith(t testing.TB, w *sim.World, zone greenhouse.ZoneID, ch greenhouse.ChannelName) *sim.Device {
	t.Helper()
	for _, d := range w.Devices() {
		if d.Plan().Zone == zone && slices.Contains(d.Plan().Channels, ch) {
			return d
		}
	}
	t.Fatalf("no device with %s in %s", ch, zone)
	return nil
}

func drive(t testing.TB, w *sim.World, zone greenhouse.ZoneID, ch greenhouse.ChannelName, level float64) float64 {
	t.Helper()
	seen, err := deviceWith(t, w, zone, ch).Drive(ch, level, w.Now())
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func read(t testing.TB, w *sim.World, zone greenhouse.ZoneID, ch greenhouse.ChannelName) float64 {
	t.Helper()
	v, ok := deviceWith(t, w, zone, ch).Read(ch, w.Now())
	if !ok {
		t.Fatalf("%s/%s cannot be read", zone, ch)
	}
	return v
}

func state(t testing.TB, w *sim.World, zone greenhouse.ZoneID) sim.ZoneState {
	t.Helper()
	s, ok := w.Zone(zone)
	if !ok {
		t.Fatalf("no zone %s", zone)
	}
	return s
}

// everything reads all sensors of all devices.
func everything(w *sim.World) (all []float64) {
	for _, d := range w.Devices() {
		for _, ch := range d.Plan().Channels {
			if v, ok := d.Read(ch, w.Now()); ok {
				all = append(all, v)
			}
		}
	}
	return all
}

// TestDemoMovesWithinAMinute: at 20 times the speed of life a viewer sees 20
// minutes in one. Zones start off their targets, and equipment moves them.
func TestDemoMovesWithinAMinute(t *testing.T) {
	w := demo(t, 3, 1)
	if got := len(w.Devices()); got != 12 {
		t.Errorf("nodes: got %d, want 12", got)
	}
	if north := state(t, w, "north").Climate.Air; north > 16 {
		t.Errorf("north starts at %.1f °C, want it far below its target", north)
	}
	south, nursery := state(t, w, "south").Climate, state(t, w, "nursery").Climate
	if south.Air < 25 || nursery.RH() < 85 {
		t.Errorf("south starts at %.1f °C and the nursery at %.0f %%, want them hot and humid", south.Air, nursery.RH())
	}
	drive(t, w, "north", "heater", 1)
	drive(t, w, "south", "vent", 1)
	drive(t, w, "nursery", "heater", 1)
	drive(t, w, "nursery", "vent", 0.2)
	drive(t, w, "north", "irrigation_valve", 1)
	before := read(t, w, "north", "soil_moisture")
	w.Advance(20 * time.Minute)
	if got := read(t, w, "north", "air_temp"); got < 20 {
		t.Errorf("north after heating: got %.1f °C, want at least 20", got)
	}
	if got := read(t, w, "south", "air_temp"); got > south.Air-5 {
		t.Errorf("south after venting: got %.1f °C, want at least 5 K less than %.1f", got, south.Air)
	}
	if got := read(t, w, "nursery", "air_rh"); got > nursery.RH()-15 {
		t.Errorf("nursery after drying: got %.0f %%, want at least 15 less than %.0f", got, nursery.RH())
	}
	if got := read(t, w, "north", "soil_moisture"); got < before+5 {
		t.Errorf("soil moisture after irrigation: got %.1f %%, want at least 5 more than %.1f", got, before)
	}
	if got := read(t, w, "north", "flow"); math.Abs(got-7.2) > 0.6 {
		t.Errorf("flow: got %.2f L/min, want about 7.2", got)
	}
}

func TestDemoPlanIsSound(t *testing.T) {
	p, err := sim.DemoPlan(7, 3)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[greenhouse.HardwareID]bool{}
	for _, n := range p.Nodes {
		if id, err := greenhouse.ParseHardwareID(string(n.HardwareID)); err != nil || id != n.HardwareID || seen[id] {
			t.Errorf("hardware id %q: %v, or there twice", n.HardwareID, err)
		}
		seen[n.HardwareID] = true
		for _, ch := range n.Channels {
			if _, ok := greenhouse.StandardChannel(ch); !ok {
				t.Errorf("%s: %s is no standard channel", n.Name, ch)
			}
		}
	}
	for _, z := range p.Zones {
		if _, err := greenhouse.ParseZoneID(string(z.Zone.ID)); err != nil {
			t.Error(err)
		}
		heat, vent := z.Zone.Targets[greenhouse.Heating], z.Zone.Targets[greenhouse.Venting]
		if vent.Day < heat.Day+1 || vent.Night < heat.Night+1 {
			t.Errorf("%s: venting %+v is not above heating %+v", z.Zone.ID, vent, heat)
		}
	}
	for _, n := range []int{0, -1, 201} {
		if _, err := sim.DemoWorld(n, 1); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("%d zones: got %v, want them refused", n, err)
		}
	}
}

func TestNewWorldRefusesWhatDoesNotFit(t *testing.T) {
	for name, spoil := range map[string]func(*sim.Plan){
		"node twice":     func(p *sim.Plan) { p.Nodes = append(p.Nodes, p.Nodes[0]) },
		"channel twice":  func(p *sim.Plan) { p.Nodes[0].Channels = []greenhouse.ChannelName{"air_temp", "air_temp"} },
		"zone twice":     func(p *sim.Plan) { p.Zones = append(p.Zones, p.Zones[0]) },
		"node elsewhere": func(p *sim.Plan) { p.Nodes[0].Zone = "moon" },
		"long step":      func(p *sim.Plan) { p.Step = time.Minute },
	} {
		p, err := sim.DemoPlan(3, 1)
		if err != nil {
			t.Fatal(err)
		}
		spoil(&p)
		if _, err := sim.NewWorld(p); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
}

// TestAdvanceDoesNotDependOnHowTimeIsCut, nor on who reads meanwhile.
func TestAdvanceDoesNotDependOnHowTimeIsCut(t *testing.T) {
	a, b := demo(t, 3, 9), demo(t, 3, 9)
	for _, w := range []*sim.World{a, b} {
		drive(t, w, "north", "heater", 1)
		drive(t, w, "south", "vent", 0.5)
		if _, err := w.Inject(sim.Fault{Verb: sim.Drift, Target: "north/air_temp", Value: 1}); err != nil {
			t.Fatal(err)
		}
	}
	a.Advance(time.Hour)
	for left := time.Hour; left > 0; {
		piece := min(left, 333*time.Millisecond)
		b.Advance(piece)
		left -= piece
		everything(b)
	}
	if d := cmp.Diff(everything(a), everything(b)); d != "" {
		t.Errorf("in one piece and in many (-one +many):\n%s", d)
	}
	c := demo(t, 3, 10)
	c.Advance(time.Hour)
	if cmp.Equal(everything(a), everything(c)) {
		t.Error("two seeds gave the same readings")
	}
}

func TestReadingOneInstantTwiceGivesOneReading(t *testing.T) {
	w := demo(t, 1, 2)
	w.Advance(time.Minute)
	if d := cmp.Diff(everything(w), everything(w)); d != "" {
		t.Errorf("first and second look (-first +second):\n%s", d)
	}
}

func TestUnknownChannels(t *testing.T) {
	w := demo(t, 1, 1)
	d := deviceWith(t, w, "north", "air_temp")
	if v, ok := d.Read("heater", w.Now()); ok || !math.IsNaN(v) {
		t.Errorf("a channel of another node: got %v, %v, want no reading", v, ok)
	}
	if _, err := d.Drive("air_temp", 1, w.Now()); !errors.Is(err, greenhouse.ErrNotFound) {
		t.Errorf("driving a sensor: got %v, want no such output", err)
	}
	if _, ok := w.Device("00000000"); ok {
		t.Error("a device that is not in the plan was found")
	}
	if d, ok := w.Device(d.Plan().HardwareID); !ok || d.Plan().Type != greenhouse.TypeClimate {
		t.Error("a device of the plan was not found")
	}
}

// TestManyClientsAtOnce is for the race detector.
func TestManyClientsAtOnce(t *testing.T) {
	w := demo(t, 3, 1)
	var wg sync.WaitGroup
	for _, d := range w.Devices() {
		wg.Go(func() {
			for i := range 200 {
				for _, ch := range d.Plan().Channels {
					d.Read(ch, w.Now())
					d.Drive(ch, float64(i%2), w.Now())
				}
				d.Faults()
			}
		})
	}
	wg.Go(func() {
		for range 200 {
			w.Advance(2 * time.Second)
			f, err := w.Inject(sim.Fault{Verb: sim.Swap, Target: "north/pump_acid"})
			if err != nil {
				t.Error(err)
				return
			}
			w.Faults()
			w.Heal(f.ID)
		}
	})
	wg.Wait()
	if got, want := w.Now().Sub(w.Plan().Start), 400*time.Second; got != want {
		t.Errorf("time: got %v, want %v", got, want)
	}
}

// TestTwoHeatersShareTheWork: two outputs of one name in a zone are two halves
// of its equipment, numbered in the order of the plan.
func TestTwoHeatersShareTheWork(t *testing.T) {
	p, err := sim.DemoPlan(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	second := sim.NodePlan{HardwareID: "02510d0001ff", Type: greenhouse.TypeRelay, Zone: "north", Channels: []greenhouse.ChannelName{"heater"}}
	p.Nodes = append(p.Nodes, second)
	w, err := sim.NewWorld(p)
	if err != nil {
		t.Fatal(err)
	}
	d, ok := w.Device(second.HardwareID)
	if !ok {
		t.Fatal("the second heater is not there")
	}
	if _, err := d.Drive("heater", 1, w.Now()); err != nil {
		t.Fatal(err)
	}
	w.Advance(time.Second)
	if got := state(t, w, "north").Equipment.Heater; got != 0.5 {
		t.Errorf("one of two heaters: got level %g, want 0.5", got)
	}
	if _, err := w.Inject(sim.Fault{Verb: sim.StuckOff, Target: "north/heater.2"}); err != nil {
		t.Fatal(err)
	}
	w.Advance(time.Second)
	if got := state(t, w, "north").Equipment.Heater; got != 0 {
		t.Errorf("the second heater stuck off: got level %g, want 0", got)
	}
}

func TestDosingMovesTheTank(t *testing.T) {
	w := demo(t, 1, 1)
	w.Advance(time.Minute)
	ph, ec := state(t, w, "north").Tank.PH, state(t, w, "north").Tank.EC
	drive(t, w, "north", "pump_acid", 1)
	w.Advance(20 * time.Second)
	drive(t, w, "north", "pump_acid", 0)
	drive(t, w, "north", "pump_a", 1)
	drive(t, w, "north", "pump_b", 1)
	w.Advance(20 * time.Second)
	drive(t, w, "north", "pump_a", 0)
	drive(t, w, "north", "pump_b", 0)
	w.Advance(30 * time.Minute)
	s := state(t, w, "north").Tank
	if s.PH > ph-0.05 || s.PH < ph-1 {
		t.Errorf("pH after 20 mL of acid: got %.2f, want somewhat less than %.2f", s.PH, ph)
	}
	if s.EC < ec+0.3 || s.EC > ec+0.5 {
		t.Errorf("EC after 20 mL of A and B: got %.2f, want about 0.4 more than %.2f", s.EC, ec)
	}
	if got := deviceWith(t, w, "north", "pump_acid").PumpRate("pump_acid"); got != 1 {
		t.Errorf("pump rate: got %g mL/s, want 1", got)
	}
}

// A running pump disturbs a pH probe five times as much as a calm tank does.
func TestPumpsDisturbThePHProbe(t *testing.T) {
	spread := func(pump float64) float64 {
		w := demo(t, 1, 1)
		drive(t, w, "north", "pump_a", pump)
		w.Advance(10 * time.Minute)
		var last, sum float64
		for i := range 200 {
			w.Advance(time.Second)
			v := read(t, w, "north", "solution_ph")
			if i > 0 {
				sum += (v - last) * (v - last)
			}
			last = v
		}
		return math.Sqrt(sum / 199)
	}
	if calm, runs := spread(0), spread(1); runs < 3*calm || runs > 7*calm {
		t.Errorf("from reading to reading %.3f while the pump runs, %.3f otherwise; want about five times that", runs, calm)
	}
}

func BenchmarkWorldSecond(b *testing.B) {
	w := demo(b, 3, 1)
	for b.Loop() {
		w.Advance(time.Second)
	}
}
