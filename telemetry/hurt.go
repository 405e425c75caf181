package telemetry

import (
	"errors"

	"greenhouse"
)

// tellHurt records the chunks found damaged as gaps.
func (e *Engine) tellHurt() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.sealer.hurt {
		e.damaged.Add(1)
		from := int64(h.start) * windowMillis
		e.st.gaps.add(greenhouse.Gap{Point: h.point, From: greenhouse.Millis(from), To: greenhouse.Millis(from + int64(h.span)*windowMillis - 1), Cause: CauseCorrupt})
	}
	e.sealer.hurt = e.sealer.hurt[:0]
}

// loseDay sets a day file aside that cannot be read or written any more, and
// records the day as lost.
func (e *Engine) loseDay(f *dayFile, cause error) {
	e.o.Log.Error("a day file is damaged", "file", f.path, "error", cause)
	if err := e.days.drop(f); err != nil && !errors.Is(err, errDamaged) {
		e.o.Log.Error("close damaged day file", "file", f.path, "error", err)
	}
	e.setAside(f.path)
	e.lostDay(f.day)
}
