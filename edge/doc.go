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
// Downward, the control loop reads the registry's copy and the latest values,
// decides every zone, and hands the claims to actuation, which commits commands
// before the broker publishes them. Configurations go out from committed
// revisions the same way.
//
// [New] opens everything that can fail, [Daemon.Start] begins to accept, and
// [Daemon.Stop] takes down what was built in reverse order: no new decisions,
// actuators safe, listeners closed, committers drained, files closed. Everything
// runs, errors are joined, and one deadline bounds it all.
package edge
