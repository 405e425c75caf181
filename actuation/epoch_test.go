package actuation_test

import (
	"testing"
	"time"

	"greenhouse"
)

// TestEpochRises: a node that obeyed a higher epoch is reached again once ours is
// above it, and what others hold is prolonged, not interrupted.
func TestEpochRises(t *testing.T) {
	w := newWorld(t)
	other := w.add("south/heater", greenhouse.ClassHeaterSSR)
	w.want("south/heater", 1)
	w.run(30 * time.Second)
	out := w.add(heater, greenhouse.ClassHeaterSSR)
	w.device(heater).epoch = 99
	w.want(heater, 1)
	w.run(10 * time.Second)
	wantLevel(t, out, 0, "under a higher epoch")
	before := len(w.sent)
	w.ctl.RaiseEpoch(100)
	w.run(3 * time.Second)
	wantLevel(t, out, 1, "above its epoch")
	for _, c := range w.sent[before:] {
		if c.Epoch != 100 {
			t.Errorf("command %s left under epoch %d, want 100", c.ID, c.Epoch)
		}
	}
	for range 5 { // past several leases: a renewal under the old epoch would be fenced
		w.run(30 * time.Second)
		wantLevel(t, other, 1, "of another node")
		wantLevel(t, out, 1, "of the node")
	}
	if _, ok := w.condition("command_fenced"); ok {
		t.Error("command_fenced does not clear")
	}
	w.ctl.RaiseEpoch(50)
	w.want(heater, 0)
	w.run(5 * time.Second)
	if got := w.last().Epoch; got != 100 {
		t.Errorf("got epoch %d after a lower one, want 100", got)
	}
}

// TestFlappingNodeIsNotToldAnewEachTime: an output that never answers costs one
// command until its deadline, however often its node comes and goes.
func TestFlappingNodeIsNotToldAnewEachTime(t *testing.T) {
	w := newWorld(t)
	w.add("north/fan", greenhouse.ClassFan)
	w.device("north/fan").mute = true
	ids := map[greenhouse.CommandID]bool{}
	for range 60 { // ten minutes, a session every ten seconds
		w.run(5 * time.Second)
		w.cut("north/fan", true)
		w.run(5 * time.Second)
		w.cut("north/fan", false)
	}
	for _, c := range w.sent {
		ids[c.ID] = true
	}
	if len(ids) < 2 || len(ids) > 20 {
		t.Errorf("got %d commands in 60 sessions, want one for each deadline", len(ids))
	}
	w.run(10 * time.Minute) // told in vain, with growing pauses
	w.cut("north/fan", true)
	w.run(5 * time.Second)
	w.cut("north/fan", false) // another session is asked at once, whatever the last ones did
	w.device("north/fan").mute = false
	w.run(65 * time.Second)
	if l, ok := w.ctl.Level("north/fan"); !ok || !l.Known || l.Reported != 0 {
		t.Errorf("got %+v, want its level known once it answers", l)
	}
}

// TestALoopThatPulsesIsToldOfOnceInAWhile: thousands of pulses a day leave a few
// hundred events; each command has its record all the same.
func TestALoopThatPulsesIsToldOfOnceInAWhile(t *testing.T) {
	w := newWorld(t)
	w.add(heater, greenhouse.ClassHeaterSSR)
	for i := range 240 { // an hour of pulses of 15 s
		w.want(heater, float64(i%2))
		w.run(15 * time.Second)
	}
	told := 0
	for _, code := range w.store.codes() {
		if code == "command_issued" {
			told++
		}
	}
	if told < 6 || told > 8 || len(w.store.commands) < 200 {
		t.Errorf("got %d events for %d commands, want one in ten minutes", told, len(w.store.commands))
	}
}
