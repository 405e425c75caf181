// Package store keeps the registry: the site, its nodes, zones, points,
// overrides and recipes, credentials, accounts, users and tokens, commands, and the records that
// other rooms put beside them in the same transaction. It is one small bbolt
// file, and the only room besides telemetry that knows bbolt.
//
// # One writer, one snapshot
//
// All changes run inside [Store.Update], one at a time. Every rule (rules.go)
// is checked in the transaction that makes the change, against what that
// transaction sees, so no two edits can break a rule together: there is no lock
// to lose, no retry, and no isolation level to remember. A get-or-create such
// as [Tx.Join] is one transaction whose key is the canonical hardware id.
//
// A write transaction works on a draft of the [Registry], the immutable copy of
// everything in memory: it reads from the draft and writes to both. After the
// commit the draft becomes the registry, in one atomic step. Maps are copied
// once per transaction and noun, records are never changed in place, so
// whoever holds a *Registry may read it for as long as they like without a
// lock; they must not change what it points to.
//
// # On disk
//
// Top-level buckets only. The name of each noun is its bucket; buckets of other
// rooms carry the prefix "room.". A node's key is its canonical hardware id.
// bbolt has no checksum on its data pages, therefore every value carries a
// CRC32C over bucket, key and content, and one manifest record counts the
// records of every bucket and sums their checksums: a record that vanished, or
// an old page that came back, is noticed too. [VerifyFile] checks all of it
// from the bytes alone, without mapping the file and without panicking.
//
// The file is created under another name, synced, renamed, and its directory
// synced. A separate lock file holds the lock and the pid of its owner. A
// damaged file is renamed to registry.db.corrupt-<time> and the newest good
// snapshot takes its place; where there is none, Open refuses. It never begins
// empty where there was something. A restored registry leaps ahead with its
// epoch and its sequences, for numbers given since the snapshot are in use.
//
// # What is kept of the past
//
// Of each node the last 20 configurations (revisions.go), with who made them and what
// the node said, and of each channel the last 20 calibrations (calibrate.go); the
// last swap by which a node came into its place, to undo it (swap.go). Everything
// else of the past is in the journal.
//
// # Failure
//
// After any failed commit (but one: a full registry, which bbolt refuses before
// it writes) nobody knows what is on disk: the store refuses reads of the file
// and all writes with [greenhouse.ErrUnavailable] until [Store.Reopen] has
// verified the file and written every page back through a sync that succeeded.
// The registry in memory is served all the while, so control goes on.
//
// # Concurrency and bounds
//
// A Store is safe for any number of goroutines. A Tx belongs to the function it
// was given to. Update inside Update, or inside an OnCommit function, waits for
// ever. Views should be short: a long one keeps pages from being used again.
// The file is at most Options.MaxBytes; a node has at most 128 channels, a zone
// at most 999 points of one name.
package store
