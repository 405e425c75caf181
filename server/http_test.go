package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/server"
)

func jsonHeader(more ...string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

// Every kind of request that is wrong is answered by a problem with a code,
// and changes nothing.
func TestRequestsRefused(t *testing.T) {
	h := open(t)
	h.zone("north")
	before := h.journal.Last()
	big := `{"name":"` + strings.Repeat("x", 1<<20) + `"}`
	for _, tt := range []struct {
		name   string
		r      rawRequest
		status int
		code   string
	}{
		{"unknown path", rawRequest{method: "GET", path: "/v1/plants"}, 404, "route_not_found"},
		{"root", rawRequest{method: "GET", path: "/"}, 404, "route_not_found"},
		{"traversal", rawRequest{method: "GET", path: "/v1/../v1/zones"}, 404, "route_not_found"},
		{"escaped traversal", rawRequest{method: "GET", path: "/v1/zones/%2e%2e%2fnodes"}, 400, "zone_invalid"},
		{"double slash", rawRequest{method: "GET", path: "/v1//zones"}, 404, "route_not_found"},
		{"NUL in an id", rawRequest{method: "GET", path: "/v1/zones/a%00b"}, 400, "zone_invalid"},
		{"point not escaped", rawRequest{method: "GET", path: "/v1/points/north/air_temp"}, 404, "route_not_found"},
		{"wrong method", rawRequest{method: "PUT", path: "/v1/zones"}, 405, "method_invalid"},
		{"no content type", rawRequest{method: "POST", path: "/v1/zones", body: `{"id":"a"}`}, 415, "content_type_invalid"},
		{"form", rawRequest{method: "POST", path: "/v1/zones", body: `id=a`, header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}, 415, "content_type_invalid"},
		{"text", rawRequest{method: "POST", path: "/v1/stop", body: `{}`, header: http.Header{"Content-Type": {"text/plain"}}}, 415, "content_type_invalid"},
		{"latin-1", rawRequest{method: "POST", path: "/v1/zones", body: `{"id":"a"}`, header: http.Header{"Content-Type": {"application/json; charset=latin1"}}}, 415, "content_type_invalid"},
		{"empty body", rawRequest{method: "POST", path: "/v1/zones", header: jsonHeader()}, 400, "body_invalid"},
		{"array", rawRequest{method: "POST", path: "/v1/zones", body: `[]`, header: jsonHeader()}, 400, "body_invalid"},
		{"broken JSON", rawRequest{method: "POST", path: "/v1/zones", body: `{"id":`, header: jsonHeader()}, 400, "body_invalid"},
		{"trailing", rawRequest{method: "POST", path: "/v1/zones", body: `{"id":"a"} {}`, header: jsonHeader()}, 400, "body_invalid"},
		{"duplicate key", rawRequest{method: "POST", path: "/v1/zones", body: `{"id":"a","id":"b"}`, header: jsonHeader()}, 400, "field_duplicate"},
		{"unknown field", rawRequest{method: "POST", path: "/v1/zones", body: `{"id":"a","colour":"red"}`, header: jsonHeader()}, 400, "field_unknown"},
		{"wrong type", rawRequest{method: "POST", path: "/v1/zones", body: `{"id":7}`, header: jsonHeader()}, 400, "body_invalid"},
		{"deep", rawRequest{method: "POST", path: "/v1/zones", body: strings.Repeat("[", 10000), header: jsonHeader()}, 400, "body_invalid"},
		{"not UTF-8", rawRequest{method: "POST", path: "/v1/zones", body: "{\"id\":\"\xff\"}", header: jsonHeader()}, 400, "body_invalid"},
		{"too big", rawRequest{method: "POST", path: "/v1/zones", body: big, header: jsonHeader()}, 413, "body_too_large"},
		{"unknown parameter", rawRequest{method: "GET", path: "/v1/zones?colour=red"}, 400, "request_invalid"},
		{"bad limit", rawRequest{method: "GET", path: "/v1/zones?limit=many"}, 400, "request_invalid"},
		{"negative limit", rawRequest{method: "GET", path: "/v1/zones?limit=-1"}, 400, "limit_invalid"},
		{"edit without a version", rawRequest{method: "PATCH", path: "/v1/zones/north", body: `{"name":"x"}`, header: jsonHeader()}, 428, "if_match_missing"},
		{"edit of a bad version", rawRequest{method: "PATCH", path: "/v1/zones/north", body: `{"name":"x"}`, header: jsonHeader("If-Match", "soon")}, 400, "if_match_invalid"},
		{"edit of a stale version", rawRequest{method: "PATCH", path: "/v1/zones/north", body: `{"name":"x"}`, header: jsonHeader("If-Match", `"9"`)}, 412, "version_stale"},
		{"patch is no object", rawRequest{method: "PATCH", path: "/v1/zones/north", body: `7`, header: jsonHeader("If-Match", "*")}, 400, "body_invalid"},
		{"another site's page", rawRequest{method: "POST", path: "/v1/stop", body: `{}`, header: jsonHeader("Origin", "https://evil.example")}, 403, "origin_foreign"},
		{"opaque origin", rawRequest{method: "POST", path: "/v1/stop", body: `{}`, header: jsonHeader("Origin", "null")}, 403, "origin_foreign"},
		{"cross-site fetch", rawRequest{method: "GET", path: "/v1/zones", header: http.Header{"Sec-Fetch-Site": {"cross-site"}}}, 403, "origin_foreign"},
		{"bad idempotency key", rawRequest{method: "POST", path: "/v1/zones", body: `{"id":"a"}`, header: jsonHeader("Idempotency-Key", strings.Repeat("k", 129))}, 400, "idempotency_key_invalid"},
		{"bad reason", rawRequest{method: "POST", path: "/v1/zones", body: `{"id":"a"}`, header: jsonHeader(api.HeaderReason, "%zz")}, 400, "reason_invalid"},
		{"rebinding", rawRequest{method: "GET", path: "/v1/version", remote: true, header: http.Header{"Host": {"evil.example"}}}, 403, "host_unknown"},
		{"no token", rawRequest{method: "GET", path: "/v1/zones", remote: true}, 401, "token_missing"},
		{"no token, no such path", rawRequest{method: "GET", path: "/v1/plants", remote: true}, 401, "token_missing"},
		{"wrong token", rawRequest{method: "GET", path: "/v1/zones", remote: true, header: http.Header{"Authorization": {"Bearer nope"}}}, 401, "token_invalid"},
		{"basic login", rawRequest{method: "GET", path: "/v1/zones", remote: true, header: http.Header{"Authorization": {"Basic YTpi"}}}, 401, "token_invalid"},
		{"token in the address", rawRequest{method: "GET", path: "/v1/zones?token=abc", remote: true}, 401, "token_in_url"},
		{"profiles over TCP", rawRequest{method: "GET", path: "/debug/pprof/", remote: true}, 401, "token_missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := h.raw(tt.r)
			var p api.Problem
			if err := json.Unmarshal([]byte(body), &p); err != nil {
				t.Fatalf("status %d, body %q: %v", resp.StatusCode, body, err)
			}
			if resp.StatusCode != tt.status || p.Code != tt.code || p.Status != tt.status || p.Detail == "" {
				t.Errorf("got %d %s (%s), want %d %s", resp.StatusCode, p.Code, p.Detail, tt.status, tt.code)
			}
			if got := resp.Header.Get("Content-Type"); got != api.ProblemType {
				t.Errorf("content type: got %q", got)
			}
		})
	}
	if got := h.journal.Last(); got != before {
		t.Errorf("refused requests recorded %d events", got-before)
	}
}

func TestUnknownFieldIsNamed(t *testing.T) {
	h := open(t)
	_, body := h.raw(rawRequest{method: "POST", path: "/v1/zones", body: `{"id":"a","colour":"red"}`, header: jsonHeader()})
	if !strings.Contains(body, "colour") || !strings.Contains(body, "crop") {
		t.Errorf("got %s, want the unknown field and the known ones named", body)
	}
}

// No GET changes anything, and every GET answers HEAD.
func TestGetChangesNothing(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.node("aaaa01", "climate", "north", actuator("vent"))
	version, last := h.store.Registry().Version, h.journal.Last()
	for _, r := range api.Routes() {
		if r.Method != http.MethodGet || r.ID == "pprof" || r.ID == "backup" || r.ID == "events" || r.ID == "live" {
			continue
		}
		path := api.Path(r.Path, "north")
		h.raw(rawRequest{method: "GET", path: path})
		h.raw(rawRequest{method: "HEAD", path: path})
	}
	for _, stream := range []string{"/v1/events", "/v1/live"} {
		if resp, _ := h.raw(rawRequest{method: "HEAD", path: stream}); resp.StatusCode != 200 {
			t.Errorf("HEAD %s: got %d", stream, resp.StatusCode)
		}
	}
	if h.store.Registry().Version != version || h.journal.Last() != last {
		t.Error("a GET changed the registry or the journal")
	}
}

// The access table, role by role: each operation is open to its role and those
// above, and to nobody else.
func TestRolesMatrix(t *testing.T) {
	h := open(t)
	tokens := map[api.Role]string{api.RoleNone: ""}
	for _, role := range []api.Role{api.RoleViewer, api.RoleOperator, api.RoleGrower, api.RoleAdmin} {
		tok, err := h.client.CreateToken(h.ctx(), api.CreateTokenRequest{Name: "t-" + string(role), Role: role}, client.Write{})
		if err != nil {
			t.Fatal(err)
		}
		tokens[role] = tok.Secret
	}
	for _, r := range api.Routes() {
		for role, secret := range tokens {
			header := http.Header{}
			if secret != "" {
				header.Set("Authorization", "Bearer "+secret)
			}
			method := r.Method
			if r.ID == "events" || r.ID == "live" || r.ID == "backup" { // they would not end, or are long
				method = http.MethodHead
			}
			resp, body := h.raw(rawRequest{method: method, path: api.Path(r.Path, "nothing", "nothing"), remote: true, header: header})
			refused := resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden && !strings.Contains(body, `"stopped"`)
			if want := !role.May(r.Role) || r.Socket; refused != want {
				t.Errorf("%s as %q: got %d %s, refused %v, want %v", r.ID, role, resp.StatusCode, body, refused, want)
			}
			if refused && (role == api.RoleNone) != (resp.StatusCode == http.StatusUnauthorized) {
				t.Errorf("%s as %q: got %d, want 401 without a token and 403 with one", r.ID, role, resp.StatusCode)
			}
		}
	}
	for _, e := range must(h.journal.Since(0, 0))(t) {
		if e.Code == "request_refused" {
			return
		}
	}
	t.Error("no refusal is in the audit")
}

func TestTokens(t *testing.T) {
	h := open(t)
	viewer := h.as(api.RoleViewer)
	if _, err := viewer.Zones(h.ctx(), client.Page{}); err != nil {
		t.Error(err)
	}
	_, err := viewer.CreateZone(h.ctx(), api.CreateZoneRequest{ID: "north"}, client.Write{})
	if !errors.Is(err, greenhouse.ErrForbidden) || code(err) != "role_missing" || api.ExitCode(err) != api.ExitRefused {
		t.Errorf("viewer creates a zone: got %v", err)
	}
	list := must(h.client.Tokens(h.ctx(), client.Page{}))(t).Items
	if len(list) != 1 || list[0].Secret != "" || list[0].Role != api.RoleViewer || list[0].ExpiresAt == 0 {
		t.Errorf("list: got %+v", list)
	}
	if err := h.client.DeleteToken(h.ctx(), list[0].Name, client.Write{}); err != nil {
		t.Fatal(err)
	}
	if _, err := viewer.Zones(h.ctx(), client.Page{}); code(err) != "token_invalid" {
		t.Errorf("revoked: got %v", err)
	}
	for _, r := range []api.CreateTokenRequest{{Name: "x1", Role: "king"}, {Name: "X", Role: api.RoleViewer}, {Name: "xx", Role: api.RoleViewer, ForS: -1}} {
		if _, err := h.client.CreateToken(h.ctx(), r, client.Write{}); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("%+v: got %v, want invalid", r, err)
		}
	}
}

func TestRateLimits(t *testing.T) {
	h := open(t, func(_ *server.Deps, o *server.Options) { o.Limits.Rate, o.Limits.Burst = 0.001, 5 })
	viewer := h.as(api.RoleViewer)
	got := map[string]int{}
	for range 8 {
		_, err := viewer.Zones(h.ctx(), client.Page{})
		got[code(err)]++
	}
	if got[""] != 5 || got["rate_limited"] != 3 {
		t.Errorf("with a token: got %v, want 5 answered and 3 limited", got)
	}
	got = map[string]int{}
	for range 15 {
		resp, body := h.raw(rawRequest{method: "GET", path: "/v1/zones", remote: true, header: http.Header{"Authorization": {"Bearer guess"}}})
		var p api.Problem
		_ = json.Unmarshal([]byte(body), &p)
		got[fmt.Sprint(resp.StatusCode, " ", p.Code)]++
	}
	if got["401 token_invalid"] < 10 || got["429 login_throttled"] < 4 {
		t.Errorf("guessing: got %v, want ten tries, then throttled", got)
	}
	if _, err := h.client.Zones(h.ctx(), client.Page{}); err != nil {
		t.Errorf("the socket is not limited: got %v", err)
	}
}

func TestKnownHostNames(t *testing.T) {
	h := open(t)
	for _, host := range []string{"greenhouse.example", "GREENHOUSE.example:8443", "localhost:1", "10.0.0.1", "[::1]:80"} {
		resp, body := h.raw(rawRequest{method: "GET", path: "/v1/version", remote: true, header: http.Header{"Host": {host}}})
		if resp.StatusCode != 200 {
			t.Errorf("host %s: got %d %s", host, resp.StatusCode, body)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	h := open(t)
	req := api.RegisterRequest{HardwareID: "aaaa01", Type: "ph"}
	first := must(h.client.RegisterNode(h.ctx(), req, client.Write{IdempotencyKey: "one"}))(t)
	again := must(h.client.RegisterNode(h.ctx(), req, client.Write{IdempotencyKey: "one"}))(t)
	if first.Secret == "" || again.Secret != "" || !again.Created || again.UID != first.UID {
		t.Errorf("got %q then %+v, want the first answer without its secret", first.Secret, again)
	}
	if _, err := h.client.RegisterNode(h.ctx(), api.RegisterRequest{HardwareID: "aaaa02", Type: "ph"}, client.Write{IdempotencyKey: "one"}); code(err) != "idempotency_key_reused" {
		t.Errorf("another request: got %v", err)
	}
	admin := h.as(api.RoleAdmin)
	other := must(admin.RegisterNode(h.ctx(), api.RegisterRequest{HardwareID: "aaaa02", Type: "ph"}, client.Write{IdempotencyKey: "one"}))(t)
	if other.UID == first.UID {
		t.Error("a key of another caller was taken for this one's")
	}
}

// A dry run runs every rule and keeps nothing.
func TestDryRun(t *testing.T) {
	h := open(t)
	h.zone("north")
	last := h.journal.Last()
	z := must(h.client.SetTarget(h.ctx(), "north", greenhouse.Heating, api.TargetRequest{Value: ptr(20.0)}, client.Write{DryRun: true, IdempotencyKey: "k"}))(t)
	if z.Targets[greenhouse.Heating].Day != 20 || z.Version != 2 {
		t.Errorf("shown: got %+v version %d", z.Targets, z.Version)
	}
	n := must(h.client.RegisterNode(h.ctx(), api.RegisterRequest{HardwareID: "aaaa01", Type: "ph", Zone: "north"}, client.Write{DryRun: true}))(t)
	if n.Zone != "north" {
		t.Errorf("shown: got %+v", n)
	}
	if _, err := h.client.SetTarget(h.ctx(), "north", greenhouse.Venting, api.TargetRequest{Value: ptr(99.0)}, client.Write{DryRun: true}); err == nil {
		t.Error("a dry run let an impossible target pass")
	}
	h.must(h.client.Stop(h.ctx(), api.StopRequest{}, client.Write{DryRun: true}))
	if got := must(h.client.Zone(h.ctx(), "north"))(t); len(got.Targets) != 0 || got.Version != 1 || got.Stopped {
		t.Errorf("kept: got %+v", got)
	}
	if len(h.world.stopped) != 0 || h.journal.Last() != last || len(h.store.Registry().Nodes) != 0 {
		t.Error("a dry run stopped equipment, recorded an event or made a node")
	}
}

func TestETag(t *testing.T) {
	h := open(t)
	h.zone("north")
	resp, _ := h.raw(rawRequest{method: "GET", path: "/v1/zones/north"})
	if got := resp.Header.Get("ETag"); got != `"1"` {
		t.Errorf("ETag: got %s", got)
	}
	resp, body := h.raw(rawRequest{method: "PATCH", path: "/v1/zones/north", body: `{"name":"N"}`, header: jsonHeader("If-Match", resp.Header.Get("ETag"), "Content-Type", api.MergePatch)})
	if resp.StatusCode != 200 || resp.Header.Get("ETag") != `"2"` {
		t.Errorf("got %d %s %s", resp.StatusCode, resp.Header.Get("ETag"), body)
	}
}

func TestPanicHurtsOneRequest(t *testing.T) {
	h := open(t, func(d *server.Deps, _ *server.Options) { d.Broker = brokerOf{nil} })
	n := h.node("aaaa01", "ph", "")
	h.world.online[n.UID] = true
	if _, err := h.client.Node(h.ctx(), n.UID); err == nil || api.ExitCode(err) != api.ExitFailed {
		t.Errorf("got %v, want a fault of the daemon", err)
	}
	if _, err := h.client.Version(h.ctx()); err != nil {
		t.Errorf("after a panic: %v", err)
	}
}

// FuzzPatch feeds bodies to a merge patch: none panics, and what is not refused
// leaves a zone that is still sound.
func FuzzPatch(f *testing.F) {
	for _, s := range []string{`{"name":"x"}`, `{"targets":{"heating":{"day":1e400}}}`, `{"control":null}`, `{"targets":null}`, `[]`, `{"a":{"a":{"a":{}}}}`, "\x00", `{"name":"x","name":"y"}`, `{"targets":{"heating":null}}`, `{"area_m2":-0}`} {
		f.Add([]byte(s))
	}
	h := open(f)
	h.zone("north")
	handler := h.server.Handler(true)
	f.Fuzz(func(t *testing.T, body []byte) {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodPatch, "/v1/zones/north", bytes.NewReader(body))
		req.Header = jsonHeader("If-Match", "*")
		handler.ServeHTTP(rec, req)
		if rec.Code >= 500 {
			t.Errorf("got %d %s", rec.Code, rec.Body)
		}
		var z api.Zone
		rec = httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/v1/zones/north", nil))
		if err := json.Unmarshal(rec.Body.Bytes(), &z); err != nil || rec.Code != http.StatusOK {
			t.Errorf("afterwards: %d %s", rec.Code, rec.Body)
		}
		for q, target := range z.Targets {
			spec, err := greenhouse.ParseQuantity(string(q))
			if err != nil || target.Day < spec.Min || target.Night > spec.Max {
				t.Errorf("target %s %+v was taken", q, target)
			}
		}
	})
}
