package server_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/server"
)

// TestEveryWriteHonoursIfMatch goes through the table of routes: a write names a
// version that is not the stored one. Where there is a record it is answered 412
// with the record as it is, where there is none the name is refused; nothing is
// done in either case. The emergency stop alone never looks.
func TestEveryWriteHonoursIfMatch(t *testing.T) {
	h := open(t, func(d *server.Deps, _ *server.Options) { d.Sim = simOf{d.Actuation.(*world)} })
	h.zone("north")
	h.recipe("tomato")
	h.must(h.client.StartRecipe(h.ctx(), "north", api.StartRecipeRequest{Recipe: "tomato"}, client.Write{}))
	n := h.node("aaaa01", "relay", "north", sensor("air_temp"), actuator("vent"))
	spare := h.node("aaaa02", "relay", "", sensor("air_temp"), actuator("vent"))
	h.must(h.client.SetOverride(h.ctx(), "north/vent", api.OverrideRequest{Value: 0.5, Reason: "test"}, client.Write{}))
	h.must(h.client.CreateAccount(h.ctx(), api.CreateAccountRequest{Name: "bridge"}, client.Write{}))
	h.must(h.client.CreateToken(h.ctx(), api.CreateTokenRequest{Name: "phone", Role: api.RoleViewer}, client.Write{}))
	h.must(h.client.CreateUser(h.ctx(), api.CreateUserRequest{Name: "anna", Role: api.RoleGrower, Password: "four words no other"}, client.Write{}))
	if err := h.journal.Observe(greenhouse.Condition{Source: "zone/north", Code: "climate_blind", Severity: greenhouse.Warning, Active: true, Text: "it is dark"}); err != nil {
		t.Fatal(err)
	}
	alarm := h.journal.Alarms(true)[0].ID
	bodies := map[string]string{
		"node-register": `{"hardware_id":"aaaa09","type":"ph"}`, "node-assign": `{"zone":"north"}`, "node-swap": `{"with":"` + string(spare.UID) + `"}`,
		"node-maintenance": `{"on":true}`, "command-create": `{"op":"identify"}`, "zone-create": `{"id":"south"}`, "zone-target-set": `{"value":20}`,
		"zone-curve-set": `{"knots":[{"at":"06:00","value":18}]}`, "zone-adjust": `{"offset":1,"reason":"x"}`, "recipe-create": `{"id":"other"}`, "recipe-start": `{"recipe":"tomato"}`,
		"zone-mode": `{"mode":"manual"}`, "override-set": `{"value":1,"reason":"x"}`, "alarm-shelve": `{"for_s":60}`,
		"account-create": `{"name":"other"}`, "token-create": `{"name":"other","role":"viewer"}`, "sim-fault-inject": `{"name":"sensor_stuck"}`,
		"user-create": `{"name":"other","role":"viewer","password":"four words no other"}`, "user-password": `{"password":"other words no other"}`,
	}
	before := len(h.codes())
	tried := 0
	for _, r := range api.Routes() {
		if r.Method == http.MethodGet || r.ID == "ca-rotate" {
			continue
		}
		id := map[bool]string{true: "north"}[strings.HasPrefix(r.Path, "/v1/zones")]
		switch {
		case strings.HasPrefix(r.Path, "/v1/points"):
			id = "north/vent"
		case strings.HasPrefix(r.Path, "/v1/alarms"):
			id = alarm
		case strings.HasPrefix(r.Path, "/v1/recipes"):
			id = "tomato"
		case strings.HasPrefix(r.Path, "/v1/accounts"):
			id = "bridge"
		case strings.HasPrefix(r.Path, "/v1/tokens"):
			id = "phone"
		case strings.HasPrefix(r.Path, "/v1/users"):
			id = "anna"
		case strings.HasPrefix(r.Path, "/v1/nodes"):
			id = string(n.UID)
		case strings.HasPrefix(r.Path, "/v1/sim"), strings.HasPrefix(r.Path, "/v1/pending"):
			id = "1"
		}
		second := "heating"
		if strings.Contains(r.Path, "{channel}") {
			second = "vent"
		}
		body := bodies[r.ID]
		if body == "" && (r.Method == http.MethodPatch || r.Method == http.MethodPost) {
			body = "{}"
		}
		tried++
		resp, text := h.raw(rawRequest{method: r.Method, path: api.Path(r.Path, id, second), body: body,
			header: http.Header{"If-Match": {`"99"`}, "Content-Type": {"application/json"}}})
		var p api.Problem
		_ = json.Unmarshal([]byte(text), &p) // an answer that is no problem has no code
		switch {
		case r.Stop:
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: got %d, want it to stop whatever is named: %s", r.ID, resp.StatusCode, text)
			}
		case r.Versioned:
			if resp.StatusCode != http.StatusPreconditionFailed || p.Code != "version_stale" || p.Had != 99 || p.Have == 0 || len(p.Current) < 3 {
				t.Errorf("%s: got %d %s, want 412 with the current record", r.ID, resp.StatusCode, text)
			}
		default:
			if resp.StatusCode != http.StatusBadRequest || p.Code != "if_match_unused" {
				t.Errorf("%s: got %d %s, want if_match_unused", r.ID, resp.StatusCode, text)
			}
		}
	}
	if got := len(h.codes()) - before; got > 1 { // the stop
		t.Errorf("%d events, want none but the stop: %v", got, h.codes()[before:])
	}
	t.Logf("%d operations", tried)
}

// TestStaleEditTellsWhoChangedWhat: the answer to a lost race brings what others
// did since, for every verb alike.
func TestStaleEditTellsWhoChangedWhat(t *testing.T) {
	h := open(t)
	n := h.node("aaaa01", "climate", "")
	h.must(h.client.EditNode(h.ctx(), n.UID, api.NodePatch{Name: ptr("one")}, client.Write{}))
	h.must(h.client.EditNode(h.ctx(), n.UID, api.NodePatch{Name: ptr("two"), IntervalS: ptr(20)}, client.Write{}))
	_, err := h.client.RotateKey(h.ctx(), n.UID, client.Write{IfVersion: n.Version})
	var stale *greenhouse.StaleError
	if !errors.As(err, &stale) || len(stale.Changes) != 2 {
		t.Fatalf("got %v with %+v, want two changes", err, stale)
	}
	last := stale.Changes[1]
	if last.Code != "node_edited" || !strings.HasPrefix(last.Actor, "uid:") || string(last.Before["name"]) != `"one"` || string(last.After["name"]) != `"two"` || string(last.After["interval_s"]) != "20" {
		t.Errorf("got %+v, want the second edit", last)
	}
}

// TestPointVersionCoversItsOverride: who has not seen a level set by hand does not
// replace it.
func TestPointVersionCoversItsOverride(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.node("aaaa01", "relay", "north", actuator("vent"))
	seen := must(h.client.Point(h.ctx(), "north/vent"))(t)
	h.must(h.client.SetOverride(h.ctx(), "north/vent", api.OverrideRequest{Value: 0.5, Reason: "anna dries"}, client.Write{IfVersion: seen.Version}))
	_, err := h.client.SetOverride(h.ctx(), "north/vent", api.OverrideRequest{Value: 1, Reason: "ben cools"}, client.Write{IfVersion: seen.Version})
	var stale *greenhouse.StaleError
	if !errors.As(err, &stale) || len(stale.Changes) != 1 {
		t.Fatalf("got %v, want a stale edit with one change", err)
	}
	var now api.Point
	if err := json.Unmarshal(stale.Current.(json.RawMessage), &now); err != nil || now.Override == nil || now.Override.Value != 0.5 {
		t.Errorf("current: got %+v, %v, want the override of anna", now.Override, err)
	}
	h.must(h.client.SetOverride(h.ctx(), "north/vent", api.OverrideRequest{Value: 1, Reason: "ben cools"}, client.Write{IfVersion: now.Version}))
	if err := h.client.ReleaseOverride(h.ctx(), "north/vent", client.Write{IfVersion: now.Version}); !errors.As(err, &stale) {
		t.Errorf("release of an override nobody saw: got %v, want a stale edit", err)
	}
}
