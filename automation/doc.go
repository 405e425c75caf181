// Package automation says what each zone should be doing.
//
// [Decide] is the whole of it: a pure function of what the zone's sensors say,
// what its people want, the weather and the time. It is made of small blocks
// (hysteresis, ramps, the sensing of a quantity by several sensors, the limits
// that weather puts on vents), each a step from state and input to output. What
// comes out are claims on actuators, each with a reason a grower understands;
// which claim wins, and whether the equipment may follow, is decided where levels
// are enforced.
//
// Control acts on a value that is good, for a short time on the last good one,
// and then not at all: an actuator without a claim is at its safe level. Frost and
// heat protection are claims of their own that no mode switches off.
//
// [Loop] calls Decide for every zone every period, and at once for a zone that is
// woken. A zone whose decision fails or panics gets a decision that claims its
// safe levels; one that hangs is left to its goroutine, decides no more, and
// loses its leases. The number of workers follows the measured cost of a cycle.
//
// # Concurrency
//
// A [State] belongs to one goroutine at a time; the loop hands each zone to one
// worker. The methods of Loop may be called from any goroutine. Source and Sink
// are called from several workers at once.
package automation
