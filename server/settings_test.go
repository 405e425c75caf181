package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"greenhouse/server"
)

func TestSettingsWithoutSecrets(t *testing.T) {
	h := open(t, func(_ *server.Deps, o *server.Options) {
		o.Settings = map[string]any{
			"mqtt":   map[string]any{"listen": ":1883", "key": "/etc/edged/key.pem", "max_clients": 6000, "empty_token": ""},
			"notify": map[string]any{"urls": []any{"ntfy://anna:canary1@ntfy.example/farm", "https://hooks.example/x?auth=canary2", "https://plain.example/"}, "smtp_password": "canary3", "api_key": "canary4", "pin_secret": 1234567},
		}
	})
	c, err := h.client.Config(h.ctx())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, want := range []string{`"listen":":1883"`, `"key":"/etc/edged/key.pem"`, `"max_clients":6000`, `"https://plain.example/"`, `ntfy://[redacted]`, `"empty_token":""`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	for _, secret := range []string{"canary", "1234567"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in %s", secret, text)
		}
	}
}
