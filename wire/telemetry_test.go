package wire_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/wire"
)

const at = greenhouse.Millis(1764000000123)

// sample is shorthand for a sample with a time.
func sample(c greenhouse.ChannelName, v float64) wire.Sample {
	return wire.Sample{Channel: c, At: at, HasAt: true, Value: v}
}

func TestTelemetry(t *testing.T) {
	tests := []struct {
		name, payload string
		want          wire.Telemetry
	}{
		{"contract", twoValues, wire.Telemetry{Boot: "k3f9", Seq: 42, HasSeq: true,
			Samples: []wire.Sample{sample("air_temp", 23.41), sample("air_rh", 61.2)}}},
		{"time last", `{"m":{"co2":410},"seq":1,"boot":"b","ts":1764000000123,"v":1}`, wire.Telemetry{Boot: "b", Seq: 1, HasSeq: true,
			Samples: []wire.Sample{sample("co2", 410)}}},
		{"no time", `{"v":1,"m":{"co2":410}}`, wire.Telemetry{Samples: []wire.Sample{{Channel: "co2", Value: 410}}}},
		{"null time", `{"v":1,"ts":null,"m":{"co2":410}}`, wire.Telemetry{Samples: []wire.Sample{{Channel: "co2", Value: 410}}}},
		{"no version", `{"ts":1764000000123,"m":{"co2":410}}`, wire.Telemetry{Samples: []wire.Sample{sample("co2", 410)}}},
		{"backlog", `{"v":1,"boot":"k3f9","seq":43,"batch":[{"ts":1764000000123,"m":{"co2":1}},{"m":{"co2":2},"ts":1764000001123},{"m":{"co2":3}}]}`,
			wire.Telemetry{Boot: "k3f9", Seq: 43, HasSeq: true, Samples: []wire.Sample{sample("co2", 1),
				{Channel: "co2", At: 1764000001123, HasAt: true, Value: 2}, {Channel: "co2", Value: 3}}}},
		{"empty backlog", `{"v":1,"batch":[]}`, wire.Telemetry{}},
		{"empty values", `{"v":1,"seq":9,"m":{}}`, wire.Telemetry{Seq: 9, HasSeq: true}},
		{"booleans and null", `{"v":1,"ts":1764000000123,"m":{"rain":true,"level_low":false,"air_temp":null}}`, wire.Telemetry{Samples: []wire.Sample{
			sample("rain", 1), sample("level_low", 0), {Channel: "air_temp", At: at, HasAt: true, Null: true}}}},
		{"white space", " {\r\n\t\"v\" : 1 , \"ts\": 1764000000123, \"m\" : { \"co2\" : 4.1e2 } } \n", wire.Telemetry{Samples: []wire.Sample{sample("co2", 410)}}},
		{"escaped key", `{"v":1,"ts":1764000000123,"\u006d":{"c\u006f2":410}}`, wire.Telemetry{Samples: []wire.Sample{sample("co2", 410)}}},
		{"unknown fields", `{"v":1,"x":[1,{"y":"\u00e9"},null,true,false,-1.5e-3],"ts":1764000000123,"m":{"co2":410},"M":5}`,
			wire.Telemetry{Samples: []wire.Sample{sample("co2", 410)}}},
		{"time as a double", `{"v":1,"ts":1.764000000123e12,"m":{"co2":410}}`, wire.Telemetry{Samples: []wire.Sample{sample("co2", 410)}}},
		{"large seq", `{"seq":9223372036854775807,"m":{}}`, wire.Telemetry{Seq: math.MaxInt64, HasSeq: true}},
		{"sentinels are values", `{"ts":1764000000123,"m":{"air_temp":85.0,"solution_temp":-127,"soil_temp":255.0,"lux":1e6}}`, wire.Telemetry{Samples: []wire.Sample{
			sample("air_temp", 85), sample("solution_temp", -127), sample("soil_temp", 255), sample("lux", 1e6)}}},
	}
	var d wire.Decoder
	var got wire.Telemetry
	for _, tt := range tests {
		if err := d.Telemetry([]byte(tt.payload), &got); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestTelemetryRefusesMessage(t *testing.T) {
	nested := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	tests := []struct{ name, payload, code, text string }{
		{"empty", ``, "payload_invalid", "is empty"},
		{"white space", ` `, "payload_invalid", "ends where"},
		{"not JSON", `hello`, "payload_invalid", "is not JSON: byte 0"},
		{"binary", "\x00\x01\x02", "payload_invalid", "is not JSON"},
		{"truncated", twoValues[:len(twoValues)-1], "payload_invalid", "ends where"},
		{"truncated string", `{"boot":"k3`, "payload_invalid", "ends within a string"},
		{"truncated escape", `{"boot":"k3\`, "payload_invalid", "ends within a string"},
		{"bad escape", `{"boot":"k\x3","m":{}}`, "payload_invalid", "bad escape"},
		{"array", `[1]`, "payload_invalid", "'{'"},
		{"byte order mark", "\xef\xbb\xbf" + twoValues, "payload_invalid", "byte order mark"},
		{"not UTF-8", "{\"boot\":\"\xff\",\"m\":{}}", "payload_invalid", "UTF-8"},
		{"control character", "{\"boot\":\"a\nb\",\"m\":{}}", "payload_invalid", "character of a string"},
		{"trailing garbage", twoValues + "x", "payload_invalid", "the end"},
		{"trailing NUL", twoValues + "\x00", "payload_invalid", "the end"},
		{"two documents", twoValues + twoValues, "payload_invalid", "the end"},
		{"trailing comma", `{"m":{"co2":1,}}`, "payload_invalid", "a string"},
		{"unquoted key", `{m:{}}`, "payload_invalid", "a string"},
		{"NaN", `{"m":{"air_temp":NaN}}`, "payload_invalid", "NaN or Infinity"},
		{"nan", `{"m":{"air_temp":nan}}`, "payload_invalid", "NaN or Infinity"},
		{"Infinity", `{"m":{"air_temp":Infinity}}`, "payload_invalid", "NaN or Infinity"},
		{"-Infinity", `{"m":{"air_temp":-Infinity}}`, "payload_invalid", "NaN or Infinity"},
		{"plus sign", `{"m":{"co2":+4}}`, "payload_invalid", "a value"},
		{"leading zero", `{"m":{"co2":04}}`, "payload_invalid", "leading zero"},
		{"bare point", `{"m":{"co2":.5}}`, "payload_invalid", "a value"},
		{"point at the end", `{"m":{"co2":5.}}`, "payload_invalid", "a digit"},
		{"empty exponent", `{"m":{"co2":5e}}`, "payload_invalid", "a digit"},
		{"hexadecimal", `{"m":{"co2":0x10}}`, "payload_invalid", "',' or '}'"},
		{"key twice", `{"ts":1764000000123,"m":{"co2":1},"ts":1764000000124}`, "payload_invalid", "same key twice"},
		{"m twice", `{"m":{"co2":1},"m":{"co2":2}}`, "payload_invalid", "same key twice"},
		{"key twice by an escape", `{"m":{},"\u006d":{}}`, "payload_invalid", "same key twice"},
		{"key twice in a batch", `{"batch":[{"m":{},"m":{}}]}`, "payload_invalid", "same key twice"},
		{"channel twice", `{"m":{"co2":1,"co2":2}}`, "payload_invalid", `"co2" twice`},
		{"neither", `{"v":1,"seq":3}`, "payload_invalid", "neither m nor batch"},
		{"both", `{"v":1,"m":{},"batch":[]}`, "payload_invalid", "both m and batch"},
		{"values are a list", `{"m":[1]}`, "payload_invalid", "'{'"},
		{"batch is an object", `{"batch":{}}`, "payload_invalid", "'['"},
		{"batch of numbers", `{"batch":[1]}`, "payload_invalid", "'{'"},
		{"boot is a number", `{"boot":4,"m":{}}`, "payload_invalid", "a string"},
		{"boot is long", `{"boot":"` + strings.Repeat("x", 65) + `","m":{}}`, "payload_invalid", "65 bytes"},
		{"seq is negative", `{"seq":-1,"m":{}}`, "payload_invalid", `"seq"`},
		{"seq is a fraction", `{"seq":1.5,"m":{}}`, "payload_invalid", `"seq"`},
		{"seq is a string", `{"seq":"1","m":{}}`, "payload_invalid", `"seq"`},
		{"seq is huge", `{"seq":9223372036854775808,"m":{}}`, "payload_invalid", `"seq"`},
		{"seq is beyond a double", `{"seq":1e400,"m":{}}`, "payload_invalid", `"seq"`},
		{"version 2", `{"v":2,"m":{"co2":1}}`, "version_unsupported", "it is 1"},
		{"version 2 last", `{"m":{"co2":1},"v":2}`, "version_unsupported", "it is 1"},
		{"version text", `{"v":"1","m":{"co2":1}}`, "version_unsupported", "it is 1"},
		{"nested value", `{"m":{"co2":` + nested + `}}`, "payload_invalid", "nested deeper"},
		{"nested unknown field", `{"x":` + nested + `,"m":{}}`, "payload_invalid", "nested deeper"},
		{"too large", `{"m":{}}` + strings.Repeat(" ", wire.MaxPayload), "payload_invalid", "more than the 65536"},
		{"bad value after good ones", `{"m":{"co2":1,"air_temp":oops}}`, "payload_invalid", "a value"},
	}
	var d wire.Decoder
	var got wire.Telemetry
	for _, tt := range tests {
		err := d.Telemetry([]byte(tt.payload), &got)
		if code(err) != tt.code || !strings.Contains(fmt.Sprint(err), tt.text) {
			t.Errorf("%s: error is %v, want code %s and %q", tt.name, err, tt.code, tt.text)
		}
		if len(got.Samples)+len(got.Refused) != 0 || got.Boot != "" || got.HasSeq {
			t.Errorf("%s: a message that failed left %+v", tt.name, got)
		}
	}
}

func TestTelemetryRefusesSample(t *testing.T) {
	tests := []struct{ name, payload, channel, text string }{
		{"1e400", `{"ts":1764000000123,"m":{"co2":410,"bad":1e400}}`, "bad", "range of a double"},
		{"-1e999", `{"ts":1764000000123,"m":{"bad":-1e999,"co2":410}}`, "bad", "range of a double"},
		{"text", `{"ts":1764000000123,"m":{"bad":"23.4","co2":410}}`, "bad", "is a string"},
		{"object", `{"ts":1764000000123,"m":{"bad":{"v":1},"co2":410}}`, "bad", "object or array"},
		{"array", `{"ts":1764000000123,"m":{"bad":[1,2],"co2":410}}`, "bad", "object or array"},
		{"upper case", `{"ts":1764000000123,"m":{"Air_Temp":20,"co2":410}}`, "Air_Temp", "the name"},
		{"look-alike", `{"ts":1764000000123,"m":{"сo2":20,"co2":410}}`, "сo2", "the name"},
		{"full-width", `{"ts":1764000000123,"m":{"ｃo2":20,"co2":410}}`, "ｃo2", "the name"},
		{"no name", `{"ts":1764000000123,"m":{"":20,"co2":410}}`, "", "the name"},
		{"long name", `{"ts":1764000000123,"m":{"` + strings.Repeat("a", 33) + `":20,"co2":410}}`, strings.Repeat("a", 33), "the name"},
		{"huge name", `{"ts":1764000000123,"m":{"` + strings.Repeat("é", 30_000) + `":20,"co2":410}}`, strings.Repeat("é", 20), "the name"},
		{"one entry of a backlog", `{"batch":[{"ts":1764000000,"m":{"bad":1}},{"ts":1764000000123,"m":{"co2":410}}]}`, "bad", "in seconds"},
	}
	var d wire.Decoder
	var got wire.Telemetry
	for _, tt := range tests {
		if err := d.Telemetry([]byte(tt.payload), &got); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff([]wire.Sample{sample("co2", 410)}, got.Samples); diff != "" {
			t.Errorf("%s: the rest (-want +got):\n%s", tt.name, diff)
		}
		if len(got.Refused) != 1 || got.Refused[0].Channel != tt.channel || !strings.Contains(got.Refused[0].Reason, tt.text) {
			t.Errorf("%s: refused %+v, want %q with %q", tt.name, got.Refused, tt.channel, tt.text)
		}
	}
}

func TestTelemetryTimes(t *testing.T) {
	tests := []struct{ ts, text string }{
		{`0`, "before March 1973"},
		{`-1764000000123`, "before March 1973"},
		{`1764000000`, "in seconds"},
		{`99999999999`, "in seconds"},
		{`1764000000.123`, "fraction"},
		{`1764000000123.5`, "fraction"},
		{`"1764000000123"`, "not a number"},
		{`true`, "not a number"},
		{`{}`, "not a number"},
		{`1764000000123000`, "beyond the year 9999"}, // microseconds
		{`1e400`, "beyond the year 9999"},
		{`100000000000`, ""},
		{`4291747200000`, ""}, // 2106: too far ahead, which takes a clock to say
	}
	var d wire.Decoder
	var got wire.Telemetry
	for _, tt := range tests {
		payload := `{"v":1,"seq":7,"ts":` + tt.ts + `,"m":{"air_temp":20,"co2":410}}`
		if err := d.Telemetry([]byte(payload), &got); err != nil {
			t.Errorf("ts %s: %v", tt.ts, err)
			continue
		}
		if !got.HasSeq || got.Seq != 7 {
			t.Errorf("ts %s: the sequence number was lost", tt.ts)
		}
		if tt.text == "" {
			if len(got.Samples) != 2 || len(got.Refused) != 0 {
				t.Errorf("ts %s: got %+v, want both samples", tt.ts, got)
			}
			continue
		}
		if len(got.Samples) != 0 || len(got.Refused) != 2 || !strings.Contains(got.Refused[0].Reason, tt.text) {
			t.Errorf("ts %s: got %+v, want both samples refused with %q", tt.ts, got, tt.text)
		}
	}
}

func TestTelemetryManyChannels(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"ts":1764000000123,"m":{`)
	for i := range 1000 {
		fmt.Fprintf(&b, `%s"c%d":%d`, strings.Repeat(",", min(i, 1)), i, i)
	}
	b.WriteString(`}}`)
	var d wire.Decoder
	var got wire.Telemetry
	if err := d.Telemetry([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Samples) != wire.MaxChannels || len(got.Refused) != 1000-wire.MaxChannels {
		t.Errorf("kept %d and refused %d samples, want %d and %d", len(got.Samples), len(got.Refused), wire.MaxChannels, 1000-wire.MaxChannels)
	}
}

// TestTelemetryInterning sends more names and boots than the tables hold.
func TestTelemetryInterning(t *testing.T) {
	var d wire.Decoder
	var got wire.Telemetry
	for i := range 10_000 {
		name := greenhouse.ChannelName("c" + strconv.Itoa(i))
		if err := d.Telemetry([]byte(fmt.Sprintf(`{"boot":"b%d","m":{"%s":1}}`, i, name)), &got); err != nil {
			t.Fatal(err)
		}
		if got.Boot != fmt.Sprintf("b%d", i) || got.Samples[0].Channel != name {
			t.Fatalf("message %d decoded as %+v", i, got)
		}
	}
}

func TestTelemetryAllocatesNothing(t *testing.T) {
	payload := []byte(twoValues)
	var d wire.Decoder
	var into wire.Telemetry
	got := testing.AllocsPerRun(100, func() {
		if err := d.Telemetry(payload, &into); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("decoding allocates %v times a message, want none", got)
	}
}

// TestNumbers compares the scanner's arithmetic with the standard library's.
func TestNumbers(t *testing.T) {
	check := func(t interface{ Errorf(string, ...any) }, text string) {
		got, _, err := wire.BareValue([]byte(text))
		want, wantErr := strconv.ParseFloat(text, 64)
		if (err == nil) != (wantErr == nil) || err == nil && (got != want || math.Signbit(got) && got == 0) {
			t.Errorf("%s: got %v, %v, want %v, %v", text, got, err, want, wantErr)
		}
	}
	for _, text := range []string{"0", "-0", "0.0", "-0.0e5", "1e22", "1e23", "9007199254740993", "123456789012345678901234567890", "0.1", "2.2250738585072011e-308",
		"4.9e-324", "1e-400", "-1e-400", "1.7976931348623157e308", "1.7976931348623159e308", "1e400", "1E+2", "1e-2", "576460752303423488", "18446744073709551616", "0.30000000000000004"} {
		check(t, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?`).Draw(t, "number")
		check(t, text)
	})
}

func TestBareValue(t *testing.T) {
	tests := []struct {
		payload string
		value   float64
		null    bool
		text    string // of the error, "" for none
	}{
		{"23.41", 23.41, false, ""},
		{" -4 \r\n", -4, false, ""},
		{"true", 1, false, ""},
		{"false", 0, false, ""},
		{"null", 0, true, ""},
		{"", 0, false, "is empty"},
		{"nan", 0, false, "NaN or Infinity"},
		{"-inf", 0, false, "NaN or Infinity"},
		{"1e400", 0, false, "range of a double"},
		{`"23.4"`, 0, false, "is a string"},
		{"{}", 0, false, "object or array"},
		{"ON", 0, false, "a value"},
		{"23.4 °C", 0, false, "the end"},
		{"23,4", 0, false, "the end"},
		{"1 2", 0, false, "the end"},
		{"\xef\xbb\xbf1", 0, false, "byte order mark"},
	}
	for _, tt := range tests {
		value, null, err := wire.BareValue([]byte(tt.payload))
		if value != tt.value || null != tt.null || (err == nil) != (tt.text == "") || !strings.Contains(fmt.Sprint(err), tt.text) {
			t.Errorf("BareValue(%q) = %v, %v, %v, want %v, %v, %q", tt.payload, value, null, err, tt.value, tt.null, tt.text)
		}
	}
}

func TestAppendTelemetry(t *testing.T) {
	tests := []struct {
		name string
		msg  wire.Telemetry
		want string
	}{
		{"contract", wire.Telemetry{Boot: "k3f9", Seq: 42, HasSeq: true, Samples: []wire.Sample{sample("air_temp", 23.41), sample("air_rh", 61.2)}}, twoValues},
		{"backlog", wire.Telemetry{Boot: "k3f9", Seq: 43, HasSeq: true, Samples: []wire.Sample{sample("co2", 1), {Channel: "co2", At: 1764000001123, HasAt: true, Value: 2}}},
			`{"v":1,"boot":"k3f9","seq":43,"batch":[{"ts":1764000000123,"m":{"co2":1}},{"ts":1764000001123,"m":{"co2":2}}]}`},
		{"nothing", wire.Telemetry{}, `{"v":1,"m":{}}`},
		{"channel twice", wire.Telemetry{Samples: []wire.Sample{sample("a", 1), sample("b", 2), sample("a", 3)}},
			`{"v":1,"batch":[{"ts":1764000000123,"m":{"a":1,"b":2}},{"ts":1764000000123,"m":{"a":3}}]}`},
		{"failed reads", wire.Telemetry{Samples: []wire.Sample{{Channel: "a", Value: math.NaN()}, {Channel: "b", Value: math.Inf(-1)}, {Channel: "c", Null: true}, {Channel: "d", Value: math.Copysign(0, -1)}}},
			`{"v":1,"m":{"a":null,"b":null,"c":null,"d":0}}`},
		{"numbers", wire.Telemetry{Samples: []wire.Sample{{Channel: "a", Value: 1e-7}, {Channel: "b", Value: 1e21}, {Channel: "c", Value: 123456789}}},
			`{"v":1,"m":{"a":1e-7,"b":1e+21,"c":123456789}}`},
		{"boot with a quote", wire.Telemetry{Boot: "a\"\\\n\x01é"}, `{"v":1,"boot":"a\"\\\n\u0001é","m":{}}`},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, string(wire.AppendTelemetry(nil, &tt.msg))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// FuzzTelemetry checks that decoding never panics, that it accepts nothing that
// encoding/json refuses, and that what was accepted survives a round trip.
func FuzzTelemetry(f *testing.F) {
	for _, seed := range []string{twoValues, `{"batch":[{"ts":1764000000123,"m":{"co2":1}},{"m":{"co2":null}}]}`, `{"v":1,"m":{"a":1e400,"b":"x"}}`, `{"m":{"co2":NaN}}`,
		`{"x":[[[]]],"boot":"\u00e9","seq":18446744073709551616}`, `{"ts":1764000000,"m":{"co2":-0}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var d wire.Decoder
		var first, second wire.Telemetry
		if err := d.Telemetry(payload, &first); err != nil {
			if code(err) == "?" {
				t.Fatalf("error without a code: %v", err)
			}
			return
		}
		if !json.Valid(payload) {
			t.Fatalf("accepted %q, which is not JSON", payload)
		}
		again := wire.AppendTelemetry(nil, &first)
		if len(again) > wire.MaxPayload {
			return
		}
		if err := d.Telemetry(again, &second); err != nil {
			t.Fatalf("%q came back as %q: %v", payload, again, err)
		}
		first.Refused = nil
		if diff := cmp.Diff(first, second, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%q came back as %q (-want +got):\n%s", payload, again, diff)
		}
	})
}

// FuzzBareValue checks that a bare value never panics and round-trips.
func FuzzBareValue(f *testing.F) {
	for _, seed := range []string{"1", "-0.5e-7", "null", "true", "nan", "1e400", " 7 "} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		value, null, err := wire.BareValue(payload)
		if err != nil {
			return
		}
		got, gotNull, err := wire.BareValue(wire.AppendBareValue(nil, value, null))
		if err != nil || got != value || gotNull != null {
			t.Fatalf("%q is %v, %v and came back as %v, %v, %v", payload, value, null, got, gotNull, err)
		}
	})
}
