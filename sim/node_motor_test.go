package sim_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/sim"
	"greenhouse/wire"
)

// motored is a node with a vent and a screen in a real house, stepped together.
type motored struct {
	t   *testing.T
	w   *sim.World
	fw  *sim.Firmware
	now time.Time
	out []sim.Message
}

func newMotored(t *testing.T) *motored {
	t.Helper()
	plan, err := sim.DemoPlan(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	w, err := sim.NewWorld(plan)
	if err != nil {
		t.Fatal(err)
	}
	m := &motored{t: t, w: w, now: w.Now()}
	for _, d := range w.Devices() {
		if d.Plan().Type != greenhouse.TypeRelay {
			continue
		}
		o := sim.FirmwareOptions{UID: d.Plan().UID(), Body: d}
		for _, ch := range d.Plan().Channels {
			o.Channels = append(o.Channels, wire.HelloChannel{Name: ch, Kind: greenhouse.Actuator})
		}
		m.fw = sim.NewFirmware(o, m.now)
	}
	m.out = append(m.out, m.fw.Connected(m.now)...)
	return m
}

// pass lets time pass, house and node alike.
func (m *motored) pass(d time.Duration) {
	for end := m.now.Add(d); m.now.Before(end); {
		next := m.fw.Next(m.now)
		if next.After(end) {
			next = end
		}
		if !next.After(m.now) {
			next = m.now.Add(time.Millisecond)
		}
		m.w.Advance(next.Sub(m.now))
		m.now = next
		m.out = append(m.out, m.fw.Tick(m.now)...)
	}
}

func (m *motored) set(id string, ch greenhouse.ChannelName, level float64) {
	m.t.Helper()
	c := set(id, 1, ch, level)
	c.LeaseS, c.Expires = 3600, greenhouse.MillisOf(m.now.Add(time.Minute))
	payload, err := c.Marshal()
	if err != nil {
		m.t.Fatal(err)
	}
	m.out = append(m.out, m.fw.Receive(m.now, wire.NodeTopic(wire.KindCmd, m.uid()).String(), payload)...)
}

func (m *motored) uid() greenhouse.UID {
	t, _ := wire.ParseTopic(m.fw.Will().Topic)
	return t.UID
}

// reports returns what the node said of a command, and the last status.
func (m *motored) reports(id string) (all []wire.CommandReport) {
	for _, x := range m.out {
		if r, err := wire.DecodeCommandReport(x.Payload); err == nil && strings.HasSuffix(x.Topic, "/cmd/report") && string(r.ID) == id {
			all = append(all, r)
		}
	}
	return all
}

func (m *motored) status() wire.Status {
	m.t.Helper()
	for i := len(m.out) - 1; i >= 0; i-- {
		if strings.HasSuffix(m.out[i].Topic, "/status") {
			s, err := wire.DecodeStatus(m.out[i].Payload)
			if err != nil {
				m.t.Fatal(err)
			}
			return s
		}
	}
	m.t.Fatal("there is no status")
	return wire.Status{}
}

func (m *motored) vent() float64 {
	z, _ := m.w.Zone("north")
	return z.Equipment.VentLee
}

// TestVentByTime sends a vent about: what the node believes is where it stands.
func TestVentByTime(t *testing.T) {
	m := newMotored(t)
	if s := m.status(); s.Motors["vent"].State != greenhouse.MotorKnown || s.Motors["vent"].TravelS != 180 {
		t.Fatalf("a vent at its closed end: got %+v", s.Motors["vent"])
	}
	for i, level := range []float64{0.4, 0.7, 0.2, 0.5, 1, 0.3, 0} {
		id := string(rune('a' + i))
		m.set(id, "vent", level)
		m.pass(6 * time.Minute)
		r := m.reports(id)
		if len(r) != 2 || r[0].Status != greenhouse.CommandAccepted || r[1].Status != greenhouse.CommandDone || r[1].Value == nil {
			t.Fatalf("to %g: got %+v, want accepted and then done", level, r)
		}
		if math.Abs(*r[1].Value-level) > 0.001 || math.Abs(m.vent()-level) > 0.03 {
			t.Errorf("to %g: the node says %.3f, it stands at %.3f", level, *r[1].Value, m.vent())
		}
	}
}

// TestVentAfterPowerCut takes the power away half way: the node does not know where
// its vent is, says so, waits its turn, and finds the closed end.
func TestVentAfterPowerCut(t *testing.T) {
	m := newMotored(t)
	m.set("a", "vent", 0.5)
	m.pass(3 * time.Minute)
	m.fw.Reboot(m.now, "power_on")
	m.out = append(m.out, m.fw.Connected(m.now)...)
	if s := m.status(); s.Motors["vent"].State != greenhouse.MotorUnknown || s.Motors["vent"].Position != nil || s.Motors["screen"].State != greenhouse.MotorKnown {
		t.Fatalf("after the boot: got %+v, want a vent nobody knows about", s.Motors)
	}
	was := m.vent()
	m.pass(100 * time.Millisecond)
	nulls := 0
	for _, x := range m.out {
		nulls += strings.Count(string(x.Payload), `"vent":null`)
	}
	if nulls == 0 {
		t.Error("telemetry has a level for a vent that nobody knows about")
	}
	if m.vent() != was {
		t.Error("it moved at once")
	}
	m.pass(20*time.Second + 120*time.Second)
	if s := m.status(); m.vent() > 0.01 || s.Motors["vent"].State != greenhouse.MotorKnown || s.Motors["vent"].Position == nil || *s.Motors["vent"].Position != 0 {
		t.Errorf("the vent is at %.2f, the node says %+v", m.vent(), s.Motors["vent"])
	}
}

// TestVentGoesByTheNearestEnd checks that a level asked of a vent whose place is not
// known is reached by way of an end, at once.
func TestVentGoesByTheNearestEnd(t *testing.T) {
	m := newMotored(t)
	m.set("a", "vent", 0.5)
	m.pass(3 * time.Minute)
	m.fw.Reboot(m.now, "power_on")
	m.out = append(m.out, m.fw.Connected(m.now)...)
	m.set("b", "vent", 0.8)
	m.pass(100 * time.Second)
	if m.vent() < 0.95 {
		t.Errorf("on its way to 0.8 it is at %.2f: want by the open end", m.vent())
	}
	m.pass(2 * time.Minute)
	if r := m.reports("b"); len(r) != 2 || r[0].Value != nil || r[1].Status != greenhouse.CommandDone || math.Abs(m.vent()-0.8) > 0.03 {
		t.Errorf("it is at %.2f and says %+v", m.vent(), r)
	}
}

// TestVentThatLeavesItsEnds has the end switches die: a move to an end is given up in
// 1.25 travels, and the suspicion survives a reboot until a full travel is clean.
func TestVentThatLeavesItsEnds(t *testing.T) {
	m := newMotored(t)
	m.set("a", "vent", 0.3)
	m.pass(2 * time.Minute)
	f, err := m.w.Inject(sim.Fault{Verb: sim.EndsDead, Target: "north/vent"})
	if err != nil {
		t.Fatal(err)
	}
	m.set("b", "vent", 1)
	m.pass(226 * time.Second)
	r := m.reports("b")
	if len(r) != 2 || r[1].Status != greenhouse.CommandNoEffect || r[1].Value != nil || !strings.Contains(string(r[1].Detail), "no_end") {
		t.Fatalf("got %+v, want no_effect and why", r)
	}
	m.w.Heal(f.ID)
	m.fw.Reboot(m.now, "watchdog")
	m.out = append(m.out, m.fw.Connected(m.now)...)
	if s := m.status(); s.Motors["vent"].State != greenhouse.MotorSuspect {
		t.Errorf("after a reboot: got %+v, want suspect", s.Motors["vent"])
	}
	m.set("c", "vent", 0)
	m.pass(5 * time.Minute)
	m.set("d", "vent", 1)
	m.pass(5 * time.Minute)
	if s := m.status(); s.Motors["vent"].State != greenhouse.MotorKnown {
		t.Errorf("after a clean full travel: got %+v", s.Motors["vent"])
	}
	var codes []string
	for _, x := range m.out {
		if e, err := wire.DecodeEvent(x.Payload); err == nil && strings.HasSuffix(x.Topic, "/event") {
			codes = append(codes, e.Code)
		}
	}
	if got := strings.Join(codes, " "); got != "position_suspect position_cleared" {
		t.Errorf("events: got %s", got)
	}
}
