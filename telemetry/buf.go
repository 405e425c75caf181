package telemetry

import (
	"cmp"
	"slices"

	"greenhouse"
)

// cell is one reading in memory, 16 bytes.
type cell struct {
	v   float64
	off uint32 // ms since the window began
	q   uint8  // of greenhouse.Quality
}

func (c cell) row(base int64) row {
	return row{base + int64(c.off), c.v, greenhouse.Quality(c.q)}
}

// buf is what memory holds of one series in one window: up to 3.6 million
// readings, one a millisecond. Readings that come in order cost one append.
// Those that do not are put into late, which stays short: what a reading costs
// grows with the square root of how many there are, not with their number.
type buf struct {
	win      uint32
	replayed bool   // some were read back from the log, and may be in the day file
	cells    []cell // in order of time
	late     []cell // came out of order; in order, and each before the last of cells
}

// shortBuf is the length up to which a late reading is simply put in its place.
const shortBuf = 512

// lateBound is how many late cells wait before they are merged in.
func lateBound(n int) int { return max(shortBuf/2, n>>9) }

// place returns where off lies in cells, and whether it is there.
func place(cells []cell, off uint32) (int, bool) {
	n := len(cells)
	if n == 0 || cells[n-1].off < off {
		return n, false
	}
	return slices.BinarySearchFunc(cells, off, func(c cell, o uint32) int { return cmp.Compare(c.off, o) })
}

// has reports whether there is a reading at off.
func (b *buf) has(off uint32) bool {
	if _, ok := place(b.cells, off); ok {
		return true
	}
	_, ok := place(b.late, off)
	return ok
}

// len returns how many readings there are.
func (b *buf) len() int { return len(b.cells) + len(b.late) }

// insert adds a cell whose time is not taken.
func (b *buf) insert(c cell) {
	at, _ := place(b.cells, c.off)
	switch {
	case at == len(b.cells):
		b.cells = append(b.cells, c)
		return
	case len(b.cells) <= shortBuf:
		b.cells = slices.Insert(b.cells, at, c)
		return
	}
	at, _ = place(b.late, c.off)
	b.late = slices.Insert(b.late, at, c)
	if len(b.late) > lateBound(len(b.cells)) {
		b.settle()
	}
}

// settle merges late into cells, in place and from the end.
func (b *buf) settle() {
	i, j := len(b.cells)-1, len(b.late)-1
	if j < 0 {
		return
	}
	b.cells = append(b.cells, b.late...)
	for k := len(b.cells) - 1; j >= 0; k-- {
		if i >= 0 && b.cells[i].off > b.late[j].off {
			b.cells[k] = b.cells[i]
			i--
		} else {
			b.cells[k] = b.late[j]
			j--
		}
	}
	b.late = b.late[:0]
}

// span returns the cells from at from to before to, ms since the epoch.
func (b *buf) span(cells []cell, from, to int64) []cell {
	base := int64(b.win) * windowMillis
	i, j := 0, len(cells)
	if from > base {
		i, _ = place(cells, uint32(min(from-base, windowMillis)))
	}
	if to < base+windowMillis {
		j, _ = place(cells, uint32(max(to-base, 0)))
	}
	return cells[i:max(i, j)]
}

// appendRows appends the readings from at from to before to, in order.
func (b *buf) appendRows(dst []row, from, to int64) []row {
	base := int64(b.win) * windowMillis
	cells, late := b.span(b.cells, from, to), b.span(b.late, from, to)
	dst = slices.Grow(dst, len(cells)+len(late))
	for len(cells)+len(late) > 0 {
		next := &cells
		if len(cells) == 0 || len(late) > 0 && late[0].off < cells[0].off {
			next = &late
		}
		dst = append(dst, (*next)[0].row(base))
		*next = (*next)[1:]
	}
	return dst
}
