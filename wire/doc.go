// Package wire is what devices say: the topics of the MQTT contract and the
// JSON inside them, both ways, for the daemon and for the firmware side alike.
// docs/wire.md tells the same to firmware authors; the two change together.
//
// # Data flow
//
// A topic becomes a [Topic] by [ParseTopic], and back by [Topic.String]. Its
// [Kind] says which payload belongs to it. A payload becomes a struct by one of
// the Decode functions, and back by Marshal. Telemetry, which is nearly all of
// the traffic, has a scanner of its own, [Decoder.Telemetry], that reads into
// memory it is given and allocates nothing once its tables are warm;
// [BareValue] reads the one number of a telemetry/{channel} message.
//
// The package does no I/O, starts no goroutine and reads no clock. What depends
// on the time (a sample from the future, an expired command) is the caller's to
// judge; what can be told from the bytes alone is judged here.
//
// # Strictness
//
// Decoders take UTF-8 JSON (RFC 8259) and nothing else: no byte order mark, no
// trailing bytes, no NaN or Infinity, no key twice in one object (RFC 7493),
// keys in exactly the case of the contract. Unknown fields are skipped, an
// optional field that is null counts as absent, and a missing v counts as 1;
// any other v is the error "version_unsupported". Every error is a
// *[greenhouse.Error] of kind ErrInvalid that names the field and the rule.
//
// Telemetry keeps what can be kept: a sample with a bad name, value or time is
// listed in [Telemetry.Refused] and the rest of the message stands. Only bytes
// that are no JSON object of the contract fail as a whole.
//
// # Bounds
//
// A payload is at most [MaxPayload] bytes, a topic [MaxTopic] bytes, nesting
// [MaxDepth] levels, one sample [MaxChannels] channels; texts have the limits
// named at their fields. Work is linear in the size of the payload, but for the
// search for channels named twice, which MaxChannels bounds.
//
// # Concurrency
//
// All functions are safe for concurrent use and keep no reference to their
// input, but for [Decoder], which belongs to one goroutine at a time.
package wire
