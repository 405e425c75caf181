package wire

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"unicode/utf16"

	"greenhouse"
)

// value is a JSON value of any type. All payloads but telemetry are small and
// rare, so they are read into values first and taken apart afterwards.
type value struct {
	kind   byte // '{' '[' '"' '0' 't' 'f' 'n', as the first byte of the JSON
	text   string
	number float64
	finite bool
	items  []value  // members of an object, or of an array
	keys   []string // of an object, in the order sent
}

// parse reads one strict JSON document: an object.
func parse(what string, payload []byte) (value, error) {
	s := newScanner(what, payload)
	var v value
	if s.peek() != '{' {
		s.unexpected("'{'")
	} else {
		v = s.tree(1)
	}
	s.end()
	return v, s.err
}

// tree reads one value of any type.
func (s *scanner) tree(depth int) value {
	if depth > MaxDepth {
		s.fail("is nested deeper than %d levels", MaxDepth)
		return value{}
	}
	c := s.peek()
	v := value{kind: c}
	switch {
	case c == '{':
		s.members(&v, depth)
	case c == '[':
		for ok := s.enter('[', ']'); ok; ok = s.more(']') {
			v.items = append(v.items, s.tree(depth+1))
		}
	case c == '"':
		v.text = string(s.str())
	case c == '-' || c >= '0' && c <= '9':
		start := s.i
		v.kind = '0'
		v.number, v.finite = s.number()
		v.text = string(s.b[start:s.i])
	default:
		s.skip(depth)
	}
	return v
}

// members reads the members of an object. The number of members to search for
// a repeated key is bounded by the table; larger objects use a map.
func (s *scanner) members(v *value, depth int) {
	var seen map[string]struct{}
	for ok := s.enter('{', '}'); ok; ok = s.more('}') {
		k := string(s.key())
		if len(v.keys) == 16 {
			seen = make(map[string]struct{})
			for _, k := range v.keys {
				seen[k] = struct{}{}
			}
		}
		_, twice := seen[k]
		if twice || seen == nil && slices.Contains(v.keys, k) {
			s.fail("has the key %q twice in one object", shorten([]byte(k), 40))
		}
		if seen != nil {
			seen[k] = struct{}{}
		}
		v.keys, v.items = append(v.keys, k), append(v.items, s.tree(depth+1))
	}
}

// canonical appends v in the canonical form of RFC 8785: keys sorted by their
// UTF-16 code units, no white space, numbers as ECMAScript prints them.
func (v value) canonical(dst []byte) []byte {
	switch v.kind {
	case '{':
		return v.canonicalObject(dst)
	case '[':
		dst = append(dst, '[')
		for i, item := range v.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.canonical(dst)
		}
		return append(dst, ']')
	case '"':
		return appendString(dst, v.text)
	case '0':
		return appendNumber(dst, v.number, !v.finite)
	case 't':
		return append(dst, "true"...)
	case 'f':
		return append(dst, "false"...)
	}
	return append(dst, "null"...)
}

// canonicalObject is canonical for an object.
func (v value) canonicalObject(dst []byte) []byte {
	order := make([]int, len(v.keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return slices.Compare(utf16.Encode([]rune(v.keys[a])), utf16.Encode([]rune(v.keys[b])))
	})
	dst = append(dst, '{')
	for n, i := range order {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, v.keys[i]), ':')
		dst = v.items[i].canonical(dst)
	}
	return append(dst, '}')
}

// fields takes an object apart. Its error is sticky like the scanner's.
type fields struct {
	what string
	v    value
	err  error
}

// object reads payload as an object and checks its version.
func object(what string, payload []byte) *fields {
	v, err := parse(what, payload)
	f := &fields{what: what, v: v, err: err}
	if x, ok := f.get("v"); ok && (x.kind != '0' || x.number != Version) {
		f.failCode("version_unsupported", "version v is not supported: it is %d", Version)
	}
	return f
}

// fail records the first error, as "<what>: <text>".
func (f *fields) fail(format string, args ...any) { f.failCode("payload_invalid", format, args...) }

// failCode is fail under a code of its own.
func (f *fields) failCode(code, format string, args ...any) {
	if f.err == nil {
		e := greenhouse.Invalid(code, format, args...)
		e.What = f.what + ": " + e.What
		f.err = e.WithHint("docs/wire.md has the format")
	}
}

// check records err under its own code, naming what is being read.
func (f *fields) check(err error) {
	var e *greenhouse.Error
	switch {
	case errors.As(err, &e):
		f.failCode(e.Code, "%s", e)
	case err != nil:
		f.fail("%s", err)
	}
}

// get returns a field; null counts as absent.
func (f *fields) get(name string) (value, bool) {
	if f.err != nil {
		return value{}, false
	}
	i := slices.Index(f.v.keys, name)
	if i < 0 || f.v.items[i].kind == 'n' {
		return value{}, false
	}
	return f.v.items[i], true
}

// require fails where a field is absent.
func (f *fields) require(name string) {
	if _, ok := f.get(name); !ok {
		f.fail("field %q is missing", name)
	}
}

// text returns a string of at most max bytes without control characters, ""
// where it is absent.
func (f *fields) text(name string, max int) string {
	x, ok := f.get(name)
	if !ok {
		return ""
	}
	if x.kind != '"' {
		f.fail("field %q must be a string", name)
		return ""
	}
	if len(x.text) > max {
		f.fail("field %q has %d bytes: at most %d are allowed", name, len(x.text), max)
		return ""
	}
	for _, r := range x.text {
		if r < 0x20 || r == 0x7f {
			f.fail("field %q has a control character", name)
			return ""
		}
	}
	return x.text
}

// number returns a finite number from lo to hi; has is false where it is absent.
func (f *fields) number(name string, lo, hi float64) (n float64, has bool) {
	x, ok := f.get(name)
	if !ok {
		return 0, false
	}
	if x.kind != '0' || !x.finite || x.number < lo || x.number > hi {
		f.fail("field %q must be a number from %g to %g", name, lo, hi)
		return 0, false
	}
	return x.number, true
}

// optional returns a number of any finite size, nil where it is absent.
func (f *fields) optional(name string) *float64 {
	if n, has := f.number(name, -math.MaxFloat64, math.MaxFloat64); has {
		return &n
	}
	return nil
}

// integer returns an integer from lo to hi, 0 where it is absent.
func (f *fields) integer(name string, lo, hi int64) int64 {
	x, ok := f.get(name)
	if !ok {
		return 0
	}
	n, isInt := x.integer()
	if !isInt || n < lo || n > hi {
		f.fail("field %q must be an integer from %d to %d", name, lo, hi)
		return 0
	}
	return n
}

// integer returns the number as an integer, exactly.
func (v value) integer() (int64, bool) {
	if v.kind != '0' {
		return 0, false
	}
	if n, err := strconv.ParseInt(v.text, 10, 64); err == nil {
		return n, true
	}
	if !v.finite || v.number != math.Trunc(v.number) || math.Abs(v.number) >= 1<<53 {
		return 0, false
	}
	return int64(v.number), true
}

// count returns an integer from 0 to 2^63-1, 0 where it is absent.
func (f *fields) count(name string) uint64 { return uint64(f.integer(name, 0, math.MaxInt64)) }

// flag returns a boolean, false where it is absent.
func (f *fields) flag(name string) bool {
	x, ok := f.get(name)
	if ok && x.kind != 't' && x.kind != 'f' {
		f.fail("field %q must be true or false", name)
	}
	return x.kind == 't'
}

// instant returns a time in milliseconds, 0 where it is absent.
func (f *fields) instant(name string) greenhouse.Millis {
	at, reason := f.doubtfulInstant(name)
	if reason != "" {
		f.fail("field %q: %s", name, reason)
	}
	return at
}

// doubtfulInstant is instant for a message that must not be lost over a wrong
// clock: it returns the reason instead of failing.
func (f *fields) doubtfulInstant(name string) (at greenhouse.Millis, reason string) {
	x, ok := f.get(name)
	if !ok {
		return 0, ""
	}
	if x.kind != '0' {
		return 0, name + " is not a number: it needs milliseconds since 1970, UTC"
	}
	t := checkTS(x.number, x.finite)
	return t.at, t.refused
}

// channel returns a channel name, "" where it is absent.
func (f *fields) channel(name string) greenhouse.ChannelName {
	s := f.text(name, 256)
	if s == "" {
		return ""
	}
	c, err := greenhouse.ParseChannelName(s)
	f.check(err)
	return c
}

// raw returns an object in canonical form, nil where it is absent.
func (f *fields) raw(name string) []byte {
	x, ok := f.get(name)
	if !ok {
		return nil
	}
	if x.kind != '{' {
		f.fail("field %q must be an object", name)
		return nil
	}
	return x.canonical(nil)
}

// list returns the objects of an array, nil where it is absent.
func (f *fields) list(name string, max int) []*fields {
	x, ok := f.get(name)
	if !ok {
		return nil
	}
	if x.kind != '[' || len(x.items) > max {
		f.fail("field %q must be a list of at most %d objects", name, max)
		return nil
	}
	out := make([]*fields, len(x.items))
	for i, item := range x.items {
		if item.kind != '{' {
			f.fail("field %q must be a list of objects", name)
			return nil
		}
		out[i] = &fields{what: f.what + ": " + name + "[" + strconv.Itoa(i) + "]", v: item}
	}
	return out
}
