package telemetry

import (
	"crypto/rand"
	"log/slog"
	"time"

	"greenhouse"
)

// Options say how an engine is to run. Only Dir is required.
type Options struct {
	// Dir holds the log, the day files and the checkpoints; it is created if
	// missing, and belongs to one engine at a time.
	Dir string
	// Now is the wall clock; nil means time.Now.
	Now func() time.Time
	// ClockTrusted reports whether Now may be believed: while it is false no
	// reading is refused for its time, nothing ages away, and the times of
	// readings that are Stamped are provisional. nil means always.
	ClockTrusted func() bool
	// Uptime returns which boot of the machine this is and how long it lasts,
	// which no step of the clock changes: by it readings that came while the clock
	// was not trusted get their times once it is. nil: every Open begins a boot.
	Uptime func() (boot string, since time.Duration)
	// OnRestamp hears when they did, or when nobody will ever know. The committer
	// calls it; it must not block nor call the engine. nil is fine.
	OnRestamp func(Restamped)
	// OnDrop hears what Retention and MaxBytes delete. Maintenance calls it; it must
	// not block nor call the engine. nil is fine.
	OnDrop func(Dropped)
	// Log receives what an operator should know; nil discards it.
	Log *slog.Logger
	// Linger is how long a commit waits for company, to spare a card. A full
	// page or an urgent batch ends the wait. 0 commits at once; below 0 the
	// engine lingers 400 ms while a sync usually takes more than 3 ms, and on
	// faster disks up to 3 ms where other batches can be expected meanwhile.
	Linger time.Duration
	// QueueMessages bounds the batches waiting for a commit; 0 means 16,384.
	QueueMessages int
	// QueueBytes bounds their memory, roughly; 0 means 32 MiB.
	QueueBytes int
	// SegmentBytes is the size of a log segment; 0 means 4 MiB.
	SegmentBytes int64
	// LogBytes is how much log may gather before windows are sealed early;
	// 0 means 64 MiB.
	LogBytes int64
	// HeadReadings is how many readings memory may hold before windows are
	// sealed early; at twice as many commits wait. 0 means 2,000,000 (32 MB).
	HeadReadings int
	// Retention is how long history is kept; 0 means ten years.
	Retention time.Duration
	// TrendRetention is how long the points that Trend names are kept; 0, or more
	// than Retention, means as long as the others.
	TrendRetention time.Duration
	// RollupRetention is how long summaries of half an hour are kept of readings
	// that were dropped; 0 means a hundred years. Up to the age at which readings
	// go, nothing is kept of them.
	RollupRetention time.Duration
	// Rate reports whether a point's values add up to something over time: only of
	// those is the integral kept in summaries. nil: all do. Maintenance calls it; it
	// must not block.
	Rate func(greenhouse.PointID) bool
	// MaxBytes is the disk budget of the history: beyond it the oldest days are
	// dropped but for their summaries, today never, then the oldest summaries; of
	// more than a tenth of it the oldest summaries go first. 0 means no budget.
	MaxBytes int64
	// MinFree is the free disk space below which telemetry pauses, so that the
	// registry can still be written; 0 means 64 MiB, below 0 none. Below twice
	// as much, trends are no longer stored.
	MinFree int64
	// Trend reports whether only people look at a point: such readings give way
	// first where the disk has too little room. What is left out moves the latest
	// value, is acknowledged with its message, and is a gap. nil: none is. It is
	// called by the committer, maintenance and queries, and must not block.
	Trend func(greenhouse.PointID) bool
	// Free measures the free space below a directory; nil asks the system.
	Free func(dir string) (uint64, error)
	// SealDelay is how long after its end a window is sealed, to wait for late
	// readings; 0 means 5 minutes.
	SealDelay time.Duration
	// Maintain is how often sealing, retention and free space are looked at;
	// 0 means 15 s, below 0 only when Maintain is called.
	Maintain time.Duration
	// Tests returns what the readings of a point must pass to be believed; the
	// others are kept all the same, with their quality. nil believes every
	// number. It is called by the committer and must not block.
	Tests func(greenhouse.PointID) greenhouse.SensorTests
	// StaleAfter returns how long a point may be silent before that is a gap; 0
	// for one that nobody waits for. One that sends more rarely than that may be
	// silent for three times its own rhythm. nil means none is. It is called by
	// the committer and by queries and must not block.
	StaleAfter func(greenhouse.PointID) time.Duration
	// OnCommit hears which latest values moved, after they are on disk and
	// before the batches' Done. The committer calls it, and while a commit hangs
	// also those who submit, several at once: then nothing is on disk yet. It
	// must not block, keep the slice nor call the engine's Submit. nil is fine.
	OnCommit func(moved []greenhouse.Latest)
	// OnPressure hears when the queue's pressure changes; it is called by
	// whoever submits or by the committer, one call at a time, and must not
	// block nor call the engine. nil is fine.
	OnPressure func(Pressure)
	// Disk is the file layer of log and checkpoints; nil is the system's.
	Disk Disk
}

func (o *Options) defaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ClockTrusted == nil {
		o.ClockTrusted = func() bool { return true }
	}
	if o.Uptime == nil {
		boot, began := rand.Text(), time.Now()
		o.Uptime = func() (string, time.Duration) { return boot, time.Since(began) }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Disk == nil {
		o.Disk = OSDisk{}
	}
	if o.Free == nil {
		o.Free = freeBytes
	}
	orDefault(&o.QueueMessages, 16384)
	orDefault(&o.QueueBytes, 32<<20)
	orDefault(&o.SegmentBytes, 4<<20)
	orDefault(&o.LogBytes, 64<<20)
	orDefault(&o.HeadReadings, 2_000_000)
	orDefault(&o.Retention, 10*365*24*time.Hour)
	orDefault(&o.TrendRetention, o.Retention)
	orDefault(&o.RollupRetention, 100*365*24*time.Hour)
	orDefault(&o.MinFree, 64<<20)
	orDefault(&o.SealDelay, 5*time.Minute)
	orDefault(&o.Maintain, 15*time.Second)
	o.SegmentBytes = max(o.SegmentBytes, 4096)
}

// orDefault gives *v its documented default if it is zero.
func orDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Batch is one message on its way to disk. From a successful Submit until Done
// is called it belongs to the engine.
type Batch struct {
	Node     greenhouse.UID       // who sent it; may be empty
	Boot     string               // the node's boot, "" if unknown
	Seq      uint64               // its number since boot
	HasSeq   bool                 // whether Seq was given
	Readings []greenhouse.Reading // routed to points; Quality is the sender's opinion, made worse where it must be
	Arrived  time.Time            // when it came, with the monotonic clock; zero means now
	QoS0     bool                 // may be dropped under pressure
	Refused  int                  // samples the decoder refused
	Urgent   bool                 // ends the linger
	Stamped  int                  // so many readings, the first ones, have no time of their own: each has that of the arrival
	// Done is called exactly once by the committer after a successful Submit:
	// with nil when everything is on disk, else with the reason why nothing is
	// promised. It must not block. nil is fine.
	Done func(error)

	gap     *greenhouse.Gap // to be recorded with it
	nothing bool            // only to have a frame written, if anything is due
	up      int64           // of the machine when it came, if any reading is Stamped
}

// Pressure says how full the queue is.
type Pressure int

// The pressures. Each ends ten points below where it began.
const (
	Calm   Pressure = iota
	Strain          // from 70 %
	Heavy           // from 90 %: QoS 0 is dropped
)

// String returns "calm", "strain" or "heavy".
func (p Pressure) String() string {
	switch p {
	case Strain:
		return "strain"
	case Heavy:
		return "heavy"
	}
	return "calm"
}

// The causes of gaps that the engine records by itself.
const (
	CauseSeq          = "seq"           // numbers missing in a node's count
	CauseQoS0         = "qos0_drop"     // dropped under pressure
	CauseRefused      = "refused"       // unusable name, value or time
	CauseDiskFull     = "disk_full"     // telemetry was paused
	CauseDisk         = "disk_error"    // telemetry was paused by a failing disk
	CauseCorrupt      = "corruption"    // a damaged file
	CauseDowntime     = "downtime"      // nothing of a node between a stop and its first message after; count 0
	CauseSilence      = "silence"       // nothing of a point for longer than StaleAfter; count 0
	CauseRestamped    = "restamped"     // nothing is lost: the times are right, but were found out later; count 0
	CauseLate         = "late"          // came when its half hour had been summed up and its readings dropped, and went with the next dropping of that day
	CauseThinned      = "thinned"       // no loss of what happened: readings have given way to their summaries, see steps 1h and 1d; count 0
	CauseClockUnknown = "clock_unknown" // nothing is lost, but nobody knows when it was measured: the times are guesses; count 0
)
