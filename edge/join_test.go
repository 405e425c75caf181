package edge_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/sim"
	"greenhouse/store"
	"greenhouse/wire"
)

const hardware = "a4cf12b3de01"

func hello(typ greenhouse.NodeType) string {
	return fmt.Sprintf(`{"v":1,"hardware_id":"A4:CF:12:B3:DE:01","type":%q,"fw":"1.4.2","channels":[{"name":"solution_ph","kind":"sensor"},{"name":"pump_acid","kind":"actuator"}]}`, typ)
}

// TestHellosAtOnce is defect S1: any number of hellos under one id make one node,
// and every one of them gets the same answer.
func TestHellosAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		d := h.login(hardware, h.pair())
		d.subscribe(wire.JoinSubscribe(hardware)...)
		const n = 200
		before := h.Commits()
		for i := range n {
			d.send(uint64(i+1), "gh/hello/"+hardware, hello("ph"))
		}
		secrets := map[string]bool{}
		var last wire.Welcome
		for range n {
			w, err := wire.DecodeWelcome(d.next().payload)
			if err != nil || !w.OK || w.UID != "ph-a4cf12b3de01" || w.Secret == "" {
				t.Fatalf("welcome: %+v, %v", w, err)
			}
			secrets[w.Secret], last = true, w
			<-d.acked
		}
		if got := len(h.Store().Registry().Nodes); got != 1 {
			t.Errorf("%d nodes, want 1", got)
		}
		if got := len(h.events("node_registered")); got != 1 {
			t.Errorf("%d events node_registered, want 1", got)
		}
		t.Logf("%d hellos in %d transactions, %d secrets", n, h.Commits()-before, len(secrets))
		node := h.login(string(last.UID), last.Secret)
		node.tell(topic(wire.KindStatus, last.UID), `{"v":1,"online":true,"boot":"b1"}`)
	})
}

// TestConnectionsAtOnce has many devices claim one id over connections of their
// own, each taking over from the one before.
func TestConnectionsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		token := h.pair()
		var all sync.WaitGroup
		answers := make(chan wire.Welcome, 200)
		for i := range 15 {
			all.Go(func() {
				for ; ; time.Sleep(time.Duration(i) * 100 * time.Millisecond) { // as devices pause
					w, err := sim.Join(t.Context(), h.dialer(), token, wire.Hello{HardwareID: hardware, Type: "ph"})
					if err == nil {
						answers <- w
						return
					}
				}
			})
		}
		all.Wait()
		close(answers)
		n := 0
		for w := range answers {
			if n++; w.UID != "ph-a4cf12b3de01" {
				t.Errorf("uid %s", w.UID)
			}
		}
		if nodes := len(h.Store().Registry().Nodes); n != 15 || nodes != 1 {
			t.Errorf("%d answers and %d nodes, want 15 and 1", n, nodes)
		}
	})
}

func TestJoinRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		token := h.pair()
		d := h.login(hardware, token)
		d.subscribe(wire.JoinSubscribe(hardware)...)
		answer := func(payload string) wire.Welcome {
			t.Helper()
			d.tell("gh/hello/"+hardware, payload)
			w, err := wire.DecodeWelcome(d.next().payload)
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		for payload, want := range map[string]string{
			`{"v":1,"hardware_id":"00:11:22:33:44:55","type":"ph"}`: "hardware_id_mismatch",
			`{"v":1,"hardware_id":"a4cf12b3de01","type":"toaster"}`: "node_type_invalid",
			`{"v":9,"hardware_id":"a4cf12b3de01","type":"ph"}`:      "version_unsupported",
			`{"v":1,"hardware_id":"a4`:                              "payload_invalid",
		} {
			if w := answer(payload); w.OK || w.Error != want {
				t.Errorf("hello %s: got %+v, want %s", payload, w, want)
			}
		}
		h.update(func(tx *store.Tx) error { return tx.ClosePairing() })
		if w := answer(hello("ph")); w.Error != "pairing_closed" || w.Message == "" {
			t.Errorf("after the end of pairing: %+v", w)
		}
		if _, err := h.connect("001122334455", token); err == nil {
			t.Error("a device logged in with the token after the end of pairing")
		}
		pass(patience)
		if got := len(h.Store().Registry().Nodes); got != 0 {
			t.Errorf("%d nodes, want none", got)
		}
		if got := len(h.events("payload_refused")); got != 1 {
			t.Errorf("%d events payload_refused, want 1 an hour", got)
		}
	})
}

// TestIdentityConflict: after the first login no hello gets a secret.
func TestIdentityConflict(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		token := h.pair()
		w, err := sim.Join(t.Context(), h.dialer(), token, wire.Hello{HardwareID: hardware, Type: "ph"})
		if err != nil {
			t.Fatal(err)
		}
		node := h.login(string(w.UID), w.Secret)
		node.tell(topic(wire.KindStatus, w.UID), `{"v":1,"online":true}`)
		thief := h.login(hardware, token)
		thief.subscribe(wire.JoinSubscribe(hardware)...)
		thief.tell("gh/hello/"+hardware, hello("ph"))
		if got, err := wire.DecodeWelcome(thief.next().payload); err != nil || got.Secret != "" || got.UID != w.UID {
			t.Errorf("welcome %+v, %v: want the uid and no secret", got, err)
		}
		if got := len(h.events("identity_conflict")); got != 1 {
			t.Errorf("%d events identity_conflict, want 1", got)
		}
		node.tell(topic(wire.KindTelemetry, w.UID), `{"v":1,"m":{"solution_ph":6.1}}`)
	})
}

// TestPreRegistered is the installer's way: the secret is flashed, and a hello of
// that device, should it come, is answered as one that never logged in.
func TestPreRegistered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		var r struct {
			UID    greenhouse.UID `json:"uid"`
			Secret string         `json:"secret"`
		}
		h.must("POST", "/nodes", map[string]any{"hardware_id": "A4:CF:12:B3:DE:01", "type": "ph"}, &r)
		node := h.login(string(r.UID), r.Secret)
		node.subscribe(topic(wire.KindConfig, r.UID))
		if c, err := wire.DecodeConfig(node.next().payload); err != nil || c.Rev != 1 || !c.Intact() {
			t.Errorf("configuration %+v, %v", c, err)
		}
		node.tell(topic(wire.KindTelemetry, r.UID), `{"v":1,"ts":1773122400000,"m":{"solution_ph":6.1}}`)
		if got := h.history("@ph-a4cf12b3de01/solution_ph"); len(got) != 1 || got[0].Value != 6.1 {
			t.Errorf("history %v", got)
		}
	})
}

// TestFirstLoginSettlesTheSecret: of several answers a device may act on any. The
// one it logs in with is good for ever, the others end, and no hello that comes
// after its CONNACK gets another, however soon.
func TestFirstLoginSettlesTheSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		d := h.login(hardware, h.pair())
		d.subscribe(wire.JoinSubscribe(hardware)...)
		var answers []wire.Welcome
		for range 5 {
			d.tell("gh/hello/"+hardware, hello("ph"))
			w, err := wire.DecodeWelcome(d.next().payload)
			if err != nil || w.Secret == "" {
				t.Fatalf("welcome %+v, %v", w, err)
			}
			answers = append(answers, w)
		}
		h.login(string(answers[1].UID), answers[1].Secret)
		d.tell("gh/hello/"+hardware, hello("ph"))
		if w, err := wire.DecodeWelcome(d.next().payload); err != nil || !w.OK || w.Secret != "" {
			t.Errorf("a hello after the login: %+v, %v, want no secret", w, err)
		}
		pass(2 * time.Minute) // the grace time of replaced secrets
		h.login(string(answers[1].UID), answers[1].Secret)
		for i, w := range answers {
			if d, err := h.connect(string(w.UID), w.Secret); (err == nil) != (i == 1) {
				t.Errorf("secret %d: %v, want only that of the first login to work", i, err)
			} else if err == nil {
				d.Close(true)
			}
		}
	})
}
