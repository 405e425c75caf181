package actuation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/actuation"
)

const acid = greenhouse.PointID("north/pump_acid")

// dose orders a pulse of the acid pump as a function of automation.
func (w *world) dose(ms int64) (greenhouse.Command, error) {
	d := w.device(acid)
	return w.ctl.Command(context.Background(), greenhouse.Command{Node: d.uid, Channel: acid.Name(), Op: greenhouse.OpPulse, DurMs: ms, Cause: "loop:ph"})
}

func dosing(t *testing.T) (*world, *channel) {
	w := newWorld(t)
	out := w.add(acid, greenhouse.ClassDosingPump)
	w.claims[acid] = []greenhouse.Claim{{Priority: greenhouse.PriorityLoop, Owner: "ph", Value: 0, Reason: "between doses"}}
	w.run(10 * time.Second)
	return w, out
}

func TestPulseRunsOnceAfterItsIntentIsSaved(t *testing.T) {
	w, out := dosing(t)
	saves := w.store.saves
	c, err := w.dose(3000)
	if err != nil {
		t.Fatal(err)
	}
	if w.store.saves != saves+1 {
		t.Errorf("got %d transactions, want 1 before it was sent", w.store.saves-saves)
	}
	wantLevel(t, out, 1, "while it runs")
	w.run(10 * time.Second)
	wantLevel(t, out, 0, "afterwards")
	got, _ := w.store.get(c.ID)
	if got.State != greenhouse.CommandDone || !actuation.Delivered(got) {
		t.Errorf("got %+v, want done", got)
	}
	if n := w.device(acid).runs[c.ID]; n != 1 {
		t.Errorf("got %d runs, want 1", n)
	}
}

func TestNoIntentNoDose(t *testing.T) {
	w, out := dosing(t)
	w.store.fail = errors.New("disk full")
	c, err := w.dose(3000)
	if !errors.Is(err, greenhouse.ErrUnavailable) {
		t.Errorf("got error %v, want unavailable", err)
	}
	w.run(5 * time.Second)
	w.store.fail = nil
	w.run(time.Minute)
	wantLevel(t, out, 0, "without an intent on disk")
	if len(w.device(acid).runs) != 0 {
		t.Error("got a dose that was not saved before")
	}
	if got, _ := w.store.get(c.ID); got.State != greenhouse.CommandCancelled || actuation.Delivered(got) {
		t.Errorf("got %+v, want cancelled and not delivered", got)
	}
	if _, ok := w.condition("commands_unsaved"); ok {
		t.Error("got commands_unsaved after the disk came back")
	}
}

func TestUnknownOutcomeCountsAsDeliveredAndIsNeverRepeated(t *testing.T) {
	w, _ := dosing(t)
	w.device(acid).mute = true
	c, err := w.dose(3000)
	if err != nil {
		t.Fatal(err)
	}
	w.run(5 * time.Minute)
	sent := 0
	for _, s := range w.sent {
		if s.ID == c.ID {
			sent++
		}
	}
	if sent != 1 {
		t.Errorf("got the pulse sent %d times, want once", sent)
	}
	got, _ := w.store.get(c.ID)
	if got.State != greenhouse.CommandTimeout || !actuation.Delivered(got) {
		t.Errorf("got %+v, want timed out and delivered", got)
	}
}

func TestPulseToAnOfflineNodeExpires(t *testing.T) {
	w, out := dosing(t)
	w.cut(acid, true)
	c, err := w.dose(3000)
	if err != nil {
		t.Fatal(err)
	}
	if c.State != greenhouse.CommandQueued {
		t.Errorf("got %s, want queued", c.State)
	}
	w.run(40 * time.Second)
	w.cut(acid, false)
	w.run(20 * time.Second)
	wantLevel(t, out, 0, "after it came back too late")
	if got, _ := w.store.get(c.ID); got.State != greenhouse.CommandExpired || actuation.Delivered(got) {
		t.Errorf("got %+v, want expired and not delivered", got)
	}
}

func TestPulseWaitsForItsNode(t *testing.T) {
	w, _ := dosing(t)
	w.cut(acid, true)
	c, err := w.dose(3000)
	if err != nil {
		t.Fatal(err)
	}
	w.run(10 * time.Second)
	w.cut(acid, false)
	w.run(20 * time.Second)
	if n := w.device(acid).runs[c.ID]; n != 1 {
		t.Errorf("got %d runs, want 1 when the node came back in time", n)
	}
}

func TestRebootWithinAPulse(t *testing.T) {
	w, _ := dosing(t)
	c, err := w.dose(20000)
	if err != nil {
		t.Fatal(err)
	}
	w.run(5 * time.Second)
	d := w.device(acid)
	d.reboot()
	d.forget()
	w.ctl.NodeOnline(d.uid, d.bootID())
	w.run(2 * time.Minute)
	if n := d.runs[c.ID]; n != 1 {
		t.Errorf("got %d runs, want 1", n)
	}
	if got, _ := w.store.get(c.ID); got.State != greenhouse.CommandTimeout || !actuation.Delivered(got) {
		t.Errorf("got %+v, want timed out and delivered", got)
	}
}

func TestEnvelopeLiesBelowAPulse(t *testing.T) {
	tests := []struct {
		name string
		code string
		prep func(*world)
		ms   int64
	}{
		{"stopped", "stopped", func(w *world) { w.ctl.Stop("north") }, 1000},
		{"safety", "refused_by_envelope", func(w *world) {
			w.claims[acid] = []greenhouse.Claim{{Priority: greenhouse.PrioritySafety, Owner: "tank_low", Max: ptr(0), Reason: "the tank is empty"}}
			w.decide()
		}, 1000},
		{"interlock", "refused_by_envelope", func(w *world) {
			w.claims[acid] = []greenhouse.Claim{{Priority: greenhouse.PriorityInterlock, Owner: "base", Max: ptr(0), Reason: "base was dosed"}}
			w.decide()
		}, 1000},
		{"too long", "pulse_too_long", func(*world) {}, 31000},
		{"nothing asked", "pulse_invalid", func(*world) {}, 0},
		{"running", "pulse_running", func(w *world) {
			if _, err := w.dose(20000); err != nil {
				w.t.Fatal(err)
			}
		}, 1000},
		{"no decision", "not_decided", func(w *world) { w.silent["north"] = true; w.run(40 * time.Second) }, 1000},
		{"time on within an hour", "refused_by_envelope", func(w *world) {
			w.plant.Actuators[0].MaxOnHour = 5 * time.Second
			w.ctl.Sync(w.plant)
			if _, err := w.dose(4500); err != nil {
				w.t.Fatal(err)
			}
			w.run(10 * time.Second)
		}, 1000},
		{"budget", "refused_by_envelope", func(w *world) {
			for range 19 {
				if _, err := w.dose(100); err != nil {
					w.t.Fatal(err)
				}
				w.run(3 * time.Second)
			}
		}, 1000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := dosing(t)
			tt.prep(w)
			_, err := w.dose(tt.ms)
			var e *greenhouse.Error
			if !errors.As(err, &e) || e.Code != tt.code {
				t.Errorf("got %v, want %s", err, tt.code)
			}
		})
	}
}

func TestStopEndsAPulse(t *testing.T) {
	w, out := dosing(t)
	if _, err := w.dose(20000); err != nil {
		t.Fatal(err)
	}
	w.ctl.Stop("")
	wantLevel(t, out, 0, "when Stop returns")
	w.run(time.Minute)
	wantLevel(t, out, 0, "later")
}

func TestDosingPumpIsNeverHeld(t *testing.T) {
	w, out := dosing(t)
	w.want(acid, 1)
	w.run(time.Minute)
	wantLevel(t, out, 0, "against a loop that claims a level")
	v, _ := w.ctl.Verdict(acid)
	if v.Winner.Owner != "one_shot" {
		t.Errorf("got winner %+v, want one_shot", v.Winner)
	}
}

func TestOrdersByHand(t *testing.T) {
	w := newWorld(t)
	out := w.add(heater, greenhouse.ClassHeaterSSR)
	w.want(heater, 1)
	w.run(10 * time.Second)
	d := w.device(heater)
	ctx := context.Background()
	id, err := w.ctl.Command(ctx, greenhouse.Command{Node: d.uid, Op: greenhouse.OpIdentify, Cause: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := w.store.get(id.ID); got.Op != greenhouse.OpIdentify || got.Cause != "anna" {
		t.Errorf("got %+v, want identify by anna on disk", got)
	}
	if _, err := w.ctl.Command(ctx, greenhouse.Command{Node: d.uid, Channel: "heater", Op: greenhouse.OpSet, Value: 1}); !errors.Is(err, greenhouse.ErrConflict) {
		t.Errorf("got %v for a set, want it sent to overrides", err)
	}
	stop, err := w.ctl.Command(ctx, greenhouse.Command{Node: d.uid, Channel: "heater", Op: greenhouse.OpStop, Cause: "anna"})
	if err != nil || stop.Op != greenhouse.OpStop {
		t.Fatalf("got %+v, %v", stop, err)
	}
	wantLevel(t, out, 0, "after a stop by hand")
	o, err := actuation.AsOverride(greenhouse.Command{Op: greenhouse.OpSet, Point: heater, Value: 1, Cause: "anna", ExpiresAt: greenhouse.MillisOf(w.clock.Now().Add(48 * time.Hour))}, w.clock.Now())
	if err != nil || o.ExpiresAt.Sub(o.CreatedAt) != 24*time.Hour {
		t.Errorf("got %+v, %v, want an override of 24 h", o, err)
	}
}

func TestOverride(t *testing.T) {
	w := newWorld(t)
	out := w.add("north/fan", greenhouse.ClassFan)
	w.want("north/fan", 0)
	w.plant.Overrides = map[greenhouse.PointID]*greenhouse.Override{"north/fan": {Point: "north/fan", Value: 1, By: "anna", Reason: "smoke", ExpiresAt: greenhouse.MillisOf(w.clock.Now().Add(10 * time.Minute))}}
	w.ctl.Sync(w.plant)
	w.run(60 * time.Second)
	wantLevel(t, out, 0, "within the shortest time off")
	w.run(80 * time.Second)
	wantLevel(t, out, 1, "after it")
	if got := w.last().Cause; got != "override:anna" {
		t.Errorf("got cause %q", got)
	}
	w.claims["north/fan"] = []greenhouse.Claim{{Priority: greenhouse.PrioritySafety, Owner: "storm", Max: ptr(0), Reason: "it storms", Urgent: true}}
	w.run(6 * time.Second)
	wantLevel(t, out, 0, "against safety, at once")
	w.want("north/fan", 0)
	w.run(10 * time.Minute)
	wantLevel(t, out, 0, "after it expired")
}

func TestRebindingKeepsBudgetsAndStopsTheOldOutput(t *testing.T) {
	w := newWorld(t)
	out := w.add("north/fan", greenhouse.ClassFan)
	w.want("north/fan", 1)
	w.run(130 * time.Second)
	wantLevel(t, out, 1, "before")
	before, _ := w.ctl.Level("north/fan")
	w.plant.Actuators[0].Point, w.plant.Actuators[0].Zone = "@relay-northfan/fan", ""
	w.ctl.Sync(w.plant)
	w.run(5 * time.Second)
	wantLevel(t, out, 0, "after it was taken out of the zone")
	after, ok := w.ctl.Level("@relay-northfan/fan")
	if !ok || after.StartsHour < before.StartsHour || after.Starts < before.Starts {
		t.Errorf("got %+v, want no fewer starts than %+v", after, before)
	}
	if _, ok := w.ctl.Level("north/fan"); ok {
		t.Error("got a level of the point that is gone")
	}
}
