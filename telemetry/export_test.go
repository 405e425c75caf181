package telemetry

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"greenhouse"
)

// What tests outside the package need of its inside.

// Row is a reading as the codec sees it.
type Row struct {
	At int64
	V  float64
	Q  greenhouse.Quality
}

// EncodeRows encodes rows, whose times lie at or after start, as one chunk.
func EncodeRows(start int64, in []Row) []byte {
	var c chunkCoder
	var rows []row
	for _, r := range in {
		rows = append(rows, row{r.At, r.V, r.Q})
	}
	return c.appendChunk(nil, rows, c.appendTimes(nil, start, rows), 0, true)
}

// DecodeRows is the inverse of EncodeRows; it also returns the summary's mean.
func DecodeRows(start int64, b []byte) ([]Row, float64, error) {
	var c chunkCoder
	v, err := viewChunk(b)
	if err != nil {
		return nil, 0, err
	}
	rows, err := c.rowsOf(nil, v, start)
	var out []Row
	for _, r := range rows {
		out = append(out, Row{r.at, r.v, r.q})
	}
	return out, v.sum.sum / float64(v.sum.count), err
}

// EncodeColumn encodes a column of integers.
func EncodeColumn(v []int64, clock bool) []byte {
	var c columns
	return c.append(nil, v, clock)
}

// DecodeColumn decodes n integers and returns how many bytes are left over.
func DecodeColumn(b []byte, n int) ([]int64, int, error) {
	v := make([]int64, n)
	rest, err := decodeColumn(b, v)
	return v, len(rest), err
}

// EncodeLevel sums up the rows of the day that begins at base.
func EncodeLevel(base int64, in []Row, rate bool) []byte {
	var c chunkCoder
	l, sum := level{tail: -1, rate: rate}, integral{}
	for _, r := range in {
		l.add(base, []row{{r.At, r.V, r.Q}}, &sum)
	}
	return c.appendLevel(nil, &l)
}

// DecodeLevel decodes a level, and again what it encodes that to, and reports whether
// both are the same.
func DecodeLevel(b []byte) (same bool, err error) {
	var c chunkCoder
	l, err := c.decodeLevel(b)
	if err != nil {
		return false, err
	}
	once := c.appendLevel(nil, &l)
	if l, err = c.decodeLevel(once); err != nil {
		return false, err
	}
	return bytes.Equal(once, c.appendLevel(nil, &l)), nil
}

// OnDayCommit has fn called after each commit in a day file or in one of summaries, with
// nothing of the engine going on meanwhile if it is maintained on request alone.
func (e *Engine) OnDayCommit(fn func(path string)) {
	for _, ds := range [...]*days{e.days, e.levels} {
		count := ds.wrote
		ds.wrote = func(path string, bytes int64) {
			count(path, bytes)
			fn(path)
		}
	}
}

// SegmentHeader is where the first frame of a segment begins.
const SegmentHeader = segmentHeader

// AppendFrame appends a frame to the bytes of a segment.
func AppendFrame(data []byte, number uint64, payload []byte) []byte {
	f := sealFrame(append(make([]byte, frameHeader), payload...), position{number, int64(len(data))})
	return append(data, f...)
}

// Frames returns where the frames of a segment are, where they end, and how many bytes
// among them are damaged.
func Frames(data []byte, number uint64, limit int64) (at []int64, end, damaged int64) {
	end, damaged, _ = frames(data, number, limit, func(off int64, _ []byte) error {
		at = append(at, off)
		return nil
	})
	return at, end, damaged
}

// FramesWordByWord is what Frames is held against: every word might be a frame.
func FramesWordByWord(data []byte, number uint64, limit int64) (at []int64, end, damaged int64) {
	data, end = data[:min(limit, int64(len(data)))], segmentHeader
	for off := end; off < int64(len(data)); {
		_, next, ok := frameAt(data, number, off)
		if !ok {
			off += frameAlign
			continue
		}
		at, damaged = append(at, off), damaged+off-end
		off, end = next, next
	}
	return at, end, damaged
}

// Apply applies a frame's payload to an empty state, twice, and returns how
// many readings are in it.
func Apply(payload []byte) (readings int, err error) {
	a := applier{st: newState(), seg: &segment{pending: map[uint32]struct{}{}}}
	for range 2 {
		if err = a.frame(payload); err != nil {
			break
		}
	}
	n := 0
	for _, s := range a.st.series {
		if s == nil {
			continue
		}
		for _, b := range s.head {
			b.settle()
			for i := range b.cells {
				if i > 0 && b.cells[i].off <= b.cells[i-1].off {
					panic("cells out of order")
				}
			}
			n += len(b.cells)
		}
	}
	penned := 0
	for _, s := range a.st.series {
		if s != nil {
			penned += len(s.pen)
		}
	}
	if n+penned != a.st.cells || penned != a.st.pen.rows {
		panic("cells are miscounted")
	}
	return n, err
}

// Payloads returns the payloads of the frames in a segment file.
func Payloads(data []byte, number uint64) (all [][]byte) {
	frames(data, number, int64(len(data)), func(_ int64, p []byte) error {
		all = append(all, append([]byte(nil), p...))
		return nil
	})
	return all
}

// LoadCheckpoint decodes a checkpoint and encodes it again.
func LoadCheckpoint(data []byte) error {
	st, ck, err := decodeCheckpoint(data)
	if err == nil {
		appendCheckpoint(nil, st, ck.at, nil)
	}
	return err
}

// Checksummed ends data like a checkpoint.
func Checksummed(data []byte) []byte {
	b := append([]byte(checkpointMagic), data...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}
