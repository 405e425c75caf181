// Package edge puts the rooms together into one daemon and carries messages
// between them.
//
// The way of a packet: the broker hands every publish to [inbound], on the
// goroutine of the client that sent it. Telemetry and status are decoded there,
// routed through the registry's copy in memory and submitted to the telemetry
// committer; what belongs in the registry (hello, event, report) goes through
// the inbox, one goroutine that puts all it finds waiting into one transaction.
// Either way the message is acknowledged by the commit that holds it, and by
// nothing else. What cannot be understood is counted, journalled at most once an
// hour for each node, and acknowledged: sending it again would not help.
//
// A message whose own fate hangs on the registry (the first sample of a channel,
// another boot) waits for that transaction on its client's goroutine, so that
// nobody else waits with it and its order is kept. An event that a node sends again
// for want of a PUBACK is journalled once.
//
// Downward, the control loop reads the registry's copy and the latest values,
// decides every zone, and hands the claims to actuation, which commits commands
// before the broker publishes them. Configurations go out from committed
// revisions the same way. What nodes measure of their own outputs, and what they
// say of failsafes, goes back to actuation.
//
// # Goroutines
//
// watch looks every second at presence, clock and conditions and hands on what
// changed in the registry; it never waits for the disk, for the watchdog is fed
// from there. keep does what needs the registry's disk: it ends overrides, saves
// equipment counters, prunes, and reopens a registry whose commit failed. The clerk
// writes down what is noticed where nobody may wait. The inbox and the rooms have
// their own. refreshing is held while copies of the registry are handed on, so that
// none brings back what is past; it is taken before the locks of other rooms, and
// never within a transaction's OnCommit.
//
// # Bounds
//
// The inbox holds 4,096 messages, and then the reader of the client that brings
// another waits. The clerk holds 16,384 events, of which 1,024 may come from outside
// (refused logins, bad payloads); what does not fit is counted, and the count is
// journalled. Of every condition it holds the newest word alone, so that no alarm is
// ever lost for want of room. What a registry does not take is written later.
//
// [New] opens everything that can fail, [Daemon.Start] begins to accept, and
// [Daemon.Stop] takes down what was built in reverse order: no new decisions,
// actuators safe, listeners closed, committers drained, files closed. Everything
// runs, errors are joined, and one deadline bounds it all.
package edge
