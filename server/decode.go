package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"greenhouse"
)

// maxDepth bounds the nesting of a body.
const maxDepth = 32

// decodeStrict reads one JSON value into v, a pointer to a struct. Unknown
// fields are refused by name, and so are duplicate keys, anything after the
// value, deep nesting and bytes that are no UTF-8.
func decodeStrict(data []byte, v any) error {
	if err := checkJSON(data); err != nil {
		return err
	}
	if first := bytes.TrimSpace(data)[0]; first != '{' && reflect.TypeOf(v).Elem().Kind() == reflect.Struct {
		return invalidBody("the body must be an object {…}")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return jsonError(err, v)
	}
	return nil
}

func invalidBody(format string, args ...any) *greenhouse.Error {
	return greenhouse.Invalid("body_invalid", format, args...)
}

// jsonError puts an error of encoding/json into words for the one who wrote the body.
func jsonError(err error, v any) error {
	var typ *json.UnmarshalTypeError
	var own *greenhouse.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &typ):
		field := typ.Field
		if field == "" {
			field = "the body"
		}
		return invalidBody("%s must be %s, not %s", field, typeWords(typ.Type), typ.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		e := greenhouse.Invalid("field_unknown", "there is no field %s", name)
		return e.WithHint("the fields are %s", strings.Join(fieldNames(reflect.TypeOf(v)), ", "))
	}
	return invalidBody("the body is no JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
}

func typeWords(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64, reflect.Float32:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a whole number"
}

// fieldNames lists the JSON names of a struct's fields, for a hint.
func fieldNames(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var names []string
	if t.Kind() != reflect.Struct {
		return names
	}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// checkJSON walks one JSON value and refuses what encoding/json lets pass.
func checkJSON(data []byte) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return invalidBody("the body is empty: it must be an object {…}")
	}
	if !utf8.Valid(data) {
		return invalidBody("the body is no UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := checkValue(dec, 0); err != nil {
		var own *greenhouse.Error
		if errors.As(err, &own) {
			return own
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return invalidBody("the body ends too early")
		}
		return invalidBody("the body is no JSON: %s", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return invalidBody("something follows the end of the body")
	}
	return nil
}

func checkValue(dec *json.Decoder, depth int) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	delim, nested := tok.(json.Delim)
	if !nested {
		return nil
	}
	if depth >= maxDepth {
		return invalidBody("the body is nested deeper than %d levels", maxDepth)
	}
	seen := map[string]bool{}
	for dec.More() {
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			name := fmt.Sprint(key)
			if seen[name] {
				return greenhouse.Invalid("field_duplicate", "the field %q stands there twice", name)
			}
			seen[name] = true
		}
		if err := checkValue(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// mergeInto applies the JSON merge patch (RFC 7396) to spec, a pointer to the
// part of a record that people set. A field set to null takes its zero value.
// Unknown fields are refused by name; spec is unchanged after an error.
func mergeInto(spec any, patch []byte) error {
	if err := checkJSON(patch); err != nil {
		return err
	}
	var changes any
	if err := json.Unmarshal(patch, &changes); err != nil {
		return jsonError(err, spec)
	}
	fields, ok := changes.(map[string]any)
	if !ok {
		return invalidBody("a merge patch must be an object {…}")
	}
	if err := knownFields(fields, spec); err != nil {
		return err
	}
	before, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("merge patch: write the record: %w", err)
	}
	var whole map[string]any
	if err := json.Unmarshal(before, &whole); err != nil {
		return fmt.Errorf("merge patch: read the record: %w", err)
	}
	merged, err := json.Marshal(merge(whole, fields))
	if err != nil {
		return invalidBody("the patch is no JSON: %v", err)
	}
	fresh := reflect.New(reflect.TypeOf(spec).Elem())
	if err := decodeStrict(merged, fresh.Interface()); err != nil {
		return err
	}
	reflect.ValueOf(spec).Elem().Set(fresh.Elem())
	return nil
}

// knownFields refuses a name that the record does not have; one that is set to
// null would otherwise vanish unseen.
func knownFields(fields map[string]any, spec any) error {
	names := fieldNames(reflect.TypeOf(spec))
	for name := range fields {
		if !slices.Contains(names, name) {
			return greenhouse.Invalid("field_unknown", "there is no field %q", name).WithHint("the fields are %s", strings.Join(names, ", "))
		}
	}
	return nil
}

// merge is the algorithm of RFC 7396 for objects.
func merge(into, patch map[string]any) map[string]any {
	if into == nil {
		into = map[string]any{}
	}
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(into, k)
		case map[string]any:
			sub, _ := into[k].(map[string]any)
			into[k] = merge(sub, v)
		default:
			into[k] = v
		}
	}
	return into
}

// changed compares two records field by field and returns only what differs,
// before and after, for the audit.
func changed(before, after any) (was, is map[string]json.RawMessage) {
	a, b := rawFields(before), rawFields(after)
	was, is = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for k, v := range a {
		if !bytes.Equal(v, b[k]) {
			was[k] = v
		}
	}
	for k, v := range b {
		if !bytes.Equal(v, a[k]) {
			is[k] = v
		}
	}
	for _, m := range []map[string]json.RawMessage{was, is} {
		delete(m, "version")
		delete(m, "updated_at")
		delete(m, "created_at")
	}
	return was, is
}

// rawFields splits a record into its fields; nil has none.
func rawFields(v any) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if b, err := json.Marshal(v); err == nil {
		_ = json.Unmarshal(b, &m) // a value that is no object has no fields to tell
	}
	return m
}
