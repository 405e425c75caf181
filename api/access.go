package api

import "greenhouse"

// Account is an MQTT login of a bridge or an integration.
type Account struct {
	Name      string            `json:"name"`
	Publish   []string          `json:"publish" doc:"MQTT topic filters"`
	Subscribe []string          `json:"subscribe" doc:"MQTT topic filters"`
	Version   uint64            `json:"version"`
	CreatedAt greenhouse.Millis `json:"created_at"`
	Secret    string            `json:"secret,omitempty" doc:"shown once"`
	Warnings  []string          `json:"warnings,omitempty" doc:"filters that cover topics of nodes"`
}

// CreateAccountRequest creates an MQTT login.
type CreateAccountRequest struct {
	Name      string   `json:"name" doc:"a letter, then up to 39 of a-z 0-9 -"`
	Publish   []string `json:"publish,omitempty"`
	Subscribe []string `json:"subscribe,omitempty"`
}

// CA is the certificate authority of a daemon, to be given to its nodes.
type CA struct {
	Fingerprint  string            `json:"fingerprint" doc:"SHA-256 of the certificate, AB:CD:…"`
	PEM          string            `json:"pem"`
	NotAfter     greenhouse.Millis `json:"not_after"`
	OverlapUntil greenhouse.Millis `json:"overlap_until,omitempty" doc:"until when the authority before is good as well"`
}

// RotateCARequest replaces the certificate authority.
type RotateCARequest struct {
	OverlapS *int64 `json:"overlap_s,omitempty" doc:"s for which the old authority stays good, 0 to 5 years; default 1 year"`
}

// Verified is what reading the whole event log found.
type Verified struct {
	OK      bool   `json:"ok"`
	Events  int    `json:"events" doc:"that are kept and hold together"`
	Last    uint64 `json:"last" doc:"number of the newest"`
	Head    string `json:"head" doc:"hash of the newest, which stands for all before it; keep it elsewhere to compare"`
	Problem string `json:"problem,omitempty"`
}

// Token is a credential for the API over TLS.
type Token struct {
	Name      string            `json:"name"`
	Role      Role              `json:"role"`
	Version   uint64            `json:"version"`
	CreatedAt greenhouse.Millis `json:"created_at"`
	ExpiresAt greenhouse.Millis `json:"expires_at" doc:"0: never"`
	LastUsed  greenhouse.Millis `json:"last_used,omitempty"`
	Secret    string            `json:"secret,omitempty" doc:"shown once"`
}

// CreateTokenRequest creates an API token.
type CreateTokenRequest struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
	ForS int64  `json:"for_s,omitempty" doc:"s; 0: 90 days, the default; at most 10 years"`
}
