package wire_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"greenhouse/wire"
)

// TestDocs decodes every example of docs/wire.md, so that the page cannot drift
// from what is understood.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../docs/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	decoded := map[string]int{}
	heading := ""
	for _, part := range strings.SplitAfter(string(page), "```") {
		if body, ok := strings.CutPrefix(part, "json\n"); ok {
			decoded[heading] += examples(t, heading, strings.TrimSuffix(body, "```"))
		}
		for line := range strings.Lines(part) {
			if name, ok := strings.CutPrefix(line, "### "); ok {
				heading = strings.ToLower(strings.TrimSpace(name))
			}
		}
	}
	for _, name := range []string{"hello", "welcome", "status", "telemetry", "event", "config", "config report", "command", "command report"} {
		if decoded[name] == 0 {
			t.Errorf("docs/wire.md has no example of a %s", name)
		}
	}
}

// examples decodes the messages of one block and counts them.
func examples(t *testing.T, heading, block string) int {
	t.Helper()
	n := 0
	for d := json.NewDecoder(strings.NewReader(block)); ; n++ {
		var payload json.RawMessage
		err := d.Decode(&payload)
		if errors.Is(err, io.EOF) {
			return n
		}
		if err == nil && heading == "telemetry" {
			var decoder wire.Decoder
			var msg wire.Telemetry
			if err = decoder.Telemetry(payload, &msg); err == nil && len(msg.Refused) > 0 {
				t.Errorf("%s: refused %+v", payload, msg.Refused)
			}
		} else if err == nil {
			var got marshaler
			got, err = decode(heading, payload)
			if c, ok := got.(wire.Config); ok && !c.Intact() {
				t.Errorf("the hash in %s is not %s", payload, wire.HashBody(c.Body))
			}
			if c, ok := got.(wire.Command); ok && err == nil {
				err = c.Check()
			}
		}
		if err != nil {
			t.Fatalf("%s: %v in %s", heading, err, payload)
		}
	}
}
