package telemetry

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// A recycled segment has an earlier life behind its frames, and any word there
// may pass for the length of a frame of megabytes. Summing up each of them would
// take seconds at every start, and as long as a sender likes who chooses his
// bytes well. CRCs are linear: with the sum of everything up to each word, the
// sum of any stretch costs the same however long it is.

// tail looks for frames in what follows the last whole frame of a segment.
type tail struct {
	data   []byte
	number uint64
	begin  int64    // of sums
	sums   []uint32 // of data from begin to each further word
	powers [32]uint32
}

// newTail sums up data from begin, a multiple of frameAlign, if there is anything
// but zeros.
func newTail(data []byte, number uint64, begin int64) *tail {
	t := &tail{data: data, number: number, begin: begin}
	if len(bytes.TrimRight(data[begin:], "\x00")) == 0 {
		return t
	}
	t.powers = powersOfX()
	t.sums = make([]uint32, 1, (int64(len(data))-begin)/frameAlign+1)
	for b := data[begin:]; len(b) >= frameAlign; b = b[frameAlign:] {
		t.sums = append(t.sums, crc32.Update(t.sums[len(t.sums)-1], castagnoli(), b[:frameAlign]))
	}
	return t
}

// next returns where the first whole frame after off begins, or the length of
// the data if there is none.
func (t *tail) next(off int64) int64 {
	for off += frameAlign; off < t.begin+int64(len(t.sums))*frameAlign; off += frameAlign {
		n, ok := frameLength(t.data, off)
		if ok && binary.LittleEndian.Uint32(t.data[off+4:]) == t.frameSum(off, n) {
			return off
		}
	}
	return int64(len(t.data))
}

// frameSum is what [frameSum] says of the n bytes of payload of a frame at off.
func (t *tail) frameSum(off, n int64) uint32 {
	before := t.sum(off + frameHeader)
	return t.shift(placeSum(position{t.number, off}, n)^before, n) ^ t.sum(off+frameHeader+n)
}

// sum is the checksum of the data from begin to off.
func (t *tail) sum(off int64) uint32 {
	i := (off - t.begin) / frameAlign
	return crc32.Update(t.sums[i], castagnoli(), t.data[t.begin+i*frameAlign:off])
}

// shift returns what n bytes that follow make of a checksum: its product with
// x^8n modulo the polynomial. crc(ab) = shift(crc(a), len(b)) ^ crc(b).
func (t *tail) shift(sum uint32, n int64) uint32 {
	for k := 3; n > 0; n, k = n>>1, k+1 {
		if n&1 != 0 {
			sum = timesModulo(t.powers[k], sum)
		}
	}
	return sum
}

// powersOfX returns x^(2^k) modulo the polynomial for each k.
func powersOfX() (p [32]uint32) {
	p[0] = 1 << 30
	for k := 1; k < len(p); k++ {
		p[k] = timesModulo(p[k-1], p[k-1])
	}
	return p
}

// timesModulo multiplies two polynomials over GF(2), the highest bit the
// constant term, modulo that of CRC-32C.
func timesModulo(a, b uint32) (p uint32) {
	for m := uint32(1 << 31); m != 0; m >>= 1 {
		if a&m != 0 {
			p ^= b
		}
		b = b>>1 ^ crc32.Castagnoli&-(b&1)
	}
	return p
}
