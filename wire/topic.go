package wire

import (
	"strings"

	"greenhouse"
)

// MaxTopic is the longest topic the broker takes, in bytes.
const MaxTopic = 256

// Kind says what a topic carries. The zero Kind is no topic of the contract.
type Kind uint8

// The kinds of topic, in the order of the table of docs/wire.md.
const (
	KindHello            Kind = iota + 1 // gh/hello/{hardware_id}, up
	KindWelcome                          // gh/welcome/{hardware_id}, down
	KindStatus                           // gh/n/{uid}/status, up, retained, also the will
	KindTelemetry                        // gh/n/{uid}/telemetry, up
	KindTelemetryChannel                 // gh/n/{uid}/telemetry/{channel}, up, a bare number
	KindEvent                            // gh/n/{uid}/event, up
	KindConfig                           // gh/n/{uid}/config, down, retained
	KindConfigReport                     // gh/n/{uid}/config/report, up
	KindCmd                              // gh/n/{uid}/cmd, down, never retained
	KindCmdReport                        // gh/n/{uid}/cmd/report, up
	KindTimeRequest                      // gh/n/{uid}/time, up
	KindTimeReply                        // gh/n/{uid}/time/reply, down
)

// The fixed beginnings of the topics.
const (
	helloPrefix   = "gh/hello/"
	welcomePrefix = "gh/welcome/"
	nodePrefix    = "gh/n/"
	channelTail   = "telemetry/"
)

// tail returns what follows "gh/n/{uid}/" in a topic of kind k; a
// telemetry/{channel} topic ends in the channel beside it.
func (k Kind) tail() string {
	switch k {
	case KindStatus:
		return "status"
	case KindTelemetry:
		return "telemetry"
	case KindTelemetryChannel:
		return channelTail
	case KindEvent:
		return "event"
	case KindConfig:
		return "config"
	case KindConfigReport:
		return "config/report"
	case KindCmd:
		return "cmd"
	case KindCmdReport:
		return "cmd/report"
	case KindTimeRequest:
		return "time"
	case KindTimeReply:
		return "time/reply"
	}
	return ""
}

// kindOfTail is the inverse of [Kind.tail].
func kindOfTail(tail string) Kind {
	for k := KindStatus; k <= KindTimeReply; k++ {
		if k != KindTelemetryChannel && k.tail() == tail {
			return k
		}
	}
	if strings.HasPrefix(tail, channelTail) {
		return KindTelemetryChannel
	}
	return 0
}

// String returns the name used in logs and metrics, e.g. "cmd_report".
func (k Kind) String() string {
	switch k {
	case KindHello:
		return "hello"
	case KindWelcome:
		return "welcome"
	case KindTelemetryChannel:
		return "telemetry_channel"
	case KindConfigReport:
		return "config_report"
	case KindCmdReport:
		return "cmd_report"
	case KindTimeReply:
		return "time_reply"
	}
	if tail := k.tail(); tail != "" {
		return tail
	}
	return "unknown"
}

// Up reports whether nodes publish the topic; if not, the daemon does.
func (k Kind) Up() bool {
	switch k {
	case KindHello, KindStatus, KindTelemetry, KindTelemetryChannel, KindEvent, KindConfigReport, KindCmdReport, KindTimeRequest:
		return true
	}
	return false
}

// QoS returns the quality of service the contract names: 0 for the time
// exchange, else 1. A telemetry/{channel} message may also come with 0.
func (k Kind) QoS() byte {
	if k == KindTimeRequest || k == KindTimeReply {
		return 0
	}
	return 1
}

// Retained reports whether the contract wants the message retained.
func (k Kind) Retained() bool { return k == KindStatus || k == KindConfig }

// Topic is one topic of the contract, taken apart. Which fields are set
// follows from Kind: HardwareID for hello and welcome, UID for the others, and
// Channel for telemetry/{channel} as well.
type Topic struct {
	Kind       Kind
	UID        greenhouse.UID
	HardwareID greenhouse.HardwareID
	Channel    greenhouse.ChannelName
}

// HelloTopic returns gh/hello/{hardware_id}.
func HelloTopic(h greenhouse.HardwareID) Topic { return Topic{Kind: KindHello, HardwareID: h} }

// WelcomeTopic returns gh/welcome/{hardware_id}.
func WelcomeTopic(h greenhouse.HardwareID) Topic { return Topic{Kind: KindWelcome, HardwareID: h} }

// NodeTopic returns the topic of kind k under gh/n/{uid}; k is none of
// KindHello, KindWelcome and KindTelemetryChannel.
func NodeTopic(k Kind, u greenhouse.UID) Topic { return Topic{Kind: k, UID: u} }

// ChannelTopic returns gh/n/{uid}/telemetry/{channel}.
func ChannelTopic(u greenhouse.UID, c greenhouse.ChannelName) Topic {
	return Topic{Kind: KindTelemetryChannel, UID: u, Channel: c}
}

// String returns the topic as it stands on the wire, "" for the zero Topic.
func (t Topic) String() string {
	switch t.Kind {
	case 0:
		return ""
	case KindHello:
		return helloPrefix + string(t.HardwareID)
	case KindWelcome:
		return welcomePrefix + string(t.HardwareID)
	}
	return nodePrefix + string(t.UID) + "/" + t.Kind.tail() + string(t.Channel)
}

// ParseTopic takes a topic apart without allocating. Ids must be in canonical
// form; a topic that is not of the contract is an error with the code
// "topic_unknown", a bad id or channel in one that is has the code of the id.
func ParseTopic(s string) (Topic, error) {
	if len(s) > MaxTopic {
		return Topic{}, greenhouse.Invalid("topic_too_long", "topic of %d bytes is too long: at most %d are allowed", len(s), MaxTopic)
	}
	if rest, ok := strings.CutPrefix(s, nodePrefix); ok {
		return parseNodeTopic(s, rest)
	}
	if hw, ok := strings.CutPrefix(s, helloPrefix); ok {
		return parseJoinTopic(KindHello, hw)
	}
	if hw, ok := strings.CutPrefix(s, welcomePrefix); ok {
		return parseJoinTopic(KindWelcome, hw)
	}
	return Topic{}, unknownTopic(s)
}

// parseJoinTopic finishes a hello or welcome topic.
func parseJoinTopic(k Kind, hw string) (Topic, error) {
	if !canonicalHardware(hw) {
		return Topic{}, greenhouse.Invalid("hardware_id_invalid",
			"hardware id %q in a topic is not in canonical form: it needs 4 to 64 of a-z and 0-9", hw)
	}
	return Topic{Kind: k, HardwareID: greenhouse.HardwareID(hw)}, nil
}

// parseNodeTopic finishes a topic whose rest follows "gh/n/".
func parseNodeTopic(s, rest string) (Topic, error) {
	uid, tail, _ := strings.Cut(rest, "/")
	k := kindOfTail(tail)
	if k == 0 {
		return Topic{}, unknownTopic(s)
	}
	if !canonicalUID(uid) {
		return Topic{}, greenhouse.Invalid("uid_invalid", "%q in a topic is no node uid: it is <type>-<hardware id>, e.g. ph-a4cf12b3de01", uid)
	}
	t := Topic{Kind: k, UID: greenhouse.UID(uid)}
	if k == KindTelemetryChannel {
		c, err := greenhouse.ParseChannelName(tail[len(channelTail):])
		if err != nil {
			return Topic{}, err
		}
		t.Channel = c
	}
	return t, nil
}

// unknownTopic is the error for a topic outside the contract.
func unknownTopic(s string) error {
	return greenhouse.Invalid("topic_unknown", "topic %q is not of the contract", s).
		WithHint("docs/wire.md lists the topics")
}

// canonicalUID reports whether s is <type>-<canonical hardware id>.
func canonicalUID(s string) bool {
	typ, hw, ok := strings.Cut(s, "-")
	return ok && knownType(typ) && canonicalHardware(hw)
}

// knownType reports whether s names a node type, without making a list.
func knownType(s string) bool {
	switch greenhouse.NodeType(s) {
	case greenhouse.TypePH, greenhouse.TypeEC, greenhouse.TypeClimate, greenhouse.TypeIrrigation, greenhouse.TypeLight,
		greenhouse.TypeRelay, greenhouse.TypeWater, greenhouse.TypeWeather, greenhouse.TypeMulti:
		return true
	}
	return false
}

// canonicalHardware reports whether s is 4 to 64 of [a-z0-9].
func canonicalHardware(s string) bool {
	if len(s) < 4 || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
