package wire

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"greenhouse"
)

// Bounds of a payload.
const (
	MaxPayload = 64 << 10 // bytes, as the broker takes it
	MaxDepth   = 32       // levels of objects and arrays
)

// scanner reads strict JSON front to back. Its error is sticky: after the
// first, every method answers with a zero value and every loop ends, so callers
// look at err once, at the end.
type scanner struct {
	b    []byte
	i    int
	what string // what is being read, for messages: "telemetry", "hello"
	err  error
}

// newScanner checks what concerns the payload as a whole.
func newScanner(what string, payload []byte) scanner {
	s := scanner{b: payload, what: what}
	switch {
	case len(payload) == 0:
		s.fail("is empty")
	case len(payload) > MaxPayload:
		s.fail("has %d bytes, more than the %d allowed", len(payload), MaxPayload)
	case bytes.HasPrefix(payload, []byte("\xef\xbb\xbf")):
		s.fail("starts with a byte order mark: send plain UTF-8")
	case !utf8.Valid(payload):
		s.fail("is not valid UTF-8")
	}
	return s
}

// fail records the first error, as "<what> <text>".
func (s *scanner) fail(format string, args ...any) {
	s.failCode("payload_invalid", format, args...)
}

// failCode is fail under a code of its own.
func (s *scanner) failCode(code, format string, args ...any) {
	if s.err == nil {
		e := greenhouse.Invalid(code, format, args...)
		e.What = s.what + " " + e.What
		s.err = e.WithHint("docs/wire.md has the format")
	}
}

// unexpected fails at the current byte. NaN and Infinity get a message of their
// own, for they are what a failed sensor read prints.
func (s *scanner) unexpected(want string) {
	switch {
	case s.i >= len(s.b):
		s.fail("ends where %s should be", want)
	case s.notANumber():
		s.fail("has NaN or Infinity at byte %d, which is not JSON: send null for a failed read", s.i)
	default:
		s.fail("is not JSON: byte %d is %q where %s should be", s.i, s.b[s.i], want)
	}
}

// notANumber reports whether one of the usual spellings of NaN and Infinity
// stands at the current byte.
func (s *scanner) notANumber() bool {
	rest := bytes.ToLower(bytes.TrimLeft(s.b[s.i:min(len(s.b), s.i+4)], "+-"))
	return bytes.HasPrefix(rest, []byte("nan")) || bytes.HasPrefix(rest, []byte("inf"))
}

// ws skips white space.
func (s *scanner) ws() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\n' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
}

// peek returns the next byte that is no white space, 0 at the end or after an
// error.
func (s *scanner) peek() byte {
	if s.err != nil {
		return 0
	}
	s.ws()
	if s.i >= len(s.b) {
		return 0
	}
	return s.b[s.i]
}

// enter consumes the opening bracket and reports whether there is a first
// member before the closing one.
func (s *scanner) enter(opening, closing byte) bool {
	if s.peek() != opening {
		s.unexpected("'" + string(rune(opening)) + "'")
		return false
	}
	s.i++
	if s.peek() == closing {
		s.i++
		return false
	}
	return s.err == nil
}

// more consumes a comma, and reports true, or the closing bracket.
func (s *scanner) more(closing byte) bool {
	switch s.peek() {
	case ',':
		s.i++
		return true
	case closing:
		if s.err == nil {
			s.i++
		}
		return false
	}
	s.unexpected("',' or '" + string(rune(closing)) + "'")
	return false
}

// end checks that nothing but white space is left.
func (s *scanner) end() {
	if s.peek() != 0 || (s.err == nil && s.i < len(s.b)) {
		s.unexpected("the end")
	}
}

// key reads a member's name and the colon.
func (s *scanner) key() []byte {
	k := s.str()
	if s.peek() != ':' {
		s.unexpected("':'")
		return nil
	}
	s.i++
	return k
}

// str reads a string. The result is a part of the payload, or a copy where the
// string has escapes.
func (s *scanner) str() []byte {
	if s.peek() != '"' {
		s.unexpected("a string")
		return nil
	}
	start, escaped := s.i, false
	for s.i++; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			if escaped {
				return s.unescape(s.b[start:s.i])
			}
			return s.b[start+1 : s.i-1]
		case c == '\\':
			escaped = true
			s.i++
		case c < 0x20:
			s.unexpected("a character of a string")
			return nil
		}
	}
	s.fail("ends within a string")
	return nil
}

// unescape resolves the escapes of a string with its quotes. Escapes are rare
// on this wire, so the standard library's rules serve.
func (s *scanner) unescape(quoted []byte) []byte {
	var out string
	if err := json.Unmarshal(quoted, &out); err != nil {
		s.fail("has a bad escape in the string at byte %d", s.i-len(quoted))
		return nil
	}
	return []byte(out)
}

// literal consumes word, which the next byte promises.
func (s *scanner) literal(word string) {
	if end := s.i + len(word); end > len(s.b) || string(s.b[s.i:end]) != word {
		s.unexpected(word)
		return
	}
	s.i += len(word)
}

// digits consumes decimal digits and adds them to m, which saturates; n counts
// them all.
func (s *scanner) digits(m uint64) (sum uint64, n int) {
	start := s.i
	for s.i < len(s.b) {
		c := s.b[s.i] - '0'
		if c > 9 {
			break
		}
		if m < 1<<59 {
			m = m*10 + uint64(c)
		} else {
			m = math.MaxUint64
		}
		s.i++
	}
	if s.i == start {
		s.unexpected("a digit")
	}
	return m, s.i - start
}

// number reads a JSON number and returns its nearest float64, never -0; finite
// is false where it is beyond the range of float64 (1e400).
func (s *scanner) number() (v float64, finite bool) {
	start, exp := s.i, 0
	negative := s.i < len(s.b) && s.b[s.i] == '-'
	if negative {
		s.i++
	}
	zero := s.i < len(s.b) && s.b[s.i] == '0'
	m, n := s.digits(0)
	if zero && n > 1 {
		s.fail("has a number with a leading zero at byte %d", start)
	}
	if s.err == nil && s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		m, n = s.digits(m)
		exp -= n
	}
	if s.err == nil && s.i < len(s.b) && (s.b[s.i]|0x20) == 'e' {
		exp += s.exponent()
	}
	if s.err != nil {
		return 0, false
	}
	if v, ok := exactFloat(m, exp); ok {
		if negative && m != 0 {
			v = -v
		}
		return v, true
	}
	return s.slowNumber(start)
}

// exponent reads the exponent of a number, saturated far beyond any float64.
func (s *scanner) exponent() int {
	s.i++
	sign := 1
	if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
		if s.b[s.i] == '-' {
			sign = -1
		}
		s.i++
	}
	e, _ := s.digits(0)
	return sign * int(min(e, 1<<20))
}

// slowNumber parses the number that ended at the current byte by the standard
// library, for what does not fit the exact arithmetic.
func (s *scanner) slowNumber(start int) (float64, bool) {
	v, err := strconv.ParseFloat(string(s.b[start:s.i]), 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, false
	}
	if v == 0 {
		v = 0 // never -0
	}
	return v, true
}

// exactFloat returns m·10^exp where double arithmetic gives it exactly rounded:
// both factors are then exact doubles (Clinger, "How to read floating point
// numbers accurately", 1990).
func exactFloat(m uint64, exp int) (float64, bool) {
	if m == 0 {
		return 0, true
	}
	if m >= 1<<53 || exp < -22 || exp > 22 {
		return 0, false
	}
	if exp < 0 {
		return float64(m) / powerOfTen(-exp), true
	}
	return float64(m) * powerOfTen(exp), true
}

// powerOfTen returns 10^n for n from 0 to 22, all of them exact doubles.
func powerOfTen(n int) float64 {
	powers := [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}
	return powers[n]
}

// skip passes over one value of any type, checking that it is JSON.
func (s *scanner) skip(depth int) {
	if depth > MaxDepth {
		s.fail("is nested deeper than %d levels", MaxDepth)
		return
	}
	switch c := s.peek(); {
	case c == '{':
		for ok := s.enter('{', '}'); ok; ok = s.more('}') {
			s.key()
			s.skip(depth + 1)
		}
	case c == '[':
		for ok := s.enter('[', ']'); ok; ok = s.more(']') {
			s.skip(depth + 1)
		}
	case c == '"':
		s.str()
	case c == 't':
		s.literal("true")
	case c == 'f':
		s.literal("false")
	case c == 'n':
		s.literal("null")
	case c == '-' || c >= '0' && c <= '9':
		s.number()
	default:
		s.unexpected("a value")
	}
}
