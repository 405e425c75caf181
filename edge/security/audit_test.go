package security_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/edge"
)

// play is a simulated greenhouse that takes every fault.
type play struct{}

func (play) Sim() api.Sim { return api.Sim{} }
func (play) Inject(f api.SimFaultRequest) (api.SimFault, error) {
	return api.SimFault{ID: "1", Name: f.Name}, nil
}
func (play) Clear(string) error { return nil }

// deed is one write: what is sent, and what its event must tell.
type deed struct {
	id   string // of the route
	path string
	body string
	want string // of "before" and "after", which the event must have
}

// deeds does every write of the API once, in an order in which each works.
func deeds(alarm string) []deed {
	const north, ph, spare = "/v1/zones/north", "/v1/nodes/ph-00000000aaaa", "/v1/nodes/ph-00000000bbbb"
	return []deed{
		{"site-edit", "/v1/site", `{"name":"Kew"}`, "before after"},
		{"zone-create", "/v1/zones", `{"id":"north","crop":"mint"}`, "after"},
		{"zone-edit", north, `{"crop":"basil"}`, "before after"},
		{"zone-target-set", north + "/targets/heating", `{"value":17}`, "before after"},
		{"zone-target-clear", north + "/targets/heating", ``, "before"},
		{"zone-curve-set", north + "/schedule/heating", `{"knots":[{"at":"06:00","value":18}]}`, "after"},
		{"zone-curve-clear", north + "/schedule/heating", ``, "before"},
		{"zone-adjust", north + "/adjustments/heating", `{"offset":1,"reason":"try"}`, "after"},
		{"zone-adjust-end", north + "/adjustments/heating", ``, "before"},
		{"recipe-create", "/v1/recipes", `{"id":"mint","crop":"mint","phases":[{"name":"young","targets":{"heating":{"day":18,"night":16}}},{"name":"old","targets":{"heating":{"day":16,"night":14}}}]}`, "after"},
		{"recipe-edit", "/v1/recipes/mint", `{"crop":"basil"}`, "before after"},
		{"recipe-start", north + "/recipe", `{"recipe":"mint"}`, "after"},
		{"recipe-advance", north + "/recipe/advance", `{}`, "before after"},
		{"recipe-stop", north + "/recipe/stop", `{}`, "before"},
		{"recipe-delete", "/v1/recipes/mint", ``, "before"},
		{"zone-mode", north + "/mode", `{"mode":"manual"}`, "before after"},
		{"node-register", "/v1/nodes", `{"hardware_id":"00000000aaaa","type":"ph","channels":[{"name":"solution_ph","kind":"sensor"},{"name":"ph_b","kind":"sensor"},{"name":"heater","kind":"actuator"}]}`, "after"},
		{"node-edit", ph, `{"name":"pH"}`, "before after"},
		{"node-assign", ph + "/assign", `{"zone":"north"}`, "before after"},
		{"node-channel-edit", ph + "/channels/heater", `{"max_on_s":20,"safe":0}`, "before after"},
		{"calibration-set", ph + "/channels/solution_ph/calibration", `{"points":[{"raw":7.1,"ref":7},{"raw":4.1,"ref":4.01}]}`, "before after"},
		{"node-config-rollback", ph + "/config/rollback", `{"rev":1}`, "before after"},
		{"point-edit", "/v1/points/north%2Fsolution_ph", `{"min":4}`, "before after"},
		{"point-bind", "/v1/points/north%2Fsolution_ph/bind", `{"node":"ph-00000000aaaa","channel":"ph_b","exchange":true}`, "before after"},
		{"override-set", "/v1/points/north%2Fheater/override", `{"value":0.5,"for_s":60,"reason":"try"}`, "after"},
		{"override-release", "/v1/points/north%2Fheater/override", ``, "before"},
		{"command-create", ph + "/commands", `{"op":"identify"}`, ""},
		{"node-maintenance", ph + "/maintenance", `{"on":true}`, "before after"},
		{"node-rotate-key", ph + "/rotate-key", ``, ""},
		{"node-swap", ph + "/swap", `{"with":"ph-00000000bbbb"}`, ""},
		{"node-unassign", spare + "/unassign", ``, "before after"},
		{"node-decommission", spare + "/decommission", ``, "before after"},
		{"pending-adopt", "/v1/pending/00000000dddd/adopt", `{"type":"light"}`, "after"},
		{"pending-forget", "/v1/pending/00000000eeee", ``, "before"},
		{"pairing-open", "/v1/pairing", `{}`, ""},
		{"pairing-close", "/v1/pairing", ``, ""},
		{"stop", "/v1/stop", `{}`, ""},
		{"resume", "/v1/resume", `{}`, ""},
		{"alarm-shelve", "/v1/alarms/" + alarm + "/shelve", `{"for_s":60}`, "before after"},
		{"alarm-ack", "/v1/alarms/" + alarm + "/ack", ``, "before after"},
		{"account-create", "/v1/accounts", `{"name":"bridge","publish":["home/#"]}`, "after"},
		{"account-delete", "/v1/accounts/bridge", ``, "before"},
		{"token-create", "/v1/tokens", `{"name":"phone","role":"viewer"}`, "after"},
		{"token-delete", "/v1/tokens/phone", ``, "before"},
		{"user-create", "/v1/users", `{"name":"anna","role":"grower","password":"four words no other"}`, "after"},
		{"user-password", "/v1/users/anna/password", `{"password":"other words no other"}`, ""},
		{"user-delete", "/v1/users/anna", ``, "before"},
		{"ca-rotate", "/v1/ca/rotate", `{}`, "before after"},
		{"sim-fault-inject", "/v1/sim/faults", `{"name":"sensor_stuck"}`, "after"},
		{"sim-fault-clear", "/v1/sim/faults/1", ``, ""},
		{"sim-fault-clear-all", "/v1/sim/faults", ``, ""},
		{"zone-delete", "/v1/zones/south", ``, "before"},
	}
}

// raiseAlarm lets a node report a fault and returns the id of its alarm.
func (h *house) raiseAlarm() string {
	h.t.Helper()
	n := h.node("00000000cccc", greenhouse.TypeRelay, "")
	p, _, err := login(h.mqtt, nil, string(n.UID), string(n.UID), n.Secret, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	defer p.close()
	if err := p.publish("gh/n/"+string(n.UID)+"/event", `{"v":1,"code":"pump_fault","severity":"critical"}`, false); err != nil {
		h.t.Fatal(err)
	}
	var id string
	h.eventually(patience, "the alarm is raised", func() bool {
		l, err := h.client.Alarms(h.ctx(), false, client.Page{})
		if err != nil {
			h.t.Fatal(err)
		}
		for _, a := range l.Items {
			if a.Code == "pump_fault" {
				id = a.ID
			}
		}
		return id != ""
	})
	return id
}

func TestEveryWriteIsAudited(t *testing.T) {
	h := open(t, func(o *edge.Options) { o.Sim = play{} })
	h.node("00000000bbbb", greenhouse.TypePH, "", api.DeclaredChannel{Name: "solution_ph", Kind: greenhouse.Sensor})
	if _, err := h.client.CreateZone(h.ctx(), api.CreateZoneRequest{ID: "south"}, client.Write{}); err != nil {
		t.Fatal(err)
	}
	for _, hw := range []string{"00000000dddd", "00000000eeee"} {
		_, _, _ = login(h.mqtt, nil, hw, hw, "nothing", nil) // refused, and so in quarantine
	}
	root, c := h.token("root", api.RoleAdmin), h.https()
	routes := map[string]api.Route{}
	for _, r := range api.Routes() {
		if r.Method != http.MethodGet {
			routes[r.ID] = r
		}
	}
	for _, d := range deeds(h.raiseAlarm()) {
		r, ok := routes[d.id]
		if !ok {
			t.Errorf("%s is no write of the API, or comes twice", d.id)
			continue
		}
		delete(routes, d.id)
		since := h.last()
		status, p, text := h.ask(c, root, r.Method, d.path, d.body)
		if status >= 300 {
			t.Errorf("%s: got %d %s %s %s", d.id, status, p.Code, p.Detail, text)
			continue
		}
		h.audited("token:root", d, since)
	}
	h.comesAndGoes(routes)
	for id := range routes {
		t.Errorf("%s: no test does it, so nobody knows whether it leaves a trace", id)
	}
	v, err := h.client.VerifyEvents(h.ctx())
	if err != nil || !v.OK || v.Last < 30 || len(v.Head) != 64 {
		t.Errorf("verify: got %+v, %v", v, err)
	}
}

// comesAndGoes has a user log in and out, which nobody else can do for them.
func (h *house) comesAndGoes(routes map[string]api.Route) {
	h.t.Helper()
	const words = "four words no other"
	if _, err := h.client.CreateUser(h.ctx(), api.CreateUserRequest{Name: "ben", Role: api.RoleViewer, Password: words}, client.Write{}); err != nil {
		h.t.Fatal(err)
	}
	since := h.last()
	l, err := h.remote("").Login(h.ctx(), api.LoginRequest{Name: "ben", Password: words})
	if err != nil {
		h.t.Fatal(err)
	}
	h.audited("user:ben", deed{id: "login", want: "after"}, since)
	since = h.last()
	if err := h.remote(l.Token).Logout(h.ctx()); err != nil {
		h.t.Fatal(err)
	}
	h.audited("user:ben", deed{id: "logout"}, since)
	delete(routes, "login")
	delete(routes, "logout")
}

// audited checks that what was done since a number is in the events: who, from
// where, what before and after.
func (h *house) audited(actor string, d deed, since uint64) {
	h.t.Helper()
	for _, e := range h.events(since) {
		if e.Actor != actor {
			continue
		}
		var detail map[string]json.RawMessage
		if err := json.Unmarshal(e.Detail, &detail); err != nil {
			h.t.Errorf("%s: event %s has the detail %s", d.id, e.Code, e.Detail)
			return
		}
		if from := strings.Trim(string(detail["from"]), `"`); !strings.HasPrefix(from, "127.0.0.1:") {
			h.t.Errorf("%s: event %s does not say from where: %s", d.id, e.Code, e.Detail)
		}
		for field := range strings.FieldsSeq(d.want) {
			if len(detail[field]) < 3 {
				h.t.Errorf("%s: event %s does not say what was %s: %s", d.id, e.Code, field, e.Detail)
			}
		}
		return
	}
	h.t.Errorf("%s left no event of who did it: %s", d.id, text(h.events(since)))
}

// Reading is no write, but what was refused is told.
func TestRefusalsAreAudited(t *testing.T) {
	h := open(t)
	eye, c := h.token("eye", api.RoleViewer), h.https()
	since := h.last()
	for range 5 {
		if status, _, _ := h.ask(c, eye, "POST", "/v1/zones", `{"id":"north"}`); status != http.StatusForbidden {
			t.Errorf("a viewer creates a zone: got %d", status)
		}
	}
	n := 0
	for _, e := range h.events(since) {
		if e.Code == "request_refused" && e.Actor == "token:eye" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("five refusals left %d events, want one a minute", n)
	}
}

// The same acknowledgement sent twice under one key is one, and says so.
func TestAlarmsObeyIdempotencyKeys(t *testing.T) {
	h := open(t)
	id := h.raiseAlarm()
	since := h.last()
	w := client.Write{IdempotencyKey: "once", Reason: "seen it"}
	first, err := h.client.ShelveAlarm(h.ctx(), id, api.ShelveRequest{ForS: 60}, w)
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(5 * time.Millisecond) // the same call would now shelve until later
	again, err := h.client.ShelveAlarm(h.ctx(), id, api.ShelveRequest{ForS: 60}, w)
	if err != nil {
		t.Fatal(err)
	}
	if again.ShelvedUntil != first.ShelvedUntil {
		t.Errorf("the second call shelved again: until %d, want %d", again.ShelvedUntil, first.ShelvedUntil)
	}
	if _, err := h.client.ShelveAlarm(h.ctx(), id, api.ShelveRequest{ForS: 90}, w); err == nil {
		t.Error("the key was taken for another request")
	}
	n := 0
	for _, e := range h.events(since) {
		if e.Code == "alarm_shelved" {
			n++
			if !strings.Contains(string(e.Detail), "seen it") || !strings.Contains(string(e.Detail), "unix") {
				t.Errorf("the event does not say why and from where: %s", e.Detail)
			}
		}
	}
	if n != 1 {
		t.Errorf("got %d events, want 1", n)
	}
}
