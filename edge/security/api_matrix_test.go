package security_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"greenhouse/api"
)

// accessByHand is who may call what over TLS: every operation with the least
// role, written by hand beside api.Routes. "socket" is served on the unix socket only.
const accessByHand = `
GET /v1/version none
GET /v1/healthz none
GET /v1/ready none
GET /v1/ca none
GET /openapi.json viewer
GET /metrics viewer
GET /v1/status viewer
GET /v1/doctor viewer
GET /v1/site viewer
GET /v1/nodes viewer
GET /v1/nodes/{uid} viewer
GET /v1/nodes/{uid}/config viewer
GET /v1/nodes/{uid}/config/history viewer
GET /v1/nodes/{uid}/channels/{channel}/calibration viewer
POST /v1/nodes/{uid}/channels/{channel}/calibration grower
POST /v1/points/{id}/bind admin
GET /v1/commands viewer
GET /v1/commands/{id} viewer
GET /v1/zones viewer
GET /v1/zones/{id} viewer
GET /v1/points viewer
GET /v1/points/{id} viewer
GET /v1/points/{id}/history viewer
GET /v1/points/{id}/gaps viewer
GET /v1/points/{id}/why viewer
GET /v1/points/{id}/why-not viewer
GET /v1/zones/{id}/why viewer
GET /v1/gaps viewer
GET /v1/export viewer
GET /v1/overrides viewer
GET /v1/alarms viewer
GET /v1/alarms/{id} viewer
GET /v1/events viewer
GET /v1/events/verify viewer
GET /v1/live viewer
GET /debug/pprof/ socket
POST /v1/nodes admin
PATCH /v1/nodes/{uid} admin
PATCH /v1/nodes/{uid}/channels/{channel} admin
POST /v1/nodes/{uid}/assign admin
POST /v1/nodes/{uid}/unassign admin
POST /v1/nodes/{uid}/swap admin
POST /v1/nodes/{uid}/config/rollback admin
POST /v1/nodes/{uid}/rotate-key admin
POST /v1/nodes/{uid}/decommission admin
POST /v1/nodes/{uid}/maintenance operator
POST /v1/nodes/{uid}/commands operator
GET /v1/pairing admin
GET /v1/pending viewer
POST /v1/pending/{id}/adopt admin
DELETE /v1/pending/{id} admin
POST /v1/pairing admin
DELETE /v1/pairing admin
POST /v1/zones grower
PATCH /v1/zones/{id} grower
DELETE /v1/zones/{id} admin
PUT /v1/zones/{id}/targets/{quantity} grower
DELETE /v1/zones/{id}/targets/{quantity} grower
GET /v1/zones/{id}/schedule viewer
PUT /v1/zones/{id}/schedule/{quantity} grower
DELETE /v1/zones/{id}/schedule/{quantity} grower
GET /v1/recipes viewer
GET /v1/recipes/{id} viewer
POST /v1/recipes grower
PATCH /v1/recipes/{id} grower
DELETE /v1/recipes/{id} grower
GET /v1/zones/{id}/recipe viewer
POST /v1/zones/{id}/recipe grower
POST /v1/zones/{id}/recipe/advance grower
POST /v1/zones/{id}/recipe/stop grower
PUT /v1/zones/{id}/adjustments/{quantity} grower
DELETE /v1/zones/{id}/adjustments/{quantity} grower
PUT /v1/zones/{id}/mode operator
PATCH /v1/points/{id} grower
PUT /v1/points/{id}/override operator
DELETE /v1/points/{id}/override operator
POST /v1/stop operator
POST /v1/resume operator
POST /v1/alarms/{id}/ack operator
POST /v1/alarms/{id}/shelve operator
PATCH /v1/site admin
POST /v1/ca/rotate admin
GET /v1/backup admin
GET /v1/config admin
GET /v1/accounts admin
POST /v1/accounts admin
DELETE /v1/accounts/{name} admin
GET /v1/tokens admin
POST /v1/tokens admin
DELETE /v1/tokens/{name} admin
GET /v1/users admin
POST /v1/users admin
DELETE /v1/users/{name} admin
PUT /v1/users/{name}/password viewer
POST /v1/login none
DELETE /v1/login viewer
GET /v1/sim viewer
GET /v1/sim/faults viewer
POST /v1/sim/faults operator
DELETE /v1/sim/faults operator
DELETE /v1/sim/faults/{id} operator
`

// ask makes a request over TLS and returns status and body; of a stream it
// reads nothing.
func (h *house) ask(c *http.Client, token, method, path, body string) (int, api.Problem, string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.ctx(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "https://"+h.api+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if method == http.MethodPatch || strings.HasSuffix(r.URL.Path, "/config/rollback") {
		r.Header.Set("If-Match", "*")
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(r)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	if strings.HasPrefix(resp.Header.Get("Content-Type"), api.EventStream) {
		return resp.StatusCode, api.Problem{}, ""
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	var p api.Problem
	_ = json.Unmarshal(text, &p) // an answer that is no problem leaves it empty
	return resp.StatusCode, p, string(text)
}

func (h *house) https() *http.Client {
	tr := &http.Transport{TLSClientConfig: h.tls()}
	h.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// sample fills the {…} of a path with ids that nothing has.
func sample(path string) string {
	for _, s := range [][2]string{{"{uid}", "ph-00000000ffff"}, {"{id}", "nothing"}, {"{name}", "nobody"}, {"{channel}", "air_temp"}, {"{quantity}", "heating"}} {
		path = strings.ReplaceAll(path, s[0], s[1])
	}
	return path
}

func TestWhoMayCallWhat(t *testing.T) {
	h := open(t)
	hand := map[string]string{}
	for line := range strings.Lines(strings.TrimSpace(accessByHand)) {
		f := strings.Fields(line)
		hand[f[0]+" "+f[1]] = f[2]
	}
	table := map[string]api.Route{}
	for _, r := range api.Routes() {
		key := r.Method + " " + r.Path
		table[key] = r
		want, listed := hand[key]
		role := string(r.Role)
		switch {
		case r.Socket:
			role = "socket"
		case r.Role == api.RoleNone:
			role = "none"
		}
		if !listed || want != role {
			t.Errorf("%s: the table says %s, the list written by hand %q", key, role, want)
		}
		if r.Method == http.MethodGet && !r.Socket {
			hand["HEAD "+r.Path] = role
		}
	}
	tokens := map[api.Role]string{api.RoleNone: ""}
	for _, r := range []api.Role{api.RoleViewer, api.RoleOperator, api.RoleGrower, api.RoleAdmin} {
		tokens[r] = h.token("t-"+string(r), r)
	}
	rank := map[string]int{"none": 0, "viewer": 1, "operator": 2, "grower": 3, "admin": 4, "socket": 5}
	c, tried := h.https(), 0
	for key, need := range hand {
		if _, ok := table[key]; !ok && !strings.HasPrefix(key, "HEAD ") {
			t.Errorf("%s is in the list written by hand only", key)
			continue
		}
		method, path, _ := strings.Cut(key, " ")
		for role, token := range tokens {
			tried++
			status, p, _ := h.ask(c, token, method, sample(path)+dry(method), "")
			denied := status == http.StatusUnauthorized || status == http.StatusForbidden && (p.Code == "role_missing" || p.Code == "socket_only" || method == http.MethodHead)
			if allowed := role.Rank() >= rank[need]; denied == allowed {
				t.Errorf("%s as %q: got %d %s, want it allowed: %v", key, role, status, p.Code, allowed)
			}
			if role == api.RoleNone && denied && status != http.StatusUnauthorized {
				t.Errorf("%s without a token: got %d, want 401", key, status)
			}
		}
	}
	t.Logf("%d requests", tried)
}

// dry keeps writes from doing anything.
func dry(method string) string {
	if method == http.MethodGet || method == http.MethodHead {
		return ""
	}
	return "?dry_run=true"
}

// What no route says is refused whatever the role: other methods, other
// spellings, tokens in other places.
func TestNothingBesideTheTable(t *testing.T) {
	h := open(t)
	admin, viewer := h.token("root", api.RoleAdmin), h.token("eye", api.RoleViewer)
	c := h.https()
	known := map[string]bool{}
	for _, r := range api.Routes() {
		known[r.Method+" "+r.Path] = true
	}
	for _, r := range api.Routes() {
		for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			if known[m+" "+r.Path] || r.Socket {
				continue
			}
			if status, _, _ := h.ask(c, admin, m, sample(r.Path), "{}"); status < 400 {
				t.Errorf("%s %s: got %d, want it refused", m, r.Path, status)
			}
		}
	}
	for _, path := range []string{"/v1//accounts", "/v1/./accounts", "/v1/zones/../accounts", "/v1/zones/%2e%2e/accounts", "/V1/accounts", "/v1/accounts/", "//v1/accounts", "/debug/pprof/heap", "/debug/vars", "/v1/accounts;x"} {
		if status, _, body := h.ask(c, viewer, "GET", path, ""); status < 300 {
			t.Errorf("GET %s as viewer: got %d %s", path, status, body)
		}
	}
	for _, path := range []string{"/v1/zones?token=" + admin, "/v1/zones?access_token=" + admin} {
		if status, _, _ := h.ask(c, "", "GET", path, ""); status != http.StatusUnauthorized {
			t.Errorf("a token in the address: got %d, want 401", status)
		}
	}
	for name, header := range map[string]http.Header{
		"page of another site": {"Origin": {"https://evil.example"}},
		"another site says so": {"Sec-Fetch-Site": {"cross-site"}},
		"basic":                {"Authorization": {"Basic " + admin}},
		"two tokens":           {"Authorization": {"Bearer " + admin + " " + admin}},
	} {
		r, err := http.NewRequestWithContext(h.ctx(), "GET", "https://"+h.api+"/v1/zones", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+admin)
		for k, v := range header {
			r.Header[k] = v
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("%s: got %d, want it refused", name, resp.StatusCode)
		}
	}
	r, err := http.NewRequestWithContext(h.ctx(), "GET", "https://"+h.api+"/v1/zones", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "rebound.example"
	r.Header.Set("Authorization", "Bearer "+admin)
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("under a name that is not ours: got %d, want 403", resp.StatusCode)
	}
}
