package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"greenhouse"
)

// apiVersion is that of the documents people write.
const apiVersion = "greenhouse/v1"

// longestDocument is the most that is read of a file.
const longestDocument = 1 << 20

// readFile reads a document that a person wrote, "-" from standard input.
func (a *app) readFile(name string) ([]byte, error) {
	var r io.Reader = a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, greenhouse.Invalid("file_unreadable", "%s cannot be read: %v", name, errors.Unwrap(err))
		}
		defer func() { _ = f.Close() }() // it was only read
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, longestDocument+1))
	switch {
	case err != nil:
		return nil, greenhouse.Invalid("file_unreadable", "%s cannot be read: %v", name, err)
	case len(data) > longestDocument:
		return nil, greenhouse.Invalid("file_too_large", "%s is longer than 1 MiB", name)
	}
	return data, nil
}

// document is a YAML or JSON text with its name, for errors.
type document struct {
	file string
	node yaml.Node
}

// parseDocument reads one document.
func parseDocument(file string, data []byte) (*document, error) {
	d := &document{file: file}
	if err := yaml.Unmarshal(data, &d.node); err != nil {
		where := file
		if m := regexp.MustCompile(`line (\d+): `).FindStringSubmatch(err.Error()); m != nil {
			where += ":" + m[1]
		}
		text := regexp.MustCompile(`^yaml: (line \d+: )?`).ReplaceAllString(err.Error(), "")
		return nil, greenhouse.Invalid("yaml_invalid", "%s is not YAML: %s", where, text)
	}
	if len(d.node.Content) != 1 || d.node.Content[0].Kind != yaml.MappingNode {
		return nil, greenhouse.Invalid("yaml_invalid", "%s holds no document: write name: value lines", file)
	}
	return d, nil
}

// root is the mapping at the top.
func (d *document) root() *yaml.Node { return d.node.Content[0] }

// field returns the value of a field of a mapping, nil for none.
func field(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// refuse says what is wrong, with file and line.
func (d *document) refuse(n *yaml.Node, format string, args ...any) *greenhouse.Error {
	return greenhouse.Invalid("yaml_invalid", "%s:%d: %s", d.file, n.Line, fmt.Sprintf(format, args...))
}

// decode reads a part of the document into a value as its JSON form says, and refuses
// what that does not know, and values of another kind, by line.
func (d *document) decode(n *yaml.Node, into any) error {
	if err := d.check(n, reflect.TypeOf(into).Elem()); err != nil {
		return err
	}
	var plain any
	if err := n.Decode(&plain); err != nil {
		return d.refuse(n, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	raw, err := json.Marshal(plain)
	if err != nil {
		return d.refuse(n, "it has no JSON form: %v", err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		if own := (*greenhouse.Error)(nil); errors.As(err, &own) {
			return own
		}
		return d.refuse(n, "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// check compares a node with the type it is to become.
func (d *document) check(n *yaml.Node, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	own := reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
	switch {
	case n.Kind == yaml.AliasNode:
		return d.refuse(n, "an alias (*%s) is not taken: write it out", n.Value)
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null", n.Kind == yaml.ScalarNode && own:
		return nil
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		return d.checkFields(n, t)
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		return d.checkValues(n, func(string) (reflect.Type, error) { return t.Elem(), nil })
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for _, item := range n.Content {
			if err := d.check(item, t.Elem()); err != nil {
				return err
			}
		}
		return nil
	case n.Kind == yaml.ScalarNode && fits(n.Tag, t.Kind()):
		return nil
	}
	return d.refuse(n, "%s is expected here", kindWords(t.Kind()))
}

// checkFields compares a mapping with a struct.
func (d *document) checkFields(n *yaml.Node, t reflect.Type) error {
	fields := map[string]reflect.Type{}
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			fields[name], names = f.Type, append(names, name)
		}
	}
	return d.checkValues(n, func(name string) (reflect.Type, error) {
		if ft, ok := fields[name]; ok {
			return ft, nil
		}
		return nil, greenhouse.Invalid("field_unknown", "there is no field %q", name).WithHint("the fields are %s", strings.Join(names, ", "))
	})
}

// checkValues compares the values of a mapping with the types of their names.
func (d *document) checkValues(n *yaml.Node, typeOf func(string) (reflect.Type, error)) error {
	var seen []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if slices.Contains(seen, key.Value) {
			return d.refuse(key, "%q stands there twice", key.Value)
		}
		seen = append(seen, key.Value)
		t, err := typeOf(key.Value)
		if own := (*greenhouse.Error)(nil); errors.As(err, &own) {
			return d.refuse(key, "%s", own.What).WithHint("%s", own.Hint)
		}
		if err := d.check(n.Content[i+1], t); err != nil {
			return err
		}
	}
	return nil
}

// fits reports whether a scalar is of the kind that is wanted.
func fits(tag string, k reflect.Kind) bool {
	switch k {
	case reflect.String:
		return tag == "!!str" || tag == "!!timestamp"
	case reflect.Float64:
		return tag == "!!int" || tag == "!!float"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return tag == "!!int"
	case reflect.Bool:
		return tag == "!!bool"
	}
	return false
}

func kindWords(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "text"
	case reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	}
	return "a mapping of names to values"
}
