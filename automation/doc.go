// Package automation says what each zone should be doing.
//
// [Decide] is the whole of it: what the zone's sensors say, what its people want,
// the weather and the time go in, claims on actuators come out, each with a
// reason a grower understands. Which claim wins, and whether the equipment may
// follow, is decided where levels are enforced. docs/control.md describes every
// block with its parameters.
//
// # The way of a decision
//
//	Input ─▶ Probe: is it good, and how old ─▶ Vote by quantity ─▶ frozen sensors out
//	      ─▶ set-points of now (calendar, ramps; by light while the clock is not trusted)
//	      ─▶ protection: frost, heat, CO₂, storm               level 3, every mode
//	      ─▶ drying ─▶ heating ─▶ venting, fans ─▶ CO₂ ─▶ light ─▶ mist ─▶ screens
//	                                                           levels 6 and 7, mode auto
//	      ─▶ the failsafe of every actuator                    level 9
//	      ─▶ alarms that changed
//
// The blocks ([Hysteresis], [Stager], [PID], [SigmaDelta], [FixedCycle], [Vent],
// [Limit], [Probe], [Vote], [Residual], [SetPoint] and the psychrometrics) are pure: step from
// parameters, state, input and time passed to output and state. What joins them
// are methods of [State], in one file for each function of the house.
//
// Control acts on a good value, for a short time on the last good one, and then
// not at all: an actuator without a claim is at its safe level. Time between
// decisions is measured by the monotonic clock; after a pause nothing is
// integrated over it. The wall clock only tells day from night and one date from
// the next.
//
// # The loop
//
// [Loop] calls Decide for every zone every period, and at once for a zone that is
// woken. A zone whose decision panics keeps its protection and is safe otherwise;
// one that hangs is left to its goroutine, decides no more, and loses its leases.
// The number of workers follows the measured cost of a cycle; [Report] says what
// failed, [Stats] what it cost.
//
// # Concurrency
//
// A [State] belongs to one goroutine at a time; the loop hands each zone to one
// worker. The methods of Loop may be called from any goroutine. Source and Sink
// are called from several workers at once; no lock is held meanwhile.
//
// # Bounds
//
// A decision of ten points costs about 4 µs and allocates nothing while nothing a
// grower would see has changed; a reason is worded anew only when one of its
// numbers has. A zone keeps a few kilobytes. A woken zone is decided once however
// often it was woken meanwhile. Goroutines: one for each worker, one for a wake,
// and one for each zone that hangs.
package automation
