package telemetry

import "greenhouse"

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

// SegmentHeader is where the first frame of a segment begins.
const SegmentHeader = segmentHeader
