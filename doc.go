// Package greenhouse holds the nouns of the product and their laws: ids and
// units, nodes, zones and points, targets and commands, alarms and events, and
// the errors every room answers with.
//
// It imports the standard library only and does nothing: no I/O, no goroutine,
// no clock and no interface. A value of this package means the same in the
// registry file, on the API and in memory, so its JSON form is part of the
// contract and changes only together with the schema version of the store.
//
// Instants on disk, on the wire and on the API are [Millis]. Durations that
// decide about equipment (leases, minimum on and off times, staleness) compare
// in-memory time.Time values, which carry the monotonic clock.
package greenhouse
