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

// TestDegradedSaysWhy: a node that works badly is degraded with its reasons, in the
// record and in lists, and active again when they are gone.
func TestDegradedSaysWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		h.zone(greenhouse.Zone{ID: "north"})
		secret := h.register(ph, "north", channels("solution_ph")...)
		d := h.login(string(ph), secret)
		d.subscribe(topic(wire.KindConfig, ph))
		beat := func() { d.tell(topic(wire.KindStatus, ph), `{"v":1,"online":true,"boot":"b1"}`) }
		state := func() (n api.Node) { h.must("GET", "/nodes/"+string(ph), nil, &n); return n }
		reasons := func() (codes []string) {
			for _, r := range state().Reasons {
				codes = append(codes, r.Code)
				if r.Text == "" || r.Since == 0 {
					t.Errorf("reason %+v says too little", r)
				}
			}
			return codes
		}
		beat()
		if got := state(); got.State != greenhouse.NodeActive || got.Reasons == nil || len(got.Reasons) != 0 {
			t.Errorf("after its first sign of life: %s, %v", got.State, got.Reasons)
		}
		c := d.config(0)
		d.report(c, "rejected", "no room")
		until(t, 2*time.Minute, "it is degraded", func() bool { beat(); return state().State == greenhouse.NodeDegraded })
		if got := fmt.Sprint(reasons()); got != "[config_rejected]" {
			t.Errorf("reasons %s", got)
		}
		var list api.List[api.Node]
		h.must("GET", "/nodes?state=degraded", nil, &list)
		if len(list.Items) != 1 || len(list.Items[0].Reasons) != 1 {
			t.Errorf("list %+v", list.Items)
		}
		d.report(c, "applied", "")
		until(t, 2*time.Minute, "it is active", func() bool { beat(); return state().State == greenhouse.NodeActive })
		if got := reasons(); len(got) != 0 {
			t.Errorf("reasons %v after it is well", got)
		}
		// A link that breaks again and again degrades it too.
		for range 8 {
			d.Close(false)
			pass(3 * time.Second)
			d = h.login(string(ph), secret)
			beat()
			pass(3 * time.Second)
		}
		until(t, 2*time.Minute, "it is degraded", func() bool { beat(); return state().State == greenhouse.NodeDegraded })
		if got := fmt.Sprint(reasons()); got != "[node_flapping]" {
			t.Errorf("reasons %s", got)
		}
		if got := len(h.events("node_degraded")); got != 2 {
			t.Errorf("%d events node_degraded, want 2", got)
		}
	})
}

// TestAThousandNewConfigurationsLeaveRoom: an edit that changes the configuration of
// every node goes out at its pace, and the readings of the others are acknowledged
// meanwhile as ever.
func TestAThousandNewConfigurationsLeaveRoom(t *testing.T) {
	const n = 1000
	bubble(t, func(t *testing.T) {
		h := start(t)
		var account string
		h.update(func(tx *store.Tx) (err error) {
			for i := range n {
				r, err := tx.Register(store.JoinRequest{HardwareID: greenhouse.HardwareID(fmt.Sprintf("%08x", i)), Type: greenhouse.TypeRelay, Channels: channels("air_temp")})
				if err != nil {
					return err
				}
				_ = r
			}
			_, account, err = tx.CreateAccount("reader", nil, []string{"gh/n/+/config"})
			return err
		})
		pass(time.Minute) // the first ones are out
		reader := h.login("reader", account)
		reader.subscribe("gh/n/+/config")
		pass(10 * time.Second)
		for len(reader.got) > 0 {
			reader.next() // retained
		}
		d := h.login(string(ph), h.register(ph, "", channels("solution_ph")...))
		h.update(func(tx *store.Tx) error {
			for i := range n {
				uid := greenhouse.MakeUID(greenhouse.TypeRelay, greenhouse.HardwareID(fmt.Sprintf("%08x", i)))
				if _, err := tx.EditNode(uid, 0, func(n *greenhouse.Node) error { n.IntervalS = 30; return nil }); err != nil {
					return err
				}
			}
			return nil
		})
		most, total, seconds := 0, 0, 0
		for ; total < n && seconds < 120; seconds++ {
			began := time.Now()
			d.tell(topic(wire.KindTelemetry, ph), fmt.Sprintf(`{"v":1,"seq":%d,"boot":"b","m":{"solution_ph":6}}`, seconds+1))
			if took := time.Since(began); took > 500*time.Millisecond {
				t.Errorf("second %d: a reading waited %v for its PUBACK", seconds, took)
			}
			pass(time.Second - time.Since(began))
			now := 0
			for len(reader.got) > 0 {
				reader.next()
				now++
			}
			total, most = total+now, max(most, now)
		}
		if total < n || most > 100 || seconds < n/100 {
			t.Errorf("%d configurations in %d s, %d in the busiest second: want all of %d, at most 50 a second and 50 at once", total, seconds, most, n)
		}
		t.Logf("%d configurations in %d s, %d in the busiest second", total, seconds, most)
	})
}
