// Package telemetry keeps readings in order: it takes batches in, makes them
// durable, knows the latest value of every point, and answers for its history.
//
// # The way of a batch
//
// Submit puts a batch into a bounded queue. One goroutine, the committer, takes
// whatever has gathered while the last sync ran (and lingers for more where
// syncs are dear), refuses readings whose time cannot be right, leaves out
// those it has already, judges quality by the plausible range, and writes the
// rest as one checksummed frame into a pre-zeroed segment of the log: one write
// and one fdatasync per commit. Only then is the frame applied to memory, by
// the same code that replays the log at start, OnCommit hears which latest
// values moved, and every batch's Done is called. What was acknowledged is on
// disk.
//
// Memory holds the head: readings of windows (hours) that are still open. When
// a window has been over for a few minutes it is sealed into the bbolt file of
// its UTC day, as compressed columns under window|series; a checkpoint keeps
// names, latest values, message counts and gaps; then the log is cut. A day
// that is over is packed once: longer chunks, full pages. When its readings go, by
// age or budget, summaries of each half hour stay, in a file a month. What arrives late for
// a sealed window waits in the head and is merged in the next time.
//
// # What is promised
//
// A reading is identified by point and time and stored once, however often it
// is sent and wherever its twin is; the first to come stays. The latest value
// only moves forward in sample time. What is lost is recorded as a gap: numbers
// missing in a node's count (taken back if they come after all), QoS 0 dropped
// under pressure, samples refused, damage found, the time a node was not heard
// because the engine was down, silences of points longer than they may be, and what
// comes when its half hour has been summed up and its readings have gone. A gap of what
// is found damaged, or goes, is on disk before anything else is done about it. After a failed write or sync
// the file is not used again: nothing is acknowledged until what was
// acknowledged before has been read back and a new segment takes writes. During
// such a pause, and while a commit hangs for more than two seconds, latest values
// go on in memory, so control does. Damaged values are found by their CRC and
// reported as gaps, never served.
//
// Readings that came without a time of their own while the clock was not trusted
// are provisional, each by itself: they wait until the time is known and then move to
// where they belong, once, and a gap record says so (provisional.go).
//
// # Who owns what
//
// The committer alone appends to the log. One maintenance pass at a time seals,
// packs, drops and cuts. Engine.mu guards the state: the committer and the
// sealer change it, briefly, queries copy out of it. A day file has a mutex of
// its own: readers share it, opening and replacing takes it alone. Locks are
// taken in the order maintain, a day file's mu, Engine.mu; queue.mu is taken
// with none of them held; hang.mu before all of these. Callbacks run without any lock
// but hang.mu and the one that keeps OnPressure to one call at a time.
//
// # Bounds
//
// The queue: messages and bytes; QoS 1 waits, QoS 0 is dropped from 90 %. The
// head and the log: readings and bytes; beyond them windows are sealed early,
// and at twice the readings commits wait for that. Open day files: 48, and as many of summaries. Gaps:
// 50,000, then the oldest are told together. Boots remembered per node: 4.
// Readings of a point in one hour: one a millisecond, which is all there can
// be. Days: the retention and the disk budget; their summaries: the same.
//
// The format on disk is described in docs/format.md.
package telemetry
