package wire_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/wire"
)

func ptr[T any](v T) *T { return &v }

// marshaler is a payload that can be sent.
type marshaler interface{ Marshal() ([]byte, error) }

// decode reads a payload by the decoder of that name.
func decode(name string, payload []byte) (marshaler, error) {
	switch name {
	case "hello":
		return wire.DecodeHello(payload)
	case "welcome":
		return wire.DecodeWelcome(payload)
	case "status":
		return wire.DecodeStatus(payload)
	case "event":
		return wire.DecodeEvent(payload)
	case "config":
		return wire.DecodeConfig(payload)
	case "config report":
		return wire.DecodeConfigReport(payload)
	case "command":
		return wire.DecodeCommand(payload)
	case "command report":
		return wire.DecodeCommandReport(payload)
	case "time request":
		return wire.DecodeTimeRequest(payload)
	}
	return wire.DecodeTimeReply(payload)
}

// samples of every payload, as in the contract.
const (
	helloJSON   = `{"v":1,"hardware_id":"A4:CF:12:B3:DE:01","type":"ph","fw":"1.4.2","hw":"rev-c","name":"pH north","channels":[{"name":"solution_ph","kind":"sensor"},{"name":"pump_acid","kind":"actuator"}]}`
	welcomeJSON = `{"v":1,"ok":true,"uid":"ph-a4cf12b3de01","secret":"s3cret"}`
	refusedJSON = `{"v":1,"ok":false,"error":"pairing_closed","message":"pairing is closed"}`
	statusJSON  = `{"v":1,"online":true,"fw":"1.4.2","boot":"k3f9","uptime_s":812,"rssi":-61,"battery":3.9,"reset":"power_on"}`
	eventJSON   = `{"v":1,"ts":1764000000123,"code":"level_low","severity":"warning","ch":"level_low","detail":{"b":1,"a":[true,null]}}`
	reportJSON  = `{"v":1,"rev":7,"hash":"0000000000000000000000000000000000000000000000000000000000000000","status":"rejected","error":"no such channel"}`
	commandJSON = `{"v":1,"id":"01JD2X","epoch":12,"ch":"heater","op":"set","value":1,"lease_s":45,"expires":1764000030000}`
	answerJSON  = `{"v":1,"id":"01JD2X","status":"accepted","value":1,"error":"","detail":{}}`
	bodyJSON    = `{"interval_s":10,"link_loss_s":30,"channels":[{"name":"pump_acid","kind":"actuator","safe":0,"max_on_s":20,"min_off_s":60}, {"name":"solution_ph","kind":"sensor","cal":{"offset":0.02,"gain":1.01}}]}`
	emptyHash   = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" // of {}
)

func TestDecode(t *testing.T) {
	tests := []struct {
		name, payload string
		want          marshaler
	}{
		{"hello", helloJSON, wire.Hello{HardwareID: "a4cf12b3de01", Type: "ph", FW: "1.4.2", HW: "rev-c", Name: "pH north", Channels: []wire.HelloChannel{
			{Name: "solution_ph", Kind: "sensor"}, {Name: "pump_acid", Kind: "actuator"}}}},
		{"hello", `{"hardware_id":"a4cf","type":"multi","channels":[{"name":"heater"},{"name":"sap_flow","kind":"sensor","unit":"g/h"}]}`,
			wire.Hello{HardwareID: "a4cf", Type: "multi", Channels: []wire.HelloChannel{{Name: "heater", Kind: "actuator"}, {Name: "sap_flow", Kind: "sensor", Unit: "g/h"}}}},
		{"welcome", welcomeJSON, wire.Welcome{OK: true, UID: "ph-a4cf12b3de01", Secret: "s3cret"}},
		{"welcome", refusedJSON, wire.Welcome{Error: "pairing_closed", Message: "pairing is closed"}},
		{"status", statusJSON, wire.Status{Online: true, FW: "1.4.2", Boot: "k3f9", UptimeS: ptr(int64(812)), RSSI: ptr(-61.0), Battery: ptr(3.9), Reset: "power_on"}},
		{"status", `{"v":1,"online":false}`, wire.Status{}},
		{"status", `{"v":1,"online":true,"rssi":null,"uptime_s":0}`, wire.Status{Online: true, UptimeS: ptr(int64(0))}},
		{"event", eventJSON, wire.Event{TS: at, Code: "level_low", Severity: "warning", Channel: "level_low", Detail: json.RawMessage(`{"a":[true,null],"b":1}`)}},
		{"event", `{"v":1,"code":"started"}`, wire.Event{Code: "started", Severity: "info"}},
		{"event", `{"v":1,"ts":1764000000,"code":"level_low"}`, wire.Event{Code: "level_low", Severity: "info", Doubt: "ts is in seconds: it needs milliseconds since 1970, UTC"}},
		{"config", `{"v":1,"rev":7,"hash":"` + emptyHash + `","body":{}}`, wire.Config{Rev: 7, Hash: emptyHash, Body: json.RawMessage(`{}`)}},
		{"config report", reportJSON, wire.ConfigReport{Rev: 7, Hash: strings.Repeat("0", 64), Status: "rejected", Error: "no such channel"}},
		{"config report", `{"v":1,"rev":0,"hash":"","status":"applied"}`, wire.ConfigReport{Status: "applied"}},
		{"command", commandJSON, wire.Command{ID: "01JD2X", Epoch: 12, Channel: "heater", Op: "set", Value: ptr(1.0), LeaseS: 45, Expires: 1764000030000}},
		{"command", `{"v":1,"id":"a","epoch":1,"ch":"pump_acid","op":"pulse","ml":2.5,"expires":1764000030000}`,
			wire.Command{ID: "a", Epoch: 1, Channel: "pump_acid", Op: "pulse", VolumeML: 2.5, Expires: 1764000030000}},
		{"command", `{"v":1,"id":"a","ch":"heater","op":"stop","expires":5,"value":"x"}`, wire.Command{ID: "a", Channel: "heater", Op: "stop"}},
		{"command report", answerJSON, wire.CommandReport{ID: "01JD2X", Status: "accepted", Value: ptr(1.0), Detail: json.RawMessage(`{}`)}},
		{"time request", `{"nonce":9007199254740993}`, wire.TimeRequest{Nonce: 9007199254740993}},
		{"time reply", `{"nonce":7,"now":1764000000123,"trusted":true}`, wire.TimeReply{Nonce: 7, Now: at, Trusted: true}},
		{"time reply", `{"nonce":7,"now":12000,"trusted":false}`, wire.TimeReply{Nonce: 7, Now: 12000}},
	}
	for _, tt := range tests {
		got, err := decode(tt.name, []byte(tt.payload))
		if err != nil {
			t.Errorf("%s %s: %v", tt.name, tt.payload, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.name, tt.payload, diff)
		}
		roundTrip(t, tt.name, got)
	}
}

// roundTrip sends what was decoded and decodes it again.
func roundTrip(t *testing.T, name string, first marshaler) {
	t.Helper()
	payload, err := first.Marshal()
	if err != nil {
		t.Errorf("%s: marshal %+v: %v", name, first, err)
		return
	}
	if e, ok := first.(wire.Event); ok {
		e.Doubt = "" // not sent
		first = e
	}
	again, err := decode(name, payload)
	if diff := cmp.Diff(first, again); err != nil || diff != "" {
		t.Errorf("%s: sent as %s: %v (-want +got):\n%s", name, payload, err, diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	nested := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	tests := []struct{ name, payload, code, text string }{
		{"hello", ``, "payload_invalid", "is empty"},
		{"hello", `[]`, "payload_invalid", "'{'"},
		{"hello", `{"v":2,"hardware_id":"a4cf","type":"ph"}`, "version_unsupported", "it is 1"},
		{"hello", `{"v":"1","hardware_id":"a4cf","type":"ph"}`, "version_unsupported", "it is 1"},
		{"hello", `{"type":"ph"}`, "payload_invalid", `"hardware_id" is missing`},
		{"hello", `{"hardware_id":null,"type":"ph"}`, "payload_invalid", `"hardware_id" is missing`},
		{"hello", `{"hardware_id":"","type":"ph"}`, "hardware_id_invalid", "4 to 64"},
		{"hello", `{"hardware_id":"` + strings.Repeat("a", 65) + `","type":"ph"}`, "hardware_id_invalid", "4 to 64"},
		{"hello", `{"hardware_id":"` + strings.Repeat("a", 10_000) + `","type":"ph"}`, "payload_invalid", "10000 bytes"},
		{"hello", `{"hardware_id":"а4cf","type":"ph"}`, "hardware_id_invalid", "not allowed"}, // Cyrillic a
		{"hello", `{"hardware_id":4,"type":"ph"}`, "payload_invalid", "must be a string"},
		{"hello", `{"hardware_id":"a4cf","type":"robot"}`, "node_type_invalid", "is unknown"},
		{"hello", `{"hardware_id":"a4cf","type":"ph","name":"` + strings.Repeat("n", 129) + `"}`, "payload_invalid", "129 bytes"},
		{"hello", `{"hardware_id":"a4cf","type":"ph","name":"a\u0007b"}`, "payload_invalid", "control character"},
		{"hello", `{"hardware_id":"a4cf","type":"ph","channels":{}}`, "payload_invalid", "must be a list"},
		{"hello", `{"hardware_id":"a4cf","type":"ph","channels":[1]}`, "payload_invalid", "list of objects"},
		{"hello", `{"hardware_id":"a4cf","type":"ph","channels":[{}]}`, "payload_invalid", `channels[0]: field "name" is missing`},
		{"hello", `{"hardware_id":"a4cf","type":"ph","channels":[{"name":"x"}]}`, "payload_invalid", "sensor or actuator"},
		{"hello", `{"hardware_id":"a4cf","type":"ph","channels":[{"name":"heater","kind":"sensor"}]}`, "payload_invalid", "standard name"},
		{"hello", `{"hardware_id":"a4cf","type":"ph","channels":[{"name":"co2"},{"name":"co2"}]}`, "payload_invalid", "declared twice"},
		{"hello", `{"hardware_id":"a4cf","type":"ph","channels":[` + strings.Repeat(`{"name":"co2"},`, 999) + `{"name":"co2"}]}`, "payload_invalid", "at most 256"},
		{"hello", `{"hardware_id":"a4cf","hardware_id":"b4cf","type":"ph"}`, "payload_invalid", "twice"},
		{"hello", `{"hardware_id":"a4cf","type":"ph","x":{"a":1,"a":2}}`, "payload_invalid", "twice"},
		{"hello", `{"hardware_id":"a4cf","type":"ph","x":` + nested + `}`, "payload_invalid", "nested deeper"},
		{"hello", helloJSON + "}", "payload_invalid", "the end"},
		{"hello", "\xef\xbb\xbf" + helloJSON, "payload_invalid", "byte order mark"},
		{"hello", `{"Hardware_ID":"a4cf","type":"ph"}`, "payload_invalid", `"hardware_id" is missing`},
		{"welcome", `{"ok":true}`, "payload_invalid", "node uid"},
		{"welcome", `{"uid":"ph-a4cf"}`, "payload_invalid", `"ok" is missing`},
		{"status", `{}`, "payload_invalid", `"online" is missing`},
		{"status", `{"online":1}`, "payload_invalid", "true or false"},
		{"status", `{"online":true,"uptime_s":-1}`, "payload_invalid", `"uptime_s"`},
		{"status", `{"online":true,"uptime_s":1.5}`, "payload_invalid", `"uptime_s"`},
		{"status", `{"online":true,"rssi":"-61"}`, "payload_invalid", `"rssi"`},
		{"status", `{"online":true,"battery":1e400}`, "payload_invalid", `"battery"`},
		{"status", `{"online":true,"battery":NaN}`, "payload_invalid", "NaN or Infinity"},
		{"event", `{}`, "payload_invalid", `"code" is missing`},
		{"event", `{"code":"Level Low"}`, "payload_invalid", `"code"`},
		{"event", `{"code":"x","severity":"loud"}`, "severity_invalid", "severity"},
		{"event", `{"code":"x","ch":"A"}`, "channel_invalid", "channel"},
		{"event", `{"code":"x","detail":[]}`, "payload_invalid", "must be an object"},
		{"event", `{"code":"x","detail":{"a":"` + strings.Repeat("y", 9000) + `"}}`, "payload_invalid", "at most 8192"},
		{"config", `{"rev":1,"hash":"x","body":{}}`, "payload_invalid", "64 hex digits"},
		{"config", `{"rev":-1,"hash":"","body":{}}`, "payload_invalid", `"rev"`},
		{"config", `{"rev":1,"hash":"` + emptyHash + `"}`, "payload_invalid", `"body" is missing`},
		{"config report", `{"rev":1,"hash":"` + emptyHash + `","status":"done"}`, "payload_invalid", "applied or rejected"},
		{"config report", `{"rev":1,"hash":"` + strings.ToUpper(emptyHash) + `","status":"applied"}`, "payload_invalid", "64 hex digits"},
		{"command", `{"epoch":1,"op":"set"}`, "payload_invalid", `"id" is missing`},
		{"command", `{"id":"a b","op":"set"}`, "payload_invalid", `"id"`},
		{"command", `{"id":"a","op":"set","value":"1"}`, "payload_invalid", `"value"`},
		{"command", `{"id":"a","op":"set","expires":1764000030}`, "payload_invalid", "in seconds"},
		{"command", `{"id":"a","op":"set","epoch":-1}`, "payload_invalid", `"epoch"`},
		{"command report", `{"id":"a","status":"sent"}`, "payload_invalid", `"status"`},
		{"command report", `{"status":"done"}`, "payload_invalid", `"id" is missing`},
		{"command report", `{"id":"a","status":"done","value":1e400}`, "payload_invalid", `"value"`},
		{"time request", `{}`, "payload_invalid", `"nonce" is missing`},
		{"time request", `{"nonce":-1}`, "payload_invalid", `"nonce"`},
		{"time reply", `{"nonce":1}`, "payload_invalid", `"now" is missing`},
	}
	for _, tt := range tests {
		_, err := decode(tt.name, []byte(tt.payload))
		if code(err) != tt.code || !strings.Contains(fmt.Sprint(err), tt.text) {
			t.Errorf("%s %.80s: error is %v, want code %s and %q", tt.name, tt.payload, err, tt.code, tt.text)
		}
	}
}

// TestCommandKeepsID: a node can answer "invalid" to what it can name.
func TestCommandKeepsID(t *testing.T) {
	got, err := wire.DecodeCommand([]byte(`{"v":1,"id":"01JD","op":"set","value":true}`))
	if err == nil || got.ID != "01JD" {
		t.Errorf("got %+v, %v, want the id along with an error", got, err)
	}
}

func TestCommandCheck(t *testing.T) {
	const expires = `,"expires":1764000030000}`
	tests := []struct{ payload, text string }{
		{commandJSON, ""},
		{`{"id":"a","op":"stop"}`, ""},
		{`{"id":"a","op":"identify"` + expires, ""},
		{`{"id":"a","op":"reboot"` + expires, ""},
		{`{"id":"a","op":"calibrate","ch":"solution_ph","value":7` + expires, ""},
		{`{"id":"a","op":"pulse","ch":"pump_a","ms":500` + expires, ""},
		{`{"id":"a","op":"pulse","ch":"pump_a"` + expires, "either ms or ml"},
		{`{"id":"a","op":"pulse","ch":"pump_a","ms":5,"ml":5` + expires, "either ms or ml"},
		{`{"id":"a","op":"pulse","ms":5` + expires, "needs a channel"},
		{`{"id":"a","op":"set","ch":"fan","lease_s":60` + expires, "value from 0 to 1"},
		{`{"id":"a","op":"set","ch":"fan","value":1.01,"lease_s":60` + expires, "value from 0 to 1"},
		{`{"id":"a","op":"set","ch":"fan","value":-0.1,"lease_s":60` + expires, "value from 0 to 1"},
		{`{"id":"a","op":"set","ch":"fan","value":1` + expires, "lease_s from 1"},
		{`{"id":"a","op":"set","ch":"fan","value":1,"lease_s":86401` + expires, "lease_s from 1"},
		{`{"id":"a","op":"set","ch":"fan","value":1,"lease_s":60}`, "needs expires"},
		{`{"id":"a","op":"explode","ch":"fan"` + expires, "is unknown"},
	}
	for _, tt := range tests {
		c, err := wire.DecodeCommand([]byte(tt.payload))
		if err != nil {
			t.Errorf("%s: %v", tt.payload, err)
			continue
		}
		if err := c.Check(); (err == nil) != (tt.text == "") || !strings.Contains(fmt.Sprint(err), tt.text) {
			t.Errorf("%s: Check() = %v, want %q", tt.payload, err, tt.text)
		}
	}
}

func TestCommandOf(t *testing.T) {
	base := greenhouse.Command{ID: "01JD2X", Epoch: 12, Channel: "heater", Value: 1, LeaseS: 45, DurMs: 500, ExpiresAt: 1764000030000}
	tests := []struct {
		op   greenhouse.Op
		want string
	}{
		{greenhouse.OpSet, commandJSON},
		{greenhouse.OpPulse, `{"v":1,"id":"01JD2X","epoch":12,"ch":"heater","op":"pulse","ms":500,"expires":1764000030000}`},
		{greenhouse.OpStop, `{"v":1,"id":"01JD2X","epoch":12,"ch":"heater","op":"stop","expires":1764000030000}`},
	}
	for _, tt := range tests {
		base.Op = tt.op
		got, err := wire.CommandOf(base).Marshal()
		if diff := cmp.Diff(tt.want, string(got)); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.op, err, diff)
		}
	}
}

func TestConfigBody(t *testing.T) {
	got, err := wire.DecodeConfigBody([]byte(bodyJSON))
	want := wire.ConfigBody{IntervalS: 10, LinkLossS: 30, Channels: []wire.ConfigChannel{
		{Name: "pump_acid", Kind: "actuator", Safe: ptr(0.0), MaxOnS: 20, MinOffS: 60},
		{Name: "solution_ph", Kind: "sensor", Cal: &greenhouse.Linear{Offset: 0.02, Gain: 1.01}}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	canonical, hash := wire.HashConfig(got)
	wantCanonical := `{"channels":[{"kind":"actuator","max_on_s":20,"min_off_s":60,"name":"pump_acid","safe":0},{"cal":{"gain":1.01,"offset":0.02},"kind":"sensor","name":"solution_ph"}],"interval_s":10,"link_loss_s":30}`
	if diff := cmp.Diff(wantCanonical, string(canonical)); diff != "" {
		t.Errorf("canonical (-want +got):\n%s", diff)
	}
	cfg := wire.NewConfig(7, got)
	payload, err := cfg.Marshal()
	if err != nil || !strings.HasSuffix(string(payload), `"body":`+wantCanonical+`}`) {
		t.Errorf("the config is sent as %s, %v, want the canonical body byte for byte", payload, err)
	}
	back, err := wire.DecodeConfig(payload)
	if err != nil || !back.Intact() || back.Hash != hash {
		t.Errorf("the config came back as %+v, %v", back, err)
	}
	back.Body = json.RawMessage(`{"interval_s":11}`)
	if back.Intact() {
		t.Error("another body passes for the one that was hashed")
	}
}

func TestConfigBodyRefuses(t *testing.T) {
	tests := []struct{ body, text string }{
		{`{"interval_s":0}`, `"interval_s"`},
		{`{"interval_s":1.5}`, `"interval_s"`},
		{`{"link_loss_s":86401}`, `"link_loss_s"`},
		{`{"channels":[{"name":"heater","safe":2}]}`, `"safe"`},
		{`{"channels":[{"name":"heater","max_on_s":-1}]}`, `"max_on_s"`},
		{`{"channels":[{"name":"heater"},{"name":"heater"}]}`, "configured twice"},
		{`{"channels":[{"name":"co2","cal":5}]}`, "must be an object"},
		{`{"channels":[{"name":"co2","cal":{"gain":0}}]}`, "must not be 0"},
		{`{"channels":[{"name":"mystery"}]}`, "sensor or actuator"},
		{`{"channels":[{"kind":"sensor"}]}`, `"name" is missing`},
	}
	for _, tt := range tests {
		_, err := wire.DecodeConfigBody([]byte(tt.body))
		if err == nil || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: error is %v, want %q", tt.body, err, tt.text)
		}
	}
}

func TestConfigBodyOf(t *testing.T) {
	node := &greenhouse.Node{LinkLossS: 45, Channels: []greenhouse.Channel{
		{Name: "heater", Kind: "actuator", Safe: 0, MaxOnS: 600, Cal: &greenhouse.Linear{Gain: 2}},
		{Name: "air_temp", Kind: "sensor", MaxOnS: 5, Cal: &greenhouse.Linear{Offset: 0.5, Gain: 1}}}}
	got := wire.ConfigBodyOf(node)
	want := wire.ConfigBody{IntervalS: 10, LinkLossS: 45, Channels: []wire.ConfigChannel{
		{Name: "heater", Kind: "actuator", Safe: ptr(0.0), MaxOnS: 600},
		{Name: "air_temp", Kind: "sensor", Cal: &greenhouse.Linear{Offset: 0.5, Gain: 1}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	node.Channels[1].Cal.Offset = math.NaN()
	if canonical, _ := wire.HashConfig(wire.ConfigBodyOf(node)); !json.Valid(canonical) || strings.Contains(string(canonical), "cal") {
		t.Errorf("a calibration that is no number is sent as %s", canonical)
	}
}

// TestHashIsStable: bodies that mean the same have one hash, whatever they look
// like on the way.
func TestHashIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := wire.ConfigBody{IntervalS: rapid.IntRange(1, 86400).Draw(t, "interval"), LinkLossS: rapid.IntRange(1, 86400).Draw(t, "link loss")}
		for i := range rapid.IntRange(0, 5).Draw(t, "channels") {
			body.Channels = append(body.Channels, wire.ConfigChannel{Name: greenhouse.ChannelName(fmt.Sprintf("c%d", i)), Kind: "sensor",
				Cal: &greenhouse.Linear{Offset: rapid.Float64Range(-1e6, 1e6).Draw(t, "offset"), Gain: rapid.Float64Range(0.1, 10).Draw(t, "gain")}})
		}
		canonical, hash := wire.HashConfig(body)
		back, err := wire.DecodeConfigBody(canonical)
		if err != nil {
			t.Fatalf("%s: %v", canonical, err)
		}
		if again, hashAgain := wire.HashConfig(back); hashAgain != hash {
			t.Fatalf("%s became %s", canonical, again)
		}
	})
}

// FuzzDecode checks of every decoder but telemetry's that it never panics,
// accepts nothing that encoding/json refuses, and round-trips what it accepts.
func FuzzDecode(f *testing.F) {
	names := []string{"hello", "welcome", "status", "event", "config", "config report", "command", "command report", "time request", "time reply"}
	for _, seed := range []string{helloJSON, welcomeJSON, refusedJSON, statusJSON, eventJSON, reportJSON, commandJSON, answerJSON, `{"nonce":7,"now":5}`,
		`{"v":1,"rev":7,"hash":"` + emptyHash + `","body":` + bodyJSON + `}`, `{"a":{"b":[1,2,{"c":null}]},"a":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, name := range names {
			got, err := decode(name, payload)
			switch {
			case err != nil && code(err) == "?":
				t.Fatalf("%s: error without a code: %v", name, err)
			case err != nil:
			case !json.Valid(payload):
				t.Fatalf("%s: accepted %q, which is not JSON", name, payload)
			default:
				roundTrip(t, name, got)
			}
		}
	})
}

// FuzzConfigBody checks that a body that is accepted keeps its meaning under
// hashing.
func FuzzConfigBody(f *testing.F) {
	f.Add([]byte(bodyJSON))
	f.Add([]byte(`{"channels":[{"name":"x","kind":"sensor","cal":{"gain":1e-9}}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		body, err := wire.DecodeConfigBody(payload)
		if err != nil {
			return
		}
		canonical, _ := wire.HashConfig(body)
		again, err := wire.DecodeConfigBody(canonical)
		if diff := cmp.Diff(body, again); err != nil || diff != "" {
			t.Fatalf("%q became %q: %v (-want +got):\n%s", payload, canonical, err, diff)
		}
	})
}

// FuzzParseTopic checks that a topic is accepted only as it would be written.
func FuzzParseTopic(f *testing.F) {
	for _, seed := range []string{"gh/hello/a4cf12b3de01", "gh/n/ph-a4cf/telemetry/co2", "gh/n/ph-a4cf/cmd/report", "gh/n/+/#"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, topic string) {
		if got, err := wire.ParseTopic(topic); err == nil && got.String() != topic {
			t.Fatalf("%q is taken for %q", topic, got.String())
		}
	})
}
