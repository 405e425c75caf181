package telemetry

import (
	"fmt"

	"greenhouse"
)

// What is lost is told before anything is done about it: until the gap is on
// disk, the chunk that does not read back is not written over, and its file
// neither set aside nor removed.

// tell records gaps and returns when they are on disk.
func (e *Engine) tell(gaps ...greenhouse.Gap) error {
	if len(gaps) == 0 {
		return nil
	}
	e.mu.Lock()
	for _, g := range gaps {
		e.st.gaps.add(g)
	}
	e.mu.Unlock()
	return e.writeCheckpoint()
}

// tellHurt records the chunks found damaged.
func (e *Engine) tellHurt() error {
	var gaps []greenhouse.Gap
	for _, h := range e.sealer.hurt {
		from := int64(h.start) * windowMillis
		gaps = append(gaps, greenhouse.Gap{Point: h.point, From: greenhouse.Millis(from), To: greenhouse.Millis(from + int64(h.span)*windowMillis - 1), Cause: CauseCorrupt})
	}
	e.damaged.Add(int64(len(gaps)))
	e.sealer.hurt = e.sealer.hurt[:0]
	return e.tell(gaps...)
}

// lostDays records that what was sealed of the days from first to before end can
// no longer be read.
func (e *Engine) lostDays(first, end int64) error {
	return e.tell(greenhouse.Gap{From: greenhouse.Millis(first * dayMillis), To: greenhouse.Millis(end*dayMillis - 1), Cause: CauseCorrupt})
}

// loseDay records a day as lost whose file cannot be read or written any more, and
// sets that aside.
func (e *Engine) loseDay(f *dayFile, cause error) error {
	return e.lose(e.days, f, f.day+1, cause)
}

// loseLevels does the same to a month of summaries.
func (e *Engine) loseLevels(f *dayFile, cause error) error {
	return e.lose(e.levels, f, monthEnd(f.day), cause)
}

func (e *Engine) lose(of *days, f *dayFile, end int64, cause error) error {
	e.o.Log.Error("a file of the history is damaged", "file", f.path, "error", cause)
	err := e.lostDays(f.day, end)
	if err == nil {
		err = of.retire(f, e.setAside)
	}
	if err != nil {
		return fmt.Errorf("set a damaged file aside: %w", err)
	}
	return nil
}

// setAside renames a damaged file so that it can be looked at.
func (e *Engine) setAside(name string) error {
	to := name + ".corrupt-" + e.o.Now().UTC().Format("20060102T150405")
	if err := e.o.Disk.Rename(name, to); err != nil {
		return err
	}
	e.damaged.Add(1)
	e.o.Log.Error("a damaged file was set aside", "file", name, "as", to)
	return nil
}
