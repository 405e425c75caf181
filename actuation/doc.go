// Package actuation makes devices do what was decided, and nothing else.
//
// # What it is for
//
// Automation says what it wants of each actuator, as claims. People set
// overrides and press the emergency stop. Equipment has limits of its own. This
// room lets all of them compete ([Arbitrate]), keeps the equipment from harm
// ([Equipment.Permit]), and brings the device to the outcome by commands that
// end by themselves: nothing stays on without a live, authorised reason.
//
// # The way of a decision
//
//	claims --Apply--> arbitration --> protection --> desired level
//	desired ≠ commanded --> a new command, saved with its event in one transaction
//	                        for the whole cycle --> published --> the node's report
//	desired = commanded --> the lease renewed under the same id, while decisions
//	                        of that zone keep coming
//
// [Controller.Cycle] does all of it for every actuator; [Controller.Run] calls it
// every Period and whenever something urgent arrives. Between the cycles nothing
// but an emergency stop is published.
//
// # Promises
//
//   - A lease counts from the decision it rests on, not from the moment it was
//     sent: when decisions stop, the device is safe one lease later at most. Well
//     before, at DecisionAge, the controller orders the safe level itself.
//   - A new level is a new command; the one before is superseded. A renewal and a
//     retry keep the id, so a node that heard it already does not act again.
//   - A pulse is published once, after its intent is on disk. What became of it
//     is either reported or unknown; unknown counts as delivered ([Delivered]).
//     It is never sent again, whatever fails.
//   - Terminal states never change. Every other state has a deadline.
//   - Reports may come before the PUBACK, twice, late, for commands of others or
//     of nobody: they are counted, and change nothing they should not.
//   - A node that was away or rebooted is at its safe level as far as this room
//     knows, never where it was. Its budgets and its shortest time off go on.
//   - An emergency stop is published before it is saved, for a disk that hangs
//     must not hold it up; it is repeated until every node confirmed it, and holds
//     until [Controller.Resume].
//   - When nothing can be saved, levels go on being controlled and stopped, but no
//     pulse is sent: no intent, no dose.
//
// # Concurrency
//
// All methods of [Controller] may be called from any goroutine. One mutex guards
// the state and is never held while the store or the publisher works; flushes
// follow each other in turn, and each publication is checked against the state
// at that moment, so that an ON never leaves after the stop that forbids it.
// [Store] is called by one goroutine at a time. [Publisher] must not block. The
// callbacks of [Options] are called without any lock held.
//
// # Bounds
//
// One level command and one stop an actuator, one pulse an actuator, at most
// [MaxOrders] others open at once; 4,096 ids of finished commands remembered to
// tell a late report from a foreign one; 10,000 unsaved events, of which the
// oldest go first and are counted. A cycle over 25,000 actuators in their steady
// state allocates nothing.
package actuation
