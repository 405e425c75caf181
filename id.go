package greenhouse

import (
	"strconv"
	"strings"
)

// HardwareID is what the maker gave a device, in canonical form: lower case,
// separators removed, 4 to 64 of [a-z0-9]. Make one with [ParseHardwareID].
type HardwareID string

// ParseHardwareID brings s into canonical form: lower case, the separators
// ": - . _" and spaces removed. What is left must be 4 to 64 of [a-z0-9].
func ParseHardwareID(s string) (HardwareID, error) {
	const rule = "4 to 64 letters a-z or digits once the separators : - . _ and spaces are removed"
	if len(s) > 256 {
		return "", Invalid("hardware_id_invalid", "hardware id of %d bytes is too long: it needs %s", len(s), rule)
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ':' || c == '-' || c == '.' || c == '_' || c == ' ':
		case c >= 'A' && c <= 'Z':
			b = append(b, c+'a'-'A')
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b = append(b, c)
		default:
			return "", Invalid("hardware_id_invalid", "hardware id %q has a character that is not allowed: it needs %s", s, rule)
		}
	}
	if len(b) < 4 || len(b) > 64 {
		return "", Invalid("hardware_id_invalid", "hardware id %q has %d characters: it needs %s", s, len(b), rule)
	}
	return HardwareID(b), nil
}

// NodeType says what a node was built for. It drives rules and defaults only;
// a node may carry channels of any kind.
type NodeType string

// The node types of the wire contract.
const (
	TypePH         NodeType = "ph"
	TypeEC         NodeType = "ec"
	TypeClimate    NodeType = "climate"
	TypeIrrigation NodeType = "irrigation"
	TypeLight      NodeType = "light"
	TypeRelay      NodeType = "relay"
	TypeWater      NodeType = "water"
	TypeWeather    NodeType = "weather"
	TypeMulti      NodeType = "multi"
)

// NodeTypes returns all node types in the order of the wire contract.
func NodeTypes() []NodeType {
	return []NodeType{TypePH, TypeEC, TypeClimate, TypeIrrigation, TypeLight, TypeRelay, TypeWater, TypeWeather, TypeMulti}
}

// ParseNodeType returns the type named s.
func ParseNodeType(s string) (NodeType, error) {
	for _, t := range NodeTypes() {
		if string(t) == s {
			return t, nil
		}
	}
	return "", Invalid("node_type_invalid", "node type %q is unknown: it is one of ph, ec, climate, irrigation, light, relay, water, weather, multi", s)
}

// UID names a node for ever: "<type>-<canonical hardware id>", fixed at first
// registration, injective, never truncated.
type UID string

// MakeUID returns the uid of a device of that type and id.
func MakeUID(t NodeType, h HardwareID) UID { return UID(string(t) + "-" + string(h)) }

// ParseUID checks that s is a uid and returns it with its two parts.
func ParseUID(s string) (UID, NodeType, HardwareID, error) {
	typ, hw, ok := strings.Cut(s, "-")
	if ok {
		if t, err := ParseNodeType(typ); err == nil {
			if h, err := ParseHardwareID(hw); err == nil && string(h) == hw {
				return UID(s), t, h, nil
			}
		}
	}
	return "", "", "", Invalid("uid_invalid", "%q is no node uid: it is <type>-<hardware id>, e.g. ph-a4cf12b3de01", s)
}

// ChannelName names one measurement or output of a node: [a-z][a-z0-9_]{0,31}.
type ChannelName string

// ParseChannelName returns s as a channel name.
func ParseChannelName(s string) (ChannelName, error) {
	if !isName(s, 32, '_') {
		return "", Invalid("channel_invalid", "channel %q is not a name: it needs a letter a-z, then up to 31 of a-z 0-9 _", s)
	}
	return ChannelName(s), nil
}

// ZoneID names a zone: [a-z][a-z0-9-]{0,39}.
type ZoneID string

// ParseZoneID returns s as a zone id.
func ParseZoneID(s string) (ZoneID, error) {
	if !isName(s, 40, '-') {
		return "", Invalid("zone_invalid", "zone %q is not a name: it needs a letter a-z, then up to 39 of a-z 0-9 -", s)
	}
	return ZoneID(s), nil
}

// isName reports whether s is a letter a-z followed by a-z, 0-9 or extra, max bytes in all.
func isName(s string, max int, extra byte) bool {
	if s == "" || len(s) > max || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := 1; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == extra) {
			return false
		}
	}
	return true
}

// PointID names what is measured or driven at a place: "north/air_temp",
// "north/air_temp.2" for a second one, or "@{uid}/{channel}" while the node is
// in no zone.
type PointID string

// ZonePoint returns the id of the nth point of that name in a zone; n counts from 1.
func ZonePoint(z ZoneID, c ChannelName, n int) PointID {
	id := string(z) + "/" + string(c)
	if n > 1 {
		id += "." + strconv.Itoa(n)
	}
	return PointID(id)
}

// NodePoint returns the id of a channel of a node that is in no zone, and of a
// node's own diagnostics (online, rssi, battery, uptime_s).
func NodePoint(u UID, c ChannelName) PointID { return PointID("@" + string(u) + "/" + string(c)) }

// ParsePointID checks that s is a point id and returns it.
func ParsePointID(s string) (PointID, error) {
	place, name, ok := strings.Cut(s, "/")
	if ok {
		base, nth, numbered := strings.Cut(name, ".")
		placeOK := isName(place, 40, '-')
		if strings.HasPrefix(place, "@") {
			_, _, _, err := ParseUID(place[1:])
			placeOK = err == nil
		}
		if placeOK && isName(base, 32, '_') && (!numbered || isOrdinal(nth)) {
			return PointID(s), nil
		}
	}
	return "", Invalid("point_invalid", "%q is no point: it is zone/name, e.g. north/air_temp or north/air_temp.2, or @uid/channel for a node in no zone", s)
}

// Zone returns the zone of the point, or "" for a point of a node in no zone.
func (p PointID) Zone() ZoneID {
	place, _, _ := strings.Cut(string(p), "/")
	if strings.HasPrefix(place, "@") {
		return ""
	}
	return ZoneID(place)
}

// Node returns the uid in "@uid/channel", or "".
func (p PointID) Node() UID {
	place, _, _ := strings.Cut(string(p), "/")
	if strings.HasPrefix(place, "@") {
		return UID(place[1:])
	}
	return ""
}

// Name returns the point's channel name, without its number.
func (p PointID) Name() ChannelName {
	_, name, _ := strings.Cut(string(p), "/")
	base, _, _ := strings.Cut(name, ".")
	return ChannelName(base)
}

// isOrdinal reports whether s is a number from 2 to 999 without a leading zero.
func isOrdinal(s string) bool {
	if len(s) == 0 || len(s) > 3 || s[0] == '0' || s == "1" {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
