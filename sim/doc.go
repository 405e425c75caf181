// Package sim is a greenhouse that obeys physics, with nodes that speak the real
// wire contract. It has two sides that meet at the interface [Body].
//
// The plant side is weather, compartments and what hangs in them. [Greenhouse]
// is a compact model of one compartment (air, mass, cover, heating surface,
// vapour, CO₂ and crop), [Tank] one of a nutrient tank with its chemistry, both
// pure functions from a state to the next. [Synthetic] makes weather from a
// place and a seed, [Series] replays measured weather. [Sensor] and [Actuator]
// stand between truth and firmware: noise, lag, quantum and drift, travel times,
// and whatever [Fault] says is wrong. [World] puts all of it together and steps
// it in simulated time:
//
//	weather → compartment ← actuators ← Device.Drive ← firmware ← command
//	              │
//	              └→ sensors → Device.Read → firmware → telemetry
//
// The node side is the reference firmware and its link to a broker.
//
// # Determinism
//
// One seed, one course of events. Random numbers are functions of the seed, of
// what they are for (zone, sensor, purpose) and of the simulated instant, so
// neither the order of reads nor an added sensor moves any of them; nothing
// depends on the order of a map or on the wall clock. On one architecture two
// runs agree bit for bit; between architectures, where a compiler may fuse a
// multiplication with an addition, to about one part in a million.
//
// # Concurrency
//
// Greenhouse, Tank, Slab, Synthetic, Series and Fault are values without hidden
// state and may be used from anywhere. Sensor and Actuator belong to their
// owner. A World guards itself with one mutex: any number of clients may read
// and drive their devices while one goroutine advances the time.
//
// # Bounds
//
// A world holds what its plan names and allocates nothing while it runs but the
// faults that are injected. A step of one zone takes about a microsecond.
//
// The presets are effective models fitted to one real compartment (venlo96) or
// estimated (hobby30): good for trying control, not for designing a building.
// The CO₂ branch is not validated: no measured dosing rate was to be had.
package sim
