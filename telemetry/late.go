package telemetry

import (
	"errors"
	"slices"

	"greenhouse"
)

// What comes late for a day whose readings have given way to their summaries
// begins a new file of that day. When this is dropped in turn its readings are
// summed up where nothing was before. A half hour that was summed up already keeps
// the summary of more readings: whether the others are among these nobody can tell
// any more, so they count as lost.

var errFound = errors.New("found")

// summedUp reports whether anything is kept of a day that was dropped.
func (e *Engine) summedUp(day int64) (found bool, err error) {
	first := month(day)
	f := e.levels.get(first)
	if f == nil {
		return false, nil
	}
	err = f.view(&e.sealer.old, func(d *dayTx) error {
		return d.eachSeries(func(id uint32) error {
			rec, err := d.record(id)
			if err == nil && rec.starts&(1<<(day-first)) != 0 {
				return errFound
			}
			return nil // what does not read back has nothing to take away
		})
	})
	if errors.Is(err, errFound) {
		return true, nil
	}
	if isDamage(err) {
		return false, e.loseLevels(f, err)
	}
	return false, err
}

// tooLate returns what is lost when a level of a day takes its place beside the one
// that is there, each half hour once.
func (e *Engine) tooLate(day int64, id uint32, p greenhouse.PointID, l *level) (gaps []greenhouse.Gap, err error) {
	var c chunkCoder
	old, ok, err := e.readLevel(&c, day, id, p)
	if isDamage(err) || err == nil && !ok {
		return nil, nil // nothing that could be kept
	}
	if err != nil {
		return nil, err
	}
	for i := range l.bins {
		a, b := &l.bins[i], &old.bins[i]
		if !a.has() || !b.has() || a.summary == b.summary { // the same: it was stored, and its file not yet removed
			continue
		}
		g := greenhouse.Gap{Point: p, From: greenhouse.Millis(a.from), To: greenhouse.Millis(a.to), Cause: CauseLate, Count: int64(a.count + a.bad)}
		if a.more(b) {
			from := day*dayMillis + int64(i)*binMillis
			g.From, g.To, g.Count = greenhouse.Millis(from), greenhouse.Millis(from+binMillis-1), int64(b.count+b.bad)
		}
		gaps = append(gaps, g)
	}
	return gaps, nil
}

// tellLate is tell for what came too late: said again, after a crash or where a file
// could not be removed, it counts once.
func (e *Engine) tellLate(gaps []greenhouse.Gap) error {
	e.mu.Lock()
	known := map[greenhouse.Gap]bool{}
	for _, g := range e.st.gaps.byID {
		if g.Cause == CauseLate {
			known[*g] = true
		}
	}
	gaps = slices.DeleteFunc(gaps, func(g greenhouse.Gap) bool { return known[g] })
	for _, g := range gaps {
		e.st.gaps.put(g)
	}
	e.mu.Unlock()
	if len(gaps) == 0 {
		return nil
	}
	return e.writeCheckpoint()
}
