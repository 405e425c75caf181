package wire

import (
	"encoding/json"

	"greenhouse"
)

// Hello is a device asking to join.
type Hello struct {
	HardwareID greenhouse.HardwareID `json:"hardware_id"` // canonical after decoding
	Type       greenhouse.NodeType   `json:"type"`
	FW         string                `json:"fw,omitempty"`   // at most 64 bytes
	HW         string                `json:"hw,omitempty"`   // at most 64 bytes
	Name       string                `json:"name,omitempty"` // at most 128 bytes
	Channels   []HelloChannel        `json:"channels,omitempty"`
}

// HelloChannel declares one channel of the device. A standard name fixes kind
// and unit; another name must say its kind.
type HelloChannel struct {
	Name greenhouse.ChannelName `json:"name"`
	Kind greenhouse.Kind        `json:"kind"`
	Unit greenhouse.Unit        `json:"unit,omitempty"` // at most 16 bytes
}

// DecodeHello reads the payload of gh/hello/{hardware_id}. That its hardware id
// is the one in the topic is the caller's to check.
func DecodeHello(payload []byte) (Hello, error) {
	f := object("hello", payload)
	f.require("hardware_id")
	f.require("type")
	h := Hello{FW: f.text("fw", 64), HW: f.text("hw", 64), Name: f.text("name", 128)}
	hw, typ := f.text("hardware_id", 256), f.text("type", 64)
	if f.err == nil {
		var err error
		h.HardwareID, err = greenhouse.ParseHardwareID(hw)
		f.check(err)
		h.Type, err = greenhouse.ParseNodeType(typ)
		f.check(err)
	}
	h.Channels = helloChannels(f)
	if f.err != nil {
		return Hello{}, f.err
	}
	return h, nil
}

// helloChannels reads the declared channels.
func helloChannels(f *fields) []HelloChannel {
	var out []HelloChannel
	seen := make(map[greenhouse.ChannelName]bool)
	for _, c := range f.list("channels", MaxChannels) {
		c.require("name")
		ch := HelloChannel{Name: c.channel("name"), Kind: greenhouse.Kind(c.text("kind", 32)), Unit: greenhouse.Unit(c.text("unit", 16))}
		checkKind(c, ch.Name, &ch.Kind)
		if seen[ch.Name] {
			c.fail("channel %q is declared twice", ch.Name)
		}
		seen[ch.Name] = true
		if c.err != nil {
			f.keep(c.err)
			return nil
		}
		out = append(out, ch)
	}
	return out
}

// checkKind fills in the kind of a standard name and refuses another one.
func checkKind(f *fields, name greenhouse.ChannelName, kind *greenhouse.Kind) {
	spec, standard := greenhouse.StandardChannel(name)
	switch {
	case *kind == "" && standard:
		*kind = spec.Kind
	case *kind != greenhouse.Sensor && *kind != greenhouse.Actuator:
		f.fail("field %q of channel %q must be sensor or actuator", "kind", name)
	case standard && *kind != spec.Kind:
		f.fail("channel %q is a standard name for a kind of %s: choose another name", name, spec.Kind)
	}
}

// keep takes over the error of an inner object.
func (f *fields) keep(err error) {
	if f.err == nil {
		f.err = err
	}
}

// Marshal returns the payload.
func (h Hello) Marshal() ([]byte, error) {
	return json.Marshal(struct {
		V int `json:"v"`
		Hello
	}{Version, h})
}

// Welcome is the answer to a hello: the uid and the secret, or why not.
type Welcome struct {
	OK      bool           `json:"ok"`
	UID     greenhouse.UID `json:"uid,omitempty"`
	Secret  string         `json:"secret,omitempty"`  // at most 128 bytes; "" where the node has one already
	Error   string         `json:"error,omitempty"`   // a code such as "pairing_closed", where not OK
	Message string         `json:"message,omitempty"` // a sentence for people
}

// DecodeWelcome reads the payload of gh/welcome/{hardware_id}.
func DecodeWelcome(payload []byte) (Welcome, error) {
	f := object("welcome", payload)
	f.require("ok")
	w := Welcome{OK: f.flag("ok"), UID: greenhouse.UID(f.text("uid", 96)), Secret: f.text("secret", 128),
		Error: f.text("error", 64), Message: f.text("message", 512)}
	if w.OK && !canonicalUID(string(w.UID)) {
		f.fail("field %q must be a node uid", "uid")
	}
	if f.err != nil {
		return Welcome{}, f.err
	}
	return w, nil
}

// Marshal returns the payload.
func (w Welcome) Marshal() ([]byte, error) {
	return json.Marshal(struct {
		V int `json:"v"`
		Welcome
	}{Version, w})
}
