package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"

	"greenhouse"
)

// Defaults of a configuration, in seconds.
const (
	DefaultIntervalS = 10
	DefaultLinkLossS = 30
)

// Config is the desired configuration of a node, whole and retained.
type Config struct {
	Rev  uint64          `json:"rev"`  // from 1; only rises
	Hash string          `json:"hash"` // SHA-256 of Body in canonical form, 64 hex digits, lower case
	Body json.RawMessage `json:"body"` // canonical: a node may hash the bytes as they stand
}

// ConfigBody is what a configuration says. A zero interval or link loss stands
// for the default.
type ConfigBody struct {
	IntervalS int             `json:"interval_s"`  // s between telemetry messages, 1 to 86400
	LinkLossS int             `json:"link_loss_s"` // s without a link before the outputs go safe, 1 to 86400
	Channels  []ConfigChannel `json:"channels"`
}

// ConfigChannel configures one channel of a node.
type ConfigChannel struct {
	Name    greenhouse.ChannelName `json:"name"`
	Kind    greenhouse.Kind        `json:"kind"`
	Safe    *float64               `json:"safe,omitempty"`      // actuators: level without a live reason, 0 to 1
	MaxOnS  int                    `json:"max_on_s,omitempty"`  // actuators: longest time on, s; 0 is no limit
	MinOffS int                    `json:"min_off_s,omitempty"` // actuators: shortest time off, s
	Cal     *greenhouse.Linear     `json:"cal,omitempty"`       // sensors: value = gain × raw + offset
}

// ConfigBodyOf returns the configuration that a node should have.
func ConfigBodyOf(n *greenhouse.Node) ConfigBody {
	body := ConfigBody{IntervalS: n.IntervalS, LinkLossS: n.LinkLossS, Channels: make([]ConfigChannel, 0, len(n.Channels))}
	for _, c := range n.Channels {
		out := ConfigChannel{Name: c.Name, Kind: c.Kind, Cal: c.Cal}
		if c.CalEdge {
			out.Cal = nil
		}
		if c.Kind == greenhouse.Actuator {
			safe := c.Safe
			out.Safe, out.MaxOnS, out.MinOffS, out.Cal = &safe, c.MaxOnS, c.MinOffS, nil
		}
		body.Channels = append(body.Channels, out)
	}
	return body.withDefaults()
}

// withDefaults fills in what is zero.
func (b ConfigBody) withDefaults() ConfigBody {
	if b.IntervalS == 0 {
		b.IntervalS = DefaultIntervalS
	}
	if b.LinkLossS == 0 {
		b.LinkLossS = DefaultLinkLossS
	}
	if b.Channels == nil {
		b.Channels = []ConfigChannel{}
	}
	return b
}

// HashConfig returns the canonical form of a body (RFC 8785) and its hash. A
// calibration or safe level that is not finite is left out, for JSON cannot
// carry it.
func HashConfig(body ConfigBody) (canonical []byte, hash string) {
	// With the numbers finite nothing is left that could fail, in encoding or
	// in reading back what was encoded.
	plain, _ := json.Marshal(body.withDefaults().finite())
	v, _ := parse("config body", plain)
	canonical = v.canonical(nil)
	return canonical, HashBody(canonical)
}

// finite replaces calibrations that JSON cannot carry.
func (b ConfigBody) finite() ConfigBody {
	channels := make([]ConfigChannel, len(b.Channels))
	for i, c := range b.Channels {
		if c.Cal != nil && !isFinite(c.Cal.Gain, c.Cal.Offset) {
			c.Cal = nil
		}
		if c.Safe != nil && !isFinite(*c.Safe) {
			c.Safe = nil
		}
		channels[i] = c
	}
	b.Channels = channels
	return b
}

// isFinite reports whether all of v are finite.
func isFinite(v ...float64) bool {
	for _, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

// HashBody returns the SHA-256 of a canonical body in lower-case hex.
func HashBody(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// NewConfig returns the configuration of that revision with body, ready to
// publish.
func NewConfig(rev uint64, body ConfigBody) Config {
	canonical, hash := HashConfig(body)
	return Config{Rev: rev, Hash: hash, Body: canonical}
}

// Marshal returns the payload. It keeps Body byte for byte, so that a node may
// hash what it received.
func (c Config) Marshal() ([]byte, error) {
	head, err := json.Marshal(struct {
		V    int    `json:"v"`
		Rev  uint64 `json:"rev"`
		Hash string `json:"hash"`
	}{Version, c.Rev, c.Hash})
	if err != nil {
		return nil, err
	}
	out := append(head[:len(head)-1], `,"body":`...)
	return append(append(out, c.Body...), '}'), nil
}

// DecodeConfig reads the payload of a config topic; Body is brought into
// canonical form, and [Config.Intact] compares it with the hash.
func DecodeConfig(payload []byte) (Config, error) {
	f := object("config", payload)
	f.require("rev")
	f.require("hash")
	f.require("body")
	c := Config{Rev: f.count("rev"), Hash: f.text("hash", 64), Body: f.raw("body")}
	if f.err == nil && !isHash(c.Hash) {
		f.fail("field %q must be 64 hex digits in lower case", "hash")
	}
	if f.err != nil {
		return Config{}, f.err
	}
	return c, nil
}

// Intact reports whether Body has the hash that came with it.
func (c Config) Intact() bool { return HashBody(c.Body) == c.Hash }

// isHash reports whether s is 64 hex digits in lower case.
func isHash(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// DecodeConfigBody reads the body of a configuration and fills in defaults.
func DecodeConfigBody(body []byte) (ConfigBody, error) {
	v, err := parse("config body", body)
	f := &fields{what: "config body", v: v, err: err}
	b := ConfigBody{IntervalS: int(f.integer("interval_s", 1, 86400)), LinkLossS: int(f.integer("link_loss_s", 1, 86400))}
	seen := make(map[greenhouse.ChannelName]bool)
	for _, c := range f.list("channels", MaxChannels) {
		ch := configChannel(c)
		if seen[ch.Name] {
			c.fail("channel %q is configured twice", ch.Name)
		}
		seen[ch.Name] = true
		if c.err != nil {
			f.keep(c.err)
			break
		}
		b.Channels = append(b.Channels, ch)
	}
	if f.err != nil {
		return ConfigBody{}, f.err
	}
	return b.withDefaults(), nil
}

// configChannel reads one channel of a body.
func configChannel(f *fields) ConfigChannel {
	f.require("name")
	c := ConfigChannel{Name: f.channel("name"), Kind: greenhouse.Kind(f.text("kind", 32)),
		MaxOnS: int(f.integer("max_on_s", 0, 1e6)), MinOffS: int(f.integer("min_off_s", 0, 1e6))}
	checkKind(f, c.Name, &c.Kind)
	if safe, has := f.number("safe", 0, 1); has {
		c.Safe = &safe
	}
	if cal, ok := f.get("cal"); ok {
		c.Cal = calibration(f, cal)
	}
	return c
}

// calibration reads a cal; a missing offset is 0, a missing gain 1.
func calibration(f *fields, v value) *greenhouse.Linear {
	in := &fields{what: f.what + ": cal", v: v}
	if v.kind != '{' {
		in.fail("it must be an object")
	}
	offset, _ := in.number("offset", -1e6, 1e6)
	gain, has := in.number("gain", -1e6, 1e6)
	if !has {
		gain = 1
	}
	if gain == 0 {
		in.fail("field %q must not be 0", "gain")
	}
	f.check(in.err)
	return &greenhouse.Linear{Offset: offset, Gain: gain}
}

// ReportStatus is a node's verdict on a configuration.
type ReportStatus string

// The verdicts.
const (
	ReportApplied  ReportStatus = "applied"
	ReportRejected ReportStatus = "rejected"
)

// ConfigReport is what configuration a node has stored, on connect and after
// every change. A node that has none yet reports revision 0 and no hash.
type ConfigReport struct {
	Rev    uint64       `json:"rev"`
	Hash   string       `json:"hash"`
	Status ReportStatus `json:"status"`
	Error  string       `json:"error,omitempty"` // why it was rejected; at most 256 bytes
}

// DecodeConfigReport reads the payload of a config/report topic.
func DecodeConfigReport(payload []byte) (ConfigReport, error) {
	f := object("config report", payload)
	f.require("rev")
	f.require("status")
	r := ConfigReport{Rev: f.count("rev"), Hash: f.text("hash", 64), Status: ReportStatus(f.text("status", 32)), Error: f.text("error", 256)}
	if r.Hash != "" && !isHash(r.Hash) {
		f.fail("field %q must be 64 hex digits in lower case", "hash")
	}
	if r.Status != ReportApplied && r.Status != ReportRejected {
		f.fail("field %q must be applied or rejected", "status")
	}
	if f.err != nil {
		return ConfigReport{}, f.err
	}
	return r, nil
}

// Marshal returns the payload.
func (r ConfigReport) Marshal() ([]byte, error) {
	return json.Marshal(struct {
		V int `json:"v"`
		ConfigReport
	}{Version, r})
}
