package edge_test

import (
	"fmt"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/store"
	"greenhouse/wire"
)

// waiting returns who is in quarantine, by id.
func (h *house) waiting() map[string]api.Pending {
	h.t.Helper()
	var list api.List[api.Pending]
	h.must("GET", "/pending", nil, &list)
	found := map[string]api.Pending{}
	for _, p := range list.Items {
		found[p.ID] = p
	}
	return found
}

// TestQuarantine: whoever knocks and is not let in is seen with its reason, taken
// in with what it said of itself, and gone from the list once it is in.
func TestQuarantine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		knock := func(login, secret string) {
			t.Helper()
			if _, err := h.connect(login, secret); err == nil {
				t.Errorf("%s was let in", login)
			}
		}
		last := func(id string) (p api.Pending, code string) {
			t.Helper()
			p, ok := h.waiting()[id]
			if !ok || len(p.Errors) == 0 {
				t.Fatalf("%s does not wait: %+v", id, h.waiting())
			}
			return p, p.Errors[len(p.Errors)-1].Code
		}
		knock(hardware, "nothing")
		knock(hardware, "nothing")
		if p, code := last(hardware); code != "pairing_closed" || p.Count != 2 || p.FirstSeen == 0 {
			t.Errorf("while pairing is closed: %s, %+v", code, p)
		}
		token := h.pair()
		knock(hardware, "another token")
		if _, code := last(hardware); code != "token_wrong" {
			t.Errorf("with a wrong token: %s", code)
		}
		knock("relay-0000ffff", "secret")
		if _, code := last("relay-0000ffff"); code != "node_unknown" {
			t.Errorf("as an unknown node: %s", code)
		}
		h.update(func(tx *store.Tx) error { _, _, err := tx.CreateAccount("grafana", nil, nil); return err })
		knock("home-assistant", "secret") // is no device
		knock("grafana", "secret")        // could be one, but is an account
		if got := h.waiting(); len(got) != 2 {
			t.Errorf("%d wait, want 2: %v", len(got), got)
		}
		pass(time.Second)
		if got := len(h.events("device_knocked")); got != 2 {
			t.Errorf("%d events device_knocked, want one a device", got)
		}
		until(t, 5*time.Second, "devices_pending is raised", func() bool { return h.raised(greenhouse.SiteSource, "devices_pending") })
		// A hello that is refused leaves what it said; adopting takes it over.
		d := h.login("c0ffee01", token)
		d.subscribe(wire.JoinSubscribe("c0ffee01")...)
		h.update(func(tx *store.Tx) error { return tx.ClosePairing() })
		d.tell("gh/hello/c0ffee01", `{"v":1,"hardware_id":"c0ffee01","type":"ec","fw":"3.1","name":"EC south","channels":[{"name":"stirrer","kind":"actuator"}]}`)
		d.next()
		p, code := last("c0ffee01")
		if code != "pairing_closed" || p.Type != "ec" || p.FW != "3.1" || len(p.Declared) != 1 {
			t.Errorf("after a refused hello: %s, %+v", code, p)
		}
		h.zone(greenhouse.Zone{ID: "north"})
		var dry, made api.Registered
		h.must("POST", "/pending/C0:FF:EE:01/adopt?dry_run=true", map[string]any{"zone": "north"}, &dry)
		h.must("POST", "/pending/C0:FF:EE:01/adopt", map[string]any{"zone": "north"}, &made)
		if made.UID != "ec-c0ffee01" || made.Name != "EC south" || made.Zone != "north" || made.Secret == "" || len(made.Channels) != 1 || made.FW != "3.1" {
			t.Errorf("adopted: %+v", made)
		}
		if _, ok := h.waiting()["c0ffee01"]; ok {
			t.Error("it still waits")
		}
		// One that could not even say hello needs its type.
		if got := h.call("POST", "/pending/"+hardware+"/adopt", map[string]any{}, nil); got != 400 {
			t.Errorf("adopt without a type: %d", got)
		}
		h.must("POST", "/pending/"+hardware+"/adopt", map[string]any{"type": "ph"}, &made)
		h.login(string(ph), made.Secret)
		pass(time.Second) // the session is told of after the CONNACK
		knock(string(ph), "not its secret")
		if p, code := last(string(ph)); code != "secret_wrong" || p.Node != ph {
			t.Errorf("a node with another secret: %s, %+v", code, p)
		}
		if got := h.call("POST", "/pending/"+string(ph)+"/adopt", map[string]any{}, nil); got != 409 {
			t.Errorf("adopt a node: %d", got)
		}
		h.login(string(ph), made.Secret)
		pass(time.Second) // the session is told of after the CONNACK
		if _, ok := h.waiting()[string(ph)]; ok {
			t.Error("it still waits after it logged in")
		}
		h.must("DELETE", "/pending/relay-0000ffff", nil, nil)
		if got := h.waiting(); len(got) != 0 {
			t.Errorf("wait in the end: %v", got)
		}
	})
}

// TestUndeclaredChannels: what a node sends and nobody declared is counted, shown
// and, once accepted, kept.
func TestUndeclaredChannels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		d := h.login(string(ph), h.register(ph, "", channels("solution_ph")...))
		send := func(v float64) {
			t.Helper()
			d.tell(topic(wire.KindTelemetry, ph), fmt.Sprintf(`{"v":1,"m":{"par_top":%g,"lid":1,"solution_ph":6}}`, v))
			pass(time.Second)
		}
		send(300)
		send(310)
		p := h.waiting()[string(ph)]
		if len(p.Channels) != 2 || p.Channels[0].Count != 2 || p.Channels[1].Count != 2 || p.Node != ph {
			t.Fatalf("waiting: %+v", p)
		}
		if got := h.call("POST", "/pending/"+string(ph)+"/adopt", map[string]any{"channels": []any{map[string]any{"name": "other"}}}, nil); got != 404 {
			t.Errorf("accept what it does not send: %d", got)
		}
		var n api.Registered
		h.must("POST", "/pending/"+string(ph)+"/adopt", map[string]any{"channels": []any{map[string]any{"name": "par_top", "unit": "µmol/m²/s"}}}, &n)
		if len(n.Channels) != 2 || n.Channels[1].Name != "par_top" || n.Channels[1].Kind != greenhouse.Sensor || n.Channels[1].Unit != "µmol/m²/s" {
			t.Errorf("accepted: %+v", n.Channels)
		}
		send(320)
		if got := h.history("@" + greenhouse.PointID(ph) + "/par_top"); len(got) != 1 || got[0].Value != 320 {
			t.Errorf("history %v, want the sample after it was accepted", got)
		}
		if p := h.waiting()[string(ph)]; len(p.Channels) != 1 || p.Channels[0].Name != "lid" {
			t.Errorf("waiting afterwards: %+v, want the other one alone", p.Channels)
		}
	})
}
