package wire

import "greenhouse"

// NodePublish returns the topic filters that the login {uid} may publish to:
// its own up topics, telemetry/+ for the bare numbers.
func NodePublish(u greenhouse.UID) []string {
	filters := nodeTopics(u, true)
	return append(filters, Topic{Kind: KindTelemetryChannel, UID: u, Channel: "+"}.String())
}

// NodeSubscribe returns the topic filters that the login {uid} may subscribe
// to: its own down topics.
func NodeSubscribe(u greenhouse.UID) []string { return nodeTopics(u, false) }

// nodeTopics returns the fixed topics of a node, up or down.
func nodeTopics(u greenhouse.UID, up bool) []string {
	var out []string
	for k := KindStatus; k <= KindTimeReply; k++ {
		if k.Up() == up && k != KindTelemetryChannel {
			out = append(out, NodeTopic(k, u).String())
		}
	}
	return out
}

// JoinPublish returns the one topic that a device may publish to while it
// joins with the token.
func JoinPublish(h greenhouse.HardwareID) []string { return []string{HelloTopic(h).String()} }

// JoinSubscribe returns the one topic that a device may subscribe to while it
// joins with the token.
func JoinSubscribe(h greenhouse.HardwareID) []string { return []string{WelcomeTopic(h).String()} }
