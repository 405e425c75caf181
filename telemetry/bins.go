package telemetry

import "time"

// bins says where the bins of a rollup lie. Days are those of a place, from
// midnight to midnight, 23 to 25 hours long; hours and minutes lie in them
// without a rest, also where the offset is no whole hour.
type bins struct {
	step  Step
	width int64          // ms; a day's is nominal, raw has 1
	loc   *time.Location // nil: UTC
}

func newBins(step Step, loc *time.Location) bins {
	if loc == time.UTC {
		loc = nil
	}
	return bins{step, step.millis(), loc}
}

// start returns the beginning of the bin that has at.
func (b bins) start(at int64) int64 {
	if b.loc == nil || b.width == 1 {
		return at - at%b.width
	}
	t := time.UnixMilli(at).In(b.loc)
	if b.step != StepDay {
		_, off := t.Zone()
		return at - (at+int64(off)*1000)%b.width
	}
	y, m, d := t.Date()
	midnight := time.Date(y, m, d, 0, 0, 0, 0, b.loc)
	for midnight.Day() != d { // a day that begins at 01:00
		midnight = midnight.Add(30 * time.Minute)
	}
	return max(midnight.UnixMilli(), 0)
}

// end returns where the bin that begins at start ends.
func (b bins) end(start int64) int64 {
	if b.loc == nil || b.step != StepDay {
		return start + b.width
	}
	return b.start(start + (26 * time.Hour).Milliseconds())
}

// cover widens a range to whole bins.
func (b bins) cover(from, to int64) (int64, int64) {
	if b.width == 1 {
		return from, to
	}
	last := b.start(to)
	if last < to {
		last = b.end(last)
	}
	return b.start(from), last
}

// utc reports whether the bins are whole days or hours in UTC.
func (b bins) utc() bool { return b.loc == nil }

// wholeHours reports whether, on the UTC day that begins at day, bins begin and
// end with hours in UTC.
func (b bins) wholeHours(day int64) bool {
	for _, at := range [...]int64{day, day + dayMillis} {
		if b.loc == nil {
			return true
		}
		if _, off := time.UnixMilli(at).In(b.loc).Zone(); off%3600 != 0 {
			return false
		}
	}
	return true
}

// maxHold is the longest time between two readings over which a rate is
// integrated: beyond it nobody knows what was.
const maxHold = 10 * 60 * 1000

// integral sums up a rate, in its unit times seconds. The stretch between two
// readings, a trapezoid, counts in the bin of the later one, so that sums over
// any step are the same.
type integral struct {
	last row
	has  bool
}

// add returns what the stretch up to r contributes.
func (i *integral) add(r row) float64 {
	if !r.usable() {
		return 0
	}
	dt, mean := r.at-i.last.at, (r.v+i.last.v)/2
	known := i.has && dt > 0 && dt <= maxHold
	i.last, i.has = r, true
	if !known {
		return 0
	}
	return mean * float64(dt) / 1000
}
