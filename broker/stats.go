package broker

import "sync/atomic"

// Stats are counts since the broker was made, and levels as they are now.
type Stats struct {
	Sessions    int // logged in
	Connections int // sockets, logged in or not
	Pending     int // sockets that have not logged in
	Retained    int // retained messages

	Received      uint64          // messages from clients
	ReceivedBytes uint64          // of their payloads
	Acked         uint64          // PUBACKs given to clients
	Failed        uint64          // messages that could not be kept
	Sent          uint64          // messages sent to clients
	Dropped       uint64          // messages lost because a client did not keep up
	TakenOver     uint64          // sessions ended by a newer one
	Panics        uint64          // recovered while handling a connection
	AcceptErrors  uint64          // such as too many open files
	Refused       map[Kind]uint64 // violations
}

type counters struct {
	received, receivedBytes, acked, failed, sent, dropped, takenOver, panics, acceptErrors atomic.Uint64
}

// Stats returns the counts.
func (b *Broker) Stats() Stats {
	sockets := b.gate.counts()
	return Stats{
		Sessions:    sockets.all - sockets.pending,
		Connections: sockets.all,
		Pending:     sockets.pending,
		Retained:    b.retained.len(),

		Received:      b.stats.received.Load(),
		ReceivedBytes: b.stats.receivedBytes.Load(),
		Acked:         b.stats.acked.Load(),
		Failed:        b.stats.failed.Load(),
		Sent:          b.stats.sent.Load(),
		Dropped:       b.stats.dropped.Load(),
		TakenOver:     b.stats.takenOver.Load(),
		Panics:        b.stats.panics.Load(),
		AcceptErrors:  b.stats.acceptErrors.Load(),
		Refused:       b.reporter.snapshot(),
	}
}
