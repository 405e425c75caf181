package wire

import (
	"math"
	"strconv"

	"greenhouse"
)

// Version is the version of the contract, sent as v.
const Version = 1

// AppendTelemetry appends the payload of a telemetry topic. Neighbouring
// samples of the same instant share one m, up to a channel that comes again;
// more than one m makes a backlog. A value that is not finite is sent as null,
// for a reader must be told that the sensor failed. Refused is not sent.
func AppendTelemetry(dst []byte, t *Telemetry) []byte {
	dst = append(dst, `{"v":1`...)
	groups := instants(t.Samples)
	if groups <= 1 && len(t.Samples) > 0 && t.Samples[0].HasAt {
		dst = appendTS(append(dst, ','), t.Samples[0].At)
	}
	if t.Boot != "" {
		dst = appendString(append(dst, `,"boot":`...), t.Boot)
	}
	if t.HasSeq {
		dst = strconv.AppendUint(append(dst, `,"seq":`...), t.Seq, 10)
	}
	if groups <= 1 {
		dst = appendValues(append(dst, `,"m":`...), t.Samples)
	} else {
		dst = appendBatch(append(dst, `,"batch":`...), t.Samples)
	}
	return append(dst, '}')
}

// instants counts the objects that the samples need.
func instants(samples []Sample) int {
	n := 0
	for len(samples) > 0 {
		samples = samples[sameInstant(samples):]
		n++
	}
	return n
}

// sameInstant returns how many samples from the first on share its time and
// can stand in one object.
func sameInstant(samples []Sample) int {
	n := 1
	for n < len(samples) && samples[n].At == samples[0].At && samples[n].HasAt == samples[0].HasAt &&
		!repeated(samples[:n], samples[n].Channel) {
		n++
	}
	return n
}

// appendBatch appends one object for each instant.
func appendBatch(dst []byte, samples []Sample) []byte {
	dst = append(dst, '[')
	for len(samples) > 0 {
		n := sameInstant(samples)
		dst = append(dst, '{')
		if samples[0].HasAt {
			dst = append(appendTS(dst, samples[0].At), ',')
		}
		dst = append(appendValues(append(dst, `"m":`...), samples[:n]), '}', ',')
		samples = samples[n:]
	}
	dst[len(dst)-1] = ']'
	return dst
}

// appendTS appends the member ts.
func appendTS(dst []byte, at greenhouse.Millis) []byte {
	return strconv.AppendInt(append(dst, `"ts":`...), int64(at), 10)
}

// appendValues appends an object of channels and values.
func appendValues(dst []byte, samples []Sample) []byte {
	dst = append(dst, '{')
	for i, s := range samples {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, string(s.Channel)), ':')
		dst = appendNumber(dst, s.Value, s.Null)
	}
	return append(dst, '}')
}

// appendNumber appends v, or null where there is none.
func appendNumber(dst []byte, v float64, null bool) []byte {
	switch {
	case null || math.IsNaN(v) || math.IsInf(v, 0):
		return append(dst, "null"...)
	case v == 0:
		return append(dst, '0')
	case math.Abs(v) < 1e-6 || math.Abs(v) >= 1e21:
		return appendExponent(dst, v)
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}

// appendExponent appends v as ECMAScript prints it: 1e-7, not 1e-07.
func appendExponent(dst []byte, v float64) []byte {
	dst = strconv.AppendFloat(dst, v, 'e', -1, 64)
	if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// appendString appends s as a JSON string, escaping only what must be
// (RFC 8785, section 3.2.2.2). Bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < 0x20:
			dst = appendControl(dst, byte(r))
		default:
			dst = append(dst, string(r)...)
		}
	}
	return append(dst, '"')
}

// appendControl appends an escaped control character.
func appendControl(dst []byte, c byte) []byte {
	switch c {
	case '\b':
		return append(dst, `\b`...)
	case '\t':
		return append(dst, `\t`...)
	case '\n':
		return append(dst, `\n`...)
	case '\f':
		return append(dst, `\f`...)
	case '\r':
		return append(dst, `\r`...)
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// BareValue reads the payload of a telemetry/{channel} topic: a JSON number,
// true or false (1 and 0), or null for a failed read, with white space around
// it at most.
func BareValue(payload []byte) (value float64, null bool, err error) {
	s := newScanner("bare value", payload)
	if s.err != nil {
		return 0, false, s.err
	}
	value, null, reason := s.value()
	if reason != "" {
		s.fail("is not usable: %s", reason)
	}
	s.end()
	if s.err != nil {
		return 0, false, s.err
	}
	return value, null, nil
}

// AppendBareValue appends the payload of a telemetry/{channel} topic.
func AppendBareValue(dst []byte, value float64, null bool) []byte {
	return appendNumber(dst, value, null)
}
