package sim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/sim"
	"greenhouse/wire"
)

// bench is a firmware on the workbench: a body whose readings are set by hand,
// and a clock that only the test moves.
type bench struct {
	t      *testing.T
	fw     *sim.Firmware
	now    time.Time
	out    []sim.Message
	values map[greenhouse.ChannelName]float64 // readings, and what outputs were driven to
	broken map[greenhouse.ChannelName]bool
	jam    map[greenhouse.ChannelName]float64
}

func (b *bench) Read(ch greenhouse.ChannelName, _ time.Time) (float64, bool) {
	return b.values[ch], !b.broken[ch]
}

func (b *bench) Drive(ch greenhouse.ChannelName, level float64, _ time.Time) (float64, error) {
	if b.broken[ch] {
		return 0, errors.New("wire cut")
	}
	if at, jammed := b.jam[ch]; jammed {
		level = at
	}
	b.values[ch] = level
	return level, nil
}

// benchStart is when every test begins.
func benchStart() time.Time { return time.UnixMilli(1764000000000).UTC() }

// newBench boots a node with a heater, an acid pump, a circulation pump (safe
// level 1) and three sensors; change may alter its options.
func newBench(t *testing.T, change func(*sim.FirmwareOptions)) *bench {
	b := &bench{t: t, now: benchStart(), values: map[greenhouse.ChannelName]float64{"air_temp": 20, "co2": 410},
		broken: map[greenhouse.ChannelName]bool{}, jam: map[greenhouse.ChannelName]float64{}}
	o := sim.FirmwareOptions{UID: "multi-00ff", Body: b, FW: "1.0", Channels: []wire.HelloChannel{
		{Name: "air_temp", Kind: "sensor"}, {Name: "co2", Kind: "sensor"}, {Name: "level_low", Kind: "sensor"},
		{Name: "heater", Kind: "actuator"}, {Name: "pump_acid", Kind: "actuator"}, {Name: "circulation", Kind: "actuator"}}}
	if change != nil {
		change(&o)
	}
	b.fw = sim.NewFirmware(o, b.now)
	return b
}

// online boots a node and connects it.
func online(t *testing.T, change func(*sim.FirmwareOptions)) *bench {
	b := newBench(t, change)
	b.connect()
	return b
}

func (b *bench) connect() { b.out = append(b.out, b.fw.Connected(b.now)...) }

// pass lets d pass, with a Tick whenever the firmware wants one.
func (b *bench) pass(d time.Duration) {
	b.t.Helper()
	end := b.now.Add(d)
	for n := 0; ; n++ {
		if n > 100_000 {
			b.t.Fatal("Next does not advance")
		}
		b.out = append(b.out, b.fw.Tick(b.now)...)
		next := b.fw.Next(b.now)
		if !next.After(b.now) {
			next = b.now.Add(time.Millisecond)
		}
		if next.After(end) {
			break
		}
		b.now = next
	}
	b.now = end
	b.out = append(b.out, b.fw.Tick(b.now)...)
}

// take returns the messages of that kind since the last take of any kind, and
// forgets all.
func (b *bench) take(k wire.Kind) []sim.Message {
	b.t.Helper()
	var found []sim.Message
	for _, m := range b.out {
		topic, err := wire.ParseTopic(m.Topic)
		if err != nil {
			b.t.Fatal(err)
		}
		if topic.Kind == k {
			found = append(found, m)
		}
	}
	b.out = nil
	return found
}

// send sends a command and returns the reports it brings at once.
func (b *bench) send(c wire.Command) []wire.CommandReport {
	b.t.Helper()
	if c.Expires == 0 {
		c.Expires = greenhouse.MillisOf(b.now.Add(time.Minute))
	}
	payload, err := c.Marshal()
	if err != nil {
		b.t.Fatal(err)
	}
	b.out = append(b.out, b.fw.Receive(b.now, "gh/n/multi-00ff/cmd", payload)...)
	return b.reports()
}

// reports takes the command reports.
func (b *bench) reports() []wire.CommandReport {
	b.t.Helper()
	var all []wire.CommandReport
	for _, m := range b.take(wire.KindCmdReport) {
		r, err := wire.DecodeCommandReport(m.Payload)
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// one checks that there is one report of that status and returns it.
func (b *bench) one(reports []wire.CommandReport, want greenhouse.CommandState) wire.CommandReport {
	b.t.Helper()
	if len(reports) != 1 || reports[0].Status != want {
		b.t.Fatalf("reports are %+v, want one of status %s", reports, want)
	}
	return reports[0]
}

// level checks the level an output is driven to.
func (b *bench) level(ch greenhouse.ChannelName, want float64) {
	b.t.Helper()
	if got, ok := b.fw.Level(ch); !ok || got != want || b.values[ch] != want {
		b.t.Fatalf("%s is at %v (device %v), want %v", ch, got, b.values[ch], want)
	}
}

// events takes the codes of the events.
func (b *bench) events() []string {
	b.t.Helper()
	var codes []string
	for _, m := range b.take(wire.KindEvent) {
		e, err := wire.DecodeEvent(m.Payload)
		if err != nil {
			b.t.Fatal(err)
		}
		codes = append(codes, e.Code)
	}
	return codes
}

// configure sends a configuration and returns the report.
func (b *bench) configure(c wire.Config) wire.ConfigReport {
	b.t.Helper()
	payload, err := c.Marshal()
	if err != nil {
		b.t.Fatal(err)
	}
	b.out = b.fw.Receive(b.now, "gh/n/multi-00ff/config", payload)
	found := b.take(wire.KindConfigReport)
	if len(found) != 1 {
		b.t.Fatalf("a config brought %d reports, want 1", len(found))
	}
	r, err := wire.DecodeConfigReport(found[0].Payload)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func ptr[T any](v T) *T { return &v }

// set is a command that takes a level for a minute.
func set(id string, epoch uint64, ch greenhouse.ChannelName, level float64) wire.Command {
	return wire.Command{ID: greenhouse.CommandID(id), Epoch: epoch, Channel: ch, Op: greenhouse.OpSet, Value: &level, LeaseS: 60}
}

// pulse is a command that runs a pump for ms.
func pulse(id string, ms int64) wire.Command {
	return wire.Command{ID: greenhouse.CommandID(id), Epoch: 1, Channel: "pump_acid", Op: greenhouse.OpPulse, DurMs: ms}
}

func TestBootIsSafe(t *testing.T) {
	b := newBench(t, nil)
	b.level("heater", 0)
	b.level("circulation", 1)
	b.connect()
	b.one(b.send(set("a", 1, "heater", 1)), greenhouse.CommandDone)
	b.level("heater", 1)
	first := b.fw.BootID()
	b.fw.Reboot(b.now, "watchdog")
	b.level("heater", 0)
	if b.fw.BootID() == first || b.fw.Online() {
		t.Errorf("after a reboot the boot id is %q and online %v, want another id and offline", b.fw.BootID(), b.fw.Online())
	}
}

func TestConnectSaysWhatItIs(t *testing.T) {
	b := online(t, nil)
	var topics []string
	for _, m := range b.out {
		topics = append(topics, fmt.Sprintf("%s q%d %v", strings.TrimPrefix(m.Topic, "gh/n/multi-00ff/"), m.QoS, m.Retain))
	}
	want := []string{"status q1 true", "config/report q1 false"}
	if diff := cmp.Diff(want, topics); diff != "" {
		t.Errorf("on connect (-want +got):\n%s", diff)
	}
	s, err := wire.DecodeStatus(b.out[0].Payload)
	if err != nil || !s.Online || s.Boot != b.fw.BootID() || s.FW != "1.0" || s.Reset != "power_on" {
		t.Errorf("the status is %+v, %v", s, err)
	}
	will := b.fw.Will()
	if s, err := wire.DecodeStatus(will.Payload); err != nil || s.Online || !will.Retain || will.Topic != "gh/n/multi-00ff/status" {
		t.Errorf("the will is %+v (%+v, %v)", will, s, err)
	}
	b.take(wire.KindStatus)
	b.pass(95 * time.Second)
	if got := len(b.take(wire.KindStatus)); got != 3 {
		t.Errorf("%d heartbeats in 95 s, want 3", got)
	}
}

func TestLease(t *testing.T) {
	b := online(t, nil)
	b.one(b.send(set("a", 1, "heater", 1)), greenhouse.CommandDone)
	b.pass(59 * time.Second)
	b.level("heater", 1)
	b.out = nil
	b.pass(time.Second)
	b.level("heater", 0)
	if diff := cmp.Diff([]string{"lease_expired"}, b.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestLeaseIgnoresWallClock(t *testing.T) {
	b := online(t, nil)
	b.one(b.send(set("a", 1, "heater", 1)), greenhouse.CommandDone)
	b.fw.Inject(sim.NodeFault{Verb: sim.ClockSkew, Value: 86400})
	b.pass(30 * time.Second)
	b.level("heater", 1)
	b.pass(30 * time.Second)
	b.level("heater", 0)
}

func TestRepeatDoesNotRenew(t *testing.T) {
	b := online(t, nil)
	c := set("a", 1, "heater", 1)
	c.Expires = greenhouse.MillisOf(b.now.Add(time.Minute))
	b.one(b.send(c), greenhouse.CommandDone)
	b.pass(40 * time.Second)
	b.one(b.send(c), greenhouse.CommandDone)
	b.pass(20 * time.Second)
	b.level("heater", 0)
}

func TestRenewal(t *testing.T) {
	b := online(t, nil)
	c := set("a", 1, "heater", 1)
	c.Expires = greenhouse.MillisOf(b.now.Add(time.Minute))
	b.one(b.send(c), greenhouse.CommandDone)
	b.pass(40 * time.Second)
	b.one(b.send(c), greenhouse.CommandDone) // the same, again: no renewal
	c.Expires += 40_000
	b.one(b.send(c), greenhouse.CommandDone)
	b.pass(50 * time.Second)
	b.level("heater", 1)
	b.pass(10 * time.Second)
	b.level("heater", 0)
	c.Expires += 100_000
	b.one(b.send(c), greenhouse.CommandExpired) // its lease is over: it never acts again
	b.level("heater", 0)
	b.one(b.send(set("b", 1, "heater", 1)), greenhouse.CommandDone)
	b.one(b.send(set("c", 1, "heater", 0.5)), greenhouse.CommandDone)
	c = set("b", 1, "heater", 1)
	c.Expires = greenhouse.MillisOf(b.now.Add(2 * time.Minute))
	b.one(b.send(c), greenhouse.CommandExpired) // another took its place
	b.level("heater", 0.5)
}

func TestSameIDNeverActsTwice(t *testing.T) {
	b := online(t, nil)
	c := pulse("p", 5000)
	c.Expires = greenhouse.MillisOf(b.now.Add(time.Minute))
	r := b.one(b.send(c), greenhouse.CommandAccepted)
	b.level("pump_acid", 1)
	b.one(b.send(c), greenhouse.CommandAccepted)
	b.pass(5 * time.Second)
	b.level("pump_acid", 0)
	b.one(b.reports(), greenhouse.CommandDone)
	b.one(b.send(c), greenhouse.CommandDone)
	b.level("pump_acid", 0)
	c.Expires += 60_000
	b.one(b.send(c), greenhouse.CommandDone) // only a set is renewed
	b.level("pump_acid", 0)
	if r.Value == nil || *r.Value != 1 {
		t.Errorf("the report has the value %v, want 1", r.Value)
	}
	b.fw.Reboot(b.now, "power_on")
	b.connect()
	b.one(b.send(c), greenhouse.CommandDone)
	b.level("pump_acid", 0)
}

// TestRebootWithinPulse: an unknown outcome counts as delivered.
func TestRebootWithinPulse(t *testing.T) {
	b := online(t, nil)
	c := pulse("p", 60_000)
	c.Expires = greenhouse.MillisOf(b.now.Add(5 * time.Minute))
	b.one(b.send(c), greenhouse.CommandAccepted)
	b.pass(10 * time.Second)
	b.fw.Reboot(b.now, "brownout")
	b.level("pump_acid", 0)
	b.connect()
	b.out = nil
	b.send(c)
	b.level("pump_acid", 0)
	b.pass(10 * time.Second)
	b.level("pump_acid", 0)
}

// TestMemoryIsWrittenFirst: what is on flash when a command acts already
// forbids it to act again.
func TestMemoryIsWrittenFirst(t *testing.T) {
	var flash sim.Memory
	var b *bench
	var atSave []float64 // the pump's level
	var known []int      // commands in the memory
	b = newBench(t, func(o *sim.FirmwareOptions) {
		o.Save = func(m sim.Memory) error {
			data, err := json.Marshal(m)
			if b != nil {
				atSave, known = append(atSave, b.values["pump_acid"]), append(known, len(m.Commands))
			}
			flash = sim.Memory{}
			return errors.Join(err, json.Unmarshal(data, &flash))
		}
	})
	b.connect()
	c := pulse("p", 60_000)
	c.Epoch = 7
	c.Expires = greenhouse.MillisOf(b.now.Add(5 * time.Minute))
	b.one(b.send(c), greenhouse.CommandAccepted)
	if len(atSave) == 0 || atSave[0] != 0 || known[0] != 1 || flash.Epoch != 7 {
		t.Errorf("the pump was at %v when the memory was written, with %v commands and epoch %d; want 0 and 1 first, and 7", atSave, known, flash.Epoch)
	}
	// A power cut: another process with what the flash has.
	again := online(t, func(o *sim.FirmwareOptions) { o.Memory = flash })
	if again.fw.BootID() == b.fw.BootID() {
		t.Error("two boots have one id")
	}
	again.send(c)
	again.level("pump_acid", 0)
	again.one(again.send(set("x", 6, "heater", 1)), greenhouse.CommandFenced)
}

func TestMemoryFails(t *testing.T) {
	fail := false
	b := online(t, func(o *sim.FirmwareOptions) {
		o.Save = func(sim.Memory) error {
			if fail {
				return errors.New("flash worn out")
			}
			return nil
		}
	})
	b.one(b.send(set("a", 1, "heater", 1)), greenhouse.CommandDone)
	fail = true
	b.one(b.send(pulse("p", 1000)), greenhouse.CommandError)
	b.level("pump_acid", 0)
	b.one(b.send(wire.Command{ID: "s", Epoch: 1, Channel: "heater", Op: greenhouse.OpStop}), greenhouse.CommandDone)
	b.level("heater", 0)
}

func TestFencing(t *testing.T) {
	b := online(t, nil)
	b.one(b.send(set("a", 12, "heater", 1)), greenhouse.CommandDone)
	b.one(b.send(set("b", 11, "heater", 0)), greenhouse.CommandFenced)
	b.level("heater", 1)
	b.one(b.send(wire.Command{ID: "s", Epoch: 3, Channel: "heater", Op: greenhouse.OpStop}), greenhouse.CommandDone)
	b.level("heater", 0)
	b.fw.Reboot(b.now, "power_on")
	b.connect()
	b.one(b.send(set("c", 11, "heater", 1)), greenhouse.CommandFenced)
	b.one(b.send(set("d", 12, "heater", 1)), greenhouse.CommandDone)
	renewal := set("d", 11, "heater", 1)
	renewal.Expires = greenhouse.MillisOf(b.now.Add(2 * time.Minute))
	b.one(b.send(renewal), greenhouse.CommandFenced)
	b.pass(60 * time.Second)
	b.level("heater", 0) // the fenced renewal prolonged nothing
}

func TestStop(t *testing.T) {
	stop := func(id string, ch greenhouse.ChannelName) wire.Command {
		return wire.Command{ID: greenhouse.CommandID(id), Channel: ch, Op: greenhouse.OpStop}
	}
	b := online(t, nil)
	b.one(b.send(set("a", 5, "heater", 1)), greenhouse.CommandDone)
	c := stop("s", "heater")
	c.Expires = 1764000000000 - 3_600_000 // an hour ago
	b.one(b.send(c), greenhouse.CommandDone)
	b.level("heater", 0)
	b.one(b.send(set("b", 5, "heater", 1)), greenhouse.CommandDone)
	b.one(b.send(c), greenhouse.CommandDone) // the same id, and it stops again
	b.level("heater", 0)

	b.one(b.send(set("c", 5, "heater", 1)), greenhouse.CommandDone)
	b.one(b.send(set("d", 5, "circulation", 0)), greenhouse.CommandDone)
	p := pulse("p", 60_000)
	p.Epoch = 5
	b.one(b.send(p), greenhouse.CommandAccepted)
	got := b.send(stop("all", ""))
	if len(got) != 2 || got[0].ID != "p" || got[0].Status != greenhouse.CommandError || got[1].Status != greenhouse.CommandDone {
		t.Errorf("stopping everything brought %+v, want the end of the pulse and done", got)
	}
	b.level("heater", 0)
	b.level("pump_acid", 0)
	b.level("circulation", 1)
	b.one(b.send(stop("x", "lamp")), greenhouse.CommandInvalid)
	b.one(b.send(stop("y", "air_temp")), greenhouse.CommandInvalid)
}

func TestExpired(t *testing.T) {
	b := online(t, nil)
	c := set("a", 1, "heater", 1)
	c.Expires = greenhouse.MillisOf(b.now) - 1
	b.one(b.send(c), greenhouse.CommandExpired)
	b.level("heater", 0)
	c.ID, c.Expires = "b", greenhouse.MillisOf(b.now)
	b.one(b.send(c), greenhouse.CommandDone)
}

func TestNodeWithoutClock(t *testing.T) {
	b := online(t, func(o *sim.FirmwareOptions) { o.NoClock = true })
	asked := b.take(wire.KindTimeRequest)
	if len(asked) != 1 || asked[0].QoS != 0 {
		t.Fatalf("it asked %d times for the time, want once with QoS 0", len(asked))
	}
	b.pass(time.Second)
	if got := decodeTelemetry(t, b.take(wire.KindTelemetry)); len(got) != 1 || got[0].Samples[0].HasAt {
		t.Errorf("without the time it sent %+v, want one message without ts", got)
	}
	b.one(b.send(set("a", 1, "heater", 1)), greenhouse.CommandExpired)
	b.one(b.send(wire.Command{ID: "s", Channel: "heater", Op: greenhouse.OpStop}), greenhouse.CommandDone)

	r, err := wire.DecodeTimeRequest(asked[0].Payload)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(reply wire.TimeReply) {
		payload, err := reply.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		b.fw.Receive(b.now, "gh/n/multi-00ff/time/reply", payload)
	}
	noon := greenhouse.Millis(1764072000000)
	answer(wire.TimeReply{Nonce: r.Nonce, Now: noon})                    // not trusted
	answer(wire.TimeReply{Nonce: r.Nonce + 9, Now: noon, Trusted: true}) // not asked
	c := set("b", 1, "heater", 1)
	c.Expires = noon + 60_000
	b.one(b.send(c), greenhouse.CommandExpired)
	answer(wire.TimeReply{Nonce: r.Nonce, Now: noon, Trusted: true})
	c.ID = "c"
	b.one(b.send(c), greenhouse.CommandDone)
	b.pass(10 * time.Second)
	got := decodeTelemetry(t, b.take(wire.KindTelemetry))
	if len(got) != 1 || got[0].Samples[0].At < noon {
		t.Errorf("with the time it sent %+v, want a ts after noon", got)
	}
}

func TestLinkLoss(t *testing.T) {
	b := online(t, nil)
	b.one(b.send(set("a", 1, "heater", 1)), greenhouse.CommandDone)
	b.fw.Disconnected(b.now)
	b.pass(29 * time.Second)
	b.level("heater", 1)
	b.pass(time.Second)
	b.level("heater", 0)
	b.connect()
	if diff := cmp.Diff([]string{"link_lost"}, b.events()); diff != "" {
		t.Errorf("events after the reconnect (-want +got):\n%s", diff)
	}
	// A short loss changes nothing.
	b.one(b.send(set("b", 1, "heater", 1)), greenhouse.CommandDone)
	b.fw.Disconnected(b.now)
	b.pass(20 * time.Second)
	b.connect()
	b.pass(20 * time.Second)
	b.level("heater", 1)
}

func TestProtection(t *testing.T) {
	b := online(t, nil)
	body := wire.ConfigBody{LinkLossS: 600, Channels: []wire.ConfigChannel{
		{Name: "heater", Kind: "actuator", Safe: ptr(0.0), MaxOnS: 100, MinOffS: 30},
		{Name: "pump_acid", Kind: "actuator", Safe: ptr(0.0), MaxOnS: 20}}}
	if r := b.configure(wire.NewConfig(1, body)); r.Status != wire.ReportApplied {
		t.Fatalf("the config was %+v", r)
	}
	long := func(id string) wire.Command {
		c := set(id, 1, "heater", 1)
		c.LeaseS = 3600
		return c
	}
	b.one(b.send(long("a")), greenhouse.CommandDone)
	b.pass(99 * time.Second)
	b.one(b.send(long("b")), greenhouse.CommandDone) // a new command does not restart the run
	b.level("heater", 1)
	b.out = nil
	b.pass(time.Second)
	b.level("heater", 0)
	if diff := cmp.Diff([]string{"max_on_reached"}, b.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	b.pass(29 * time.Second)
	b.one(b.send(long("c")), greenhouse.CommandBusy)
	b.level("heater", 0)
	b.pass(time.Second)
	b.one(b.send(long("c")), greenhouse.CommandBusy) // the same id has its answer
	b.one(b.send(long("d")), greenhouse.CommandDone)
	b.level("heater", 1)
	b.one(b.send(pulse("p", 20_001)), greenhouse.CommandInvalid)
	b.one(b.send(pulse("q", 20_000)), greenhouse.CommandAccepted)
}

func TestMinOffAfterReboot(t *testing.T) {
	b := online(t, nil)
	b.configure(wire.NewConfig(1, wire.ConfigBody{Channels: []wire.ConfigChannel{{Name: "heater", Kind: "actuator", MinOffS: 30}}}))
	b.one(b.send(set("a", 1, "heater", 1)), greenhouse.CommandDone)
	b.fw.Reboot(b.now, "watchdog")
	b.connect()
	b.one(b.send(set("b", 1, "heater", 1)), greenhouse.CommandBusy)
	b.pass(30 * time.Second)
	b.one(b.send(set("c", 1, "heater", 1)), greenhouse.CommandDone)
}

func TestRefusedCommands(t *testing.T) {
	b := online(t, nil)
	tests := []struct {
		name string
		c    wire.Command
		want greenhouse.CommandState
	}{
		{"unknown channel", set("1", 1, "lamp", 1), greenhouse.CommandInvalid},
		{"a sensor", set("2", 1, "air_temp", 1), greenhouse.CommandInvalid},
		{"level above 1", set("3", 1, "heater", 2), greenhouse.CommandInvalid},
		{"no lease", wire.Command{ID: "4", Epoch: 1, Channel: "heater", Op: "set", Value: ptr(1.0)}, greenhouse.CommandInvalid},
		{"unknown op", wire.Command{ID: "5", Epoch: 1, Channel: "heater", Op: "explode"}, greenhouse.CommandInvalid},
		{"empty pulse", wire.Command{ID: "6", Epoch: 1, Channel: "pump_acid", Op: "pulse"}, greenhouse.CommandInvalid},
		{"identify", wire.Command{ID: "7", Epoch: 1, Op: "identify"}, greenhouse.CommandDone},
		{"calibrate an output", wire.Command{ID: "8", Epoch: 1, Channel: "heater", Op: "calibrate", Value: ptr(7.0)}, greenhouse.CommandInvalid},
	}
	for _, tt := range tests {
		if got := b.send(tt.c); len(got) != 1 || got[0].Status != tt.want {
			t.Errorf("%s: reports are %+v, want %s", tt.name, got, tt.want)
		}
	}
	b.level("heater", 0)
	b.out = append(b.out, b.fw.Receive(b.now, "gh/n/multi-00ff/cmd", []byte(`{"v":1,"id":"z","op":"set","value":true}`))...)
	b.one(b.reports(), greenhouse.CommandInvalid)
	b.out = append(b.out, b.fw.Receive(b.now, "gh/n/multi-00ff/cmd", []byte(`garbage`))...)
	if diff := cmp.Diff([]string{"command_invalid"}, b.events()); diff != "" {
		t.Errorf("events after garbage (-want +got):\n%s", diff)
	}
	if got := b.fw.Receive(b.now, "gh/n/multi-00aa/cmd", []byte(`{"v":1,"id":"z","op":"stop"}`)); got != nil {
		t.Errorf("a command for another node was answered: %+v", got)
	}
}

func TestPulse(t *testing.T) {
	b := online(t, func(o *sim.FirmwareOptions) { o.MLPerSecond = 2 })
	c := wire.Command{ID: "ml", Epoch: 1, Channel: "pump_acid", Op: greenhouse.OpPulse, VolumeML: 5}
	b.one(b.send(c), greenhouse.CommandAccepted)
	b.one(b.send(pulse("x", 100)), greenhouse.CommandBusy)
	b.one(b.send(set("y", 1, "pump_acid", 1)), greenhouse.CommandBusy)
	b.pass(2499 * time.Millisecond)
	b.level("pump_acid", 1)
	b.pass(time.Millisecond)
	b.level("pump_acid", 0)
	b.one(b.reports(), greenhouse.CommandDone)
	// A pulse is bounded, so the loss of the link does not end it.
	b.one(b.send(pulse("z", 50_000)), greenhouse.CommandAccepted)
	b.fw.Disconnected(b.now)
	b.pass(49 * time.Second)
	b.level("pump_acid", 1)
	b.pass(time.Second)
	b.level("pump_acid", 0)
	b.out = nil
	b.connect()
	if got := b.reports(); got[len(got)-1].ID != "z" || got[len(got)-1].Status != greenhouse.CommandDone {
		t.Errorf("after the reconnect the reports are %+v, want the end of the pulse last", got)
	}
}

func TestCalibrate(t *testing.T) {
	b := online(t, nil)
	b.pass(time.Second)
	b.one(b.send(wire.Command{ID: "c", Epoch: 1, Channel: "co2", Op: greenhouse.OpCalibrate, Value: ptr(400.0)}), greenhouse.CommandDone)
	b.pass(10 * time.Second)
	got := decodeTelemetry(t, b.take(wire.KindTelemetry))
	if v := valueOf(t, got[len(got)-1], "co2"); v != 400 {
		t.Errorf("after calibration co2 is %v, want 400", v)
	}
}

func TestRebootCommand(t *testing.T) {
	b := online(t, nil)
	boot := b.fw.BootID()
	b.one(b.send(wire.Command{ID: "r", Epoch: 1, Op: greenhouse.OpReboot}), greenhouse.CommandDone)
	b.pass(2 * time.Second)
	if b.fw.BootID() == boot || b.fw.Online() {
		t.Error("it did not reboot")
	}
}

func TestActuatorThatFails(t *testing.T) {
	b := online(t, nil)
	b.jam["heater"] = 0
	r := b.one(b.send(set("a", 1, "heater", 1)), greenhouse.CommandNoEffect)
	if r.Value == nil || *r.Value != 0 {
		t.Errorf("the report has the value %v, want 0", r.Value)
	}
	b.broken["pump_acid"] = true
	b.one(b.send(pulse("p", 100)), greenhouse.CommandError)
}

func TestConfig(t *testing.T) {
	body := wire.ConfigBody{IntervalS: 5, LinkLossS: 60, Channels: []wire.ConfigChannel{
		{Name: "heater", Kind: "actuator", Safe: ptr(0.25)}, {Name: "air_temp", Kind: "sensor", Cal: &greenhouse.Linear{Offset: 1, Gain: 2}}}}
	b := online(t, nil)
	cfg := wire.NewConfig(7, body)
	if r := b.configure(cfg); r.Status != wire.ReportApplied || r.Rev != 7 || r.Hash != cfg.Hash {
		t.Errorf("the report is %+v", r)
	}
	b.level("heater", 0.25)
	b.pass(10 * time.Second)
	got := decodeTelemetry(t, b.take(wire.KindTelemetry))
	if len(got) != 3 || valueOf(t, got[2], "air_temp") != 41 {
		t.Errorf("in 10 s it sent %d messages, want 3 with a calibrated 41", len(got))
	}

	reject := func(name string, c wire.Config, text string) {
		t.Helper()
		if r := b.configure(c); r.Status != wire.ReportRejected || r.Rev != c.Rev || !strings.Contains(r.Error, text) {
			t.Errorf("%s: the report is %+v, want rejected with %q", name, r, text)
		}
	}
	reject("lower revision", wire.NewConfig(6, body), "lower than 7")
	forged := cfg
	forged.Rev, forged.Body = 8, json.RawMessage(`{"interval_s":1}`)
	reject("wrong hash", forged, "hash")
	reject("foreign channel", wire.NewConfig(8, wire.ConfigBody{Channels: []wire.ConfigChannel{{Name: "lamp", Kind: "actuator"}}}), "lamp")
	reject("wrong body", wire.Config{Rev: 8, Hash: wire.HashBody([]byte(`{"interval_s":0}`)), Body: json.RawMessage(`{"interval_s":0}`)}, "interval_s")
	if r := b.configure(cfg); r.Status != wire.ReportApplied { // again: the retained message after a reconnect
		t.Errorf("the same config again is %+v", r)
	}

	b.fw.Reboot(b.now, "power_on")
	b.level("heater", 0.25)
	b.connect()
	reports := b.take(wire.KindConfigReport)
	if r, err := wire.DecodeConfigReport(reports[0].Payload); err != nil || r.Rev != 7 || r.Hash != cfg.Hash {
		t.Errorf("after a reboot it reports %+v, %v, want revision 7", r, err)
	}
}

// decodeTelemetry reads telemetry messages.
func decodeTelemetry(t *testing.T, messages []sim.Message) []wire.Telemetry {
	t.Helper()
	var d wire.Decoder
	out := make([]wire.Telemetry, len(messages))
	for i, m := range messages {
		if err := d.Telemetry(m.Payload, &out[i]); err != nil || len(out[i].Refused) > 0 {
			t.Fatalf("%s: %v, refused %+v", m.Payload, err, out[i].Refused)
		}
	}
	return out
}

// valueOf returns the last value of a channel in a message.
func valueOf(t *testing.T, msg wire.Telemetry, ch greenhouse.ChannelName) float64 {
	t.Helper()
	for i := len(msg.Samples) - 1; i >= 0; i-- {
		if msg.Samples[i].Channel == ch {
			return msg.Samples[i].Value
		}
	}
	t.Fatalf("%s is not in %+v", ch, msg)
	return 0
}

func TestTelemetryBacklog(t *testing.T) {
	b := online(t, nil)
	b.pass(30 * time.Second) // at 0, 10, 20 and 30 s
	sent := b.take(wire.KindTelemetry)
	if got := decodeTelemetry(t, sent); len(got) != 4 || got[0].Seq != 1 || got[3].Seq != 4 || got[0].Boot != b.fw.BootID() {
		t.Fatalf("sent %+v, want seq 1 to 4", got)
	}
	for _, m := range sent[:2] {
		b.fw.Acked(b.now, m.ID)
	}
	b.fw.Disconnected(b.now)
	b.pass(100 * time.Second)
	if got := b.take(wire.KindTelemetry); len(got) != 0 {
		t.Fatalf("without a link it sent %d messages", len(got))
	}
	b.connect()
	again := b.take(wire.KindTelemetry)
	got := decodeTelemetry(t, again)
	if len(got) != 3 || string(again[0].Payload) != string(sent[2].Payload) || got[1].Seq != 4 || got[2].Seq != 5 {
		t.Fatalf("after the reconnect it sent %+v, want the two without PUBACK unchanged and one backlog", got)
	}
	if n := len(got[2].Samples) / 6; n != 10 {
		t.Errorf("the backlog has %d instants, want 10", n)
	}
	for i := 1; i < len(got[2].Samples); i++ {
		if got[2].Samples[i].At < got[2].Samples[i-1].At {
			t.Error("the backlog is not in order")
		}
	}
}

func TestTelemetryWindowAndBound(t *testing.T) {
	b := online(t, func(o *sim.FirmwareOptions) { o.Window, o.Backlog = 3, 4 })
	b.pass(90 * time.Second) // 10 instants: 3 in flight, 4 kept, 3 lost
	sent := b.take(wire.KindTelemetry)
	if len(sent) != 3 {
		t.Fatalf("%d messages are in flight without PUBACK, want 3", len(sent))
	}
	b.out = b.fw.Acked(b.now, sent[0].ID)
	got := decodeTelemetry(t, b.take(wire.KindTelemetry))
	if len(got) != 1 || got[0].Seq != 7 || len(got[0].Samples) != 4*6 {
		t.Errorf("a PUBACK let %+v go, want 4 instants as seq 7, for 3 were lost", got)
	}
}

func TestEventsAreResent(t *testing.T) {
	b := online(t, nil)
	b.values["level_low"] = 1
	b.pass(25 * time.Second)
	var first sim.Message
	for _, m := range b.out {
		if strings.HasSuffix(m.Topic, "/event") {
			first = m
		}
	}
	if diff := cmp.Diff([]string{"level_low"}, b.events()); diff != "" {
		t.Errorf("one edge, and events (-want +got):\n%s", diff)
	}
	b.fw.Disconnected(b.now)
	b.connect()
	if diff := cmp.Diff([]string{"level_low"}, b.events()); diff != "" {
		t.Errorf("after a reconnect (-want +got):\n%s", diff)
	}
	b.fw.Acked(b.now, first.ID)
	b.fw.Disconnected(b.now)
	b.connect()
	if got := b.events(); got != nil {
		t.Errorf("after the PUBACK it sent %v again", got)
	}
}

// slowBody is a body whose vent moves 1 % a second, and may jam on the way.
type slowBody struct {
	*bench
	target, at float64
	since      time.Time
	jamAt      float64
}

func (s *slowBody) Read(ch greenhouse.ChannelName, now time.Time) (float64, bool) {
	if ch != "vent" {
		return s.bench.Read(ch, now)
	}
	moved := min(s.target, s.at+0.01*now.Sub(s.since).Seconds())
	if s.jamAt > 0 {
		moved = min(moved, s.jamAt)
	}
	return moved, true
}

func (s *slowBody) Drive(ch greenhouse.ChannelName, level float64, now time.Time) (float64, error) {
	if ch != "vent" {
		return s.bench.Drive(ch, level, now)
	}
	s.at, _ = s.Read(ch, now)
	s.target, s.since = level, now
	return level, nil
}

func TestVentTakesItsTime(t *testing.T) {
	for _, tt := range []struct {
		jamAt float64
		want  greenhouse.CommandState
		after time.Duration
	}{{0, greenhouse.CommandDone, 49 * time.Second}, {0.2, greenhouse.CommandNoEffect, 31 * time.Second}} {
		var body *slowBody
		b := online(t, func(o *sim.FirmwareOptions) {
			body = &slowBody{bench: o.Body.(*bench), jamAt: tt.jamAt}
			o.Body = body
			o.Channels = []wire.HelloChannel{{Name: "vent", Kind: "actuator"}}
		})
		began := b.now
		c := set("v", 1, "vent", 0.5)
		c.LeaseS = 600
		b.one(b.send(c), greenhouse.CommandAccepted)
		var got []wire.CommandReport
		for len(got) == 0 && b.now.Sub(began) < 2*time.Minute {
			b.pass(time.Second)
			got = b.reports()
		}
		r := b.one(got, tt.want)
		if took := b.now.Sub(began); took < tt.after-2*time.Second || took > tt.after+2*time.Second || r.Value == nil {
			t.Errorf("jam at %v: %s after %v with the value %v, want it after %v", tt.jamAt, r.Status, took, r.Value, tt.after)
		}
		c.Expires = greenhouse.MillisOf(b.now.Add(2 * time.Minute))
		b.one(b.send(c), tt.want) // a renewal is answered with how it ended
	}
}

func BenchmarkFirmwareTick(b *testing.B) {
	body := &bench{values: map[greenhouse.ChannelName]float64{}}
	f := sim.NewFirmware(sim.FirmwareOptions{UID: "multi-00ff", Body: body, Channels: []wire.HelloChannel{
		{Name: "air_temp", Kind: "sensor"}, {Name: "air_rh", Kind: "sensor"}, {Name: "heater", Kind: "actuator"}}}, benchStart())
	now := benchStart()
	f.Connected(now)
	b.ReportAllocs()
	for b.Loop() {
		now = f.Next(now)
		for _, m := range f.Tick(now) {
			if m.ID != 0 {
				f.Acked(now, m.ID)
			}
		}
		now = now.Add(time.Millisecond)
	}
}
