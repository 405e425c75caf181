package security_test

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// canaries makes every kind of secret there is, uses each rightly and wrongly,
// and returns them by what they are.
func (h *house) canaries() map[string]string {
	h.t.Helper()
	fail := func(err error) {
		h.t.Helper()
		if err != nil {
			h.t.Fatal(err)
		}
	}
	all := map[string]string{"a wrong password": "wrong-password-canary", "a wrong token": "wrong-token-canary"}
	n, err := h.client.RegisterNode(h.ctx(), api.RegisterRequest{HardwareID: "00000000aaaa", Type: greenhouse.TypePH}, client.Write{IdempotencyKey: "k1"})
	fail(err)
	all["a registered node's secret"] = n.Secret
	rotated, err := h.client.RotateKey(h.ctx(), n.UID, client.Write{IdempotencyKey: "k2"})
	fail(err)
	all["a rotated secret"] = rotated.Secret
	acc, err := h.client.CreateAccount(h.ctx(), api.CreateAccountRequest{Name: "eye", Subscribe: []string{"gh/#", "end"}, Publish: []string{"end"}}, client.Write{IdempotencyKey: "k3"})
	fail(err)
	all["an account's secret"] = acc.Secret
	tok, err := h.client.CreateToken(h.ctx(), api.CreateTokenRequest{Name: "root", Role: api.RoleAdmin}, client.Write{IdempotencyKey: "k4"})
	fail(err)
	all["an API token"] = tok.Secret
	all["a password"], all["a password before it"] = "canary words of anna", "older words of anna"
	_, err = h.client.CreateUser(h.ctx(), api.CreateUserRequest{Name: "anna", Role: api.RoleViewer, Password: all["a password before it"]}, client.Write{IdempotencyKey: "k6"})
	fail(err)
	_, err = h.client.SetPassword(h.ctx(), "anna", api.PasswordRequest{Password: all["a password"], Old: all["a password before it"]}, client.Write{IdempotencyKey: "k7"})
	fail(err)
	in, err := h.client.Login(h.ctx(), api.LoginRequest{Name: "anna", Password: all["a password"]})
	fail(err)
	all["the token of a login"] = in.Token
	pair, err := h.client.OpenPairing(h.ctx(), api.PairRequest{}, client.Write{IdempotencyKey: "k5"})
	fail(err)
	all["the join token"] = pair.Token
	all["a joining node's secret"] = h.join(pair.Token, acc.Secret)
	for what, s := range all {
		for _, name := range []string{string(n.UID), "eye", joiningHW, "nobody"} {
			if p, _, err := login(h.mqtt, nil, name, name, s, &will{"gh/n/other/cmd", true}); err == nil && p != nil {
				p.close()
			}
		}
		c := h.https()
		h.ask(c, s, "GET", "/v1/zones", "")
		h.ask(c, s, "POST", "/v1/zones", `{"id":"x","crop":17}`)
		h.ask(c, "", "GET", "/v1/zones?token="+s, "") // somebody will
		h.ask(c, "", "POST", "/v1/login", `{"name":"anna","password":"`+s+`x"}`)
		h.ask(c, "", "POST", "/v1/login", `{"name":"`+s+`","password":"`+s+`"}`) // into the wrong field
		if what == "" || s == "" {
			h.t.Fatalf("%q is no canary", what)
		}
	}
	_, _, err = login(h.mqtt, nil, string(n.UID), string(n.UID), rotated.Secret, nil)
	fail(err)
	return all
}

// join lets a device join, while an account that may read all of gh/ listens, and
// returns the secret the device was given.
func (h *house) join(token, eye string) string {
	h.t.Helper()
	spy, _, err := login(h.mqtt, nil, "spy", "eye", eye, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	defer spy.close()
	if err := spy.subscribe("gh/#"); err != nil {
		h.t.Fatal(err)
	}
	p, _, err := login(h.mqtt, nil, joiningHW, joiningHW, token, nil)
	if err != nil || p == nil {
		h.t.Fatal(err)
	}
	defer p.close()
	if err := p.subscribe("gh/welcome/" + joiningHW); err != nil {
		h.t.Fatal(err)
	}
	if err := p.publish("gh/hello/"+joiningHW, `{"v":1,"hardware_id":"`+joiningHW+`","type":"climate"}`, false); err != nil {
		h.t.Fatal(err)
	}
	select {
	case m := <-p.got:
		var w struct{ Secret string }
		if err := json.Unmarshal(m.payload, &w); err != nil || w.Secret == "" {
			h.t.Fatalf("welcome %s: %v", m.payload, err)
		}
		for heard := ""; !strings.HasPrefix(heard, "gh/hello/"); { // which is passed on last
			select {
			case m := <-spy.got:
				if heard = m.topic; strings.Contains(string(m.payload), w.Secret) {
					h.t.Errorf("an account that reads gh/# hears the secret of a joining device on %s", heard)
				}
			case <-time.After(patience):
				h.t.Fatal("the account does not hear the hello")
			}
		}
		return w.Secret
	case <-time.After(patience):
		h.t.Fatal("no welcome")
	}
	return ""
}

// readable is everything that somebody may come to read later.
func (h *house) readable() map[string]string {
	h.t.Helper()
	all := map[string]string{"the log": h.log.String()}
	admin, c := h.token("reader", api.RoleAdmin), h.https()
	for _, r := range api.Routes() {
		if r.Method != http.MethodGet || r.Socket || r.ID == "live" {
			continue
		}
		for _, uid := range []string{"ph-00000000aaaa", "climate-" + joiningHW} {
			path := strings.ReplaceAll(r.Path, "{uid}", uid)
			if r.ID == "events" {
				path += "?since=0&limit=10000"
			}
			_, _, text := h.ask(c, admin, "GET", sample(path), "")
			all["GET "+path] = text
		}
	}
	// The same keys again: the answers kept for them.
	n, err := h.client.RegisterNode(h.ctx(), api.RegisterRequest{HardwareID: "00000000aaaa", Type: greenhouse.TypePH}, client.Write{IdempotencyKey: "k1"})
	all["a repeated register"] = text(n) + text(err)
	s, err := h.client.RotateKey(h.ctx(), "ph-00000000aaaa", client.Write{IdempotencyKey: "k2"})
	all["a repeated rotate-key"] = text(s) + text(err)
	k, err := h.client.CreateToken(h.ctx(), api.CreateTokenRequest{Name: "root", Role: api.RoleAdmin}, client.Write{IdempotencyKey: "k4"})
	all["a repeated token create"] = text(k) + text(err)
	u, err := h.client.SetPassword(h.ctx(), "anna", api.PasswordRequest{Password: "canary words of anna"}, client.Write{IdempotencyKey: "k7"})
	all["a repeated passwd"] = text(u) + text(err)
	backup, err := h.client.Backup(h.ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	defer backup.Close()
	b, err := io.ReadAll(backup)
	if err != nil {
		h.t.Fatal(err)
	}
	all["the backup"] = string(b)
	h.files(all)
	return all
}

// files adds every file of the data directory but the keys themselves.
func (h *house) files(all map[string]string) {
	h.t.Helper()
	err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if err != nil || d.IsDir() || name == "authority.pem" || name == "server.pem" {
			return err
		}
		b, err := os.ReadFile(path)
		all["the file "+strings.TrimPrefix(path, h.dir)] = string(b)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func TestNoSecretIsToldTwice(t *testing.T) {
	h := open(t)
	canaries := h.canaries()
	for _, name := range []string{"authority.pem", "server.pem"} {
		text, err := os.ReadFile(filepath.Join(h.dir, "tls", name))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		lines := strings.Split(string(pem.EncodeToMemory(block)), "\n")
		canaries["the key in "+name], canaries["the bytes of the key in "+name] = lines[1], string(block.Bytes)
	}
	h.retainedCanaries(canaries)
	read := h.readable()
	if len(read["the log"]) < 1000 || len(read["the backup"]) < 10_000 || !strings.Contains(read["GET /v1/events?since=0&limit=10000"], "token_created") {
		t.Fatal("there is nothing to look through: the test would find nothing")
	}
	for where, text := range read {
		for what, secret := range canaries {
			if strings.Contains(text, secret) {
				t.Errorf("%s is in %s", what, where)
			}
		}
	}
	t.Logf("%d secrets sought in %d places", len(canaries), len(read))
}

// retainedCanaries looks through the retained messages while the account that
// may read them is there.
func (h *house) retainedCanaries(canaries map[string]string) {
	h.t.Helper()
	kept := h.retained(canaries["an account's secret"])
	if len(kept) == 0 {
		h.t.Fatal("nothing is retained")
	}
	for _, m := range kept {
		for what, secret := range canaries {
			if strings.Contains(string(m.payload), secret) {
				h.t.Errorf("%s is retained on %s", what, m.topic)
			}
		}
	}
}
