package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/itchyny/gojq"
	"go.yaml.in/yaml/v3"

	"greenhouse"
)

// view is one answer in its human forms.
type view struct {
	table func() table
	names func() []string
}

// show writes v as JSON or YAML, or its view as a table or as names, as asked.
func (a *app) show(v any, human view) error {
	switch a.output {
	case "json":
		return a.showJSON(v)
	case "yaml":
		return a.showYAML(v)
	case "name":
		for _, n := range human.names() {
			if _, err := fmt.Fprintln(a.out, n); err != nil {
				return err
			}
		}
		return nil
	}
	return a.showTable(human.table())
}

func (a *app) showJSON(v any) error {
	if a.jq != "" {
		return a.filter(v, func(x any) error {
			if s, ok := x.(string); ok {
				_, err := fmt.Fprintln(a.out, s)
				return err
			}
			return encodeJSON(a.out, x)
		})
	}
	return encodeJSON(a.out, v)
}

func encodeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// showLine writes v as one line of JSON, for streams.
func (a *app) showLine(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	if a.jq == "" {
		return e.Encode(v)
	}
	return a.filter(v, e.Encode)
}

func (a *app) showYAML(v any) error {
	if a.jq != "" {
		return a.filter(v, func(x any) error { return writeYAML(a.out, x) })
	}
	return writeYAML(a.out, v)
}

// writeYAML writes v by way of its JSON form, so that both have the same
// fields in the same order.
func writeYAML(w io.Writer, v any) error {
	var buf bytes.Buffer
	if err := encodeJSON(&buf, v); err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(buf.Bytes(), &node); err != nil {
		return err
	}
	plain(&node)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	return errors.Join(e.Encode(&node), e.Close())
}

// plain takes JSON's quoting and braces off a YAML tree.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plain(c)
	}
}

// filter runs the --jq expression over v.
func (a *app) filter(v any, emit func(any) error) error {
	query, err := gojq.Parse(a.jq)
	if err != nil {
		return greenhouse.Invalid("usage", "--jq %q is not understood: %v", a.jq, err).WithHint("example: --jq '.items[].uid'")
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var plain any
	if err := json.Unmarshal(raw, &plain); err != nil {
		return err
	}
	for it := query.Run(plain); ; {
		x, ok := it.Next()
		if !ok {
			return nil
		}
		if err, bad := x.(error); bad {
			return greenhouse.Invalid("usage", "--jq %q: %v", a.jq, err)
		}
		if err := emit(x); err != nil {
			return err
		}
	}
}

// note says something to the person, never to the script.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.err, format+"\n", args...)
}

// done answers a write that leaves no record to show: scripts get one all the
// same, people a sentence on standard error.
func (a *app) done(id, format string, args ...any) error {
	if a.human() {
		a.note(format, args...)
		return nil
	}
	type outcome struct {
		OK bool   `json:"ok"`
		ID string `json:"id"`
	}
	return a.show(outcome{true, id}, view{names: func() []string { return []string{id} }})
}

// printError says what went wrong, and what to do: what, why, hint.
func printError(w io.Writer, err error) {
	fmt.Fprintln(w, "error: "+strings.Join(strings.Fields(err.Error()), " "))
	if d := (*raceError)(nil); errors.As(err, &d) {
		for _, line := range d.diff {
			fmt.Fprintln(w, "  "+clean(line))
		}
	}
	if hint := hintOf(err); hint != "" {
		fmt.Fprintln(w, "hint: "+hint)
	}
}

// hintOf returns what the person can do about err, "" where nobody knows.
func hintOf(err error) string {
	if s := (*greenhouse.StaleError)(nil); errors.As(err, &s) {
		switch s.Noun {
		case "site":
			return "greenctl site get and try again"
		case "account", "token", "alarm": // have no page of their own
			return fmt.Sprintf("greenctl %s list -o wide and try again", s.Noun)
		}
		return fmt.Sprintf("greenctl %s get %s and try again", s.Noun, s.ID)
	}
	if e := (*greenhouse.Error)(nil); errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

// human reports whether the output is for people rather than for a script.
func (a *app) human() bool { return a.output == "" || a.output == "table" || a.output == "wide" }
