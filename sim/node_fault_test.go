package sim_test

import (
	"testing"
	"time"

	"greenhouse"
	"greenhouse/sim"
	"greenhouse/wire"
)

// lastSample runs a node with faults for a while and returns the last sample of
// a channel, and how many there were.
func lastSample(t *testing.T, ch greenhouse.ChannelName, faults ...sim.NodeFault) (last wire.Sample, n int) {
	t.Helper()
	b := online(t, nil)
	b.pass(15 * time.Second)
	b.out = nil
	for i := range faults {
		faults[i].From = b.now
	}
	b.fw.Inject(faults...)
	b.pass(5 * time.Second)
	b.values["air_temp"] = 30
	b.pass(95 * time.Second)
	for _, msg := range decodeTelemetry(t, b.take(wire.KindTelemetry)) {
		for _, s := range msg.Samples {
			if s.Channel == ch {
				last, n = s, n+1
			}
		}
	}
	return last, n
}

func TestSensorFaults(t *testing.T) {
	tests := []struct {
		fault sim.NodeFault
		value float64
		null  bool
		count int
	}{
		{sim.NodeFault{Verb: sim.Offset, Channel: "air_temp", Value: 3}, 33, false, 10},
		{sim.NodeFault{Verb: sim.Freeze, Channel: "air_temp"}, 20, false, 10},
		{sim.NodeFault{Verb: sim.Sentinel, Channel: "air_temp", Value: 85}, 85, false, 10},
		{sim.NodeFault{Verb: sim.Zero, Channel: "air_temp"}, 0, false, 10},
		{sim.NodeFault{Verb: sim.ReadError, Channel: "air_temp"}, 0, true, 10},
		{sim.NodeFault{Verb: sim.Gap, Channel: "air_temp"}, 0, false, 0},
		{sim.NodeFault{Verb: sim.Unit, Channel: "air_temp"}, 86, false, 10},
		{sim.NodeFault{Verb: sim.Swap, Channel: "air_temp", With: "co2"}, 410, false, 10},
		{sim.NodeFault{Verb: sim.Offset, Channel: "co2", Value: 3}, 30, false, 10},
		{sim.NodeFault{Verb: sim.Duplicate}, 30, false, 20},
	}
	for _, tt := range tests {
		got, n := lastSample(t, "air_temp", tt.fault)
		if n != tt.count || n > 0 && (got.Null != tt.null || !got.Null && got.Value != tt.value) {
			t.Errorf("%s of %s: %d samples, the last %+v, want %d with %v (null %v)", tt.fault.Verb, tt.fault.Channel, n, got, tt.count, tt.value, tt.null)
		}
	}
	if _, n := lastSample(t, "air_temp", sim.NodeFault{Verb: sim.Dropout, Channel: "air_temp", Value: 0.5}); n == 0 || n == 10 {
		t.Errorf("a dropout of 0.5 left %d of 10 samples", n)
	}
}

func TestFaultEnds(t *testing.T) {
	b := online(t, nil)
	b.fw.Inject(sim.NodeFault{Verb: sim.Offset, Channel: "co2", Value: 90, Until: b.now.Add(15 * time.Second)})
	b.pass(20 * time.Second)
	got := decodeTelemetry(t, b.take(wire.KindTelemetry))
	for i, want := range []float64{500, 500, 410} {
		if v := valueOf(t, got[i], "co2"); v != want {
			t.Errorf("message %d says %v, want %v", i, v, want)
		}
	}
	b.fw.Inject(sim.NodeFault{Verb: sim.Offset, Channel: "co2", Value: 90})
	b.fw.Repair(sim.Offset)
	b.pass(10 * time.Second)
	if v := valueOf(t, decodeTelemetry(t, b.take(wire.KindTelemetry))[0], "co2"); v != 410 {
		t.Errorf("after the repair it says %v, want 410", v)
	}
}

func TestActuatorFaults(t *testing.T) {
	tests := []struct {
		fault  sim.NodeFault
		effect float64
		status greenhouse.CommandState
	}{
		{sim.NodeFault{Verb: sim.StuckOff}, 0, greenhouse.CommandNoEffect},
		{sim.NodeFault{Verb: sim.StuckOn}, 1, greenhouse.CommandDone},
		{sim.NodeFault{Verb: sim.Stuck, Value: 0.3}, 0.3, greenhouse.CommandNoEffect},
		{sim.NodeFault{Verb: sim.Lies}, 0, greenhouse.CommandDone},
		{sim.NodeFault{Verb: sim.Reversed}, 0, greenhouse.CommandDone},
		{sim.NodeFault{Verb: sim.Weak}, 0.5, greenhouse.CommandDone},
		{sim.NodeFault{Verb: sim.Worn}, 0.6, greenhouse.CommandDone},
		{sim.NodeFault{Verb: sim.Empty}, 0, greenhouse.CommandDone},
	}
	for _, tt := range tests {
		b := online(t, nil)
		tt.fault.Channel = "heater"
		b.fw.Inject(tt.fault)
		got := b.send(set("a", 1, "heater", 1))
		if len(got) != 1 || got[0].Status != tt.status || b.values["heater"] != tt.effect {
			t.Errorf("%s: reports %+v and an effect of %v, want %s and %v", tt.fault.Verb, got, b.values["heater"], tt.status, tt.effect)
		}
	}
}

func TestLinkFaults(t *testing.T) {
	b := online(t, nil)
	from := b.now
	b.fw.Inject(sim.NodeFault{Verb: sim.Kill, From: from.Add(10 * time.Second), Until: from.Add(20 * time.Second)},
		sim.NodeFault{Verb: sim.Flap, Value: 10, From: from.Add(60 * time.Second)},
		sim.NodeFault{Verb: sim.HalfOpen, From: from.Add(30 * time.Second), Until: from.Add(40 * time.Second)})
	for _, tt := range []struct {
		after int // s
		up    bool
	}{{0, true}, {10, false}, {19, false}, {20, true}, {60, false}, {64, false}, {65, true}, {69, true}, {70, false}} {
		if got := b.fw.LinkUp(from.Add(time.Duration(tt.after) * time.Second)); got != tt.up {
			t.Errorf("after %d s the link is up: %v, want %v", tt.after, got, tt.up)
		}
	}
	if b.fw.HalfOpen(from) || !b.fw.HalfOpen(from.Add(35*time.Second)) {
		t.Error("the link is not half-open when it should be")
	}
}

// lender is a body with faults of the node.
type lender struct {
	*bench
	lent []sim.NodeFault
}

func (l *lender) Faults() []sim.NodeFault { return l.lent }

func TestBodyLendsFaults(t *testing.T) {
	var l *lender
	b := online(t, func(o *sim.FirmwareOptions) {
		l = &lender{bench: o.Body.(*bench)}
		o.Body = l
	})
	l.lent = []sim.NodeFault{{Verb: sim.Flap, Value: 10}}
	ups := 0
	for range 100 {
		b.pass(time.Second)
		if b.fw.LinkUp(b.now) {
			ups++
		}
	}
	if ups != 50 {
		t.Errorf("the link was up in %d of 100 s of flapping, want 50", ups)
	}
	l.lent = []sim.NodeFault{{Verb: sim.RebootLoop, Value: 10}}
	boot := b.fw.BootID()
	b.pass(25 * time.Second)
	if b.fw.BootID() == boot {
		t.Error("it did not reboot")
	}
	l.lent = nil
	b.pass(time.Second)
	if !b.fw.LinkUp(b.now) {
		t.Error("the faults are gone, and the link is not back")
	}
}

func TestRebootFaults(t *testing.T) {
	b := online(t, nil)
	boot := b.fw.BootID()
	b.fw.Inject(sim.NodeFault{Verb: sim.Reboot, From: b.now.Add(5 * time.Second)})
	b.pass(20 * time.Second)
	second := b.fw.BootID()
	if second == boot {
		t.Error("it did not reboot")
	}
	b.pass(20 * time.Second)
	if b.fw.BootID() != second {
		t.Error("one reboot became two")
	}
	b.fw.Inject(sim.NodeFault{Verb: sim.RebootLoop, Value: 7, From: b.now})
	boots := map[string]bool{}
	for range 70 {
		b.pass(time.Second)
		boots[b.fw.BootID()] = true
	}
	if len(boots) < 9 || len(boots) > 12 {
		t.Errorf("%d boots in 70 s of a loop of 7 s", len(boots))
	}
}

func TestSilentNode(t *testing.T) {
	b := online(t, nil)
	boot := b.fw.BootID()
	b.one(b.send(set("a", 1, "heater", 1)), greenhouse.CommandDone)
	b.fw.Inject(sim.NodeFault{Verb: sim.Silent, From: b.now, Until: b.now.Add(time.Minute)})
	b.pass(30 * time.Second)
	if len(b.take(wire.KindTelemetry)) != 0 || b.fw.LinkUp(b.now) {
		t.Error("a dead node speaks")
	}
	b.pass(31 * time.Second)
	b.level("heater", 0)
	if b.fw.BootID() == boot || !b.fw.LinkUp(b.now) {
		t.Error("a node that comes back to life did not boot")
	}
}

func TestLateTelemetry(t *testing.T) {
	b := online(t, nil)
	b.fw.Inject(sim.NodeFault{Verb: sim.Late, Value: 60})
	b.pass(59 * time.Second)
	if got := b.take(wire.KindTelemetry); len(got) != 0 {
		t.Fatalf("%d messages came too early", len(got))
	}
	b.pass(2 * time.Second)
	got := decodeTelemetry(t, b.take(wire.KindTelemetry))
	if len(got) != 1 || got[0].Samples[0].At != greenhouse.MillisOf(benchStart()) {
		t.Errorf("after a minute came %+v, want what was measured at the start", got)
	}
}

func TestStorm(t *testing.T) {
	b := online(t, nil)
	b.pass(time.Second)
	b.out = nil
	b.fw.Inject(sim.NodeFault{Verb: sim.Storm, Value: 100, From: b.now})
	b.pass(time.Millisecond)
	if got := len(b.take(wire.KindTelemetry)); got != 100 {
		t.Errorf("a storm of 100 sent %d messages", got)
	}
}
