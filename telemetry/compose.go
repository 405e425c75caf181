package telemetry

import (
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

	series  map[greenhouse.PointID]uint32 // defined in this frame
	streams map[bootKey]uint32
	nextID  uint32
	nextStr uint32
	arrived int64
	repeats int // readings left out because they are known

	stopped map[greenhouse.UID]int64 // nodes online at the last stop, and when heard last
	down    map[greenhouse.UID]int64 // those of them not heard since
	met     []greenhouse.UID         // taken out of down by this frame
	holes   []greenhouse.Gap         // to follow the batch at hand
	frames  uint64                   // frames begun

	now     int64
	oldest  int64
	trusted bool
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
	c.unmeet()
	now := c.o.Now()
	c.now = now.UnixMilli()
	c.oldest = now.Add(-c.o.Retention).UnixMilli()
	c.trusted = c.o.ClockTrusted()
}

// empty reports whether there is nothing to write.
func (c *composer) empty() bool { return len(c.frame) == frameHeader }

// batch appends what is new in b.
func (c *composer) batch(b *Batch) {
	if b.gap != nil {
		c.gap(*b.gap)
		return
	}
	c.body, c.holes = c.body[:0], c.holes[:0]
	arrived := b.Arrived.UnixMilli()
	h := batchHead{hasSeq: b.HasSeq, seq: b.Seq, seqEnd: b.Seq, refused: uint64(max(b.Refused, 0))}
	last := arrived
	for i := range b.Readings {
		r := &b.Readings[i]
		id, st := c.point(r.Point)
		switch {
		case !c.acceptable(r):
			h.refused++
			continue
		case st != nil && st.has(int64(r.At)):
			c.repeats++
			continue
		case id == 0:
			id = c.define(r.Point)
		}
		if st != nil {
			c.silence(st, b.Node, int64(r.At))
		}
		c.body = appendReading(c.body, id, int64(r.At), last, r.Value+0, c.quality(r)) // +0 makes 0 of -0
		last = int64(r.At)
		h.n++
	}
	str := c.st.boots[bootKey{b.Node, b.Boot}]
	if b.HasSeq && str != nil && str.seen(b.Seq) {
		c.repeats += int(h.refused) // told of when it first came
		if h.n == 0 {
			return // sent again, and known
		}
		h.refused = 0
	} else if h.n == 0 && h.refused == 0 && !b.HasSeq {
		return
	}
	c.downtime(b, str)
	h.stream = c.stream(bootKey{b.Node, b.Boot}, str)
	c.head(h, arrived)
	c.frame = append(c.frame, c.body...)
	c.seen = append(c.seen, b.Arrived)
	for _, g := range c.holes {
		c.gap(g)
	}
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

// point returns the number of p, 0 if it has none yet, and its series if that
// is applied already.
func (c *composer) point(p greenhouse.PointID) (uint32, *series) {
	if s := c.st.points[p]; s != nil {
		return s.id, s
	}
	return c.series[p], nil
}

func (c *composer) define(p greenhouse.PointID) uint32 {
	id := c.nextID
	c.nextID++
	c.series[p] = id
	c.frame = appendDefinition(c.frame, recordSeries, id, string(p))
	return id
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

// acceptable reports whether the reading's time and names can be stored.
func (c *composer) acceptable(r *greenhouse.Reading) bool {
	at := int64(r.At)
	if at <= 0 || at > maxTime || r.Point == "" || len(r.Point) > maxName {
		return false
	}
	return !c.trusted || at <= c.now+future && at >= c.oldest
}

func (c *composer) quality(r *greenhouse.Reading) greenhouse.Quality {
	if c.o.Plausible == nil {
		return judge(r.Value, r.Quality, 0, 0, false)
	}
	lo, hi, ok := c.o.Plausible(r.Point)
	return judge(r.Value, r.Quality, lo, hi, ok)
}
