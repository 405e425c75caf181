package edge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/sim"
	"greenhouse/store"
	"greenhouse/wire"
)

// TestBadPayloads: what cannot be understood is counted, acknowledged, and
// journalled once an hour a node, and changes nothing else.
func TestBadPayloads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		bad := h.login(string(ph), h.register(ph, "", channels("solution_ph")...))
		other := greenhouse.UID("climate-a4cf12b3de02")
		good := h.login(string(other), h.register(other, "", channels("air_temp")...))
		good.tell(topic(wire.KindStatus, other), `{"v":1,"online":true}`)
		before := h.Received()
		payloads := []string{
			``, `{`, `null`, `[]`, `42`, `"x"`, "\xff\xfe", "\xef\xbb\xbf{}", `{"v":1,"m":{"solution_ph":6}} x`, `{"v":2,"m":{"solution_ph":6}}`,
			`{"v":1,"m":[]}`, `{"v":1,"batch":{}}`, `{"v":1,"v":1,"m":{"solution_ph":6}}`, strings.Repeat(`{"a":`, 1000), strings.Repeat("[", 60_000), `{"v":1,"ts":"now","m":{"solution_ph":6}} `,
		}
		kinds := []wire.Kind{wire.KindTelemetry, wire.KindStatus, wire.KindEvent, wire.KindConfigReport, wire.KindCmdReport}
		for _, k := range kinds {
			for _, p := range payloads {
				bad.tell(topic(k, ph), p)
			}
		}
		for _, p := range []string{"", "NaN", "1e400", "Infinity", "on", "6,1", "0x10"} {
			bad.tell(topic(wire.KindTelemetry, ph)+"/solution_ph", p)
		}
		counted := h.Received()
		if got := counted.Malformed - before.Malformed; got < uint64(len(kinds)*(len(payloads)-2)) {
			t.Errorf("%d messages counted as malformed", got)
		}
		for _, p := range []string{
			`{"v":1,"m":{"solution_ph":NaN}}`, `{"v":1,"m":{"solution_ph":1e400}}`, `{"v":1,"m":{"solution_ph":"6"}}`, `{"v":1,"m":{"solution_рh":6}}`, `{"v":1,"m":{"made_up":6}}`,
			`{"v":1,"ts":1,"m":{"solution_ph":6}}`, `{"v":1,"ts":-5,"m":{"solution_ph":6}}`, `{"v":1,"ts":1773122400,"m":{"solution_ph":6}}`, `{"v":1,"ts":9999999999999,"m":{"solution_ph":6}}`,
			`{"v":1,"m":{` + manyChannels(1000) + `}}`,
		} {
			bad.tell(topic(wire.KindTelemetry, ph), p)
		}
		if got := h.history("@ph-a4cf12b3de01/solution_ph"); len(got) != 0 {
			t.Errorf("bad samples were kept: %v", got)
		}
		if h.Received().Unrouted == 0 {
			t.Error("no unknown channel was counted")
		}
		bad.tell(topic(wire.KindCmdReport, ph), `{"v":1,"id":"01JDNOBODYKNOWSTHISONE0000","status":"done","value":1}`)
		bad.tell(topic(wire.KindConfigReport, ph), `{"v":1,"rev":1,"hash":"`+strings.Repeat("0", 64)+`","status":"applied"}`)
		if c := h.Store().Registry().Nodes[ph].Config; c.Status != greenhouse.ConfigDrift {
			t.Errorf("a wrong hash makes %s, want drift", c.Status)
		}
		good.tell(topic(wire.KindTelemetry, other), `{"v":1,"m":{"air_temp":20.5}}`)
		if got := h.history("@climate-a4cf12b3de02/air_temp"); len(got) != 1 {
			t.Errorf("the other node has %d readings, want 1", len(got))
		}
		pass(time.Second)
		if got := len(h.events("payload_refused")); got != 1 {
			t.Errorf("%d events payload_refused, want 1 an hour", got)
		}
		bad.Close(true)
		pass(time.Hour)
		bad = h.login(string(ph), secretOf(h, ph))
		bad.tell(topic(wire.KindTelemetry, ph), `{`)
		pass(time.Second)
		if got := len(h.events("payload_refused")); got != 2 {
			t.Errorf("%d events payload_refused after an hour, want 2", got)
		}
	})
}

func manyChannels(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"c%d":%d`, i, i)
	}
	return strings.Join(all, ",")
}

// secretOf gives a node another secret.
func secretOf(h *house, uid greenhouse.UID) (secret string) {
	h.t.Helper()
	h.update(func(tx *store.Tx) (err error) {
		secret, err = tx.RotateKey(uid)
		return err
	})
	return secret
}

// TestStrangers: who writes where it must not, or in the name of nobody, loses
// that message or the connection, and nobody else notices.
func TestStrangers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		secret := h.register(ph, "", channels("solution_ph")...)
		other := greenhouse.UID("climate-a4cf12b3de02")
		good := h.login(string(other), h.register(other, "", channels("air_temp")...))
		for name, m := range map[string]sim.Message{
			"telemetry of another": {Topic: topic(wire.KindTelemetry, other), Payload: []byte(`{"v":1,"m":{"air_temp":99}}`)},
			"a command":            {Topic: topic(wire.KindCmd, ph), Payload: []byte(`{}`)},
			"a retained command":   {Topic: topic(wire.KindCmd, ph), Payload: []byte(`{}`), Retain: true},
			"its configuration":    {Topic: topic(wire.KindConfig, ph), Payload: []byte(`{}`), Retain: true},
			"$SYS":                 {Topic: "$SYS/x", Payload: []byte(`1`)},
			"nowhere":              {Topic: "gh/x", Payload: []byte(`1`)},
			"too much":             {Topic: topic(wire.KindTelemetry, ph), Payload: make([]byte, 70_000)},
			"too long a topic":     {Topic: topic(wire.KindTelemetry, ph) + strings.Repeat("/x", 200), Payload: []byte(`1`)},
		} {
			d := h.login(string(ph), secret)
			m.ID, m.QoS = 1, 1
			if err := d.Publish(m); err != nil {
				t.Fatal(err)
			}
			select {
			case <-d.acked:
				t.Errorf("%s: acknowledged", name)
			case <-d.Done():
			case <-time.After(patience):
				t.Errorf("%s: neither acknowledged nor closed", name)
			}
			d.Close(false)
		}
		d := h.login(string(ph), secret)
		if err := d.Subscribe(t.Context(), topic(wire.KindCmd, other)); err == nil {
			t.Error("a node may read the commands of another")
		}
		for login, password := range map[string]string{"": "", string(ph): "wrong", "inline": "x", string(other): secret, "ph-00": secret, hardware: "token"} {
			if _, err := h.connect(login, password); err == nil {
				t.Errorf("%q may log in with a password that is not its own", login)
			}
		}
		good.tell(topic(wire.KindTelemetry, other), `{"v":1,"m":{"air_temp":20.5}}`)
		if got := h.history("@climate-a4cf12b3de02/air_temp"); len(got) != 1 || got[0].Value != 20.5 {
			t.Errorf("history of the other node: %v", got)
		}
		pass(time.Second)
		if len(h.events("login_refused")) == 0 || len(h.events("acl_refused")) == 0 {
			t.Error("the refusals are not journalled")
		}
	})
}

// TestAccountSpeaksForNobody: what a bridge writes in the name of a node that is
// unknown or out of service is acknowledged, counted and not kept.
func TestAccountSpeaksForNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		h.register(ph, "", channels("solution_ph")...)
		gone := greenhouse.UID("climate-a4cf12b3de02")
		h.register(gone, "", channels("air_temp")...)
		var secret string
		h.update(func(tx *store.Tx) (err error) {
			if _, err = tx.Decommission(gone); err != nil {
				return err
			}
			_, secret, err = tx.CreateAccount("bridge", []string{"gh/#", "bridge/#"}, []string{"gh/#", "bridge/#"})
			return err
		})
		b := h.login("bridge", secret)
		for _, uid := range []greenhouse.UID{gone, "climate-00000000"} {
			b.tell(topic(wire.KindTelemetry, uid), `{"v":1,"m":{"air_temp":20,"made_up":1}}`)
			b.tell(topic(wire.KindTelemetry, uid)+"/air_temp", `20`)
			b.tell(topic(wire.KindStatus, uid), `{"v":1,"online":true,"boot":"x"}`)
			b.tell(topic(wire.KindEvent, uid), `{"v":1,"code":"level_low","severity":"critical"}`)
			b.tell(topic(wire.KindConfigReport, uid), `{"v":1,"rev":1,"hash":"","status":"applied"}`)
			b.tell(topic(wire.KindCmdReport, uid), `{"v":1,"id":"x","status":"done"}`)
		}
		b.tell(topic(wire.KindTelemetry, ph), `{"v":1,"m":{"solution_ph":6}}`)
		if got := h.Received().Strange; got != 10 {
			t.Errorf("%d messages of strangers counted, want 10", got)
		}
		if got := len(h.events("level_low")); got != 0 {
			t.Errorf("%d events of nobody journalled", got)
		}
		if got := h.history("@ph-a4cf12b3de01/solution_ph"); len(got) != 1 {
			t.Errorf("what the account says of a known node is not kept: %v", got)
		}
	})
}

// TestTooManyChannels: a node that keeps naming new standard channels beyond its
// bound is refused those samples, not locked out.
func TestTooManyChannels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		var many []greenhouse.Channel
		for i := range 128 {
			many = append(many, greenhouse.Channel{Name: greenhouse.ChannelName(fmt.Sprintf("own_%d", i)), Kind: greenhouse.Sensor})
		}
		d := h.login(string(ph), h.register(ph, "", many...))
		d.tell(topic(wire.KindTelemetry, ph), `{"v":1,"m":{"own_3":3,"air_temp":20}}`)
		if got := h.history("@ph-a4cf12b3de01/own_3"); len(got) != 1 {
			t.Errorf("the sample of a known channel: %v", got)
		}
		if got := h.Received().Unrouted; got != 1 {
			t.Errorf("%d samples without a channel counted, want 1", got)
		}
	})
}
