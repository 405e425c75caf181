package telemetry

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"greenhouse"
)

// Windows are whole hours since the epoch, days whole days, both UTC.
const (
	windowMillis = 60 * 60 * 1000
	dayWindows   = 24
	dayMillis    = dayWindows * windowMillis
	// maxTime is the end of the year 9999 in ms.
	maxTime = 253402300799999
	// earliest is the first time a reading may have: the hour 0 of the epoch is no
	// window, for its key in day files is that of names.
	earliest = dayMillis
	// future is how far ahead of the clock a reading may lie, in ms.
	future = 5 * 60 * 1000
)

// series is one point: its latest reading and what is not yet in a day file.
type series struct {
	id     uint32
	point  greenhouse.PointID
	latest row // at 0: none
	seen   time.Time
	head   []*buf   // windows still open, oldest first
	frozen []*buf   // windows being sealed, not to be changed
	pen    []penned // provisional readings, as they came
	nodes  []*node  // who has written here

	beat   beat                    // since Open
	sensor greenhouse.SensorState  // as of what is applied
	loose  *greenhouse.SensorState // as of what was only seen, see [Engine.observe]; nil: nothing was

	// The composer's own: where its draft of the series is.
	draftFrame uint64
	draft      int32
}

// held returns the buffer of a window in a list, and its place.
func held(list []*buf, win uint32) (int, bool) {
	if n := len(list); n == 0 || list[n-1].win < win {
		return n, false
	}
	return slices.BinarySearchFunc(list, win, func(b *buf, w uint32) int { return cmp.Compare(b.win, w) })
}

// has reports whether memory holds a reading of that time.
func (s *series) has(at int64) bool {
	win, off := uint32(at/windowMillis), uint32(at%windowMillis)
	for _, list := range [...][]*buf{s.head, s.frozen} {
		if i, ok := held(list, win); ok {
			if list[i].has(off) {
				return true
			}
		}
	}
	return false
}

// bootKey names a stream.
type bootKey struct {
	node greenhouse.UID
	boot string
}

// state is everything the log says, in memory. It is a function of the frames
// applied and of nothing else, so that replay rebuilds it.
type state struct {
	series  []*series // by id; 0 is not used
	points  map[greenhouse.PointID]*series
	streams map[uint32]*stream
	boots   map[bootKey]*stream
	nodes   map[greenhouse.UID]*node
	gaps    gapList
	pen     pen
	cells   int    // readings in head and frozen
	newest  int64  // newest sample time stored
	arrived int64  // newest arrival of a message
	spare   []*buf // emptied buffers, to be used again

	nextStream uint32
	readings   int64 // stored since the directory was made
	messages   int64
	refused    int64
}

// maxSpare bounds the emptied buffers kept.
const maxSpare = 512

func newState() *state {
	return &state{series: make([]*series, 1), points: map[greenhouse.PointID]*series{}, streams: map[uint32]*stream{},
		boots: map[bootKey]*stream{}, nodes: map[greenhouse.UID]*node{}, gaps: newGapList(), nextStream: 1}
}

var errDefinition = errors.New("log names what it never defined")

// defineSeries makes id stand for p; saying so again is harmless.
func (st *state) defineSeries(id uint32, p greenhouse.PointID) error {
	if id == 0 || int(id) > len(st.series)+1<<20 {
		return errDefinition
	}
	for int(id) >= len(st.series) {
		st.series = append(st.series, nil)
	}
	if s := st.series[id]; s != nil {
		if s.point != p {
			return errDefinition
		}
		return nil
	}
	s := &series{id: id, point: p}
	st.series[id] = s
	st.points[p] = s
	return nil
}

func (st *state) node(uid greenhouse.UID) *node {
	n := st.nodes[uid]
	if n == nil {
		n = &node{uid: uid}
		st.nodes[uid] = n
	}
	return n
}

// defineStream makes id stand for a boot of a node, and forgets the node's
// oldest boot beyond maxBoots.
func (st *state) defineStream(id uint32, uid greenhouse.UID, boot string) error {
	if s := st.streams[id]; s != nil {
		if s.node.uid != uid || s.boot != boot {
			return errDefinition
		}
		return nil
	}
	n := st.node(uid)
	s := &stream{id: id, node: n, boot: boot}
	st.streams[id] = s
	st.boots[bootKey{uid, boot}] = s
	n.boots = append(n.boots, s)
	st.nextStream = max(st.nextStream, id+1)
	if len(n.boots) > maxBoots {
		old := n.boots[0]
		n.boots = slices.Delete(n.boots, 0, 1)
		delete(st.streams, old.id)
		delete(st.boots, bootKey{uid, old.boot})
	}
	return nil
}

// insert stores a reading in the head and reports whether it was new.
func (st *state) insert(s *series, r row) bool {
	if s.has(r.at) {
		return false
	}
	win := uint32(r.at / windowMillis)
	i, ok := held(s.head, win)
	if !ok {
		s.head = slices.Insert(s.head, i, st.buffer(win))
	}
	s.head[i].insert(cell{r.v, uint32(r.at % windowMillis), uint8(r.q)})
	st.cells++
	return true
}

// buffer returns an empty buffer, a used one if there is.
func (st *state) buffer(win uint32) *buf {
	if n := len(st.spare); n > 0 {
		b := st.spare[n-1]
		st.spare = st.spare[:n-1]
		b.win, b.replayed, b.cells, b.late = win, false, b.cells[:0], b.late[:0]
		return b
	}
	return &buf{win: win}
}

// move makes r the latest reading if it is newer, or if the one held lies in a
// future that the clock has since denied.
func (s *series) move(r row, arrived int64, seen time.Time) bool {
	if r.at <= s.latest.at && !(s.ahead(arrived) && r.at <= arrived+future) {
		return false
	}
	s.latest, s.seen = r, seen
	return true
}

// ahead reports whether the latest reading lies in a future that the clock has
// since denied.
func (s *series) ahead(arrived int64) bool { return s.latest.at > arrived+future && arrived > 0 }

// judged returns what is remembered of the sensor when a reading arrives:
// nothing where that lies in the future, or it would never be judged again.
func (s *series) judged(arrived int64) greenhouse.SensorState {
	if s.ahead(arrived) && int64(s.sensor.At) > arrived+future {
		return greenhouse.SensorState{}
	}
	return s.sensor
}

// last returns the latest reading as the rooms above know it.
func (s *series) last() greenhouse.Latest {
	return greenhouse.Latest{Seen: s.seen, Reading: s.reading(s.latest)}
}

func (s *series) reading(r row) greenhouse.Reading {
	return greenhouse.Reading{Point: s.point, At: greenhouse.Millis(r.at), Value: r.v, Quality: r.q}
}

// writtenBy remembers that n writes to s.
func (s *series) writtenBy(n *node) {
	if n == nil || len(s.nodes) > 0 && s.nodes[len(s.nodes)-1] == n {
		return
	}
	if i := slices.Index(s.nodes, n); i >= 0 {
		s.nodes = slices.Delete(s.nodes, i, i+1)
	} else if len(s.nodes) >= 8 {
		s.nodes = slices.Delete(s.nodes, 0, 1)
	}
	s.nodes = append(s.nodes, n)
}
