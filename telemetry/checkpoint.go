package telemetry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"

	"greenhouse"
)

// A checkpoint is the state without its readings: names, latest values, message
// counts and gaps, as of a place in the log. It is kept twice, so that one
// damaged file costs nothing; the log before it may be cut once both are synced.
const checkpointMagic = "GHTCKP\x00\x01"

var errCheckpoint = errors.New("checkpoint does not decode")

func checkpointNames(dir string) [2]string {
	return [2]string{filepath.Join(dir, "state.a"), filepath.Join(dir, "state.b")}
}

// checkpoint is what a checkpoint file says beside the state itself.
type checkpoint struct {
	at      position                       // frames before this are in the state
	pending map[uint64]map[uint32]struct{} // by segment: windows not yet in a day file
}

// appendCheckpoint encodes the state as of at.
func appendCheckpoint(b []byte, st *state, at position, segs []*segment) []byte {
	b = append(b, checkpointMagic...)
	b = binary.AppendUvarint(b, at.segment)
	b = binary.AppendVarint(b, at.offset)
	for _, v := range [...]int64{st.readings, st.messages, st.refused, st.newest, st.arrived, st.gaps.shift} {
		b = binary.AppendVarint(b, v)
	}
	b = appendPending(b, segs)
	index := map[*node]int{}
	b = appendNodes(b, st, index)
	b = appendSeries(b, st, index)
	b = binary.AppendUvarint(b, uint64(len(st.gaps.byID)))
	for _, id := range st.gaps.ids() {
		b = appendGap(binary.AppendUvarint(b, id), *st.gaps.byID[id])
	}
	b = binary.AppendUvarint(b, st.gaps.next)
	b = appendSensors(b, st)
	if st.pen.rows > 0 {
		b = binary.AppendVarint(binary.AppendUvarint(appendString(b, st.pen.boot), st.pen.gaps), st.pen.floor)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

func appendPending(b []byte, segs []*segment) []byte {
	b = binary.AppendUvarint(b, uint64(len(segs)))
	for _, s := range segs {
		b = binary.AppendUvarint(b, s.number)
		wins := make([]uint32, 0, len(s.pending)+len(s.leaving))
		for w := range s.pending {
			wins = append(wins, w)
		}
		for w := range s.leaving {
			wins = append(wins, w)
		}
		slices.Sort(wins)
		b = binary.AppendUvarint(b, uint64(len(wins)))
		for _, w := range wins {
			b = binary.AppendUvarint(b, uint64(w))
		}
	}
	return b
}

func appendNodes(b []byte, st *state, index map[*node]int) []byte {
	b = binary.AppendUvarint(b, uint64(len(st.nodes)))
	for _, n := range st.nodes {
		index[n] = len(index)
		b = appendString(b, string(n.uid))
		b = binary.AppendVarint(b, n.at)
		b = binary.AppendUvarint(b, uint64(len(n.boots)))
		for _, s := range n.boots {
			b = appendStream(b, s)
		}
	}
	return binary.AppendUvarint(b, uint64(st.nextStream))
}

func appendStream(b []byte, s *stream) []byte {
	b = binary.AppendUvarint(b, uint64(s.id))
	b = appendString(b, s.boot)
	begun := byte(0)
	if s.begun {
		begun = 1
	}
	b = binary.AppendUvarint(append(b, begun), s.last)
	b = binary.AppendVarint(b, s.at)
	b = binary.AppendUvarint(b, uint64(len(s.missing)))
	for _, m := range s.missing {
		b = binary.AppendUvarint(b, m.lo)
		b = binary.AppendUvarint(b, m.hi)
		b = binary.AppendUvarint(b, m.gap)
	}
	return b
}

func appendSeries(b []byte, st *state, index map[*node]int) []byte {
	b = binary.AppendUvarint(b, uint64(len(st.series)))
	for _, s := range st.series[1:] {
		if s == nil {
			b = append(b, 0)
			continue
		}
		b = appendString(b, string(s.point))
		b = binary.AppendVarint(b, s.latest.at)
		b = appendFloat(append(b, byte(s.latest.q)), s.latest.v)
		b = binary.AppendUvarint(b, uint64(len(s.nodes)))
		for _, n := range s.nodes {
			b = binary.AppendUvarint(b, uint64(index[n]))
		}
	}
	return b
}

// writeCheckpoint saves the state without readings, twice.
func (e *Engine) writeCheckpoint() error {
	_, err := e.checkpoint()
	return err
}

func (e *Engine) checkpoint() (position, error) {
	e.mu.RLock()
	at := e.applied
	data := appendCheckpoint(nil, e.st, at, e.wal.segs)
	e.mu.RUnlock()
	for _, name := range checkpointNames(e.o.Dir) {
		e.wal.count(0, int64(len(data)))
		if err := writeWhole(e.o.Disk, e.o.Dir, name, data); err != nil {
			return at, fmt.Errorf("write checkpoint: %w", err)
		}
	}
	return at, nil
}

// decodeCheckpoint rebuilds a state.
func decodeCheckpoint(data []byte) (*state, checkpoint, error) {
	var ck checkpoint
	n := len(data) - 4
	if n < len(checkpointMagic) || string(data[:len(checkpointMagic)]) != checkpointMagic ||
		binary.LittleEndian.Uint32(data[n:]) != crc32.Checksum(data[:n], castagnoli()) {
		return nil, ck, errCheckpoint
	}
	st := newState()
	d := decoder{b: data[len(checkpointMagic):n]}
	ck.at = position{d.uvarint(), d.varint()}
	for _, p := range [...]*int64{&st.readings, &st.messages, &st.refused, &st.newest, &st.arrived, &st.gaps.shift} {
		*p = d.varint()
	}
	ck.pending = map[uint64]map[uint32]struct{}{}
	for range d.count(2) {
		number, wins := d.uvarint(), map[uint32]struct{}{}
		for range d.count(1) {
			wins[uint32(d.uvarint())] = struct{}{}
		}
		ck.pending[number] = wins
	}
	index := d.nodes(st)
	d.series(st, index)
	for range d.count(6) {
		id, g := d.uvarint(), d.gap()
		st.gaps.byID[id] = &g
		st.gaps.last[kindOf(g)] = max(st.gaps.last[kindOf(g)], id)
	}
	st.gaps.next = d.uvarint()
	d.sensors(st)
	if len(d.b) > 0 {
		st.pen = pen{boot: d.string(), gaps: d.uvarint(), floor: d.varint()}
	}
	if d.err != nil {
		return nil, ck, fmt.Errorf("%w: %w", errCheckpoint, d.err)
	}
	return st, ck, nil
}

func (d *decoder) nodes(st *state) []*node {
	var index []*node
	for range d.count(3) {
		n := st.node(greenhouse.UID(d.string()))
		n.at = d.varint()
		index = append(index, n)
		for range d.count(6) {
			s := d.stream(n)
			st.streams[s.id] = s
			st.boots[bootKey{n.uid, s.boot}] = s
			n.boots = append(n.boots, s)
		}
	}
	st.nextStream = uint32(d.uvarint())
	return index
}

func (d *decoder) stream(n *node) *stream {
	s := &stream{id: uint32(d.uvarint()), node: n, boot: d.string(), begun: d.byte() == 1, last: d.uvarint(), at: d.varint()}
	for range d.count(3) {
		s.missing = append(s.missing, missing{d.uvarint(), d.uvarint(), d.uvarint()})
	}
	return s
}

func (d *decoder) series(st *state, index []*node) {
	n := d.count(1)
	slab := make([]series, max(n, 1))
	st.series = make([]*series, 1, max(n, 1))
	for id := 1; id < n && d.err == nil; id++ {
		st.series = append(st.series, nil)
		p := greenhouse.PointID(d.string())
		if p == "" {
			continue
		}
		s := &slab[id]
		s.id, s.point = uint32(id), p
		s.latest.at, s.latest.q, s.latest.v = d.varint(), greenhouse.Quality(d.byte()), d.float()
		for range d.count(1) {
			if i := d.uvarint(); i < uint64(len(index)) {
				s.nodes = append(s.nodes, index[i])
			}
		}
		st.series[id] = s
		st.points[p] = s
	}
}

// loadCheckpoint returns the newer of the two checkpoints that can be read, an
// empty state if there is none, and the names of damaged ones.
func loadCheckpoint(dir string) (st *state, ck checkpoint, damaged []string, err error) {
	for _, name := range checkpointNames(dir) {
		data, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, ck, nil, fmt.Errorf("read checkpoint: %w", err)
		}
		s, c, err := decodeCheckpoint(data)
		if err != nil {
			damaged = append(damaged, name)
			continue
		}
		if st == nil || ck.at.before(c.at) {
			st, ck = s, c
		}
	}
	if st == nil {
		st = newState()
	}
	return st, ck, damaged, nil
}
