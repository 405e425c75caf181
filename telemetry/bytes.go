package telemetry

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
)

var errShort = errors.New("record ends too early")

// castagnoli returns the CRC-32C table; the standard library builds it once.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// decoder reads what the append functions of encoding/binary wrote. The first
// error sticks, and everything after it reads as zero.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = errShort
	}
	d.b = nil
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) string() string { return string(d.bytes(d.uvarint())) }

func (d *decoder) float() float64 {
	b := d.bytes(8)
	if b == nil {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

// count reads a length and refuses one that could not fit in what is left,
// each item taking at least size bytes.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendFloat(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

// appendSum appends the CRC-32C of a value and the place it belongs to, so
// that a value found in another place is noticed too.
func appendSum(value []byte, bucket string, key []byte) []byte {
	return binary.LittleEndian.AppendUint32(value, sum(value, bucket, key))
}

// checkSum returns the value without its CRC, or false.
func checkSum(b []byte, bucket string, key []byte) ([]byte, bool) {
	if len(b) < 4 {
		return nil, false
	}
	value := b[:len(b)-4]
	return value, binary.LittleEndian.Uint32(b[len(value):]) == sum(value, bucket, key)
}

func sum(value []byte, bucket string, key []byte) uint32 {
	t := castagnoli()
	return crc32.Update(crc32.Update(crc32.Checksum([]byte(bucket), t), t, key), t, value)
}
