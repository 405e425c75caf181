package fleet_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/fleet"
)

const uid = greenhouse.UID("climate-a1b2c3")

// watch is a presence of one active node, on a clock that tests move.
type watch struct {
	*fleet.Presence
	now time.Time
}

func newWatch() *watch {
	w := &watch{now: time.Now()}
	w.Presence = fleet.NewPresence(fleet.PresenceOptions{}, w.now)
	w.Sync(map[greenhouse.UID]*greenhouse.Node{uid: {UID: uid, State: greenhouse.NodeActive}}, w.now)
	return w
}

// pass lets time pass, a second at a time, with a status every 30 s if the node beats.
func (w *watch) pass(d time.Duration, beats bool) (changes []fleet.Change) {
	for i := range int(d / time.Second) {
		w.now = w.now.Add(time.Second)
		if beats && i%30 == 0 {
			w.Status(uid, true, w.now)
		}
		changes = append(changes, w.Changes(w.now)...)
		w.Conditions(nil, w.now)
	}
	return changes
}

func (w *watch) online() bool {
	on, _ := w.Online(uid, w.now)
	return on
}

func (w *watch) alarm(code string) bool {
	for _, c := range w.Conditions(nil, w.now) {
		if c.Code == code && c.Active {
			return true
		}
	}
	return false
}

func TestOfflineWithin30sOfTheLastSession(t *testing.T) {
	w := newWatch()
	opened := w.now
	w.Opened(uid, opened)
	w.pass(5*time.Minute, true)
	if !w.online() {
		t.Fatal("got offline with a session and heartbeats")
	}
	w.Closed(uid, opened, w.now)
	if !w.online() {
		t.Error("got offline at once, want a moment's grace")
	}
	changes := w.pass(30*time.Second, false)
	if w.online() || len(changes) != 1 || changes[0].Online || changes[0].Cause != "session_ended" {
		t.Errorf("got %+v, want offline within 30 s", changes)
	}
}

func TestOfflineAfterThreeMissedHeartbeats(t *testing.T) {
	w := newWatch()
	w.Opened(uid, w.now)
	w.pass(31*time.Second, true)
	w.pass(85*time.Second, false)
	if !w.online() {
		t.Error("got offline before three heartbeats were missed")
	}
	if changes := w.pass(10*time.Second, false); w.online() || len(changes) != 1 || changes[0].Cause != "silence" {
		t.Errorf("got %+v, want offline by silence", changes)
	}
	w.Heard(uid, w.now)
	if !w.online() {
		t.Error("got offline, want a message to bring it back")
	}
}

func TestTakeOverAndLateWillDoNotMarkALiveNodeOffline(t *testing.T) {
	w := newWatch()
	first := w.now
	w.Opened(uid, first)
	w.pass(time.Minute, true)
	second := w.now
	w.Opened(uid, second)
	w.Closed(uid, first, w.now)
	w.Status(uid, false, w.now) // the will of the first session
	if changes := w.pass(5*time.Minute, true); !w.online() || len(changes) != 0 {
		t.Errorf("got %+v, want a live node online", changes)
	}
	w.Closed(uid, second, w.now)
	w.Status(uid, false, w.now)
	if w.online() {
		t.Error("got online after the last session and its will")
	}
}

func TestADeviceBehindAnAdapterLivesByItsStatus(t *testing.T) {
	w := newWatch()
	w.Status(uid, true, w.now)
	if !w.online() {
		t.Error("got offline, want its status to count")
	}
	w.Status(uid, false, w.now)
	if w.online() {
		t.Error("got online after its farewell")
	}
}

func TestDampingDelaysTheAlarmNotTheState(t *testing.T) {
	w := newWatch()
	opened := w.now
	w.Opened(uid, opened)
	w.pass(time.Minute, true)
	w.Closed(uid, opened, w.now)
	w.pass(40*time.Second, false)
	if w.online() || w.alarm("node_offline") {
		t.Errorf("got online %v, alarm %v, want offline without an alarm yet", w.online(), w.alarm("node_offline"))
	}
	w.pass(60*time.Second, false)
	if !w.alarm("node_offline") {
		t.Error("got no alarm after a lasting absence")
	}
	w.Opened(uid, w.now)
	w.pass(10*time.Second, true)
	if !w.alarm("node_offline") {
		t.Error("got the alarm cleared at the first sign of life")
	}
	w.pass(30*time.Second, true)
	if w.alarm("node_offline") {
		t.Error("got the alarm after a lasting presence")
	}
}

func TestFlappingNodeAlarmsOnce(t *testing.T) {
	w := newWatch()
	raised := 0
	was := false
	for range 30 { // every 10 s, as in scenario 50
		opened := w.now
		w.Opened(uid, opened)
		w.pass(5*time.Second, true)
		w.Closed(uid, opened, w.now)
		w.pass(5*time.Second, false)
		is := w.alarm("node_flapping")
		if is && !was {
			raised++
		}
		was = is
		if w.alarm("node_offline") {
			t.Fatal("got node_offline of a node that flaps")
		}
	}
	if raised != 1 {
		t.Errorf("got node_flapping raised %d times, want once", raised)
	}
	w.Opened(uid, w.now)
	w.pass(11*time.Minute, true)
	if w.alarm("node_flapping") {
		t.Error("got node_flapping after ten calm minutes")
	}
}

func TestNodesNobodyExpectsDoNotAlarm(t *testing.T) {
	for state, want := range map[greenhouse.NodeState]bool{greenhouse.NodeRegistered: false, greenhouse.NodeMaintenance: false,
		greenhouse.NodeDecommissioned: false, greenhouse.NodeAssigned: true, greenhouse.NodeDegraded: true} {
		w := newWatch()
		w.Sync(map[greenhouse.UID]*greenhouse.Node{uid: {UID: uid, State: state}}, w.now)
		w.pass(3*time.Minute, false)
		if got := w.alarm("node_offline"); got != want {
			t.Errorf("%s: got alarm %v, want %v", state, got, want)
		}
	}
}

func TestUnknownNodesAreNotKept(t *testing.T) {
	w := newWatch()
	w.Opened("relay-ffff", w.now)
	w.Status("relay-ffff", true, w.now)
	if known, online := w.Count(w.now); known != 1 || online != 0 {
		t.Errorf("got %d known, %d online, want 1, 0", known, online)
	}
}

func TestPropose(t *testing.T) {
	tests := []struct {
		state greenhouse.NodeState
		h     fleet.Health
		to    greenhouse.NodeState
		ok    bool
	}{
		{greenhouse.NodeAssigned, fleet.Health{Heard: true}, greenhouse.NodeActive, true},
		{greenhouse.NodeAssigned, fleet.Health{}, greenhouse.NodeAssigned, false},
		{greenhouse.NodeActive, fleet.Health{Heard: true}, greenhouse.NodeActive, false},
		{greenhouse.NodeActive, fleet.Health{Heard: true, Offline: true}, greenhouse.NodeDegraded, true},
		{greenhouse.NodeActive, fleet.Health{Heard: true, Trouble: "config_drift"}, greenhouse.NodeDegraded, true},
		{greenhouse.NodeDegraded, fleet.Health{Heard: true}, greenhouse.NodeActive, true},
		{greenhouse.NodeDegraded, fleet.Health{}, greenhouse.NodeDegraded, false},
		{greenhouse.NodeMaintenance, fleet.Health{Heard: true, Offline: true}, greenhouse.NodeMaintenance, false},
		{greenhouse.NodeDecommissioned, fleet.Health{Heard: true}, greenhouse.NodeDecommissioned, false},
	}
	for _, tt := range tests {
		to, _, ok := fleet.Propose(tt.state, tt.h)
		if to != tt.to || ok != tt.ok {
			t.Errorf("%s, %+v: got %s, %v, want %s, %v", tt.state, tt.h, to, ok, tt.to, tt.ok)
		}
		if ok && !tt.state.CanBecome(to) {
			t.Errorf("%s may not become %s", tt.state, to)
		}
	}
}

// TestPresenceLaws: whatever comes in whatever order, a node with a session that
// was heard lately is online, and one without is offline 30 s later.
func TestPresenceLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWatch()
		var current, heard, ended time.Time
		var old []time.Time
		toldOnline := false
		for range 200 {
			w.now = w.now.Add(time.Duration(rapid.IntRange(1, 40_000).Draw(t, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 5).Draw(t, "sign") {
			case 0:
				if !current.IsZero() {
					old = append(old, current)
				}
				current, heard = w.now, w.now
				w.Opened(uid, w.now)
			case 1:
				if !current.IsZero() {
					w.Closed(uid, current, w.now)
					current, ended = time.Time{}, w.now
				}
			case 2:
				if len(old) > 0 {
					w.Closed(uid, old[0], w.now)
					old = old[1:]
				}
			case 3:
				if !current.IsZero() {
					w.Status(uid, false, w.now)
				}
			case 4:
				if !current.IsZero() {
					w.Status(uid, true, w.now)
					heard = w.now
				}
			}
			for _, c := range w.Changes(w.now) {
				if c.Online == toldOnline {
					t.Fatalf("got the change to %v told twice", c.Online)
				}
				toldOnline = c.Online
			}
			live := !current.IsZero() && w.now.Sub(heard) < 90*time.Second
			if live && !w.online() {
				t.Fatal("a live node is offline")
			}
			if current.IsZero() && !ended.IsZero() && w.now.Sub(ended) > 30*time.Second && w.online() {
				t.Fatal("online more than 30 s after the last session")
			}
			if toldOnline != w.online() {
				t.Fatalf("told %v, is %v", toldOnline, w.online())
			}
		}
	})
}

func TestOneThatTakesItsLeaveDoesNotFlap(t *testing.T) {
	w := newWatch()
	for range 10 { // as a node that sleeps, or somebody with a publishing tool
		opened := w.now
		w.Opened(uid, opened)
		w.pass(2*time.Second, true)
		w.Left(uid, opened, w.now)
		w.pass(20*time.Second, false)
		if w.alarm("node_flapping") {
			t.Fatal("got node_flapping of a node that says goodbye")
		}
	}
	if w.online() {
		t.Error("got online 20 s after its goodbye")
	}
}
