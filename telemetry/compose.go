package telemetry

import (
	"sync/atomic"
	"time"

	"greenhouse"
)

// composer turns batches into the payload of a frame. It only reads the state;
// what it defines becomes known when the frame is applied.
type composer struct {
	o     *Options
	st    *state
	frame []byte // frameHeader bytes of room, then records
	seen  []time.Time
	body  []byte // readings of the batch at hand

	series  map[greenhouse.PointID]fresh // defined in this frame
	drafts  []draft
	streams map[bootKey]uint32
	nextID  uint32
	nextStr uint32
	arrived int64
	repeats int // readings left out because they are known

	stopped map[greenhouse.UID]int64 // nodes online at the last stop, and when heard last
	down    map[greenhouse.UID]int64 // those of them not heard since
	met     []greenhouse.UID         // taken out of down by this frame
	holes   []greenhouse.Gap         // to follow the batch at hand
	shed    []greenhouse.Gap         // readings of it that are left out, one each
	left    int                      // of this frame
	tight   bool                     // the disk has no room for trends
	frames  uint64                   // frames begun

	settled *settling // at the beginning of this frame
	penned  bool      // this frame has provisional readings
	crowded *atomic.Bool
	stamped map[stamped]struct{} // of this frame

	bounds
	doubts *doubts
	tests  greenhouse.SensorTests // of the reading at hand
}

// fresh is a series that the frame being made defines.
type fresh struct {
	id    uint32
	draft int // its place in drafts
}

// draft is what the frame being made adds to what is known of a series: it is
// written off with the frame.
type draft struct {
	tip   int64 // newest time
	state greenhouse.SensorState
}

// bounds are the times that a reading may have now.
type bounds struct {
	now     int64
	oldest  int64
	recent  int64 // what is younger is kept whatever its class
	trusted bool
	kept    func(greenhouse.PointID) time.Duration
}

func (o *Options) bounds() bounds {
	now := o.Now()
	return bounds{now.UnixMilli(), now.Add(-o.Retention).UnixMilli(), now.Add(-o.TrendRetention).UnixMilli(), o.ClockTrusted(), o.kept}
}

// acceptable reports whether the reading's time and names can be stored. One
// that was stamped at its arrival by an untrusted clock may say anything.
func (b *bounds) acceptable(r *greenhouse.Reading, stamped bool) bool {
	at := int64(r.At)
	switch {
	case r.Point == "" || len(r.Point) > maxName || at <= 0 || at > maxTime:
		return false
	case !b.trusted:
		return stamped || at >= earliest
	}
	return at >= max(b.oldest, earliest) && at <= b.now+future && (at >= b.recent || at >= b.now-b.kept(r.Point).Milliseconds())
}

// testsOf returns what the readings of a point must pass.
func (o *Options) testsOf(p greenhouse.PointID) greenhouse.SensorTests {
	if o.Tests == nil {
		return greenhouse.AnyValue()
	}
	return o.Tests(p)
}

// begin empties the composer. The state must not change until the frame is
// applied or given up.
func (c *composer) begin() {
	c.frame = append(c.frame[:0], make([]byte, frameHeader)...)
	c.seen = c.seen[:0]
	clear(c.series)
	clear(c.streams)
	c.nextID, c.nextStr = uint32(len(c.st.series)), c.st.nextStream
	c.arrived, c.repeats = 0, 0
	c.frames++
	c.drafts = c.drafts[:0]
	c.unmeet()
	c.bounds = c.o.bounds()
	c.settled, c.penned, c.left = nil, false, 0
	clear(c.stamped)
}

// empty reports whether there is nothing to write.
func (c *composer) empty() bool { return len(c.frame) == frameHeader }

// batch appends what is new in b: one record, or two where some of its readings are
// provisional and others have times of their own.
func (c *composer) batch(b *Batch) {
	switch {
	case b.gap != nil:
		c.gap(*b.gap)
		return
	case b.nothing:
		return
	}
	str, own := c.st.boots[bootKey{b.Node, b.Boot}], b.Stamped // where readings with times of their own begin
	h := batchHead{hasSeq: b.HasSeq, seq: b.Seq, seqEnd: b.Seq, refused: uint64(max(b.Refused, 0))}
	first := 0
	if c.copied(b, str) {
		c.repeats += own
		if first = own; own == len(b.Readings) {
			c.repeats += int(h.refused)
			return
		}
	}
	c.retime(b)
	c.body, c.holes, c.shed = c.body[:0], c.holes[:0], c.shed[:0]
	arrived := b.Arrived.UnixMilli()
	last := c.readings(b, first, own, arrived, &h)
	rest, split := batchHead{more: true}, len(c.body)
	if h.n > 0 && !c.trusted {
		h.up = b.up
		c.readings(b, own, len(b.Readings), arrived, &rest)
		h.refused, rest.refused = h.refused+rest.refused, 0
	} else {
		c.readings(b, own, len(b.Readings), last, &h)
		split = len(c.body)
	}
	if !c.news(b, &h, h.n+rest.n, str) {
		return
	}
	c.downtime(b, str)
	if h.up > 0 {
		c.openPen()
	}
	h.stream = c.stream(bootKey{b.Node, b.Boot}, str)
	c.record(h, b.Arrived, c.body[:split])
	if rest.stream = h.stream; rest.n > 0 {
		c.record(rest, b.Arrived, c.body[split:])
	}
	c.tell()
}

// readings appends the new ones of a batch from one to before another to the body,
// the first one's time relative to last, counts them and those refused in h, and
// returns the last time.
func (c *composer) readings(b *Batch, from, to int, last int64, h *batchHead) int64 {
	arrived := b.Arrived.UnixMilli()
	for i := from; i < to; i++ {
		r, stamped := &b.Readings[i], i < b.Stamped
		st := c.st.points[r.Point]
		switch {
		case !c.acceptable(r, stamped):
			h.refused++
			continue
		case c.tight && c.o.Trend != nil && c.o.Trend(r.Point):
			c.shed = append(c.shed, greenhouse.Gap{Point: r.Point, From: r.At, To: r.At, Cause: CauseDiskFull, Count: 1})
			continue
		case st != nil && st.has(int64(r.At)) && (c.trusted || !stamped): // provisional ones are known by their message
			c.repeats++
			continue
		}
		id, d := c.point(r.Point, st, arrived)
		if st != nil {
			c.silence(st, d, b.Node, int64(r.At), arrived)
		}
		c.body = appendReading(c.body, id, int64(r.At), last, r.Value+0, c.judge(d, r, stamped)) // +0 makes 0 of -0
		last = int64(r.At)
		h.n++
	}
	return last
}

// news reports whether a message with n new readings has anything to be written. What
// else it says was told when it first came.
func (c *composer) news(b *Batch, h *batchHead, n int, str *stream) bool {
	if b.HasSeq && str != nil && str.seen(b.Seq) {
		c.repeats += int(h.refused) + len(c.shed)
		h.refused, c.shed = 0, c.shed[:0]
		return n > 0
	}
	return n > 0 || h.refused > 0 || len(c.shed) > 0 || b.HasSeq
}

// record appends a batch, or a part of one.
func (c *composer) record(h batchHead, arrived time.Time, readings []byte) {
	c.head(h, arrived.UnixMilli())
	c.frame = append(c.frame, readings...)
	c.seen = append(c.seen, arrived)
}

// tell appends the gaps that follow from the batch at hand.
func (c *composer) tell() {
	for _, gaps := range [...][]greenhouse.Gap{c.holes, c.shed} {
		for _, g := range gaps {
			c.gap(g)
		}
	}
	c.left += len(c.shed)
}

// head appends the head of a batch, its arrival relative to the one before.
func (c *composer) head(h batchHead, arrived int64) {
	h.arrived = arrived - c.arrived
	c.arrived = arrived
	c.frame = appendBatchHead(c.frame, h)
}

// drop appends what was lost before it could be logged.
func (c *composer) drop(d *drop) {
	for _, n := range d.numbers {
		c.head(batchHead{hasSeq: true, seq: n.lo, seqEnd: n.hi, stream: c.stream(d.from, c.st.boots[d.from])}, int64(d.gap.To))
		c.seen = append(c.seen, time.Time{})
	}
	c.gap(d.gap)
}

func (c *composer) gap(g greenhouse.Gap) {
	c.frame = appendGap(append(c.frame, recordGap), g)
}

// point returns the number of p, which it defines if need be, and what this
// frame knows of the series beyond what is applied.
func (c *composer) point(p greenhouse.PointID, st *series, arrived int64) (uint32, *draft) {
	if st != nil {
		if st.draftFrame != c.frames {
			st.draftFrame, st.draft = c.frames, int32(len(c.drafts))
			c.drafts = append(c.drafts, draft{st.latest.at, st.judged(arrived)})
		}
		return st.id, &c.drafts[st.draft]
	}
	f, ok := c.series[p]
	if !ok {
		f = fresh{c.nextID, len(c.drafts)}
		c.nextID++
		c.series[p] = f
		c.drafts = append(c.drafts, draft{})
		c.frame = appendDefinition(c.frame, recordSeries, f.id, string(p))
	}
	return f.id, &c.drafts[f.draft]
}

// judge gives a reading its quality, which is what the log keeps: it is never
// judged again.
func (c *composer) judge(d *draft, r *greenhouse.Reading, stamped bool) greenhouse.Quality {
	c.tests = c.o.testsOf(r.Point)
	if r.At < d.state.At && stamped && !c.trusted {
		d.state = greenhouse.SensorState{} // see applier.provisional
	}
	q := c.tests.Judge(&d.state, r.At, r.Value, c.doubts.quality(r))
	d.state.Note(r.At, r.Value, q)
	return q
}

// stream returns the number of a boot, defining it if needed; 0 for nobody.
func (c *composer) stream(k bootKey, known *stream) uint32 {
	if known != nil {
		return known.id
	}
	if k.node == "" {
		return 0
	}
	id, ok := c.streams[k]
	if !ok {
		id = c.nextStr
		c.nextStr++
		c.streams[k] = id
		c.frame = appendDefinition(c.frame, recordStream, id, string(k.node), k.boot)
	}
	return id
}
