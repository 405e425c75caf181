package journal

import (
	"bytes"
	"encoding/json"
	"strings"
)

// blackOut replaces the values under names that stand for a secret. Details
// must not hold any in the first place.
func blackOut(detail json.RawMessage) json.RawMessage {
	if !mentionsSecret(string(detail)) {
		return detail
	}
	dec := json.NewDecoder(bytes.NewReader(detail))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return json.RawMessage(`"[redacted]"`)
	}
	out, err := json.Marshal(blackOutValue(v))
	if err != nil {
		return json.RawMessage(`"[redacted]"`)
	}
	return out
}

// blackOutValue does it to a decoded value.
func blackOutValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if mentionsSecret(name) {
				v[name] = "[redacted]"
				continue
			}
			v[name] = blackOutValue(inner)
		}
	case []any:
		for i := range v {
			v[i] = blackOutValue(v[i])
		}
	}
	return v
}

// mentionsSecret reports whether text has a name in it that stands for a
// secret. An escape may hide one, so it counts as a mention.
func mentionsSecret(text string) bool {
	text = strings.ToLower(text)
	for _, name := range []string{"secret", "password", "passwd", "token", "credential", "private_key", `\u`} {
		if strings.Contains(text, name) {
			return true
		}
	}
	return false
}
