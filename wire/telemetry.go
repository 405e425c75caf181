package wire

import (
	"math"
	"strconv"
	"unicode/utf8"

	"greenhouse"
)

// Bounds of telemetry.
const (
	MaxChannels = 256 // channels in one m
	maxBoot     = 64  // bytes of a boot id
	maxInterned = 4096
)

// The range of ts that can be told to be wrong without a clock: below, it is
// not in milliseconds (1e11 ms is March 1973, 1e11 s the year 5138); above, it
// is beyond the year 9999.
const (
	minTS greenhouse.Millis = 1e11
	maxTS greenhouse.Millis = 253402300799999
)

// Telemetry is one telemetry message. Reuse one value for many messages: its
// slices are kept and overwritten.
type Telemetry struct {
	Boot    string // the boot id, "" where none was sent
	Seq     uint64 // counts messages since Boot
	HasSeq  bool
	Samples []Sample  // in the order of the message
	Refused []Refusal // what could not be kept
}

// Sample is one value of one channel.
type Sample struct {
	Channel greenhouse.ChannelName
	At      greenhouse.Millis // when it was measured, where HasAt
	HasAt   bool              // if not, the time of arrival counts
	Value   float64           // finite; booleans are 0 and 1; 0 where Null
	Null    bool              // the sensor could not be read
}

// Refusal is a sample that was not kept, and why.
type Refusal struct {
	Channel string // as sent, shortened to 40 bytes
	Reason  string // a clause: "the value is a string"
}

// Decoder reads telemetry. It keeps tables of the names and boot ids it has
// seen, so that a steady stream allocates nothing. The zero Decoder is ready; it
// belongs to one goroutine at a time.
type Decoder struct {
	channels map[string]greenhouse.ChannelName
	boots    map[string]string
}

// The members of a telemetry message, as bits of what has been seen.
const (
	seenV = 1 << iota
	seenTS
	seenBoot
	seenSeq
	seenM
	seenBatch
)

// Telemetry decodes the payload of a telemetry topic into a reused value. An
// error means that nothing of the message can be used, and leaves into empty;
// samples that had to be dropped from a good message are in into.Refused.
func (d *Decoder) Telemetry(payload []byte, into *Telemetry) error {
	into.reset()
	s := newScanner("telemetry", payload)
	var t timestamp
	seen := 0
	for ok := s.enter('{', '}'); ok; ok = s.more('}') {
		seen = s.once(seen, d.member(&s, into, &t))
	}
	s.end()
	if s.err == nil && seen&(seenM|seenBatch) == 0 {
		s.fail("has neither m nor batch")
	}
	if s.err == nil && seen&seenM != 0 && seen&seenBatch != 0 {
		s.fail("has both m and batch: send one of them")
	}
	if s.err != nil {
		into.reset()
		return s.err
	}
	if seen&seenM != 0 {
		into.stamp(0, t)
	}
	return nil
}

// reset empties t and keeps its memory.
func (t *Telemetry) reset() {
	*t = Telemetry{Samples: t.Samples[:0], Refused: t.Refused[:0]}
}

// member reads one member of the message and returns its bit, 0 for an unknown
// one.
func (d *Decoder) member(s *scanner, into *Telemetry, t *timestamp) int {
	switch string(s.key()) {
	case "v":
		s.version()
		return seenV
	case "ts":
		*t = s.timestamp()
		return seenTS
	case "boot":
		into.Boot = d.boot(s)
		return seenBoot
	case "seq":
		into.Seq, into.HasSeq = s.count("seq")
		return seenSeq
	case "m":
		d.values(s, into)
		return seenM
	case "batch":
		d.batch(s, into)
		return seenBatch
	}
	s.skip(1)
	return 0
}

// once adds bit to what has been seen, and fails where it was seen before.
func (s *scanner) once(seen, bit int) int {
	if seen&bit != 0 {
		s.fail("has the same key twice in one object")
	}
	return seen | bit
}

// batch reads the backlog: an array of objects with ts and m.
func (d *Decoder) batch(s *scanner, into *Telemetry) {
	for ok := s.enter('[', ']'); ok; ok = s.more(']') {
		start, seen := len(into.Samples), 0
		var t timestamp
		for ok := s.enter('{', '}'); ok; ok = s.more('}') {
			switch string(s.key()) {
			case "ts":
				t, seen = s.timestamp(), s.once(seen, seenTS)
			case "m":
				d.values(s, into)
				seen = s.once(seen, seenM)
			default:
				s.skip(3)
			}
		}
		into.stamp(start, t)
	}
}

// values reads m: an object of channel names and values.
func (d *Decoder) values(s *scanner, into *Telemetry) {
	start := len(into.Samples)
	for ok := s.enter('{', '}'); ok; ok = s.more('}') {
		key := s.key()
		name, known := d.channel(key)
		value, null, reason := s.value()
		switch {
		case s.err != nil:
			return
		case !known:
			reason = "the name is not a letter a-z, then up to 31 of a-z 0-9 _"
		case reason == "" && len(into.Samples)-start == MaxChannels:
			reason = "there are more than 256 channels for one instant"
		}
		if reason != "" {
			into.refuse(key, reason)
			continue
		}
		if repeated(into.Samples[start:], name) {
			s.fail("has the channel %q twice for one instant", name)
			return
		}
		into.Samples = append(into.Samples, Sample{Channel: name, Value: value, Null: null})
	}
}

// repeated reports whether a sample of that name is there already.
func repeated(samples []Sample, name greenhouse.ChannelName) bool {
	for i := range samples {
		if samples[i].Channel == name {
			return true
		}
	}
	return false
}

// refuse notes a sample that is not kept.
func (t *Telemetry) refuse(channel []byte, reason string) {
	t.Refused = append(t.Refused, Refusal{Channel: shorten(channel, 40), Reason: reason})
}

// shorten returns at most n bytes of b as text, cut between characters.
func shorten(b []byte, n int) string {
	if len(b) > n {
		for n > 0 && !utf8.RuneStart(b[n]) {
			n--
		}
		b = b[:n]
	}
	return string(b)
}

// stamp gives the samples from start on their time, or refuses them all where
// the time is no time.
func (t *Telemetry) stamp(start int, ts timestamp) {
	if ts.refused == "" {
		for i := start; i < len(t.Samples); i++ {
			t.Samples[i].At, t.Samples[i].HasAt = ts.at, ts.has
		}
		return
	}
	for _, x := range t.Samples[start:] {
		t.Refused = append(t.Refused, Refusal{Channel: string(x.Channel), Reason: ts.refused})
	}
	t.Samples = t.Samples[:start]
}

// channel returns the name that key spells, and whether it is one.
func (d *Decoder) channel(key []byte) (greenhouse.ChannelName, bool) {
	if name, ok := d.channels[string(key)]; ok {
		return name, true
	}
	name, err := greenhouse.ParseChannelName(string(key))
	if err != nil {
		return "", false
	}
	if d.channels == nil {
		d.channels = make(map[string]greenhouse.ChannelName)
	} else if len(d.channels) >= maxInterned {
		clear(d.channels)
	}
	d.channels[string(name)] = name
	return name, true
}

// boot reads the boot id: a string of at most maxBoot bytes, null for none.
func (d *Decoder) boot(s *scanner) string {
	if s.peek() == 'n' {
		s.literal("null")
		return ""
	}
	b := s.str()
	if boot, ok := d.boots[string(b)]; ok {
		return boot
	}
	if len(b) > maxBoot {
		s.fail("has a boot of %d bytes: at most %d are allowed", len(b), maxBoot)
		return ""
	}
	if d.boots == nil {
		d.boots = make(map[string]string)
	} else if len(d.boots) >= maxInterned {
		clear(d.boots)
	}
	boot := string(b)
	d.boots[boot] = boot
	return boot
}

// version reads v; null counts as 1, as a missing v does.
func (s *scanner) version() {
	switch c := s.peek(); {
	case c == 'n':
		s.literal("null")
		return
	case c == '-' || c >= '0' && c <= '9':
		if v, _ := s.number(); v == Version || s.err != nil {
			return
		}
	default:
		s.skip(1)
	}
	s.failCode("version_unsupported", "has a version v that is not supported: it is %d", Version)
}

// value reads a sample's value. A reason says why JSON that is well formed
// cannot be a value.
func (s *scanner) value() (v float64, null bool, reason string) {
	switch c := s.peek(); c {
	case 't':
		s.literal("true")
		return 1, false, ""
	case 'f':
		s.literal("false")
		return 0, false, ""
	case 'n':
		s.literal("null")
		return 0, true, ""
	case '"':
		s.str()
		return 0, false, "the value is a string: it needs a number, true, false or null"
	case '{', '[':
		s.skip(2)
		return 0, false, "the value is an object or array: it needs a number, true, false or null"
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		v, finite := s.number()
		if !finite {
			return 0, false, "the value is beyond the range of a double"
		}
		return v, false, ""
	}
	s.unexpected("a value")
	return 0, false, ""
}

// count reads a non-negative integer below 2^63; has is false for null.
func (s *scanner) count(field string) (n uint64, has bool) {
	c := s.peek()
	if c == 'n' {
		s.literal("null")
		return 0, false
	}
	start := s.i
	if c < '0' || c > '9' {
		s.fail("field %q is not a number from 0 on", field)
		return 0, false
	}
	v, finite := s.number()
	if s.err != nil {
		return 0, false
	}
	if finite && v < 1<<53 && v == math.Trunc(v) {
		return uint64(v), true
	}
	n, err := strconv.ParseUint(string(s.b[start:s.i]), 10, 63)
	if err != nil {
		s.fail("field %q is %s: it needs an integer from 0 to 2^63-1", field, shorten(s.b[start:s.i], 40))
		return 0, false
	}
	return n, true
}

// timestamp is a ts as sent. The zero timestamp means that none was.
type timestamp struct {
	at      greenhouse.Millis
	has     bool
	refused string // why it is no time
}

// timestamp reads ts. Wrong types and impossible times do not fail: they cost
// the samples they belong to, and nothing else.
func (s *scanner) timestamp() timestamp {
	switch c := s.peek(); {
	case c == 'n':
		s.literal("null")
		return timestamp{}
	case c == '-' || c >= '0' && c <= '9':
		v, finite := s.number()
		if s.err != nil {
			return timestamp{}
		}
		return checkTS(v, finite)
	}
	s.skip(2)
	return timestamp{refused: "ts is not a number: it needs milliseconds since 1970, UTC"}
}

// checkTS judges a ts by its value alone.
func checkTS(v float64, finite bool) timestamp {
	switch {
	case finite && v != math.Trunc(v):
		return timestamp{refused: "ts has a fraction: it needs whole milliseconds since 1970, UTC"}
	case v >= 1e9 && v < float64(minTS):
		return timestamp{refused: "ts is in seconds: it needs milliseconds since 1970, UTC"}
	case finite && v < float64(minTS):
		return timestamp{refused: "ts is before March 1973: it needs milliseconds since 1970, UTC, or is left out by a device without a clock"}
	case !finite || v > float64(maxTS):
		return timestamp{refused: "ts is beyond the year 9999: it needs milliseconds since 1970, UTC"}
	}
	return timestamp{at: greenhouse.Millis(v), has: true}
}
