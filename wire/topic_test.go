package wire_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/wire"
)

func TestParseTopic(t *testing.T) {
	const uid = greenhouse.UID("ph-a4cf12b3de01")
	tests := []struct {
		topic string
		want  wire.Topic
		up    bool
	}{
		{"gh/hello/a4cf12b3de01", wire.HelloTopic("a4cf12b3de01"), true},
		{"gh/welcome/a4cf12b3de01", wire.WelcomeTopic("a4cf12b3de01"), false},
		{"gh/n/ph-a4cf12b3de01/status", wire.NodeTopic(wire.KindStatus, uid), true},
		{"gh/n/ph-a4cf12b3de01/telemetry", wire.NodeTopic(wire.KindTelemetry, uid), true},
		{"gh/n/ph-a4cf12b3de01/telemetry/solution_ph", wire.ChannelTopic(uid, "solution_ph"), true},
		{"gh/n/ph-a4cf12b3de01/event", wire.NodeTopic(wire.KindEvent, uid), true},
		{"gh/n/ph-a4cf12b3de01/config", wire.NodeTopic(wire.KindConfig, uid), false},
		{"gh/n/ph-a4cf12b3de01/config/report", wire.NodeTopic(wire.KindConfigReport, uid), true},
		{"gh/n/ph-a4cf12b3de01/cmd", wire.NodeTopic(wire.KindCmd, uid), false},
		{"gh/n/ph-a4cf12b3de01/cmd/report", wire.NodeTopic(wire.KindCmdReport, uid), true},
		{"gh/n/ph-a4cf12b3de01/time", wire.NodeTopic(wire.KindTimeRequest, uid), true},
		{"gh/n/ph-a4cf12b3de01/time/reply", wire.NodeTopic(wire.KindTimeReply, uid), false},
	}
	for _, tt := range tests {
		got, err := wire.ParseTopic(tt.topic)
		if err != nil {
			t.Errorf("ParseTopic(%q): %v", tt.topic, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("ParseTopic(%q) (-want +got):\n%s", tt.topic, diff)
		}
		if got.String() != tt.topic {
			t.Errorf("ParseTopic(%q).String() = %q", tt.topic, got.String())
		}
		if got.Kind.Up() != tt.up {
			t.Errorf("%q: Up() = %v, want %v", tt.topic, got.Kind.Up(), tt.up)
		}
	}
}

func TestParseTopicRefuses(t *testing.T) {
	tests := []struct{ name, topic, code string }{
		{"empty", "", "topic_unknown"},
		{"foreign", "homeassistant/sensor/x/config", "topic_unknown"},
		{"prefix alone", "gh/n/", "topic_unknown"},
		{"no kind", "gh/n/ph-a4cf12b3de01", "topic_unknown"},
		{"unknown kind", "gh/n/ph-a4cf12b3de01/reboot", "topic_unknown"},
		{"kind with a tail", "gh/n/ph-a4cf12b3de01/status/x", "topic_unknown"},
		{"leading slash", "/gh/n/ph-a4cf12b3de01/status", "topic_unknown"},
		{"upper case", "GH/n/ph-a4cf12b3de01/status", "topic_unknown"},
		{"unknown type", "gh/n/robot-a4cf12b3de01/status", "uid_invalid"},
		{"not canonical", "gh/n/ph-A4:CF:12/status", "uid_invalid"},
		{"short id", "gh/n/ph-abc/status", "uid_invalid"},
		{"wildcard for the uid", "gh/n/+/status", "uid_invalid"},
		{"look-alike", "gh/n/ph-a4сf12b3de01/status", "uid_invalid"}, // Cyrillic es
		{"NUL", "gh/n/ph-a4cf\x0012b3/status", "uid_invalid"},
		{"hello not canonical", "gh/hello/A4CF12B3DE01", "hardware_id_invalid"},
		{"hello with a tail", "gh/hello/a4cf12b3de01/x", "hardware_id_invalid"},
		{"welcome empty", "gh/welcome/", "hardware_id_invalid"},
		{"channel empty", "gh/n/ph-a4cf12b3de01/telemetry/", "channel_invalid"},
		{"channel with a level", "gh/n/ph-a4cf12b3de01/telemetry/a/b", "channel_invalid"},
		{"channel wildcard", "gh/n/ph-a4cf12b3de01/telemetry/+", "channel_invalid"},
		{"channel look-alike", "gh/n/ph-a4cf12b3de01/telemetry/сo2", "channel_invalid"},
		{"too long", "gh/n/" + strings.Repeat("a", 300), "topic_too_long"},
		{"many levels", "gh/n/ph-a4cf12b3de01" + strings.Repeat("/", 200), "topic_unknown"},
	}
	for _, tt := range tests {
		got, err := wire.ParseTopic(tt.topic)
		if code(err) != tt.code || got != (wire.Topic{}) {
			t.Errorf("%s: ParseTopic(%q) = %+v, %v, want code %s", tt.name, tt.topic, got, err, tt.code)
		}
	}
}

func TestFilters(t *testing.T) {
	const uid = greenhouse.UID("ec-00ff")
	tests := []struct {
		name      string
		got, want []string
	}{
		{"publish", wire.NodePublish(uid), []string{
			"gh/n/ec-00ff/status", "gh/n/ec-00ff/telemetry", "gh/n/ec-00ff/event", "gh/n/ec-00ff/config/report",
			"gh/n/ec-00ff/cmd/report", "gh/n/ec-00ff/time", "gh/n/ec-00ff/telemetry/+"}},
		{"subscribe", wire.NodeSubscribe(uid), []string{"gh/n/ec-00ff/config", "gh/n/ec-00ff/cmd", "gh/n/ec-00ff/time/reply"}},
		{"join publish", wire.JoinPublish("00ff"), []string{"gh/hello/00ff"}},
		{"join subscribe", wire.JoinSubscribe("00ff"), []string{"gh/welcome/00ff"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestKinds(t *testing.T) {
	for k := wire.KindHello; k <= wire.KindTimeReply; k++ {
		if k.String() == "unknown" {
			t.Errorf("kind %d has no name", k)
		}
		wantQoS := byte(1)
		if k == wire.KindTimeRequest || k == wire.KindTimeReply {
			wantQoS = 0
		}
		if got := k.QoS(); got != wantQoS {
			t.Errorf("%s: QoS() = %d, want %d", k, got, wantQoS)
		}
		if got, want := k.Retained(), k == wire.KindStatus || k == wire.KindConfig; got != want {
			t.Errorf("%s: Retained() = %v, want %v", k, got, want)
		}
	}
	if got := wire.Kind(0).String(); got != "unknown" {
		t.Errorf("the zero kind is %q", got)
	}
}

// code returns the code of an error of the contract, "" for nil and "?" for any
// other.
func code(err error) string {
	var e *greenhouse.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e) && errors.Is(err, greenhouse.ErrInvalid) && e.Hint != "" || e != nil && e.Code != "":
		return e.Code
	}
	return "?"
}
