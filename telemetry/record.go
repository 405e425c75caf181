package telemetry

import (
	"encoding/binary"
	"fmt"
	"math"

	"greenhouse"
)

// A frame's payload is a sequence of records, each a type byte and fields:
// integers as (zigzag) varints, strings with their length in front.
const (
	recordSeries = 1 // id, point: a number for a point
	recordStream = 2 // id, node, boot: a number for a node's boot
	recordBatch  = 3 // flags, stream?, seq?, arrived, refused?, n, readings
	recordGap    = 4 // point, node, cause, from, to, count
	recordBoot   = 5 // boot of the machine: provisional readings of it follow
	recordSettle = 6 // known, base: provisional readings have their times now
)

// The flags of a batch.
const (
	batchSeq     = 1  // a sequence number is given
	batchStream  = 2  // the sender is known
	batchRefused = 4  // samples were refused
	batchRange   = 8  // stands for messages up to a second sequence number, dropped before they were logged
	batchUp      = 16 // provisional: the time since the machine's boot is given
	batchMore    = 32 // of the same message as the batch before
)

// The form of a value, in the low five bits of the byte that has the quality
// in the high three.
const (
	formNone    = 0  // no value
	formDecimal = 1  // formDecimal+e: mantissa of a decimal with e places
	formBinary  = 31 // the eight bytes of the float
)

// batchHead is a batch record without its readings.
type batchHead struct {
	stream  uint32
	hasSeq  bool
	seq     uint64
	seqEnd  uint64 // last of a dropped range, else seq
	arrived int64
	up      int64 // ms since the machine's boot if the readings are provisional, else 0
	refused uint64
	more    bool // of the same message as the batch before
	n       int
}

func appendBatchHead(b []byte, h batchHead) []byte {
	var flags byte
	if h.hasSeq {
		flags |= batchSeq
	}
	if h.stream > 0 {
		flags |= batchStream
	}
	if h.refused > 0 {
		flags |= batchRefused
	}
	if h.hasSeq && h.seqEnd > h.seq {
		flags |= batchRange
	}
	if h.up > 0 {
		flags |= batchUp
	}
	if h.more {
		flags |= batchMore
	}
	b = append(b, recordBatch, flags)
	if h.stream > 0 {
		b = binary.AppendUvarint(b, uint64(h.stream))
	}
	if h.hasSeq {
		b = binary.AppendUvarint(b, h.seq)
	}
	if flags&batchRange != 0 {
		b = binary.AppendUvarint(b, h.seqEnd-h.seq)
	}
	b = binary.AppendVarint(b, h.arrived)
	if h.up > 0 {
		b = binary.AppendVarint(b, h.up)
	}
	if h.refused > 0 {
		b = binary.AppendUvarint(b, h.refused)
	}
	return binary.AppendUvarint(b, uint64(h.n))
}

func (d *decoder) batchHead() (h batchHead) {
	flags := d.byte()
	h.more = flags&batchMore != 0
	if flags&batchStream != 0 {
		h.stream = uint32(d.uvarint())
	}
	if flags&batchSeq != 0 {
		h.hasSeq = true
		h.seq = d.uvarint()
		h.seqEnd = h.seq
	}
	if flags&batchRange != 0 {
		h.seqEnd += d.uvarint()
	}
	h.arrived = d.varint()
	if flags&batchUp != 0 {
		h.up = max(d.varint(), 1)
	}
	if flags&batchRefused != 0 {
		h.refused = d.uvarint()
	}
	h.n = d.count(3)
	return h
}

// appendReading appends one reading of a batch; last is the time of the
// reading before, or of the arrival.
func appendReading(b []byte, series uint32, at, last int64, v float64, q greenhouse.Quality) []byte {
	b = binary.AppendUvarint(b, uint64(series))
	b = binary.AppendVarint(b, at-last)
	tag := byte(q) << 5
	if math.IsNaN(v) {
		return append(b, tag|formNone)
	}
	if m, e, ok := decimal(v); ok {
		return binary.AppendVarint(append(b, tag|byte(formDecimal+e)), m)
	}
	return appendFloat(append(b, tag|formBinary), v)
}

func (d *decoder) reading(last int64) (series uint32, r row) {
	series = uint32(d.uvarint())
	r.at = last + d.varint()
	tag := d.byte()
	r.q = greenhouse.Quality(tag >> 5)
	switch form := int(tag & 31); {
	case form == formNone:
		r.v = math.NaN()
	case form == formBinary:
		r.v = d.float()
	case form <= formDecimal+maxExponent:
		r.v = undecimal(d.varint(), form-formDecimal)
	default:
		d.fail()
	}
	return series, r
}

func appendGap(b []byte, g greenhouse.Gap) []byte {
	b = appendString(b, string(g.Point))
	b = appendString(b, string(g.Node))
	b = appendString(b, g.Cause)
	b = binary.AppendVarint(b, int64(g.From))
	b = binary.AppendVarint(b, int64(g.To))
	return binary.AppendVarint(b, g.Count)
}

func (d *decoder) gap() greenhouse.Gap {
	return greenhouse.Gap{
		Point: greenhouse.PointID(d.string()), Node: greenhouse.UID(d.string()), Cause: d.string(),
		From: greenhouse.Millis(d.varint()), To: greenhouse.Millis(d.varint()), Count: d.varint(),
	}
}

func appendSettling(b []byte, s settling) []byte {
	known := byte(0)
	if s.known {
		known = 1
	}
	return binary.AppendVarint(append(b, recordSettle, known), s.base)
}

// handler receives the records of a frame in their order.
type handler interface {
	defineSeries(id uint32, p greenhouse.PointID) error
	defineStream(id uint32, node greenhouse.UID, boot string) error
	batch(h batchHead, readings *decoder) error
	gap(g greenhouse.Gap)
	boot(id string)
	settle(s settling)
}

// records walks the payload of a frame.
func records(payload []byte, h handler) error {
	d := decoder{b: payload}
	for len(d.b) > 0 {
		var err error
		switch t := d.byte(); t {
		case recordSeries:
			id, p := uint32(d.uvarint()), greenhouse.PointID(d.string())
			if d.err == nil {
				err = h.defineSeries(id, p)
			}
		case recordStream:
			id, node, boot := uint32(d.uvarint()), greenhouse.UID(d.string()), d.string()
			if d.err == nil {
				err = h.defineStream(id, node, boot)
			}
		case recordBatch:
			if head := d.batchHead(); d.err == nil {
				err = h.batch(head, &d)
			}
		case recordGap:
			if g := d.gap(); d.err == nil {
				h.gap(g)
			}
		case recordBoot:
			if id := d.string(); d.err == nil {
				h.boot(id)
			}
		case recordSettle:
			if s := (settling{d.byte() == 1, d.varint()}); d.err == nil {
				h.settle(s)
			}
		default:
			err = fmt.Errorf("record type %d is unknown", t)
		}
		if err == nil {
			err = d.err
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// maxName bounds the length of a point or node name.
const maxName = 255

// appendDefinition appends a record that makes id stand for names.
func appendDefinition(b []byte, kind byte, id uint32, names ...string) []byte {
	b = binary.AppendUvarint(append(b, kind), uint64(id))
	for _, n := range names {
		b = appendString(b, n)
	}
	return b
}
