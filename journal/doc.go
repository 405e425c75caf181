// Package journal keeps the numbered log of what happened, and the alarms.
//
// # Events
//
// An event gets its number in the transaction that caused it ([Journal.Append]
// takes that transaction), so what is in the journal happened and what happened
// is in the journal. Numbers count 1, 2, 3, … in the order of commit; a number
// given in a transaction that fails is given again. Only a registry restored
// from a snapshot leaps ahead, because the numbers since that snapshot are in
// the hands of readers.
//
// Readers ask for what came after a number they know: [Journal.Since] for a
// page, [Journal.Watch] for everything from then on. A watcher reads from the
// disk by number and is merely woken by commits, so a slow one skips nothing and
// holds up nobody. Nothing is shown before its commit has been synced.
//
// Every record carries a hash over itself and the hash of the record before:
// [Journal.Verify] finds one that was changed or taken out, as an audit asks.
// Details must not hold secrets; as a last line of defence, values under names
// such as secret, password and token are blacked out before they are stored.
//
// # Alarms
//
// Rooms say again and again what they see ([Journal.Observe] takes conditions);
// the journal writes only when something changes. There is one alarm for each
// source and code, however often it comes back, with a short id made of both.
// All alarms are in memory. An observation that cannot be written, because the
// disk is what the alarm is about, still counts in memory and is written with
// the next one that can.
//
// # Decisions
//
// Beside the log stands what was decided over each actuator and from when, found
// by point and instant through an index ([Journal.Decision]): the answer to why
// something was on last night. A decision that changes a level is stored in the
// transaction of its event ([Journal.Decide]); one that merely gives another
// reason waits in memory for the next minute ([Journal.Explain],
// [Journal.KeepDecisions]), so that it costs no sync of its own.
//
// # Concurrency and bounds
//
// A Journal is safe for any number of goroutines. Append is called inside a
// write transaction, everything else outside. The log is bounded by
// [Journal.Prune]; the transitions waiting for a disk by 1,024, beyond which the
// oldest are forgotten and the loss is an event of its own; the decisions by
// [Journal.PruneDecisions], those that wait by 4,096. The journal needs
// six small methods of a transaction and knows nothing of what is behind it.
package journal
