package actuation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/actuation"
)

const roof = greenhouse.PointID("north/vent")

// motor has a node say how sure it is of its vent.
func (w *world) motor(state greenhouse.MotorState, at ...float64) {
	m := actuation.Motor{State: state, Travel: 3 * time.Minute}
	if len(at) > 0 {
		m.Position = &at[0]
	}
	w.ctl.Motors(w.device(roof).uid, map[greenhouse.ChannelName]actuation.Motor{"vent": m})
}

func (w *world) sets() (all []float64) {
	for _, c := range w.sent {
		if c.Op == greenhouse.OpSet {
			all = append(all, c.Value)
		}
	}
	return all
}

// TestUnknownPositionIsFound checks that a drive that does not know where it stands
// is not taken for safe: its safe level is ordered, in turn after a boot, and people
// hear of it where no end comes.
func TestUnknownPositionIsFound(t *testing.T) {
	w := newWorld(t, func(o *actuation.Options) { o.Stagger = time.Second })
	w.add(roof, greenhouse.ClassVent)
	w.want(roof, 0)
	w.run(time.Minute)
	w.sent = nil
	d := w.device(roof)
	d.mute = true // it is on its way for a while
	d.reboot()
	w.ctl.NodeOnline(d.uid, d.bootID())
	w.motor(greenhouse.MotorUnknown)
	if l, _ := w.ctl.Level(roof); l.Known || l.Motor != greenhouse.MotorUnknown {
		t.Errorf("got %+v, want a level that nobody knows", l)
	}
	w.run(time.Second)
	if len(w.sent) > 0 || w.ctl.Waits(roof) == "" {
		t.Errorf("it is driven at once after a boot: %v; it waits for %q", w.sets(), w.ctl.Waits(roof))
	}
	w.run(20 * time.Second)
	if got := w.sets(); len(got) == 0 || got[0] != 0 {
		t.Fatalf("ordered %v, want shut", got)
	}
	if _, raised := w.condition("position_unknown"); raised {
		t.Error("an alarm while it is being found")
	}
	w.run(11 * time.Minute)
	if c, raised := w.condition("position_unknown"); !raised || c.Severity != greenhouse.Warning {
		t.Errorf("no end after 11 minutes: %+v", c)
	}
	d.mute = false
	w.motor(greenhouse.MotorKnown, 0)
	w.run(time.Minute)
	if _, raised := w.condition("position_unknown"); raised {
		t.Error("the alarm goes on with the position known")
	}
}

// TestSuspectGoesToItsEndsOnly checks that a drive whose end switches disagree with
// its position is sent to its ends alone, whoever wants what, but for safety; and that
// this is told.
func TestSuspectGoesToItsEndsOnly(t *testing.T) {
	w := newWorld(t)
	w.add(roof, greenhouse.ClassVent)
	w.want(roof, 0.4)
	w.run(2 * time.Minute)
	w.motor(greenhouse.MotorSuspect, 0.4)
	w.run(time.Minute)
	if l, _ := w.ctl.Level(roof); l.Desired != 0.4 {
		t.Errorf("on its way it is sent elsewhere, to %v", l.Desired)
	}
	w.run(3 * time.Minute)
	if l, _ := w.ctl.Level(roof); l.Desired != 0 {
		t.Fatalf("under suspicion and wanted at 0.4 it is ordered %v, want the safe end", l.Desired)
	}
	v, _ := w.ctl.Verdict(roof)
	if v.Winner.Owner != string(actuation.LimitPosition) || !strings.Contains(v.Winner.Reason, "end switches") {
		t.Errorf("the reason is %+v", v.Winner)
	}
	if got := w.obstacles(roof, 0.4); !slices.Contains(got, string(actuation.LimitPosition)) {
		t.Errorf("what is in the way of 0.4 is %q", got)
	}
	if c, raised := w.condition("position_suspect"); !raised || c.Severity != greenhouse.Warning {
		t.Errorf("got %+v, want an alarm", c)
	}
	w.want(roof, 1)
	w.run(4 * time.Minute)
	if l, _ := w.ctl.Level(roof); l.Desired != 1 {
		t.Errorf("wanted fully open it is ordered %v", l.Desired)
	}
	half := 0.5
	w.claims[roof] = append(w.claims[roof], greenhouse.Claim{Priority: greenhouse.PriorityInterlock, Owner: "wind", Max: &half, Reason: "wind"})
	w.run(4 * time.Minute)
	if l, _ := w.ctl.Level(roof); l.Desired != 0 {
		t.Errorf("with at most 0.5 allowed it is ordered %v", l.Desired)
	}
	w.claims[roof] = []greenhouse.Claim{{Priority: greenhouse.PrioritySafety, Owner: "heat", Value: 0.5, Reason: "36 °C", Urgent: true}}
	w.run(5 * time.Second)
	if l, _ := w.ctl.Level(roof); l.Desired != 0.5 {
		t.Errorf("safety wants 0.5 and it is ordered %v", l.Desired)
	}
	w.want(roof, 0.4)
	w.motor(greenhouse.MotorKnown, 0.5)
	w.run(3 * time.Minute)
	if l, _ := w.ctl.Level(roof); l.Desired != 0.4 {
		t.Errorf("cleared it is ordered %v, want 0.4", l.Desired)
	}
	if _, raised := w.condition("position_suspect"); raised {
		t.Error("the alarm goes on")
	}
}

// TestMotorThatIsNoLongerSpokenOf checks that a node with other firmware, which
// measures its vent, is taken at its word again.
func TestMotorThatIsNoLongerSpokenOf(t *testing.T) {
	w := newWorld(t)
	w.add(roof, greenhouse.ClassVent)
	w.motor(greenhouse.MotorSuspect)
	w.ctl.Motors(w.device(roof).uid, nil)
	if l, _ := w.ctl.Level(roof); l.Motor != "" {
		t.Errorf("got %q", l.Motor)
	}
}
