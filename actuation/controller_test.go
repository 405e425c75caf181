package actuation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/actuation"
)

const heater = greenhouse.PointID("north/heater")

func TestLevelReachesTheDeviceAndIsRenewed(t *testing.T) {
	w := newWorld(t)
	out := w.add(heater, greenhouse.ClassHeaterContactor)
	w.want(heater, 1)
	w.run(70 * time.Second) // the shortest time off counts from the start
	wantLevel(t, out, 1, "after the shortest time off")
	id := w.last().ID
	n := len(w.sent)
	w.run(10 * time.Minute)
	wantLevel(t, out, 1, "ten minutes later")
	for _, c := range w.sent[n:] {
		if c.ID != id {
			t.Fatalf("got a new command %+v, want renewals of %s", c, id)
		}
	}
	if got := len(w.sent) - n; got < 25 || got > 40 {
		t.Errorf("got %d renewals in ten minutes, want one every 20 to 25 s", got)
	}
	if c, _ := w.store.get(id); c.State != greenhouse.CommandDone {
		t.Errorf("got state %s, want done", c.State)
	}
}

func TestRenewalsExpireLaterEachTime(t *testing.T) {
	w := newWorld(t)
	w.add(heater, greenhouse.ClassHeaterSSR)
	w.want(heater, 1)
	w.run(2 * time.Minute)
	var last greenhouse.Command
	for _, c := range w.sent {
		if c.Value != 1 {
			continue
		}
		if last.ID == c.ID && c.ExpiresAt <= last.ExpiresAt {
			t.Errorf("got a renewal that expires at %d, want later than %d", c.ExpiresAt, last.ExpiresAt)
		}
		last = c
	}
}

func TestNewLevelIsANewCommandAndTheOldIsSuperseded(t *testing.T) {
	w := newWorld(t)
	const vent = greenhouse.PointID("north/vent")
	w.add(vent, greenhouse.ClassVent)
	w.device(vent).mute = true
	w.want(vent, 0.4)
	w.run(65 * time.Second)
	first := w.last()
	w.want(vent, 0.8)
	w.run(70 * time.Second)
	second := w.last()
	if first.ID == second.ID || second.Value != 0.8 {
		t.Fatalf("got %+v after %+v, want a new command for 0.8", second, first)
	}
	if c, _ := w.store.get(first.ID); c.State != greenhouse.CommandSuperseded && c.State != greenhouse.CommandTimeout {
		t.Errorf("got the old command %s, want superseded", c.State)
	}
}

func TestLeaseRunsOutWhenDecisionsStop(t *testing.T) {
	w := newWorld(t, func(o *actuation.Options) { o.DecisionAge = time.Hour }) // only the leases are left to end it
	out := w.add(heater, greenhouse.ClassHeaterSSR)
	w.want(heater, 1)
	w.run(95 * time.Second)
	wantLevel(t, out, 1, "while decided")
	w.silent["north"] = true
	on := 0
	for range 120 {
		w.second()
		if out.level > 0 {
			on++
		}
	}
	if on > 60 {
		t.Errorf("got %d s on after the last decision, want one lease (60 s) at most", on)
	}
	if _, ok := w.ctl.Level(heater); !ok {
		t.Fatal("no level")
	}
}

func TestZoneWithoutDecisionsIsBroughtToSafe(t *testing.T) {
	w := newWorld(t)
	out := w.add("north/fan", greenhouse.ClassFan)
	other := w.add("south/fan", greenhouse.ClassFan)
	w.want("north/fan", 1)
	w.want("south/fan", 1)
	w.run(130 * time.Second)
	wantLevel(t, out, 1, "while decided")
	w.silent["north"] = true
	w.run(33 * time.Second)
	wantLevel(t, out, 0, "33 s after the last decision")
	wantLevel(t, other, 1, "in another zone")
	v, _ := w.ctl.Verdict("north/fan")
	if v.Winner.Owner != "failsafe" || v.Winner.Priority != greenhouse.PriorityFailsafe {
		t.Errorf("got winner %+v, want the failsafe", v.Winner)
	}
}

func TestMuteNodeTimesOutAndIsRetriedUnderTheSameID(t *testing.T) {
	w := newWorld(t)
	w.add("north/fan", greenhouse.ClassFan)
	w.device("north/fan").mute = true
	w.want("north/fan", 1)
	w.run(20 * time.Second)
	byID := map[greenhouse.CommandID]int{}
	for _, c := range w.sent {
		byID[c.ID]++
	}
	if len(byID) != 1 || byID[w.last().ID] < 3 {
		t.Errorf("got publications %v, want several of one id", byID)
	}
	w.run(3 * time.Minute)
	if c, ok := w.condition("command_timeout"); !ok {
		t.Errorf("got no condition command_timeout, got %+v", c)
	}
	if !slices.Contains(w.store.codes(), "command_timeout") {
		t.Error("got no event command_timeout")
	}
	w.device("north/fan").mute = false
	w.run(3 * time.Minute)
	if c, ok := w.condition("command_timeout"); ok {
		t.Errorf("got %+v, want it cleared after an answer", c)
	}
}

func TestOddReportsAreCountedAndHarmless(t *testing.T) {
	w := newWorld(t)
	out := w.add(heater, greenhouse.ClassHeaterSSR)
	w.want(heater, 1)
	w.run(10 * time.Second)
	uid, id := w.device(heater).uid, w.last().ID
	acked := 0
	done := func(err error) {
		if err == nil {
			acked++
		}
	}
	w.ctl.Report(uid, actuation.Report{ID: "01NOBODYS", Status: greenhouse.CommandDone}, done)
	w.ctl.Report("relay-ffff", actuation.Report{ID: id, Status: greenhouse.CommandError}, done)
	w.ctl.Report(uid, actuation.Report{ID: id, Status: greenhouse.CommandAccepted}, done)
	w.ctl.Report(uid, actuation.Report{ID: id, Status: greenhouse.CommandDone}, done)
	w.ctl.Report(uid, actuation.Report{ID: id, Status: "queued"}, done)
	w.ctl.Cycle()
	if acked != 5 {
		t.Errorf("got %d reports acknowledged, want 5", acked)
	}
	s := w.ctl.Stats()
	if s.Unknown != 1 || s.Foreign != 1 || s.Repeated < 2 || s.Malformed != 1 {
		t.Errorf("got %+v, want 1 unknown, 1 foreign, 2 repeated, 1 malformed", s)
	}
	w.run(time.Minute)
	wantLevel(t, out, 1, "after odd reports")
	if c, _ := w.store.get(id); c.State != greenhouse.CommandDone {
		t.Errorf("got %s, want done", c.State)
	}
}

func TestReportBeforeThePUBACK(t *testing.T) {
	w := newWorld(t)
	w.add(heater, greenhouse.ClassHeaterSSR)
	w.want(heater, 1)
	w.run(5 * time.Second)
	id := w.last().ID
	w.ctl.Sent(id) // late
	w.ctl.Cycle()
	if c, _ := w.store.get(id); c.State != greenhouse.CommandDone {
		t.Errorf("got %s after a late PUBACK, want done", c.State)
	}
}

func TestAcknowledgedOnlyWhenSaved(t *testing.T) {
	w := newWorld(t)
	w.add(heater, greenhouse.ClassHeaterSSR)
	w.device(heater).mute = true
	w.want(heater, 1)
	w.run(5 * time.Second)
	var got []error
	w.store.fail = errors.New("disk full")
	report := func() {
		w.ctl.Report(w.device(heater).uid, actuation.Report{ID: w.last().ID, Status: greenhouse.CommandDone}, func(err error) { got = append(got, err) })
		w.ctl.Cycle()
	}
	report()
	report() // sent again, as it was not acknowledged
	w.store.fail = nil
	report()
	if len(got) != 3 || got[0] == nil || got[1] == nil || got[2] != nil {
		t.Errorf("got %v, want two errors, then nil", got)
	}
	if c, _ := w.store.get(w.last().ID); c.State != greenhouse.CommandDone {
		t.Errorf("got %s on disk, want done", c.State)
	}
}

func TestRebootIsNeverTakenForOn(t *testing.T) {
	w := newWorld(t)
	out := w.add("north/lamp", greenhouse.ClassLampHPS)
	w.want("north/lamp", 1)
	w.run(1300 * time.Second)
	wantLevel(t, out, 1, "after the restrike time")
	d := w.device("north/lamp")
	d.reboot()
	n := len(w.sent)
	w.ctl.NodeOnline(d.uid, d.bootID())
	l, _ := w.ctl.Level("north/lamp")
	if !l.Known || l.Reported != 0 {
		t.Errorf("got reported %v (%v), want 0 after a boot", l.Reported, l.Known)
	}
	w.run(1100 * time.Second)
	wantLevel(t, out, 0, "within the restrike time after the boot")
	for _, c := range w.sent[n:] {
		if c.Value > 0 {
			t.Fatalf("got %+v, want nothing on within the restrike time", c)
		}
	}
	w.run(1400 * time.Second)
	wantLevel(t, out, 1, "after it, and an hour after the start that is assumed at first sight")
}

func TestShortAbsenceGetsANewCommandLongAbsenceGoesSafe(t *testing.T) {
	w := newWorld(t)
	out := w.add("north/fan", greenhouse.ClassFan)
	w.want("north/fan", 1)
	w.run(150 * time.Second)
	id := w.last().ID
	w.cut("north/fan", true)
	w.run(10 * time.Second)
	if l, _ := w.ctl.Level("north/fan"); l.Known || l.Online {
		t.Errorf("got %+v, want unknown while offline", l)
	}
	w.cut("north/fan", false)
	w.run(5 * time.Second)
	wantLevel(t, out, 1, "after a short absence")
	if w.last().ID == id {
		t.Error("got a renewal after an absence, want a new command")
	}
	w.cut("north/fan", true)
	w.run(100 * time.Second)
	wantLevel(t, out, 0, "after the link was lost for long")
	w.cut("north/fan", false)
	w.run(30 * time.Second)
	wantLevel(t, out, 0, "within the shortest time off since it went safe")
	w.run(60 * time.Second)
	wantLevel(t, out, 1, "after it")
}

func TestNothingGoesOnBeforeTheBootIsKnown(t *testing.T) {
	w := newWorld(t)
	out := w.add("north/lamp", greenhouse.ClassLampHPS)
	w.want("north/lamp", 1)
	w.run(1300 * time.Second)
	d := w.device("north/lamp")
	w.ctl.NodeOffline(d.uid)
	d.reboot() // faster than its link could be missed
	w.run(3 * time.Second)
	w.ctl.NodeOnline(d.uid, "") // the session
	w.run(5 * time.Second)
	wantLevel(t, out, 0, "between session and status")
	w.ctl.NodeOnline(d.uid, d.bootID())
	w.run(time.Minute)
	wantLevel(t, out, 0, "within the restrike time after the boot")
}

func TestRebootLoopGetsNoLoad(t *testing.T) {
	w := newWorld(t)
	out := w.add(heater, greenhouse.ClassHeaterSSR)
	w.want(heater, 1)
	w.run(10 * time.Second)
	d := w.device(heater)
	for range 3 {
		d.reboot()
		w.ctl.NodeOnline(d.uid, d.bootID())
		w.run(20 * time.Second)
	}
	wantLevel(t, out, 0, "20 s after the third boot in a minute")
	if c, ok := w.condition("actuator_lockout"); !ok {
		t.Errorf("got no lockout, got %+v", c)
	}
	w.run(45 * time.Second)
	wantLevel(t, out, 1, "after it was up for a minute")
}

func TestEmergencyStopHoldsUntilResumed(t *testing.T) {
	w := newWorld(t)
	out, other := w.add("north/fan", greenhouse.ClassFan), w.add("south/fan", greenhouse.ClassFan)
	w.want("north/fan", 1)
	w.want("south/fan", 1)
	w.run(130 * time.Second)
	w.store.fail = errors.New("disk is gone") // it must not hold up a stop
	w.ctl.Stop("north")
	wantLevel(t, out, 0, "when Stop returns")
	wantLevel(t, other, 1, "in another zone")
	w.store.fail = nil
	w.claims["north/fan"] = append(w.claims["north/fan"], greenhouse.Claim{Priority: greenhouse.PrioritySafety, Owner: "heat", Value: 1, Urgent: true})
	w.plant.Overrides = map[greenhouse.PointID]*greenhouse.Override{"north/fan": {Point: "north/fan", Value: 1, By: "anna", ExpiresAt: greenhouse.MillisOf(w.clock.Now().Add(time.Hour))}}
	w.ctl.Sync(w.plant) // the registry does not know of the stop
	d := w.device("north/fan")
	d.reboot()
	w.ctl.NodeOnline(d.uid, d.bootID())
	w.run(10 * time.Minute)
	wantLevel(t, out, 0, "ten minutes later, against safety, an override and a reboot")
	v, _ := w.ctl.Verdict("north/fan")
	if v.Winner.Priority != greenhouse.PriorityStop || len(v.Losers) != 3 {
		t.Errorf("got %+v, want the stop to win against three", v)
	}
	if c, ok := w.condition("stop_unconfirmed"); ok {
		t.Errorf("got %+v, want the stop confirmed", c)
	}
	w.ctl.Resume("north")
	w.run(2 * time.Minute)
	wantLevel(t, out, 1, "after it was resumed")
}

func TestStopIsRepeatedUntilConfirmed(t *testing.T) {
	w := newWorld(t)
	w.add("north/fan", greenhouse.ClassFan)
	d := w.device("north/fan")
	d.mute = true
	w.ctl.Stop("")
	w.run(20 * time.Second)
	n := 0
	for _, c := range w.sent {
		if c.Op == greenhouse.OpStop {
			n++
		}
	}
	if n < 5 {
		t.Errorf("got %d stops in 20 s, want at least 5", n)
	}
	if c, ok := w.condition("stop_unconfirmed"); !ok || c.Severity != greenhouse.Critical {
		t.Errorf("got %+v, want stop_unconfirmed", c)
	}
	d.mute = false
	w.run(20 * time.Second)
	if _, ok := w.condition("stop_unconfirmed"); ok {
		t.Error("got stop_unconfirmed after the confirmation")
	}
	n = len(w.sent)
	w.run(time.Minute)
	if got := len(w.sent) - n; got != 0 {
		t.Errorf("got %d more publications after the confirmation, want none", got)
	}
}

func TestRegistryReleasesAStop(t *testing.T) {
	w := newWorld(t)
	out := w.add("north/fan", greenhouse.ClassFan)
	w.want("north/fan", 1)
	w.ctl.Stop("north")
	w.plant.Stopped = map[greenhouse.ZoneID]bool{"north": true}
	w.ctl.Sync(w.plant)
	w.run(130 * time.Second)
	wantLevel(t, out, 0, "while stopped")
	w.plant.Stopped = nil
	w.ctl.Sync(w.plant)
	w.run(130 * time.Second)
	wantLevel(t, out, 1, "after the registry released it")
}

func TestHaltStopsOnce(t *testing.T) {
	w := newWorld(t)
	out := w.add(heater, greenhouse.ClassHeaterSSR)
	w.want(heater, 1)
	w.run(10 * time.Second)
	w.ctl.Halt("north")
	wantLevel(t, out, 0, "when Halt returns")
	if got := w.last().Op; got != greenhouse.OpStop {
		t.Errorf("got op %s, want stop", got)
	}
	w.run(10 * time.Second)
	wantLevel(t, out, 1, "when decisions still want it")
}

func TestFencedNodeIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	out := w.add(heater, greenhouse.ClassHeaterSSR)
	w.device(heater).epoch = 99
	w.want(heater, 1)
	w.run(50 * time.Second)
	wantLevel(t, out, 0, "under a higher epoch")
	if len(w.sent) > 2 {
		t.Errorf("got %d publications in 50 s to a node that fences us, want 1 or 2", len(w.sent))
	}
	if c, ok := w.condition("command_fenced"); !ok || c.Severity != greenhouse.Critical {
		t.Errorf("got %+v, want command_fenced", c)
	}
}

func TestActuatorThatDoesNotFollow(t *testing.T) {
	w := newWorld(t)
	out := w.add(heater, greenhouse.ClassHeaterContactor)
	w.want(heater, 1)
	w.run(70 * time.Second)
	out.lies = true
	w.want(heater, 0)
	w.run(80 * time.Second) // the shortest time on, then
	c, ok := w.condition("actuator_not_following")
	if !ok || c.Severity != greenhouse.Critical {
		t.Errorf("got %+v, want actuator_not_following, critical: it is stuck on", c)
	}
	n := len(w.sent)
	w.run(10 * time.Minute)
	if got := len(w.sent) - n; got < 5 || got > 60 {
		t.Errorf("got %d corrections in ten minutes, want some, not one a second", got)
	}
	out.lies, out.level = false, 0
	w.run(2 * time.Minute)
	if c, ok := w.condition("actuator_not_following"); ok {
		t.Errorf("got %+v, want it cleared", c)
	}
}

func TestTelemetryCorrects(t *testing.T) {
	w := newWorld(t)
	out := w.add(heater, greenhouse.ClassHeaterSSR)
	w.want(heater, 0)
	w.run(10 * time.Second)
	out.level = 1 // switched on at the device
	w.ctl.Observe(heater, 1)
	w.run(5 * time.Second)
	wantLevel(t, out, 0, "after telemetry showed it on")
}

func TestRestartSettlesOldCommandsAndKeepsBudgets(t *testing.T) {
	w := newWorld(t)
	out := w.add("north/lamp", greenhouse.ClassLampHPS)
	w.want("north/lamp", 1)
	w.run(1300 * time.Second)
	wantLevel(t, out, 1, "before")
	state := w.ctl.State()
	if got := len(state.Equipment["north/lamp"].Recent); got != 2 {
		t.Fatalf("got %d starts counted, want 2: one assumed, one real", got)
	}
	w.options.Open = []greenhouse.Command{{ID: "01PULSE", Node: "relay-x", Op: greenhouse.OpPulse, State: greenhouse.CommandSent, Point: "north/pump_acid"}}
	w.options.State, w.options.ClockTrusted, w.options.Epoch = &state, true, 8
	w.clock.Add(20 * time.Second)
	w.restart()
	d := w.device("north/lamp")
	w.ctl.NodeOnline(d.uid, d.bootID())
	w.run(1300 * time.Second)
	wantLevel(t, out, 0, "with the budget of the hour spent before the restart")
	c, _ := w.store.get("01PULSE")
	if c.State != greenhouse.CommandTimeout || !actuation.Delivered(c) {
		t.Errorf("got %+v, want timed out and counted as delivered", c)
	}
	w.run(1300 * time.Second)
	wantLevel(t, out, 1, "an hour after the first start")
}

func TestShutdownStopsEverything(t *testing.T) {
	w := newWorld(t, func(o *actuation.Options) { o.Period = time.Millisecond })
	out := w.add(heater, greenhouse.ClassHeaterSSR)
	w.add("north/fan", greenhouse.ClassFan)
	w.want(heater, 1)
	w.run(10 * time.Second)
	wantLevel(t, out, 1, "before")
	if err := w.ctl.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantLevel(t, out, 0, "after")
	w.run(2 * time.Minute)
	wantLevel(t, out, 0, "later")
	if _, err := w.ctl.Command(context.Background(), greenhouse.Command{Op: greenhouse.OpIdentify, Node: "relay-x"}); !errors.Is(err, greenhouse.ErrUnavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
}

func TestShutdownIsBounded(t *testing.T) {
	w := newWorld(t, func(o *actuation.Options) { o.Period = time.Millisecond })
	w.add(heater, greenhouse.ClassHeaterSSR)
	w.device(heater).mute = true
	w.want(heater, 1)
	w.run(10 * time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.ctl.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it to say that one did not confirm", err)
	}
}

func TestStuckVentIsNotToldWithoutEnd(t *testing.T) {
	w := newWorld(t)
	const vent = greenhouse.PointID("north/vent")
	w.add(vent, greenhouse.ClassVent)
	w.device(vent).refuse = greenhouse.CommandNoEffect
	w.want(vent, 0.8)
	w.run(time.Hour)
	if n := len(w.sent); n < 4 || n > 20 {
		t.Errorf("got %d publications in an hour, want a few", n)
	}
	if c, ok := w.condition("effect_missing"); !ok {
		t.Errorf("got %+v, want effect_missing", c)
	}
}

func TestHaltOfAnOfflineNodeRaisesNothing(t *testing.T) {
	w := newWorld(t)
	out := w.add(heater, greenhouse.ClassHeaterSSR)
	w.want(heater, 1)
	w.run(10 * time.Second)
	w.cut(heater, true)
	w.ctl.Halt("north")
	w.run(time.Minute)
	if c, ok := w.condition("stop_unconfirmed"); ok {
		t.Errorf("got %+v for a node that is offline and went safe by itself", c)
	}
	w.cut(heater, false)
	w.run(10 * time.Second)
	wantLevel(t, out, 1, "when it is back and decisions still want it")
}

func TestFirstDecisionForSafeIsNoNews(t *testing.T) {
	var got []greenhouse.Verdict
	w := newWorld(t, func(o *actuation.Options) { o.OnVerdict = func(v greenhouse.Verdict) { got = append(got, v) } })
	w.add(heater, greenhouse.ClassHeaterSSR)
	w.want(heater, 0)
	w.run(10 * time.Second)
	w.want(heater, 1)
	w.run(10 * time.Second)
	if len(got) != 1 || got[0].Value != 1 || got[0].Winner.Owner != "heating" {
		t.Errorf("got %+v, want the one change", got)
	}
	if v, ok := w.ctl.Verdict(heater); !ok || v.Point != heater || len(v.Inputs) != 0 {
		t.Errorf("got %+v, %v", v, ok)
	}
}

// TestJammedVentKeepsItsMoves tells a vent that stands still at 0.4 one position
// after the other for an hour: the drive is spared, its moves are not used up,
// and what safety wants goes at once all the same.
func TestJammedVentKeepsItsMoves(t *testing.T) {
	const vent = greenhouse.PointID("north/vent")
	w := newWorld(t)
	out := w.add(vent, greenhouse.ClassVent)
	w.want(vent, 0.4)
	w.run(2 * time.Minute)
	wantLevel(t, out, 0.4, "before it jams")
	w.device(vent).refuse = greenhouse.CommandNoEffect
	before := len(w.sent)
	for _, level := range []float64{0.6, 0, 0.8, 0, 0.5, 0, 0.7, 0, 0.9, 0, 0.6, 0} {
		w.want(vent, level)
		w.run(5 * time.Minute)
		if c, on := w.condition("actuator_lockout"); on {
			t.Fatalf("its moves are used up: %s", c.Text)
		}
	}
	tries := 0
	for _, c := range w.sent[before:] {
		if c.Op == greenhouse.OpSet {
			tries++
		}
	}
	if tries > 14 {
		t.Errorf("told %d times in an hour", tries)
	}
	if _, on := w.condition("effect_missing"); !on {
		t.Error("nobody is told")
	}
	w.want(vent, 0.6)
	w.run(2 * time.Minute)
	before = len(w.sent)
	w.claims[vent] = []greenhouse.Claim{{Priority: greenhouse.PrioritySafety, Owner: "frost", Value: 0, Reason: "frost", Urgent: true}}
	w.run(3 * time.Second)
	if len(w.sent) == before {
		t.Error("safety waits for the drive to be spared")
	}
}

// TestPowerComesBackToAllAtOnce: nodes that boot together start their loads one
// after the other, whatever their number; safety does not wait for its turn.
func TestPowerComesBackToAllAtOnce(t *testing.T) {
	w := newWorld(t, func(o *actuation.Options) { o.Stagger = time.Second })
	const n = 40
	var points []greenhouse.PointID
	for i := range n {
		p := greenhouse.PointID(fmt.Sprintf("z%d/heater", i))
		points = append(points, p)
		w.add(p, greenhouse.ClassHeaterSSR)
		w.want(p, 1)
	}
	w.claims[points[0]] = []greenhouse.Claim{{Priority: greenhouse.PrioritySafety, Owner: "frost", Value: 1, Reason: "frost", Urgent: true}}
	w.run(40 * time.Second)
	for _, p := range points { // all power fails
		w.device(p).reboot()
		w.cut(p, true)
	}
	w.run(30 * time.Second)
	for _, p := range points {
		w.cut(p, false)
	}
	on := func() (sum int) {
		for _, p := range points {
			if w.device(p).out["heater"].level > 0 {
				sum++
			}
		}
		return sum
	}
	w.run(3 * time.Second)
	if w.device(points[0]).out["heater"].level != 1 {
		t.Error("safety waits for its turn")
	}
	most, was := 0, on()
	for range 20 {
		w.run(time.Second)
		most, was = max(most, on()-was), on()
	}
	if was != n {
		t.Errorf("%d of %d are on after 23 s", was, n)
	}
	if most > n/4 {
		t.Errorf("%d of %d start within a second", most, n)
	}
}

// TestLampsOfManyZonesLightUpInTurn: all zones want their lamps at one instant of
// the day, and no second sees more than one start; however many there are, all
// burn within two minutes. Other loads do not wait for them.
func TestLampsOfManyZonesLightUpInTurn(t *testing.T) {
	for _, n := range []int{20, 300} {
		w := newWorld(t, func(o *actuation.Options) { o.Stagger = time.Second })
		var lamps []greenhouse.PointID
		for i := range n {
			p := greenhouse.PointID(fmt.Sprintf("z%d/lamp", i))
			lamps = append(lamps, p)
			w.add(p, []greenhouse.Class{greenhouse.ClassLampLED, greenhouse.ClassLampHPS}[i%2])
		}
		w.add("z0/heater", greenhouse.ClassHeaterSSR)
		w.run(21 * time.Minute) // shortest times off, and turns after the boot
		for _, p := range lamps {
			w.want(p, 1)
		}
		w.want("z0/heater", 1)
		on := func() (sum int) {
			for _, p := range lamps {
				if w.device(p).out["lamp"].level > 0 {
					sum++
				}
			}
			return sum
		}
		most, was := 0, 0
		for i := range 125 {
			w.run(time.Second)
			if i == 2 && w.device("z0/heater").out["heater"].level != 1 {
				t.Error("a heater waits for lamps")
			}
			most, was = max(most, on()-was), on()
			if i == 4 {
				if why := w.ctl.Waits(lamps[n-1]); !strings.Contains(why, "other lamps") {
					t.Errorf("the last lamp waits because %q", why)
				}
			}
		}
		if allowed := max(2, n/50); was != n || most > allowed {
			t.Errorf("%d of %d lamps burn after two minutes, at most %d start within a second", was, n, most)
		}
	}
}
