package telemetry

import (
	"time"

	"greenhouse"
)

// Stats is the engine at a glance. Counters marked "ever" survive restarts;
// the others count since Open.
type Stats struct {
	QueueMessages int      // batches waiting
	QueueBytes    int      // about their memory
	QueueFill     int      // percent of the bound that is nearest
	Pressure      Pressure // with hysteresis

	Messages       int64 // committed, ever
	Readings       int64 // stored, ever
	Stored         int64 // readings stored
	Deduplicated   int64 // readings that were there already, found on the way in or, if their window was sealed before, when it is sealed again; until then they count as stored
	Batches        int64 // batches acknowledged
	BatchesFailed  int64 // batches that were not
	BatchesDropped int64 // QoS 0 dropped under pressure or in a fault
	Shedding       bool  // the disk is filling up: trends are not stored
	Shed           int64 // samples left out for that; each is in a gap record too
	Refused        int64 // samples refused, ever; each is in a gap record too
	Late           int64 // readings merged into windows already sealed

	Syncs        int64         // commits that reached the disk, failed ones too
	SyncMean     time.Duration // moving average of a commit's write and sync
	SyncMax      time.Duration // longest
	Committing   time.Duration // how long the commit under way has taken so far; 0 if none is
	Hanging      bool          // it takes too long: latest values move without it
	Hangs        int64         // commits that did
	BytesWritten int64         // to the device, in whole pages: log, day files, checkpoints

	LogBytes      int64 // log that a start would replay
	LogFiles      int
	Provisional   int               // readings that wait for the clock to be known
	HeadReadings  int               // in memory, not yet in a day file
	DayFiles      int               //
	DayBytes      int64             // on disk
	MaxBytes      int64             // that days and summaries may have; 0: no bound
	OldestDay     greenhouse.Millis // where the oldest day file begins; 0 if there is none
	DaysDropped   int64             // by age or disk budget
	OverBudget    int64             // of them, by disk budget
	DaysThinned   int64             // whose trends were dropped by age
	LevelFiles    int               // months of summaries of readings that were dropped
	LevelBytes    int64             // on disk
	OldestLevel   greenhouse.Millis // where the oldest of them begins; 0 if there is none
	LevelsDropped int64             // months of summaries, by age or disk budget
	Points        int
	Nodes         int
	Gaps          int
	GapsFolded    int64 // gaps forgotten for lack of room, ever

	Paused      bool      // nothing is being written
	PausedSince time.Time // zero if not paused
	Fault       string    // why
	Faults      int64     // pauses
	Damaged     int64     // damaged files, chunks and log stretches found
	SealError   string    // why the last sealing or packing failed; "" if it did not
	SealedAt    greenhouse.Millis
	Newest      greenhouse.Millis // newest sample time stored, ever
	LastArrival greenhouse.Millis // newest arrival of a message that is on disk, ever: after Open, the last sign of life before
}

// Stats returns the engine at a glance. It is cheap enough for a scrape.
func (e *Engine) Stats() Stats {
	s := Stats{
		Stored: e.stored.Load(), Deduplicated: e.repeats.Load(), Batches: e.batchesDone.Load(), BatchesFailed: e.batchesFailed.Load(),
		Syncs: e.wal.syncs.Load(), SyncMean: time.Duration(e.syncMean.Load()), SyncMax: time.Duration(e.syncMax.Load()),
		BytesWritten: e.wal.written.Load(), LogFiles: int(e.wal.files.Load()), DaysDropped: e.droppedDays.Load(), OverBudget: e.overBudget.Load(), DaysThinned: e.thinned.Load(),
		Faults: e.faults.Load(), Damaged: e.damaged.Load(), SealedAt: greenhouse.Millis(e.sealedAt.Load()), Late: e.late.Load(),
	}
	s.Shedding, s.Shed = e.tight.Load(), e.shed.Load()
	s.Hanging, s.Hangs = e.hang.on.Load(), e.hang.hangs.Load()
	if t := e.since.Load(); t != nil {
		s.Committing = max(e.o.Now().Sub(*t), 0)
	}
	s.MaxBytes = e.o.MaxBytes
	s.DayBytes, s.DayFiles = e.days.size()
	if all := e.days.all(); len(all) > 0 {
		s.OldestDay = greenhouse.Millis(all[0].day * dayMillis)
	}
	s.LevelBytes, s.LevelFiles = e.levels.size()
	if all := e.levels.all(); len(all) > 0 {
		s.OldestLevel = greenhouse.Millis(all[0].day * dayMillis)
	}
	s.LevelsDropped = e.droppedLevels.Load()
	e.queue.describe(&s)
	if f := e.fault.Load(); f != nil {
		s.Paused, s.PausedSince, s.Fault = true, f.since, f.err.Error()
	} else if e.low.Load() {
		s.Paused, s.Fault = true, errLow.Error()
	}
	if err := e.sealErr.Load(); err != nil {
		s.SealError = (*err).Error()
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	st := e.st
	s.Messages, s.Readings, s.Refused = st.messages, st.readings, st.refused
	s.Provisional = st.pen.rows
	s.LogBytes, s.HeadReadings = e.wal.bytes(), st.cells
	s.Points, s.Nodes, s.Gaps, s.GapsFolded = len(st.points), len(st.nodes), len(st.gaps.byID), st.gaps.shift
	s.Newest, s.LastArrival = greenhouse.Millis(st.newest), greenhouse.Millis(st.arrived)
	return s
}

// describe fills in the queue's part.
func (q *queue) describe(s *Stats) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s.QueueMessages, s.QueueBytes, s.QueueFill, s.Pressure, s.BatchesDropped = len(q.pending), q.bytes, q.fill(), q.pressure, q.dropped
}
