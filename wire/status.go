package wire

import (
	"encoding/json"

	"greenhouse"
)

// Status is the heartbeat of a node, every 30 s and on connect. With Online
// false and nothing else it is the will.
type Status struct {
	Online  bool     `json:"online"`
	FW      string   `json:"fw,omitempty"`       // at most 64 bytes
	Boot    string   `json:"boot,omitempty"`     // at most 64 bytes; another one after every boot
	UptimeS *int64   `json:"uptime_s,omitempty"` // s since boot
	RSSI    *float64 `json:"rssi,omitempty"`     // dBm
	Battery *float64 `json:"battery,omitempty"`  // V
	Reset   string   `json:"reset,omitempty"`    // why it booted, e.g. "power_on"; at most 64 bytes

	// Motors says of drives without a measured position how sure the node is of it.
	Motors map[greenhouse.ChannelName]Motor `json:"motors,omitempty"`
}

// Motor is what a node says of a drive whose position it works out from how long it
// ran.
type Motor struct {
	State    greenhouse.MotorState `json:"state"`              // known, unknown or suspect
	Position *float64              `json:"position,omitempty"` // where it should stand, 0 to 1; nil: not known
	TravelS  int                   `json:"travel_s,omitempty"` // of a full travel
}

// motors reads the field motors. A channel that makes no sense is passed over: what
// is said of a drive must not cost the heartbeat.
func (f *fields) motors() map[greenhouse.ChannelName]Motor {
	x, ok := f.get("motors")
	if !ok || x.kind != '{' {
		return nil
	}
	var said map[string]struct {
		State    string   `json:"state"`
		Position *float64 `json:"position"`
		TravelS  float64  `json:"travel_s"`
	}
	if json.Unmarshal(x.canonical(nil), &said) != nil {
		return nil
	}
	var all map[greenhouse.ChannelName]Motor
	for name, m := range said {
		ch, err := greenhouse.ParseChannelName(name)
		state, bad := greenhouse.ParseMotorState(m.State)
		if err != nil || bad != nil || state == "" {
			continue
		}
		if m.Position != nil && !(*m.Position >= 0 && *m.Position <= 1) {
			m.Position = nil
		}
		if all == nil {
			all = make(map[greenhouse.ChannelName]Motor, len(said))
		}
		all[ch] = Motor{state, m.Position, int(min(max(m.TravelS, 0), 86400))}
	}
	return all
}

// DecodeStatus reads the payload of a status topic.
func DecodeStatus(payload []byte) (Status, error) {
	f := object("status", payload)
	f.require("online")
	s := Status{Online: f.flag("online"), FW: f.text("fw", 64), Boot: f.text("boot", maxBoot),
		RSSI: f.optional("rssi"), Battery: f.optional("battery"), Reset: f.text("reset", 64), Motors: f.motors()}
	if _, ok := f.get("uptime_s"); ok {
		n := f.integer("uptime_s", 0, 1e12)
		s.UptimeS = &n
	}
	if f.err != nil {
		return Status{}, f.err
	}
	return s, nil
}

// Marshal returns the payload.
func (s Status) Marshal() ([]byte, error) {
	return json.Marshal(struct {
		V int `json:"v"`
		Status
	}{Version, s})
}

// Event is something that happened on a node: a level edge, a fault, a local
// failsafe.
type Event struct {
	TS       greenhouse.Millis      `json:"ts,omitempty"` // 0: the time of arrival counts
	Code     string                 `json:"code"`         // noun_verb, e.g. "lease_expired"; a letter a-z, then up to 63 of a-z 0-9 _
	Severity greenhouse.Severity    `json:"severity"`     // Info where none was sent
	Channel  greenhouse.ChannelName `json:"ch,omitempty"`
	Detail   json.RawMessage        `json:"detail,omitempty"` // an object, at most 8 KiB, in canonical form after decoding
	Doubt    string                 `json:"-"`                // why the ts sent was no time, and TS is 0
}

// maxDetail bounds the detail of an event or report, in bytes.
const maxDetail = 8 << 10

// DecodeEvent reads the payload of an event topic. A ts that is no time does
// not cost the event, for a wrong clock must not hide a fault: see Doubt.
func DecodeEvent(payload []byte) (Event, error) {
	f := object("event", payload)
	f.require("code")
	e := Event{Code: f.text("code", 64), Severity: greenhouse.Info, Channel: f.channel("ch"), Detail: f.detail()}
	e.TS, e.Doubt = f.doubtfulInstant("ts")
	if s := f.text("severity", 32); s != "" {
		severity, err := greenhouse.ParseSeverity(s)
		f.check(err)
		e.Severity = severity
	}
	if !isCode(e.Code) {
		f.fail("field %q must be a letter a-z, then up to 63 of a-z 0-9 _", "code")
	}
	if f.err != nil {
		return Event{}, f.err
	}
	return e, nil
}

// detail returns the field detail within its bound.
func (f *fields) detail() json.RawMessage {
	d := f.raw("detail")
	if len(d) > maxDetail {
		f.fail("field %q has %d bytes: at most %d are allowed", "detail", len(d), maxDetail)
		return nil
	}
	return d
}

// isCode reports whether s is a noun_verb code.
func isCode(s string) bool {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// Marshal returns the payload.
func (e Event) Marshal() ([]byte, error) {
	return json.Marshal(struct {
		V int `json:"v"`
		Event
	}{Version, e})
}

// TimeRequest is a node without a clock asking for the time.
type TimeRequest struct {
	Nonce uint64 `json:"nonce"` // at most 2^63-1; comes back in the reply
}

// DecodeTimeRequest reads the payload of a time topic.
func DecodeTimeRequest(payload []byte) (TimeRequest, error) {
	f := object("time request", payload)
	f.require("nonce")
	r := TimeRequest{Nonce: f.count("nonce")}
	return r, f.err
}

// Marshal returns the payload.
func (r TimeRequest) Marshal() ([]byte, error) { return json.Marshal(r) }

// TimeReply is the daemon's answer. A node sets its clock from it only where
// Trusted.
type TimeReply struct {
	Nonce   uint64            `json:"nonce"`
	Now     greenhouse.Millis `json:"now"`
	Trusted bool              `json:"trusted"` // schedules follow the daemon's own clock: it is synchronised, or was and has counted on
}

// DecodeTimeReply reads the payload of a time/reply topic.
func DecodeTimeReply(payload []byte) (TimeReply, error) {
	f := object("time reply", payload)
	f.require("nonce")
	f.require("now")
	r := TimeReply{Nonce: f.count("nonce"), Now: greenhouse.Millis(f.integer("now", 0, int64(maxTS))), Trusted: f.flag("trusted")}
	return r, f.err
}

// Marshal returns the payload.
func (r TimeReply) Marshal() ([]byte, error) { return json.Marshal(r) }
