package telemetry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// The log is a chain of segments. A segment file holds a header of 64 bytes
// and frames, each at a multiple of 8 bytes, and is zero from there on:
//
//	header  magic[8] number[8] previous[8] previousEnd[8] created[8] 0… crc[4] at byte 60
//	frame   length[4] crc[4] payload[length] 0…
//
// All integers are little-endian. The CRC-32C of a frame covers the segment's
// number, the frame's offset, the length and the payload, so a frame left over
// from an earlier life of a recycled file is no frame. previous and previousEnd
// say where the chain comes from and how much of that segment was acknowledged:
// what lies beyond, or in a segment outside the chain, was never promised.
const (
	segmentMagic  = "GHTLOG\x00\x01"
	segmentHeader = 64
	frameHeader   = 8
	frameAlign    = 8
	maxFrame      = 16 << 20
)

// position is a place in the log.
type position struct {
	segment uint64
	offset  int64
}

func (p position) before(o position) bool {
	return p.segment < o.segment || p.segment == o.segment && p.offset < o.offset
}

// segment is one file of the log.
type segment struct {
	number  uint64
	path    string
	size    int64
	prev    position
	end     int64               // where the next frame goes; the committer's own
	applied int64               // up to where the state has it
	pending map[uint32]struct{} // windows whose readings here are in no day file yet
	leaving map[uint32]struct{} // windows being sealed now
}

func segmentName(n uint64) string { return fmt.Sprintf("%016x.log", n) }

// segmentNumber returns the number in a file name.
func segmentNumber(name string) (n uint64, ok bool) {
	hex, ok := strings.CutSuffix(filepath.Base(name), ".log")
	if !ok || len(hex) != 16 {
		return 0, false
	}
	_, err := fmt.Sscanf(hex, "%016x", &n)
	return n, err == nil && segmentName(n) == filepath.Base(name)
}

func appendSegmentHeader(b []byte, number uint64, prev position, created int64) []byte {
	start := len(b)
	b = append(b, segmentMagic...)
	for _, v := range [...]uint64{number, prev.segment, uint64(prev.offset), uint64(created)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = append(b, make([]byte, segmentHeader-4-(len(b)-start))...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli()))
}

// parseSegmentHeader returns the segment before, if b is the header of number.
func parseSegmentHeader(b []byte, number uint64) (prev position, ok bool) {
	if len(b) < segmentHeader || string(b[:8]) != segmentMagic || binary.LittleEndian.Uint64(b[8:]) != number ||
		binary.LittleEndian.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli()) {
		return position{}, false
	}
	return position{binary.LittleEndian.Uint64(b[16:]), int64(binary.LittleEndian.Uint64(b[24:]))}, true
}

// frameSum is the checksum of a frame in its place.
func frameSum(at position, payload []byte) uint32 {
	return crc32.Update(placeSum(at, int64(len(payload))), castagnoli(), payload)
}

// placeSum is the part of it that does not depend on the payload's bytes.
func placeSum(at position, length int64) uint32 {
	var place [20]byte
	binary.LittleEndian.PutUint64(place[0:], at.segment)
	binary.LittleEndian.PutUint64(place[8:], uint64(at.offset))
	binary.LittleEndian.PutUint32(place[16:], uint32(length))
	return crc32.Checksum(place[:], castagnoli())
}

// sealFrame fills in the header of b, a frame with room for it in front, and
// pads it.
func sealFrame(b []byte, at position) []byte {
	payload := b[frameHeader:]
	binary.LittleEndian.PutUint32(b[0:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[4:], frameSum(at, payload))
	for len(b)%frameAlign != 0 {
		b = append(b, 0)
	}
	return b
}

// frameAt returns the payload of the frame at offset off of the segment's
// bytes and the offset after it, or false if there is none.
func frameAt(data []byte, number uint64, off int64) (payload []byte, next int64, ok bool) {
	n, ok := frameLength(data, off)
	if !ok {
		return nil, 0, false
	}
	payload = data[off+frameHeader : off+frameHeader+n]
	if binary.LittleEndian.Uint32(data[off+4:]) != frameSum(position{number, off}, payload) {
		return nil, 0, false
	}
	return payload, alignFrame(off + frameHeader + n), true
}

// frameLength returns the length of the payload of a frame at off, or false if
// there can be none.
func frameLength(data []byte, off int64) (n int64, ok bool) {
	if off+frameHeader > int64(len(data)) {
		return 0, false
	}
	n = int64(binary.LittleEndian.Uint32(data[off:]))
	return n, n > 0 && n <= maxFrame && off+frameHeader+n <= int64(len(data))
}

func alignFrame(off int64) int64 { return (off + frameAlign - 1) &^ (frameAlign - 1) }

// frames calls fn for each frame below limit and returns where they end, and
// how many bytes in between were damaged. A frame that does not check is the
// torn tail unless whole frames follow it: a frame is written only after the
// one before was synced.
func frames(data []byte, number uint64, limit int64, fn func(off int64, payload []byte) error) (end, damaged int64, err error) {
	data = data[:min(limit, int64(len(data)))]
	end = segmentHeader
	var rest *tail
	for off := end; off < int64(len(data)); {
		payload, next, ok := frameAt(data, number, off)
		if !ok {
			if rest == nil {
				rest = newTail(data, number, off)
			}
			off = rest.next(off)
			continue
		}
		damaged += off - end
		if err := fn(off, payload); err != nil {
			return end, damaged, err
		}
		off, end = next, next
	}
	return end, damaged, nil
}

// readSegment returns the whole content of a segment file.
func readSegment(d Disk, path string, size int64) ([]byte, error) {
	f, err := d.Open(path, 0)
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], errors.Join(err, f.Close())
}

// zeroSegment creates a segment file full of zeros under its name, so that
// later syncs have no metadata to write.
func zeroSegment(d Disk, dir string, number uint64, size int64) error {
	name := filepath.Join(dir, segmentName(number))
	f, err := d.Open(name+".new", os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	zeros := make([]byte, 64<<10)
	for off := int64(0); off < size && err == nil; off += int64(len(zeros)) {
		_, err = f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = d.Rename(name+".new", name)
	}
	if err != nil {
		_ = d.Remove(name + ".new") // best effort: a full disk needs the room back
		return err
	}
	return d.SyncDir(dir)
}
