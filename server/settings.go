package server

import (
	"context"
	"net/url"
	"strings"

	"greenhouse/api"
)

// hiddenValue stands for a value that could be secret.
const hiddenValue = "[redacted]"

// getConfig shows the configuration in force.
func (s *Server) getConfig(context.Context, *none) (*out[api.Config], error) {
	settings, _ := withoutSecrets("", s.opts.Settings).(map[string]any)
	if settings == nil {
		settings = map[string]any{}
	}
	return &out[api.Config]{Body: api.Config{Settings: settings}}, nil
}

// withoutSecrets returns a copy of a setting in which nothing is secret: neither
// what its key says is, nor the user part and query of an address. It hides too much
// rather than too little, for no key is secret today and some may be tomorrow.
func withoutSecrets(key string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		shown := make(map[string]any, len(v))
		for k, sub := range v {
			shown[k] = withoutSecrets(k, sub)
		}
		return shown
	case []any:
		shown := make([]any, len(v))
		for i, sub := range v {
			shown[i] = withoutSecrets(key, sub)
		}
		return shown
	case string:
		if v != "" && secretKey(key) {
			return hiddenValue
		}
		return bareAddress(v)
	}
	if value != nil && secretKey(key) {
		return hiddenValue
	}
	return value
}

// secretKey reports whether a key names a secret. mqtt.key and api.key name files.
func secretKey(key string) bool {
	for _, word := range []string{"secret", "password", "passphrase", "token", "credential", "apikey", "api_key"} {
		if strings.Contains(strings.ToLower(key), word) {
			return true
		}
	}
	return false
}

// bareAddress takes user, password and query out of a URL: services for
// notifications want their tokens there.
func bareAddress(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User == nil && u.RawQuery == "" {
		return s
	}
	return u.Scheme + "://" + hiddenValue
}
