package server_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/server"
)

func TestStatus(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.zone("south")
	n := h.node("aaaa01", "climate", "north", actuator("vent"))
	h.node("aaaa02", "climate", "")
	h.world.online[n.UID] = true
	h.must(h.client.SetOverride(h.ctx(), "north/vent", api.OverrideRequest{Value: 1, Reason: "x"}, client.Write{}))
	h.must(h.client.Stop(h.ctx(), api.StopRequest{Zone: "south"}, client.Write{}))
	st := must(h.client.Status(h.ctx()))(t)
	if st.Zones.Total != 2 || st.Zones.Stopped != 1 || st.Nodes.Total != 2 || st.Nodes.Online != 1 || st.Points != 1 || st.Overrides != 1 || !st.Ready || st.Version != "1.2.3" {
		t.Errorf("got %+v", st)
	}
	if st.LastEvent != h.journal.Last() || !st.Broker.Listening || st.Control.PeriodS != 5 {
		t.Errorf("got %+v", st)
	}
}

func TestReady(t *testing.T) {
	h := open(t)
	if got := must(h.client.Ready(h.ctx()))(t); !got.OK {
		t.Errorf("got %+v", got)
	}
	h.world.mu.Lock()
	h.world.notReady = []string{"the broker does not listen yet"}
	h.world.mu.Unlock()
	_, err := h.client.Ready(h.ctx())
	if !errors.Is(err, greenhouse.ErrUnavailable) || !strings.Contains(err.Error(), "broker") {
		t.Errorf("got %v, want unavailable with the reason", err)
	}
	if resp, _ := h.raw(rawRequest{method: "GET", path: "/v1/ready"}); resp.StatusCode != 503 {
		t.Errorf("status: got %d", resp.StatusCode)
	}
	if got := must(h.client.Healthz(h.ctx()))(t); !got.OK {
		t.Errorf("healthz: got %+v", got)
	}
	if resp, _ := h.raw(rawRequest{method: "GET", path: "/v1/healthz", remote: true}); resp.StatusCode != 200 {
		t.Errorf("healthz needs no token: got %d", resp.StatusCode)
	}
}

// The doctor's checks have stable ids, and say what is wrong and what to do.
func TestDoctor(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.node("aaaa01", "climate", "north", actuator("heater"), sensor("air_temp"))
	d := must(h.client.Doctor(h.ctx()))(t)
	byID := map[string]api.Check{}
	for _, c := range d.Checks {
		byID[c.ID] = c
		if c.Text == "" || (c.Status == api.CheckWarn || c.Status == api.CheckFail) && c.Hint == "" {
			t.Errorf("check %s says too little: %+v", c.ID, c)
		}
	}
	want := []string{"clock", "disk_space", "disk_wear", "store", "backup_age", "broker", "certificate", "nodes_without_auto_off", "nodes_offline", "config_drift", "sensors_past_calibration", "version_skew"}
	for _, id := range want {
		if _, ok := byID[id]; !ok {
			t.Errorf("check %s is missing", id)
		}
	}
	if c := byID["nodes_without_auto_off"]; c.Status != api.CheckWarn || !cmp.Equal(c.Items, []string{"climate-aaaa01/heater"}) {
		t.Errorf("auto-off: got %+v", c)
	}
	if c := byID["nodes_offline"]; !cmp.Equal(c.Items, []string{"climate-aaaa01"}) {
		t.Errorf("offline: got %+v", c)
	}
	h.must(h.client.EditChannel(h.ctx(), "climate-aaaa01", "heater", api.ChannelPatch{MaxOnS: ptr(600)}, client.Write{}))
	for _, c := range must(h.client.Doctor(h.ctx()))(t).Checks {
		if c.ID == "nodes_without_auto_off" && c.Status != api.CheckOK {
			t.Errorf("after a limit was set: got %+v", c)
		}
	}
}

// Metrics are OpenMetrics, and no label names a zone, node or point.
func TestMetricsAreBounded(t *testing.T) {
	h := open(t)
	h.zone("northernmost")
	h.node("aaaa01", "climate", "northernmost", sensor("air_temp"))
	page := must(h.client.MetricsText(h.ctx()))(t)
	if !strings.HasSuffix(page, "# EOF\n") {
		t.Error("the page does not end as OpenMetrics does")
	}
	for _, want := range []string{`edged_zones{mode="auto"} 1`, "edged_nodes_offline 1", "edged_telemetry_samples_total", "edged_ready 1", `edged_http_requests_total{operation="zone-create",status="2xx"} 1`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if regexp.MustCompile(`northernmost|aaaa01|air_temp`).MatchString(page) {
		t.Error("a label names a zone, node or point")
	}
}

// TestLatestValuesAsMetrics: as many points as were asked for, those alone that are
// good.
func TestLatestValuesAsMetrics(t *testing.T) {
	h := open(t, func(_ *server.Deps, o *server.Options) { o.Gauges = 2 })
	h.zone("north")
	h.node("aaaa01", "climate", "north", sensor("air_temp"), sensor("air_rh"), sensor("co2"))
	now := greenhouse.MillisOf(time.Now())
	h.send(greenhouse.Reading{Point: "north/air_temp", At: now, Value: 21.5}, greenhouse.Reading{Point: "north/air_rh", At: now, Value: 200, Quality: greenhouse.Bad}, greenhouse.Reading{Point: "north/co2", At: now, Value: 700})
	page := must(h.client.MetricsText(h.ctx()))(t)
	if !strings.Contains(page, `edged_point_value{point="north/air_temp",unit="°C"} 21.5`) {
		t.Error("the air temperature is missing")
	}
	if n := strings.Count(page, "edged_point_value{"); n != 1 {
		t.Errorf("%d values are shown, want one: another is bad, the third is one too many", n)
	}
}

// The document describes every operation of the access table, as OpenAPI 3.1.
func TestOpenAPI(t *testing.T) {
	h := open(t)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Responses   map[string]any
		}
	}
	if err := json.Unmarshal([]byte(must(h.client.OpenAPI(h.ctx()))(t)), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("version: got %s", doc.OpenAPI)
	}
	for _, r := range api.Routes() {
		op, ok := doc.Paths[r.Path][strings.ToLower(r.Method)]
		if r.ID != "pprof" && (!ok || op.OperationID != r.ID || len(op.Responses) < 2) {
			t.Errorf("%s %s: got %+v", r.Method, r.Path, op)
		}
	}
}

func TestPprofOnTheSocketOnly(t *testing.T) {
	h := open(t)
	if resp, body := h.raw(rawRequest{method: "GET", path: "/debug/pprof/"}); resp.StatusCode != 200 || !strings.Contains(body, "goroutine") {
		t.Errorf("on the socket: got %d", resp.StatusCode)
	}
	tok := must(h.client.CreateToken(h.ctx(), api.CreateTokenRequest{Name: "admin", Role: api.RoleAdmin}, client.Write{}))(t)
	resp, _ := h.raw(rawRequest{method: "GET", path: "/debug/pprof/", remote: true, header: http.Header{"Authorization": {"Bearer " + tok.Secret}}})
	if resp.StatusCode != 403 {
		t.Errorf("over TCP as admin: got %d, want 403", resp.StatusCode)
	}
}

func TestAccounts(t *testing.T) {
	h := open(t)
	a := must(h.client.CreateAccount(h.ctx(), api.CreateAccountRequest{Name: "home", Publish: []string{"ha/#"}, Subscribe: []string{"gh/#"}}, client.Write{}))(t)
	if a.Secret == "" || len(a.Warnings) != 1 {
		t.Errorf("created: got %+v", a)
	}
	list := must(h.client.Accounts(h.ctx(), client.Page{}))(t).Items
	if len(list) != 1 || list[0].Secret != "" || list[0].CreatedAt == 0 {
		t.Errorf("list: got %+v", list)
	}
	if _, err := h.client.CreateAccount(h.ctx(), api.CreateAccountRequest{Name: "home"}, client.Write{}); !errors.Is(err, greenhouse.ErrConflict) {
		t.Errorf("twice: got %v", err)
	}
	if _, err := h.client.CreateAccount(h.ctx(), api.CreateAccountRequest{Name: "b", Publish: []string{"a+b"}}, client.Write{}); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("bad filter: got %v", err)
	}
	if err := h.client.DeleteAccount(h.ctx(), "home", client.Write{}); err != nil {
		t.Error(err)
	}
	if got, want := h.world.dropped, []string{"home"}; !cmp.Equal(got, want) {
		t.Errorf("sessions closed: got %v", got)
	}
	if err := h.client.DeleteAccount(h.ctx(), "home", client.Write{}); code(err) != "account_not_found" {
		t.Errorf("deleted twice: got %v", err)
	}
}

func TestAlarms(t *testing.T) {
	h := open(t)
	h.zone("north")
	cond := greenhouse.Condition{Source: greenhouse.ZoneSource("north"), Code: "too_hot", Severity: greenhouse.Critical, Active: true, Text: "41 °C"}
	other := greenhouse.Condition{Source: greenhouse.SiteSource, Code: "disk_full", Severity: greenhouse.Warning, Active: true, Text: "90 %"}
	if err := h.journal.Observe(other, cond); err != nil {
		t.Fatal(err)
	}
	list := must(h.client.Alarms(h.ctx(), false, client.Page{}))(t).Items
	if len(list) != 2 || list[0].Code != "too_hot" {
		t.Fatalf("list: got %+v, want the loudest first", list)
	}
	id := list[0].ID
	if got := must(h.client.AckAlarm(h.ctx(), id, client.Write{}))(t); !got.Acked || !strings.HasPrefix(got.AckedBy, "uid:") {
		t.Errorf("acked: got %+v", got)
	}
	if got := must(h.client.ShelveAlarm(h.ctx(), id, api.ShelveRequest{ForS: 600}, client.Write{}))(t); got.ShelvedUntil == 0 {
		t.Errorf("shelved: got %+v", got)
	}
	if st := must(h.client.Status(h.ctx()))(t); st.Alarms.Critical != 0 || st.Alarms.Warning != 1 {
		t.Errorf("a shelved alarm is counted: got %+v", st.Alarms)
	}
	cond.Active = false
	if err := h.journal.Observe(cond); err != nil {
		t.Fatal(err)
	}
	if got := must(h.client.Alarms(h.ctx(), false, client.Page{}))(t).Items; len(got) != 1 {
		t.Errorf("open: got %+v", got)
	}
	if got := must(h.client.Alarms(h.ctx(), true, client.Page{}))(t).Items; len(got) != 2 {
		t.Errorf("all: got %+v", got)
	}
	if _, err := h.client.AckAlarm(h.ctx(), "nothing", client.Write{}); code(err) != "alarm_not_found" {
		t.Errorf("unknown: got %v", err)
	}
	if got := must(h.client.Alarm(h.ctx(), id))(t); got.State != greenhouse.AlarmCleared {
		t.Errorf("one: got %+v", got)
	}
}

func TestSim(t *testing.T) {
	h := open(t)
	if _, err := h.client.Sim(h.ctx()); code(err) != "not_simulated" || !errors.Is(err, greenhouse.ErrNotFound) {
		t.Errorf("a real daemon: got %v", err)
	}
	h = open(t, func(d *server.Deps, _ *server.Options) { d.Sim = simOf{d.Presence.(*world)} })
	if got := must(h.client.Sim(h.ctx()))(t); got.Seed != 1 || got.Nodes == nil {
		t.Errorf("got %+v", got)
	}
	f := must(h.client.InjectFault(h.ctx(), api.SimFaultRequest{Name: "sensor_stuck", Target: "north/air_temp"}, client.Write{}))(t)
	if f.ID == "" {
		t.Errorf("fault: got %+v", f)
	}
	if _, err := h.client.InjectFault(h.ctx(), api.SimFaultRequest{Name: "meteor"}, client.Write{}); code(err) != "fault_invalid" {
		t.Errorf("unknown fault: got %v", err)
	}
	if err := h.client.ClearFault(h.ctx(), f.ID, client.Write{}); err != nil {
		t.Error(err)
	}
	if err := h.client.ClearFault(h.ctx(), "", client.Write{}); err != nil {
		t.Error(err)
	}
	if got := must(h.client.SimFaults(h.ctx()))(t); len(got.Items) != 0 {
		t.Errorf("after clearing: got %+v", got.Items)
	}
	if got := h.codes(); !slices.Contains(got, "fault_injected") {
		t.Errorf("events: got %v", got)
	}
}
